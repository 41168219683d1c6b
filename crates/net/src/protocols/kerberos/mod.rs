//! Kerberos 5 (RFC 4120): requests for tickets and their answers: who asks for which service, with which
//! encryption, and errors.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{Cursor, be32, text};
use crate::der::{SEQUENCE, element, expect, find, integer};
use crate::record::{Facts, Record};
use serde_json::json;

const BUFFER_BYTES_MAX: usize = 128 << 10;

fn name_of(tag: u8) -> Option<&'static str> {
    Some(match tag {
        0x6a => "as_req",
        0x6b => "as_rep",
        0x6c => "tgs_req",
        0x6d => "tgs_rep",
        0x7e => "error",
        _ => return None,
    })
}

/// The fields of a message: an application tag around a sequence, with the protocol's version 5 in it.
fn fields(bytes: &[u8]) -> Option<(&'static str, &[u8])> {
    let (tag, contents, _) = element(&mut Cursor::new(bytes))?;
    let name = name_of(tag)?;
    let fields = expect(&mut Cursor::new(contents), SEQUENCE)?;
    // A request's version has the tag 1, all others' 0.
    let version = find(fields, if matches!(tag, 0x6a | 0x6c) { 0xa1 } else { 0xa0 })?;
    (version == [2, 1, 5]).then_some((name, fields))
}

pub fn recognise_datagram(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    Verdict::of(fields(bytes).is_some())
}

pub fn recognise_stream(head: Head<'_>) -> Verdict {
    let bytes = head.src;
    if bytes.is_empty() {
        return if head.dst.is_empty() { Verdict::Maybe } else { Verdict::No };
    }
    match (be32(bytes, 0), bytes.get(4)) {
        (Some(len), Some(tag)) if (20..100_000).contains(&len) && name_of(*tag).is_some() => match bytes.get(4..4 + len as usize) {
            Some(message) => Verdict::of(fields(message).is_some()),
            None => Verdict::Maybe,
        },
        (Some(_), Some(_)) => Verdict::No,
        _ if bytes[0] == 0 => Verdict::Maybe,
        _ => Verdict::No,
    }
}

pub fn start_datagram() -> Box<dyn Conversation> {
    Box::new(Kerberos { streams: None })
}

pub fn start_stream() -> Box<dyn Conversation> {
    Box::new(Kerberos { streams: Some(Default::default()) })
}

struct Kerberos {
    streams: Option<Box<[Buffer; 2]>>,
}

/// A principal's name: its parts behind the tag 1, as general strings.
fn principal(contents: &[u8]) -> Option<String> {
    let sequence = expect(&mut Cursor::new(contents), SEQUENCE)?;
    let parts = expect(&mut Cursor::new(find(sequence, 0xa1)?), SEQUENCE)?;
    let mut cursor = Cursor::new(parts);
    let parts: Vec<String> = std::iter::from_fn(|| element(&mut cursor)).take(8).map(|(_, part, _)| text(part, 128)).collect();
    Some(parts.join("/"))
}

fn string(contents: &[u8]) -> Option<String> {
    element(&mut Cursor::new(contents)).map(|(_, value, _)| text(value, 256))
}

fn number(contents: &[u8]) -> Option<i64> {
    element(&mut Cursor::new(contents)).and_then(|(_, value, _)| integer(value))
}

fn tell(bytes: &[u8], context: &mut Context<'_>) {
    let Some((message, fields)) = fields(bytes) else { return };
    let mut values = vec![("message", json!(message))];
    match message {
        "as_req" | "tgs_req" => {
            let Some(body) = find(fields, 0xa4).and_then(|b| expect(&mut Cursor::new(b), SEQUENCE)) else { return };
            let mut kinds = Cursor::new(find(body, 0xa8).and_then(|b| expect(&mut Cursor::new(b), SEQUENCE)).unwrap_or_default());
            let kinds: Vec<i64> = std::iter::from_fn(|| element(&mut kinds)).take(16).filter_map(|(_, kind, _)| integer(kind)).collect();
            values.extend([
                ("client", json!(find(body, 0xa1).and_then(principal))),
                ("realm", json!(find(body, 0xa2).and_then(string))),
                ("service", json!(find(body, 0xa3).and_then(principal))),
                ("encryption_types", json!(kinds)),
                // Without it an account's password can be guessed offline (AS-REP roasting, T1558.004).
                ("preauthentication", json!(find(fields, 0xa3).is_some())),
            ]);
        }
        "error" => values.extend([("error_code", json!(find(fields, 0xa6).and_then(number))), ("client", json!(find(fields, 0xa8).and_then(principal))), ("service", json!(find(fields, 0xaa).and_then(principal)))]),
        _ => {
            let ticket = find(fields, 0xa5).and_then(|t| element(&mut Cursor::new(t))).and_then(|(_, t, _)| expect(&mut Cursor::new(t), SEQUENCE));
            let kind = ticket.and_then(|t| find(t, 0xa3)).and_then(|e| expect(&mut Cursor::new(e), SEQUENCE)).and_then(|e| find(e, 0xa0)).and_then(number);
            values.extend([
                ("client", json!(find(fields, 0xa4).and_then(principal))),
                ("realm", json!(find(fields, 0xa3).and_then(string))),
                ("service", json!(ticket.and_then(|t| find(t, 0xa2)).and_then(principal))),
                ("ticket_encryption_type", json!(kind)),
            ]);
        }
    }
    context.records.push(Record::Facts(Box::new(Facts { time: context.time, endpoints: *context.endpoints, protocol: "kerberos", values, clear_text: None })));
}

impl Conversation for Kerberos {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        let Some(streams) = &mut self.streams else {
            tell(bytes, context);
            return Next::More;
        };
        let buffer = &mut streams[side as usize];
        if !buffer.push(bytes, BUFFER_BYTES_MAX) {
            return Next::Done;
        }
        while let Some(len) = be32(buffer.rest(), 0) {
            if len as usize > BUFFER_BYTES_MAX {
                return Next::Done;
            }
            let Some(message) = buffer.rest().get(4..4 + len as usize) else { break };
            tell(message, context);
            buffer.consume(4 + len as usize);
        }
        Next::More
    }
}
