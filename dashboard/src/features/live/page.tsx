import { EventSheet } from "@/components/event-sheet";
import { EventTable, type TableRow } from "@/components/event-table";
import { Empty, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import type { QueryBarHandle } from "@/components/query-bar";
import { useKeys } from "@/lib/keys";
import { live, type LiveEvents } from "@/lib/live/store";
import { compact, exact } from "@/lib/number";
import { columnsQuery } from "@/lib/queries";
import { resolver } from "@/lib/query/complete";
import { withClause } from "@/lib/query/edit";
import { matches } from "@/lib/query/evaluate";
import { parse } from "@/lib/query/parse";
import { WORST_FIRST } from "@/lib/severity";
import { useGo, type LiveSearch } from "@/lib/go";
import { sendSnippets } from "@/lib/snippets";
import { useStore } from "@/lib/store";
import type { OcsfEvent, Severity } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Pause, Play, X } from "lucide-react";
import { lazy, Suspense, useDeferredValue, useMemo, useRef, useState } from "react";
import { SeverityChips } from "./components/severity-chips";

const QueryBar = lazy(() => import("@/components/query-bar"));

/** Scrolled further down than this, the list stands still: what one reads must not run away. */
const SCROLL_PX_MAX = 60;

const NO_RECENT: readonly string[] = [];

function useFrozen() {
  const current = useStore(live.events);
  const [frozen, setFrozen] = useState<LiveEvents | null>(null);
  return { shown: frozen ?? current, waiting: frozen ? current.total - frozen.total : 0, paused: frozen !== null, pause: () => setFrozen((old) => old ?? live.events.get()), resume: () => setFrozen(null) };
}

export function LivePage({ search, onSearch }: { search: LiveSearch; onSearch: (change: LiveSearch) => void }) {
  const go = useGo();
  const { shown, waiting, paused, pause, resume } = useFrozen();
  const [text, setText] = useState(search.q ?? "");
  const [levels, setLevels] = useState<ReadonlySet<Severity>>(() => new Set(WORST_FIRST));
  const [open, setOpen] = useState<OcsfEvent | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const bar = useRef<QueryBarHandle>(null);
  const { data: known } = useQuery(columnsQuery);
  const column = useMemo(() => resolver(known?.items ?? []), [known]);
  const filter = useDeferredValue(text);

  const rows = useMemo<TableRow[]>(() => {
    const expr = parse(filter);
    const hit = shown.rows.filter((row) => row.kind === "gap" || (levels.has(row.event.severity) && matches(expr, { event: row.event, haystack: row.haystack, column })));
    return hit.toReversed();
  }, [shown, filter, levels, column]);

  const change = (next: string) => {
    setText(next);
    onSearch({ q: next.trim() || undefined });
  };
  const pivot = (path: string, value: string, not: boolean) => change(withClause(text, path, value, not));
  const goOn = () => {
    scroller.current?.scrollTo({ top: 0 });
    resume();
  };
  useKeys({ p: () => (paused ? goOn() : pause()), "/": () => bar.current?.focus() });
  const inHistory = () => go.search({ range: "1h", q: text.trim() || undefined });

  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
        <Button variant={paused ? "primary" : "secondary"} onClick={paused ? goOn : pause} data-testid="pause" aria-pressed={paused} aria-label={paused ? `Go on, ${compact(waiting)} new events` : "Pause"} className="min-w-24">
          {paused ? <Play /> : <Pause />}
          {paused ? <span data-testid="new-count">{compact(waiting)} new</span> : "Pause"}
        </Button>
        <Suspense fallback={<span className="h-8 min-w-48 flex-1 basis-64" />}>
          <QueryBar ref={bar} value={text} label="Filter" placeholder={'source.ip:203.0.113.0/24 AND NOT user.name:root "access denied"'} onRun={change} onChange={change} columns={known?.items ?? []} recent={NO_RECENT} className="min-w-48 flex-1 basis-64" testId="live-filter">
            {text && (
              <Button variant="ghost" size="iconSm" aria-label="Clear the filter" className="m-1" onClick={() => change("")}>
                <X />
              </Button>
            )}
          </QueryBar>
        </Suspense>
        <SeverityChips shown={levels} onChange={setLevels} />
        <span className="ml-auto flex items-center gap-3 text-xs text-text3">
          <span data-testid="live-count">
            {exact(rows.filter((r) => r.kind === "event").length)} shown
            <span className="hidden sm:inline"> of the last {exact(shown.rows.length)}</span>
          </span>
          <Button variant="ghost" size="sm" onClick={inHistory}>
            In Search →
          </Button>
        </span>
      </div>
      <div className="relative min-h-0 flex-1">
        <div ref={scroller} className="h-full overflow-y-auto bg-panel" onPointerDown={(event) => event.pointerType === "mouse" && event.button === 0 && pause()} onScroll={(event) => event.currentTarget.scrollTop > SCROLL_PX_MAX && pause()}>
          {rows.length === 0 ? <Nothing filtered={shown.rows.length > 0} onClear={() => { change(""); setLevels(new Set(WORST_FIRST)); }} /> : <EventTable rows={rows} scroller={scroller} onPivot={pivot} onOpen={setOpen} openUid={open?.metadata.uid} />}
        </div>
      </div>
      <EventSheet event={open} onClose={() => setOpen(null)} onPivot={pivot} />
    </div>
  );
}

function Nothing({ filtered, onClear }: { filtered: boolean; onClear: () => void }) {
  if (filtered)
    return (
      <Empty title="None of the held events pass the filter">
        <Button size="sm" onClick={onClear}>
          Clear the filter
        </Button>
      </Empty>
    );
  return (
    <Empty title="Listening. No event has come yet">
      <p className="mb-2">Send one from a terminal, with an API key from Settings:</p>
      <Snippet text={sendSnippets()[0]?.text ?? ""} />
    </Empty>
  );
}
