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
pub(crate) trait GroupState: Sized + Send + 'static {
    /// The compiled rule.
    type Rule: Send + Sync + 'static;

    fn new() -> Self;

    /// Takes one event's part. Pushes what is to be told, which may be nothing.
    fn add(&mut self, rule: &Self::Rule, part: &Keyed, out: &mut Vec<Draft>);

    /// The log time at which `ripen` wants to be called; `None` if nothing waits. It follows from the state.
    /// `ripen` at that time moves it on.
    fn due(&self, rule: &Self::Rule) -> Option<Timestamp>;

    /// The log's clock has come to `now`, which is what `due` said: however late the caller looks, a group
    /// ripens as of the moment it asked for.
    fn ripen(&mut self, rule: &Self::Rule, now: Timestamp, out: &mut Vec<Draft>);

    /// The log time after which the group holds nothing that matters any more.
    fn expires(&self, rule: &Self::Rule) -> Timestamp;

    /// How much an attacker would win if the group were forgotten: 0 for nothing, else about how many events.
    fn evidence(&self) -> usize;

    /// Versioned bytes, and back; `None` for a layout that is not known.
    fn write(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;

    /// No more input comes (a file has ended) and `newest` is the newest event time that any group has seen:
    /// what is decided by then is told. What only a later event could decide is not.
    fn finish(&mut self, rule: &Self::Rule, newest: Timestamp, out: &mut Vec<Draft>) {
        let _ = newest;
        for _ in 0..RIPENINGS_MAX {
            let Some(due) = self.due(rule) else { return };
            self.ripen(rule, due, out);
        }
    }

    /// Hands out what changed since the last call as entries below the group's own key (`None`: gone).
    /// A group whose state can be long writes it in pieces, so that a step costs what it changed.
    fn changes(&mut self, put: &mut dyn FnMut(&[u8], Option<Vec<u8>>)) {
        put(&[], Some(self.write()));
    }

    /// Takes back an entry that `changes` handed out; false for a layout that is not known. The entries of
    /// a group come in the order of their keys.
    fn take(&mut self, entry: &[u8], bytes: &[u8]) -> bool {
        match Self::read(bytes) {
            Some(state) if entry.is_empty() => *self = state,
            _ => return false,
        }
        true
    }

    /// The keys of the entries that were handed out and not taken away since.
    fn stored(&self) -> Vec<Vec<u8>> {
        vec![Vec::new()]
    }
}

/// Most times that one group may ask to ripen again at the end of the input.
const RIPENINGS_MAX: usize = 1_000;
