use super::*;
use crate::Inspector;
use std::sync::LazyLock;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(Inspector::default);
const INJECTION: &str = "/search?q=1'+or+'1'='1";

fn guard(json: &str) -> Guard {
    Guard::new(&serde_json::from_str(json).unwrap()).unwrap()
}

fn get(target: &str) -> Transaction {
    Transaction { method: "GET".into(), target: target.into(), headers: vec![("Host".into(), "shop.example".into())], ..Transaction::default() }
}

fn at(guard: &Guard, target: &str, ip: &str, route: Option<&str>, secs: i64) -> Action {
    let request = get(target);
    let client = Client { ip: ip.parse().unwrap(), route, now: Timestamp::from_secs(secs) };
    guard.decide(&request, &INSPECTOR.inspect(&request), client)
}

fn outcome(guard: &Guard, target: &str) -> Outcome {
    at(guard, target, "192.0.2.1", None, 0).outcome
}

#[test]
fn a_profile_reads_and_writes_the_agreed_json() {
    let text = r#"{"version":7,"mode":"protection","fail":"closed","timeout_ms":100,"threshold":0.6,"classes":{"sqli":{"enabled":true,"threshold":0.7},"xss":{"enabled":false}},
        "routes":[{"path":"/admin/**","mode":"monitor"}],"exclusions":[{"route":"/search","location":"query:q","class":"sqli"}],"trusted_proxies":["10.0.0.0/8"],
        "rate_limit":{"requests":10,"per_secs":5},"secure_headers":{"X-Frame-Options":"SAMEORIGIN"},"redact":["password"],"body_max":1000,
        "bans":[{"cidr":"192.0.2.0/24","until":"2026-01-01T00:00:00Z","reason":"scan"},{"cidr":"2001:db8::/32","until":null,"reason":""}],
        "block":{"status":451,"body":"no"},"virtual_patches":"","of_a_later_version":{"x":1}}"#;
    let profile: Profile = serde_json::from_str(text).unwrap();
    assert_eq!((profile.version, profile.fail, profile.block.status, profile.rate_limit.requests), (7, Fail::Closed, 451, 10));
    assert_eq!(profile.classes["xss"], ClassRule { enabled: false, threshold: None });
    let again: Profile = serde_json::from_str(&serde_json::to_string(&profile).unwrap()).unwrap();
    assert_eq!(again, profile);
    let empty: Profile = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, Profile::default());
    assert_eq!((empty.mode, empty.fail, empty.timeout_ms, empty.body_max, empty.block.status), (Mode::Monitor, Fail::Open, 250, 131_072, 403));
    assert!(Guard::new(&empty).is_ok() && Guard::new(&profile).is_ok());
}

#[test]
fn each_mode_does_what_it_says() {
    for (mode, verdict, expected) in [("off", Decision::Allow, Outcome::Allow), ("lite", Decision::Attack, Outcome::Allow), ("monitor", Decision::Attack, Outcome::Allow), ("protection", Decision::Attack, Outcome::Block)] {
        let guard = guard(&format!(r#"{{"mode":"{mode}"}}"#));
        let action = at(&guard, INJECTION, "192.0.2.1", None, 0);
        assert_eq!((action.verdict, action.outcome), (verdict, expected), "{mode}");
        assert_eq!(action.reasons.is_empty(), verdict == Decision::Allow, "{:?}", action.reasons);
        assert_eq!(outcome(&guard, "/search?q=shoes"), Outcome::Allow);
    }
}

#[test]
fn routes_have_their_own_mode_and_no_spelling_escapes_it() {
    let guard = guard(r#"{"mode":"protection","routes":[{"path":"/admin/**","mode":"protection"},{"path":"/api/v*/docs/**","mode":"monitor"},{"path":"/**","mode":"monitor"}]}"#);
    assert_eq!(guard.mode("/admin/x", None), Mode::Protection);
    assert_eq!(guard.mode("/shop", None), Mode::Monitor);
    for trick in ["/shop/../admin/x", "/%61dmin/x", "//admin/x", "/shop/..;/admin/x", "http://h/admin/x?y"] {
        assert_eq!(guard.mode(trick, None), Mode::Protection, "{trick}");
    }
    let loose = super::tests::guard(r#"{"mode":"protection","routes":[{"path":"/public/**","mode":"off"},{"path":"/items/*","mode":"monitor"}]}"#);
    assert_eq!(loose.mode("/public/a", None), Mode::Off);
    assert_eq!(loose.mode("/public/../login", None), Mode::Protection);
    assert_eq!(loose.mode("/x/../public/a", None), Mode::Protection);
    assert_eq!(loose.mode("/whatever", Some("/items/{id}")), Mode::Monitor);
}

#[test]
fn exclusions_take_only_what_they_name() {
    let guard = guard(r#"{"mode":"protection","exclusions":[{"route":"/search","location":"query:q","class":"sqli"},{"location":"body:json:$.content*"},{"class":"scanner"}]}"#);
    assert_eq!(outcome(&guard, INJECTION), Outcome::Allow);
    assert_eq!(at(&guard, INJECTION, "192.0.2.1", None, 0).verdict, Decision::Allow);
    for target in ["/search?other=1'+or+'1'='1", "/find?q=1'+or+'1'='1", "/find/../search?q=1'+or+'1'='1", "/search?q=%3Cscript%3Ealert(1)%3C/script%3E"] {
        assert_eq!(outcome(&guard, target), Outcome::Block, "{target}");
    }
    let mut post = get("/posts");
    post.method = "POST".into();
    post.body = br#"{"content":{"html":"<script>alert(1)</script>"}}"#.to_vec();
    let client = Client { ip: "192.0.2.1".parse().unwrap(), route: None, now: Timestamp::from_secs(0) };
    assert_eq!(guard.decide(&post, &INSPECTOR.inspect(&post), client).outcome, Outcome::Allow);
    post.body = br#"{"title":"<script>alert(1)</script>"}"#.to_vec();
    assert_eq!(guard.decide(&post, &INSPECTOR.inspect(&post), client).outcome, Outcome::Block);
}

#[test]
fn a_flood_of_excluded_findings_hides_nothing() {
    let guard = guard(r#"{"mode":"protection","exclusions":[{"location":"query:a*"}]}"#);
    let few: String = (0..5).map(|i| format!("a{i}=<script>alert(1)</script>&")).collect();
    assert_eq!(outcome(&guard, &format!("/?{few}")), Outcome::Allow);
    let many: String = (0..100).map(|i| format!("a{i}=<script>alert(1)</script>&")).collect();
    assert_eq!(outcome(&guard, &format!("/?{many}z=1'+or+'1'='1")), Outcome::Block);
}

#[test]
fn thresholds_are_by_class() {
    let weak = Verdict { findings: vec![Finding { analyser: "x", class: Class::Xss, location: "query:q".into(), chain: vec![], value: String::new(), score: 0.6, cwe: "", technique: "", why: "w".into() }], ..Verdict::default() };
    let client = Client { ip: "192.0.2.1".parse().unwrap(), route: None, now: Timestamp::from_secs(0) };
    for (classes, expected) in [("{}", Decision::Attack), (r#"{"xss":{"threshold":0.7}}"#, Decision::Allow), (r#"{"xss":{"enabled":false}}"#, Decision::Allow), (r#"{"sqli":{"threshold":0.9},"newer":{}}"#, Decision::Attack)] {
        let guard = guard(&format!(r#"{{"mode":"protection","classes":{classes}}}"#));
        assert_eq!(guard.decide(&get("/"), &weak, client).verdict, expected, "{classes}");
        assert_eq!(guard.notes().len(), usize::from(classes.contains("newer")));
    }
    let strict = super::tests::guard(r#"{"mode":"protection","threshold":0.7}"#);
    assert_eq!(strict.decide(&get("/"), &weak, client).score, 0.6);
}

#[test]
fn bans_hold_until_they_end() {
    let guard = guard(r#"{"mode":"protection","bans":[{"cidr":"192.0.2.0/24","until":"1970-01-01T00:01:40Z","reason":"scanner"},{"cidr":"192.0.2.9","reason":"for ever"},{"cidr":"2001:db8::/48"},
        {"cidr":"198.51.100.1","until":"1970-01-01T00:00:10Z"},{"cidr":"198.51.100.1","until":"1970-01-01T00:00:20Z"},{"cidr":"198.51.100.1","until":"1970-01-01T00:00:05Z"}]}"#);
    for (ip, secs, banned) in [("192.0.2.1", 99, true), ("192.0.2.1", 100, false), ("192.0.2.9", 1_000, true), ("192.0.3.1", 0, false), ("2001:db8::5", 5, true), ("2001:db9::5", 5, false), ("::ffff:192.0.2.1", 5, true), ("198.51.100.1", 15, true), ("198.51.100.1", 25, false)] {
        let action = at(&guard, "/", ip, None, secs);
        assert_eq!((action.banned, action.outcome == Outcome::Block, action.verdict), (banned, banned, Decision::Allow), "{ip} {secs}");
    }
    let monitor = super::tests::guard(r#"{"bans":[{"cidr":"192.0.2.1"}]}"#);
    let action = at(&monitor, "/", "192.0.2.1", None, 0);
    assert_eq!((action.banned, action.outcome), (true, Outcome::Allow));
}

#[test]
fn the_client_is_the_last_address_that_a_trusted_proxy_wrote() {
    let guard = guard(r#"{"trusted_proxies":["10.0.0.0/8","2001:db8::1"]}"#);
    let client = |peer: &str, lines: &[&str]| {
        let headers: Vec<(String, String)> = lines.iter().map(|l| ("X-Forwarded-For".to_owned(), (*l).to_owned())).collect();
        guard.client_ip(peer.parse().unwrap(), &headers).to_string()
    };
    assert_eq!(client("203.0.113.5", &["1.1.1.1"]), "203.0.113.5");
    assert_eq!(client("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
    assert_eq!(client("10.0.0.1", &["9.9.9.9, 1.1.1.1, 10.2.2.2"]), "1.1.1.1");
    assert_eq!(client("10.0.0.1", &["9.9.9.9", "1.1.1.1", "10.2.2.2"]), "1.1.1.1");
    assert_eq!(client("10.0.0.1", &["10.3.3.3, 10.2.2.2"]), "10.3.3.3");
    assert_eq!(client("10.0.0.1", &["9.9.9.9, unknown, 10.2.2.2"]), "10.2.2.2");
    assert_eq!(client("10.0.0.1", &["1.1.1.1:4711"]), "1.1.1.1");
    assert_eq!(client("::ffff:10.0.0.1", &["\"[2001:db8::7]:443\""]), "2001:db8::7");
    assert_eq!(client("2001:db8::1", &[]), "2001:db8::1");
}

#[test]
fn what_is_wrong_in_a_profile_is_told() {
    for (json, part) in [
        (r#"{"bans":[{"cidr":"300.1.1.1"}]}"#, "bans: \"300.1.1.1\" is no network"),
        (r#"{"bans":[{"cidr":"0.0.0.0/0"}]}"#, "would ban everybody"),
        (r#"{"bans":[{"cidr":"1.1.1.1","until":"tomorrow"}]}"#, "until is \"tomorrow\""),
        (r#"{"trusted_proxies":["proxy"]}"#, "trusted_proxies: \"proxy\""),
        (r#"{"routes":[{"path":"admin","mode":"off"}]}"#, "routes: \"admin\" is no path pattern"),
        (r#"{"exclusions":[{"route":"/x","location":"*"}]}"#, "the one at 0 would set aside every finding"),
        (r#"{"threshold":0}"#, "threshold: a threshold is above 0"),
        (r#"{"classes":{"xss":{"threshold":2}}}"#, "xss: a threshold"),
        (r#"{"secure_headers":{"A":"b\r\nSet-Cookie: c"}}"#, "\"A\" cannot be sent"),
        (r#"{"block":{"status":99}}"#, "status 99"),
    ] {
        let error = Guard::new(&serde_json::from_str(json).unwrap()).unwrap_err().to_string();
        assert!(error.contains(part), "{json}: {error}");
    }
    let profile = Profile { redact: vec![String::new(); redact::NAMES_MAX + 1], ..Profile::default() };
    assert!(matches!(Guard::new(&profile), Err(GuardError::TooMany { member: "redact", .. })));
}

#[test]
fn the_answer_is_the_agreed_json() {
    let guard = guard(r#"{"mode":"protection","version":3}"#);
    let request = get(INJECTION);
    let verdict = INSPECTOR.inspect(&request);
    let client = Client { ip: "192.0.2.1".parse().unwrap(), route: None, now: Timestamp::from_secs(0) };
    let answer = crate::wire::Answer::new("r1", &verdict, &guard.decide(&request, &verdict, client), 3);
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!((&json["id"], &json["verdict"], &json["action"], &json["profile_version"], &json["banned"], &json["mode"]), (&"r1".into(), &"attack".into(), &"block".into(), &3.into(), &false.into(), &"protection".into()));
    assert!(json["classes"]["sqli"].as_f64().unwrap() > 0.5);
    for member in ["analyser", "class", "location", "chain", "value", "score", "cwe", "technique", "why"] {
        assert!(!json["findings"][0][member].is_null(), "{member}");
    }
    let again: crate::wire::Answer = serde_json::from_value(json).unwrap();
    assert_eq!(again, answer);
}

#[test]
fn what_agents_describe_instead_of_sending_is_judged() {
    let mut request = get("/upload");
    request.files = vec![crate::UploadedFile { name: "cat.png".into(), content_type: "image/png".into(), magic: "7f454c460201010000".into(), ..Default::default() }];
    request.body_truncated = true;
    let verdict = INSPECTOR.inspect(&request);
    assert_eq!(verdict.verdict, Decision::Attack, "{verdict:?}");
    assert_eq!(verdict.truncated, ["body: its sender sent only the beginning"]);
    request.files[0].magic = "89504e470d0a1a0a".into();
    assert_eq!(INSPECTOR.inspect(&request).verdict, Decision::Allow);
}

#[test]
fn virtual_patches_of_a_profile_are_in_force() {
    let yaml = "- {id: p1, title: Old export, path: /export/**, cases: {match: [{uri: /export/a}], pass: [{uri: /exports}]}}\n- {id: p2, title: Watched, path: /old, action: log, cases: {match: [{uri: /old}]}}\n";
    let of = |mode| Guard::new(&Profile { mode, virtual_patches: yaml.to_owned(), ..Profile::default() }).unwrap();
    let blocked = at(&of(Mode::Protection), "/%65xport/x", "192.0.2.1", None, 0);
    assert_eq!((blocked.outcome, blocked.verdict, blocked.patches.as_slice()), (Outcome::Block, Decision::Attack, &["p1".to_owned()][..]));
    assert_eq!(blocked.reasons, ["virtual patch p1: Old export"]);
    assert_eq!(at(&of(Mode::Monitor), "/export/x", "192.0.2.1", None, 0).outcome, Outcome::Allow);
    let logged = at(&of(Mode::Protection), "/old", "192.0.2.1", None, 0);
    assert_eq!((logged.outcome, logged.patches.len()), (Outcome::Allow, 1));
    let broken = Guard::new(&Profile { virtual_patches: "- id: a\n  titel: b\n".to_owned(), ..Profile::default() }).unwrap_err().to_string();
    assert!(broken.starts_with("virtual_patches: line 2: "), "{broken}");
}
