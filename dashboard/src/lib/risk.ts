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
