import { BanDialog } from "@/components/ban-dialog";
import { EntityLink } from "@/components/entity";
import { EventSheet } from "@/components/event-sheet";
import { ExceptionDialog } from "@/components/exception-dialog";
import { FindingLabels, WhyTable } from "@/components/finding";
import { History } from "@/components/history";
import { InboxHead } from "@/components/inbox-head";
import { Country, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Facts, Section } from "@/components/ui/section";
import { around, ENTITY_LABEL, searchOf } from "@/lib/entity";
import { clause } from "@/lib/query/edit";
import { candidatesOf } from "@/lib/exceptions";
import { useGo } from "@/lib/go";
import { live } from "@/lib/live/store";
import { exact, plural } from "@/lib/number";
import { severityVar } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { dateTime, span } from "@/lib/time";
import type { Alert, AlertState, Finding, OcsfEvent } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Ban, ShieldOff, Siren, TextSearch } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { alertQuery } from "../api";
import { Findings, RelatedEvents, RuleCard } from "./detail-sections";

interface AlertDetailProps {
  id: string;
  onClose: () => void;
  onMove: ((alert: Alert, state: AlertState, reason?: string) => void) | undefined;
}

const REFRESH_MS = 1500;

/** Everything that is needed to decide at three in the morning, in the order in which one asks. */
export function AlertDetailPane({ id, onClose, onMove }: AlertDetailProps) {
  const go = useGo();
  const { data, error, refetch } = useQuery(alertQuery(id));
  const [findingId, setFindingId] = useState<string | null>(null);
  const [event, setEvent] = useState<OcsfEvent | null>(null);
  const [excepting, setExcepting] = useState(false);
  const [banning, setBanning] = useState(false);
  const version = useStore(live.alerts).findLast((a) => a.alert.id === id)?.alert.finding_count;
  useEffect(() => {
    if (version === undefined) return;
    const timer = setTimeout(() => void refetch(), REFRESH_MS);
    return () => clearTimeout(timer);
  }, [version, refetch]);
  if (error && !data) return <div className="p-4"><Problem error={error} retry={() => void refetch()} /></div>;
  if (!data) return <Skeleton className="m-4 h-64" />;
  const { alert, findings, events } = data;
  const finding: Finding | undefined = findings.find((f) => f.id === findingId) ?? findings[0];
  return (
    <article className="flex h-full min-h-0 flex-col bg-panel" aria-label={`Alert: ${alert.rule.name}`} data-testid="alert-detail">
      <header className="border-b border-l-4 px-4 py-3" style={{ borderLeftColor: severityVar(alert.severity) }}>
        <InboxHead severity={alert.severity} state={alert.state} testId="alert-state" onClose={onClose} onMove={onMove && ((state, reason) => onMove(alert, state, reason))} />
        <h2 className="mt-2 text-lg leading-6 font-semibold break-words">{alert.rule.name}</h2>
        <p className="mt-0.5 text-base break-words text-text2">{alert.summary}</p>
        <div className="mt-2 flex flex-wrap gap-1.5">
          <Button size="sm" onClick={() => go.search({ ...searchOf(alert.entity), ...around(alert.first_seen, alert.last_seen) })}>
            <TextSearch /> Events around it
          </Button>
          {alert.incident && (
            <Button size="sm" onClick={() => go.incidents({ state: "all", id: alert.incident })}>
              <Siren /> Its incident
            </Button>
          )}
          {onMove && (
            <Button size="sm" onClick={() => setExcepting(true)}>
              <ShieldOff /> Make an exception
            </Button>
          )}
          {onMove && alert.source_ip && (
            <Button size="sm" onClick={() => setBanning(true)} data-testid="ban-source">
              <Ban /> Ban the source
            </Button>
          )}
        </div>
      </header>
      <div className="min-h-0 flex-1 space-y-5 overflow-y-auto p-4">
        <AlertFacts alert={alert} />
        {finding && (
          <Section title="Why it fired" aside={finding.window ? `${exact(finding.event_count)} events within ${span((Date.parse(finding.window[1]) - Date.parse(finding.window[0])) / 1000)}` : undefined}>
            <div className="mb-1.5 flex gap-1.5 empty:hidden">
              <FindingLabels finding={finding} />
            </div>
            <WhyTable finding={finding} />
          </Section>
        )}
        <RuleCard rule={alert.rule} onOpen={() => go.rule(alert.rule.id)} />
        <Section title="Findings" aside={findings.length < alert.finding_count ? `newest ${findings.length} of ${exact(alert.finding_count)}` : undefined}>
          <Findings findings={findings} chosen={finding?.id} onChoose={setFindingId} />
        </Section>
        <Section title="Related events" aside={events.length < alert.event_count ? `${events.length} of ${exact(alert.event_count)}` : undefined}>
          <RelatedEvents events={events} onOpen={setEvent} openUid={event?.metadata.uid} />
        </Section>
        <Section title="History">
          <History changes={alert.history} start={alert.first_seen} startText="first finding" testId="alert-history" />
        </Section>
      </div>
      <ExceptionDialog open={excepting} onClose={() => setExcepting(false)} rule={alert.rule} candidates={candidatesOf(alert, finding)} />
      <BanDialog open={banning} onClose={() => setBanning(false)} cidr={alert.source_ip ?? ""} reason={alert.rule.name} alert={alert.id} />
      <EventSheet event={event} onClose={() => setEvent(null)} onPivot={(path, value, not) => go.search({ range: "24h", q: clause(path, value, not) })} />
    </article>
  );
}

/** Entities that share this alert because their rule makes no more of them in an hour. */
function Further({ further }: { further: NonNullable<Alert["further"]> }) {
  return (
    <span className="grid min-w-0 gap-0.5">
      <span>{plural(further.entities, "entity", "entities")}, among them</span>
      {further.samples.map((sample) => {
        const [kind = "", ...rest] = sample.split(":");
        return <EntityLink key={sample} entity={{ kind, value: rest.join(":") }} />;
      })}
    </span>
  );
}

function AlertFacts({ alert }: { alert: Alert }) {
  const { user, source_ip: ip, entity } = alert;
  const facts: [string, ReactNode][] = [
    alert.further ? ["Beyond the limit", <Further key="f" further={alert.further} />] : [ENTITY_LABEL[entity.kind] ?? "Entity", <EntityLink key="e" entity={entity} />],
    ...(user && user !== entity.value ? ([["User", <EntityLink key="u" entity={{ kind: "user", value: user }} />]] as [string, ReactNode][]) : []),
    ...(ip && ip !== entity.value ? ([["From", <EntityLink key="i" entity={{ kind: "ip", value: ip }} />]] as [string, ReactNode][]) : []),
    ...(alert.place ? ([["Country", <Country key="c" code={alert.place[2]} />]] as [string, ReactNode][]) : []),
    ...(alert.event_name ? ([["Event", <span key="e" className="mono truncate" title={alert.event_name}>{alert.event_name}</span>]] as [string, ReactNode][]) : []),
    ["First seen", dateTime(alert.first_seen)],
    ["Last seen", dateTime(alert.last_seen)],
    ["Findings", exact(alert.finding_count)],
    ["Events", exact(alert.event_count)],
  ];
  return <Facts facts={facts} />;
}
