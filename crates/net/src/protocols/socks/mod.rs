//! SOCKS 4, 4a and 5 (RFC 1928): what is asked for, and then whatever is carried, recognised anew.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{be16, text};
use crate::record::{Facts, Record};
use serde_json::json;

const BUFFER_BYTES_MAX: usize = 4 << 10;

/// A greeting of version 5 with its list of methods, or a request of version 4, each of its exact length.
pub fn recognise(head: Head<'_>) -> Verdict {
    match head.src {
        [] => if head.dst.is_empty() { Verdict::Maybe } else { Verdict::No },
        [5, count, methods @ ..] => Verdict::of(*count > 0 && methods.len() == usize::from(*count) && (head.dst.is_empty() || head.dst[0] == 5)),
        [4, 1 | 2, rest @ ..] => Verdict::of(rest.len() >= 7 && rest.last() == Some(&0)),
        _ => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Socks::default())
}

#[derive(Default)]
struct Socks {
    sides: [Buffer; 2],
    greeted: bool,
    method: Option<u8>,
    user: Option<String>,
    wanted: Option<(String, u16)>,
    version: u8,
}

enum Read {
    More,
    Not,
    Asked(usize),
}

impl Socks {
    fn client(&mut self) -> Read {
        let bytes = self.sides[0].rest();
        let Some(version) = bytes.first().copied() else { return Read::More };
        if !self.greeted {
            self.version = version;
            if version == 5 {
                let Some(count) = bytes.get(1) else { return Read::More };
                let end = 2 + usize::from(*count);
                if bytes.len() < end {
                    return Read::More;
                }
                self.greeted = true;
                return Read::Asked(end);
            }
            return self.request_4();
        }
        // Name and password (RFC 1929) come before the request.
        if version == 1 && self.method == Some(2) {
            let user = bytes.get(1).and_then(|n| bytes.get(2..2 + usize::from(*n)));
            let Some(user) = user else { return Read::More };
            let password_at = 2 + user.len();
            let Some(password) = bytes.get(password_at) else { return Read::More };
            let end = password_at + 1 + usize::from(*password);
            if bytes.len() < end {
                return Read::More;
            }
            self.user = Some(text(user, 256));
            return Read::Asked(end);
        }
        self.request_5()
    }

    fn request_4(&mut self) -> Read {
        let bytes = self.sides[0].rest();
        let (Some(port), Some([a, b, c, d])) = (be16(bytes, 2), bytes.get(4..8)) else { return Read::More };
        let Some(user) = bytes[8..].iter().position(|b| *b == 0) else { return Read::More };
        let mut end = 8 + user + 1;
        let mut host = std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string();
        if (*a, *b, *c) == (0, 0, 0) && *d != 0 {
            let Some(len) = bytes[end..].iter().position(|b| *b == 0) else { return Read::More };
            host = text(&bytes[end..end + len], 255);
            end += len + 1;
        }
        (self.greeted, self.wanted) = (true, Some((host, port)));
        Read::Asked(end)
    }

    fn request_5(&mut self) -> Read {
        let bytes = self.sides[0].rest();
        let [5, _, 0, kind, rest @ ..] = bytes else { return if bytes.len() < 4 { Read::More } else { Read::Not } };
        let (host, len) = match (kind, rest) {
            (1, [a, b, c, d, ..]) => (std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string(), 4),
            (3, [n, name @ ..]) if name.len() >= usize::from(*n) => (text(&name[..usize::from(*n)], 255), 1 + usize::from(*n)),
            (4, name) if name.len() >= 16 => (<[u8; 16]>::try_from(&name[..16]).map_or_else(|_| String::new(), |ip| std::net::Ipv6Addr::from(ip).to_string()), 16),
            (1 | 3 | 4, _) => return Read::More,
            _ => return Read::Not,
        };
        let Some(port) = be16(rest, len) else { return Read::More };
        self.wanted = Some((host, port));
        Read::Asked(4 + len + 2)
    }

    fn server(&mut self) -> Next {
        loop {
            let bytes = self.sides[1].rest();
            let len = match (self.version, self.wanted.is_some()) {
                (4, true) => 8,
                (5, false) => 2,
                (5, true) if self.method.is_none() => 2,
                // The answer to name and password.
                (5, true) if bytes.first() == Some(&1) => 2,
                (5, true) => match bytes {
                    [_, _, _, 1, ..] => 10,
                    [_, _, _, 3, n, ..] => 7 + usize::from(*n),
                    [_, _, _, 4, ..] => 22,
                    _ => return Next::More,
                },
                _ => return Next::More,
            };
            let Some(answer) = bytes.get(..len) else { return Next::More };
            let granted = if self.version == 4 { answer[1] == 90 } else { answer[1] == 0 };
            let is_last = len > 2;
            if !is_last && answer[0] == 5 {
                self.method = Some(answer[1]);
            }
            self.sides[1].consume(len);
            if is_last {
                return if granted { Next::Another } else { Next::Done };
            }
        }
    }

    fn tell(&mut self, granted: bool, context: &mut Context<'_>) {
        let Some((host, port)) = self.wanted.take() else { return };
        let values = vec![("version", json!(self.version)), ("host", json!(host)), ("port", json!(port)), ("user", json!(self.user)), ("granted", json!(granted))];
        let facts = Facts { time: context.time, endpoints: *context.endpoints, protocol: "socks", values, clear_text: self.user.clone() };
        context.records.push(Record::Facts(Box::new(facts)));
    }
}

impl Conversation for Socks {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        if !self.sides[side as usize].push(bytes, BUFFER_BYTES_MAX) {
            return Next::Done;
        }
        while self.wanted.is_none() {
            match self.client() {
                Read::More => break,
                Read::Not => return Next::Done,
                Read::Asked(len) => self.sides[0].consume(len),
            }
        }
        let next = self.server();
        if next != Next::More {
            self.tell(next == Next::Another, context);
        }
        next
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(false, context);
    }

    fn left_over(&mut self) -> [Vec<u8>; 2] {
        let [src, dst] = &mut self.sides;
        [src.take(), dst.take()]
    }
}
