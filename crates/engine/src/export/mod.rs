//! Exports: all events that a search matches, newest first, as CSV, JSON lines or Parquet, piece by piece.
//!
//! Matches are counted first and then written from the same frozen state of the lake, so that the number told
//! beforehand is the number written: a download that was cut off is recognised by it. A few pieces are held at
//! once; a receiver that goes away or takes nothing stops the reading.

mod columns;
mod lines;

use crate::platform::Platform;
use bytes::Bytes;
use columns::Columns;
use event::Column;
use lines::{Csv, Jsonl};
use serde_json::Value;
use std::sync::Arc;
use store::lake::{Cancel, Extras, LakeError, Lake, Query, Reading, Width};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Bytes of a piece, and pieces that wait for the receiver.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_MAX: usize = 4;
/// Seconds for counting, and for each page of what is written.
const SECS_MAX: u64 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
    Jsonl,
    Parquet,
}

impl ExportFormat {
    pub const ALL: [Self; 3] = [Self::Csv, Self::Jsonl, Self::Parquet];

    /// The format's name, which is also the ending of its files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == text)
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("as many exports are running as may; try again when one is done")]
    Busy,
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the export cannot be written: {0}")]
    Failed(String),
}

/// An export under way. Dropping it ends the reading.
pub struct Export {
    /// Exactly so many events follow.
    pub rows: u64,
    pieces: mpsc::Receiver<Result<Bytes, ExportError>>,
    _ends: Ends,
}

impl Export {
    /// The next bytes; an error is the last item and means that what came is not whole.
    pub async fn next(&mut self) -> Option<Result<Bytes, ExportError>> {
        self.pieces.recv().await
    }
}

/// Ends what reads when its receiver goes, also while it still counts.
struct Ends(Cancel);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Platform {
    /// Counts, and begins to write. `columns`: those of CSV and Parquet, and what is kept of each event in JSON;
    /// empty: all.
    pub async fn export(&self, query: Query, format: ExportFormat, columns: Vec<&'static Column>) -> Result<Export, ExportError> {
        let permit = self.0.exporting.clone().try_acquire_owned().map_err(|_| ExportError::Busy)?;
        export(self.0.shared.lake.clone(), query, format, columns, permit).await
    }
}

async fn export(lake: Arc<Lake>, query: Query, format: ExportFormat, columns: Vec<&'static Column>, permit: OwnedSemaphorePermit) -> Result<Export, ExportError> {
    let cancel = Cancel::default();
    let ends = Ends(cancel.clone());
    let count = Query { limit: 0, cursor: None, ..query.clone() };
    let counted = tokio::task::spawn_blocking(move || {
        let reading = lake.read().within(SECS_MAX).cancelled_by(cancel);
        let rows = matches(&reading, &count)?;
        Ok::<_, LakeError>((reading, rows, permit))
    });
    let (reading, rows, permit) = counted.await.map_err(|e| ExportError::Failed(e.to_string()))??;
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if let Err(error) = write(reading, &query, rows, encoder(format, &columns), &sender) {
            // A receiver that went away has no use for the reason.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Ok(Export { rows, pieces, _ends: ends })
}

/// How many events match: exact, because a histogram is counted in the same pass.
fn matches(reading: &Reading, count: &Query) -> Result<u64, LakeError> {
    let extras = Extras { histogram: Some(Width::Secs(86_400)), ..Extras::default() };
    let answer = reading.search(count, &extras)?;
    let buckets = answer.histogram.map(|h| h.buckets).unwrap_or_default();
    Ok(buckets.iter().flat_map(|(_, levels)| levels.values()).sum())
}

/// Events in, bytes out.
pub(crate) trait Encoder: Send {
    fn begin(&mut self) -> Result<(), String> {
        Ok(())
    }
    fn add(&mut self, event: &Value) -> Result<(), String>;
    fn end(&mut self) -> Result<(), String> {
        Ok(())
    }
    /// What is written and not taken yet.
    fn bytes(&mut self) -> &mut Vec<u8>;
}

fn encoder(format: ExportFormat, columns: &[&'static Column]) -> Box<dyn Encoder> {
    let all = || event::COLUMNS.iter().collect();
    let some = || if columns.is_empty() { all() } else { columns.to_vec() };
    match format {
        ExportFormat::Csv => Box::new(Csv::new(some())),
        ExportFormat::Jsonl => Box::new(Jsonl::new(columns.to_vec())),
        ExportFormat::Parquet => Box::new(Columns::new(some())),
    }
}

fn write(reading: Reading, query: &Query, rows: u64, mut encoder: Box<dyn Encoder>, sender: &mpsc::Sender<Result<Bytes, ExportError>>) -> Result<(), ExportError> {
    let (mut written, mut failed, mut gone) = (0_u64, None, false);
    encoder.begin().map_err(ExportError::Failed)?;
    reading.export(query, &mut |event| {
        written += 1;
        failed = encoder.add(&event).err();
        if encoder.bytes().len() >= PIECE_BYTES {
            gone = !send(encoder.bytes(), sender);
        }
        failed.is_none() && !gone
    })?;
    if let Some(error) = failed {
        return Err(ExportError::Failed(error));
    }
    if gone {
        return Ok(());
    }
    if written != rows {
        return Err(ExportError::Failed(format!("{rows} events were counted and {written} written")));
    }
    encoder.end().map_err(ExportError::Failed)?;
    send(encoder.bytes(), sender);
    Ok(())
}

/// Waits while the receiver has enough; false once it is gone.
fn send(bytes: &mut Vec<u8>, sender: &mpsc::Sender<Result<Bytes, ExportError>>) -> bool {
    let piece = std::mem::replace(bytes, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
    sender.blocking_send(Ok(piece.into())).is_ok()
}

/// The value at a dotted path.
fn at<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(event, |value, part| value.get(part)).filter(|v| !v.is_null())
}
