import { Where } from "@/components/where";
import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import { deleteException, exceptionsQuery, isExpired } from "@/lib/exceptions";
import { useGo } from "@/lib/go";
import { exact } from "@/lib/number";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { ago, dateTime, span } from "@/lib/time";
import type { Exception } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ArrowLeft, Trash2 } from "lucide-react";
import { toast } from "sonner";

/** What is kept from being raised, by whom and until when: the blind spots somebody chose. */
export function ExceptionsPage() {
  const go = useGo();
  const client = useQueryClient();
  const { data, error, refetch, isPending } = useQuery(exceptionsQuery);
  const mayDelete = may(useStore(session), "analyst");
  const remove = useMutation({
    mutationFn: (exception: Exception) => deleteException(exception.id),
    onSuccess: () => {
      toast.success("Exception deleted", { description: "What meets its conditions is raised again from now on." });
      return client.invalidateQueries({ queryKey: ["exceptions"] });
    },
    onError: (failure) => toast.error("The exception was not deleted", { description: failure.message }),
  });
  return (
    <div className="mx-auto max-w-5xl space-y-3 p-4">
      <div className="flex flex-wrap items-center gap-3">
        <Button size="sm" variant="ghost" onClick={() => go.rules({})}>
          <ArrowLeft /> Rules
        </Button>
        <p className="min-w-0 flex-1 text-xs text-text3">Findings that meet one of these are not raised. Make one from an alert, where its conditions are filled in.</p>
      </div>
      {error && !data && <Problem error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton className="h-40" />}
      {data?.items.length === 0 && (
        <Empty title="No exception" className="h-auto py-16">
          Everything that a rule finds is raised.
        </Empty>
      )}
      {data && data.items.length > 0 && (
        <ul className="grid gap-2" aria-label="Exceptions">
          {data.items.map((exception) => (
            <Row key={exception.id} exception={exception} onDelete={mayDelete ? () => confirm(`Delete this exception?\n\n${exception.reason}`) && remove.mutate(exception) : undefined} />
          ))}
        </ul>
      )}
    </div>
  );
}

export function Row({ exception, onDelete }: { exception: Exception; onDelete: (() => void) | undefined }) {
  const go = useGo();
  const now = useNow(30_000);
  const expired = isExpired(exception, now);
  const { rule_id: ruleId } = exception;
  return (
    <li className={cn("rounded-lg border bg-panel p-3", expired && "border-dashed bg-transparent")} data-testid="exception">
      <div className="flex flex-wrap items-start gap-x-4 gap-y-1.5">
        <div className="min-w-0 flex-1 basis-80">
          <p className="flex flex-wrap items-center gap-2">
            {ruleId === null ? (
              <span className="font-medium text-sev-medium">Every rule</span>
            ) : (
              <button type="button" onClick={() => go.rule(ruleId)} className="truncate text-left font-medium underline decoration-line2 underline-offset-2 hover:decoration-accent">
                {exception.rule_name ?? ruleId}
              </button>
            )}
            {expired ? <Chip>expired</Chip> : exception.expires_at === null && <Chip className="border-sev-medium/60 text-sev-medium">never ends</Chip>}
          </p>
          <div className="mt-1.5">
            <Where where={exception.where} />
          </div>
          <p className="mt-1.5 text-xs break-words text-text2">“{exception.reason}”</p>
        </div>
        <dl className="grid shrink-0 grid-cols-[auto_auto] gap-x-3 gap-y-0.5 text-2xs">
          <dt className="text-text3">Kept away</dt>
          <dd className="text-right font-semibold">{exact(exception.hits)}</dd>
          <dt className="text-text3">Last time</dt>
          <dd className="text-right" title={exception.last_hit ? dateTime(exception.last_hit) : undefined}>
            {exception.last_hit ? `${ago(exception.last_hit, now)} ago` : "never"}
          </dd>
          <dt className="text-text3">{expired ? "Ended" : "Ends"}</dt>
          <dd className="text-right" title={exception.expires_at ? dateTime(exception.expires_at) : undefined}>
            {exception.expires_at === null ? "never" : expired ? `${ago(exception.expires_at, now)} ago` : `in ${span((Date.parse(exception.expires_at) - now) / 1000)}`}
          </dd>
          <dt className="text-text3">Made</dt>
          <dd className="text-right">
            {dateTime(exception.created_at).slice(0, 10)} by {exception.author}
          </dd>
        </dl>
        {onDelete && (
          <Button size="iconSm" variant="ghost" aria-label={`Delete the exception: ${exception.reason}`} onClick={onDelete}>
            <Trash2 />
          </Button>
        )}
      </div>
    </li>
  );
}
