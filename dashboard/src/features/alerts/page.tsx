import { Empty, Problem, Skeleton, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { mergeAlerts } from "@/lib/alerts";
import type { AlertsSearch } from "@/lib/go";
import { useInbox } from "@/lib/inbox";
import { live } from "@/lib/live/store";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { useTriage } from "@/lib/triage";
import type { Alert } from "@/lib/types";
import { cn } from "@/lib/cn";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useRef } from "react";
import { alertsQuery, belongs, setAlertState } from "./api";
import { AlertDetailPane } from "./components/alert-detail";
import { AlertList } from "./components/alert-list";
import { AlertToolbar } from "./components/alert-toolbar";

export function AlertsPage({ search, onSearch }: { search: AlertsSearch; onSearch: (change: AlertsSearch, replace?: boolean) => void }) {
  const query = useInfiniteQuery(alertsQuery(search));
  const arrived = useStore(live.alerts);
  const mayTriage = may(useStore(session), "analyst");
  const { triage, undoLast } = useTriage("alert", setAlertState);
  const input = useRef<HTMLInputElement>(null);
  const alerts = useMemo(() => mergeAlerts(query.data?.pages.flatMap((p) => p.items) ?? [], arrived, (a) => belongs(a, search)), [query.data, arrived, search]);
  const open = useCallback((id: string | undefined) => onSearch({ id }), [onSearch]);
  const inbox = useInbox<Alert>({ items: alerts, state: search.state ?? "open", openId: search.id, onOpen: open, triage: mayTriage ? triage : undefined, undoLast, input });

  return (
    <div className="flex h-full min-h-0 flex-col">
      <AlertToolbar search={search} onSearch={onSearch} inputRef={input} chosen={inbox.chosen} all={alerts} onPick={inbox.setPicked} onMove={mayTriage ? (state, reason) => inbox.move(state, inbox.chosen, reason) : undefined} />
      <div className="flex min-h-0 flex-1">
        <div className={cn("flex min-h-0 min-w-0 flex-col bg-panel", search.id ? "hidden lg:flex lg:w-[38%] lg:max-w-136 lg:border-r" : "flex-1")}>
          {query.error && (
            <div className="p-3">
              <Problem error={query.error} retry={() => void query.refetch()} />
            </div>
          )}
          {query.isPending && <Skeleton className="m-3 h-40" />}
          {query.isSuccess && alerts.length === 0 ? (
            <Nothing search={search} onSearch={onSearch} />
          ) : (
            <AlertList alerts={alerts} cursor={inbox.cursor} openId={search.id} picked={inbox.picked} narrow={!!search.id} onToggle={mayTriage ? inbox.toggle : undefined} onOpen={inbox.open} more={query.hasNextPage ? () => void query.fetchNextPage() : undefined} />
          )}
        </div>
        {search.id && (
          <div className="min-h-0 min-w-0 flex-1">
            <AlertDetailPane key={search.id} id={search.id} onClose={() => open(undefined)} onMove={mayTriage ? (alert, state, reason) => inbox.move(state, [alert], reason) : undefined} />
          </div>
        )}
      </div>
    </div>
  );
}

function Nothing({ search, onSearch }: { search: AlertsSearch; onSearch: (change: AlertsSearch) => void }) {
  const narrowed = !!search.q || !!search.severity_min;
  if (narrowed)
    return (
      <Empty title="No alert matches">
        <Button size="sm" onClick={() => onSearch({ q: undefined, severity_min: undefined })}>
          Drop the filters
        </Button>
      </Empty>
    );
  if ((search.state ?? "open") === "acknowledged" || search.state === "closed") return <Empty title={`No ${search.state} alerts`} />;
  return (
    <Empty title="Inbox empty: no open alerts">
      <p className="mb-2">To see one, let a simulated attacker in:</p>
      <Snippet text="erne simulate mixed --attacks" />
    </Empty>
  );
}
