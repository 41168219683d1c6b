import { EntityIcon } from "@/components/entity";
import { InboxList, InboxRow } from "@/components/inbox-list";
import { Chip, Country } from "@/components/ui/bits";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { exact } from "@/lib/number";
import { SEVERITY_LABEL } from "@/lib/severity";
import { ago, dateTime } from "@/lib/time";
import type { Alert } from "@/lib/types";
import { useNow } from "@/lib/use-now";

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
  const now = useNow();
  return (
    <InboxList
      label="Alerts"
      testId="alert-list"
      items={alerts}
      rowPx={ROW_PX}
      cursor={cursor}
      more={more}
      render={(alert) => (
        <InboxRow id={alert.id} state={alert.state} name={alert.rule.name} testId="alert-row" isCursor={alert.id === cursor} isOpen={alert.id === openId} isPicked={picked.has(alert.id)} onToggle={onToggle} quiet={!!alert.rule.handling?.signal}>
          <AlertCells alert={alert} now={now} narrow={narrow} onOpen={onOpen} />
        </InboxRow>
      )}
    />
  );
}

function AlertCells({ alert, now, narrow, onOpen }: { alert: Alert; now: number; narrow: boolean; onOpen: (id: string) => void }) {
  return (
    <>
      {narrow ? <SeverityMark severity={alert.severity} className="size-3.5" /> : <SeverityBadge severity={alert.severity} className="sm:w-20" labelClass="max-sm:sr-only" />}
      <button type="button" onClick={() => onOpen(alert.id)} className="min-w-0 flex-1 text-left after:absolute after:inset-0">
        {narrow && <span className="sr-only">{SEVERITY_LABEL[alert.severity]}: </span>}
        <span className="flex items-baseline gap-2">
          <span className="truncate text-sm font-medium">{alert.rule.name}</span>
          {alert.rule.handling?.signal && <Chip className="h-4 self-center">signal</Chip>}
          {alert.finding_count > 1 && <span className="shrink-0 text-2xs text-text3">× {exact(alert.finding_count)}</span>}
        </span>
        <span className="block truncate text-xs text-text3">{alert.summary}</span>
      </button>
      {!narrow && (
        <span className="hidden w-60 shrink-0 items-center gap-2 lg:flex">
          <EntityIcon kind={alert.entity.kind} />
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
    </>
  );
}
