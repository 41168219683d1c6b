import { RangePicker } from "@/components/range-picker";
import { Button } from "@/components/ui/button";
import { FieldNames, Input } from "@/components/ui/input";
import { fromParam, toParam, type Operator } from "@/lib/filter";
import { cn } from "@/lib/cn";
import type { EventsSearch } from "@/lib/go";
import { RefreshCw, Search, X } from "lucide-react";
import { useState, type RefObject } from "react";
import { DEFAULT_RANGE, RANGES } from "../api";

interface SearchBarProps {
  search: EventsSearch;
  inputRef: RefObject<HTMLInputElement | null>;
  onSubmit: (text: string) => void;
  onSearch: (change: EventsSearch, replace?: boolean) => void;
  onRefresh: () => void;
  busy: boolean;
}

export function SearchBar({ search, inputRef, onSubmit, onSearch, onRefresh, busy }: SearchBarProps) {
  const [text, setText] = useState(search.q ?? "");
  const [shownQ, setShownQ] = useState(search.q);
  if (shownQ !== search.q) {
    // The address changed from elsewhere, by the back button or a link: the box follows it.
    setShownQ(search.q);
    setText(search.q ?? "");
  }
  const filters = search.filter ?? [];
  return (
    <div className="border-b bg-panel px-3 py-2">
      <form
        className="flex flex-wrap items-center gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit(text);
        }}
      >
        <div className="relative min-w-48 flex-1 basis-72">
          <Search className="pointer-events-none absolute top-2 left-2.5 size-4 text-text3" />
          <Input ref={inputRef} value={text} onChange={(event) => setText(event.target.value)} aria-label="Search events" placeholder="text in the raw event; or ip=203.0.113.7, user!=root, code>=500, path~admin, ip:cidr=… and Enter" className="mono pl-8 text-xs" list="event-fields" data-testid="events-query" />
          <FieldNames id="event-fields" />
        </div>
        <RangePicker value={search} onChange={(range) => onSearch(range, false)} ranges={RANGES} fallback={DEFAULT_RANGE} />
        <Button type="submit" variant="primary">
          Search
        </Button>
        <Button size="icon" aria-label="Search again, up to now" onClick={onRefresh}>
          <RefreshCw className={cn(busy && "animate-spin")} />
        </Button>
      </form>
      {filters.length > 0 && (
        <ul className="mt-2 flex flex-wrap gap-1.5" aria-label="Filters">
          {filters.map((filter) => (
            <FilterChip key={filter} filter={filter} onChange={(next) => onSearch({ filter: filters.flatMap((f) => (f === filter ? (next ? [next] : []) : [f])) }, false)} />
          ))}
        </ul>
      )}
    </div>
  );
}

const SIGN: Record<Operator | "!=", string> = { "=": "=", "!=": "≠", "~": "contains", ">=": "≥", "<=": "≤", ":in=": "is one of", ":cidr=": "in", ":exists": "exists" };

function FilterChip({ filter, onChange }: { filter: string; onChange: (next: string | null) => void }) {
  const term = fromParam(filter);
  const flips = term?.op === "=";
  const flip = () => term && flips && onChange(toParam({ ...term, not: !term.not }));
  return (
    <li className={cn("mono inline-flex h-6 max-w-full items-center overflow-hidden rounded-md border text-xs", term?.not ? "border-sev-critical/50 text-text2" : "border-accent/50")}>
      <button type="button" onClick={flip} disabled={!flips} title={!flips ? filter : term.not ? "Turn into: only this value" : "Turn into: not this value"} className="min-w-0 truncate px-2 hover:bg-raised">
        {term ? (
          <>
            <span className="text-text3">{term.path}</span> {SIGN[term.not ? "!=" : term.op]} {term.value}
          </>
        ) : (
          filter
        )}
      </button>
      <button type="button" aria-label={`Remove ${filter}`} className="flex h-full items-center border-l px-1 text-text3 hover:bg-raised hover:text-text" onClick={() => onChange(null)}>
        <X className="size-3" />
      </button>
    </li>
  );
}
