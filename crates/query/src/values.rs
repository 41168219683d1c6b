//! What a value means for a column: shared by the query bar and the Elasticsearch body.
use crate::fields::{list, shortened};
use crate::when::{self, When};
use crate::{Bound, Expr, Test, Value, WILDCARD_BYTES_MAX, Words, did_you_mean, is_address, is_prose, words};
use event::{Column, Kind, Severity, Timestamp};
use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks that a range of addresses may fall into; an interval of IPv6 addresses needs up to 254.
const BLOCKS_MAX: usize = 256;

/// A value that does not fit, and what to write instead.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub message: String,
    pub hint: Option<String>,
}

pub(crate) fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { message: message.into(), hint: Some(hint.into()) }
}

/// One end of a range, as written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<T> {
    Open,
    Including(T),
    Excluding(T),
}

impl<T> End<T> {
    pub fn try_map<U>(self, f: impl FnOnce(T) -> Result<U, Wrong>) -> Result<End<U>, Wrong> {
        Ok(match self {
            End::Open => End::Open,
            End::Including(v) => End::Including(f(v)?),
            End::Excluding(v) => End::Excluding(f(v)?),
        })
    }
}

fn is(column: &Column, path: &str) -> bool {
    column.path == path
}

/// The value of a column that has few: as it is stored, however it was written.
pub(crate) fn known_values(column: &Column) -> &'static [&'static str] {
    const CLASSES: [&str; 5] = ["Base Event", "API Activity", "HTTP Activity", "Authentication", "Application Log"];
    const SEVERITIES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
    const STATUSES: [&str; 3] = ["Success", "Failure", "Unknown"];
    match column.path {
        "severity" => &SEVERITIES,
        "status" => &STATUSES,
        "class_name" => &CLASSES,
        _ => &[],
    }
}

/// A value equal to this; words of prose; an address within a block.
pub(crate) fn equal(column: &'static Column, text: &str, now: Timestamp) -> Result<Expr, Wrong> {
    let test = match column.kind {
        _ if is_prose(column) => Test::Words(phrase(text)?),
        _ if is_address(column) => address(text)?,
        Kind::Text => Test::OneOf(vec![Value::Text(spelt(column, text)?)]),
        Kind::TextList => Test::OneOf(vec![Value::Text(text.to_owned())]),
        Kind::Int | Kind::Float => Test::OneOf(vec![number(column, text)?]),
        Kind::Time => match time(column, text, now)? {
            When { start, end: None } => Test::OneOf(vec![Value::Time(start)]),
            When { start, end: Some(end) } => {
                Test::Range(Bound::Including(Value::Time(start)), Bound::Excluding(Value::Time(end)))
            }
        },
    };
    Ok(Expr::Field(column, test))
}

/// The stored spelling of a value of a column whose values are known; any other text as it is.
fn spelt(column: &Column, text: &str) -> Result<String, Wrong> {
    if is(column, "severity") {
        return severity(text).map(|s| s.as_str().to_owned());
    }
    let known = known_values(column);
    match known.iter().find(|k| k.eq_ignore_ascii_case(text)) {
        Some(known) => Ok((*known).to_owned()),
        None if is(column, "status") => {
            Err(wrong(format!("{:?} is no status", shortened(text)), format!("write {}", list(known.iter().copied()))))
        }
        None => Ok(text.to_owned()),
    }
}

fn severity(text: &str) -> Result<Severity, Wrong> {
    let by_number = || Severity::ALL.into_iter().find(|s| s.ocsf_id().to_string() == text);
    Severity::parse(text).or_else(by_number).ok_or_else(|| {
        let names = Severity::ALL.map(Severity::as_str);
        let hint = match did_you_mean(text, names) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write {}", list(names.into_iter())),
        };
        wrong(format!("{:?} is no severity", shortened(text)), hint)
    })
}

fn number(column: &Column, text: &str) -> Result<Value, Wrong> {
    if column.kind == Kind::Int {
        return text.parse().map(Value::Int).map_err(|_| {
            let hint = match text.contains(['x', 'X', '*', '?']) {
                true => format!("write a range, {}:[400 TO 499]", column.path),
                false => "write a whole number such as 404, or a range such as [400 TO 499]".into(),
            };
            wrong(format!("{:?} is no whole number, and {} holds whole numbers", shortened(text), column.path), hint)
        });
    }
    text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::Float).ok_or_else(|| {
        wrong(format!("{:?} is no number, and {} holds numbers", shortened(text), column.path), "write a number such as 52.5")
    })
}

fn time(column: &Column, text: &str, now: Timestamp) -> Result<When, Wrong> {
    when::read(text, now).ok_or_else(|| {
        wrong(
            format!("{:?} is no time, and {} holds times", shortened(text), column.path),
            "write 2026-11-20, 2026-11-20T10:00:00Z or now-1h",
        )
    })
}

fn address(text: &str) -> Result<Test, Wrong> {
    if text.contains('/') {
        return block(text).map(|net| Test::Cidr(vec![net]));
    }
    single_address(text).map(|ip| Test::OneOf(vec![Value::Text(ip.to_string())]))
}

fn single_address(text: &str) -> Result<IpAddr, Wrong> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| {
        wrong(format!("{:?} is no address", shortened(text)), "write an address such as 192.0.2.1, a block such as 10.0.0.0/8, or a pattern such as 10.1.*")
    })
}

/// A block; bits behind the prefix do not count, and IPv4 within IPv6 is IPv4, as in the stored addresses.
fn block(text: &str) -> Result<IpNet, Wrong> {
    let net: IpNet = text.parse().map_err(|_| {
        wrong(format!("{:?} is no block of addresses", shortened(text)), "write one such as 10.0.0.0/8 or 2001:db8::/32")
    })?;
    const MAPPED_BITS: u8 = 96;
    let net = match net {
        IpNet::V6(v6) if v6.prefix_len() >= MAPPED_BITS => match v6.addr().to_ipv4_mapped() {
            Some(v4) => IpNet::V4(Ipv4Net::new(v4, v6.prefix_len() - MAPPED_BITS).expect("at most 32 bits are left")),
            None => net,
        },
        _ => net,
    };
    Ok(net.trunc())
}

/// A value within two ends.
pub(crate) fn range(column: &'static Column, low: End<&str>, high: End<&str>, now: Timestamp) -> Result<Expr, Wrong> {
    if is(column, "severity") {
        let id = event::column("severity_id").expect("the list has it");
        let place = |text: &str| severity(text).map(|s| Value::Int(s.ocsf_id()));
        return bounded(id, low.try_map(place)?, high.try_map(place)?);
    }
    if is_address(column) {
        return blocks(column, low.try_map(single_address)?, high.try_map(single_address)?);
    }
    match column.kind {
        Kind::Int | Kind::Float => {
            bounded(column, low.try_map(|t| number(column, t))?, high.try_map(|t| number(column, t))?)
        }
        Kind::Time => times(column, low.try_map(|t| time(column, t, now))?, high.try_map(|t| time(column, t, now))?),
        Kind::Text | Kind::TextList => Err(wrong(
            format!("{} holds text, which has no ranges", column.path),
            "ranges are for numbers, times, addresses and severity; for the beginning of a text write a pattern such as abc*",
        )),
    }
}

fn bounded(column: &'static Column, low: End<Value>, high: End<Value>) -> Result<Expr, Wrong> {
    let bound = |end| match end {
        End::Open => Bound::Open,
        End::Including(v) => Bound::Including(v),
        End::Excluding(v) => Bound::Excluding(v),
    };
    Ok(Expr::Field(column, range_test(bound(low), bound(high))))
}

fn range_test(low: Bound, high: Bound) -> Test {
    match (low, high) {
        (Bound::Open, Bound::Open) => Test::Exists,
        (low, high) => Test::Range(low, high),
    }
}

/// What is written less exactly is a span: `>2026-11-20` starts on the 21st, `<=2026-11-20` has all of the 20th.
pub(crate) fn times(column: &'static Column, low: End<When>, high: End<When>) -> Result<Expr, Wrong> {
    let low = match low {
        End::Open => Bound::Open,
        End::Including(w) => Bound::Including(Value::Time(w.start)),
        End::Excluding(When { start, end: None }) => Bound::Excluding(Value::Time(start)),
        End::Excluding(When { end: Some(end), .. }) => Bound::Including(Value::Time(end)),
    };
    let high = match high {
        End::Open => Bound::Open,
        End::Excluding(w) => Bound::Excluding(Value::Time(w.start)),
        End::Including(When { start, end: None }) => Bound::Including(Value::Time(start)),
        End::Including(When { end: Some(end), .. }) => Bound::Excluding(Value::Time(end)),
    };
    Ok(Expr::Field(column, range_test(low, high)))
}

/// The blocks that make up a range of addresses.
fn blocks(column: &'static Column, low: End<IpAddr>, high: End<IpAddr>) -> Result<Expr, Wrong> {
    let v6 = match (&low, &high) {
        (End::Including(ip) | End::Excluding(ip), End::Open) | (End::Open, End::Including(ip) | End::Excluding(ip)) => ip.is_ipv6(),
        (End::Including(a) | End::Excluding(a), End::Including(b) | End::Excluding(b)) if a.is_ipv6() == b.is_ipv6() => a.is_ipv6(),
        (End::Open, End::Open) => return Ok(Expr::Field(column, Test::Exists)),
        _ => return Err(wrong("the ends of the range are of different kinds of address", "write two IPv4 or two IPv6 addresses")),
    };
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let last = if v6 { u128::MAX } else { u128::from(u32::MAX) };
    let first = match low {
        End::Open => Some(0),
        End::Including(ip) => Some(bits(ip)),
        End::Excluding(ip) => bits(ip).checked_add(1).filter(|n| *n <= last),
    };
    let end = match high {
        End::Open => Some(last),
        End::Including(ip) => Some(bits(ip)),
        End::Excluding(ip) => bits(ip).checked_sub(1),
    };
    let (Some(first), Some(end)) = (first, end) else { return Ok(Expr::Or(Vec::new())) };
    if first > end {
        return Ok(Expr::Or(Vec::new()));
    }
    let nets: Vec<IpNet> = match v6 {
        true => Ipv6Subnets::new(Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(end), 0).map(|n: Ipv6Net| n.into()).take(BLOCKS_MAX).collect(),
        false => Ipv4Subnets::new(Ipv4Addr::from_bits(first as u32), Ipv4Addr::from_bits(end as u32), 0).map(|n: Ipv4Net| n.into()).take(BLOCKS_MAX).collect(),
    };
    Ok(Expr::Field(column, Test::Cidr(nets)))
}

/// A value that fits a pattern of `*` and `?`.
pub(crate) fn pattern(column: &'static Column, pattern: &str) -> Result<Expr, Wrong> {
    if !pattern.is_empty() && pattern.chars().all(|c| c == '*') {
        return Ok(Expr::Field(column, Test::Exists));
    }
    too_long(pattern)?;
    let test = match column.kind {
        _ if is_prose(column) => Test::Words(word_pattern(pattern)?),
        Kind::Text | Kind::TextList => Test::Wildcard(pattern.to_owned()),
        Kind::Int | Kind::Float => {
            return Err(wrong(format!("{} holds numbers, which have no patterns", column.path), format!("write a range, {}:[400 TO 499]", column.path)));
        }
        Kind::Time => {
            return Err(wrong(format!("{} holds times, which have no patterns", column.path), format!("write {0}:2026-11-20 or {0}:[now-1h TO now]", column.path)));
        }
    };
    Ok(Expr::Field(column, test))
}

fn too_long(pattern: &str) -> Result<(), Wrong> {
    match pattern.len() > WILDCARD_BYTES_MAX {
        true => Err(wrong(format!("a pattern of more than {WILDCARD_BYTES_MAX} bytes"), "shorten it, or look for some of its words")),
        false => Ok(()),
    }
}

fn texts_only(column: &Column, what: &str) -> Result<(), Wrong> {
    match column.kind {
        Kind::Text | Kind::TextList => Ok(()),
        _ => Err(wrong(
            format!("{} holds no text, so {what} cannot be looked for in it", column.path),
            format!("write a value or a range, {}:[1 TO 5]", column.path),
        )),
    }
}

/// Characters that mean more than themselves in a regular expression.
pub(crate) fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['\\', '.', '+', '*', '?', '(', ')', '|', '[', ']', '{', '}', '^', '$'])
}

/// A value that fits a regular expression as a whole.
pub(crate) fn regex(column: &'static Column, pattern: &str) -> Result<Expr, Wrong> {
    texts_only(column, "a regular expression")?;
    let test = Test::regex(pattern).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => wrong("the regular expression is too large", "use smaller repetitions, or a pattern with *"),
        other => {
            // The engine's message ends in a line that says what is wrong; those before it draw the pattern.
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            wrong(format!("not a regular expression: {last}"), "look-around and back references are not supported; \\ takes a character's meaning")
        }
    })?;
    Ok(Expr::Field(column, test))
}

/// A value with this part, in any case.
pub(crate) fn contains(column: &'static Column, part: &str) -> Result<Expr, Wrong> {
    texts_only(column, "a part of a text")?;
    match part.is_empty() {
        true => Err(wrong("the part to look for is empty", format!("write {}:* for any value", column.path))),
        false => Ok(Expr::Field(column, Test::Contains(part.to_owned()))),
    }
}

/// The words of a text, one after the other.
pub(crate) fn phrase(text: &str) -> Result<Words, Wrong> {
    let phrase: Vec<String> = words(text).collect();
    match phrase.is_empty() {
        true => Err(no_word(text)),
        false => Ok(Words::Phrase(phrase)),
    }
}

fn no_word(text: &str) -> Wrong {
    wrong(
        format!("{:?} has no letter or digit to look for", shortened(text)),
        r#"text is looked for by its words; for signs write raw_data:~"…""#,
    )
}

/// One word's pattern. A star that stands for whole words at an end (`192.168.*`) leaves a phrase.
pub(crate) fn word_pattern(pattern: &str) -> Result<Words, Wrong> {
    too_long(pattern)?;
    // What is escaped is no star, and no part of a word either.
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(|c| if matches!(c, '*' | '?') { ' ' } else { c })),
            c => text.push(c),
        }
    }
    let is_piece = |c: char| c.is_alphanumeric() || matches!(c, '_' | '*' | '?');
    let mut runs: Vec<&str> = text.split(|c| !is_piece(c)).filter(|r| !r.is_empty()).collect();
    let stars = |run: &str| run.chars().all(|c| c == '*');
    while runs.len() > 1 && runs.last().is_some_and(|r| stars(r)) {
        runs.pop();
    }
    while runs.len() > 1 && stars(runs[0]) {
        runs.remove(0);
    }
    let wild = |run: &str| run.contains(['*', '?']);
    match runs.as_slice() {
        [] => Err(no_word(pattern)),
        [one] if !one.contains(|c: char| c.is_alphanumeric() || c == '_') => Err(no_word(pattern)),
        [one] if wild(one) => Ok(one_word(one)),
        several if !several.iter().any(|r| wild(r)) => phrase(&several.join(" ")),
        _ => Err(wrong(
            format!("the pattern {:?} runs over several words, and text is looked for word by word", shortened(pattern)),
            "write the words without the star in quotes, or ask a field: source.ip:192.168.1*",
        )),
    }
}

fn one_word(run: &str) -> Words {
    let mut lower = run.to_lowercase();
    lower.retain(|c| c.is_alphanumeric() || matches!(c, '_' | '*' | '?'));
    while lower.contains("**") {
        lower = lower.replace("**", "*");
    }
    match lower.strip_suffix('*').filter(|head| !head.contains(['*', '?'])) {
        Some(head) => Words::Prefix(words(head).next().unwrap_or_default()),
        None => Words::Wildcard(lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Class, Status};

    #[test]
    fn known_values_are_those_of_the_events() {
        let of = |name: &str| known_values(event::column(name).unwrap()).to_vec();
        assert_eq!(of("severity"), Severity::ALL.map(Severity::as_str));
        assert_eq!(of("status"), [Status::Success, Status::Failure, Status::Unknown].map(Status::as_str));
        let classes = [Class::BaseEvent, Class::ApiActivity, Class::HttpActivity, Class::Authentication, Class::ApplicationLog];
        assert_eq!(of("class_name"), classes.map(Class::as_str));
        assert!(of("user.name").is_empty());
    }

    #[test]
    fn ranges_of_addresses_are_the_blocks_that_make_them_up() {
        let ip = event::column("source.ip").unwrap();
        let nets = |low, high| match range(ip, low, high, Timestamp(0)) {
            Ok(Expr::Field(_, Test::Cidr(nets))) => nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            other => format!("{other:?}"),
        };
        assert_eq!(nets(End::Including("10.0.0.1"), End::Including("10.0.0.4")), "10.0.0.1/32 10.0.0.2/31 10.0.0.4/32");
        assert_eq!(nets(End::Excluding("10.0.0.1"), End::Excluding("10.0.0.4")), "10.0.0.2/31");
        assert_eq!(nets(End::Including("128.0.0.0"), End::Open), "128.0.0.0/1");
        assert_eq!(nets(End::Open, End::Including("::ffff:127.255.255.255")), "0.0.0.0/1");
        assert_eq!(nets(End::Including("2001:db8::"), End::Including("2001:db8::1")), "2001:db8::/127");
        assert_eq!(nets(End::Excluding("255.255.255.255"), End::Open), "Ok(Or([]))");
        assert_eq!(nets(End::Including("10.0.0.2"), End::Including("10.0.0.1")), "Ok(Or([]))");
        assert!(nets(End::Including("10.0.0.2"), End::Including("::1")).starts_with("Err"));
        assert!(nets(End::Excluding("::"), End::Excluding("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")).split(' ').count() <= BLOCKS_MAX);
    }
}
