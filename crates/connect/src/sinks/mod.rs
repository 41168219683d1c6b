//! Where events and findings go besides our own stores: databases, caches, search engines and files of other people.
//!
//! A sink writes what it is given and says how that went; it keeps no queue, no offset and no clock. `engine` hands it
//! batches in order, repeats what failed ([`SinkError::Unavailable`]), halves what was refused as a whole until the
//! single bad row is found ([`SinkError::Refused`]), and repeats a batch after a crash whose outcome is unknown. So
//! every sink is **idempotent**: writing a batch again changes nothing.
//!
//! Sinks block; each has a thread of its own. Adding one is a file here and a row in [`SinkConfig`].

mod file;
mod mongodb;
mod opensearch;
mod postgres;
mod redis;
mod rows;
pub mod securitylake;

use event::{Entity, Event, Finding, Id, Severity, Timestamp};
use securitylake::{Archive, Bucket};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a server may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Most bytes of entries in one batch for a lake: they and the events that they become are in memory at once.
const LAKE_BYTES_MAX: u64 = 256 << 20;

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
    /// Whether it keeps profiles; making one costs a few questions to the control plane.
    fn takes_profiles(&self) -> bool {
        false
    }
    /// Whether it wants few large batches instead of each as it comes.
    fn cut(&self) -> Option<Cut> {
        None
    }
    /// What is now known of entities whose findings were written.
    fn profiles(&mut self, _profiles: &[Profile]) -> Written {
        Ok(Vec::new())
    }
}

/// When a batch of a sink that wants large ones is full: its events stay in the log until then.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Age of its first event.
    pub after: Duration,
    /// Bytes of its entries as they were received.
    pub bytes_max: u64,
}

/// What a sink needs of others.
pub struct Surroundings<'a> {
    pub technique: TechniqueName,
    /// Opens the archive of a bucket, without reaching it.
    pub archive: &'a dyn Fn(&Bucket) -> Result<Box<dyn Archive>, SinkError>,
    /// Names this installation's place in the log among others, in letters and digits.
    pub instance: &'a str,
}

/// Who an entity is to the detectors, at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    pub entity: Entity,
    /// 0 to 100, fading with time; as of `updated`.
    pub risk: u32,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// ATT&CK tactics in the order in which they were first seen.
    pub tactics: Vec<String>,
    /// The newest first.
    pub alerts: Vec<ProfileAlert>,
    pub incidents: Vec<Id>,
    pub updated: Timestamp,
}

/// An alert about the entity, or naming it.
#[derive(Clone, Debug, Serialize)]
pub struct ProfileAlert {
    pub id: Id,
    pub rule: Arc<str>,
    pub severity: Severity,
    pub last_seen: Timestamp,
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
            Self::Threats => event.is_threat(),
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
        /// PEM file of the authorities that vouch for the server, instead of the machine's.
        #[serde(default)]
        ca_file: Option<PathBuf>,
        #[serde(default = "events_index")]
        events_index: String,
        #[serde(default = "findings_index")]
        findings_index: String,
    },
    /// MongoDB 5 or newer: documents under the ids they have here.
    Mongodb {
        #[serde(flatten)]
        common: Common,
        /// `mongodb://user:password@one:27017,two:27017/database?replicaSet=rs0&tls=true`
        url: String,
        #[serde(default = "events_collection")]
        events_collection: String,
        #[serde(default = "findings_collection")]
        findings_collection: String,
        #[serde(default = "profiles_collection")]
        profiles_collection: String,
    },
    /// Amazon Security Lake, or the same layout in another S3-compatible store: events, no findings.
    Securitylake {
        #[serde(flatten)]
        common: Common,
        bucket: String,
        /// Where the bucket is.
        region: String,
        /// `http://127.0.0.1:9000` for a store that is not AWS.
        #[serde(default)]
        endpoint: Option<String>,
        /// The custom sources are `SOURCE-CLASS`, as `erne-3002`: the service wants a source for each class.
        #[serde(default = "lake_source")]
        source: String,
        /// Of the custom sources, if they were registered with one.
        #[serde(default)]
        source_version: Option<String>,
        /// The account of events that name none.
        #[serde(default = "lake_account")]
        account_id: String,
        /// Objects are written at most so often …
        #[serde(default = "lake_secs")]
        every_secs: u64,
        /// … or when so many bytes of entries wait.
        #[serde(default = "lake_bytes")]
        bytes_max: u64,
        /// Both or neither; else what the environment has, or the machine's role.
        #[serde(default)]
        access_key_id: Option<String>,
        #[serde(default)]
        secret_access_key: Option<String>,
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

fn events_collection() -> String {
    "security_events".into()
}

fn findings_collection() -> String {
    "security_findings".into()
}

fn profiles_collection() -> String {
    "entity_profiles".into()
}

fn lake_source() -> String {
    "erne".into()
}

fn lake_account() -> String {
    "external".into()
}

fn lake_secs() -> u64 {
    300
}

fn lake_bytes() -> u64 {
    64 << 20
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
            Self::Postgres { common, .. }
            | Self::Redis { common, .. }
            | Self::Opensearch { common, .. }
            | Self::Mongodb { common, .. }
            | Self::Securitylake { common, .. }
            | Self::File { common, .. } => common,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgres",
            Self::Redis { .. } => "redis",
            Self::Opensearch { .. } => "opensearch",
            Self::Mongodb { .. } => "mongodb",
            Self::Securitylake { .. } => "securitylake",
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
            Self::Mongodb { url, .. } => Some((url, &["mongodb://"][..])),
            Self::Securitylake { .. } | Self::File { .. } => None,
        };
        let Some((url, schemes)) = url else { return self.check_lake().map_err(|why| format!("sink {name}: {why}")) };
        let url = secret(url).map_err(|why| format!("sink {name}: {why}"))?;
        if let Self::Mongodb { .. } = self {
            return mongodb::check(&url).map_err(|why| format!("sink {name}: {why}"));
        }
        if schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(());
        }
        Err(format!("sink {name}: the url of a {} sink begins with {}", self.kind(), schemes.join(" or ")))
    }

    fn check_lake(&self) -> Result<(), String> {
        let Self::Securitylake { bucket, region, source, source_version, account_id, every_secs, bytes_max, access_key_id, secret_access_key, .. } = self
        else {
            return Ok(());
        };
        let word = |text: &str, more: &[u8]| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || more.contains(&b));
        let version = source_version.as_deref().unwrap_or("1");
        if !word(bucket, b".") || !word(region, b"") || !word(source, b"_") || !word(version, b"._") || version.starts_with('.') {
            return Err("bucket, region, source and source_version are letters, digits and -".into());
        }
        // The service allows 20, and `-6003` follows.
        if source.len() > 15 {
            return Err("source has at most 15 characters".into());
        }
        if !securitylake::is_account(account_id) && !(account_id.starts_with("external") && word(account_id, b"_")) {
            return Err("account_id is 12 digits, external, or external_ID".into());
        }
        if !(1..=86_400).contains(every_secs) || !(1 << 20..=LAKE_BYTES_MAX).contains(bytes_max) {
            return Err(format!("every_secs is 1 to 86400, bytes_max 1048576 to {LAKE_BYTES_MAX}"));
        }
        if access_key_id.is_some() != secret_access_key.is_some() {
            return Err("access_key_id and secret_access_key belong together".into());
        }
        [access_key_id, secret_access_key].into_iter().flatten().try_for_each(|text| secret(text).map(|_| ()))
    }

    /// Opens nothing yet: [`Sink::prepare`] does.
    pub fn build(&self, surroundings: Surroundings<'_>) -> Result<Box<dyn Sink>, SinkError> {
        let technique = surroundings.technique.clone();
        let read = |url: &str| secret(url).map_err(SinkError::Refused);
        Ok(match self {
            Self::Postgres { url, .. } => Box::new(postgres::Postgres::new(read(url)?, technique)?),
            Self::Redis { common, url } => Box::new(redis::Redis::new(&read(url)?, &common.name, technique)?),
            Self::Opensearch { url, ca_file, events_index, findings_index, .. } => {
                Box::new(opensearch::OpenSearch::new(&read(url)?, ca_file.as_deref(), events_index, findings_index)?)
            }
            Self::Mongodb { url, events_collection, findings_collection, profiles_collection, .. } => {
                let collections = mongodb::Collections {
                    events: events_collection.clone(),
                    findings: findings_collection.clone(),
                    profiles: profiles_collection.clone(),
                };
                Box::new(mongodb::MongoDb::new(&read(url)?, collections)?)
            }
            Self::Securitylake {
                bucket, region, endpoint, source, source_version, account_id, every_secs, bytes_max, access_key_id, secret_access_key, ..
            } => {
                let credentials = match (access_key_id, secret_access_key) {
                    (Some(id), Some(key)) => Some((read(id)?, read(key)?)),
                    _ => None,
                };
                let bucket = Bucket { name: bucket.clone(), region: region.clone(), endpoint: endpoint.clone(), credentials };
                let archive = (surroundings.archive)(&bucket)?;
                let layout = securitylake::Layout {
                    source: source.clone(),
                    version: source_version.clone(),
                    region: region.clone(),
                    account: account_id.clone(),
                    instance: surroundings.instance.to_owned(),
                };
                let cut = Cut { after: Duration::from_secs(*every_secs), bytes_max: *bytes_max };
                Box::new(securitylake::SecurityLake::new(archive, layout, cut))
            }
            Self::File { path, bytes_max, keep, .. } => Box::new(file::File::new(path.clone(), *bytes_max, *keep)),
        })
    }
}

/// The text, or what the environment holds under the name after `env:`.
pub(crate) fn secret(text: &str) -> Result<String, String> {
    match text.strip_prefix("env:") {
        None => Ok(text.to_owned()),
        Some(name) => std::env::var(name).map_err(|_| format!("the environment variable {name} is not set")),
    }
}

/// Percent-decoding of a part of a URL.
fn percent_decoded(part: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let hex = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        let ahead = bytes.clone();
        if byte == b'%' {
            if let (Some(high), Some(low)) = (hex(bytes.next()), hex(bytes.next())) {
                out.push((high * 16 + low) as u8);
                continue;
            }
            bytes = ahead;
        }
        out.push(byte);
    }
    out
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
        let lake = |more: &str| check(&format!(r#"{{"type":"securitylake","name":"a","bucket":"b","region":"eu-central-1"{more}}}"#));
        assert!(lake(r#","account_id":"12""#).contains("12 digits"));
        assert!(lake(r#","source":"../x""#).contains("letters"));
        assert!(lake(r#","access_key_id":"x""#).contains("belong together"));
        assert!(lake(r#","bytes_max":1"#).contains("bytes_max"));
        assert!(check(r#"{"type":"mongodb","name":"a","url":"mongodb+srv://x"}"#).contains("list the hosts"));
        assert_eq!(config(r#"{"type":"file","name":"a","path":"/tmp/x"}"#).check(), Ok(()));
    }
}
