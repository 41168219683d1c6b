//! The access log of nginx and Apache: common and combined, also with a virtual host before the line and
//! with further fields after it.
//!
//! `[vhost[:port]] host ident user [time] "request" status bytes ["referer" "agent" [more…]]`

use super::{Reader, Spec, syslog};
use crate::{address, issue, members, text, time, web};
use compact_str::CompactString;
use event::{Class, Event, Format, Issue, LogSource, Map, Timestamp, Value};

pub const SPEC: Spec = Spec {
    format: Format::AccessLog,
    about: "nginx and Apache access logs, combined and common, one request per line; also with a virtual host \
            in front, with further fields behind (kept as `extra`), and behind a syslog header. Native names \
            are those of Sigma's web rules: `c-ip`, `cs-method`, `cs-uri-stem`, `cs-uri-query` (the whole \
            target, as SigmaHQ's rules mean it), `sc-status`, `cs-user-agent`, `cs-referer`, … Where percent \
            decoding changes a target, the field holds both forms.",
    log_source: "category `webserver`; product and service `nginx` or `apache` where the source's name says so",
    reader: Reader::Line { detect, read },
    example: r#"198.51.100.7 - - [20/Nov/2026:10:00:00 +0000] "GET /index.php?id=1%27%20OR%201=1 HTTP/1.1" 200 512 "-" "sqlmap/1.8""#,
};

/// Longest text between the brackets that is taken for a time.
const TIME_BYTES_MAX: usize = 64;

/// Fields after the agent that are kept.
const EXTRA_MAX: usize = 16;

fn detect(line: &str) -> bool {
    line.contains(" [") && line.contains("] \"")
}

fn read(event: &mut Event, line: &str) -> Result<(), Issue> {
    let syslog = if syslog::looks_like(line) { syslog::parse(line, event.received) } else { None };
    let (host, line) = syslog.map_or((None, line), |syslog| (syslog.host, syslog.message));
    let line = parse(line).ok_or_else(|| issue::bad_line("access_log"))?;
    fill(event, &line);
    event.ocsf.device_hostname = host.map(CompactString::from);
    Ok(())
}

/// Reads a line that came as the message of a syslog line; returns whether it is one.
pub(super) fn read_message(event: &mut Event, message: &str) -> bool {
    let Some(line) = parse(message) else { return false };
    fill(event, &line);
    true
}

#[derive(Debug)]
struct Line<'a> {
    vhost: Option<&'a str>,
    client: &'a str,
    user: Option<&'a str>,
    /// As written, and as read.
    time_text: &'a str,
    time: Option<Timestamp>,
    request: &'a str,
    status: Option<i64>,
    bytes: Option<i64>,
    referrer: Option<&'a str>,
    agent: Option<&'a str>,
    extra: Vec<&'a str>,
}

fn parse(line: &str) -> Option<Line<'_>> {
    let (before, time_text, rest) = find_time(line)?;
    let (vhost, client, user) = parse_client(before)?;
    let (request, rest) = request(rest.strip_prefix(" \"")?)?;
    let mut fields = Fields(rest);
    let status = fields.next()?;
    let bytes = fields.next().unwrap_or("-");
    if status.len() != 3 && status != "-" {
        return None;
    }
    let (referrer, agent) = (fields.next(), fields.next());
    Some(Line {
        vhost,
        client,
        user,
        time_text,
        time: time::of_text(time_text),
        request,
        status: status.parse().ok(),
        bytes: bytes.parse().ok(),
        referrer: referrer.filter(given),
        agent: agent.filter(given),
        extra: fields.take(EXTRA_MAX).collect(),
    })
}

fn given(text: &&str) -> bool {
    !text.is_empty() && *text != "-"
}

/// What is before `[time]`, the time, what is after. A user name may hold brackets, so the first bracket
/// that is followed by a digit and closed before a quote counts.
fn find_time(line: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(at) = line[from..].find(" [").map(|i| from + i) {
        let inside = &line[at + 2..];
        if inside.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && let Some(end) = inside.bytes().take(TIME_BYTES_MAX).position(|b| b == b']')
            && inside[end + 1..].starts_with(" \"")
        {
            return Some((&line[..at], &inside[..end], &inside[end + 1..]));
        }
        from = at + 2;
    }
    None
}

type Client<'a> = (Option<&'a str>, &'a str, Option<&'a str>);

/// `[vhost] host ident user`. An address in second place means that the first is a virtual host: the second
/// is otherwise `ident`, which is never one.
fn parse_client(before: &str) -> Option<Client<'_>> {
    let (first, rest) = before.trim_start().split_once(' ')?;
    if let Some(first) = first.strip_suffix(',') {
        // X-Forwarded-For in place of the peer: its first address is as good as the sender's word.
        let (_, rest) = rest.rsplit_once(", ").unwrap_or(("", rest));
        return Some((None, first, user(rest.split_once(' ')?.1)));
    }
    let (second, after) = rest.split_once(' ').unwrap_or((rest, ""));
    if address::ip(second).is_some() {
        return Some((Some(first), second, user(after)));
    }
    Some((None, first, user(rest)))
}

/// The user behind `ident`.
fn user(ident_and_user: &str) -> Option<&str> {
    let (_, user) = ident_and_user.split_once(' ')?;
    Some(user.trim()).filter(given)
}

/// The quoted request. Servers escape quotes, but not all do: the closing quote is the first that a status
/// follows; failing that, the first.
fn request(text: &str) -> Option<(&str, &str)> {
    let mut first = None;
    let mut from = 0;
    while let Some(end) = quote_end(&text[from..]).map(|i| from + i) {
        let rest = &text[end + 1..];
        if is_status(rest) {
            return Some((&text[..end], rest));
        }
        first = first.or(Some((&text[..end], rest)));
        from = end + 1;
    }
    first
}

fn is_status(rest: &str) -> bool {
    let b = rest.as_bytes();
    let ends = |at: usize| matches!(b.get(at), None | Some(b' '));
    (b.len() >= 4 && b[0] == b' ' && b[1..4].iter().all(u8::is_ascii_digit) && ends(4)) || rest.starts_with(" - ")
}

/// Where the next unescaped quote is.
fn quote_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.as_bytes().get(from..)?)?;
        if text.as_bytes()[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

/// Fields separated by spaces, quoted ones without their quotes.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(' ');
        if text.is_empty() {
            return None;
        }
        let (field, rest) = match text.strip_prefix('"') {
            Some(quoted) => match quote_end(quoted) {
                Some(end) => (&quoted[..end], &quoted[end + 1..]),
                None => (quoted, ""),
            },
            None => text.split_once(' ').unwrap_or((text, "")),
        };
        self.0 = rest;
        Some(field)
    }
}

fn fill(event: &mut Event, line: &Line<'_>) {
    event.format = Format::AccessLog;
    event.class = Class::HttpActivity;
    event.log_source = log_source(&event.source);
    match line.time {
        Some(time) => event.time = time,
        None => event.issues.push(issue::bad_time(line.time_text)),
    }
    let mut native = Map(Vec::with_capacity(24));
    native.push("c-ip", line.client);
    address::set_endpoint(&mut event.ocsf.src, line.client);
    if let Some(user) = line.user {
        native.push("cs-username", user);
        event.ocsf.user_name = Some(user.into());
    }
    if let Some(vhost) = line.vhost {
        let name = vhost.rsplit_once(':').map_or(vhost, |(name, _)| name);
        native.push("cs-host", name);
        event.ocsf.http.hostname = Some(name.into());
    }
    web::set_date(event, &mut native);
    set_request(event, &mut native, line.request);
    set_rest(event, &mut native, line);
    event.native = Value::Map(native);
}

/// Also the JSON access log's `request` member.
pub(super) fn set_request(event: &mut Event, native: &mut Map, request: &str) {
    let plain = text::unescape(request);
    event.ocsf.message = Some(CompactString::from(&*plain));
    match web::Request::parse(&plain) {
        Some(request) => web::set_request(event, native, &request),
        // No request at all: the client connected and left (Apache's 408).
        None if !given(&request) => {}
        None => {
            web::set_target(native, request);
            event.ocsf.activity = Some(CompactString::const_new("Other"));
            event.issues.push(issue::issue("malformed_request", text::head(request, 64)));
        }
    }
}

fn set_rest(event: &mut Event, native: &mut Map, line: &Line<'_>) {
    if let Some(status) = line.status {
        web::set_status(event, native, status);
    }
    if let Some(bytes) = line.bytes {
        web::set_bytes(&mut event.ocsf.http, native, bytes);
    }
    if let Some(referrer) = line.referrer {
        web::set_referrer(&mut event.ocsf.http, native, &text::unescape(referrer));
    }
    if let Some(agent) = line.agent {
        web::set_agent(&mut event.ocsf.http, native, &text::unescape(agent));
    }
    if !line.extra.is_empty() {
        members::add(native, "extra", Value::List(line.extra.iter().map(|field| (*field).into()).collect()));
    }
}

/// Which server wrote it, where the source's name tells.
pub(super) fn log_source(source: &str) -> LogSource {
    let server = match source {
        name if name.contains("nginx") => "nginx",
        name if name.contains("apache") || name.contains("httpd") => "apache",
        _ => "",
    };
    LogSource { product: server, category: "webserver", service: server }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_with_and_without_a_virtual_host() {
        let client = |text| parse_client(text).unwrap();
        assert_eq!(client("1.2.3.4 - -"), (None, "1.2.3.4", None));
        assert_eq!(client("1.2.3.4 - John Doe"), (None, "1.2.3.4", Some("John Doe")));
        assert_eq!(client("h.example:443 1.2.3.4 - bob"), (Some("h.example:443"), "1.2.3.4", Some("bob")));
        assert_eq!(client("host.example - -"), (None, "host.example", None));
        assert_eq!(client("1.2.3.4, 5.6.7.8 - bob"), (None, "1.2.3.4", Some("bob")));
    }

    #[test]
    fn the_request_ends_at_the_quote_before_the_status() {
        let request = |text| request(text).map(|(request, _)| request);
        assert_eq!(request(r#"GET /?a=\"b HTTP/1.1" 200 1"#), Some(r#"GET /?a=\"b HTTP/1.1"#));
        assert_eq!(request(r#"GET /?a="b" HTTP/1.1" 200 1"#), Some(r#"GET /?a="b" HTTP/1.1"#));
        assert_eq!(request(r#"GET /" 20 1"#), Some("GET /"));
        assert_eq!(request("GET /"), None);
    }
}
