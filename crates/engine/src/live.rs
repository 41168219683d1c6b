//! Messages to the sockets: one ring that everybody reads, so that a slow reader costs nothing but its own
//! gap.

use parking_lot::Mutex;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Messages held for readers that reconnect.
const HELD_MAX: usize = 4_096;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// An event: `Event::to_json`. Sampled above 200 per second, threats first; the rest is counted.
    Event,
    /// A finding.
    Finding,
    /// A new or changed alert: `{"alert":…, "created":bool}`.
    Alert,
    /// A new or changed incident: `{"incident":…, "created":bool}`.
    Incident,
    /// A ban that was made, ended or taken back: `{"ban":…, "created":bool}`.
    Ban,
    /// Totals, once a second.
    Stats,
}

/// One message. Its JSON is written once, not once per client.
#[derive(Clone, Debug)]
pub struct Live {
    /// Grows by one per message; a client resumes after the last it saw.
    pub seq: u64,
    pub topic: Topic,
    /// The message's data, as JSON text.
    pub json: Arc<str>,
}

#[derive(Default)]
pub(crate) struct Ring {
    held: Mutex<VecDeque<Live>>,
    next_seq: AtomicU64,
    readers: AtomicU64,
    wake: Notify,
}

impl Ring {
    pub fn publish(&self, topic: Topic, json: String) {
        let mut held = self.held.lock();
        let seq = self.next_seq.fetch_add(1, Ordering::Relaxed) + 1;
        if held.len() == HELD_MAX {
            held.pop_front();
        }
        held.push_back(Live { seq, topic, json: json.into() });
        drop(held);
        self.wake.notify_waiters();
    }

    /// Whether anybody listens: events are not even serialised for nobody.
    pub fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    pub fn last_seq(&self) -> u64 {
        self.next_seq.load(Ordering::Relaxed)
    }

    /// The first held message after `seq`, with how many between were lost; `None` if there is none yet.
    fn after(&self, seq: u64) -> Option<Result<Live, u64>> {
        let held = self.held.lock();
        let first = held.front()?.seq;
        if seq + 1 < first {
            return Some(Err(first - seq - 1));
        }
        held.get((seq + 1 - first) as usize).cloned().map(Ok)
    }
}

/// A reader's place in the ring.
pub struct LiveReader {
    ring: Arc<Ring>,
    seen: u64,
}

impl LiveReader {
    pub(crate) fn new(ring: Arc<Ring>, after_seq: Option<u64>) -> Self {
        ring.readers.fetch_add(1, Ordering::Relaxed);
        let last = ring.last_seq();
        // A number beyond ours is from before a restart: that client starts with what comes next.
        let seen = after_seq.filter(|seq| *seq <= last).unwrap_or(last);
        Self { ring, seen }
    }

    /// The number of the newest message this reader has had.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The next message; `Err(n)`: the reader was too slow and `n` messages are lost to it.
    pub async fn recv(&mut self) -> Result<Live, u64> {
        loop {
            // Registered before looking, so that a message published in between still wakes us.
            let ring = self.ring.clone();
            let woken = ring.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match ring.after(self.seen) {
                Some(Ok(live)) => {
                    self.seen = live.seq;
                    return Ok(live);
                }
                Some(Err(lost)) => {
                    self.seen += lost;
                    return Err(lost);
                }
                None => woken.await,
            }
        }
    }
}

impl Drop for LiveReader {
    fn drop(&mut self) {
        self.ring.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_resume_and_learn_what_they_lost() {
        let ring = Arc::new(Ring::default());
        for i in 0..10 {
            ring.publish(Topic::Stats, i.to_string());
        }
        let mut reader = LiveReader::new(ring.clone(), Some(7));
        assert_eq!(reader.recv().await.unwrap().seq, 8);
        for i in 0..HELD_MAX {
            ring.publish(Topic::Stats, i.to_string());
        }
        assert_eq!(reader.recv().await.unwrap_err(), 2);
        assert_eq!(reader.recv().await.unwrap().seq, 11);
        assert!(ring.has_readers());
        drop(reader);
        assert!(!ring.has_readers());
    }

    #[tokio::test]
    async fn a_number_from_before_a_restart_starts_afresh() {
        let ring = Arc::new(Ring::default());
        ring.publish(Topic::Stats, "1".into());
        let mut reader = LiveReader::new(ring.clone(), Some(900));
        ring.publish(Topic::Stats, "2".into());
        assert_eq!(&*reader.recv().await.unwrap().json, "2");
    }
}
