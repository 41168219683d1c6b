import { Country, Empty } from "@/components/ui/bits";
import { Panel } from "@/components/ui/panel";
import { useGo } from "@/lib/go";
import { compact, exact, percent } from "@/lib/number";
import { useQuery } from "@tanstack/react-query";
import { topQuery } from "../api";

const KINDS = {
  users: { title: "Top users, 24 h", entity: "user", empty: "No user was named yet" },
  ips: { title: "Top addresses, 24 h", entity: "ip", empty: "No address was seen yet" },
} as const;

/** Who does most, and how much of it a rule called suspicious. */
export function TopList({ what, className }: { what: "users" | "ips"; className?: string }) {
  const go = useGo();
  const { data } = useQuery(topQuery(what));
  const kind = KINDS[what];
  const items = data?.items ?? [];
  const most = Math.max(1, ...items.map((i) => i.events));
  return (
    <Panel title={kind.title} className={className} bodyClassName="overflow-y-auto" aside={<Legend />}>
      {items.length === 0 ? (
        <Empty title={kind.empty} />
      ) : (
        <ol className="space-y-px">
          {items.map((item) => (
            <li key={item.value}>
              <button type="button" onClick={() => go.entity({ kind: kind.entity, value: item.value })} className="block w-full rounded px-1.5 py-[2px] text-left hover:bg-raised" title={`${item.value}: ${exact(item.events)} events, ${exact(item.suspicious)} suspicious, ${exact(item.high)} of them high or critical`}>
                <span className="flex items-center gap-2 leading-4">
                  <span className="mono min-w-0 truncate text-xs">{item.value}</span>
                  <Country code={item.country} />
                  <span className="ml-auto flex gap-2 text-xs">
                    {item.suspicious > 0 && <span className={item.high > 0 ? "text-sev-high" : "text-text2"}>{percent(item.suspicious, item.events)}</span>}
                    <span className="w-10 text-right font-semibold">{compact(item.events)}</span>
                  </span>
                </span>
                <span className="mt-0.5 flex h-[3px] overflow-hidden rounded bg-raised">
                  <span style={{ width: `${(100 * item.high) / most}%`, background: "var(--sev-high)" }} />
                  <span style={{ width: `${(100 * (item.suspicious - item.high)) / most}%`, background: "var(--sev-medium)" }} />
                  <span style={{ width: `${(100 * (item.events - item.suspicious)) / most}%`, background: "var(--traffic)", opacity: 0.55 }} />
                </span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

const Legend = () => (
  <span className="flex items-center gap-1.5 text-2xs">
    <span className="size-2 rounded-sm bg-sev-high" /> high
    <span className="ml-1 size-2 rounded-sm bg-sev-medium" /> suspicious
  </span>
);
