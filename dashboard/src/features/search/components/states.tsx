import { Skeleton } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { exact } from "@/lib/number";
import { ChevronDown, ChevronUp, Square } from "lucide-react";
import { ROWS_MAX } from "../api";

/** From the open event to the ones beside it in the list. */
export const Neighbours = ({ onStep }: { onStep: (by: number) => void }) => (
  <div className="-mb-2 flex gap-1">
    <Button size="sm" variant="ghost" onClick={() => onStep(-1)} title="k">
      <ChevronUp /> Previous
    </Button>
    <Button size="sm" variant="ghost" onClick={() => onStep(1)} title="j">
      <ChevronDown /> Next
    </Button>
  </div>
);

export function Waiting({ slow, onStop }: { slow: boolean; onStop: () => void }) {
  return (
    <div aria-busy="true" className="grid gap-2 p-3">
      {slow && (
        <p role="status" className="flex items-center gap-3 text-xs text-text2">
          This takes a moment. A shorter period or a field instead of free text is faster.
          <Button size="sm" onClick={onStop}>
            <Square /> Stop
          </Button>
        </p>
      )}
      {Array.from({ length: 14 }, (_, i) => (
        <Skeleton key={i} className="h-5" />
      ))}
    </div>
  );
}

export const Stopped = ({ onAgain }: { onAgain: () => void }) => (
  <div className="flex flex-col items-center gap-3 p-12 text-sm text-text2">
    The search was stopped.
    <Button size="sm" onClick={onAgain}>
      Search again
    </Button>
  </div>
);

export function Foot({ loading, ended, loaded }: { loading: boolean; ended: boolean; loaded: number }) {
  if (loading) return <p className="p-3 text-center text-2xs text-text3">Loading more…</p>;
  if (!ended) return null;
  return <p className="p-3 text-center text-2xs text-text3">{loaded >= ROWS_MAX ? `The list ends after ${exact(ROWS_MAX)} events. Narrow the period or the query, or export all of them.` : "No older event in this period."}</p>;
}
