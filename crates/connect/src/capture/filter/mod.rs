//! Filters in tcpdump's language, compiled to the classic BPF that the kernel runs.
//!
//! The part of the language that is read:
//!
//! - `ip`, `ip6`, `arp`, `tcp`, `udp`, `icmp`, `icmp6`, `sctp`
//! - `host A`, `net A/N`, `port N`, `portrange N-M`, each also with `src` or `dst` before it; before `port` and `portrange`
//!   also `tcp`, `udp` or `sctp`
//! - `not` (`!`), `and` (`&&`), `or` (`||`) and parentheses; `not` binds first, then `and`, then `or`. tcpdump gives `and` and
//!   `or` the same rank: put parentheses where you mix them.
//!
//! `host` and `net` look at IP and IPv6, not at ARP. Names of hosts and services are not read.

mod compile;
mod parse;

pub use compile::Instruction;

use net::capture::Link;

/// Bytes of a filter's text.
pub const TEXT_BYTES_MAX: usize = 16 << 10;
/// Instructions that the kernel takes (BPF_MAXINSNS).
pub const PROGRAM_MAX: usize = 4_096;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FilterError {
    #[error("{what} at character {at}")]
    Syntax { at: usize, what: String },
    #[error("it is longer than {TEXT_BYTES_MAX} characters")]
    LongText,
    #[error("it takes more than {PROGRAM_MAX} instructions or one jump of more than 255: make it shorter")]
    LongProgram,
    #[error("frames of links of type {0} cannot be filtered")]
    Link(u16),
}

/// A compiled filter for one kind of link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    link: Link,
    program: Vec<Instruction>,
}

impl Filter {
    /// Takes every frame, this many bytes of it.
    pub fn all(link: Link, snaplen: u32) -> Self {
        Self { link, program: vec![compile::verdict(snaplen.max(1))] }
    }

    /// An empty text takes every frame.
    pub fn compile(text: &str, link: Link, snaplen: u32) -> Result<Self, FilterError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(FilterError::LongText);
        }
        if text.trim().is_empty() {
            return Ok(Self::all(link, snaplen));
        }
        let program = compile::compile(&parse::parse(text)?, link, snaplen.max(1))?;
        Ok(Self { link, program })
    }

    pub fn link(&self) -> Link {
        self.link
    }

    pub fn program(&self) -> &[Instruction] {
        &self.program
    }

    /// Bytes of the frame to keep; 0 if it is not wanted. What the kernel does, done here.
    pub fn run(&self, frame: &[u8]) -> u32 {
        compile::run(&self.program, frame)
    }
}
