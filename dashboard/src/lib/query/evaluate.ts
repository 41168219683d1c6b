// Whether an event that the page holds passes a query: the live list filters with it. The same words as the server's
// (crates/query): runs of letters, digits and `_` in lower case; a phrase is words one after the other.
import { inBlock } from "../cidr";
import { fieldAt } from "../ocsf";
import { severityRank } from "../severity";
import type { Bound, Expr, Test } from "./parse";

/** The columns that are asked for by word and not by equality. */
export const PROSE: ReadonlySet<string> = new Set(["message", "status_detail", "raw_data"]);

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[\p{Alphabetic}\p{N}_]+/gu) ?? [];

/** A text in which a phrase is found by looking for its words between spaces. */
export const haystackOf = (text: string): string => ` ${wordsOf(text).join(" ")} `;

export interface Searched {
  event: unknown;
  /** `haystackOf` of the raw text. */
  haystack: string;
  /** The column of a name: ECS names are other names of OCSF columns. */
  column: (name: string) => string;
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

function wildcard(pattern: string, flags = "su"): RegExp {
  const source = pattern.replace(/\\(.)|[*?]|[^\\*?]+/gs, (part, literal: string | undefined) => (literal !== undefined ? escaped(literal) : part === "*" ? ".*" : part === "?" ? "." : escaped(part)));
  return new RegExp(`^(?:${source})$`, flags);
}

function phrase(text: string, haystack: string): boolean {
  const words = wordsOf(text);
  return words.length === 0 || haystack.includes(` ${words.join(" ")} `);
}

function inWords(test: Test, haystack: string): boolean {
  switch (test.kind) {
    case "equals":
      return phrase(test.text, haystack);
    case "wildcard":
      return inPattern(test.pattern.toLowerCase(), haystack);
    case "exists":
      return haystack.trim() !== "";
    default:
      // The server refuses them for text, and says what to write.
      return false;
  }
}

/** A pattern for one word; `192.168.*` is the words before its star, one after the other. */
function inPattern(text: string, haystack: string): boolean {
  const runs = (text.replace(/\\[*?]/g, " ").match(/[\p{Alphabetic}\p{N}_*?]+/gu) ?? []).filter((run, _, all) => all.length === 1 || !/^\*+$/.test(run));
  if (!runs.some((run) => /[*?]/.test(run))) return phrase(runs.join(" "), haystack);
  const pattern = wildcard(runs[0] ?? "");
  return runs.length === 1 && haystack.split(" ").some((word) => word !== "" && pattern.test(word));
}

function regex(source: string): RegExp | undefined {
  try {
    return new RegExp(`^(?:${source})$`, "su");
  } catch {
    return undefined;
  }
}

const order = (a: unknown, b: string): number => {
  if (typeof a === "number") return a - Number(b);
  const [x, y] = [Date.parse(String(a)), Date.parse(b)];
  if (!Number.isNaN(x) && !Number.isNaN(y) && /\d{4}-\d\d-\d\d/.test(b)) return x - y;
  return String(a) < b ? -1 : String(a) > b ? 1 : 0;
};
const ranked = (bound: Bound): Bound => bound && { ...bound, value: String(severityRank(bound.value.toLowerCase())) };
const above = (value: unknown, low: Bound): boolean => low === null || (low.including ? order(value, low.value) >= 0 : order(value, low.value) > 0);
const below = (value: unknown, high: Bound): boolean => high === null || (high.including ? order(value, high.value) <= 0 : order(value, high.value) < 0);

/** Columns with few values, which may be written in any case of letters. */
const SPELT: ReadonlySet<string> = new Set(["severity", "status", "class_name"]);

function holds(value: unknown, test: Test, path: string): boolean {
  if (path === "severity" && test.kind === "range") return holds(severityRank(String(value)), { ...test, low: ranked(test.low), high: ranked(test.high) }, "severity_id");
  switch (test.kind) {
    case "exists":
      return true;
    case "equals":
      return typeof value === "number" ? value === Number(test.text) : String(value) === test.text || (SPELT.has(path) && String(value).toLowerCase() === test.text.toLowerCase()) || (test.text.includes("/") && inBlock(String(value), test.text));
    case "wildcard":
      return wildcard(test.pattern).test(String(value));
    case "regex":
      return regex(test.source)?.test(String(value)) ?? false;
    case "contains":
      return String(value).toLowerCase().includes(test.text.toLowerCase());
    case "range":
      return above(value, test.low) && below(value, test.high);
  }
}

export function matches(expr: Expr | null, searched: Searched): boolean {
  if (expr === null) return true;
  switch (expr.kind) {
    case "and":
      return expr.of.every((part) => matches(part, searched));
    case "or":
      return expr.of.some((part) => matches(part, searched));
    case "not":
      return !matches(expr.of, searched);
    case "test": {
      if (expr.field === null) return inWords(expr.test, searched.haystack);
      const path = searched.column(expr.field);
      const value = fieldAt(searched.event, path);
      if (value === undefined || value === null) return false;
      if (PROSE.has(path) && expr.test.kind !== "contains" && expr.test.kind !== "regex") return inWords(expr.test, path === "raw_data" ? searched.haystack : haystackOf(String(value)));
      return (Array.isArray(value) ? value : [value]).some((one) => holds(one, expr.test, path));
    }
  }
}
