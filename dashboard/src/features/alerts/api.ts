import { api } from "@/lib/api";
import type { AlertsSearch } from "@/lib/go";
import { queryClient } from "@/lib/queries";
import { severityRank } from "@/lib/severity";
import type { Alert, AlertDetail, AlertState, Listed } from "@/lib/types";
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

export const STATES = ["open", "acknowledged", "closed"] as const;
const PAGE = 100;

export const alertsQuery = (search: AlertsSearch) =>
  infiniteQueryOptions({
    queryKey: ["alerts", "list", search.state ?? "open", search.severity_min, search.q, !!search.signals],
    queryFn: ({ pageParam, signal }) => api.get<Listed<Alert>>("/alerts", { ...stateParam(search), severity_min: search.severity_min, q: search.q, signals: search.signals && "true", limit: PAGE, cursor: pageParam || undefined }, signal),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });

const stateParam = (search: AlertsSearch) => (search.state === "all" ? { state: STATES } : { state: search.state ?? "open" });

export const alertCountsQuery = (signals: boolean) =>
  queryOptions({
    queryKey: ["alerts", "counts", signals],
    queryFn: async ({ signal }): Promise<Partial<Record<AlertState, number>>> => {
      const totals = await Promise.all(STATES.map((state) => api.get<Listed<Alert>>("/alerts", { state, signals: signals ? "true" : undefined, limit: 1 }, signal)));
      return Object.fromEntries(STATES.map((state, i) => [state, totals[i]?.total ?? undefined]));
    },
    refetchInterval: 10_000,
  });

export const alertQuery = (id: string) =>
  queryOptions({ queryKey: ["alert", id], queryFn: ({ signal }) => api.get<AlertDetail>(`/alerts/${encodeURIComponent(id)}`, {}, signal), placeholderData: keepPreviousData });

/** Whether an alert that came over the socket belongs into the list that a search shows. */
export function belongs(alert: Alert, search: AlertsSearch): boolean {
  const state = search.state ?? "open";
  if (alert.rule.handling?.signal && !search.signals) return false;
  if (state !== "all" && alert.state !== state) return false;
  if (search.severity_min && severityRank(alert.severity) < severityRank(search.severity_min)) return false;
  if (!search.q) return true;
  const text = [alert.rule.name, alert.summary, alert.entity.value, alert.user, alert.source_ip, alert.event_name].join(" ").toLowerCase();
  return text.includes(search.q.toLowerCase());
}

export async function setAlertState(ids: readonly string[], state: AlertState, reason?: string): Promise<Alert[]> {
  const { items } = await api.post<{ items: Alert[] }>("/alerts/state", { ids, state, ...(reason ? { reason } : {}) });
  const byId = new Map(items.map((alert) => [alert.id, alert]));
  queryClient.setQueriesData<{ pages: Listed<Alert>[]; pageParams: unknown[] }>({ queryKey: ["alerts", "list"] }, (old) => old && { ...old, pages: old.pages.map((page) => ({ ...page, items: page.items.map((alert) => byId.get(alert.id) ?? alert) })) });
  for (const alert of items) queryClient.setQueryData<AlertDetail>(["alert", alert.id], (old) => old && { ...old, alert });
  void queryClient.invalidateQueries({ queryKey: ["alerts"] });
  return items;
}
