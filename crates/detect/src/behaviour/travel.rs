//! `impossible_travel`: a principal's events came from two places, and no aeroplane goes that fast.
//!
//! **Sees** the base rules' events that have a place, per group, in the order of event time. **Raises** one
//! finding per pair of places and burst when the great-circle distance between two consecutive events is at
//! least `distance_km_min` and the speed above `speed_kmh`. The order of arrival does not matter within the
//! allowed lateness: an event that comes late between two others takes their journey apart, and what was told
//! about it is replaced, or withdrawn if no journey is left.
//!
//! Options, with their defaults: `timespan` (24h, in which half the world can be flown round), `speed_kmh`
//! (900), `distance_km_min` (300; GeoIP places a mobile phone at its provider's gateway), and under `ignore`:
//! `agents` (parts of user agents), `networks` (CIDR), `hosting` (true: addresses of data centres, VPN and
//! relay services are no place), `shared_egress` (5: an address that so many principals use is an office's or
//! VPN's exit and no place; see `crate::front`), `habitual_days` (3: a pair of places seen on so many days
//! within 30 is a habit of this principal and is not told again).
//!
//! **What it cannot see:** an attacker who comes through a data centre or VPN is nowhere and does not travel;
//! a `new_terms` rule over the network's owner is for that. **False positives:** a VPN that no list knows, a
//! phone that roams through its home network, an address that changed hands since the database was made.
//! ATT&CK: T1078, T1550.

use super::place::{Place, PlaceKey, distance_km, is_nowhere, speed_kmh, thousands};
use super::{lateness_secs, within};
use crate::Keyed;
use crate::stateful::{Draft, EventRef, GroupState};
use event::{Condition, Finding, FindingStatus, Timestamp};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Most located events that a principal keeps; between two of one place the middle ones go first.
const VISITS_MAX: usize = 256;
/// Most bursts under way or still recognised, and most journeys that one burst lists.
const BURSTS_MAX: usize = 16;
const LEGS_MAX: usize = 16;
/// Journeys between the same places that are further apart are news again.
const BURST_GAP_SECS: i64 = 12 * 3_600;
/// Most pairs of places that are a principal's habit, and how long one stays so without being seen.
const HABITS_MAX: usize = 32;
const HABIT_SECS: i64 = 30 * 86_400;
/// Most agents and networks that one rule ignores.
const IGNORED_MAX: usize = 1_000;
const LAYOUT: u8 = 1;

/// Its own keys.
pub(crate) const KEYS: &[&str] = &["speed_kmh", "distance_km_min", "ignore"];

/// The compiled options.
#[derive(Debug)]
pub(crate) struct Rule {
    timespan_secs: i64,
    speed_kmh: f64,
    distance_km_min: f64,
    ignore: Ignore,
    networks: Vec<IpNet>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    speed_kmh: f64,
    distance_km_min: f64,
    ignore: Ignore,
}

impl Default for Written {
    fn default() -> Self {
        Self { speed_kmh: 900.0, distance_km_min: 300.0, ignore: Ignore::default() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Ignore {
    agents: Vec<String>,
    /// Networks, or single addresses.
    networks: Vec<String>,
    hosting: bool,
    shared_egress: u16,
    habitual_days: u32,
}

impl Default for Ignore {
    fn default() -> Self {
        Self { agents: Vec::new(), networks: Vec::new(), hosting: true, shared_egress: 5, habitual_days: 3 }
    }
}

impl Rule {
    pub(crate) fn compile(section: &yaml_serde::Value, timespan_secs: i64) -> Result<Self, String> {
        let mut written: Written = super::options(section)?;
        within("speed_kmh", written.speed_kmh, 1.0, 100_000.0)?;
        within("distance_km_min", written.distance_km_min, 1.0, 20_000.0)?;
        within("shared_egress", written.ignore.shared_egress, 2, crate::front::PRINCIPALS_MAX as u16)?;
        within("habitual_days", written.ignore.habitual_days, 1, 30)?;
        within("the number of ignored agents", written.ignore.agents.len(), 0, IGNORED_MAX)?;
        within("the number of ignored networks", written.ignore.networks.len(), 0, IGNORED_MAX)?;
        for agent in &mut written.ignore.agents {
            *agent = agent.to_lowercase();
        }
        let Written { speed_kmh, distance_km_min, ignore } = written;
        let networks = ignore.networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?;
        Ok(Self { timespan_secs, speed_kmh, distance_km_min, ignore, networks })
    }

    /// Where the person is; `None` if the event does not say.
    fn place(&self, part: &Keyed) -> Option<Place> {
        let place = Place::of(&part.summary)?;
        let ignore = &self.ignore;
        let owner = place.network.as_ref().map(|(_, owner)| owner.as_str());
        if ignore.hosting && owner.is_some_and(is_nowhere) || part.sharers >= ignore.shared_egress {
            return None;
        }
        if !ignore.agents.is_empty() {
            let agent = part.summary.agent.as_deref().unwrap_or_default().to_lowercase();
            if ignore.agents.iter().any(|word| agent.contains(word)) {
                return None;
            }
        }
        let ip: Option<IpAddr> = place.ip.parse().ok();
        let ignored = ip.is_some_and(|ip| self.networks.iter().any(|network| network.contains(&ip)));
        (!ignored).then_some(place)
    }

    /// Whether nobody goes from one to the other in that time.
    fn is_impossible(&self, leg: &Leg) -> bool {
        let distance = leg.distance_km();
        let gap = leg.to.time.0 - leg.from.time.0;
        distance >= self.distance_km_min && gap <= self.timespan_secs * 1_000_000 && leg.speed_kmh() > self.speed_kmh
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| single()).map_err(|_| format!("ignore: `{text}` is no network and no address"))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    #[serde(with = "super::micros")]
    time: Timestamp,
    event: EventRef,
    #[serde(with = "super::micros")]
    received: Timestamp,
    place: Place,
}

impl Visit {
    fn order(&self) -> (Timestamp, &EventRef) {
        (self.time, &self.event)
    }
}

/// Two consecutive visits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Leg {
    from: Visit,
    to: Visit,
}

impl Leg {
    fn distance_km(&self) -> f64 {
        distance_km(&self.from.place, &self.to.place)
    }

    fn speed_kmh(&self) -> f64 {
        speed_kmh(self.distance_km(), self.from.time, self.to.time)
    }

    /// The two places, the same for the way back.
    fn pair(&self) -> (PlaceKey, PlaceKey) {
        let (a, b) = (self.from.place.key(), self.to.place.key());
        (a.min(b), a.max(b))
    }

    fn is_of(&self, from: &Visit, to: &Visit) -> bool {
        self.from.event == from.event && self.to.event == to.event
    }
}

/// Journeys between the same two places, each soon after another.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Burst {
    pair: (PlaceKey, PlaceKey),
    /// In order of event time.
    legs: Vec<Leg>,
    /// Journeys that there was no room for.
    more: u64,
    /// When the last one came to the log.
    #[serde(with = "super::micros")]
    received: Timestamp,
    told: Option<Vec<u8>>,
    revision: u32,
    is_final: bool,
    /// It is the principal's habit, and is not told.
    silent: bool,
    /// Its journeys changed with the event at hand.
    #[serde(skip)]
    changed: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Habit {
    pair: (PlaceKey, PlaceKey),
    days: u32,
    last_day: i64,
}

/// One principal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Travel {
    /// First, so that it is the first byte.
    layout: u8,
    /// In order of event time.
    visits: Vec<Visit>,
    bursts: Vec<Burst>,
    habits: Vec<Habit>,
    #[serde(with = "super::micros")]
    received: Timestamp,
    /// The longest lateness of its events' sources.
    lateness_secs: i64,
}

impl Travel {
    /// The visit's place in the order, or `None` if it is known.
    fn insert(&mut self, visit: Visit) -> Option<usize> {
        let at = self.visits.binary_search_by(|other| other.order().cmp(&visit.order())).err()?;
        self.visits.insert(at, visit);
        Some(at)
    }

    /// Lets go of visits that the log's clock has left behind, and of the inner ones of a stay. `keep` is the
    /// newest visit, whose journeys are not judged yet.
    fn thin(&mut self, rule: &Rule, keep: &EventRef) {
        let cutoff = self.received.plus_secs(-(rule.timespan_secs + self.lateness_secs));
        self.visits.retain(|visit| visit.received >= cutoff || visit.event == *keep);
        if self.visits.len() <= VISITS_MAX {
            return;
        }
        let inner = |w: &[Visit]| w[1].event != *keep && w[0].place.key() == w[1].place.key() && w[1].place.key() == w[2].place.key();
        let at = match self.visits.windows(3).position(inner) {
            Some(before) => before + 1,
            None => usize::from(self.visits[0].event == *keep),
        };
        self.visits.remove(at);
    }

    /// A late visit stands between two others: their journey was none.
    fn take_apart(&mut self, from: &Visit, to: &Visit) {
        for burst in self.bursts.iter_mut().filter(|burst| !burst.is_final) {
            let count = burst.legs.len();
            burst.legs.retain(|leg| !leg.is_of(from, to));
            burst.changed |= burst.legs.len() != count;
        }
    }

    /// The event was somebody else's: its journeys were none, and the visits around it are neighbours.
    fn take_back(&mut self, rule: &Rule, uid: &str, out: &mut Vec<Draft>) {
        let Some(at) = self.visits.iter().position(|visit| visit.event.uid == *uid) else { return };
        let gone = self.visits.remove(at);
        let before = at.checked_sub(1).map(|i| self.visits[i].clone());
        let after = self.visits.get(at).cloned();
        for (from, to) in [(before.as_ref(), Some(&gone)), (Some(&gone), after.as_ref())] {
            if let (Some(from), Some(to)) = (from, to) {
                self.take_apart(from, to);
            }
        }
        if let (Some(from), Some(to)) = (before, after)
            && rule.is_impossible(&Leg { from: from.clone(), to: to.clone() })
        {
            self.put(rule, Leg { from, to });
        }
        self.settle(rule, out);
    }

    /// Adds a journey to the burst it belongs to.
    fn put(&mut self, rule: &Rule, leg: Leg) {
        let span = BURST_GAP_SECS.min(rule.timespan_secs) * 1_000_000;
        let pair = leg.pair();
        let near = |burst: &Burst| burst.legs.iter().any(|other| (other.from.time.0 - leg.from.time.0).abs() <= span);
        let received = leg.from.received.max(leg.to.received);
        if let Some(burst) = self.bursts.iter_mut().find(|burst| burst.pair == pair && near(burst)) {
            return burst.add(leg);
        }
        if self.bursts.len() >= BURSTS_MAX {
            let oldest = (0..self.bursts.len()).min_by_key(|i| (!self.bursts[*i].is_final, self.bursts[*i].received));
            self.bursts.remove(oldest.unwrap_or(0));
        }
        let silent = self.is_habit(rule, pair, leg.from.time);
        self.bursts.push(Burst {
            pair,
            legs: vec![leg],
            more: 0,
            received,
            told: None,
            revision: 0,
            is_final: false,
            silent,
            changed: true,
        });
    }

    fn is_habit(&self, rule: &Rule, pair: (PlaceKey, PlaceKey), time: Timestamp) -> bool {
        let since = (time.secs() - HABIT_SECS).div_euclid(86_400);
        let found = self.habits.iter().find(|habit| habit.pair == pair);
        found.is_some_and(|habit| habit.days >= rule.ignore.habitual_days && habit.last_day >= since)
    }

    /// Remembers the day on which a pair of places was seen.
    fn learn(&mut self, pair: (PlaceKey, PlaceKey), day: i64) {
        if let Some(habit) = self.habits.iter_mut().find(|habit| habit.pair == pair) {
            if day - habit.last_day > HABIT_SECS / 86_400 {
                (habit.days, habit.last_day) = (1, day);
            } else if day > habit.last_day {
                (habit.days, habit.last_day) = (habit.days + 1, day);
            }
            return;
        }
        if self.habits.len() >= HABITS_MAX
            && let Some(oldest) = (0..self.habits.len()).min_by_key(|i| self.habits[*i].last_day)
        {
            self.habits.remove(oldest);
        }
        self.habits.push(Habit { pair, days: 1, last_day: day });
    }

    /// Tells what changed. Where a burst that was told has no journey left, the first new one takes its place.
    fn settle(&mut self, rule: &Rule, out: &mut Vec<Draft>) {
        let (empty, bursts) = std::mem::take(&mut self.bursts).into_iter().partition(|burst: &Burst| burst.legs.is_empty());
        self.bursts = bursts;
        let mut gone: Vec<Burst> = empty.into_iter().filter(|burst| burst.told.is_some()).collect();
        for burst in self.bursts.iter_mut().filter(|burst| burst.changed) {
            burst.changed = false;
            let cause = burst.cause();
            if burst.silent || burst.is_final || burst.told.as_ref() == Some(&cause) {
                continue;
            }
            let before = burst.told.replace(cause).or_else(|| gone.pop().and_then(|burst| burst.told));
            burst.revision = 0;
            out.push(burst.draft(rule, FindingStatus::Provisional, before));
        }
        out.extend(gone.into_iter().filter_map(Burst::withdrawal));
    }

    /// Bursts whose late events have had their time.
    fn lapsed(&self, rule: &Rule, burst: &Burst, now: Timestamp) -> bool {
        burst.is_final && burst.received.plus_secs(rule.timespan_secs + self.lateness_secs) < now
    }
}

impl Burst {
    fn add(&mut self, leg: Leg) {
        let at = self.legs.partition_point(|other| other.from.order() < leg.from.order());
        self.received = self.received.max(leg.to.received).max(leg.from.received);
        self.changed = true;
        if self.legs.len() < LEGS_MAX || at == 0 {
            self.legs.insert(at, leg);
        } else {
            self.more += 1;
        }
        if self.legs.len() > LEGS_MAX {
            self.legs.pop();
            self.more += 1;
        }
    }

    /// The first journey's events.
    fn cause(&self) -> Vec<u8> {
        let Some(leg) = self.legs.first() else { return Vec::new() };
        let mut cause = Vec::new();
        for visit in [&leg.from, &leg.to] {
            cause.extend(visit.time.0.to_le_bytes());
            cause.extend((visit.event.uid.len() as u32).to_le_bytes());
            cause.extend(visit.event.uid.as_bytes());
        }
        cause
    }

    fn draft(&self, rule: &Rule, status: FindingStatus, replaces: Option<Vec<u8>>) -> Draft {
        let (first, last) = (&self.legs[0], &self.legs[self.legs.len() - 1]);
        let mut visits: Vec<&Visit> = self.legs.iter().flat_map(|leg| [&leg.from, &leg.to]).collect();
        visits.sort_by_key(|visit| visit.order());
        visits.dedup_by_key(|visit| visit.order());
        Draft {
            cause: self.told.clone().unwrap_or_else(|| self.cause()),
            replaces,
            status,
            revision: self.revision,
            time: first.to.time,
            window: (first.from.time, last.to.time),
            event_count: visits.len() as u64 + self.more,
            events: visits.iter().take(Finding::EVENTS_MAX).map(|visit| visit.event.clone()).collect(),
            what: self.what(),
            conditions: self.conditions(rule),
        }
    }

    /// `Berlin, DE to Lagos, NG, 5,210 km in 22 min (14,200 km/h)`
    fn what(&self) -> String {
        let leg = &self.legs[0];
        let (from, to) = (leg.from.place.name(), leg.to.place.name());
        let secs = (leg.to.time.0 - leg.from.time.0) / 1_000_000;
        let speed = significant(leg.speed_kmh());
        let km = thousands(significant(leg.distance_km()));
        let again = match self.legs.len() as u64 + self.more {
            1 => String::new(),
            count => format!(", {count} times between the two"),
        };
        format!("{from} to {to}, {km} km in {} ({} km/h){again}", took(secs), thousands(speed))
    }

    fn conditions(&self, rule: &Rule) -> Vec<Condition> {
        let leg = &self.legs[0];
        let condition = |field: &str, operator: &str, expected: String, actual: String| Condition {
            selection: "travel".into(),
            field: field.into(),
            operator: operator.into(),
            expected: expected.into(),
            actual: crate::sigma::cut(&actual, 256),
        };
        let km = |number: f64| format!("{} km", thousands(number));
        let side = |visit: &Visit| {
            let owner = visit.place.network.as_ref().map_or("", |(_, owner)| owner.as_str());
            format!("{} {} {owner} at {}", visit.place.ip, visit.place.name(), visit.time).replace("  ", " ")
        };
        vec![
            condition("distance", "gte", km(rule.distance_km_min), km(significant(leg.distance_km()))),
            condition("speed", "gt", format!("{}/h", km(rule.speed_kmh)), format!("{}/h", km(significant(leg.speed_kmh())))),
            condition("from", "equals", "a place".into(), side(&leg.from)),
            condition("to", "equals", "another place".into(), side(&leg.to)),
        ]
    }

    fn withdrawal(self) -> Option<Draft> {
        let cause = self.told?;
        Some(Draft {
            cause,
            replaces: None,
            status: FindingStatus::Withdrawn,
            revision: self.revision + 1,
            time: self.received,
            window: (self.received, self.received),
            events: Vec::new(),
            event_count: 0,
            what: "late events show stops in between: no journey is left that is too fast".into(),
            conditions: Vec::new(),
        })
    }
}

/// Two or three significant digits: the places are not known better.
fn significant(number: f64) -> f64 {
    if number < 1_000.0 {
        return number.round();
    }
    let unit = 10f64.powi(number.log10().floor() as i32 - 2);
    (number / unit).round() * unit
}

/// `40 s`, `22 min`, `7 h 5 min`.
fn took(secs: i64) -> String {
    match secs {
        ..120 => format!("{} s", secs.max(0)),
        120..7_200 => format!("{} min", secs / 60),
        _ => format!("{} h {} min", secs / 3_600, secs % 3_600 / 60),
    }
}

impl GroupState for Travel {
    type Rule = Rule;

    fn new() -> Self {
        Self { layout: LAYOUT, ..Self::default() }
    }

    fn add(&mut self, rule: &Rule, part: &Keyed, out: &mut Vec<Draft>) {
        self.received = self.received.max(part.received);
        self.lateness_secs = self.lateness_secs.max(lateness_secs(part));
        if part.is_taken_back {
            return self.take_back(rule, &part.uid, out);
        }
        let Some(place) = rule.place(part) else { return };
        let time = part.clamped();
        let event = EventRef { uid: part.uid.clone(), position: part.position };
        let visit = Visit { time, event: event.clone(), received: part.received, place };
        if self.insert(visit).is_none() {
            return;
        }
        self.thin(rule, &event);
        let Some(at) = self.visits.iter().position(|visit| visit.event == event) else { return };
        let before = at.checked_sub(1).map(|i| self.visits[i].clone());
        let (here, after) = (self.visits[at].clone(), self.visits.get(at + 1).cloned());
        if let (Some(before), Some(after)) = (&before, &after) {
            self.take_apart(before, after);
        }
        let legs = [before.map(|from| Leg { from, to: here.clone() }), after.map(|to| Leg { from: here, to })];
        for leg in legs.into_iter().flatten().filter(|leg| rule.is_impossible(leg)) {
            self.put(rule, leg);
        }
        self.settle(rule, out);
    }

    fn due(&self, _rule: &Rule) -> Option<Timestamp> {
        let open = self.bursts.iter().filter(|burst| !burst.is_final);
        open.map(|burst| burst.received.plus_secs(self.lateness_secs)).min()
    }

    fn ripen(&mut self, rule: &Rule, now: Timestamp, out: &mut Vec<Draft>) {
        let mut learnt = Vec::new();
        let lateness = self.lateness_secs;
        for burst in &mut self.bursts {
            if burst.is_final || burst.received.plus_secs(lateness) > now {
                continue;
            }
            burst.is_final = true;
            burst.revision += 1;
            learnt.push((burst.pair, burst.legs[0].from.time.secs().div_euclid(86_400)));
            if !burst.silent {
                out.push(burst.draft(rule, FindingStatus::Final, None));
            }
        }
        for (pair, day) in learnt {
            self.learn(pair, day);
        }
        let mut bursts = std::mem::take(&mut self.bursts);
        bursts.retain(|burst| !self.lapsed(rule, burst, now));
        self.bursts = bursts;
    }

    fn expires(&self, rule: &Rule) -> Timestamp {
        let kept = if self.habits.is_empty() { 0 } else { HABIT_SECS };
        self.received.plus_secs((rule.timespan_secs + self.lateness_secs).max(kept))
    }

    fn evidence(&self) -> usize {
        self.visits.len() + self.bursts.len() + self.habits.len()
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

    const BERLIN: (f64, f64, &str, &str) = (52.52, 13.405, "DE", "Berlin");
    const POTSDAM: (f64, f64, &str, &str) = (52.39, 13.06, "DE", "Potsdam");
    const LAGOS: (f64, f64, &str, &str) = (6.455, 3.394, "NG", "Lagos");
    const MADRID: (f64, f64, &str, &str) = (40.4168, -3.7038, "ES", "Madrid");

    fn rule(text: &str) -> Rule {
        let section = yaml_serde::from_str(&format!("{{{text}}}")).expect("YAML");
        Rule::compile(&section, 86_400).expect("a rule")
    }

    fn visit(ordinal: u64, time: &str, place: (f64, f64, &str, &str), owner: &str) -> Keyed {
        let mut part = part(ordinal, at(time), at(time));
        let (lat, long, country, city) = place;
        part.summary.place = Some((lat, long, country.into()));
        part.summary.city = Some(city.into());
        part.summary.network = Some((3_320 + city.len() as i64, owner.into()));
        part.summary.source_ip = Some(format!("192.0.2.{ordinal}").into());
        part.summary.agent = Some("Mozilla/5.0".into());
        part
    }

    fn told(rule: &Rule, parts: &[Keyed]) -> Vec<Draft> {
        feed(rule, &mut Travel::new(), parts)
    }

    #[test]
    fn two_continents_in_minutes_are_told_once_and_made_final() {
        let parts = [
            visit(1, "2026-11-02T09:00:00Z", BERLIN, "Telekom"),
            visit(2, "2026-11-02T09:22:00Z", LAGOS, "MTN"),
            visit(3, "2026-11-02T09:30:00Z", BERLIN, "Telekom"),
        ];
        let drafts = told(&rule(""), &parts);
        let shown: Vec<_> = drafts.iter().map(|d| (d.status, d.revision, d.event_count)).collect();
        assert_eq!(shown, [(FindingStatus::Provisional, 0, 2), (FindingStatus::Final, 1, 3)]);
        assert_eq!(drafts[0].what, "Berlin, DE to Lagos, NG, 5,200 km in 22 min (14,200 km/h)");
        assert_eq!(drafts[1].what, "Berlin, DE to Lagos, NG, 5,200 km in 22 min (14,200 km/h), 2 times between the two");
        assert_eq!(drafts[0].cause, drafts[1].cause);
        assert_eq!(drafts[1].time, at("2026-11-02T09:22:00Z"));
    }

    #[test]
    fn what_an_aeroplane_does_is_no_finding() {
        for parts in [
            vec![visit(1, "2026-11-02T09:00:00Z", BERLIN, ""), visit(2, "2026-11-02T16:00:00Z", LAGOS, "")],
            vec![visit(1, "2026-11-02T09:00:00Z", BERLIN, ""), visit(2, "2026-11-02T09:00:01Z", POTSDAM, "")],
            vec![visit(1, "2026-11-02T09:00:00Z", BERLIN, "")],
        ] {
            assert!(told(&rule(""), &parts).is_empty());
        }
        let both = [visit(1, "2026-11-02T09:00:00Z", BERLIN, ""), visit(2, "2026-11-02T09:00:01Z", POTSDAM, "")];
        assert_eq!(standing(&told(&rule("distance_km_min: 10"), &both)).len(), 1, "a nearer bound sees nearer places");
    }

    #[test]
    fn data_centres_offices_agents_and_listed_networks_are_no_place() {
        let home = visit(1, "2026-11-02T09:00:00Z", BERLIN, "Telekom");
        let away = |owner: &str| visit(2, "2026-11-02T09:10:00Z", LAGOS, owner);
        let both = |one: Keyed| [home.clone(), one];
        assert!(told(&rule(""), &both(away("M247 Europe SRL"))).is_empty());
        assert_eq!(standing(&told(&rule("ignore: {hosting: false}"), &both(away("M247 Europe SRL")))).len(), 1);
        let mut shared = away("MTN");
        shared.sharers = 5;
        assert!(told(&rule(""), &both(shared.clone())).is_empty());
        shared.sharers = 4;
        assert_eq!(standing(&told(&rule(""), &both(shared))).len(), 1);
        assert!(told(&rule("ignore: {networks: [192.0.2.0/30]}"), &both(away("MTN"))).is_empty());
        assert!(told(&rule("ignore: {networks: ['192.0.2.2']}"), &both(away("MTN"))).is_empty());
        assert!(told(&rule("ignore: {agents: [MOZILLA]}"), &both(away("MTN"))).is_empty());
        let mut unknown = away("MTN");
        unknown.summary.place = Some((0.0, 0.0, "".into()));
        assert!(told(&rule(""), &both(unknown)).is_empty());
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let mut parts = [
            visit(1, "2026-11-02T09:00:00Z", BERLIN, ""),
            visit(2, "2026-11-02T09:05:00Z", MADRID, ""),
            visit(3, "2026-11-02T09:09:00Z", LAGOS, ""),
            visit(4, "2026-11-02T09:12:00Z", MADRID, ""),
        ];
        for part in &mut parts {
            part.received = at("2026-11-02T09:14:00Z");
        }
        let mut seen: Option<Vec<_>> = None;
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [2, 0, 3, 1], [1, 3, 0, 2], [0, 3, 2, 1]] {
            let drafts = told(&rule(""), &order.map(|i| parts[i].clone()));
            let left: Vec<_> = standing(&drafts).into_iter().map(|d| (d.cause, d.what, d.events, d.status)).collect();
            assert_eq!(left.len(), 2, "{left:?}");
            assert_eq!(&left, seen.get_or_insert_with(|| left.clone()), "{order:?}");
        }
    }

    #[test]
    fn a_late_event_that_splits_the_journey_replaces_what_was_told() {
        let parts = [
            visit(1, "2026-11-02T09:00:00Z", BERLIN, ""),
            visit(3, "2026-11-02T09:20:00Z", LAGOS, ""),
            Keyed { received: at("2026-11-02T09:21:00Z"), ..visit(2, "2026-11-02T09:10:00Z", MADRID, "") },
        ];
        let drafts = told(&rule(""), &parts);
        assert_eq!(drafts[1].replaces.as_ref(), Some(&drafts[0].cause));
        let left = standing(&drafts);
        assert_eq!(left.len(), 2);
        assert!(left.iter().all(|draft| draft.status == FindingStatus::Final));
        // Steps below the least distance: nothing is left of it.
        let halfway = (50.0, 11.0, "DE", "Middle");
        let near = (48.137, 11.575, "DE", "Munich");
        let parts = [
            visit(1, "2026-11-02T09:00:00Z", BERLIN, ""),
            visit(3, "2026-11-02T09:20:00Z", near, ""),
            Keyed { received: at("2026-11-02T09:21:00Z"), ..visit(2, "2026-11-02T09:10:00Z", halfway, "") },
        ];
        let drafts = told(&rule("distance_km_min: 400"), &parts);
        assert_eq!(drafts.last().map(|draft| draft.status), Some(FindingStatus::Withdrawn));
        assert!(standing(&drafts).is_empty());
    }

    #[test]
    fn what_was_somebody_elses_is_taken_back() {
        let parts = [
            visit(1, "2026-11-02T09:00:00Z", BERLIN, ""),
            visit(2, "2026-11-02T09:10:00Z", LAGOS, ""),
            Keyed { is_taken_back: true, ..visit(2, "2026-11-02T09:10:00Z", LAGOS, "") },
        ];
        let drafts = told(&rule(""), &parts);
        assert_eq!(drafts.iter().map(|d| d.status).collect::<Vec<_>>(), [FindingStatus::Provisional, FindingStatus::Withdrawn]);
    }

    #[test]
    fn a_pair_of_places_becomes_a_habit_and_stops_being_one() {
        let rule = rule("");
        let mut state = Travel::new();
        let mut told = Vec::new();
        let days = (2..=6).map(|day| format!("2026-11-0{day}")).chain(["2027-01-15".into()]);
        for (i, day) in days.enumerate() {
            let n = i as u64 * 2;
            let pair = [
                visit(n, &format!("{day}T09:00:00Z"), BERLIN, "Telekom"),
                visit(n + 1, &format!("{day}T09:22:00Z"), LAGOS, "MTN"),
            ];
            told.push(standing(&feed(&rule, &mut state, &pair)).len());
        }
        assert_eq!(told, [1, 1, 1, 0, 0, 1], "three days teach it, and a month without it unteaches it");
    }

    #[test]
    fn a_flood_of_places_is_bounded() {
        let parts: Vec<Keyed> = (0..3_000)
            .map(|i| {
                let time = at("2026-11-02T09:00:00Z").plus_secs(i);
                let mut part = visit(i as u64, "2026-11-02T09:00:00Z", (0.5 + (i % 90) as f64, (i % 170) as f64, "DE", ""), "");
                (part.time, part.received) = (time, time);
                part
            })
            .collect();
        let mut state = Travel::new();
        feed(&rule(""), &mut state, &parts);
        assert!(state.visits.len() <= VISITS_MAX && state.bursts.len() <= BURSTS_MAX && state.habits.len() <= HABITS_MAX);
        assert!(state.write().len() < 200_000);
        assert!(Travel::read(b"{}").is_none() && Travel::read(b"\xff").is_none());
    }

    #[test]
    fn options_are_checked() {
        let compile = |text: &str| Rule::compile(&yaml_serde::from_str(text).expect("YAML"), 86_400);
        for wrong in ["speed_kph: 900", "speed_kmh: -1", "ignore: {networks: [nowhere]}", "ignore: {shared_egress: 99}", "distance_km_min: x"] {
            assert!(compile(wrong).is_err(), "{wrong}");
        }
        assert!(compile("{}").is_ok());
    }
}
