//! What a group keeps of an event.

use super::super::Keyed;
use super::rule::{MILLI, Measure};
use super::uid::Uid;
use crate::stateful::EventRef;
use event::Position;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Microseconds of event time.
    pub time: i64,
    pub uid: Uid,
    pub part: u16,
    /// How many events it stands for: neighbours that make no difference are folded into one.
    pub weight: u32,
    /// The hash of the value that is counted, or the sum of the numbers in thousandths.
    pub value: i128,
    pub offset: u64,
    pub index: u32,
    /// Microseconds of the time of receipt.
    pub received: i64,
    /// The stored entry that it is part of.
    #[serde(skip)]
    pub chunk: u32,
}

impl Entry {
    /// `None` for a value that is no number where one is summed.
    pub(crate) fn of(measure: &Measure, part: &Keyed) -> Option<Self> {
        let text = part.value.as_deref().unwrap_or_default();
        let value = match measure {
            // 128 bits: values are chosen by attackers, who may not hide one behind another's hash.
            Measure::Values => xxh3_128(text.as_bytes()) as i128,
            // Sums of bytes and amounts grow; what is below zero would let one event hide another.
            Measure::Sum => number(text)?.max(0),
            Measure::Average | Measure::Percentile(_) => number(text)?,
            Measure::Events | Measure::Parts(_) | Measure::Order | Measure::Absence => 0,
        };
        Some(Self {
            time: part.clamped().micros(),
            uid: Uid::of(&part.uid),
            part: part.part,
            weight: 1,
            value,
            offset: part.position.offset,
            index: part.position.index,
            received: part.received.micros(),
            chunk: 0,
        })
    }

    /// The order in which a group is walked: nothing in it depends on the order of arrival.
    pub(crate) fn order(&self) -> (i64, &Uid, u16) {
        (self.time, &self.uid, self.part)
    }

    pub(crate) fn position(&self) -> Position {
        Position { offset: self.offset, index: self.index }
    }

    pub(crate) fn event_ref(&self) -> EventRef {
        EventRef { uid: self.uid.text(), position: self.position() }
    }
}

/// Thousandths.
fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    if let Ok(whole) = text.parse::<i64>() {
        return Some(i128::from(whole) * MILLI);
    }
    let number: f64 = text.parse().ok()?;
    number.is_finite().then(|| (number * MILLI as f64).round().clamp(-9e18, 9e18) as i128)
}
