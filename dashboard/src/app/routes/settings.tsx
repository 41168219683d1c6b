import { SettingsPage } from "@/features/settings/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function SettingsRoute() {
  const search = useSearch({ from: "/inside/settings" });
  const navigate = useNavigate({ from: "/settings" });
  return <SettingsPage tab={search.tab} onTab={(tab) => void navigate({ search: { tab }, replace: true })} />;
}
