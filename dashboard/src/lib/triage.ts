// Changing the state of what stands in an inbox, alerts or incidents, with a way back.
import { plural } from "./number";
import { clock } from "./time";
import type { AlertState, StateChange } from "./types";
import { useCallback, useRef } from "react";
import { toast } from "sonner";

export interface Triaged {
  id: string;
  state: AlertState;
  history: StateChange[];
}
export type SetState<T extends Triaged> = (ids: readonly string[], state: AlertState, reason?: string) => Promise<T[]>;

const DONE: Record<AlertState, string> = { open: "reopened", acknowledged: "acknowledged", closed: "closed" };
const UNDO_MS = 10_000;
/** The server takes a bounded list; larger selections go in parts. */
const IDS_MAX = 200;

/** Changes states and offers to take it back, naming who did it and when. `set` must not change between drawings. */
export function useTriage<T extends Triaged>(noun: string, set: SetState<T>) {
  const lastUndo = useRef<(() => void) | null>(null);

  const triage = useCallback(
    async (targets: readonly T[], state: AlertState, reason?: string) => {
      const before = targets.filter((one) => one.state !== state);
      if (before.length === 0) return;
      const inParts = async (list: readonly T[], to: AlertState, why?: string): Promise<T[]> => {
        const changed: T[] = [];
        for (let i = 0; i < list.length; i += IDS_MAX) changed.push(...(await set(list.slice(i, i + IDS_MAX).map((one) => one.id), to, why)));
        return changed;
      };
      try {
        const changed = await inParts(before, state, reason);
        const change = changed[0]?.history.at(-1);
        const undo = async () => {
          lastUndo.current = null;
          toast.dismiss(id);
          try {
            for (const old of new Set(before.map((one) => one.state))) await inParts(before.filter((one) => one.state === old), old, "undone");
            toast.success(`${plural(before.length, noun)} put back`);
          } catch (error) {
            toast.error("The change could not be undone", { description: String((error as Error).message) });
          }
        };
        const id = toast(`${plural(changed.length, noun)} ${DONE[state]}`, {
          description: change && `by ${change.actor} at ${clock(change.time)}${change.reason ? ` · ${change.reason}` : ""}`,
          duration: UNDO_MS,
          action: { label: "Undo", onClick: () => void undo() },
        });
        lastUndo.current = () => void undo();
      } catch (error) {
        toast.error("The state was not changed", { description: String((error as Error).message) });
      }
    },
    [noun, set],
  );

  const undoLast = useCallback(() => lastUndo.current?.(), []);
  return { triage, undoLast };
}
