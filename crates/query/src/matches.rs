//! What an expression means, on one event: the reference that every other evaluator is compared with.
use crate::{Bound, Expr, Test, Value, wildcard_matches, words_match};
use event::{Cell, Event};
use std::cmp::Ordering;
use std::net::IpAddr;

impl Expr {
    /// Whether the event is one of those asked for.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Expr::All => true,
            Expr::And(all) => all.iter().all(|e| e.matches(event)),
            Expr::Or(any) => any.iter().any(|e| e.matches(event)),
            Expr::Not(one) => !one.matches(event),
            Expr::Field(column, test) => test.matches(&(column.get)(event)),
            Expr::Text(words) => words_match(words, &event.raw_text()),
        }
    }
}

impl Test {
    /// Whether a column's value fits; for a list, whether any of its elements does.
    pub fn matches(&self, cell: &Cell<'_>) -> bool {
        match cell {
            Cell::Null => false,
            Cell::Text(text) => self.matches_text(text),
            Cell::Texts(list) => list.iter().any(|text| self.matches_text(text)),
            Cell::Int(n) => self.matches_value(|other| compare_int(*n, other)),
            Cell::Float(n) => self.matches_value(|other| compare_float(*n, other)),
            Cell::Time(t) => self.matches_value(|other| match other {
                Value::Time(other) => Some(t.cmp(other)),
                _ => None,
            }),
        }
    }

    /// The test on one text: a column's value or one element of a list.
    pub fn matches_text(&self, text: &str) -> bool {
        match self {
            Test::Exists => true,
            Test::OneOf(values) => values.iter().any(|v| matches!(v, Value::Text(t) if t == text)),
            Test::Range(..) => false,
            Test::Wildcard(pattern) => wildcard_matches(pattern, text),
            Test::Regex(regex) => regex.is_match(text),
            Test::Contains(part) => contains(text, part),
            Test::Cidr(nets) => text.parse::<IpAddr>().is_ok_and(|ip| nets.iter().any(|net| net.contains(&ip.to_canonical()))),
            Test::Words(words) => words_match(words, text),
        }
    }

    /// The test on a number or time, given how that compares with a value of the test.
    fn matches_value(&self, compare: impl Fn(&Value) -> Option<Ordering>) -> bool {
        match self {
            Test::Exists => true,
            Test::OneOf(values) => values.iter().any(|v| compare(v) == Some(Ordering::Equal)),
            Test::Range(low, high) => {
                let above = match low {
                    Bound::Open => true,
                    Bound::Including(v) => compare(v).is_some_and(Ordering::is_ge),
                    Bound::Excluding(v) => compare(v).is_some_and(Ordering::is_gt),
                };
                above && match high {
                    Bound::Open => true,
                    Bound::Including(v) => compare(v).is_some_and(Ordering::is_le),
                    Bound::Excluding(v) => compare(v).is_some_and(Ordering::is_lt),
                }
            }
            _ => false,
        }
    }
}

fn compare_int(n: i64, other: &Value) -> Option<Ordering> {
    match other {
        Value::Int(other) => Some(n.cmp(other)),
        Value::Float(other) => (n as f64).partial_cmp(other),
        _ => None,
    }
}

fn compare_float(n: f64, other: &Value) -> Option<Ordering> {
    match other {
        Value::Int(other) => n.partial_cmp(&(*other as f64)),
        Value::Float(other) => n.partial_cmp(other),
        _ => None,
    }
}

/// Whether a text holds a part, both in lower case.
fn contains(text: &str, part: &str) -> bool {
    if text.is_ascii() && part.is_ascii() {
        return part.is_empty() || text.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()));
    }
    text.to_lowercase().contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Format, Issue, Position, Severity, Status, Timestamp};

    fn event() -> Event {
        let raw = [r#"{"msg":"Access DENIED – for Åsa","path":"/a/../etc"} "#.as_bytes(), b"\xff end"].concat();
        let at = Timestamp::parse("2026-11-20T10:00:00Z").unwrap();
        let mut event = Event::new("e1".into(), Position::default(), at, "web".into(), Format::Json, raw.into());
        event.time = at;
        event.severity = Severity::High;
        event.ocsf.status = Status::Failure;
        event.ocsf.user_name = Some("Åsa".into());
        event.ocsf.user_uid = Some(String::new().into());
        event.ocsf.message = Some("Access DENIED – for Åsa".into());
        event.ocsf.src.ip = Some("2001:db8::1".into());
        event.ocsf.dst.ip = Some("10.1.2.3".into());
        event.ocsf.src.location.lat = Some(-1.5);
        event.ocsf.http.path = Some("/a/../etc\n*".into());
        event.ocsf.http.response_code = Some(404);
        event.rules = vec!["rule-a".into(), "Rule-B".into()].into();
        event.issues = vec![Issue { code: "bad_time", detail: "no year".into() }];
        event
    }

    #[test]
    fn what_matches_and_what_does_not() {
        let event = event();
        let now = Timestamp::parse("2026-11-20T10:30:00Z").unwrap();
        let yes = r#"
            *
            access denied
            "denied – for"
            ÅSA
            end
            acc*
            *nied
            message:åsa
            user.name:Åsa
            user.name:?sa
            user.name:~ÅS
            user.name:/(?i)å.*/
            user.id:*
            user.id:""
            NOT user.id:x
            NOT user.type:x
            -user.type:*
            rule.id:Rule-B
            rule.id:(rule-a AND Rule-B)
            rule.id:rule*
            rule.id:/.*B/
            error.code:~"BAD_TIME: no"
            source.ip:2001:DB8:0::1
            source.ip:2001:db8::/32
            source.ip:*db8*
            destination.ip:10.0.0.0/8
            destination.ip:[10.1.2.0 TO 10.1.2.3]
            http_response.code:404
            http_response.code:[400 TO 404]
            http_response.code:{400 TO 405}
            http_response.code:(>=404 <=404)
            source.geo.location.lat:-1.5
            source.geo.location.lat:<-1
            severity:>=medium
            severity:[high TO high]
            severity:HIGH
            status:failure
            status:(Success OR Failure)
            time:2026-11-20
            time:[now-30m TO now]
            time:2026-11-20T10:00:00Z
            url.path:"/a/../etc
*"
            url.path:/.*\*/
            url.path:/\/a.*etc.+/
            url.path:\/a*\*
            event.dataset:web
            user.name:x OR status:Failure AND severity:high
            NOT (user.name:x OR status:Success)
            raw_data:~"DENIED – f"
        "#;
        let no = r#"
            NOT *
            "denied access"
            "access for"
            acces
            enied*
            user.name:åsa
            user.name:Åsa*a
            user.name:/s[a]/
            user.name:/s./
            user.type:*
            user.type:""
            user.id:?
            rule.id:(rule-a AND c)
            rule.id:rule-b
            NOT rule.id:rule-a
            source.ip:10.0.0.0/8
            source.ip:2001:db8::/128
            destination.ip:::/0
            destination.ip:[10.1.2.4 TO *]
            http_response.code:{404 TO 405}
            http_response.code:>404
            http_response.code:(>404 OR <404)
            http_response.length:>=0
            NOT http_response.code:*
            source.geo.location.lat:>-1.5
            severity:>high
            severity:<high
            time:>2026-11-20
            time:<2026-11-20T10:00:00Z
            time:{now-30m TO now]
            event.dataset:we
            user.name:x AND status:Failure OR status:Success
        "#;
        let lines = |text: &str| {
            let mut lines: Vec<String> = Vec::new();
            for line in text.lines().filter(|l| !l.trim().is_empty()) {
                match line.starts_with(' ') {
                    true => lines.push(line.trim().to_owned()),
                    false => lines.last_mut().unwrap().push_str(&format!("\n{line}")),
                }
            }
            lines
        };
        let mut wrong = Vec::new();
        for (list, want) in [(yes, true), (no, false)] {
            for text in lines(list) {
                match crate::parse(&text, now) {
                    Ok(expr) if expr.matches(&event) == want => {}
                    answer => wrong.push(format!("{text}: {answer:?}")),
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_test_of_another_kind_than_the_column_matches_nothing() {
        for test in [
            Test::OneOf(vec![Value::Text("5".into())]),
            Test::Range(Bound::Including(Value::Text("1".into())), Bound::Open),
            Test::Wildcard("*".into()),
            Test::Contains("5".into()),
        ] {
            assert!(!test.matches(&Cell::Int(5)), "{test:?}");
            assert!(!test.matches(&Cell::Null));
        }
        assert!(!Test::Range(Bound::Open, Bound::Excluding(Value::Int(6))).matches(&Cell::Text("5".into())));
        assert!(Test::OneOf(vec![Value::Float(5.0)]).matches(&Cell::Int(5)));
        assert!(!Test::OneOf(vec![Value::Float(f64::NAN)]).matches(&Cell::Float(f64::NAN)));
    }
}
