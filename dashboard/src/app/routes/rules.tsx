import { RulesPage } from "@/features/rules/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function RulesRoute() {
  const search = useSearch({ from: "/inside/rules" });
  const navigate = useNavigate({ from: "/rules" });
  return <RulesPage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
