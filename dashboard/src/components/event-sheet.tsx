import { Explain } from "@/components/explain";
import { Chip, CopyButton, Empty } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Sheet } from "@/components/ui/overlay";
import { Pivot, type OnPivot } from "@/components/ui/pivot";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { explains } from "@/lib/explain";
import { useGo } from "@/lib/go";
import { leaves, rulesOf, what } from "@/lib/ocsf";
import { relatedQuery, rulesQuery } from "@/lib/queries";
import { plural } from "@/lib/number";
import { dateTime } from "@/lib/time";
import type { OcsfEvent } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { Around } from "./around";
import { Segmented } from "./ui/segmented";

interface EventSheetProps {
  event: OcsfEvent | null;
  onClose: () => void;
  onPivot: OnPivot;
  /** Shows a column in the table behind, or takes it out. */
  onColumn?: ((path: string) => void) | undefined;
  /** Shows another event instead: one of those around it. */
  onEvent?: ((event: OcsfEvent) => void) | undefined;
  /** What stands between the head and the event. */
  children?: ReactNode;
}

const VIEWS = [
  { value: "fields", label: "Table" },
  { value: "json", label: "JSON" },
  { value: "raw", label: "Raw text" },
  { value: "around", label: "Around", title: "What the same source wrote just before and after" },
  { value: "why", label: "Why?", title: "Why a rule fired, or did not" },
] as const;

/** One event in full: what matched it, its fields in OCSF's nesting, and the text as it came. */
export function EventSheet({ event, onClose, onPivot, onColumn, onEvent, children }: EventSheetProps) {
  const [view, setView] = useState<(typeof VIEWS)[number]["value"]>("fields");
  const [ruleId, setRuleId] = useState<string | null>(null);
  const explain = (id: string) => {
    setRuleId(id);
    setView("why");
  };
  return (
    <Sheet open={event !== null} onOpenChange={(open) => !open && onClose()} title={<span className="mono">{event ? what(event) : ""}</span>} description={event ? `${dateTime(event.time)} · ${event.class_name} · ${event.metadata.log_name}` : undefined}>
      {event && (
        <div className="grid gap-4 p-4" data-testid="event-detail">
          {children}
          <Matched event={event} onExplain={explain} />
          <Related uid={event.metadata.uid} />
          <section className="grid gap-2">
            <div className="flex flex-wrap items-center justify-between gap-1">
              <Segmented label="Show as" value={view} options={VIEWS} onChange={setView} />
              {(view === "fields" || view === "json" || view === "raw") && <CopyButton text={view === "raw" ? (event.raw_data ?? "") : view === "json" ? JSON.stringify(event, null, 2) : asLines(event)} label={view === "raw" ? "Copy the text" : view === "json" ? "Copy the JSON" : "Copy the table"} />}
            </div>
            {view === "fields" && <Tree value={event} path="" onPivot={onPivot} onColumn={onColumn} />}
            {view === "around" && <Around event={event} onEvent={onEvent} />}
            {view === "raw" && (event.raw_data ? <Text text={event.raw_data} /> : <Empty title="This event has no raw text" />)}
            {view === "why" && <Explain event={event} ruleId={ruleId} onRule={setRuleId} />}
            {view === "json" && <Text text={JSON.stringify(event, null, 2)} />}
          </section>
        </div>
      )}
    </Sheet>
  );
}

const Text = ({ text }: { text: string }) => <pre className="mono max-h-[65dvh] overflow-auto rounded-md border bg-bg p-3 text-xs break-all whitespace-pre-wrap">{text}</pre>;

/** A line a field, for a ticket or a sheet. */
const asLines = (event: OcsfEvent): string => leaves(event).map(({ path, value }) => `${path}\t${String(value)}`).join("\n");

const RELATED_MAX = 5;

/** Alerts whose findings name the event. */
function Related({ uid }: { uid: string }) {
  const go = useGo();
  const { data } = useQuery(relatedQuery(uid));
  const alerts = data?.items ?? [];
  if (alerts.length === 0) return null;
  return (
    <section className="grid gap-1.5" data-testid="related">
      <h3 className="eyebrow">{plural(alerts.length, "alert")} about it</h3>
      <ul className="rounded-md border">
        {alerts.slice(0, RELATED_MAX).map((alert) => (
          <li key={alert.id} className="border-b last:border-0">
            <button type="button" onClick={() => go.alerts({ state: "all", id: alert.id, ...(alert.rule.handling?.signal ? { signals: "1" as const } : {}) })} className="flex w-full min-w-0 items-center gap-2 px-3 py-2 text-left hover:bg-raised">
              <SeverityMark severity={alert.severity} />
              <span className="min-w-0 flex-1 truncate">{alert.summary}</span>
              <Chip>{alert.state}</Chip>
            </button>
          </li>
        ))}
      </ul>
      {alerts.length > RELATED_MAX && <p className="text-2xs text-text3">and {alerts.length - RELATED_MAX} more</p>}
    </section>
  );
}

function Matched({ event, onExplain }: { event: OcsfEvent; onExplain: (ruleId: string) => void }) {
  const go = useGo();
  const { data } = useQuery(rulesQuery);
  const rules = rulesOf(event);
  const lists = event.enrichments?.threat_lists ?? [];
  const issues = event.metadata.issues ?? [];
  return (
    <section className="grid gap-2">
      <div className="flex flex-wrap items-center gap-2">
        <SeverityBadge severity={event.severity} />
        {lists.map((list) => (
          <Chip key={list} className="border-sev-high/50">
            on the list {list}
          </Chip>
        ))}
        {issues.map((issue) => (
          <Chip key={issue} title={issue} className="max-w-full truncate border-sev-medium/50">
            {issue}
          </Chip>
        ))}
        {rules.length === 0 && <span className="text-xs text-text3">matched no rule</span>}
      </div>
      {rules.length > 0 && (
        <ul className="rounded-md border">
          {rules.map((id) => {
            const rule = data?.items.find((r) => r.id === id);
            return (
              <li key={id} className="flex items-center border-b last:border-0">
                <button type="button" onClick={() => go.rule(id)} className="flex min-w-0 flex-1 items-center gap-2 px-3 py-2 text-left hover:bg-raised">
                  <SeverityMark severity={rule?.level ?? event.severity} />
                  <span className="min-w-0 flex-1 truncate font-medium">{rule?.name ?? id}</span>
                  <span className="mono text-2xs text-text3">{rule?.techniques.join(" ")}</span>
                </button>
                {rule && explains(rule) && (
                  <Button variant="ghost" size="sm" className="mr-1.5" aria-label={`Why ${rule.name} fired`} onClick={() => onExplain(id)}>
                    Why?
                  </Button>
                )}
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}

const NODES_MAX = 500;
/** Values line up whatever the depth: the column of names shrinks by what each level is set in. */
const NAME_REM = 12;
const STEP_REM = 1.81;

/** Nested fields with a pivot at each leaf. The raw text has its own view. */
function Tree({ value, path, depth = 0, onPivot, onColumn }: { value: object; path: string; depth?: number; onPivot: OnPivot; onColumn?: ((path: string) => void) | undefined }) {
  const entries = Object.entries(value).filter(([key]) => !(path === "" && key === "raw_data")).slice(0, NODES_MAX);
  return (
    <dl className={path === "" ? "rounded-md border bg-bg py-1.5" : "ml-3 border-l pl-1"}>
      {entries.map(([key, child]) => {
        const here = path ? `${path}.${key}` : key;
        if (child !== null && typeof child === "object" && !Array.isArray(child))
          return (
            <div key={key} className="pl-3">
              <dt className="mono pt-1 text-2xs text-text3">{key}</dt>
              <dd>
                <Tree value={child as object} path={here} depth={depth + 1} onPivot={onPivot} onColumn={onColumn} />
              </dd>
            </div>
          );
        const list: unknown[] = Array.isArray(child) ? child : [child];
        return (
          <div key={key} className="grid items-start gap-3 px-3 py-0.5 hover:bg-raised" style={{ gridTemplateColumns: `${Math.max(5, NAME_REM - depth * STEP_REM)}rem minmax(0,1fr)` }}>
            <dt className="mono truncate text-xs text-text2" title={here}>
              {key}
            </dt>
            <dd className="grid min-w-0">
              {list.map((one, i) => {
                const text = typeof one === "object" ? JSON.stringify(one) : String(one);
                return (
                  // oxlint-disable-next-line react/no-array-index-key
                  <Pivot key={`${i}${text}`} path={here} value={text} onPivot={onPivot} onColumn={onColumn} tabbable className="mono text-xs">
                    {text}
                  </Pivot>
                );
              })}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
