import { exact } from "@/lib/number";
import { dateTime } from "@/lib/time";
import { riskLevel } from "@/lib/risk";
import { severityVar } from "@/lib/severity";
import { lazy, Suspense, useState } from "react";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));

/** The score over time. Its colour is that of the worst of the period. */
export function RiskCurve({ history }: { history: readonly { time: string; risk: number }[] }) {
  const [index, setIndex] = useState<number | null>(null);
  const sorted = history.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time));
  const worst = sorted.reduce((max, point) => Math.max(max, point.risk), 0);
  const hovered = index === null ? undefined : sorted[index];
  return (
    <>
      <p className="h-4 text-2xs text-text3">{hovered ? `${dateTime(hovered.time)}: risk ${exact(hovered.risk)}` : `at most ${exact(worst)}`}</p>
      <Suspense fallback={null}>
        <TimeChart starts={sorted.map((point) => Date.parse(point.time) / 1000)} bucketSecs={0} kind="area" days label={`Risk over 7 days, at most ${exact(worst)}`} className="flex-1" onHover={setIndex} layers={[{ label: "Risk", color: severityVar(riskLevel(worst)), values: sorted.map((point) => point.risk) }]} />
      </Suspense>
    </>
  );
}
