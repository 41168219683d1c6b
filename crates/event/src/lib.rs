//! The nouns of Erne, each with one meaning everywhere: a [`Record`] is raw bytes from a source, an
//! [`Event`] is what a record says in OCSF terms, a [`Finding`] is one detector's output, an [`Alert`]
//! is what people triage: findings of one rule about one entity in one window; an [`Incident`] is what they
//! investigate: the alerts about one entity that belong together.
//!
//! This crate is data only. It opens no file or socket, reads no clock and draws no random number;
//! whoever needs the time or an offset passes it in. It holds no parsing of log formats (`parse`) and no
//! detection (`detect`).
//!
//! Start with [`Event`] and with [`COLUMNS`], the list of every normalised column: the lake's schema, the
//! query language, the API's JSON and the manual are all derived from it.
//!
//! ```
//! use event::{Severity, Timestamp, Value};
//! let value = Value::from_json(br#"{"userIdentity":{"userName":"alice"}}"#).unwrap().0;
//! assert_eq!(value.path("userIdentity.userName").and_then(Value::as_str), Some("alice"));
//! assert!(Severity::Critical > Severity::High);
//! assert_eq!(Timestamp::parse("2026-11-20T10:00:00Z").unwrap().to_string(), "2026-11-20T10:00:00.000000Z");
//! ```

mod alert;
pub mod cloudhawk;
mod columns;
mod event;
mod finding;
mod id;
mod incident;
mod json;
mod record;
mod severity;
mod time;
mod value;

pub use alert::{Alert, AlertState, Further, StateChange};
pub use columns::{COLUMNS, Cell, Column, Kind, column, insert};
pub use event::{
    AutonomousSystem, Class, Endpoint, Event, Http, Issue, Location, LogSource, Ocsf, Position,
    Status, UserAgent,
};
pub use finding::{Condition, Entity, EntityKind, Explanation, Finding, FindingStatus, Handling, Rule, RuleKind};
pub use id::Id;
pub use incident::{Incident, TACTICS, tactic_place, tactics_in_order};
pub use record::{Format, Record};
pub use severity::Severity;
pub use time::Timestamp;
pub use value::{JsonError, JsonIssue, Map, Value};

pub use bytes::Bytes;
pub use compact_str::CompactString;

/// The OCSF version whose names the columns use.
pub const OCSF_VERSION: &str = "1.5.0";
