// Conditions put into a query and taken out of it: what the + and − beside a value do.
import { PROSE } from "./evaluate";
import { parse, type Expr } from "./parse";

const KEYWORD = /^(AND|OR|NOT|TO)$/i;
const PLAIN = /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u;
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f\u2028\u2029]/;
const CONTROLS = new RegExp(CONTROL, "gu");
// oxlint-disable-next-line no-control-regex
const SPECIAL = /[\u0000-\u001f\u007f\u2028\u2029]|[\s+\-&|!(){}[\]^"~*?:\\/<>=]/gu;

/**
 * A value as the query language takes it literally: bare where nothing in it means anything, else in quotes.
 * A line break cannot stand in one line, nor behind a backslash: the value becomes a pattern with `?` in its place.
 */
export function quoted(value: string): string {
  if (PLAIN.test(value) && !KEYWORD.test(value)) return value;
  if (!CONTROL.test(value)) return `"${value.replace(/["\\]/g, "\\$&")}"`;
  return value.replace(SPECIAL, (char) => (CONTROL.test(char) ? "?" : `\\${char}`));
}

/** A condition that holds for events with this value: prose is asked for by its words, where a line break is a space. */
export const clause = (field: string, value: string, not = false): string => `${not ? "NOT " : ""}${field}:${quoted(PROSE.has(field) ? value.replace(CONTROLS, " ").trim() : value)}`;
export const existsClause = (field: string, not = false): string => `${not ? "NOT " : ""}${field}:*`;

export interface Clause {
  text: string;
  expr: Expr;
}

/** The conditions that all must hold. Alternatives are one condition. */
export function clausesOf(query: string): Clause[] {
  const whole = parse(query);
  if (!whole) return [];
  // A bracket around everything is not looked into: its text would lose its ends.
  const parts = whole.kind === "and" && query[whole.from] !== "(" ? whole.of : whole.kind === "and" && whole.of[0]!.from === whole.from ? whole.of : [whole];
  return parts.map((expr) => ({ text: query.slice(expr.from, expr.to), expr }));
}

const inBrackets = ({ text, expr }: Clause): string => (expr.kind === "or" && !text.startsWith("(") ? `(${text})` : text);
const join = (clauses: readonly Clause[]): string => (clauses.length === 1 ? clauses[0]!.text : clauses.map(inBrackets).join(" AND "));

/** What a condition without its NOT asks of which field; undefined for anything but an equality. */
function target(expr: Expr): { field: string; value: string; not: boolean } | undefined {
  const not = expr.kind === "not";
  const plain = not ? expr.of : expr;
  if (plain.kind !== "test" || plain.field === null || plain.test.kind !== "equals") return undefined;
  return { field: plain.field, value: plain.test.text, not };
}

/** Adds a condition; its contrary goes, and what is there already is not added again. */
export function withClause(query: string, field: string, value: string, not: boolean): string {
  const others = clausesOf(query).filter(({ expr }) => {
    const same = target(expr);
    return !(same?.field === field && same.value === value);
  });
  const text = clause(field, value, not);
  return others.length === 0 ? text : `${others.map(inBrackets).join(" AND ")} AND ${text}`;
}

/** The query without its nth condition. */
export function withoutClause(query: string, index: number): string {
  const rest = clausesOf(query).filter((_, i) => i !== index);
  return rest.length === 0 ? "" : join(rest);
}

/** Both must hold. */
export function both(a: string, b: string): string {
  if (a.trim() === "") return b;
  if (b.trim() === "") return a;
  return [...clausesOf(a), ...clausesOf(b)].map(inBrackets).join(" AND ");
}
