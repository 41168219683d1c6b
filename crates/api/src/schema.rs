//! The shapes of the API's JSON, for the OpenAPI document. Those with `Deserialize` or `Serialize` are the
//! types the handlers use; the others describe what `event` and `engine` serialise, and a test compares them.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{OpenApi, ToSchema};

mod web;
pub use web::*;

#[derive(Serialize, ToSchema)]
pub struct Accepted {
    #[schema(example = "accepted")]
    pub status: &'static str,
    pub first_offset: u64,
    pub next_offset: u64,
    /// The Idempotency-Key was seen before: nothing was written.
    pub duplicate: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

#[derive(Serialize, ToSchema)]
pub struct Person {
    pub name: String,
    pub role: String,
}
#[derive(Serialize, ToSchema)]
pub struct LoggedIn {
    pub user: Person,
    /// To be sent as `X-CSRF-Token` with every changing request.
    pub csrf: String,
}
#[derive(Serialize, ToSchema)]
pub struct AccessToken {
    pub access_token: String,
    pub token_type: &'static str,
    pub expires_in: u64,
}
#[derive(Serialize, ToSchema)]
pub struct Me {
    pub name: String,
    pub role: String,
    /// Only for a session by cookie.
    pub csrf: Option<String>,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    pub current: String,
    pub new: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertStateChange {
    pub ids: Vec<String>,
    /// open, acknowledged or closed
    pub state: String,
    pub reason: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// viewer, analyst or admin
    pub role: String,
    /// Needed for a new user; without it an existing one keeps theirs.
    pub password: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct User {
    pub name: String,
    pub role: String,
    pub created: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    pub name: String,
    /// ingest, read, inspect, admin, answer (bans), bouncer (reads who is banned)
    pub scopes: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Key {
    pub id: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub created: String,
    pub created_by: String,
    pub last_used: Option<String>,
}
#[derive(Serialize, ToSchema)]
pub struct NewKey {
    /// The clear text, shown this once.
    pub key: String,
    pub id: String,
    pub name: String,
    pub scopes: Vec<String>,
}

#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloudHawkQuery {
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    /// LOW, MEDIUM, HIGH, CRITICAL
    pub severity: Option<Vec<String>>,
    pub event_name: Option<String>,
    pub threat_type: Option<String>,
    pub user_name: Option<String>,
    pub source_ip: Option<String>,
    pub limit: Option<u64>,
}

/// An error, RFC 9457.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// The character of a query that it is about, from 0.
    pub column: Option<usize>,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// `auto`, `none`, or the width of a bucket in seconds.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub enum HistogramWidth {
    Secs(u64),
    Word(String),
}
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SearchRequest {
    /// In the query language of the manual; empty: all events.
    pub q: Option<String>,
    /// RFC 3339.
    pub from: Option<String>,
    /// Before this, RFC 3339.
    pub to: Option<String>,
    /// 0 to 1000, 100 when absent; 0 only counts.
    pub limit: Option<u64>,
    pub cursor: Option<String>,
    /// None when absent.
    pub histogram: Option<HistogramWidth>,
    /// Columns whose most frequent values are counted among all matches.
    pub fields: Option<Vec<String>>,
    /// Values shown of each, 1 to 100, 10 when absent.
    pub top: Option<u64>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SearchTotal {
    pub value: u64,
    /// If not, at least so many match.
    pub exact: bool,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SearchScanned {
    pub files: u64,
    pub rows: u64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct HistogramBucket {
    pub start: String,
    pub counts: BTreeMap<String, u64>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Histogram {
    pub bucket_secs: u32,
    /// Oldest first; empty ones are left out.
    pub buckets: Vec<HistogramBucket>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ValueCount {
    pub value: serde_json::Value,
    pub count: u64,
}
/// The values of a column among all matching events.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct FieldValues {
    pub field: String,
    /// Events with a value.
    pub present: u64,
    /// Different values; an estimate if error is not 0.
    pub distinct: u64,
    pub values: Vec<ValueCount>,
    /// Each count is too small by at most this.
    pub error: u64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SearchAnswer {
    /// Newest first.
    pub items: Vec<Event>,
    pub next_cursor: Option<String>,
    pub total: SearchTotal,
    pub histogram: Option<Histogram>,
    pub fields: Vec<FieldValues>,
    pub took_ms: u64,
    pub scanned: SearchScanned,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SearchColumn {
    pub path: String,
    /// text, int, float, time or text_list
    pub kind: String,
    pub ecs: Vec<String>,
    pub about: String,
    /// Asked for by word, not by equality.
    pub prose: bool,
    pub bloom: bool,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct QueryCheck {
    pub ok: bool,
    pub message: Option<String>,
    /// Where, in characters from 0.
    pub column: Option<u64>,
    pub hint: Option<String>,
    /// The query as it was understood.
    pub normalised: Option<String>,
}
/// One of the two.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupBy {
    /// Seconds.
    pub time: Option<u32>,
    pub field: Option<String>,
}
/// One of these; numbers are columns' names.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Measure {
    pub count: Option<bool>,
    pub sum: Option<String>,
    pub min: Option<String>,
    pub max: Option<String>,
    pub avg: Option<String>,
}
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AggregateRequest {
    pub q: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub by: Vec<GroupBy>,
    /// Count when empty.
    pub metrics: Vec<Measure>,
    /// Groups at most, those with the most events: 1 to 10000, 1000 when absent.
    pub limit: Option<u64>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct AggregateAnswer {
    /// Names of groups, then of metrics.
    pub columns: Vec<String>,
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Groups in all.
    pub groups: u64,
    pub took_ms: u64,
}

#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Ready {
    pub ready: bool,
    pub reasons: Vec<String>,
    pub notices: Vec<String>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Overview {
    pub events: u64,
    pub events_last_hour: u64,
    pub findings: u64,
    pub findings_last_hour: u64,
    pub alerts_open: u64,
    pub incidents_open: u64,
    pub bytes: u64,
    pub quarantined: u64,
    pub events_per_second: f64,
    pub severities: BTreeMap<String, u64>,
    /// Rule id, rule name, level, findings of the last 24 h.
    pub top_rules: Vec<serde_json::Value>,
    pub http_status: BTreeMap<String, u64>,
    pub lag_records: u64,
    pub lag_secs: f64,
    pub notices: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Bucket {
    pub start: String,
    pub events: u64,
    pub severities: BTreeMap<String, u64>,
    pub http_status: BTreeMap<String, u64>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Top {
    pub value: String,
    pub events: u64,
    pub suspicious: u64,
    pub high: u64,
    pub country: Option<String>,
    pub last_seen: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Technique {
    pub id: String,
    pub name: String,
    pub tactics: Vec<String>,
    pub rules: u64,
    pub findings: u64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Marker {
    pub lat: f64,
    pub long: f64,
    pub country: String,
    pub city: Option<String>,
    pub ip: String,
    pub events: u64,
    pub severity: String,
    pub last_seen: String,
}

/// Nested under OCSF's names; empty columns are left out. See `docs/api.md`.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Event {
    pub time: String,
    pub class_name: String,
    pub severity: String,
    pub severity_id: u8,
    pub status: String,
    pub message: Option<String>,
    pub raw_data: String,
    pub metadata: serde_json::Value,
    pub src_endpoint: Option<serde_json::Value>,
    pub actor: Option<serde_json::Value>,
}

#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Rule {
    pub id: String,
    pub name: String,
    /// sigma, correlation, intel, behaviour or scheduled_search
    pub kind: String,
    pub level: String,
    pub description: String,
    pub techniques: Vec<String>,
    pub tactics: Vec<String>,
    pub false_positives: Vec<String>,
    pub references: Vec<String>,
    pub author: String,
    pub file: String,
    pub handling: Handling,
}
/// How a rule's findings are handled.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Handling {
    /// Feeds incidents and risk scores, and pages nobody.
    pub signal: bool,
    /// Findings about one entity within so many seconds are one alert.
    pub dedup_secs: i64,
    pub alerts_per_hour: u32,
    pub ban_secs: Option<i64>,
    /// What an alert adds to a risk score; by level if absent.
    pub risk: Option<u8>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Entity {
    /// user, ip, host, service, account, group or unknown
    pub kind: String,
    pub value: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct StateChange {
    pub state: String,
    pub actor: String,
    pub time: String,
    pub reason: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Alert {
    pub id: String,
    pub rule: Rule,
    pub entity: Entity,
    pub severity: String,
    /// open, acknowledged or closed
    pub state: String,
    pub first_seen: String,
    pub last_seen: String,
    pub finding_count: u64,
    pub event_count: u64,
    pub summary: String,
    pub user: Option<String>,
    pub source_ip: Option<String>,
    pub event_name: Option<String>,
    /// Latitude, longitude, country.
    pub place: Option<Vec<serde_json::Value>>,
    pub history: Vec<StateChange>,
    /// Only in the alert for what is beyond its rule's limit of alerts.
    pub further: Option<Further>,
    /// The id of the incident it belongs to.
    pub incident: Option<String>,
}
/// Entities that have no alert of their own because of their rule's limit.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Further {
    pub entities: u64,
    pub samples: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Condition {
    pub selection: String,
    pub field: String,
    pub operator: String,
    pub expected: String,
    pub actual: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Explanation {
    pub summary: String,
    pub conditions: Vec<Condition>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Finding {
    pub id: String,
    pub time: String,
    pub rule: Rule,
    pub level: String,
    pub entity: Entity,
    pub event_ids: Vec<String>,
    /// Places in the log, as offset and index.
    pub positions: Vec<serde_json::Value>,
    pub event_count: u64,
    /// From and to, for correlations.
    pub window: Option<Vec<String>>,
    pub explanation: Explanation,
    /// provisional, final or withdrawn
    pub status: String,
    pub revision: u32,
    /// The id of the finding that it took the place of.
    pub replaces: Option<String>,
    pub user: Option<String>,
    pub source_ip: Option<String>,
    pub event_name: Option<String>,
    pub place: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentStateChange {
    pub ids: Vec<String>,
    /// open, acknowledged or closed
    pub state: String,
    pub reason: Option<String>,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// A user's name; null for nobody.
    pub assignee: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Incident {
    pub id: String,
    pub entity: Entity,
    /// open, acknowledged or closed
    pub state: String,
    pub severity: String,
    /// The entity's risk score at the incident's worst.
    pub risk: u32,
    pub title: String,
    pub first_seen: String,
    pub last_seen: String,
    /// In the order in which they were first seen.
    pub tactics: Vec<String>,
    pub techniques: Vec<String>,
    pub alert_count: u64,
    pub signal_count: u64,
    pub event_count: u64,
    pub assignee: Option<String>,
    pub history: Vec<StateChange>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct IncidentDetail {
    pub incident: Incident,
    /// Signals among them, oldest first.
    pub alerts: Vec<Alert>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct EntityRisk {
    pub entity: Entity,
    pub risk: u32,
    /// Alerts and signals that added to the score.
    pub alerts: u64,
    pub last_seen: String,
    pub tactics: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct RiskPoint {
    pub time: String,
    pub risk: u32,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct EntityDetail {
    pub entity: Entity,
    pub risk: u32,
    /// By the hour, at most seven days.
    pub history: Vec<RiskPoint>,
    /// About it or naming it, signals among them, newest first.
    pub alerts: Vec<Alert>,
    pub incidents: Vec<Incident>,
    pub tactics: Vec<String>,
    pub first_seen: String,
    pub last_seen: String,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionRequest {
    /// Null: every rule.
    pub rule_id: Option<String>,
    /// `field` or `field|modifier` and the value or values, as in a rule's detection section; all must hold.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    pub r#where: serde_json::Map<String, serde_json::Value>,
    pub reason: String,
    /// Null: until it is deleted.
    pub expires_at: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Exception {
    pub id: String,
    pub rule_id: Option<String>,
    pub rule_name: Option<String>,
    pub r#where: BTreeMap<String, serde_json::Value>,
    pub reason: String,
    pub author: String,
    pub created_at: String,
    pub expires_at: Option<String>,
    pub hits: u64,
    pub last_hit: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BanRequest {
    /// An address or a network. An IPv6 address stands for its /64.
    pub cidr: String,
    pub reason: String,
    /// RFC 3339; or `secs`; neither: for good.
    #[serde(default)]
    pub until: Option<String>,
    /// From now.
    #[serde(default)]
    pub secs: Option<u64>,
    /// The alert that it is for.
    #[serde(default)]
    pub alert: Option<String>,
    /// A network around the own address is meant; the address itself is spared.
    #[serde(default)]
    pub spare_own: bool,
}
#[derive(Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BanChange {
    pub reason: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Undone {
    pub actor: String,
    pub at: String,
    pub reason: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ActionState {
    pub name: String,
    /// pending, applied, failed, or trusted where no part of it may be enforced
    pub state: String,
    pub error: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Ban {
    pub id: String,
    pub cidr: String,
    pub reason: String,
    pub actor: String,
    /// manual, rule, import or agent
    pub source: String,
    pub rule: Option<String>,
    pub rule_name: Option<String>,
    pub alert: Option<String>,
    pub finding: Option<String>,
    pub created_at: String,
    /// Null: for good.
    pub until: Option<String>,
    /// It is enforced nowhere: rules may only say whom they would have banned.
    pub dry_run: bool,
    /// Of a prefix: how many banned addresses made it.
    pub grown_from: Option<u32>,
    /// Earlier bans that made it longer.
    pub offences: u32,
    pub undone: Option<Undone>,
    /// active, expired or undone
    pub state: String,
    pub actions: Vec<ActionState>,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BanCheckRequest {
    pub cidr: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct BanCheck {
    /// As it would be banned.
    pub cidr: String,
    /// Where you ask from, if the ban covers it.
    pub own_address: Option<String>,
    /// What of it would be spared, and why.
    pub spared: Vec<Trust>,
    /// Nothing of it would be kept out.
    pub trusted: bool,
    /// Bans that hold all of it already.
    pub banned: Vec<serde_json::Value>,
    /// Addresses for IPv4, /64 networks for IPv6.
    pub size: u64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct UndoneBans {
    /// The ban, and the one of its network that it helped to make.
    pub undone: Vec<serde_json::Value>,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustRequest {
    pub cidr: String,
    pub reason: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Trust {
    /// Null where it is not of the trust list and cannot be deleted.
    pub id: Option<String>,
    pub cidr: String,
    /// list, configuration, admin, platform or always
    pub kind: String,
    pub reason: String,
    pub actor: Option<String>,
    pub created_at: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct TrustMade {
    pub trust: serde_json::Value,
    /// Bans inside it, which are taken back.
    pub undone: Vec<serde_json::Value>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ActionStatus {
    pub name: String,
    pub kind: String,
    /// Networks that its target holds.
    pub held: usize,
    pub looked_at: Option<String>,
    pub error: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct AnswerStatus {
    pub automatic: bool,
    pub dry_run: bool,
    pub bans_per_hour: u32,
    pub bans_last_hour: u32,
    pub active: usize,
    /// Bans that only would have been.
    pub dry: usize,
    pub networks: usize,
    pub actions: Vec<ActionStatus>,
    /// Why findings banned nobody since the start, how often.
    pub refused: BTreeMap<String, u64>,
}
#[derive(Serialize, ToSchema)]
pub struct BanImported {
    /// New bans.
    pub imported: usize,
    /// Lines that name an address or network.
    pub read: usize,
    /// Lines that say nothing about one.
    pub skipped: usize,
    /// The first lines that could not be read, with their numbers.
    pub unreadable: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedSearchRequest {
    pub name: String,
    /// In the query language; empty: everything.
    pub q: String,
    /// Columns to show, by their paths or ECS names.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The period to show, back from now: `15m`, `24h`, `7d`.
    #[serde(default)]
    pub range: Option<String>,
    /// Whether everybody may see it.
    #[serde(default)]
    pub shared: bool,
    #[serde(default)]
    pub schedule: Option<ScheduleRequest>,
}
/// When a search runs by itself, in event time, and what it then raises.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleRequest {
    /// 60 to 604800: a window ends at every multiple of this …
    pub every_secs: u32,
    /// … and reaches this far back: at least `every_secs`, at most 1440 times that and 30 days.
    pub window_secs: u32,
    /// Events of a group within a window from which on there is a finding.
    pub at_least: u64,
    /// low, medium, high or critical
    pub severity: String,
    /// A column, each of whose values is a group of its own; null: all events together.
    #[serde(default)]
    pub group_by: Option<String>,
    #[serde(default = "yes")]
    pub enabled: bool,
}
fn yes() -> bool {
    true
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Schedule {
    pub every_secs: u32,
    pub window_secs: u32,
    pub at_least: u64,
    pub severity: String,
    pub group_by: Option<String>,
    pub enabled: bool,
}
/// How the newest run of a scheduled search went.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SearchRun {
    pub time: String,
    /// Events that matched within the window.
    pub hits: u64,
    pub findings: u64,
    pub error: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SavedSearch {
    pub id: String,
    pub name: String,
    pub q: String,
    pub columns: Vec<String>,
    pub range: Option<String>,
    pub owner: String,
    pub shared: bool,
    pub schedule: Option<Schedule>,
    pub created_at: String,
    pub updated_at: String,
    pub last_run: Option<SearchRun>,
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident of $item:ty;)*) => {
        $($(#[$doc])*
        #[derive(ToSchema)]
        #[allow(dead_code)]
        pub struct $name { pub items: Vec<$item> })*
    };
}
lists! {
    Buckets of Bucket;
    Tops of Top;
    Coverage of Technique;
    Markers of Marker;
    Rules of Rule;
    Users of User;
    Keys of Key;
    ChangedAlerts of Alert;
    ChangedIncidents of Incident;
    Exceptions of Exception;
    /// By name.
    SavedSearches of SavedSearch;
    Columns of SearchColumn;
    /// Oldest first.
    EventsAround of Event;
    AlertsOfEvent of Alert;
    /// Highest risk first.
    Entities of EntityRisk;
    /// The trust list first, then what is trusted anyway.
    Trusts of Trust;
}

macro_rules! pages {
    ($($name:ident of $item:ty;)*) => {
        $(/// One page, newest first.
        #[derive(ToSchema)]
        #[allow(dead_code)]
        pub struct $name { pub items: Vec<$item>, pub next_cursor: Option<String>, pub total: Option<u64> })*
    };
}
pages! {
    Alerts of Alert;
    Findings of Finding;
    Incidents of Incident;
    Bans of Ban;
}

#[derive(ToSchema)]
#[allow(dead_code)]
pub struct AlertDetail {
    pub alert: Alert,
    pub findings: Vec<Finding>,
    pub events: Vec<Event>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// Sigma rules and correlations in YAML, at most 256 KiB.
    pub text: String,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// A running rule; or `text`.
    pub rule_id: Option<String>,
    /// Rules that need not run yet; they may refer to running ones.
    pub text: Option<String>,
    /// Event time, RFC 3339.
    pub from: String,
    pub to: String,
    /// 1 to 600; 60 when absent.
    pub secs_max: Option<u64>,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    pub rule_id: Option<String>,
    pub text: Option<String>,
    /// A stored event; or `raw`.
    pub event_uid: Option<String>,
    /// One entry of a log.
    pub raw: Option<String>,
    /// The format of `raw`; detected when absent.
    pub format: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct RuleIssue {
    pub file: String,
    pub line: Option<u64>,
    pub message: String,
    pub hint: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct RuleCheck {
    pub rules: Vec<Rule>,
    pub issues: Vec<RuleIssue>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct RuleCorrelation {
    pub kind: String,
    pub rules: Vec<String>,
    pub group_by: Vec<String>,
    pub timespan_secs: i64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct RuleDetail {
    pub rule: Rule,
    /// The file that it stands in; empty for threat lists.
    pub text: String,
    /// Product, category and service; empty where it names none.
    pub log_source: Vec<String>,
    pub fields: Vec<String>,
    pub correlation: Option<RuleCorrelation>,
    pub can_match: bool,
    /// On what it can match, or why it cannot.
    pub why: String,
    pub on: Vec<String>,
    /// Fields it names that no such event has.
    pub absent: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ReplayDay {
    pub day: String,
    pub events: u64,
    pub findings: u64,
    pub alerts: u64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct EntityCount {
    pub entity: Entity,
    pub count: u64,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Replay {
    pub events: u64,
    pub matches: u64,
    pub alerts: u64,
    pub secs: f64,
    pub truncated: bool,
    pub per_day: Vec<ReplayDay>,
    pub entities: Vec<EntityCount>,
    pub samples: Vec<Finding>,
    /// What could not be replayed, and why it ended early.
    pub notes: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct TraceStep {
    pub selection: String,
    pub field: String,
    pub operator: String,
    pub expected: Vec<String>,
    /// All of `expected` must match, not one.
    pub all: bool,
    pub actual: Vec<String>,
    pub matched: bool,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Trace {
    pub rule: Rule,
    pub matched: bool,
    pub log_source_matches: bool,
    pub steps: Vec<TraceStep>,
    /// The exception that takes the event out.
    pub excepted_by: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Explained {
    pub rule: Rule,
    pub matched: bool,
    pub log_source_matches: bool,
    pub steps: Vec<TraceStep>,
    pub excepted_by: Option<String>,
    /// Further rules: of a text with several, or those that a correlation counts.
    pub more: Vec<Trace>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// One SELECT, WITH, EXPLAIN, SHOW TABLES, SHOW COLUMNS or DESCRIBE: see docs/sql.md.
    pub sql: String,
    /// Rows of the answer; 1000 when absent.
    pub limit: Option<usize>,
    /// Seconds it may take, waiting for its turn included; 30 when absent.
    pub timeout_secs: Option<u64>,
    /// Answers the plan without running it.
    #[serde(default)]
    pub explain: bool,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SqlColumn {
    pub name: String,
    /// text, integer, number, boolean, timestamp, date, interval, list, struct, null or other
    pub r#type: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct SqlAnswer {
    pub columns: Vec<SqlColumn>,
    /// A value for each column.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// There are more rows than were asked for, or their bytes were too many.
    pub truncated: bool,
    pub took_ms: u64,
    pub plan: Option<String>,
}

/// The reference systems' shapes: see `docs/api.md`.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct Anything {}

#[derive(OpenApi)]
#[openapi(components(schemas(
    Accepted, Credentials, Person, LoggedIn, AccessToken, Me, PasswordChange, AlertStateChange, UserChange, User, KeyRequest, Key,
    NewKey, CloudHawkQuery, Problem, Ready, Overview, Bucket, Top, Technique, Marker, Event, Rule, Entity, StateChange, Alert,
    Condition, Explanation, Finding, Buckets, Tops, Coverage, Markers, Rules, Users, Keys, ChangedAlerts, Alerts, Findings,
    AlertDetail, Anything, RuleText, ReplayRequest, ExplainRequest, RuleIssue, RuleCheck, RuleCorrelation, RuleDetail, ReplayDay,
    EntityCount, Replay, TraceStep, Trace, Explained, SqlQuery, SqlColumn, SqlAnswer,
    Handling, Further, IncidentStateChange, Assignment, Incident, IncidentDetail, EntityRisk, RiskPoint, EntityDetail,
    BanRequest, BanChange, Ban, Undone, ActionState, Bans, UndoneBans, BanCheckRequest, BanCheck, TrustRequest, Trust, Trusts, TrustMade,
    ActionStatus, AnswerStatus, BanImported,
    ExceptionRequest, Exception, ChangedIncidents, Exceptions, Entities, Incidents,
    SavedSearchRequest, ScheduleRequest, Schedule, SearchRun, SavedSearch, SavedSearches,
    HistogramWidth, SearchRequest, SearchTotal, SearchScanned, HistogramBucket, Histogram, ValueCount, FieldValues, SearchAnswer, SearchColumn,
    InspectRequest, UploadedFile, InspectedResponse, InspectAnswer, InspectFinding, AgentEvents, AgentEvent, EventsAccepted, RefusedItem,
    Hello, HelloHost, HelloCounters, HelloAnswer, WebProfileBody, AgentRequest, NewAgent, Agent, ProfileInForce, AgentDetail, Instance,
    Application, ApplicationChange, ProfileRequest, ProfileUpdate, ProfileRestore, WebProfile, ProfileVersion, ProfileDiff, ProfileChange,
    ProfileTemplate, Agents, Instances, Applications, WebProfiles, ProfileVersions, ProfileTemplates,
    QueryCheck, GroupBy, Measure, AggregateRequest, AggregateAnswer, Columns, EventsAround, AlertsOfEvent
)))]
pub struct Schemas;
