import { api } from "@/lib/api";
import { live } from "@/lib/live/store";
import { overviewQuery } from "@/lib/queries";
import { WORST_FIRST } from "@/lib/severity";
import { useStore } from "@/lib/store";
import type { Alert, BySeverity, Bucket, EntityRisk, Listed, Marker, Overview, Severity, Technique, Top } from "@/lib/types";
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";

export const RANGES = {
  "1h": { hours: 1, bucketSecs: 60 },
  "6h": { hours: 6, bucketSecs: 300 },
  "24h": { hours: 24, bucketSecs: 900 },
} as const;
export type RangeName = keyof typeof RANGES;

export const timelineQuery = (range: RangeName) =>
  queryOptions({
    queryKey: ["timeline", range],
    queryFn: ({ signal }) => api.get<Listed<Bucket>>("/timeline", { hours: RANGES[range].hours, bucket_secs: RANGES[range].bucketSecs }, signal),
    refetchInterval: 5000,
    placeholderData: keepPreviousData,
  });

export const topQuery = (what: "users" | "ips") =>
  queryOptions({ queryKey: ["top", what], queryFn: ({ signal }) => api.get<Listed<Top>>(`/top/${what}`, { limit: 10 }, signal), refetchInterval: 7000 });
export const topRiskQuery = queryOptions({ queryKey: ["entities", 10], queryFn: ({ signal }) => api.get<Listed<EntityRisk>>("/entities", { limit: 10 }, signal), refetchInterval: 10_000 });
export const coverageQuery = queryOptions({ queryKey: ["coverage"], queryFn: ({ signal }) => api.get<Listed<Technique>>("/coverage", {}, signal), refetchInterval: 10_000 });
export const markersQuery = queryOptions({ queryKey: ["markers"], queryFn: ({ signal }) => api.get<Listed<Marker>>("/markers", {}, signal), refetchInterval: 5000 });
export const newestAlertsQuery = queryOptions({
  queryKey: ["alerts", "newest"],
  queryFn: ({ signal }) => api.get<Listed<Alert>>("/alerts", { state: ["open", "acknowledged"], limit: 30 }, signal),
  refetchInterval: 30_000,
});

/** The totals: from the socket once a second, before that as they were fetched. */
export function useOverview(): Overview | undefined {
  const { data } = useQuery(overviewQuery);
  return useStore(live.stats) ?? data;
}

/** Open alerts by severity, exactly: the totals of "at least this bad", each minus the next. */
export const openAlertsQuery = queryOptions({
  queryKey: ["alerts", "open-by-severity"],
  queryFn: async ({ signal }): Promise<BySeverity> => {
    const totals = await Promise.all(WORST_FIRST.map((severity) => api.get<Listed<Alert>>("/alerts", { state: "open", severity_min: severity, limit: 1 }, signal)));
    let above = 0;
    return Object.fromEntries(
      WORST_FIRST.map((severity, i): [Severity, number] => {
        const total = totals[i]?.total ?? 0;
        const own = Math.max(0, total - above);
        above = total;
        return [severity, own];
      }),
    );
  },
  refetchInterval: 10_000,
});
