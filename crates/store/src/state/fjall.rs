//! [`StateStore`] on fjall, an embedded log-structured key-value store (docs/adr/0002).

use super::{Commit, Loaded, StateError, StateStore};
use event::Finding;
use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode};
use parking_lot::Mutex;
use std::path::Path;

/// Block cache. The processor keeps its state in memory and reads this store only when it starts.
const CACHE_BYTES: u64 = 16 << 20;
/// Written entries held in memory per keyspace before they become a file.
const MEMTABLE_BYTES: u64 = 8 << 20;
/// The least that fjall allows; the journal is what a start has to replay.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
const WORKER_THREADS: usize = 1;

const NEXT_OFFSET: &str = "next_offset";
const FINDING_SEQ: &str = "finding_seq";

/// The processor's state on the local disk. One process at a time: a second open is refused.
pub struct FjallState {
    database: Database,
    state: Keyspace,
    meta: Keyspace,
    /// Sequence number, big-endian so that the order of keys is the order of numbers → finding as JSON.
    findings: Keyspace,
    position: Mutex<Position>,
}

struct Position {
    next_offset: u64,
    /// Of the newest finding ever committed, also when it is forgotten.
    finding_seq: u64,
}

impl FjallState {
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let database = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKER_THREADS)
            .open()
            .map_err(|e| match e {
                fjall::Error::Locked => {
                    StateError::Failed(format!("{} is in use by another process", dir.display()))
                }
                e => failed(e),
            })?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let keyspace = |name| database.keyspace(name, options).map_err(failed);
        let (state, meta, findings) = (keyspace("state")?, keyspace("meta")?, keyspace("findings")?);
        let position = Mutex::new(Position {
            next_offset: number(&meta, NEXT_OFFSET)?,
            finding_seq: number(&meta, FINDING_SEQ)?,
        });
        Ok(Self { database, state, meta, findings, position })
    }
}

impl StateStore for FjallState {
    fn load(&self) -> Result<Loaded, StateError> {
        let entry = |guard: Guard| {
            let (key, value) = guard.into_inner().map_err(failed)?;
            Ok((key.to_vec(), value.to_vec()))
        };
        let entries = self.state.iter().map(entry).collect::<Result<_, StateError>>()?;
        Ok(Loaded { next_offset: self.position.lock().next_offset, entries })
    }

    fn commit(&self, commit: Commit<'_>) -> Result<(), StateError> {
        let mut position = self.position.lock();
        if commit.next_offset < position.next_offset {
            let (stored, offered) = (position.next_offset, commit.next_offset);
            return Err(StateError::Behind { stored, offered });
        }
        let mut batch = self.database.batch();
        for (key, value) in commit.delta {
            match value {
                Some(value) => batch.insert(&self.state, key, value),
                None => batch.remove(&self.state, key),
            }
        }
        let mut seq = position.finding_seq;
        for finding in commit.findings {
            seq += 1;
            let json = serde_json::to_vec(finding).map_err(failed)?;
            batch.insert(&self.findings, seq.to_be_bytes(), json);
        }
        batch.insert(&self.meta, NEXT_OFFSET, commit.next_offset.to_be_bytes());
        batch.insert(&self.meta, FINDING_SEQ, seq.to_be_bytes());
        batch.commit().map_err(failed)?;
        *position = Position { next_offset: commit.next_offset, finding_seq: seq };
        Ok(())
    }

    fn findings(&self, after_seq: u64, limit: usize) -> Result<Vec<(u64, Finding)>, StateError> {
        let Some(from) = after_seq.checked_add(1) else { return Ok(Vec::new()) };
        self.findings.range(from.to_be_bytes()..).take(limit).map(read_finding).collect()
    }

    fn forget_findings(&self, seq: u64) -> Result<(), StateError> {
        let mut batch = self.database.batch();
        for guard in self.findings.range(..=seq.to_be_bytes()) {
            batch.remove(&self.findings, guard.key().map_err(failed)?);
        }
        batch.commit().map_err(failed)
    }

    fn sync(&self) -> Result<(), StateError> {
        self.database.persist(PersistMode::SyncAll).map_err(failed)
    }
}

fn read_finding(guard: Guard) -> Result<(u64, Finding), StateError> {
    let (key, value) = guard.into_inner().map_err(failed)?;
    let seq = big_endian(&key)?;
    let finding = serde_json::from_slice(&value)
        .map_err(|e| StateError::Failed(format!("finding {seq} cannot be read: {e}")))?;
    Ok((seq, finding))
}

fn number(meta: &Keyspace, name: &str) -> Result<u64, StateError> {
    meta.get(name).map_err(failed)?.map_or(Ok(0), |bytes| big_endian(&bytes))
}

fn big_endian(bytes: &[u8]) -> Result<u64, StateError> {
    let bytes = bytes.try_into().map_err(|_| StateError::Failed("a number is not eight bytes long".into()))?;
    Ok(u64::from_be_bytes(bytes))
}

fn failed(error: impl std::fmt::Display) -> StateError {
    StateError::Failed(error.to_string())
}
