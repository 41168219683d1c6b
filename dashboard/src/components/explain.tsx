import { Chip, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Input } from "@/components/ui/input";
import { SeverityMark } from "@/components/ui/severity";
import { bySelection, choices, explainQuery, verdict } from "@/lib/explain";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { rulesOf } from "@/lib/ocsf";
import { rulesQuery } from "@/lib/queries";
import type { Explained, OcsfEvent, Rule, TraceStep } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Check, CircleCheck, CircleSlash, ShieldOff, X } from "lucide-react";
import { useState } from "react";

interface ExplainProps {
  event: OcsfEvent;
  ruleId: string | null;
  onRule: (id: string | null) => void;
}

/** Why a rule fired for an event, or why it did not. */
export function Explain({ event, ruleId, onRule }: ExplainProps) {
  const { data: rules } = useQuery(rulesQuery);
  const rule = rules?.items.find((one) => one.id === ruleId);
  if (ruleId === null) return <ChooseRule event={event} onRule={onRule} />;
  return (
    <div className="grid gap-3" data-testid="explain">
      <div className="flex items-center gap-2">
        <span className="min-w-0 flex-1 truncate text-sm font-medium">{rule?.name ?? ruleId}</span>
        <Button size="sm" onClick={() => onRule(null)}>
          Another rule
        </Button>
      </div>
      <Answer uid={event.metadata.uid} ruleId={ruleId} rule={rule} />
    </div>
  );
}

function ChooseRule({ event, onRule }: { event: OcsfEvent; onRule: (id: string) => void }) {
  const { data, error } = useQuery(rulesQuery);
  const [text, setText] = useState("");
  const matched = rulesOf(event);
  const list = choices(data?.items ?? [], matched, text);
  return (
    <div className="grid gap-2" data-testid="explain-choose">
      <p className="text-xs text-text2">Choose a rule to see which of its conditions hold for this event.</p>
      <Input value={text} onChange={(change) => setText(change.target.value)} aria-label="Find a rule" placeholder="Name, technique, file…" />
      {error && !data && <Problem error={error} />}
      <ul className="max-h-96 overflow-y-auto rounded-md border empty:hidden">
        {list.map((rule) => (
          <li key={rule.id} className="border-b last:border-0">
            <button type="button" onClick={() => onRule(rule.id)} className="flex w-full items-center gap-2 px-3 py-1.5 text-left text-xs hover:bg-raised">
              <SeverityMark severity={rule.level} />
              <span className="min-w-0 flex-1 truncate">{rule.name}</span>
              {matched.includes(rule.id) && <Chip className="h-4">matched</Chip>}
            </button>
          </li>
        ))}
      </ul>
      {data && list.length === 0 && <p className="text-xs text-text3">No rule with conditions has that name.</p>}
    </div>
  );
}

function Answer({ uid, ruleId, rule }: { uid: string; ruleId: string; rule: Rule | undefined }) {
  const { data, error, refetch } = useQuery(explainQuery(uid, ruleId));
  if (error && !data) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton className="h-32" />;
  return (
    <>
      {(rule?.kind === "correlation" || rule?.kind === "behaviour") && <p className="text-xs text-text2">It counts events that these rules match; this event against each of them:</p>}
      {data.map((explained) => (
        <section key={explained.rule.id} className="grid gap-2">
          {(data.length > 1 || explained.rule.id !== ruleId) && <h3 className="text-xs font-medium">{explained.rule.name}</h3>}
          <Verdict explained={explained} />
          {explained.steps.length > 0 && <Trace steps={explained.steps} />}
        </section>
      ))}
    </>
  );
}

function Verdict({ explained }: { explained: Explained }) {
  const go = useGo();
  const excepted = explained.matched && !!explained.excepted_by;
  const Icon = excepted ? ShieldOff : explained.matched ? CircleCheck : CircleSlash;
  return (
    <div role="status" data-testid="verdict" className={cn("flex items-start gap-2.5 rounded-md border px-3 py-2 text-sm", excepted ? "border-sev-medium/50 bg-sev-medium/10" : explained.matched ? "border-ok/50 bg-ok/10" : "bg-bg")}>
      <Icon className={cn("mt-px size-4 shrink-0", excepted ? "text-sev-medium" : explained.matched ? "text-ok" : "text-text3")} />
      <span className="min-w-0 flex-1">{verdict(explained)}</span>
      {excepted && (
        <button type="button" className="text-xs underline underline-offset-2" onClick={go.exceptions}>
          Exceptions
        </button>
      )}
    </div>
  );
}

function Trace({ steps }: { steps: readonly TraceStep[] }) {
  return (
    <div className="overflow-x-auto rounded-md border">
      <table className="w-full min-w-[30rem] text-xs" data-testid="trace">
        <caption className="sr-only">Each condition of the rule, what it asks for, and what the event has</caption>
        <thead className="border-b bg-raised/60">
          <tr>
            <th scope="col" className="w-8 px-2.5 py-1.5">
              <span className="sr-only">Holds</span>
            </th>
            {["Field", "Asks for", "The event has"].map((name) => (
              <th key={name} scope="col" className="px-2.5 py-1.5 text-left text-2xs font-medium text-text3">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        {bySelection(steps).map(([selection, group]) => (
          <tbody key={selection} className="border-b last:border-0">
            {selection !== "" && (
              <tr>
                <th colSpan={4} scope="rowgroup" className="bg-raised/30 px-2.5 py-1 text-left text-2xs font-medium text-text2">
                  <span className="mono">{selection}</span>
                  <span className="ml-2 font-normal text-text3">
                    {group.filter((step) => step.matched).length} of {group.length} hold
                  </span>
                </th>
              </tr>
            )}
            {group.map((step, i) => (
              // oxlint-disable-next-line react/no-array-index-key
              <tr key={i} className={cn("align-top", !step.matched && "text-text2")}>
                <td className="px-2.5 py-1.5">{step.matched ? <Check className="size-3.5 text-ok" role="img" aria-label="holds" /> : <X className="size-3.5 text-sev-critical" role="img" aria-label="does not hold" />}</td>
                <td className="mono px-2.5 py-1.5 font-medium">{step.field || "anywhere"}</td>
                <td className="px-2.5 py-1.5">
                  <span className="text-text3">
                    {step.operator}
                    {step.expected.length > 1 && (step.all ? " all of" : " one of")}{" "}
                  </span>
                  <span className="mono break-all">{step.expected.join(", ")}</span>
                </td>
                <td className="mono px-2.5 py-1.5 break-all">{step.actual.length === 0 ? <span className="font-sans text-text3">no such field</span> : step.matched ? <mark className="rounded-sm bg-ok/15 px-1 text-text">{step.actual.join(", ")}</mark> : step.actual.join(", ")}</td>
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </div>
  );
}
