import { EntitiesPage } from "@/features/entities/page";
import { EntityPage } from "@/features/entities/entity";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";

export const EntitiesRoute = EntitiesPage;

export function EntityRoute() {
  const { kind, value } = useParams({ from: "/inside/entities/$kind/$value" });
  const { event } = useSearch({ from: "/inside/entities/$kind/$value" });
  const navigate = useNavigate({ from: "/entities/$kind/$value" });
  return <EntityPage key={`${kind} ${value}`} entity={{ kind, value }} eventUid={event} onEvent={(uid) => void navigate({ search: { event: uid }, replace: true })} />;
}
