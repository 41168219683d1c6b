import { CloseMenu } from "@/components/close-menu";
import { Chip } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { SeverityBadge } from "@/components/ui/severity";
import type { AlertState, Severity } from "@/lib/types";
import { ArrowLeft, Check, RotateCcw, X } from "lucide-react";

interface InboxHeadProps {
  severity: Severity;
  state: AlertState;
  /** What marks the state for the tests. */
  testId: string;
  onClose: () => void;
  /** Absent for those who may only read. */
  onMove: ((state: AlertState, reason?: string) => void) | undefined;
}

/** The first line of an alert's or incident's detail: how bad, in which state, and what can be done about it. */
export function InboxHead({ severity, state, testId, onClose, onMove }: InboxHeadProps) {
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button variant="ghost" size="iconSm" aria-label="Back to the list" className="lg:hidden" onClick={onClose}>
        <ArrowLeft />
      </Button>
      <SeverityBadge severity={severity} />
      <Chip>
        <span data-testid={testId}>{state}</span>
      </Chip>
      <span className="ml-auto flex flex-wrap items-center gap-1.5">
        {onMove && state !== "acknowledged" && (
          <Button size="sm" onClick={() => onMove("acknowledged")}>
            <Check /> Acknowledge
          </Button>
        )}
        {onMove && state !== "closed" && <CloseMenu size="sm" onClose={(reason) => onMove("closed", reason)} />}
        {onMove && state !== "open" && (
          <Button size="sm" onClick={() => onMove("open")}>
            <RotateCcw /> Reopen
          </Button>
        )}
        <Button variant="ghost" size="iconSm" aria-label="Close the detail" className="hidden lg:inline-flex" onClick={onClose}>
          <X />
        </Button>
      </span>
    </div>
  );
}
