// Where a page can send the reader. The router implements it, so that features need not know the router.
import { createContext, useContext } from "react";
import type { AlertState, Entity, RuleKind, Severity } from "./types";

/** The search page in the URL: the same link shows the same view. */
export interface EventsSearch {
  q?: string | undefined;
  /** Relative, `1h`; or absolute, `from` and `to`. */
  range?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  /** Shown columns, with commas between. Absent: what this reader chose last. */
  columns?: string | undefined;
  /** The open event. */
  event?: string | undefined;
  /** `1`: new events join the list as they come. */
  tail?: "1" | undefined;
  view?: "sql" | undefined;
  sql?: string | undefined;
  /** The saved search that it came from. */
  saved?: string | undefined;
}
export interface AlertsSearch {
  state?: AlertState | "all" | undefined;
  severity_min?: Severity | undefined;
  q?: string | undefined;
  id?: string | undefined;
  /** `1`: with signals. */
  signals?: "1" | undefined;
}
export interface IncidentsSearch {
  state?: AlertState | "all" | undefined;
  severity_min?: Severity | undefined;
  q?: string | undefined;
  range?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  id?: string | undefined;
}
export interface RulesSearch {
  q?: string | undefined;
  technique?: string | undefined;
  kind?: RuleKind | undefined;
  level?: Severity | undefined;
}
export interface RuleSearch {
  /** `try`: the editor with its replay. */
  view?: "try" | undefined;
  range?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}
export interface WebSearch {
  view?: "attacks" | "agents" | "profiles" | undefined;
  range?: string | undefined;
  /** The open agent or profile. */
  id?: string | undefined;
}
export interface BansSearch {
  tab?: "trust" | undefined;
  state?: "all" | undefined;
  q?: string | undefined;
}
export interface LiveSearch {
  q?: string | undefined;
}

export interface Go {
  overview: () => void;
  live: (search?: LiveSearch) => void;
  search: (search: EventsSearch) => void;
  alerts: (search: AlertsSearch) => void;
  incidents: (search: IncidentsSearch) => void;
  entity: (entity: Entity) => void;
  entities: () => void;
  rules: (search: RulesSearch) => void;
  rule: (id: string, search?: RuleSearch) => void;
  newRule: () => void;
  exceptions: () => void;
  web: (search?: WebSearch) => void;
  bans: (search?: BansSearch) => void;
  settings: (tab?: string) => void;
}

export const GoContext = createContext<Go | null>(null);
export function useGo(): Go {
  const go = useContext(GoContext);
  if (!go) throw new Error("useGo stands outside the shell");
  return go;
}
