//! What an operator sets for an application: the JSON that the gateway keeps and agents fetch.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is done about verdicts. From left to right each does more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is inspected.
    Off,
    /// Transactions are kept and forwarded later; nobody waits for a verdict.
    Lite,
    /// Verdicts are told, nothing is blocked.
    #[default]
    Monitor,
    /// Attacks and banned clients are blocked.
    Protection,
}

/// What happens to a request whose verdict could not be had in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Fail {
    #[default]
    Open,
    Closed,
}

/// Members that are not known are ignored, absent ones have the defaults of [`Profile::default`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    pub version: u64,
    pub mode: Mode,
    pub fail: Fail,
    /// How long an agent waits for the gateway.
    pub timeout_ms: u64,
    /// From this score on a finding makes an attack. Findings below 0.3 are never told.
    pub threshold: f32,
    /// By the class's name.
    pub classes: BTreeMap<String, ClassRule>,
    /// The first that matches a request gives its mode.
    pub routes: Vec<RouteRule>,
    pub exclusions: Vec<Exclusion>,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    pub rate_limit: RateLimit,
    /// Response headers that agents add where the application set none.
    pub secure_headers: BTreeMap<String, String>,
    /// Names whose values never leave the process.
    pub redact: Vec<String>,
    /// Bytes of a body that agents read and send.
    pub body_max: usize,
    pub bans: Vec<Ban>,
    pub block: BlockPage,
    /// YAML, see [`crate::patch`]; empty for none.
    pub virtual_patches: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassRule {
    pub enabled: bool,
    /// The profile's if absent.
    pub threshold: Option<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteRule {
    /// A glob: `*` within a segment, `**` across segments.
    pub path: String,
    pub mode: Mode,
}

/// Findings that do not count. An absent, empty or `*` member matches everything; one of `location` and `class`
/// must be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Exclusion {
    /// A glob like that of a route.
    pub route: Option<String>,
    /// As findings tell it (`query:q`, `body:json:$.a[0].b`); `*` stands for any characters.
    pub location: Option<String>,
    pub class: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateLimit {
    /// Requests of one client within `per_secs`; 0 is no limit.
    pub requests: u32,
    pub per_secs: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Ban {
    /// A network or an address.
    pub cidr: String,
    /// RFC 3339; for ever if absent.
    pub until: Option<String>,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockPage {
    pub status: u16,
    /// HTML; the agent's own page if empty.
    pub body: String,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            version: 0,
            mode: Mode::default(),
            fail: Fail::default(),
            timeout_ms: 250,
            threshold: crate::ATTACK_SCORE,
            classes: BTreeMap::new(),
            routes: Vec::new(),
            exclusions: Vec::new(),
            trusted_proxies: Vec::new(),
            rate_limit: RateLimit::default(),
            secure_headers: BTreeMap::new(),
            redact: super::redact::NAMES.iter().map(|name| (*name).to_owned()).collect(),
            body_max: 128 << 10,
            bans: Vec::new(),
            block: BlockPage::default(),
            virtual_patches: String::new(),
        }
    }
}

impl Default for ClassRule {
    fn default() -> Self {
        Self { enabled: true, threshold: None }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { requests: 0, per_secs: 60 }
    }
}

impl Default for BlockPage {
    fn default() -> Self {
        Self { status: 403, body: String::new() }
    }
}
