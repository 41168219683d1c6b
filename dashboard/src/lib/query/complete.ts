// What could be written at the cursor: names of fields, their most frequent values, and the words between conditions.
import type { SearchColumn } from "../search-types";
import { lex, type Token } from "./lex";

export type Wanted =
  /** `from`: where what is written so far begins. */
  | { what: "field"; from: number; typed: string; joins: boolean }
  | { what: "value"; from: number; typed: string; field: string };

const OPENS: ReadonlySet<Token["kind"]> = new Set(["open", "not", "and", "or"]);

/** What stands at the cursor, or undefined inside of a quote or pattern that belongs to no field. */
export function wantedAt(text: string, cursor: number): Wanted | undefined {
  const tokens = lex(text.slice(0, cursor));
  const last = tokens.at(-1);
  const before = tokens.at(-2);
  const touches = last?.to === cursor;
  if (last && touches && last.kind === "colon" && before) return { what: "value", from: cursor, typed: "", field: before.text };
  if (last && touches && before?.kind === "colon" && (last.kind === "word" || (last.kind === "string" && last.unclosed))) return { what: "value", from: last.from, typed: last.text.replace(/^"/, ""), field: tokens.at(-3)?.text ?? "" };
  if (last?.unclosed || (last && touches && !OPENS.has(last.kind) && last.kind !== "word")) return undefined;
  const writing = last && touches && last.kind === "word" ? last : undefined;
  const previous = writing ? before : last;
  return { what: "field", from: writing?.from ?? cursor, typed: writing?.text ?? "", joins: previous !== undefined && !OPENS.has(previous.kind) };
}

const NONE = 9;

/** How well a column fits what is typed, 0 best; NONE: not at all. */
function fit(column: SearchColumn, typed: string): number {
  if (typed === "") return 4;
  const path = column.path.toLowerCase();
  if (path.startsWith(typed)) return 0;
  if (path.split(/[._]/).some((part) => part.startsWith(typed))) return 1;
  if (column.ecs.some((name) => name.toLowerCase().startsWith(typed))) return 2;
  if (path.includes(typed) || column.ecs.some((name) => name.toLowerCase().includes(typed))) return 3;
  return column.about.toLowerCase().includes(typed) ? 5 : NONE;
}

/** Columns that fit what is typed, the best first, else in the lake's order. */
export function fitting(columns: readonly SearchColumn[], typed: string): SearchColumn[] {
  const wanted = typed.trim().toLowerCase();
  return columns
    .map((column) => ({ column, rank: fit(column, wanted) }))
    .filter(({ rank }) => rank < NONE)
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ column }) => column);
}

/** The column's OCSF path for any of its names, and for the end of one if no other column's name ends so (`country`). */
export function resolver(columns: readonly SearchColumn[]): (name: string) => string {
  const paths = new Map(columns.flatMap((column) => [[column.path, column.path] as const, ...column.ecs.map((name) => [name, column.path] as const)]));
  return (name) => {
    const known = paths.get(name);
    if (known) return known;
    const ending = columns.filter((column) => [column.path, ...column.ecs].some((one) => one.endsWith(`.${name}`)));
    return ending.length === 1 ? ending[0]!.path : name;
  };
}
