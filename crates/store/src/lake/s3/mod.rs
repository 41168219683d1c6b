//! The lake in an S3-compatible object store.
//!
//! [`S3`] is a bucket and a prefix, the tokio runtime that speaks to it, and a cache on local disk. Everything
//! it offers is blocking, bounded by a deadline, and says in its errors what to do ([`explain`]).
//!
//! - A commit is a put with `If-None-Match: *`: a version's name is taken once. Whether the store honours
//!   that is tried at each start ([`lease`]).
//! - A put whose answer was lost is repeated with the same bytes. If the name is taken, what stands there
//!   says whose it is: ours, byte by byte, or another writer's.
//! - Data files are written to the cache folder, uploaded in parts, and stay there for the next query.
//! - Reads are of blocks of 64 KiB, each of which proves itself by its checksum ([`file`]).

pub(super) mod cache;
mod explain;
pub(super) mod file;
mod lease;

use super::LakeError;
use bytes::Bytes;
use cache::Cache;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Files up to this size go up in one request; a part of a larger one has this size.
const PART_BYTES: u64 = 8 << 20;
/// Parts of one file under way at once: so much of a file is in memory.
const PARTS_AT_ONCE: usize = 4;
/// Requests under way at once where many small objects are read.
const REQUESTS_AT_ONCE: usize = 16;
/// A transfer slower than this is given up.
const BYTES_PER_SEC_MIN: u64 = 256 << 10;
/// How often one request is repeated at most; the deadline usually ends it earlier.
const RETRIES_MAX: usize = 10;
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Threads that carry the requests; the bytes are the network's work.
const THREADS: usize = 2;
/// The folder of the Delta log.
pub(super) const LOG: &str = "_delta_log";

/// How the store encrypts what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerSideEncryption {
    /// With keys of the store (`AES256`).
    Aes256,
    /// With a key of the key management service (`aws:kms`); its default key if none is named.
    Kms { key_id: Option<String> },
}

/// Where a lake in an object store is, and how to reach it. Credentials come from the environment
/// (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), a web identity token, or the machine's
/// role.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// `s3://bucket/prefix`
    pub url: String,
    /// `http://127.0.0.1:9000` for a store that is not AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Whether the bucket stands in the path instead of the host name; by default where an endpoint is named.
    pub path_style: Option<bool>,
    pub encryption: Option<ServerSideEncryption>,
    /// Where files are written before their upload and parts of read ones are kept.
    pub cache_dir: PathBuf,
    pub cache_bytes_max: u64,
    /// One operation with its repetitions ends after this many seconds.
    pub deadline_secs: u64,
    /// Instead of those of the environment.
    pub credentials: Option<S3Credentials>,
}

#[derive(Clone)]
pub struct S3Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl S3Config {
    pub const CACHE_BYTES_MAX: u64 = 20 << 30;
    pub const DEADLINE_SECS: u64 = 30;

    pub fn new(url: impl Into<String>, cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            url: url.into(),
            endpoint: None,
            region: None,
            path_style: None,
            encryption: None,
            cache_dir: cache_dir.into(),
            cache_bytes_max: Self::CACHE_BYTES_MAX,
            deadline_secs: Self::DEADLINE_SECS,
            credentials: None,
        }
    }

    /// Bucket and prefix.
    fn parts(&self) -> Result<(String, Key), LakeError> {
        let bad = |why: &str| LakeError::Failed(format!("{} is no place for a lake: {why}; write s3://bucket/prefix", self.url));
        let url = url::Url::parse(&self.url).map_err(|e| bad(&e.to_string()))?;
        if url.scheme() != "s3" {
            return Err(bad("only s3:// is known"));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.port().is_some() {
            return Err(bad("it has more than a bucket and a prefix (credentials come from the environment)"));
        }
        let bucket = url.host_str().filter(|b| !b.is_empty()).ok_or_else(|| bad("the bucket is missing"))?;
        let prefix = Key::from_url_path(url.path()).map_err(|e| bad(&e.to_string()))?;
        Ok((bucket.to_owned(), prefix))
    }
}

/// A put of a commit did not succeed.
pub(in crate::lake) enum CommitFailed {
    /// Another writer has this version. The text names it.
    Taken(String),
    /// It may or may not be there: the same bytes may be put again.
    Unknown(LakeError),
    /// It is not there.
    Refused(LakeError),
}

pub(in crate::lake) struct S3 {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
    /// Ends with a slash.
    url: url::Url,
    config: S3Config,
    pub cache: Arc<Cache>,
    /// Names this data folder among writers; `None` where nothing is written.
    writer: Option<String>,
    runtime: Option<tokio::runtime::Runtime>,
    pub uploaded_bytes: AtomicU64,
    pub downloaded_bytes: AtomicU64,
}

impl S3 {
    /// Reaches nothing yet, so nothing but the configuration can be wrong.
    pub fn new(config: S3Config, writer: Option<String>) -> Result<Arc<Self>, LakeError> {
        let (bucket, prefix) = config.parts()?;
        let store = Arc::new(builder(&config, &bucket)?.build().map_err(|e| explain::configuration(&config, &e))?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("lake-s3")
            .enable_all()
            .build()
            .map_err(|e| LakeError::Failed(format!("no threads for the object store: {e}")))?;
        let text = if prefix.as_ref().is_empty() { format!("s3://{bucket}/") } else { format!("s3://{bucket}/{prefix}/") };
        let url = url::Url::parse(&text).map_err(|e| LakeError::Failed(format!("{text}: {e}")))?;
        let cache = Arc::new(Cache::open(&config.cache_dir, config.cache_bytes_max, writer.is_some())?);
        Ok(Arc::new(Self {
            store,
            prefix,
            url,
            config,
            cache,
            writer,
            runtime: Some(runtime),
            uploaded_bytes: AtomicU64::new(0),
            downloaded_bytes: AtomicU64::new(0),
        }))
    }

    pub fn describe(&self, relative: &str) -> String {
        format!("{}{relative}", self.url)
    }

    pub fn writer(&self) -> Option<&str> {
        self.writer.as_deref()
    }

    /// The object of a path in the table.
    fn key(&self, relative: &str) -> Key {
        self.prefix.parts().chain(Key::from(relative).parts()).collect()
    }

    fn relative(&self, key: &Key) -> Option<String> {
        let parts: Vec<String> = key.prefix_match(&self.prefix)?.map(|p| p.as_ref().to_owned()).collect();
        Some(parts.join("/"))
    }

    /// How long an operation on so many bytes may take: a quarter longer than its repetitions, so that it ends with
    /// the reason of the last one.
    fn budget(&self, bytes: u64) -> Duration {
        let deadline = Duration::from_secs(self.config.deadline_secs.max(1));
        deadline + deadline / 4 + Duration::from_secs(1 + bytes / BYTES_PER_SEC_MIN)
    }

    /// Waits for a future on the runtime's threads. The caller's thread may be inside another runtime, where
    /// `block_on` is forbidden; waiting on a channel is not.
    fn wait<T, F>(&self, budget: Duration, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let Some(runtime) = &self.runtime else { return Err(Failure::Ended) };
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            let _ = sender.send(tokio::time::timeout(budget, work).await);
        });
        match receiver.recv() {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(Failure::Store(error)),
            Ok(Err(_)) => Err(Failure::Late(budget)),
            Err(_) => Err(Failure::Ended),
        }
    }

    fn run<T, F>(&self, relative: &str, bytes: u64, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.wait(self.budget(bytes), work).map_err(|f| self.explain(relative, &f))
    }

    fn explain(&self, relative: &str, failure: &Failure) -> LakeError {
        explain::failure(&self.config, &self.describe(relative), failure)
    }

    /// Runs work of the Delta library where its connections live.
    pub fn run_delta<T, F, Fut>(&self, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce(Arc<dyn ObjectStore>, url::Url) -> Fut,
        Fut: Future<Output = Result<T, LakeError>> + Send + 'static,
    {
        /// A load reads a checkpoint and up to some hundred commits.
        const REQUESTS: u32 = 10;
        let budget = self.budget(0) * REQUESTS;
        let work = work(self.store.clone(), self.url.clone());
        self.wait(budget, async move { Ok(work.await) }).map_err(|f| self.explain(LOG, &f))?
    }

    /// Uploads a file that stands complete in the cache folder; durable when it returns.
    pub fn upload(&self, relative: &str, bytes: u64) -> Result<(), LakeError> {
        let local = self.config.cache_dir.join(relative);
        let (store, key) = (self.store.clone(), self.key(relative));
        let opened = File::open(&local).map_err(|e| super::io_error(&local, e))?;
        let result = self.run(relative, bytes, async move {
            if bytes <= PART_BYTES {
                store.put(&key, read_part(&opened, 0, bytes)?).await?;
            } else {
                let upload = store.put_multipart(&key).await?;
                upload_parts(upload, Arc::new(opened), bytes).await?;
            }
            Ok(())
        });
        if result.is_ok() {
            self.uploaded_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.cache.adopt(relative, bytes);
        }
        result
    }

    /// Puts `version` of the log, unless it is there already with other bytes.
    pub fn put_commit(&self, version: u64, body: &[u8]) -> Result<(), CommitFailed> {
        let relative = commit_name(version);
        let (store, key, payload) = (self.store.clone(), self.key(&relative), Bytes::copy_from_slice(body));
        let put = self.wait(self.budget(body.len() as u64), create(store, key, payload));
        match put {
            Ok(()) => Ok(()),
            Err(Failure::Store(Error::AlreadyExists { .. })) => match self.get(&relative) {
                Ok(Some(found)) if found == body => Ok(()),
                Ok(Some(found)) => Err(CommitFailed::Taken(lease::who_committed(&self.describe(&relative), &found))),
                Ok(None) => Err(CommitFailed::Unknown(LakeError::Failed(format!("{} is being written at the same time", self.describe(&relative))))),
                Err(error) => Err(CommitFailed::Unknown(error)),
            },
            Err(failure) => Err(CommitFailed::Unknown(self.explain(&relative, &failure))),
        }
    }

    /// A small object; `None` if there is none.
    pub fn get(&self, relative: &str) -> Result<Option<Bytes>, LakeError> {
        let (store, key) = (self.store.clone(), self.key(relative));
        match self.wait(self.budget(0), async move { store.get(&key).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failure @ Failure::Store(Error::NotFound { .. })) if !explain::is_missing_bucket(&failure) => Ok(None),
            Err(failure) => Err(self.explain(relative, &failure)),
        }
    }

    pub fn put(&self, relative: &str, body: Bytes) -> Result<(), LakeError> {
        let (store, key) = (self.store.clone(), self.key(relative));
        self.run(relative, body.len() as u64, async move { store.put(&key, body.into()).await.map(|_| ()) })
    }

    /// Whether there was such an object is not told by S3: a delete of nothing succeeds.
    pub fn delete(&self, relative: &str) -> Result<(), LakeError> {
        self.cache.remove(relative);
        let (store, key) = (self.store.clone(), self.key(relative));
        let delete = self.wait(self.budget(0), async move { store.delete(&key).await });
        match delete {
            Ok(()) | Err(Failure::Store(Error::NotFound { .. })) => Ok(()),
            Err(failure) => Err(self.explain(relative, &failure)),
        }
    }

    /// Paths and sizes of all objects below a folder of the table (`""` is the table).
    pub fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, LakeError> {
        let (store, key) = (self.store.clone(), self.key(folder));
        let found: Vec<object_store::ObjectMeta> =
            self.wait(self.budget(0) * 4, async move { store.list(Some(&key)).try_collect().await }).map_err(|f| self.explain(folder, &f))?;
        Ok(found.into_iter().filter_map(|m| Some((self.relative(&m.location)?, m.size))).collect())
    }

    /// Whether anything lies below a folder of the table.
    pub fn holds(&self, folder: &str) -> Result<bool, LakeError> {
        let (store, key) = (self.store.clone(), self.key(folder));
        self.run(folder, 0, async move { Ok(store.list(Some(&key)).next().await.transpose()?.is_some()) })
    }

    /// Whole small objects, several at a time.
    pub fn get_all(&self, paths: Vec<String>) -> Result<Vec<(String, Bytes)>, LakeError> {
        let keys: Vec<(String, Key)> = paths.into_iter().map(|p| (p.clone(), self.key(&p))).collect();
        let store = self.store.clone();
        let work = async move {
            let reads = keys.into_iter().map(|(path, key)| {
                let store = store.clone();
                async move { Ok::<_, Error>((path, store.get(&key).await?.bytes().await?)) }
            });
            futures::stream::iter(reads).buffer_unordered(REQUESTS_AT_ONCE).try_collect().await
        };
        self.wait(self.budget(0) * 4, work).map_err(|f| self.explain(LOG, &f))
    }

    /// Ranges of one object, read at once, in the order asked for.
    fn get_ranges(&self, relative: &str, ranges: Vec<std::ops::Range<u64>>) -> Result<Vec<Bytes>, Failure> {
        let (store, key) = (self.store.clone(), self.key(relative));
        let bytes: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        let read = self.wait(self.budget(bytes), async move {
            let reads = ranges.into_iter().map(|range| {
                let (store, key) = (store.clone(), key.clone());
                async move { store.get_range(&key, range).await }
            });
            futures::stream::iter(reads).buffered(REQUESTS_AT_ONCE).try_collect().await
        });
        if read.is_ok() {
            self.downloaded_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        read
    }
}

impl Drop for S3 {
    /// A runtime must not be dropped inside another one, which waiting for its threads would be.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Why an operation has no result.
pub(in crate::lake) enum Failure {
    Store(Error),
    Late(Duration),
    /// The threads are gone, or one panicked.
    Ended,
}

/// `_delta_log/00000000000000000017.json`
pub(super) fn commit_name(version: u64) -> String {
    format!("{LOG}/{version:020}.json")
}

async fn create(store: Arc<dyn ObjectStore>, key: Key, body: Bytes) -> Result<(), Error> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(&key, body.into(), options).await.map(|_| ())
}

fn read_part(file: &File, at: u64, bytes: u64) -> Result<PutPayload, Error> {
    let mut part = vec![0; bytes as usize];
    file.read_exact_at(&mut part, at).map_err(|e| Error::Generic { store: "the cache folder", source: Box::new(e) })?;
    Ok(part.into())
}

/// All parts, or none: what went up is given back if one fails. After a kill it stays, until the bucket's
/// lifecycle rule for incomplete uploads removes it.
async fn upload_parts(mut upload: Box<dyn MultipartUpload>, file: Arc<File>, bytes: u64) -> Result<(), Error> {
    // The order of the calls to `put_part` is the order of the parts.
    let starts: Vec<u64> = (0..bytes).step_by(PART_BYTES as usize).collect();
    let mut sent = Ok(());
    'all: for group in starts.chunks(PARTS_AT_ONCE) {
        let mut parts = Vec::with_capacity(group.len());
        for at in group {
            match read_part(&file, *at, PART_BYTES.min(bytes - at)) {
                Ok(part) => parts.push(upload.put_part(part)),
                Err(error) => {
                    sent = Err(error);
                    break 'all;
                }
            }
        }
        if let Err(error) = futures::future::try_join_all(parts).await {
            sent = Err(error);
            break;
        }
    }
    let done = match sent {
        Ok(()) => upload.complete().await.map(|_| ()),
        Err(error) => Err(error),
    };
    if done.is_err() {
        let _ = upload.abort().await;
    }
    done
}

fn builder(config: &S3Config, bucket: &str) -> Result<AmazonS3Builder, LakeError> {
    let deadline = Duration::from_secs(config.deadline_secs.max(1));
    let plain = config.endpoint.as_deref().is_some_and(|e| e.starts_with("http://"));
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: BACKOFF_MAX.min(deadline / 4), ..BackoffConfig::default() },
        max_retries: RETRIES_MAX,
        retry_timeout: deadline,
    };
    let client = ClientOptions::new().with_timeout(deadline).with_connect_timeout(CONNECT_TIMEOUT.min(deadline)).with_allow_http(plain);
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(client)
        .with_retry(retry);
    let path_style = config.path_style.unwrap_or(config.endpoint.is_some());
    builder = builder.with_virtual_hosted_style_request(!path_style);
    if let Some(endpoint) = &config.endpoint {
        let host = if path_style { endpoint.clone() } else { with_bucket(endpoint, bucket)? };
        builder = builder.with_endpoint(host);
    }
    if let Some(region) = &config.region {
        builder = builder.with_region(region);
    }
    if let Some(S3Credentials { access_key_id, secret_access_key }) = &config.credentials {
        builder = builder.with_access_key_id(access_key_id).with_secret_access_key(secret_access_key);
    }
    let mut set = |key: &str, value: &str| -> Result<(), LakeError> {
        let key: AmazonS3ConfigKey = key.parse().map_err(|e: Error| LakeError::Failed(e.to_string()))?;
        builder = std::mem::take(&mut builder).with_config(key, value);
        Ok(())
    };
    match &config.encryption {
        None => {}
        Some(ServerSideEncryption::Aes256) => set("aws_server_side_encryption", "AES256")?,
        Some(ServerSideEncryption::Kms { key_id }) => {
            set("aws_server_side_encryption", "aws:kms")?;
            if let Some(key_id) = key_id {
                set("aws_sse_kms_key_id", key_id)?;
            }
        }
    }
    Ok(builder)
}

/// `https://host` → `https://bucket.host`
fn with_bucket(endpoint: &str, bucket: &str) -> Result<String, LakeError> {
    let (scheme, host) = endpoint
        .split_once("://")
        .ok_or_else(|| LakeError::Failed(format!("the endpoint {endpoint} lacks https:// or http://")))?;
    Ok(format!("{scheme}://{bucket}.{host}"))
}
