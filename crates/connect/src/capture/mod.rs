//! Live capture of an interface, and its twin over a file: frames one by one, with what was lost.
//!
//! [`open`] makes a packet socket with a ring that the kernel fills (`AF_PACKET`, TPACKET_V3): no copy and no system call a
//! packet. A filter ([`filter`]) runs in the kernel. What the ring could not take is counted, never hidden. It needs
//! CAP_NET_RAW once, when it opens; reading needs no right at all.
//!
//! ```
//! use connect::capture::{Capture, Filter, Link, file::FileCapture};
//! # let dir = tempfile::tempdir().unwrap();
//! # let path = dir.path().join("a.pcap");
//! # let mut writer = net::capture::write::Writer::default();
//! # writer.frame(event::Timestamp::from_secs(1), &[0; 60]);
//! # std::fs::write(&path, writer.finish()).unwrap();
//! let mut capture = FileCapture::open(&path, Filter::all(Link::ETHERNET, 65_535)).unwrap();
//! let mut frames = 0;
//! while capture.read(std::time::Duration::from_millis(100), &mut |_frame| frames += 1).unwrap() {}
//! assert_eq!((frames, capture.counts().received), (1, 1));
//! ```

pub mod file;
pub mod filter;
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod ring;

pub use filter::{Filter, FilterError};
pub use net::capture::{Frame, Link};
#[cfg(target_os = "linux")]
pub use ring::Ring;

use serde::Serialize;
use std::time::Duration;

/// Bytes of a frame that are kept when nothing else is said: all of them, super-frames of offloading cards included.
pub const SNAPLEN_DEFAULT: u32 = 65_535;
/// A burst of a second at 300,000 packets of 120 bytes, with what the ring adds to each.
pub const RING_BYTES_DEFAULT: usize = 64 << 20;
/// Smallest and largest ring.
pub const RING_BYTES_MIN: usize = 1 << 20;
pub const RING_BYTES_MAX: usize = 4 << 30;

#[derive(Clone, Debug)]
pub struct Options {
    pub interface: String,
    /// In tcpdump's language, the part of it that [`filter`] documents. Empty takes all.
    pub filter: String,
    pub snaplen: u32,
    /// Also what is addressed to others.
    pub promiscuous: bool,
    pub ring_bytes: usize,
}

impl Options {
    pub fn new(interface: impl Into<String>) -> Self {
        Self { interface: interface.into(), filter: String::new(), snaplen: SNAPLEN_DEFAULT, promiscuous: true, ring_bytes: RING_BYTES_DEFAULT }
    }
}

/// What came, and what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Frames that passed the filter and were delivered.
    pub received: u64,
    pub bytes: u64,
    /// Frames that the kernel had no room for.
    pub dropped: u64,
    /// How often the kernel found the whole ring full.
    pub frozen: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("{0}: there is no such interface")]
    NoInterface(String),
    #[error("{0}: capturing needs the right CAP_NET_RAW: run as root, or give it with `setcap cap_net_raw=ep` or `AmbientCapabilities=CAP_NET_RAW`")]
    NotAllowed(String),
    #[error("{0}: frames of links of type {1} (ARPHRD) are not read")]
    Link(String, u16),
    #[error("the filter cannot be read")]
    Filter(#[from] FilterError),
    /// The interface is down; it is read on as soon as it is up.
    #[error("{0}: the interface is down")]
    Down(String),
    /// The interface was taken away; nothing will come any more.
    #[error("{0}: the interface is gone")]
    Gone(String),
    #[error("{interface}: {what}: {source}")]
    Io { interface: String, what: &'static str, source: std::io::Error },
    #[error("{0}")]
    File(String),
}

/// Where frames come from.
pub trait Capture: Send {
    /// Visits what is there; waits at most `wait` if nothing is. False once nothing will come any more.
    fn read(&mut self, wait: Duration, visit: &mut dyn FnMut(Frame<'_>)) -> Result<bool, CaptureError>;

    fn counts(&mut self) -> Counts;

    fn name(&self) -> &str;
}

/// Begins to capture an interface.
#[cfg(target_os = "linux")]
pub fn open(options: &Options) -> Result<Box<dyn Capture>, CaptureError> {
    Ok(Box::new(Ring::open(options)?))
}

/// Other systems than Linux have no `AF_PACKET`; nothing stands in for it here yet.
#[cfg(not(target_os = "linux"))]
pub fn open(options: &Options) -> Result<Box<dyn Capture>, CaptureError> {
    let source = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(CaptureError::Io { interface: options.interface.clone(), what: "live capture works on Linux only", source })
}
