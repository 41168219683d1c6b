import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/input";
import { Menu, MenuItem, MenuSeparator } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import type { EventsSearch } from "@/lib/go";
import { dateTime, fromLocalInput, toLocalInput } from "@/lib/time";
import { CalendarClock, ChevronDown } from "lucide-react";
import { useState } from "react";
import { DEFAULT_RANGE } from "../api";

const RANGES: [string, string][] = [
  ["15m", "Last 15 minutes"],
  ["1h", "Last hour"],
  ["6h", "Last 6 hours"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
];

function labelOf(search: EventsSearch): string {
  if (search.from || search.to) return `${search.from ? dateTime(search.from).slice(5) : "…"} to ${search.to ? dateTime(search.to).slice(5) : "now"}`;
  const range = search.range ?? DEFAULT_RANGE;
  return RANGES.find(([value]) => value === range)?.[1] ?? `Last ${range}`;
}

export function RangePicker({ search, onSearch }: { search: EventsSearch; onSearch: (change: EventsSearch, replace?: boolean) => void }) {
  const [custom, setCustom] = useState(false);
  const [hourAgo] = useState(() => new Date(Date.now() - 3600_000).toISOString());
  return (
    <>
      <Menu
        trigger={
          <Button aria-label={`Period: ${labelOf(search)}`}>
            <CalendarClock />
            {labelOf(search)}
            <ChevronDown className="text-text3" />
          </Button>
        }
      >
        {RANGES.map(([value, label]) => (
          <MenuItem key={value} checked={!search.from && !search.to && (search.range ?? DEFAULT_RANGE) === value} onSelect={() => onSearch({ range: value, from: undefined, to: undefined }, false)}>
            {label}
          </MenuItem>
        ))}
        <MenuSeparator />
        <MenuItem onSelect={() => setCustom(true)}>From and to…</MenuItem>
      </Menu>
      <Dialog open={custom} onOpenChange={setCustom} title="From and to" description="In your own time zone.">
        <form
          className="grid gap-4"
          onSubmit={(event) => {
            event.preventDefault();
            const form = new FormData(event.currentTarget);
            const from = fromLocalInput(String(form.get("from")));
            const to = fromLocalInput(String(form.get("to")));
            if (from || to) onSearch({ from, to, range: undefined }, false);
            setCustom(false);
          }}
        >
          <Field label="From">
            <Input type="datetime-local" step={1} name="from" defaultValue={toLocalInput(search.from ?? hourAgo)} />
          </Field>
          <Field label="To" hint="Empty: up to now.">
            <Input type="datetime-local" step={1} name="to" defaultValue={toLocalInput(search.to)} />
          </Field>
          <Button type="submit" variant="primary">
            Show this period
          </Button>
        </form>
      </Dialog>
    </>
  );
}
