import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Field, Input } from "@/components/ui/input";
import { Choice } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import { Segmented } from "@/components/ui/segmented";
import { Where } from "@/components/where";
import { deleteException, makeException, MODIFIER_LABEL, MODIFIERS, whereOf, type Candidate } from "@/lib/exceptions";
import { queryClient } from "@/lib/queries";
import { dateTime } from "@/lib/time";
import type { Rule } from "@/lib/types";
import { useMutation } from "@tanstack/react-query";
import { Plus, TriangleAlert, X } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";

interface ExceptionDialogProps {
  open: boolean;
  onClose: () => void;
  rule: Rule;
  /** What to begin with. */
  candidates: readonly Candidate[];
}

const EXPIRIES = [
  { value: "1", label: "1 day" },
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "never", label: "Never" },
] as const;
type Expiry = (typeof EXPIRIES)[number]["value"];
const DAY_MS = 86_400_000;
const EMPTY: Candidate = { field: "", modifier: "", value: "", on: true };

const refresh = () => queryClient.invalidateQueries({ queryKey: ["exceptions"] });

/** "Not this one again": which conditions, for how long, and why. */
export function ExceptionDialog({ open, onClose, rule, candidates }: ExceptionDialogProps) {
  return (
    <Dialog open={open} onOpenChange={(next) => !next && onClose()} title="Make an exception" description="Findings that meet all of these conditions are not raised from now on. Events are kept." className="w-[min(44rem,calc(100vw-1.5rem))]">
      {open && <Form rule={rule} candidates={candidates} onDone={onClose} />}
    </Dialog>
  );
}

function Form({ rule, candidates, onDone }: { rule: Rule; candidates: readonly Candidate[]; onDone: () => void }) {
  const [lines, setLines] = useState<readonly (Candidate & { key: number })[]>(() => (candidates.length > 0 ? candidates : [EMPTY]).map((line, key) => ({ ...line, key })));
  const [everyRule, setEveryRule] = useState(false);
  const [expiry, setExpiry] = useState<Expiry>("7");
  const [reason, setReason] = useState("");
  const [opened] = useState(() => Date.now());
  const where = whereOf(lines);
  const some = Object.keys(where).length > 0;
  const make = useMutation({
    mutationFn: () => makeException({ rule_id: everyRule ? null : rule.id, where, reason: reason.trim(), expires_at: expiry === "never" ? null : new Date(Date.now() + Number(expiry) * DAY_MS).toISOString() }),
    onSuccess: (made) => {
      onDone();
      void refresh();
      toast.success("Exception made", {
        description: `by ${made.author}${made.expires_at ? `, until ${dateTime(made.expires_at)}` : ", for ever"}`,
        duration: 10_000,
        action: { label: "Undo", onClick: () => void deleteException(made.id).then(() => toast.success("Exception taken back"), (error: Error) => toast.error("It was not taken back", { description: error.message })).then(refresh) },
      });
    },
    onError: (error) => toast.error("The exception was not made", { description: error.message }),
  });
  const change = (key: number, part: Partial<Candidate>) => setLines((old) => old.map((line) => (line.key === key ? { ...line, ...part } : line)));
  return (
    <form
      className="grid gap-4"
      data-testid="exception-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (some) make.mutate();
      }}
    >
      <fieldset className="grid gap-1.5">
        <legend className="mb-1.5 text-xs font-medium text-text2">Where</legend>
        {lines.map((line) => (
          <div key={line.key} className="flex flex-wrap items-center gap-1.5 sm:flex-nowrap">
            <Checkbox label={`Ask for ${line.field || "this condition"}`} checked={line.on} onChange={(on) => change(line.key, { on })} />
            <Input aria-label="Field" value={line.field} placeholder="field" onChange={(event) => change(line.key, { field: event.target.value })} className="mono w-44 shrink-0 text-xs max-sm:flex-1" />
            <Choice label="How" value={line.modifier} onChange={(modifier) => change(line.key, { modifier })} options={MODIFIERS.map((value) => ({ value, label: MODIFIER_LABEL[value] }))} />
            <Input aria-label="Value" value={line.value} placeholder="value" onChange={(event) => change(line.key, { value: event.target.value })} className="mono min-w-32 flex-1 text-xs" />
            <Button variant="ghost" size="iconSm" aria-label={`Remove the condition on ${line.field || "nothing"}`} onClick={() => setLines((old) => old.filter((one) => one.key !== line.key))}>
              <X />
            </Button>
          </div>
        ))}
        <Button variant="ghost" size="sm" className="justify-self-start" onClick={() => setLines((old) => [...old, { ...EMPTY, key: Math.max(-1, ...old.map((line) => line.key)) + 1 }])}>
          <Plus /> Another condition
        </Button>
        <p className="text-2xs text-text3">
          Conditions are asked of the events. <span className="mono">*</span> and <span className="mono">?</span> stand for any text and any character; <span className="mono">\</span> before them makes them plain.
        </p>
      </fieldset>
      <div className="grid gap-1.5 text-xs font-medium text-text2">
        For
        <Segmented label="For which rules" value={everyRule ? "every" : "this"} onChange={(value) => setEveryRule(value === "every")} className="justify-self-start" options={[{ value: "this", label: "This rule" }, { value: "every", label: "Every rule" }]} />
      </div>
      <div className="grid gap-1.5 text-xs font-medium text-text2">
        Until
        <Segmented label="Expires after" value={expiry} onChange={setExpiry} options={EXPIRIES} className="justify-self-start" />
      </div>
      {(expiry === "never" || everyRule) && (
        <p role="status" className="flex gap-2 rounded-md border border-sev-medium/50 bg-sev-medium/10 px-3 py-2 text-xs text-text2" data-testid="exception-warning">
          <TriangleAlert className="mt-0.5 size-3.5 shrink-0 text-sev-medium" />
          <span>
            {expiry === "never" && "An exception that never ends is forgotten, and whoever meets it later is not seen. Choose an end if you can. "}
            {everyRule && "Every rule is blind to what meets these conditions, also rules that are added later."}
          </span>
        </p>
      )}
      <Field label="Why" hint="Whoever finds this in a year should understand it.">
        <Input value={reason} onChange={(event) => setReason(event.target.value)} required maxLength={500} placeholder="Nightly backup of the finance host, ticket 4711" />
      </Field>
      <div className="rounded-md border bg-bg p-3 text-xs text-text2" data-testid="exception-preview">
        {some ? (
          <div className="grid gap-1.5">
            <span>
              {everyRule ? "No rule raises" : (<><b className="font-semibold text-text">{rule.name}</b> raises no</>)} findings {expiry === "never" ? "ever again" : `until ${dateTime(opened + Number(expiry) * DAY_MS)}`} where
            </span>
            <Where where={where} />
          </div>
        ) : (
          "Choose at least one condition: without any, the rule would be off."
        )}
      </div>
      <div className="flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={!some || reason.trim() === "" || make.isPending}>
          Make the exception
        </Button>
      </div>
    </form>
  );
}
