//! The time forms of logs, beyond RFC 3339 (`Timestamp::parse`).

use crate::issue;
use event::{Event, Timestamp, Value};

/// A time later than its receipt by more than this is flagged; also how far ahead a yearless time may lie
/// before it is taken for last year's.
pub(crate) const FUTURE_SECS_MAX: i64 = 86_400;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn month(name: &[u8]) -> Option<u32> {
    let at = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    Some(at as u32 + 1)
}

fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    digits.iter().try_fold(0, |n, d| Some(n * 10 + (*d as char).to_digit(10)?))
}

/// Writes the parts as RFC 3339 on the stack and lets `event` read it: the calendar stands in one place.
fn from_parts(year: u32, month: u32, day: u32, clock: &[u8], zone: &[u8]) -> Option<Timestamp> {
    let mut text = [0u8; 40];
    let zone = if zone.is_empty() { b"Z" } else { zone };
    let len = 11 + clock.len() + zone.len();
    if year > 9999 || clock.len() < 8 || len > text.len() {
        return None;
    }
    let two = |n: u32| [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
    text[..2].copy_from_slice(&two(year / 100));
    text[2..4].copy_from_slice(&two(year));
    text[4] = b'-';
    text[5..7].copy_from_slice(&two(month));
    text[7] = b'-';
    text[8..10].copy_from_slice(&two(day));
    text[10] = b'T';
    text[11..11 + clock.len()].copy_from_slice(clock);
    text[11 + clock.len()..len].copy_from_slice(zone);
    Timestamp::parse(std::str::from_utf8(&text[..len]).ok()?)
}

/// `10/Oct/2000:13:55:36 -0700`, the time of nginx and Apache.
pub(crate) fn clf(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    if b.len() < 20 || b[2] != b'/' || b[6] != b'/' || b[11] != b':' {
        return None;
    }
    let clock_end = 12 + b[12..].iter().take_while(|b| **b != b' ').count();
    let zone = b.get(clock_end + 1..).unwrap_or_default();
    from_parts(number(&b[7..11])?, month(&b[3..6])?, number(&b[..2])?, &b[12..clock_end], zone)
}

/// `Nov 20 23:53:36` at the start of a line, as RFC 3164 has it; also with a year after the day, and with
/// a fraction. Gives the time and the rest of the line. The zone is not told and taken as UTC.
pub(crate) fn rfc3164(line: &str, received: Timestamp) -> Option<(Timestamp, &str)> {
    let b = line.as_bytes();
    let month = month(b.get(..3)?)?;
    if b.get(3) != Some(&b' ') {
        return None;
    }
    let (day, mut rest) = line[4..].trim_start().split_once(' ')?;
    let day = number(day.as_bytes()).filter(|_| day.len() <= 2)?;
    let mut year = None;
    if rest.as_bytes().get(4) == Some(&b' ') && let Some(given) = number(&rest.as_bytes()[..4]) {
        year = Some(given);
        rest = &rest[5..];
    }
    let (clock, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let clock = clock.trim_end_matches(':').as_bytes();
    let time = match year {
        Some(year) => from_parts(year, month, day, clock, b"")?,
        None => without_year(month, day, clock, received)?,
    };
    Some((time, rest))
}

/// The latest such date that is not more than a day after the receipt. 29 February may lie eight years back.
fn without_year(month: u32, day: u32, clock: &[u8], received: Timestamp) -> Option<Timestamp> {
    const YEAR_SECS: i64 = 31_556_952;
    let limit = received.plus_secs(FUTURE_SECS_MAX);
    let about = 1971 + received.secs().div_euclid(YEAR_SECS);
    (0..10)
        .filter_map(|back| from_parts(u32::try_from(about - back).ok()?, month, day, clock, b""))
        .find(|time| *time <= limit)
}

/// A time in any form that logs use.
pub(crate) fn of_text(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let time = match Timestamp::parse(text).or_else(|| clf(text)) {
        Some(time) => time,
        None => epoch(text)?,
    };
    plausible(time)
}

fn epoch(text: &str) -> Option<Timestamp> {
    if text.len() < 8 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    match text.parse::<i64>() {
        Ok(number) => of_integer(number),
        Err(_) => Timestamp::from_epoch_number(text.parse().ok()?),
    }
}

/// Integers keep their last digit; a float of 19 digits would not.
fn of_integer(number: i64) -> Option<Timestamp> {
    Some(match number.unsigned_abs() {
        n if n < 100_000_000_000 => Timestamp::from_secs(number),
        n if n < 100_000_000_000_000 => Timestamp::from_millis(number),
        n if n < 100_000_000_000_000_000 => Timestamp(number),
        _ => Timestamp(number / 1_000),
    })
}

/// Times before 1970 or after the year 9999 are errors of the sender, and the lake's days can't hold them.
fn plausible(time: Timestamp) -> Option<Timestamp> {
    const YEAR_10000_MICROS: i64 = 253_402_300_800_000_000;
    (0..YEAR_10000_MICROS).contains(&time.0).then_some(time)
}

/// A time as JSON holds it: text, or a number since the epoch.
pub(crate) fn of_value(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Text(text) => of_text(text),
        Value::Int(number) => plausible(of_integer(*number)?),
        Value::Float(number) => plausible(Timestamp::from_epoch_number(*number)?),
        _ => None,
    }
}

/// Sets the event's time from a member, or leaves the time of receipt and says so.
pub(crate) fn set(event: &mut Event, value: Option<&Value>) {
    match value.and_then(of_value) {
        Some(time) => event.time = time,
        None => {
            let text = value.and_then(Value::text).unwrap_or_default();
            event.issues.push(issue::bad_time(&text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn access_log_times() {
        assert_eq!(clf("10/Oct/2000:13:55:36 -0700"), Some(at("2000-10-10T20:55:36Z")));
        assert_eq!(clf("10/Oct/2000:13:55:36"), Some(at("2000-10-10T13:55:36Z")));
        for bad in ["", "10/Okt/2000:13:55:36 +0000", "32/Oct/2000:13:55:36 +0000", "10/Oct/2000:é:55:36 +0000"] {
            assert_eq!(clf(bad), None, "{bad}");
        }
    }

    #[test]
    fn yearless_times_take_the_year_of_receipt_or_the_one_before() {
        let received = at("2026-01-01T00:30:00Z");
        let read = |line| rfc3164(line, received).map(|(time, rest)| (time, rest.to_owned()));
        assert_eq!(read("Jan  1 00:29:59 h x"), Some((at("2026-01-01T00:29:59Z"), "h x".into())));
        assert_eq!(read("Jan  1 20:00:00 h x"), Some((at("2026-01-01T20:00:00Z"), "h x".into())));
        assert_eq!(read("Dec 31 23:59:59 h"), Some((at("2025-12-31T23:59:59Z"), "h".into())));
        assert_eq!(read("Feb 29 12:00:00 h"), Some((at("2024-02-29T12:00:00Z"), "h".into())));
        assert_eq!(read("Sep 8 2021 07:46:30.5 h"), Some((at("2021-09-08T07:46:30.5Z"), "h".into())));
        for bad in ["", "Jan", "Jan  1", "Foo  1 00:00:00 h", "Jan 40 00:00:00 h", "Jan  1 99:00:00 h", "Jan é 1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn any_common_form() {
        let want = Some(at("2024-07-30T21:31:21Z"));
        for text in ["2024-07-30T21:31:21Z", "2024-07-30 21:31:21", "30/Jul/2024:21:31:21 +0000", "1722375081", "1722375081000"] {
            assert_eq!(of_text(text), want, "{text}");
        }
        assert_eq!(of_value(&Value::Int(1_795_218_758_543_028_224)), Some(Timestamp(1_795_218_758_543_028)));
        for bad in ["", "now", "0001-01-01T00:00:00Z", "99999999999999999999999"] {
            assert_eq!(of_text(bad), None, "{bad}");
        }
    }
}
