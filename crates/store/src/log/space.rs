//! How much room the disk has left, asked at most every 200 ms.

use parking_lot::Mutex;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CHECK_EVERY: Duration = Duration::from_millis(200);

pub struct Space {
    dir: PathBuf,
    /// When it was asked, and the free bytes then, less what was written since.
    free: Mutex<Option<(Instant, u64)>>,
}

impl Space {
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, free: Mutex::new(None) }
    }

    /// Bytes that may still be written. A file system that does not tell counts as empty: the write itself
    /// will say when it is full.
    pub fn free_bytes(&self) -> u64 {
        let mut free = self.free.lock();
        match *free {
            Some((at, bytes)) if at.elapsed() < CHECK_EVERY => bytes,
            _ => {
                let bytes = rustix::fs::statvfs(&self.dir)
                    .map_or(u64::MAX, |s| s.f_bavail.saturating_mul(s.f_frsize));
                *free = Some((Instant::now(), bytes));
                bytes
            }
        }
    }

    pub fn wrote(&self, bytes: u64) {
        if let Some((_, free)) = &mut *self.free.lock() {
            *free = free.saturating_sub(bytes);
        }
    }

    /// Asks again next time: files were deleted, or a write found the disk full.
    pub fn forget(&self) {
        *self.free.lock() = None;
    }
}
