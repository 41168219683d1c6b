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
    <Panel title="Where from" className={className} bodyClassName="relative p-0" aside={suspicious.length > 0 ? <>{plural(suspicious.length, "suspicious address", "suspicious addresses")}, {plural(countries.size, "country", "countries")}</> : items.length > 0 ? "no suspicious address" : ""}>
      <Suspense fallback={null}>
        <WorldMap markers={items} />
      </Suspense>
      {data && items.length === 0 && (
        <p className="pointer-events-none absolute inset-x-6 top-1/2 -translate-y-1/2 text-center text-xs text-text2">
          <span className="inline-block rounded-md border bg-panel px-2.5 py-1.5">No address with known coordinates yet: they come from the GeoIP city database.</span>
        </p>
      )}
      <div className="pointer-events-none absolute bottom-2 left-3 flex gap-3 text-2xs text-text3">
        {(["critical", "high", "medium", "low"] as const).map((s) => (
          <span key={s} className="flex items-center gap-1">
            <SeverityMark severity={s} className="size-2" /> {s}
          </span>
        ))}
      </div>
      {items.length > 0 && (
        <a className="absolute right-3 bottom-2 text-2xs text-text3 hover:text-text2" href="https://db-ip.com" rel="noreferrer" target="_blank">
          IP Geolocation by DB-IP
        </a>
      )}
    </Panel>
  );
}
