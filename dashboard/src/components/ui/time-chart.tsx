import { cn } from "@/lib/cn";
import { prefs, shownTheme } from "@/lib/prefs";
import { compact } from "@/lib/number";
import { useStore } from "@/lib/store";
import { clock, dateTime } from "@/lib/time";
import { useSize } from "@/lib/use-size";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Layer {
  label: string;
  /** NaN: not known yet, drawn as a gap. */
  values: readonly number[];
  /** A CSS colour; `var(--…)` is resolved. */
  color: string;
}

interface TimeChartProps {
  /** Starts of the buckets, epoch seconds, ascending. */
  starts: readonly number[];
  bucketSecs: number;
  /** Bottom of the stack first. */
  layers: readonly Layer[];
  kind: "bars" | "area";
  label: string;
  showTimes?: boolean;
  /** Days under the axis instead of times of the day. */
  days?: boolean;
  syncKey?: string;
  onHover?: (index: number | null) => void;
  onBrush?: (fromSecs: number, toSecs: number) => void;
  className?: string;
}

const BRUSH_PX_MIN = 6;
const MAX_TICKS_Y = 3;
const DAY_STEPS = [1, 2, 7, 14, 28].map((n) => n * 86_400);

function resolve(color: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(color)?.[1];
  return name ? getComputedStyle(document.documentElement).getPropertyValue(name).trim() : color;
}

/** Running sums from the bottom layer up, and drawn from the top down so that each covers the ones above it. */
function stack(layers: readonly Layer[], length: number): (number | null)[][] {
  const sums = Array.from({ length }, () => 0);
  const stacked = layers.map((layer) => sums.map((sum, i) => (sums[i] = sum + (layer.values[i] ?? 0))).map((sum) => (Number.isNaN(sum) ? null : sum)));
  return stacked.toReversed();
}

function seriesOf(layer: Layer, kind: "bars" | "area"): uPlot.Series {
  const color = resolve(layer.color);
  if (kind === "area") return { label: layer.label, stroke: color, width: 1.5, fill: `${color}26`, points: { show: false }, paths: uPlot.paths.linear?.() };
  return { label: layer.label, fill: color, stroke: color, width: 0, points: { show: false }, paths: uPlot.paths.bars?.({ size: [0.86, 60], align: 1 }) };
}

/** Counts over time, stacked, drawn by uPlot on a canvas. Dragging selects a time range. */
export function TimeChart({ starts, bucketSecs, layers, kind, label, showTimes = true, days = false, syncKey, onHover, onBrush, className }: TimeChartProps) {
  const { ref, width, height } = useSize<HTMLDivElement>();
  const plot = useRef<uPlot | null>(null);
  const handlers = useRef({ onHover, onBrush });
  const theme = useStore(shownTheme);
  const { clock: zone } = useStore(prefs);
  const shape = layers.map((l) => `${l.label}${l.color}`).join();
  useEffect(() => {
    handlers.current = { onHover, onBrush };
  });
  const data = [starts, ...stack(layers, starts.length)] as uPlot.AlignedData;
  const latest = useRef({ data, layers });
  latest.current = { data, layers };

  const ready = width > 20 && height > 20;
  useEffect(() => {
    const element = ref.current;
    if (!ready || !element) return;
    const axis: uPlot.Axis = { stroke: resolve("var(--text-3)"), font: "11px 'Inter Variable', sans-serif", ticks: { show: false }, grid: { stroke: resolve("var(--line)"), width: 1 } };
    const chart = new uPlot(
      {
        width,
        height,
        padding: [8, 20, showTimes ? 0 : 4, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: !!handlers.current.onBrush, y: false, setScale: false }, ...(syncKey ? { sync: { key: syncKey, setSeries: false } } : {}) },
        scales: { x: { time: true, range: (_, min, max) => [min, max + bucketSecs] }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
        axes: [
          { ...axis, size: showTimes ? 22 : 0, show: showTimes, space: 64, gap: 6, grid: { show: false }, incrs: days ? DAY_STEPS : undefined, values: (_, splits) => splits.map((s) => (days ? dateTime(s * 1000).slice(5, 10) : clock(s * 1000).slice(0, 5))) },
          { ...axis, size: 42, gap: 6, space: Math.max(18, height / (MAX_TICKS_Y + 1)), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8, 1e9], values: (_, splits) => splits.map(compact) },
        ],
        series: [{}, ...latest.current.layers.toReversed().map((layer) => seriesOf(layer, kind))],
        hooks: {
          setCursor: [(u) => handlers.current.onHover?.(u.cursor.idx ?? null)],
          setSelect: [
            (u) => {
              const { left, width: selected } = u.select;
              if (selected < BRUSH_PX_MIN) return;
              const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + selected, "x")];
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              handlers.current.onBrush?.(from, to);
            },
          ],
        },
      },
      latest.current.data,
      element,
    );
    plot.current = chart;
    return () => {
      plot.current = null;
      chart.destroy();
    };
    // The chart is made anew when its looks change; sizes and numbers are handed to the one there is.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [ready, theme, zone, kind, shape, bucketSecs, showTimes, days, syncKey]);

  useEffect(() => {
    if (width > 20 && height > 20) plot.current?.setSize({ width, height });
  }, [width, height]);
  useEffect(() => {
    plot.current?.setData(data);
  });

  // The mouse only reads the chart; what it shows stands in the legend and behind the label too.
  // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
  return <div ref={ref} role="img" aria-label={label} className={cn("min-h-0 min-w-0 overflow-hidden", onBrush && "cursor-crosshair", className)} onMouseLeave={() => onHover?.(null)} />;
}
