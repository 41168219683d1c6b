import { Empty } from "@/components/ui/bits";
import { Panel } from "@/components/ui/panel";
import { Segmented } from "@/components/ui/segmented";
import { SeverityMark } from "@/components/ui/severity";
import { useGo } from "@/lib/go";
import { compact } from "@/lib/number";
import { SEVERITY_LABEL, severityTotal, severityVar, WORST_FIRST } from "@/lib/severity";
import { lazy, Suspense, useState } from "react";
import { useOverview } from "../api";

const Donut = lazy(() => import("./donut"));
const RULES_MAX = 7;

/** Findings of the last 24 h: the ring by severity or by rule, beside it the rules that fire most. */
export function Threats({ className }: { className?: string }) {
  const go = useGo();
  const overview = useOverview();
  const [by, setBy] = useState<"severity" | "rule">("severity");
  if (!overview) return null;
  const total = severityTotal(overview.severities);
  const rules = overview.top_rules.slice(0, RULES_MAX);
  const most = rules[0]?.[3] ?? 1;
  const rest = total - rules.reduce((sum, [, , , count]) => sum + count, 0);
  const slices =
    by === "severity"
      ? WORST_FIRST.flatMap((s) => (overview.severities[s] ? [{ name: SEVERITY_LABEL[s], value: overview.severities[s] ?? 0, color: severityVar(s), opacity: 1 }] : []))
      : [...rules.map(([, name, level, count], i) => ({ name, value: count, color: severityVar(level), opacity: 1 - (i % 3) * 0.22 })), ...(rest > 0 ? [{ name: "all other rules", value: rest, color: "var(--line-2)", opacity: 1 }] : [])];
  return (
    <Panel title="Threats, 24 h" className={className} bodyClassName="flex gap-4" aside={<Segmented label="Ring by" value={by} onChange={setBy} options={[{ value: "severity", label: "Severity" }, { value: "rule", label: "Rule" }]} />}>
      {total === 0 ? (
        <Empty title="No findings in the last 24 hours" />
      ) : (
        <>
          <div className="relative hidden w-[38%] max-w-48 shrink-0 min-[480px]:block">
            <Suspense fallback={null}>
              <Donut slices={slices} label={by === "severity" ? "Findings by severity" : "Findings by rule"} />
            </Suspense>
            <div className="pointer-events-none absolute inset-0 flex flex-col items-center justify-center">
              <span className="text-xl font-semibold tracking-tight">{compact(total)}</span>
              <span className="text-2xs text-text3">findings</span>
            </div>
          </div>
          <ol className="min-h-0 min-w-0 flex-1 space-y-0.5 overflow-y-auto">
            {rules.map(([id, name, level, count]) => (
              <li key={id}>
                <button type="button" onClick={() => go.rule(id)} className="relative block w-full rounded px-1.5 py-1 text-left hover:bg-raised">
                  <span className="flex items-center gap-2">
                    <SeverityMark severity={level} className="size-2.5" />
                    <span className="min-w-0 flex-1 truncate text-xs" title={name}>
                      {name}
                    </span>
                    <span className="text-xs font-semibold">{compact(count)}</span>
                  </span>
                  <span className="mt-0.5 block h-0.5 rounded bg-raised">
                    <span className="block h-full rounded" style={{ width: `${(100 * count) / most}%`, background: severityVar(level) }} />
                  </span>
                </button>
              </li>
            ))}
          </ol>
        </>
      )}
    </Panel>
  );
}
