import { Chip, Country, Empty, Problem, Skeleton, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Panel } from "@/components/ui/panel";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { compact, exact } from "@/lib/number";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { clock, dateTime } from "@/lib/time";
import type { OcsfEvent } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Ban, CircleCheck, Eye } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { agentsQuery, INSPECTED, kindsOverTimeQuery, RANGES, verdictOf, verdictsQuery, type RangeName, type Verdict } from "../api";
import { kindName, layersOf } from "../kinds";
import { FalsePositive } from "./false-positive";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));

export function Verdicts({ range, onView }: { range: RangeName; onView: (view: "agents") => void }) {
  const verdicts = useQuery(verdictsQuery(range));
  const { data: agents } = useQuery(agentsQuery);
  if (verdicts.error && !verdicts.data) return <div className="p-3"><Problem error={verdicts.error} retry={() => void verdicts.refetch()} /></div>;
  if (!verdicts.data) return <Skeleton className="m-3 h-64" />;
  if (verdicts.data.items.length === 0)
    return (
      <Empty title={agents?.items.length ? "No attack within this period" : "No application is protected yet"} className="py-24" testId="web-empty">
        {agents?.items.length ? (
          "Requests that nothing is found in are counted by their agents and leave no event."
        ) : (
          <div className="grid justify-items-center gap-3">
            <p>An agent inside a Python or Java application, a proxy or any program asks whether a request is an attack. Try it from here:</p>
            <Snippet className="w-full" text={`curl -H "Authorization: Bearer $ERNE_KEY" ${location.origin}/api/v1/inspect -d '{"method":"GET","uri":"/items?id=1%27%20OR%201=1--","headers":[["host","shop.example"]],"client_ip":"203.0.113.7"}'`} />
            <Button variant="primary" onClick={() => onView("agents")}>Make an agent</Button>
          </div>
        )}
      </Empty>
    );
  const fields = new Map(verdicts.data.fields?.map((f) => [f.field, f]));
  const total = verdicts.data.total.value;
  const blocked = fields.get("status_detail")?.values.find((v) => v.value === "blocked")?.count ?? 0;
  const online = agents?.items.reduce((sum, a) => sum + a.instances_online, 0) ?? 0;
  const asked = agents?.items.reduce((sum, a) => sum + a.counters.requests, 0) ?? 0;
  return (
    <div className="grid grid-cols-1 gap-2.5 p-2.5 lg:grid-cols-12">
      <dl className="grid grid-cols-2 gap-2.5 md:grid-cols-4 lg:col-span-12">
        <Card name="Requests with findings" value={exact(total)} about={`within ${range}`} />
        <Card name="Blocked" value={exact(blocked)} about={total > 0 ? `${Math.round((100 * blocked) / total)} % of them` : ""} tone={blocked > 0 ? "text-ok" : ""} />
        <Card name="Requests asked about" value={compact(asked)} about="since the agents' starts" />
        <Card name="Instances online" value={exact(online)} about={`of ${exact(agents?.items.reduce((sum, a) => sum + a.instances, 0) ?? 0)}`} tone={online === 0 && (agents?.items.length ?? 0) > 0 ? "text-sev-high" : ""} />
      </dl>
      <Kinds range={range} className="h-72 lg:col-span-6" />
      <Top title="Attacked paths" path="http_request.url.path" values={fields.get("http_request.url.path")?.values} className="h-72 lg:col-span-3" />
      <Top title="From" path="src_endpoint.ip" values={fields.get("src_endpoint.ip")?.values} className="h-72 lg:col-span-3" />
      <Panel title="Verdicts" aside="newest first" className="lg:col-span-12" bodyClassName="px-0 pb-0">
        <ul className="divide-y border-t" aria-label="Verdicts">
          {verdicts.data.items.map((event) => (
            <Row key={event.metadata.uid} event={event} />
          ))}
        </ul>
      </Panel>
    </div>
  );
}

const Card = ({ name, value, about, tone = "" }: { name: string; value: string; about: string; tone?: string }) => (
  <div className="rounded-lg border bg-panel px-3 py-2">
    <dt className="text-xs text-text3">{name}</dt>
    <dd className="flex items-baseline gap-2">
      <span className={cn("text-2xl font-semibold", tone)}>{value}</span>
      <span className="text-2xs text-text3">{about}</span>
    </dd>
  </div>
);

function Kinds({ range, className }: { range: RangeName; className?: string }) {
  const go = useGo();
  const { data, error } = useQuery(kindsOverTimeQuery(range));
  const { bucket, secs } = RANGES[range];
  const { starts, layers } = layersOf(data?.rows ?? [], data?.from ?? new Date(0).toISOString(), secs, bucket);
  const brush = (from: number, to: number) => go.search({ q: INSPECTED, from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString() });
  return (
    <Panel title="Kinds of attack" className={className} bodyClassName="flex flex-col">
      {error && !data ? (
        <Problem error={error} />
      ) : (
        <>
          <div className="mb-1 flex flex-wrap gap-x-3 gap-y-0.5 text-xs text-text2">
            {layers.map((layer) => (
              <span key={layer.label} className="flex items-center gap-1.5">
                <span className="size-2 rounded-sm" style={{ background: layer.color }} /> {layer.label} <b className="font-semibold text-text">{compact(layer.values.reduce((a, b) => a + b, 0))}</b>
              </span>
            ))}
          </div>
          <Suspense fallback={null}>
            <TimeChart kind="bars" label="Findings over time by kind of attack" starts={starts} bucketSecs={bucket} layers={layers} days={range === "7d"} onBrush={brush} className="flex-1" />
          </Suspense>
        </>
      )}
    </Panel>
  );
}

function Top({ title, path, values, className }: { title: string; path: string; values: { value: string | number | boolean; count: number }[] | undefined; className?: string }) {
  const go = useGo();
  const most = Math.max(1, ...(values ?? []).map((v) => v.count));
  return (
    <Panel title={title} className={className} bodyClassName="overflow-y-auto">
      <ol className="space-y-px">
        {values?.slice(0, 10).map(({ value, count }) => ({ value: String(value), count })).map(({ value, count }) => (
          <li key={value}>
            {/* oxlint-disable-next-line jsx-a11y/control-has-associated-label -- the value and its count are its text */}
            <button type="button" title={`${value}: ${exact(count)} times`} className="block w-full rounded px-1.5 py-[2px] text-left hover:bg-raised" onClick={() => (path === "src_endpoint.ip" ? go.entity({ kind: "ip", value }) : go.search({ q: `${INSPECTED} AND ${path}:${JSON.stringify(value)}` }))}>
              <span className="flex items-center gap-2 leading-4">
                <span className="mono min-w-0 flex-1 truncate text-xs">{value}</span>
                <span className="text-xs font-semibold">{compact(count)}</span>
              </span>
              <span className="mt-0.5 block h-[3px] rounded bg-sev-high" style={{ width: `${(100 * count) / most}%` }} />
            </button>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Row({ event }: { event: OcsfEvent }) {
  const [open, setOpen] = useState(false);
  const verdict = verdictOf(event);
  const country = event.src_endpoint?.location?.country;
  return (
    <li data-testid="verdict">
      <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="grid w-full grid-cols-[4.5rem_5.5rem_minmax(0,1fr)] items-center gap-x-3 px-3 py-1.5 text-left hover:bg-raised md:grid-cols-[4.5rem_5.5rem_9rem_minmax(0,1fr)_auto]">
        <time className="mono text-xs text-text3" dateTime={event.time} title={dateTime(event.time)}>{clock(event.time)}</time>
        <Outcome verdict={verdict} />
        <span className="mono hidden min-w-0 items-center gap-1.5 truncate text-xs md:flex">{verdict?.client_ip ?? event.src_endpoint?.ip ?? "–"} <Country code={country} /></span>
        <span className="mono min-w-0 truncate text-xs">
          <span className="text-text3">{verdict?.request.method} </span>
          {verdict?.request.uri ?? event.message}
        </span>
        <span className="hidden gap-1 md:flex">{verdict?.classes.slice(0, 3).map((kind) => <Chip key={kind}>{kindName(kind)}</Chip>)}</span>
      </button>
      {open && (verdict ? <Details event={event} verdict={verdict} /> : <p className="px-3 pb-2 text-xs text-text3">The text of this event cannot be read as a verdict.</p>)}
    </li>
  );
}

function Outcome({ verdict }: { verdict: Verdict | null }) {
  if (!verdict) return <span className="text-xs text-text3">unreadable</span>;
  if (verdict.blocked) return <span className="flex items-center gap-1.5 text-xs text-ok"><Ban className="size-3.5" /> blocked</span>;
  if (verdict.verdict === "attack") return <span className="flex items-center gap-1.5 text-xs text-sev-high"><Eye className="size-3.5" /> let through</span>;
  return <span className="flex items-center gap-1.5 text-xs text-text3"><CircleCheck className="size-3.5" /> allowed</span>;
}

function Details({ event, verdict }: { event: OcsfEvent; verdict: Verdict }) {
  const go = useGo();
  const [excluding, setExcluding] = useState(false);
  const isAdmin = may(useStore(session), "admin");
  return (
    <div className="grid gap-3 border-t bg-bg px-3 py-3">
      <ul className="grid gap-2">
        {verdict.findings.map((found, i) => (
          <li key={`${found.location}${found.class}${i}`} className="rounded-md border bg-panel p-2.5">
            <p className="flex flex-wrap items-center gap-2 text-xs">
              <b className="font-semibold">{kindName(found.class)}</b>
              <span className="text-text2">{found.why}</span>
              <span className="ml-auto flex gap-1">
                <Chip title="How sure the analyser is">{Math.round(found.score * 100)} %</Chip>
                {found.cwe && <Chip>{found.cwe}</Chip>}
                {found.technique && <Chip>{found.technique}</Chip>}
              </span>
            </p>
            <p className="mt-1.5 flex flex-wrap items-baseline gap-x-2 text-xs">
              <span className="mono text-text3">{found.location}</span>
              {found.chain.length > 0 && <span className="text-2xs text-text3">decoded: {found.chain.join(" → ")}</span>}
            </p>
            <pre className="mono mt-1 overflow-x-auto rounded bg-raised px-2 py-1 text-xs whitespace-pre-wrap break-all">{found.value}</pre>
          </li>
        ))}
        {verdict.findings.length === 0 && <li className="text-xs text-text3">No finding: {verdict.blocked ? "the address is banned, or the rate was exceeded." : "only departures from policy."}</li>}
      </ul>
      {verdict.truncated && <p className="text-xs text-sev-medium">Not looked at: {verdict.truncated.join("; ")}</p>}
      {verdict.policy && <p className="text-xs text-text2">Policy, never an attack by itself: {verdict.policy.join("; ")}</p>}
      <div className="flex flex-wrap items-center gap-2 text-xs text-text3">
        <span>
          {verdict.agent.application || "no application"} · agent {verdict.agent.name || "–"} · {verdict.mode} · {verdict.response ? `answered ${verdict.response.status}` : "answer unknown"} · {exact(verdict.latency_us)} µs
        </span>
        <span className="ml-auto flex gap-2">
          {isAdmin && verdict.findings.length > 0 && <Button size="sm" onClick={() => setExcluding(true)}>False positive…</Button>}
          <Button size="sm" onClick={() => go.search({ q: `metadata.uid:${JSON.stringify(event.metadata.uid)}`, event: event.metadata.uid })}>Open the event</Button>
        </span>
      </div>
      {excluding && <FalsePositive verdict={verdict} onClose={() => setExcluding(false)} />}
    </div>
  );
}
