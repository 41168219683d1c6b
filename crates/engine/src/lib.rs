//! The running processor: configuration in, a [`Platform`] out.
//!
//! [`Processor`] is the pure micro-batch step of the design (parse, enrich, match; then correlate), used by
//! the server and by `erne hunt` alike. [`start`] opens the stores a [`Config`] names, resumes where the
//! last commit stood and drives the step with threads. [`Platform`] is what the API sees: ingest, queries,
//! live messages, counters.
//!
//! It is not a detector, a store or a protocol: those are crates below. It decides which implementation
//! stands behind each seam, and nothing below it reads configuration.
//!
//! ```
//! use engine::Processor;
//! let (processor, issues) = Processor::builtin();
//! assert!(issues.is_empty(), "the built-in content must load: {issues:?}");
//! assert!(!processor.rules().is_empty());
//! ```

mod analytics;
mod answer;
mod attack;
mod config;
mod content;
mod export;
mod hot;
mod live;
mod metrics;
mod open;
mod pipeline;
mod platform;
mod processor;
mod projector;
mod reach;
mod rebuild;
mod reload;
mod replay;
mod restore;
mod schedule;
mod scheduled;
mod search;
mod sinks;
mod sources;
mod sql_source;
mod stateful;
mod workbench;

pub use analytics::{Bucket, BySeverity, Marker, Top};
pub use answer::{
    ActionState, ActionStatus, AnswerError, AnswerRule, AnswerSection, AnswerStatus, BanCheck, Decision, Decisions, EscalationSection, GrowthSection, NewBan, ProfileBan,
    ShownBan, Snapshot, Trusted,
};
pub use attack::{Score, Technique, navigator_layer};
pub use config::{
    Config, ControlSection, Encryption, FileSource, GatewaySection, GeoipConfig, LakeSection, LogSection, RetentionSection, RulesConfig, S3Section,
    SourceRetentionSection, SourcesSection, SqlSection,
};
pub use export::{Export, ExportError, ExportFormat};
pub use content::{ContentDirs, RuleTexts, load_geoip, load_lists, load_rules};
pub use live::{Live, LiveReader, Topic};
pub use open::{OpenError, Running, start};
pub use platform::{Platform, Readiness, Totals};
pub use reach::{Reach, reach};
pub use replay::{EntityCount, Replay, ReplayDay, ReplayJob, ReplayLimits, replay};
pub use processor::{ENTRIES_PER_RECORD_MAX, Processor, Stateless};
pub use search::SEARCHES_MAX;
pub use stateful::Stateful;
pub use workbench::{EventChoice, RULE_TEXT_BYTES_MAX, RuleChoice, RuleDetail, WorkError, coverage_of};

pub use connect::actions;
pub use detect::bans;
pub use detect::{Exception, ExceptionHits, LoadIssue, RuleFile, Trace, TraceStep};
pub use ::query;
pub use ::web;
pub use store::{control, lake, log};
pub use sql::{Answer as SqlAnswer, Budget as SqlBudget, ColumnType as SqlColumn, Request as SqlRequest, SQL_BYTES_MAX, SqlError};
