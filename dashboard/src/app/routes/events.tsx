import { EventsPage } from "@/features/events/page";
import { useNavigate, useSearch } from "@tanstack/react-router";

export function EventsRoute() {
  const search = useSearch({ from: "/inside/events" });
  const navigate = useNavigate({ from: "/events" });
  return <EventsPage search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}
