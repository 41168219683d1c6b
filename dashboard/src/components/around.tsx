import { Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { around as period } from "@/lib/entity";
import { useGo } from "@/lib/go";
import { what } from "@/lib/ocsf";
import { clause } from "@/lib/query/edit";
import { aroundQuery } from "@/lib/queries";
import { clock } from "@/lib/time";
import type { OcsfEvent } from "@/lib/types";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

const EACH = [5, 25, 100] as const;

/** What came just before and after an event, oldest first. */
export function Around({ event, onEvent }: { event: OcsfEvent; onEvent?: ((event: OcsfEvent) => void) | undefined }) {
  const go = useGo();
  const [each, setEach] = useState<(typeof EACH)[number]>(EACH[0]);
  const { data, error, refetch, isFetching } = useQuery({ ...aroundQuery(event.metadata.uid, each), placeholderData: keepPreviousData });
  const items = data?.items ?? [];
  const more = EACH[EACH.indexOf(each) + 1];
  const at = Date.parse(event.time);
  const there = (uid: string) => go.search({ q: clause("metadata.log_name", event.metadata.log_name), ...period(event.time, event.time), event: uid });
  const show = onEvent ?? ((one: OcsfEvent) => there(one.metadata.uid));
  if (error && !data) return <Problem error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton className="h-48" />;
  return (
    <div className="grid gap-2" data-testid="around">
      {items.length <= 1 && <Empty title="Nothing else was written around it" className="h-auto py-6" />}
      <ol className="overflow-hidden rounded-md border bg-bg">
        {items.map((one) => {
          const own = one.metadata.uid === event.metadata.uid;
          const secs = (Date.parse(one.time) - at) / 1000;
          return (
            <li key={one.metadata.uid} className="border-b last:border-0">
              <button type="button" aria-current={own} disabled={own} onClick={() => show(one)} className={cn("flex w-full min-w-0 items-center gap-2 px-2.5 py-1.5 text-left text-xs", own ? "bg-accent-soft" : "hover:bg-raised")}>
                <time dateTime={one.time} className="mono shrink-0 text-text3" title={`${secs >= 0 ? "+" : ""}${secs.toFixed(3)} s`}>
                  {clock(one.time, true)}
                </time>
                <SeverityMark severity={one.severity} className="size-2.5" />
                <span className="mono min-w-0 flex-1 truncate">{what(one)}</span>
              </button>
            </li>
          );
        })}
      </ol>
      <div className="flex flex-wrap gap-2">
        {more && items.length > each && (
          <Button size="sm" onClick={() => setEach(more)} disabled={isFetching}>
            {more} before and after
          </Button>
        )}
        <Button size="sm" variant="ghost" onClick={() => there(event.metadata.uid)}>
          All of this source around that time →
        </Button>
      </div>
    </div>
  );
}
