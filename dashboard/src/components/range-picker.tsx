import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/input";
import { Menu, MenuItem, MenuSeparator } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import { dateTime, fromLocalInput, rangeSecs, toLocalInput } from "@/lib/time";
import { CalendarClock, ChevronDown } from "lucide-react";
import { useState } from "react";

const LABELS: Record<string, string> = { "15m": "Last 15 minutes", "1h": "Last hour", "6h": "Last 6 hours", "24h": "Last 24 hours", "3d": "Last 3 days", "7d": "Last 7 days", "30d": "Last 30 days" };

export interface Range {
  /** Relative, `1h`. */
  range?: string | undefined;
  /** Absolute. */
  from?: string | undefined;
  to?: string | undefined;
}

interface RangePickerProps {
  value: Range;
  onChange: (range: Range) => void;
  ranges: readonly string[];
  /** What no range means: one of `ranges`, or any time. */
  fallback?: string;
}

function labelOf(value: Range, fallback: string | undefined): string {
  if (value.from || value.to) return `${value.from ? dateTime(value.from).slice(5) : "…"} to ${value.to ? dateTime(value.to).slice(5) : "now"}`;
  const range = value.range ?? fallback;
  return range === undefined ? "Any time" : (LABELS[range] ?? `Last ${range}`);
}

/** The period as the server takes it, seen from `now`. Absolute wins; nothing named and no fallback is any time. */
export function periodOf(value: Range, now: number, fallback?: string): { from?: string; to?: string } {
  if (value.from || value.to) return { ...(value.from ? { from: value.from } : {}), ...(value.to ? { to: value.to } : {}) };
  const secs = rangeSecs(value.range ?? fallback);
  return secs ? { from: new Date(now - secs * 1000).toISOString() } : {};
}

export function RangePicker({ value, onChange, ranges, fallback }: RangePickerProps) {
  const [custom, setCustom] = useState(false);
  const [hourAgo] = useState(() => new Date(Date.now() - 3600_000).toISOString());
  return (
    <>
      <Menu
        trigger={
          <Button aria-label={`Period: ${labelOf(value, fallback)}`}>
            <CalendarClock />
            {labelOf(value, fallback)}
            <ChevronDown className="text-text3" />
          </Button>
        }
      >
        {fallback === undefined && (
          <MenuItem checked={!value.from && !value.to && !value.range} onSelect={() => onChange({ range: undefined, from: undefined, to: undefined })}>
            Any time
          </MenuItem>
        )}
        {ranges.map((range) => (
          <MenuItem key={range} checked={!value.from && !value.to && (value.range ?? fallback) === range} onSelect={() => onChange({ range, from: undefined, to: undefined })}>
            {LABELS[range] ?? `Last ${range}`}
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
            if (from || to) onChange({ from, to, range: undefined });
            setCustom(false);
          }}
        >
          <Field label="From">
            <Input type="datetime-local" step={1} name="from" defaultValue={toLocalInput(value.from ?? hourAgo)} />
          </Field>
          <Field label="To" hint="Empty: up to now.">
            <Input type="datetime-local" step={1} name="to" defaultValue={toLocalInput(value.to)} />
          </Field>
          <Button type="submit" variant="primary">
            Show this period
          </Button>
        </form>
      </Dialog>
    </>
  );
}
