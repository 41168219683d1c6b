import { Country, Empty, Snippet } from "@/components/ui/bits";
import { Panel } from "@/components/ui/panel";
import { SeverityMark } from "@/components/ui/severity";
import { mergeAlerts } from "@/lib/alerts";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { live } from "@/lib/live/store";
import { useStore } from "@/lib/store";
import { ago } from "@/lib/time";
import type { Alert } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { useQuery } from "@tanstack/react-query";
import { newestAlertsQuery } from "../api";

const SHOWN_MAX = 20;
const NO_ALERTS: readonly Alert[] = [];
const isUnsettled = (alert: Alert) => alert.state !== "closed";

export function NewestAlerts({ className }: { className?: string }) {
  const go = useGo();
  const now = useNow(1000);
  const { data } = useQuery(newestAlertsQuery);
  const arrived = useStore(live.alerts);
  const alerts = mergeAlerts(data?.items ?? NO_ALERTS, arrived, isUnsettled).slice(0, SHOWN_MAX);
  const fresh = new Set(arrived.map((a) => `${a.alert.id}${a.alert.last_seen}`));
  return (
    <Panel title="Newest alerts" className={className} bodyClassName="overflow-y-auto px-1.5" aside={<button type="button" className="hover:text-text" onClick={() => go.alerts({})}>All alerts →</button>}>
      {data && alerts.length === 0 ? (
        <Empty title="No open alerts">
          <p className="mb-2">Nothing suspicious yet. To see one, let a simulated attacker in:</p>
          <Snippet text="erne simulate mixed --attacks" />
        </Empty>
      ) : (
        <ol data-testid="newest-alerts">
          {alerts.map((alert) => (
            <li key={alert.id}>
              <button key={alert.last_seen} type="button" onClick={() => go.alerts({ state: "all", id: alert.id })} className={cn("grid w-full grid-cols-[auto_minmax(0,1fr)_auto] items-center gap-x-2.5 rounded-md px-2 py-1 text-left hover:bg-raised", fresh.has(`${alert.id}${alert.last_seen}`) && "arrive")}>
                <SeverityMark severity={alert.severity} />
                <span className="truncate text-sm font-medium">{alert.rule.name}</span>
                <time dateTime={alert.last_seen} className="text-right text-2xs text-text3">
                  {ago(alert.last_seen, now)}
                </time>
                <span className="col-start-2 flex min-w-0 items-center gap-1.5 text-xs text-text3">
                  <span className="mono truncate text-text2">{alert.entity.value}</span>
                  <Country code={alert.place?.[2]} />
                  {alert.event_name && <span className="truncate">{alert.event_name}</span>}
                </span>
                <span className="text-right text-2xs text-text3">{alert.finding_count > 1 ? `× ${alert.finding_count}` : ""}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
