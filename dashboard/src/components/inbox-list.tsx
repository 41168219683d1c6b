import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { cn } from "@/lib/cn";
import { prefs } from "@/lib/prefs";
import { useStore } from "@/lib/store";
import type { AlertState } from "@/lib/types";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, type ReactNode } from "react";

interface InboxListProps<T> {
  label: string;
  testId: string;
  items: readonly T[];
  /** Row heights by density. */
  rowPx: { compact: number; comfortable: number };
  cursor: string | null;
  render: (item: T) => ReactNode;
  more: (() => void) | undefined;
}

/** The rows of an inbox, drawing only those in sight and following the cursor. */
export function InboxList<T extends { id: string }>({ label, testId, items, rowPx, cursor, render, more }: InboxListProps<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  const { density } = useStore(prefs);
  const height = rowPx[density];
  const virtual = useVirtualizer({ count: items.length, getScrollElement: () => scroller.current, estimateSize: () => height, overscan: 8, getItemKey: (i) => items[i]?.id ?? i });
  useEffect(() => virtual.measure(), [virtual, height]);
  const at = items.findIndex((one) => one.id === cursor);
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at);
    // Follow the cursor, not what arrives above it.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [cursor]);
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto" data-testid={testId}>
      <div role="list" aria-label={label} className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((row) => {
          const item = items[row.index];
          if (!item) return null;
          return (
            <div role="listitem" key={row.key} className="absolute inset-x-0 top-0" style={{ height: row.size, transform: `translateY(${row.start}px)` }}>
              {render(item)}
            </div>
          );
        })}
      </div>
      {more && (
        <div className="flex justify-center p-3">
          <Button onClick={more}>Load more</Button>
        </div>
      )}
    </div>
  );
}

interface InboxRowProps {
  id: string;
  state: AlertState;
  /** What the checkbox selects, by name. */
  name: string;
  testId: string;
  isCursor: boolean;
  isOpen: boolean;
  isPicked: boolean;
  onToggle: ((id: string) => void) | undefined;
  /** Worth less attention than its neighbours. */
  quiet?: boolean;
  children: ReactNode;
}

/** The frame of a row: its checkbox, and how the cursor, the selection and a settled state look. */
export function InboxRow({ id, state, name, testId, isCursor, isOpen, isPicked, onToggle, quiet, children }: InboxRowProps) {
  return (
    <div
      data-testid={testId}
      data-id={id}
      data-state={state}
      data-cursor={isCursor}
      className={cn("relative flex h-full items-center gap-3 border-b border-l-2 border-b-line/60 border-l-transparent px-3 hover:bg-raised", (isOpen || isPicked) && "bg-accent-soft", isCursor && "border-l-accent", (state === "closed" || quiet) && "text-text3")}
    >
      {onToggle && (
        <span className="relative z-10 flex">
          <Checkbox checked={isPicked} label={`Select ${name}`} onChange={() => onToggle(id)} />
        </span>
      )}
      {children}
    </div>
  );
}
