// What the inboxes share: a cursor, a selection, and the keys that move and triage.
import { useState, type RefObject } from "react";
import { useKeys } from "./keys";
import type { Triaged } from "./triage";
import type { AlertState } from "./types";

interface InboxOptions<T extends Triaged> {
  /** As listed, newest first. */
  items: readonly T[];
  /** The state that the list shows; what leaves it leaves the list. */
  state: AlertState | "all";
  openId: string | undefined;
  onOpen: (id: string | undefined) => void;
  /** Absent for those who may only read. */
  triage: ((targets: readonly T[], state: AlertState, reason?: string) => Promise<void>) | undefined;
  undoLast: () => void;
  input: RefObject<HTMLInputElement | null>;
}

export function useInbox<T extends Triaged>({ items, state: shown, openId, onOpen, triage, undoLast, input }: InboxOptions<T>) {
  const [cursor, setCursor] = useState<string | null>(openId ?? null);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const chosen = items.filter((one) => picked.has(one.id));
  const index = items.findIndex((one) => one.id === cursor);

  const step = (by: number) => {
    const next = items[Math.min(Math.max(index + by, 0), items.length - 1)];
    if (!next) return;
    setCursor(next.id);
    if (openId) onOpen(next.id);
  };
  const toggle = (id: string) => setPicked((old) => (old.has(id) ? new Set([...old].filter((one) => one !== id)) : new Set([...old, id])));
  const open = (id: string) => {
    setCursor(id);
    onOpen(id);
  };
  const move = (state: AlertState, targets: readonly T[], reason?: string) => {
    if (!triage || targets.length === 0) return;
    // The list closes up where something leaves it: the cursor goes to the one that takes its place.
    const ids = new Set(targets.map((target) => target.id));
    const next = items.slice(Math.max(index, 0)).find((one) => !ids.has(one.id)) ?? items.findLast((one) => !ids.has(one.id));
    if (cursor && ids.has(cursor) && next && shown !== "all" && shown !== state) {
      setCursor(next.id);
      if (openId) onOpen(next.id);
    }
    setPicked(new Set());
    void triage(targets, state, reason);
  };
  const targets = () => (chosen.length > 0 ? chosen : items.filter((one) => one.id === (cursor ?? openId)));

  useKeys({
    j: () => step(1),
    ArrowDown: () => step(1),
    k: () => step(-1),
    ArrowUp: () => step(-1),
    Enter: () => cursor && onOpen(cursor),
    x: () => cursor && toggle(cursor),
    e: () => move("closed", targets()),
    a: () => move("acknowledged", targets()),
    o: () => move("open", targets()),
    u: undoLast,
    "/": () => input.current?.focus(),
    Escape: () => (picked.size > 0 ? setPicked(new Set()) : onOpen(undefined)),
  });

  return { cursor, picked, setPicked, chosen, toggle, open, move };
}
