//! TLS up to where it is encrypted: both hellos with JA3, JA4 and JA3S, server name, ALPN, versions, and the facts of
//! the certificate where it is plain (TLS 1.2 and before).
//!
//! JA4 is FoxIO's fingerprint of clients, the only one of that family under a free licence (BSD-3).

pub mod certificate;
pub mod fingerprint;
pub mod hello;
mod record;

pub use record::TlsRecord;

use super::{Buffer, Context, Conversation, Handshake, Head, Side, Verdict};
use crate::bytes::{be16, be24};
use crate::record::Record;
use event::Timestamp;

/// A record's payload is at most 2^14 bytes and what encryption adds (RFC 8446, section 5).
const RECORD_BYTES_MAX: usize = (16 << 10) + 256;
const BUFFER_BYTES_MAX: usize = 128 << 10;
/// Handshake messages put together: chains of certificates are the largest.
const HANDSHAKE_BYTES_MAX: usize = 64 << 10;

const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;

pub const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_DONE: u8 = 14;

/// A handshake record whose first message is the hello of its side.
fn hello(bytes: &[u8], kind: u8) -> Verdict {
    let wanted = [Some(HANDSHAKE), Some(3), None, None, None, Some(kind), Some(0)];
    let fits = bytes.iter().zip(wanted).all(|(byte, want)| want.is_none_or(|want| *byte == want));
    match fits {
        false => Verdict::No,
        true if bytes.len() >= 11 => Verdict::of(bytes[2] <= 4 && usize::from(be16(bytes, 3).unwrap_or(0)) <= RECORD_BYTES_MAX && bytes[9] == 3),
        true => Verdict::Maybe,
    }
}

pub fn recognise(head: Head<'_>) -> Verdict {
    match (hello(head.src, CLIENT_HELLO), hello(head.dst, SERVER_HELLO)) {
        (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
        (Verdict::Maybe, _) | (_, Verdict::Maybe) => Verdict::Maybe,
        _ => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Tls::default())
}

#[derive(Default)]
struct One {
    buffer: Buffer,
    handshake: Vec<u8>,
    /// From here on it is encrypted, or no longer read.
    closed: bool,
    encrypted: bool,
}

#[derive(Default)]
struct Tls {
    sides: [One; 2],
    started: Option<Timestamp>,
    client: Option<hello::Client>,
    server: Option<hello::Server>,
    certificates: Vec<certificate::Certificate>,
    chain: u32,
    told: bool,
}

impl Tls {
    fn records(&mut self, side: usize) {
        while !self.sides[side].closed {
            let one = &mut self.sides[side];
            let rest = one.buffer.rest();
            let (Some(kind), Some(len)) = (rest.first().copied(), be16(rest, 3).map(usize::from)) else { return };
            if len > RECORD_BYTES_MAX || rest[1] != 3 {
                one.closed = true;
                return;
            }
            match kind {
                CHANGE_CIPHER | APPLICATION => (one.closed, one.encrypted) = (true, true),
                HANDSHAKE => {
                    let Some(record) = rest.get(5..5 + len) else { return };
                    if one.handshake.len() + len > HANDSHAKE_BYTES_MAX {
                        one.closed = true;
                        return;
                    }
                    one.handshake.extend_from_slice(record);
                    one.buffer.consume(5 + len);
                    self.messages(side);
                }
                ALERT => {
                    if rest.len() < 5 + len {
                        return;
                    }
                    one.buffer.consume(5 + len);
                }
                _ => one.closed = true,
            }
        }
    }

    fn messages(&mut self, side: usize) {
        let mut handshake = std::mem::take(&mut self.sides[side].handshake);
        let mut at = 0;
        while let (Some(kind), Some(len)) = (handshake.get(at), be24(&handshake, at + 1)) {
            if len as usize > HANDSHAKE_BYTES_MAX {
                self.sides[side].closed = true;
                break;
            }
            let Some(body) = handshake.get(at + 4..at + 4 + len as usize) else { break };
            self.message(side, *kind, body);
            at += 4 + len as usize;
        }
        // Many records of one byte each must not copy what waits every time.
        handshake.drain(..at);
        self.sides[side].handshake = handshake;
    }

    fn message(&mut self, side: usize, kind: u8, body: &[u8]) {
        match kind {
            CLIENT_HELLO if self.client.is_none() => self.client = hello::client(body),
            // A hello that asks to try again comes before the one that counts.
            SERVER_HELLO if self.server.as_ref().is_none_or(|s| s.retry) => self.server = hello::server(body).or(self.server.take()),
            CERTIFICATE if side == Side::Destination as usize && self.certificates.is_empty() => {
                let (chain, first) = certificate::chain(body);
                self.chain = chain;
                self.certificates.extend(first);
            }
            SERVER_DONE => self.sides[side].closed = true,
            _ => {}
        }
    }
}

impl Handshake for Tls {
    fn read(&mut self, side: Side, bytes: &[u8], time: Timestamp) {
        self.started.get_or_insert(time);
        let one = &mut self.sides[side as usize];
        if !one.closed {
            one.closed = !one.buffer.push(bytes, BUFFER_BYTES_MAX);
            self.records(side as usize);
        } else if matches!(bytes.first(), Some(&CHANGE_CIPHER | &APPLICATION)) {
            one.encrypted = true;
        }
    }

    fn close(&mut self, side: Side) {
        self.sides[side as usize].closed = true;
    }

    /// The server's last plain message may come before the client's key exchange: both are waited for.
    fn is_over(&self) -> bool {
        self.sides.iter().all(|s| s.closed)
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        if (self.client.is_none() && self.server.is_none()) || std::mem::replace(&mut self.told, true) {
            return;
        }
        let established = self.sides.iter().all(|s| s.encrypted);
        let record = TlsRecord::of(self.started.unwrap_or(context.time), *context.endpoints, self.client.take(), self.server.take(), self.certificates.pop(), self.chain, established);
        context.records.push(Record::Tls(Box::new(record)));
    }
}
