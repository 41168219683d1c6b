//! The one thread that writes: it takes everything that is queued, writes it with one call per segment,
//! syncs once and then answers everyone.
//!
//! After a failed sync nobody knows what is on the disk (the kernel may have dropped the dirty pages and
//! would report the next sync as a success), so the log stops for good. A full disk is different: the
//! write itself says so before anything was acknowledged; the file is cut back and the log goes on.

use super::batch::{BATCH_HEADER_BYTES, BatchHeader, Key, NO_KEY};
use super::dedup::Seen;
use super::files::{create_segment, is_full, now};
use super::segments::{Shared, State};
use super::{AppendError, Appended};
use ahash::AHashMap;
use bytes::Bytes;
use event::Timestamp;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub const ENDED: &str = "the log was closed";
/// After this long without an append the last batch is sealed.
const SEAL_AFTER: Duration = Duration::from_secs(1);
/// Linux takes at most this many pieces in one write.
const SLICES_MAX: usize = 1024;

/// One append on its way to the disk.
pub struct Job {
    /// The encoded batch, its header still empty.
    pub buffer: Vec<u8>,
    pub count: u32,
    pub body_crc: u32,
    pub key: Key,
    pub reply: oneshot::Sender<Result<Appended, AppendError>>,
}

enum Work {
    Jobs(Vec<Job>),
    Idle,
    Close,
}

pub enum WriteError {
    /// Nothing of it is in the file.
    Full,
    /// Nobody knows what is in the file.
    Broken(String),
}

pub struct Writer {
    shared: Arc<Shared>,
    file: File,
    /// The last batch is a seal, or there is none.
    sealed: bool,
}

/// A run of jobs with their places: what one write and one sync make durable.
#[derive(Default)]
struct Run {
    batches: Vec<(BatchHeader, Vec<u8>)>,
    answers: Vec<(oneshot::Sender<Result<Appended, AppendError>>, Appended)>,
    seen: AHashMap<Key, Seen>,
    reserved_bytes: usize,
}

impl Writer {
    pub fn new(shared: Arc<Shared>, file: File, sealed: bool) -> Self {
        Self { shared, file, sealed }
    }

    pub fn run(mut self) {
        let _stop = StopOnExit(self.shared.clone());
        loop {
            match self.take_work() {
                Work::Jobs(jobs) => self.append_all(jobs.into()),
                Work::Idle => self.seal(),
                Work::Close => return self.seal(),
            }
        }
    }

    fn take_work(&self) -> Work {
        let mut state = self.shared.state.lock();
        loop {
            if !state.queue.is_empty() {
                return Work::Jobs(std::mem::take(&mut state.queue));
            }
            if state.closing {
                return Work::Close;
            }
            if self.sealed {
                self.shared.work.wait(&mut state);
            } else if self.shared.work.wait_for(&mut state, SEAL_AFTER).timed_out()
                && state.queue.is_empty()
                && !state.closing
            {
                return Work::Idle;
            }
        }
    }

    fn append_all(&mut self, mut jobs: VecDeque<Job>) {
        while let Some(first) = jobs.front() {
            if let Err(error) = self.roll_if_full(first.buffer.len() as u64) {
                return self.refuse(jobs, &error);
            }
            let run = self.take_run(&mut jobs);
            match self.commit(&run) {
                Ok(()) => self.publish(run),
                Err(error) => self.refuse_run(run, &error),
            }
        }
    }

    /// As many jobs as fit into the current segment, at least one.
    fn take_run(&self, jobs: &mut VecDeque<Job>) -> Run {
        let state = self.shared.state.lock();
        let segment = state.segments.back().expect("there is always an active segment");
        let (synced, time) = (segment.bytes, now());
        let mut run = Run::default();
        let (mut at, mut next) = (segment.bytes, state.next);
        while let Some(job) = jobs.front() {
            let bytes = job.buffer.len() as u64;
            if !run.answers.is_empty() && at + bytes > self.shared.config.segment_bytes_max {
                break;
            }
            let job = jobs.pop_front().expect("just seen");
            run.reserved_bytes += job.buffer.len();
            match run.duplicate(&job.key, &state, time) {
                Some(seen) => {
                    let answer = Appended { first: seen.first, next: seen.next, duplicate: true };
                    run.answers.push((job.reply, answer));
                }
                None => {
                    run.push(job, next, synced, time, segment.salt);
                    (at, next) = (at + bytes, run.batches.last().map_or(next, |(h, _)| h.next()));
                }
            }
        }
        run
    }

    fn commit(&mut self, run: &Run) -> Result<(), WriteError> {
        if let Some(reason) = &self.shared.state.lock().stopped {
            return Err(WriteError::Broken(reason.clone()));
        }
        if run.batches.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.write(&run.batches)?;
        self.sealed = false;
        self.note_sync(started.elapsed());
        Ok(())
    }

    /// Writes and syncs; after [`WriteError::Full`] the file is as before.
    fn write(&mut self, batches: &[(BatchHeader, Vec<u8>)]) -> Result<(), WriteError> {
        let written = write_all(&mut self.file, batches);
        match written {
            Ok(()) => {}
            Err(e) if is_full(&e) => return Err(self.cut_back()),
            Err(e) => return Err(WriteError::Broken(format!("write: {e}"))),
        }
        self.file.sync_data().map_err(|e| WriteError::Broken(format!("fdatasync: {e}")))
    }

    fn cut_back(&mut self) -> WriteError {
        let bytes = self.shared.state.lock().segments.back().map_or(0, |s| s.bytes);
        let cut = self.file.set_len(bytes).and_then(|()| self.file.seek(SeekFrom::Start(bytes)));
        match cut {
            Ok(_) => WriteError::Full,
            Err(e) => WriteError::Broken(format!("cutting back after a full disk: {e}")),
        }
    }

    fn publish(&self, run: Run) {
        let config = &self.shared.config;
        let mut state = self.shared.state.lock();
        let bytes: u64 = run.batches.iter().map(|(h, _)| u64::from(h.length)).sum();
        state.stats.appends += run.batches.len() as u64;
        state.stats.duplicates += (run.answers.len() - run.batches.len()) as u64;
        for (header, buffer) in run.batches {
            state.segments.back_mut().expect("there is always an active segment").push(&header);
            state.next = header.next();
            state.remember(header, Bytes::from(buffer), config.recent_bytes_max);
        }
        for seen in run.seen.into_values() {
            state.dedup.insert(seen, seen.written);
        }
        state.pending_bytes -= run.reserved_bytes;
        drop(state);
        self.shared.space.wrote(bytes);
        self.shared.appended.notify_all();
        for (reply, answer) in run.answers {
            // The request may have been given up; its records are stored all the same.
            let _ = reply.send(Ok(answer));
        }
    }

    fn note_sync(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let stats = &mut self.shared.state.lock().stats;
        stats.syncs += 1;
        stats.sync_nanos += nanos;
        stats.sync_nanos_max = stats.sync_nanos_max.max(nanos);
    }

    /// An empty batch that says that all before it was synced.
    fn seal(&mut self) {
        if self.sealed {
            return;
        }
        self.sealed = true;
        let (header, salt) = {
            let state = self.shared.state.lock();
            if state.stopped.is_some() {
                return;
            }
            let segment = state.segments.back().expect("there is always an active segment");
            (seal_header(state.next, segment.bytes), segment.salt)
        };
        match self.write(&[(header, header.encode(salt).to_vec())]) {
            Ok(()) => {
                let mut state = self.shared.state.lock();
                state.segments.back_mut().expect("there is always an active segment").push(&header);
            }
            // A seal is only worth having, not worth refusing anything for.
            Err(WriteError::Full) => {}
            Err(WriteError::Broken(reason)) => self.stop(&reason),
        }
    }

    fn roll_if_full(&mut self, bytes: u64) -> Result<(), WriteError> {
        let (base, begins_at) = {
            let state = self.shared.state.lock();
            let active = state.segments.back().expect("there is always an active segment");
            let fits = active.bytes + bytes <= self.shared.config.segment_bytes_max;
            if fits || active.next == active.base {
                return Ok(());
            }
            (state.next, state.ends_at())
        };
        let (segment, file) = create_segment(&self.shared.dir, base, base, begins_at)?;
        self.shared.state.lock().segments.push_back(segment);
        (self.file, self.sealed) = (file, true);
        Ok(())
    }

    fn refuse(&self, jobs: VecDeque<Job>, error: &WriteError) {
        let reserved_bytes = jobs.iter().map(|j| j.buffer.len()).sum();
        let nothing = Appended { first: 0, next: 0, duplicate: false };
        let answers = jobs.into_iter().map(|j| (j.reply, nothing)).collect();
        self.refuse_run(Run { answers, reserved_bytes, ..Run::default() }, error);
    }

    fn refuse_run(&self, run: Run, error: &WriteError) {
        let answer = match error {
            WriteError::Full => {
                self.shared.space.forget();
                let needed_bytes = self.shared.config.free_bytes_min.max(run.reserved_bytes as u64);
                AppendError::DiskFull { free_bytes: self.shared.space.free_bytes(), needed_bytes }
            }
            WriteError::Broken(reason) => {
                self.stop(reason);
                AppendError::Stopped(reason.clone())
            }
        };
        self.shared.state.lock().pending_bytes -= run.reserved_bytes;
        for (reply, _) in run.answers {
            let _ = reply.send(Err(answer.clone()));
        }
    }

    fn stop(&self, reason: &str) {
        let mut state = self.shared.state.lock();
        if state.stopped.is_none() {
            tracing::error!(reason, "the log stopped: nothing is acknowledged until a restart");
            state.stopped = Some(reason.to_owned());
        }
    }
}

impl Run {
    fn duplicate(&self, key: &Key, state: &State, time: Timestamp) -> Option<Seen> {
        if *key == NO_KEY {
            return None;
        }
        self.seen.get(key).copied().or_else(|| state.dedup.get(key, time))
    }

    fn push(&mut self, mut job: Job, first: u64, synced: u64, time: Timestamp, salt: u64) {
        let header = BatchHeader {
            length: job.buffer.len() as u32,
            count: job.count,
            first,
            synced,
            written: time,
            key: job.key,
            body_crc: job.body_crc,
        };
        job.buffer[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode(salt));
        let next = header.next();
        if job.key != NO_KEY {
            self.seen.insert(job.key, Seen { key: job.key, first, next, written: time });
        }
        self.batches.push((header, job.buffer));
        self.answers.push((job.reply, Appended { first, next, duplicate: false }));
    }
}

/// Whatever ends the writer, even a bug, must not leave senders waiting for an answer.
struct StopOnExit(Arc<Shared>);

impl Drop for StopOnExit {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.stopped.get_or_insert_with(|| ENDED.into());
        // Dropping the jobs drops their channels, which the waiters see.
        state.queue.clear();
    }
}

pub fn seal_header(next: u64, synced: u64) -> BatchHeader {
    BatchHeader {
        length: BATCH_HEADER_BYTES as u32,
        count: 0,
        first: next,
        synced,
        written: now(),
        key: NO_KEY,
        body_crc: crc32c::crc32c(b""),
    }
}

fn write_all(file: &mut File, batches: &[(BatchHeader, Vec<u8>)]) -> io::Result<()> {
    for some in batches.chunks(SLICES_MAX) {
        let mut slices: Vec<_> = some.iter().map(|(_, buffer)| IoSlice::new(buffer)).collect();
        let mut left = &mut slices[..];
        while !left.is_empty() {
            match file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => IoSlice::advance_slices(&mut left, bytes),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}
