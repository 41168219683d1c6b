//! `rate`: a source asks far more than it used to, or for more different things than anybody needs.
//!
//! **Sees** every event of the first base rule, per group (an address, a site), counted by the minute of event
//! time; events of the rule that `errors` names count as failures of the same source. **Raises** one finding per
//! burst for one of
//! - *flood*: at least `burst_min` events in one minute and `factor` times the source's habit for a minute;
//! - *volume*: at least `events_min` events within `timespan` and `factor` times the habit for that time;
//! - *scan*: at least `distinct_min` different values of `distinct` within `timespan`, of which at least
//!   `errors_min` (a share of the events) failed. People follow links, and links work.
//!
//! The habit is the decayed mean over the source's active minutes, half of it a week old. A source without
//! habit (less than 30 active minutes) is judged by `burst_min` and `events_min` alone: these are the crowd's
//! bound, to be set above what the busiest honest client does; a busy one that is known may do `factor` times
//! its habit. A minute that was told is learned at a tenth of its weight, so a flood does not make itself
//! usual, and a client that really grew is told for some days at most.
//!
//! Options, with their defaults: `timespan` (10m, at most 1h), `burst_min` (300), `events_min` (1500),
//! `factor` (8), `distinct` (no field: no scans), `distinct_min` (40), `errors` (the name of one of the rules),
//! `errors_min` (0.3). **False positives:** load tests, a new partner's import, a proxy behind which a whole
//! company sits. ATT&CK: T1498, T1499, T1595, T1110.

use super::{lateness_secs, within};
use crate::Keyed;
use crate::stateful::{Draft, EventRef, GroupState};
use event::{Condition, FindingStatus, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

const MINUTE_SECS: i64 = 60;
/// Bits of a minute's sketch of distinct values: linear counting (Whang, Vander-Zanden, Taylor 1990) is within
/// 5 % up to as many values, and this is saturated at about 1,400.
const SKETCH_WORDS: usize = 4;
const SKETCH_BITS: u64 = 64 * SKETCH_WORDS as u64;
const TIMESPAN_SECS_MAX: i64 = 3_600;
/// Most minutes kept, and most bursts told and still open.
const MINUTES_MAX: usize = 150;
const BURSTS_MAX: usize = 4;
/// Events that a finding names: those it began with.
const EVENTS_KEPT: usize = 8;
/// Active minutes that make a habit, and its half-life.
const HABIT_MINUTES_MIN: f64 = 30.0;
const HABIT_HALF_LIFE_SECS: i64 = 7 * 86_400;
/// What a minute that was told counts in the habit.
const TOLD_WEIGHT: f64 = 0.1;
const LAYOUT: u8 = 1;

/// Its own keys.
pub(crate) const KEYS: &[&str] =
    &["burst_min", "events_min", "factor", "distinct", "distinct_min", "errors", "errors_min"];

#[derive(Debug)]
pub(crate) struct Rule {
    timespan_minutes: i64,
    burst_min: u64,
    events_min: u64,
    factor: f64,
    pub distinct: Option<String>,
    distinct_min: u64,
    /// The part whose events are failures.
    errors: Option<u16>,
    errors_min: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    burst_min: u64,
    events_min: u64,
    factor: f64,
    distinct: Option<String>,
    distinct_min: u64,
    errors: Option<String>,
    errors_min: f64,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            burst_min: 300,
            events_min: 1_500,
            factor: 8.0,
            distinct: None,
            distinct_min: 40,
            errors: None,
            errors_min: 0.3,
        }
    }
}

impl Rule {
    /// `rules` are the base rules as they are named, in order.
    pub(crate) fn compile(section: &yaml_serde::Value, timespan_secs: i64, rules: &[String]) -> Result<Self, String> {
        let written: Written = super::options(section)?;
        within("timespan in seconds", timespan_secs, MINUTE_SECS, TIMESPAN_SECS_MAX)?;
        let errors = match &written.errors {
            None => None,
            Some(name) => match rules.iter().position(|rule| rule == name) {
                Some(part) => Some(part as u16),
                None => return Err(format!("errors: `{name}` is not one of the rules")),
            },
        };
        if rules.len() > 1 + usize::from(errors.is_some()) || errors == Some(0) {
            return Err("rate counts the first of its rules; another may only be the one that `errors` names".into());
        }
        Ok(Self {
            timespan_minutes: (timespan_secs + MINUTE_SECS - 1) / MINUTE_SECS,
            burst_min: within("burst_min", written.burst_min, 2, 10_000_000)?,
            events_min: within("events_min", written.events_min, 2, 100_000_000)?,
            factor: within("factor", written.factor, 1.0, 10_000.0)?,
            distinct: written.distinct,
            distinct_min: within("distinct_min", written.distinct_min, 2, 1_000)?,
            errors,
            errors_min: within("errors_min", written.errors_min, 0.0, 1.0)?,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Minute {
    /// Minutes since 1970.
    minute: i64,
    events: u64,
    errors: u64,
    sketch: [u64; SKETCH_WORDS],
    told: bool,
}

/// What a burst is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Shape {
    Flood,
    Volume,
    Scan,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Burst {
    shape: Shape,
    /// The first and the last minute that satisfied the condition.
    first: i64,
    last: i64,
    /// The counts of the window in which it did so the most.
    peak: Counts,
    usual: f64,
    /// By event time in microseconds.
    events: Vec<(i64, EventRef)>,
    #[serde(with = "super::micros")]
    received: Timestamp,
    told: Option<i64>,
    revision: u32,
    is_final: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    events: u64,
    errors: u64,
    distinct: u64,
    minutes: i64,
}

/// One source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// First, so that it is the first byte.
    layout: u8,
    /// Sorted.
    minutes: Vec<Minute>,
    bursts: Vec<Burst>,
    /// Decayed number of active minutes and of their events, as of `reference`.
    habit_minutes: f64,
    habit_events: f64,
    reference: i64,
    /// The first events since the source was quiet, of which a finding names some.
    recent: Vec<(i64, EventRef)>,
    newest: i64,
    #[serde(with = "super::micros")]
    received: Timestamp,
    lateness_secs: i64,
}

fn minute_of(time: Timestamp) -> i64 {
    time.secs().div_euclid(MINUTE_SECS)
}

impl Rate {
    /// Events in a usual active minute; 0 while there is no habit.
    fn usual(&self) -> f64 {
        if self.habit_minutes < HABIT_MINUTES_MIN { 0.0 } else { self.habit_events / self.habit_minutes }
    }

    /// Minutes that no event can change any more go into the habit.
    fn promote(&mut self, rule: &Rule) {
        let kept = rule.timespan_minutes + self.lateness_secs / MINUTE_SECS + 1;
        let old = self.newest - kept;
        let mut count = self.minutes.partition_point(|minute| minute.minute < old);
        count = count.max(self.minutes.len().saturating_sub(MINUTES_MAX));
        for minute in self.minutes.drain(..count) {
            let steps = (minute.minute - self.reference).max(0) * MINUTE_SECS / HABIT_HALF_LIFE_SECS;
            if self.habit_minutes == 0.0 {
                self.reference = minute.minute;
            } else if steps > 0 {
                let factor = (-(steps.min(200)) as f64).exp2();
                self.habit_minutes *= factor;
                self.habit_events *= factor;
                self.reference += steps * HABIT_HALF_LIFE_SECS / MINUTE_SECS;
            }
            let age = (minute.minute - self.reference) * MINUTE_SECS;
            let weight = (age as f64 / HABIT_HALF_LIFE_SECS as f64).exp2() * if minute.told { TOLD_WEIGHT } else { 1.0 };
            self.habit_minutes += weight;
            self.habit_events += weight * minute.events as f64;
        }
    }

    /// The counts of the window of `len` minutes that ends with `last`.
    fn window(&self, last: i64, len: i64) -> Counts {
        let mut counts = Counts { minutes: len, ..Counts::default() };
        let mut sketch = [0u64; SKETCH_WORDS];
        let from = self.minutes.partition_point(|minute| minute.minute <= last - len);
        for minute in self.minutes[from..].iter().take_while(|minute| minute.minute <= last) {
            counts.events += minute.events;
            counts.errors += minute.errors;
            sketch.iter_mut().zip(&minute.sketch).for_each(|(all, one)| *all |= one);
        }
        counts.distinct = estimate(&sketch);
        counts
    }

    /// What the minute is, if it is anything.
    fn judge(&self, rule: &Rule, minute: i64) -> Option<(Shape, Counts)> {
        let usual = self.usual();
        let one = self.window(minute, 1);
        if one.events >= rule.burst_min && one.events as f64 >= rule.factor * usual {
            return Some((Shape::Flood, one));
        }
        let all = self.window(minute, rule.timespan_minutes);
        if all.events >= rule.events_min && all.events as f64 >= rule.factor * usual * rule.timespan_minutes as f64 {
            return Some((Shape::Volume, all));
        }
        let failed = all.errors as f64 >= rule.errors_min * all.events as f64 && (rule.errors.is_none() || all.errors > 0);
        let is_scan = rule.distinct.is_some() && all.distinct >= rule.distinct_min && failed;
        is_scan.then_some((Shape::Scan, all))
    }

    /// Judges every minute whose window holds `minute`, the earliest first.
    fn review(&mut self, rule: &Rule, minute: i64, out: &mut Vec<Draft>) {
        // Most sources are people with a few requests, who can't be anything.
        let all: u64 = self.minutes.iter().map(|one| one.events).sum();
        let scan_min = if rule.distinct.is_some() { rule.distinct_min / 2 } else { u64::MAX };
        if all < rule.burst_min.min(rule.events_min).min(scan_min) {
            return;
        }
        let from = self.minutes.partition_point(|one| one.minute < minute);
        let near: Vec<i64> = self.minutes[from..].iter().map(|one| one.minute).take_while(|one| *one < minute + rule.timespan_minutes).collect();
        for one in near {
            let Some((shape, counts)) = self.judge(rule, one) else { continue };
            if let Ok(at) = self.minutes.binary_search_by_key(&one, |minute| minute.minute) {
                self.minutes[at].told = true;
            }
            self.tell(rule, one, shape, counts, out);
        }
    }

    fn tell(&mut self, rule: &Rule, minute: i64, shape: Shape, counts: Counts, out: &mut Vec<Draft>) {
        let span = 2 * rule.timespan_minutes;
        let (received, usual) = (self.received, self.usual());
        let near = |burst: &&mut Burst| minute >= burst.first - span && minute <= burst.last + span;
        if let Some(burst) = self.bursts.iter_mut().find(near) {
            if burst.is_final {
                burst.last = burst.last.max(minute);
                return;
            }
            burst.received = received;
            burst.last = burst.last.max(minute);
            if counts.events > burst.peak.events && shape == burst.shape {
                burst.peak = counts;
            }
            if minute >= burst.first {
                return;
            }
            // A late event made an earlier minute the first.
            (burst.first, burst.shape, burst.peak) = (minute, shape, counts);
            let before = burst.told.replace(minute);
            burst.revision = 0;
            return out.push(burst.draft(rule, FindingStatus::Provisional, before));
        }
        if self.bursts.len() >= BURSTS_MAX {
            self.bursts.remove(0);
        }
        let burst = Burst {
            shape,
            first: minute,
            last: minute,
            peak: counts,
            usual,
            events: self.recent.clone(),
            received,
            told: Some(minute),
            revision: 0,
            is_final: false,
        };
        out.push(burst.draft(rule, FindingStatus::Provisional, None));
        self.bursts.push(burst);
    }
}

/// The number of distinct values behind a sketch.
fn estimate(sketch: &[u64; SKETCH_WORDS]) -> u64 {
    let set: u64 = sketch.iter().map(|word| u64::from(word.count_ones())).sum();
    let zero = (SKETCH_BITS - set).max(1) as f64 / SKETCH_BITS as f64;
    (-(SKETCH_BITS as f64) * zero.ln()).round() as u64
}

impl Burst {
    fn draft(&self, rule: &Rule, status: FindingStatus, replaces: Option<i64>) -> Draft {
        let Counts { events, errors, distinct, minutes } = self.peak;
        let cause = |minute: i64| minute.to_le_bytes().to_vec();
        let share = |part: u64| format!("{:.0} %", 100.0 * part as f64 / events.max(1) as f64);
        let usual = match self.usual {
            0.0 => "no habit yet".to_owned(),
            usual => format!("usually {:.0} a minute", usual.max(1.0)),
        };
        let what = match (&self.shape, &rule.distinct) {
            (Shape::Scan, Some(field)) => {
                format!("about {distinct} different values of {field} in {minutes} min, {} of {events} events failed", share(errors))
            }
            _ => format!("{events} events in {minutes} min, {usual}"),
        };
        let condition = |field: &str, expected: String, actual: String| Condition {
            selection: "rate".into(),
            field: field.into(),
            operator: "gte".into(),
            expected: expected.into(),
            actual: actual.into(),
        };
        let per_window = rule.factor * self.usual * minutes as f64;
        let floor = if self.shape == Shape::Flood { rule.burst_min } else { rule.events_min };
        let conditions = match self.shape {
            Shape::Scan => vec![
                condition("different values", rule.distinct_min.to_string(), distinct.to_string()),
                condition("failed", format!("{:.0} %", 100.0 * rule.errors_min), share(errors)),
            ],
            _ => vec![
                condition("events", floor.to_string(), events.to_string()),
                condition("events, by habit", format!("{per_window:.0}"), events.to_string()),
            ],
        };
        let at = |minute: i64| Timestamp::from_secs(minute * MINUTE_SECS);
        let mut events_named: Vec<_> = self.events.clone();
        events_named.sort();
        Draft {
            cause: cause(self.told.unwrap_or(self.first)),
            replaces: replaces.map(cause),
            status,
            revision: self.revision,
            time: at(self.first),
            window: (at(self.first - minutes + 1), at(self.last + 1)),
            events: events_named.into_iter().map(|(_, event)| event).collect(),
            event_count: events,
            what,
            conditions,
        }
    }
}

impl GroupState for Rate {
    type Rule = Rule;

    fn new() -> Self {
        Self { layout: LAYOUT, newest: i64::MIN, ..Self::default() }
    }

    fn add(&mut self, rule: &Rule, part: &Keyed, out: &mut Vec<Draft>) {
        self.received = self.received.max(part.received);
        self.lateness_secs = self.lateness_secs.max(lateness_secs(part));
        // What turns out to be somebody else's was counted all the same: a rate is no exact count.
        if part.is_taken_back {
            return;
        }
        let time = part.clamped();
        let minute = minute_of(time);
        if minute < self.newest.saturating_sub(rule.timespan_minutes + self.lateness_secs / MINUTE_SECS + 1) {
            return;
        }
        if minute > self.newest.saturating_add(rule.timespan_minutes) {
            self.recent.clear();
        }
        self.newest = self.newest.max(minute);
        self.promote(rule);
        let at = match self.minutes.binary_search_by_key(&minute, |one| one.minute) {
            Ok(at) => at,
            Err(at) => {
                self.minutes.insert(at, Minute { minute, events: 0, errors: 0, sketch: [0; SKETCH_WORDS], told: false });
                at
            }
        };
        let one = &mut self.minutes[at];
        if rule.errors == Some(part.part) {
            one.errors += 1;
        } else {
            one.events += 1;
            if let Some(value) = &part.value {
                let bit = xxh3_64(value.as_bytes()) % SKETCH_BITS;
                one.sketch[(bit / 64) as usize] |= 1 << (bit % 64);
            }
            if self.recent.len() < EVENTS_KEPT {
                self.recent.push((time.0, EventRef { uid: part.uid.clone(), position: part.position }));
            }
        }
        self.review(rule, minute, out);
    }

    fn due(&self, _rule: &Rule) -> Option<Timestamp> {
        let open = self.bursts.iter().filter(|burst| !burst.is_final);
        open.map(|burst| burst.received.plus_secs(self.lateness_secs)).min()
    }

    fn ripen(&mut self, rule: &Rule, now: Timestamp, out: &mut Vec<Draft>) {
        let lateness = self.lateness_secs;
        for burst in self.bursts.iter_mut().filter(|burst| !burst.is_final) {
            if burst.received.plus_secs(lateness) <= now {
                burst.is_final = true;
                burst.revision += 1;
                out.push(burst.draft(rule, FindingStatus::Final, None));
            }
        }
        let kept = minute_of(now) - 4 * rule.timespan_minutes;
        self.bursts.retain(|burst| !burst.is_final || burst.last > kept || minute_of(burst.received) > kept);
    }

    fn expires(&self, rule: &Rule) -> Timestamp {
        // A source without habit is as good as a new one once its minutes are over.
        let kept = if self.habit_minutes < HABIT_MINUTES_MIN { 86_400 } else { 4 * HABIT_HALF_LIFE_SECS };
        self.received.plus_secs(kept.max(4 * rule.timespan_minutes * MINUTE_SECS))
    }

    fn evidence(&self) -> usize {
        let events: u64 = self.minutes.iter().map(|minute| minute.events).sum();
        events.min(100_000) as usize + self.bursts.len()
    }

    fn write(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a struct of numbers and text has a binary form")
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.first() == Some(&LAYOUT) { postcard::from_bytes(bytes).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, feed, part, standing};
    use super::*;

    fn rule(text: &str) -> Rule {
        let section = yaml_serde::from_str(&format!("{{{text}}}")).expect("YAML");
        let rules = ["request".to_owned(), "failed".to_owned()];
        let count = if text.contains("errors") { 2 } else { 1 };
        Rule::compile(&section, 600, &rules[..count]).expect("a rule")
    }

    fn start() -> Timestamp {
        at("2026-11-02T09:00:00Z")
    }

    /// `count` requests from `from` on, evenly over `secs`; of every ten, `failed` fail; `paths` different ones.
    fn requests(from: i64, secs: i64, count: u64, failed: u64, paths: u64) -> Vec<Keyed> {
        let mut parts = Vec::new();
        for i in 0..count {
            let time = start().plus_secs(from + (i as i64 * secs) / count as i64);
            let mut one = part(from as u64 * 100_000 + i, time, time.plus_secs(1));
            one.value = Some(format!("/{}", i % paths).into());
            if i % 10 < failed {
                parts.push(Keyed { part: 1, value: None, ..one.clone() });
            }
            parts.push(one);
        }
        parts
    }

    fn told(rule: &Rule, parts: &[Keyed]) -> Vec<Draft> {
        standing(&feed(rule, &mut Rate::new(), parts))
    }

    #[test]
    fn floods_and_volumes_are_told_once_and_busy_clients_are_not() {
        let rule = rule("errors: failed, distinct: url.path");
        let flood = told(&rule, &requests(0, 120, 4_000, 0, 3));
        assert_eq!(flood.len(), 1);
        assert_eq!(flood[0].status, FindingStatus::Final);
        assert!(flood[0].what.ends_with("in 1 min, no habit yet"), "{}", flood[0].what);
        let volume = told(&rule, &requests(0, 3_000, 10_000, 0, 3));
        assert_eq!(volume.len(), 1);
        assert!(volume[0].what.contains("in 10 min"), "{}", volume[0].what);
        assert!(told(&rule, &requests(0, 3_000, 5_000, 0, 3)).is_empty(), "100 a minute is below the crowd's bound");
    }

    #[test]
    fn a_client_may_do_what_it_always_does() {
        let rule = rule("");
        let mut parts = requests(0, 3_600, 6_000, 0, 3);
        parts.extend(requests(3_600, 60, 350, 0, 3));
        assert!(told(&rule, &parts).is_empty(), "three and a half times its habit");
        let mut parts = requests(0, 3_600, 6_000, 0, 3);
        parts.extend(requests(3_600, 60, 1_500, 0, 3));
        let left = told(&rule, &parts);
        assert_eq!(left.len(), 1);
        assert!(left[0].what.contains("usually 100 a minute"), "{}", left[0].what);
    }

    #[test]
    fn a_scanner_is_told_and_a_reader_is_not() {
        let rule = rule("errors: failed, distinct: url.path");
        let scan = told(&rule, &requests(0, 240, 120, 8, 120));
        assert_eq!(scan.len(), 1);
        assert!(scan[0].what.contains("different values of url.path in 10 min, 80 % of"), "{}", scan[0].what);
        assert!(told(&rule, &requests(0, 240, 120, 1, 120)).is_empty(), "a crawler whose links work");
        assert!(told(&rule, &requests(0, 240, 120, 9, 4)).is_empty(), "a client that repeats one broken request");
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let rule = rule("errors: failed, distinct: url.path");
        let mut parts = requests(0, 240, 200, 8, 120);
        parts.iter_mut().for_each(|part| part.received = start().plus_secs(300));
        let key = |drafts: &[Draft]| drafts.iter().map(|d| (d.cause.clone(), d.what.clone(), d.event_count)).collect::<Vec<_>>();
        let forward = key(&told(&rule, &parts));
        parts.reverse();
        assert_eq!(key(&told(&rule, &parts)), forward);
        let (even, odd): (Vec<_>, Vec<_>) = parts.into_iter().enumerate().partition(|(i, _)| i % 2 == 0);
        let mixed: Vec<Keyed> = odd.into_iter().chain(even).map(|(_, part)| part).collect();
        assert_eq!(key(&told(&rule, &mixed)), forward);
    }

    #[test]
    fn the_sketch_counts_and_state_stays_small() {
        for count in [1u64, 40, 200, 700] {
            let mut sketch = [0u64; SKETCH_WORDS];
            for i in 0..count {
                let bit = xxh3_64(format!("/{i}").as_bytes()) % SKETCH_BITS;
                sketch[(bit / 64) as usize] |= 1 << (bit % 64);
            }
            let got = estimate(&sketch);
            assert!(got.abs_diff(count) as f64 <= 1.0 + count as f64 * 0.2, "{got} {count}");
        }
        let mut state = Rate::new();
        feed(&rule(""), &mut state, &requests(0, 20_000, 20_000, 0, 5_000));
        assert!(state.minutes.len() <= MINUTES_MAX && state.write().len() < 12_000, "{}", state.write().len());
    }

    #[test]
    fn options_are_checked() {
        let compile = |text: &str, rules: &[String]| Rule::compile(&yaml_serde::from_str(text).expect("YAML"), 600, rules);
        let one = ["request".to_owned()];
        for wrong in ["errors: other", "errors: request", "burst: 3", "factor: 0.5", "distinct_min: 5000"] {
            assert!(compile(wrong, &one).is_err(), "{wrong}");
        }
        assert!(compile("{}", &["a".into(), "b".into()]).is_err(), "the second rule has no role");
    }
}
