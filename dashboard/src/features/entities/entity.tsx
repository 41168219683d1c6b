import { EntityIcon } from "@/components/entity";
import { EventSheet } from "@/components/event-sheet";
import { EventTable } from "@/components/event-table";
import { KillChain, KillChainWide } from "@/components/kill-chain";
import { Risk } from "@/components/risk";
import { Chip, CopyButton, Country, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Panel } from "@/components/ui/panel";
import { SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { ENTITY_LABEL, searchOf } from "@/lib/entity";
import { clause, withClause } from "@/lib/query/edit";
import { useGo } from "@/lib/go";
import { plural } from "@/lib/number";
import { eventQuery } from "@/lib/queries";
import { ago, dateTime } from "@/lib/time";
import type { Alert, Entity, EntityDetail, Incident, OcsfEvent } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { TextSearch } from "lucide-react";
import { useMemo, useRef, useState } from "react";
import { entityEventsQuery, entityQuery } from "./api";
import { RiskCurve } from "./components/risk-curve";

interface EntityPageProps {
  entity: Entity;
  eventUid: string | undefined;
  onEvent: (uid: string | undefined) => void;
}

/** Everything that is known about a user, an address or a host. */
export function EntityPage({ entity, eventUid, onEvent }: EntityPageProps) {
  const go = useGo();
  const { data, error, refetch } = useQuery({ ...entityQuery(entity), placeholderData: keepPreviousData });
  const events = useQuery(entityEventsQuery(entity));
  const byUrl = useQuery({ ...eventQuery(eventUid ?? ""), enabled: !!eventUid });
  const place = placeOf(data, entity, events.data?.items);
  return (
    <div className="grid gap-2.5 p-2.5" data-testid="entity-page">
      <header className="rounded-lg border bg-panel p-4">
        <div className="flex flex-wrap items-center gap-x-5 gap-y-3">
          <div className="flex min-w-0 flex-1 basis-64 items-center gap-3">
            <span className="flex size-10 shrink-0 items-center justify-center rounded-full bg-raised">
              <EntityIcon kind={entity.kind} className="size-5 text-text2" />
            </span>
            <div className="min-w-0">
              <p className="flex items-center gap-2 text-2xs text-text3">
                {ENTITY_LABEL[entity.kind] ?? entity.kind}
                {place && (
                  <span className="flex items-center gap-1.5">
                    <Country code={place.country} /> {place.city}
                  </span>
                )}
              </p>
              <h2 className="mono text-lg leading-6 font-semibold break-all" data-testid="entity-value">
                {entity.value}
              </h2>
              {data?.first_seen && (
                <p className="text-2xs text-text3">
                  {dateTime(data.first_seen)} to {data.last_seen ? dateTime(data.last_seen) : "now"}
                </p>
              )}
            </div>
          </div>
          {data && (
            <div>
              <p className="text-2xs text-text3">Risk now</p>
              <Risk risk={data.risk} big />
            </div>
          )}
          <div className="flex flex-wrap gap-2">
            <Button variant="primary" onClick={() => go.search({ range: "24h", ...searchOf(entity) })}>
              <TextSearch /> Its events
            </Button>
            <CopyButton text={entity.value} />
          </div>
        </div>
        {data && data.tactics.length > 0 && (
          <div className="mt-4">
            <KillChainWide tactics={data.tactics} />
          </div>
        )}
      </header>
      {error && data === undefined && <Problem error={error} retry={() => void refetch()} />}
      {data === undefined && !error && <Skeleton className="h-48" />}
      {data === null && <p className="rounded-lg border bg-panel px-4 py-3 text-sm text-text2">No alert, signal or incident was ever about it.</p>}
      {data && <Story detail={data} />}
      <Events entity={entity} query={events} openUid={eventUid} onOpen={(event) => onEvent(event.metadata.uid)} />
      <EventSheet event={eventUid ? (events.data?.items.find((e) => e.metadata.uid === eventUid) ?? byUrl.data ?? null) : null} onClose={() => onEvent(undefined)} onPivot={(path, value, not) => go.search({ range: "24h", q: clause(path, value, not) })} />
    </div>
  );
}

function placeOf(data: EntityDetail | null | undefined, entity: Entity, events: readonly OcsfEvent[] | undefined): { country: string; city?: string | undefined } | undefined {
  if (entity.kind === "ip") {
    const location = events?.find((event) => event.src_endpoint?.ip === entity.value && event.src_endpoint.location?.country)?.src_endpoint?.location;
    if (location?.country) return { country: location.country, city: location.city };
  }
  const country = data?.alerts.find((alert) => alert.place)?.place?.[2];
  return country ? { country } : undefined;
}

function Story({ detail }: { detail: EntityDetail }) {
  const [signals, setSignals] = useState(false);
  const quiet = detail.alerts.filter((a) => a.rule.handling?.signal).length;
  const alerts = signals ? detail.alerts : detail.alerts.filter((a) => !a.rule.handling?.signal);
  return (
    <div className="grid gap-2.5 xl:grid-cols-3">
      <Panel title="Risk, 7 days" className="h-64 xl:col-span-1" bodyClassName="flex flex-col">
        {detail.history.length > 0 ? <RiskCurve history={detail.history} /> : <Empty title="No risk in the last 7 days" />}
      </Panel>
      <Panel title="Incidents" aside={detail.incidents.length > 0 && plural(detail.incidents.length, "incident")} className="h-64" bodyClassName="overflow-y-auto px-1.5">
        {detail.incidents.length === 0 ? <Empty title="No incident is about it" /> : <Incidents incidents={detail.incidents} />}
      </Panel>
      <Panel
        title="Alerts"
        className="h-64"
        bodyClassName="overflow-y-auto px-1.5"
        aside={
          quiet > 0 && (
            <button type="button" aria-pressed={signals} className="hover:text-text" onClick={() => setSignals(!signals)}>
              {signals ? "hide" : "show"} {plural(quiet, "signal")}
            </button>
          )
        }
      >
        {alerts.length === 0 ? <Empty title="No alert is about it" /> : <Alerts alerts={alerts} />}
      </Panel>
    </div>
  );
}

const row = "grid w-full grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-2.5 rounded-md px-2 py-1 text-left hover:bg-raised";

function Incidents({ incidents }: { incidents: readonly Incident[] }) {
  const go = useGo();
  const now = useNow();
  return (
    <ol>
      {incidents.map((incident) => (
        <li key={incident.id}>
          <button type="button" className={row} onClick={() => go.incidents({ state: "all", id: incident.id })}>
            <SeverityMark severity={incident.severity} />
            <span className="truncate text-sm font-medium">{incident.title}</span>
            <time dateTime={incident.last_seen} title={dateTime(incident.last_seen)} className="text-2xs text-text3">
              {ago(incident.last_seen, now)}
            </time>
            <span className="col-start-2 flex items-center gap-2 text-2xs text-text3">
              <KillChain tactics={incident.tactics} />
              <span className="truncate">{plural(incident.alert_count, "alert")}</span>
              {incident.state !== "open" && <Chip className="h-4">{incident.state}</Chip>}
            </span>
            <Risk risk={incident.risk} />
          </button>
        </li>
      ))}
    </ol>
  );
}

function Alerts({ alerts }: { alerts: readonly Alert[] }) {
  const go = useGo();
  const now = useNow();
  return (
    <ol>
      {alerts.map((alert) => (
        <li key={alert.id}>
          <button type="button" className={cn(row, alert.rule.handling?.signal && "text-text2")} onClick={() => go.alerts({ state: "all", id: alert.id, signals: alert.rule.handling?.signal ? "1" : undefined })}>
            <SeverityMark severity={alert.severity} />
            <span className="truncate text-sm font-medium">{alert.rule.name}</span>
            <time dateTime={alert.last_seen} title={dateTime(alert.last_seen)} className="text-2xs text-text3">
              {ago(alert.last_seen, now)}
            </time>
            <span className="col-start-2 truncate text-xs text-text3">{alert.summary}</span>
            <span className="text-right text-2xs text-text3">{alert.rule.handling?.signal ? "signal" : alert.state === "open" ? "" : alert.state}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

interface EventsProps {
  entity: Entity;
  query: { data?: { items: OcsfEvent[] } | undefined; error: Error | null; refetch: () => unknown; isPending: boolean };
  openUid: string | undefined;
  onOpen: (event: OcsfEvent) => void;
}

function Events({ entity, query, openUid, onOpen }: EventsProps) {
  const go = useGo();
  const scroller = useRef<HTMLDivElement>(null);
  const events = query.data?.items;
  const rows = useMemo(() => (events ?? []).map((event, i) => ({ key: `${event.metadata.uid}-${i}`, kind: "event" as const, event })), [events]);
  return (
    <Panel title="Recent events" className="h-96" bodyClassName="overflow-hidden px-0 pb-0" aside={<button type="button" className="hover:text-text" onClick={() => go.search({ range: "7d", ...searchOf(entity) })}>All of 7 days →</button>}>
      <div ref={scroller} className="h-full overflow-y-auto border-t">
        {query.error && !events && (
          <div className="p-3">
            <Problem error={query.error} retry={() => void query.refetch()} />
          </div>
        )}
        {query.isPending && <Skeleton className="m-3 h-24" />}
        {events?.length === 0 && <Empty title="No event of the last 7 days names it" />}
        {rows.length > 0 && <EventTable rows={rows} scroller={scroller} onPivot={(path, value, not) => go.search({ range: "7d", q: withClause(searchOf(entity).q, path, value, not) })} onOpen={onOpen} openUid={openUid} dates />}
      </div>
    </Panel>
  );
}
