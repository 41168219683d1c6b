import { EntityLink } from "@/components/entity";
import { WhyTable } from "@/components/finding";
import { Section } from "@/components/ui/section";
import { SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { compact, exact, plural } from "@/lib/number";
import { dateTime, span } from "@/lib/time";
import type { Finding, Replay } from "@/lib/types";
import { TriangleAlert } from "lucide-react";
import { lazy, Suspense, useState, type ReactNode } from "react";
import { change } from "../match";

const TimeChart = lazy(() => import("@/components/ui/time-chart").then((m) => ({ default: m.TimeChart })));
const DAY_SECS = 86_400;

interface ReplayResultProps {
  result: Replay;
  /** The same period with the rule as it is. */
  before: Replay | undefined;
  /** The text was changed since. */
  stale: boolean;
}

/** How loud a rule would have been, about whom, and for what. */
export function ReplayResult({ result, before, stale }: ReplayResultProps) {
  return (
    <div className={cn("grid grid-cols-1 gap-5", stale && "border-l-2 border-sev-medium pl-3")} data-testid="replay-result">
      <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-text3">
        <span>Nothing was stored and nobody was told.</span>
        {stale && <b className="font-medium text-sev-medium">The text was changed since; replay again.</b>}
      </p>
      {result.truncated && (
        <p role="status" className="flex gap-2 rounded-md border border-sev-medium/50 bg-sev-medium/10 px-3 py-2 text-xs text-text2">
          <TriangleAlert className="mt-0.5 size-3.5 shrink-0 text-sev-medium" />
          It stopped before the end of the period: there was more than one replay reads. The numbers are those of what was read; choose a shorter period for the whole.
        </p>
      )}
      {(result.notes ?? []).length > 0 && (
        <ul className="list-inside list-disc text-xs text-text2">
          {result.notes?.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      <dl className="grid grid-cols-2 gap-2.5 sm:grid-cols-4">
        <Number name="Alerts" value={result.alerts} before={before?.alerts} strong />
        <Number name="Matches" value={result.matches} before={before?.matches} />
        <Number name="Events read" value={result.events} />
        <Number name="Took" text={span(result.secs)} />
      </dl>
      {result.matches === 0 ? (
        <p className="text-sm text-text2">{result.events === 0 ? "There is no event in this period." : `It would not have fired: none of ${exact(result.events)} events matched.`}</p>
      ) : (
        <>
          <PerDay days={result.per_day} />
          <Entities entities={result.entities} />
          <Samples samples={result.samples} matches={result.matches} />
        </>
      )}
    </div>
  );
}

function Number({ name, value, text, before, strong = false }: { name: string; value?: number; text?: ReactNode; before?: number | undefined; strong?: boolean }) {
  return (
    <div className="rounded-md border bg-bg px-3 py-2">
      <dt className="text-2xs text-text3">{name}</dt>
      <dd className={cn("font-semibold tracking-tight", strong ? "text-2xl" : "text-lg")} title={value === undefined ? undefined : exact(value)}>
        {value === undefined ? text : compact(value)}
      </dd>
      {value !== undefined && before !== undefined && <dd className={cn("text-2xs", value > before ? "text-sev-high" : value < before ? "text-ok" : "text-text3")}>{change(value, before)}</dd>}
    </div>
  );
}

const round = (n: number) => (n < 10 ? n.toFixed(1) : exact(n));

function PerDay({ days }: { days: Replay["per_day"] }) {
  const [index, setIndex] = useState<number | null>(null);
  const hovered = index === null ? undefined : days[index];
  const busiest = days.reduce((best, day) => Math.max(best, day.alerts), 0);
  const perDay = days.reduce((sum, day) => sum + day.alerts, 0) / Math.max(1, days.length);
  return (
    <Section title="A day" aside={hovered ? `${hovered.day.slice(0, 10)}: ${plural(hovered.alerts, "alert")}, ${plural(hovered.findings, "finding")}, ${plural(hovered.events, "event")}` : `${round(perDay)} alerts on average, ${exact(busiest)} at most`}>
      {days.length > 1 ? (
        <div className="flex h-36 flex-col">
          <Suspense fallback={null}>
            <TimeChart
              starts={days.map((day) => Date.parse(day.day) / 1000)}
              bucketSecs={DAY_SECS}
              kind="bars"
              days
              label={`Alerts a day, at most ${exact(busiest)}`}
              className="flex-1"
              onHover={setIndex}
              layers={[
                { label: "Alerts", color: "var(--sev-high)", values: days.map((day) => day.alerts) },
                { label: "Further findings", color: "var(--traffic)", values: days.map((day) => Math.max(0, day.findings - day.alerts)) },
              ]}
            />
          </Suspense>
          <p className="flex gap-4 text-2xs text-text3">
            <span className="flex items-center gap-1.5">
              <span className="size-2 rounded-sm bg-sev-high" /> alerts
            </span>
            <span className="flex items-center gap-1.5">
              <span className="size-2 rounded-sm bg-[var(--traffic)]" /> further findings of the same alerts
            </span>
          </p>
        </div>
      ) : (
        <p className="text-xs text-text3">The period is a single day.</p>
      )}
    </Section>
  );
}

function Entities({ entities }: { entities: Replay["entities"] }) {
  const most = Math.max(1, ...entities.map((one) => one.count));
  if (entities.length === 0) return null;
  return (
    <Section title="About whom" aside="most findings first">
      <ol className="grid gap-1">
        {entities.map(({ entity, count }) => (
          <li key={`${entity.kind} ${entity.value}`} className="grid grid-cols-[minmax(0,14rem)_minmax(0,1fr)_3rem] items-center gap-3 text-xs">
            <EntityLink entity={entity} />
            <span className="h-1.5 overflow-hidden rounded bg-raised">
              <span className="block h-full rounded bg-[var(--traffic)]" style={{ width: `${(100 * count) / most}%` }} />
            </span>
            <span className="text-right font-semibold">{compact(count)}</span>
          </li>
        ))}
      </ol>
    </Section>
  );
}

function Samples({ samples, matches }: { samples: readonly Finding[]; matches: number }) {
  const [openId, setOpenId] = useState<string | null>(null);
  if (samples.length === 0) return null;
  return (
    <Section title="Findings" aside={samples.length < matches ? `the first ${samples.length} of ${exact(matches)}` : undefined}>
      <ul className="rounded-md border" data-testid="replay-samples">
        {samples.map((finding) => (
          <li key={finding.id} className="border-b last:border-0">
            <button type="button" aria-expanded={openId === finding.id} onClick={() => setOpenId(openId === finding.id ? null : finding.id)} className="flex w-full items-baseline gap-3 px-3 py-1.5 text-left text-xs hover:bg-raised">
              <SeverityMark severity={finding.level} className="size-2.5" />
              <time dateTime={finding.time} className="mono shrink-0 text-text3">
                {dateTime(finding.time).slice(5)}
              </time>
              <span className="min-w-0 flex-1 truncate text-text2">{finding.explanation.summary}</span>
              <span className="shrink-0 text-text3">{plural(finding.event_count, "event")}</span>
            </button>
            {openId === finding.id && (
              <div className="px-3 pb-3">
                <WhyTable finding={finding} />
              </div>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}
