import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { DataTable, type DataColumn } from "@/components/ui/data-table";
import { Choice } from "@/components/ui/menu";
import { SearchBox } from "@/components/ui/search-box";
import { SeverityBadge, SeverityMark } from "@/components/ui/severity";
import { tacticName } from "@/lib/attack";
import { exceptionsQuery } from "@/lib/exceptions";
import { useGo, type RulesSearch } from "@/lib/go";
import { useKeys } from "@/lib/keys";
import { exact, plural } from "@/lib/number";
import { overviewQuery, rulesQuery } from "@/lib/queries";
import { SEVERITY_LABEL, severityRank, WORST_FIRST } from "@/lib/severity";
import type { Rule, RuleKind, Severity } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleSlash, Plus, X } from "lucide-react";
import { useMemo, useRef } from "react";
import { isMatch } from "./match";

/** The overview names at most so many rules with their findings (`TOP_RULES` of the engine). */
const TOP_RULES = 20;

export const KIND_LABEL: Record<RuleKind, string> = { sigma: "Single event", correlation: "Correlation", intel: "Threat list", behaviour: "Behaviour", scheduled_search: "Scheduled search" };

export function RulesPage({ search, onSearch }: { search: RulesSearch; onSearch: (change: RulesSearch) => void }) {
  const go = useGo();
  const { data, error, refetch, isPending } = useQuery(rulesQuery);
  const { data: overview } = useQuery(overviewQuery);
  const { data: exceptions } = useQuery(exceptionsQuery);
  const input = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => input.current?.focus(), n: go.newRule });
  const hits = useMemo(() => new Map(overview?.top_rules.map(([id, , , count]) => [id, count]) ?? []), [overview]);
  const rules = useMemo(() => (data?.items ?? []).filter((rule) => isMatch(rule, search)), [data, search]);
  const told = data?.items.some((rule) => rule.can_match !== undefined) ?? false;
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
        <SearchBox value={search.q ?? ""} inputRef={input} onChange={(q) => onSearch({ q: q || undefined })} label="Search rules" placeholder="Name, technique, level, file…" testId="rules-query" className="max-w-none min-w-48 basis-60" />
        <Choice<Severity | "all"> label="Level" value={search.level ?? "all"} onChange={(level) => onSearch({ level: level === "all" ? undefined : level })} options={[{ value: "all", label: "Every level" }, ...WORST_FIRST.map((value) => ({ value, label: <span key={value} className="flex items-center gap-2"><SeverityMark severity={value} /> {SEVERITY_LABEL[value]}</span> }))]} />
        <Choice<RuleKind | "all"> label="Kind" value={search.kind ?? "all"} onChange={(kind) => onSearch({ kind: kind === "all" ? undefined : kind })} options={[{ value: "all", label: "Every kind" }, ...(Object.keys(KIND_LABEL) as RuleKind[]).map((value) => ({ value, label: KIND_LABEL[value] }))]} />
        {search.technique && (
          <Button size="sm" onClick={() => onSearch({ technique: undefined })} aria-label={`Drop the technique ${search.technique}`}>
            <span className="mono">{search.technique}</span>
            <X />
          </Button>
        )}
        <span className="text-xs text-text3">{data && (rules.length === data.items.length ? plural(rules.length, "active rule") : `${exact(rules.length)} of ${plural(data.items.length, "active rule")}`)}</span>
        <span className="ml-auto flex gap-2">
          <Button onClick={go.exceptions}>Exceptions{exceptions && exceptions.items.length > 0 ? ` (${exceptions.items.length})` : ""}</Button>
          <Button onClick={go.newRule}>
            <Plus /> New rule
          </Button>
        </span>
      </div>
      <div className="min-h-0 flex-1 overflow-hidden bg-panel">
        {error && !data && (
          <div className="p-3">
            <Problem error={error} retry={() => void refetch()} />
          </div>
        )}
        {isPending && <Skeleton className="m-3 h-40" />}
        {data &&
          (rules.length === 0 ? (
            <Empty title={data.items.length === 0 ? "No rule is loaded" : "No rule matches"}>
              {data.items.length > 0 && (
                <Button size="sm" onClick={() => onSearch({ q: undefined, technique: undefined, kind: undefined, level: undefined })}>
                  Drop the filters
                </Button>
              )}
            </Empty>
          ) : (
            <DataTable label="Rules" rows={rules} rowId={(rule) => rule.id} onOpen={(rule) => go.rule(rule.id)} initialSort={{ id: "level", desc: true }} columns={told ? [...columns(hits), canMatch] : columns(hits)} />
          ))}
      </div>
    </div>
  );
}

const columns = (hits: ReadonlyMap<string, number>): DataColumn<Rule>[] => [
  { id: "level", header: "Level", width: "7rem", value: (r) => severityRank(r.level), cell: (r) => <SeverityBadge severity={r.level} /> },
  {
    id: "name",
    header: "Name",
    width: "minmax(14rem, 2fr)",
    value: (r) => r.name,
    cell: (r) => (
      <span className="flex min-w-0 items-center gap-2">
        <span className="truncate font-medium">{r.name}</span>
        {r.handling?.signal && (
          <Chip className="h-4" title="Feeds incidents and risk scores, and pages nobody">
            signal
          </Chip>
        )}
      </span>
    ),
  },
  { id: "techniques", header: "Techniques", width: "minmax(7rem, 1fr)", value: (r) => r.techniques.join(" "), cell: (r) => <span className="mono truncate text-xs text-text2">{r.techniques.join(" ")}</span> },
  { id: "tactics", header: "Tactics", width: "minmax(8rem, 1fr)", wide: true, value: (r) => r.tactics.join(" "), cell: (r) => <span className="truncate text-xs text-text3">{r.tactics.map(tacticName).join(", ")}</span> },
  { id: "kind", header: "Kind", width: "7.5rem", wide: true, value: (r) => r.kind, cell: (r) => <Chip>{KIND_LABEL[r.kind] ?? r.kind}</Chip> },
  { id: "hits", header: "24 h", width: "4rem", value: (r) => hits.get(r.id) ?? 0, cell: (r) => (hits.has(r.id) ? <span className="text-xs">{exact(hits.get(r.id) ?? 0)}</span> : <span className="text-xs text-text3" title={hits.size < TOP_RULES ? "No finding in 24 h" : "None, or fewer than the most frequent rules have"}>·</span>) },
];

const canMatch: DataColumn<Rule> = {
  id: "can-match",
  header: "Reach",
  width: "7rem",
  value: (r) => (r.can_match ? 1 : 0),
  cell: (r) =>
    r.can_match === undefined ? null : r.can_match ? (
      <span className="flex items-center gap-1.5 text-xs text-ok">
        <CircleCheck className="size-3.5" /> can match
      </span>
    ) : (
      <span className="flex items-center gap-1.5 text-xs text-text3">
        <CircleSlash className="size-3.5" /> cannot match
      </span>
    ),
};
