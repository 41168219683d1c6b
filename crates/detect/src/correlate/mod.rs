//! Sigma correlations on event time: `event_count`, `value_count`, `temporal`, `temporal_ordered`.
//!
//! **Windows.** A group keeps its entries sorted by event time, so the order of arrival does not matter
//! within the allowed lateness. It fires when some window of `timespan` that begins at one of its entries
//! satisfies the condition. **One finding per burst:** after firing, everything within `timespan` before and
//! after the window belongs to the same burst and is dropped; the group can fire again with entries later
//! than that. A finding's id is a hash of the rule, the group and the time of the first event of the window.
//!
//! **Time.** Windows use the source's word for time. What is *forgotten* is decided by the log's clock
//! (`received`), with the event's time clamped to 15 minutes after it: an event dated in the future can't
//! make others expire, and old files that are read out of order still correlate.
//!
//! **Bounds.** Entries per group, groups per rule. The group that is evicted is one with the least
//! evidence, so a spray of fresh keys evicts only fresh keys.
//!
//! An event that lacks one of the `group-by` fields takes no part: grouping by nothing would put
//! strangers together.

mod compile;
mod group;
mod groups;

pub(crate) use compile::Correlation;

use crate::RuleSet;
use crate::sigma::cut;
use compact_str::CompactString;
use event::{Entity, Event, Finding, Position, Timestamp};
use groups::Groups;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most entries that a group keeps; of `value_count`, see [`VALUES_PER_GROUP_MAX`].
pub const EVENTS_PER_GROUP_MAX: usize = 4_096;
/// Most distinct values that `value_count` counts exactly; beyond, the finding says "at least".
pub const VALUES_PER_GROUP_MAX: usize = 10_000;
/// Most groups that one correlation keeps.
pub const GROUPS_PER_RULE_MAX: usize = 100_000;
/// How late an event may come and still count. CloudTrail delivers within 15 minutes.
pub const ALLOWED_LATENESS_SECS: i64 = 15 * 60;

/// What a finding tells about its last event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventSummary {
    pub user: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    pub event_name: Option<CompactString>,
    pub place: Option<(f64, f64, CompactString)>,
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
        let system = &ocsf.src.autonomous_system;
        Self {
            user: ocsf.user_name.clone().or_else(|| ocsf.user_uid.clone()),
            source_ip: ocsf.src.ip.clone(),
            event_name: [&ocsf.api_operation, &ocsf.http.path, &ocsf.activity].into_iter().find_map(Clone::clone),
            place: match (location.lat, location.long) {
                (Some(lat), Some(long)) => Some((lat, long, location.country.clone().unwrap_or_default())),
                _ => None,
            },
            city: location.city.clone(),
            network: system.number.map(|number| (number, system.name.clone().unwrap_or_default())),
            agent: ocsf.http.user_agent.as_deref().map(|text| cut(text, AGENT_CHARS_MAX)),
        }
    }
}

/// One event's part in one correlation: what crosses from the stateless to the stateful stage.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Equal keys go to the same shard.
    pub shard_hash: u64,
    /// The correlation, by its number in the rule set.
    pub correlation: u32,
    /// Which of the correlation's rules matched.
    pub part: u16,
    pub group: Vec<CompactString>,
    pub entity: Entity,
    pub time: Timestamp,
    pub received: Timestamp,
    pub uid: CompactString,
    pub position: Position,
    /// What `value_count` counts.
    pub value: Option<CompactString>,
    pub summary: EventSummary,
    /// How many principals use the source address; 0 where nobody counts them.
    pub sharers: u16,
}

#[derive(Default)]
pub struct Stepped {
    pub findings: Vec<Finding>,
    /// State entries to write, `None` to delete. Keys begin with the rule's id.
    pub delta: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The stateful stage of one shard.
pub struct Correlator {
    rules: Arc<RuleSet>,
    /// Per correlation of the rule set.
    groups: Vec<Groups>,
    /// The log's clock: the newest time of receipt.
    now: Timestamp,
}

impl Correlator {
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let groups = rules.correlations.iter().map(|_| Groups::default()).collect();
        Self { rules, groups, now: Timestamp(i64::MIN) }
    }

    /// Takes back an entry that an earlier `step` wrote; entries of unknown or changed rules are ignored.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) {
        for (correlation, groups) in self.rules.correlations.iter().zip(&mut self.groups) {
            if let Some(group_key) = key.strip_prefix(&*correlation.state_prefix) {
                if let Some(group) = group::Group::read(value) {
                    self.now = self.now.max(group.received);
                    groups.restore(group_key, group);
                }
                return;
            }
        }
    }

    /// Takes the events' parts in log order.
    pub fn step(&mut self, keyed: &[Keyed], out: &mut Stepped) {
        let mut touched = BTreeSet::new();
        for part in keyed {
            let Some(correlation) = self.rules.correlations.get(part.correlation as usize) else { continue };
            self.now = self.now.max(part.received);
            let groups = &mut self.groups[part.correlation as usize];
            let key = group_key(&part.group);
            out.findings.extend(groups.add(correlation, &key, part, self.now));
            touched.insert((part.correlation, key));
            touched.extend(groups.take_removed().map(|key| (part.correlation, key)));
        }
        for (number, key) in touched {
            let correlation = &self.rules.correlations[number as usize];
            let value = self.groups[number as usize].get(&key).map(group::Group::write);
            let full_key = [&*correlation.state_prefix, &*key].concat();
            out.delta.push((full_key, value));
        }
    }

    /// How many groups are kept, over all correlations.
    pub fn group_count(&self) -> usize {
        self.groups.iter().map(Groups::len).sum()
    }
}

/// The group's values, each after its length: no choice of values makes two groups share a key.
fn group_key(values: &[CompactString]) -> Box<[u8]> {
    let mut key = Vec::with_capacity(values.iter().map(|value| value.len() + 4).sum());
    for value in values {
        key.extend((value.len() as u32).to_be_bytes());
        key.extend(value.as_bytes());
    }
    key.into()
}
