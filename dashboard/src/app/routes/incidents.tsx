import { IncidentsPage } from "@/features/incidents/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function IncidentsRoute() {
  const search = useSearch({ from: "/inside/incidents" });
  const navigate = useNavigate({ from: "/incidents" });
  return <IncidentsPage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
