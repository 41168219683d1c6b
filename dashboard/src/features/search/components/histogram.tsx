import { Button } from "@/components/ui/button";
import { SeverityMark } from "@/components/ui/severity";
import { compact, exact } from "@/lib/number";
import type { SearchPage } from "@/lib/search-types";
import { severityTotal, severityVar, SEVERITY_LABEL, WORST_FIRST } from "@/lib/severity";
import { dateTime } from "@/lib/time";
import { ZoomOut } from "lucide-react";
import { lazy, Suspense, useMemo, useState } from "react";
import type { Period } from "../api";
import { bars, layer, widthText } from "../histogram";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));

/** A period longer than this has days under the axis. */
const DAYS_MS = 3 * 86_400_000;

interface HistogramProps {
  period: Period;
  page: SearchPage | undefined;
  error: Error | null;
  busy: boolean;
  /** The server cannot read the query: there is nothing to wait for. */
  refused: boolean;
  onRange: (from: string, to: string) => void;
  onWiden: () => void;
}

/** Everything that the query finds over time, whatever the list below has loaded. */
export function Histogram({ period, page, error, busy, refused, onRange, onWiden }: HistogramProps) {
  const [index, setIndex] = useState<number | null>(null);
  const histogram = page?.histogram;
  const shown = useMemo(() => (histogram ? bars(histogram.buckets, histogram.bucket_secs, period.from, period.to) : undefined), [histogram, period]);
  const layers = useMemo(() => (shown ? WORST_FIRST.map((s) => ({ label: s, color: s === "informational" ? "var(--traffic)" : severityVar(s), values: layer(shown, s) })) : []), [shown]);
  const hovered = index === null ? undefined : shown?.counts[index];
  const label = shown ? `Events over time by severity, ${exact(shown.counts.reduce((sum, one) => sum + severityTotal(one), 0))} in bars of ${widthText(histogram!.bucket_secs)}` : "Events over time";
  return (
    <section aria-label="Events over time" className="shrink-0 border-b bg-panel px-3 pt-1.5" data-testid="histogram" data-bars={shown?.starts.length}>
      <div className="flex h-6 items-center gap-3 overflow-hidden text-2xs whitespace-nowrap text-text3">
        {hovered && shown ? (
          <>
            <span className="mono text-text2">{dateTime((shown.starts[index!] ?? 0) * 1000)}</span>
            <span className="text-text">{compact(severityTotal(hovered))} events</span>
            {WORST_FIRST.filter((s) => hovered[s]).map((s) => (
              <span key={s} className="flex items-center gap-1" title={SEVERITY_LABEL[s]}>
                <SeverityMark severity={s} className="size-2" /> {compact(hovered[s] ?? 0)}
              </span>
            ))}
          </>
        ) : (
          <>
            <span className="mono truncate max-sm:hidden">
              {dateTime(period.from)} to {dateTime(period.to)}
            </span>
            <span className="mono truncate sm:hidden">
              {dateTime(period.from).slice(5, 16)} to {dateTime(period.to).slice(5, 16)}
            </span>
            {histogram && <span data-testid="bucket-width">one bar is {widthText(histogram.bucket_secs)}</span>}
            <span className="hidden md:inline">drag to zoom in</span>
          </>
        )}
        <Button variant="ghost" size="sm" className="ml-auto h-6" onClick={onWiden} aria-label="Zoom out: twice the period">
          <ZoomOut /> <span className="hidden sm:inline">Zoom out</span>
        </Button>
      </div>
      <div className="flex h-20 flex-col sm:h-24">
        {error && !histogram ? (
          <p className="pt-2 text-xs text-text3">The bars could not be counted: {error.message}</p>
        ) : shown && !refused ? (
          <Suspense fallback={null}>
            <TimeChart starts={shown.starts} bucketSecs={histogram!.bucket_secs} kind="bars" label={label} layers={layers} days={Date.parse(period.to) - Date.parse(period.from) > DAYS_MS} className={busy ? "flex-1 opacity-60" : "flex-1"} onHover={setIndex} onBrush={(from, to) => onRange(new Date(from * 1000).toISOString(), new Date(to * 1000).toISOString())} />
          </Suspense>
        ) : refused ? null : (
          <div aria-hidden className="flex flex-1 animate-pulse items-end gap-1 pb-5 pl-10">
            {Array.from({ length: 40 }, (_, i) => (
              <span key={i} className="flex-1 rounded-sm bg-raised" style={{ height: `${25 + ((i * 37) % 60)}%` }} />
            ))}
          </div>
        )}
      </div>
    </section>
  );
}
