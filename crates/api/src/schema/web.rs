//! The shapes of web protection: agents, profiles, inspections.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One HTTP request, and its response if it is known. Unknown members are ignored.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct InspectRequest {
    pub id: Option<String>,
    pub trace_id: Option<String>,
    pub method: String,
    /// Path with query, or absolute.
    pub uri: String,
    pub http_version: Option<String>,
    /// Name and value, in order, repeated names kept.
    pub headers: Vec<Vec<String>>,
    pub body_b64: Option<String>,
    pub body_truncated: Option<bool>,
    pub client_ip: Option<String>,
    pub scheme: Option<String>,
    /// The application's template of the path.
    pub route: Option<String>,
    pub files: Option<Vec<UploadedFile>>,
    pub response: Option<InspectedResponse>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct UploadedFile {
    pub name: String,
    pub size: u64,
    pub sha256: String,
    pub content_type: String,
    /// Its first bytes, in hex.
    pub magic: String,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct InspectedResponse {
    pub status: u16,
    pub headers: Vec<Vec<String>>,
    pub body_b64: Option<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct InspectAnswer {
    pub id: String,
    /// allow or attack, under the profile's thresholds and exclusions
    pub verdict: String,
    /// allow or block: what to do
    pub action: String,
    pub score: f64,
    pub classes: BTreeMap<String, f64>,
    /// Departures from what an application should be sent; they never make an attack.
    pub policy: Vec<String>,
    pub findings: Vec<InspectFinding>,
    /// What a bound kept from being inspected.
    pub truncated: Vec<String>,
    pub banned: bool,
    pub profile_version: u64,
    /// off, lite, monitor or protection
    pub mode: String,
    /// The ids of the virtual patches that held.
    pub patches: Vec<String>,
    pub reasons: Vec<String>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct InspectFinding {
    pub analyser: String,
    pub class: String,
    /// `query:q`, `body:json:$.a[0].b`, …
    pub location: String,
    /// The decodings that led to the value, first to last.
    pub chain: Vec<String>,
    pub value: String,
    pub score: f64,
    pub cwe: String,
    pub technique: String,
    pub why: String,
}

/// At most 1,000 items and 8 MiB.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct AgentEvents {
    pub items: Vec<AgentEvent>,
}
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct AgentEvent {
    pub time: String,
    pub transaction: InspectRequest,
    /// What the agent decided; inspected here if it is absent.
    pub verdict: Option<InspectAnswer>,
    /// lite, monitor or protection
    pub mode: String,
    pub blocked: bool,
    pub latency_us: u64,
}
#[derive(Serialize, ToSchema)]
pub struct EventsAccepted {
    /// Items that are on disk.
    pub accepted: usize,
    /// Items that cannot be read, at most 20; sending them again helps nobody.
    pub refused: Vec<RefusedItem>,
}
#[derive(Serialize, ToSchema)]
pub struct RefusedItem {
    pub index: usize,
    pub why: String,
}

/// What an instance says of itself. Unknown members are ignored.
#[derive(Deserialize, Serialize, ToSchema, Default)]
#[serde(default)]
pub struct Hello {
    pub agent_version: String,
    pub language: String,
    pub framework: String,
    pub application: String,
    /// The same while the process lives.
    pub instance: String,
    pub host: HelloHost,
    pub profile_version: u64,
    pub counters: HelloCounters,
}
#[derive(Deserialize, Serialize, ToSchema, Default)]
#[serde(default)]
pub struct HelloHost {
    pub hostname: String,
    pub os: String,
    pub arch: String,
    pub pid: Option<u64>,
    pub runtime: String,
    pub runtime_version: String,
    pub run_as: String,
}
/// Since the instance started.
#[derive(Deserialize, Serialize, ToSchema, Default, Clone, Copy)]
#[serde(default)]
pub struct HelloCounters {
    pub requests: u64,
    pub attacks: u64,
    pub blocked: u64,
    pub errors: u64,
    pub dropped: u64,
    pub queue: u64,
}
#[derive(Serialize, ToSchema)]
pub struct HelloAnswer {
    #[schema(value_type = WebProfileBody)]
    pub profile: serde_json::Value,
    pub heartbeat_secs: u32,
    pub server_time: String,
}

/// What agents do. Absent members have their defaults.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct WebProfileBody {
    pub version: Option<u64>,
    /// off, lite, monitor or protection
    pub mode: Option<String>,
    /// open or closed: what happens to requests whose verdict could not be had
    pub fail: Option<String>,
    pub timeout_ms: Option<u64>,
    pub threshold: Option<f64>,
    /// By class: `{"enabled": true, "threshold": 0.5}`
    pub classes: Option<serde_json::Value>,
    /// `[{"path": "/admin/**", "mode": "monitor"}]`
    pub routes: Option<Vec<serde_json::Value>>,
    /// `[{"route": "/search", "location": "query:q", "class": "sqli"}]`
    pub exclusions: Option<Vec<serde_json::Value>>,
    pub trusted_proxies: Option<Vec<String>>,
    /// `{"requests": 0, "per_secs": 60}`; 0 is no limit
    pub rate_limit: Option<serde_json::Value>,
    pub secure_headers: Option<BTreeMap<String, String>>,
    pub redact: Option<Vec<String>>,
    pub body_max: Option<u64>,
    /// `[{"cidr", "until", "reason"}]`: of this profile; the platform's own are added when it is told to agents
    pub bans: Option<Vec<serde_json::Value>>,
    /// `{"status": 403, "body": ""}`
    pub block: Option<serde_json::Value>,
    /// YAML
    pub virtual_patches: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentRequest {
    /// Unique; 1 to 64 of the characters a-z A-Z 0-9 . _ @ -
    pub name: String,
    #[serde(default)]
    pub application: String,
    /// The id of a profile; null: that of the application, else the default.
    #[serde(default)]
    pub profile: Option<String>,
    /// Without it, requests of the agent are refused.
    #[serde(default = "yes")]
    pub enabled: bool,
}
fn yes() -> bool {
    true
}
/// An agent with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewAgent {
    pub agent: Agent,
    pub secret: String,
    /// Lines for the environment of the application.
    pub environment: BTreeMap<&'static str, String>,
}
#[derive(Serialize, ToSchema)]
pub struct Agent {
    pub id: String,
    pub name: String,
    pub application: String,
    pub enabled: bool,
    /// The profile of its own; null: that of the application, else the default.
    pub profile: Option<String>,
    /// The one that holds.
    pub profile_in_force: ProfileInForce,
    /// new, online, late, offline or disabled: that of its best instance
    pub status: &'static str,
    pub instances: usize,
    pub instances_online: usize,
    pub last_seen: Option<String>,
    /// Summed over instances that are not offline.
    pub counters: HelloCounters,
    pub created_at: String,
    pub created_by: String,
}
#[derive(Serialize, ToSchema)]
pub struct ProfileInForce {
    pub id: String,
    pub name: String,
    /// As agents see it.
    pub version: i64,
    /// agent, application or default: why it is this one
    pub by: &'static str,
}
#[derive(Serialize, ToSchema)]
pub struct AgentDetail {
    pub agent: Agent,
    pub instances: Vec<Instance>,
}
#[derive(Serialize, ToSchema)]
pub struct Instance {
    pub agent: String,
    pub instance: String,
    pub application: String,
    /// online, late or offline
    pub status: &'static str,
    pub first_seen: String,
    pub last_seen: String,
    /// Whether it has the profile that holds.
    pub up_to_date: bool,
    #[schema(value_type = Hello)]
    pub hello: serde_json::Value,
}
#[derive(Serialize, ToSchema)]
pub struct Application {
    pub name: String,
    /// The profile assigned to it; null: the default.
    pub profile: Option<String>,
    pub agents: usize,
    pub instances: usize,
    pub instances_online: usize,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplicationChange {
    /// The id of a profile; null for the default.
    pub profile: Option<String>,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    pub name: String,
    /// Of `GET /api/v1/profiles/templates`; not together with `profile`.
    #[serde(default)]
    pub template: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<WebProfileBody>)]
    pub profile: Option<serde_json::Value>,
    /// Why, for the history.
    #[serde(default)]
    pub note: String,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileUpdate {
    /// The version that the change was made on: a 409 if there is a newer one.
    pub version: i64,
    /// A new name, if it gets one.
    #[serde(default)]
    pub name: Option<String>,
    #[schema(value_type = WebProfileBody)]
    pub profile: serde_json::Value,
    #[serde(default)]
    pub note: String,
}
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRestore {
    /// The version to restore, as a new one.
    pub version: i64,
    #[serde(default)]
    pub note: String,
}
#[derive(Serialize, ToSchema)]
pub struct WebProfile {
    pub id: String,
    pub name: String,
    pub version: i64,
    pub updated_at: String,
    pub updated_by: String,
    pub note: String,
    #[schema(value_type = WebProfileBody)]
    pub profile: serde_json::Value,
    /// Agents and applications that it is assigned to.
    pub agents: usize,
    pub applications: usize,
    /// Members without effect here, such as classes of a newer version.
    pub notes: Vec<String>,
}
#[derive(Serialize, ToSchema)]
pub struct ProfileVersion {
    pub version: i64,
    pub time: String,
    pub actor: String,
    pub note: String,
    #[schema(value_type = WebProfileBody)]
    pub profile: serde_json::Value,
}
#[derive(Serialize, ToSchema)]
pub struct ProfileDiff {
    pub from: i64,
    pub to: i64,
    pub changes: Vec<ProfileChange>,
}
/// A member that differs.
#[derive(Serialize, ToSchema, PartialEq, Debug)]
pub struct ProfileChange {
    /// A JSON pointer (RFC 6901).
    pub path: String,
    /// added, removed or changed
    pub kind: &'static str,
    pub from: Option<serde_json::Value>,
    pub to: Option<serde_json::Value>,
}
#[derive(Serialize, ToSchema)]
pub struct ProfileTemplate {
    pub name: &'static str,
    pub about: &'static str,
    #[schema(value_type = WebProfileBody)]
    pub profile: serde_json::Value,
}

macro_rules! lists {
    ($($name:ident of $item:ident,)*) => {
        $(#[derive(ToSchema)]
        #[allow(dead_code)]
        pub struct $name {
            pub items: Vec<$item>,
        })*
    };
}
lists! {
    Agents of Agent,
    Instances of Instance,
    Applications of Application,
    WebProfiles of WebProfile,
    ProfileVersions of ProfileVersion,
    ProfileTemplates of ProfileTemplate,
}
