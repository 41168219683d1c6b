import { EventSheet } from "@/components/event-sheet";
import { EventTable } from "@/components/event-table";
import { Empty, Problem, Skeleton, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { formatTerm, fromParam, isParam, parseFilter, pivotTerm, toParam } from "@/lib/filter";
import type { EventsSearch } from "@/lib/go";
import { useKeys } from "@/lib/keys";
import { exact } from "@/lib/number";
import { eventQuery } from "@/lib/queries";
import { sendSnippets } from "@/lib/snippets";
import type { OcsfEvent } from "@/lib/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import { eventsQuery, periodOf } from "./api";
import { Histogram } from "./components/histogram";
import { SearchBar } from "./components/search-bar";

/** A search that can be sent to a colleague: everything that makes it stands in the URL. */
export function EventsPage({ search, onSearch }: { search: EventsSearch; onSearch: (change: EventsSearch, replace?: boolean) => void }) {
  const [now, setNow] = useState(() => Date.now());
  const period = useMemo(() => periodOf(search, now), [search, now]);
  const query = useInfiniteQuery(eventsQuery(search, period));
  const scroller = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const [picked, setPicked] = useState<OcsfEvent | null>(null);

  const events = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const rows = useMemo(() => events.map((event, i) => ({ key: `${event.metadata.uid}-${i}`, kind: "event" as const, event })), [events]);
  const total = query.data?.pages[0]?.total;
  const byUrl = useQuery({ ...eventQuery(search.event ?? ""), enabled: !!search.event && picked?.metadata.uid !== search.event });
  const open = search.event ? (picked?.metadata.uid === search.event ? picked : (byUrl.data ?? null)) : null;

  const submit = (text: string) => {
    const terms = parseFilter(text);
    const added = terms.filter(isParam).map(toParam);
    const rest = terms.flatMap((t) => (isParam(t) ? [] : [t.kind === "text" && !t.not ? t.value : formatTerm(t)])).join(" ");
    setNow(Date.now());
    onSearch({ q: rest || undefined, filter: added.length > 0 ? unique([...(search.filter ?? []), ...added]) : search.filter }, false);
  };
  const pivot = (path: string, value: string, not: boolean) => {
    const others = (search.filter ?? []).filter((f) => {
      const term = fromParam(f);
      return !(term?.path === path && term.value === value);
    });
    onSearch({ filter: [...others, toParam(pivotTerm(path, value, not))], event: undefined }, false);
  };
  const show = (event: OcsfEvent | null) => {
    setPicked(event);
    onSearch({ event: event?.metadata.uid });
  };
  useKeys({ "/": () => input.current?.focus() });
  const narrowed = !!search.q || (search.filter?.length ?? 0) > 0;

  return (
    <div className="flex h-full min-h-0 flex-col">
      <SearchBar search={search} inputRef={input} onSubmit={submit} onSearch={onSearch} onRefresh={() => setNow(Date.now())} busy={query.isFetching} />
      <Histogram period={period} now={now} narrowed={narrowed} onRange={(from, to) => onSearch({ from, to, range: undefined }, false)} />
      <div className="flex h-8 shrink-0 items-center gap-2 border-b bg-panel px-3 text-xs text-text2" role="status" data-testid="events-total">
        {query.isPending ? "Searching…" : typeof total === "number" ? `${exact(total)} ${total === 1 ? "event" : "events"}` : `${exact(events.length)} loaded`}
        {typeof total === "number" && events.length < total && <span className="text-text3">· {exact(events.length)} loaded, newest first</span>}
      </div>
      <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto bg-panel">
        {query.error && (
          <div className="p-3">
            <Problem error={query.error} retry={() => void query.refetch()} />
          </div>
        )}
        {query.isPending && <Skeleton className="m-3 h-40" />}
        {query.isSuccess && events.length === 0 && <Nothing narrowed={narrowed} onWiden={() => onSearch({ range: "24h", from: undefined, to: undefined })} onClear={() => onSearch({ q: undefined, filter: undefined })} />}
        {events.length > 0 && (
          <EventTable
            rows={rows}
            scroller={scroller}
            onPivot={pivot}
            onOpen={show}
            openUid={search.event}
            dates
            footer={
              query.hasNextPage && (
                <div className="flex justify-center p-3">
                  <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
                    {query.isFetchingNextPage ? "Loading…" : "Load more"}
                  </Button>
                </div>
              )
            }
          />
        )}
      </div>
      <EventSheet event={open} onClose={() => show(null)} onPivot={pivot} />
    </div>
  );
}

const unique = (list: string[]): string[] => [...new Set(list)];

function Nothing({ narrowed, onWiden, onClear }: { narrowed: boolean; onWiden: () => void; onClear: () => void }) {
  return (
    <Empty title={narrowed ? "No event matches in this period" : "No event in this period"} className="h-auto pt-12">
      <div className="mb-4 flex justify-center gap-2">
        <Button size="sm" onClick={onWiden}>
          Look at the last 24 h
        </Button>
        {narrowed && (
          <Button size="sm" onClick={onClear}>
            Drop the filters
          </Button>
        )}
      </div>
      <p className="mb-2">Or send an event from a terminal, with an API key from Settings:</p>
      <Snippet text={sendSnippets()[0]?.text ?? ""} />
    </Empty>
  );
}
