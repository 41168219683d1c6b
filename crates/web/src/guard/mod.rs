//! What is done about a verdict: a profile's mode, thresholds, exclusions and bans, compiled once and asked for every
//! request. The gateway and the agents use the same code, so they decide alike.
//!
//! It reads no clock: the time is an argument. It counts nothing: a limit of requests by client is [`Rates`], which
//! the caller keeps.
//!
//! ```
//! use web::guard::{Client, Guard, Outcome, Profile};
//! let profile: Profile = serde_json::from_str(r#"{"mode": "protection", "exclusions": [{"location": "query:html", "class": "xss"}]}"#).unwrap();
//! let guard = Guard::new(&profile).unwrap();
//! let request = web::Transaction { method: "GET".into(), target: "/a?id=1'+or+'1'='1".into(), ..Default::default() };
//! let verdict = web::Inspector::default().inspect(&request);
//! let client = Client { ip: "192.0.2.1".parse().unwrap(), route: None, now: web::Timestamp::from_secs(0) };
//! assert_eq!(guard.decide(&request, &verdict, client).outcome, Outcome::Block);
//! ```

pub(crate) mod glob;
mod networks;
mod profile;
mod rate;
pub mod redact;

pub use networks::Networks;
pub use profile::{Ban, BlockPage, ClassRule, Exclusion, Fail, Mode, Profile, RateLimit, RouteRule};
pub use rate::{Bucket, Rates};
pub use redact::Redactor;

use crate::patch::{PatchAction, PatchIssue, Patches};
use crate::{Class, Decision, Finding, Timestamp, Transaction, Verdict};
use glob::{Glob, Paths};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Entries of a profile's routes and of its exclusions.
pub const RULES_MAX: usize = 1_000;
pub const BANS_MAX: usize = 500_000;
pub const PROXIES_MAX: usize = 1_000;
pub const SECURE_HEADERS_MAX: usize = 64;
/// Reasons told for one action.
pub const REASONS_MAX: usize = 8;
/// Hops of `X-Forwarded-For` that are followed.
const HOPS_MAX: usize = 32;
const REASON_CHARS_MAX: usize = 200;

/// Why a profile cannot be used. The text says which entry and what to write instead.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum GuardError {
    #[error("{member}: {entry:?} is no network; write an address or a CIDR block such as 10.0.0.0/8")]
    Network { member: &'static str, entry: String },
    #[error("bans: {0:?} would ban everybody; write a network with a longer prefix")]
    Everybody(String),
    #[error("bans: until is {0:?}; write an RFC 3339 time such as 2026-01-31T12:00:00Z")]
    Until(String),
    #[error("{member}: {entry:?} is no path pattern; write one that begins with / or *, of at most {} characters", glob::PATTERN_CHARS_MAX)]
    Pattern { member: &'static str, entry: String },
    #[error("exclusions: the one at {0} would set aside every finding; name a location or a class")]
    Everything(usize),
    #[error("{0}: a threshold is above 0 and at most 1")]
    Threshold(String),
    #[error("secure_headers: {0:?} cannot be sent as a header")]
    Header(String),
    #[error("block: status {0} is no final HTTP status; write one from 200 to 599")]
    Status(u16),
    #[error("virtual_patches: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Patches(Vec<PatchIssue>),
    #[error("{member} holds {count} entries; at most {max} are taken")]
    TooMany { member: &'static str, count: usize, max: usize },
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// See [`Guard::client_ip`].
    pub ip: IpAddr,
    /// The application's template of the path, if it is known.
    pub route: Option<&'a str>,
    pub now: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    #[default]
    Allow,
    Block,
}

/// What is to be done, and why.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Action {
    pub outcome: Outcome,
    /// The verdict under the profile's thresholds and exclusions.
    pub verdict: Decision,
    /// The best score of the findings that count.
    pub score: f32,
    pub banned: bool,
    /// The mode that held for this route.
    pub mode: Mode,
    /// The ids of the virtual patches that held.
    pub patches: Vec<String>,
    /// For people; at most [`REASONS_MAX`].
    pub reasons: Vec<String>,
}

/// A compiled profile.
#[derive(Debug, Clone)]
pub struct Guard {
    mode: Mode,
    /// By the class's place in [`Class::ALL`]; `None` if it is switched off.
    thresholds: Vec<Option<f32>>,
    routes: Vec<(Glob, Mode)>,
    exclusions: Vec<Excluded>,
    proxies: Networks<()>,
    bans: Networks<Banned>,
    patches: Patches,
    redactor: Redactor,
    rate_limit: RateLimit,
    notes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Excluded {
    route: Option<Glob>,
    location: Option<Glob>,
    class: Option<Class>,
}

#[derive(Debug, Clone)]
struct Banned {
    /// For ever if absent.
    until: Option<Timestamp>,
    reason: String,
}

impl Guard {
    pub fn new(profile: &Profile) -> Result<Self, GuardError> {
        let mut notes = Vec::new();
        for (member, count, max) in [
            ("routes", profile.routes.len(), RULES_MAX),
            ("exclusions", profile.exclusions.len(), RULES_MAX),
            ("bans", profile.bans.len(), BANS_MAX),
            ("trusted_proxies", profile.trusted_proxies.len(), PROXIES_MAX),
            ("secure_headers", profile.secure_headers.len(), SECURE_HEADERS_MAX),
            ("redact", profile.redact.len(), redact::NAMES_MAX),
        ] {
            if count > max {
                return Err(GuardError::TooMany { member, count, max });
            }
        }
        if let Some((name, _)) = profile.secure_headers.iter().find(|(name, value)| !is_header(name, value)) {
            return Err(GuardError::Header(name.clone()));
        }
        if !(200..600).contains(&profile.block.status) {
            return Err(GuardError::Status(profile.block.status));
        }
        let routes = profile.routes.iter().map(|r| Ok((path_glob("routes", &r.path)?, r.mode))).collect::<Result<_, _>>()?;
        let mut proxies = Networks::default();
        for entry in &profile.trusted_proxies {
            let net = networks::parse(entry).ok_or_else(|| GuardError::Network { member: "trusted_proxies", entry: entry.clone() })?;
            proxies.insert(net, (), |_, ()| {});
        }
        Ok(Self {
            mode: profile.mode,
            thresholds: thresholds(profile, &mut notes)?,
            routes,
            exclusions: exclusions(profile, &mut notes)?,
            proxies,
            bans: bans(profile)?,
            patches: Patches::compile(&profile.virtual_patches).map_err(GuardError::Patches)?,
            redactor: Redactor::new(&profile.redact),
            rate_limit: profile.rate_limit,
            notes,
        })
    }

    /// What of the profile has no effect here, such as classes of a newer version.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub fn rate_limit(&self) -> RateLimit {
        self.rate_limit
    }

    /// The mode for this route: the first entry that matches both the path as it came and the path as servers read
    /// it, or the application's template; else the profile's. A stricter entry before it that matches only one of
    /// the two wins, so that no spelling of a path makes it less protected.
    pub fn mode(&self, target: &str, route: Option<&str>) -> Mode {
        if self.routes.is_empty() {
            return self.mode;
        }
        self.mode_of(&Paths::of(target), route)
    }

    fn mode_of(&self, paths: &Paths<'_>, route: Option<&str>) -> Mode {
        let mut least = Mode::Off;
        for (glob, mode) in &self.routes {
            if route.is_some_and(|route| glob.matches(route)) || paths.surely(glob) {
                return least.max(*mode);
            }
            if paths.possibly(glob) {
                least = least.max(*mode);
            }
        }
        least.max(self.mode)
    }

    /// The reason of a ban that holds for the address now; the narrowest network first.
    pub fn banned(&self, ip: IpAddr, now: Timestamp) -> Option<&str> {
        self.bans.all(ip).find(|ban| ban.until.is_none_or(|until| until > now)).map(|ban| ban.reason.as_str())
    }

    /// The client's address: the peer's, or, as long as the last hop is a trusted proxy, what that proxy wrote into
    /// `X-Forwarded-For`, read from right to left. What a client wrote itself stands further left and is not believed.
    pub fn client_ip(&self, peer: IpAddr, headers: &[(String, String)]) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.proxies.is_empty() {
            return client;
        }
        let lines = headers.iter().rev().filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
        for hop in lines.flat_map(|(_, value)| value.rsplit(',')).take(HOPS_MAX) {
            if !self.proxies.contains(client) {
                break;
            }
            let Some(before) = hop_address(hop) else { break };
            client = before;
        }
        client
    }

    pub fn decide(&self, transaction: &Transaction, verdict: &Verdict, client: Client<'_>) -> Action {
        let paths = (!self.routes.is_empty() || !self.exclusions.is_empty()).then(|| Paths::of(&transaction.target));
        let mode = paths.as_ref().map_or(self.mode, |paths| self.mode_of(paths, client.route));
        let mut action = Action { mode, ..Action::default() };
        if mode == Mode::Off {
            return action;
        }
        if let Some(reason) = self.banned(client.ip, client.now) {
            action.banned = true;
            action.reasons.push(cut(&format!("{} is banned: {reason}", client.ip)));
        }
        let counting = self.weigh(verdict, paths.as_ref(), client.route, &mut action);
        self.patched(transaction, client.route, &counting, &mut action);
        if mode == Mode::Protection && (action.banned || action.verdict == Decision::Attack) {
            action.outcome = Outcome::Block;
        }
        action
    }

    /// Which findings count. A request that makes so many findings that not all are kept gets no exclusion: what
    /// was dropped may stand elsewhere.
    fn weigh<'v>(&self, verdict: &'v Verdict, paths: Option<&Paths<'_>>, route: Option<&str>, action: &mut Action) -> Vec<&'v Finding> {
        let mut counting = Vec::new();
        let all_told = verdict.findings.len() < crate::budget::FINDINGS_MAX;
        for finding in &verdict.findings {
            let Some(threshold) = self.thresholds[finding.class as usize] else { continue };
            if all_told && paths.is_some_and(|paths| self.exclusions.iter().any(|e| e.holds(finding, paths, route))) {
                continue;
            }
            action.score = action.score.max(finding.score);
            if finding.score >= threshold {
                counting.push(finding);
                action.verdict = Decision::Attack;
                if action.reasons.len() < REASONS_MAX {
                    action.reasons.push(cut(&format!("{} at {}: {}", finding.class.as_str(), finding.location, finding.why)));
                }
            }
        }
        counting
    }

    fn patched(&self, transaction: &Transaction, route: Option<&str>, counting: &[&Finding], action: &mut Action) {
        for hit in self.patches.hits(transaction, route, counting) {
            action.patches.push(hit.id.to_owned());
            action.reasons.truncate(REASONS_MAX - 1);
            let effect = if hit.action == PatchAction::Block { "" } else { " (logs only)" };
            action.reasons.insert(0, cut(&format!("virtual patch {}: {}{effect}", hit.id, hit.title)));
            if hit.action == PatchAction::Block {
                action.verdict = Decision::Attack;
                action.score = 1.0;
            }
        }
    }
}

impl Excluded {
    fn holds(&self, finding: &Finding, paths: &Paths<'_>, route: Option<&str>) -> bool {
        self.class.is_none_or(|class| class == finding.class)
            && self.location.as_ref().is_none_or(|glob| glob.matches(&finding.location))
            && self.route.as_ref().is_none_or(|glob| route.is_some_and(|route| glob.matches(route)) || paths.surely(glob))
    }
}

fn thresholds(profile: &Profile, notes: &mut Vec<String>) -> Result<Vec<Option<f32>>, GuardError> {
    let valid = |name: &str, threshold: f32| if threshold > 0.0 && threshold <= 1.0 { Ok(threshold) } else { Err(GuardError::Threshold(name.to_owned())) };
    let mut thresholds = vec![Some(valid("threshold", profile.threshold)?); Class::ALL.len()];
    for (name, rule) in &profile.classes {
        let Some(class) = Class::parse(name) else {
            notes.push(format!("classes: {name:?} is not a class of this version"));
            continue;
        };
        let threshold = valid(name, rule.threshold.unwrap_or(profile.threshold))?;
        thresholds[class as usize] = rule.enabled.then_some(threshold);
    }
    Ok(thresholds)
}

fn exclusions(profile: &Profile, notes: &mut Vec<String>) -> Result<Vec<Excluded>, GuardError> {
    let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty() && t != "*");
    let mut compiled = Vec::new();
    for (i, e) in profile.exclusions.iter().enumerate() {
        let (location, name) = (given(&e.location), given(&e.class));
        if location.is_none() && name.is_none() {
            return Err(GuardError::Everything(i));
        }
        let class = name.as_deref().map(Class::parse);
        if class == Some(None) {
            notes.push(format!("exclusions: {:?} is not a class of this version", name.unwrap_or_default()));
            continue;
        }
        if location.as_ref().is_some_and(|l| l.len() > glob::PATTERN_CHARS_MAX) {
            return Err(GuardError::Pattern { member: "exclusions", entry: location.unwrap_or_default() });
        }
        let route = given(&e.route).map(|r| path_glob("exclusions", &r)).transpose()?;
        compiled.push(Excluded { route, location: location.map(|l| Glob::text(&l)), class: class.flatten() });
    }
    Ok(compiled)
}

fn bans(profile: &Profile) -> Result<Networks<Banned>, GuardError> {
    let mut bans = Networks::default();
    for ban in &profile.bans {
        let net = networks::parse(&ban.cidr).ok_or_else(|| GuardError::Network { member: "bans", entry: ban.cidr.clone() })?;
        if net.prefix_len() == 0 {
            return Err(GuardError::Everybody(ban.cidr.clone()));
        }
        let until = match ban.until.as_deref().filter(|t| !t.is_empty()) {
            Some(text) => Some(Timestamp::parse(text).ok_or_else(|| GuardError::Until(text.to_owned()))?),
            None => None,
        };
        // Of two bans of one network the longer one holds.
        bans.insert(net, Banned { until, reason: ban.reason.clone() }, |old, new| {
            if old.until.is_some_and(|old| new.until.is_none_or(|new| new > old)) {
                *old = new;
            }
        });
    }
    Ok(bans)
}

fn path_glob(member: &'static str, pattern: &str) -> Result<Glob, GuardError> {
    if !pattern.starts_with(['/', '*']) || pattern.len() > glob::PATTERN_CHARS_MAX {
        return Err(GuardError::Pattern { member, entry: cut(pattern) });
    }
    Ok(Glob::path(pattern))
}

fn is_header(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(|b| b == b'\t' || (0x20..0x7f).contains(&b))
}

/// An entry of `X-Forwarded-For`: an address, perhaps quoted, in brackets or with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim().trim_matches('"');
    let bare = match hop.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if hop.matches(':').count() == 1 => hop.split(':').next().unwrap_or_default(),
        None => hop,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn cut(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
