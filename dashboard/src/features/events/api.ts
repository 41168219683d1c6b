import { api } from "@/lib/api";
import type { EventsSearch } from "@/lib/go";
import { rangeSecs } from "@/lib/time";
import type { Bucket, Listed, OcsfEvent } from "@/lib/types";
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

export const PAGE = 200;
export const DEFAULT_RANGE = "1h";
export const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d"] as const;
/** The server's timeline reaches back this far. */
export const TIMELINE_HOURS_MAX = 24;

export interface Period {
  from: string;
  /** Absent: up to now. */
  to?: string | undefined;
}

/** The period that a search names, seen from `now`. Absolute wins; nothing named is the last hour. */
export function periodOf(search: EventsSearch, now: number): Period {
  if (search.from || search.to) {
    const from = search.from ?? new Date(Date.parse(search.to ?? "") - 3600_000).toISOString();
    return { from, to: search.to };
  }
  const secs = rangeSecs(search.range) ?? rangeSecs(DEFAULT_RANGE) ?? 3600;
  return { from: new Date(now - secs * 1000).toISOString() };
}

export const eventsQuery = (search: EventsSearch, period: Period) =>
  infiniteQueryOptions({
    queryKey: ["events", search.q, search.filter, period],
    queryFn: ({ pageParam, signal }) => api.get<Listed<OcsfEvent>>("/events", { from: period.from, to: period.to, q: search.q, filter: search.filter, limit: PAGE, cursor: pageParam || undefined }, signal),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  });

/** A bucket width that gives between 40 and 100 bars. */
export function bucketSecsFor(hours: number): number {
  return hours <= 1 ? 60 : hours <= 6 ? 300 : 900;
}

export const histogramQuery = (hours: number) =>
  queryOptions({
    queryKey: ["timeline", "histogram", hours],
    queryFn: ({ signal }) => api.get<Listed<Bucket>>("/timeline", { hours, bucket_secs: bucketSecsFor(hours) }, signal),
    placeholderData: keepPreviousData,
  });
