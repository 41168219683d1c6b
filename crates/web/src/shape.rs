//! What kind of text a value is: what virtual patches test and baselines learn.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    Empty,
    Boolean,
    /// Digits, perhaps with a sign.
    Integer,
    Number,
    Uuid,
    /// `2026-01-31`, perhaps with a time.
    Date,
    Ip,
    Email,
    /// An absolute URL.
    Url,
    /// Eight hexadecimal digits or more.
    Hex,
    /// Letters, digits, `_`, `-` and `.`.
    Word,
    /// Words of any language with spaces and the signs of prose.
    Text,
}

impl Shape {
    /// From the narrowest to the widest.
    pub const ALL: &[Self] = &[
        Self::Empty, Self::Boolean, Self::Integer, Self::Number, Self::Uuid, Self::Date, Self::Ip, Self::Email, Self::Url, Self::Hex, Self::Word, Self::Text,
    ];

    /// The narrowest shape of the value; `None` if it has none of them.
    pub fn of(value: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|shape| shape.holds(value))
    }

    /// Whether the value has this shape, perhaps besides others.
    pub fn holds(self, value: &[u8]) -> bool {
        match self {
            Self::Empty => value.is_empty(),
            Self::Boolean => matches!(value, b"true" | b"false" | b"True" | b"False" | b"0" | b"1"),
            Self::Integer => digits(value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value)),
            Self::Number => value.len() <= 64 && std::str::from_utf8(value).is_ok_and(|t| t.bytes().any(|b| b.is_ascii_digit()) && t.parse::<f64>().is_ok()),
            Self::Uuid => is_uuid(value),
            Self::Date => is_date(value),
            Self::Ip => value.len() <= 45 && std::str::from_utf8(value).is_ok_and(|t| t.parse::<IpAddr>().is_ok()),
            Self::Email => is_email(value),
            Self::Url => is_url(value),
            Self::Hex => value.len() >= 8 && value.iter().all(u8::is_ascii_hexdigit),
            Self::Word => !value.is_empty() && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')),
            Self::Text => std::str::from_utf8(value).is_ok_and(|t| !t.is_empty() && t.chars().all(|c| c.is_alphanumeric() || c == ' ' || ".,:!?'-_\n\r\u{2019}\u{2018}\u{201c}\u{201d}\u{2013}\u{2026}".contains(c))),
        }
    }
}

fn digits(value: &[u8]) -> bool {
    !value.is_empty() && value.len() <= 40 && value.iter().all(u8::is_ascii_digit)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36 && value.iter().enumerate().all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

fn is_date(value: &[u8]) -> bool {
    let day = value.len() >= 10 && value[..10].iter().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() });
    day && (value.len() == 10 || value.len() <= 35 && matches!(value[10], b'T' | b't' | b' ') && value[11..].iter().all(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'+' | b'-' | b'Z' | b'z')))
}

fn is_email(value: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b'@', value) else { return false };
    let (name, host) = (&value[..at], &value[at + 1..]);
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    value.len() <= 254 && !name.is_empty() && name.iter().all(plain) && memchr::memchr(b'.', host).is_some_and(|dot| dot > 0) && host.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

fn is_url(value: &[u8]) -> bool {
    let rest = value.strip_prefix(b"https://").or_else(|| value.strip_prefix(b"http://"));
    rest.is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_alphanumeric) && rest.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&+,;=%".contains(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_shape_is_told() {
        for (value, shape) in [
            ("", Some(Shape::Empty)), ("1", Some(Shape::Boolean)), ("-42", Some(Shape::Integer)), ("1.5e3", Some(Shape::Number)), ("inf", Some(Shape::Word)),
            ("123e4567-e89b-12d3-a456-426614174000", Some(Shape::Uuid)), ("2026-01-31T10:00:00Z", Some(Shape::Date)), ("192.0.2.1", Some(Shape::Ip)), ("::1", Some(Shape::Ip)),
            ("a.b+c@example.org", Some(Shape::Email)), ("https://example.org/a?b=c", Some(Shape::Url)), ("deadbeef", Some(Shape::Hex)), ("some-word_1", Some(Shape::Word)),
            ("It's fine, isn't it?", Some(Shape::Text)), ("größer als 5", Some(Shape::Text)), ("<b>", None), ("a;b", None), ("1 OR 1=1", None), ("\u{0}", None),
        ] {
            assert_eq!(Shape::of(value.as_bytes()), shape, "{value}");
        }
    }
}
