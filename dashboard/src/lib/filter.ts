// The filter language of the live and the events page:
//   field=value   field!=value   field~part   field>=4   field<=4   field:exists   field:in=a,b
//   field:cidr=192.0.2.0/24   word   -word   "two words"   field="two words"
// All terms must hold. A word is a case-insensitive substring of the raw text. The field operators are the
// server's own (crates/api/src/filter.rs); the live page applies them to what it holds.
import { inBlock } from "./cidr";
import { fieldAt } from "./ocsf";

export const OPERATORS = ["=", "~", ">=", "<=", ":in=", ":cidr=", ":exists"] as const;
export type Operator = (typeof OPERATORS)[number];
export interface FieldTerm {
  kind: "field";
  path: string;
  op: Operator;
  value: string;
  not: boolean;
}
export interface TextTerm {
  kind: "text";
  value: string;
  not: boolean;
}
export type Term = FieldTerm | TextTerm;

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

const OPERATOR = "!=|>=|<=|=|~|:in=|:cidr=|:exists(?=\\s|$)";
const TOKEN = new RegExp(`(-?)(?:([A-Za-z_@][\\w.@]*)(${OPERATOR}))?(?:"((?:[^"\\\\]|\\\\.)*)"|(\\S+))?`, "g");
const PARAM = new RegExp(`^([A-Za-z_@][\\w.@]*)(${OPERATOR})([\\s\\S]*)$`);
const TERMS_MAX = 32;

const fieldTerm = (name: string, operator: string, value: string, minus = false): FieldTerm => ({
  kind: "field",
  path: fullPath(name),
  op: operator === "!=" ? "=" : (operator as Operator),
  value,
  not: minus !== (operator === "!="),
});

export function parseFilter(text: string): Term[] {
  const terms: Term[] = [];
  for (const [token, minus, field, operator, quoted, bare] of text.matchAll(TOKEN)) {
    if (token === "" || token === "-") continue;
    const value = quoted !== undefined ? quoted.replace(/\\(.)/g, "$1") : (bare ?? "");
    if (field !== undefined && operator !== undefined) terms.push(fieldTerm(field, operator, value, minus === "-"));
    else terms.push({ kind: "text", value, not: minus === "-" });
    if (terms.length === TERMS_MAX) break;
  }
  return terms;
}

const quote = (value: string): string => (/^[^\s"\\]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);

export function formatTerm(term: Term): string {
  if (term.kind === "text") return `${term.not ? "-" : ""}${quote(term.value)}`;
  if (term.op === ":exists") return `${term.not ? "-" : ""}${term.path}:exists`;
  if (term.op === "=") return `${term.path}${term.not ? "!=" : "="}${quote(term.value)}`;
  return `${term.not ? "-" : ""}${term.path}${term.op}${quote(term.value)}`;
}

export const pivotTerm = (path: string, value: string, not: boolean): FieldTerm => ({ kind: "field", path, op: "=", value, not });

function isSameTarget(a: Term, b: Term): boolean {
  if (a.kind === "text" || b.kind === "text") return a.kind === b.kind && a.value === b.value;
  return a.path === b.path && a.op === b.op && a.value === b.value;
}

/** Adds a condition to a filter text, taking its contrary out. */
export function withTerm(text: string, term: Term): string {
  return [...parseFilter(text).filter((other) => !isSameTarget(other, term)), term].map(formatTerm).join(" ");
}

function holds(actual: unknown, op: Operator, value: string): boolean {
  if (Array.isArray(actual)) return actual.some((element) => holds(element, op, value));
  if (actual === undefined || actual === null) return false;
  const text = String(actual).toLowerCase();
  const wanted = value.toLowerCase();
  switch (op) {
    case "=":
      return text === wanted;
    case "~":
      return text.includes(wanted);
    case ">=":
      return Number(actual) >= Number(value);
    case "<=":
      return Number(actual) <= Number(value);
    case ":in=":
      return wanted.split(",").includes(text);
    case ":cidr=":
      return inBlock(text, wanted);
    case ":exists":
      return true;
  }
}

/** Whether an event passes. `haystack` is its searchable text in lower case. */
export function matches(event: unknown, haystack: string, terms: readonly Term[]): boolean {
  return terms.every((term) => {
    const hit = term.kind === "text" ? haystack.includes(term.value.toLowerCase()) : holds(fieldAt(event, term.path), term.op, term.value);
    return hit !== term.not;
  });
}

/** Terms that the server's `filter` parameter can say: it negates equality only. */
export const isParam = (term: Term): term is FieldTerm => term.kind === "field" && (!term.not || term.op === "=");

/** A term as the server's `filter` parameter. */
export const toParam = (term: FieldTerm): string => `${term.path}${term.not ? "!=" : term.op}${term.value}`;
export function fromParam(text: string): FieldTerm | undefined {
  const match = PARAM.exec(text);
  return match ? fieldTerm(match[1]!, match[2]!, match[3]!) : undefined;
}
