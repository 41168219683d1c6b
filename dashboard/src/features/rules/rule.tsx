import { ExceptionDialog } from "@/components/exception-dialog";
import { Chip, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Panel } from "@/components/ui/panel";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { Where } from "@/components/where";
import { tacticName } from "@/lib/attack";
import { exceptionsQuery, isExpired } from "@/lib/exceptions";
import { useGo, type RuleSearch } from "@/lib/go";
import { plural } from "@/lib/number";
import { overviewQuery, rulesQuery } from "@/lib/queries";
import { clause } from "@/lib/query/edit";
import { may, session } from "@/lib/session";
import { severityVar } from "@/lib/severity";
import { useStore } from "@/lib/store";
import { ago, dateTime, span } from "@/lib/time";
import type { Rule, RuleDetail } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { useQuery } from "@tanstack/react-query";
import { ArrowLeft, CircleCheck, CircleSlash, ExternalLink, FlaskConical, ShieldOff } from "lucide-react";
import { lazy, Suspense, useState, type ReactNode } from "react";
import { ruleAlertsQuery, ruleQuery } from "./api";
import { RuleEditor } from "./components/rule-editor";
import { attackUrl, correlationFacts, duration } from "./match";
import { KIND_LABEL } from "./page";

const CodeEditor = lazy(() => import("@/components/ui/code-editor"));

interface RulePageProps {
  id: string;
  search: RuleSearch;
  onSearch: (change: RuleSearch, replace?: boolean) => void;
}

/** One rule: its text, whether it can match at all, what it found, and a place to try a change. */
export function RulePage({ id, search, onSearch }: RulePageProps) {
  const go = useGo();
  const { data, error, refetch } = useQuery(ruleQuery(id));
  if (error && !data)
    return (
      <div className="mx-auto grid max-w-2xl gap-3 p-4">
        <Problem error={error} retry={() => void refetch()} />
        <Button className="justify-self-start" onClick={() => go.rules({})}>
          <ArrowLeft /> All rules
        </Button>
      </div>
    );
  if (!data) return <Skeleton className="m-3 h-64" />;
  const trying = search.view === "try" && data.text !== "";
  return (
    <div className="flex min-h-full flex-col xl:h-full" data-testid="rule-page">
      <Head rule={data.rule} trying={trying} hasText={data.text !== ""} onSearch={onSearch} />
      {trying ? <RuleEditor key={id} original={data.text} rule={data.rule} search={search} onSearch={onSearch} /> : <Reading detail={data} />}
    </div>
  );
}

function Head({ rule, trying, hasText, onSearch }: { rule: Rule; trying: boolean; hasText: boolean; onSearch: RulePageProps["onSearch"] }) {
  const go = useGo();
  const [excepting, setExcepting] = useState(false);
  const mayChange = may(useStore(session), "analyst");
  return (
    <header className="border-b border-l-4 bg-panel px-4 py-3" style={{ borderLeftColor: severityVar(rule.level) }}>
      <div className="flex flex-wrap items-center gap-2">
        <Button size="iconSm" variant="ghost" aria-label="All rules" onClick={() => go.rules({})}>
          <ArrowLeft />
        </Button>
        <SeverityBadge severity={rule.level} />
        <Chip>{KIND_LABEL[rule.kind] ?? rule.kind}</Chip>
        {rule.handling?.signal && <Chip title="Feeds incidents and risk scores, and pages nobody">signal</Chip>}
        <span className="ml-auto flex flex-wrap gap-2">
          <Button size="sm" onClick={() => go.alerts({ state: "all", q: rule.name, signals: rule.handling?.signal ? "1" : undefined })}>
            Its alerts
          </Button>
          {(rule.kind === "sigma" || rule.kind === "intel") && (
            <Button size="sm" onClick={() => go.search({ range: "24h", q: clause("finding_info.rules", rule.id) })}>
              Events it matched
            </Button>
          )}
          {mayChange && (
            <Button size="sm" onClick={() => setExcepting(true)}>
              <ShieldOff /> Make an exception
            </Button>
          )}
          {trying ? (
            <Button size="sm" onClick={() => onSearch({ view: undefined }, false)}>
              Back to the rule
            </Button>
          ) : (
            hasText && (
              <Button size="sm" variant="primary" onClick={() => onSearch({ view: "try" }, false)}>
                <FlaskConical /> Try a change
              </Button>
            )
          )}
        </span>
      </div>
      <h2 className="mt-2 text-lg leading-6 font-semibold break-words">{rule.name}</h2>
      {!trying && rule.description && <p className="mt-1 max-w-4xl text-sm whitespace-pre-line text-text2">{rule.description}</p>}
      <ExceptionDialog open={excepting} onClose={() => setExcepting(false)} rule={rule} candidates={[]} />
    </header>
  );
}

function Reading({ detail }: { detail: RuleDetail }) {
  const { rule, text } = detail;
  return (
    <div className="grid flex-1 gap-2.5 p-2.5 xl:min-h-0 xl:grid-cols-[minmax(0,1.35fr)_minmax(0,1fr)]">
      <Panel title="Text" className="min-h-96 xl:min-h-0" bodyClassName="p-0 overflow-hidden" aside={<span className="mono truncate text-2xs">{rule.file}</span>}>
        {text ? (
          <Suspense fallback={<Skeleton className="m-3 h-40" />}>
            <CodeEditor value={text} label={`Text of the rule ${rule.name}`} className="h-full overflow-hidden rounded-b-lg border-t" />
          </Suspense>
        ) : (
          <p className="p-3 text-xs text-text3">It is made from {rule.file || "a list"}, and has no text of its own.</p>
        )}
      </Panel>
      <div className="grid content-start gap-2.5 xl:overflow-y-auto">
        <CanMatch detail={detail} />
        <Needs detail={detail} />
        <Recent rule={rule} />
        <RuleExceptions rule={rule} />
        <About rule={rule} />
      </div>
    </div>
  );
}

function CanMatch({ detail }: { detail: RuleDetail }) {
  return (
    <section data-testid="can-match" className={detail.can_match ? "flex gap-3 rounded-lg border border-ok/40 bg-ok/8 p-3" : "flex gap-3 rounded-lg border border-sev-medium/40 bg-sev-medium/8 p-3"}>
      {detail.can_match ? <CircleCheck className="size-5 shrink-0 text-ok" /> : <CircleSlash className="size-5 shrink-0 text-sev-medium" />}
      <div className="min-w-0">
        <h3 className="text-sm font-semibold">{detail.can_match ? "It can match" : "Nothing that Erne reads can match it"}</h3>
        <p className="text-xs break-words text-text2">{detail.why}</p>
      </div>
    </section>
  );
}

const Line = ({ name, children }: { name: string; children: ReactNode }) => (
  <div className="grid grid-cols-[7rem_minmax(0,1fr)] gap-2 py-1 text-xs">
    <dt className="text-text3">{name}</dt>
    <dd className="min-w-0 break-words text-text2">{children}</dd>
  </div>
);

function Needs({ detail }: { detail: RuleDetail }) {
  const [product, category, service] = detail.log_source;
  const { handling } = detail.rule;
  const source = [product && `product ${product}`, category && `category ${category}`, service && `service ${service}`].filter(Boolean).join(", ");
  return (
    <Panel title="What it needs">
      <dl>
        <Line name="Log source">{source || (detail.correlation ? "that of its rules" : "any")}</Line>
        {detail.fields.length > 0 && (
          <Line name="Fields">
            <span className="flex flex-wrap gap-1">
              {detail.fields.map((field) => (
                <Chip key={field} className={detail.absent?.includes(field) ? "mono border-sev-medium/60 text-sev-medium" : "mono"} title={detail.absent?.includes(field) ? "No event of its log source has this field" : "Events have this field"}>
                  {field}
                  {detail.absent?.includes(field) && <span className="font-sans"> is never there</span>}
                </Chip>
              ))}
            </span>
          </Line>
        )}
        {detail.correlation && <CorrelationLines correlation={detail.correlation} />}
        {handling && (
          <Line name="Handling">
            {handling.signal ? "a signal: no alert of its own" : `findings about one entity within ${duration(handling.dedup_secs)} are one alert; at most ${plural(handling.alerts_per_hour, "new alert")} an hour`}
          </Line>
        )}
      </dl>
    </Panel>
  );
}

function CorrelationLines({ correlation }: { correlation: NonNullable<RuleDetail["correlation"]> }) {
  const go = useGo();
  const { data: rules } = useQuery(rulesQuery);
  return (
    <>
      {correlation.rules && correlation.rules.length > 0 && (
        <Line name="Over the rules">
          <span className="grid justify-items-start gap-1">
            {correlation.rules.map((id) => (
              <button key={id} type="button" className="text-left underline decoration-line2 underline-offset-2 hover:decoration-accent" onClick={() => go.rule(id)}>
                {rules?.items.find((rule) => rule.id === id)?.name ?? <span className="mono">{id}</span>}
              </button>
            ))}
          </span>
        </Line>
      )}
      {correlationFacts(correlation).map(([name, value]) => (
        <Line key={name} name={name}>
          <span className="mono">{value}</span>
        </Line>
      ))}
    </>
  );
}

function Recent({ rule }: { rule: Rule }) {
  const go = useGo();
  const now = useNow();
  const { data, error } = useQuery(ruleAlertsQuery(rule.id, rule.name));
  const { data: overview } = useQuery(overviewQuery);
  const hits = overview?.top_rules.find(([id]) => id === rule.id)?.[3];
  return (
    <Panel title="Recent alerts" aside={hits !== undefined && `${plural(hits, "finding")} in 24 h`} bodyClassName="px-1.5">
      {error && !data && <Problem error={error} />}
      {data?.length === 0 && <p className="px-1.5 text-xs text-text3">None.</p>}
      <ol>
        {data?.map((alert) => (
          <li key={alert.id}>
            <button type="button" className="grid w-full grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-2.5 rounded-md px-2 py-1 text-left text-xs hover:bg-raised" onClick={() => go.alerts({ state: "all", id: alert.id, signals: rule.handling?.signal ? "1" : undefined })}>
              <SeverityMark severity={alert.severity} />
              <span className="truncate text-text2">{alert.summary}</span>
              <time dateTime={alert.last_seen} title={dateTime(alert.last_seen)} className="text-2xs text-text3">
                {alert.state === "open" ? "" : `${alert.state} · `}
                {ago(alert.last_seen, now)}
              </time>
            </button>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function RuleExceptions({ rule }: { rule: Rule }) {
  const go = useGo();
  const now = useNow(30_000);
  const { data } = useQuery(exceptionsQuery);
  const own = data?.items.filter((one) => (one.rule_id === rule.id || one.rule_id === null) && !isExpired(one, now)) ?? [];
  if (own.length === 0) return null;
  return (
    <Panel title="Exceptions" aside={<button type="button" className="hover:text-text" onClick={go.exceptions}>All →</button>}>
      <ul className="grid gap-2.5">
        {own.map((one) => (
          <li key={one.id} className="grid gap-1">
            <Where where={one.where} />
            <span className="text-2xs text-text3">
              “{one.reason}” · {one.author} · {one.expires_at ? `${span((Date.parse(one.expires_at) - now) / 1000)} left` : "never ends"} · {plural(one.hits, "time")}
              {one.rule_id === null && " · for every rule"}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Links go out only over http: a rule file is somebody's text. */
const isWeb = (text: string): boolean => /^https?:\/\//i.test(text);

const Out = ({ href, children }: { href: string; children: ReactNode }) => (
  <a href={href} target="_blank" rel="noreferrer noopener" className="inline-flex max-w-full items-center gap-1 break-all underline decoration-line2 underline-offset-2 hover:decoration-accent">
    {children}
    <ExternalLink className="size-3 shrink-0 text-text3" aria-label="in a new tab" />
  </a>
);

function About({ rule }: { rule: Rule }) {
  return (
    <Panel title="About">
      <dl>
        {rule.techniques.length > 0 && (
          <Line name="ATT&amp;CK">
            <span className="flex flex-wrap gap-x-3 gap-y-1">
              {rule.techniques.map((technique) => (
                <Out key={technique} href={attackUrl(technique)}>
                  <span className="mono">{technique}</span>
                </Out>
              ))}
            </span>
          </Line>
        )}
        {rule.tactics.length > 0 && <Line name="Tactics">{rule.tactics.map(tacticName).join(", ")}</Line>}
        {rule.false_positives.length > 0 && <Line name="Harmless when">{rule.false_positives.join(" ")}</Line>}
        {rule.references.length > 0 && (
          <Line name="References">
            <span className="grid gap-1">
              {rule.references.map((reference) => (isWeb(reference) ? <Out key={reference} href={reference}>{reference}</Out> : <span key={reference}>{reference}</span>))}
            </span>
          </Line>
        )}
        {rule.author && <Line name="Author">{rule.author}</Line>}
        <Line name="Id">
          <span className="mono break-all">{rule.id}</span>
        </Line>
      </dl>
    </Panel>
  );
}
