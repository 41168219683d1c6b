//! Where entries begin and end in a record's bytes.
//!
//! Hostile input shapes this module. No entry may swallow the ones after it: several lines are taken as
//! one entry only if together they are a valid JSON document, or if a syslog frame's length leads exactly
//! to the next frame. Whatever does not hold together is cut at the line's end. All work is linear: looking
//! ahead over several lines is paid from a budget of the record's length.

use crate::{LINE_BYTES_MAX, issue, text};
use bytes::Bytes;
use event::{Format, Issue, JsonError, Value};
use std::ops::Range;

/// An entry's bytes and what is known about them.
#[derive(Debug)]
pub struct Entry {
    pub range: Range<usize>,
    pub content: Content,
    pub issue: Option<Issue>,
}

#[derive(Debug)]
pub enum Content {
    /// A JSON document, parsed: telling entries apart needs that, so nobody parses it again.
    Json(Value, Vec<Issue>),
    /// Begins like JSON and is not.
    BadJson(JsonError),
    /// Longer than [`LINE_BYTES_MAX`].
    TooLong,
    /// A line or a syslog frame.
    Text,
}

/// Iterates over the entries of a body. Bytes outside all entries are blank, brackets and commas of the
/// array or `Records` document around them, or lengths of syslog frames.
pub struct Splitter {
    body: Bytes,
    at: usize,
    /// End of the line that `at` is on, so that many entries of one line search for it once.
    line_end: usize,
    json: bool,
    frames: bool,
    list: List,
    lookahead_bytes_left: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Outside,
    Array,
    Records,
}

impl Splitter {
    pub fn new(body: Bytes, stated: Option<Format>) -> Self {
        use Format::{AccessJson, AppLog, Auditd, AuthLog, Cloudtrail, Json, WebInspection};
        Self {
            lookahead_bytes_left: body.len(),
            body,
            at: 0,
            line_end: 0,
            json: matches!(stated, None | Some(Cloudtrail | AppLog | AccessJson | Json | WebInspection)),
            frames: matches!(stated, None | Some(AuthLog | Auditd)),
            list: List::Outside,
        }
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.body.get(at).copied()
    }

    fn skip_blank(&self, mut at: usize) -> usize {
        while self.peek(at).is_some_and(is_blank) {
            at += 1;
        }
        at
    }

    fn find_line_end(&mut self, at: usize) -> usize {
        if self.line_end <= at {
            self.line_end = memchr::memchr(b'\n', &self.body[at..]).map_or(self.body.len(), |i| at + i);
        }
        self.line_end
    }

    /// The next element of the array we are in; `None` once it has ended, properly or not.
    fn element(&mut self) -> Option<Entry> {
        let mut at = self.skip_blank(self.at);
        while self.peek(at) == Some(b',') {
            at = self.skip_blank(at + 1);
        }
        self.at = at;
        if self.peek(at) == Some(b'{')
            && let Some(entry) = self.balanced_entry(at)
        {
            return Some(entry);
        }
        if self.peek(at) == Some(b']') {
            self.at += 1;
            let after = self.skip_blank(self.at);
            if self.list == List::Records && self.peek(after) == Some(b'}') {
                self.at = after + 1;
            }
        }
        self.list = List::Outside;
        None
    }

    /// The bytes from `at` to where its brackets balance, if they are an entry: valid JSON, or at least
    /// all on one line.
    fn balanced_entry(&mut self, at: usize) -> Option<Entry> {
        let line_end = self.find_line_end(at);
        let stop = self.balanced(at)?;
        let content = read_json(&self.body[at..stop]);
        if stop > line_end && !matches!(content, Content::Json(..)) {
            self.lookahead_bytes_left = self.lookahead_bytes_left.saturating_sub(stop - at);
            return None;
        }
        self.at = stop;
        Some(Entry { range: at..stop, content, issue: None })
    }

    /// Where the brackets opened at `at` are closed. Beyond the line's end only while the budget lasts.
    fn balanced(&mut self, at: usize) -> Option<usize> {
        let line_end = self.find_line_end(at);
        let limit = line_end.max(at + self.lookahead_bytes_left).min(self.body.len());
        let (stop, scanned) = balance(&self.body[at..limit]);
        if stop.is_none() {
            self.lookahead_bytes_left = self.lookahead_bytes_left.saturating_sub(scanned);
        }
        stop.map(|len| at + len)
    }

    /// An entry that begins with `{` or `[`; `None` if that opened a list.
    fn json_entry(&mut self, at: usize) -> Option<Entry> {
        if let Some((list, inside)) = list_start(&self.body[at..]) {
            self.list = list;
            self.at = at + inside;
            return None;
        }
        let end = self.find_line_end(at);
        let line = at..at + self.body[at..end].trim_ascii_end().len();
        let content = read_json(&self.body[line.clone()]);
        if !matches!(content, Content::Json(..))
            && let Some(entry) = self.json_not_a_line(&line)
        {
            return Some(entry);
        }
        self.at = end;
        Some(Entry { range: line, content, issue: None })
    }

    /// A document of several lines, or the first of several on one line.
    fn json_not_a_line(&mut self, line: &Range<usize>) -> Option<Entry> {
        let back = self.at;
        let entry = self.balanced_entry(line.start)?;
        let on_this_line = entry.range.end <= line.end;
        let next = self.skip_blank(entry.range.end);
        let followed = next < line.end && matches!(self.body[next], b'{' | b'[');
        if matches!(entry.content, Content::Json(..)) && (!on_this_line || followed) {
            return Some(entry);
        }
        self.at = back;
        None
    }

    /// A syslog frame with its length before it (RFC 6587, 3.4.1).
    fn frame(&mut self) -> Option<Entry> {
        let rest = &self.body[self.at..];
        let (len, start) = frame_start(rest)?;
        let start = self.at + start;
        let stop = start.checked_add(len).filter(|stop| *stop <= self.body.len() && len <= LINE_BYTES_MAX);
        let Some(stop) = stop.filter(|stop| self.frame_may_end(*stop)) else {
            return Some(self.miscounted(start, len));
        };
        self.at = stop;
        let trimmed = self.body[start..stop].trim_ascii_end().len();
        Some(Entry { range: start..start + trimmed, content: Content::Text, issue: None })
    }

    /// A frame ends where the record ends, where a line has ended, or where the next frame begins.
    fn frame_may_end(&self, stop: usize) -> bool {
        let rest = &self.body[stop..];
        rest.is_empty()
            || rest[0] == b'\n'
            || rest.starts_with(b"\r\n")
            || self.body[stop - 1] == b'\n'
            || frame_start(rest).is_some()
    }

    fn miscounted(&mut self, start: usize, len: usize) -> Entry {
        let mut entry = self.line(start);
        let detail = compact_str::format_compact!("the frame says {len} bytes");
        entry.issue = Some(issue::issue("bad_octet_count", detail));
        entry
    }

    fn line(&mut self, start: usize) -> Entry {
        let end = self.find_line_end(start);
        let line = &self.body[start..end];
        let len = line.strip_suffix(b"\r").unwrap_or(line).len();
        self.at = end;
        let content = if len > LINE_BYTES_MAX { Content::TooLong } else { Content::Text };
        Entry { range: start..start + len, content, issue: None }
    }
}

impl Iterator for Splitter {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if self.list != List::Outside {
                if let Some(entry) = self.element() {
                    return Some(entry);
                }
                continue;
            }
            let before = self.at;
            let start = self.skip_blank(before);
            let first = self.peek(start)?;
            if self.json && matches!(first, b'{' | b'[') {
                self.at = start;
                if let Some(entry) = self.json_entry(start) {
                    return Some(entry);
                }
                continue;
            }
            self.at = start;
            if self.frames && first.is_ascii_digit()
                && let Some(entry) = self.frame()
            {
                return Some(entry);
            }
            let indent = &self.body[before..start];
            let line_start = memchr::memrchr(b'\n', indent).map_or(before, |newline| before + newline + 1);
            return Some(self.line(line_start));
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0B | 0x0C)
}

/// Parses; text that is not UTF-8 a second time with the bad bytes replaced, so that one bad byte does not
/// hide an event from the rules.
fn read_json(bytes: &[u8]) -> Content {
    if bytes.len() > LINE_BYTES_MAX {
        return Content::TooLong;
    }
    let error = match Value::from_json(bytes) {
        Ok((value, issues)) => return Content::Json(value, issues.into_iter().map(issue::of_json).collect()),
        Err(error) => error,
    };
    // Asked of the message, because looking at all bytes for each of many documents on one line is quadratic.
    let bad_utf8 = matches!(&error, JsonError::Syntax(text) if text.contains("unicode code point"));
    match bad_utf8.then(|| Value::from_json(text::lossy(bytes).0.as_bytes())) {
        Some(Ok((value, issues))) => {
            let issues = issues.into_iter().map(issue::of_json).chain([issue::invalid_utf8()]);
            Content::Json(value, issues.collect())
        }
        _ => Content::BadJson(error),
    }
}

/// Recognises `[{`, `[]` and `{"Records":[`; gives where the elements begin.
fn list_start(bytes: &[u8]) -> Option<(List, usize)> {
    let skip = |at: usize| at + bytes[at..].iter().take_while(|b| is_blank(**b)).count();
    let after = |at: usize, word: &[u8]| bytes[at..].starts_with(word).then(|| skip(at + word.len()));
    if let Some(at) = after(0, b"[") {
        return matches!(bytes.get(at), Some(b'{' | b']')).then_some((List::Array, 1));
    }
    let at = after(after(after(0, b"{")?, b"\"Records\"")?, b":")?;
    (bytes.get(at) == Some(&b'[')).then_some((List::Records, at + 1))
}

/// The length up to where the first bracket is closed, and how many bytes were looked at. Gives up at a
/// line's end inside a string: no JSON has that.
fn balance(bytes: &[u8]) -> (Option<usize>, usize) {
    let (mut at, mut depth) = (0, 0usize);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return (Some(at), at);
                }
            }
            b'"' => match string_end(bytes, at) {
                Ok(end) => at = end,
                Err(scanned) => return (None, scanned),
            },
            _ => {}
        }
    }
    (None, at)
}

fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    loop {
        let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', &bytes[at.min(bytes.len())..]) else {
            return Err(bytes.len());
        };
        at += found;
        match bytes[at] {
            b'"' => return Ok(at + 1),
            b'\n' => return Err(at),
            _ => at += 2,
        }
    }
}

/// `LENGTH <`: the frame's length and where it begins.
fn frame_start(bytes: &[u8]) -> Option<(usize, usize)> {
    const LENGTH_DIGITS_MAX: usize = 10;
    let digits = bytes.iter().take(LENGTH_DIGITS_MAX).take_while(|b| b.is_ascii_digit()).count();
    match bytes.get(digits..digits + 3)? {
        [b' ', b'<', priority] if digits > 0 && priority.is_ascii_digit() => {}
        _ => return None,
    }
    let len = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    (len > 0).then_some((len, digits + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stated: Option<Format>, body: &str, want: &[&str]) {
        let got: Vec<String> = Splitter::new(body.to_owned().into(), stated)
            .map(|entry| {
                let mark = match entry.content {
                    Content::Json(..) => "json",
                    Content::BadJson(_) => "bad",
                    Content::TooLong => "long",
                    Content::Text => "text",
                };
                let issue = entry.issue.map_or(String::new(), |i| format!("({})", i.code));
                format!("{mark}{issue} {}", &body[entry.range])
            })
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn json_in_all_its_shapes() {
        check(None, "{\"a\":1}\r\n\n {\"b\":2}", &["json {\"a\":1}", "json {\"b\":2}"]);
        check(None, "[{\"a\":1},\n {\"b\":2}\n]\nrest", &["json {\"a\":1}", "json {\"b\":2}", "text rest"]);
        check(None, "{\"Records\": [\n{\"a\":\n1},{\"b\":2}]}\n{\"c\":3}", &["json {\"a\":\n1}", "json {\"b\":2}", "json {\"c\":3}"]);
        check(None, "{\n \"a\": [1,\n2]\n}\n{\"b\":1}{\"c\":2} {\"d\":3}", &["json {\n \"a\": [1,\n2]\n}", "json {\"b\":1}", "json {\"c\":2}", "json {\"d\":3}"]);
        check(None, "[]{\"Records\":[]}[1,2]", &["json [1,2]"]);
        check(None, " {}\n\n \tindented \n\t1 <1>", &["json {}", "text  \tindented ", "text(bad_octet_count) <1>"]);
        check(None, "[1] x\n[2024-01-01] y", &["bad [1] x", "bad [2024-01-01] y"]);
    }

    #[test]
    fn nothing_swallows_the_lines_after_it() {
        check(None, "{\nsshd: x\n}\nnext", &["bad {", "text sshd: x", "text }", "text next"]);
        check(None, "{\"Records\":[\n{\"a\":1}\n{\"b\":2}", &["json {\"a\":1}", "json {\"b\":2}"]);
        check(None, "{\"a\":\"\n{\"b\":2}", &["bad {\"a\":\"", "json {\"b\":2}"]);
        check(None, "[{\"a\":1},{\"b\":\n{\"c\":3}", &["json {\"a\":1}", "bad {\"b\":", "json {\"c\":3}"]);
        check(None, "{\"Records\":[{\"a\":1},{\"b\":", &["json {\"a\":1}", "bad {\"b\":"]);
        check(None, "{\"Records\":[{\"a\":1}],\"b\":2}\nx", &["json {\"a\":1}", "text ,\"b\":2}", "text x"]);
        check(None, "[{\"a\":1}, 7]", &["json {\"a\":1}", "text 7]"]);
    }

    #[test]
    fn syslog_frames_are_trusted_only_where_they_fit() {
        check(None, "5 <1>ab6 <2>abc", &["text <1>ab", "text <2>abc"]);
        check(None, "6 <1>ab\n5 <2>ab", &["text <1>ab", "text <2>ab"]);
        check(None, "999 <1>ab\n<2>x", &["text(bad_octet_count) <1>ab", "text <2>x"]);
        check(None, "3 <1>ab\n<2>x", &["text(bad_octet_count) <1>ab", "text <2>x"]);
        check(None, "99999999999999999999 <1>ab", &["text 99999999999999999999 <1>ab"]);
        check(Some(Format::AccessLog), "5 <1>ab", &["text 5 <1>ab"]);
    }

    #[test]
    fn what_is_too_long_is_one_entry() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        check(None, &format!("{long}\ny"), &[&format!("long {long}"), "text y"]);
        let long = format!("{{\"a\":\"{long}\"}}");
        check(None, &format!("{long}\n{{}}"), &[&format!("long {long}"), "json {}"]);
        check(None, &format!("[{long},{{}}]"), &[&format!("long {long}"), "json {}"]);
    }
}
