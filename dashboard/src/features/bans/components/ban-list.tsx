import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { bansQuery, countdown, left, refreshBans, shownNet, undoBan, worst } from "@/lib/bans";
import { cn } from "@/lib/cn";
import { useGo } from "@/lib/go";
import { plural } from "@/lib/number";
import { ago, dateTime } from "@/lib/time";
import type { Ban } from "@/lib/types";
import { useNow } from "@/lib/use-now";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Undo2 } from "lucide-react";
import { toast } from "sonner";

const SOURCE: Record<Ban["source"], string> = { manual: "by hand", rule: "by a rule", import: "imported", agent: "by an agent" };

export function BanList({ all, q, mayUndo }: { all: boolean; q: string; mayUndo: boolean }) {
  const { data, error, refetch, isPending } = useQuery(bansQuery(all, q));
  const now = useNow(1000);
  const undo = useMutation({
    mutationFn: (ban: Ban) => undoBan(ban.id),
    onSuccess: ({ undone }, ban) => {
      const grown = undone.find((one) => one.grown_from);
      toast.success(`${shownNet(ban.cidr)} is let in again`, { description: grown && grown.id !== ban.id ? `The ban of ${grown.cidr} was taken back with it; its other addresses stay banned.` : "Rules do not ban it again for a day." });
      return refreshBans();
    },
    onError: (failure) => toast.error("The ban was not taken back", { description: failure.message }),
  });
  if (error && !data) return <Problem error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeleton className="h-40" />;
  if (data.items.length === 0)
    return (
      <Empty title={q ? "No ban matches" : all ? "Nobody was ever banned" : "Nobody is banned"} className="h-auto py-16" testId="no-bans">
        {q ? "Try a part of a network, a reason or a name." : "Ban an address here or from an alert, or let rules do it: start with the dry run, which only says whom they would have banned."}
      </Empty>
    );
  return (
    <>
      <ul className="overflow-hidden rounded-lg border bg-panel" aria-label="Bans">
        {data.items.map((ban) => (
          <Row key={ban.id} ban={ban} now={now} onUndo={mayUndo && ban.state === "active" ? () => undo.mutate(ban) : undefined} />
        ))}
      </ul>
      {data.next_cursor && <p className="text-center text-xs text-text3">The newest {data.items.length} of {plural(data.total ?? 0, "ban")}. Search to see others.</p>}
    </>
  );
}

function Row({ ban, now, onUndo }: { ban: Ban; now: number; onUndo: (() => void) | undefined }) {
  const go = useGo();
  const over = ban.state !== "active";
  return (
    <li data-testid="ban" data-cidr={ban.cidr} data-state={ban.state} className={cn("grid grid-cols-[minmax(0,1fr)_auto] items-center gap-x-4 gap-y-1 border-b px-4 py-2.5 last:border-0 md:grid-cols-[13rem_minmax(0,1fr)_9rem_9.5rem]", over && "opacity-60")}>
      <div className="flex min-w-0 items-center gap-2">
        <Dot ban={ban} />
        <button type="button" className="mono truncate text-sm font-semibold hover:underline" onClick={() => go.search({ range: "24h", q: `source.ip:${ban.cidr.includes(":") ? `"${ban.cidr}"` : ban.cidr}` })} title={`Events from ${ban.cidr} of the last day`}>
          {shownNet(ban.cidr)}
        </button>
      </div>
      <div className="order-3 col-span-2 min-w-0 md:order-none md:col-span-1">
        <p className="truncate text-sm" title={ban.reason}>{ban.reason}</p>
        <p className="flex flex-wrap items-center gap-x-1.5 gap-y-1 text-2xs text-text3">
          {ban.source === "rule" && ban.rule ? <Link onClick={() => go.rule(ban.rule!)}>{SOURCE.rule}</Link> : <span>{ban.source === "rule" ? SOURCE.rule : `${SOURCE[ban.source]} · ${ban.actor}`}</span>}
          <span title={dateTime(ban.created_at)}>· {ago(ban.created_at, now)} ago</span>
          {ban.rule && ban.rule_name && ban.rule_name !== ban.reason && <Link onClick={() => go.rule(ban.rule!)}>{ban.rule_name}</Link>}
          {ban.alert && <Link onClick={() => go.alerts({ state: "all", id: ban.alert! })}>its alert</Link>}
          {ban.grown_from && <Chip>grown from {ban.grown_from}</Chip>}
          {ban.offences > 0 && <Chip title="Earlier bans made this one longer">{ban.offences + 1}. time</Chip>}
          {ban.undone && <span className="break-words">· taken back by {ban.undone.actor}: {ban.undone.reason}</span>}
        </p>
      </div>
      <ActionStates ban={ban} />
      <div className="flex min-h-6 items-center justify-end gap-3">
        <Ends ban={ban} now={now} />
        {onUndo && (
          <Button size="iconSm" variant="ghost" aria-label={`Take back the ban of ${shownNet(ban.cidr)}`} title="Take the ban back" onClick={onUndo}>
            <Undo2 />
          </Button>
        )}
      </div>
    </li>
  );
}

const Link = ({ onClick, children }: { onClick: () => void; children: React.ReactNode }) => (
  <button type="button" onClick={onClick} className="underline decoration-line2 underline-offset-2 hover:text-text hover:decoration-accent">
    {children}
  </button>
);

function Dot({ ban }: { ban: Ban }) {
  const tone = ban.state !== "active" ? "bg-text3" : ban.dry_run ? "bg-transparent border border-sev-medium" : worst(ban.actions) === "failed" ? "bg-sev-critical" : worst(ban.actions) === "pending" ? "bg-sev-medium" : "bg-ok";
  return <span aria-hidden className={cn("size-2 shrink-0 rounded-full", tone)} />;
}

/** Where it is enforced; what went wrong stands behind the name. */
function ActionStates({ ban }: { ban: Ban }) {
  if (ban.state !== "active") return <span className="hidden text-2xs text-text3 md:inline">{ban.state === "undone" ? "taken back" : "over"}</span>;
  if (ban.dry_run) return <Chip className="justify-self-start border-sev-medium/60 text-sev-medium" title="It would be a ban if this were no dry run">dry run</Chip>;
  if (ban.actions.length === 0) return <span className="hidden text-2xs text-text3 md:inline">agents and lists</span>;
  return (
    <span className="order-last col-span-2 flex flex-wrap gap-1 md:order-none md:col-span-1">
      {ban.actions.map((action) => (
        <Chip key={action.name} title={action.error ?? action.state} className={cn(action.state === "failed" && "border-sev-critical/60 text-sev-critical", action.state === "pending" && "border-sev-medium/60 text-sev-medium")}>
          {action.name}
          {action.state !== "applied" && `: ${action.state}`}
        </Chip>
      ))}
    </span>
  );
}

function Ends({ ban, now }: { ban: Ban; now: number }) {
  if (ban.state === "undone") return <span className="text-right text-2xs text-text3">{ban.undone ? `${ago(ban.undone.at, now)} ago` : ""}</span>;
  if (ban.until === null) return <span className="text-right text-xs text-text2">for good</span>;
  const rest = countdown(ban.until, now);
  if (rest === "") return <span className="text-right text-2xs text-text3">{ago(ban.until, now)} ago</span>;
  return (
    <span className="grid justify-items-end gap-1" title={`until ${dateTime(ban.until)}`}>
      <span className="mono text-xs tabular-nums" data-testid="countdown">{rest}</span>
      <span className="h-0.5 w-20 overflow-hidden rounded bg-raised">
        <span className="block h-full rounded bg-accent" style={{ width: `${left(ban, now) * 100}%` }} />
      </span>
    </span>
  );
}
