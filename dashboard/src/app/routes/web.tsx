import { WebPage } from "@/features/web/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function WebRoute() {
  const search = useSearch({ from: "/inside/web" });
  const navigate = useNavigate({ from: "/web" });
  return <WebPage search={search} onSearch={(change) => void navigate({ search: (old) => ({ ...old, ...change }), replace: true })} />;
}
