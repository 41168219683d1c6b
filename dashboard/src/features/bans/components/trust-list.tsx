import { Chip, Empty, Problem, Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/input";
import { Dialog } from "@/components/ui/overlay";
import { deleteTrust, makeTrust, refreshBans, shownNet, trustsQuery } from "@/lib/bans";
import { plural } from "@/lib/number";
import { dateTime } from "@/lib/time";
import type { Trust } from "@/lib/types";
import { useMutation, useQuery } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";

const KIND: Record<Trust["kind"], { title: string; about: string }> = {
  list: { title: "Trust list", about: "Networks that somebody named. Bans inside them are taken back." },
  configuration: { title: "From the configuration", about: "answer.trust" },
  admin: { title: "Where admins are signed in from", about: "So that nobody locks the admin out." },
  platform: { title: "This machine", about: "Its addresses, gateways and name servers, as they are now." },
  always: { title: "Always", about: "What is no address of anybody outside." },
};
const KINDS = Object.keys(KIND) as Trust["kind"][];

export function TrustList({ mayChange, adding, onAdded }: { mayChange: boolean; adding: boolean; onAdded: () => void }) {
  const { data, error, refetch, isPending } = useQuery(trustsQuery);
  const remove = useMutation({
    mutationFn: (trust: Trust) => deleteTrust(trust.id ?? ""),
    onSuccess: (_, trust) => {
      toast.success(`${shownNet(trust.cidr)} is no longer trusted`);
      return refreshBans();
    },
    onError: (failure) => toast.error("The trust was not removed", { description: failure.message }),
  });
  if (error && !data) return <Problem error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeleton className="h-40" />;
  return (
    <div className="space-y-4">
      {KINDS.map((kind) => {
        const items = data.items.filter((trust) => trust.kind === kind);
        if (items.length === 0 && kind !== "list") return null;
        return (
          <section key={kind}>
            <h2 className="text-sm font-semibold">{KIND[kind].title}</h2>
            <p className="mb-1.5 text-xs text-text3">{KIND[kind].about}</p>
            {items.length === 0 ? (
              <Empty title="The list is empty" className="h-auto rounded-lg border border-dashed py-6">Name your offices, your monitoring and your partners before rules ban.</Empty>
            ) : (
              <ul className="overflow-hidden rounded-lg border bg-panel" aria-label={KIND[kind].title}>
                {items.map((trust) => (
                  <li key={`${trust.cidr} ${trust.reason}`} data-testid="trust" className="flex flex-wrap items-center gap-x-4 gap-y-1 border-b px-4 py-2 last:border-0">
                    <span className="mono w-52 truncate text-sm font-semibold">{shownNet(trust.cidr)}</span>
                    <span className="min-w-0 flex-1 basis-48 text-sm break-words text-text2">{trust.reason}</span>
                    {trust.actor && <Chip>{trust.actor}</Chip>}
                    {trust.created_at && <span className="text-2xs text-text3">{dateTime(trust.created_at)}</span>}
                    {trust.id && mayChange && (
                      <Button size="iconSm" variant="ghost" aria-label={`No longer trust ${trust.cidr}`} onClick={() => confirm(`No longer trust ${trust.cidr}?\n\nBans of it are possible from then on.`) && remove.mutate(trust)}>
                        <Trash2 />
                      </Button>
                    )}
                  </li>
                ))}
              </ul>
            )}
          </section>
        );
      })}
      <Dialog open={adding} onOpenChange={(next) => !next && onAdded()} title="Trust an address or a network" description="It is never kept out, whatever anybody or any rule does. Bans inside it are taken back at once.">
        {adding && <Form onDone={onAdded} />}
      </Dialog>
    </div>
  );
}

function Form({ onDone }: { onDone: () => void }) {
  const [cidr, setCidr] = useState("");
  const [reason, setReason] = useState("");
  const make = useMutation({
    mutationFn: () => makeTrust({ cidr: cidr.trim(), reason: reason.trim() }),
    onSuccess: ({ trust, undone }) => {
      onDone();
      toast.success(`${shownNet(trust.cidr)} is trusted`, undone.length > 0 ? { description: `${plural(undone.length, "ban")} inside it ${undone.length === 1 ? "was" : "were"} taken back.` } : {});
      return refreshBans();
    },
    onError: (failure) => toast.error("Nothing was trusted", { description: failure.message }),
  });
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate();
      }}
    >
      <Field label="Address or network">
        <Input value={cidr} onChange={(event) => setCidr(event.target.value)} required placeholder="198.51.100.0/24" className="mono" spellCheck={false} autoComplete="off" />
      </Field>
      <Field label="Why">
        <Input value={reason} onChange={(event) => setReason(event.target.value)} required maxLength={500} placeholder="The office in Bern" />
      </Field>
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={cidr.trim() === "" || reason.trim() === "" || make.isPending}>
          Trust it
        </Button>
      </div>
    </form>
  );
}
