import { LivePage } from "@/features/live/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function LiveRoute() {
  const search = useSearch({ from: "/inside/live" });
  const navigate = useNavigate({ from: "/live" });
  return <LivePage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
