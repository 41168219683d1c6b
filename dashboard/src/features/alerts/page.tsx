import { Empty, Problem, Skeleton, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { mergeAlerts } from "@/lib/alerts";
import type { AlertsSearch } from "@/lib/go";
import { useKeys } from "@/lib/keys";
import { live } from "@/lib/live/store";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import type { Alert, AlertState } from "@/lib/types";
import { cn } from "@/lib/cn";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useRef, useState } from "react";
import { alertsQuery, belongs } from "./api";
import { AlertDetailPane } from "./components/alert-detail";
import { AlertList } from "./components/alert-list";
import { AlertToolbar } from "./components/alert-toolbar";
import { useTriage } from "./triage";

export function AlertsPage({ search, onSearch }: { search: AlertsSearch; onSearch: (change: AlertsSearch, replace?: boolean) => void }) {
  const query = useInfiniteQuery(alertsQuery(search));
  const arrived = useStore(live.alerts);
  const mayTriage = may(useStore(session), "analyst");
  const { triage, undoLast } = useTriage();
  const [cursor, setCursor] = useState<string | null>(search.id ?? null);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const input = useRef<HTMLInputElement>(null);

  const alerts = useMemo(() => mergeAlerts(query.data?.pages.flatMap((p) => p.items) ?? [], arrived, (a) => belongs(a, search)), [query.data, arrived, search]);
  const chosen = alerts.filter((a) => picked.has(a.id));
  const index = alerts.findIndex((a) => a.id === cursor);

  const open = useCallback((id: string | undefined) => onSearch({ id }), [onSearch]);
  const step = (by: number) => {
    const next = alerts[Math.min(Math.max(index + by, 0), alerts.length - 1)];
    if (!next) return;
    setCursor(next.id);
    if (search.id) open(next.id);
  };
  const toggle = (id: string) => setPicked((old) => (old.has(id) ? new Set([...old].filter((one) => one !== id)) : new Set([...old, id])));
  const move = (state: AlertState, targets: readonly Alert[], reason?: string) => {
    if (!mayTriage || targets.length === 0) return;
    // The list closes up where an alert leaves it: the cursor goes to the one that takes its place.
    const ids = new Set(targets.map((t) => t.id));
    const next = alerts.slice(Math.max(index, 0)).find((a) => !ids.has(a.id)) ?? alerts.findLast((a) => !ids.has(a.id));
    if (cursor && ids.has(cursor) && next && (search.state ?? "open") !== "all" && (search.state ?? "open") !== state) {
      setCursor(next.id);
      if (search.id) open(next.id);
    }
    setPicked(new Set());
    void triage(targets, state, reason);
  };
  const targets = () => (chosen.length > 0 ? chosen : alerts.filter((a) => a.id === (cursor ?? search.id)));

  useKeys({
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    Enter: () => cursor && open(cursor),
    x: () => cursor && toggle(cursor),
    e: () => move("closed", targets()),
    a: () => move("acknowledged", targets()),
    o: () => move("open", targets()),
    u: undoLast,
    "/": () => input.current?.focus(),
    Escape: () => (picked.size > 0 ? setPicked(new Set()) : open(undefined)),
  });

  return (
    <div className="flex h-full min-h-0 flex-col">
      <AlertToolbar search={search} onSearch={onSearch} inputRef={input} chosen={chosen} all={alerts} onPick={setPicked} onMove={mayTriage ? (state, reason) => move(state, chosen, reason) : undefined} />
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
            <AlertList
              alerts={alerts}
              cursor={cursor}
              openId={search.id}
              picked={picked}
              narrow={!!search.id}
              onToggle={mayTriage ? toggle : undefined}
              onOpen={(id) => {
                setCursor(id);
                open(id);
              }}
              more={query.hasNextPage ? () => void query.fetchNextPage() : undefined}
            />
          )}
        </div>
        {search.id && (
          <div className="min-h-0 min-w-0 flex-1">
            <AlertDetailPane key={search.id} id={search.id} onClose={() => open(undefined)} onMove={mayTriage ? (alert, state, reason) => move(state, [alert], reason) : undefined} />
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
