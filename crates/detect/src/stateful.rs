//! What stateful rules have in common: a state per group, told of events one by one, asked when its time has
//! come, written and read as bytes. `correlate` keeps the groups, bounds them, and makes findings of what
//! they tell; the kinds of windows are in `correlate`, the detectors of behaviour in `behaviour`.
//!
//! Two clocks. *Event time* decides what belongs together; the *log's clock* (time of receipt) decides how
//! long to wait for what may still come. No other clock exists.

use crate::Keyed;
use compact_str::CompactString;
use event::{Condition, FindingStatus, Position, Timestamp};

/// An event that a finding names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct EventRef {
    pub uid: CompactString,
    pub position: Position,
}

/// What a group tells: a finding without what the framework knows (rule, entity, level).
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Tells this finding from the others of the group; rule and group are added. Equal causes have equal
    /// bytes, whatever the order of arrival.
    pub cause: Vec<u8>,
    /// The cause under which it was told before, if that changed.
    pub replaces: Option<Vec<u8>>,
    pub status: FindingStatus,
    pub revision: u32,
    /// Event time of the event that completed it.
    pub time: Timestamp,
    /// First and last event time.
    pub window: (Timestamp, Timestamp),
    /// Oldest first, at most `Finding::EVENTS_MAX`.
    pub events: Vec<EventRef>,
    pub event_count: u64,
    /// What happened, without who and without the rule's title: "12 events within 45 s".
    pub what: String,
    pub conditions: Vec<Condition>,
}

/// One group's state under one stateful rule.
pub(crate) trait GroupState: Sized {
    /// The compiled rule.
    type Rule;

    fn new() -> Self;

    /// Takes one event's part. Pushes what is to be told, which may be nothing.
    fn add(&mut self, rule: &Self::Rule, part: &Keyed, out: &mut Vec<Draft>);

    /// The log time at which `ripen` wants to be called; `None` if nothing waits. It follows from the state.
    fn due(&self, rule: &Self::Rule) -> Option<Timestamp>;

    /// The log's clock has come to `now`, not earlier than `due`.
    fn ripen(&mut self, rule: &Self::Rule, now: Timestamp, out: &mut Vec<Draft>);

    /// The log time after which the group holds nothing that matters any more.
    fn expires(&self, rule: &Self::Rule) -> Timestamp;

    /// How much an attacker would win if the group were forgotten: 0 for nothing, else about how many events.
    fn evidence(&self) -> usize;

    /// Versioned bytes, and back; `None` for a layout that is not known.
    fn write(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
}
