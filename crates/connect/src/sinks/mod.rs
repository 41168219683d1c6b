//! Where events and findings go besides our own stores: databases, caches, search engines and files of other people.
//!
//! A sink writes what it is given and says how that went; it keeps no queue, no offset and no clock. `engine` hands it
//! batches in order, repeats what failed ([`SinkError::Unavailable`]), halves what was refused as a whole until the
//! single bad row is found ([`SinkError::Refused`]), and repeats a batch after a crash whose outcome is unknown. So
//! every sink is **idempotent**: writing a batch again changes nothing.
//!
//! Sinks block; each has a thread of its own. Adding one is a file here and a row in [`SinkConfig`].

mod file;
mod opensearch;
mod postgres;
mod redis;
mod rows;

use event::{Event, Finding, Severity};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a server may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The name of an ATT&CK technique, by its id.
pub type TechniqueName = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Why a batch, or one row of it, was not written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Nobody is there, or says to come back: the same again later.
    #[error("{0}")]
    Unavailable(String),
    /// The server took offence at something in the batch, and wrote none of it.
    #[error("{0}")]
    Refused(String),
}

/// A row that was refused by itself, while the others of its batch were written.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad {
    /// Its place in the batch.
    pub place: usize,
    pub reason: String,
}

/// Rows of the batch that were refused; all others are written.
pub type Written = Result<Vec<Bad>, SinkError>;

pub trait Sink: Send {
    /// Connects if it has to, and makes tables or templates that are missing.
    fn prepare(&mut self) -> Result<(), SinkError>;
    /// Events in the order of the log.
    fn events(&mut self, events: &[Event]) -> Written;
    /// Findings; one that was told again has the same id and a higher revision.
    fn findings(&mut self, findings: &[Finding]) -> Written;
}

/// Which events a sink gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    #[default]
    All,
    /// Those that matched a rule of level low or above, or are on a threat list.
    Threats,
    None,
}

impl Which {
    pub fn takes(self, event: &Event) -> bool {
        match self {
            Self::All => true,
            Self::Threats => event.severity > Severity::Informational || !event.threat_lists.is_empty(),
            Self::None => false,
        }
    }
}

/// What every sink has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Common {
    /// Unique; letters, digits, `-` and `_`. The sink's place in the log is kept under it.
    pub name: String,
    /// Which events it gets; findings come always, those of signal rules do not.
    #[serde(default)]
    pub events: Which,
}

/// One `[[sinks]]` of the configuration. A URL or password of the form `env:NAME` is read from the environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SinkConfig {
    /// Tables `security_events` and `detected_threats`.
    Postgres {
        #[serde(flatten)]
        common: Common,
        /// `postgres://user:password@host/database`
        url: String,
    },
    /// The lists, sets and the channel that the CloudHawk dashboards read.
    Redis {
        #[serde(flatten)]
        common: Common,
        /// `redis://:password@host:6379/0`
        url: String,
    },
    /// OpenSearch or Elasticsearch, by `_bulk`.
    Opensearch {
        #[serde(flatten)]
        common: Common,
        /// `https://user:password@host:9200`
        url: String,
        #[serde(default = "events_index")]
        events_index: String,
        #[serde(default = "findings_index")]
        findings_index: String,
    },
    /// JSON lines, rotated by size.
    File {
        #[serde(flatten)]
        common: Common,
        path: PathBuf,
        #[serde(default = "file_bytes_max")]
        bytes_max: u64,
        /// Older files kept beside it, as `path.1` (the newest) and so on.
        #[serde(default = "files_kept")]
        keep: u32,
    },
}

fn events_index() -> String {
    "security-events".into()
}

fn findings_index() -> String {
    "security-findings".into()
}

fn file_bytes_max() -> u64 {
    128 << 20
}

fn files_kept() -> u32 {
    4
}

impl SinkConfig {
    pub fn common(&self) -> &Common {
        match self {
            Self::Postgres { common, .. } | Self::Redis { common, .. } | Self::Opensearch { common, .. } | Self::File { common, .. } => common,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgres",
            Self::Redis { .. } => "redis",
            Self::Opensearch { .. } => "opensearch",
            Self::File { .. } => "file",
        }
    }

    /// What is wrong with it, without asking the server.
    pub fn check(&self) -> Result<(), String> {
        let name = &self.common().name;
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(format!("the name {name:?} of a sink is 1 to 64 letters, digits, - and _"));
        }
        let url = match self {
            Self::Postgres { url, .. } => Some((url, &["postgres://", "postgresql://"][..])),
            Self::Redis { url, .. } => Some((url, &["redis://", "unix://"][..])),
            Self::Opensearch { url, .. } => Some((url, &["http://", "https://"][..])),
            Self::File { .. } => None,
        };
        let Some((url, schemes)) = url else { return Ok(()) };
        let url = secret(url).map_err(|why| format!("sink {name}: {why}"))?;
        if schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(());
        }
        Err(format!("sink {name}: the url of a {} sink begins with {}", self.kind(), schemes.join(" or ")))
    }

    /// Opens nothing yet: [`Sink::prepare`] does.
    pub fn build(&self, technique: TechniqueName) -> Result<Box<dyn Sink>, SinkError> {
        let read = |url: &str| secret(url).map_err(SinkError::Refused);
        Ok(match self {
            Self::Postgres { url, .. } => Box::new(postgres::Postgres::new(read(url)?, technique)?),
            Self::Redis { common, url } => Box::new(redis::Redis::new(&read(url)?, &common.name, technique)?),
            Self::Opensearch { url, events_index, findings_index, .. } => {
                Box::new(opensearch::OpenSearch::new(&read(url)?, events_index, findings_index)?)
            }
            Self::File { path, bytes_max, keep, .. } => Box::new(file::File::new(path.clone(), *bytes_max, *keep)),
        })
    }
}

/// The text, or what the environment holds under the name after `env:`.
fn secret(text: &str) -> Result<String, String> {
    match text.strip_prefix("env:") {
        None => Ok(text.to_owned()),
        Some(name) => std::env::var(name).map_err(|_| format!("the environment variable {name} is not set")),
    }
}

fn unavailable(error: impl std::fmt::Display) -> SinkError {
    SinkError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> SinkConfig {
        serde_json::from_str(text).expect("a sink")
    }

    #[test]
    fn wrong_settings_are_said_before_anything_starts() {
        let check = |text: &str| config(text).check().unwrap_err();
        assert!(check(r#"{"type":"redis","name":"a b","url":"redis://x"}"#).contains("letters"));
        assert!(check(r#"{"type":"redis","name":"a","url":"http://x"}"#).contains("begins with redis://"));
        assert!(check(r#"{"type":"postgres","name":"a","url":"env:ERNE_NO_SUCH"}"#).contains("ERNE_NO_SUCH is not set"));
        assert!(serde_json::from_str::<SinkConfig>(r#"{"type":"kafkaesque","name":"a"}"#).is_err());
        assert_eq!(config(r#"{"type":"file","name":"a","path":"/tmp/x"}"#).check(), Ok(()));
    }
}
