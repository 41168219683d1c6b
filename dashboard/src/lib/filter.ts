// The filter language of the live and the events page:
//   field=value   field!=value   word   -word   "two words"   field="two words"
// All terms must hold. A word is a case-insensitive substring of the raw text.
import { fieldAt } from "./ocsf";

export type Term = { kind: "field"; path: string; value: string; not: boolean } | { kind: "text"; value: string; not: boolean };

/** Short names for what people type most. The server knows OCSF paths and ECS names; these are ours. */
const SHORT: Record<string, string> = {
  ip: "src_endpoint.ip",
  user: "actor.user.name",
  country: "src_endpoint.location.country",
  city: "src_endpoint.location.city",
  source: "metadata.log_name",
  format: "metadata.log_format",
  service: "metadata.product.name",
  class: "class_name",
  host: "device.hostname",
  action: "api.operation",
  method: "http_request.http_method",
  path: "http_request.url.path",
  code: "http_response.code",
  rule: "finding_info.rules",
  list: "enrichments.threat_lists",
  "source.ip": "src_endpoint.ip",
  "user.name": "actor.user.name",
  "event.action": "api.operation",
  "url.path": "http_request.url.path",
  "host.name": "device.hostname",
  "http.response.status_code": "http_response.code",
};

export const SHORT_NAMES = Object.keys(SHORT).filter((name) => !name.includes("."));
export const fullPath = (name: string): string => (Object.hasOwn(SHORT, name) ? SHORT[name]! : name);

const TOKEN = /(-?)(?:([A-Za-z_@][\w.@]*)(!=|=))?(?:"((?:[^"\\]|\\.)*)"|(\S+))/g;
const TERMS_MAX = 32;

export function parseFilter(text: string): Term[] {
  const terms: Term[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const [, minus, field, operator, quoted, bare] = match;
    const value = quoted !== undefined ? quoted.replace(/\\(.)/g, "$1") : (bare ?? "");
    if (value === "" && field === undefined) continue;
    const not = (minus === "-") !== (operator === "!=");
    terms.push(field === undefined ? { kind: "text", value, not } : { kind: "field", path: fullPath(field), value, not });
    if (terms.length === TERMS_MAX) break;
  }
  return terms;
}

export function formatTerm(term: Term): string {
  const value = /^[^\s"\\]+$/.test(term.value) ? term.value : `"${term.value.replace(/["\\]/g, "\\$&")}"`;
  return term.kind === "text" ? `${term.not ? "-" : ""}${value}` : `${term.path}${term.not ? "!=" : "="}${value}`;
}

/** Adds a condition to a filter text, taking its contrary out. */
export function withTerm(text: string, term: Term): string {
  const same = (other: Term) => other.kind === term.kind && other.value === term.value && (other.kind === "text" || other.path === (term as { path: string }).path);
  return [...parseFilter(text).filter((other) => !same(other)), term].map(formatTerm).join(" ");
}

function sameValue(actual: unknown, value: string): boolean {
  if (Array.isArray(actual)) return actual.some((element) => sameValue(element, value));
  return actual !== undefined && actual !== null && String(actual).toLowerCase() === value.toLowerCase();
}

/** Whether an event passes. `haystack` is its searchable text in lower case. */
export function matches(event: unknown, haystack: string, terms: readonly Term[]): boolean {
  return terms.every((term) => {
    const hit = term.kind === "text" ? haystack.includes(term.value.toLowerCase()) : sameValue(fieldAt(event, term.path), term.value);
    return hit !== term.not;
  });
}

/** A term as the server's `filter` parameter. */
export const toParam = (term: Extract<Term, { kind: "field" }>): string => `${term.path}${term.not ? "!=" : "="}${term.value}`;
export function fromParam(text: string): Extract<Term, { kind: "field" }> | undefined {
  const match = /^([A-Za-z_@][\w.@]*)(!=|=)([\s\S]*)$/.exec(text);
  return match ? { kind: "field", path: fullPath(match[1]!), value: match[3]!, not: match[2] === "!=" } : undefined;
}
