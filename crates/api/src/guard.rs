//! The timers that hyper does not have: a connection is cut when its first byte, a request's head or the
//! peer's reading take too long. hyper-util's protocol detection reads without any timer, and hyper's own
//! head timer also runs while a kept-alive connection is idle, so that one figure would serve two ends.
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection is doing, shared by its socket, its service and its watcher.
pub struct Activity {
    active: AtomicUsize,
    started: AtomicU64,
    upgraded: AtomicBool,
    born: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    pub fn new() -> Self {
        Self {
            active: AtomicUsize::new(0),
            started: AtomicU64::new(0),
            upgraded: AtomicBool::new(false),
            born: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }
    /// A request has begun; it ends when the guard is dropped.
    pub fn enter(self: &Arc<Self>) -> Request {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.started.fetch_add(1, Ordering::Relaxed);
        Request(self.clone())
    }
    /// From now on the bytes are a WebSocket's.
    pub fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }
    /// How long no request has been running; `None` while one is.
    pub fn idle(&self) -> Option<Duration> {
        if self.active.load(Ordering::Relaxed) > 0 || self.upgraded.load(Ordering::Relaxed) {
            return None;
        }
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        Some(self.born.elapsed().saturating_sub(last))
    }
    fn started(&self) -> u64 {
        self.started.load(Ordering::Relaxed)
    }
}

pub struct Request(Arc<Activity>);
impl Drop for Request {
    fn drop(&mut self) {
        let now = self.0.born.elapsed().as_millis() as u64;
        self.0.last_ms.store(now, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
pub struct Timers {
    pub first_byte: Duration,
    pub header: Duration,
    pub write_stall: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    /// So many bytes of the HTTP/2 preface have come.
    Unknown(usize),
    Http1,
    Http2,
}

pub struct Guard<S> {
    io: S,
    timers: Timers,
    activity: Arc<Activity>,
    protocol: Protocol,
    /// Runs until the head that is being read is complete: the timer, and how many requests had begun.
    reading: Option<(Pin<Box<Sleep>>, u64)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Guard<S> {
    pub fn new(io: S, timers: Timers, activity: Arc<Activity>) -> Self {
        let reading = Some((Box::pin(sleep_until(Instant::now() + timers.first_byte)), 0));
        Self { io, timers, activity, protocol: Protocol::Unknown(0), reading, writing: None }
    }

    fn took(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Protocol::Unknown(seen) = self.protocol {
            self.detect(seen, bytes);
        }
        let waiting = self.activity.idle().is_some();
        if self.protocol == Protocol::Http1 && waiting && self.reading.is_none() {
            self.expect_head();
        }
    }

    fn detect(&mut self, seen: usize, bytes: &[u8]) {
        let wanted = &PREFACE[seen..];
        let len = bytes.len().min(wanted.len());
        if bytes[..len] != wanted[..len] {
            self.protocol = Protocol::Http1;
            self.expect_head();
        } else if seen + len == PREFACE.len() {
            self.protocol = Protocol::Http2;
            self.reading = None;
        } else {
            self.protocol = Protocol::Unknown(seen + len);
        }
    }

    fn expect_head(&mut self) {
        let until = Instant::now() + self.timers.header;
        self.reading = Some((Box::pin(sleep_until(until)), self.activity.started()));
    }

    fn late_reading(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let busy = self.activity.idle().is_none();
        let Some((timer, started)) = &mut self.reading else { return Poll::Pending };
        if busy || self.activity.started() != *started {
            self.reading = None;
            return Poll::Pending;
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request's head did not come")))
    }

    fn wrote<T>(&mut self, result: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing = None;
            return result;
        }
        let stall = self.timers.write_stall;
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes no bytes")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut me.io).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                me.took(&buf.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => me.late_reading(cx),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let result = Pin::new(&mut me.io).poll_write(cx, buf);
        me.wrote(result, cx)
    }
    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let result = Pin::new(&mut me.io).poll_write_vectored(cx, bufs);
        me.wrote(result, cx)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let result = Pin::new(&mut me.io).poll_flush(cx);
        me.wrote(result, cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
