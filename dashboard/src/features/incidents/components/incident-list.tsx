import { EntityIcon } from "@/components/entity";
import { InboxList, InboxRow } from "@/components/inbox-list";
import { KillChain } from "@/components/kill-chain";
import { Risk } from "@/components/risk";
import { Chip } from "@/components/ui/bits";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { plural } from "@/lib/number";
import { SEVERITY_LABEL } from "@/lib/severity";
import { ago, dateTime } from "@/lib/time";
import type { Incident } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { Assignee } from "./assignee";

interface IncidentListProps {
  incidents: readonly Incident[];
  cursor: string | null;
  openId: string | undefined;
  picked: ReadonlySet<string>;
  /** Beside the detail there is room for less. */
  narrow: boolean;
  onToggle: ((id: string) => void) | undefined;
  onOpen: (id: string) => void;
  more: (() => void) | undefined;
}

const ROW_PX = { compact: 56, comfortable: 68 };

export function IncidentList({ incidents, cursor, openId, picked, narrow, onToggle, onOpen, more }: IncidentListProps) {
  const now = useNow();
  return (
    <InboxList
      label="Incidents"
      testId="incident-list"
      items={incidents}
      rowPx={ROW_PX}
      cursor={cursor}
      more={more}
      render={(incident) => (
        <InboxRow id={incident.id} state={incident.state} name={incident.title} testId="incident-row" isCursor={incident.id === cursor} isOpen={incident.id === openId} isPicked={picked.has(incident.id)} onToggle={onToggle}>
          <Cells incident={incident} now={now} narrow={narrow} onOpen={onOpen} />
        </InboxRow>
      )}
    />
  );
}

/** What it is made of, in few words. */
export const contents = (i: Incident): string => [plural(i.alert_count, "alert"), ...(i.signal_count > 0 ? [plural(i.signal_count, "signal")] : []), plural(i.event_count, "event")].join(" · ");

function Cells({ incident, now, narrow, onOpen }: { incident: Incident; now: number; narrow: boolean; onOpen: (id: string) => void }) {
  return (
    <>
      {narrow ? <SeverityMark severity={incident.severity} className="size-3.5" /> : <SeverityBadge severity={incident.severity} className="sm:w-20" labelClass="max-sm:sr-only" />}
      <button type="button" onClick={() => onOpen(incident.id)} className="min-w-0 flex-1 text-left after:absolute after:inset-0">
        {narrow && <span className="sr-only">{SEVERITY_LABEL[incident.severity]}: </span>}
        <span className="block truncate text-sm font-medium">{incident.title}</span>
        <span className="flex min-w-0 items-center gap-1.5 text-xs text-text3">
          <EntityIcon kind={incident.entity.kind} className="size-3" />
          <span className="mono max-w-[45%] truncate text-text2">{incident.entity.value}</span>
          <span className="truncate">{contents(incident)}</span>
        </span>
      </button>
      {!narrow && <KillChain tactics={incident.tactics} className="hidden md:inline-flex" />}
      <Risk risk={incident.risk} className={cn(narrow ? "max-xl:hidden" : "max-sm:hidden")} />
      {!narrow && (
        <span className="hidden w-28 shrink-0 lg:flex">
          <Assignee name={incident.assignee} />
        </span>
      )}
      <span className={cn("flex shrink-0 flex-col items-end gap-1", !narrow && "sm:w-24")}>
        <time dateTime={incident.last_seen} title={dateTime(incident.last_seen)} className="text-2xs text-text3">
          {ago(incident.last_seen, now)}
        </time>
        {incident.state !== "open" && <Chip className="h-4">{incident.state}</Chip>}
        {incident.state === "open" && narrow && <Assignee name={incident.assignee} short />}
      </span>
    </>
  );
}
