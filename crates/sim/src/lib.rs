//! Simulated cloud, web, login and application logs with ground truth, for demos, tests and measurements.
//!
//! A [`Simulator`] is an endless iterator of [`SimEvent`]s in time order. Each holds the raw entry exactly as
//! a real source writes it (a CloudTrail event, an nginx access-log line, an auth.log line, an application
//! log object) and, beside it and never in it, the [`Truth`]: which attack it is a step of, if any.
//!
//! Organic traffic comes from people and machines with habits: working hours in their own time zones, usual
//! addresses, tools, favourite services, honest mistakes. Attacks are sequences of steps over seconds to
//! minutes, mixed in at a given share; every attack of a kind comes once before any comes again.
//!
//! The same configuration gives the same bytes on every machine: this crate reads no clock and no file,
//! opens no socket and draws no randomness but its own, from the seed. It does not send anything and does
//! not sleep; `erne simulate` does both.
//!
//! Deliberately not here: packets (see `net`), lateness and duplicates (the sender's), and any knowledge of
//! the rules that are to detect the attacks.
//!
//! ```
//! use event::Timestamp;
//! use sim::{Kind, SimConfig, Simulator};
//!
//! let start = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
//! let config = SimConfig { kind: Kind::Mixed, seed: 1, rate: 20.0, attacks: 0.05, start };
//! let minute = Simulator::new(config.clone()).batch(start.plus_secs(60));
//! assert!(minute.iter().any(|event| event.truth.attack.is_some()));
//! assert_eq!(minute[0].line, Simulator::new(config).next().unwrap().line);
//! ```

mod actor;
mod address;
mod app;
mod auth;
mod clock;
mod cloud;
mod json;
mod random;
mod schedule;
mod truth;
mod web;

pub use schedule::{SimConfig, SimEvent, Simulator};
pub use truth::{AttackLabel, EventRef, Truth};

use event::Format;
use serde::{Deserialize, Serialize};

/// What a simulation writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Cloud,
    Web,
    Auth,
    /// All of these and application logs.
    Mixed,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Self::Cloud, Self::Web, Self::Auth, Self::Mixed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Web => "web",
            Self::Auth => "auth",
            Self::Mixed => "mixed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The streams it consists of and their parts of its events.
    pub(crate) fn streams(self) -> &'static [(Stream, u32)] {
        match self {
            Self::Cloud => &[(Stream::Cloud, 1)],
            Self::Web => &[(Stream::Web, 1)],
            Self::Auth => &[(Stream::Auth, 1)],
            Self::Mixed => &[(Stream::Cloud, 35), (Stream::Web, 40), (Stream::Auth, 15), (Stream::App, 10)],
        }
    }
}

/// Which source an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Cloud,
    Web,
    Auth,
    App,
}

impl Stream {
    pub const ALL: [Stream; 4] = [Self::Cloud, Self::Web, Self::Auth, Self::App];

    /// The format of its entries, for `POST /api/v1/ingest?format=`.
    pub fn format(self) -> Format {
        match self {
            Self::Cloud => Format::Cloudtrail,
            Self::Web => Format::AccessLog,
            Self::Auth => Format::AuthLog,
            Self::App => Format::AppLog,
        }
    }

    /// The source name to send it under.
    pub fn source(self) -> &'static str {
        match self {
            Self::Cloud => "aws-cloudtrail",
            Self::Web => "shop-nginx",
            Self::Auth => "linux-auth",
            Self::App => "shop-services",
        }
    }

    /// The names of the attacks that it can carry, in a fixed order.
    pub fn attacks(self) -> Vec<&'static str> {
        actor::attacks(self).iter().map(|attack| attack.name).collect()
    }
}
