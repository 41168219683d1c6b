import { periodOf } from "@/components/range-picker";
import { api } from "@/lib/api";
import type { IncidentsSearch } from "@/lib/go";
import { STATES } from "@/lib/incidents";
import { queryClient } from "@/lib/queries";
import { severityRank } from "@/lib/severity";
import type { AlertState, Incident, IncidentDetail, Listed } from "@/lib/types";
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";

const PAGE = 100;
export const RANGES = ["1h", "24h", "7d", "30d"] as const;

const stateParam = (search: IncidentsSearch) => (search.state === "all" ? { state: STATES } : { state: search.state ?? "open" });

export const incidentsQuery = (search: IncidentsSearch) =>
  infiniteQueryOptions({
    queryKey: ["incidents", "list", search.state ?? "open", search.severity_min, search.q, search.range, search.from, search.to],
    queryFn: ({ pageParam, signal }) =>
      api.get<Listed<Incident>>("/incidents", { ...stateParam(search), severity_min: search.severity_min, q: search.q, ...periodOf(search, Date.now()), limit: PAGE, cursor: pageParam || undefined }, signal),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
  });

export const incidentQuery = (id: string) => queryOptions({ queryKey: ["incident", id], queryFn: ({ signal }) => api.get<IncidentDetail>(`/incidents/${encodeURIComponent(id)}`, {}, signal) });

/** Whether an incident that came over the socket belongs into the list that a search shows. */
export function belongs(incident: Incident, search: IncidentsSearch, now: number): boolean {
  const state = search.state ?? "open";
  if (state !== "all" && incident.state !== state) return false;
  if (search.severity_min && severityRank(incident.severity) < severityRank(search.severity_min)) return false;
  const { from, to } = periodOf(search, now);
  if ((from && Date.parse(incident.last_seen) < Date.parse(from)) || (to && Date.parse(incident.first_seen) >= Date.parse(to))) return false;
  if (!search.q) return true;
  return [incident.title, incident.entity.value, incident.assignee, ...incident.tactics, ...incident.techniques].join(" ").toLowerCase().includes(search.q.toLowerCase());
}

type Pages = { pages: Listed<Incident>[]; pageParams: unknown[] };

/** Puts changed incidents where the old ones are shown. */
function replace(items: readonly Incident[]): void {
  const byId = new Map(items.map((incident) => [incident.id, incident]));
  queryClient.setQueriesData<Pages>({ queryKey: ["incidents", "list"] }, (old) => old && { ...old, pages: old.pages.map((page) => ({ ...page, items: page.items.map((incident) => byId.get(incident.id) ?? incident) })) });
  for (const incident of items) queryClient.setQueryData<IncidentDetail>(["incident", incident.id], (old) => old && { ...old, incident });
  void queryClient.invalidateQueries({ queryKey: ["incidents"] });
}

export async function setIncidentState(ids: readonly string[], state: AlertState, reason?: string): Promise<Incident[]> {
  const { items } = await api.post<{ items: Incident[] }>("/incidents/state", { ids, state, ...(reason ? { reason } : {}) });
  replace(items);
  return items;
}

export async function assign(id: string, assignee: string | null): Promise<Incident> {
  const incident = await api.post<Incident>(`/incidents/${encodeURIComponent(id)}/assignee`, { assignee });
  replace([incident]);
  return incident;
}
