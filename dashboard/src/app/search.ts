// The page's state in the URL: plain `?q=…&filter=…&filter=…`, readable and editable by hand.
import type { AlertsSearch, BansSearch, EventsSearch, IncidentsSearch, LiveSearch, RuleSearch, RulesSearch, WebSearch } from "@/lib/go";
import { isSeverity } from "@/lib/severity";
import { rangeSecs } from "@/lib/time";

type Raw = Record<string, unknown>;

export function parseSearch(text: string): Raw {
  const out: Raw = {};
  for (const [key, value] of new URLSearchParams(text)) {
    const old = out[key];
    out[key] = old === undefined ? value : Array.isArray(old) ? [...old, value] : [old, value];
  }
  return out;
}

export function stringifySearch(search: Raw): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    if (value === undefined || value === null || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) params.append(key, String(one));
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}

const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const time = (value: unknown): string | undefined => {
  const got = text(value);
  return got && !Number.isNaN(Date.parse(got)) ? got : undefined;
};

const period = (raw: Raw) => ({ range: rangeSecs(text(raw.range)) ? text(raw.range) : undefined, from: time(raw.from), to: time(raw.to) });

export const bansSearch = (raw: Raw): BansSearch => ({ tab: raw.tab === "trust" ? "trust" : undefined, state: raw.state === "all" ? "all" : undefined, q: text(raw.q) });

export const eventsSearch = (raw: Raw): EventsSearch => ({
  q: text(raw.q),
  ...period(raw),
  columns: text(raw.columns),
  event: text(raw.event),
  tail: raw.tail === "1" ? "1" : undefined,
  view: raw.view === "sql" ? "sql" : undefined,
  sql: text(raw.sql),
  saved: text(raw.saved),
});

const STATES = ["open", "acknowledged", "closed", "all"] as const;
export const alertsSearch = (raw: Raw): AlertsSearch => ({
  state: STATES.find((s) => s === raw.state),
  severity_min: isSeverity(raw.severity_min) ? raw.severity_min : undefined,
  q: text(raw.q),
  id: text(raw.id),
  signals: raw.signals === "1" ? "1" : undefined,
});

export const incidentsSearch = (raw: Raw): IncidentsSearch => ({
  state: STATES.find((s) => s === raw.state),
  severity_min: isSeverity(raw.severity_min) ? raw.severity_min : undefined,
  q: text(raw.q),
  ...period(raw),
  id: text(raw.id),
});

const KINDS = ["sigma", "correlation", "intel", "behaviour", "scheduled_search"] as const;
export const rulesSearch = (raw: Raw): RulesSearch => ({ q: text(raw.q), technique: text(raw.technique), kind: KINDS.find((k) => k === raw.kind), level: isSeverity(raw.level) ? raw.level : undefined });
export const ruleSearch = (raw: Raw): RuleSearch => ({ view: raw.view === "try" ? "try" : undefined, ...period(raw) });
const WEB_VIEWS = ["attacks", "agents", "profiles"] as const;
export const webSearch = (raw: Raw): WebSearch => ({ view: WEB_VIEWS.find((v) => v === raw.view), range: text(raw.range), id: text(raw.id) });
export const liveSearch = (raw: Raw): LiveSearch => ({ q: text(raw.q) });

/** A return address of the login page: a path of this page and nothing else. */
export function safeReturn(value: unknown): string {
  const path = text(value);
  return path && /^\/(?![/\\])/.test(path) && !path.startsWith("/login") ? path : "/";
}
