//! MQTT's CONNECT and CONNACK (3.1, 3.1.1 and 5): client id, user, whether a password was sent, and the answer.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{Cursor, text};
use crate::record::{Facts, Record};
use serde_json::json;

const BUFFER_BYTES_MAX: usize = 64 << 10;

pub fn recognise(head: Head<'_>) -> Verdict {
    if head.src.is_empty() {
        return if head.dst.is_empty() { Verdict::Maybe } else { Verdict::No };
    }
    if head.src[0] != 0x10 {
        return Verdict::No;
    }
    if head.src.len() < 14 {
        return Verdict::Maybe;
    }
    let body = packet(head.src).map_or_else(|| head.src.get(2..).unwrap_or_default(), |(body, _)| body);
    Verdict::of(body.starts_with(b"\0\x04MQTT") || body.starts_with(b"\0\x06MQIsdp"))
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Mqtt::default())
}

#[derive(Default)]
struct Mqtt {
    sides: [Buffer; 2],
    facts: Option<Facts>,
}

/// The body of the first packet and its whole length: seven bits of a length a byte, at most four.
fn packet(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut len = 0usize;
    for (i, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
        len |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let start = 2 + i;
            return Some((bytes.get(start..start + len)?, start + len));
        }
    }
    None
}

fn connect(body: &[u8], context: &Context<'_>) -> Option<Facts> {
    let mut cursor = Cursor::new(body);
    let _name = cursor.block16()?;
    let (version, flags, keep_alive) = (cursor.u8()?, cursor.u8()?, cursor.be16()?);
    let properties = |cursor: &mut Cursor<'_>| if version == 5 { cursor.block8().map(drop) } else { Some(()) };
    properties(&mut cursor)?;
    let client = text(cursor.block16()?, 256);
    let mut will = None;
    if flags & 4 != 0 {
        properties(&mut cursor)?;
        will = Some(text(cursor.block16()?, 256));
        cursor.block16()?;
    }
    let user = if flags & 0x80 != 0 { Some(text(cursor.block16()?, 256)) } else { None };
    let password = flags & 0x40 != 0;
    let values = vec![("version", json!(version)), ("client_id", json!(client)), ("user", json!(user)), ("password_sent", json!(password)), ("will_topic", json!(will)), ("keep_alive_secs", json!(keep_alive))];
    let clear_text = password.then(|| user.unwrap_or_default());
    Some(Facts { time: context.time, endpoints: *context.endpoints, protocol: "mqtt", values, clear_text })
}

impl Conversation for Mqtt {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        let buffer = &mut self.sides[side as usize];
        if !buffer.push(bytes, BUFFER_BYTES_MAX) {
            self.end(context);
            return Next::Done;
        }
        let Some((body, _)) = packet(buffer.rest()) else { return Next::More };
        match side {
            Side::Source if self.facts.is_none() => match connect(body, context) {
                Some(facts) => self.facts = Some(facts),
                None => return Next::Done,
            },
            Side::Source => {}
            Side::Destination => {
                let code = body.get(1).copied();
                if let Some(facts) = &mut self.facts {
                    facts.values.push(("return_code", json!(code)));
                }
                self.end(context);
                return Next::Done;
            }
        }
        Next::More
    }

    fn end(&mut self, context: &mut Context<'_>) {
        context.records.extend(self.facts.take().map(|facts| Record::Facts(Box::new(facts))));
    }
}
