import { BansPage } from "@/features/bans/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function BansRoute() {
  const search = useSearch({ from: "/inside/bans" });
  const navigate = useNavigate({ from: "/bans" });
  return <BansPage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
