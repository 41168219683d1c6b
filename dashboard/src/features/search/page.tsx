import { EventSheet } from "@/components/event-sheet";
import type { QueryBarHandle } from "@/components/query-bar";
import { RangePicker } from "@/components/range-picker";
import { Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Menu, MenuDownload, MenuItem, MenuLabel } from "@/components/ui/menu";
import { Sheet } from "@/components/ui/overlay";
import { Segmented } from "@/components/ui/segmented";
import { ApiError } from "@/lib/api";
import { cn } from "@/lib/cn";
import type { EventsSearch } from "@/lib/go";
import { useKeys } from "@/lib/keys";
import { compact, exact, plural } from "@/lib/number";
import { prefs, setPref } from "@/lib/prefs";
import { columnsQuery, eventQuery, queryClient } from "@/lib/queries";
import { both, existsClause, withClause } from "@/lib/query/edit";
import type { SavedSearch } from "@/lib/search-types";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { span } from "@/lib/time";
import type { OcsfEvent } from "@/lib/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Download, History, Link2, Pause, Play, Radio, RefreshCw, Rows3, Search, Square } from "lucide-react";
import { lazy, Suspense, useMemo, useRef, useState } from "react";
import { toast } from "sonner";
import { DEFAULT_RANGE, EXPORTS, exportHref, hitsQuery, histogramQuery, periodOf, RANGES, valuesOf, valuesQuery, widened } from "./api";
import { cellOf, columnsFrom, columnsText, DEFAULT_COLUMNS, moved, OPENED_MAX, toggled, withRecent } from "./columns";
import { Nothing, Refused } from "./components/empty";
import { FieldsButton, FieldSidebar } from "./components/field-sidebar";
import { Histogram } from "./components/histogram";
import { ResultsTable, type Cursor } from "./components/results-table";
import { SavedMenu } from "./components/saved";
import { SqlView } from "./components/sql-view";
import { Foot, Neighbours, Stopped, Waiting } from "./components/states";
import { useNow, useSlow } from "./hooks";
import { copyLink } from "./share";
import { each, newestFirst, TAIL_PAGE, useTail, type Tail } from "./tail";
import { useRemembered } from "./use-remembered";

const QueryBar = lazy(() => import("@/components/query-bar"));

/** Scrolled further down than this, the tail is held. */
const SCROLL_PX_MAX = 60;

const stop = () => void queryClient.cancelQueries({ queryKey: ["search"] });

export type OnSearch = (change: EventsSearch, replace?: boolean) => void;

/** The whole lake to be searched; everything that makes a view of it stands in the URL. */
export function SearchPage({ search, onSearch }: { search: EventsSearch; onSearch: OnSearch }) {
  return (
    <div className="flex h-full min-h-0 flex-col">
      {search.view === "sql" ? (
        <>
          <div className="flex items-center gap-2 border-b bg-panel px-3 py-2">
            <Views search={search} onSearch={onSearch} />
          </div>
          <SqlView sql={search.sql} onSql={(sql) => onSearch({ sql })} />
        </>
      ) : (
        <Events search={search} onSearch={onSearch} />
      )}
    </div>
  );
}

/** SQL is for analysts: its statements stand in the audit log. */
function Views({ search, onSearch }: { search: EventsSearch; onSearch: OnSearch }) {
  if (!may(useStore(session), "analyst")) return null;
  return (
    <Segmented
      label="Ask by"
      value={search.view ?? "query"}
      onChange={(view) => onSearch({ view: view === "sql" ? "sql" : undefined, event: undefined, tail: undefined }, false)}
      options={[
        { value: "query", label: "Query" },
        { value: "sql", label: "SQL" },
      ]}
    />
  );
}

function Events({ search, onSearch }: { search: EventsSearch; onSearch: OnSearch }) {
  const [now, upToNow] = useNow();
  const [kept, keep] = useRemembered();
  const bar = useRef<QueryBarHandle>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const fieldInput = useRef<HTMLInputElement>(null);
  const [cursor, setCursor] = useState<Cursor | null>(null);
  const [fieldsOpen, setFieldsOpen] = useState(false);
  const [picked, setPicked] = useState<OcsfEvent | null>(null);
  const { density } = useStore(prefs);

  const q = search.q ?? "";
  const { range: relative, from: since, to: until } = search;
  const period = useMemo(() => periodOf({ range: relative, from: since, to: until }, now), [relative, since, until, now]);
  const asked = useMemo(() => ({ q, from: period.from, to: period.to }), [q, period]);
  const columns = useMemo(() => columnsFrom(search.columns) ?? kept.columns, [search.columns, kept.columns]);
  const tailing = search.tail === "1";

  const hits = useInfiniteQuery(hitsQuery(asked));
  const histogram = useQuery(histogramQuery(asked));
  const values = useQuery({ ...valuesQuery(asked, kept.opened), enabled: kept.opened.length > 0 });
  const known = useQuery(columnsQuery);
  const found = useMemo(() => each(hits.data?.pages.flatMap((page) => page.items) ?? []), [hits.data]);
  const newest = useMemo(() => found.reduce<string | undefined>((max, { metadata }) => (metadata.logged_time && (!max || metadata.logged_time > max) ? metadata.logged_time : max), undefined), [found]);
  const tail = useTail(tailing && hits.isSuccess ? q : undefined, newest);
  // Held where the reader is: rows that come must not move what is read.
  const [frozen, setFrozen] = useState<{ q: string; tail: Tail } | null>(null);
  const holds = tailing && frozen?.q === q;
  const shownTail = holds ? frozen.tail : tail;
  const hold = () => setFrozen({ q, tail });
  const events = useMemo(() => (tailing ? newestFirst(found, shownTail.events) : found), [tailing, found, shownTail.events]);
  const first = hits.data?.pages[0];
  const total = histogram.data && !histogram.isPlaceholderData && histogram.data.total.exact ? histogram.data.total : first?.total;
  const busy = hits.isFetching || histogram.isFetching;
  const slow = useSlow(hits.isFetching && !hits.isFetchingNextPage);
  const fault = hits.error instanceof ApiError && hits.error.column !== undefined ? { message: hits.error.message, column: hits.error.column, hint: hits.error.hint } : undefined;

  const byUrl = useQuery({ ...eventQuery(search.event ?? ""), enabled: !!search.event && picked?.metadata.uid !== search.event });
  const open = search.event ? (picked?.metadata.uid === search.event ? picked : (byUrl.data ?? null)) : null;

  const run = (text: string) => {
    keep((old) => ({ recent: withRecent(old.recent, text) }));
    upToNow();
    setCursor(null);
    onSearch({ q: text || undefined }, text === q);
  };
  const ask = (change: EventsSearch) => {
    setCursor(null);
    upToNow();
    onSearch(change, false);
  };
  const pivot = (path: string, value: string, not: boolean) => {
    const next = withClause(bar.current?.text() ?? q, path, value, not);
    keep((old) => ({ recent: withRecent(old.recent, next) }));
    ask({ q: next });
  };
  const showColumns = (next: readonly string[]) => {
    keep(() => ({ columns: [...next] }));
    onSearch({ columns: next.join() === DEFAULT_COLUMNS.join() ? undefined : columnsText(next) });
  };
  const column = (path: string) => showColumns(toggled(columns, path));
  const show = (event: OcsfEvent | null) => {
    setPicked(event);
    onSearch({ event: event?.metadata.uid });
  };
  const openRow = (event: OcsfEvent, row: number) => {
    setCursor((old) => ({ row, column: old?.column ?? 0 }));
    show(event);
  };
  const step = (by: number) => {
    const at = cursor === null ? (by > 0 ? 0 : -1) : cursor.row + by;
    const event = events[at];
    if (!event) return;
    setCursor({ row: at, column: cursor?.column ?? 0 });
    if (search.event) show(event);
  };
  const aside = (by: number) => cursor && setCursor({ ...cursor, column: Math.min(columns.length, Math.max(0, cursor.column + by)) });
  const pivotCell = (not: boolean) => {
    const path = cursor && cursor.column > 0 ? columns[cursor.column - 1] : undefined;
    const event = cursor ? events[cursor.row] : undefined;
    const cell = path && event ? cellOf(event, path) : undefined;
    const [value] = cell?.values ?? [];
    if (cell?.path === undefined || value === undefined) return toast("Choose a value first", { description: "j and k go through the rows, h and l through the values of a row." });
    pivot(cell.path, value, not);
  };
  const openField = (path: string) => keep((old) => ({ opened: old.opened.includes(path) ? old.opened.filter((one) => one !== path) : [path, ...old.opened].slice(0, OPENED_MAX) }));

  useKeys({
    "/": () => bar.current?.focus(),
    j: () => step(1),
    k: () => step(-1),
    h: () => aside(-1),
    l: () => aside(1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    ArrowRight: () => aside(1),
    ArrowLeft: () => aside(-1),
    Enter: (event) => {
      // A button that has the focus is pressed by it.
      if ((event.target as HTMLElement | null)?.closest?.("button, a")) return (event.target as HTMLElement).click();
      const at = cursor ? events[cursor.row] : undefined;
      if (at) show(at);
    },
    Escape: () => (search.event ? show(null) : hits.isFetching ? stop() : setCursor(null)),
    "+": () => pivotCell(false),
    "-": () => pivotCell(true),
    p: () => (holds ? goOn() : tailing && hold()),
    f: () => (fieldInput.current ? fieldInput.current.focus() : setFieldsOpen(true)),
  });

  const goOn = () => {
    scroller.current?.scrollTo({ top: 0 });
    setFrozen(null);
  };
  const openSaved = (one: SavedSearch) => {
    if (one.columns.length > 0) keep(() => ({ columns: one.columns }));
    upToNow();
    onSearch({ q: one.q || undefined, range: one.range ?? undefined, from: undefined, to: undefined, columns: one.columns.length > 0 ? columnsText(one.columns) : undefined, saved: one.id, event: undefined, tail: undefined }, false);
  };
  const sidebar = (
    <FieldSidebar
      columns={known.data?.items ?? []}
      shown={columns}
      opened={kept.opened}
      values={values.data?.fields}
      error={fault ? null : values.error}
      refused={fault !== undefined}
      inputRef={fieldInput}
      onOpen={openField}
      onColumn={column}
      onPivot={(path, value, not) => {
        setFieldsOpen(false);
        pivot(path, value, not);
      }}
      onExists={(path) => ask({ q: both(q, existsClause(path)) })}
    />
  );

  return (
    <>
      <div className="flex flex-wrap items-start gap-2 border-b bg-panel px-3 py-2">
        <Views search={search} onSearch={onSearch} />
        <Suspense fallback={<Skeleton className="h-8 min-w-56 flex-1" />}>
          <QueryBar
            ref={bar}
            value={q}
            label="Search events"
            placeholder={'user.name:alice AND NOT source.ip:10.0.0.0/8 "access denied"'}
            onRun={run}
            onEscape={() => (hits.isFetching ? stop() : (document.activeElement as HTMLElement | null)?.blur())}
            fault={fault}
            columns={known.data?.items ?? []}
            valuesOf={(path) => valuesOf(period, path)}
            recent={kept.recent}
            className="order-last min-w-0 basis-full lg:order-none lg:min-w-72 lg:flex-1 lg:basis-0"
          >
            <Menu
              trigger={
                <Button variant="ghost" size="icon" className="h-[30px]" aria-label="Recent queries">
                  <History />
                </Button>
              }
            >
              <MenuLabel>{kept.recent.length > 0 ? "Recent queries" : "What you search for is listed here"}</MenuLabel>
              {kept.recent.map((text) => (
                <MenuItem key={text} onSelect={() => run(text)}>
                  <span className="mono max-w-[min(36rem,80vw)] truncate text-xs">{text}</span>
                </MenuItem>
              ))}
            </Menu>
          </QueryBar>
        </Suspense>
        <RangePicker value={search} onChange={(range) => ask(range)} ranges={RANGES} fallback={DEFAULT_RANGE} />
        {slow ? (
          <Button onClick={stop} aria-label="Stop" className="sm:w-24 max-sm:order-1 max-sm:w-9 max-sm:px-0" data-testid="stop">
            <Square /> <span className="max-sm:hidden">Stop</span>
          </Button>
        ) : (
          <Button variant="primary" aria-label="Search" className="sm:w-24 max-sm:order-1 max-sm:w-9 max-sm:px-0" onClick={() => run((bar.current?.text() ?? q).trim())} data-testid="run">
            {busy ? <RefreshCw className="animate-spin" /> : <Search />} <span className="max-sm:hidden">Search</span>
          </Button>
        )}
        <SavedMenu current={{ q, columns, range: search.from || search.to ? null : (search.range ?? DEFAULT_RANGE) }} openId={search.saved} columns={known.data?.items ?? []} onOpen={openSaved} onKept={(one) => onSearch({ saved: one?.id })} />
      </div>
      <Histogram
        period={period}
        page={histogram.data}
        error={fault ? null : histogram.error}
        refused={fault !== undefined}
        busy={histogram.isPlaceholderData}
        onRange={(from, to) => ask({ from, to, range: undefined })}
        onWiden={() => {
          const wide = widened(period, Date.now());
          ask({ ...wide, range: undefined });
        }}
      />
      <div className="flex min-h-9 shrink-0 flex-wrap items-center gap-x-2 gap-y-0.5 border-b bg-panel px-3 py-0.5">
        <FieldsButton
          count={columns.length}
          pressed={kept.sidebar}
          onClick={() => (matchMedia("(min-width: 1024px)").matches ? keep((old) => ({ sidebar: !old.sidebar })) : setFieldsOpen(true))}
        />
        <p className="min-w-0 truncate text-xs text-text2" role="status" data-testid="search-total">
          {hits.isPending && hits.isFetching ? (
            "Searching…"
          ) : total ? (
            <>
              <b className="font-semibold text-text">{total.exact ? exact(total.value) : `at least ${exact(total.value)}`}</b> {total.value === 1 ? "event" : "events"}
              {first && (
                <span className="text-text3 max-sm:hidden">
                  {" "}
                  · {span(first.took_ms / 1000)} · {compact(first.scanned.rows)} rows of {plural(first.scanned.files, "file")} read
                </span>
              )}
            </>
          ) : (
            ""
          )}
        </p>
        <span className="ml-auto flex items-center gap-0.5">
          {tailing && (
            <Button size="sm" variant={holds ? "primary" : "secondary"} aria-pressed={holds} onClick={() => (holds ? goOn() : hold())} data-testid="hold">
              {holds ? <Play /> : <Pause />} {holds ? `${compact(tail.added - shownTail.added)} new` : "Hold"}
            </Button>
          )}
          <Button size="sm" variant="ghost" aria-pressed={tailing} className={cn(tailing && "text-accent")} onClick={() => onSearch({ tail: tailing ? undefined : "1", ...(tailing ? {} : { event: undefined }) })} title="New events join the list as they come" data-testid="tail">
            <Radio className={cn(tailing && !holds && "animate-pulse")} /> <span className="max-sm:sr-only">Live tail</span>
          </Button>
          <Button size="sm" variant="ghost" aria-label={density === "compact" ? "More room between the rows" : "Less room between the rows"} title="Row height" onClick={() => setPref("density", density === "compact" ? "comfortable" : "compact")} className="max-sm:hidden">
            <Rows3 />
          </Button>
          <Button size="sm" variant="ghost" aria-label="Copy a link to this view" title="Copy a link to this view" onClick={() => void copyLink(period, columns)}>
            <Link2 />
          </Button>
          <Menu
            trigger={
              <Button size="sm" variant="ghost" data-testid="export" aria-label="Export">
                <Download /> <span className="max-sm:sr-only">Export</span>
              </Button>
            }
          >
            <MenuLabel>{total ? `${total.exact ? "" : "at least "}${plural(total.value, "event")}, all of the period` : "All of the period"}</MenuLabel>
            {EXPORTS.map(({ format, all, label }) => (
              <MenuDownload key={label} href={exportHref(asked, format, all ? undefined : ["time", ...columns])}>
                <Download /> {label}
              </MenuDownload>
            ))}
          </Menu>
        </span>
      </div>
      <div className="flex min-h-0 flex-1">
        {kept.sidebar && <aside aria-label="Fields" className="hidden w-64 shrink-0 border-r bg-panel lg:block">{sidebar}</aside>}
        <div className="relative flex min-w-0 flex-1 flex-col">
          {tailing && (tail.skipped > 0 || tail.error) && (
            <p role="status" className="border-b border-sev-medium/30 bg-sev-medium/10 px-3 py-1 text-2xs text-text2">
              {tail.error ? `The tail waits: ${tail.error.message}` : `More comes in than is shown: of each answer the newest ${TAIL_PAGE}. ${exact(tail.skipped)} passed by; the search has them.`}
            </p>
          )}
          {slow && hits.data && <p role="status" className="absolute inset-x-0 top-0 z-20 h-0.5 animate-pulse bg-accent"><span className="sr-only">Searching</span></p>}
          <div
            ref={scroller}
            className={cn("min-h-0 flex-1 overflow-auto bg-panel", hits.isPlaceholderData && "opacity-60")}
            // Rows can be reached with the tabulator key; the box itself scrolls with the arrows of the page.
            onScroll={(event) => tailing && !holds && event.currentTarget.scrollTop > SCROLL_PX_MAX && hold()}
            data-testid="scroller"
          >
            {hits.error && !hits.isFetching ? (
              <Refused error={hits.error} query={q} onRetry={() => void hits.refetch()} />
            ) : hits.isPending ? (
              hits.isFetching ? <Waiting slow={slow} onStop={stop} /> : <Stopped onAgain={() => void hits.refetch()} />
            ) : events.length === 0 ? (
              tailing ? <p className="p-10 text-center text-sm text-text2">Listening. Nothing that fits has come yet.</p> : <Nothing search={search} onSearch={(change) => ask(change)} />
            ) : (
              <ResultsTable
                events={events}
                columns={columns}
                widths={kept.widths}
                scroller={scroller}
                cursor={cursor}
                openUid={search.event}
                onOpen={openRow}
                onPivot={pivot}
                onWidth={(path, px) => keep((old) => ({ widths: { ...old.widths, [path]: px } }))}
                onMove={(path, by) => showColumns(moved(columns, path, by))}
                onRemove={(path) => showColumns(columns.length > 1 ? columns.filter((one) => one !== path) : [...DEFAULT_COLUMNS])}
                onEnd={() => hits.hasNextPage && !hits.isFetchingNextPage && void hits.fetchNextPage()}
                footer={<Foot loading={hits.isFetchingNextPage} ended={!hits.hasNextPage} loaded={found.length} />}
              />
            )}
          </div>
        </div>
      </div>
      <Sheet open={fieldsOpen} onOpenChange={setFieldsOpen} title="Fields" className="w-[min(22rem,100vw)]">
        {fieldsOpen && sidebar}
      </Sheet>
      <EventSheet event={open} onClose={() => show(null)} onPivot={pivot} onColumn={column} onEvent={show}>
        {open && events.length > 1 && <Neighbours onStep={step} />}
      </EventSheet>
    </>
  );
}
