//! How much attention an entity deserves: a score that its alerts and signals add to and that time takes away.
//!
//! `score(t) = Σ wᵢ · 2^(−(t − tᵢ) / 24 h)`, over the new alerts and signals i about the entity, in event time.
//! `wᵢ = Rule::risk() / 2^k`, where k counts how often the same rule added before without a pause of 24 h:
//! repeating one thing for ever adds no more than twice its risk, different things add up.
//!
//! The decay is exponential so that a score needs no list of what added to it (G. Cormode, V. Shkapenyuk,
//! D. Srivastava, B. Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE 2009). All
//! scores decay at the same rate, so their order at any moment is the order of `log₂ score + t / 24 h`, which
//! is stored once and needs no rewriting as time passes ([`Risk::rank`]).
//!
//! Scores are whole thousandths, rounded at each step: the same alerts in the same order give the same number
//! whatever batches they came in.

use event::{Entity, Rule, Timestamp};
use serde::{Deserialize, Serialize};

/// After so long without anything new a score is half of what it was.
pub const HALF_LIFE_SECS: i64 = 86_400;
/// From this score on an entity's alerts are an incident.
pub const INCIDENT_RISK: u32 = 100;
/// Hours of history that are kept.
pub const HISTORY_HOURS: i64 = 168;
/// A score below this is forgotten.
const FORGOTTEN_BELOW: f64 = 1.0;
/// Rules whose repetitions are remembered per entity, and tactics; the ones longest ago are forgotten first.
const RULES_MAX: usize = 64;
const TACTICS_MAX: usize = 32;
/// Beyond so many halvings nothing is left of a weight.
const HALVINGS_MAX: u32 = 20;

/// An entity's score and what is known of how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    pub entity: Entity,
    /// In thousandths, as of `at`.
    score: i64,
    at: Timestamp,
    /// Alerts and signals that added to it.
    pub alerts: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// In the order in which they were first seen.
    pub tactics: Vec<String>,
    rules: Vec<Repeated>,
    /// Hour since 1970, and what was added in it, in thousandths as of its end. By hour.
    hours: Vec<(i64, i64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Repeated {
    rule: String,
    times: u32,
    last: Timestamp,
}

/// What is left after `secs`; of what lies ahead all.
fn decay(secs: f64) -> f64 {
    (-secs.max(0.0) / HALF_LIFE_SECS as f64).exp2()
}

fn secs_between(from: Timestamp, to: Timestamp) -> f64 {
    to.0.saturating_sub(from.0) as f64 / 1e6
}

fn decayed(thousandths: i64, from: Timestamp, to: Timestamp) -> i64 {
    (thousandths as f64 * decay(secs_between(from, to))).round() as i64
}

fn hour_end(hour: i64) -> Timestamp {
    Timestamp::from_secs((hour + 1) * 3_600)
}

impl Risk {
    pub fn new(entity: Entity, time: Timestamp) -> Self {
        Self {
            entity,
            score: 0,
            at: time,
            alerts: 0,
            first_seen: time,
            last_seen: time,
            tactics: Vec::new(),
            rules: Vec::new(),
            hours: Vec::new(),
        }
    }

    /// Adds a new alert or signal, and answers its weight in thousandths.
    pub fn add(&mut self, rule: &Rule, time: Timestamp) -> i64 {
        let times = self.repeat(&rule.id, time);
        let weight = (i64::from(rule.risk()) * 1_000) >> times.min(HALVINGS_MAX);
        self.change(weight, time);
        self.alerts += 1;
        self.first_seen = self.first_seen.min(time);
        self.last_seen = self.last_seen.max(time);
        for tactic in &rule.tactics {
            if !self.tactics.contains(tactic) && self.tactics.len() < TACTICS_MAX {
                self.tactics.push(tactic.clone());
            }
        }
        weight
    }

    /// Takes back what an alert had added that turned out not to be one.
    pub fn take_back(&mut self, weight: i64, time: Timestamp) {
        self.change(-weight, time);
        self.alerts = self.alerts.saturating_sub(1);
    }

    fn change(&mut self, weight: i64, time: Timestamp) {
        if time > self.at {
            self.score = decayed(self.score, self.at, time);
            self.at = time;
        }
        self.score = (self.score + decayed(weight, time, self.at)).max(0);
        let hour = time.secs().div_euclid(3_600);
        let added = decayed(weight, time, hour_end(hour));
        match self.hours.binary_search_by_key(&hour, |(h, _)| *h) {
            Ok(place) => self.hours[place].1 = (self.hours[place].1 + added).max(0),
            Err(place) => self.hours.insert(place, (hour, added.max(0))),
        }
        let newest = self.hours.last().map_or(hour, |(h, _)| *h);
        self.hours.retain(|(h, _)| *h > newest - HISTORY_HOURS);
    }

    /// How often the rule has added before without a long pause; it now has once more.
    fn repeat(&mut self, rule: &str, time: Timestamp) -> u32 {
        if let Some(known) = self.rules.iter_mut().find(|r| r.rule == rule) {
            let paused = secs_between(known.last, time) > HALF_LIFE_SECS as f64;
            known.times = if paused { 0 } else { known.times.saturating_add(1) };
            known.last = known.last.max(time);
            return known.times;
        }
        if self.rules.len() == RULES_MAX
            && let Some(oldest) = (0..self.rules.len()).min_by_key(|i| (self.rules[*i].last, &self.rules[*i].rule))
        {
            self.rules.remove(oldest);
        }
        self.rules.push(Repeated { rule: rule.to_owned(), times: 0, last: time });
        0
    }

    /// The score at a moment. What is dated after it counts in full.
    pub fn at(&self, now: Timestamp) -> u32 {
        (self.score as f64 / 1_000.0 * decay(secs_between(self.at, now))).round() as u32
    }

    /// Orders scores as of any moment.
    pub fn rank(&self) -> f64 {
        // Nothing has the logarithm of less than what is forgotten at once.
        let score = (self.score as f64 / 1_000.0).max(1e-9);
        score.log2() + self.at.0 as f64 / 1e6 / HALF_LIFE_SECS as f64
    }

    /// The rank of a score that is forgotten at `now`.
    pub fn rank_forgotten(now: Timestamp) -> f64 {
        FORGOTTEN_BELOW.log2() + now.0 as f64 / 1e6 / HALF_LIFE_SECS as f64
    }

    /// The score at the end of each hour of the last seven days in which there was one, and now.
    pub fn history(&self, now: Timestamp) -> Vec<(Timestamp, u32)> {
        let this_hour = now.secs().div_euclid(3_600);
        let Some((first, _)) = self.hours.first() else { return Vec::new() };
        let mut points = Vec::new();
        for hour in (*first).max(this_hour - HISTORY_HOURS)..this_hour {
            let end = hour_end(hour);
            let until = self.hours.iter().take_while(|(h, _)| *h <= hour);
            let sum: f64 = until.map(|(h, added)| *added as f64 * decay(secs_between(hour_end(*h), end))).sum();
            points.push((end, (sum / 1_000.0).round() as u32));
        }
        points.push((now, self.at(now)));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{EntityKind, Handling, RuleKind, Severity};

    fn rule(id: &str, risk: u8) -> Rule {
        Rule {
            id: id.into(),
            name: id.into(),
            kind: RuleKind::Sigma,
            level: Severity::Medium,
            description: String::new(),
            techniques: vec![],
            tactics: vec![format!("tactic-{id}")],
            false_positives: vec![],
            references: vec![],
            author: String::new(),
            file: String::new(),
            handling: Handling { risk: Some(risk), ..Handling::default() },
        }
    }

    fn hour(n: i64) -> Timestamp {
        Timestamp::from_secs(1_699_999_200 + n * 3_600)
    }

    fn fresh() -> Risk {
        Risk::new(Entity::new(EntityKind::User, "alice"), hour(0))
    }

    #[test]
    fn a_score_halves_in_a_day_and_different_rules_add_up() {
        let mut risk = fresh();
        assert_eq!(risk.add(&rule("a", 80), hour(0)), 80_000);
        assert_eq!((risk.at(hour(0)), risk.at(hour(24)), risk.at(hour(48))), (80, 40, 20));
        risk.add(&rule("b", 50), hour(24));
        assert_eq!((risk.at(hour(24)), risk.alerts), (90, 2));
        assert_eq!(risk.tactics, ["tactic-a", "tactic-b"]);
    }

    #[test]
    fn repeating_one_rule_adds_less_each_time_until_it_has_paused() {
        let mut risk = fresh();
        let weights: Vec<_> = (0..5).map(|_| risk.add(&rule("a", 40), hour(0))).collect();
        assert_eq!(weights, [40_000, 20_000, 10_000, 5_000, 2_500]);
        for _ in 0..1_000 {
            risk.add(&rule("a", 40), hour(0));
        }
        assert!(risk.at(hour(0)) <= 80, "{}", risk.at(hour(0)));
        assert_eq!(risk.add(&rule("a", 40), hour(24)), 0, "no pause of more than a day");
        assert_eq!(risk.add(&rule("a", 40), hour(49)), 40_000);
    }

    #[test]
    fn what_comes_late_counts_as_if_it_had_come_in_time() {
        let (mut late, mut early) = (fresh(), fresh());
        late.add(&rule("a", 60), hour(10));
        late.add(&rule("b", 30), hour(2));
        early.add(&rule("b", 30), hour(2));
        early.add(&rule("a", 60), hour(10));
        for n in 10..40 {
            assert_eq!(late.at(hour(n)), early.at(hour(n)));
        }
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut risk = fresh();
        let weight = risk.add(&rule("a", 60), hour(1));
        risk.add(&rule("b", 30), hour(5));
        risk.take_back(weight, hour(1));
        assert_eq!((risk.at(hour(5)), risk.alerts), (30, 1));
        risk.take_back(1_000_000, hour(5));
        assert_eq!(risk.at(hour(5)), 0, "never below nothing");
    }

    #[test]
    fn ranks_order_as_scores_do_at_any_moment() {
        let (mut old, mut new) = (fresh(), fresh());
        old.add(&rule("a", 100), hour(0));
        new.add(&rule("a", 40), hour(48));
        assert!(old.at(hour(48)) < new.at(hour(48)) && old.rank() < new.rank());
        assert!(new.rank() > Risk::rank_forgotten(hour(48)) && new.at(hour(48 + 24 * 7)) < 1);
        assert!(new.rank() < Risk::rank_forgotten(hour(48 + 24 * 6)));
        assert!(fresh().rank() < Risk::rank_forgotten(hour(0)));
    }

    #[test]
    fn the_history_is_hourly_and_bounded() {
        let mut risk = fresh();
        risk.add(&rule("a", 64), hour(0));
        risk.add(&rule("b", 64), Timestamp(hour(3).0 + 1));
        let history = risk.history(Timestamp(hour(5).0 + 60_000_000));
        let (times, scores): (Vec<_>, Vec<_>) = history.into_iter().unzip();
        assert_eq!(times[..5], [hour(1), hour(2), hour(3), hour(4), hour(5)]);
        assert!(scores[2] < scores[0] && scores[3] > 110 && scores[5] == risk.at(times[5]), "{scores:?}");
        for n in 0..10_000 {
            risk.add(&rule(&n.to_string(), 1), hour(n));
        }
        assert!(risk.hours.len() <= HISTORY_HOURS as usize && risk.rules.len() == RULES_MAX);
        assert!(risk.history(hour(10_000)).len() <= HISTORY_HOURS as usize + 1);
        assert!(risk.history(hour(20_000)).len() <= HISTORY_HOURS as usize + 1);
        assert!(fresh().history(hour(9)).is_empty());
    }

    #[test]
    fn any_times_at_all_are_taken() {
        let mut risk = fresh();
        for time in [i64::MIN, -1, 0, i64::MAX, 5] {
            risk.add(&rule("a", 100), Timestamp(time));
        }
        assert!(risk.rank().is_finite() && risk.at(Timestamp(i64::MAX)) <= 1_000);
        assert!(risk.history(hour(0)).len() <= HISTORY_HOURS as usize + 1);
    }
}
