import { FindingLabels } from "@/components/finding";
import { Chip, Country, Empty } from "@/components/ui/bits";
import { SeverityMark } from "@/components/ui/severity";
import { tacticName } from "@/lib/attack";
import { cn } from "@/lib/cn";
import { plural } from "@/lib/number";
import { country, fromIp, statusOf, what, who } from "@/lib/ocsf";
import { clock, dateTime } from "@/lib/time";
import type { Finding, OcsfEvent, Rule } from "@/lib/types";
import { Info } from "lucide-react";

const head = "px-2.5 py-1.5 text-left text-2xs font-medium text-text3";
const cell = "px-2.5 py-1.5 align-top";

export function RuleCard({ rule, onOpen }: { rule: Rule; onOpen: () => void }) {
  return (
    <section className="rounded-md border bg-bg p-3">
      <div className="flex flex-wrap items-center gap-1.5">
        <h3 className="text-sm font-semibold">Rule</h3>
        <Chip>{rule.kind}</Chip>
        {rule.handling?.signal && <Chip title="Feeds incidents and risk scores, and pages nobody">signal</Chip>}
        {rule.techniques.map((t) => (
          <Chip key={t} className="mono">
            {t}
          </Chip>
        ))}
        {rule.tactics.map((t) => (
          <span key={t} className="text-2xs text-text3">
            {tacticName(t)}
          </span>
        ))}
        <button type="button" onClick={onOpen} className="ml-auto text-xs text-text3 hover:text-text">
          Open rule →
        </button>
      </div>
      {rule.description && <p className="mt-1.5 text-text2">{rule.description}</p>}
      {rule.false_positives.length > 0 && (
        <div className="mt-2.5 flex gap-2 text-xs text-text2">
          <Info className="mt-0.5 size-3.5 shrink-0 text-sev-low" />
          <div>
            <span className="font-medium text-text">Harmless when: </span>
            {rule.false_positives.join(" ")}
          </div>
        </div>
      )}
      {rule.references.length > 0 && <p className="mono mt-2 text-2xs break-all text-text3">{rule.references.join("  ")}</p>}
      <p className="mt-2 text-2xs text-text3">
        {rule.author && <>by {rule.author} · </>}
        <span className="mono">{rule.file}</span>
      </p>
    </section>
  );
}

/** One line a finding, newest first, on a time rail. */
export function Findings({ findings, chosen, onChoose }: { findings: readonly Finding[]; chosen: string | undefined; onChoose: (id: string) => void }) {
  if (findings.length === 0) return <p className="text-xs text-text3">The findings of this alert are no longer held.</p>;
  return (
    <ol className="max-h-64 overflow-y-auto">
      {findings.map((f) => (
        <li key={f.id} className="relative before:absolute before:inset-y-0 before:left-[0.65rem] before:w-px before:bg-line2 first:before:top-2 last:before:bottom-2">
          <button type="button" aria-pressed={f.id === chosen} onClick={() => onChoose(f.id)} className="flex w-full items-baseline gap-3 rounded-md py-1 pr-2 pl-6 text-left text-xs hover:bg-raised aria-pressed:bg-raised">
            <SeverityMark severity={f.level} className="absolute top-[0.45rem] left-1.5 size-2.5" />
            <time dateTime={f.time} className="mono shrink-0 text-text3">
              {dateTime(f.time).slice(5)}
            </time>
            <span className={cn("min-w-0 flex-1 truncate text-text2", f.status === "withdrawn" && "line-through")}>{f.explanation.summary}</span>
            <FindingLabels finding={f} />
            <span className="shrink-0 text-text3">{plural(f.event_count, "event")}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

export function RelatedEvents({ events, onOpen, openUid }: { events: readonly OcsfEvent[]; onOpen: (event: OcsfEvent) => void; openUid: string | undefined }) {
  if (events.length === 0) return <Empty title="The events are no longer held" className="h-auto py-4" />;
  return (
    <div className="max-h-80 overflow-auto rounded-md border">
      <table className="w-full min-w-[40rem] text-xs" data-testid="related-events">
        <thead className="sticky top-0 bg-raised">
          <tr>
            {["Time", "Who", "From", "What", "Status"].map((name) => (
              <th key={name} scope="col" className={head}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {events.map((e) => (
            <tr key={e.metadata.uid} className={cn("cursor-pointer border-t border-line/60 hover:bg-raised", openUid === e.metadata.uid && "bg-accent-soft")} onClick={() => onOpen(e)}>
              <td className={cn(cell, "mono whitespace-nowrap text-text2")}>
                <button type="button" className="flex items-center gap-2" onClick={() => onOpen(e)} title={`Open the event of ${dateTime(e.time)}`}>
                  <SeverityMark severity={e.severity} className="size-2.5" /> {clock(e.time, true)}
                </button>
              </td>
              <td className={cn(cell, "mono max-w-36 truncate")}>{who(e) ?? "–"}</td>
              <td className={cn(cell, "mono whitespace-nowrap")}>
                {fromIp(e)} <Country code={country(e)} />
              </td>
              <td className={cn(cell, "mono max-w-72 truncate")} title={what(e)}>
                {what(e)}
              </td>
              <td className={cn(cell, "text-text3")}>{statusOf(e)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
