import { CloseMenu } from "@/components/close-menu";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Choice } from "@/components/ui/menu";
import { SearchBox } from "@/components/ui/search-box";
import { Segmented } from "@/components/ui/segmented";
import { SeverityMark } from "@/components/ui/severity";
import { cn } from "@/lib/cn";
import { compact, plural } from "@/lib/number";
import { SEVERITY_LABEL } from "@/lib/severity";
import { SEVERITIES, type AlertState, type Severity } from "@/lib/types";
import { Check, RotateCcw } from "lucide-react";
import type { ReactNode, RefObject } from "react";

interface InboxSearch {
  state?: AlertState | "all" | undefined;
  severity_min?: Severity | undefined;
  q?: string | undefined;
  id?: string | undefined;
}

interface InboxToolbarProps {
  /** What stands in the inbox, in the singular. */
  noun: string;
  placeholder: string;
  search: InboxSearch;
  onSearch: (change: InboxSearch) => void;
  counts: Partial<Record<AlertState, number>> | undefined;
  inputRef: RefObject<HTMLInputElement | null>;
  chosen: readonly { id: string }[];
  all: readonly { id: string }[];
  onPick: (ids: ReadonlySet<string>) => void;
  onMove: ((state: AlertState, reason?: string) => void) | undefined;
  /** Further filters. */
  children?: ReactNode;
}

/** Tabs of the states, or what to do with the selection; search and filters. */
export function InboxToolbar({ noun, placeholder, search, onSearch, counts, inputRef, chosen, all, onPick, onMove, children }: InboxToolbarProps) {
  const tab = (value: AlertState, label: string) => ({
    value,
    label: (
      <>
        {label} <span className="text-text3">{counts?.[value] === undefined ? "" : compact(counts[value])}</span>
      </>
    ),
  });
  return (
    <div className={cn("flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2", search.id && "max-lg:hidden")}>
      {onMove && <Checkbox label="Select all that are listed" checked={chosen.length === 0 ? false : chosen.length === all.length ? true : "indeterminate"} onChange={(checked) => onPick(new Set(checked ? all.map((one) => one.id) : []))} />}
      {chosen.length > 0 && onMove ? (
        <div className="flex items-center gap-2" role="toolbar" aria-label={`Selected ${noun}s`}>
          <span className="text-xs font-medium" data-testid="selected-count">
            {plural(chosen.length, noun)} selected
          </span>
          <Button size="sm" onClick={() => onMove("acknowledged")}>
            <Check /> Acknowledge
          </Button>
          <CloseMenu size="sm" onClose={(reason) => onMove("closed", reason)} />
          <Button size="sm" onClick={() => onMove("open")}>
            <RotateCcw /> Reopen
          </Button>
        </div>
      ) : (
        <div className="max-w-full overflow-x-auto">
          <Segmented
            label="State"
            value={search.state ?? "open"}
            onChange={(state) => onSearch({ state, id: undefined })}
            options={[tab("open", "Open"), tab("acknowledged", "Acknowledged"), tab("closed", "Closed"), { value: "all", label: "All" }]}
          />
        </div>
      )}
      <div className="ml-auto flex min-w-0 flex-1 flex-wrap items-center justify-end gap-2 basis-64">
        <SearchBox value={search.q ?? ""} inputRef={inputRef} onChange={(q) => onSearch({ q: q || undefined })} label={`Search ${noun}s`} placeholder={placeholder} testId={`${noun}s-query`} />
        <Choice
          label="Severity, at least"
          value={search.severity_min ?? "informational"}
          onChange={(severity) => onSearch({ severity_min: severity === "informational" ? undefined : severity })}
          options={SEVERITIES.map((value) => ({
            value,
            label: value === "informational" ? "Every severity" : (
              <span className="flex items-center gap-2">
                <SeverityMark severity={value} /> {SEVERITY_LABEL[value]}
                {value !== "critical" && " or worse"}
              </span>
            ),
          }))}
        />
        {children}
      </div>
    </div>
  );
}
