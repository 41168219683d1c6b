//! SQL and exports over the API: who may, what they answer, and that a client that goes takes its work along.
use crate::door::{Answer, Door, PASSWORD};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn line(n: usize, time: event::Timestamp) -> String {
    json!({
        "eventVersion": "1.08", "eventID": format!("e{n:05}"), "eventTime": time.to_string(), "eventName": (["ListBuckets", "GetObject"][n % 2]),
        "eventSource": "s3.amazonaws.com", "awsRegion": "eu-central-1", "sourceIPAddress": format!("10.0.{}.{}", n % 3, n % 7), "userAgent": "=cmd|' /C calc'!A0",
        "eventType": "AwsApiCall", "recipientAccountId": "123456789012", "readOnly": true,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/alice", "accountId": "123456789012", "userName": "alice"},
    })
    .to_string()
}

/// A door with so many events, and the headers of an analyst.
async fn filled(events: usize) -> (Door, Vec<(String, String)>) {
    let door = Door::open().await;
    let admin = door.admin().await;
    door.make_user(&admin, "ana", "analyst", PASSWORD).await;
    door.make_user(&admin, "vic", "viewer", PASSWORD).await;
    let (key, _) = door.make_key(&admin, "sender", &["ingest"]).await;
    let start = door.platform.now().plus_secs(-3_600);
    let lines: Vec<String> = (0..events).map(|n| line(n, start.plus_secs(n as i64 / 10))).collect();
    door.call("POST", "/api/v1/ingest?source=trail&format=cloudtrail", &[("X-API-Key", &key)], lines.join("\n").as_bytes()).await.expect(202);
    let ana = door.login("ana", PASSWORD).await;
    let headers: Vec<(String, String)> = ana.headers().iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let began = Instant::now();
    while ask(&door, &headers, "SELECT count(*) FROM events").await.expect(200).json()["rows"] != json!([[events]]) {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (door, headers)
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

async fn ask(door: &Door, headers: &[(String, String)], sql: &str) -> Answer {
    door.post_json("/api/v1/sql", &borrowed(headers), json!({"sql": sql})).await
}

/// The body of a chunked answer, and whether its end came.
fn whole(answer: &Answer) -> (Vec<u8>, bool) {
    if answer.header("transfer-encoding") != Some("chunked") {
        return (answer.body.clone(), true);
    }
    let (mut rest, mut out) = (answer.body.as_slice(), Vec::new());
    loop {
        let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else { return (out, false) };
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap().trim(), 16).unwrap();
        rest = &rest[end + 2..];
        if length == 0 {
            return (out, true);
        }
        if rest.len() < length + 2 {
            return (out, false);
        }
        out.extend_from_slice(&rest[..length]);
        rest = &rest[length + 2..];
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_asks_in_sql() {
    let (door, ana) = filled(100).await;
    let answer = ask(&door, &ana, "SELECT source.ip, count(*) AS n FROM events WHERE event.action = 'GetObject' GROUP BY source.ip ORDER BY n DESC, 1 LIMIT 2").await;
    let answer = answer.expect(200).json();
    assert_eq!(answer["columns"], json!([{"name": "source.ip", "type": "text"}, {"name": "n", "type": "integer"}]));
    assert_eq!(answer["rows"].as_array().unwrap().len(), 2);
    assert_eq!(answer["truncated"], false);
    let asked = json!({"sql": "SELECT metadata.uid FROM events", "limit": 7});
    let some = door.post_json("/api/v1/sql", &borrowed(&ana), asked).await.expect(200).json();
    assert_eq!((some["rows"].as_array().unwrap().len(), &some["truncated"]), (7, &json!(true)));
    let plan = door.post_json("/api/v1/sql", &borrowed(&ana), json!({"sql": "SELECT time FROM events", "explain": true})).await.expect(200).json();
    assert!(plan["plan"].as_str().unwrap().contains("EventsScan"), "{plan}");
    for table in ["alerts", "incidents", "findings"] {
        ask(&door, &ana, &format!("SELECT count(*) FROM {table}")).await.expect(200);
    }
    let wrong = ask(&door, &ana, "SELECT source.ipp FROM events").await.expect(400).json();
    assert_eq!((&wrong["column"], &wrong["hint"], &wrong["type"]), (&json!(7), &json!("did you mean source.ip?"), &json!("urn:erne:problem:sql")));
    ask(&door, &ana, "DROP TABLE events").await.expect(400);
    door.post_json("/api/v1/sql", &borrowed(&ana), json!({"sql": "SELECT 1", "limit": 0})).await.expect(400);
    let vic = door.login("vic", PASSWORD).await;
    door.post_json("/api/v1/sql", &vic.headers(), json!({"sql": "SELECT 1"})).await.expect(403);
    door.get("/api/v1/export", &vic.headers()).await.expect(403);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_ends_its_query() {
    let (door, ana) = filled(4_000).await;
    let endless = "SELECT sum(a.src_endpoint.port + b.severity_id + c.severity_id) FROM events a, events b, events c WHERE a.severity_id < b.severity_id + c.severity_id";
    let body = json!({"sql": endless, "timeout_secs": 120}).to_string();
    let headers: String = ana.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    let request = format!("POST /api/v1/sql HTTP/1.1\r\nHost: {}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", door.address, body.len());
    // The connection is closed after a second, without an answer.
    assert!(door.raw(request.as_bytes(), Duration::from_secs(1)).await.is_empty());
    let began = Instant::now();
    loop {
        let mut metrics = String::new();
        door.platform.metrics(&mut metrics);
        if metrics.contains("erne_sql_running 0") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let late = door.post_json("/api/v1/sql", &borrowed(&ana), json!({"sql": endless, "timeout_secs": 1})).await;
    assert_eq!(late.expect(422).json()["type"], "urn:erne:problem:sql-too-long");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_matches_is_exported_and_counted() {
    let (door, ana) = filled(6_000).await;
    let get = async |path: &str| {
        let answer = door.get(path, &borrowed(&ana)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let (body, complete) = whole(&answer);
        assert!(complete, "{path}");
        (answer.header("x-erne-rows").unwrap().parse::<usize>().unwrap(), body)
    };
    let (rows, body) = get("/api/v1/export").await;
    let events: Vec<Value> = body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
    assert_eq!((rows, events.len()), (6_000, 6_000));
    let ids: std::collections::BTreeSet<&str> = events.iter().map(|e| e["metadata"]["uid"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 6_000, "each event once");
    assert!(events.windows(2).all(|w| w[0]["time"].as_str() >= w[1]["time"].as_str()), "newest first");

    let (rows, body) = get("/api/v1/export?format=csv&q=event.action:GetObject&columns=metadata.uid,source.ip,user_agent.original").await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(rows, 3_000);
    assert_eq!(text.lines().count(), 3_001);
    assert!(text.starts_with("metadata.uid,src_endpoint.ip,http_request.user_agent\n"), "{}", &text[..200]);
    assert!(text.lines().nth(1).unwrap().ends_with("\"'=cmd|' /C calc'!A0\""), "{}", &text[..300]);

    let (rows, body) = get("/api/v1/export?format=parquet&q=source.ip:10.0.1.0/24").await;
    assert_eq!(rows, 2_000);
    assert!(body.starts_with(b"PAR1") && body.ends_with(b"PAR1"));
    let (rows, body) = get("/api/v1/export?q=user.name:nobody").await;
    assert_eq!((rows, body.len()), (0, 0));

    for (path, part) in [
        ("/api/v1/export?format=xml", "no format of exports"),
        ("/api/v1/export?columns=user.nmae", "did you mean user.name?"),
        ("/api/v1/export?q=user.nmae:x", "user.nmae"),
        ("/api/v1/export?from=yesterday", "give a time"),
    ] {
        let answer = door.get(path, &borrowed(&ana)).await;
        assert!(answer.expect(400).text().contains(part), "{path}: {}", answer.text());
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_end_with_their_client_and_are_few() {
    let (door, ana) = filled(12_000).await;
    let headers: String = ana.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    let request = format!("GET /api/v1/export HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", door.address);
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = door.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        // The head has come, the rest waits in the server.
        stream.read_exact(&mut [0; 12]).await.unwrap();
        slow.push(stream);
    }
    let third = door.get("/api/v1/export", &borrowed(&ana)).await;
    third.expect(429);
    drop(slow);
    let began = Instant::now();
    while door.get("/api/v1/export?q=user.name:nobody", &borrowed(&ana)).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "the exports go on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    door.close().await;
}
