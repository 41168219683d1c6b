//! What every web log has in common: the request line, and the field names that Sigma's `webserver` rules
//! use for it (W3C extended log names, plus the proxy names that some rules borrow).

use crate::{members, text};
use compact_str::CompactString;
use event::{Event, Http, Map, Status, Value};

/// An HTTP request line. The target is as sent: also with spaces, which attackers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub version: Option<&'a str>,
}

const METHOD_BYTES_MAX: usize = 20;

impl<'a> Request<'a> {
    /// Reads `METHOD TARGET[ HTTP/VERSION]`.
    pub fn parse(line: &'a str) -> Option<Self> {
        let (method, rest) = line.split_once(' ')?;
        let is_method = |b: u8| b.is_ascii_uppercase() || matches!(b, b'-' | b'_');
        if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.bytes().all(is_method) {
            return None;
        }
        let (target, version) = match rest.rsplit_once(" HTTP/") {
            Some((target, version)) => (target, Some(version)),
            None => (rest, None),
        };
        let target = target.trim_start();
        let is_target = target.starts_with(['/', '*']) || target.contains("://") || method == "CONNECT";
        (is_target || version.is_some()).then_some(Self { method, target, version })
    }

    /// Scheme and host of an absolute target, its path, its query.
    fn parts(&self) -> (Option<&'a str>, &'a str, Option<&'a str>) {
        let (before, query) = match self.target.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (self.target, None),
        };
        let Some((_, rest)) = before.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) else {
            return (None, before, query);
        };
        match rest.find('/') {
            Some(slash) => (Some(&rest[..slash]), &rest[slash..], query),
            None => (Some(rest), "/", query),
        }
    }
}

/// Sets method, path, query, version in both namings.
pub(crate) fn set_request(event: &mut Event, native: &mut Map, request: &Request<'_>) {
    let (host, path, query) = request.parts();
    let http = &mut event.ocsf.http;
    http.method = Some(request.method.into());
    http.path = Some(path.into());
    http.query = query.map(CompactString::from);
    http.version = request.version.map(CompactString::from);
    if let Some(host) = host {
        http.hostname = Some(host.into());
        members::add(native, "cs-host", host);
    }
    event.ocsf.activity = Some(activity(request.method).into());
    members::add(native, "cs-method", request.method);
    set_target(native, request.target);
    members::add(native, "cs-uri-stem", with_decoded(path));
    if let Some(extension) = extension(path) {
        members::add(native, "c-uri-extension", extension);
    }
    if let Some(version) = request.version {
        let mut text = CompactString::const_new("HTTP/");
        text.push_str(version);
        members::add(native, "cs-version", text);
    }
}

/// What SigmaHQ's rules call `cs-uri-query` is, going by their patterns, the whole target.
pub(crate) fn set_target(native: &mut Map, target: &str) {
    let value = with_decoded(target);
    for name in ["cs-uri-query", "cs-uri", "c-uri", "c-uri-query"] {
        members::add(native, name, value.clone());
    }
}

/// The text; where decoding changes it, a list of the text and its decoded forms: percent escapes undone, and
/// Base64 in it replaced by the text it stands for. Any element may match a rule, so none hides behind another.
fn with_decoded(text: &str) -> Value {
    let decoded = text::decode_target(text);
    let unwrapped = text::unwrap_base64(text).map(|plain| text::decode_target(&plain).unwrap_or(plain));
    if decoded.is_none() && unwrapped.is_none() {
        return text.into();
    }
    let forms = decoded.into_iter().chain(unwrapped).map(|form| Value::Text(form.into()));
    Value::List(std::iter::once(text.into()).chain(forms).collect())
}

fn extension(path: &str) -> Option<&str> {
    const EXTENSION_BYTES_MAX: usize = 10;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    let plain = extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && (1..=EXTENSION_BYTES_MAX).contains(&extension.len())).then_some(extension)
}

/// OCSF's activities of an HTTP request.
fn activity(method: &str) -> &'static str {
    match method {
        "CONNECT" => "Connect",
        "DELETE" => "Delete",
        "GET" => "Get",
        "HEAD" => "Head",
        "OPTIONS" => "Options",
        "POST" => "Post",
        "PUT" => "Put",
        "TRACE" => "Trace",
        "PATCH" => "Patch",
        _ => "Other",
    }
}

pub(crate) fn set_status(event: &mut Event, native: &mut Map, code: i64) {
    event.ocsf.http.response_code = Some(code);
    event.ocsf.status = status_of(code);
    members::add(native, "sc-status", code);
}

pub(crate) fn status_of(code: i64) -> Status {
    match code {
        100..400 => Status::Success,
        400..600 => Status::Failure,
        _ => Status::Unknown,
    }
}

pub(crate) fn set_bytes(http: &mut Http, native: &mut Map, bytes: i64) {
    http.response_bytes = Some(bytes);
    members::add(native, "sc-bytes", bytes);
}

pub(crate) fn set_referrer(http: &mut Http, native: &mut Map, text: &str) {
    http.referrer = Some(text.into());
    members::add(native, "cs-referer", text);
}

pub(crate) fn set_agent(http: &mut Http, native: &mut Map, text: &str) {
    http.user_agent = Some(text.into());
    members::add(native, "cs-user-agent", text);
    members::add(native, "c-useragent", text);
}

/// The day and the clock in UTC, as W3C logs have them.
pub(crate) fn set_date(event: &Event, native: &mut Map) {
    let text = event.time.to_string();
    if text.len() >= 19 {
        members::add(native, "date", &text[..10]);
        members::add(native, "time", &text[11..19]);
    }
}

/// The first request line in free text: `"GET /x?y HTTP/1.1"`, or bare `GET /x?y`.
pub(crate) fn find_request(text: &str) -> Option<Request<'_>> {
    let at = memchr::memmem::find_iter(text.as_bytes(), b" /").find_map(|slash| method_before(text.as_bytes(), slash))?;
    let rest = &text[at..];
    let quote = text[..at].chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`'));
    Request::parse(match quote {
        Some(quote) => rest.split(quote).next().unwrap_or(rest),
        None => unquoted(rest),
    })
}

/// Where the method begins that ends at `end`, if there is one and it is a word of its own.
fn method_before(text: &[u8], end: usize) -> Option<usize> {
    const METHODS: [&[u8]; 10] =
        [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"PATCH", b"OPTIONS", b"PROPFIND", b"TRACE", b"CONNECT"];
    let method = METHODS.into_iter().find(|method| text[..end].ends_with(method))?;
    let at = end - method.len();
    let alone = at == 0 || !(text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
    alone.then_some(at)
}

/// Up to the protocol version where there is one; else the method and one word.
fn unquoted(rest: &str) -> &str {
    if let Some(at) = rest.find(" HTTP/") {
        let version = rest[at + 6..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        return &rest[..at + 6 + version];
    }
    let method = rest.find(' ').unwrap_or(rest.len());
    let target = rest[method..].trim_start().find([' ', '"', '\t', ',', ';']);
    target.map_or(rest, |len| &rest[..method + 1 + len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        let parse = |line| Request::parse(line).map(|r| (r.method, r.target, r.version));
        assert_eq!(parse("GET /a?b HTTP/1.1"), Some(("GET", "/a?b", Some("1.1"))));
        assert_eq!(parse("GET /a b' or 1=1 HTTP/1.0"), Some(("GET", "/a b' or 1=1", Some("1.0"))));
        assert_eq!(parse("GET /"), Some(("GET", "/", None)));
        assert_eq!(parse("CONNECT example.com:443 HTTP/1.1"), Some(("CONNECT", "example.com:443", Some("1.1"))));
        for bad in ["", "-", "\\x16\\x03\\x01", "GET", "get / HTTP/1.1", "SSH-2.0-Go", "MGLNDD_1.2.3.4_80 x"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let proxied = Request::parse("GET http://h.example/p?q=http://x HTTP/1.1").unwrap();
        assert_eq!(proxied.parts(), (Some("h.example"), "/p", Some("q=http://x")));
    }

    #[test]
    fn requests_in_free_text() {
        let find = |text| find_request(text).map(|r| (r.method, r.target));
        assert_eq!(find("handled \"GET /a b HTTP/1.1\" in 3 ms"), Some(("GET", "/a b")));
        assert_eq!(find("POST /login?u=1 failed"), Some(("POST", "/login?u=1")));
        assert_eq!(find("req: GET /x' OR 1=1 HTTP/1.1, slow"), Some(("GET", "/x' OR 1=1")));
        for none in ["", "TARGET /x", "cannot get /etc/passwd", "GET it", "widget /"] {
            assert_eq!(find(none), None, "{none}");
        }
    }
}
