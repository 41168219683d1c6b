// Which columns the table shows and how wide: the URL says it, else what this reader chose last in this browser.
import { country, fromIp, what, who } from "@/lib/ocsf";
import { fieldAt } from "@/lib/ocsf";
import type { OcsfEvent } from "@/lib/types";

/** What happened, in one line: the message, and where there is none, what other columns tell of it. */
export const SUMMARY = "message";
export const DEFAULT_COLUMNS = ["severity", "metadata.log_name", "actor.user.name", "src_endpoint.ip", SUMMARY, "status"] as const;
export const COLUMNS_MAX = 30;

const LABELS: Record<string, string> = {
  time: "Time",
  [SUMMARY]: "What happened",
  severity: "Severity",
  "metadata.log_name": "Source",
  "metadata.log_format": "Format",
  "metadata.product.name": "Service",
  class_name: "Class",
  activity_name: "Activity",
  status: "Status",
  raw_data: "Raw text",
  "actor.user.name": "User",
  "src_endpoint.ip": "From",
  "dst_endpoint.ip": "To",
  "device.hostname": "Host",
  "api.operation": "Operation",
  "http_request.http_method": "Method",
  "http_request.url.path": "Path",
  "http_response.code": "HTTP",
  "finding_info.rules": "Rules",
};
const WIDTHS: Record<string, number> = { time: 172, severity: 92, [SUMMARY]: 300, "metadata.log_name": 116, "actor.user.name": 130, "src_endpoint.ip": 168, status: 76, raw_data: 620, class_name: 130, "http_response.code": 70, "http_request.http_method": 76, "http_request.url.path": 240, "http_request.user_agent": 260, "metadata.uid": 260, "finding_info.rules": 260, "actor.user.uid": 280 };
export const WIDTH_MIN = 56;
export const WIDTH_MAX = 1600;
const WIDTH_OTHERS = 150;

export const labelOf = (path: string): string => (Object.hasOwn(LABELS, path) ? LABELS[path]! : path);
export const widthOf = (path: string, chosen: Readonly<Record<string, number>>): number => (Object.hasOwn(chosen, path) ? chosen[path]! : Object.hasOwn(WIDTHS, path) ? WIDTHS[path]! : WIDTH_OTHERS);
export const clampWidth = (px: number): number => Math.round(Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, px)));

const NAME = /^[A-Za-z_@][\w.@-]{0,127}$/;

/** The columns that a link names; undefined when it names none that could be one. */
export function columnsFrom(text: string | undefined): string[] | undefined {
  const names = [...new Set((text ?? "").split(",").map((name) => name.trim()))].filter((name) => NAME.test(name) && name !== "time");
  return names.length > 0 ? names.slice(0, COLUMNS_MAX) : undefined;
}
export const columnsText = (columns: readonly string[]): string => columns.join(",");

export const toggled = (columns: readonly string[], path: string): string[] => (columns.includes(path) ? columns.filter((one) => one !== path) : [...columns, path].slice(0, COLUMNS_MAX));

/** The columns with one of them moved by so many places. */
export function moved(columns: readonly string[], path: string, by: number): string[] {
  const at = columns.indexOf(path);
  const to = Math.min(columns.length - 1, Math.max(0, at + by));
  if (at < 0) return [...columns];
  const rest = columns.filter((one) => one !== path);
  return [...rest.slice(0, to), path, ...rest.slice(to)];
}

export interface Cell {
  /** The column that the value is of: a stand-in where the chosen one is empty; undefined for what several tell together. */
  path: string | undefined;
  values: string[];
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]).map((one) => (typeof one === "object" ? JSON.stringify(one) : String(one)));

/** What an event shows in a column. */
export function cellOf(event: OcsfEvent, path: string): Cell {
  const values = texts(fieldAt(event, path));
  if (values.length > 0) return { path, values };
  if (path === SUMMARY) return { path: undefined, values: texts(what(event)) };
  if (path === "actor.user.name") return { path: "actor.user.uid", values: texts(who(event)) };
  if (path === "src_endpoint.ip") return { path: "src_endpoint.hostname", values: texts(fromIp(event)) };
  return { path, values };
}

export { country };

const KEY = "erne.search";
export interface Remembered {
  columns: string[];
  widths: Record<string, number>;
  /** Fields whose values the sidebar shows. */
  opened: string[];
  sidebar: boolean;
  recent: string[];
}
export const OPENED_MAX = 12;
export const RECENT_MAX = 30;
const DEFAULTS: Remembered = { columns: [...DEFAULT_COLUMNS], widths: {}, opened: ["severity", "metadata.log_name", "actor.user.name"], sidebar: true, recent: [] };

const list = (value: unknown, fallback: string[], max: number): string[] => (Array.isArray(value) ? value.filter((one): one is string => typeof one === "string").slice(0, max) : fallback);

/** What was stored, by whatever version of the page, and only what is still understood of it. */
export function remembered(text: string | null): Remembered {
  try {
    const raw = JSON.parse(text ?? "{}") as Partial<Remembered>;
    const widths = Object.entries(raw.widths ?? {}).filter(([name, px]) => NAME.test(name) && typeof px === "number" && Number.isFinite(px));
    return {
      columns: columnsFrom(list(raw.columns, DEFAULTS.columns, COLUMNS_MAX).join(",")) ?? DEFAULTS.columns,
      widths: Object.fromEntries(widths.map(([name, px]) => [name, clampWidth(px)])),
      opened: list(raw.opened, DEFAULTS.opened, OPENED_MAX),
      sidebar: raw.sidebar !== false,
      recent: list(raw.recent, [], RECENT_MAX),
    };
  } catch {
    return DEFAULTS;
  }
}

export const storageKey = (user: string): string => `${KEY}.${user}`;

/** The recent queries with one more in front. */
export const withRecent = (recent: readonly string[], q: string): string[] => (q.trim() === "" ? [...recent] : [q, ...recent.filter((one) => one !== q)].slice(0, RECENT_MAX));
