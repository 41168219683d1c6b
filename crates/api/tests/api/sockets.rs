use crate::door::{Door, HEAVY};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

type Socket = WebSocketStream<TcpStream>;

async fn socket(door: &Door, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}{path}", door.address).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match client_async(request, door.connect().await).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The close code, or 1006 if the connection just ended.
async fn close_code(socket: &mut Socket) -> u16 {
    let end = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map_or(1005, |f| f.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return 1006,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), end).await.expect("it is closed")
}

async fn until(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    let find = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                if wanted(&value) {
                    return value;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), find).await.expect("the message comes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_needs_credentials_and_a_cookie_needs_our_origin() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let token = door.token("admin", &door.password).await;
    let own = format!("http://{}", door.address);
    for path in ["/api/v1/live", "/ws/logs", "/ws/realtime"] {
        assert_eq!(socket(&door, path, &[]).await.err(), Some(401));
        assert_eq!(socket(&door, path, &[("cookie", &admin.cookie), ("origin", "http://evil.example")]).await.err(), Some(403));
        assert_eq!(socket(&door, path, &[("cookie", &admin.cookie)]).await.err(), Some(403));
        assert!(socket(&door, path, &[("cookie", &admin.cookie), ("origin", &own)]).await.is_ok());
        assert!(socket(&door, path, &[("authorization", &token)]).await.is_ok());
        let query = format!("{path}?token={}", token.strip_prefix("Bearer ").unwrap());
        assert!(socket(&door, &query, &[]).await.is_ok());
    }
    assert_eq!(socket(&door, "/api/v1/live?topics=evnt", &[("authorization", &token)]).await.err(), Some(400));
    let no_socket = door.get("/api/v1/live", &[("Authorization", &token)]).await;
    assert!(matches!(no_socket.status, 400 | 426), "{}", no_socket.status);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_every_socket_in_its_shape_and_a_client_resumes() {
    let door = Door::open().await;
    let token = door.token("admin", &door.password).await;
    let auth = [("authorization", &*token)];
    let mut live = socket(&door, "/api/v1/live?topics=event,stats", &auth).await.unwrap();
    let mut logs = socket(&door, "/ws/logs", &auth).await.unwrap();
    let mut hawk = socket(&door, "/ws/realtime", &auth).await.unwrap();
    until(&mut live, |m| m["topic"] == "stats").await;
    let send = async |text: &str| {
        let body = json!({"service": "payment-gateway", "status_code": 200, "message": text, "timestamp": "2026-11-20T10:00:00Z"});
        door.post_json("/api/logs", &[], body).await.expect(202);
    };
    let began = Instant::now();
    send("first words").await;
    let event = until(&mut live, |m| m["topic"] == "event").await;
    println!("event on the socket after {:?}", began.elapsed());
    assert_eq!(event["data"]["message"], "first words");
    let log = until(&mut logs, |_| true).await;
    assert_eq!((&log["service"], &log["status_code"], &log["message"]), (&json!("payment-gateway"), &json!(200), &json!("first words")));
    assert_eq!((&log["is_threat"], &log["severity"]), (&json!(false), &json!("INFO")));
    assert_eq!(log["id"].as_str().unwrap().len(), 36);
    let row = until(&mut hawk, |m| m["type"] == "event").await;
    assert_eq!(row["data"]["severity"], "LOW");
    assert!(until(&mut hawk, |m| m["type"] == "stats").await["data"]["realtime"]["events_processed"].is_u64());

    // Away, and back with the last number seen: what came meanwhile comes first.
    let seen = event["seq"].as_u64().unwrap();
    drop(live);
    send("while away").await;
    until(&mut logs, |m| m["message"] == "while away").await;
    let mut live = socket(&door, &format!("/api/v1/live?topics=event&after={seen}"), &auth).await.unwrap();
    let missed = until(&mut live, |m| m["topic"] == "event").await;
    assert_eq!(missed["data"]["message"], "while away");
    assert!(missed["seq"].as_u64().unwrap() > seen);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giant_and_foreign_frames_close_the_socket_with_a_code() {
    let _alone = HEAVY.lock().await;
    let door = Door::open().await;
    let token = door.token("admin", &door.password).await;
    let auth = [("authorization", &*token)];
    // A frame that announces 64 MiB: refused by its header.
    let mut giant = socket(&door, "/api/v1/live?topics=alert", &auth).await.unwrap();
    let _ = giant.send(Message::Binary(vec![0; 64 << 20].into())).await;
    assert!(matches!(close_code(&mut giant).await, 1009 | 1006));
    // The same in fragments of one byte.
    let mut raw = socket(&door, "/api/v1/live?topics=alert", &auth).await.unwrap().into_inner();
    let fragment = [0x00, 0x81, 0, 0, 0, 0, b'x'];
    let mut fragments = vec![0x02, 0x81, 0, 0, 0, 0, b'x'];
    for _ in 0..70_000 {
        fragments.extend_from_slice(&fragment);
    }
    let (mut reader, mut writer) = raw.split();
    let sender = async { writer.write_all(&fragments).await.ok() };
    let receiver = async {
        let mut out = Vec::new();
        tokio::time::timeout(Duration::from_secs(15), reader.read_to_end(&mut out)).await.expect("it is closed").ok();
        out
    };
    let (_, out) = tokio::join!(sender, receiver);
    println!("after the fragments the server sent {} bytes and closed", out.len());
    // Unmasked frames are a protocol error.
    let mut raw = socket(&door, "/api/v1/live?topics=alert", &auth).await.unwrap().into_inner();
    raw.write_all(&[0x82, 0x01, b'x']).await.unwrap();
    let mut out = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), raw.read_to_end(&mut out)).await.expect("it is closed").ok();
    // A flood of messages.
    let mut flood = socket(&door, "/api/v1/live?topics=alert", &auth).await.unwrap();
    for _ in 0..200 {
        if flood.send(Message::Text("x".into())).await.is_err() {
            break;
        }
    }
    assert!(matches!(close_code(&mut flood).await, 1008 | 1006));
    assert_eq!(door.get("/healthz", &[]).await.status, 200);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_peers_are_cut_and_sockets_are_capped() {
    let door = Door::with(|c| {
        c.sockets_max = 2;
        c.socket_ping_ms = 200;
        c.socket_stall_ms = 1000;
    }).await;
    let token = door.token("admin", &door.password).await;
    let auth = [("authorization", &*token)];
    // Reads nothing, so answers no ping.
    let silent = socket(&door, "/api/v1/live", &auth).await.unwrap();
    // Reads and answers.
    let mut alive = socket(&door, "/api/v1/live", &auth).await.unwrap();
    assert_eq!(socket(&door, "/api/v1/live", &auth).await.err(), Some(503));
    let began = Instant::now();
    let reading = async { while alive.next().await.is_some_and(|m| m.is_ok()) {} };
    let _ = tokio::time::timeout(Duration::from_secs(4), reading).await;
    let mut replacement = socket(&door, "/api/v1/live", &auth).await;
    assert!(replacement.is_ok(), "the silent one's place is free after {:?}", began.elapsed());
    // Looked at as bytes, because a client that begins to read now would answer pings into a closed socket.
    let mut sent = Vec::new();
    silent.into_inner().read_to_end(&mut sent).await.unwrap();
    assert!(sent.ends_with(b"\x88\x14\x03\xf0no answer to pings"), "{:?}", String::from_utf8_lossy(&sent));
    until(&mut alive, |m| m["topic"] == "stats").await;
    until(replacement.as_mut().unwrap(), |m| m["topic"] == "stats").await;
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_and_an_ended_session_lose_their_sockets_within_a_second_or_two() {
    let door = Door::open().await;
    let (admin, other) = (door.admin().await, door.admin().await);
    let (key, id) = door.make_key(&admin, "screen", &["read"]).await;
    let own = format!("http://{}", door.address);
    let mut by_key = socket(&door, "/api/v1/live?topics=alert", &[("x-api-key", &key)]).await.unwrap();
    let mut by_cookie = socket(&door, "/api/v1/live?topics=alert", &[("cookie", &other.cookie), ("origin", &own)]).await.unwrap();
    door.call("DELETE", &format!("/api/v1/keys/{id}"), &admin.headers(), b"").await.expect(204);
    door.post_json("/api/v1/logout", &other.headers(), json!({})).await.expect(204);
    let began = Instant::now();
    assert_eq!(close_code(&mut by_key).await, 1008);
    assert_eq!(close_code(&mut by_cookie).await, 1008);
    println!("revoked sockets closed after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(3));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_come_on_their_own_topic() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let token = door.token("admin", &door.password).await;
    let mut live = socket(&door, "/api/v1/live?topics=incident", &[("authorization", &token)]).await.unwrap();
    let mut hawk = socket(&door, "/ws/realtime", &[("authorization", &token)]).await.unwrap();
    let event = json!({
        "eventVersion": "1.08", "eventID": "i-1", "eventTime": door.platform.now().to_string(), "eventName": "StopLogging",
        "eventSource": "cloudtrail.amazonaws.com", "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.7", "eventType": "AwsApiCall",
        "userIdentity": {"type": "IAMUser", "userName": "mallory", "accountId": "123456789012"}, "requestParameters": {"name": "trail"},
    });
    door.post_json("/api/v1/ingest?source=trail", &admin.headers(), event).await.expect(202);
    let opened = until(&mut live, |m| m["data"]["created"] == true).await;
    assert_eq!((&opened["topic"], &opened["data"]["incident"]["state"]), (&json!("incident"), &json!("open")));
    let id = opened["data"]["incident"]["id"].as_str().unwrap();
    door.post_json("/api/v1/incidents/state", &admin.headers(), json!({"ids": [id], "state": "closed"})).await.expect(200);
    let closed = until(&mut live, |m| m["data"]["incident"]["state"] == "closed").await;
    assert_eq!((&closed["data"]["created"], &closed["data"]["incident"]["id"]), (&json!(false), &json!(id)));
    // CloudHawk knows findings, events and totals only.
    assert_eq!(until(&mut hawk, |m| m["type"] == "alert").await["data"]["user"], "mallory");
    door.close().await;
}
