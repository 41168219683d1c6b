//! A bucket of S3, or of something like it, into which whole objects are put: what a sink needs of it.

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// An upload may take this long, and a second more for each so many bytes.
const ANSWER_MAX: Duration = Duration::from_secs(30);
const BYTES_PER_SEC_MIN: u64 = 256 << 10;
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Repetitions of one request; who puts repeats the whole after that.
const RETRIES_MAX: usize = 3;
const REASON_CHARS_MAX: usize = 500;
/// Largest object, by which the client's own deadline is set.
const OBJECT_BYTES_MAX: u64 = 256 << 20;

pub struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Bucket {
    /// A runtime must not be dropped inside another one, which waiting for its threads would be.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The text says what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[error("s3://{bucket}: {why}")]
pub struct PutFailed {
    bucket: String,
    why: String,
}

impl Bucket {
    /// Reaches nothing yet. Without `credentials` (id and secret) those of the environment count, else those of a web
    /// identity token, or of the machine's role.
    pub fn open(name: &str, region: &str, endpoint: Option<&str>, credentials: Option<(&str, &str)>) -> Result<Self, PutFailed> {
        let failed = |why: String| PutFailed { bucket: name.to_owned(), why };
        let deadline = ANSWER_MAX + Duration::from_secs(OBJECT_BYTES_MAX / BYTES_PER_SEC_MIN);
        let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new().with_timeout(deadline).with_connect_timeout(CONNECT_MAX).with_allow_http(plain);
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES_MAX, retry_timeout: ANSWER_MAX };
        let mut builder =
            AmazonS3Builder::from_env().with_bucket_name(name).with_region(region).with_client_options(client).with_retry(retry);
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        if let Some((id, secret)) = credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let store = Arc::new(builder.build().map_err(|error| failed(error.to_string()))?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("bucket").enable_all().build();
        Ok(Self { name: name.to_owned(), store, runtime: Some(runtime.map_err(|error| failed(error.to_string()))?) })
    }

    /// In place of what is there; durable when it returns. Not from a thread of a tokio runtime.
    pub fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), PutFailed> {
        let failed = |why: String| PutFailed { bucket: self.name.clone(), why };
        // Names hold `=`, which `Path::from` would encode.
        let key = Path::parse(path).map_err(|error| failed(error.to_string()))?;
        let budget = ANSWER_MAX + Duration::from_secs(bytes.len() as u64 / BYTES_PER_SEC_MIN);
        let work = async { tokio::time::timeout(budget, self.store.put(&key, bytes.into())).await };
        let Some(runtime) = &self.runtime else { return Err(failed("it is closed".into())) };
        match runtime.block_on(work) {
            Ok(Ok(_)) => Ok(()),
            // It quotes the server's whole answer.
            Ok(Err(error)) => Err(failed(error.to_string().chars().take(REASON_CHARS_MAX).collect())),
            Err(_) => Err(failed(format!("no answer within {} s", budget.as_secs()))),
        }
    }
}
