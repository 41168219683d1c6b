import { exact } from "@/lib/number";
import { dateTime } from "@/lib/time";
import { riskLevel, wholeWeek, type RiskPoint } from "@/lib/risk";
import { severityVar } from "@/lib/severity";
import { useNow } from "@/lib/use-now";
import { lazy, Suspense, useState } from "react";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));

/** The score over time. Its colour is that of the worst of the period. */
export function RiskCurve({ history }: { history: readonly RiskPoint[] }) {
  const [index, setIndex] = useState<number | null>(null);
  const now = useNow(60_000);
  const sorted = wholeWeek(history, now);
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
