//! Stateful rules on event time: Sigma correlations, and Erne's own types in the same form.
//!
//! **Two clocks.** Event time decides what belongs together. The log's clock (the newest `received`) decides
//! how long to wait for what may still come: for an event of time t that was received at r, until
//! max(t, r) + its source's allowed lateness ([`Lateness`](crate::Lateness)). So an old file correlates like
//! a live stream, and an event dated in the future (clamped to its receipt plus the lateness) makes nobody wait.
//! No other clock exists: a replay of the log tells the same.
//!
//! **A finding is a function of the set of a group's events**, not of their order of arrival, as long as
//! each comes within its lateness. It is told at once as `provisional`, again when late events change it,
//! and once as `final`; see `window`.
//!
//! **Framework.** `compile` turns documents into [`Correlation`]s; `kinds` is the list of their kinds; `groups`
//! keeps a [`GroupState`](crate::stateful::GroupState) per group, bounds their number and says when each is
//! to be looked at; [`Correlator`] drives them in log order and makes findings of what they tell. The group that is evicted is
//! one with the least evidence, so a spray of fresh keys evicts only fresh keys.
//!
//! An event that lacks one of the `group-by` fields takes no part: grouping by nothing would put
//! strangers together.

mod compile;
mod correlator;
mod document;
mod finding;
mod groups;
mod kinds;
mod load;
mod terms;
mod window;

pub(crate) use compile::{Base, Correlation};
pub(crate) use document::{Document, Options, Refused, read as read_document, refused};
pub(crate) use kinds::{Head, Kind};
pub use correlator::Correlator;
pub use finding::standing;

use crate::front::principal::Identity;
use crate::sigma::cut;
use compact_str::CompactString;
use event::{Entity, Event, Finding, Position, Timestamp};
use serde::{Deserialize, Serialize};

/// Most entries that a group keeps one by one.
pub const EVENTS_PER_GROUP_MAX: usize = 4_096;
/// Most distinct values that `value_count` counts exactly; beyond, the finding says "about".
pub const VALUES_PER_GROUP_MAX: usize = 10_000;
/// Most groups that one correlation keeps.
pub const GROUPS_PER_RULE_MAX: usize = 100_000;

/// What a finding tells about its last event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventSummary {
    pub user: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    pub event_name: Option<CompactString>,
    pub place: Option<(f64, f64, CompactString)>,
    /// This and what follows: only for rules that judge places.
    pub city: Option<CompactString>,
    /// Number and owner of the source's autonomous system.
    pub network: Option<(i64, CompactString)>,
    /// The user agent, at most [`AGENT_CHARS_MAX`] of it.
    pub agent: Option<CompactString>,
}

/// As much of a user agent as rules about behaviour look at.
const AGENT_CHARS_MAX: usize = 200;

impl EventSummary {
    pub fn of(event: &Event) -> Self {
        let ocsf = &event.ocsf;
        let location = &ocsf.src.location;
        Self {
            user: ocsf.user_name.clone().or_else(|| ocsf.user_uid.clone()),
            source_ip: ocsf.src.ip.clone(),
            event_name: [&ocsf.api_operation, &ocsf.http.path, &ocsf.activity].into_iter().find_map(Clone::clone),
            place: match (location.lat, location.long) {
                (Some(lat), Some(long)) => Some((lat, long, location.country.clone().unwrap_or_default())),
                _ => None,
            },
            ..Self::default()
        }
    }

    /// The same with what tells whether an address is a place where somebody is.
    pub(crate) fn with_place(event: &Event) -> Self {
        let (ocsf, system) = (&event.ocsf, &event.ocsf.src.autonomous_system);
        Self {
            city: ocsf.src.location.city.clone(),
            network: system.number.map(|number| (number, system.name.clone().unwrap_or_default())),
            agent: ocsf.http.user_agent.as_deref().map(|text| cut(text, AGENT_CHARS_MAX)),
            ..Self::of(event)
        }
    }
}

/// One event's part in one correlation: what crosses from the stateless to the stateful stage. A finding
/// of a correlation that another one counts becomes one too; its `uid` is the finding's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keyed {
    /// Equal keys go to the same shard.
    pub shard_hash: u64,
    /// The correlation, by its number in the rule set.
    pub correlation: u32,
    /// Which of the correlation's rules matched: the first of its places.
    pub part: u16,
    pub group: Vec<CompactString>,
    pub entity: Entity,
    pub time: Timestamp,
    pub received: Timestamp,
    /// How long events of its source may be under way.
    pub lateness_secs: u32,
    pub uid: CompactString,
    pub position: Position,
    /// The value of the field that the correlation counts or sums.
    pub value: Option<CompactString>,
    pub summary: EventSummary,
    /// How many principals use the source address; 0 where nobody counts them.
    pub sharers: u16,
    /// Who did it, for rules that group by the resolved principal.
    pub identity: Option<Box<Identity>>,
    /// The finding of this `uid` was withdrawn or replaced: what it brought is to be forgotten.
    pub is_taken_back: bool,
}

/// Furthest from 1970 that a time can be (73,000 years, µs): spans can be added to it without a thought of overflow.
const TIME_MAX: i64 = 1 << 61;

fn within_time(time: Timestamp) -> Timestamp {
    Timestamp(time.0.clamp(-TIME_MAX, TIME_MAX))
}

impl Keyed {
    /// Stands for a rule's number in a part that belongs to none: the event hands out a session, of which
    /// [`crate::Front`] is to know.
    pub const GRANT: u32 = u32::MAX;

    /// An event that hands out a session.
    pub(crate) fn grant(event: &Event, lateness_secs: u32) -> Option<Self> {
        let identity = Identity::of(event)?;
        Some(Self {
            shard_hash: 0,
            correlation: Self::GRANT,
            part: 0,
            group: Vec::new(),
            entity: Entity::of(event),
            time: event.time,
            received: event.received,
            lateness_secs,
            uid: event.uid.clone(),
            position: event.position,
            value: None,
            summary: EventSummary::default(),
            sharers: 0,
            identity: Some(Box::new(identity)),
            is_taken_back: false,
        })
    }

    /// Event time; one that lies further in the future than the lateness explains is no time. Clamped, it can
    /// neither be out of reach of the group's other events for ever nor make them look old.
    pub(crate) fn clamped(&self) -> Timestamp {
        within_time(self.time.min(self.received.plus_secs(i64::from(self.lateness_secs))))
    }
}

#[derive(Default)]
pub struct Stepped {
    pub findings: Vec<Finding>,
    /// State entries to write, `None` to delete. Keys begin with the rule's id.
    pub delta: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What findings are to other correlations: to be fed to the shard of their `shard_hash` before any
    /// later event.
    pub chained: Vec<Keyed>,
}

/// The group's values, each after its length: no choice of values makes two groups share a key, and a key
/// says where it ends.
pub(crate) fn group_key(values: &[CompactString]) -> Box<[u8]> {
    let mut key = Vec::with_capacity(values.iter().map(|value| value.len() + 4).sum());
    for value in values {
        key.extend((value.len() as u32).to_be_bytes());
        key.extend(value.as_bytes());
    }
    key.into()
}

/// The values of a key of `count` of them, and what follows.
fn split_key(mut key: &[u8], count: usize) -> Option<(Vec<CompactString>, &[u8])> {
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = key.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        values.push(CompactString::from_utf8(value).ok()?);
        key = rest;
    }
    Some((values, key))
}
