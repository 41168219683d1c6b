//! What was said in a flow, recognised by content and never by port.
//!
//! One folder a protocol: `mod.rs` says what is recognised and holds the conversation, `parse.rs` reads the wire,
//! `record.rs` is what is written. [`STREAMS`] and [`DATAGRAMS`] are the lists that everything else derives from.
//! A conversation takes bytes in order, tells records, and ends as soon as it has nothing more to learn.

pub mod dhcp;
pub mod dns;
pub mod ftp;
pub mod http;
pub mod kerberos;
pub mod ldap;
pub mod mail;
pub mod mqtt;
pub mod ntp;
pub mod quic;
pub mod rdp;
pub mod smb;
pub mod socks;
pub mod ssh;
pub mod tls;

use crate::flow::Endpoints;
use crate::record::Record;
use event::Timestamp;

/// Who sent: the flow's source or its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source = 0,
    Destination = 1,
}

/// The first bytes of both sides; an empty slice is a side that has not spoken.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub src: &'a [u8],
    pub dst: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    No,
    /// It may be; more bytes will tell.
    Maybe,
    Yes,
}

impl Verdict {
    /// Compares the front of what came with a fixed text.
    pub fn prefix(bytes: &[u8], text: &[u8]) -> Self {
        let common = bytes.len().min(text.len());
        match bytes[..common] == text[..common] {
            false => Self::No,
            true if common == text.len() => Self::Yes,
            true => Self::Maybe,
        }
    }

    pub fn of(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// What a conversation wants after bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    More,
    /// Nothing more is to be learned.
    Done,
    /// What follows is another protocol: it is to be recognised anew (CONNECT, STARTTLS, SOCKS).
    Another,
}

/// What a conversation may use: when, who with whom, and where records go.
pub struct Context<'a> {
    pub time: Timestamp,
    pub endpoints: &'a Endpoints,
    pub records: &'a mut Vec<Record>,
}

/// One conversation: a TCP connection's bytes in order, or a UDP flow's datagrams.
pub trait Conversation: Send {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next;

    /// So many bytes of a stream are missing. Most protocols cannot go on.
    fn gap(&mut self, _side: Side, _len: u32, _context: &mut Context<'_>) -> Next {
        Next::Done
    }

    /// The flow is over: what is known is told.
    fn end(&mut self, _context: &mut Context<'_>) {}

    /// After [`Next::Another`]: what both sides sent that belongs to the next protocol.
    fn left_over(&mut self) -> [Vec<u8>; 2] {
        Default::default()
    }
}

/// The plain beginning of an encrypted protocol: both sides are read until neither has anything more to tell, and then
/// there is one record.
pub trait Handshake: Send {
    fn read(&mut self, side: Side, bytes: &[u8], time: Timestamp);

    /// Nothing more can be read of this side.
    fn close(&mut self, side: Side);

    fn is_over(&self) -> bool;

    /// Writes the record, the first time and if there is something to tell.
    fn tell(&mut self, context: &mut Context<'_>);
}

impl<H: Handshake> Conversation for H {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.read(side, bytes, context.time);
        if !self.is_over() {
            return Next::More;
        }
        self.tell(context);
        Next::Done
    }

    fn gap(&mut self, side: Side, _len: u32, context: &mut Context<'_>) -> Next {
        self.close(side);
        if !self.is_over() {
            return Next::More;
        }
        self.tell(context);
        Next::Done
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(context);
    }
}

/// An entry of the lists below.
pub struct Protocol {
    pub name: &'static str,
    pub recognise: fn(Head<'_>) -> Verdict,
    pub start: fn() -> Box<dyn Conversation>,
}

const fn protocol(name: &'static str, recognise: fn(Head<'_>) -> Verdict, start: fn() -> Box<dyn Conversation>) -> Protocol {
    Protocol { name, recognise, start }
}

/// Over TCP, the surest first.
pub const STREAMS: [Protocol; 13] = [
    protocol("tls", tls::recognise, tls::start),
    protocol("http", http::recognise, http::start),
    protocol("ssh", ssh::recognise, ssh::start),
    protocol("smb", smb::recognise, smb::start),
    protocol("dns", dns::recognise_stream, dns::start_stream),
    protocol("smtp", mail::recognise_smtp, mail::start_smtp),
    protocol("ftp", ftp::recognise, ftp::start),
    protocol("mail", mail::recognise, mail::start),
    protocol("rdp", rdp::recognise, rdp::start),
    protocol("ldap", ldap::recognise, ldap::start),
    protocol("mqtt", mqtt::recognise, mqtt::start),
    protocol("kerberos", kerberos::recognise_stream, kerberos::start_stream),
    protocol("socks", socks::recognise, socks::start),
];

/// Over UDP.
pub const DATAGRAMS: [Protocol; 5] = [
    protocol("dns", dns::recognise_datagram, dns::start_datagram),
    protocol("quic", quic::recognise, quic::start),
    protocol("dhcp", dhcp::recognise, dhcp::start),
    protocol("kerberos", kerberos::recognise_datagram, kerberos::start_datagram),
    protocol("ntp", ntp::recognise, ntp::start),
];

/// The first bytes of each side that are looked at before a flow is given up as unknown.
pub const HEAD_BYTES_MAX: usize = 2_048;

/// Which protocol's conversation this is, if it can be said.
pub fn recognise(protocols: &'static [Protocol], head: Head<'_>) -> (Verdict, Option<&'static Protocol>) {
    let mut maybe = Verdict::No;
    for protocol in protocols {
        match (protocol.recognise)(head) {
            Verdict::Yes => return (Verdict::Yes, Some(protocol)),
            Verdict::Maybe => maybe = Verdict::Maybe,
            Verdict::No => {}
        }
    }
    (maybe, None)
}

/// Bytes of one side that no message has used yet.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    at: usize,
}

impl Buffer {
    /// Adds bytes; false if that is more than `max`, and then they are not added.
    pub fn push(&mut self, bytes: &[u8], max: usize) -> bool {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        if self.bytes.len() + bytes.len() > max {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.bytes.len());
    }

    pub fn take(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.at);
        *self = Self::default();
        rest
    }

    /// The next line without its end, if it is whole; it is consumed.
    pub fn line(&mut self) -> Option<String> {
        let rest = self.rest();
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = crate::bytes::text(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]), 1_024);
        self.consume(end + 1);
        Some(line)
    }
}
