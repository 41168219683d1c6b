//! Those who cause events: a session of a person or a machine, or an attack.

use crate::random::Random;
use crate::truth::AttackLabel;
use crate::{Stream, app, auth, cloud, web};
use event::{Entity, Id, Timestamp};
use std::collections::VecDeque;

/// A kind of attack: its name and ATT&CK techniques.
#[derive(Debug)]
pub(crate) struct Attack {
    pub name: &'static str,
    pub techniques: &'static [&'static str],
}

/// The attacks of a stream. Their places in the list are what `plan_attack` is given.
pub(crate) fn attacks(stream: Stream) -> &'static [Attack] {
    match stream {
        Stream::Cloud => cloud::ATTACKS,
        Stream::Web => web::ATTACKS,
        Stream::Auth => auth::ATTACKS,
        Stream::App => app::ATTACKS,
    }
}

/// What all actors share: the companies, people and hosts of one simulation.
pub(crate) struct World {
    pub cloud: cloud::Company,
    pub auth: auth::Fleet,
}

impl World {
    pub fn new(random: &mut Random) -> Self {
        Self { cloud: cloud::Company::new(random), auth: auth::Fleet::new(random) }
    }
}

/// Something to do, so many microseconds after what was done before it.
pub(crate) type Moves<T> = VecDeque<(i64, T)>;

/// Who is at work, and what is left of the work.
pub(crate) enum Session {
    Cloud(cloud::Session, Moves<cloud::Call>),
    Web(web::Visitor, Moves<web::Hit>),
    Auth(Moves<auth::Line>),
    App(Moves<app::Entry>),
}

/// The raw entry, and its id where the source gives one.
pub(crate) struct Written {
    pub line: String,
    pub event_id: Option<String>,
}

impl Session {
    /// Somebody who begins to do their job at this time.
    pub fn organic(stream: Stream, time: Timestamp, world: &World, random: &mut Random) -> Self {
        match stream {
            Stream::Cloud => {
                let (session, calls) = cloud::organic(time, &world.cloud, random);
                Self::Cloud(session, calls)
            }
            Stream::Web => {
                let (visitor, hits) = web::organic(time, random);
                Self::Web(visitor, hits)
            }
            Stream::Auth => Self::Auth(auth::organic(time, &world.auth, random)),
            Stream::App => Self::App(app::organic(random)),
        }
    }

    /// The attack at this place of the stream's list, and whom it is about.
    pub fn attack(stream: Stream, index: usize, time: Timestamp, world: &World, random: &mut Random) -> (Self, Entity) {
        match stream {
            Stream::Cloud => {
                let (session, calls, entity) = cloud::attack(index, time, &world.cloud, random);
                (Self::Cloud(session, calls), entity)
            }
            Stream::Web => {
                let (visitor, hits, entity) = web::attack(index, random);
                (Self::Web(visitor, hits), entity)
            }
            Stream::Auth => {
                let (lines, entity) = auth::attack(index, &world.auth, random);
                (Self::Auth(lines), entity)
            }
            Stream::App => {
                let (entries, entity) = app::attack(index, random);
                (Self::App(entries), entity)
            }
        }
    }

    /// How many events are planned.
    pub fn planned(&self) -> usize {
        match self {
            Self::Cloud(_, moves) => moves.len(),
            Self::Web(_, moves) => moves.len(),
            Self::Auth(moves) => moves.len(),
            Self::App(moves) => moves.len(),
        }
    }

    /// Microseconds until the next event; `None` at the end.
    pub fn wait(&self) -> Option<i64> {
        match self {
            Self::Cloud(_, moves) => moves.front().map(|(wait, _)| *wait),
            Self::Web(_, moves) => moves.front().map(|(wait, _)| *wait),
            Self::Auth(moves) => moves.front().map(|(wait, _)| *wait),
            Self::App(moves) => moves.front().map(|(wait, _)| *wait),
        }
    }

    /// Plans more of the session, if there is more to come.
    pub fn refill(&mut self, random: &mut Random) {
        if let Self::Web(visitor, moves) = self
            && moves.is_empty()
        {
            visitor.turn_page(moves, random);
        }
    }

    /// Takes the next move and writes it as the source would.
    pub fn write(&mut self, time: Timestamp, world: &World, random: &mut Random) -> Option<Written> {
        match self {
            Self::Cloud(session, moves) => {
                let (_, call) = moves.pop_front()?;
                let (line, event_id) = session.write(&call, time, &world.cloud, random);
                Some(Written { line, event_id: Some(event_id) })
            }
            Self::Web(visitor, moves) => {
                let (_, hit) = moves.pop_front()?;
                Some(Written { line: visitor.write(&hit, time), event_id: None })
            }
            Self::Auth(moves) => {
                let (_, line) = moves.pop_front()?;
                Some(Written { line: line.write(time), event_id: None })
            }
            Self::App(moves) => {
                let (_, entry) = moves.pop_front()?;
                Some(Written { line: entry.write(time), event_id: None })
            }
        }
    }
}

/// The label of an attack under way; `step` counts up.
pub(crate) fn label(attack: &'static Attack, id: Id, steps: usize, entity: Entity) -> AttackLabel {
    AttackLabel {
        id,
        name: attack.name.into(),
        techniques: attack.techniques.iter().map(|t| (*t).into()).collect(),
        step: 0,
        steps: steps as u32,
        entity,
    }
}
