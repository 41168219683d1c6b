//! FTP's control connection (RFC 959): who logs in, with what result, what is transferred.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::text;
use crate::record::{Facts, Record};
use serde_json::json;

const LINE_BYTES_MAX: usize = 16 << 10;
/// Commands kept of one connection.
const COMMANDS_MAX: usize = 64;

/// A server that greets with 220, and a client whose first word is one of FTP's.
pub fn recognise(head: Head<'_>) -> Verdict {
    let greets = if head.dst.is_empty() { Verdict::Maybe } else { Verdict::prefix(head.dst, b"220") };
    if head.src.is_empty() {
        return if greets == Verdict::No { Verdict::No } else { Verdict::Maybe };
    }
    let upper: Vec<u8> = head.src.iter().take(5).map(u8::to_ascii_uppercase).collect();
    let words: [&[u8]; 4] = [b"USER ", b"AUTH ", b"FEAT\r", b"SYST\r"];
    match greets {
        Verdict::Yes => Verdict::of(words.contains(&upper.as_slice())),
        _ => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Ftp::default())
}

#[derive(Default)]
struct Ftp {
    sides: [Buffer; 2],
    time: Option<event::Timestamp>,
    user: Option<String>,
    password_sent: bool,
    accepted: Option<bool>,
    failures: u32,
    commands: Vec<String>,
    secure: bool,
}

impl Ftp {
    fn command(&mut self, line: &str) {
        let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "USER" => self.user = Some(text(argument.as_bytes(), 256)),
            "PASS" => self.password_sent = true,
            "AUTH" => self.secure = true,
            _ => {}
        }
        if self.commands.len() < COMMANDS_MAX {
            // What follows PASS or ACCT is a secret.
            self.commands.push(if matches!(word.as_str(), "PASS" | "ACCT") { word } else { text(line.as_bytes(), 256) });
        }
    }

    fn reply(&mut self, line: &str) -> Next {
        match line.get(..4) {
            Some("230 ") => self.accepted = Some(true),
            Some("530 ") if self.password_sent => {
                self.accepted.get_or_insert(false);
                self.failures += 1;
            }
            Some("234 ") if self.secure => return Next::Another,
            _ => {}
        }
        Next::More
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        let Some(time) = self.time.take() else { return };
        let clear = self.password_sent.then(|| self.user.clone().unwrap_or_default()).filter(|user| !matches!(user.as_str(), "anonymous" | "ftp"));
        let values = vec![("user", json!(self.user)), ("password_sent", json!(self.password_sent)), ("accepted", json!(self.accepted)), ("failures", json!(self.failures)), ("commands", json!(self.commands))];
        context.records.push(Record::Facts(Box::new(Facts { time, endpoints: *context.endpoints, protocol: "ftp", values, clear_text: clear })));
    }
}

impl Conversation for Ftp {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.time.get_or_insert(context.time);
        if !self.sides[side as usize].push(bytes, LINE_BYTES_MAX) {
            self.tell(context);
            return Next::Done;
        }
        while let Some(line) = self.sides[side as usize].line() {
            let next = if side == Side::Source { self.command(&line); Next::More } else { self.reply(&line) };
            if next == Next::Another {
                self.tell(context);
                return next;
            }
        }
        Next::More
    }

    fn gap(&mut self, _side: Side, _len: u32, _context: &mut Context<'_>) -> Next {
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
