import { Segmented } from "@/components/ui/segmented";
import { may, session } from "@/lib/session";
import { useStore } from "@/lib/store";
import type { ReactNode } from "react";
import { Account } from "./components/account";
import { Appearance } from "./components/appearance";
import { Keys } from "./components/keys";
import { SendData } from "./components/send-data";
import { Users } from "./components/users";

const TABS = [
  { value: "account", label: "My account", admin: false },
  { value: "appearance", label: "Appearance", admin: false },
  { value: "send", label: "Send data", admin: false },
  { value: "users", label: "Users", admin: true },
  { value: "keys", label: "API keys", admin: true },
] as const;
type Tab = (typeof TABS)[number]["value"];

const PANES: Record<Tab, ReactNode> = { account: <Account />, appearance: <Appearance />, send: <SendData />, users: <Users />, keys: <Keys /> };

export function SettingsPage({ tab, onTab }: { tab: string | undefined; onTab: (tab: string) => void }) {
  const isAdmin = may(useStore(session), "admin");
  const tabs = TABS.filter((t) => isAdmin || !t.admin);
  const shown: Tab = tabs.find((t) => t.value === tab)?.value ?? "account";
  return (
    <div className="mx-auto max-w-4xl space-y-5 p-4 md:p-6">
      <div className="overflow-x-auto">
        <Segmented label="Settings" value={shown} options={tabs} onChange={onTab} />
      </div>
      {PANES[shown]}
    </div>
  );
}
