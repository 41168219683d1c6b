import { Country } from "@/components/ui/bits";
import { SeverityBadge } from "@/components/ui/severity";
import { useGo } from "@/lib/go";
import { live } from "@/lib/live/store";
import { compact } from "@/lib/number";
import { clause } from "@/lib/query/edit";
import { severityRank, severityVar } from "@/lib/severity";
import { useStore } from "@/lib/store";
import type { Finding, Marker, Severity } from "@/lib/types";
import { useSize } from "@/lib/use-size";
import { geoNaturalEarth1, geoPath, type GeoProjection } from "d3-geo";
import { useEffect, useMemo, useRef, useState } from "react";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import atlas from "world-atlas/countries-110m.json";

const MARKERS_MAX = 400;
const PULSES_MAX = 24;
const PULSE_MS = 2400;

const world = atlas as unknown as Topology<{ land: GeometryCollection; countries: GeometryCollection }>;
const land = feature(world, world.objects.land);
const borders = mesh(world, world.objects.countries, (a, b) => a !== b);
/** What must be in sight: the inhabited world, without Antarctica. */
const FRAME = { type: "MultiPoint" as const, coordinates: [[-160, 20], [178, 20], [10, 70], [-70, -50], [-130, 67], [150, 67]] };

function project(width: number, height: number): GeoProjection {
  return geoNaturalEarth1().fitExtent([[6, 2], [width - 6, height - 14]], FRAME);
}

interface Pulse {
  key: number;
  lat: number;
  long: number;
  severity: Severity;
}

/** Rings for findings that arrive while one looks; each disappears by itself. */
function usePulses(): readonly Pulse[] {
  const findings = useStore(live.findings);
  const [pulses, setPulses] = useState<readonly Pulse[]>([]);
  const seen = useRef<Finding | undefined>(findings.at(-1));
  const keys = useRef(0);
  useEffect(() => {
    const start = seen.current ? findings.lastIndexOf(seen.current) + 1 : 0;
    seen.current = findings.at(-1);
    const fresh = findings.slice(start).flatMap((f): Pulse[] => (f.place ? [{ key: ++keys.current, lat: f.place[0], long: f.place[1], severity: f.level }] : []));
    if (fresh.length === 0) return;
    setPulses((old) => [...old, ...fresh].slice(-PULSES_MAX));
    const last = fresh.at(-1)?.key ?? 0;
    setTimeout(() => setPulses((old) => old.filter((p) => p.key > last)), PULSE_MS);
  }, [findings]);
  return pulses;
}

export default function WorldMap({ markers }: { markers: readonly Marker[] }) {
  const { ref, width, height } = useSize<HTMLDivElement>();
  const ready = width > 40 && height > 40;
  const shapes = useMemo(() => {
    if (!ready) return null;
    const projection = project(width, height);
    const path = geoPath(projection).digits(1);
    return { projection, land: path(land) ?? "", borders: path(borders) ?? "" };
  }, [ready, width, height]);
  return (
    <div ref={ref} className="relative h-full w-full overflow-hidden rounded-b-lg">
      {shapes && (
        <svg width={width} height={height} role="img" aria-label="World map of where events come from" className="block">
          <path d={shapes.land} fill="var(--land)" />
          <path d={shapes.borders} fill="none" stroke="var(--land-line)" strokeWidth={0.6} />
          <Markers markers={markers} projection={shapes.projection} width={width} />
        </svg>
      )}
    </div>
  );
}

function Markers({ markers, projection, width }: { markers: readonly Marker[]; projection: GeoProjection; width: number }) {
  const go = useGo();
  const pulses = usePulses();
  const [hovered, setHovered] = useState<Marker | null>(null);
  const shown = markers.toSorted((a, b) => severityRank(a.severity) - severityRank(b.severity) || a.events - b.events).slice(-MARKERS_MAX);
  const at = (long: number, lat: number) => projection([long, lat]) ?? [-99, -99];
  const [hx, hy] = hovered ? at(hovered.long, hovered.lat) : [0, 0];
  return (
    <>
      {pulses.map((p) => {
        const [x, y] = at(p.long, p.lat);
        return <circle key={p.key} className="marker-pulse" cx={x} cy={y} r={5} fill="none" stroke={severityVar(p.severity)} strokeWidth={1.2} vectorEffect="non-scaling-stroke" />;
      })}
      {shown.map((m) => {
        const [x, y] = at(m.long, m.lat);
        const calm = severityRank(m.severity) === 0;
        const radius = (calm ? 1.6 : 2.8) + Math.min(3, Math.log10(1 + m.events));
        return (
          <circle key={m.ip} cx={x} cy={y} r={radius} fill={severityVar(m.severity)} fillOpacity={calm ? 0.55 : 0.85} stroke="var(--panel)" strokeWidth={1} className="cursor-pointer" onMouseEnter={() => setHovered(m)} onMouseLeave={() => setHovered(null)} onClick={() => go.search({ range: "24h", q: clause("src_endpoint.ip", m.ip) })} />
        );
      })}
      {hovered && (
        <foreignObject x={Math.min(Math.max(4, (hx ?? 0) - 90), width - 196)} y={(hy ?? 0) > 80 ? (hy ?? 0) - 76 : (hy ?? 0) + 10} width={192} height={70} className="pointer-events-none">
          <div className="rounded-md border border-line2 bg-raised px-2 py-1.5 text-xs text-text">
            <div className="flex items-center justify-between gap-2">
              <span className="mono truncate">{hovered.ip}</span>
              <SeverityBadge severity={hovered.severity} />
            </div>
            <div className="flex items-center gap-1.5 text-text3">
              <Country code={hovered.country} /> <span className="truncate">{hovered.city}</span> <span className="ml-auto">{compact(hovered.events)} events</span>
            </div>
          </div>
        </foreignObject>
      )}
    </>
  );
}
