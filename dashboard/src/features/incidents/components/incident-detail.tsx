import { EntityLink } from "@/components/entity";
import { History } from "@/components/history";
import { InboxHead } from "@/components/inbox-head";
import { KillChainWide } from "@/components/kill-chain";
import { Risk } from "@/components/risk";
import { Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Facts, Section } from "@/components/ui/section";
import { around, ENTITY_LABEL, searchOf } from "@/lib/entity";
import { useGo } from "@/lib/go";
import { live } from "@/lib/live/store";
import { exact } from "@/lib/number";
import { may, session } from "@/lib/session";
import { severityVar } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { dateTime, span } from "@/lib/time";
import type { AlertState, Incident } from "@/lib/types";
import { useMutation, useQuery } from "@tanstack/react-query";
import { ArrowLeft, TextSearch, UserCheck, UserMinus } from "lucide-react";
import { useEffect } from "react";
import { toast } from "sonner";
import { assign, incidentQuery } from "../api";
import { Assignee } from "./assignee";
import { Timeline } from "./timeline";

interface IncidentDetailProps {
  id: string;
  onClose: () => void;
  onMove: ((incident: Incident, state: AlertState, reason?: string) => void) | undefined;
}

const REFRESH_MS = 1500;

/** The story of an incident: who, how far, what happened in which order, and who looks after it. */
export function IncidentDetailPane({ id, onClose, onMove }: IncidentDetailProps) {
  const query = useQuery(incidentQuery(id));
  const arrived = useStore(live.incidents).findLast((one) => one.incident.id === id);
  const { refetch, dataUpdatedAt } = query;
  const isNews = arrived !== undefined && arrived.at >= dataUpdatedAt;
  useEffect(() => {
    if (!isNews) return;
    const timer = setTimeout(() => void refetch(), REFRESH_MS);
    return () => clearTimeout(timer);
  }, [isNews, refetch]);
  if (query.error && !query.data)
    return (
      <div className="grid gap-3 p-4">
        <Problem error={query.error} retry={() => void refetch()} />
        <Button className="justify-self-start" onClick={onClose}>
          <ArrowLeft /> Back to the list
        </Button>
      </div>
    );
  if (!query.data) return <Skeleton className="m-4 h-64" />;
  const { alerts } = query.data;
  const incident = isNews ? arrived.incident : query.data.incident;
  return (
    <article className="flex h-full min-h-0 flex-col bg-panel" aria-label={`Incident: ${incident.title}`} data-testid="incident-detail">
      <Head incident={incident} onClose={onClose} onMove={onMove} />
      <div className="min-h-0 flex-1 space-y-5 overflow-y-auto p-4">
        <KillChainWide tactics={incident.tactics} />
        <div className="space-y-2.5">
          <IncidentFacts incident={incident} />
          <Techniques techniques={incident.techniques} />
        </div>
        <Timeline alerts={alerts} total={incident.alert_count + incident.signal_count} />
        <Section title="History">
          <History changes={incident.history} start={incident.first_seen} startText="first finding" testId="incident-history" />
        </Section>
      </div>
    </article>
  );
}

function Head({ incident, onClose, onMove }: { incident: Incident; onClose: () => void; onMove: IncidentDetailProps["onMove"] }) {
  const go = useGo();
  return (
    <header className="border-b border-l-4 px-4 py-3" style={{ borderLeftColor: severityVar(incident.severity) }}>
      <InboxHead severity={incident.severity} state={incident.state} testId="incident-state" onClose={onClose} onMove={onMove && ((state, reason) => onMove(incident, state, reason))} />
      <h2 className="mt-2 text-lg leading-6 font-semibold break-words">{incident.title}</h2>
      <div className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-2">
        <Risk risk={incident.risk} big />
        <EntityLink entity={incident.entity} className="text-sm" />
        <span className="ml-auto flex flex-wrap items-center gap-2">
          <AssigneeControl incident={incident} />
          <Button size="sm" onClick={() => go.search({ ...searchOf(incident.entity), ...around(incident.first_seen, incident.last_seen) })}>
            <TextSearch /> Events around it
          </Button>
        </span>
      </div>
    </header>
  );
}

function AssigneeControl({ incident }: { incident: Incident }) {
  const me = useStore(session);
  const change = useMutation({
    mutationFn: (assignee: string | null) => assign(incident.id, assignee),
    onError: (error) => toast.error("The assignee was not changed", { description: error.message }),
  });
  const mine = incident.assignee === me?.name;
  return (
    <span className="flex items-center gap-2" data-testid="assignee">
      <Assignee name={incident.assignee} />
      {may(me, "analyst") && me && !mine && (
        <Button size="sm" disabled={change.isPending} onClick={() => change.mutate(me.name)}>
          <UserCheck /> {incident.assignee ? "Take over" : "Assign to me"}
        </Button>
      )}
      {may(me, "analyst") && incident.assignee && (
        <Button size="iconSm" variant="ghost" disabled={change.isPending} aria-label={`Take it away from ${incident.assignee}`} title="Nobody looks after it" onClick={() => change.mutate(null)}>
          <UserMinus />
        </Button>
      )}
    </span>
  );
}

function Techniques({ techniques }: { techniques: readonly string[] }) {
  const go = useGo();
  if (techniques.length === 0) return null;
  return (
    <p className="flex flex-wrap items-center gap-x-2.5 text-xs">
      <span className="text-2xs text-text3">Techniques</span>
      {techniques.map((technique) => (
        <button key={technique} type="button" className="mono inline-flex min-h-6 items-center underline decoration-line2 underline-offset-2 hover:decoration-accent" title={`Rules that watch ${technique}`} onClick={() => go.rules({ technique })}>
          {technique}
        </button>
      ))}
    </p>
  );
}

function IncidentFacts({ incident }: { incident: Incident }) {
  const secs = (Date.parse(incident.last_seen) - Date.parse(incident.first_seen)) / 1000;
  return (
    <Facts
      facts={[
        [ENTITY_LABEL[incident.entity.kind] ?? "Entity", <EntityLink key="e" entity={incident.entity} />],
        ["First seen", dateTime(incident.first_seen)],
        ["Last seen", dateTime(incident.last_seen)],
        ["Took", secs > 0 ? span(secs) : "one moment"],
        ["Alerts", exact(incident.alert_count)],
        ["Signals", exact(incident.signal_count)],
        ["Events", exact(incident.event_count)],
      ]}
    />
  );
}
