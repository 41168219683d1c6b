//! Whether a finding bans its source.

use super::{TrustSet, subject};
use event::{Finding, FindingStatus, Rule, Severity, Timestamp};
use ipnet::IpNet;
use std::net::IpAddr;

/// Doublings that are multiplied out: beyond, any base is beyond any sensible cap.
const OFFENCES_COUNTED_MAX: u32 = 32;

/// How much longer each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Escalation {
    /// What a ban is multiplied by for each earlier one; 1 or less: always the same.
    pub factor: f64,
    /// The longest that it grows to.
    pub secs_max: i64,
    /// How long earlier bans are remembered.
    pub memory_secs: i64,
}

impl Default for Escalation {
    fn default() -> Self {
        Self { factor: 2.0, secs_max: 7 * 86_400, memory_secs: 30 * 86_400 }
    }
}

impl Escalation {
    /// Seconds of the ban after so many earlier ones. A base beyond the cap stays what it is.
    pub fn secs(&self, base: i64, offences: u32) -> i64 {
        let factor = self.factor.max(1.0).powi(offences.min(OFFENCES_COUNTED_MAX) as i32);
        let secs = (base as f64 * factor).min(self.secs_max.max(base) as f64);
        (secs as i64).max(base)
    }
}

/// Findings of which rules ban, and for how long. What is empty is not asked for; of several kinds all must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyRule {
    pub ids: Vec<String>,
    pub levels: Vec<Severity>,
    /// ATT&CK techniques and tactics, as a rule's tags name them: `attack.t1110`, `T1110.003`, `credential-access`.
    pub tags: Vec<String>,
    pub ban_secs: i64,
}

impl PolicyRule {
    fn fits(&self, rule: &Rule, level: Severity) -> bool {
        (self.ids.is_empty() || self.ids.iter().any(|id| id == &*rule.id || id.eq_ignore_ascii_case(&rule.name)))
            && (self.levels.is_empty() || self.levels.contains(&level))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| has_tag(rule, tag)))
    }
}

/// A technique stands for its sub-techniques too.
fn has_tag(rule: &Rule, tag: &str) -> bool {
    let tag = tag.strip_prefix("attack.").unwrap_or(tag);
    let is_technique = |id: &String| {
        id.eq_ignore_ascii_case(tag) || id.split_once('.').is_some_and(|(parent, _)| parent.eq_ignore_ascii_case(tag))
    };
    let tactic = tag.replace('_', "-");
    rule.techniques.iter().any(is_technique) || rule.tactics.iter().any(|name| name.eq_ignore_ascii_case(&tactic))
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub rules: Vec<PolicyRule>,
    /// Findings that late events may still change ban too.
    pub provisional: bool,
    /// Bans by rules within an hour at most.
    pub bans_per_hour: u32,
    /// Events older than this ban nobody: somebody is reading old logs.
    pub age_secs_max: i64,
    pub escalation: Escalation,
}

/// What a decision depends on besides the finding.
pub struct Situation<'a> {
    pub now: Timestamp,
    pub trusts: &'a TrustSet,
    /// Whether a ban that stands holds all of the network.
    pub banned: &'a dyn Fn(IpNet) -> bool,
    /// Whether somebody took back a ban of it lately.
    pub judged: &'a dyn Fn(IpNet) -> bool,
    /// Bans of it that were not taken back, since the memory began.
    pub offences: &'a dyn Fn(IpNet) -> u32,
    /// Bans by rules within the last hour.
    pub bans_last_hour: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Ban { net: IpNet, secs: i64, offences: u32 },
    No(Refusal),
}

/// Why a finding bans nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The policy names no such rule.
    NotNamed,
    /// It has no source address.
    NoSource,
    Provisional,
    Withdrawn,
    Old,
    Trusted,
    Banned,
    /// A person took back a ban of this source.
    Judged,
    /// The hour has had its bans.
    Rate,
}

impl Refusal {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotNamed => "not_named",
            Self::NoSource => "no_source",
            Self::Provisional => "provisional",
            Self::Withdrawn => "withdrawn",
            Self::Old => "old",
            Self::Trusted => "trusted",
            Self::Banned => "banned",
            Self::Judged => "judged",
            Self::Rate => "rate",
        }
    }
}

impl Policy {
    /// Seconds that findings of the rule ban for: the first line of the policy that fits, else the rule's own word.
    pub fn secs_of(&self, rule: &Rule, level: Severity) -> Option<i64> {
        let line = self.rules.iter().find(|line| line.fits(rule, level)).map(|line| line.ban_secs);
        line.or(rule.handling.ban_secs).filter(|secs| *secs > 0)
    }

    pub fn decide(&self, finding: &Finding, at: &Situation<'_>) -> Decision {
        self.judge(finding, at).unwrap_or_else(Decision::No)
    }

    fn judge(&self, finding: &Finding, at: &Situation<'_>) -> Result<Decision, Refusal> {
        let base = self.secs_of(&finding.rule, finding.level).ok_or(Refusal::NotNamed)?;
        let source = finding.source_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()).ok_or(Refusal::NoSource)?;
        let refuse = |holds: bool, why: Refusal| if holds { Err(why) } else { Ok(()) };
        refuse(finding.status == FindingStatus::Withdrawn, Refusal::Withdrawn)?;
        refuse(finding.status == FindingStatus::Provisional && !self.provisional, Refusal::Provisional)?;
        refuse(finding.time < at.now.plus_secs(-self.age_secs_max), Refusal::Old)?;
        let net = subject(source);
        // A /64 that holds one trusted address is not banned around it: its other addresses are the same customer's.
        refuse(at.trusts.touches(net), Refusal::Trusted)?;
        refuse((at.banned)(net), Refusal::Banned)?;
        refuse((at.judged)(net), Refusal::Judged)?;
        refuse(at.bans_last_hour >= self.bans_per_hour, Refusal::Rate)?;
        let offences = (at.offences)(net);
        Ok(Decision::Ban { net, secs: self.escalation.secs(base, offences), offences })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Entity, EntityKind, Explanation, Handling, Id, RuleKind};

    fn finding(source: Option<&str>) -> Finding {
        let rule = Rule {
            id: "brute".into(), name: "Password guessing".into(), kind: RuleKind::Correlation, level: Severity::High, description: String::new(),
            techniques: vec!["T1110.003".into()], tactics: vec!["credential-access".into()], false_positives: vec![], references: vec![],
            author: String::new(), file: String::new(), handling: Handling::default(),
        };
        Finding {
            id: Id::of(&[b"f"]), time: Timestamp::from_secs(1_000), rule: rule.into(), level: Severity::High,
            entity: Entity::new(EntityKind::Ip, "x"), event_ids: vec![], positions: vec![], event_count: 1, window: None,
            explanation: Explanation::default(), status: FindingStatus::Final, revision: 0, replaces: None, user: None,
            source_ip: source.map(Into::into), event_name: None, place: None,
        }
    }

    fn policy() -> Policy {
        let rules = vec![PolicyRule { tags: vec!["attack.t1110".into()], ban_secs: 60, ..PolicyRule::default() }];
        Policy { rules, provisional: false, bans_per_hour: 5, age_secs_max: 600, escalation: Escalation::default() }
    }

    fn decide(policy: &Policy, finding: &Finding, offences: u32, bans_last_hour: u32) -> Decision {
        let trusts = TrustSet::new(["198.51.100.0/24".parse().unwrap(), "2001:db8::7/128".parse().unwrap()]);
        let (no, count) = (|_: IpNet| false, |_: IpNet| offences);
        let at = Situation { now: Timestamp::from_secs(1_100), trusts: &trusts, banned: &no, judged: &no, offences: &count, bans_last_hour };
        policy.decide(finding, &at)
    }

    #[test]
    fn a_final_finding_of_a_named_rule_bans_its_source_longer_each_time() {
        let ban = |secs, offences| Decision::Ban { net: "203.0.113.7/32".parse().unwrap(), secs, offences };
        assert_eq!(decide(&policy(), &finding(Some("203.0.113.7")), 0, 0), ban(60, 0));
        assert_eq!(decide(&policy(), &finding(Some("::ffff:203.0.113.7")), 3, 4), ban(480, 3));
        assert_eq!(decide(&policy(), &finding(Some("203.0.113.7")), u32::MAX, 0), ban(7 * 86_400, u32::MAX));
        let Decision::Ban { net, .. } = decide(&policy(), &finding(Some("2001:db9::5")), 0, 0) else { panic!("no ban") };
        assert_eq!(net.to_string(), "2001:db9::/64");
    }

    #[test]
    fn everything_else_bans_nobody_and_says_why() {
        let no = |policy: &Policy, finding: &Finding, rate: u32| match decide(policy, finding, 0, rate) {
            Decision::No(why) => why,
            ban => panic!("{ban:?}"),
        };
        let good = finding(Some("203.0.113.7"));
        assert_eq!(no(&policy(), &finding(None), 0), Refusal::NoSource);
        assert_eq!(no(&policy(), &finding(Some("evil.example")), 0), Refusal::NoSource);
        assert_eq!(no(&policy(), &finding(Some("127.0.0.1")), 0), Refusal::Trusted);
        assert_eq!(no(&policy(), &finding(Some("198.51.100.9")), 0), Refusal::Trusted);
        assert_eq!(no(&policy(), &finding(Some("2001:db8::9")), 0), Refusal::Trusted, "the admin's own /64");
        assert_eq!(no(&policy(), &good, 5), Refusal::Rate);
        assert_eq!(no(&policy(), &Finding { status: FindingStatus::Provisional, ..good.clone() }, 0), Refusal::Provisional);
        assert_eq!(no(&Policy { provisional: true, ..policy() }, &Finding { status: FindingStatus::Withdrawn, ..good.clone() }, 0), Refusal::Withdrawn);
        assert_eq!(no(&policy(), &Finding { time: Timestamp::from_secs(499), ..good.clone() }, 0), Refusal::Old);
        let other = Policy { rules: vec![PolicyRule { ids: vec!["brute".into()], levels: vec![Severity::Critical], ban_secs: 60, ..PolicyRule::default() }], ..policy() };
        assert_eq!(no(&other, &good, 0), Refusal::NotNamed, "all kinds must fit");
    }

    #[test]
    fn a_rule_may_say_itself_how_long_it_bans_and_the_policy_has_the_last_word() {
        let mut own = finding(Some("203.0.113.7"));
        std::sync::Arc::make_mut(&mut own.rule).handling.ban_secs = Some(900);
        assert_eq!(policy().secs_of(&own.rule, own.level), Some(60));
        assert_eq!(Policy { rules: vec![], ..policy() }.secs_of(&own.rule, own.level), Some(900));
        let never = PolicyRule { ids: vec!["password guessing".into()], ban_secs: 0, ..PolicyRule::default() };
        assert_eq!(Policy { rules: vec![never], ..policy() }.secs_of(&own.rule, own.level), None);
    }

    #[test]
    fn bans_never_get_shorter_and_stop_at_the_cap() {
        let escalation = Escalation { factor: 3.0, secs_max: 1_000, memory_secs: 1 };
        let secs: Vec<i64> = (0..6).map(|n| escalation.secs(100, n)).collect();
        assert_eq!(secs, [100, 300, 900, 1_000, 1_000, 1_000]);
        assert_eq!(escalation.secs(5_000, 2), 5_000, "what was asked for is not cut");
        assert_eq!(Escalation { factor: 0.1, ..escalation }.secs(100, 3), 100);
        assert_eq!(Escalation { factor: f64::NAN, ..escalation }.secs(100, 3), 100);
    }
}
