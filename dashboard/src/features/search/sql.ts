// Values of a result as text.
import type { SqlResult, SqlValue } from "@/lib/search-types";

export const asText = (value: SqlValue): string => (value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

/** A sheet takes a text that begins like this for a formula, and runs it (OWASP, "CSV injection"). */
const FORMULA = /^[=+\-@\t\r]/;
const NUMBER = /^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const cell = (value: SqlValue): string => {
  const text = asText(value).replace(/[\t\r\n]+/g, " ");
  return FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
};

/** Names and rows with tabs between, as spreadsheets take them from the clipboard; safe to paste. */
export const toTsv = ({ columns, rows }: SqlResult): string => [columns.map(({ name }) => cell(name)), ...rows.map((row) => row.map(cell))].map((one) => one.join("\t")).join("\n");
