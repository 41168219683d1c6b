import { Empty, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { ApiError } from "@/lib/api";
import { clausesOf, withoutClause } from "@/lib/query/edit";
import { sendSnippets } from "@/lib/snippets";
import { X } from "lucide-react";
import { rangeSecs } from "@/lib/time";
import type { EventsSearch } from "@/lib/go";
import { DEFAULT_RANGE } from "../api";

interface NothingProps {
  search: EventsSearch;
  onSearch: (change: EventsSearch, replace?: boolean) => void;
}

const WIDER = [
  ["24h", "the last 24 hours"],
  ["7d", "the last 7 days"],
  ["30d", "the last 30 days"],
] as const;

/** No hit: what could be loosened, a click each. */
export function Nothing({ search, onSearch }: NothingProps) {
  const q = search.q ?? "";
  const clauses = clausesOf(q);
  const secs = search.from ? 0 : (rangeSecs(search.range ?? DEFAULT_RANGE) ?? 0);
  const wider = WIDER.filter(([range]) => (rangeSecs(range) ?? 0) > secs);
  return (
    <Empty title={q ? "No event matches in this period" : "No event in this period"} className="h-auto justify-start pt-10" testId="nothing">
      {wider.length > 0 && (
        <div className="mb-4">
          <p className="mb-2">Look further back:</p>
          <div className="flex flex-wrap justify-center gap-2">
            {wider.map(([range, label]) => (
              <Button key={range} size="sm" onClick={() => onSearch({ range, from: undefined, to: undefined }, false)}>
                {label}
              </Button>
            ))}
          </div>
        </div>
      )}
      {clauses.length > 0 && (
        <div className="mb-4">
          <p className="mb-2">{clauses.length > 1 ? "Or ask for less:" : "Or drop the query:"}</p>
          <div className="flex flex-wrap justify-center gap-2">
            {clauses.map((clause, i) => (
              // Two conditions may be the same text.
              // oxlint-disable-next-line react/no-array-index-key
              <Button key={`${i}${clause.text}`} size="sm" className="max-w-full" onClick={() => onSearch({ q: withoutClause(q, i) || undefined }, false)} aria-label={`Without ${clause.text}`}>
                <X /> <span className="mono truncate text-xs">{clause.text}</span>
              </Button>
            ))}
            {clauses.length > 1 && (
              <Button size="sm" variant="ghost" onClick={() => onSearch({ q: undefined }, false)}>
                everything
              </Button>
            )}
          </div>
        </div>
      )}
      {!q && (
        <>
          <p className="mb-2">Send an event from a terminal, with an API key from Settings:</p>
          <Snippet text={sendSnippets()[0]?.text ?? ""} />
        </>
      )}
    </Empty>
  );
}

/** A query that the server cannot read, with the place of the trouble pointed at. */
export function Refused({ error, query, onRetry }: { error: Error; query: string; onRetry: () => void }) {
  const fault = error instanceof ApiError ? error : undefined;
  const at = fault?.column;
  const chars = Array.from(query);
  return (
    <div role="alert" className="m-3 grid gap-2 rounded-md border border-sev-high/40 bg-sev-high/10 px-3 py-2.5 text-xs" data-testid="search-error">
      <div className="flex flex-wrap items-center gap-3">
        <span className="min-w-0 flex-1 font-medium">{error.message}</span>
        {at === undefined && (
          <Button size="sm" onClick={onRetry}>
            Try again
          </Button>
        )}
      </div>
      {at !== undefined && (
        <pre className="mono overflow-x-auto leading-5 text-text2" aria-label={`at character ${at + 1}`}>
          {chars.slice(0, at).join("")}
          <mark className="rounded-sm bg-sev-high/30 text-text">{chars.slice(at).join("").match(/^[^\s):]+|^./s)?.[0] ?? "␣"}</mark>
          {chars.slice(at + (chars.slice(at).join("").match(/^[^\s):]+|^./s)?.[0].length ?? 0)).join("")}
        </pre>
      )}
      {fault?.hint && <p className="text-text2">{fault.hint}</p>}
    </div>
  );
}
