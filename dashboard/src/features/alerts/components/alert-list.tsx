import { Chip, Country } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { exact } from "@/lib/number";
import { prefs } from "@/lib/prefs";
import { SEVERITY_LABEL } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { ago, dateTime } from "@/lib/time";
import type { Alert } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";

interface AlertListProps {
  alerts: readonly Alert[];
  cursor: string | null;
  openId: string | undefined;
  picked: ReadonlySet<string>;
  /** Beside the detail there is room for less. */
  narrow: boolean;
  onToggle: ((id: string) => void) | undefined;
  onOpen: (id: string) => void;
  more: (() => void) | undefined;
}

const ROW_PX = { compact: 52, comfortable: 64 };

export function AlertList({ alerts, cursor, openId, picked, narrow, onToggle, onOpen, more }: AlertListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const now = useNow();
  const { density } = useStore(prefs);
  const rowPx = ROW_PX[density];
  const virtual = useVirtualizer({ count: alerts.length, getScrollElement: () => scroller.current, estimateSize: () => rowPx, overscan: 8, getItemKey: (i) => alerts[i]?.id ?? i });
  useEffect(() => virtual.measure(), [virtual, rowPx]);
  const at = alerts.findIndex((a) => a.id === cursor);
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at);
    // Follow the cursor, not the alerts that arrive above it.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [cursor]);
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto" role="list" aria-label="Alerts" data-testid="alert-list">
      <div className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const alert = alerts[item.index];
          if (!alert) return null;
          return (
            <div role="listitem" key={item.key} className="absolute inset-x-0 top-0" style={{ height: item.size, transform: `translateY(${item.start}px)` }}>
              <AlertRow alert={alert} now={now} narrow={narrow} isCursor={alert.id === cursor} isOpen={alert.id === openId} isPicked={picked.has(alert.id)} onToggle={onToggle} onOpen={onOpen} />
            </div>
          );
        })}
      </div>
      {more && (
        <div className="flex justify-center p-3">
          <Button onClick={more}>Load more</Button>
        </div>
      )}
    </div>
  );
}

interface AlertRowProps extends Pick<AlertListProps, "narrow" | "onToggle" | "onOpen"> {
  alert: Alert;
  now: number;
  isCursor: boolean;
  isOpen: boolean;
  isPicked: boolean;
}

function AlertRow({ alert, now, narrow, isCursor, isOpen, isPicked, onToggle, onOpen }: AlertRowProps) {
  return (
    <div
      data-testid="alert-row"
      data-id={alert.id}
      data-state={alert.state}
      data-cursor={isCursor}
      className={cn("relative flex h-full items-center gap-3 border-b border-l-2 border-b-line/60 border-l-transparent px-3 hover:bg-raised", isOpen && "bg-accent-soft", isCursor && "border-l-accent", isPicked && "bg-accent-soft", alert.state === "closed" && "opacity-70")}
    >
      {onToggle && (
        <span className="relative z-10 flex">
          <Checkbox checked={isPicked} label={`Select ${alert.rule.name}`} onChange={() => onToggle(alert.id)} />
        </span>
      )}
      {narrow ? <SeverityMark severity={alert.severity} className="size-3.5" /> : <SeverityBadge severity={alert.severity} className="sm:w-20" labelClass="max-sm:sr-only" />}
      <button type="button" onClick={() => onOpen(alert.id)} className="min-w-0 flex-1 text-left after:absolute after:inset-0" aria-label={`${SEVERITY_LABEL[alert.severity]}: ${alert.rule.name}, ${alert.summary}`}>
        <span className="flex items-baseline gap-2">
          <span className="truncate text-sm font-medium">{alert.rule.name}</span>
          {alert.finding_count > 1 && <span className="shrink-0 text-2xs text-text3">× {exact(alert.finding_count)}</span>}
        </span>
        <span className="block truncate text-xs text-text3">{alert.summary}</span>
      </button>
      {!narrow && (
        <span className="hidden w-60 shrink-0 items-center gap-2 lg:flex">
          <span className="w-8 text-2xs text-text3">{alert.entity.kind}</span>
          <span className="mono truncate text-xs">{alert.entity.value}</span>
          <Country code={alert.place?.[2]} />
        </span>
      )}
      {!narrow && (
        <span className="mono hidden w-28 shrink-0 truncate text-2xs text-text3 xl:block" title={alert.rule.techniques.join(", ")}>
          {alert.rule.techniques.join(" ")}
        </span>
      )}
      <span className={cn("flex shrink-0 flex-col items-end gap-1", !narrow && "sm:w-24")}>
        <time dateTime={alert.last_seen} title={dateTime(alert.last_seen)} className="text-2xs text-text3">
          {ago(alert.last_seen, now)}
        </time>
        {alert.state !== "open" ? <Chip className="h-4">{alert.state}</Chip> : narrow && <Country code={alert.place?.[2]} />}
      </span>
    </div>
  );
}
