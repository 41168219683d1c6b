//! `off_hours`: a principal is active at an hour that is not theirs.
//!
//! **Learns** from the base rules' events only, per group: in which hours of the week the principal was active,
//! in event time, older weeks counting less. An hour counts once however many events it has, so a script that
//! runs a thousand calls is no stronger habit than a person who reads one page. No time zone is assumed and
//! none is asked for: the habit *is* the working day, wherever the principal lives, and a night shift is a
//! habit like any other.
//!
//! **Raises** a finding when less than `probability_max` of the principal's active hours fall on this hour of
//! such a day, and on the hours before and after it neither: an evening that grows a little longer is no news.
//! Own weekdays weigh ten times as much as the others, and activity spills over two hours to either side. One
//! night is one finding. Somebody who is active around the clock has no hour that is not theirs.
//!
//! **Poisoning.** An hour that was told is not learned. When it was told on `repeat_days` days, it is learned from
//! then on: a change of shifts is told so many times and then falls silent. Events of the last day are not yet habit: nobody
//! makes a night usual by coming twice in it.
//!
//! Options, with their defaults: `half_life` (14d), `events_min` (50) and `days_min` (7) of history before the
//! first verdict, `probability_max` (0.005), `repeat_days` (3). `timespan` is not used: what has not been seen
//! for five half-lives is forgotten. **False positives:** travel, on-call duty, the last night before a
//! release, monthly jobs. ATT&CK: T1078.

use super::{lateness_secs, within};
use crate::Keyed;
use crate::stateful::{Draft, EventRef, GroupState};
use event::{Condition, Finding, FindingStatus, Timestamp};
use serde::{Deserialize, Serialize};

const HOUR_SECS: i64 = 3_600;
const DAY_HOURS: i64 = 24;
const WEEK_HOURS: i64 = 168;
/// 1970-01-01 was a Thursday; hour 0 of the week is Monday's first.
const EPOCH_HOUR_OF_WEEK: i64 = 3 * DAY_HOURS;
/// How much activity counts at the hours around it: same hour, one off, two off.
const SPILL: [f64; 3] = [0.4, 0.2, 0.1];
/// What another weekday's activity counts against that of the same.
const OTHER_DAY: f64 = 0.1;
/// Least hours that the principal must have been active in before there is a habit to speak of.
const HOURS_MIN: f64 = 12.0;
/// Activity younger than this is not habit yet; it is kept hour by hour.
const PENDING_HOURS: i64 = 24;
/// Beyond that, what an event that comes late could still change.
const LATE_HOURS: i64 = 25;
/// Most hours kept one by one, most nights told and still open, most odd hours waiting to be learned.
const PENDING_MAX: usize = 96;
const NIGHTS_MAX: usize = 8;
const ODD_MAX: usize = 64;
/// Odd activity within this time belongs to one night.
const NIGHT_SECS: i64 = 12 * HOUR_SECS;
/// Half-lives after which nothing is left of a habit.
const HALF_LIVES_KEPT: i64 = 5;
const LAYOUT: u8 = 1;

/// Its own keys.
pub(crate) const KEYS: &[&str] = &["half_life", "events_min", "days_min", "probability_max", "repeat_days"];

#[derive(Debug)]
pub(crate) struct Rule {
    half_life_secs: i64,
    events_min: u64,
    days_min: u32,
    probability_max: f64,
    repeat_days: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    half_life: String,
    events_min: u64,
    days_min: u32,
    probability_max: f64,
    repeat_days: usize,
}

impl Default for Written {
    fn default() -> Self {
        Self { half_life: "14d".into(), events_min: 50, days_min: 7, probability_max: 0.005, repeat_days: 3 }
    }
}

impl Rule {
    pub(crate) fn compile(section: &yaml_serde::Value) -> Result<Self, String> {
        let written: Written = super::options(section)?;
        let half_life = rsigma_parser::Timespan::parse(&written.half_life).map_err(|e| format!("half_life: {e}"))?;
        let half_life_secs = within("half_life in seconds", half_life.seconds as i64, 86_400, 366 * 86_400)?;
        Ok(Self {
            half_life_secs,
            events_min: within("events_min", written.events_min, 1, 1_000_000)?,
            days_min: within("days_min", written.days_min, 2, 366)?,
            probability_max: within("probability_max", written.probability_max, 0.0, 0.03)?,
            repeat_days: within("repeat_days", written.repeat_days, 1, 30)?,
        })
    }

    /// What is left after so many hours.
    fn decay(&self, hours: i64) -> f64 {
        (-(hours * HOUR_SECS) as f64 / self.half_life_secs as f64).exp2()
    }
}

/// An hour in which there were events, not yet part of the habit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Active {
    /// Hours since 1970.
    hour: i64,
    events: u64,
    /// It was told, or would have been if its night had not been told already.
    odd: bool,
}

/// Odd activity that was told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Night {
    first: Timestamp,
    last: Timestamp,
    events: Vec<(Timestamp, EventRef)>,
    count: u64,
    share: f64,
    /// The habit as it was, for people.
    usual: String,
    #[serde(with = "super::micros")]
    received: Timestamp,
    told: Option<Vec<u8>>,
    revision: u32,
    is_final: bool,
}

/// One principal's habit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Hours {
    /// First, so that it is the first byte.
    layout: u8,
    /// Per hour of the week, in UTC: how often active, as of `reference`. Empty until something is learned.
    weights: Vec<f32>,
    /// The hour for which the weights stand, and the newest one that was learned.
    reference: i64,
    events: u64,
    days: u32,
    last_day: i64,
    /// Sorted by hour.
    pending: Vec<Active>,
    /// Days on which an odd hour of the day was seen: (hour of the day, day).
    odd: Vec<(u8, i64)>,
    nights: Vec<Night>,
    newest: i64,
    #[serde(with = "super::micros")]
    received: Timestamp,
    lateness_secs: i64,
}

fn hour_of(time: Timestamp) -> i64 {
    time.secs().div_euclid(HOUR_SECS)
}

fn hour_of_week(hour: i64) -> i64 {
    (hour + EPOCH_HOUR_OF_WEEK).rem_euclid(WEEK_HOURS)
}

/// A habit as a verdict sees it.
struct Habit<'a> {
    weights: &'a [f64],
}

impl Habit<'_> {
    /// The weight at an hour of the week and of the other days at that hour.
    fn at(&self, hour: i64) -> f64 {
        let day = |d: i64| self.weights[((hour + d * DAY_HOURS).rem_euclid(WEEK_HOURS)) as usize];
        day(0) + OTHER_DAY * (1..7).map(day).sum::<f64>()
    }

    /// The share of the activity of such a day that falls on this hour.
    fn probability(&self, hour: i64) -> f64 {
        let spilt: f64 = (-2..=2i64).map(|off| SPILL[off.unsigned_abs() as usize] * self.at(hour + off)).sum();
        let start = hour - hour.rem_euclid(DAY_HOURS);
        let day: f64 = (0..DAY_HOURS).map(|h| self.at(start + h)).sum();
        if day > 0.0 { spilt / day } else { 1.0 }
    }

    fn is_odd(&self, hour: i64, probability_max: f64) -> bool {
        [0, -1, 1].iter().all(|off| self.probability(hour + off) < probability_max)
    }

    /// The shortest span of hours of the day that holds nine tenths of the activity: (first, length).
    fn usual(&self) -> (i64, i64) {
        let by_hour: Vec<f64> = (0..DAY_HOURS).map(|h| (0..7).map(|d| self.weights[(d * DAY_HOURS + h) as usize]).sum()).collect();
        let all: f64 = by_hour.iter().sum();
        let held = |first: i64, len: i64| (first..first + len).map(|h| by_hour[(h % DAY_HOURS) as usize]).sum::<f64>();
        for len in 1..DAY_HOURS {
            let best = (0..DAY_HOURS).max_by(|a, b| held(*a, len).total_cmp(&held(*b, len)));
            if let Some(first) = best.filter(|first| held(*first, len) >= 0.9 * all) {
                return (first, len);
            }
        }
        (0, DAY_HOURS)
    }
}

impl Hours {
    /// Takes an hour into the habit, or into the waiting room for odd ones.
    fn learn(&mut self, rule: &Rule, active: &Active) {
        let day = active.hour.div_euclid(DAY_HOURS);
        if active.odd {
            let since = day - HALF_LIVES_KEPT * rule.half_life_secs / 86_400;
            self.odd.retain(|(_, seen)| *seen >= since);
            if self.odd.len() >= ODD_MAX {
                self.odd.remove(0);
            }
            return self.odd.push((active.hour.rem_euclid(DAY_HOURS) as u8, day));
        }
        if self.weights.is_empty() {
            self.weights = vec![0.0; WEEK_HOURS as usize];
            self.reference = active.hour;
        }
        // Whole half-lives, so that the weights are halved exactly.
        let half_life = rule.half_life_secs / HOUR_SECS;
        let steps = (active.hour - self.reference).div_euclid(half_life.max(1));
        if steps > 0 {
            let factor = (-(steps.min(200)) as f32).exp2();
            self.weights.iter_mut().for_each(|weight| *weight *= factor);
            self.reference += steps * half_life;
        }
        let weight = rule.decay(self.reference - active.hour) as f32;
        self.weights[hour_of_week(active.hour) as usize] += weight;
        self.events += active.events;
        if day > self.last_day || self.days == 0 {
            self.days = self.days.saturating_add(1);
            self.last_day = day;
        }
    }

    /// Whether this hour of the day, or its neighbour, was odd on so many days before that it is none any more.
    fn is_repeated(&self, rule: &Rule, hour: i64) -> bool {
        let of_day = hour.rem_euclid(DAY_HOURS);
        let near = |other: i64| (other - of_day + 36).rem_euclid(DAY_HOURS).abs_diff(12) <= 1;
        let learnt = self.odd.iter().filter(|(other, _)| near(i64::from(*other))).map(|(_, day)| *day);
        let pending = self.pending.iter().filter(|active| {
            active.odd && active.hour <= hour - PENDING_HOURS + 1 && near(active.hour.rem_euclid(DAY_HOURS))
        });
        let mut days: Vec<i64> = learnt.chain(pending.map(|active| active.hour.div_euclid(DAY_HOURS))).collect();
        days.sort_unstable();
        days.dedup();
        days.len() >= rule.repeat_days
    }

    /// The habit as it was a day before `hour`, so that it is the same whatever came in which order.
    fn before(&self, rule: &Rule, hour: i64) -> (Vec<f64>, u64, u32) {
        let mut weights: Vec<f64> = match self.weights.is_empty() {
            true => vec![0.0; WEEK_HOURS as usize],
            false => self.weights.iter().map(|w| f64::from(*w) * rule.decay(hour - self.reference)).collect(),
        };
        let (mut events, mut days, mut last_day) = (self.events, self.days, self.last_day);
        for active in self.pending.iter().filter(|active| !active.odd && active.hour <= hour - PENDING_HOURS) {
            weights[hour_of_week(active.hour) as usize] += rule.decay(hour - active.hour);
            events += active.events;
            let day = active.hour.div_euclid(DAY_HOURS);
            if day > last_day || days == 0 {
                (days, last_day) = (days + 1, day);
            }
        }
        (weights, events, days)
    }

    /// The share of the habit that falls on the hour, and the habit in words, if the hour is odd.
    fn judge(&self, rule: &Rule, hour: i64) -> Option<(f64, String)> {
        let (weights, events, days) = self.before(rule, hour);
        let all: f64 = weights.iter().sum();
        if events < rule.events_min || days < rule.days_min || all < HOURS_MIN {
            return None;
        }
        let habit = Habit { weights: &weights };
        let of_week = hour_of_week(hour);
        if !habit.is_odd(of_week, rule.probability_max) || self.is_repeated(rule, hour) {
            return None;
        }
        let (first, len) = habit.usual();
        let usual = format!("{:02}:00 to {:02}:00 UTC on {days} days with {events} events", first, (first + len) % DAY_HOURS);
        Some((habit.probability(of_week), usual))
    }

    /// Learns what is old enough that no verdict needs it hour by hour.
    fn promote(&mut self, rule: &Rule) {
        let old = self.newest - PENDING_HOURS - LATE_HOURS;
        let mut count = self.pending.partition_point(|active| active.hour < old);
        count = count.max(self.pending.len().saturating_sub(PENDING_MAX));
        for active in self.pending.drain(..count).collect::<Vec<_>>() {
            self.learn(rule, &active);
        }
    }

    /// Puts an odd event to its night; a new one is told.
    fn tell(&mut self, time: Timestamp, event: EventRef, received: Timestamp, verdict: (f64, String), rule: &Rule, out: &mut Vec<Draft>) {
        let near = |night: &&mut Night| {
            time.0 >= night.first.0 - NIGHT_SECS * 1_000_000 && time.0 <= night.last.0 + NIGHT_SECS * 1_000_000
        };
        if let Some(night) = self.nights.iter_mut().find(near) {
            if night.is_final || !night.add(time, event, received) {
                return;
            }
            // The same words as if it had come in order.
            (night.share, night.usual) = verdict;
            let before = night.told.replace(night.cause());
            night.revision = 0;
            return out.push(night.draft(rule, FindingStatus::Provisional, before));
        }
        if self.nights.len() >= NIGHTS_MAX {
            self.nights.remove(0);
        }
        let (share, usual) = verdict;
        let mut night = Night {
            first: time,
            last: time,
            events: vec![(time, event)],
            count: 1,
            share,
            usual,
            received,
            told: None,
            revision: 0,
            is_final: false,
        };
        night.told = Some(night.cause());
        out.push(night.draft(rule, FindingStatus::Provisional, None));
        self.nights.push(night);
    }
}

impl Night {
    /// Takes an event; returns whether it is the first of the night now.
    fn add(&mut self, time: Timestamp, event: EventRef, received: Timestamp) -> bool {
        let Err(at) = self.events.binary_search_by(|(t, e)| (*t, e).cmp(&(time, &event))) else { return false };
        self.count += 1;
        self.received = self.received.max(received);
        (self.first, self.last) = (self.first.min(time), self.last.max(time));
        self.events.insert(at, (time, event));
        // The first are kept; more would only be counted.
        self.events.truncate(Finding::EVENTS_MAX);
        at == 0
    }

    fn cause(&self) -> Vec<u8> {
        let Some((time, event)) = self.events.first() else { return Vec::new() };
        [&time.0.to_le_bytes()[..], event.uid.as_bytes()].concat()
    }

    fn draft(&self, rule: &Rule, status: FindingStatus, replaces: Option<Vec<u8>>) -> Draft {
        let share = |share: f64| format!("{:.2} %", share * 100.0);
        let condition = |field: &str, operator: &str, expected: String, actual: String| Condition {
            selection: "habit".into(),
            field: field.into(),
            operator: operator.into(),
            expected: expected.into(),
            actual: actual.into(),
        };
        Draft {
            cause: self.told.clone().unwrap_or_default(),
            replaces,
            status,
            revision: self.revision,
            time: self.first,
            window: (self.first, self.last),
            events: self.events.iter().map(|(_, event)| event.clone()).collect(),
            event_count: self.count,
            what: format!("active on {} UTC, usually {}", clock(self.first), self.usual),
            conditions: vec![
                condition("probability of the hour", "lt", share(rule.probability_max), share(self.share)),
                condition("hour", "equals", "a usual one".into(), clock(self.first)),
                condition("usual", "equals", "nine tenths of the activity".into(), self.usual.clone()),
            ],
        }
    }
}

/// `Tuesday 03:12`
fn clock(time: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let of_week = hour_of_week(hour_of(time));
    let minute = time.secs().rem_euclid(HOUR_SECS) / 60;
    format!("{} {:02}:{minute:02}", DAYS[(of_week / DAY_HOURS) as usize], of_week % DAY_HOURS)
}

impl GroupState for Hours {
    type Rule = Rule;

    fn new() -> Self {
        Self { layout: LAYOUT, newest: i64::MIN, ..Self::default() }
    }

    fn add(&mut self, rule: &Rule, part: &Keyed, out: &mut Vec<Draft>) {
        self.received = self.received.max(part.received);
        self.lateness_secs = self.lateness_secs.max(lateness_secs(part));
        // What turns out to be somebody else's stays: one event is no habit.
        if part.is_taken_back {
            return;
        }
        let time = part.clamped();
        let hour = hour_of(time);
        // What is older than anything that is still kept hour by hour was counted already, or never will be.
        if hour < self.newest.saturating_sub(PENDING_HOURS + LATE_HOURS) {
            return;
        }
        self.newest = self.newest.max(hour);
        self.promote(rule);
        let verdict = self.judge(rule, hour);
        let odd = verdict.is_some();
        match self.pending.binary_search_by_key(&hour, |active| active.hour) {
            Ok(at) => {
                self.pending[at].events += 1;
                self.pending[at].odd |= odd;
            }
            Err(at) => self.pending.insert(at, Active { hour, events: 1, odd }),
        }
        if let Some(verdict) = verdict {
            let event = EventRef { uid: part.uid.clone(), position: part.position };
            self.tell(time, event, part.received, verdict, rule, out);
        }
    }

    fn due(&self, _rule: &Rule) -> Option<Timestamp> {
        let open = self.nights.iter().filter(|night| !night.is_final);
        open.map(|night| night.received.plus_secs(self.lateness_secs)).min()
    }

    fn ripen(&mut self, rule: &Rule, now: Timestamp, out: &mut Vec<Draft>) {
        let lateness = self.lateness_secs;
        for night in self.nights.iter_mut().filter(|night| !night.is_final) {
            if night.received.plus_secs(lateness) <= now {
                night.is_final = true;
                night.revision += 1;
                out.push(night.draft(rule, FindingStatus::Final, None));
            }
        }
        // A night that is over is remembered only to recognise what belongs to it.
        self.nights.retain(|night| !night.is_final || night.received.plus_secs(2 * NIGHT_SECS + lateness) > now);
    }

    fn expires(&self, rule: &Rule) -> Timestamp {
        self.received.plus_secs(HALF_LIVES_KEPT * rule.half_life_secs)
    }

    fn evidence(&self) -> usize {
        self.events.min(10_000) as usize + self.pending.len()
    }

    fn write(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a struct of numbers and text has a binary form")
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let known = |state: &Self| [0, WEEK_HOURS as usize].contains(&state.weights.len());
        if bytes.first() == Some(&LAYOUT) { postcard::from_bytes(bytes).ok().filter(known) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, feed, part, standing};
    use super::*;

    fn rule(text: &str) -> Rule {
        Rule::compile(&yaml_serde::from_str(&format!("{{{text}}}")).expect("YAML")).expect("a rule")
    }

    /// Numbers that look drawn, from a seed: tests repeat.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    /// Monday 2026-11-02, 00:00 UTC.
    fn monday() -> Timestamp {
        at("2026-11-02T00:00:00Z")
    }

    fn event(ordinal: u64, time: Timestamp) -> Keyed {
        part(ordinal, time, time.plus_secs(120))
    }

    /// Weeks of somebody who works Monday to Friday from `first` to `last` UTC, a few events in most hours.
    fn weeks(count: i64, first: i64, last: i64, draw: &mut Draw) -> Vec<Keyed> {
        let mut parts = Vec::new();
        for day in (0..7 * count).filter(|day| day % 7 < 5) {
            for hour in first..last {
                for _ in 0..draw.below(4) {
                    let time = monday().plus_secs(day * 86_400 + hour * 3_600 + draw.below(3_600) as i64);
                    parts.push(event(parts.len() as u64, time));
                }
            }
        }
        parts.sort_by_key(|part| part.time);
        parts
    }

    fn then(mut parts: Vec<Keyed>, day: i64, hour: i64) -> Vec<Keyed> {
        let ordinal = parts.len() as u64;
        parts.push(event(ordinal, monday().plus_secs(day * 86_400 + hour * 3_600 + 720)));
        parts
    }

    #[test]
    fn the_night_of_somebody_who_works_by_day_is_told() {
        for seed in 0..20 {
            let habit = weeks(4, 8, 18, &mut Draw(seed));
            let told = |day: i64, hour: i64| standing(&feed(&rule(""), &mut Hours::new(), &then(habit.clone(), day, hour)));
            let night = told(29, 3);
            assert_eq!(night.len(), 1, "{seed}");
            let usual = ["usually 08:00 to 17:00", "usually 09:00 to 18:00", "usually 08:00 to 18:00"];
            let what = &night[0].what;
            assert!(what.starts_with("active on Tuesday 03:12 UTC, ") && usual.iter().any(|u| what.contains(u)), "{what}");
            assert_eq!(night[0].status, FindingStatus::Final);
            for (day, hour) in [(28, 7), (28, 12), (29, 19), (30, 6)] {
                assert!(told(day, hour).is_empty(), "{seed}: {day} {hour}");
            }
        }
    }

    #[test]
    fn the_zone_is_the_principals_own() {
        // Tokyo's working day is the European night.
        let habit = weeks(4, 0, 9, &mut Draw(7));
        let told = |hour: i64| standing(&feed(&rule(""), &mut Hours::new(), &then(habit.clone(), 29, hour))).len();
        assert_eq!([told(3), told(8), told(10), told(15), told(20)], [0, 0, 0, 1, 1]);
    }

    #[test]
    fn around_the_clock_and_by_chance_are_never_told() {
        // A service, every hour; a person whose few logins have no order; a job at night.
        let parts = |count: u64, time: &mut dyn FnMut(u64) -> i64| -> Vec<Keyed> {
            let mut parts: Vec<Keyed> = (0..count).map(|i| event(i, monday().plus_secs(time(i)))).collect();
            parts.sort_by_key(|part| part.time);
            parts
        };
        for seed in 0..10 {
            let mut draw = Draw(seed);
            let service = parts(1_500, &mut |_| draw.below(42 * 86_400) as i64);
            assert!(feed(&rule(""), &mut Hours::new(), &service).is_empty(), "{seed}");
        }
        let job = parts(60, &mut |i| i as i64 * 86_400 + 3 * 3_600 + 60);
        assert!(feed(&rule(""), &mut Hours::new(), &job).is_empty());
    }

    #[test]
    fn there_is_no_verdict_before_there_is_history() {
        let habit = weeks(1, 8, 18, &mut Draw(1));
        assert!(feed(&rule(""), &mut Hours::new(), &then(habit, 6, 3)).is_empty(), "five days are no habit");
        let mut few: Vec<Keyed> = (0..40).map(|day| event(day as u64, monday().plus_secs(day * 86_400 + 9 * 3_600))).collect();
        few = then(few, 41, 21);
        assert!(feed(&rule(""), &mut Hours::new(), &few).is_empty(), "forty events are no habit");
        assert_eq!(standing(&feed(&rule("events_min: 30"), &mut Hours::new(), &few)).len(), 1);
    }

    #[test]
    fn one_night_is_one_finding_and_a_new_shift_is_told_a_few_times() {
        let mut parts = weeks(4, 8, 18, &mut Draw(3));
        for day in 28..44 {
            for minute in [50, 55, 62, 70, 200] {
                parts.push(event(parts.len() as u64, monday().plus_secs(day * 86_400 + 2 * 3_600 + minute * 60)));
            }
        }
        let left = standing(&feed(&rule(""), &mut Hours::new(), &parts));
        let days: Vec<i64> = left.iter().map(|draft| (draft.time.0 - monday().0) / 86_400_000_000).collect();
        assert_eq!(days, [28, 29, 30]);
        assert_eq!(left[0].event_count, 4, "final a lateness after the fourth; the fifth belongs to the same night");
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let habit = weeks(3, 8, 18, &mut Draw(5));
        let night: Vec<Keyed> = [3_000i64, 3_300, 7_300, 7_500, 10_900]
            .iter()
            .enumerate()
            .map(|(i, secs)| part(90_000 + i as u64, monday().plus_secs(22 * 86_400 + secs), monday().plus_secs(22 * 86_400 + 11_400)))
            .collect();
        let mut seen: Option<Vec<_>> = None;
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]] {
            let parts: Vec<Keyed> = habit.iter().cloned().chain(order.map(|i| night[i].clone())).collect();
            let left = standing(&feed(&rule(""), &mut Hours::new(), &parts));
            let left: Vec<_> = left.into_iter().map(|d| (d.cause, d.what, d.events, d.event_count)).collect();
            assert_eq!((left.len(), left[0].3), (1, 5), "{order:?}");
            assert_eq!(&left, seen.get_or_insert_with(|| left.clone()));
        }
    }

    #[test]
    fn a_year_of_events_and_odd_dates_stay_bounded() {
        let mut state = Hours::new();
        let mut draw = Draw(9);
        let mut parts: Vec<Keyed> = (0..9_000).map(|i| event(i, monday().plus_secs(i as i64 * 3_600 + draw.below(3_000) as i64))).collect();
        parts.push(part(9_001, Timestamp(i64::MIN), monday()));
        parts.push(part(9_002, Timestamp(i64::MAX), monday()));
        feed(&rule("probability_max: 0.03"), &mut state, &parts);
        assert!(state.pending.len() <= PENDING_MAX && state.nights.len() <= NIGHTS_MAX && state.odd.len() <= ODD_MAX);
        assert!(state.weights.iter().all(|weight| weight.is_finite()));
        assert!(state.write().len() < 20_000, "{}", state.write().len());
    }

    #[test]
    fn options_are_checked() {
        let compile = |text: &str| Rule::compile(&yaml_serde::from_str(text).expect("YAML"));
        for wrong in ["half_live: 14d", "half_life: 1h", "probability_max: 0.5", "days_min: 0", "repeat_days: 0"] {
            assert!(compile(wrong).is_err(), "{wrong}");
        }
    }
}
