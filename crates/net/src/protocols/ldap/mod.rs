//! LDAP (RFC 4511): binds with their names and results, and the bases of searches.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{Cursor, text};
use crate::der::{SEQUENCE, element, integer};
use crate::record::{Facts, Record};
use serde_json::json;

const BUFFER_BYTES_MAX: usize = 256 << 10;
const SEARCHES_MAX: usize = 32;

const BIND: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH: u8 = 0x63;
const EXTENDED: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// A message's operation: what stands behind its id.
fn operation(message: &[u8]) -> Option<(u8, &[u8])> {
    let mut cursor = Cursor::new(message);
    let (tag, id, _) = element(&mut cursor)?;
    if tag != 0x02 || id.len() > 4 {
        return None;
    }
    element(&mut cursor).map(|(tag, contents, _)| (tag, contents))
}

/// A client's first message: a bind, a search or an extended request.
pub fn recognise(head: Head<'_>) -> Verdict {
    if head.src.is_empty() {
        return if head.dst.is_empty() { Verdict::Maybe } else { Verdict::No };
    }
    if head.src[0] != SEQUENCE {
        return Verdict::No;
    }
    let mut cursor = Cursor::new(head.src);
    match element(&mut cursor) {
        Some((_, message, _)) => Verdict::of(operation(message).is_some_and(|(tag, contents)| match tag {
            BIND => contents.starts_with(&[2, 1]),
            SEARCH => contents.first() == Some(&4),
            EXTENDED => contents.first() == Some(&0x80),
            _ => false,
        })),
        None if head.src.len() < 8 => Verdict::Maybe,
        None => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Ldap::default())
}

#[derive(Default)]
struct Ldap {
    sides: [Buffer; 2],
    time: Option<event::Timestamp>,
    name: Option<String>,
    method: Option<&'static str>,
    result: Option<i64>,
    searches: Vec<String>,
    clear: Option<String>,
    start_tls: bool,
}

impl Ldap {
    fn message(&mut self, message: &[u8]) -> Next {
        let Some((tag, contents)) = operation(message) else { return Next::Done };
        let mut cursor = Cursor::new(contents);
        match tag {
            BIND => {
                let (_version, name, secret) = (element(&mut cursor), element(&mut cursor), element(&mut cursor));
                let name = name.map(|(_, name, _)| text(name, 512)).unwrap_or_default();
                match secret {
                    // A simple bind without a password is anonymous.
                    Some((0x80, password, _)) => {
                        self.method = Some("simple");
                        self.clear = (!password.is_empty()).then(|| name.clone());
                    }
                    _ => self.method = Some("sasl"),
                }
                self.name = Some(name);
            }
            BIND_RESPONSE => self.result = element(&mut cursor).and_then(|(_, code, _)| integer(code)),
            SEARCH if self.searches.len() < SEARCHES_MAX => self.searches.extend(element(&mut cursor).map(|(_, base, _)| text(base, 512))),
            EXTENDED => self.start_tls = element(&mut cursor).is_some_and(|(_, oid, _)| oid == START_TLS),
            EXTENDED_RESPONSE if self.start_tls => return Next::Another,
            _ => {}
        }
        Next::More
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        let Some(time) = self.time.take() else { return };
        let values = vec![("name", json!(self.name)), ("method", json!(self.method)), ("result_code", json!(self.result)), ("search_bases", json!(self.searches)), ("starttls", json!(self.start_tls))];
        context.records.push(Record::Facts(Box::new(Facts { time, endpoints: *context.endpoints, protocol: "ldap", values, clear_text: self.clear.take() })));
    }
}

impl Conversation for Ldap {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.time.get_or_insert(context.time);
        if !self.sides[side as usize].push(bytes, BUFFER_BYTES_MAX + bytes.len()) || self.sides[side as usize].rest().len() > BUFFER_BYTES_MAX {
            self.tell(context);
            return Next::Done;
        }
        loop {
            let mut buffer = std::mem::take(&mut self.sides[side as usize]);
            let read = element(&mut Cursor::new(buffer.rest())).map(|(_, message, whole)| (self.message(message), whole.len()));
            let read = read.inspect(|(_, len)| buffer.consume(*len));
            self.sides[side as usize] = buffer;
            match read {
                None => return Next::More,
                Some((Next::More, _)) => {}
                Some((next, _)) => {
                    self.tell(context);
                    return next;
                }
            }
        }
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(context);
    }

    fn left_over(&mut self) -> [Vec<u8>; 2] {
        let [src, dst] = &mut self.sides;
        [src.take(), dst.take()]
    }
}
