//! `[answer]` of the configuration.

use connect::actions::ActionConfig;
use detect::bans::{Escalation, Growth, Policy, PolicyRule, trusted_network};
use event::Severity;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The longest that anything bans for without being told "for good": ten years.
const BAN_SECS_MAX: i64 = 10 * 365 * 86_400;

/// Bans: who may be kept out by rules, who never is, and where bans are enforced.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerSection {
    /// Whether findings ban their sources, as `rules` and the rules' own `erne: ban` say.
    pub automatic: bool,
    /// Findings only say whom they would have banned. On until somebody has looked at what they say.
    pub dry_run: bool,
    /// Findings that late events may still take back ban too.
    pub provisional: bool,
    /// Bans by findings within an hour at most.
    pub bans_per_hour: u32,
    /// Findings about events older than this ban nobody.
    pub age_secs_max: i64,
    /// Networks that are never kept out, beside those in the trust list.
    pub trust: Vec<String>,
    /// How long the addresses that admins came from are never kept out.
    pub admin_secs: i64,
    pub rules: Vec<AnswerRule>,
    pub escalation: EscalationSection,
    pub growth: GrowthSection,
    /// Where bans are enforced.
    pub actions: Vec<ActionConfig>,
}

/// Findings of which rules ban; of several kinds all must fit, and the first line that fits counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRule {
    /// Ids or names of rules.
    #[serde(default)]
    pub ids: Vec<String>,
    #[serde(default)]
    pub levels: Vec<Severity>,
    /// ATT&CK techniques and tactics.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How long; 0: never.
    pub ban_secs: i64,
}

/// Each further ban of an address is longer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EscalationSection {
    pub factor: f64,
    pub secs_max: i64,
    /// How long earlier bans count.
    pub memory_secs: i64,
}

/// Many banned addresses of one prefix become a ban of the prefix.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrowthSection {
    /// Distinct addresses (IPv6: /64 networks); 0: never.
    pub after: u32,
    pub within_secs: i64,
    /// Bits of the prefixes.
    pub ipv4: u8,
    pub ipv6: u8,
}

impl Default for AnswerSection {
    fn default() -> Self {
        Self {
            automatic: false,
            dry_run: true,
            provisional: false,
            bans_per_hour: 100,
            age_secs_max: 3_600,
            trust: Vec::new(),
            admin_secs: 7 * 86_400,
            rules: Vec::new(),
            escalation: EscalationSection::default(),
            growth: GrowthSection::default(),
            actions: Vec::new(),
        }
    }
}

impl Default for EscalationSection {
    fn default() -> Self {
        let Escalation { factor, secs_max, memory_secs } = Escalation::default();
        Self { factor, secs_max, memory_secs }
    }
}

impl Default for GrowthSection {
    fn default() -> Self {
        let Growth { after, within_secs, ipv4, ipv6 } = Growth::default();
        Self { after, within_secs, ipv4, ipv6 }
    }
}

impl AnswerSection {
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        self.trusted()?;
        for rule in &self.rules {
            if rule.ids.is_empty() && rule.levels.is_empty() && rule.tags.is_empty() {
                return Err("answer.rules: a line without ids, levels and tags would ban for everything".into());
            }
            if !(0..=BAN_SECS_MAX).contains(&rule.ban_secs) {
                return Err(format!("answer.rules: ban_secs is {}: give 0 to {BAN_SECS_MAX}", rule.ban_secs));
            }
        }
        let GrowthSection { after, ipv4, ipv6, within_secs } = self.growth;
        if after > 0 && (after < 2 || !(16..32).contains(&ipv4) || !(32..64).contains(&ipv6) || within_secs < 1) {
            return Err("answer.growth: after is 0 or at least 2, ipv4 16 to 31, ipv6 32 to 63, within_secs at least 1".into());
        }
        if !self.escalation.factor.is_finite() || self.escalation.secs_max < 1 || self.escalation.memory_secs < 0 || self.admin_secs < 0 || self.age_secs_max < 1 {
            return Err("answer: factors and times are positive numbers".into());
        }
        for (place, action) in self.actions.iter().enumerate() {
            action.check()?;
            if self.actions[..place].iter().any(|other| other.name() == action.name()) {
                return Err(format!("two actions have the name {}", action.name()));
            }
        }
        Ok(())
    }

    pub(crate) fn trusted(&self) -> Result<Vec<IpNet>, String> {
        self.trust.iter().map(|text| trusted_network(text).map_err(|error| format!("answer.trust: {error}"))).collect()
    }

    /// None: findings ban nobody.
    pub(crate) fn policy(&self) -> Option<Policy> {
        let line = |rule: &AnswerRule| PolicyRule { ids: rule.ids.clone(), levels: rule.levels.clone(), tags: rule.tags.clone(), ban_secs: rule.ban_secs };
        self.automatic.then(|| Policy {
            rules: self.rules.iter().map(line).collect(),
            provisional: self.provisional,
            bans_per_hour: self.bans_per_hour,
            age_secs_max: self.age_secs_max,
            escalation: Escalation { factor: self.escalation.factor, secs_max: self.escalation.secs_max, memory_secs: self.escalation.memory_secs },
        })
    }

    pub(crate) fn growth(&self) -> Growth {
        let GrowthSection { after, within_secs, ipv4, ipv6 } = self.growth;
        Growth { after, within_secs, ipv4, ipv6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_fine_and_bans_nobody() {
        let section = AnswerSection::default();
        assert_eq!(section.check(), Ok(()));
        assert!(section.policy().is_none() && section.dry_run);
    }

    #[test]
    fn dangerous_settings_are_refused() {
        let rule = |ban_secs| AnswerRule { ids: vec![], levels: vec![Severity::High], tags: vec![], ban_secs };
        let with = |change: &dyn Fn(&mut AnswerSection)| {
            let mut section = AnswerSection::default();
            change(&mut section);
            section.check()
        };
        assert!(with(&|s| s.rules = vec![rule(60)]).is_ok());
        assert!(with(&|s| s.rules = vec![rule(-1)]).is_err());
        assert!(with(&|s| s.rules = vec![AnswerRule { levels: vec![], ..rule(60) }]).unwrap_err().contains("everything"));
        assert!(with(&|s| s.trust = vec!["office".into()]).unwrap_err().contains("office"));
        assert!(with(&|s| s.growth.after = 1).is_err());
        assert!(with(&|s| s.growth.ipv4 = 8).is_err());
        assert!(with(&|s| s.escalation.factor = f64::INFINITY).is_err());
    }
}
