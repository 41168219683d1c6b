//! Takes secrets out of a transaction before it leaves the process.
//!
//! Names decide, not values: headers, cookies, parameters of the query and the referrer, fields of forms, members of
//! JSON (also of JSON within a string), parts of multipart bodies and elements of XML. What cannot be read to its end
//! is cut where reading ended, as nobody knows what follows.

use crate::body::json::{self, Kind, Segment};
use crate::body::{multipart, xml};
use crate::{Transaction, Verdict, decode};
use std::borrow::Cow;
use std::ops::Range;

/// What stands in a value's place.
pub const REDACTED: &str = "[redacted]";
/// Redacted unless the profile names others.
pub const NAMES: &[&str] = &[
    "password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie", "api key", "apikey", "private key", "credential",
    "session", "sid", "otp", "pin", "cvv", "cvc", "card number", "cardnumber", "iban", "ssn",
];
/// Names in a profile.
pub const NAMES_MAX: usize = 256;
/// JSON strings within JSON strings are followed this far; deeper ones are replaced whole.
const NESTING_MAX: usize = 3;
/// From this length on, a name is also found within another (`newpassword`).
const WITHIN_CHARS_MIN: usize = 5;

/// The names, compiled. A name is split into words at signs and at capitals; an entry is found if its words stand
/// there in a row, or, if it is long enough, anywhere in the letters.
#[derive(Debug, Clone)]
pub struct Redactor {
    names: Vec<Name>,
}

#[derive(Debug, Clone)]
struct Name {
    /// ` api key ` with spaces around, so that a search finds whole words.
    words: String,
    /// `apikey`, if long enough.
    letters: Option<String>,
}

impl Redactor {
    pub fn new<S: AsRef<str>>(names: &[S]) -> Self {
        let name = |text: &S| {
            let words = words(text.as_ref().as_bytes());
            let letters: String = words.chars().filter(|c| *c != ' ').collect();
            (!letters.is_empty()).then(|| Name { words, letters: (letters.len() >= WITHIN_CHARS_MIN).then_some(letters) })
        };
        Self { names: names.iter().filter_map(name).collect() }
    }

    pub fn is_secret(&self, name: &[u8]) -> bool {
        if name.is_empty() || self.names.is_empty() {
            return false;
        }
        let name = decode::url(name, true).map_or(Cow::Borrowed(name), Cow::Owned);
        let words = words(&name);
        let letters: String = words.chars().filter(|c| *c != ' ').collect();
        self.names.iter().any(|n| words.contains(&n.words) || n.letters.as_ref().is_some_and(|l| letters.contains(l)))
    }

    /// Replaces what the names hide in all parts of the transaction and its response. The length that a header
    /// tells is left as it came.
    pub fn transaction(&self, t: &mut Transaction) {
        if self.names.is_empty() {
            return;
        }
        t.target = self.target(&t.target);
        let content_type = t.header("content-type").unwrap_or_default().to_owned();
        self.headers(&mut t.headers);
        let coded = t.headers.iter().any(|(n, v)| n.eq_ignore_ascii_case("content-encoding") && !v.trim().eq_ignore_ascii_case("identity"));
        t.body = self.sent(&t.body, &content_type, coded);
        if let Some(response) = &mut t.response {
            let content_type = response.header("content-type").unwrap_or_default().to_owned();
            self.headers(&mut response.headers);
            let coded = response.header("content-encoding").is_some();
            response.body = self.sent(&response.body, &content_type, coded);
        }
    }

    /// Replaces the values of findings at places that the names hide.
    pub fn verdict(&self, verdict: &mut Verdict) {
        for finding in &mut verdict.findings {
            if self.is_secret_place(&finding.location) {
                finding.value = REDACTED.to_owned();
            } else if matches!(finding.location.as_str(), "body" | "body:xml" | "body:binary") || finding.location.starts_with("header:") {
                finding.value = self.text(&finding.value);
            }
        }
    }

    /// A place as findings tell it: `query:token`, `body:json:$.user.password`.
    pub fn is_secret_place(&self, location: &str) -> bool {
        if location.starts_with("cookie:") && self.is_secret(b"cookie") {
            return true;
        }
        location.split([':', '.', '[', ']', '$']).skip(1).any(|name| name != "name" && self.is_secret(name.as_bytes()))
    }

    fn headers(&self, headers: &mut [(String, String)]) {
        for (name, value) in headers {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            let secret = self.is_secret(name.as_bytes());
            if is("cookie") {
                let cookies = value.split(';').map(|cookie| match cookie.split_once('=') {
                    Some((name, _)) if secret || self.is_secret(name.trim().as_bytes()) => format!("{name}={REDACTED}"),
                    Some(_) => cookie.to_owned(),
                    None if secret => REDACTED.to_owned(),
                    None => cookie.to_owned(),
                });
                *value = cookies.collect::<Vec<_>>().join(";");
            } else if is("set-cookie") {
                let (pair, rest) = value.split_once(';').map_or((value.as_str(), None), |(pair, rest)| (pair, Some(rest)));
                let name = pair.split('=').next().unwrap_or_default();
                if secret || self.is_secret(name.as_bytes()) {
                    *value = format!("{name}={REDACTED}{}", rest.map_or(String::new(), |rest| format!(";{rest}")));
                }
            } else if secret {
                *value = REDACTED.to_owned();
            } else if is("referer") || is("location") || is("content-location") || is("origin") {
                *value = self.target(value);
            }
        }
    }

    /// The user's part of an authority, and parameters before and behind the `#`.
    fn target(&self, target: &str) -> String {
        let mut text = target.to_owned();
        if let Some(at) = text.find("://").map(|at| at + 3) {
            let end = text[at..].find(['/', '?', '#']).map_or(text.len(), |n| at + n);
            if let Some(user) = text[at..end].rfind('@') {
                text.replace_range(at..at + user, REDACTED);
            }
        }
        let Some(start) = text.find(['?', '#']).map(|i| i + 1) else { return text };
        let pairs = text[start..].split_inclusive(['&', '#', ';', '?']).map(|part| {
            let (pair, end) = part.strip_suffix(['&', '#', ';', '?']).map_or((part, ""), |pair| (pair, &part[pair.len()..]));
            match pair.split_once('=') {
                Some((name, _)) if self.is_secret(name.as_bytes()) => format!("{name}={REDACTED}{end}"),
                _ => part.to_owned(),
            }
        });
        format!("{}{}", &text[..start], pairs.collect::<String>())
    }

    /// A body as it was sent. A compressed one is not opened here, so nothing of it is left.
    fn sent(&self, body: &[u8], content_type: &str, coded: bool) -> Vec<u8> {
        if body.is_empty() {
            return Vec::new();
        }
        if coded {
            return REDACTED.as_bytes().to_vec();
        }
        self.body(body, &content_type.to_ascii_lowercase(), content_type)
    }

    /// Reads it as what it is, like the inspector does.
    fn body(&self, body: &[u8], lower: &str, content_type: &str) -> Vec<u8> {
        let start = body.trim_ascii_start();
        if (lower.contains("multipart") || start.starts_with(b"--"))
            && let Some(boundary) = multipart::boundary(Some(content_type), body)
        {
            return self.multipart(body, &boundary);
        }
        if lower.contains("json") || matches!(start.first(), Some(b'{' | b'[')) {
            return self.json(body, 0);
        }
        if start.first() == Some(&b'<') {
            return self.xml(body);
        }
        if lower.contains("urlencoded") || memchr::memchr(b'=', &body[..body.len().min(256)]).is_some() {
            return self.form(body);
        }
        body.to_vec()
    }

    fn form(&self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len());
        for (i, pair) in body.split(|b| *b == b'&').enumerate() {
            if i > 0 {
                out.push(b'&');
            }
            match memchr::memchr(b'=', pair) {
                Some(at) if self.is_secret(&pair[..at]) => {
                    out.extend_from_slice(&pair[..=at]);
                    out.extend_from_slice(REDACTED.as_bytes());
                }
                _ => out.extend_from_slice(pair),
            }
        }
        out
    }

    fn json(&self, body: &[u8], nesting: usize) -> Vec<u8> {
        let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
        let mut reached = 0;
        let whole = json::walk(body, &mut |path, kind, text| {
            let range = range_of(body, text);
            reached = range.end + usize::from(kind != Kind::Bare);
            let secret = kind != Kind::Key && path.iter().any(|s| matches!(s, Segment::Key(key) if self.is_secret(key)));
            match kind {
                Kind::Text if secret => edits.push((range, REDACTED.into())),
                Kind::Bare if secret && !text.is_empty() => edits.push((range, format!("\"{REDACTED}\"").into_bytes())),
                Kind::Text if text.len() > 4 && memchr::memchr3(b'{', b'=', b'[', text).is_some() => {
                    if let Some(inner) = self.inner(text, nesting) {
                        edits.push((range, inner));
                    }
                }
                _ => {}
            }
        });
        edit(&body[..if whole { body.len() } else { reached }], &edits)
    }

    /// A JSON string's text that may itself be JSON or a form; `None` if nothing of it is secret.
    fn inner(&self, raw: &[u8], nesting: usize) -> Option<Vec<u8>> {
        let quoted = [b"\"", raw, b"\""].concat();
        let text = serde_json::from_slice::<String>(&quoted).ok()?;
        let json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
        if json && nesting >= NESTING_MAX {
            return Some(REDACTED.into());
        }
        let out = if json { self.json(text.as_bytes(), nesting + 1) } else { self.text(&text).into_bytes() };
        if out == text.as_bytes() {
            return None;
        }
        let encoded = serde_json::to_vec(&String::from_utf8_lossy(&out)).ok()?;
        Some(encoded[1..encoded.len() - 1].to_vec())
    }

    /// Parameters in a text that is a URL or a form.
    fn text(&self, text: &str) -> String {
        if text.contains("://") { self.target(text) } else { String::from_utf8_lossy(&self.form(text.as_bytes())).into_owned() }
    }

    fn multipart(&self, body: &[u8], boundary: &[u8]) -> Vec<u8> {
        let (parts, cut) = multipart::parts(body, boundary);
        let mut edits = Vec::new();
        let mut reached = 0;
        for part in &parts {
            let range = range_of(body, part.content);
            reached = range.end;
            if part.content.is_empty() {
                continue;
            }
            if self.is_secret(part.name.as_bytes()) {
                edits.push((range, REDACTED.into()));
            } else if part.file.is_none() && !part.base64 {
                let kind = part.content_type.clone().unwrap_or_default();
                edits.push((range, self.body(part.content, &kind.to_ascii_lowercase(), "")));
            }
        }
        edit(&body[..if cut { reached } else { body.len() }], &edits)
    }

    fn xml(&self, body: &[u8]) -> Vec<u8> {
        let mut edits = Vec::new();
        xml::walk(body, &mut |name, text| {
            if !text.is_empty() && self.is_secret(name) {
                edits.push((range_of(body, text), REDACTED.into()));
            }
        });
        edit(body, &edits)
    }
}

/// ` new password ` of `newPassword`, `new-password`, `NEW_PASSWORD`.
fn words(name: &[u8]) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    words.push(' ');
    let mut small = false;
    for c in String::from_utf8_lossy(name).chars() {
        if !c.is_alphanumeric() {
            if !words.ends_with(' ') {
                words.push(' ');
            }
            small = false;
            continue;
        }
        if c.is_uppercase() && small {
            words.push(' ');
        }
        small = c.is_lowercase() || c.is_numeric();
        words.extend(c.to_lowercase());
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

/// Where a part of `whole` stands in it.
fn range_of(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len());
    start..(start + part.len()).min(whole.len())
}

/// The text with each range replaced; ranges stand in order.
fn edit(text: &[u8], edits: &[(Range<usize>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for (range, new) in edits.iter().filter(|(range, _)| range.end <= text.len()) {
        if range.start < from {
            continue;
        }
        out.extend_from_slice(&text[from..range.start]);
        out.extend_from_slice(new);
        from = range.end;
    }
    out.extend_from_slice(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Response;

    fn of(body: &str, content_type: &str) -> String {
        let mut t = Transaction { target: "/".into(), body: body.into(), headers: vec![("Content-Type".into(), content_type.into())], ..Transaction::default() };
        Redactor::new(NAMES).transaction(&mut t);
        String::from_utf8(t.body).unwrap()
    }

    #[test]
    fn names_are_found_in_their_spellings() {
        let redactor = Redactor::new(NAMES);
        for name in ["password", "PASSWORD", "userPassword", "new-password", "newpassword", "pass%77ord", "apiKey", "X-Api-Key", "x-auth-token", "access_token", "pin", "PHPSESSID_session", "sid", "user[password]"] {
            assert!(redactor.is_secret(name.as_bytes()), "{name}");
        }
        for name in ["q", "shipping", "opinion", "side", "discard", "", "page"] {
            assert!(!redactor.is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn headers_and_targets_lose_their_secrets() {
        let mut t = Transaction {
            target: "/login?user=a&access_token=SECRET&x=1#id_token=SECRET".into(),
            headers: [("Authorization", "Bearer SECRET"), ("Cookie", "a=SECRET; b=SECRET"), ("Referer", "https://u:SECRET@h/p?pwd=SECRET&y=2"), ("Accept", "*/*"), ("X-Csrf-Token", "SECRET")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into(),
            response: Some(Response { status: 200, headers: vec![("Set-Cookie".into(), "sid=SECRET; Path=/; HttpOnly".into())], body: br#"{"token":"SECRET"}"#.to_vec() }),
            ..Transaction::default()
        };
        Redactor::new(NAMES).transaction(&mut t);
        let shown = format!("{t:?}");
        assert!(!shown.contains("SECRET"), "{shown}");
        assert_eq!(t.target, "/login?user=a&access_token=[redacted]&x=1#id_token=[redacted]");
        assert_eq!((t.header("cookie"), t.header("accept")), (Some("a=[redacted]; b=[redacted]"), Some("*/*")));
        let response = t.response.unwrap();
        assert_eq!(response.header("set-cookie"), Some("sid=[redacted]; Path=/; HttpOnly"));
        assert_eq!(response.body, br#"{"token":"[redacted]"}"#);
    }

    #[test]
    fn bodies_lose_their_secrets_and_keep_their_shape() {
        for (body, kind, expected) in [
            ("user=a&password=S&x=1", "application/x-www-form-urlencoded", "user=a&password=[redacted]&x=1"),
            (r#"{"u":"a","password":"S","pin":12,"n":{"token":{"a":"S","b":[1]}},"k":true}"#, "application/json", r#"{"u":"a","password":"[redacted]","pin":"[redacted]","n":{"token":{"a":"[redacted]","b":["[redacted]"]}},"k":true}"#),
            (r#"{"u":"a","inner":"{\"password\":\"S\",\"x\":1}"}"#, "text/plain", r#"{"u":"a","inner":"{\"password\":\"[redacted]\",\"x\":1}"}"#),
            (r#"{"u":"a","password":"S"#, "application/json", r#"{"u":"a","password""#),
            (r#"{"u":"a", what is this password S"#, "application/json", r#"{"u":"a""#),
            ("--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nS\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nok\r\n--B--\r\n", "multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted]\r\n--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nok\r\n--B--\r\n"),
            ("<login><user>a</user><password>S</password></login>", "text/xml", "<login><user>a</user><password>[redacted]</password></login>"),
            ("plain text", "text/plain", "plain text"),
        ] {
            assert_eq!(of(body, kind), expected);
            assert!(!of(body, kind).contains('S'), "{body}");
        }
    }

    #[test]
    fn findings_at_secret_places_lose_their_values() {
        let redactor = Redactor::new(NAMES);
        for (location, secret) in [("query:password", true), ("body:json:$.user.password", true), ("cookie:a", true), ("header:authorization", true), ("query:q", false), ("body:json:$.a[0].b", false), ("path", false), ("query:q:name", false)] {
            assert_eq!(redactor.is_secret_place(location), secret, "{location}");
        }
    }
}
