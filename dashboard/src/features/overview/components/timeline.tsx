import { Problem } from "@/components/ui/bits";
import { Panel } from "@/components/ui/panel";
import { Segmented } from "@/components/ui/segmented";
import { SeverityMark } from "@/components/ui/severity";
import { useGo } from "@/lib/go";
import { compact } from "@/lib/number";
import { SEVERITY_LABEL, severityVar, WORST_FIRST } from "@/lib/severity";
import { clock } from "@/lib/time";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { RANGES, timelineQuery, type RangeName } from "../api";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));
const SUSPICIOUS = WORST_FIRST.filter((s) => s !== "informational");
const RANGE_OPTIONS = (Object.keys(RANGES) as RangeName[]).map((value) => ({ value, label: value.replace("h", " h") }));

/** The bucket that is still filling: as a line it would look like a collapse of the traffic. */
const isRunning = (start: string, bucketSecs: number): boolean => Date.parse(start) + bucketSecs * 1000 > Date.now();

/** Above, how much comes in; below, what of it is suspicious and how bad: each with its own scale. */
export function Timeline({ range, onRange, className }: { range: RangeName; onRange: (range: string) => void; className?: string }) {
  const go = useGo();
  const { data, error } = useQuery(timelineQuery(range));
  const [index, setIndex] = useState<number | null>(null);
  const items = data?.items ?? [];
  const { bucketSecs } = RANGES[range];
  const hovered = index === null ? undefined : items[index];
  const sum = (read: (item: (typeof items)[number]) => number) => (hovered ? read(hovered) : items.reduce((total, item) => total + read(item), 0));
  const starts = items.map((item) => Date.parse(item.start) / 1000);
  const brush = (from: number, to: number) => go.search({ from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString() });
  const shared = { starts, bucketSecs, syncKey: "overview", onHover: setIndex, onBrush: brush };
  return (
    <Panel title="Traffic and severity" className={className} bodyClassName="flex flex-col" aside={<Segmented label="Period" value={range} options={RANGE_OPTIONS} onChange={onRange} />}>
      <div className="mb-1 flex flex-wrap items-center gap-x-4 gap-y-0.5 text-xs text-text2">
        <span className="w-26 text-text3">{hovered ? `${clock(hovered.start).slice(0, 5)} + ${bucketSecs / 60} min` : `last ${range.replace("h", " h")}`}</span>
        <span className="flex items-center gap-1.5">
          <span className="h-0.5 w-3 rounded" style={{ background: "var(--traffic)" }} /> Events <b className="font-semibold text-text">{compact(sum((i) => i.events))}</b>
        </span>
        {SUSPICIOUS.map((s) => (
          <span key={s} className="flex items-center gap-1.5">
            <SeverityMark severity={s} className="size-2.5" /> {SEVERITY_LABEL[s]} <b className="font-semibold text-text">{compact(sum((i) => i.severities[s] ?? 0))}</b>
          </span>
        ))}
        <span className="ml-auto hidden text-2xs text-text3 lg:inline">drag to open a range in Events</span>
      </div>
      {error && !data ? (
        <Problem error={error} />
      ) : (
        <Suspense fallback={null}>
          <TimeChart {...shared} kind="area" label="Events over time" showTimes={false} className="flex-[5]" layers={[{ label: "Events", color: "var(--traffic)", values: items.map((item, i) => (isRunning(item.start, bucketSecs) && i > 0 ? Number.NaN : item.events)) }]} />
          <TimeChart {...shared} kind="bars" label="Suspicious events over time by severity" className="flex-[6]" layers={SUSPICIOUS.map((s) => ({ label: s, color: severityVar(s), values: items.map((i) => i.severities[s] ?? 0) }))} />
        </Suspense>
      )}
    </Panel>
  );
}
