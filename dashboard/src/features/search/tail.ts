// New events that fit the query, as they come. The live socket knows topics and no queries, so the search is asked again
// every other second for what was received since: late events come too, and the query means what it means in the search.
import { searchEvents } from "@/lib/queries";
import { both } from "@/lib/query/edit";
import type { SearchPage } from "@/lib/search-types";
import type { OcsfEvent } from "@/lib/types";
import { useEffect, useRef, useState } from "react";

export const TAIL_MS = 2000;
/** Events shown of one answer: with more, the rest is counted and said. */
export const TAIL_PAGE = 200;
export const TAIL_ROWS_MAX = 2000;
/** An event may be older than its receipt; further back than this the tail does not look. */
const TAIL_BACK_MS = 24 * 3600_000;
const UNKNOWN_BACK_MS = 10_000;

export const tailClause = (q: string, since: string): string => both(q, `metadata.logged_time:>="${since}"`);

/** Each event once: what came between two pages may have moved some from one into the other. */
export const each = (events: readonly OcsfEvent[]): OcsfEvent[] => [...new Map(events.map((event) => [event.metadata.uid, event])).values()];

/** The events of both, each once, newest first. */
export function newestFirst(old: readonly OcsfEvent[], fresh: readonly OcsfEvent[]): OcsfEvent[] {
  const known = new Set(old.map((event) => event.metadata.uid));
  const added = fresh.filter((event) => !known.has(event.metadata.uid));
  return [...added, ...old].slice(0, TAIL_ROWS_MAX);
}

export interface Tail {
  events: readonly OcsfEvent[];
  /** Events that came since the tail began, also those that its bound has dropped. */
  added: number;
  /** More came in one answer than are shown. */
  skipped: number;
  error: Error | null;
}

const NOTHING: Tail = { events: [], added: 0, skipped: 0, error: null };

/** With the events of one more answer. */
export function grown(old: Tail, page: Pick<SearchPage, "items" | "next_cursor" | "total">): Tail {
  const known = new Set(old.events.map((event) => event.metadata.uid));
  const added = page.items.filter((event) => !known.has(event.metadata.uid)).length;
  const skipped = page.next_cursor ? Math.max(0, page.total.value - page.items.length) : 0;
  return { events: added > 0 ? newestFirst(old.events, page.items) : old.events, added: old.added + added, skipped: old.skipped + skipped, error: null };
}

const newestReceipt = (events: readonly OcsfEvent[], since: string): string => events.reduce((newest, { metadata }) => (metadata.logged_time && metadata.logged_time > newest ? metadata.logged_time : newest), since);

/** What `q` finds that was received after `start`; undefined `q`: nothing is asked. */
export function useTail(q: string | undefined, start: string | undefined): Tail {
  const [state, setState] = useState({ q, tail: NOTHING });
  if (state.q !== q) setState({ q, tail: NOTHING });
  const latest = useRef(start);
  useEffect(() => {
    latest.current = start;
  }, [start]);
  useEffect(() => {
    if (q === undefined) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // The server's clock where it is known: the browser's may be wrong.
    let since = latest.current ?? new Date(Date.now() - UNKNOWN_BACK_MS).toISOString();
    const change = (next: (old: Tail) => Tail) => setState((old) => (old.q === q ? { q, tail: next(old.tail) } : old));
    const ask = async () => {
      try {
        const page = await searchEvents({ q: tailClause(q, since), from: new Date(Date.now() - TAIL_BACK_MS).toISOString(), limit: TAIL_PAGE }, stop.signal);
        since = newestReceipt(page.items, since);
        change((old) => grown(old, page));
      } catch (error) {
        if (!stop.signal.aborted) change((old) => ({ ...old, error: error instanceof Error ? error : new Error("The tail failed") }));
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void ask(), TAIL_MS);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [q]);
  return state.q === q ? state.tail : NOTHING;
}
