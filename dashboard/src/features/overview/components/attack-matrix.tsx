import { Empty } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Panel } from "@/components/ui/panel";
import { Tooltip } from "@/components/ui/tooltip";
import { TACTICS } from "@/lib/attack";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { compact, plural } from "@/lib/number";
import type { Technique } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { coverageQuery } from "../api";

/** Tactics as columns in kill-chain order. An outline says "a rule watches this", a fill says "this happened". */
export function AttackMatrix({ className }: { className?: string }) {
  const { data } = useQuery(coverageQuery);
  const items = data?.items ?? [];
  const most = Math.max(1, ...items.map((t) => t.findings));
  const covered = items.filter((t) => t.rules > 0).length;
  const hit = items.filter((t) => t.findings > 0).length;
  return (
    <Panel title="ATT&CK" className={className} bodyClassName="overflow-auto" aside={
        <>
          <span className="truncate">
            {plural(covered, "technique")} watched, {hit} seen in 24 h
          </span>
          <Button asChild variant="ghost" size="sm">
            <a href="/api/v1/coverage/navigator?score=findings" download="erne-attack-layer.json" title="Download as a layer for MITRE's ATT&CK Navigator, coloured by the findings of 24 h">
              <Download /> Navigator
            </a>
          </Button>
        </>
      }
    >
      {data && items.length === 0 ? (
        <Empty title="No active rule names a technique" />
      ) : (
        <div className="grid min-w-[41.5rem] grid-cols-[repeat(14,minmax(0,1fr))] gap-[3px]">
          {TACTICS.map(([id, name, short]) => (
            <TacticColumn key={id} name={name} short={short} most={most} techniques={items.filter((t) => t.tactics.includes(id))} />
          ))}
        </div>
      )}
    </Panel>
  );
}

function TacticColumn({ name, short, techniques, most }: { name: string; short: string; techniques: readonly Technique[]; most: number }) {
  const hits = techniques.reduce((sum, t) => sum + t.findings, 0);
  const sorted = techniques.toSorted((a, b) => b.findings - a.findings || (a.id < b.id ? -1 : 1));
  return (
    <div className="flex min-w-0 flex-col gap-[3px]">
      <div className="mb-0.5 min-w-0" title={name}>
        <div className={cn("truncate text-[0.625rem] leading-3.5 font-medium", hits > 0 ? "text-text" : "text-text3")}>{short}</div>
        <div className={cn("text-2xs leading-3.5", hits > 0 ? "font-semibold text-text2" : "text-text3")}>{hits > 0 ? compact(hits) : "·"}</div>
      </div>
      {sorted.map((technique) => (
        <TechniqueCell key={technique.id} technique={technique} most={most} />
      ))}
    </div>
  );
}

/** Shade by the logarithm, so that one loud technique does not drown the others; never so strong that its number cannot be read. */
function shade(findings: number, most: number): number {
  return findings === 0 ? 0 : 12 + 48 * (Math.log1p(findings) / Math.log1p(most));
}

function TechniqueCell({ technique, most }: { technique: Technique; most: number }) {
  const go = useGo();
  const strength = shade(technique.findings, most);
  return (
    <Tooltip text={<><b>{technique.id}</b> {technique.name}<br />{plural(technique.findings, "finding")} in 24 h, {plural(technique.rules, "rule")}</>}>
      <button type="button" onClick={() => go.rules({ technique: technique.id })} aria-label={`${technique.id.replace(/^T/, "")} ${technique.name}: ${plural(technique.findings, "finding")}, ${plural(technique.rules, "rule")}`} className={cn("h-[1.35rem] w-full truncate rounded-[3px] border text-center text-[0.5625rem] leading-none tracking-[-0.035em] hover:border-text", technique.rules > 0 ? "border-line2" : "border-transparent border-dashed", strength > 45 ? "font-semibold text-text" : strength > 0 ? "text-text" : "text-text3")} style={strength > 0 ? { background: `color-mix(in srgb, var(--heat) ${strength}%, var(--panel))`, borderColor: technique.rules > 0 ? "color-mix(in srgb, var(--heat) 80%, var(--panel))" : undefined } : undefined}>
        {technique.id.replace(/^T/, "")}
      </button>
    </Tooltip>
  );
}
