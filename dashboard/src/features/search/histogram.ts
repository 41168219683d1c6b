// The bars of the search: one for every step of the period, also where nothing happened.
import type { SearchBucket } from "@/lib/search-types";
import { SEVERITIES, type BySeverity } from "@/lib/types";

export interface Bars {
  /** Epoch seconds, ascending, `bucketSecs` apart. */
  starts: number[];
  counts: BySeverity[];
}

const BARS_MAX = 2000;

/** The server leaves empty buckets out, or not: either way there is a bar for each step. */
export function bars(buckets: readonly SearchBucket[], bucketSecs: number, from: string, to: string): Bars {
  const first = Math.floor(Date.parse(from) / 1000 / bucketSecs) * bucketSecs;
  const last = Date.parse(to) / 1000;
  const starts: number[] = [];
  for (let start = first; start < last && starts.length < BARS_MAX; start += bucketSecs) starts.push(start);
  const known = new Map(buckets.map((bucket) => [Math.round(Date.parse(bucket.start) / 1000), bucket.counts]));
  return { starts, counts: starts.map((start) => known.get(start) ?? {}) };
}

export const layer = ({ counts }: Bars, severity: (typeof SEVERITIES)[number]): number[] => counts.map((one) => one[severity] ?? 0);

const UNITS = [
  [86_400, "day", "days"],
  [3600, "hour", "hours"],
  [60, "minute", "minutes"],
  [1, "second", "seconds"],
] as const;

/** `30 seconds`, `1 minute`, `3 hours`: a bucket's width in the largest unit that divides it. */
export function widthText(secs: number): string {
  for (const [unit, one, many] of UNITS) if (secs >= unit && secs % unit === 0) return `${secs / unit} ${secs === unit ? one : many}`;
  return `${secs} seconds`;
}
