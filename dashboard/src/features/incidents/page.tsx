import { InboxToolbar } from "@/components/inbox-toolbar";
import { RangePicker } from "@/components/range-picker";
import { Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import type { IncidentsSearch } from "@/lib/go";
import { useInbox } from "@/lib/inbox";
import { incidentCountsQuery, mergeIncidents } from "@/lib/incidents";
import { live } from "@/lib/live/store";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { useTriage } from "@/lib/triage";
import type { Incident } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useRef } from "react";
import { belongs, incidentsQuery, RANGES, setIncidentState } from "./api";
import { IncidentDetailPane } from "./components/incident-detail";
import { IncidentList } from "./components/incident-list";

interface IncidentsPageProps {
  search: IncidentsSearch;
  onSearch: (change: IncidentsSearch, replace?: boolean) => void;
}

const MINUTE_MS = 60_000;

/** What belongs together: alerts and signals about one entity, as one thing to decide on. */
export function IncidentsPage({ search, onSearch }: IncidentsPageProps) {
  const query = useInfiniteQuery(incidentsQuery(search));
  const { data: counts } = useQuery(incidentCountsQuery);
  const arrived = useStore(live.incidents);
  const mayTriage = may(useStore(session), "analyst");
  const { triage, undoLast } = useTriage("incident", setIncidentState);
  const input = useRef<HTMLInputElement>(null);
  const now = useNow(MINUTE_MS);
  const incidents = useMemo(
    () => mergeIncidents(query.data?.pages.flatMap((p) => p.items) ?? [], query.dataUpdatedAt, arrived, (i) => belongs(i, search, now)),
    [query.data, query.dataUpdatedAt, arrived, search, now],
  );
  const open = useCallback((id: string | undefined) => onSearch({ id }), [onSearch]);
  const inbox = useInbox<Incident>({ items: incidents, state: search.state ?? "open", openId: search.id, onOpen: open, triage: mayTriage ? triage : undefined, undoLast, input });
  const dated = !!(search.range || search.from || search.to);

  return (
    <div className="flex h-full min-h-0 flex-col">
      <InboxToolbar noun="incident" placeholder="Title, entity, tactic…" search={search} onSearch={onSearch} counts={counts} inputRef={input} chosen={inbox.chosen} all={incidents} onPick={inbox.setPicked} onMove={mayTriage ? (state, reason) => inbox.move(state, inbox.chosen, reason) : undefined}>
        <RangePicker value={search} onChange={onSearch} ranges={RANGES} />
      </InboxToolbar>
      <div className="flex min-h-0 flex-1">
        <div className={cn("flex min-h-0 min-w-0 flex-col bg-panel", search.id ? "hidden lg:flex lg:w-[36%] lg:max-w-128 lg:border-r" : "flex-1")}>
          {query.error && (
            <div className="p-3">
              <Problem error={query.error} retry={() => void query.refetch()} />
            </div>
          )}
          {query.isPending && <Skeleton className="m-3 h-40" />}
          {query.isSuccess && incidents.length === 0 ? (
            <Nothing search={search} dated={dated} onSearch={onSearch} />
          ) : (
            <IncidentList incidents={incidents} cursor={inbox.cursor} openId={search.id} picked={inbox.picked} narrow={!!search.id} onToggle={mayTriage ? inbox.toggle : undefined} onOpen={inbox.open} more={query.hasNextPage ? () => void query.fetchNextPage() : undefined} />
          )}
        </div>
        {search.id && (
          <div className="min-h-0 min-w-0 flex-1">
            <IncidentDetailPane key={search.id} id={search.id} onClose={() => open(undefined)} onMove={mayTriage ? (incident, state, reason) => inbox.move(state, [incident], reason) : undefined} />
          </div>
        )}
      </div>
    </div>
  );
}

function Nothing({ search, dated, onSearch }: { search: IncidentsSearch; dated: boolean; onSearch: (change: IncidentsSearch) => void }) {
  if (search.q || search.severity_min || dated)
    return (
      <Empty title="No incident matches">
        <Button size="sm" onClick={() => onSearch({ q: undefined, severity_min: undefined, range: undefined, from: undefined, to: undefined })}>
          Drop the filters
        </Button>
      </Empty>
    );
  if (search.state === "acknowledged" || search.state === "closed") return <Empty title={`No ${search.state} incidents`} />;
  return <Empty title="No open incidents">An incident begins with an alert of level high, with two different rules about one user, address or host within a day, or when its risk score reaches 100. A signal alone makes none.</Empty>;
}
