import { dateTime } from "@/lib/time";
import type { StateChange } from "@/lib/types";

/** Who set which state, when and why, newest first, down to the beginning. */
export function History({ changes, start, startText, testId }: { changes: readonly StateChange[]; start: string; startText: string; testId: string }) {
  return (
    <ol className="space-y-1 text-xs" data-testid={testId}>
      {changes.toReversed().map((h) => (
        <li key={`${h.time}${h.state}`} className="flex flex-wrap gap-x-2">
          <time dateTime={h.time} className="mono text-text3">
            {dateTime(h.time)}
          </time>
          <span>
            <b className="font-semibold">{h.actor}</b> set it to <b className="font-semibold">{h.state}</b>
          </span>
          {h.reason && <span className="text-text2">“{h.reason}”</span>}
        </li>
      ))}
      <li className="flex gap-2 text-text3">
        <time dateTime={start} className="mono">
          {dateTime(start)}
        </time>
        {startText}
      </li>
    </ol>
  );
}
