//! Capture files: pcap in its four byte orders and resolutions, and pcapng, in chunks of any size.
//!
//! A file that is cut, or whose lengths are absurd, gives the frames before that place and says so in
//! [`Reader::damage`]: a capture of the night of an attack is worth reading to where it breaks.

mod pcap;
mod pcapng;
pub mod write;

use event::Timestamp;

/// Largest frame or block that is read: libpcap's own bound for one frame, and twice that for a block's options.
pub const FRAME_BYTES_MAX: usize = 256 << 10;
pub const BLOCK_BYTES_MAX: usize = 512 << 10;
/// Interfaces of one section of a pcapng file.
pub const INTERFACES_MAX: usize = 4_096;

/// The kind of link, by its number in the registry of tcpdump.org (`LINKTYPE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link(pub u16);

impl Link {
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const PPP: Self = Self(9);
    pub const PPP_HDLC: Self = Self(50);
    pub const PPP_ETHER: Self = Self(51);
    pub const RAW: Self = Self(101);
    /// What OpenBSD and others write for raw IP.
    pub const RAW_BSD: Self = Self(12);
    pub const RAW_OPENBSD: Self = Self(14);
    pub const LOOP: Self = Self(108);
    pub const LINUX_SLL: Self = Self(113);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    pub const LINUX_SLL2: Self = Self(276);
}

/// One captured frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub time: Timestamp,
    pub link: Link,
    /// What was captured: possibly less than was on the wire.
    pub bytes: &'a [u8],
    pub wire_len: u32,
    /// Its place in the file, from 1.
    pub number: u64,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CaptureError {
    #[error("no capture file: it begins with {0:02x?}, neither pcap nor pcapng")]
    Unknown([u8; 4]),
    #[error("no capture file: it is shorter than its header")]
    Short,
}

/// Why reading ended before the file did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The last frame is cut.
    Truncated,
    /// A length that cannot be true, at this frame.
    Length,
    /// A frame of an interface that the file does not describe.
    Interface,
}

impl Damage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "the last frame is cut",
            Self::Length => "a length that cannot be true",
            Self::Interface => "a frame of an interface that is not described",
        }
    }
}

enum Kind {
    Unknown,
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
    Ended,
}

/// What a parser makes of the front of its bytes.
enum Step<'a> {
    Frame(usize, Frame<'a>),
    Skip(usize),
    /// More bytes are needed.
    More,
    Damaged(Damage),
}

/// Takes a file's bytes as they come and hands out its frames.
pub struct Reader {
    kind: Kind,
    pending: Vec<u8>,
    number: u64,
    damage: Option<Damage>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { kind: Kind::Unknown, pending: Vec::new(), number: 0, damage: None }
    }
}

impl Reader {
    /// Whether bytes begin a capture file.
    pub fn recognises(head: &[u8]) -> bool {
        head.first_chunk::<4>().is_some_and(|magic| pcap::known(*magic) || *magic == pcapng::MAGIC)
    }

    pub fn push(&mut self, chunk: &[u8], visit: &mut impl FnMut(Frame<'_>)) -> Result<(), CaptureError> {
        let mut chunk = chunk;
        while !self.pending.is_empty() && !chunk.is_empty() {
            // Only as much as completes what is pending is copied; the rest is read where it lies.
            let mut pending = std::mem::take(&mut self.pending);
            let wanted = self.wanted(&pending);
            let count = wanted.saturating_sub(pending.len()).clamp(1, chunk.len());
            pending.extend_from_slice(&chunk[..count]);
            chunk = &chunk[count..];
            let used = self.read(&pending, visit)?;
            pending.drain(..used);
            self.pending = pending;
        }
        if !chunk.is_empty() {
            let used = self.read(chunk, visit)?;
            self.pending.extend_from_slice(&chunk[used..]);
        }
        Ok(())
    }

    /// Ends the file: what is pending now is a cut frame.
    pub fn finish(&mut self) -> Result<(), CaptureError> {
        if matches!(self.kind, Kind::Unknown) {
            return Err(CaptureError::Short);
        }
        if !self.pending.is_empty() && self.damage.is_none() {
            self.damage = Some(Damage::Truncated);
        }
        self.pending = Vec::new();
        Ok(())
    }

    pub fn damage(&self) -> Option<Damage> {
        self.damage
    }

    /// Frames handed out so far.
    pub fn frames(&self) -> u64 {
        self.number
    }

    /// Bytes that the front of `bytes` needs to be read.
    fn wanted(&self, bytes: &[u8]) -> usize {
        match &self.kind {
            Kind::Unknown => 24,
            Kind::Pcap(header) => header.wanted(bytes),
            Kind::Pcapng(section) => section.wanted(bytes),
            Kind::Ended => 0,
        }
    }

    /// Reads whole frames from the front of `bytes`; what they took is returned.
    fn read(&mut self, bytes: &[u8], visit: &mut impl FnMut(Frame<'_>)) -> Result<usize, CaptureError> {
        let mut used = 0;
        if matches!(self.kind, Kind::Unknown) {
            let Some(magic) = bytes.first_chunk::<4>() else { return Ok(0) };
            if *magic == pcapng::MAGIC {
                self.kind = Kind::Pcapng(pcapng::Section::default());
            } else if pcap::known(*magic) {
                let Some(header) = pcap::Header::read(bytes) else { return Ok(0) };
                self.kind = Kind::Pcap(header);
                used = pcap::HEADER_BYTES;
            } else {
                return Err(CaptureError::Unknown(*magic));
            }
        }
        loop {
            let rest = &bytes[used..];
            let step = match &mut self.kind {
                Kind::Pcap(header) => header.next(rest),
                Kind::Pcapng(section) => section.next(rest),
                Kind::Unknown | Kind::Ended => return Ok(bytes.len()),
            };
            match step {
                Step::Frame(taken, mut frame) => {
                    self.number += 1;
                    frame.number = self.number;
                    visit(frame);
                    used += taken;
                }
                Step::Skip(taken) => used += taken,
                Step::More => return Ok(used),
                Step::Damaged(damage) => {
                    self.damage = Some(damage);
                    self.kind = Kind::Ended;
                    return Ok(bytes.len());
                }
            }
        }
    }
}
