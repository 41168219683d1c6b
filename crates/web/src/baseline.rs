//! What is normal for an application: learned by route and parameter, and what that means for findings.
//!
//! For each parameter a bounded, uniform sample of its *clients* is kept (those with the smallest keyed hashes), and
//! of each client what it sent: signs, shapes, lengths, weak findings. All counts are counts of clients, so one
//! that sends a million requests counts once, and one network (/24, /48) is one client. A request with a finding
//! from [`Settings::learn_below`] on teaches nothing at all; clients that were not seen for
//! [`Settings::days_max`] are forgotten.
//!
//! A parameter is known once [`Settings::clients_min`] clients sent it. Then a weak finding that many clients cause
//! there counts less (long telemetry), and a hint at a value that departs from all of them counts more.
//! Strong findings are never lowered.
//!
//! The whole state is plain JSON: parameters may be removed, and their `rule` set to `frozen` (learns no more) or
//! `ignore` (says nothing).

use crate::shape::Shape;
use crate::{Decision, Timestamp, Transaction, Verdict, gate};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

pub const ROUTES_MAX: usize = 2_000;
/// Parameters of all routes, and of one.
pub const PARAMETERS_MAX: usize = 20_000;
pub const PARAMETERS_OF_ROUTE_MAX: usize = 256;
/// Clients kept of a parameter.
pub const CLIENTS_MAX: usize = 48;
const NAME_BYTES_MAX: usize = 160;
const KINDS_MAX: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Clients that make a parameter known.
    pub clients_min: usize,
    /// A request teaches only if all its findings are below this score.
    pub learn_below: f32,
    /// Findings from this score on are never lowered.
    pub keep_from: f32,
    /// The share of a parameter's clients that must cause a finding for it to be normal.
    pub share_min: f32,
    pub days_max: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clients_min: 8, learn_below: 0.9, keep_from: 0.9, share_min: 0.15, days_max: 30 }
    }
}

/// What was learned of one application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Baseline {
    pub settings: Settings,
    /// Keeps senders from choosing their place in the samples; random, given by the caller.
    pub key: u64,
    /// By method and path, in which numbers and identifiers are `{}`.
    pub routes: BTreeMap<String, Route>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// By the place as findings tell it, indexes of lists left out.
    pub parameters: BTreeMap<String, Parameter>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    #[default]
    Learn,
    Frozen,
    Ignore,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameter {
    pub rule: Rule,
    pub clients: Vec<Seen>,
}

/// What one client sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its keyed hash.
    pub client: u64,
    /// The last day it was seen, counted from 1970.
    pub day: u16,
    /// Punctuation, as bits of the inspector's table of signs.
    pub signs: u32,
    /// Shapes by their place in [`Shape::ALL`]; the highest bit stands for none.
    pub shapes: u16,
    /// Binary digits of the longest value's length.
    pub length_log2: u8,
    /// Weak findings: `sqli/sqli`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Cow<'static, str>>,
}

/// A finding whose score the baseline changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub location: String,
    pub from: f32,
    pub to: f32,
    pub why: &'static str,
}

/// A parameter in short, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub route: String,
    pub parameter: String,
    pub clients: usize,
    pub known: bool,
    pub rule: Rule,
    /// Shapes with the number of clients that sent them.
    pub shapes: Vec<(Option<Shape>, usize)>,
    /// No client sent a longer value than this many bytes, rounded up.
    pub bytes_max: u64,
    pub findings: Vec<(String, usize)>,
}

impl Baseline {
    pub fn new(settings: Settings, key: u64) -> Self {
        Self { settings, key, routes: BTreeMap::new() }
    }

    /// Learns from a request that was inspected. False if it teaches nothing: it has strong findings, or the
    /// bounds are reached.
    pub fn learn(&mut self, transaction: &Transaction, verdict: &Verdict, route: Option<&str>, client: IpAddr, now: Timestamp) -> bool {
        if verdict.score >= self.settings.learn_below || !verdict.truncated.is_empty() {
            return false;
        }
        let day = (now.secs().div_euclid(86_400)).clamp(0, i64::from(u16::MAX)) as u16;
        let client = self.hash(client);
        let name = route_name(transaction, route);
        let mut all = self.routes.values().map(|r| r.parameters.len()).sum::<usize>();
        if !self.routes.contains_key(&name) && self.routes.len() >= ROUTES_MAX {
            return false;
        }
        let settings = self.settings;
        let parameters = &mut self.routes.entry(name).or_default().parameters;
        let mut learned = false;
        crate::values(transaction, &mut |place, value| {
            if !is_parameter(place) {
                return;
            }
            let place = generic(place);
            if !parameters.contains_key(&*place) {
                if all >= PARAMETERS_MAX || parameters.len() >= PARAMETERS_OF_ROUTE_MAX && !forget_one(parameters) {
                    return;
                }
                all += 1;
            }
            let parameter = parameters.entry(place.into_owned()).or_default();
            if parameter.rule == Rule::Learn {
                learned = true;
                parameter.see(client, day, settings.days_max, |seen| seen.add(value));
            }
        });
        for finding in &verdict.findings {
            if let Some(parameter) = parameters.get_mut(&*generic(&finding.location)).filter(|p| p.rule == Rule::Learn) {
                let kind = format!("{}/{}", finding.analyser, finding.class.as_str());
                if let Some(seen) = parameter.clients.iter_mut().find(|s| s.client == client).filter(|s| s.findings.len() < KINDS_MAX)
                    && !seen.findings.iter().any(|f| *f == kind)
                {
                    seen.findings.push(kind.into());
                }
            }
        }
        learned
    }

    /// Changes the scores of findings by what is normal at their places, and the verdict with them.
    pub fn adjust(&self, transaction: &Transaction, verdict: &mut Verdict, route: Option<&str>) -> Vec<Change> {
        if verdict.findings.is_empty() {
            return Vec::new();
        }
        let Some(known) = self.routes.get(&route_name(transaction, route)) else { return Vec::new() };
        let mut places: BTreeMap<String, Seen> = BTreeMap::new();
        let asked: Vec<&str> = verdict.findings.iter().map(|f| f.location.as_str()).collect();
        crate::values(transaction, &mut |place, value| {
            if asked.contains(&place) {
                places.entry(place.to_owned()).or_default().add(value);
            }
        });
        let mut changes = Vec::new();
        for finding in &mut verdict.findings {
            let parameter = known.parameters.get(&*generic(&finding.location)).filter(|p| p.rule != Rule::Ignore && p.clients.len() >= self.settings.clients_min);
            let (Some(parameter), Some(value)) = (parameter, places.get(&finding.location)) else { continue };
            let kind = format!("{}/{}", finding.analyser, finding.class.as_str());
            let Some((to, why)) = parameter.judge(&self.settings, value, &kind, finding.score) else { continue };
            changes.push(Change { location: finding.location.clone(), from: finding.score, to, why });
            finding.score = to;
        }
        if !changes.is_empty() {
            verdict.rank();
        }
        changes
    }

    /// All parameters in short.
    pub fn summary(&self) -> Vec<Summary> {
        let of = |(route, known): (&String, &Route)| known.parameters.iter().map(|(name, p)| p.summary(route, name, self.settings.clients_min)).collect::<Vec<_>>();
        self.routes.iter().flat_map(of).collect()
    }

    fn hash(&self, client: IpAddr) -> u64 {
        let net = match client.to_canonical() {
            IpAddr::V4(ip) => u128::from(u32::from(ip) >> 8),
            IpAddr::V6(ip) => u128::from(ip) >> 80 | 1 << 64,
        };
        // Murmur's finaliser over the network and the key: cheap, and not to be steered without the key.
        [net as u64, (net >> 64) as u64].iter().fold(self.key ^ 0x9e37_79b9_7f4a_7c15, |h, part| {
            let h = (h ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
            let h = (h ^ h >> 33 ^ self.key.rotate_left(17)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            h ^ h >> 29
        })
    }
}

impl Parameter {
    /// Puts a client into the sample if it belongs there.
    fn see(&mut self, client: u64, day: u16, days_max: u16, add: impl FnOnce(&mut Seen)) {
        self.clients.retain(|s| s.day.saturating_add(days_max) >= day);
        if let Some(seen) = self.clients.iter_mut().find(|s| s.client == client) {
            seen.day = seen.day.max(day);
            add(seen);
            return;
        }
        if self.clients.len() >= CLIENTS_MAX {
            let Some(largest) = (0..self.clients.len()).max_by_key(|i| self.clients[*i].client) else { return };
            if self.clients[largest].client < client {
                return;
            }
            self.clients.swap_remove(largest);
        }
        let mut seen = Seen { client, day, ..Seen::default() };
        add(&mut seen);
        self.clients.push(seen);
    }

    fn judge(&self, settings: &Settings, value: &Seen, kind: &str, score: f32) -> Option<(f32, &'static str)> {
        let clients = self.clients.len();
        let with = |test: &dyn Fn(&Seen) -> bool| self.clients.iter().filter(|s| test(s)).count();
        let causing = with(&|s| s.findings.iter().any(|f| f == kind));
        let longest = self.clients.iter().map(|s| s.length_log2).max().unwrap_or(0);
        let known_signs = self.clients.iter().fold(0, |all, s| all | s.signs);
        let new_signs = value.signs & !known_signs;
        let usual = causing >= settings.clients_min && causing as f32 >= settings.share_min * clients as f32;
        if usual && score < settings.keep_from && value.length_log2 <= longest + 1 {
            return Some((score * 0.5, "many clients send such values here"));
        }
        let narrow = with(&|s| s.shapes & value.shapes != 0) == 0;
        if causing == 0 && score < crate::ATTACK_SCORE && new_signs.count_ones() >= 2 && (narrow || value.length_log2 > longest + 1) {
            return Some(((score + 0.25).min(0.75), "no client sent such a value here before"));
        }
        None
    }

    fn summary(&self, route: &str, name: &str, clients_min: usize) -> Summary {
        let count = |test: &dyn Fn(&Seen) -> bool| self.clients.iter().filter(|s| test(s)).count();
        let shapes = Shape::ALL.iter().map(|shape| (Some(*shape), 1u16 << (*shape as u16))).chain([(None, NO_SHAPE)]);
        let mut findings: BTreeMap<String, usize> = BTreeMap::new();
        for kind in self.clients.iter().flat_map(|s| &s.findings) {
            *findings.entry(kind.to_string()).or_default() += 1;
        }
        Summary {
            route: route.to_owned(),
            parameter: name.to_owned(),
            clients: self.clients.len(),
            known: self.clients.len() >= clients_min,
            rule: self.rule,
            shapes: shapes.map(|(shape, bit)| (shape, count(&|s| s.shapes & bit != 0))).filter(|(_, n)| *n > 0).collect(),
            bytes_max: 1u64.checked_shl(u32::from(self.clients.iter().map(|s| s.length_log2).max().unwrap_or(0))).unwrap_or(u64::MAX),
            findings: findings.into_iter().collect(),
        }
    }
}

const NO_SHAPE: u16 = 1 << 15;

impl Seen {
    fn add(&mut self, value: &[u8]) {
        self.signs |= gate::signs(value);
        self.shapes |= Shape::of(value).map_or(NO_SHAPE, |shape| 1 << (shape as u16));
        self.length_log2 = self.length_log2.max((usize::BITS - value.len().leading_zeros()) as u8);
    }
}

/// Makes room by forgetting the parameter that the fewest clients sent, if there is one of a single client: names that
/// somebody makes up push out each other, not what others send.
fn forget_one(parameters: &mut BTreeMap<String, Parameter>) -> bool {
    let lone = parameters.iter().find(|(_, p)| p.clients.len() <= 1 && p.rule == Rule::Learn).map(|(name, _)| name.clone());
    lone.is_some_and(|name| parameters.remove(&name).is_some())
}

fn is_parameter(place: &str) -> bool {
    !matches!(place, "method" | "uri" | "path" | "body") && place.len() <= NAME_BYTES_MAX
}

/// The method and the template of the path, or the path with numbers and identifiers left out.
fn route_name(transaction: &Transaction, route: Option<&str>) -> String {
    if let Some(route) = route.filter(|r| !r.is_empty()) {
        return format!("{} {}", transaction.method, &route[..route.len().min(NAME_BYTES_MAX)]);
    }
    let paths = crate::guard::glob::Paths::of(&transaction.target);
    let mut name = format!("{} ", transaction.method);
    for segment in paths.read.split('/').skip(1).take(16) {
        name.push('/');
        let id = matches!(Shape::of(segment.as_bytes()), Some(Shape::Boolean | Shape::Integer | Shape::Number | Shape::Uuid | Shape::Date | Shape::Hex)) || segment.len() > 32 || segment.len() >= 12 && segment.bytes().filter(u8::is_ascii_digit).count() >= 4;
        name.push_str(if id { "{}" } else { segment });
    }
    name
}

/// `body:json:$.a[3].b` is `body:json:$.a[].b`.
fn generic(place: &str) -> Cow<'_, str> {
    if !place.contains('[') {
        return Cow::Borrowed(place);
    }
    let mut out = String::with_capacity(place.len());
    let mut rest = place;
    while let Some(at) = rest.find('[') {
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1 + digits..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

impl Verdict {
    /// Puts findings, classes, score and decision in order after scores were changed.
    fn rank(&mut self) {
        self.findings.sort_by(|a, b| b.score.total_cmp(&a.score));
        self.classes.clear();
        for finding in &self.findings {
            if !self.classes.iter().any(|(class, _)| *class == finding.class) {
                self.classes.push((finding.class, finding.score));
            }
        }
        self.score = self.findings.first().map_or(0.0, |f| f.score);
        self.verdict = if self.score >= crate::ATTACK_SCORE { Decision::Attack } else { Decision::Allow };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Inspector};
    use std::sync::LazyLock;

    static INSPECTOR: LazyLock<Inspector> = LazyLock::new(Inspector::default);

    fn ask(target: &str) -> Transaction {
        Transaction { method: "GET".into(), target: target.into(), headers: vec![("Host".into(), "h".into())], ..Transaction::default() }
    }

    fn ip(i: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + i * 256).to_be_bytes())
    }

    fn weak(location: &str, score: f32) -> Verdict {
        let finding = crate::Finding { analyser: "sqli", class: Class::Sqli, location: location.into(), chain: vec![], value: String::new(), score, cwe: "", technique: "", why: String::new() };
        Verdict { verdict: if score >= 0.5 { Decision::Attack } else { Decision::Allow }, score, classes: vec![(Class::Sqli, score)], findings: vec![finding], ..Verdict::default() }
    }

    fn taught(value: &str, score: f32, clients: u32) -> Baseline {
        let mut baseline = Baseline::new(Settings::default(), 7);
        for i in 0..clients {
            let verdict = if score > 0.0 { weak("query:t", score) } else { Verdict::default() };
            baseline.learn(&ask(&format!("/a/{i}?t={value}")), &verdict, None, ip(i), Timestamp::from_secs(0));
        }
        baseline
    }

    #[test]
    fn what_many_clients_cause_is_normal() {
        let baseline = taught("x|y;z", 0.6, 20);
        let mut verdict = weak("query:t", 0.6);
        let changes = baseline.adjust(&ask("/a/99?t=x|y;z"), &mut verdict, None);
        assert_eq!((changes.len(), verdict.verdict, verdict.score), (1, Decision::Allow, 0.3));
        for (target, location, score) in [("/a/99?t=x", "query:t", 0.95), ("/b?t=x", "query:t", 0.6), ("/a/9?u=x", "query:u", 0.6)] {
            let mut verdict = weak(location, score);
            assert!(baseline.adjust(&ask(target), &mut verdict, None).is_empty(), "{target}");
            assert_eq!(verdict.verdict, Decision::Attack);
        }
        let mut longer = weak("query:t", 0.6);
        assert!(baseline.adjust(&ask(&format!("/a/1?t={}", "x;".repeat(500))), &mut longer, None).is_empty());
    }

    #[test]
    fn one_client_teaches_nothing_however_much_it_sends() {
        let mut baseline = Baseline::new(Settings::default(), 7);
        for i in 0..5_000u32 {
            // One network of 256 addresses.
            let client = IpAddr::from((0x0a00_0000 + i % 256).to_be_bytes());
            baseline.learn(&ask("/a?t=x|y;z"), &weak("query:t", 0.6), None, client, Timestamp::from_secs(0));
        }
        let mut verdict = weak("query:t", 0.6);
        assert!(baseline.adjust(&ask("/a?t=x|y;z"), &mut verdict, None).is_empty());
        assert_eq!(baseline.summary()[0].clients, 1);
    }

    #[test]
    fn attacks_are_not_learned() {
        let mut baseline = Baseline::new(Settings::default(), 7);
        let attack = ask("/a?t=1'+union+select+password+from+users--");
        let verdict = INSPECTOR.inspect(&attack);
        for i in 0..100 {
            assert!(!baseline.learn(&attack, &verdict, None, ip(i), Timestamp::from_secs(0)));
        }
        assert!(baseline.routes.is_empty());
    }

    #[test]
    fn a_hint_at_a_value_unlike_all_others_is_raised() {
        let baseline = taught("42", 0.0, 20);
        let mut verdict = weak("query:t", 0.4);
        baseline.adjust(&ask("/a/99?t=1'+or+(2"), &mut verdict, None);
        assert_eq!(verdict.verdict, Decision::Attack);
        let mut usual = weak("query:t", 0.4);
        assert!(baseline.adjust(&ask("/a/99?t=43"), &mut usual, None).is_empty());
        let unknown = taught("42", 0.0, 3);
        assert!(unknown.adjust(&ask("/a/99?t=1'+or+(2"), &mut weak("query:t", 0.4), None).is_empty());
    }

    #[test]
    fn clients_are_forgotten_and_memory_is_bounded() {
        let mut baseline = taught("x|y", 0.6, 500);
        assert_eq!(baseline.summary()[0].clients, CLIENTS_MAX);
        baseline.learn(&ask("/a/1?t=x"), &Verdict::default(), None, ip(1_000), Timestamp::from_secs(40 * 86_400));
        assert_eq!(baseline.summary()[0].clients, 1);
        for i in 0..3_000u32 {
            baseline.learn(&ask(&format!("/a/1?p{i}=x")), &Verdict::default(), None, ip(i), Timestamp::from_secs(0));
            baseline.learn(&ask(&format!("/r{i}x?p=x")), &Verdict::default(), None, ip(i), Timestamp::from_secs(0));
        }
        assert!(baseline.routes.len() <= ROUTES_MAX);
        assert!(baseline.routes.values().all(|r| r.parameters.len() <= PARAMETERS_OF_ROUTE_MAX));
    }

    #[test]
    fn it_is_json_that_people_may_change() {
        let baseline = taught("x|y;z", 0.6, 20);
        let mut json = serde_json::to_value(&baseline).unwrap();
        assert_eq!(serde_json::from_value::<Baseline>(json.clone()).unwrap(), baseline);
        json["routes"]["GET /a/{}"]["parameters"]["query:t"]["rule"] = "ignore".into();
        let mut changed: Baseline = serde_json::from_value(json).unwrap();
        assert!(changed.adjust(&ask("/a/9?t=x|y;z"), &mut weak("query:t", 0.6), None).is_empty());
        changed.learn(&ask("/a/1?t=x"), &Verdict::default(), None, ip(9_999), Timestamp::from_secs(0));
        assert_eq!(changed.routes["GET /a/{}"].parameters["query:t"].clients.len(), 20);
        assert_eq!(generic("body:json:$.a[3].b[12]"), "body:json:$.a[].b[]");
    }
}
