import { SearchPage } from "@/features/search/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function SearchRoute() {
  const search = useSearch({ from: "/inside/search" });
  const navigate = useNavigate({ from: "/search" });
  return <SearchPage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
