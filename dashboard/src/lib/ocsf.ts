import type { OcsfEvent } from "./types";

export type Leaf = string | number | boolean | null;

/** The value at a dotted path, or undefined. Own members only: a path must not reach `constructor`. */
export function fieldAt(event: unknown, path: string): unknown {
  let value = event;
  for (const key of path.split(".")) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

export interface Field {
  path: string;
  value: Leaf;
}

const FIELDS_MAX = 2000;

/** Every scalar of an event with its dotted path; list elements share the list's path. */
export function leaves(value: unknown, path = "", out: Field[] = []): Field[] {
  if (out.length >= FIELDS_MAX) return out;
  if (Array.isArray(value)) for (const element of value) leaves(element, path, out);
  else if (value !== null && typeof value === "object")
    for (const [key, child] of Object.entries(value)) leaves(child, path ? `${path}.${key}` : key, out);
  else if (value !== undefined) out.push({ path, value: value as Leaf });
  return out;
}

export const who = (e: OcsfEvent): string | undefined => e.actor?.user?.name ?? e.actor?.user?.uid;
export const fromIp = (e: OcsfEvent): string | undefined => e.src_endpoint?.ip ?? e.src_endpoint?.hostname;
export const country = (e: OcsfEvent): string | undefined => e.src_endpoint?.location?.country;

/** What happened, in one line: the call, the request, the message, else the raw text. */
export function what(e: OcsfEvent): string {
  if (e.api?.operation) return e.api.service?.name ? `${e.api.operation} · ${e.api.service.name}` : e.api.operation;
  const url = e.http_request?.url;
  if (url?.path) return `${e.http_request?.http_method ?? ""} ${url.path}${url.query_string ? `?${url.query_string}` : ""}`.trim();
  return e.message ?? (e.raw_data && e.class_name !== "Authentication" ? e.raw_data : undefined) ?? [e.activity_name, e.actor?.process?.name].filter(Boolean).join(" · ") ?? "";
}

/** The HTTP status where there is one, else success or failure. */
export const statusOf = (e: OcsfEvent): string | undefined => (e.http_response?.code !== undefined ? String(e.http_response.code) : e.status);
export const rulesOf = (e: OcsfEvent): readonly string[] => e.finding_info?.rules ?? [];
