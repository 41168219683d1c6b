//! One or more inputs per format, and all that is read out of them.

use super::*;
use expect_test::{Expect, expect};

#[track_caller]
fn check(body: &str, want: Expect) {
    let events = parse_text(body);
    want.assert_eq(&events.iter().map(columns).collect::<Vec<_>>().join("\n"));
}

fn example(format: Format) -> &'static str {
    parse::FORMATS.iter().find(|spec| spec.format == format).unwrap().example
}

/// Only some native fields of the first event, each on a line.
#[track_caller]
fn check_native(body: &str, names: &[&str], want: Expect) {
    let events = parse_text(body);
    let text: String = names
        .iter()
        .map(|name| format!("{name}={}\n", serde_json::to_string(&events[0].native.get(name)).unwrap()))
        .collect();
    want.assert_eq(&text);
}

#[test]
fn every_example_is_recognised_and_read_cleanly() {
    for spec in parse::FORMATS {
        let events = parse_text(spec.example);
        assert_eq!(events.len(), 1, "{}", spec.format);
        assert_eq!(events[0].format, spec.format);
        let clean = spec.format == Format::Raw || events[0].issues.is_empty();
        assert!(clean, "{}: {:?}", spec.format, events[0].issues);
        let stated = parse_as(spec.example.as_bytes(), Some(spec.format));
        assert_eq!(stated[0].issues, [], "{} as stated", spec.format);
        assert_eq!(stated[0].format, spec.format);
    }
}

#[test]
fn every_format_is_listed_once() {
    let mut listed: Vec<Format> = parse::FORMATS.iter().map(|spec| spec.format).collect();
    listed.sort_unstable();
    assert_eq!(listed, Format::ALL);
}

#[test]
fn cloudtrail() {
    check(example(Format::Cloudtrail), expect![[r#"
        sigma=aws//cloudtrail
        time=2026-11-20T10:00:00.000000Z
        metadata.log_format=cloudtrail
        metadata.product.name=CloudTrail
        class_name=API Activity
        activity_name=Delete
        status=Success
        actor.user.name=alice
        actor.user.uid=arn:aws:iam::123456789012:user/alice
        actor.user.type=IAMUser
        src_endpoint.ip=198.51.100.7
        api.operation=DeleteBucket
        api.service.name=s3.amazonaws.com
        cloud.provider=AWS
        cloud.region=eu-west-1
        cloud.account.uid=123456789012
        resource.uid=backups
        http_request.user_agent=aws-cli/2.13.25
    "#]]);
}

#[test]
fn cloudtrail_identities() {
    let name = |identity: &str| {
        let body = format!(r#"{{"eventName":"X","eventSource":"s","eventTime":"2026-11-20T10:00:00Z","userIdentity":{identity}}}"#);
        parse_text(&body)[0].ocsf.user_name.clone().unwrap_or_default()
    };
    assert_eq!(name(r#"{"type":"IAMUser","userName":"alice"}"#), "alice");
    assert_eq!(name(r#"{"type":"Root","arn":"arn:aws:iam::1:root"}"#), "root");
    assert_eq!(name(r#"{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/r/s","sessionContext":{"sessionIssuer":{"userName":"r"}}}"#), "r");
    assert_eq!(name(r#"{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/r/s"}"#), "s");
    assert_eq!(name(r#"{"type":"AWSService","invokedBy":"ec2.amazonaws.com"}"#), "ec2.amazonaws.com");
    assert_eq!(name(r#"{"type":"WebIdentityUser","principalId":"p:x"}"#), "p:x");
    assert_eq!(name("null"), "");
}

#[test]
fn cloudtrail_console_login_and_errors() {
    check(
        concat!(
            r#"{"eventName":"ConsoleLogin","eventSource":"signin.amazonaws.com","eventTime":"2026-11-20T10:00:00Z","userIdentity":{"type":"IAMUser","userName":"bob"},"sourceIPAddress":"2001:DB8::7","errorMessage":"Failed authentication","responseElements":{"ConsoleLogin":"Failure"}}"#,
            "\n",
            r#"{"eventName":"GetCallerIdentity","eventSource":"sts.amazonaws.com","eventTime":"2026-11-20 10:00:00.5","sourceIPAddress":"cloudformation.amazonaws.com","errorMessage":"no","errorCode":"AccessDenied","readOnly":true}"#
        ),
        expect![[r#"
            sigma=aws//cloudtrail
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=cloudtrail
            metadata.product.name=CloudTrail
            class_name=Authentication
            activity_name=Logon
            status=Failure
            status_detail=Failed authentication
            actor.user.name=bob
            actor.user.type=IAMUser
            src_endpoint.ip=2001:db8::7
            api.operation=ConsoleLogin
            api.service.name=signin.amazonaws.com
            cloud.provider=AWS

            sigma=aws//cloudtrail
            time=2026-11-20T10:00:00.500000Z
            metadata.log_format=cloudtrail
            metadata.product.name=CloudTrail
            class_name=API Activity
            activity_name=Read
            status=Failure
            status_detail=AccessDenied: no
            src_endpoint.hostname=cloudformation.amazonaws.com
            api.operation=GetCallerIdentity
            api.service.name=sts.amazonaws.com
            cloud.provider=AWS
        "#]],
    );
}

#[test]
fn of_members_named_twice_the_first_counts_everywhere() {
    let body = r#"{"eventName":"DeleteTrail","eventName":"x","eventSource":"a","eventSource":"b","eventTime":"2026-11-20T10:00:00Z","eventTime":"2020-11-20T10:00:00Z","errorCode":"A","errorCode":"B","eventID":"1","eventID":"2"}"#;
    let event = &parse_text(body)[0];
    assert_eq!(event.ocsf.api_operation.as_deref(), Some("DeleteTrail"));
    assert_eq!(event.native.get("eventName").and_then(event::Value::as_str), Some("DeleteTrail"));
    assert_eq!((event.ocsf.api_service.as_deref(), event.uid.as_str()), (Some("a"), "1"));
    assert_eq!(event.time.to_string(), "2026-11-20T10:00:00.000000Z");
    assert_eq!(event.ocsf.status_detail.as_deref(), Some("A"));
    assert_eq!(event.issues[0].code, "duplicate_key");
}

#[test]
fn eventbridge_delivers_cloudtrail_in_an_envelope() {
    let body = r#"{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{"eventName":"X","eventSource":"s","eventTime":"2026-11-20T10:00:00Z"}}"#;
    let event = &parse_text(body)[0];
    assert_eq!((event.format, event.ocsf.api_operation.as_deref()), (Format::Cloudtrail, Some("X")));
    assert_eq!(event.native.get("eventName").and_then(event::Value::as_str), Some("X"));
}

#[test]
fn what_is_wrapped_in_an_unknown_member_is_not_cloudtrail() {
    let body = r#"{"technique":"t","event":{"eventName":"X","eventSource":"s","eventTime":"2026-11-20T10:00:00Z"}}"#;
    assert_eq!(parse_text(body)[0].format, Format::Cloudtrail);
    let body = r#"{"technique":"t","thing":{"eventName":"X","eventSource":"s","eventTime":"2026-11-20T10:00:00Z"}}"#;
    assert_eq!(parse_text(body)[0].format, Format::Json);
    let stated = parse_as(body.as_bytes(), Some(Format::Cloudtrail));
    assert_eq!(stated[0].format, Format::Json);
    assert!(stated[0].issues.iter().any(|i| i.code == "format_mismatch"));
    assert_eq!(stated[0].native.path("thing.eventName").and_then(event::Value::as_str), Some("X"));
}

#[test]
fn app_log() {
    check(example(Format::AppLog), expect![[r#"
        sigma=/webserver/
        time=2026-11-20T10:00:00.000000Z
        metadata.log_format=app_log
        metadata.product.name=checkout
        class_name=Application Log
        activity_name=Get
        status=Failure
        message="GET /cart?id=1%27 HTTP/1.1" from 198.51.100.7 failed
        src_endpoint.ip=198.51.100.7
        http_request.http_method=GET
        http_request.url.path=/cart
        http_request.url.query_string=id=1%27
        http_request.version=1.1
        http_response.code=500
    "#]]);
    check(
        r#"[{"service":"auth","status_code":401,"message":"bad password for bob from 203.0.113.9:4410","timestamp":1795168800,"user":"bob"}]"#,
        expect![[r#"
            sigma=/application/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=app_log
            metadata.product.name=auth
            class_name=Application Log
            status=Failure
            message=bad password for bob from 203.0.113.9:4410
            actor.user.name=bob
            src_endpoint.ip=203.0.113.9
            src_endpoint.port=4410
            http_response.code=401
        "#]],
    );
    check_native(
        example(Format::AppLog),
        &["service", "c-ip", "cs-method", "cs-uri-query", "cs-uri-stem", "sc-status"],
        expect![[r#"
            service="checkout"
            c-ip="198.51.100.7"
            cs-method="GET"
            cs-uri-query=["/cart?id=1%27","/cart?id=1'"]
            cs-uri-stem="/cart"
            sc-status=500
        "#]],
    );
}

#[test]
fn access_log() {
    check(
        r#"shop.example:443 ::ffff:203.0.113.9 - bob smith [20/Nov/2026:12:00:00 +0200] "POST /a/b.php?x=%2e%2e%2f&y=\"q\" HTTP/2.0" 302 - "https://r.example/" "Mozilla/5.0 \x22x\x22" rt=0.1 "second""#,
        expect![[r#"
            sigma=/webserver/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=access_log
            class_name=HTTP Activity
            activity_name=Post
            status=Success
            message=POST /a/b.php?x=%2e%2e%2f&y="q" HTTP/2.0
            actor.user.name=bob smith
            src_endpoint.ip=203.0.113.9
            http_request.http_method=POST
            http_request.url.path=/a/b.php
            http_request.url.query_string=x=%2e%2e%2f&y="q"
            http_request.url.hostname=shop.example
            http_request.version=2.0
            http_request.referrer=https://r.example/
            http_request.user_agent=Mozilla/5.0 "x"
            http_response.code=302
        "#]],
    );
    check_native(
        r#"shop.example:443 203.0.113.9 - bob [20/Nov/2026:12:00:00 +0200] "POST /a/%252e%252e/b.php?x=1+2 HTTP/2.0" 302 7 "-" "a \"b\"" rt=0.1 "second""#,
        &["c-ip", "cs-username", "cs-host", "date", "time", "cs-method", "cs-uri", "cs-uri-stem", "cs-uri-query", "c-uri", "c-uri-query", "c-uri-extension", "cs-version", "sc-status", "sc-bytes", "cs-referer", "cs-user-agent", "c-useragent", "extra"],
        expect![[r#"
            c-ip="203.0.113.9"
            cs-username="bob"
            cs-host="shop.example"
            date="2026-11-20"
            time="10:00:00"
            cs-method="POST"
            cs-uri=["/a/%252e%252e/b.php?x=1+2","/a/../b.php?x=1 2"]
            cs-uri-stem=["/a/%252e%252e/b.php","/a/../b.php"]
            cs-uri-query=["/a/%252e%252e/b.php?x=1+2","/a/../b.php?x=1 2"]
            c-uri=["/a/%252e%252e/b.php?x=1+2","/a/../b.php?x=1 2"]
            c-uri-query=["/a/%252e%252e/b.php?x=1+2","/a/../b.php?x=1 2"]
            c-uri-extension="php"
            cs-version="HTTP/2.0"
            sc-status=302
            sc-bytes=7
            cs-referer=null
            cs-user-agent="a \"b\""
            c-useragent="a \"b\""
            extra=["rt=0.1","second"]
        "#]],
    );
}

#[test]
fn access_log_oddities() {
    check(
        concat!(
            r#"203.0.113.9 - - [20/Nov/2026:10:00:00 +0000] "\x16\x03\x01\x02" 400 226 "-" "-""#, "\n",
            r#"203.0.113.9 - - [20/Nov/2026:10:00:00 +0000] "-" 408 -"#, "\n",
            r#"host.example - - [99/Nov/2026:10:00:00 +0000] "GET / HTTP/1.0" 200 5"#, "\n",
            r#"203.0.113.9 - [admin] [20/Nov/2026:10:00:00 +0000] "GET http://victim.example/x?y HTTP/1.1" 200 5"#,
        ),
        expect![[r#"
            sigma=/webserver/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=access_log
            class_name=HTTP Activity
            activity_name=Other
            status=Failure
            message=\x16\x03\x01\x02
            src_endpoint.ip=203.0.113.9
            http_response.code=400
            http_response.length=226
            metadata.issues=malformed_request: \x16\x03\x01\x02

            sigma=/webserver/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=access_log
            class_name=HTTP Activity
            status=Failure
            message=-
            src_endpoint.ip=203.0.113.9
            http_response.code=408

            sigma=/webserver/
            time=2026-11-21T00:00:00.000000Z
            metadata.log_format=access_log
            class_name=HTTP Activity
            activity_name=Get
            status=Success
            message=GET / HTTP/1.0
            src_endpoint.hostname=host.example
            http_request.http_method=GET
            http_request.url.path=/
            http_request.version=1.0
            http_response.code=200
            http_response.length=5
            metadata.issues=bad_time: not a time: 99/Nov/2026:10:00:00 +0000

            sigma=/webserver/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=access_log
            class_name=HTTP Activity
            activity_name=Get
            status=Success
            message=GET http://victim.example/x?y HTTP/1.1
            actor.user.name=[admin]
            src_endpoint.ip=203.0.113.9
            http_request.http_method=GET
            http_request.url.path=/x
            http_request.url.query_string=y
            http_request.url.hostname=victim.example
            http_request.version=1.1
            http_response.code=200
            http_response.length=5
        "#]],
    );
}

#[test]
fn access_log_behind_a_syslog_header() {
    let body = r#"Jul  8 11:07:07 web nginx[9]: 203.0.113.9 - - [08/Jul/2021:11:07:07 +0000] "GET /a HTTP/1.1" 200 5 "-" "x""#;
    for stated in [None, Some(Format::AccessLog), Some(Format::AuthLog)] {
        let event = &parse_as(body.as_bytes(), stated)[0];
        assert_eq!(event.format, Format::AccessLog, "{stated:?}");
        assert_eq!(event.ocsf.src.ip.as_deref(), Some("203.0.113.9"), "{stated:?}");
        assert_eq!(event.ocsf.device_hostname.as_deref(), Some("web"), "{stated:?}");
        assert_eq!(event.time.to_string(), "2021-07-08T11:07:07.000000Z", "{stated:?}");
    }
}

#[test]
fn an_address_in_a_request_is_not_the_clients() {
    let ip = |message: &str| {
        let body = format!(r#"{{"service":"s","status_code":200,"message":"{message}","timestamp":"2026-11-20T10:00:00Z"}}"#);
        parse_text(&body)[0].ocsf.src.ip.clone().unwrap_or_default()
    };
    assert_eq!(ip("GET /fetch?u=http://192.0.2.1/ HTTP/1.1 by 203.0.113.9"), "203.0.113.9");
    assert_eq!(ip("GET /fetch?u=http://192.0.2.1/ HTTP/1.1"), "");
}

#[test]
fn the_server_is_known_from_the_sources_name() {
    for (source, server) in [("prod-nginx-1", "nginx"), ("apache2", "apache"), ("web", "")] {
        let mut events = Vec::new();
        parse::parse(&record(example(Format::AccessLog).as_bytes(), None, source), 0, &mut events);
        assert_eq!(events[0].log_source, event::LogSource { product: server, category: "webserver", service: server });
    }
}

#[test]
fn access_json() {
    check(
        r#"{"@timestamp":"2026-11-20T10:00:00Z","client_ip":"203.0.113.9","request_method":"GET","uri":"/x","args":"q=%3Cscript%3E","status":"404","bytes":"12","user_agent":"curl/8","host":"shop.example","server_protocol":"HTTP/1.1"}"#,
        expect![[r#"
            sigma=/webserver/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=access_json
            class_name=HTTP Activity
            activity_name=Get
            status=Failure
            message=GET /x?q=%3Cscript%3E HTTP/1.1
            src_endpoint.ip=203.0.113.9
            http_request.http_method=GET
            http_request.url.path=/x
            http_request.url.query_string=q=%3Cscript%3E
            http_request.url.hostname=shop.example
            http_request.version=1.1
            http_request.user_agent=curl/8
            http_response.code=404
            http_response.length=12
        "#]],
    );
    check_native(example(Format::AccessJson), &["remote_addr", "c-ip", "request", "cs-uri-query", "status", "sc-status", "date"], expect![[r#"
        remote_addr="198.51.100.7"
        c-ip="198.51.100.7"
        request="GET /.env HTTP/1.1"
        cs-uri-query="/.env"
        status=404
        sc-status=404
        date="2026-11-20"
    "#]]);
}

/// Every shape of sshd and its neighbours: event, activity, status, user, address, port.
#[test]
fn auth_log_shapes() {
    let lines = [
        "sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2",
        "sshd[1]: Failed password for invalid user x from 1.2.3.4 from 203.0.113.9 port 22 ssh2",
        "sshd[1]: Failed publickey for bob from 203.0.113.9 port 22 ssh2: RSA SHA256:abc",
        "sshd-session[1]: Accepted password for bob from 2001:db8::9 port 22 ssh2",
        "sshd[1]: Accepted publickey for bob from 203.0.113.9 port 22 ssh2: ED25519 SHA256:abc",
        "sshd[1]: Invalid user  from 203.0.113.9 port 22",
        "sshd[1]: Invalid user pi from 203.0.113.9",
        "sshd[1]: Connection closed by authenticating user root 203.0.113.9 port 22 [preauth]",
        "sshd[1]: Connection closed by invalid user a b 203.0.113.9 port 22 [preauth]",
        "sshd[1]: Connection closed by 203.0.113.9 port 22 [preauth]",
        "sshd[1]: Connection reset by 203.0.113.9 port 22",
        "sshd[1]: Disconnected from user bob 203.0.113.9 port 22",
        "sshd[1]: Disconnected from authenticating user root 203.0.113.9 port 22 [preauth]",
        "sshd[1]: Received disconnect from 203.0.113.9 port 22:11: Bye Bye [preauth]",
        "sshd[1]: error: maximum authentication attempts exceeded for invalid user x from 203.0.113.9 port 22 ssh2 [preauth]",
        "sshd[1]: Disconnecting invalid user x 203.0.113.9 port 22: Too many authentication failures [preauth]",
        "sshd[1]: error: PAM: Authentication failure for root from 203.0.113.9",
        "sshd[1]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
        "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root",
        "sshd[1]: pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)",
        "sshd[1]: pam_unix(sshd:session): session closed for user bob",
        "sshd[1]: message repeated 3 times: [ Failed password for root from 203.0.113.9 port 22 ssh2]",
        "sshd[1]: Did not receive identification string from 203.0.113.9 port 22",
        "sshd[1]: Unable to negotiate with 203.0.113.9 port 22: no matching host key type found. Their offer: ssh-dss [preauth]",
        "sshd[1]: reverse mapping checking getaddrinfo for h.example [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!",
        "sshd[1]: Address 203.0.113.9 maps to h.example, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
        "sshd[1]: banner exchange: Connection from 203.0.113.9 port 22: invalid format",
        "sshd[1]: Bad protocol version identification 'GET / HTTP/1.1' from 203.0.113.9 port 22",
        "sshd[1]: fatal: Timeout before authentication for 203.0.113.9 port 22",
        "sshd[1]: User root from 203.0.113.9 not allowed because not listed in AllowUsers",
        "sshd[1]: refused connect from h.example (203.0.113.9)",
        "sshd[1]: drop connection #10 from [203.0.113.9]:22 on [10.0.0.1]:22 past MaxStartups",
        "sshd[1]: Magic value check failed (1) on obfuscated handshake from 203.0.113.9 port 22",
        "sshd[1]: Server listening on 0.0.0.0 port 22.",
        "sudo:    bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh -c id ; ls",
        "sudo:    bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
        "sudo: pam_unix(sudo:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob",
        "su[1]: pam_unix(su:session): session opened for user root by bob(uid=1000)",
        "su[1]: FAILED SU (to root) bob on pts/1",
        "su: (to root) bob on pts/1",
        "useradd[1]: new user: name=eve, UID=1001, GID=1001, home=/home/eve, shell=/bin/bash, from=/dev/pts/0",
        "usermod[1]: add 'eve' to group 'sudo'",
        "userdel[1]: delete user 'eve'",
        "passwd[1]: pam_unix(passwd:chauthtok): password changed for eve",
        "systemd-logind[1]: New session 3 of user bob.",
        "CRON[1]: pam_unix(cron:session): session opened for user root by (uid=0)",
        "kernel: [1.0] anything at all",
    ];
    let mut text = String::new();
    for line in lines {
        let event = &parse_text(&format!("Nov 20 10:00:00 vm {line}"))[0];
        assert_eq!(event.format, Format::AuthLog, "{line}");
        let native = |name| event.native.get(name).and_then(event::Value::text).unwrap_or("-".into());
        let ocsf = &event.ocsf;
        writeln!(
            text,
            "{}\n    {} | {} {} | {} {} {} | {} {}",
            line,
            native("event"),
            ocsf.activity.as_deref().unwrap_or("-"),
            ocsf.status.as_str(),
            ocsf.user_name.as_deref().unwrap_or("-"),
            ocsf.src.ip.as_deref().unwrap_or("-"),
            ocsf.src.port.unwrap_or_default(),
            event.log_source.service,
            native("repeat_count"),
        )
        .unwrap();
    }
    expect![[r#"
        sshd[1]: Failed password for root from 203.0.113.9 port 22 ssh2
            failed_password | Logon Failure | root 203.0.113.9 22 | sshd -
        sshd[1]: Failed password for invalid user x from 1.2.3.4 from 203.0.113.9 port 22 ssh2
            failed_password | Logon Failure | x from 1.2.3.4 203.0.113.9 22 | sshd -
        sshd[1]: Failed publickey for bob from 203.0.113.9 port 22 ssh2: RSA SHA256:abc
            failed_authentication | Logon Failure | bob 203.0.113.9 22 | sshd -
        sshd-session[1]: Accepted password for bob from 2001:db8::9 port 22 ssh2
            accepted | Logon Success | bob 2001:db8::9 22 | sshd -
        sshd[1]: Accepted publickey for bob from 203.0.113.9 port 22 ssh2: ED25519 SHA256:abc
            accepted | Logon Success | bob 203.0.113.9 22 | sshd -
        sshd[1]: Invalid user  from 203.0.113.9 port 22
            invalid_user | Logon Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: Invalid user pi from 203.0.113.9
            invalid_user | Logon Failure | pi 203.0.113.9 0 | sshd -
        sshd[1]: Connection closed by authenticating user root 203.0.113.9 port 22 [preauth]
            connection_closed | Logon Failure | root 203.0.113.9 22 | sshd -
        sshd[1]: Connection closed by invalid user a b 203.0.113.9 port 22 [preauth]
            connection_closed | Logon Failure | a b 203.0.113.9 22 | sshd -
        sshd[1]: Connection closed by 203.0.113.9 port 22 [preauth]
            connection_closed | Other Unknown | - 203.0.113.9 22 | sshd -
        sshd[1]: Connection reset by 203.0.113.9 port 22
            connection_reset | Other Unknown | - 203.0.113.9 22 | sshd -
        sshd[1]: Disconnected from user bob 203.0.113.9 port 22
            disconnected | Logoff Unknown | bob 203.0.113.9 22 | sshd -
        sshd[1]: Disconnected from authenticating user root 203.0.113.9 port 22 [preauth]
            disconnected | Logon Failure | root 203.0.113.9 22 | sshd -
        sshd[1]: Received disconnect from 203.0.113.9 port 22:11: Bye Bye [preauth]
            received_disconnect | Other Unknown | - 203.0.113.9 22 | sshd -
        sshd[1]: error: maximum authentication attempts exceeded for invalid user x from 203.0.113.9 port 22 ssh2 [preauth]
            max_attempts | Logon Failure | x 203.0.113.9 22 | sshd -
        sshd[1]: Disconnecting invalid user x 203.0.113.9 port 22: Too many authentication failures [preauth]
            disconnecting | Logon Failure | x 203.0.113.9 22 | sshd -
        sshd[1]: error: PAM: Authentication failure for root from 203.0.113.9
            pam_failure | Logon Failure | root 203.0.113.9 0 | sshd -
        sshd[1]: PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root
            authentication_failure | Logon Failure | root 203.0.113.9 0 | sshd -
        sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=root
            authentication_failure | Logon Failure | root 203.0.113.9 0 | sshd -
        sshd[1]: pam_unix(sshd:session): session opened for user bob(uid=1000) by (uid=0)
            session_opened | Logon Success | bob - 0 | sshd -
        sshd[1]: pam_unix(sshd:session): session closed for user bob
            session_closed | Logoff Success | bob - 0 | sshd -
        sshd[1]: message repeated 3 times: [ Failed password for root from 203.0.113.9 port 22 ssh2]
            failed_password | Logon Failure | root 203.0.113.9 22 | sshd 3
        sshd[1]: Did not receive identification string from 203.0.113.9 port 22
            no_identification | Other Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: Unable to negotiate with 203.0.113.9 port 22: no matching host key type found. Their offer: ssh-dss [preauth]
            unable_to_negotiate | Other Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: reverse mapping checking getaddrinfo for h.example [203.0.113.9] failed - POSSIBLE BREAK-IN ATTEMPT!
            reverse_mapping | Other Failure | - 203.0.113.9 0 | sshd -
        sshd[1]: Address 203.0.113.9 maps to h.example, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!
            reverse_mapping | Other Failure | - 203.0.113.9 0 | sshd -
        sshd[1]: banner exchange: Connection from 203.0.113.9 port 22: invalid format
            bad_banner | Other Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: Bad protocol version identification 'GET / HTTP/1.1' from 203.0.113.9 port 22
            bad_protocol | Other Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: fatal: Timeout before authentication for 203.0.113.9 port 22
            timeout | Other Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: User root from 203.0.113.9 not allowed because not listed in AllowUsers
            user_not_allowed | Logon Failure | root 203.0.113.9 0 | sshd -
        sshd[1]: refused connect from h.example (203.0.113.9)
            refused_connect | Other Failure | - 203.0.113.9 0 | sshd -
        sshd[1]: drop connection #10 from [203.0.113.9]:22 on [10.0.0.1]:22 past MaxStartups
            dropped_connection | Other Failure | - 203.0.113.9 22 | sshd -
        sshd[1]: Magic value check failed (1) on obfuscated handshake from 203.0.113.9 port 22
            other | Other Unknown | - 203.0.113.9 22 | sshd -
        sshd[1]: Server listening on 0.0.0.0 port 22.
            - | - Unknown | - - 0 | sshd -
        sudo:    bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh -c id ; ls
            sudo_command | Account Switch Success | bob - 0 | sudo -
        sudo:    bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id
            sudo_refused | Account Switch Failure | bob - 0 | sudo -
        sudo: pam_unix(sudo:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob
            authentication_failure | Logon Failure | bob - 0 | sudo -
        su[1]: pam_unix(su:session): session opened for user root by bob(uid=1000)
            session_opened | Logon Success | root - 0 | auth -
        su[1]: FAILED SU (to root) bob on pts/1
            su_failed | Account Switch Failure | bob - 0 | auth -
        su: (to root) bob on pts/1
            su | Account Switch Success | bob - 0 | auth -
        useradd[1]: new user: name=eve, UID=1001, GID=1001, home=/home/eve, shell=/bin/bash, from=/dev/pts/0
            user_added | Create Success | eve - 0 | auth -
        usermod[1]: add 'eve' to group 'sudo'
            group_member_added | Update Success | eve - 0 | auth -
        userdel[1]: delete user 'eve'
            user_deleted | Delete Success | eve - 0 | auth -
        passwd[1]: pam_unix(passwd:chauthtok): password changed for eve
            password_changed | Other Success | eve - 0 | auth -
        systemd-logind[1]: New session 3 of user bob.
            session_opened | Logon Success | bob - 0 | auth -
        CRON[1]: pam_unix(cron:session): session opened for user root by (uid=0)
            session_opened | Logon Success | root - 0 | cron -
        kernel: [1.0] anything at all
            - | - Unknown | - - 0 | syslog -
    "#]].assert_eq(&text);
}

#[test]
fn auth_log_in_full() {
    check(example(Format::AuthLog), expect![[r#"
        sigma=linux//sshd
        time=2026-11-20T10:00:00.000000Z
        metadata.log_format=auth_log
        metadata.product.name=sshd
        class_name=Authentication
        activity_name=Logon
        status=Failure
        message=Failed password for invalid user admin from 198.51.100.7 port 50514 ssh2
        actor.user.name=admin
        src_endpoint.ip=198.51.100.7
        src_endpoint.port=50514
        device.hostname=bastion
        actor.process.name=sshd
        actor.process.pid=4242
    "#]]);
    check_native(
        "<86>Nov 20 10:00:00 vm sudo[5]: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id",
        &["event", "user", "tty", "pwd", "run_as", "command", "facility", "syslog_severity", "process", "pid", "hostname"],
        expect![[r#"
            event="sudo_command"
            user="bob"
            tty="pts/0"
            pwd="/"
            run_as="root"
            command="/bin/id"
            facility="authpriv"
            syslog_severity="info"
            process="sudo"
            pid=5
            hostname="vm"
        "#]],
    );
}

#[test]
fn syslog_framings_of_real_senders() {
    check(
        "73 <133>1 2026-11-20T23:53:36.386795+00:00 vm demo - - - line one from file\n63 <133>1 2026-11-20T23:53:36.386800+00:00 vm demo - - - line two\n",
        expect![[r#"
            sigma=linux//syslog
            time=2026-11-20T23:53:36.386795Z
            metadata.log_format=auth_log
            metadata.product.name=demo
            class_name=Base Event
            status=Unknown
            message=line one from file
            device.hostname=vm
            actor.process.name=demo

            sigma=linux//syslog
            time=2026-11-20T23:53:36.386800Z
            metadata.log_format=auth_log
            metadata.product.name=demo
            class_name=Base Event
            status=Unknown
            message=line two
            device.hostname=vm
            actor.process.name=demo
        "#]],
    );
    check_native(
        "<37>1 2026-11-20T23:53:36.362554+00:00 vm sshd - ID7 [timeQuality tzKnown=\"1\" isSynced=\"0\"][ex@32473 k=\"v\"] rfc5424 udp",
        &["message", "hostname", "process", "msgid", "structured_data"],
        expect![[r#"
            message="rfc5424 udp"
            hostname="vm"
            process="sshd"
            msgid="ID7"
            structured_data={"timeQuality":{"tzKnown":"1","isSynced":"0"},"ex@32473":{"k":"v"}}
        "#]],
    );
}

#[test]
fn json_of_any_kind() {
    check(
        r#"{"@timestamp":"2026-11-20T10:00:00Z","level":"warn","host":{"name":"db1"},"user":{"name":"alice"},"source":{"ip":"203.0.113.9","port":5},"service":"db","msg":"no","event":{"outcome":"failure","action":"login"}}"#,
        expect![[r#"
            sigma=/authentication/
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=json
            metadata.product.name=db
            class_name=Authentication
            activity_name=Logon
            status=Failure
            message=no
            actor.user.name=alice
            src_endpoint.ip=203.0.113.9
            src_endpoint.port=5
            device.hostname=db1
            api.operation=login
        "#]],
    );
    check(r#"{"logsource":{"product":"Okta","service":"okta","category":"nonsense"},"published":"2026-11-20T10:00:00Z","eventType":"user.session.start"}"#, expect![[r#"
        sigma=okta//okta
        time=2026-11-20T10:00:00.000000Z
        metadata.log_format=json
        metadata.product.name=okta
        class_name=API Activity
        status=Unknown
        api.operation=user.session.start
    "#]]);
}

#[test]
fn windows_events_become_flat() {
    let sysmon = r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}},"EventID":1,"TimeCreated":{"#attributes":{"SystemTime":"2026-11-20T10:00:00.5Z"}},"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1","Security":{"#attributes":{"UserID":"S-1-5-18"}}},"EventData":{"Image":"C:\\Windows\\cmd.exe","CommandLine":"cmd /c whoami","User":"WS1\\bob","ProcessId":3412}}}"##;
    check(sysmon, expect![[r#"
        sigma=windows/process_creation/sysmon
        time=2026-11-20T10:00:00.500000Z
        metadata.log_format=json
        metadata.product.name=Microsoft-Windows-Sysmon
        class_name=Base Event
        status=Unknown
        actor.user.name=WS1\bob
        device.hostname=ws1
        actor.process.name=C:\Windows\cmd.exe
        actor.process.pid=3412
    "#]]);
    check_native(sysmon, &["EventID", "Channel", "Provider_Name", "Image", "CommandLine", "Computer"], expect![[r#"
        EventID=1
        Channel="Microsoft-Windows-Sysmon/Operational"
        Provider_Name="Microsoft-Windows-Sysmon"
        Image="C:\\Windows\\cmd.exe"
        CommandLine="cmd /c whoami"
        Computer="ws1"
    "#]]);
    check(
        r#"{"winlog":{"channel":"Security","event_id":"4625","provider_name":"P","computer_name":"dc1","event_data":{"TargetUserName":"bob","IpAddress":"203.0.113.9","IpPort":"50000"}},"@timestamp":"2026-11-20T10:00:00Z"}"#,
        expect![[r#"
            sigma=windows//security
            time=2026-11-20T10:00:00.000000Z
            metadata.log_format=json
            metadata.product.name=P
            class_name=Authentication
            activity_name=Logon
            status=Failure
            actor.user.name=bob
            src_endpoint.ip=203.0.113.9
            src_endpoint.port=50000
            device.hostname=dc1
        "#]],
    );
    check_native(
        r#"{"EventID":4688,"Channel":"Security","NewProcessName":"C:\\a.exe","NewProcessId":"0x1f","ParentProcessName":"C:\\b.exe","SubjectUserName":"bob","@timestamp":"2026-11-20T10:00:00Z"}"#,
        &["Image", "ParentImage", "User", "NewProcessName"],
        expect![[r#"
            Image="C:\\a.exe"
            ParentImage="C:\\b.exe"
            User="bob"
            NewProcessName="C:\\a.exe"
        "#]],
    );
    let named = r##"{"Event":{"System":{"EventID":{"#text":"4104"},"Channel":"Microsoft-Windows-PowerShell/Operational","TimeCreated":{"@SystemTime":"2026-11-20T10:00:00Z"}},"EventData":{"Data":[{"@Name":"ScriptBlockText","#text":"iex"}]}}}"##;
    check_native(named, &["EventID", "ScriptBlockText"], expect![[r#"
        EventID="4104"
        ScriptBlockText="iex"
    "#]]);
    assert_eq!(parse_text(named)[0].log_source.category, "ps_script");
}

#[test]
fn a_batch_may_mix_formats() {
    let body: String = parse::FORMATS.iter().map(|spec| format!("{}\r\n", spec.example)).collect();
    let formats: Vec<Format> = parse_text(&body).iter().map(|event| event.format).collect();
    assert_eq!(formats, parse::FORMATS.iter().map(|spec| spec.format).collect::<Vec<_>>());
}

#[test]
fn uids_follow_from_the_position() {
    let uid = |body: &str, index: usize| parse_text(body)[index].uid.clone();
    assert_eq!(uid("a\nb", 0), uid("a", 0));
    assert_ne!(uid("a\nb", 0), uid("a\nb", 1));
    let want = event::Id::of(&[b"event", b"test", &7u64.to_le_bytes(), &0u32.to_le_bytes()]).to_string();
    assert_eq!(uid("x", 0), want);
}

#[test]
fn raw_is_a_slice_of_the_record() {
    let record = record(example(Format::Cloudtrail).as_bytes(), None, "s");
    let mut events = Vec::new();
    parse::parse(&record, 0, &mut events);
    let (body, raw) = (record.body.as_ptr_range(), events[0].raw.as_ptr_range());
    assert!(body.start < raw.start && raw.end < body.end, "copied");
    assert!(events[0].raw.starts_with(b"{\"eventVersion\"") && events[0].raw.ends_with(b"}"));
}
