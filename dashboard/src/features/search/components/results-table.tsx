import { NarrowCells, useNarrow } from "@/components/event-table";
import { Country } from "@/components/ui/bits";
import { Menu, MenuItem, MenuSeparator } from "@/components/ui/menu";
import { Pivot, type OnPivot } from "@/components/ui/pivot";
import { SeverityBadge } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { prefs } from "@/lib/prefs";
import { useStore } from "@/lib/store";
import { clock, dateTime } from "@/lib/time";
import type { OcsfEvent } from "@/lib/types";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowLeft, ArrowRight, ChevronDown, X } from "lucide-react";
import { useEffect, useRef, type ReactNode, type RefObject } from "react";
import { cellOf, clampWidth, country, labelOf, SUMMARY, WIDTH_MAX, WIDTH_MIN, widthOf } from "../columns";

const ROW_PX = { compact: 28, comfortable: 36, narrow: 52 };
/** So many rows before the end the next page is asked for. */
const AHEAD_ROWS = 30;
const STEP_PX = 16;

export interface Cursor {
  row: number;
  /** 0: the time; then the chosen columns. */
  column: number;
}

interface ResultsTableProps {
  events: readonly OcsfEvent[];
  columns: readonly string[];
  widths: Readonly<Record<string, number>>;
  scroller: RefObject<HTMLDivElement | null>;
  cursor: Cursor | null;
  openUid?: string | undefined;
  onOpen: (event: OcsfEvent, row: number) => void;
  onPivot: OnPivot;
  onWidth: (path: string, px: number) => void;
  onMove: (path: string, by: number) => void;
  onRemove: (path: string) => void;
  /** The last rows come into sight. */
  onEnd: () => void;
  footer?: ReactNode;
}

/** Events as rows under the chosen columns; only those in sight are drawn. */
export function ResultsTable({ events, columns, widths, scroller, cursor, openUid, onOpen, onPivot, onWidth, onMove, onRemove, onEnd, footer }: ResultsTableProps) {
  const { density } = useStore(prefs);
  const narrow = useNarrow();
  const rowPx = narrow ? ROW_PX.narrow : ROW_PX[density];
  const virtual = useVirtualizer({ count: events.length, getScrollElement: () => scroller.current, estimateSize: () => rowPx, overscan: 12, getItemKey: (i) => events[i]?.metadata.uid ?? i, scrollPaddingStart: narrow ? 0 : 40, scrollPaddingEnd: 8 });
  useEffect(() => virtual.measure(), [virtual, rowPx]);
  const items = virtual.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (events.length > 0 && lastSeen >= events.length - AHEAD_ROWS) onEnd();
    // `onEnd` is another one with every drawing; what matters is where the reader is.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [lastSeen, events.length]);
  const row = cursor?.row;
  useEffect(() => {
    if (row !== undefined) virtual.scrollToIndex(row, { align: "auto" });
  }, [virtual, row]);
  const all = ["time", ...columns];
  // What happened takes the room that is left, else the last column.
  const grows = columns.includes(SUMMARY) ? SUMMARY : columns.at(-1);
  const template = all.map((path) => (path === grows ? `minmax(${widthOf(path, widths)}px,1fr)` : `${widthOf(path, widths)}px`)).join(" ");
  return (
    <>
      <div role="table" aria-label="Events" aria-rowcount={events.length + 1} aria-colcount={all.length} className={cn("text-xs", narrow ? "min-w-0" : "w-max min-w-full")} data-testid="results">
        {!narrow && (
          <div role="row" className="sticky top-0 z-10 grid h-8 items-stretch border-b bg-panel px-3" style={{ gridTemplateColumns: template }}>
            {all.map((path, i) => (
              <Head key={path} path={path} width={widthOf(path, widths)} first={i <= 1} last={i === all.length - 1} onWidth={onWidth} onMove={onMove} onRemove={onRemove} />
            ))}
          </div>
        )}
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const event = events[item.index];
            if (!event) return null;
            const isCursor = cursor?.row === item.index;
            const place = { height: item.size, transform: `translateY(${item.start}px)` };
            return (
              <div
                key={item.key}
                role="row"
                tabIndex={0}
                aria-rowindex={item.index + 2}
                data-uid={event.metadata.uid}
                data-cursor={isCursor || undefined}
                aria-selected={openUid === event.metadata.uid}
                onClick={() => onOpen(event, item.index)}
                onKeyDown={(press) => {
                  if (press.key !== "Enter" || press.target !== press.currentTarget) return;
                  press.preventDefault();
                  press.stopPropagation();
                  onOpen(event, item.index);
                }}
                className={cn(
                  "absolute inset-x-0 top-0 cursor-pointer border-b border-line/60 px-3 hover:bg-raised aria-selected:bg-accent-soft data-cursor:shadow-[inset_2px_0_0_var(--accent)]",
                  narrow ? "flex flex-col justify-center gap-0.5" : "grid items-stretch",
                  event.severity_id >= 4 && "bg-sev-high/[.06]",
                )}
                style={narrow ? place : { ...place, gridTemplateColumns: template }}
              >
                {narrow ? <NarrowCells event={event} /> : all.map((path, i) => <Cell key={path} event={event} path={path} onPivot={onPivot} active={isCursor && cursor.column === i} />)}
              </div>
            );
          })}
        </div>
      </div>
      {footer}
    </>
  );
}

interface HeadProps {
  path: string;
  width: number;
  first: boolean;
  last: boolean;
  onWidth: (path: string, px: number) => void;
  onMove: (path: string, by: number) => void;
  onRemove: (path: string) => void;
}

function Head({ path, width, first, last, onWidth, onMove, onRemove }: HeadProps) {
  const name = <span className="truncate">{labelOf(path)}</span>;
  return (
    <span role="columnheader" title={path} className="relative flex min-w-0 items-center pr-3 text-2xs font-medium text-text3">
      {path === "time" ? (
        name
      ) : (
        <Menu
          align="start"
          trigger={
            <button type="button" aria-label={`Column ${labelOf(path)}`} className="group/head flex min-w-0 items-center gap-1 hover:text-text">
              {name}
              <ChevronDown className="size-3 shrink-0 opacity-0 group-hover/head:opacity-100 group-focus-visible/head:opacity-100" />
            </button>
          }
        >
          {!first && (
            <MenuItem onSelect={() => onMove(path, -1)}>
              <ArrowLeft /> Move left
            </MenuItem>
          )}
          {!last && (
            <MenuItem onSelect={() => onMove(path, 1)}>
              <ArrowRight /> Move right
            </MenuItem>
          )}
          {!(first && last) && <MenuSeparator />}
          <MenuItem onSelect={() => onRemove(path)}>
            <X /> Take out of the table
          </MenuItem>
        </Menu>
      )}
      <Grip path={path} width={width} onWidth={onWidth} />
    </span>
  );
}

/** The right edge of a column's head: dragged, or moved with the arrow keys. */
function Grip({ path, width, onWidth }: Pick<HeadProps, "path" | "width" | "onWidth">) {
  const start = useRef<{ x: number; width: number } | null>(null);
  return (
    // A separator that can be moved is a control (ARIA 1.2, "separator").
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions
    <span
      role="separator"
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={`Width of ${labelOf(path)}`}
      aria-valuenow={width}
      aria-valuemin={WIDTH_MIN}
      aria-valuemax={WIDTH_MAX}
      className="absolute inset-y-1.5 right-0.5 w-2 cursor-col-resize touch-none border-r border-line hover:border-accent focus-visible:border-accent"
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        // From what is drawn: a column that takes the rest is wider than what was asked for.
        start.current = { x: event.clientX, width: event.currentTarget.parentElement?.clientWidth ?? width };
      }}
      onPointerMove={(event) => start.current && onWidth(path, clampWidth(start.current.width + event.clientX - start.current.x))}
      onPointerUp={() => (start.current = null)}
      onPointerCancel={() => (start.current = null)}
      onKeyDown={(event) => {
        const by = event.key === "ArrowLeft" ? -STEP_PX : event.key === "ArrowRight" ? STEP_PX : 0;
        if (by === 0) return;
        event.preventDefault();
        onWidth(path, clampWidth(width + by));
      }}
    />
  );
}

const MONO: ReadonlySet<string> = new Set(["actor.user.name", "actor.user.uid", "src_endpoint.ip", SUMMARY]);

function Cell({ event, path, onPivot, active }: { event: OcsfEvent; path: string; onPivot: OnPivot; active: boolean }) {
  const box = cn("mr-1.5 -ml-1.5 flex min-w-0 items-center px-1.5", active && "rounded-sm outline-2 -outline-offset-2 outline-accent");
  if (path === "time")
    return (
      <time role="cell" dateTime={event.time} className={cn(box, "mono truncate text-text2")} title={`${dateTime(event.time)}\n${event.time}`}>
        {dateTime(event.time).slice(5, 10)} {clock(event.time, true)}
      </time>
    );
  const { path: real, values } = cellOf(event, path);
  const [value] = values;
  if (real === undefined)
    return (
      <span role="cell" className={cn(box, "mono")} title={value}>
        <span className="truncate">{value}</span>
      </span>
    );
  const code = path === "src_endpoint.ip" ? country(event) : undefined;
  return (
    <span role="cell" className={cn(box, "gap-1.5", toneOf(path, value))} data-active={active || undefined}>
      <Pivot path={real} value={value} onPivot={onPivot} className={cn(!code && "flex-1", (MONO.has(path) || path.includes(".")) && path !== "metadata.log_name" && "mono")}>
        {path === "severity" ? <SeverityBadge severity={event.severity} className={event.severity_id <= 1 ? "font-normal" : ""} /> : values.length > 1 ? `${value}  +${values.length - 1}` : undefined}
      </Pivot>
      {code && (
        <Pivot path="src_endpoint.location.country" value={code} onPivot={onPivot}>
          <Country code={code} />
        </Pivot>
      )}
    </span>
  );
}

function toneOf(path: string, value: string | undefined): string {
  if (path === "status") return value === "Failure" ? "text-sev-critical" : "text-text3";
  if (path === "http_response.code") return value?.startsWith("5") ? "text-sev-critical" : value?.startsWith("4") ? "text-sev-medium" : "text-text3";
  return path === "metadata.log_name" || path === "class_name" ? "text-text2" : "";
}
