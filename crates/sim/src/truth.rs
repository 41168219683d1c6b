use crate::Stream;
use event::{Entity, Id, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What really happened: one line of the ground-truth file, which no detector ever sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    pub event: EventRef,
    pub stream: Stream,
    pub time: Timestamp,
    /// The attack that it is a step of; `None` for organic traffic.
    pub attack: Option<AttackLabel>,
}

/// Finds the event again in whatever it was sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// The position in the simulation, from 0.
    pub ordinal: u64,
    /// CloudTrail's `eventID`; other sources give their entries no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// `Id::of` the line. Two lines can be equal to the byte: count by `ordinal`.
    pub line_hash: Id,
}

/// A step of an attack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackLabel {
    /// The same for all steps of one sequence.
    pub id: Id,
    /// What kind of attack, `sql_injection`; [`Stream::attacks`] lists them.
    pub name: Cow<'static, str>,
    /// ATT&CK technique ids.
    pub techniques: Vec<Cow<'static, str>>,
    /// From 1.
    pub step: u32,
    /// How many steps the sequence has.
    pub steps: u32,
    /// Whom an alert about it should name.
    pub entity: Entity,
}
