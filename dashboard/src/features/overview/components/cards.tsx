import { SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { live } from "@/lib/live/store";
import { bytes, compact, exact, plural } from "@/lib/number";
import { existsClause } from "@/lib/query/edit";
import { SEVERITY_LABEL, severityTotal, severityVar, WORST_FIRST } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { span } from "@/lib/time";
import type { BySeverity } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { CircleAlert, CircleCheck } from "lucide-react";
import { lazy, Suspense, type ReactNode } from "react";
import { openAlertsQuery, useOverview } from "../api";

const Sparkline = lazy(() => import("./sparkline"));
/** Older than this, and what is on the screen is no longer "now". */
const LAG_SECS_MAX = 5;

export function Cards({ className }: { className?: string }) {
  const go = useGo();
  const overview = useOverview();
  const rates = useStore(live.rates);
  const { data: open = {} } = useQuery(openAlertsQuery);
  if (!overview) return null;
  const behind = overview.lag_secs > LAG_SECS_MAX;
  return (
    <div className={cn("grid grid-cols-2 gap-2.5 lg:grid-cols-3 xl:grid-cols-6", className)}>
      <Card label="Events per second" testId="rate" value={overview.events_per_second.toFixed(overview.events_per_second < 100 ? 1 : 0)} onClick={() => go.live()} backdrop={<Suspense fallback={null}><Sparkline values={rates} /></Suspense>} />
      <Card label="Events" testId="events" value={compact(overview.events)} title={exact(overview.events)} foot={<>{compact(overview.events_last_hour)} in the last hour · {bytes(overview.bytes)}</>} onClick={() => go.search({})} />
      <Card label="Findings, 24 h" testId="findings" value={compact(severityTotal(overview.severities))} aside={<span className="hidden text-xs text-text3 sm:inline">{compact(overview.findings_last_hour)} in the last hour</span>} foot={<SeverityStrip counts={overview.severities} />} onClick={() => go.alerts({ state: "all" })} />
      <Card label="Open alerts" testId="open-alerts" value={compact(overview.alerts_open)} aside={!!overview.incidents_open && <span className="text-xs text-text3">{plural(overview.incidents_open, "incident")}</span>} foot={<SeverityCounts counts={open} />} onClick={() => go.alerts({ state: "open" })} />
      <Card
        label="Pipeline"
        testId="health"
        value={
          <span className="flex items-center gap-2 text-lg">
            {behind ? <CircleAlert className="size-5 text-sev-high" /> : <CircleCheck className="size-5 text-ok" />}
            {behind ? "Behind" : "Keeping up"}
          </span>
        }
        foot={<>{span(overview.lag_secs)} behind · {plural(overview.lag_records, "record")} waiting</>}
      />
      <Card label="Quarantined" testId="quarantined" value={compact(overview.quarantined)} foot="could not be read; kept as they came" onClick={() => go.search({ range: "24h", q: existsClause("metadata.issues") })} />
    </div>
  );
}

interface CardProps {
  label: string;
  testId: string;
  value: ReactNode;
  title?: string;
  aside?: ReactNode;
  foot?: ReactNode;
  backdrop?: ReactNode;
  onClick?: () => void;
}

function Card({ label, testId, value, title, aside, foot, backdrop, onClick }: CardProps) {
  const Tag = onClick ? "button" : "div";
  return (
    <Tag {...(onClick ? { type: "button" as const, onClick } : {})} data-testid={`card-${testId}`} className={cn("relative flex h-22 min-w-0 flex-col overflow-hidden rounded-lg border bg-panel px-3 py-2 text-left", onClick && "hover:border-line2")}>
      {backdrop && <div className="absolute right-0 bottom-0 left-[38%] h-15 [mask-image:linear-gradient(90deg,transparent,black_30%)]">{backdrop}</div>}
      <span className="eyebrow truncate">{label}</span>
      <span className="relative flex min-w-0 flex-1 items-center justify-between gap-2">
        <span data-testid={`value-${testId}`} title={title} className="truncate text-2xl font-semibold tracking-tight">
          {value}
        </span>
        {aside}
      </span>
      {foot && <span className="relative flex min-h-4 w-full items-center truncate text-2xs text-text3">{foot}</span>}
    </Tag>
  );
}

/** Shares as one bar, worst first. */
function SeverityStrip({ counts }: { counts: BySeverity }) {
  const total = severityTotal(counts) || 1;
  const text = WORST_FIRST.map((s) => `${SEVERITY_LABEL[s]} ${counts[s] ?? 0}`).join(", ");
  return (
    <span className="flex h-1.5 w-full gap-px overflow-hidden rounded-full bg-raised" role="img" aria-label={text} title={text}>
      {WORST_FIRST.map((s) => counts[s] ? <span key={s} style={{ width: `${(100 * (counts[s] ?? 0)) / total}%`, minWidth: 3, background: severityVar(s) }} /> : null)}
    </span>
  );
}

function SeverityCounts({ counts }: { counts: BySeverity }) {
  return (
    <span className="flex gap-2.5">
      {WORST_FIRST.filter((s) => s !== "informational" || counts[s]).map((s) => (
        <span key={s} className={cn("flex items-center gap-1 text-xs font-semibold", counts[s] ? "text-text" : "text-text3")} title={SEVERITY_LABEL[s]}>
          <SeverityMark severity={s} className="size-2.5" />
          {compact(counts[s] ?? 0)}
        </span>
      ))}
    </span>
  );
}
