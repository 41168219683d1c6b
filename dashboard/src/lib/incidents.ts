import { queryOptions } from "@tanstack/react-query";
import { api } from "./api";
import type { LiveIncident } from "./live/store";
import type { AlertState, Incident, Listed } from "./types";

const size = (i: Incident): number => i.alert_count + i.signal_count + i.event_count;

/** Whether `a` is the later version: more happened, or somebody changed its state. */
function isLater(a: Incident, b: Incident): boolean {
  return a.history.length !== b.history.length ? a.history.length > b.history.length : size(a) !== size(b) ? size(a) > size(b) : a.last_seen > b.last_seen;
}

/** What comes over the socket while a list is on its way may or may not be in it. */
const FETCH_MS_MAX = 5000;

/**
 * Fetched incidents with what came over the socket since, newest first. What came after the fetch wins; so
 * does a later version that came before it, because pages of a list are not all fetched at once. What came
 * well before the fetch and is not in it is gone, or belongs to another page.
 */
export function mergeIncidents(fetched: readonly Incident[], fetchedAt: number, live: readonly LiveIncident[], keep: (incident: Incident) => boolean): Incident[] {
  const byId = new Map(fetched.map((incident) => [incident.id, incident]));
  for (const { incident, at } of live) {
    const known = byId.get(incident.id);
    if (known ? at >= fetchedAt || isLater(incident, known) : at >= fetchedAt - FETCH_MS_MAX) byId.set(incident.id, incident);
  }
  return [...byId.values()].filter(keep).toSorted((a, b) => (a.last_seen < b.last_seen ? 1 : a.last_seen > b.last_seen ? -1 : a.id < b.id ? 1 : -1));
}

export const STATES = ["open", "acknowledged", "closed"] as const satisfies readonly AlertState[];

/** How many there are in each state: for the tabs and the navigation. */
export const incidentCountsQuery = queryOptions({
  queryKey: ["incidents", "counts"],
  queryFn: async ({ signal }): Promise<Partial<Record<AlertState, number>>> => {
    const totals = await Promise.all(STATES.map((state) => api.get<Listed<Incident>>("/incidents", { state, limit: 1 }, signal)));
    return Object.fromEntries(STATES.map((state, i) => [state, totals[i]?.total ?? undefined]));
  },
  refetchInterval: 10_000,
});
