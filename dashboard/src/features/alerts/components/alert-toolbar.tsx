import { InboxToolbar } from "@/components/inbox-toolbar";
import { Button } from "@/components/ui/button";
import type { AlertsSearch } from "@/lib/go";
import { prefs, setPref } from "@/lib/prefs";
import { useStore } from "@/lib/store";
import type { Alert, AlertState } from "@/lib/types";
import { useQuery } from "@tanstack/react-query";
import { Bell, BellOff, Radio } from "lucide-react";
import type { RefObject } from "react";
import { toast } from "sonner";
import { alertCountsQuery } from "../api";

interface AlertToolbarProps {
  search: AlertsSearch;
  onSearch: (change: AlertsSearch) => void;
  inputRef: RefObject<HTMLInputElement | null>;
  chosen: readonly Alert[];
  all: readonly Alert[];
  onPick: (ids: ReadonlySet<string>) => void;
  onMove: ((state: AlertState, reason?: string) => void) | undefined;
}

export function AlertToolbar({ search, onSearch, inputRef, chosen, all, onPick, onMove }: AlertToolbarProps) {
  const { data: counts } = useQuery(alertCountsQuery(!!search.signals));
  return (
    <InboxToolbar noun="alert" placeholder="Rule, entity, address…" search={search} onSearch={onSearch} counts={counts} inputRef={inputRef} chosen={chosen} all={all} onPick={onPick} onMove={onMove}>
      <Button variant={search.signals ? "secondary" : "ghost"} aria-pressed={!!search.signals} title="Signals feed incidents and risk scores, and page nobody" onClick={() => onSearch({ signals: search.signals ? undefined : "1" })}>
        <Radio className={search.signals ? "text-accent" : ""} /> Signals
      </Button>
      <NotifyButton />
    </InboxToolbar>
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
