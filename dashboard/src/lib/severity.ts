import { SEVERITIES, type BySeverity, type Severity } from "./types";

/** 0 informational … 4 critical; an unknown word counts as informational, so that it sorts last and shows. */
export function severityRank(severity: string): number {
  return Math.max(0, SEVERITIES.indexOf(severity as Severity));
}

export function isSeverity(text: unknown): text is Severity {
  return SEVERITIES.includes(text as Severity);
}

/** Worst first. */
export const WORST_FIRST: readonly Severity[] = SEVERITIES.toReversed();

export function compareSeverity(a: string, b: string): number {
  return severityRank(a) - severityRank(b);
}

export function severityTotal(counts: BySeverity): number {
  return SEVERITIES.reduce((sum, severity) => sum + (counts[severity] ?? 0), 0);
}

export const SEVERITY_LABEL: Record<Severity, string> = {
  informational: "Info",
  low: "Low",
  medium: "Medium",
  high: "High",
  critical: "Critical",
};

/** The CSS variable with a severity's colour. */
export function severityVar(severity: string): string {
  return `var(--sev-${isSeverity(severity) ? severity : "informational"})`;
}
