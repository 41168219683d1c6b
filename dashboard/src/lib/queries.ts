// The reads that several features share; what only one feature asks for stands in that feature's api.ts.
import { QueryClient, queryOptions } from "@tanstack/react-query";
import { api, ApiError } from "./api";
import type { Listed, OcsfEvent, Overview, Rule } from "./types";

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
