//! SMB 1, 2 and 3 (MS-SMB2): the dialect, shares that are connected to, and who logs in by NTLM with which result.

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::{be32, le16, le32, text};
use crate::record::{Facts, Record};
use serde_json::json;

/// NetBIOS framing has 17 bits of length, direct TCP 24; nobody logs in with more than this.
const BUFFER_BYTES_MAX: usize = 256 << 10;
const SHARES_MAX: usize = 32;

const LOGON_FAILURE: u32 = 0xc000_006d;

/// The session service's message type 0 around an SMB header.
pub fn recognise(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    match bytes {
        [] => Verdict::Maybe,
        // A session request comes before it on port 139.
        [0x81, 0, 0, _, ..] if bytes.len() >= 40 && bytes.len() <= 80 => Verdict::Yes,
        [0, _, _, _, magic, b'S', b'M', b'B', ..] => Verdict::of(matches!(magic, 0xff | 0xfe)),
        [0, ..] if bytes.len() < 8 => Verdict::Maybe,
        _ => Verdict::No,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Smb::default())
}

#[derive(Default)]
struct Smb {
    sides: [Buffer; 2],
    /// Bytes of a message that is too large to be read: data, not a login.
    skip: [usize; 2],
    time: Option<event::Timestamp>,
    version: u8,
    dialect: Option<String>,
    user: Option<String>,
    domain: Option<String>,
    host: Option<String>,
    shares: Vec<String>,
    logins: u32,
    failures: u32,
    last_status: Option<u32>,
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).take(256).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

impl Smb {
    fn message(&mut self, side: Side, message: &[u8]) {
        match message.first() {
            Some(0xfe) => self.version_2(side, message),
            Some(0xff) => self.version_1(side, message),
            _ => {}
        }
    }

    fn version_1(&mut self, side: Side, message: &[u8]) {
        self.version = self.version.max(1);
        let command = message.get(4).copied();
        match (command, side) {
            (Some(0x73), Side::Source) => self.ntlm(message),
            (Some(0x73), Side::Destination) => self.login(le32(message, 5)),
            _ => {}
        }
    }

    fn version_2(&mut self, side: Side, message: &[u8]) {
        self.version = 2;
        let (Some(command), Some(status)) = (le16(message, 12), le32(message, 8)) else { return };
        match (command, side) {
            (0, Side::Destination) => {
                self.dialect = le16(message, 68).map(|d| match d {
                    0x02ff => "2.???".to_owned(),
                    d => format!("{}.{}{}", d >> 8, d >> 4 & 15, if d & 15 == 0 { String::new() } else { format!(".{}", d & 15) }),
                });
            }
            (1, Side::Source) => self.ntlm(message),
            (1, Side::Destination) => self.login(Some(status)),
            (3, Side::Source) => {
                let (at, len) = (le16(message, 68).unwrap_or(0).into(), usize::from(le16(message, 70).unwrap_or(0)));
                if let Some(path) = message.get(at..).and_then(|m| m.get(..len)).filter(|_| self.shares.len() < SHARES_MAX) {
                    self.shares.push(utf16(path));
                }
            }
            _ => {}
        }
    }

    /// NTLM's third message (MS-NLMP, 2.2.1.3): domain, user and workstation by length and offset.
    fn ntlm(&mut self, message: &[u8]) {
        let Some(at) = message.windows(8).position(|w| w == b"NTLMSSP\0") else { return };
        let ntlm = &message[at..];
        if le32(ntlm, 8) != Some(3) {
            return;
        }
        let unicode = le32(ntlm, 60).is_some_and(|flags| flags & 1 == 1);
        let field = |place: usize| {
            let (len, at) = (usize::from(le16(ntlm, place)?), le32(ntlm, place + 4)? as usize);
            let bytes = ntlm.get(at..at.checked_add(len)?)?;
            Some(if unicode { utf16(bytes) } else { text(bytes, 256) })
        };
        (self.domain, self.user, self.host) = (field(28), field(36), field(44));
    }

    fn login(&mut self, status: Option<u32>) {
        // STATUS_MORE_PROCESSING_REQUIRED is the middle of a login.
        let Some(status) = status.filter(|s| *s != 0xc000_0016) else { return };
        self.last_status = Some(status);
        self.logins += 1;
        self.failures += u32::from(status != 0);
    }

    fn tell(&mut self, context: &mut Context<'_>) {
        let Some(time) = self.time.take().filter(|_| self.version > 0) else { return };
        let status = self.last_status.map(|s| if s == LOGON_FAILURE { "logon_failure".to_owned() } else { format!("0x{s:08x}") });
        let values = vec![
            ("version", json!(self.version)),
            ("dialect", json!(self.dialect)),
            ("user", json!(self.user)),
            ("domain", json!(self.domain)),
            ("host", json!(self.host)),
            ("logins", json!(self.logins)),
            ("login_failures", json!(self.failures)),
            ("last_status", json!(status)),
            ("shares", json!(self.shares)),
        ];
        context.records.push(Record::Facts(Box::new(Facts { time, endpoints: *context.endpoints, protocol: "smb", values, clear_text: None })));
    }
}

impl Conversation for Smb {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.time.get_or_insert(context.time);
        let place = side as usize;
        let mut bytes = bytes;
        loop {
            let skipped = self.skip[place].min(bytes.len());
            self.skip[place] -= skipped;
            bytes = &bytes[skipped..];
            if !self.sides[place].push(bytes, BUFFER_BYTES_MAX + bytes.len()) {
                return Next::Done;
            }
            bytes = &[];
            let buffer = &mut self.sides[place];
            let Some(len) = be32(buffer.rest(), 0).map(|n| (n & 0x00ff_ffff) as usize) else { return Next::More };
            if len > BUFFER_BYTES_MAX / 4 {
                let have = buffer.rest().len().min(4 + len);
                buffer.consume(have);
                self.skip[place] = 4 + len - have;
                if self.skip[place] > 0 {
                    return Next::More;
                }
                continue;
            }
            let Some(message) = buffer.rest().get(4..4 + len).map(<[u8]>::to_vec) else { return Next::More };
            buffer.consume(4 + len);
            self.message(side, &message);
        }
    }

    fn end(&mut self, context: &mut Context<'_>) {
        self.tell(context);
    }

    fn gap(&mut self, _side: Side, _len: u32, context: &mut Context<'_>) -> Next {
        self.tell(context);
        Next::Done
    }
}
