import { Chip, Country } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Section } from "@/components/ui/section";
import { SeverityMark } from "@/components/ui/severity";
import { tacticName } from "@/lib/attack";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { plural } from "@/lib/number";
import { severityVar } from "@/lib/severity";
import { clock, dateTime, span } from "@/lib/time";
import type { Alert } from "@/lib/types";
import { useState } from "react";

/** Entries that are drawn before the reader asks for more. */
const SHOWN_MAX = 200;

const isSignal = (alert: Alert): boolean => !!alert.rule.handling?.signal;

/** Its alerts and signals in the order in which they began, with the pauses between them. */
export function Timeline({ alerts, total }: { alerts: readonly Alert[]; total: number }) {
  const [withSignals, setWithSignals] = useState(true);
  const signals = alerts.filter(isSignal).length;
  const [most, setMost] = useState(SHOWN_MAX);
  const wanted = withSignals ? alerts : alerts.filter((alert) => !isSignal(alert));
  const shown = wanted.slice(0, most);
  return (
    <Section
      title="What happened"
      aside={
        <>
          {plural(alerts.length - signals, "alert")}, oldest first{alerts.length < total && `; ${alerts.length} of ${total} are held`}
          {signals > 0 && (
            <button type="button" aria-pressed={withSignals} onClick={() => setWithSignals(!withSignals)} className="ml-2 underline decoration-line2 underline-offset-2 hover:text-text">
              {withSignals ? `hide ${plural(signals, "signal")}` : `show ${plural(signals, "signal")}`}
            </button>
          )}
        </>
      }
    >
      {shown.length === 0 ? (
        <p className="text-xs text-text3">{alerts.length === 0 ? "Its alerts are no longer held." : "It is made of signals alone."}</p>
      ) : (
        <ol data-testid="incident-timeline">
          {shown.map((alert, i) => (
            <Entry key={alert.id} alert={alert} before={shown[i - 1]} />
          ))}
        </ol>
      )}
      {wanted.length > most && (
        <Button size="sm" className="mt-2 ml-22" onClick={() => setMost(most + SHOWN_MAX)}>
          Show more: {wanted.length - most} are left
        </Button>
      )}
    </Section>
  );
}

/** A pause worth telling. */
const PAUSE_SECS_MIN = 60;

function Entry({ alert, before }: { alert: Alert; before: Alert | undefined }) {
  const go = useGo();
  const signal = isSignal(alert);
  const pause = before ? (Date.parse(alert.first_seen) - Date.parse(before.first_seen)) / 1000 : 0;
  const newDay = !before || dateTime(before.first_seen).slice(0, 10) !== dateTime(alert.first_seen).slice(0, 10);
  return (
    <li>
      {newDay && <p className="py-1 pl-22 text-2xs font-medium text-text3">{dateTime(alert.first_seen).slice(0, 10)}</p>}
      {!newDay && pause >= PAUSE_SECS_MIN && (
        <p className="relative py-0.5 pl-22 text-2xs text-text3 before:absolute before:inset-y-0 before:left-[4.6rem] before:border-l before:border-dashed before:border-line2">{span(pause)} later</p>
      )}
      <div className="relative grid grid-cols-[4.2rem_1rem_minmax(0,1fr)] gap-x-2 before:absolute before:inset-y-0 before:left-[4.6rem] before:w-px before:bg-line2">
        <time dateTime={alert.first_seen} title={dateTime(alert.first_seen)} className="mono pt-2 text-right text-xs text-text3">
          {clock(alert.first_seen)}
        </time>
        <span className="relative flex justify-center">
          <span className="mt-2 flex h-4 items-center justify-center rounded-full bg-panel">
            {signal ? <span className="size-2 rounded-full border border-text3 bg-panel" role="img" aria-label="Signal" /> : <SeverityMark severity={alert.severity} className="size-3.5" />}
          </span>
        </span>
        <button
          type="button"
          onClick={() => go.alerts({ state: "all", id: alert.id, signals: signal ? "1" : undefined })}
          className={cn("mb-1 min-w-0 rounded-md border px-3 py-1.5 text-left hover:border-text3", signal ? "border-transparent" : "bg-bg")}
          style={signal ? undefined : { borderLeft: `3px solid ${severityVar(alert.severity)}` }}
        >
          <span className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
            <span className={cn("min-w-0 truncate", signal ? "text-xs text-text2" : "text-sm font-medium")}>{alert.rule.name}</span>
            {signal && <Chip className="h-4">signal</Chip>}
            {alert.finding_count > 1 && <span className="text-2xs text-text3">× {alert.finding_count}</span>}
            <span className="ml-auto flex items-center gap-2 text-2xs text-text3">
              {alert.rule.tactics.map(tacticName).join(", ")}
              <Country code={alert.place?.[2]} />
              {alert.state !== "open" && <Chip className="h-4">{alert.state}</Chip>}
            </span>
          </span>
          <span className={cn("block break-words text-text2", signal ? "truncate text-2xs text-text3" : "text-xs")}>{alert.summary}</span>
        </button>
      </div>
    </li>
  );
}
