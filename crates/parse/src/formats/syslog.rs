//! Syslog headers: RFC 3164, RFC 5424, and the ISO times that modern rsyslog writes to files.

use crate::time;
use event::{Map, Timestamp};

/// A line's header and message. Fields that a line leaves out (`-`, or not there) are `None`.
#[derive(Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub priority: Option<u8>,
    /// `None` where the header says `-` or nonsense.
    pub time: Option<Timestamp>,
    pub host: Option<&'a str>,
    pub program: Option<&'a str>,
    pub pid: Option<i64>,
    pub message_id: Option<&'a str>,
    pub structured_data: Option<&'a str>,
    pub message: &'a str,
}

/// Longest program name; RFC 5424 allows 48.
const PROGRAM_BYTES_MAX: usize = 64;

/// A look at the first characters: a priority, a month's name or a year.
pub(super) fn looks_like(line: &str) -> bool {
    match line.as_bytes() {
        [b'<', digit, ..] => digit.is_ascii_digit(),
        [a, b, c, b' ', ..] => a.is_ascii_uppercase() && b.is_ascii_lowercase() && c.is_ascii_lowercase(),
        [a, _, _, _, b'-', ..] => a.is_ascii_digit(),
        _ => false,
    }
}

pub(super) fn parse(line: &str, received: Timestamp) -> Option<Line<'_>> {
    let (priority, rest) = match line.strip_prefix('<') {
        Some(rest) => {
            let (digits, rest) = rest.split_once('>')?;
            let priority = digits.parse::<u8>().ok().filter(|p| *p <= 191 && digits.len() <= 3)?;
            (Some(priority), rest)
        }
        None => (None, line),
    };
    if let (Some(priority), Some(rest)) = (priority, rest.strip_prefix("1 "))
        && let Some(line) = rfc5424(priority, rest)
    {
        return Some(line);
    }
    if let Some((time, rest)) = time::rfc3164(rest, received) {
        return Some(tagged(priority, Some(time), rest));
    }
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    if first.len() >= 19
        && first.contains('T')
        && let Some(time) = time::of_text(first)
    {
        let line = tagged(priority, Some(time), after);
        // Applications' own logs begin with an ISO time too; only a tag makes it syslog.
        return (priority.is_some() || line.program.is_some()).then_some(line);
    }
    // A priority with neither version nor time: the whole rest is the message (RFC 3164, 4.3.3).
    priority.map(|_| {
        let (program, pid, message) = tag(rest).unwrap_or((None, None, rest));
        Line { message, ..empty(priority, program, pid) }
    })
}

fn empty<'a>(priority: Option<u8>, program: Option<&'a str>, pid: Option<i64>) -> Line<'a> {
    Line { priority, time: None, host: None, program, pid, message_id: None, structured_data: None, message: "" }
}

/// `HOST TAG: message`, `TAG: message` from a sender that leaves its name out, or `HOST message`.
fn tagged<'a>(priority: Option<u8>, time: Option<Timestamp>, rest: &'a str) -> Line<'a> {
    let rest = rest.trim_start();
    if let Some((program, pid, message)) = tag(rest) {
        return Line { time, message, ..empty(priority, program, pid) };
    }
    let (host, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let host = Some(host).filter(|host| !host.is_empty());
    let rest = rest.trim_start();
    if let Some((program, pid, message)) = tag(rest) {
        return Line { time, host, message, ..empty(priority, program, pid) };
    }
    // RFC 3164 ends a tag at the first character that is not alphanumeric, the colon is only customary.
    let (program, message) = match priority.and_then(|_| rest.split_once(' ')) {
        Some((word, message)) if word.bytes().all(|b| b.is_ascii_alphanumeric()) => (Some(word), message),
        _ => (None, rest),
    };
    Line { time, host, message, ..empty(priority, program, None) }
}

type Tag<'a> = (Option<&'a str>, Option<i64>, &'a str);

/// `program[pid]: message` or `program: message`.
fn tag(text: &str) -> Option<Tag<'_>> {
    let end = text.bytes().take(PROGRAM_BYTES_MAX + 1).position(|b| matches!(b, b' ' | b':' | b'['))?;
    let (program, rest) = text.split_at(end);
    if program.is_empty() {
        return None;
    }
    if let Some(inside) = rest.strip_prefix('[') {
        let (pid, rest) = inside.split_once(']')?;
        let message = rest.strip_prefix(':')?;
        return Some((Some(program), pid.parse().ok(), message.strip_prefix(' ').unwrap_or(message)));
    }
    let message = rest.strip_prefix(':')?;
    // An address as a host name has colons too, but no space after the first.
    if !(message.is_empty() || message.starts_with(' ')) {
        return None;
    }
    Some((Some(program), None, message.strip_prefix(' ').unwrap_or(message)))
}

/// `TIME HOST APP PROCID MSGID SD[ MSG]` (RFC 5424, 6).
fn rfc5424<'a>(priority: u8, rest: &'a str) -> Option<Line<'a>> {
    let mut fields = rest.splitn(6, ' ');
    let time = fields.next()?;
    let mut field = || fields.next().map(|text| Some(text).filter(|text| *text != "-"));
    let (host, program, pid, message_id) = (field()?, field()?, field()?, field()?);
    let (structured_data, message) = structured(fields.next().unwrap_or("-"));
    if time != "-" && time::of_text(time).is_none() {
        return None;
    }
    Some(Line {
        time: time::of_text(time),
        host,
        message_id,
        structured_data,
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
        ..empty(Some(priority), program, pid.and_then(|pid| pid.parse().ok()))
    })
}

/// Splits `[id k="v"][…] message`; text that does not close its brackets is all message.
fn structured(text: &str) -> (Option<&str>, &str) {
    if let Some(rest) = text.strip_prefix('-') {
        return (None, rest.strip_prefix(' ').unwrap_or(rest));
    }
    let (mut at, mut quoted) = (0, false);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted && bytes.get(at + 1) != Some(&b'[') => {
                let rest = &text[at + 1..];
                return (Some(&text[..=at]), rest.strip_prefix(' ').unwrap_or(rest));
            }
            _ if at == 0 && *byte != b'[' => break,
            _ => {}
        }
        at += 1;
    }
    (None, text)
}

/// Structured data as a map of ids to maps of parameters.
pub(super) fn structured_map(text: &str) -> Map {
    const PARAMETERS_MAX: usize = 256;
    let mut map = Map::default();
    let mut rest = text;
    let mut count = 0;
    while let Some(inside) = rest.strip_prefix('[') {
        let id_end = inside.find([' ', ']']).unwrap_or(inside.len());
        let mut parameters = Map::default();
        rest = &inside[id_end..];
        while let Some((name, after)) = rest.strip_prefix(' ').and_then(|r| r.split_once("=\"")) {
            let Some(end) = value_end(after) else { break };
            if count < PARAMETERS_MAX {
                parameters.push(name, &after[..end]);
            }
            count += 1;
            rest = &after[end + 1..];
        }
        if count <= PARAMETERS_MAX {
            map.push(&inside[..id_end], parameters);
        }
        count += 1;
        rest = rest.strip_prefix(']').unwrap_or("");
    }
    map
}

fn value_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.as_bytes().get(from..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

/// The names of a priority's facility and severity (RFC 5424, 6.2.1).
pub(super) fn priority_names(priority: u8) -> (&'static str, &'static str) {
    const FACILITIES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
        "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];
    const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
    (FACILITIES[usize::from(priority / 8) % 24], SEVERITIES[usize::from(priority % 8)])
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read<'a> = (Option<&'a str>, Option<&'a str>, Option<i64>, &'a str);

    fn read(line: &str) -> Option<Read<'_>> {
        let received = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        parse(line, received).map(|l| (l.host, l.program, l.pid, l.message))
    }

    #[test]
    fn headers() {
        assert_eq!(read("Nov 20 23:53:36 vm sshd[7]: hi"), Some((Some("vm"), Some("sshd"), Some(7), "hi")));
        assert_eq!(read("<84>Nov 20 23:53:36 vm sshd: hi"), Some((Some("vm"), Some("sshd"), None, "hi")));
        assert_eq!(read("<133>Nov 20 23:53:36 vm demo one two"), Some((Some("vm"), Some("demo"), None, "one two")));
        assert_eq!(read("Nov 20 23:53:36 sshd[7]: hi"), Some((None, Some("sshd"), Some(7), "hi")));
        assert_eq!(read("Nov 20 23:53:36 2001:db8::1 su: hi"), Some((Some("2001:db8::1"), Some("su"), None, "hi")));
        assert_eq!(read("2026-11-20T10:00:00.5+02:00 h p/q[1]: x"), Some((Some("h"), Some("p/q"), Some(1), "x")));
        assert_eq!(read("<13>no header at all"), Some((None, None, None, "no header at all")));
        assert_eq!(
            read("<37>1 2026-11-20T23:53:36.362554+00:00 vm sshd - - [a k=\"]\\\"\"][b] hi"),
            Some((Some("vm"), Some("sshd"), None, "hi"))
        );
        assert_eq!(read("<11>1 - - - - - - \u{feff}hi"), Some((None, None, None, "hi")));
        for none in ["", "hello", "<999>x", "<1", "2026-11-20T10:00:00Z INFO started", "Nov 20"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn structured_data() {
        let map = structured_map(r#"[a k="v" l="\"]"][b]"#);
        assert_eq!(serde_json::to_string(&map).unwrap(), r#"{"a":{"k":"v","l":"\\\"]"},"b":{}}"#);
        for odd in ["[", "[a k=\"", "[a k", "[a]]", "["] {
            structured_map(odd);
            structured(odd);
        }
    }
}
