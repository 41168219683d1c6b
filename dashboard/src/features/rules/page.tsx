import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { Input } from "@/components/ui/input";
import { Sheet } from "@/components/ui/overlay";
import { SeverityBadge } from "@/components/ui/severity";
import { tacticName } from "@/lib/attack";
import { useGo, type RulesSearch } from "@/lib/go";
import { useKeys } from "@/lib/keys";
import { exact, plural } from "@/lib/number";
import { overviewQuery, rulesQuery } from "@/lib/queries";
import { severityRank } from "@/lib/severity";
import type { Rule } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Search, X } from "lucide-react";
import { useMemo, useRef } from "react";

export function RulesPage({ search, onSearch }: { search: RulesSearch; onSearch: (change: RulesSearch) => void }) {
  const { data, error, refetch, isPending } = useQuery(rulesQuery);
  const { data: overview } = useQuery(overviewQuery);
  const input = useRef<HTMLInputElement>(null);
  useKeys({ "/": () => input.current?.focus() });
  const hits = useMemo(() => new Map(overview?.top_rules.map(([id, , , count]) => [id, count]) ?? []), [overview]);
  const rules = useMemo(() => (data?.items ?? []).filter((rule) => isMatch(rule, search)), [data, search]);
  const open = data?.items.find((rule) => rule.id === search.rule) ?? null;
  return (
    <div className="flex h-full min-h-0 flex-col">
      <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
        <div className="relative min-w-48 flex-1 basis-72">
          <Search className="pointer-events-none absolute top-2 left-2.5 size-4 text-text3" />
          <Input ref={input} defaultValue={search.q ?? ""} onChange={(event) => onSearch({ q: event.target.value || undefined })} aria-label="Search rules" placeholder="Name, technique, level, file…" className="pl-8" data-testid="rules-query" />
        </div>
        {search.technique && (
          <Button size="sm" onClick={() => onSearch({ technique: undefined })} aria-label={`Drop the technique ${search.technique}`}>
            <span className="mono">{search.technique}</span>
            <X />
          </Button>
        )}
        <span className="text-xs text-text3">{data && (rules.length === data.items.length ? plural(rules.length, "active rule") : `${exact(rules.length)} of ${plural(data.items.length, "active rule")}`)}</span>
      </div>
      <div className="min-h-0 flex-1 overflow-hidden bg-panel">
        {error && !data && (
          <div className="p-3">
            <Problem error={error} retry={() => void refetch()} />
          </div>
        )}
        {isPending && <Skeleton className="m-3 h-40" />}
        {data && rules.length === 0 ? (
          <Empty title={data.items.length === 0 ? "No rule is loaded" : "No rule matches"} />
        ) : (
          <DataTable
            label="Rules"
            rows={rules}
            rowId={(rule) => rule.id}
            onOpen={(rule) => onSearch({ rule: rule.id })}
            openId={search.rule}
            initialSort={{ id: "level", desc: true }}
            columns={[
              { id: "level", header: "Level", width: "7rem", value: (r) => severityRank(r.level), cell: (r) => <SeverityBadge severity={r.level} /> },
              { id: "name", header: "Name", width: "minmax(14rem, 2fr)", value: (r) => r.name, cell: (r) => <span className="truncate font-medium">{r.name}</span> },
              { id: "techniques", header: "Techniques", width: "minmax(7rem, 1fr)", value: (r) => r.techniques.join(" "), cell: (r) => <span className="mono truncate text-xs text-text2">{r.techniques.join(" ")}</span> },
              { id: "tactics", header: "Tactics", width: "minmax(8rem, 1fr)", wide: true, value: (r) => r.tactics.join(" "), cell: (r) => <span className="truncate text-xs text-text3">{r.tactics.map(tacticName).join(", ")}</span> },
              { id: "kind", header: "Kind", width: "6.5rem", wide: true, value: (r) => r.kind, cell: (r) => <Chip>{r.kind}</Chip> },
              { id: "hits", header: "24 h", width: "4rem", value: (r) => hits.get(r.id) ?? 0, cell: (r) => <span className="text-xs">{hits.has(r.id) ? exact(hits.get(r.id) ?? 0) : "·"}</span> },
            ]}
          />
        )}
      </div>
      <Sheet open={open !== null} onOpenChange={(next) => !next && onSearch({ rule: undefined })} title={open?.name ?? ""} description={open ? `${open.kind} rule, ${open.level}` : undefined}>
        {open && <RuleDetail rule={open} hits={hits.get(open.id)} />}
      </Sheet>
    </div>
  );
}

function isMatch(rule: Rule, search: RulesSearch): boolean {
  if (search.technique && !rule.techniques.includes(search.technique)) return false;
  const text = [rule.name, rule.description, rule.level, rule.kind, rule.file, rule.id, ...rule.techniques, ...rule.tactics].join(" ").toLowerCase();
  return (search.q ?? "").toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function RuleDetail({ rule, hits }: { rule: Rule; hits: number | undefined }) {
  const go = useGo();
  return (
    <div className="grid gap-5 p-4">
      <div className="flex flex-wrap items-center gap-2">
        <SeverityBadge severity={rule.level} />
        <Chip>{rule.kind}</Chip>
        {rule.techniques.map((t) => (
          <Chip key={t} className="mono">
            {t}
          </Chip>
        ))}
      </div>
      {rule.description && <p className="text-base leading-6 whitespace-pre-line text-text2">{rule.description}</p>}
      <div className="flex flex-wrap gap-2">
        <Button onClick={() => go.alerts({ state: "all", q: rule.name })}>Its alerts{hits ? ` (${plural(hits, "finding")} in 24 h)` : ""}</Button>
        {rule.kind !== "correlation" && <Button onClick={() => go.events({ range: "24h", filter: [`finding_info.rules=${rule.id}`] })}>Events it matched</Button>}
      </div>
      <Lines title="ATT&amp;CK tactics" items={rule.tactics.map(tacticName)} />
      <Lines title="Harmless when" items={rule.false_positives} />
      <Lines title="References" items={rule.references} />
      <Lines title="Author" items={rule.author ? [rule.author] : []} />
      <section className="mono grid gap-1 text-xs text-text3">
        <span className="break-all">{rule.file}</span>
        <span className="break-all">{rule.id}</span>
      </section>
    </div>
  );
}

function Lines({ title, items }: { title: string; items: readonly string[] }) {
  if (items.length === 0) return null;
  return (
    <section>
      <h3 className="eyebrow mb-1">{title}</h3>
      <ul className="grid gap-1 text-sm break-words text-text2">
        {items.map((item) => (
          <li key={item}>{item}</li>
        ))}
      </ul>
    </section>
  );
}
