// These types mirror docs/api.md by hand. `npm run types` writes the ones of a running server's OpenAPI
// document to openapi.gen.ts, to be compared with this file.

export const SEVERITIES = ["informational", "low", "medium", "high", "critical"] as const;
export type Severity = (typeof SEVERITIES)[number];
export type AlertState = "open" | "acknowledged" | "closed";
export type Role = "viewer" | "analyst" | "admin";
export type Counts = Record<string, number>;
export type BySeverity = Partial<Record<Severity, number>>;

export interface Listed<T> {
  items: T[];
  next_cursor?: string | null;
  total?: number | null;
}

export interface Me {
  name: string;
  role: Role;
  csrf: string;
}

export interface Overview {
  events: number;
  events_last_hour: number;
  findings: number;
  findings_last_hour: number;
  alerts_open: number;
  bytes: number;
  quarantined: number;
  events_per_second: number;
  severities: BySeverity;
  /** id, name, level, findings of the last 24 h */
  top_rules: [string, string, Severity, number][];
  http_status: Counts;
  lag_records: number;
  lag_secs: number;
  notices?: string[];
}

export interface Bucket {
  start: string;
  events: number;
  severities: BySeverity;
  http_status: Counts;
}

export interface Top {
  value: string;
  events: number;
  suspicious: number;
  high: number;
  country?: string | null;
  last_seen: string;
}

export interface Technique {
  id: string;
  name: string;
  tactics: string[];
  rules: number;
  findings: number;
}

export interface Marker {
  lat: number;
  long: number;
  country: string;
  city?: string | null;
  ip: string;
  events: number;
  severity: Severity;
  last_seen: string;
}

/** An event in OCSF's nesting. Only what the page reads by name is listed; everything else is shown as it is. */
export interface OcsfEvent {
  time: string;
  class_name: string;
  activity_name?: string;
  severity: Severity;
  severity_id: number;
  status?: string;
  status_detail?: string;
  message?: string;
  metadata: { uid: string; log_name: string; log_format?: string; logged_time?: string; product?: { name?: string }; issues?: string[] };
  actor?: { user?: { name?: string; uid?: string; type?: string }; process?: { name?: string; pid?: number } };
  src_endpoint?: { ip?: string; port?: number; hostname?: string; location?: { country?: string; city?: string; lat?: number; long?: number } };
  device?: { hostname?: string };
  api?: { operation?: string; service?: { name?: string } };
  http_request?: { http_method?: string; url?: { path?: string; query_string?: string; hostname?: string } };
  http_response?: { code?: number; length?: number };
  finding_info?: { rules?: string[] };
  enrichments?: { threat_lists?: string[] };
  raw_data?: string;
}

export interface Rule {
  id: string;
  name: string;
  kind: "sigma" | "correlation" | "intel";
  level: Severity;
  description: string;
  techniques: string[];
  tactics: string[];
  false_positives: string[];
  references: string[];
  author: string;
  file: string;
}

export interface Entity {
  kind: string;
  value: string;
}

export interface StateChange {
  state: AlertState;
  actor: string;
  time: string;
  reason?: string;
}

export interface Alert {
  id: string;
  rule: Rule;
  entity: Entity;
  severity: Severity;
  state: AlertState;
  first_seen: string;
  last_seen: string;
  finding_count: number;
  event_count: number;
  summary: string;
  user?: string;
  source_ip?: string;
  event_name?: string;
  /** latitude, longitude, country */
  place?: [number, number, string];
  history: StateChange[];
}

export interface Condition {
  selection: string;
  field: string;
  operator: string;
  expected: string;
  actual: string;
}

export interface Finding {
  id: string;
  time: string;
  rule: Rule;
  level: Severity;
  entity: Entity;
  event_ids: string[];
  event_count: number;
  window?: [string, string];
  explanation: { summary: string; conditions: Condition[] };
  user?: string;
  source_ip?: string;
  event_name?: string;
  place?: [number, number, string];
}

export interface AlertDetail {
  alert: Alert;
  findings: Finding[];
  events: OcsfEvent[];
}

export interface User {
  name: string;
  role: Role;
  created: string;
}

export interface ApiKey {
  id: string;
  name: string;
  scopes: string[];
  created: string;
  created_by: string;
  last_used?: string | null;
}

export type LiveMessage =
  | { seq: number; topic: "event"; data: OcsfEvent }
  | { seq: number; topic: "finding"; data: Finding }
  | { seq: number; topic: "alert"; data: { alert: Alert; created: boolean } }
  | { seq: number; topic: "stats"; data: Overview }
  | { seq: number; topic: "gap"; data: { lost: number } };
