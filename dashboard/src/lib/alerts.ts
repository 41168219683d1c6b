import type { LiveAlert } from "./live/store";
import type { Alert } from "./types";

/** Whether `a` is the later version of the same alert: more happened to it, or somebody changed its state. */
function isNewer(a: Alert, b: Alert): boolean {
  return a.history.length !== b.history.length ? a.history.length > b.history.length : a.finding_count !== b.finding_count ? a.finding_count > b.finding_count : a.last_seen > b.last_seen;
}

/** Fetched alerts with what came over the socket since, newest first. `keep` decides what the list shows. */
export function mergeAlerts(fetched: readonly Alert[], live: readonly LiveAlert[], keep: (alert: Alert) => boolean): Alert[] {
  const byId = new Map(fetched.map((alert) => [alert.id, alert]));
  for (const { alert } of live) {
    const known = byId.get(alert.id);
    if (!known || isNewer(alert, known)) byId.set(alert.id, alert);
  }
  return [...byId.values()].filter(keep).toSorted((a, b) => (a.last_seen < b.last_seen ? 1 : a.last_seen > b.last_seen ? -1 : a.id < b.id ? 1 : -1));
}
