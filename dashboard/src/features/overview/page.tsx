import { Problem } from "@/components/ui/bits";
import { live } from "@/lib/live/store";
import { overviewQuery } from "@/lib/queries";
import { useStoreWith } from "@/lib/store";
import { useQuery } from "@tanstack/react-query";
import { RANGES, type RangeName } from "./api";
import { AttackMatrix } from "./components/attack-matrix";
import { Cards } from "./components/cards";
import { FirstData } from "./components/first-data";
import { HttpStatus } from "./components/http-status";
import { MapPanel } from "./components/map-panel";
import { NewestAlerts } from "./components/newest-alerts";
import { Threats } from "./components/threats";
import { Timeline } from "./components/timeline";
import { TopList } from "./components/top-list";
import { TopRisk } from "./components/top-risk";

const DEFAULT_RANGE: RangeName = "1h";

/** The wall screen: on a large display everything is in sight at once, on a small one it scrolls. */
export function OverviewPage({ range, onRange }: { range: string | undefined; onRange: (range: string) => void }) {
  const query = useQuery(overviewQuery);
  // Only whether there is anything at all: the panels listen to the numbers themselves.
  const hasEvents = useStoreWith(live.stats, (stats) => stats && stats.events > 0) ?? (query.data && query.data.events > 0);
  const shown = range !== undefined && range in RANGES ? (range as RangeName) : DEFAULT_RANGE;
  if (hasEvents === undefined) return query.error ? <div className="p-4"><Problem error={query.error} retry={() => void query.refetch()} /></div> : null;
  if (!hasEvents) return <FirstData />;
  return (
    <div className="grid grid-cols-1 gap-2.5 p-2.5 md:grid-cols-2 xl:h-full xl:min-h-[54rem] xl:grid-cols-12 xl:grid-rows-[auto_minmax(0,1.05fr)_minmax(0,1.1fr)_minmax(0,0.95fr)]">
      <Cards className="md:col-span-2 xl:col-span-12" />
      <Timeline range={shown} onRange={onRange} className="h-80 md:col-span-2 xl:col-span-8 xl:h-auto" />
      <NewestAlerts className="h-80 md:col-span-2 xl:col-span-4 xl:h-auto" />
      <MapPanel className="h-80 md:col-span-2 xl:col-span-4 xl:h-auto" />
      <HttpStatus range={shown} className="h-64 xl:col-span-2 xl:h-auto" />
      <Threats className="h-64 xl:col-span-3 xl:h-auto" />
      <TopRisk className="h-64 md:col-span-2 xl:col-span-3 xl:h-auto" />
      <AttackMatrix className="h-72 md:col-span-2 xl:col-span-6 xl:h-auto" />
      <TopList what="users" className="h-72 xl:col-span-3 xl:h-auto" />
      <TopList what="ips" className="h-72 xl:col-span-3 xl:h-auto" />
    </div>
  );
}
