//! RDP's connection request (MS-RDPBCGR, 2.2.1.1): the user's cookie and the security that is asked for. TLS that
//! follows is recognised anew.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{be16, le32, text};
use crate::record::{Facts, Record};
use serde_json::json;

const BUFFER_BYTES_MAX: usize = 4 << 10;
const CONNECTION_REQUEST: u8 = 0xe0;
const CONNECTION_CONFIRM: u8 = 0xd0;

/// TPKT version 3, whose length is that of what came, around an X.224 connection request.
pub fn recognise(head: Head<'_>) -> Verdict {
    match head.src {
        [] => if head.dst.is_empty() { Verdict::Maybe } else { Verdict::No },
        [3] | [3, 0] => Verdict::Maybe,
        [3, 0, _, _] => Verdict::Maybe,
        [3, 0, high, low, len, CONNECTION_REQUEST, ..] => {
            let total = u16::from_be_bytes([*high, *low]);
            Verdict::of((11..=1_024).contains(&total) && u16::from(*len) + 5 == total)
        }
        _ => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Rdp::default())
}

#[derive(Default)]
struct Rdp {
    sides: [Buffer; 2],
    time: Option<event::Timestamp>,
    cookie: Option<String>,
    requested: Option<u32>,
    asked: bool,
}

fn security(bits: u32) -> Vec<&'static str> {
    let all = [(1, "tls"), (2, "credssp"), (4, "rdstls"), (8, "credssp_early")];
    if bits == 0 { vec!["rdp"] } else { all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name).collect() }
}

impl Rdp {
    fn request(&mut self, packet: &[u8]) {
        self.asked = true;
        let mut rest = packet.get(11..).unwrap_or_default();
        if let Some(cookie) = rest.strip_prefix(b"Cookie: mstshash=") {
            let end = cookie.iter().position(|b| *b == b'\r').unwrap_or(cookie.len());
            self.cookie = Some(text(&cookie[..end], 128));
            rest = cookie.get(end + 2..).unwrap_or_default();
        }
        if rest.first() == Some(&1) {
            self.requested = le32(rest, 4);
        }
    }

    fn tell(&mut self, selected: Option<u32>, context: &mut Context<'_>) {
        let (true, Some(time)) = (self.asked, self.time.take()) else { return };
        let values = vec![("cookie", json!(self.cookie)), ("requested", json!(self.requested.map(security))), ("selected", json!(selected.map(security)))];
        context.records.push(Record::Facts(Box::new(Facts { time, endpoints: *context.endpoints, protocol: "rdp", values, clear_text: None })));
    }
}

impl Conversation for Rdp {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.time.get_or_insert(context.time);
        let buffer = &mut self.sides[side as usize];
        if !buffer.push(bytes, BUFFER_BYTES_MAX) {
            return Next::Done;
        }
        let Some(len) = be16(buffer.rest(), 2).map(usize::from) else { return Next::More };
        let Some(packet) = buffer.rest().get(..len).map(<[u8]>::to_vec) else { return Next::More };
        if side == Side::Source && !self.asked {
            buffer.consume(len);
            self.request(&packet);
        } else if side == Side::Destination {
            if packet.get(5) != Some(&CONNECTION_CONFIRM) {
                return Next::Done;
            }
            buffer.consume(len);
            let selected = packet.get(11).filter(|kind| **kind == 2).and_then(|_| le32(&packet, 15));
            self.tell(selected, context);
            return if selected.is_some_and(|s| s != 0) { Next::Another } else { Next::Done };
        }
        Next::More
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(None, context);
    }

    fn left_over(&mut self) -> [Vec<u8>; 2] {
        let [src, dst] = &mut self.sides;
        [src.take(), dst.take()]
    }
}
