import { Empty } from "@/components/ui/bits";
import { Panel } from "@/components/ui/panel";
import { compact, percent } from "@/lib/number";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { RANGES, timelineQuery, type RangeName } from "../api";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));
/** Errors at the bottom, where their height can be read. */
const CLASSES = ["5xx", "4xx", "3xx", "2xx"] as const;

export function HttpStatus({ range, className }: { range: RangeName; className?: string }) {
  const { data } = useQuery(timelineQuery(range));
  const [index, setIndex] = useState<number | null>(null);
  const items = data?.items ?? [];
  const chosen = index !== null && items[index] ? [items[index]] : items;
  const counts = CLASSES.map((name) => chosen.reduce((sum, item) => sum + (item.http_status[name] ?? 0), 0));
  const total = counts.reduce((a, b) => a + b, 0);
  return (
    <Panel title="HTTP status" aside={`last ${range.replace("h", " h")}`} className={className} bodyClassName="flex flex-col">
      {total === 0 && index === null ? (
        <Empty title="No HTTP requests in this period" />
      ) : (
        <>
          <dl className="mb-1 grid grid-cols-4 gap-2">
            {CLASSES.toReversed().map((name) => {
              const count = counts[CLASSES.indexOf(name)] ?? 0;
              return (
                <div key={name} className="border-l-2 pl-2" style={{ borderColor: `var(--http-${name})` }}>
                  <dt className="text-2xs text-text3">{name}</dt>
                  <dd className="text-sm leading-4 font-semibold">{compact(count)}</dd>
                  <dd className="text-2xs text-text3">{percent(count, total)}</dd>
                </div>
              );
            })}
          </dl>
          <Suspense fallback={null}>
            <TimeChart starts={items.map((i) => Date.parse(i.start) / 1000)} bucketSecs={RANGES[range].bucketSecs} kind="bars" label="HTTP responses over time by status class" className="flex-1" onHover={setIndex} layers={CLASSES.map((name) => ({ label: name, color: `var(--http-${name})`, values: items.map((i) => i.http_status[name] ?? 0) }))} />
          </Suspense>
        </>
      )}
    </Panel>
  );
}
