import type { Severity } from "./types";

/** Bounds from `Rule::risk`: what one alert of that level adds to a score. */
const LEVELS: readonly (readonly [number, Severity])[] = [
  [80, "critical"],
  [50, "high"],
  [25, "medium"],
  [1, "low"],
];

/** The level whose colour a risk score is drawn in: at least one alert of it, or as much in smaller ones. */
export const riskLevel = (risk: number): Severity => LEVELS.find(([min]) => risk >= min)?.[1] ?? "informational";

/** A score's share of the bar. Scores add up without end: half of the bar is an alert of level high. */
export const riskShare = (risk: number): number => (risk <= 0 ? 0 : risk / (risk + 50));

export interface RiskPoint {
  time: string;
  risk: number;
}
const HOUR_MS = 3_600_000;
const SPAN_MS = 168 * HOUR_MS;

const none = (ms: number): RiskPoint => ({ time: new Date(ms).toISOString(), risk: 0 });

/** The points of 7 days, oldest first. Before the first one there was no risk: said, so that the curve shows the whole time. */
export function wholeWeek(history: readonly RiskPoint[], now: number): RiskPoint[] {
  const sorted = history.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time));
  const first = sorted[0] ? Date.parse(sorted[0].time) : now;
  if (first - HOUR_MS <= now - SPAN_MS) return sorted;
  return [none(now - SPAN_MS), none(first - HOUR_MS), ...sorted];
}
