// The search, SQL and saved-search part of docs/api.md, mirrored by hand like types.ts beside it.
import type { BySeverity, OcsfEvent, Severity } from "./types";

export type ColumnKind = "text" | "int" | "float" | "time" | "text_list";

export interface SearchColumn {
  path: string;
  kind: ColumnKind;
  /** Its names in the Elastic Common Schema. */
  ecs: string[];
  about: string;
  /** Asked for by word, not by equality. */
  prose: boolean;
  bloom: boolean;
}

/** What stands beside the query text wherever something is asked for. */
export interface Asked {
  q?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

export interface SearchRequest extends Asked {
  limit?: number | undefined;
  cursor?: string | undefined;
  /** A width in seconds; `auto`: the server chooses one that gives a readable number of bars. */
  histogram?: "auto" | "none" | number;
  /** Columns whose most frequent values are wanted. */
  fields?: string[];
}

export interface Total {
  value: number;
  /** Whether the search went through everything; else there are at least so many. */
  exact: boolean;
}

export interface SearchBucket {
  start: string;
  counts: BySeverity;
}

export interface FieldValues {
  field: string;
  /** Events that have the column, and how many values it has among them. */
  present: number;
  distinct: number;
  values: { value: string | number | boolean; count: number }[];
}

export interface SearchPage {
  items: OcsfEvent[];
  next_cursor?: string | null;
  total: Total;
  histogram?: { bucket_secs: number; buckets: SearchBucket[] } | null;
  fields?: FieldValues[];
  took_ms: number;
  scanned: { files: number; rows: number };
}

export interface QueryCheck {
  ok: boolean;
  message?: string | null;
  /** Where in the query, in characters from 0. */
  column?: number | null;
  hint?: string | null;
  /** The query as it was understood. */
  normalised?: string | null;
}

export type SqlValue = string | number | boolean | null | object;
export interface SqlResult {
  columns: { name: string; type: string }[];
  rows: SqlValue[][];
  truncated: boolean;
  took_ms: number;
  plan?: string | null;
}

export interface Schedule {
  every_secs: number;
  window_secs: number;
  at_least: number;
  severity: Severity;
  group_by: string | null;
  enabled: boolean;
}

export interface NewSavedSearch {
  name: string;
  q: string;
  columns: string[];
  /** Relative, `1h`. */
  range: string | null;
  shared: boolean;
  schedule: Schedule | null;
}

export interface SavedSearch extends NewSavedSearch {
  id: string;
  owner: string;
  created_at: string;
  updated_at: string;
  last_run?: { time: string; hits: number; findings: number; error?: string | null } | null;
}
