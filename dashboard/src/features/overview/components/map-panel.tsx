import { Panel } from "@/components/ui/panel";
import { SeverityMark } from "@/components/ui/severity";
import { severityRank } from "@/lib/severity";
import { plural } from "@/lib/number";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { markersQuery } from "../api";

const WorldMap = lazy(() => import("./world-map"));

export function MapPanel({ className }: { className?: string }) {
  const { data } = useQuery(markersQuery);
  const items = data?.items ?? [];
  const suspicious = items.filter((m) => severityRank(m.severity) > 0);
  const countries = new Set(suspicious.map((m) => m.country));
  return (
    <Panel title="Where from" className={className} bodyClassName="relative p-0" aside={suspicious.length > 0 ? <>{plural(suspicious.length, "suspicious address", "suspicious addresses")}, {plural(countries.size, "country", "countries")}</> : "no suspicious address"}>
      <Suspense fallback={null}>
        <WorldMap markers={items} />
      </Suspense>
      <div className="pointer-events-none absolute bottom-2 left-3 flex gap-3 text-2xs text-text3">
        {(["critical", "high", "medium", "low"] as const).map((s) => (
          <span key={s} className="flex items-center gap-1">
            <SeverityMark severity={s} className="size-2" /> {s}
          </span>
        ))}
      </div>
    </Panel>
  );
}
