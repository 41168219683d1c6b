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
  incidents_open?: number;
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

export type RuleKind = "sigma" | "correlation" | "intel" | "behaviour" | "scheduled_search";

/** How a rule's findings are handled: the `erne:` attributes of its file. */
export interface Handling {
  /** A signal feeds incidents and risk scores, and pages nobody. */
  signal: boolean;
  dedup_secs: number;
  alerts_per_hour: number;
  risk?: number | null;
}

export interface Rule {
  id: string;
  name: string;
  kind: RuleKind;
  level: Severity;
  description: string;
  techniques: string[];
  tactics: string[];
  false_positives: string[];
  references: string[];
  author: string;
  file: string;
  handling?: Handling;
  /** Whether anything that came in so far could match it; absent where the server does not say. */
  can_match?: boolean;
}

/** What a correlation or behaviour rule counts and over which rules. */
export interface Correlation {
  kind?: string;
  /** Ids of the rules it counts. */
  rules?: string[];
  group_by?: string[];
  timespan_secs?: number;
  [more: string]: unknown;
}

export interface RuleDetail {
  rule: Rule;
  /** The file's text. */
  text: string;
  /** product, category, service; empty where the rule does not ask for one */
  log_source: [string, string, string];
  fields: string[];
  correlation: Correlation | null;
  can_match: boolean;
  /** One sentence. */
  why: string;
  /** Fields it names that no event of its log source has. */
  absent?: string[];
}

export interface RuleIssue {
  file?: string;
  line?: number | null;
  message: string;
  hint?: string | null;
}

export interface RuleCheck {
  rules: Rule[];
  issues: RuleIssue[];
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
  /** Only in the alert that stands for what is beyond the rule's limit an hour. */
  further?: { entities: number; samples: string[] };
  /** The incident it belongs to. */
  incident?: string;
}

export interface Incident {
  id: string;
  entity: Entity;
  state: AlertState;
  severity: Severity;
  /** The entity's risk score at the incident's worst. */
  risk: number;
  title: string;
  first_seen: string;
  last_seen: string;
  /** In the order in which they were first seen. */
  tactics: string[];
  techniques: string[];
  alert_count: number;
  signal_count: number;
  event_count: number;
  assignee?: string | null;
  history: StateChange[];
}

export interface IncidentDetail {
  incident: Incident;
  /** Signals among them, oldest first. */
  alerts: Alert[];
}

export interface EntityRisk {
  entity: Entity;
  risk: number;
  alerts: number;
  last_seen: string;
  tactics: string[];
}

export interface EntityDetail {
  entity: Entity;
  risk: number;
  history: { time: string; risk: number }[];
  alerts: Alert[];
  incidents: Incident[];
  tactics: string[];
  first_seen?: string | null;
  last_seen?: string | null;
}

/** `field|modifier` to a value or some. */
export type Where = Record<string, string | number | boolean | (string | number | boolean)[]>;

export interface NewException {
  /** null: for every rule. */
  rule_id: string | null;
  where: Where;
  reason: string;
  /** null: never. */
  expires_at: string | null;
}

export interface Exception extends NewException {
  id: string;
  rule_name?: string | null;
  author: string;
  created_at: string;
  hits: number;
  last_hit?: string | null;
}

export type BanState = "active" | "expired" | "undone";
export type BanSource = "manual" | "rule" | "import" | "agent";

/** How a ban stands at one action. */
export interface BanAction {
  name: string;
  state: "pending" | "applied" | "failed" | "trusted";
  error?: string;
}

/** A network that is kept out, or was. */
export interface Ban {
  id: string;
  cidr: string;
  reason: string;
  actor: string;
  source: BanSource;
  rule?: string | null;
  rule_name?: string | null;
  alert?: string | null;
  created_at: string;
  /** null: for good. */
  until: string | null;
  /** It is enforced nowhere: rules only say whom they would have banned. */
  dry_run: boolean;
  /** Of a network that grew: how many of its addresses were banned. */
  grown_from?: number | null;
  /** Earlier bans that made it longer. */
  offences: number;
  undone?: { actor: string; at: string; reason: string } | null;
  state: BanState;
  actions: BanAction[];
}

export interface NewBan {
  cidr: string;
  reason: string;
  /** Absent: for good. */
  secs?: number;
  alert?: string;
  spare_own?: boolean;
}

export interface Trust {
  /** null where it is not of the list. */
  id: string | null;
  cidr: string;
  kind: "list" | "configuration" | "admin" | "platform" | "always";
  reason: string;
  actor: string | null;
  created_at: string | null;
}

/** What a ban would mean. */
export interface BanCheck {
  cidr: string;
  own_address: string | null;
  spared: Trust[];
  trusted: boolean;
  banned: Omit<Ban, "state" | "actions">[];
  size: number;
}

export interface AnswerStatus {
  automatic: boolean;
  dry_run: boolean;
  bans_per_hour: number;
  bans_last_hour: number;
  active: number;
  dry: number;
  networks: number;
  actions: { name: string; kind: string; held: number; looked_at: string | null; error: string | null }[];
  refused: Counts;
}

/** One condition of a rule and what an event made of it. */
export interface TraceStep {
  selection: string;
  field: string;
  operator: string;
  /** All of them must match where `all` is set, else one. */
  expected: string[];
  all: boolean;
  /** Empty: the event has no such field. */
  actual: string[];
  matched: boolean;
}

export interface Explained {
  rule: Rule;
  matched: boolean;
  log_source_matches: boolean;
  steps: TraceStep[];
  /** The exception that keeps the finding away. */
  excepted_by?: string | null;
}

export interface Replay {
  events: number;
  matches: number;
  alerts: number;
  secs: number;
  /** Whether a bound stopped it before the end. */
  truncated: boolean;
  per_day: { day: string; events: number; findings: number; alerts: number }[];
  entities: { entity: Entity; count: number }[];
  samples: Finding[];
  /** What could not be replayed, and why it ended early. */
  notes?: string[];
}

export interface Condition {
  selection: string;
  field: string;
  operator: string;
  expected: string;
  actual: string;
}

export type FindingStatus = "provisional" | "final" | "withdrawn";

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
  /** Late events may still change a provisional one; a withdrawn one did not happen. Absent: final. */
  status?: FindingStatus;
  /** How often it was told anew with other contents. */
  revision?: number;
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
  | { seq: number; topic: "incident"; data: { incident: Incident; created: boolean } }
  | { seq: number; topic: "ban"; data: { ban: Ban; created: boolean } }
  | { seq: number; topic: "stats"; data: Overview }
  | { seq: number; topic: "gap"; data: { lost: number } };
