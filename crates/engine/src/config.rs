//! The one configuration file. Precedence: flag > environment (`ERNE__A__B`) > file > default.

use crate::content::ContentDirs;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use store::control::DatabaseUrl;
use store::lake::{LakeConfig, Location, Retention, S3Config, ServerSideEncryption, SourceRetention};

/// Everything that can be set, with its default. `erne config show` prints it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the log, the state, the lake, the database and the secrets live.
    pub data_dir: PathBuf,
    /// The address of the API and the dashboard. Loopback unless you say otherwise.
    pub listen: SocketAddr,
    /// Threads of the stateless stage; 0 means one per core.
    pub workers: usize,
    /// Whether `POST /api/logs` needs no key when it comes from loopback.
    pub open_ingest_on_loopback: bool,
    pub log: LogSection,
    pub lake: LakeSection,
    pub sql: SqlSection,
    pub control: ControlSection,
    pub rules: RulesConfig,
    pub sources: SourcesSection,
    pub geoip: GeoipConfig,
    pub gateway: GatewaySection,
    /// Files to follow.
    pub files: Vec<FileSource>,
    /// Bans.
    pub answer: crate::answer::AnswerSection,
    /// Where events and findings go besides.
    pub sinks: Vec<connect::sinks::SinkConfig>,
}

/// The write-ahead log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// Unprocessed bytes at which ingest answers 429.
    pub backlog_bytes_max: u64,
    /// Bytes that stay free on the disk: below, ingest answers 503.
    pub free_bytes_min: u64,
    /// How long an `Idempotency-Key` is remembered.
    pub dedup_secs: u64,
}

/// The Delta table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LakeSection {
    /// `s3://bucket/prefix` of an S3-compatible store; absent means the folder `lake` of the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How the store of `url` is reached.
    pub s3: S3Section,
    /// Events older than this many days are deleted.
    pub retention_days: u32,
    /// Bounds of size, and what holds for single sources instead.
    pub retention: RetentionSection,
    /// A Parquet file is written at this many rows …
    pub flush_rows: usize,
    /// … or when its oldest row has waited this long.
    pub flush_secs: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSection {
    /// Above this size of the lake the oldest files go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    /// By the source's name (`metadata.log_name`).
    pub sources: std::collections::BTreeMap<String, SourceRetentionSection>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceRetentionSection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
}

/// An S3-compatible store. Credentials are never set here: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the
/// environment, a web identity token, or the role of the machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Section {
    /// `https://minio.example.org:9000`; absent means AWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether the bucket stands in the path instead of the host name; by default where `endpoint` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// `AES256` or `aws:kms`: how the store encrypts what it keeps, beyond what the bucket does by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The key of `aws:kms`; the store's default key if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Local disk that parts of files read from the store may take.
    pub cache_bytes_max: u64,
    /// One operation with its repetitions is given up after so long, and tried again later.
    pub deadline_secs: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Encryption {
    #[serde(rename = "AES256")]
    Aes256,
    #[serde(rename = "aws:kms")]
    Kms,
}

/// What queries in SQL may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlSection {
    /// Megabytes of all queries together; nothing is spilled to disk.
    pub memory_mb: usize,
    /// The most seconds that a query may ask for.
    pub secs_max: u64,
    /// Rows of an answer.
    pub rows_max: usize,
    /// Queries that run at once; as many as `waiting_max` wait, more are answered 429.
    pub running_max: usize,
    pub waiting_max: usize,
}

impl Default for SqlSection {
    fn default() -> Self {
        let budget = sql::Budget::default();
        Self {
            memory_mb: budget.memory_bytes >> 20,
            secs_max: budget.secs_max,
            rows_max: budget.rows_max,
            running_max: budget.running_max,
            waiting_max: budget.waiting_max,
        }
    }
}

impl SqlSection {
    pub(crate) fn budget(&self) -> sql::Budget {
        sql::Budget {
            memory_bytes: self.memory_mb.max(1) << 20,
            secs_max: self.secs_max.max(1),
            rows_max: self.rows_max.max(1),
            running_max: self.running_max.max(1),
            waiting_max: self.waiting_max,
            ..sql::Budget::default()
        }
    }
}

/// Web protection: who may ask it without a key or a signature.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewaySection {
    /// Whether proxies on this machine may ask `/api/v1/hooks/` without a key. Any program on it may then.
    pub hooks_open_on_loopback: bool,
    /// Whether `/api/v1/ws/services/` takes an agent's secret as Basic credentials, which old agents of Whale Sentinel
    /// send in clear with every request.
    pub whale_basic: bool,
}

/// Users, keys, alerts, incidents, saved searches and the audit log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlSection {
    /// A PostgreSQL database, `postgres://user:password@host:5432/database`; the file `erne.db` in the data folder,
    /// if absent. Shown without its password.
    pub url: Option<DatabaseUrl>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// Whether the content pack in the binary is active.
    pub builtin: bool,
    /// Folders of Sigma rules, a SigmaHQ checkout for example; re-read when they change.
    pub dirs: Vec<PathBuf>,
    /// Threat lists: files or folders; re-read when they change.
    pub lists: Vec<PathBuf>,
    /// Processing pipelines in pySigma's format, which change rules as they are loaded; re-read when they change.
    pub pipelines: Vec<PathBuf>,
}

/// What is known of sources.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourcesSection {
    /// Seconds that events of a source, by its name, may be under way: so long stateful rules wait before a
    /// window is final. The default is 900 for CloudTrail and 60 for everything else; a day is the most.
    pub lateness_secs: std::collections::BTreeMap<String, u32>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeoipConfig {
    /// An MMDB file with cities.
    pub city: Option<PathBuf>,
    /// An MMDB file with autonomous systems.
    pub asn: Option<PathBuf>,
}

/// A file that is followed through rotation, like `tail -F`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSource {
    pub path: PathBuf,
    /// Shown as the log's name; the path if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// One of the formats of `docs/formats.md`; detected if absent.
    #[serde(default)]
    pub format: Option<event::Format>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from(".erne"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8440)),
            workers: 0,
            open_ingest_on_loopback: true,
            log: LogSection::default(),
            lake: LakeSection::default(),
            sql: SqlSection::default(),
            control: ControlSection::default(),
            rules: RulesConfig::default(),
            sources: SourcesSection::default(),
            geoip: GeoipConfig::default(),
            gateway: GatewaySection::default(),
            files: Vec::new(),
            answer: Default::default(),
            sinks: Vec::new(),
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { backlog_bytes_max: 4 << 30, free_bytes_min: 512 << 20, dedup_secs: 3600 }
    }
}

impl Default for LakeSection {
    fn default() -> Self {
        Self { url: None, s3: S3Section::default(), retention_days: 30, retention: RetentionSection::default(), flush_rows: 250_000, flush_secs: 30 }
    }
}

impl Default for S3Section {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            path_style: None,
            encryption: None,
            kms_key_id: None,
            cache_bytes_max: S3Config::CACHE_BYTES_MAX,
            deadline_secs: S3Config::DEADLINE_SECS,
        }
    }
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self { builtin: true, dirs: Vec::new(), lists: Vec::new(), pipelines: Vec::new() }
    }
}

impl Config {
    /// The layers, from the weakest: default, file, environment. Flags are merged by the caller.
    pub fn layers(file: Option<&Path>) -> Figment {
        let mut layers = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            layers = layers.merge(Toml::file_exact(file));
        }
        layers.merge(Env::prefixed("ERNE__").split("__"))
    }

    /// The longest that events of any source are kept.
    pub fn retention_days_max(&self) -> u32 {
        self.lake.retention.sources.values().filter_map(|s| s.days).max().unwrap_or(0).max(self.lake.retention_days)
    }

    pub(crate) fn lake_config(&self) -> LakeConfig {
        let source = |s: &SourceRetentionSection| SourceRetention { days: s.days, bytes_max: s.bytes_max };
        let retention = &self.lake.retention;
        LakeConfig {
            retention_days: self.lake.retention_days,
            retention: Retention {
                bytes_max: retention.bytes_max,
                sources: retention.sources.iter().map(|(name, s)| (name.clone(), source(s))).collect(),
            },
            flush_rows: self.lake.flush_rows,
            flush_secs: self.lake.flush_secs,
        }
    }

    /// Where the lake is.
    pub fn lake_location(&self) -> Location {
        let Some(url) = &self.lake.url else { return Location::Disk(self.data_dir.join("lake")) };
        let s3 = &self.lake.s3;
        let encryption = s3.encryption.map(|e| match e {
            Encryption::Aes256 => ServerSideEncryption::Aes256,
            Encryption::Kms => ServerSideEncryption::Kms { key_id: s3.kms_key_id.clone() },
        });
        Location::S3(Box::new(S3Config {
            endpoint: s3.endpoint.clone(),
            region: s3.region.clone(),
            path_style: s3.path_style,
            encryption,
            cache_bytes_max: s3.cache_bytes_max,
            deadline_secs: s3.deadline_secs,
            ..S3Config::new(url.clone(), self.data_dir.join("lake-cache"))
        }))
    }

    pub fn content(&self) -> ContentDirs {
        let RulesConfig { builtin, dirs, lists, pipelines } = self.rules.clone();
        ContentDirs { builtin, rules: dirs, lists, pipelines }
    }

    /// Falls back to databases that set-up put beside the data.
    pub fn geoip_or_found(&self) -> GeoipConfig {
        let found = |name: &str| {
            let path = self.data_dir.join("geoip").join(name);
            path.is_file().then_some(path)
        };
        GeoipConfig {
            city: self.geoip.city.clone().or_else(|| found("city.mmdb")),
            asn: self.geoip.asn.clone().or_else(|| found("asn.mmdb")),
        }
    }
}
