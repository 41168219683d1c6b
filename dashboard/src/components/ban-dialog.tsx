import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Field, Input } from "@/components/ui/input";
import { Dialog } from "@/components/ui/overlay";
import { Segmented } from "@/components/ui/segmented";
import { checkBan, makeBan, refreshBans, shownNet, sizeOf, undoBan } from "@/lib/bans";
import { cn } from "@/lib/cn";
import { dateTime } from "@/lib/time";
import type { BanCheck } from "@/lib/types";
import { useMutation, useQuery } from "@tanstack/react-query";
import { CircleCheck, Info, TriangleAlert } from "lucide-react";
import { useEffect, useState, type ReactNode } from "react";
import { toast } from "sonner";

const SPANS = [
  { value: "3600", label: "1 h" },
  { value: "14400", label: "4 h" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "7 days" },
  { value: "ever", label: "For good" },
] as const;
type Span = (typeof SPANS)[number]["value"];
const TYPING_MS = 250;

interface BanDialogProps {
  open: boolean;
  onClose: () => void;
  /** What to begin with. */
  cidr?: string;
  reason?: string;
  /** The alert that it is for. */
  alert?: string;
}

/** Whom to keep out, for how long and why; and, before it happens, what it means. */
export function BanDialog({ open, onClose, cidr = "", reason = "", alert }: BanDialogProps) {
  return (
    <Dialog open={open} onOpenChange={(next) => !next && onClose()} title="Ban an address or a network" description="It is kept out by every action that is set up, and by the web agents. Trusted addresses never are.">
      {open && <Form cidr={cidr} reason={reason} alert={alert} onDone={onClose} />}
    </Dialog>
  );
}

function Form({ cidr: cidr0, reason: reason0, alert, onDone }: { cidr: string; reason: string; alert: string | undefined; onDone: () => void }) {
  const [cidr, setCidr] = useState(cidr0);
  const [asked, setAsked] = useState(cidr0.trim());
  const [span, setSpan] = useState<Span>("14400");
  const [reason, setReason] = useState(reason0);
  const [spareOwn, setSpareOwn] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setAsked(cidr.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [cidr]);
  const check = useQuery({ queryKey: ["bans", "check", asked], queryFn: ({ signal }) => checkBan(asked, signal), enabled: asked !== "", retry: false });
  const known = asked === cidr.trim() ? check.data : undefined;
  const ownOnly = !!known?.own_address && known.size === 1;
  const blocked = !known || known.trusted || ownOnly || (!!known.own_address && !spareOwn);
  const make = useMutation({
    mutationFn: () => makeBan({ cidr: asked, reason: reason.trim(), spare_own: spareOwn, ...(span === "ever" ? {} : { secs: Number(span) }), ...(alert ? { alert } : {}) }),
    onSuccess: (made) => {
      onDone();
      void refreshBans();
      toast.success(`${shownNet(made.cidr)} is banned`, {
        description: made.until ? `until ${dateTime(made.until)}` : "for good",
        duration: 10_000,
        action: { label: "Undo", onClick: () => void undoBan(made.id).then(() => toast.success(`${shownNet(made.cidr)} is let in again`), (error: Error) => toast.error("The ban was not taken back", { description: error.message })).then(refreshBans) },
      });
    },
    onError: (error) => toast.error("Nobody was banned", { description: error.message }),
  });
  return (
    <form
      className="grid gap-4"
      data-testid="ban-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!blocked) make.mutate();
      }}
    >
      <Field label="Address or network" hint="An IPv6 address stands for its /64.">
        <Input value={cidr} onChange={(event) => setCidr(event.target.value)} required placeholder="203.0.113.7 or 203.0.113.0/24" className="mono" spellCheck={false} autoComplete="off" />
      </Field>
      <div className="min-h-9" data-testid="ban-check" aria-live="polite">
        {asked !== "" && check.error && asked === cidr.trim() && <Say kind="warn">{check.error.message}</Say>}
        {known && <Meaning check={known} />}
        {known?.own_address && !ownOnly && (
          <div className="mt-2 flex items-center gap-2 text-xs text-text2">
            <Checkbox label="Ban the rest of it, and never my own address" checked={spareOwn} onChange={setSpareOwn} /> Ban the rest of it, and never my own address
          </div>
        )}
      </div>
      <div className="grid gap-1.5 text-xs font-medium text-text2">
        For
        <Segmented label="How long" value={span} onChange={setSpan} options={SPANS} className="justify-self-start" />
      </div>
      <Field label="Why">
        <Input value={reason} onChange={(event) => setReason(event.target.value)} required maxLength={500} placeholder="Guessed passwords all night, ticket 4711" />
      </Field>
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={blocked || reason.trim() === "" || make.isPending}>
          Ban{known && !blocked ? ` ${shownNet(known.cidr)}` : ""}
        </Button>
      </div>
    </form>
  );
}

function Meaning({ check }: { check: BanCheck }) {
  const first = check.spared[0];
  if (check.own_address && check.size === 1) return <Say kind="stop">This is your own address, {check.own_address}. It is never banned.</Say>;
  if (check.trusted) return <Say kind="stop">It is trusted{first ? `: ${first.reason}` : ""}. Trusted addresses are never kept out.</Say>;
  const parts: ReactNode[] = [];
  if (check.own_address) parts.push(<Say key="own" kind="stop">This covers your own address, {check.own_address}.</Say>);
  if (check.banned.length > 0) parts.push(<Say key="banned" kind="note">Banned already {check.banned[0]!.until ? `until ${dateTime(check.banned[0]!.until)}` : "for good"}: {check.banned[0]!.reason}</Say>);
  if (check.spared.length > 0) parts.push(<Say key="spared" kind="note">Spared in it: {check.spared.slice(0, 3).map((t) => `${shownNet(t.cidr)} (${t.reason})`).join(", ")}{check.spared.length > 3 && ` and ${check.spared.length - 3} more`}</Say>);
  if (parts.length === 0) parts.push(<Say key="ok" kind={check.size > 256 && !check.cidr.includes(":") ? "warn" : "ok"}><span className="mono">{check.cidr}</span>: {sizeOf(check)}</Say>);
  return <div className="grid gap-1.5">{parts}</div>;
}

const LOOKS = {
  ok: { icon: CircleCheck, box: "border-line2 bg-bg", sign: "text-ok" },
  note: { icon: Info, box: "border-line2 bg-bg", sign: "text-text3" },
  warn: { icon: TriangleAlert, box: "border-sev-medium/50 bg-sev-medium/10", sign: "text-sev-medium" },
  stop: { icon: TriangleAlert, box: "border-sev-critical/50 bg-sev-critical/10", sign: "text-sev-critical" },
} as const;

function Say({ kind, children }: { kind: keyof typeof LOOKS; children: ReactNode }) {
  const { icon: Icon, box, sign } = LOOKS[kind];
  return (
    <p className={cn("flex gap-2 rounded-md border px-3 py-2 text-xs text-text2", box)} data-kind={kind}>
      <Icon className={cn("mt-0.5 size-3.5 shrink-0", sign)} />
      <span className="min-w-0 break-words">{children}</span>
    </p>
  );
}
