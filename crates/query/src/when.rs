//! Times as people write them: `2026-11-20`, `2026-11-20T10:00Z`, `now-1h/d`, milliseconds since the epoch.
use event::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SECOND: i64 = 1_000_000;
/// Steps of date mathematics in one time.
const STEPS_MAX: usize = 8;
/// Fewer digits than this are no moment of the last decades, in whichever unit since the epoch.
const EPOCH_DIGITS_MIN: usize = 9;

/// A time as exact as it was written: `2026-11-20` is a day, `now` a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct When {
    pub start: Timestamp,
    /// The first moment after it; none for a moment to the microsecond.
    pub end: Option<Timestamp>,
}

impl When {
    pub fn exact(at: Timestamp) -> Self {
        Self { start: at, end: None }
    }

    pub fn span(start: Timestamp, micros: i64) -> Self {
        Self { start, end: (micros > 1).then(|| Timestamp(start.0.saturating_add(micros))) }
    }

    fn map(self, f: impl Fn(Timestamp) -> Option<Timestamp>) -> Option<Self> {
        let end = match self.end {
            Some(end) => Some(f(end)?),
            None => None,
        };
        Some(Self { start: f(self.start)?, end })
    }
}

/// Reads a time; without an offset it is UTC. After `now`, or after a date and `||`, may follow `+1d`, `-2h` and
/// `/d` (the start of the day), as in Elasticsearch.
pub(crate) fn read(text: &str, now: Timestamp) -> Option<When> {
    if let Some(steps) = text.strip_prefix("now") {
        return calculate(When::exact(now), steps);
    }
    match text.split_once("||") {
        Some((date, steps)) => calculate(date_time(date)?, steps),
        None => epoch(text).or_else(|| date_time(text)),
    }
}

fn epoch(text: &str) -> Option<When> {
    if text.len() < EPOCH_DIGITS_MIN || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let at = Timestamp::from_epoch_number(number)?;
    let precision = match number {
        n if n < 1e11 => SECOND,
        n if n < 1e14 => 1_000,
        _ => 1,
    };
    Some(When::span(at, precision))
}

fn calculate(mut when: When, steps: &str) -> Option<When> {
    let mut rest = steps;
    for _ in 0..STEPS_MAX {
        if rest.is_empty() {
            return Some(when);
        }
        let (sign, after) = rest.split_at_checked(1)?;
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        let unit = after.chars().next().filter(char::is_ascii)?;
        rest = &after[1..];
        let count: i64 = if number.is_empty() { 1 } else { number.parse().ok()? };
        when = match sign {
            "+" => when.map(|t| shifted(t, count, unit))?,
            "-" => when.map(|t| shifted(t, -count, unit))?,
            "/" if number.is_empty() => {
                let start = floor(when.start, unit)?;
                When { start, end: Some(shifted(start, 1, unit)?) }
            }
            _ => return None,
        };
    }
    rest.is_empty().then_some(when)
}

fn unit_secs(unit: char) -> Option<i64> {
    Some(match unit {
        's' => 1,
        'm' => 60,
        'h' | 'H' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    })
}

/// A time later by so many units, `M` a month and `y` a year of the calendar.
pub(crate) fn shifted(t: Timestamp, count: i64, unit: char) -> Option<Timestamp> {
    if let Some(secs) = unit_secs(unit) {
        let micros = secs.checked_mul(count)?.checked_mul(SECOND)?;
        return valid(Timestamp(t.0.checked_add(micros)?));
    }
    let span = match unit {
        'M' => jiff::Span::new().try_months(count).ok()?,
        'y' => jiff::Span::new().try_years(count).ok()?,
        _ => return None,
    };
    moment(civil(t)?.checked_add(span).ok()?)
}

/// The start of the unit that holds this time; a week starts on Monday.
pub(crate) fn floor(t: Timestamp, unit: char) -> Option<Timestamp> {
    let start = match unit {
        // 1970-01-01 was a Thursday.
        'w' => t.plus_secs(3 * 86_400).floor(7 * 86_400).plus_secs(-3 * 86_400),
        'M' => moment(civil(t)?.date().first_of_month().at(0, 0, 0, 0))?,
        'y' => moment(civil(t)?.date().first_of_year().at(0, 0, 0, 0))?,
        unit => t.floor(unit_secs(unit)?),
    };
    valid(start)
}

fn civil(t: Timestamp) -> Option<DateTime> {
    Some(TimeZone::UTC.to_datetime(jiff::Timestamp::from_microsecond(t.0).ok()?))
}

fn moment(civil: DateTime) -> Option<Timestamp> {
    let at = TimeZone::UTC.to_timestamp(civil).ok()?;
    valid(Timestamp(at.as_microsecond()))
}

/// Years that have four digits, so that every time can be written and read again.
fn valid(t: Timestamp) -> Option<Timestamp> {
    const YEAR_0: i64 = -62_167_219_200_000_000;
    const YEAR_10000: i64 = 253_402_207_200_000_000;
    (YEAR_0..YEAR_10000).contains(&t.0).then_some(t)
}

/// `YYYY[-MM[-DD[Thh[:mm[:ss[.fraction]]]]]]` and an offset.
fn date_time(text: &str) -> Option<When> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = two_digits(parts.next())?;
    let day = two_digits(parts.next())?;
    if parts.next().is_some() || time.is_some() && day.is_none() {
        return None;
    }
    let date = jiff::civil::Date::new(year as i16, month.unwrap_or(1) as i8, day.unwrap_or(1) as i8).ok()?;
    let start = moment(date.at(0, 0, 0, 0))?;
    match (month, day, time) {
        (None, ..) => Some(When { start, end: Some(shifted(start, 1, 'y')?) }),
        (_, None, _) => Some(When { start, end: Some(shifted(start, 1, 'M')?) }),
        (.., None) => Some(When::span(start, 86_400 * SECOND)),
        (.., Some(time)) => {
            let (micros, precision) = clock(time)?;
            Some(When::span(valid(Timestamp(start.0 + micros))?, precision))
        }
    }
}

/// A part that may be absent but not wrong.
fn two_digits(part: Option<&str>) -> Option<Option<i64>> {
    match part {
        None => Some(None),
        Some(part) => digits(part, 2).map(Some),
    }
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// The microseconds since midnight UTC of `hh[:mm[:ss[.fraction]]][Z|±hh[:]mm]`, and how exact that is.
fn clock(text: &str) -> Option<(i64, i64)> {
    let zone = text.find(['Z', 'z', '+', '-']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone);
    let (clock, fraction) = match clock.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    let mut parts = clock.split(':');
    let (mut secs, mut precision) = (digits(parts.next()?, 2).filter(|h| *h < 24)? * 3_600, 3_600 * SECOND);
    for unit in [60, 1] {
        let Some(part) = parts.next() else { break };
        secs += digits(part, 2).filter(|n| *n < 60)? * unit;
        precision = unit * SECOND;
    }
    if parts.next().is_some() {
        return None;
    }
    let mut micros = secs * SECOND;
    if let Some(fraction) = fraction {
        if precision != SECOND || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        for digit in fraction.bytes().take(6) {
            precision /= 10;
            micros += i64::from(digit - b'0') * precision;
        }
    }
    Some((micros - offset_secs(zone)? * SECOND, precision))
}

/// The seconds east of Greenwich of nothing, `Z`, `±hh`, `±hhmm` or `±hh:mm`.
pub(crate) fn offset_secs(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (zone.len() == 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return None,
    };
    let rest = zone[1..].replace(':', "");
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes, 2).filter(|m| *m < 60)? };
    Some(sign * (digits(hours, 2).filter(|h| *h < 24)? * 3_600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-20T10:30:15.5Z").unwrap()
    }
    fn read_out(text: &str) -> String {
        match read(text, now()) {
            None => "-".into(),
            Some(When { start, end: None }) => start.to_string(),
            Some(When { start, end: Some(end) }) => format!("{start} {end}"),
        }
    }

    #[test]
    fn times_are_as_exact_as_they_are_written() {
        for (text, means) in [
            ("now", "2026-11-20T10:30:15.500000Z"),
            ("now-1h", "2026-11-20T09:30:15.500000Z"),
            ("now/d", "2026-11-20T00:00:00.000000Z 2026-11-21T00:00:00.000000Z"),
            ("now-1M/M", "2026-10-01T00:00:00.000000Z 2026-11-01T00:00:00.000000Z"),
            ("now/w", "2026-11-16T00:00:00.000000Z 2026-11-23T00:00:00.000000Z"),
            ("now/y+1d", "2026-01-02T00:00:00.000000Z 2027-01-02T00:00:00.000000Z"),
            ("2026-01-31||+1M", "2026-02-28T00:00:00.000000Z 2026-03-01T00:00:00.000000Z"),
            ("2026", "2026-01-01T00:00:00.000000Z 2027-01-01T00:00:00.000000Z"),
            ("2026-02", "2026-02-01T00:00:00.000000Z 2026-03-01T00:00:00.000000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000000Z 2026-11-21T00:00:00.000000Z"),
            ("2026-11-20T10", "2026-11-20T10:00:00.000000Z 2026-11-20T11:00:00.000000Z"),
            ("2026-11-20 10:05", "2026-11-20T10:05:00.000000Z 2026-11-20T10:06:00.000000Z"),
            ("2026-11-20T10:05:09+01:00", "2026-11-20T09:05:09.000000Z 2026-11-20T09:05:10.000000Z"),
            ("2026-11-20T10:05:09.25Z", "2026-11-20T10:05:09.250000Z 2026-11-20T10:05:09.260000Z"),
            ("2026-11-20T10:05:09.123456789Z", "2026-11-20T10:05:09.123456Z"),
            ("1763632800", "2025-11-20T10:00:00.000000Z 2025-11-20T10:00:01.000000Z"),
            ("1763632800123", "2025-11-20T10:00:00.123000Z 2025-11-20T10:00:00.124000Z"),
        ] {
            assert_eq!(read_out(text), means, "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "2026-02-30", "2026-11-20T24:00", "now-", "now-1x", "now/2d", "now+99999999999999y", "10:00", "500", "2026-11T10", "2026-11-20T10:00:00+99", "now-ü"] {
            assert_eq!(read_out(text), "-", "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in r"(now|[0-9]{4}-[0-9]{2}-[0-9]{2}|\PC{0,3})(\|\|)?([+/-][0-9]{0,20}[yMwdhms]?){0,9}") {
            let _ = read(&text, now());
        }
        #[test]
        fn what_is_printed_is_read_as_the_same_moment(micros in -62_000_000_000_000_000i64..250_000_000_000_000_000) {
            prop_assert_eq!(read(&Timestamp(micros).to_string(), now()), Some(When::exact(Timestamp(micros))));
        }
    }
}
