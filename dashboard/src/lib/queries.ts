// The reads that several features share; what only one feature asks for stands in that feature's api.ts.
import { QueryClient, queryOptions } from "@tanstack/react-query";
import { api, ApiError } from "./api";
import type { SearchColumn, SearchPage, SearchRequest } from "./search-types";
import type { Alert, Listed, OcsfEvent, Overview, Rule } from "./types";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5000,
      retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
      refetchOnWindowFocus: false,
    },
  },
});

export const rulesQuery = queryOptions({
  queryKey: ["rules"],
  queryFn: ({ signal }) => api.get<Listed<Rule>>("/rules", {}, signal),
  staleTime: 60_000,
});

export const overviewQuery = queryOptions({
  queryKey: ["overview"],
  queryFn: ({ signal }) => api.get<Overview>("/overview", {}, signal),
  // The socket brings the numbers; this keeps the notices fresh, and the numbers where sockets are blocked.
  refetchInterval: 30_000,
});

export const eventQuery = (uid: string) =>
  queryOptions({
    queryKey: ["event", uid],
    queryFn: ({ signal }) => api.get<OcsfEvent>(`/events/${encodeURIComponent(uid)}`, {}, signal),
    staleTime: Infinity,
  });

/** Events that fit a query, newest first. Neither bars nor values are counted unless asked for. */
export const searchEvents = (request: SearchRequest, signal?: AbortSignal) => api.post<SearchPage>("/search", { histogram: "none", ...request }, signal);

export const columnsQuery = queryOptions({
  queryKey: ["search-columns"],
  queryFn: ({ signal }) => api.get<Listed<SearchColumn>>("/search/columns", {}, signal),
  staleTime: Infinity,
});

/** What the same source wrote before and after an event, oldest first, the event among them. */
export const aroundQuery = (uid: string, each: number) =>
  queryOptions({
    queryKey: ["around", uid, each],
    queryFn: ({ signal }) => api.get<Listed<OcsfEvent>>(`/events/${encodeURIComponent(uid)}/around`, { before: each, after: each }, signal),
  });

/** Alerts whose findings name the event. */
export const relatedQuery = (uid: string) =>
  queryOptions({
    queryKey: ["related", uid],
    queryFn: ({ signal }) => api.get<Listed<Alert>>(`/events/${encodeURIComponent(uid)}/findings`, {}, signal),
  });
