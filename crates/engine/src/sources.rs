//! Runs the configured sources against the log.

use crate::config::FileSource;
use crate::pipeline::Shared;
use connect::tail::{Chunk, Tail, TailError};
use event::Record;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use store::log::{Append, AppendError};

/// How long to wait for new lines.
const IDLE: Duration = Duration::from_millis(250);

/// Follows one file until the platform stops. Each chunk's idempotency key is its place in the file, so
/// that a crash between append and checkpoint makes no duplicate.
pub(crate) fn follow(shared: &Arc<Shared>, source: FileSource, data_dir: &Path, runtime: tokio::runtime::Handle) -> std::io::Result<JoinHandle<()>> {
    let shared = shared.clone();
    let mut tail = Tail::new(source.path.clone(), &data_dir.join("files"));
    let name: Arc<str> = source.name.clone().unwrap_or_else(|| source.path.display().to_string()).into();
    std::thread::Builder::new().name("erne-file".into()).spawn(move || {
        while !shared.stop.load(Ordering::Relaxed) {
            match tail.next_chunk() {
                Ok(Some(chunk)) => {
                    if !append(&shared, &runtime, &name, &source, &chunk) {
                        continue;
                    }
                    if let Err(error) = tail.done(&chunk) {
                        tracing::warn!(%error, file = %source.path.display(), "the place in the file cannot be remembered");
                    }
                }
                Ok(None) => std::thread::sleep(IDLE),
                Err(error) => {
                    complain(&source.path, &error);
                    std::thread::sleep(Duration::from_secs(5));
                }
            }
        }
    })
}

fn complain(path: &Path, error: &TailError) {
    tracing::warn!(%error, file = %path.display(), "the file cannot be followed; trying again");
}

/// Returns false when the chunk must be offered again.
fn append(shared: &Shared, runtime: &tokio::runtime::Handle, name: &Arc<str>, source: &FileSource, chunk: &Chunk) -> bool {
    let record = Record {
        source: name.clone(),
        format: source.format,
        received: (shared.now)(),
        peer: None,
        body: chunk.body.clone(),
    };
    let append = Append { records: vec![record], idempotency_key: Some(chunk.key.clone()) };
    match runtime.block_on(shared.log.append(append)) {
        Ok(_) => true,
        Err(AppendError::Busy { retry_after, .. }) => {
            std::thread::sleep(retry_after.min(Duration::from_secs(5)));
            false
        }
        Err(error) => {
            tracing::warn!(%error, "the log takes nothing from files; trying again");
            std::thread::sleep(Duration::from_secs(2));
            false
        }
    }
}
