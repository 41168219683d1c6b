// What a schedule says in words, and the steps that the form offers.
import type { NewSavedSearch, SavedSearch, Schedule } from "@/lib/search-types";
import { plural } from "@/lib/number";
import { widthText } from "./histogram";

const STEPS = [60, 300, 900, 3600, 21_600, 86_400, 604_800] as const;
/** How many windows an event may be in: the server's bound. */
const OVERLAP_MAX = 1440;
export const DEFAULT_SCHEDULE: Schedule = { every_secs: 900, window_secs: 900, at_least: 1, severity: "medium", group_by: null, enabled: true };
export const AT_LEAST_MAX = 1_000_000;

const sorted = (steps: readonly number[]): number[] => [...new Set(steps)].toSorted((a, b) => a - b);
export const everyWith = (secs: number): number[] => sorted([...STEPS, secs]);
/** How far back a run may look: at least to the one before, or what came in between is never looked at. */
export const windowsFor = (every: number, chosen: number): number[] => sorted([...STEPS, chosen]).filter((secs) => secs >= every && secs <= every * OVERLAP_MAX);

const unit = (secs: number): string => widthText(secs).replace(/^1 /, "");

export function scheduleText({ every_secs, window_secs, at_least, severity, group_by }: Schedule): string {
  return `Every ${unit(every_secs)} over the last ${unit(window_secs)}: ${plural(at_least, "event")} or more${group_by ? ` of one ${group_by}` : ""} raise a ${severity} finding.`;
}

/** Whether the page shows something else than what was saved. */
export function differs(saved: SavedSearch, now: Pick<NewSavedSearch, "q" | "columns" | "range">): boolean {
  return saved.q !== now.q || saved.columns.join() !== now.columns.join() || (saved.range ?? null) !== (now.range ?? null);
}
