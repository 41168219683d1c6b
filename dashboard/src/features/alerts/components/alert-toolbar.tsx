import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Input } from "@/components/ui/input";
import { Choice } from "@/components/ui/menu";
import { Segmented } from "@/components/ui/segmented";
import { SeverityMark } from "@/components/ui/severity";
import type { AlertsSearch } from "@/lib/go";
import { compact, plural } from "@/lib/number";
import { prefs, setPref } from "@/lib/prefs";
import { SEVERITY_LABEL } from "@/lib/severity";
import { useStore } from "@/lib/store";
import type { Alert, AlertState, Severity } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Bell, BellOff, Check, RotateCcw, Search } from "lucide-react";
import { useEffect, useState, type RefObject } from "react";
import { toast } from "sonner";
import { alertCountsQuery } from "../api";
import { CloseMenu } from "./close-menu";

interface AlertToolbarProps {
  search: AlertsSearch;
  onSearch: (change: AlertsSearch) => void;
  inputRef: RefObject<HTMLInputElement | null>;
  chosen: readonly Alert[];
  all: readonly Alert[];
  onPick: (ids: ReadonlySet<string>) => void;
  onMove: ((state: AlertState, reason?: string) => void) | undefined;
}

const TYPING_MS = 250;
const LEVELS = ["informational", "low", "medium", "high", "critical"] as const satisfies readonly Severity[];

export function AlertToolbar({ search, onSearch, inputRef, chosen, all, onPick, onMove }: AlertToolbarProps) {
  const { data: counts } = useQuery(alertCountsQuery);
  const tab = (value: AlertState, label: string) => ({
    value,
    label: (
      <>
        {label} <span className="text-text3">{counts?.[value] === undefined ? "" : compact(counts[value])}</span>
      </>
    ),
  });
  return (
    <div className="flex flex-wrap items-center gap-2 border-b bg-panel px-3 py-2">
      {onMove && <Checkbox label="Select all that are listed" checked={chosen.length === 0 ? false : chosen.length === all.length ? true : "indeterminate"} onChange={(checked) => onPick(new Set(checked ? all.map((a) => a.id) : []))} />}
      {chosen.length > 0 && onMove ? (
        <div className="flex items-center gap-2" role="toolbar" aria-label="Selected alerts">
          <span className="text-xs font-medium" data-testid="selected-count">
            {plural(chosen.length, "alert")} selected
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
        <Segmented
          label="State"
          value={search.state ?? "open"}
          onChange={(state) => onSearch({ state, id: undefined })}
          options={[tab("open", "Open"), tab("acknowledged", "Acknowledged"), tab("closed", "Closed"), { value: "all", label: "All" }]}
        />
      )}
      <div className="ml-auto flex min-w-0 flex-1 items-center justify-end gap-2 basis-64">
        <SearchBox value={search.q ?? ""} inputRef={inputRef} onChange={(q) => onSearch({ q: q || undefined })} />
        <Choice
          label="Severity, at least"
          value={search.severity_min ?? "informational"}
          onChange={(severity) => onSearch({ severity_min: severity === "informational" ? undefined : severity })}
          options={LEVELS.map((value) => ({
            value,
            label: value === "informational" ? "Every severity" : (
              <span className="flex items-center gap-2">
                <SeverityMark severity={value} /> {SEVERITY_LABEL[value]}
                {value !== "critical" && " or worse"}
              </span>
            ),
          }))}
        />
        <NotifyButton />
      </div>
    </div>
  );
}

function SearchBox({ value, inputRef, onChange }: { value: string; inputRef: RefObject<HTMLInputElement | null>; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  if (shown !== value) {
    setShown(value);
    setText(value);
  }
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onChange(text), TYPING_MS);
    return () => clearTimeout(timer);
    // Only what is typed starts the wait; a new `onChange` with every drawing must not restart it.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [text]);
  return (
    <div className="relative min-w-28 max-w-80 flex-1">
      <Search className="pointer-events-none absolute top-2 left-2.5 size-4 text-text3" />
      <Input ref={inputRef} value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Escape" && inputRef.current?.blur()} aria-label="Search alerts" placeholder="Rule, entity, address…" className="pl-8" data-testid="alerts-query" />
    </div>
  );
}

/** Asks the browser only when pressed: a page that asks on its own is refused for ever. */
function NotifyButton() {
  const { notify } = useStore(prefs);
  if (!("Notification" in window)) return null;
  const on = notify && Notification.permission === "granted";
  const press = async () => {
    if (on) return setPref("notify", false);
    const answer = Notification.permission === "granted" ? "granted" : await Notification.requestPermission();
    setPref("notify", answer === "granted");
    if (answer === "granted") toast("You will be told about new high and critical alerts");
    else toast.error("The browser does not allow notifications", { description: "Allow them for this page in the browser's site settings." });
  };
  return (
    <Button size="icon" variant={on ? "secondary" : "ghost"} aria-pressed={on} aria-label="Browser notifications for new high and critical alerts" title={on ? "Notifications are on (high and critical)" : "Notify me of new high and critical alerts"} onClick={() => void press()}>
      {on ? <Bell className="text-accent" /> : <BellOff />}
    </Button>
  );
}
