//! Every issue this crate raises, so that the codes and their wording stand in one place. The codes are
//! listed for people in `docs/formats.md`.

use compact_str::{CompactString, format_compact};
use event::{Issue, JsonError, JsonIssue, Timestamp};

/// Each code with what it means.
pub const CODES: &[(&str, &str)] = &[
    ("bad_line", "The format was stated, and the line does not have its shape; kept raw."),
    ("bad_octet_count", "A syslog frame's length does not end at a frame's end; read as a line."),
    ("bad_time", "No time, or one that can't be read: the time of receipt stands in."),
    ("duplicate_key", "A JSON object names a member twice; both are kept, rules see the first."),
    ("format_mismatch", "The format was stated, and the JSON object is not of it; read as `json`."),
    ("future_time", "More than a day later than its receipt; kept as given."),
    ("invalid_json", "Begins as JSON and is not; kept raw."),
    ("invalid_utf8", "Not UTF-8; the raw bytes are kept, the fields have the bad bytes replaced."),
    ("line_too_long", "Longer than 1 MiB; kept raw, not read."),
    ("malformed_request", "Not an HTTP request line (a TLS handshake, a scanner's probe)."),
    ("not_an_object", "JSON, but neither an object nor an array of objects; kept raw."),
    ("number_range", "A number beyond 64 bits; kept as the nearest float, or raw if there is none."),
    ("too_deep", "JSON nested deeper than 100 levels; kept raw."),
    ("too_many_members", "JSON of more than 50,000 members; kept raw."),
    ("unrecognised", "No format recognises it; kept raw."),
    ("utf16", "Was UTF-16; the raw bytes shown are its conversion to UTF-8."),
];

pub(crate) fn issue(code: &'static str, detail: impl Into<CompactString>) -> Issue {
    debug_assert!(CODES.iter().any(|(known, _)| *known == code), "{code} is not documented");
    Issue { code, detail: detail.into() }
}

pub(crate) fn of_json(found: JsonIssue) -> Issue {
    match found {
        JsonIssue::DuplicateKey => issue("duplicate_key", "an object names a member twice"),
        JsonIssue::NumberRange => issue("number_range", "a number is beyond 64 bits"),
    }
}

pub(crate) fn of_json_error(error: &JsonError) -> Issue {
    let detail = format_compact!("{error}");
    match error {
        JsonError::Depth => issue("too_deep", detail),
        JsonError::Nodes => issue("too_many_members", detail),
        JsonError::Syntax(text) if text.contains("number out of range") => issue("number_range", detail),
        JsonError::Syntax(_) => issue("invalid_json", detail),
    }
}

pub(crate) fn bad_time(text: &str) -> Issue {
    if text.is_empty() {
        return issue("bad_time", "no time given");
    }
    issue("bad_time", format_compact!("not a time: {}", crate::text::head(text, 64)))
}

pub(crate) fn future_time(time: Timestamp) -> Issue {
    issue("future_time", format_compact!("{time} is more than a day after its receipt"))
}

pub(crate) fn invalid_utf8() -> Issue {
    issue("invalid_utf8", "bytes that are not UTF-8 were replaced in the fields")
}

pub(crate) fn line_too_long(len: usize) -> Issue {
    issue("line_too_long", format_compact!("{len} bytes, the limit is {}", crate::LINE_BYTES_MAX))
}

pub(crate) fn bad_line(expected: &str) -> Issue {
    issue("bad_line", format_compact!("not a line of format {expected}"))
}
