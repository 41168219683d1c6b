// Whom things are about, and how a search of the events says it.
import { clause, quoted } from "./query/edit";
import type { Entity } from "./types";

export const ENTITY_LABEL: Record<string, string> = { user: "User", ip: "Address", host: "Host", service: "Service", account: "Account", group: "Group", unknown: "Source" };

/** The field that holds an entity's value; what has none is searched as text. */
const PATH: Record<string, string> = { user: "actor.user.name", ip: "src_endpoint.ip", host: "device.hostname", service: "metadata.product.name", account: "cloud.account.uid" };
const KIND: Record<string, string> = { "actor.user.name": "user", "actor.user.uid": "user", "user.name": "user", "src_endpoint.ip": "ip", "dst_endpoint.ip": "ip", "device.ip": "ip", "device.hostname": "host", "src_endpoint.hostname": "host", "dst_endpoint.hostname": "host", "cloud.account.uid": "account" };

export const pathOf = (entity: Entity): string | undefined => (Object.hasOwn(PATH, entity.kind) ? PATH[entity.kind] : undefined);

/** The entity that a field's value names, for fields that name one. */
export function entityAt(path: string, value: string): Entity | undefined {
  return Object.hasOwn(KIND, path) && value !== "" ? { kind: KIND[path]!, value } : undefined;
}

/** The search of the events that are about an entity. */
export function searchOf(entity: Entity): { q: string } {
  const path = pathOf(entity);
  return { q: path ? clause(path, entity.value) : quoted(entity.value) };
}

const AROUND_MS = 15 * 60_000;

/** A period with a quarter of an hour before and after it. */
export function around(first: string, last: string): { from: string; to: string } {
  return { from: new Date(Date.parse(first) - AROUND_MS).toISOString(), to: new Date(Date.parse(last) + AROUND_MS).toISOString() };
}
