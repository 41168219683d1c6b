import { EventSheet } from "@/components/event-sheet";
import { Chip, Country, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { SeverityBadge } from "@/components/ui/severity";
import { useGo } from "@/lib/go";
import { live } from "@/lib/live/store";
import { exact } from "@/lib/number";
import { severityVar } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { dateTime, span } from "@/lib/time";
import type { Alert, AlertState, Finding, OcsfEvent } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { ArrowLeft, Check, RotateCcw, X } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { alertQuery } from "../api";
import { CloseMenu } from "./close-menu";
import { Findings, History, RelatedEvents, RuleCard, WhyTable } from "./detail-sections";

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
        <div className="flex flex-wrap items-center gap-2">
          <Button variant="ghost" size="iconSm" aria-label="Back to the list" className="lg:hidden" onClick={onClose}>
            <ArrowLeft />
          </Button>
          <SeverityBadge severity={alert.severity} />
          <Chip>
            <span data-testid="alert-state">{alert.state}</span>
          </Chip>
          <span className="ml-auto flex items-center gap-1.5">
            {onMove && alert.state !== "acknowledged" && (
              <Button size="sm" onClick={() => onMove(alert, "acknowledged")}>
                <Check /> Acknowledge
              </Button>
            )}
            {onMove && alert.state !== "closed" && <CloseMenu size="sm" onClose={(reason) => onMove(alert, "closed", reason)} />}
            {onMove && alert.state !== "open" && (
              <Button size="sm" onClick={() => onMove(alert, "open")}>
                <RotateCcw /> Reopen
              </Button>
            )}
            <Button variant="ghost" size="iconSm" aria-label="Close the detail" className="hidden lg:inline-flex" onClick={onClose}>
              <X />
            </Button>
          </span>
        </div>
        <h2 className="mt-2 text-lg leading-6 font-semibold break-words">{alert.rule.name}</h2>
        <p className="mt-0.5 text-base break-words text-text2">{alert.summary}</p>
      </header>
      <div className="min-h-0 flex-1 space-y-5 overflow-y-auto p-4">
        <Facts alert={alert} />
        {finding && (
          <Section title="Why it fired" aside={finding.window ? `${exact(finding.event_count)} events within ${span((Date.parse(finding.window[1]) - Date.parse(finding.window[0])) / 1000)}` : undefined}>
            <WhyTable finding={finding} />
          </Section>
        )}
        <RuleCard rule={alert.rule} onOpen={() => go.rules({ rule: alert.rule.id })} />
        <Section title="Findings" aside={findings.length < alert.finding_count ? `newest ${findings.length} of ${exact(alert.finding_count)}` : undefined}>
          <Findings findings={findings} chosen={finding?.id} onChoose={setFindingId} />
        </Section>
        <Section title="Related events" aside={events.length < alert.event_count ? `${events.length} of ${exact(alert.event_count)}` : undefined}>
          <RelatedEvents events={events} onOpen={setEvent} openUid={event?.metadata.uid} />
        </Section>
        <Section title="History">
          <History alert={alert} />
        </Section>
      </div>
      <EventSheet event={event} onClose={() => setEvent(null)} onPivot={(path, value, not) => go.events({ range: "24h", filter: [`${path}${not ? "!=" : "="}${value}`] })} />
    </article>
  );
}

export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section>
      <h3 className="mb-1.5 flex items-baseline gap-2 text-sm font-semibold">
        {title}
        {aside && <span className="text-2xs font-normal text-text3">{aside}</span>}
      </h3>
      {children}
    </section>
  );
}

const ENTITY_LABEL: Record<string, string> = { user: "User", ip: "Address", host: "Host", service: "Service", account: "Account", group: "Group" };
const ENTITY_PATH: Record<string, string> = { user: "actor.user.name", ip: "src_endpoint.ip", host: "device.hostname", service: "metadata.product.name", account: "cloud.account.uid" };

function Facts({ alert }: { alert: Alert }) {
  const go = useGo();
  const link = (path: string | undefined, value: string) =>
    path ? (
      <button type="button" className="mono truncate text-left underline decoration-line2 underline-offset-2 hover:decoration-accent" onClick={() => go.events({ range: "24h", filter: [`${path}=${value}`] })} title={`Events with ${path} = ${value}`}>
        {value}
      </button>
    ) : (
      <span className="mono truncate">{value}</span>
    );
  const facts: [string, ReactNode][] = [
    [ENTITY_LABEL[alert.entity.kind] ?? "Entity", link(ENTITY_PATH[alert.entity.kind], alert.entity.value)],
    ...(alert.user && alert.user !== alert.entity.value ? ([["User", link("actor.user.name", alert.user)]] as [string, ReactNode][]) : []),
    ...(alert.source_ip && alert.source_ip !== alert.entity.value ? ([["From", link("src_endpoint.ip", alert.source_ip)]] as [string, ReactNode][]) : []),
    ...(alert.place ? ([["Country", <Country key="c" code={alert.place[2]} />]] as [string, ReactNode][]) : []),
    ...(alert.event_name ? ([["Event", <span key="e" className="mono truncate" title={alert.event_name}>{alert.event_name}</span>]] as [string, ReactNode][]) : []),
    ["First seen", dateTime(alert.first_seen)],
    ["Last seen", dateTime(alert.last_seen)],
    ["Findings", exact(alert.finding_count)],
    ["Events", exact(alert.event_count)],
  ];
  return (
    <dl className="grid grid-cols-2 gap-x-4 gap-y-2.5 sm:grid-cols-3 xl:grid-cols-5">
      {facts.map(([name, value]) => (
        <div key={name} className="min-w-0">
          <dt className="text-2xs text-text3">{name}</dt>
          <dd className="flex min-w-0 text-sm">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
