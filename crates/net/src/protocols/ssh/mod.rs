//! SSH (RFC 4253): the version lines and both KEXINIT messages, from which HASSH is made.
//!
//! After the key exchange all is encrypted, but not its length: a server's USERAUTH_SUCCESS (RFC 4252, section 5.1) is one
//! byte long, and nothing a server says before it is as short. How long that is on the wire follows from the cipher and
//! MAC agreed on. So the record says whether a login succeeded, and about how many were refused.

mod parse;
mod record;

pub use record::SshRecord;

use super::{Buffer, Context, Conversation, Handshake, Head, Side, Verdict};
use crate::record::Record;
use event::Timestamp;

/// Longest version line (RFC 4253, section 4.2), with lines a server may send before it.
const BANNER_BYTES_MAX: usize = 4 << 10;
/// Encrypted messages of a server that are looked at: a login takes three, and servers end after some refusals.
const REPLIES_MAX: u32 = 64;
/// Larger than the 35,000 bytes every implementation must take.
const BUFFER_BYTES_MAX: usize = 64 << 10;

pub fn recognise(head: Head<'_>) -> Verdict {
    let src = if head.src.is_empty() { Verdict::Maybe } else { Verdict::prefix(head.src, b"SSH-") };
    let dst = if head.dst.is_empty() { Verdict::Maybe } else { Verdict::prefix(head.dst, b"SSH-") };
    match (src, dst) {
        (Verdict::Yes, _) | (_, Verdict::Yes) => Verdict::Yes,
        (Verdict::Maybe, Verdict::Maybe) => Verdict::Maybe,
        _ => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Ssh::default())
}

/// How far one side is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Version line and key exchange are read.
    #[default]
    Plain,
    /// After its NEWKEYS only lengths are seen.
    Encrypted,
    Closed,
}

#[derive(Default)]
struct One {
    buffer: Buffer,
    banner: Option<String>,
    algorithms: Option<parse::Algorithms>,
    stage: Stage,
}

#[derive(Default)]
struct Ssh {
    sides: [One; 2],
    started: Option<Timestamp>,
    login: Login,
    told: bool,
}

/// The dialogue of RFC 4252, by the lengths of its messages.
#[derive(Default)]
struct Login {
    /// The client has spoken since it began to encrypt.
    asked: bool,
    /// Messages of the server since then: the first grants the service, the others answer attempts.
    replies: u32,
    accepted: bool,
    /// A part of the dialogue is missing.
    broken: bool,
}

impl One {
    /// What is left of the bytes once the side encrypts.
    fn read(&mut self, bytes: &[u8]) -> usize {
        if !self.buffer.push(bytes, BUFFER_BYTES_MAX) {
            self.close();
            return 0;
        }
        while self.banner.is_none() {
            let too_long = self.buffer.rest().len() > BANNER_BYTES_MAX;
            match self.buffer.line() {
                Some(line) if line.starts_with("SSH-") => self.banner = Some(line),
                Some(_) => {}
                None if too_long => {
                    self.close();
                    return 0;
                }
                None => return 0,
            }
        }
        loop {
            match parse::message(self.buffer.rest()) {
                parse::Message::More => return 0,
                parse::Message::Not => {
                    self.close();
                    return 0;
                }
                parse::Message::KexInit(algorithms, len) => {
                    self.algorithms.get_or_insert(*algorithms);
                    self.buffer.consume(len);
                }
                parse::Message::Other(len) => self.buffer.consume(len),
                parse::Message::NewKeys(len) => {
                    self.buffer.consume(len);
                    let rest = self.buffer.rest().len();
                    (self.stage, self.buffer) = (Stage::Encrypted, Buffer::default());
                    return rest;
                }
            }
        }
    }

    fn close(&mut self) {
        (self.stage, self.buffer) = (Stage::Closed, Buffer::default());
    }
}

impl Ssh {
    fn encrypted(&mut self, side: Side, len: usize) {
        match side {
            Side::Source => self.login.asked = true,
            // What a server says before it is asked is its list of extensions (RFC 8308).
            Side::Destination if !self.login.asked => {}
            Side::Destination => {
                self.login.replies += 1;
                let [client, server] = &self.sides;
                let success = client.algorithms.as_ref().zip(server.algorithms.as_ref()).and_then(|(c, s)| parse::success_len(c, s));
                self.login.broken |= success.is_none();
                self.login.accepted |= self.login.replies > 1 && success == Some(len);
            }
        }
    }
}

impl Handshake for Ssh {
    fn read(&mut self, side: Side, bytes: &[u8], time: Timestamp) {
        self.started.get_or_insert(time);
        let one = &mut self.sides[side as usize];
        let len = match one.stage {
            Stage::Plain => one.read(bytes),
            Stage::Encrypted => bytes.len(),
            Stage::Closed => 0,
        };
        if len > 0 {
            self.encrypted(side, len);
        }
    }

    fn close(&mut self, side: Side) {
        self.login.broken = true;
        self.sides[side as usize].close();
    }

    fn is_over(&self) -> bool {
        self.login.accepted || self.login.replies > REPLIES_MAX || self.sides.iter().all(|s| s.stage == Stage::Closed)
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        if std::mem::replace(&mut self.told, true) || self.sides.iter().all(|s| s.banner.is_none()) {
            return;
        }
        // The first reply grants the service, and after a success nothing is counted.
        let refused = self.login.replies.saturating_sub(1 + u32::from(self.login.accepted));
        let known = self.login.accepted || (refused > 0 && !self.login.broken && self.login.replies <= REPLIES_MAX);
        let [client, server] = &mut self.sides;
        let record = SshRecord {
            time: self.started.unwrap_or(context.time),
            endpoints: *context.endpoints,
            client: client.banner.take(),
            server: server.banner.take(),
            hassh: client.algorithms.as_ref().map(|a| a.hassh(false)),
            hassh_algorithms: client.algorithms.as_ref().map(|a| a.text(false)),
            hassh_server: server.algorithms.as_ref().map(|a| a.hassh(true)),
            hassh_server_algorithms: server.algorithms.as_ref().map(|a| a.text(true)),
            host_key_algorithms: server.algorithms.as_ref().map(|a| a.host_key.clone()),
            authenticated: known.then_some(self.login.accepted),
            refused: known.then_some(refused),
        };
        context.records.push(Record::Ssh(Box::new(record)));
    }
}
