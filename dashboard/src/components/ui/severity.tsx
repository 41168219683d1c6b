import { cn } from "@/lib/cn";
import { isSeverity, SEVERITY_LABEL, severityVar } from "@/lib/severity";
import type { Severity } from "@/lib/types";

/** Each level has its own shape, so that colour is never the only sign. */
const SHAPES: Record<Severity, React.ReactNode> = {
  informational: <circle cx="6" cy="6" r="3.2" fill="none" stroke="currentColor" strokeWidth="1.5" />,
  low: <circle cx="6" cy="6" r="3.9" fill="currentColor" />,
  medium: <path d="M6 .8 11.200 6 6 11.200.8 6Z" fill="currentColor" />,
  high: <path d="M6 .8 11.500 10.600H.5Z" fill="currentColor" />,
  critical: (
    <>
      <path d="M3.500.4h5l3.100 3.100v5l-3.100 3.100h-5L.4 8.500v-5Z" fill="currentColor" />
      <path d="M6 2.900v3.700M6 8.300v.9" stroke="var(--panel)" strokeWidth="1.500" />
    </>
  ),
};

export function SeverityMark({ severity, className }: { severity: string; className?: string }) {
  const known: Severity = isSeverity(severity) ? severity : "informational";
  return (
    <svg viewBox="0 0 12 12" className={cn("size-3 shrink-0", className)} style={{ color: severityVar(known) }} role="img" aria-label={SEVERITY_LABEL[known]}>
      {SHAPES[known]}
    </svg>
  );
}

export function SeverityBadge({ severity, className, labelClass }: { severity: string; className?: string; labelClass?: string }) {
  const known: Severity = isSeverity(severity) ? severity : "informational";
  return (
    <span className={cn("inline-flex items-center gap-1.5 text-xs font-semibold whitespace-nowrap", className)} style={{ color: severityVar(known) }}>
      <SeverityMark severity={known} />
      <span className={labelClass}>{SEVERITY_LABEL[known]}</span>
    </span>
  );
}
