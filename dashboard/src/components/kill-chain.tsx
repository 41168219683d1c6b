import { TACTICS, tacticName } from "@/lib/attack";
import { cn } from "@/lib/cn";

/** The places of the kill chain that were reached, as a strip that fits a row. */
export function KillChain({ tactics, className }: { tactics: readonly string[]; className?: string }) {
  const text = tactics.length === 0 ? "No tactic" : tactics.map(tacticName).join(", then ");
  return (
    <span role="img" aria-label={text} title={text} className={cn("inline-flex h-3 items-center gap-[2px]", className)}>
      {TACTICS.map(([id]) => (
        <span key={id} className={cn("w-[5px] rounded-[1.5px]", tactics.includes(id) ? "h-3 bg-[var(--heat)]" : "h-1.5 bg-line2/70")} />
      ))}
    </span>
  );
}

/** The whole chain with names. The numbers say in which order the tactics were first seen. */
export function KillChainWide({ tactics }: { tactics: readonly string[] }) {
  if (tactics.length === 0) return <p className="text-xs text-text3">None of the rules names a tactic.</p>;
  return (
    <ol className="grid grid-cols-7 gap-1 lg:grid-cols-[repeat(14,minmax(0,1fr))]" aria-label="ATT&CK tactics, in the order of the kill chain">
      {TACTICS.map(([id, name, short]) => {
        const order = tactics.indexOf(id) + 1;
        return (
          <li key={id} title={order ? `${name}: seen as number ${order}` : `${name}: not seen`} className={cn("flex h-9 min-w-0 flex-col items-center justify-center rounded border px-0.5 text-[0.625rem] leading-3", order ? "border-[var(--heat)] bg-[color-mix(in_srgb,var(--heat)_22%,var(--panel))] font-semibold text-text" : "border-line text-text3")}>
            <span className="max-w-full truncate">{short}</span>
            {order > 0 && (
              <span className="text-2xs" aria-label={`number ${order}`}>
                {order}
              </span>
            )}
          </li>
        );
      })}
    </ol>
  );
}
