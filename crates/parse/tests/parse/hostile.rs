//! Bytes that are meant to break a parser. Nothing panics, nothing is lost, and each is flagged as it should be.

use super::*;
use event::Value;
use proptest::prelude::*;
use std::time::Instant;

#[track_caller]
fn codes(body: &[u8], format: Option<Format>) -> Vec<&'static str> {
    let events = check_nothing_lost(body, format);
    let mut codes: Vec<&str> = events.iter().flat_map(|e| e.issues.iter().map(|i| i.code)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// What no event holds is blank, or the brackets, commas and frame lengths around entries.
#[track_caller]
fn check_nothing_lost(body: &[u8], format: Option<Format>) -> Vec<Event> {
    let record = record(body, format, "test");
    let mut events = Vec::new();
    parse::parse(&record, 7, &mut events);
    if matches!(body, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        return events; // Converted from UTF-16: raw is not part of the body.
    }
    let mut at = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    for event in &events {
        let start = event.raw.as_ptr() as usize - record.body.as_ptr() as usize;
        check_between(&body[at..start]);
        at = start + event.raw.len();
    }
    check_between(&body[at..]);
    events
}

#[track_caller]
fn check_between(gap: &[u8]) {
    let text = String::from_utf8_lossy(gap).replace("\"Records\"", "");
    let rest = text.trim_matches(|c: char| c.is_ascii_whitespace() || "\u{b}[]{},: ".contains(c) || c.is_ascii_digit());
    assert_eq!(rest, "", "lost bytes");
}

#[test]
fn the_json_row_of_the_trust_table() {
    let with = |member: &str| format!(r#"{{"@timestamp":"2026-11-20T10:00:00Z",{member}}}"#).into_bytes();
    assert_eq!(codes(&with(r#""a":1,"a":2"#), None), ["duplicate_key"]);
    assert_eq!(codes(&with(r#""a":1234567890123456789012345678901234567890"#), None), ["number_range"]);
    assert_eq!(codes(&with(r#""a":1e400"#), None), ["number_range"]);
    assert_eq!(codes(&with("\"a\":\"\0\""), None), ["invalid_json"]);
    assert_eq!(codes(&with(r#""a":"\u0000""#), None), [""; 0]);
    assert_eq!(codes(&with(r#""a":"\ud800""#), None), ["invalid_json"]);
    assert_eq!(codes(&with("\"a\":\"\u{202e}\""), None), [""; 0]);
    assert_eq!(codes(b"{\"@timestamp\":\"2026-11-20T10:00:00Z\",\"a\":\"\xff\"}", None), ["invalid_utf8"]);
    assert_eq!(codes(&with(&format!("\"a\":{}{}", "[".repeat(100_000), "]".repeat(100_000))), None), ["too_deep"]);
    assert_eq!(codes("[".repeat(100_000).as_bytes(), None), ["too_deep"]);
    assert_eq!(codes("[{".repeat(100_000).as_bytes(), None), ["invalid_json"]);
    assert_eq!(codes("{\"a\":".repeat(100_000).as_bytes(), None), ["too_deep"]);
    let members: Vec<String> = (0..100_000).map(|i| format!("\"{i}\":1")).collect();
    assert_eq!(codes(&with(&members.join(",")), None), ["too_many_members"]);
    let members: Vec<String> = (0..110_000).map(|i| format!("\"{i}\":1")).collect();
    assert_eq!(codes(&with(&members.join(",")), None), ["line_too_long"]);
    assert_eq!(codes(b"\xef\xbb\xbf{\"@timestamp\":\"2026-11-20T10:00:00Z\"}", None), [""; 0]);
    let wide: Vec<u8> = "\u{feff}{\"@timestamp\":\"2026-11-20T10:00:00Z\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(codes(&wide, None), ["utf16"]);
    assert_eq!(codes(b"[1,2]\n", None), ["not_an_object"]);
    assert_eq!(codes(b"{\"a\":1}", None), ["bad_time"]);
    assert_eq!(codes(br#"{"@timestamp":"yesterday"}"#, None), ["bad_time"]);
    assert_eq!(codes(br#"{"@timestamp":"2027-01-01T00:00:00Z"}"#, None), ["future_time"]);
}

#[test]
fn what_does_not_fit_its_stated_format_is_kept() {
    assert_eq!(codes(b"hello", Some(Format::Cloudtrail)), ["invalid_json"]);
    assert_eq!(codes(b"{oops}", Some(Format::AppLog)), ["invalid_json"]);
    assert_eq!(codes(br#"{"time":"2026-11-20T10:00:00Z"}"#, Some(Format::AppLog)), ["format_mismatch"]);
    assert_eq!(codes(b"hello\n{}", Some(Format::AccessLog)), ["bad_line"]);
    assert_eq!(codes(b"hello", Some(Format::AuthLog)), ["bad_line"]);
    assert_eq!(codes(b"type=SYSCALL msg=audit(1", Some(Format::Auditd)), ["bad_line"]);
    assert_eq!(codes(b"type=CWD msg=audit(): cwd=\"/\"", None), ["bad_time"]);
    assert_eq!(codes(b"hello\xff", None), ["invalid_utf8", "unrecognised"]);
    assert_eq!(codes(b"hello", Some(Format::Raw)), [""; 0]);
    assert_eq!(codes(b"{}", Some(Format::Raw)), [""; 0]);
}

#[test]
fn one_bad_byte_does_not_hide_an_event() {
    let event = &parse_as(b"Nov 20 10:00:00 vm sshd[1]: Invalid user \xff\xfe from 203.0.113.9 port 5", None)[0];
    assert_eq!(event.ocsf.src.ip.as_deref(), Some("203.0.113.9"));
    let event = &parse_as(b"{\"@timestamp\":\"2026-11-20T10:00:00Z\",\"src_ip\":\"203.0.113.9\",\"x\":\"\xff\"}", None)[0];
    assert_eq!(event.ocsf.src.ip.as_deref(), Some("203.0.113.9"));
    assert!(event.raw.contains(&0xFF), "raw is untouched");
}

#[test]
fn huge_and_repetitive_bodies_take_linear_time() {
    let megabytes = 2;
    let size = megabytes << 20;
    let shapes: [(&str, &[u8]); 12] = [
        ("open objects", b"{\n"),
        ("open arrays", b"[{\n"),
        ("open strings", b"{\"a\":\"\n"),
        ("balanced but wrong", b"{\nx\n}\n"),
        ("objects on one line", b"{}"),
        ("brackets on one line", b"[{"),
        ("closing brackets", b"]}\n"),
        ("frames that lie", b"99999 <1>x\n"),
        ("frames on one line", b"5 <1>ab"),
        ("spaces", b" "),
        ("percent", b"1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /%25%25%25 HTTP/1.1\" 200 1\n"),
        ("brackets in text", b" [1 [2"),
    ];
    for (name, shape) in shapes {
        let body = shape.repeat(size / shape.len());
        let start = Instant::now();
        let count = parse::events(&record(&body, None, "test"), 0).count();
        let took = start.elapsed();
        println!("{name}: {count} events took {took:?}");
        // Quadratic work on 2 MB takes many minutes; a slow, loaded machine takes seconds.
        assert!(took.as_secs() < 30, "{name}: {count} events took {took:?}");
    }
}

/// Lines just short of the limit, made of what each reader searches for.
#[test]
fn long_lines_take_linear_time() {
    let shapes: [(&str, &str, &str, &str); 16] = [
        ("times", "a] \" [1", " [1", ""),
        ("quotes", "1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /", "\" \"", ""),
        ("escapes", "1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /", "\\x22", "\" 200 1"),
        ("percent signs", "1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /", "%25", "\" 200 1"),
        ("extra fields", "1.2.3.4 - - [20/Nov/2026:10:00:00 +0000] \"GET /\" 200 1", " x", ""),
        ("requests", "{\"service\":1,\"status_code\":1,\"message\":\"", "XGET / ", "\"}"),
        ("addresses", "{\"service\":1,\"status_code\":1,\"message\":\"", "a1.2.3.4 ::", "\"}"),
        ("froms", "Nov 20 10:00:00 vm sshd[1]: Failed password for a", " from b", ""),
        ("ports", "Nov 20 10:00:00 vm sshd[1]: Disconnected from user a", " port b", ""),
        ("semicolons", "Nov 20 10:00:00 vm sudo: a : ", "TTY=x ; ", ""),
        ("pairs", "Nov 20 10:00:00 vm su: pam_unix(su:auth): authentication failure; ", "tty=a ", ""),
        ("parameters", "<13>1 - - - - - [a", " b=\"c\"", "] x"),
        ("elements", "<13>1 - - - - - ", "[a]", " x"),
        ("windows fields", "{\"EventID\":1,\"Channel\":\"x\",\"EventData\":{\"Data\":[", "{\"@Name\":\"n\",\"#text\":1},", "1]}}"),
        ("flat windows fields", "{\"winlog\":{\"event_id\":1},\"a\":{\"b\":[", "1,", "1]}}"),
        ("user agent", "{\"user_agent\":\"", "nikto bot ", "\"}"),
    ];
    let (enricher, _) = parse::enrich::Enricher::new(Default::default());
    for (name, before, piece, after) in shapes {
        // The JSON shapes stay below the most members that are read.
        let times = ((1 << 20) - before.len() - after.len()) / piece.len();
        let times = if name.contains("windows") { times.min(16_000) } else { times };
        let body = format!("{before}{}{after}", piece.repeat(times));
        let start = Instant::now();
        for event in &mut parse_text(&body) {
            enricher.enrich(event);
        }
        let took = start.elapsed();
        println!("{name}: {took:?}");
        assert!(took.as_secs() < 5, "{name}: {took:?}");
    }
}

#[test]
fn a_line_of_many_megabytes_is_kept_whole() {
    let body = "x".repeat(32 << 20);
    let events = parse_text(&body);
    assert_eq!((events.len(), events[0].raw.len(), events[0].issues[0].code), (1, 32 << 20, "line_too_long"));
    assert!(events[0].ocsf.message.as_ref().unwrap().len() <= 4096);
}

#[test]
fn json_test_suite() {
    let Some(root) = shared_root() else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("trust/JSONTestSuite/test_parsing")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let body = std::fs::read(&path).unwrap();
        for format in [None].into_iter().chain(Format::ALL.map(Some)) {
            let events = check_nothing_lost(&body, format);
            let object = body.trim_ascii().starts_with(b"{");
            if name.starts_with("n_object") && format.is_none() && object {
                assert!(events.iter().any(|e| !e.issues.is_empty()), "{name} is not flagged");
            }
            if name.starts_with("y_object") && format.is_none() {
                assert!(events.iter().all(|e| e.format == Format::Json), "{name} is not read");
            }
        }
        count += 1;
    }
    assert!(count > 300, "only {count} files");
}

#[test]
fn naughty_strings_survive_in_every_format() {
    let Some(list) = shared("trust/blns/blns.json") else { return };
    let strings: Vec<String> = serde_json::from_slice(&list).unwrap();
    assert!(strings.len() > 400);
    for text in &strings {
        for format in [None].into_iter().chain(Format::ALL.map(Some)) {
            check_nothing_lost(text.as_bytes(), format);
        }
        let quoted = serde_json::to_string(text).unwrap();
        let body = format!(r#"{{"service":"s","status_code":200,"message":{quoted},"timestamp":"2026-11-20T10:00:00Z"}}"#);
        let event = &parse_text(&body)[0];
        assert_eq!(event.ocsf.message.as_deref(), Some(text.as_str()));
        assert_eq!(event.native.get("message").and_then(Value::as_str), Some(text.as_str()));
    }
}

#[test]
fn wire_captures_of_syslog_senders() {
    let Some(root) = shared_root() else { return };
    for name in ["0009-udp41514", "0018-udp41514", "0019-udp41514", "0020-tcp41601", "0021-tcp41601", "0022-tcp41601", "0024-udp41514", "0025-udp41514", "0026-tcp41601"] {
        let body = std::fs::read(root.join("../contracts/wire").join(format!("{name}.body"))).unwrap();
        let events = parse_as(&body, None);
        assert_eq!(events.len(), if name.starts_with("0026") { 2 } else { 1 }, "{name}");
        for event in &events {
            assert_eq!((event.format, &event.issues[..]), (Format::AuthLog, &[][..]), "{name}");
            assert_eq!(event.ocsf.device_hostname.as_deref(), Some("vm"), "{name}");
        }
    }
}

/// Bytes made of the pieces that the parsers look for, so that chance finds their corners.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"{", b"}", b"[", b"]", b"\"", b"\\", b",", b":", b"\n", b"\r\n", b" ", b"\0", b"\xff", "\u{feff}é".as_bytes(),
        b"{\"Records\":[", b"{\"a\":1}", b"\"eventName\":\"x\"", b"5 <1>", b"<13>1 ", b"<13>", b"Nov 20 10:00:00 vm ",
        b"2026-11-20T10:00:00Z ", b"sshd[1]: ", b"Failed password for ", b"type=EXECVE msg=audit(1:2): ", b"type=PATH msg=audit(1:2): ", b"a1[0]=", b"msg='", b"name=", b" from ", b"1.2.3.4", b" port 22", b"::1",
        b" - - [20/Nov/2026:10:00:00 +0000] \"GET /", b" HTTP/1.1\" 200 5", b"%", b"%2e", b"sudo: a : ", b"COMMAND=",
        b"message repeated 2 times: [ ", b"[id k=\"v\"]", b"pam_unix(x:y): ", b"session opened for user ", b"(uid=0)",
        b"POSSIBLE BREAK-IN ATTEMPT", b"Disconnected from user ", b"drop connection #1 from [", b"new user: name=",
        b"add 'x' to ", b"PAM: ", b" for ", b"[preauth]", b" not allowed because ", b"-", b"1",
    ];
    let piece = prop_oneof![4 => prop::sample::select(PIECES).prop_map(<[u8]>::to_vec), 1 => prop::collection::vec(any::<u8>(), 0..6)];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_become_events_and_none_are_lost(body in pieces(), format in prop::option::of(prop::sample::select(&Format::ALL[..]))) {
        let (enricher, _) = parse::enrich::Enricher::new(Default::default());
        let mut events = check_nothing_lost(&body, format);
        for (index, event) in events.iter_mut().enumerate() {
            prop_assert_eq!(event.position.index as usize, index);
            prop_assert!(!event.uid.is_empty());
            enricher.enrich(event);
            event.to_json();
        }
        prop_assert_eq!(parse_as(&body, format).len(), events.len());
    }
}
