import { EntityIcon } from "@/components/entity";
import { KillChain } from "@/components/kill-chain";
import { Risk } from "@/components/risk";
import { Empty, Problem, Skeleton } from "@/components/ui/bits";
import { DataTable } from "@/components/ui/data-table";
import { ENTITY_LABEL } from "@/lib/entity";
import { useGo } from "@/lib/go";
import { exact } from "@/lib/number";
import { ago, dateTime } from "@/lib/time";
import { useNow } from "@/lib/use-now";
import { useQuery } from "@tanstack/react-query";
import { entitiesQuery } from "./api";

const LISTED_MAX = 200;

/** Users, addresses and hosts, the riskiest first. */
export function EntitiesPage() {
  const go = useGo();
  const now = useNow();
  const { data, error, refetch, isPending } = useQuery(entitiesQuery(LISTED_MAX));
  return (
    <div className="flex h-full min-h-0 flex-col bg-panel">
      <p className="border-b px-3 py-2 text-xs text-text3">Every alert and signal adds to the risk of whom it is about; the score halves every 24 hours. At most {exact(LISTED_MAX)} are listed; Ctrl K finds any other.</p>
      <div className="min-h-0 flex-1 overflow-hidden">
        {error && !data && (
          <div className="p-3">
            <Problem error={error} retry={() => void refetch()} />
          </div>
        )}
        {isPending && <Skeleton className="m-3 h-40" />}
        {data &&
          (data.items.length === 0 ? (
            <Empty title="Nobody has a risk score">Scores appear with the first alert or signal.</Empty>
          ) : (
            <DataTable
              label="Entities"
              rows={data.items}
              rowId={(row) => `${row.entity.kind} ${row.entity.value}`}
              onOpen={(row) => go.entity(row.entity)}
              initialSort={{ id: "risk", desc: true }}
              columns={[
                { id: "risk", header: "Risk", width: "7rem", value: (r) => r.risk, cell: (r) => <Risk risk={r.risk} /> },
                {
                  id: "entity",
                  header: "Entity",
                  width: "minmax(12rem, 2fr)",
                  value: (r) => r.entity.value,
                  cell: (r) => (
                    <span className="flex min-w-0 items-center gap-2">
                      <EntityIcon kind={r.entity.kind} />
                      <span className="mono truncate">{r.entity.value}</span>
                    </span>
                  ),
                },
                { id: "kind", header: "Kind", width: "6rem", wide: true, value: (r) => r.entity.kind, cell: (r) => <span className="text-xs text-text3">{ENTITY_LABEL[r.entity.kind] ?? r.entity.kind}</span> },
                { id: "tactics", header: "Tactics", width: "9rem", wide: true, value: (r) => r.tactics.length, cell: (r) => <KillChain tactics={r.tactics} /> },
                { id: "alerts", header: "Alerts", width: "5rem", value: (r) => r.alerts, cell: (r) => <span className="text-xs">{exact(r.alerts)}</span> },
                {
                  id: "seen",
                  header: "Last seen",
                  width: "6rem",
                  value: (r) => Date.parse(r.last_seen),
                  cell: (r) => (
                    <time dateTime={r.last_seen} title={dateTime(r.last_seen)} className="text-xs text-text3">
                      {ago(r.last_seen, now)}
                    </time>
                  ),
                },
              ]}
            />
          ))}
      </div>
    </div>
  );
}
