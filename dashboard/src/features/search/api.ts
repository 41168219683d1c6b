import { api, ApiError } from "@/lib/api";
import type { EventsSearch } from "@/lib/go";
import { queryClient, searchEvents } from "@/lib/queries";
import type { Asked, FieldValues, NewSavedSearch, SavedSearch, SearchPage, SqlResult } from "@/lib/search-types";
import { rangeSecs } from "@/lib/time";
import type { Listed } from "@/lib/types";
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

export const PAGE = 100;
/** Who scrolls further than this wants a narrower search. */
export const ROWS_MAX = 10_000;
export const DEFAULT_RANGE = "1h";
export const RANGES = ["15m", "1h", "6h", "24h", "3d", "7d", "30d", "90d"] as const;
export const VALUES_SHOWN = 10;

export interface Period {
  from: string;
  to: string;
}

/** The period that a search names, seen from `now`. Absolute wins; nothing named is the last hour. */
export function periodOf(search: Pick<EventsSearch, "range" | "from" | "to">, now: number): Period {
  const to = search.to ?? new Date(now).toISOString();
  if (search.from || search.to) return { from: search.from ?? new Date(Date.parse(to) - 3600_000).toISOString(), to };
  const secs = rangeSecs(search.range) ?? rangeSecs(DEFAULT_RANGE) ?? 3600;
  return { from: new Date(now - secs * 1000).toISOString(), to };
}

/** The same period about its middle, twice as long, but not into the future. */
export function widened({ from, to }: Period, now: number): Period {
  const half = (Date.parse(to) - Date.parse(from)) / 2;
  return { from: new Date(Date.parse(from) - half).toISOString(), to: new Date(Math.min(Date.parse(to) + half, Math.max(now, Date.parse(to)))).toISOString() };
}

/** A search that is refused as it stands is refused again. */
const retry = (count: number, error: Error): boolean => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500);

/** Rows, bars and values are asked for apart: the rows come as soon as they are found, and a failure of one leaves the others. */
export const hitsQuery = ({ q, from, to }: Asked) =>
  infiniteQueryOptions({
    queryKey: ["search", "hits", q, from, to],
    queryFn: ({ pageParam, signal }) => searchEvents({ q, from, to, limit: PAGE, cursor: pageParam || undefined }, signal),
    initialPageParam: "",
    getNextPageParam: (last: SearchPage, pages: SearchPage[]) => (pages.length * PAGE < ROWS_MAX ? (last.next_cursor ?? undefined) : undefined),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry,
  });

export const histogramQuery = ({ q, from, to }: Asked) =>
  queryOptions({
    queryKey: ["search", "histogram", q, from, to],
    queryFn: ({ signal }) => searchEvents({ q, from, to, limit: 0, histogram: "auto" }, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry,
  });

export const valuesQuery = ({ q, from, to }: Asked, fields: readonly string[]) =>
  queryOptions({
    queryKey: ["search", "values", q, from, to, fields],
    queryFn: ({ signal }) => searchEvents({ q, from, to, limit: 0, fields: [...fields] }, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    retry,
  });

/** For the completion: what a column holds in the period, whatever the query says so far. */
export async function valuesOf(period: Period, field: string): Promise<FieldValues | undefined> {
  const page = await queryClient.fetchQuery({ ...valuesQuery({ q: "", ...period }, [field]), retry: false });
  return page.fields?.find((one) => one.field === field) ?? page.fields?.[0];
}

export const savedQuery = queryOptions({
  queryKey: ["saved-searches"],
  queryFn: ({ signal }) => api.get<Listed<SavedSearch>>("/searches", {}, signal),
});
const refreshSaved = () => queryClient.invalidateQueries({ queryKey: savedQuery.queryKey });

export async function keepSearch(id: string | undefined, search: NewSavedSearch): Promise<SavedSearch> {
  const kept = await (id ? api.put<SavedSearch>(`/searches/${encodeURIComponent(id)}`, search) : api.post<SavedSearch>("/searches", search));
  await refreshSaved();
  return kept;
}
export async function deleteSearch(id: string): Promise<void> {
  await api.delete(`/searches/${encodeURIComponent(id)}`);
  await refreshSaved();
}

export const SQL_ROWS_MAX = 1000;
export const SQL_SECS_MAX = 60;
export const runSql = (sql: string, explain: boolean, signal: AbortSignal) => api.post<SqlResult>("/sql", { sql, limit: SQL_ROWS_MAX, timeout_secs: SQL_SECS_MAX, explain }, signal);

export const EXPORTS = [
  { format: "csv", all: false, label: "CSV, shown columns" },
  { format: "csv", all: true, label: "CSV, every column" },
  { format: "jsonl", all: true, label: "JSON lines, whole events" },
  { format: "parquet", all: true, label: "Parquet, every column" },
] as const;

export const exportHref = ({ q, from, to }: Asked, format: string, columns: readonly string[] | undefined): string => api.href("/export", { q, from, to, format, columns: columns?.join(",") });
