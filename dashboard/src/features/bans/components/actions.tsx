import { cn } from "@/lib/cn";
import { exact, plural } from "@/lib/number";
import type { AnswerStatus } from "@/lib/types";
import { FlaskConical } from "lucide-react";

/** Whether rules ban, and how the places stand where bans are enforced. */
export function Actions({ status }: { status: AnswerStatus | undefined }) {
  if (!status) return <div className="h-12" />;
  return (
    <div className="space-y-3">
      {status.automatic && status.dry_run && (
        <div role="status" className="flex gap-3 rounded-lg border border-sev-medium/50 bg-sev-medium/10 px-4 py-3" data-testid="dry-run">
          <FlaskConical className="mt-0.5 size-4 shrink-0 text-sev-medium" />
          <div className="min-w-0 text-xs text-text2">
            <p className="text-sm font-medium text-text">Dry run: rules keep nobody out</p>
            <p className="mt-0.5">
              {status.dry === 0 ? "So far no finding would have banned anybody." : `${plural(status.dry, "ban")} below would stand.`} When they are the right ones, set <code className="mono">answer.dry_run = false</code>. Bans by people are enforced all the same.
            </p>
          </div>
        </div>
      )}
      <div className="flex flex-wrap items-stretch gap-2">
        <Tile label="Kept out" value={exact(status.networks)} note={status.networks === 1 ? "network" : "networks"} />
        <Tile label="Rules" value={status.automatic ? (status.dry_run ? "dry run" : "ban") : "do not ban"} note={status.automatic ? `${status.bans_last_hour} of ${status.bans_per_hour} this hour` : "answer.automatic"} />
        {status.actions.map((action) => (
          <Tile key={action.name} label={action.name} value={action.error ? "failing" : action.looked_at ? "in place" : "starting"} tone={action.error ? "bad" : action.looked_at ? "good" : "none"} note={action.error ?? `${exact(action.held)} · ${action.kind}`} />
        ))}
        {status.actions.length === 0 && <Tile label="Actions" value="none set up" note="lists for agents and bouncers only" />}
      </div>
    </div>
  );
}

function Tile({ label, value, note, tone = "none" }: { label: string; value: string; note: string; tone?: "good" | "bad" | "none" }) {
  return (
    <div className={cn("flex min-w-36 max-w-80 flex-col rounded-lg border bg-panel px-3 py-2", tone === "bad" && "border-sev-critical/50")} data-testid="answer-tile">
      <span className="truncate text-2xs text-text3">{label}</span>
      <span className="flex items-center gap-1.5 text-sm font-semibold">
        {tone !== "none" && <span className={cn("size-1.5 rounded-full", tone === "good" ? "bg-ok" : "bg-sev-critical")} />}
        {value}
      </span>
      <span className="line-clamp-2 text-2xs break-words text-text3" title={note}>
        {note}
      </span>
    </div>
  );
}
