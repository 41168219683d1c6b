use super::*;
use crate::TimeBounds;
use proptest::prelude::*;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-20T10:00:00Z").unwrap()
}

/// The normalised form, or the error as `column: message; hint`.
fn read_as(text: &str, dialect: &Dialect) -> String {
    match parse_as(text, now(), dialect) {
        Ok(expr) => expr.to_string(),
        Err(e) => format!("{}: {e}; {}", e.column, e.hint.as_deref().unwrap_or_default()),
    }
}
fn read(text: &str) -> String {
    read_as(text, &Dialect::default())
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (text, normal) in table {
        assert_eq!(read(text), *normal, "{text}");
        assert_eq!(parse(normal, now()).map(|e| e.to_string()).as_deref(), Ok(*normal), "{text}: the normal form");
        assert_eq!(parse(normal, now()), parse(text, now()), "{text}");
    }
}

#[test]
fn words_and_phrases() {
    check(&[
        ("", "*:*"),
        ("  \t\n", "*:*"),
        ("*", "*:*"),
        ("*:*", "*:*"),
        ("alice", "alice"),
        ("Alice BOB", "alice AND bob"),
        (r#""Access  denied!""#, r#""access denied""#),
        ("10.0.0.1", r#""10 0 0 1""#),
        ("fail*", "fail*"),
        ("*fail*", "*fail*"),
        ("f?il", "f?il"),
        ("192.168.*", r#""192 168""#),
        ("*.exe", "exe"),
        (r"a\:b", r#""a b""#),
        (r#""say \"hi\" \\o/""#, r#""say hi o""#),
        ("/etc/passwd", r#""etc passwd""#),
        (r#""and""#, r#""and""#),
        ("message:denied", "message:denied"),
        (r#"message:"access denied""#, r#"message:"access denied""#),
        ("message:(denied refused)", "message:denied AND message:refused"),
        ("error.message:den*", "status_detail:den*"),
        ("event.original:root", "root"),
        ("Grüße ÜBER", "grüße AND über"),
        ("a^2 b^0.5", "a AND b"),
        (r#""a b"^3"#, r#""a b""#),
    ]);
}

#[test]
fn operators() {
    check(&[
        ("a AND b OR c AND NOT d", "a AND b OR c AND NOT d"),
        ("a && b || !c", "a AND b OR NOT c"),
        ("a OR b c", "a OR b AND c"),
        ("(a OR b) c", "(a OR b) AND c"),
        ("a&&b", "a AND b"),
        ("+a -b", "a AND NOT b"),
        ("a OR -b", "a OR NOT b"),
        ("NOT NOT a", "a"),
        ("NOT (a b)", "NOT (a AND b)"),
        ("NOT(a OR b)", "NOT (a OR b)"),
        ("-(-a)", "a"),
        ("!!!a", "NOT a"),
        ("! a", "NOT a"),
        ("((a))", "a"),
        ("(a (b (c)))", "a AND b AND c"),
        ("a OR (b OR a)", "a OR b"),
        ("a OR *", "*:*"),
        ("a *", "a"),
        ("NOT *", "NOT *:*"),
        ("NOT (NOT *)", "*:*"),
        ("a-b", r#""a b""#),
        ("ANDROID ORACLE", "android AND oracle"),
        ("NOTHING", "nothing"),
    ]);
}

#[test]
fn fields_and_values() {
    check(&[
        ("user.name:alice", "actor.user.name:alice"),
        ("user.name: alice", "actor.user.name:alice"),
        ("actor.user.name:Alice", "actor.user.name:Alice"),
        (r#"user.name:"Alice B""#, r#"actor.user.name:"Alice B""#),
        (r"user.name:Alice\ B", r#"actor.user.name:"Alice B""#),
        ("user.name:a:b", r#"actor.user.name:"a:b""#),
        ("user.id:arn:aws:iam::1:user/alice", r#"actor.user.uid:"arn:aws:iam::1:user/alice""#),
        ("user.name:al*", "actor.user.name:al*"),
        (r"user.name:al\*", r#"actor.user.name:"al*""#),
        (r"user.name:\*a*", r"actor.user.name:\*a*"),
        (r"user.name:dom\\a*", r"actor.user.name:dom\\a*"),
        ("user.name:/adm.*[0-9]/", "actor.user.name:/adm.*[0-9]/"),
        ("user.name:/(?i)adm.*/", "actor.user.name:/(?i)adm.*/"),
        (r"url.path:/\/api\/v[0-9]+/", r"http_request.url.path:/\/api\/v[0-9]+/"),
        ("url.path:/etc/passwd", r#"http_request.url.path:"/etc/passwd""#),
        ("url.path:/", r#"http_request.url.path:"/""#),
        (r#"url.path:"/api/""#, r#"http_request.url.path:"/api/""#),
        ("url.path:/login OR url.path:/logout", r#"http_request.url.path:("/login" OR "/logout")"#),
        ("user.name:~LICE", r#"actor.user.name:~"LICE""#),
        (r#"raw_data:~"%%2e""#, r#"raw_data:~"%%2e""#),
        ("user.name:*", "actor.user.name:*"),
        ("_exists_:user.name", "actor.user.name:*"),
        ("NOT _exists_:user.name", "NOT actor.user.name:*"),
        ("country:RU", "src_endpoint.location.country:RU"),
        ("rule.id:a OR rule.id:b", "finding_info.rules:(a OR b)"),
        ("rule.id:(a b)", "finding_info.rules:a AND finding_info.rules:b"),
        ("user.name:and", r#"actor.user.name:"and""#),
        ("status:failure", "status:Failure"),
        ("event.outcome:(FAILURE OR unknown OR failure)", "status:(Failure OR Unknown)"),
        ("status:(NOT Success)", "NOT status:Success"),
        ("NOT status:(Success OR Unknown)", "NOT status:(Success OR Unknown)"),
        (r#"class_name:"http activity""#, r#"class_name:"HTTP Activity""#),
    ]);
}

#[test]
fn numbers_severities_and_addresses() {
    check(&[
        ("http_response.code:404", "http_response.code:404"),
        ("http_response.code:[400 TO 499]", "http_response.code:[400 TO 499]"),
        ("http_response.code:{400 TO 499]", "http_response.code:{400 TO 499]"),
        ("http_response.code:[400 TO *}", "http_response.code:>=400"),
        ("http_response.code:[* TO *]", "http_response.code:*"),
        ("http_response.code:>=500", "http_response.code:>=500"),
        ("http_response.code:> 500", "http_response.code:>500"),
        ("http_response.code:(>=400 AND <500)", "http_response.code:>=400 AND http_response.code:<500"),
        ("http_response.code:-5", r#"http_response.code:"-5""#),
        ("http_response.code:(404 OR 403)", "http_response.code:(404 OR 403)"),
        ("source.geo.location.lat:<-1.5", "src_endpoint.location.lat:<-1.5"),
        ("severity:high", "severity:high"),
        ("severity:INFO", "severity:informational"),
        ("severity:5", "severity:critical"),
        ("severity:>=high", "severity_id:>=4"),
        ("severity:[low TO High}", "severity_id:[2 TO 4}"),
        ("severity:h*", "severity:h*"),
        ("source.ip:10.1.2.3", "src_endpoint.ip:10.1.2.3"),
        ("source.ip:10.1.2.3/8", "src_endpoint.ip:10.0.0.0/8"),
        ("source.ip:2001:DB8:0:0::1", r#"src_endpoint.ip:"2001:db8::1""#),
        ("source.ip:[2001:db8::1]", "0"),
        ("source.ip:::ffff:192.0.2.1", "src_endpoint.ip:192.0.2.1"),
        ("source.ip:2001:db8::/32", r#"src_endpoint.ip:"2001:db8::/32""#),
        ("source.ip:::ffff:10.0.0.0/104", "src_endpoint.ip:10.0.0.0/8"),
        ("source.ip:(10.0.0.0/8 OR 192.168.0.0/16)", "src_endpoint.ip:(10.0.0.0/8 OR 192.168.0.0/16)"),
        ("source.ip:[10.0.0.0 TO 10.0.0.255]", "src_endpoint.ip:10.0.0.0/24"),
        ("source.ip:192.168.1*", "src_endpoint.ip:192.168.1*"),
        ("source.ip:10.1.2.3 OR source.ip:10.0.0.0/8", "src_endpoint.ip:10.1.2.3 OR src_endpoint.ip:10.0.0.0/8"),
    ].into_iter().filter(|(_, normal)| *normal != "0").collect::<Vec<_>>());
}

#[test]
fn times() {
    check(&[
        ("time:>=now-1h", "time:>=2026-11-20T09:00:00.000000Z"),
        ("@timestamp:2026-11-20", "time:[2026-11-20T00:00:00.000000Z TO 2026-11-21T00:00:00.000000Z}"),
        ("time:[2026-11-19 TO 2026-11-20]", "time:[2026-11-19T00:00:00.000000Z TO 2026-11-21T00:00:00.000000Z}"),
        ("time:{2026-11-19 TO 2026-11-20}", "time:[2026-11-20T00:00:00.000000Z TO 2026-11-20T00:00:00.000000Z}"),
        ("time:[now/d TO now]", "time:[2026-11-20T00:00:00.000000Z TO 2026-11-20T10:00:00.000000Z]"),
        (r#"time:"2026-11-20 10:05""#, "time:[2026-11-20T10:05:00.000000Z TO 2026-11-20T10:06:00.000000Z}"),
        ("time:now", r#"time:"2026-11-20T10:00:00.000000Z""#),
        ("time:<1763632800123", "time:<2025-11-20T10:00:00.123000Z"),
        ("event.ingested:>2026-11-20T10:00:00+01:00", "metadata.logged_time:>=2026-11-20T09:00:01.000000Z"),
    ]);
}

#[test]
fn errors_say_where_and_what_to_write() {
    let mut wrong = Vec::new();
    for (text, error) in [
        ("user.nmae:x", r#"0: there is no field "user.nmae"; did you mean user.name?"#),
        ("a AND usr.name:x", r#"6: there is no field "usr.name"; did you mean user.name?"#),
        ("ü ip:10.0.0.1", r#"2: "ip" may be any of 2 fields; write src_endpoint.ip or dst_endpoint.ip"#),
        ("http://evil.example/x", r#"0: there is no field "http"; put the text in quotes"#),
        ("at 10:30", r#"3: there is no field "10"; put the text in quotes"#),
        ("http_response.code:abc", r#"19: "abc" is no whole number"#),
        ("http_response.code:4xx", "19: \"4xx\" is no whole number, and http_response.code holds whole numbers; write a range"),
        ("http_response.code:4*", "19: http_response.code holds numbers, which have no patterns; write a range"),
        ("http_response.code:[1 TO x]", r#"19: "x" is no whole number"#),
        ("http_response.code:[1 5]", "22: TO is missing"),
        ("http_response.code:[1 TO 5", "19: the range is never closed"),
        ("http_response.code:[1 TO ]", "19: the range is not complete"),
        ("http_response.code:>", "19: the value to compare with is missing"),
        ("http_response.code:/4.*/", "19: http_response.code holds no text"),
        ("source.geo.location.lat:NaN", r#"24: "NaN" is no number"#),
        ("severity:>=hihg", r#"9: "hihg" is no severity; did you mean high?"#),
        ("status:failed", r#"7: "failed" is no status; write Success, Failure or Unknown"#),
        ("source.ip:10.0.0.0/33", r#"10: "10.0.0.0/33" is no block"#),
        ("source.ip:web1", r#"10: "web1" is no address"#),
        ("time:yesterday", r#"5: "yesterday" is no time"#),
        ("time:2026*", "5: time holds times, which have no patterns"),
        ("user.name:>=m", "10: actor.user.name holds text, which has no ranges"),
        ("user.name:/a(/", "10: not a regular expression: unclosed group"),
        ("user.name:/a)|(b/", "10: not a regular expression"),
        ("user.name:/(?x)a#/", "10: not a regular expression"),
        ("user.name:/\\w{1000}{1000}/", "10: the regular expression is too large"),
        ("url.path:/api/", r#"9: /api/ is a regular expression without special characters; write "/api/" for"#),
        ("url.path:/a OR url.path:/", "9: a regular expression with a space"),
        ("user.name:", "0: user.name has no value; write user.name:*"),
        ("user.name: AND b", "11: AND stands where a value should"),
        ("(a OR b", "0: this ( is never closed"),
        ("a b)", "3: this ) closes nothing"),
        ("a ()", "2: there is nothing between these parentheses"),
        ("a AND", "2: AND needs a condition behind it"),
        ("OR b", "0: OR needs a condition before it"),
        ("a AND OR b", "6: OR stands where a condition should"),
        ("NOT", "0: there is nothing behind this sign"),
        ("a or b", r#"2: "or" in small letters is no operator; write OR, or "or" in quotes"#),
        ("status:(success or failure)", r#"16: "or" in small letters"#),
        ("status:(success failure)", "16: status has one value and cannot be both; write OR"),
        ("status:(user.name:x)", "8: a field within the values of status"),
        (r#"a "b c"#, "2: the quotation mark is never closed"),
        (r"a\", r"1: there is nothing behind this \"),
        ("admn~", "0: similar words"),
        ("admn~2", "0: similar words"),
        (r#""a b"~5"#, "5: similar words"),
        ("[1 TO 5]", "0: a range needs a field"),
        (">=5", "0: a range needs a field"),
        ("--- a", r#"2: "-" has no letter"#),
        (":x", "0: something is missing here"),
        ("a.*.b", r#"0: the pattern "a.*.b" runs over several words"#),
        ("_exists_:usr", r#"9: there is no field "usr""#),
        ("*:x", "0: *: stands before * only"),
        ("user.name:~", "10: the part to look for is empty"),
    ] {
        let answer = read(text);
        let (message, hint) = answer.split_once("; ").unwrap_or_default();
        if !answer.starts_with(error) || hint.is_empty() || message.ends_with('.') {
            wrong.push(format!("{text}\n   is: {answer}\n want: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn size_and_depth_are_bounded() {
    let error = |text: &str| read(text).split("; ").next().unwrap_or_default().to_owned();
    assert_eq!(error(&"ü".repeat(QUERY_BYTES_MAX / 2 + 1)), "4096: a query of more than 8192 bytes");
    assert_eq!(error(&"(".repeat(QUERY_BYTES_MAX)), format!("{DEPTH_MAX}: more than {DEPTH_MAX} parentheses within each other"));
    assert_eq!(error(&"a ".repeat(CLAUSES_MAX + 1)), format!("{}: more than {CLAUSES_MAX} conditions", 2 * CLAUSES_MAX));
    assert_eq!(read(&"a ".repeat(CLAUSES_MAX)), "a");
    assert_eq!(read(&format!("{}a", "!".repeat(8_000))), "a");
    assert_eq!(read(&format!("{}a{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX))), "a");
    assert_eq!(read(&format!("user.name:{}a{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1))), "actor.user.name:a");
    assert_eq!(error(&format!("user.name:*{}*", "a".repeat(600))), "10: a pattern of more than 512 bytes");
}

#[test]
fn time_bounds_and_columns_are_what_the_lake_may_rely_on() {
    let bounds = |text: &str| parse(text, now()).unwrap().time_bounds();
    let at = |text: &str| Timestamp::parse(text);
    let day = TimeBounds { from: at("2026-11-20T00:00:00Z"), to: at("2026-11-21T00:00:00Z") };
    assert_eq!(bounds("time:2026-11-20 alice"), day);
    assert_eq!(bounds("time:>=2026-11-20 time:<2026-11-21"), day);
    assert_eq!(bounds("time:[2026-11-20 TO 2026-11-20T10] OR time:[2026-11-20T09 TO 2026-11-20]"), day);
    assert_eq!(bounds("time:2026-11-20 OR alice"), TimeBounds::default());
    assert_eq!(bounds("NOT time:2026-11-20"), TimeBounds::default());
    assert_eq!(bounds("event.ingested:2026-11-20"), TimeBounds::default());
    assert!(bounds("time:2026-11-20 time:2026-11-21").is_empty());
    assert_eq!(bounds("time:now"), TimeBounds { from: Some(now()), to: Some(Timestamp(now().0 + 1)) });
    let columns: Vec<_> = parse("a user.name:b (status:Failure OR NOT user.name:c)", now()).unwrap().columns().iter().map(|c| c.path).collect();
    assert_eq!(columns, ["raw_data", "actor.user.name", "status"]);
}

#[test]
fn elasticsearchs_dialect_has_optional_clauses() {
    let dialect = Dialect { or: true, lower_case_words: true, fields: Vec::new() };
    for (text, normal) in [
        ("a b", "a OR b"),
        ("a AND b c", "a AND b OR c"),
        ("+a b", "a"),
        ("a -b", "NOT b AND a"),
        ("a NOT b c", "NOT b AND (a OR c)"),
        ("a OR NOT b", "a OR NOT b"),
        ("-a", "NOT a"),
        ("status:(success failure)", "status:(Success OR Failure)"),
        ("this and that", "this OR and OR that"),
    ] {
        assert_eq!(read_as(text, &dialect).replace(r#""and""#, "and"), normal, "{text}");
    }
    let fields = Dialect { fields: vec![event::column("user.name").unwrap(), event::column("http_response.code").unwrap()], ..dialect };
    assert_eq!(read_as("alice", &fields), "actor.user.name:alice");
    assert_eq!(read_as("404", &fields), "actor.user.name:404 OR http_response.code:404");
}

/// Queries made of pieces that mean something, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("AND"), Just("OR"), Just("NOT "), Just("("), Just(")"), Just(" "), Just("-"), Just("+"), Just("!"), Just("&&"), Just("||"),
        Just("user.name:"), Just("source.ip:"), Just("time:"), Just("status:"), Just("http_response.code:"), Just("message:"), Just("rule.id:"),
        Just("severity:"), Just("_exists_:"), Just("*"), Just("?"), Just("alice"), Just("Failure"), Just("404"), Just("10.0.0.0/8"), Just("2001:db8::1"),
        Just("now-1h"), Just("2026-11-20"), Just("[1 TO 5]"), Just(">=5"), Just(">=high"), Just("\"a b\""), Just("\""), Just("\\"), Just("/"), Just("/a.b/"),
        Just("~"), Just("^2"), Just("["), Just("]"), Just("{"), Just("İ"), Just("ß"), Just(":"),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|p| p.concat())
}

/// Queries that are understood.
fn valid() -> impl Strategy<Value = String> {
    let text = "[a-zA-Z0-9 İü*?:/()\"\\\\~^-]{1,8}";
    let quote = |t: String| format!("\"{}\"", t.replace('\\', "\\\\").replace('"', "\\\""));
    let leaf = prop_oneof![
        text.prop_map(move |t| format!("user.name:{}", quote(t))),
        text.prop_map(move |t| format!("rule.id:~{}", quote(t))),
        "[a-z*?]{1,6}[a-z][*?]?".prop_map(|t| format!("url.path:{t}")),
        "[a-zA-ZİΣ]{1,6}[*]?".prop_map(|t| format!("\\{t}")),
        "[a-zA-Z]{1,6} [a-z]{1,5}".prop_map(|t| format!("message:\"{t}\"")),
        (0..600i64, 0..600i64).prop_map(|(a, b)| format!("http_response.code:[{a} TO {b}}}")),
        (-600..600i64).prop_map(|a| format!("http_response.code:{a}")),
        any::<[u8; 4]>().prop_map(|a| format!("source.ip:{}", std::net::Ipv4Addr::from(a))),
        (any::<[u8; 16]>(), 0..=128u8).prop_map(|(a, n)| format!("destination.ip:{}/{n}", std::net::Ipv6Addr::from(a))),
        (0..4_000_000_000_000_000i64).prop_map(|t| format!("time:>{}", Timestamp(t))),
        (-90.0..90.0f64).prop_map(|t| format!("source.geo.location.lat:<={t}")),
        Just("severity:>=high".to_owned()),
        Just("user.name:*".to_owned()),
        Just(r"url.path:/\/a[^\/ü]+(b|c)/".to_owned()),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} OR {b} AND {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("NOT ({a} || {b})")),
            inner.prop_map(|a| format!("-{a}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn nothing_panics_and_the_normal_form_stays(text in prop_oneof!["\\PC{0,60}", pieces()]) {
        if let Ok(expr) = parse(&text, now()) {
            let normal = expr.to_string();
            prop_assert_eq!(parse(&normal, now()), Ok(expr.clone()), "{}", normal);
        } else {
            prop_assert!(parse(&text, now()).unwrap_err().column <= text.chars().count());
        }
        let _ = parse_as(&text, now(), &Dialect { or: true, lower_case_words: true, fields: Vec::new() });
    }

    #[test]
    fn what_is_understood_is_read_again_from_its_normal_form(text in valid()) {
        let expr = parse(&text, now()).map_err(|e| TestCaseError::fail(format!("{text}: {e:?}")))?;
        let normal = expr.to_string();
        prop_assert_eq!(parse(&normal, now()), Ok(expr.clone()), "{}", normal);
        prop_assert_eq!(expr.clone().simplify(), expr);
    }
}
