//! NTP (RFC 5905): versions, modes and strata, and the control messages (modes 6 and 7) that amplification abuses.

use super::{Context, Conversation, Head, Next, Side, Verdict};
use crate::record::{Facts, Record};
use serde_json::json;

const MODES: [&str; 8] = ["reserved", "symmetric_active", "symmetric_passive", "client", "server", "broadcast", "control", "private"];

/// A packet of 48 bytes or with extensions whose fields are within their bounds; client packets first, because a
/// server's look like many things.
pub fn recognise(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    let Some([first, stratum, poll, precision]) = bytes.first_chunk::<4>() else { return Verdict::No };
    let (version, mode) = (first >> 3 & 7, first & 7);
    let sane = (1..=4).contains(&version) && *stratum <= 16 && *poll <= 17 && (*precision as i8) <= 0 && (*precision as i8) >= -32;
    let sized = bytes.len() == 48 || (bytes.len() > 48 && bytes.len() <= 400 && bytes.len().is_multiple_of(4));
    let timed = matches!(mode, 3 | 4) && bytes.get(40..44).is_some_and(|t| t != [0; 4] || mode == 3);
    Verdict::of(sane && sized && timed)
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Ntp)
}

/// One packet of a flow says all.
struct Ntp;

impl Conversation for Ntp {
    fn data(&mut self, _side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        let Some([first, stratum, ..]) = bytes.first_chunk::<4>().copied() else { return Next::Done };
        if first & 7 == 3 {
            // The server's answer knows more; a client that asks in vain is in the flow's record.
            return Next::More;
        }
        let values = vec![("version", json!(first >> 3 & 7)), ("mode", json!(MODES[usize::from(first & 7)])), ("stratum", json!(stratum)), ("leap", json!(first >> 6))];
        context.records.push(Record::Facts(Box::new(Facts { time: context.time, endpoints: *context.endpoints, protocol: "ntp", values, clear_text: None })));
        Next::Done
    }
}
