//! DHCP (RFC 2131, 2132): which machine asks for which address, and what it calls itself.

use super::{Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{be32, hex, text};
use crate::record::{Facts, Record};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const OPTIONS_AT: usize = 240;
const COOKIE: u32 = 0x6382_5363;
const TYPES: [&str; 9] = ["", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"];

pub fn recognise(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    Verdict::of(matches!(bytes.first(), Some(1 | 2)) && be32(bytes, 236) == Some(COOKIE))
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Dhcp)
}

struct Dhcp;

fn ip(bytes: &[u8], at: usize) -> Option<String> {
    be32(bytes, at).filter(|n| *n != 0).map(|n| Ipv4Addr::from(n).to_string())
}

impl Conversation for Dhcp {
    fn data(&mut self, _side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        let Some(mac) = bytes.get(28..34) else { return Next::More };
        let mac = mac.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
        let mut values = vec![("client_mac", json!(mac)), ("transaction", json!(be32(bytes, 4))), ("client_ip", json!(ip(bytes, 12))), ("assigned_ip", json!(ip(bytes, 16)))];
        let mut options = crate::bytes::Cursor::new(bytes.get(OPTIONS_AT..).unwrap_or_default());
        while let Some(code) = options.u8().filter(|c| *c != 255) {
            if code == 0 {
                continue;
            }
            let Some(data) = options.block8() else { break };
            let fact: Option<(&'static str, Value)> = match code {
                12 => Some(("hostname", json!(text(data, 255)))),
                15 => Some(("domain", json!(text(data, 255)))),
                50 => Some(("requested_ip", json!(ip(data, 0)))),
                51 => Some(("lease_secs", json!(be32(data, 0)))),
                53 => Some(("message", json!(data.first().and_then(|t| TYPES.get(usize::from(*t)))))),
                54 => Some(("server_ip", json!(ip(data, 0)))),
                // The order of what is asked for tells systems apart.
                55 => Some(("parameters", json!(hex(data)))),
                60 => Some(("vendor_class", json!(text(data, 255)))),
                _ => None,
            };
            values.extend(fact);
        }
        context.records.push(Record::Facts(Box::new(Facts { time: context.time, endpoints: *context.endpoints, protocol: "dhcp", values, clear_text: None })));
        Next::More
    }
}
