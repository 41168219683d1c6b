import { OverviewPage } from "@/features/overview/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function OverviewRoute() {
  const search = useSearch({ from: "/inside/" });
  const navigate = useNavigate({ from: "/" });
  return <OverviewPage range={search.range} onRange={(range) => void navigate({ search: { range }, replace: true })} />;
}
