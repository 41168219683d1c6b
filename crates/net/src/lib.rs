//! From packets to flows, sessions and what was said in them.
//!
//! [`capture::Reader`] takes the bytes of a pcap or pcapng file and hands out frames; [`decode`] finds the innermost
//! IP packet of a frame; [`flow::Table`] counts packets in bidirectional flows; [`reassembly`] and [`protocols`] read
//! what TCP connections and UDP flows carry, by content. [`Monitor`] is all of it in order, and [`Record`]s come out.
//! [`detect`] looks at records and tells findings.
//!
//! The crate is pure: it opens no file or socket, reads no clock and starts no thread. Time is packet time. Nothing
//! in a packet is an error: what cannot be read is counted, and everything that grows is bounded by a named constant.
//! It captures nothing itself and decrypts nothing but what anybody can decrypt (QUIC's first packets).
//!
//! ```
//! let mut capture = net::capture::write::Writer::default();
//! capture.frame(event::Timestamp::from_secs(1), &[0; 60]);
//! let (mut reader, mut monitor) = (net::capture::Reader::default(), net::Monitor::default());
//! reader.push(&capture.finish(), &mut |frame| monitor.frame(&frame)).unwrap();
//! monitor.finish();
//! assert_eq!((monitor.counts.frames, monitor.records().count()), (1, 0));
//! ```

pub mod bytes;
pub mod capture;
pub mod community_id;
pub mod decode;
mod der;
pub mod detect;
pub mod eve;
pub mod flow;
pub mod fragments;
mod monitor;
pub mod protocols;
pub mod reassembly;
mod record;

pub use monitor::{Counts, Monitor, Settings};
pub use record::{Facts, Record};
