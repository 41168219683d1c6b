import { Tooltip } from "@/components/ui/tooltip";
import { cn } from "@/lib/cn";
import { live } from "@/lib/live/store";
import { compact, plural } from "@/lib/number";
import { useStore } from "@/lib/store";
import { useEffect, useState } from "react";

/** How the live socket is doing, always in sight. */
export function ConnectionChip() {
  const { state, retryAt, skipped } = useStore(live.connection);
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (state !== "waiting") return;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [state]);
  const secs = Math.max(0, Math.ceil((retryAt - now) / 1000));
  const label = state === "open" ? "Live" : state === "waiting" ? `Reconnecting in ${secs} s` : state === "connecting" ? "Connecting…" : "Offline";
  return (
    <Tooltip side="bottom" text={skipped > 0 ? `${plural(skipped, "live message")} skipped while the connection was slow or away. Nothing is lost: Search has them.` : "One socket carries everything that is live on this page."}>
      <button type="button" data-testid="connection" data-state={state} onClick={() => live.retryNow()} aria-label={`Connection: ${label}${skipped > 0 ? `, ${plural(skipped, "message")} skipped` : ""}`} className={cn("flex h-6 items-center gap-1.5 rounded-full border px-2 text-2xs font-medium text-text2", state === "waiting" && "border-sev-medium/60 text-sev-medium")}>
        <span className={cn("size-1.5 rounded-full", state === "open" ? "bg-ok" : state === "waiting" ? "bg-sev-medium" : "bg-text3")} />
        <span role="status">{label}</span>
        {skipped > 0 && <span className="text-sev-medium">· {compact(skipped)} messages skipped</span>}
      </button>
    </Tooltip>
  );
}
