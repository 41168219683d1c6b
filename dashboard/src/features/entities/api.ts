import { api, ApiError } from "@/lib/api";
import { ENTITY_LABEL, searchOf } from "@/lib/entity";
import { searchEvents } from "@/lib/queries";
import type { Entity, EntityDetail, EntityRisk, Listed } from "@/lib/types";
import { queryOptions } from "@tanstack/react-query";

const EVENTS_SHOWN = 50;
const EVENTS_DAYS = 7;
/** Of another kind there is nothing, not even events: the address was mistyped. */
const KINDS = new Set(Object.keys(ENTITY_LABEL));

export const entitiesQuery = (limit: number) => queryOptions({ queryKey: ["entities", limit], queryFn: ({ signal }) => api.get<Listed<EntityRisk>>("/entities", { limit }, signal), refetchInterval: 10_000 });

export const entityQuery = ({ kind, value }: Entity) =>
  queryOptions({
    queryKey: ["entity", kind, value],
    /** null: no alert and no incident was ever about it. */
    queryFn: ({ signal }) =>
      api.get<EntityDetail | null>(`/entities/${encodeURIComponent(kind)}/${encodeURIComponent(value)}`, {}, signal).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 404 && KINDS.has(kind)) return null;
        throw error;
      }),
    refetchInterval: 15_000,
  });

/** Its newest events, whatever they are. */
export const entityEventsQuery = (entity: Entity) =>
  queryOptions({
    queryKey: ["entity-events", entity.kind, entity.value],
    queryFn: ({ signal }) => searchEvents({ ...searchOf(entity), from: new Date(Date.now() - EVENTS_DAYS * 86_400_000).toISOString(), limit: EVENTS_SHOWN }, signal),
    refetchInterval: 30_000,
  });
