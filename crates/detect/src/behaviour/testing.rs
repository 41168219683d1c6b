//! Parts and replays for the detectors' tests.

use crate::Keyed;
use crate::stateful::{Draft, GroupState};
use event::{Entity, EntityKind, FindingStatus, Position, Timestamp};

pub(crate) fn part(ordinal: u64, time: Timestamp, received: Timestamp) -> Keyed {
    Keyed {
        shard_hash: 0,
        correlation: 0,
        part: 0,
        group: vec!["alice".into()],
        entity: Entity::new(EntityKind::User, "alice"),
        time,
        received,
        uid: format!("u{ordinal}").into(),
        position: Position { offset: ordinal, index: 0 },
        value: None,
        summary: Default::default(),
        sharers: 1,
        identity: None,
        is_taken_back: false,
        lateness_secs: 900,
    }
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// Feeds parts in the order of their receipt, ripening in between as the framework does, writing and reading
/// the state back each time, and returns everything told, with what was due within a day afterwards.
pub(crate) fn feed<G: GroupState>(rule: &G::Rule, state: &mut G, parts: &[Keyed]) -> Vec<Draft> {
    let mut out = Vec::new();
    for part in parts {
        ripen(rule, state, part.received, &mut out);
        state.add(rule, part, &mut out);
        *state = G::read(&state.write()).expect("what was written is read");
    }
    if let Some(last) = parts.last() {
        ripen(rule, state, last.received.plus_secs(86_400), &mut out);
    }
    out
}

fn ripen<G: GroupState>(rule: &G::Rule, state: &mut G, until: Timestamp, out: &mut Vec<Draft>) {
    while let Some(due) = state.due(rule).filter(|due| *due <= until) {
        state.ripen(rule, due, out);
        assert!(state.due(rule).is_none_or(|next| next > due), "ripening moves on");
    }
}

/// What is left standing: the last word about each finding that was neither withdrawn nor replaced.
pub(crate) fn standing(drafts: &[Draft]) -> Vec<Draft> {
    let mut left: Vec<Draft> = Vec::new();
    for draft in drafts {
        left.retain(|other| other.cause != draft.cause && Some(&other.cause) != draft.replaces.as_ref());
        if draft.status != FindingStatus::Withdrawn {
            left.push(draft.clone());
        }
    }
    left.sort_by(|a, b| (a.time, &a.cause).cmp(&(b.time, &b.cause)));
    left
}
