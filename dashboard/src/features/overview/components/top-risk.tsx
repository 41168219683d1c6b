import { EntityIcon } from "@/components/entity";
import { KillChain } from "@/components/kill-chain";
import { Risk } from "@/components/risk";
import { Empty, Problem } from "@/components/ui/bits";
import { Panel } from "@/components/ui/panel";
import { useGo } from "@/lib/go";
import { plural } from "@/lib/number";
import { useQuery } from "@tanstack/react-query";
import { topRiskQuery } from "../api";

/** Whom to look at first. */
export function TopRisk({ className }: { className?: string }) {
  const go = useGo();
  const { data, error } = useQuery(topRiskQuery);
  return (
    <Panel
      title="Top risk"
      className={className}
      bodyClassName="overflow-y-auto px-1.5"
      aside={
        <button type="button" className="hover:text-text" onClick={go.entities}>
          All →
        </button>
      }
    >
      {error && !data && <Problem error={error} />}
      {data?.items.length === 0 && <Empty title="Nobody has a risk score" />}
      <ol data-testid="top-risk">
        {data?.items.map(({ entity, risk, alerts, tactics }) => (
          <li key={`${entity.kind} ${entity.value}`}>
            <button type="button" onClick={() => go.entity(entity)} title={`${entity.value}: risk ${risk}, ${plural(alerts, "alert")}`} className="flex w-full items-center gap-2 rounded-md px-2 py-1 text-left hover:bg-raised">
              <EntityIcon kind={entity.kind} />
              <span className="mono min-w-0 flex-1 truncate text-xs">{entity.value}</span>
              <KillChain tactics={tactics} className="max-2xl:hidden" />
              <Risk risk={risk} />
            </button>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
