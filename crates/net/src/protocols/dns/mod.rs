//! DNS over UDP and TCP (RFC 1035), multicast DNS and NetBIOS names, which share its format.
//!
//! A record is a question with its answer. A question is told without one when the flow ends or too many wait.

mod parse;
mod record;

pub use parse::{Message, name_of_type};
pub use record::{Answer, DnsRecord};

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::record::Record;
use event::Timestamp;

/// Questions of one flow that wait for their answers.
const WAITING_MAX: usize = 64;
/// A length of two bytes, and what it can say.
const STREAM_BYTES_MAX: usize = 2 + 65_535 + 65_536;

pub fn recognise_datagram(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    Verdict::of(parse::plausible(bytes) && parse::message(bytes).is_some())
}

/// The first message's length and header; the rest may be on its way.
pub fn recognise_stream(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    let Some(len) = crate::bytes::be16(bytes, 0) else { return if bytes.is_empty() { Verdict::Maybe } else { Verdict::No } };
    if len < 17 {
        return Verdict::No;
    }
    match bytes.get(2..14) {
        None => Verdict::Maybe,
        Some(header) if !parse::plausible_header(header) => Verdict::No,
        Some(_) => match bytes.get(2..2 + usize::from(len)) {
            Some(message) => Verdict::of(parse::message(message).is_some()),
            None => Verdict::Maybe,
        },
    }
}

pub fn start_datagram() -> Box<dyn Conversation> {
    Box::new(Dns::default())
}

pub fn start_stream() -> Box<dyn Conversation> {
    Box::new(Dns { streams: Some(Default::default()), waiting: Vec::new() })
}

struct Waiting {
    time: Timestamp,
    message: Message,
}

#[derive(Default)]
struct Dns {
    waiting: Vec<Waiting>,
    /// Over TCP: bytes of messages that are not whole.
    streams: Option<Box<[Buffer; 2]>>,
}

impl Dns {
    fn message(&mut self, bytes: &[u8], context: &mut Context<'_>) {
        let Some(message) = parse::message(bytes) else { return };
        if !message.response {
            if self.waiting.len() >= WAITING_MAX {
                let oldest = self.waiting.remove(0);
                tell(Some(oldest), None, context);
            }
            self.waiting.push(Waiting { time: context.time, message });
            return;
        }
        let asked = self.waiting.iter().position(|w| w.message.id == message.id && w.message.same_question(&message));
        let asked = asked.map(|place| self.waiting.remove(place));
        tell(asked, Some(message), context);
    }
}

fn tell(asked: Option<Waiting>, answer: Option<Message>, context: &mut Context<'_>) {
    let time = asked.as_ref().map_or(context.time, |asked| asked.time);
    let rtt_ms = match (&asked, &answer) {
        (Some(_), Some(_)) => Some((context.time.micros() - time.micros()) as f64 / 1e3),
        _ => None,
    };
    let record = DnsRecord::of(time, *context.endpoints, asked.map(|a| a.message), answer, rtt_ms);
    context.records.extend(record.map(|record| Record::Dns(Box::new(record))));
}

impl Conversation for Dns {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        let Some(mut streams) = self.streams.take() else {
            self.message(bytes, context);
            return Next::More;
        };
        let buffer = &mut streams[side as usize];
        if !buffer.push(bytes, STREAM_BYTES_MAX) {
            return Next::Done;
        }
        while let Some(len) = crate::bytes::be16(buffer.rest(), 0) {
            let end = 2 + usize::from(len);
            let Some(message) = buffer.rest().get(2..end) else { break };
            self.message(message, context);
            buffer.consume(end);
        }
        self.streams = Some(streams);
        Next::More
    }

    fn end(&mut self, context: &mut Context<'_>) {
        for asked in std::mem::take(&mut self.waiting) {
            tell(Some(asked), None, context);
        }
    }
}
