import { plural } from "@/lib/number";
import { clock } from "@/lib/time";
import type { Alert, AlertState } from "@/lib/types";
import { useCallback, useRef } from "react";
import { toast } from "sonner";
import { setAlertState } from "./api";

const DONE: Record<AlertState, string> = { open: "reopened", acknowledged: "acknowledged", closed: "closed" };
const UNDO_MS = 10_000;
/** The server takes a bounded list; larger selections go in parts. */
const IDS_MAX = 200;

async function inParts(ids: readonly string[], state: AlertState, reason?: string): Promise<Alert[]> {
  const changed: Alert[] = [];
  for (let i = 0; i < ids.length; i += IDS_MAX) changed.push(...(await setAlertState(ids.slice(i, i + IDS_MAX), state, reason)));
  return changed;
}

/** Changes the state of alerts and offers to take it back, naming who did it and when. */
export function useTriage() {
  const lastUndo = useRef<(() => void) | null>(null);

  const triage = useCallback(async (alerts: readonly Alert[], state: AlertState, reason?: string) => {
    const before = alerts.filter((alert) => alert.state !== state);
    if (before.length === 0) return;
    try {
      const changed = await inParts(before.map((alert) => alert.id), state, reason);
      const change = changed[0]?.history.at(-1);
      const undo = async () => {
        lastUndo.current = null;
        toast.dismiss(id);
        try {
          for (const old of new Set(before.map((alert) => alert.state))) await inParts(before.filter((alert) => alert.state === old).map((alert) => alert.id), old, "undone");
          toast.success(`${plural(before.length, "alert")} put back`);
        } catch (error) {
          toast.error("The change could not be undone", { description: String((error as Error).message) });
        }
      };
      const id = toast(`${plural(changed.length, "alert")} ${DONE[state]}`, {
        description: change && `by ${change.actor} at ${clock(change.time)}${change.reason ? ` · ${change.reason}` : ""}`,
        duration: UNDO_MS,
        action: { label: "Undo", onClick: () => void undo() },
      });
      lastUndo.current = () => void undo();
    } catch (error) {
      toast.error("The state was not changed", { description: String((error as Error).message) });
    }
  }, []);

  const undoLast = useCallback(() => lastUndo.current?.(), []);
  return { triage, undoLast };
}
