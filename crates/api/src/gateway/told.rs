//! From answers to the log, beside the requests: an answer does not wait for the disk. What is told here and not yet
//! written is lost if the process is killed in between (some milliseconds); what agents report is not told here.

use super::Asker;
use super::record::{Happened, line};
use crate::app::App;
use engine::log::Append;
use engine::web::guard::Outcome;
use engine::web::wire::{Answer, Request as Asked};
use event::{Format, Record};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Bytes of lines that wait for the log; beyond it lines are lost and counted.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How long lines are gathered, so that a flood of attacks is a few fsyncs a second.
const GATHERED: Duration = Duration::from_millis(20);
const RETRY: Duration = Duration::from_millis(500);
/// Bytes of one record.
const RECORD_BYTES_MAX: usize = 1 << 20;

#[derive(Default)]
struct Waiting {
    /// Lines by their source.
    lines: BTreeMap<String, Vec<Vec<u8>>>,
    bytes: usize,
}

pub struct Queue {
    waiting: Mutex<Waiting>,
    some: Arc<Notify>,
}

impl Queue {
    pub fn new() -> Self {
        Self { waiting: Mutex::default(), some: Arc::default() }
    }

    /// Tells the log about an answer.
    pub fn push(&self, app: &App, asker: &Asker, asked: Asked, answer: &Answer, took: Duration) {
        let mode = serde_json::to_value(answer.mode).ok();
        let happened = Happened {
            time: app.now(),
            mode: mode.as_ref().and_then(|m| m.as_str()).unwrap_or_default(),
            blocked: answer.action == Outcome::Block,
            latency_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        };
        let line = line(asker, asked, answer, &happened, asker.told.policy.guard.redactor());
        let mut waiting = self.waiting.lock();
        if waiting.bytes + line.len() > WAITING_BYTES_MAX {
            drop(waiting);
            app.metrics.shed("gateway_findings");
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.entry(asker.source()).or_default().push(line);
        drop(waiting);
        self.some.notify_one();
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut self.waiting.lock())
    }
}

/// Writes what was told, until the server stops.
pub async fn write(app: App) {
    loop {
        tokio::select! {
            () = app.gateway.told.some.notified() => {}
            () = app.stopping.cancelled() => return,
        }
        tokio::time::sleep(GATHERED).await;
        flush(&app).await;
    }
}

/// Writes what is waiting: the last requests of a server that stops may have told something.
pub async fn flush(app: &App) {
    let records = records(app, app.gateway.told.take());
    append(app, records).await;
}

async fn append(app: &App, records: Vec<Record>) {
    for record in records {
        // A busy log is waited for; what comes meanwhile waits within its bound.
        while let Err(error) = app.platform.ingest(Append { records: vec![record.clone()], idempotency_key: None }).await {
            app.metrics.shed("gateway_log");
            if app.stopping.is_cancelled() {
                tracing::error!(%error, "findings of inspected requests are lost");
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Records of bounded size, one or more a source.
fn records(app: &App, waiting: Waiting) -> Vec<Record> {
    let mut records = Vec::new();
    for (source, lines) in waiting.lines {
        let mut body = Vec::new();
        let mut whole = |body: &mut Vec<u8>| {
            if !body.is_empty() {
                records.push(record(app, &source, std::mem::take(body)));
            }
        };
        for line in lines {
            if body.len() + line.len() >= RECORD_BYTES_MAX {
                whole(&mut body);
            }
            body.extend_from_slice(&line);
            body.push(b'\n');
        }
        whole(&mut body);
    }
    records
}

pub fn record(app: &App, source: &str, body: Vec<u8>) -> Record {
    Record { source: source.into(), format: Some(Format::WebInspection), received: app.now(), peer: None, body: body.into() }
}
