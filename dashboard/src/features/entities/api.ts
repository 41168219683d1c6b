import { api } from "@/lib/api";
import { searchOf } from "@/lib/entity";
import type { Entity, EntityDetail, EntityRisk, Listed, OcsfEvent } from "@/lib/types";
import { queryOptions } from "@tanstack/react-query";

const EVENTS_SHOWN = 50;
const EVENTS_DAYS = 7;

export const entitiesQuery = (limit: number) => queryOptions({ queryKey: ["entities", limit], queryFn: ({ signal }) => api.get<Listed<EntityRisk>>("/entities", { limit }, signal), refetchInterval: 10_000 });

export const entityQuery = ({ kind, value }: Entity) =>
  queryOptions({ queryKey: ["entity", kind, value], queryFn: ({ signal }) => api.get<EntityDetail>(`/entities/${encodeURIComponent(kind)}/${encodeURIComponent(value)}`, {}, signal), refetchInterval: 15_000 });

/** Its newest events, whatever they are. */
export const entityEventsQuery = (entity: Entity) =>
  queryOptions({
    queryKey: ["entity-events", entity.kind, entity.value],
    queryFn: ({ signal }) => api.get<Listed<OcsfEvent>>("/events", { ...searchOf(entity), from: new Date(Date.now() - EVENTS_DAYS * 86_400_000).toISOString(), limit: EVENTS_SHOWN }, signal),
    refetchInterval: 30_000,
  });
