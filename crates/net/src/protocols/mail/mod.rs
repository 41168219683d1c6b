//! SMTP (RFC 5321), POP3 (RFC 1939) and IMAP (RFC 9051): greetings, logins, envelopes; STARTTLS is recognised anew.
//! Messages themselves are not read.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::text;
use crate::record::{Facts, Record};
use base64::Engine;
use serde_json::json;

const LINE_BYTES_MAX: usize = 16 << 10;
const RECIPIENTS_MAX: usize = 64;

fn starts(bytes: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| bytes.len() >= word.len() && bytes[..word.len()].eq_ignore_ascii_case(word))
}

pub fn recognise_smtp(head: Head<'_>) -> Verdict {
    if head.src.is_empty() {
        return if head.dst.is_empty() { Verdict::Maybe } else { Verdict::prefix(head.dst, b"220").at_most_maybe() };
    }
    let greets = head.dst.is_empty() || head.dst.starts_with(b"220");
    Verdict::of(greets && starts(head.src, &[b"EHLO", b"HELO", b"LHLO"]))
}

/// POP3 and IMAP, by the server's greeting and the client's first command.
pub fn recognise(head: Head<'_>) -> Verdict {
    let (pop, imap) = (Verdict::prefix(head.dst, b"+OK"), Verdict::prefix(head.dst, b"* OK"));
    if head.src.is_empty() {
        return if pop == Verdict::No && imap == Verdict::No { Verdict::No } else { Verdict::Maybe };
    }
    let asks_pop = starts(head.src, &[b"USER ", b"CAPA", b"APOP ", b"AUTH", b"STLS"]);
    let tagged = head.src.splitn(2, |b| *b == b' ').nth(1).is_some_and(|rest| starts(rest, &[b"LOGIN", b"CAPABILITY", b"STARTTLS", b"AUTHENTICATE", b"ID"]));
    Verdict::of((pop == Verdict::Yes && asks_pop) || (imap == Verdict::Yes && tagged))
}

impl Verdict {
    /// A prefix alone is not enough.
    fn at_most_maybe(self) -> Self {
        if self == Self::No { Self::No } else { Self::Maybe }
    }
}

pub fn start_smtp() -> Box<dyn Conversation> {
    Box::new(Mail { kind: "smtp", ..Mail::default() })
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Mail { kind: "", ..Mail::default() })
}

#[derive(Default)]
struct Mail {
    /// `smtp`, `pop3` or `imap`; empty until the greeting tells.
    kind: &'static str,
    sides: [Buffer; 2],
    time: Option<event::Timestamp>,
    hello: Option<String>,
    banner: Option<String>,
    from: Option<String>,
    recipients: Vec<String>,
    user: Option<String>,
    /// What a line of Base64 from the client means.
    awaiting: Awaiting,
    clear: Option<String>,
    failures: u32,
    upgrade: bool,
    message: bool,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Awaiting {
    #[default]
    Nothing,
    Plain,
    LoginUser,
    LoginPassword,
}

fn decoded(line: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(line.trim()).ok()
}

impl Mail {
    fn command(&mut self, line: &str) {
        if self.message {
            self.message = line != ".";
            return;
        }
        match std::mem::take(&mut self.awaiting) {
            Awaiting::Nothing => {}
            Awaiting::Plain => return self.plain(line),
            Awaiting::LoginUser => {
                self.user = decoded(line).map(|user| text(&user, 256));
                self.awaiting = Awaiting::LoginPassword;
                return;
            }
            Awaiting::LoginPassword => {
                self.clear = self.user.clone();
                return;
            }
        }
        // IMAP's commands stand behind a tag.
        let line = if self.kind == "imap" { line.split_once(' ').map_or("", |(_, rest)| rest) } else { line };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" | "LHLO" => self.hello = Some(text(rest.as_bytes(), 255)),
            "MAIL" => self.from = Some(address(rest)),
            "RCPT" if self.recipients.len() < RECIPIENTS_MAX => self.recipients.push(address(rest)),
            "DATA" => self.message = true,
            "STARTTLS" | "STLS" => self.upgrade = true,
            "USER" => self.user = Some(text(rest.as_bytes(), 256)),
            "PASS" => self.clear = Some(self.user.clone().unwrap_or_default()),
            "LOGIN" => {
                let user = rest.split(' ').next().unwrap_or_default().trim_matches('"');
                self.user = Some(text(user.as_bytes(), 256));
                self.clear = self.user.clone();
            }
            "AUTH" | "AUTHENTICATE" => {
                let (method, first) = rest.split_once(' ').unwrap_or((rest, ""));
                match method.to_ascii_uppercase().as_str() {
                    "PLAIN" if first.is_empty() => self.awaiting = Awaiting::Plain,
                    "PLAIN" => self.plain(first),
                    "LOGIN" => self.awaiting = Awaiting::LoginUser,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Whom to be, who one is, and the password, between zero bytes (RFC 4616).
    fn plain(&mut self, line: &str) {
        if let Some(user) = decoded(line).and_then(|bytes| bytes.split(|b| *b == 0).nth(1).map(|user| text(user, 256))) {
            self.user = Some(user);
            self.clear = self.user.clone();
        }
    }

    fn reply(&mut self, line: &str) -> Next {
        if self.banner.is_none() {
            self.banner = Some(text(line.as_bytes(), 256));
            if self.kind.is_empty() {
                self.kind = if line.starts_with('+') { "pop3" } else { "imap" };
            }
            return Next::More;
        }
        let refused = match self.kind {
            "smtp" => line.starts_with("535"),
            "pop3" => line.starts_with("-ERR") && self.clear.is_some(),
            _ => line.contains(" NO ") && self.clear.is_some(),
        };
        self.failures += u32::from(refused);
        let agreed = match self.kind {
            "smtp" => line.starts_with("220"),
            "pop3" => line.starts_with("+OK"),
            _ => line.contains(" OK "),
        };
        if self.upgrade && agreed { Next::Another } else { Next::More }
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        let Some(time) = self.time.take() else { return };
        let protocol = if self.kind.is_empty() { "imap" } else { self.kind };
        let mut values = vec![("banner", json!(self.banner)), ("user", json!(self.user)), ("login_failures", json!(self.failures)), ("starttls", json!(self.upgrade))];
        if protocol == "smtp" {
            values.extend([("hello", json!(self.hello)), ("from", json!(self.from)), ("recipients", json!(self.recipients))]);
        }
        context.records.push(Record::Facts(Box::new(Facts { time, endpoints: *context.endpoints, protocol, values, clear_text: self.clear.take() })));
    }
}

/// The address of `FROM:<a@b> SIZE=1`.
fn address(rest: &str) -> String {
    let inner = rest.split_once('<').and_then(|(_, r)| r.split_once('>')).map(|(inner, _)| inner);
    text(inner.unwrap_or(rest).as_bytes(), 320)
}

impl Conversation for Mail {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.time.get_or_insert(context.time);
        if !self.sides[side as usize].push(bytes, LINE_BYTES_MAX + bytes.len()) {
            self.tell(context);
            return Next::Done;
        }
        while let Some(line) = self.sides[side as usize].line() {
            if side == Side::Source {
                self.command(&line);
            } else if self.reply(&line) == Next::Another {
                self.tell(context);
                return Next::Another;
            }
        }
        // A line without an end is content, not a command.
        if self.sides[side as usize].rest().len() > LINE_BYTES_MAX {
            self.sides[side as usize] = Buffer::default();
        }
        Next::More
    }

    fn gap(&mut self, side: Side, _len: u32, _context: &mut Context<'_>) -> Next {
        self.sides[side as usize] = Buffer::default();
        Next::More
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(context);
    }

    fn left_over(&mut self) -> [Vec<u8>; 2] {
        let [src, dst] = &mut self.sides;
        [src.take(), dst.take()]
    }
}
