import { AlertsPage } from "@/features/alerts/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function AlertsRoute() {
  const search = useSearch({ from: "/inside/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  return <AlertsPage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
