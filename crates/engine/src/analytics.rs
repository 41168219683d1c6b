//! Rolling counters of the last 24 hours, in memory: what the overview shows without a search.

use ahash::AHashMap;
use event::{CompactString, Event, Severity, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// How far back the counters reach.
pub const HOURS: i64 = 24;
/// Distinct users and addresses counted per hour. Beyond it the least seen half is forgotten: a spray of
/// addresses costs a bounded amount and cannot push out those that are seen often.
const KEYS_PER_HOUR_MAX: usize = 5_000;
/// Places on the map.
const MARKERS_MAX: usize = 400;
/// Widest spread of minutes kept, so that events with wild times cannot grow the map.
const MINUTES_MAX: usize = HOURS as usize * 60 + 60;

/// Counts by severity.
pub type BySeverity = BTreeMap<Severity, u64>;

/// One bucket of the timeline, event time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Bucket {
    pub start: Timestamp,
    pub events: u64,
    /// Events that matched no rule are counted as informational.
    pub severities: BySeverity,
    pub http_status: BTreeMap<&'static str, u64>,
}

/// A user or an address with its counts of the last 24 h.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Top {
    pub value: String,
    pub events: u64,
    /// Events that matched a rule or a threat list.
    pub suspicious: u64,
    /// … with level high or critical.
    pub high: u64,
    pub country: Option<String>,
    pub last_seen: Timestamp,
}

/// A live marker: where events came from, and the worst of them.
#[derive(Clone, Debug, Serialize)]
pub struct Marker {
    pub lat: f64,
    pub long: f64,
    pub country: String,
    pub city: Option<String>,
    pub ip: String,
    pub events: u64,
    pub severity: Severity,
    pub last_seen: Timestamp,
}

#[derive(Clone, Default)]
struct Minute {
    events: u64,
    severities: [u64; 5],
    http: [u64; 5],
}

const HTTP_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[derive(Clone, Default)]
struct Count {
    events: u64,
    suspicious: u64,
    high: u64,
    country: Option<CompactString>,
    last_seen: Timestamp,
}

#[derive(Default)]
struct Hour {
    users: AHashMap<CompactString, Count>,
    ips: AHashMap<CompactString, Count>,
}

/// The part of an event that is counted.
pub struct Counted<'a> {
    pub time: Timestamp,
    pub severity: Severity,
    pub threat: bool,
    pub status: Option<i64>,
    pub user: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub country: Option<&'a str>,
    pub city: Option<&'a str>,
    pub place: Option<(f64, f64)>,
}

impl<'a> From<&'a Event> for Counted<'a> {
    fn from(event: &'a Event) -> Self {
        let src = &event.ocsf.src;
        Self {
            time: event.time,
            severity: event.severity,
            threat: event.is_threat(),
            status: event.ocsf.http.response_code,
            user: event.ocsf.user_name.as_deref(),
            ip: src.ip.as_deref(),
            country: src.location.country.as_deref(),
            city: src.location.city.as_deref(),
            place: src.location.lat.zip(src.location.long),
        }
    }
}

#[derive(Default)]
pub struct Analytics {
    minutes: BTreeMap<i64, Minute>,
    hours: BTreeMap<i64, Hour>,
    markers: AHashMap<CompactString, Marker>,
}

impl Analytics {
    /// Counts an event if it is of the last 24 hours before `now` (and not from the future).
    pub fn count(&mut self, event: &Counted<'_>, now: Timestamp) {
        let newest = now.plus_secs(300);
        if event.time > newest || event.time < now.plus_secs(-HOURS * 3600) {
            return;
        }
        self.count_minute(event);
        self.count_keys(event);
        self.mark(event);
    }

    fn count_minute(&mut self, event: &Counted<'_>) {
        let minute = self.minutes.entry(event.time.secs().div_euclid(60)).or_default();
        minute.events += 1;
        minute.severities[event.severity as usize] += 1;
        if let Some(class) = event.status.map(|code| code / 100).filter(|class| (1..=5).contains(class)) {
            minute.http[class as usize - 1] += 1;
        }
        if self.minutes.len() > MINUTES_MAX {
            self.minutes.pop_first();
        }
    }

    fn count_keys(&mut self, event: &Counted<'_>) {
        let hour = self.hours.entry(event.time.secs().div_euclid(3600)).or_default();
        if let Some(user) = event.user {
            count_key(&mut hour.users, user, event);
        }
        if let Some(ip) = event.ip {
            count_key(&mut hour.ips, ip, event);
        }
        if self.hours.len() > HOURS as usize + 1 {
            self.hours.pop_first();
        }
    }

    fn mark(&mut self, event: &Counted<'_>) {
        let (Some((lat, long)), Some(ip)) = (event.place, event.ip) else { return };
        if let Some(marker) = self.markers.get_mut(ip) {
            marker.events += 1;
            marker.severity = marker.severity.max(event.severity);
            marker.last_seen = marker.last_seen.max(event.time);
            return;
        }
        if self.markers.len() >= MARKERS_MAX {
            self.forget_markers();
        }
        let marker = Marker {
            lat,
            long,
            country: event.country.unwrap_or_default().to_owned(),
            city: event.city.map(str::to_owned),
            ip: ip.to_owned(),
            events: 1,
            severity: event.severity,
            last_seen: event.time,
        };
        self.markers.insert(ip.into(), marker);
    }

    /// Drops the quarter that says least: mild before severe, old before new.
    fn forget_markers(&mut self) {
        let mut order: Vec<_> = self.markers.iter().map(|(k, m)| (m.severity, m.last_seen, k.clone())).collect();
        order.sort();
        for (_, _, key) in order.into_iter().take(MARKERS_MAX / 4) {
            self.markers.remove(&key);
        }
    }

    /// Buckets of `bucket_secs` (a multiple of 60) over the last `hours`, oldest first, empty ones included.
    pub fn timeline(&self, hours: u32, bucket_secs: u32, now: Timestamp) -> Vec<Bucket> {
        let hours = i64::from(hours.clamp(1, HOURS as u32));
        let width = i64::from(bucket_secs.clamp(60, 86_400)) / 60 * 60;
        let first = now.plus_secs(-hours * 3600).floor(width);
        let count = (now.secs() - first.secs()) / width + 1;
        let mut buckets: Vec<Bucket> = (0..count)
            .map(|i| Bucket { start: first.plus_secs(i * width), ..Bucket::default() })
            .collect();
        for (minute, counts) in self.minutes.range(first.secs().div_euclid(60)..) {
            let index = (minute * 60 - first.secs()).div_euclid(width) as usize;
            if let Some(bucket) = buckets.get_mut(index) {
                bucket.add(counts);
            }
        }
        buckets
    }

    pub fn top_users(&self, limit: usize) -> Vec<Top> {
        self.top(limit, |hour| &hour.users)
    }

    pub fn top_ips(&self, limit: usize) -> Vec<Top> {
        self.top(limit, |hour| &hour.ips)
    }

    fn top(&self, limit: usize, of: fn(&Hour) -> &AHashMap<CompactString, Count>) -> Vec<Top> {
        let mut merged: AHashMap<&str, Count> = AHashMap::new();
        for (key, count) in self.hours.values().flat_map(of) {
            merged.entry(key).or_default().add(count);
        }
        let mut tops: Vec<Top> = merged
            .into_iter()
            .map(|(value, c)| Top {
                value: value.to_owned(),
                events: c.events,
                suspicious: c.suspicious,
                high: c.high,
                country: c.country.map(String::from),
                last_seen: c.last_seen,
            })
            .collect();
        tops.sort_by(|a, b| (b.events, &a.value).cmp(&(a.events, &b.value)));
        tops.truncate(limit);
        tops
    }

    /// Most severe first, then newest.
    pub fn markers(&self) -> Vec<Marker> {
        let mut markers: Vec<Marker> = self.markers.values().cloned().collect();
        markers.sort_by_key(|m| std::cmp::Reverse((m.severity, m.last_seen)));
        markers
    }

    pub fn events_since(&self, since: Timestamp) -> u64 {
        self.minutes.range(since.secs().div_euclid(60)..).map(|(_, m)| m.events).sum()
    }

    pub fn http_status(&self) -> BTreeMap<&'static str, u64> {
        let mut sum = BTreeMap::new();
        for minute in self.minutes.values() {
            add_http(&mut sum, &minute.http);
        }
        sum
    }
}

impl Bucket {
    fn add(&mut self, minute: &Minute) {
        self.events += minute.events;
        for (severity, count) in Severity::ALL.into_iter().zip(minute.severities) {
            if count > 0 {
                *self.severities.entry(severity).or_default() += count;
            }
        }
        add_http(&mut self.http_status, &minute.http);
    }
}

fn add_http(sum: &mut BTreeMap<&'static str, u64>, counts: &[u64; 5]) {
    for (class, count) in HTTP_CLASSES.into_iter().zip(counts) {
        if *count > 0 {
            *sum.entry(class).or_default() += count;
        }
    }
}

impl Count {
    fn add(&mut self, other: &Count) {
        self.events += other.events;
        self.suspicious += other.suspicious;
        self.high += other.high;
        if other.last_seen >= self.last_seen {
            self.last_seen = other.last_seen;
            if other.country.is_some() {
                self.country.clone_from(&other.country);
            }
        }
    }
}

fn count_key(map: &mut AHashMap<CompactString, Count>, key: &str, event: &Counted<'_>) {
    let one = Count {
        events: 1,
        suspicious: u64::from(event.threat),
        high: u64::from(event.severity >= Severity::High),
        country: None,
        last_seen: event.time,
    };
    if let Some(count) = map.get_mut(key) {
        count.add(&one);
        if count.country.is_none() {
            count.country = event.country.map(CompactString::from);
        }
        return;
    }
    if map.len() >= KEYS_PER_HOUR_MAX {
        forget_least(map);
    }
    map.insert(key.into(), Count { country: event.country.map(CompactString::from), ..one });
}

/// Forgets the half with the fewest events, those that matched a rule last.
fn forget_least(map: &mut AHashMap<CompactString, Count>) {
    let mut order: Vec<_> = map.iter().map(|(k, c)| (c.suspicious, c.events, c.last_seen, k.clone())).collect();
    order.sort();
    for (_, _, _, key) in order.into_iter().take(KEYS_PER_HOUR_MAX / 2) {
        map.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event<'a>(secs: i64, user: &'a str, severity: Severity) -> Counted<'a> {
        Counted {
            time: Timestamp::from_secs(secs),
            severity,
            threat: severity > Severity::Informational,
            status: Some(404),
            user: Some(user),
            ip: None,
            country: None,
            city: None,
            place: None,
        }
    }

    #[test]
    fn buckets_hold_what_happened_and_nothing_older() {
        let now = Timestamp::from_secs(1_700_000_000);
        let mut analytics = Analytics::default();
        analytics.count(&event(now.secs() - 30, "a", Severity::High), now);
        analytics.count(&event(now.secs() - 90_000, "a", Severity::High), now);
        analytics.count(&event(now.secs() + 90_000, "a", Severity::High), now);
        let line = analytics.timeline(1, 300, now);
        assert_eq!(line.iter().map(|b| b.events).sum::<u64>(), 1);
        assert_eq!(line.last().unwrap().severities[&Severity::High], 1);
        assert_eq!(line.last().unwrap().http_status["4xx"], 1);
        assert_eq!(analytics.top_users(5)[0].high, 1);
    }

    #[test]
    fn a_spray_of_names_does_not_push_out_the_busy_one() {
        let now = Timestamp::from_secs(1_700_000_000);
        let mut analytics = Analytics::default();
        for _ in 0..100 {
            analytics.count(&event(now.secs(), "busy", Severity::Low), now);
        }
        for i in 0..KEYS_PER_HOUR_MAX * 3 {
            analytics.count(&event(now.secs(), &format!("u{i}"), Severity::Informational), now);
        }
        assert_eq!(analytics.top_users(1)[0].value, "busy");
        assert!(analytics.hours.values().all(|h| h.users.len() <= KEYS_PER_HOUR_MAX));
    }
}
