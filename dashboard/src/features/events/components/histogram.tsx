import { SeverityMark } from "@/components/ui/severity";
import { compact } from "@/lib/number";
import { severityVar, SEVERITY_LABEL, WORST_FIRST } from "@/lib/severity";
import { dateTime } from "@/lib/time";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { bucketSecsFor, histogramQuery, TIMELINE_HOURS_MAX, type Period } from "../api";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));

interface HistogramProps {
  period: Period;
  now: number;
  /** Whether a query or filters narrow the list below; the server's timeline knows neither. */
  narrowed: boolean;
  onRange: (from: string, to: string) => void;
}

/** All events of the period over time. It says so when the list below shows fewer. */
export function Histogram({ period, now, narrowed, onRange }: HistogramProps) {
  const hours = Math.ceil((now - Date.parse(period.from)) / 3600_000);
  const asked = Math.max(1, Math.min(hours, TIMELINE_HOURS_MAX));
  const bucketSecs = bucketSecsFor(asked);
  const { data, error } = useQuery(histogramQuery(asked));
  const [index, setIndex] = useState<number | null>(null);
  const until = period.to ?? "9999";
  const items = (data?.items ?? []).filter((item) => Date.parse(item.start) + bucketSecs * 1000 > Date.parse(period.from) && item.start < until);
  const hovered = index === null ? undefined : items[index];
  const layers = WORST_FIRST.map((s) => ({ label: s, color: s === "informational" ? "var(--traffic)" : severityVar(s), values: items.map((i) => i.severities[s] ?? 0) }));
  return (
    <section aria-label="Events over time" className="hidden shrink-0 border-b bg-panel px-3 pt-2 min-[500px]:block">
      <div className="flex h-5 items-center gap-3 text-2xs text-text3">
        {hovered ? (
          <>
            <span className="text-text2">{dateTime(hovered.start).slice(0, 16)}</span>
            <span className="text-text">{compact(hovered.events)} events</span>
            {WORST_FIRST.filter((s) => s !== "informational" && hovered.severities[s]).map((s) => (
              <span key={s} className="flex items-center gap-1" title={SEVERITY_LABEL[s]}>
                <SeverityMark severity={s} className="size-2" /> {hovered.severities[s]}
              </span>
            ))}
          </>
        ) : (
          <>
            <span>{narrowed ? "All events of the period: the search does not narrow this chart" : "Events of the period"}</span>
            {hours > TIMELINE_HOURS_MAX && <span>· the chart reaches back {TIMELINE_HOURS_MAX} hours</span>}
            <span className="ml-auto">drag to choose a period</span>
          </>
        )}
      </div>
      <div className="flex h-24 flex-col">
        {error && !data ? (
          <p className="text-xs text-text3">The chart could not be loaded: {error.message}</p>
        ) : (
          <Suspense fallback={null}>
            <TimeChart starts={items.map((i) => Date.parse(i.start) / 1000)} bucketSecs={bucketSecs} kind="bars" label="Events over time by severity" layers={layers} className="flex-1" onHover={setIndex} onBrush={(from, to) => onRange(new Date(from * 1000).toISOString(), new Date(to * 1000).toISOString())} />
          </Suspense>
        )}
      </div>
    </section>
  );
}
