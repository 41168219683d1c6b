import type { Go } from "@/lib/go";
import { live } from "@/lib/live/store";
import { prefs } from "@/lib/prefs";
import { severityRank, SEVERITY_LABEL } from "@/lib/severity";
import { useEffect } from "react";

/** A storm of alerts must not become a storm of pop-ups. */
const GAP_MS_MIN = 3000;

/** Browser notifications for new high and critical alerts, where the reader has switched them on. */
export function useAlertNotifications(go: Go): void {
  useEffect(() => {
    let last = 0;
    return live.onAlert(({ alert, created }) => {
      if (!created || alert.rule.handling?.signal || severityRank(alert.severity) < severityRank("high") || !prefs.get().notify) return;
      if (!("Notification" in window) || Notification.permission !== "granted") return;
      if (Date.now() - last < GAP_MS_MIN) return;
      last = Date.now();
      const note = new Notification(`${SEVERITY_LABEL[alert.severity]}: ${alert.rule.name}`, { body: alert.summary, tag: alert.id });
      note.onclick = () => {
        window.focus();
        go.alerts({ state: "all", id: alert.id });
        note.close();
      };
    });
  }, [go]);
}
