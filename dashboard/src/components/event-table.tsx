import { Country } from "@/components/ui/bits";
import { Pivot, type OnPivot } from "@/components/ui/pivot";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { compact } from "@/lib/number";
import { country, fromIp, statusOf, what, who } from "@/lib/ocsf";
import { prefs } from "@/lib/prefs";
import { useStore } from "@/lib/store";
import { clock, dateTime } from "@/lib/time";
import type { OcsfEvent } from "@/lib/types";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useState, type ReactNode, type RefObject } from "react";

export type TableRow = { key: string | number; kind: "event"; event: OcsfEvent } | { key: string | number; kind: "gap"; lost: number };

interface EventTableProps {
  /** Newest first. */
  rows: readonly TableRow[];
  scroller: RefObject<HTMLDivElement | null>;
  onPivot: OnPivot;
  onOpen: (event: OcsfEvent) => void;
  openUid?: string | undefined;
  /** Whether the day matters: not in the live view. */
  dates?: boolean;
  footer?: ReactNode;
}

const NARROW = "(max-width: 899px)";
const ROW_PX = { compact: 28, comfortable: 36, narrow: 52 };
const columns = (dates: boolean) => `${dates ? "9.5rem" : "6.5rem"} 5.5rem 7.5rem 7.5rem minmax(6rem, .8fr) minmax(9rem, .9fr) minmax(12rem, 2.6fr) 4.5rem`;

/** Whether rows are told in two lines instead of in columns. */
export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const list = matchMedia(NARROW);
    const onChange = () => setNarrow(list.matches);
    list.addEventListener("change", onChange);
    return () => list.removeEventListener("change", onChange);
  }, []);
  return narrow;
}

/** Events as rows, drawing only those in sight. */
export function EventTable({ rows, scroller, onPivot, onOpen, openUid, dates = false, footer }: EventTableProps) {
  const { density } = useStore(prefs);
  const narrow = useNarrow();
  const rowPx = narrow ? ROW_PX.narrow : ROW_PX[density];
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => rowPx, overscan: 12, getItemKey: (i) => rows[i]?.key ?? i });
  useEffect(() => virtual.measure(), [virtual, rowPx]);
  const template = columns(dates);
  return (
    <>
      <div role="table" aria-label="Events" aria-rowcount={rows.length + 1} className="min-w-0 text-xs">
        {!narrow && (
          <div role="row" className="sticky top-0 z-10 grid h-8 items-center gap-3 border-b bg-panel px-3 text-2xs font-medium text-text3" style={{ gridTemplateColumns: template }}>
            {["Time", "Severity", "Source", "Class", "Who", "From", "What", "Status"].map((name) => (
              <span role="columnheader" key={name}>
                {name}
              </span>
            ))}
          </div>
        )}
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            const place = { height: item.size, transform: `translateY(${item.start}px)` };
            if (row.kind === "gap") return <GapRow key={item.key} lost={row.lost} style={place} />;
            const open = () => onOpen(row.event);
            return (
              <div
                key={item.key}
                role="row"
                tabIndex={0}
                data-uid={row.event.metadata.uid}
                aria-selected={openUid === row.event.metadata.uid}
                onClick={open}
                onKeyDown={onEnter(open)}
                className={cn("absolute inset-x-0 top-0 cursor-pointer border-b border-line/60 px-3 hover:bg-raised aria-selected:bg-accent-soft", narrow ? "flex flex-col justify-center gap-0.5" : "grid items-center gap-3", row.event.severity_id >= 4 && "bg-sev-high/[.06]")}
                style={narrow ? place : { ...place, gridTemplateColumns: template }}
              >
                {narrow ? <NarrowCells event={row.event} /> : <Cells event={row.event} onPivot={onPivot} dates={dates} />}
              </div>
            );
          })}
        </div>
      </div>
      {footer}
    </>
  );
}

/** Enter on the row itself. Its default would press what gets the focus next: the panel's close button. */
const onEnter = (open: () => void) => (event: React.KeyboardEvent) => {
  if (event.key !== "Enter" || event.target !== event.currentTarget) return;
  event.preventDefault();
  open();
};

function Cells({ event, onPivot, dates }: { event: OcsfEvent; onPivot: OnPivot; dates: boolean }) {
  const status = statusOf(event);
  const isHttp = event.http_response?.code !== undefined;
  return (
    <>
      <time role="cell" dateTime={event.time} className="mono truncate text-text2" title={dateTime(event.time)}>
        {dates ? dateTime(event.time).slice(5) : clock(event.time, true)}
      </time>
      <span role="cell" className="min-w-0">
        <Pivot path="severity" value={event.severity} onPivot={onPivot}>
          <SeverityBadge severity={event.severity} className={event.severity_id <= 1 ? "font-normal" : ""} />
        </Pivot>
      </span>
      <span role="cell" className="min-w-0 text-text2">
        <Pivot path="metadata.log_name" value={event.metadata.log_name} onPivot={onPivot} />
      </span>
      <span role="cell" className="min-w-0 text-text3">
        <Pivot path="class_name" value={event.class_name} onPivot={onPivot} />
      </span>
      <span role="cell" className="min-w-0">
        <Pivot path={event.actor?.user?.name ? "actor.user.name" : "actor.user.uid"} value={who(event)} onPivot={onPivot} className="mono" />
      </span>
      <span role="cell" className="flex min-w-0 items-center gap-1.5">
        <Pivot path={event.src_endpoint?.ip ? "src_endpoint.ip" : "src_endpoint.hostname"} value={fromIp(event)} onPivot={onPivot} className="mono" />
        <Pivot path="src_endpoint.location.country" value={country(event)} onPivot={onPivot}>
          <Country code={country(event)} />
        </Pivot>
      </span>
      <span role="cell" className="mono truncate" title={what(event)}>
        {what(event)}
      </span>
      <span role="cell" className={cn("min-w-0", statusTone(status))}>
        <Pivot path={isHttp ? "http_response.code" : "status"} value={status} onPivot={onPivot} />
      </span>
    </>
  );
}

export function NarrowCells({ event }: { event: OcsfEvent }) {
  return (
    <>
      <span role="cell" className="flex items-center gap-2">
        <SeverityMark severity={event.severity} className="size-2.5" />
        <span className="mono min-w-0 flex-1 truncate">{what(event)}</span>
        <span className={statusTone(statusOf(event))}>{statusOf(event)}</span>
      </span>
      <span role="cell" className="flex items-center gap-2 text-2xs text-text3">
        <time dateTime={event.time} className="mono">
          {clock(event.time)}
        </time>
        <span className="mono truncate">{who(event)}</span>
        <span className="mono ml-auto truncate">{fromIp(event)}</span>
        <Country code={country(event)} />
      </span>
    </>
  );
}

function GapRow({ lost, style }: { lost: number; style: React.CSSProperties }) {
  return (
    <div role="row" className="absolute inset-x-0 top-0 flex items-center gap-3 px-3 text-2xs text-sev-medium" style={style}>
      <span className="h-px flex-1 bg-sev-medium/40" />
      <span role="cell">{compact(lost)} messages skipped here; Search has them</span>
      <span className="h-px flex-1 bg-sev-medium/40" />
    </div>
  );
}

function statusTone(status: string | undefined): string {
  if (status === "Failure" || status?.startsWith("5")) return "text-sev-critical";
  return status?.startsWith("4") ? "text-sev-medium" : "text-text3";
}
