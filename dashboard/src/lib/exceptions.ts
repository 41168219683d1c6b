// What an exception says, and what it is made from.
import { queryOptions } from "@tanstack/react-query";
import { api } from "./api";
import { pathOf } from "./entity";
import type { Alert, Entity, Exception, Finding, Listed, NewException, Where } from "./types";

export const exceptionsQuery = queryOptions({
  queryKey: ["exceptions"],
  queryFn: ({ signal }) => api.get<Listed<Exception>>("/exceptions", {}, signal),
  refetchInterval: 30_000,
});

export const makeException = (body: NewException): Promise<Exception> => api.post<Exception>("/exceptions", body);
export const deleteException = (id: string): Promise<void> => api.delete(`/exceptions/${encodeURIComponent(id)}`);

/** Sigma's modifiers that a person chooses from; the empty one is equality. */
export const MODIFIERS = ["", "contains", "startswith", "endswith", "cidr", "re"] as const;
export type Modifier = (typeof MODIFIERS)[number];
export const MODIFIER_LABEL: Record<Modifier, string> = { "": "is", contains: "contains", startswith: "starts with", endswith: "ends with", cidr: "is in the block", re: "matches the pattern" };

/** One line of the form. */
export interface Candidate {
  field: string;
  modifier: Modifier;
  value: string;
  on: boolean;
}

/** Values are cut at this length in a finding: what is as long may go on. */
const ACTUAL_CHARS_MAX = 256;
/** A correlation's own numbers, and texts without a field, are no conditions on an event. */
const NO_FIELD = new Set(["keyword", "keywords", "", "count"]);
const NUMERIC = new Set(["gt", "gte", "lt", "lte", "eq"]);

/** A text as a Sigma value that means this text and nothing else: `*` and `?` are wildcards, `\\` before them is not. */
export const literal = (text: string): string => text.replaceAll(/\\(?=[*?\\])|[*?]/g, (found) => `\\${found}`);

function fromEntity(entity: Entity, on: boolean): Candidate[] {
  const field = pathOf(entity);
  return field ? [{ field, modifier: "", value: literal(entity.value), on }] : [];
}

/** What an exception for an alert could ask for: its entity, who and where else, and what the rule found. */
export function candidatesOf(alert: Pick<Alert, "entity" | "user" | "source_ip">, finding: Pick<Finding, "explanation"> | undefined): Candidate[] {
  const list = [
    ...fromEntity(alert.entity, true),
    ...(alert.user ? fromEntity({ kind: "user", value: alert.user }, false) : []),
    ...(alert.source_ip ? fromEntity({ kind: "ip", value: alert.source_ip }, false) : []),
    ...(finding?.explanation.conditions ?? [])
      .filter((c) => !NO_FIELD.has(c.field) && !NUMERIC.has(c.operator) && c.actual !== "")
      .map((c): Candidate => ({ field: c.field, modifier: [...c.actual].length >= ACTUAL_CHARS_MAX ? "startswith" : "", value: literal(c.actual), on: false })),
  ];
  const seen = new Set<string>();
  return list.filter(({ field, modifier, value }) => {
    const key = JSON.stringify([field, modifier, value]);
    return !seen.has(key) && seen.add(key);
  });
}

/** The chosen lines as the server takes them; several values of one field mean "one of". */
export function whereOf(candidates: readonly Candidate[]): Where {
  const lists = new Map<string, string[]>();
  for (const { field, modifier, value, on } of candidates) {
    if (!on || field.trim() === "" || value === "") continue;
    const key = modifier ? `${field.trim()}|${modifier}` : field.trim();
    lists.set(key, [...(lists.get(key) ?? []), value]);
  }
  return Object.fromEntries([...lists].map(([key, values]) => [key, values.length === 1 ? values[0]! : values]));
}

/** `[field, how, values]` of each condition, for reading. */
export function phrases(where: Where): [string, string, string[]][] {
  return Object.entries(where).map(([key, value]) => {
    const [field = "", ...modifiers] = key.split("|");
    const known = modifiers.length <= 1 && MODIFIERS.includes((modifiers[0] ?? "") as Modifier);
    const how = known ? MODIFIER_LABEL[(modifiers[0] ?? "") as Modifier] : modifiers.join(" ");
    return [field, how, (Array.isArray(value) ? value : [value]).map(String)];
  });
}

export const isExpired = (exception: Pick<Exception, "expires_at">, now: number): boolean => exception.expires_at !== null && Date.parse(exception.expires_at) <= now;
