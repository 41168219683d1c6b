//! Times as sources write them. All simulated hosts run on UTC.

use event::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How busy the world is at each hour of the day in UTC; the mean is 1.
const BUSY: [f64; 24] = [
    0.78, 0.72, 0.68, 0.66, 0.68, 0.74, 0.84, 0.96, 1.08, 1.16, 1.20, 1.22, 1.22, 1.24, 1.28, 1.30, 1.28, 1.24,
    1.18, 1.12, 1.06, 0.96, 0.74, 0.66,
];

/// The factor on the rate at a moment, between the hours in a straight line.
pub(crate) fn busy(time: Timestamp) -> f64 {
    let secs = time.secs().rem_euclid(86_400);
    let (hour, part) = ((secs / 3600) as usize, (secs % 3600) as f64 / 3600.0);
    BUSY[hour] + (BUSY[(hour + 1) % 24] - BUSY[hour]) * part
}

struct Parts {
    year: String,
    month: &'static str,
    day: i64,
    hour: i64,
    clock: String,
}

fn parts(time: Timestamp) -> Parts {
    let text = time.to_string();
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a Timestamp is written in digits");
    Parts {
        year: text[..4].to_owned(),
        month: MONTHS[(number(5..7) - 1).rem_euclid(12) as usize],
        day: number(8..10),
        hour: number(11..13),
        clock: text[11..19].to_owned(),
    }
}

/// `2026-11-20T10:00:00Z`
pub(crate) fn iso_secs(time: Timestamp) -> String {
    format!("{}Z", &time.to_string()[..19])
}

/// `20/Nov/2026:10:00:00 +0000`, the common log format's.
pub(crate) fn common_log(time: Timestamp) -> String {
    let p = parts(time);
    format!("{:02}/{}/{}:{} +0000", p.day, p.month, p.year, p.clock)
}

/// `Nov  2 10:00:00`, RFC 3164's.
pub(crate) fn rfc3164(time: Timestamp) -> String {
    let p = parts(time);
    format!("{} {:>2} {}", p.month, p.day, p.clock)
}

/// `Nov 2, 2026 9:53:13 PM`, as IAM's answers have it.
pub(crate) fn iam(time: Timestamp) -> String {
    let p = parts(time);
    let (hour, half) = ((p.hour + 11) % 12 + 1, if p.hour < 12 { "AM" } else { "PM" });
    format!("{} {}, {} {hour}{} {half}", p.month, p.day, p.year, &p.clock[2..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_sources_write_them() {
        let time = Timestamp::parse("2026-11-02T21:05:09.5Z").unwrap();
        assert_eq!(iso_secs(time), "2026-11-02T21:05:09Z");
        assert_eq!(common_log(time), "02/Nov/2026:21:05:09 +0000");
        assert_eq!(rfc3164(time), "Nov  2 21:05:09");
        assert_eq!(iam(time), "Nov 2, 2026 9:05:09 PM");
        assert_eq!(iam(Timestamp(0)), "Jan 1, 1970 12:00:00 AM");
    }

    #[test]
    fn the_day_averages_to_one() {
        let mean = BUSY.iter().sum::<f64>() / 24.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }
}
