//! SSH (RFC 4253): the version lines and both KEXINIT messages, from which HASSH is made. After them all is
//! encrypted and the conversation is over.

mod parse;
mod record;

pub use record::SshRecord;

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::record::Record;

/// Longest version line (RFC 4253, section 4.2), with lines a server may send before it.
const BANNER_BYTES_MAX: usize = 4 << 10;
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

#[derive(Default)]
struct One {
    buffer: Buffer,
    banner: Option<String>,
    algorithms: Option<parse::Algorithms>,
    /// Nothing more is read of this side.
    closed: bool,
}

#[derive(Default)]
struct Ssh {
    sides: [One; 2],
    started: Option<event::Timestamp>,
    told: bool,
}

impl One {
    fn read(&mut self, bytes: &[u8]) {
        if self.closed || !self.buffer.push(bytes, BUFFER_BYTES_MAX) {
            self.closed = true;
            return;
        }
        while self.banner.is_none() {
            let too_long = self.buffer.rest().len() > BANNER_BYTES_MAX;
            match self.buffer.line() {
                Some(line) if line.starts_with("SSH-") => self.banner = Some(line),
                Some(_) => {}
                None => {
                    self.closed |= too_long;
                    return;
                }
            }
        }
        match parse::kex_init(self.buffer.rest()) {
            parse::Kex::More => {}
            parse::Kex::Not => self.closed = true,
            parse::Kex::Init(algorithms) => {
                self.algorithms = Some(algorithms);
                self.closed = true;
            }
        }
        if self.closed {
            self.buffer = Buffer::default();
        }
    }
}

impl Ssh {
    fn tell(&mut self, context: &mut Context<'_>) {
        if std::mem::replace(&mut self.told, true) || self.sides.iter().all(|s| s.banner.is_none()) {
            return;
        }
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
        };
        context.records.push(Record::Ssh(Box::new(record)));
    }
}

impl Conversation for Ssh {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.started.get_or_insert(context.time);
        self.sides[side as usize].read(bytes);
        if self.sides.iter().all(|s| s.closed) {
            self.tell(context);
            return Next::Done;
        }
        Next::More
    }

    fn gap(&mut self, side: Side, _len: u32, context: &mut Context<'_>) -> Next {
        self.sides[side as usize].closed = true;
        if self.sides.iter().all(|s| s.closed) {
            self.tell(context);
            return Next::Done;
        }
        Next::More
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(context);
    }
}
