//! What the processor remembers between batches: rule state, the next log offset and the findings that
//! the control plane has not taken over yet, changed together or not at all.
//!
//! [`StateStore`] is the seam: [`FjallState`] is the embedded one; with Kafka, a changelog topic takes its
//! place. It holds no clock and no policy: what to commit when, and when to sync, the engine decides.

mod fjall;

pub use self::fjall::FjallState;

use event::Finding;

/// What a step changed: written in one atomic batch.
pub struct Commit<'a> {
    /// The next log offset to process.
    pub next_offset: u64,
    pub delta: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub findings: &'a [Finding],
}

pub struct Loaded {
    pub next_offset: u64,
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state store failed: {0}")]
    Failed(String),
    /// A bug of the caller: it would count events twice.
    #[error("a commit for offset {offered}, but {stored} was committed before")]
    Behind { stored: u64, offered: u64 },
}

/// State, offset and findings of the processor.
pub trait StateStore: Send + Sync + 'static {
    fn load(&self) -> Result<Loaded, StateError>;
    /// Atomic. Survives a kill; survives a power cut after the next `sync` (what is lost is replayed from
    /// the log, which is only released after a `sync`).
    fn commit(&self, commit: Commit<'_>) -> Result<(), StateError>;
    /// Findings not yet taken over by the control plane, oldest first, with their sequence numbers.
    fn findings(&self, after_seq: u64, limit: usize) -> Result<Vec<(u64, Finding)>, StateError>;
    /// Forgets findings up to and including `seq`.
    fn forget_findings(&self, seq: u64) -> Result<(), StateError>;
    fn sync(&self) -> Result<(), StateError>;
}
