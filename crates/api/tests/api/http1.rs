//! The wire: framing tricks, slow heads, too many connections, unknown paths.
use crate::door::Door;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const WITHIN: Duration = Duration::from_secs(5);

fn answers(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).matches("HTTP/1.1 ").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn framing_tricks_get_one_answer_and_a_close() {
    let door = Door::open().await;
    let send = async |head: &str, rest: &str| {
        let bytes = format!("POST /api/logs HTTP/1.1\r\nHost: {}\r\n{head}\r\n\r\n{rest}", door.address);
        door.raw(bytes.as_bytes(), WITHIN).await
    };
    let hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for (what, head) in [
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
        ("a length that is none", "Content-Length: +5"),
        ("a list of lengths", "Content-Length: 5, 6"),
        ("a folded header", "X-A: 1\r\n folded\r\nContent-Length: 5"),
        ("a space before the colon", "Content-Length : 5"),
        ("an unknown coding", "Transfer-Encoding: x"),
        ("chunked not last", "Transfer-Encoding: chunked, identity"),
        ("NUL in a header", "X-A: \0\r\nContent-Length: 5"),
    ] {
        let answer = send(head, &format!("hello{hidden}")).await;
        assert!(answer.starts_with(b"HTTP/1.1 400"), "{what}: {}", String::from_utf8_lossy(&answer));
        assert_eq!(answers(&answer), 1, "{what}");
    }
    // Both framings: RFC 9112 6.3 lets a server take the chunks and close. The request that a length would
    // hide, or show, behind them gets no answer.
    for head in ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"] {
        let answer = send(head, &format!("5\r\nhello\r\n0\r\n\r\n{hidden}")).await;
        assert_eq!(answers(&answer), 1, "{}", String::from_utf8_lossy(&answer));
    }
    let broken = send("Transfer-Encoding: chunked", "zz\r\nhello\r\n0\r\n\r\n").await;
    assert!(broken.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&broken));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_and_silent_connections_are_cut() {
    let door = Door::with(|c| {
        c.first_byte_timeout_ms = 300;
        c.header_read_timeout_ms = 500;
        c.keep_alive_timeout_ms = 900;
    }).await;
    // Nothing, part of an HTTP/2 preface, part of a head: all are closed.
    for start in ["", "PRI * HT", "GET / HTTP/1.1\r\nHost: x\r\nX-A: "] {
        let began = Instant::now();
        let mut stream = door.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut out = Vec::new();
        tokio::time::timeout(WITHIN, stream.read_to_end(&mut out)).await.expect("it is cut").ok();
        assert!(began.elapsed() < Duration::from_secs(3), "{start:?}");
        assert!(!out.starts_with(b"HTTP/1.1 200"));
    }
    // A slowloris sends a byte now and then; every byte is in time, the head is not.
    let (mut reader, mut writer) = door.connect().await.into_split();
    let drip = tokio::spawn(async move {
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n".iter().cycle() {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let began = Instant::now();
    let mut out = Vec::new();
    tokio::time::timeout(WITHIN, reader.read_to_end(&mut out)).await.expect("it is cut").ok();
    assert!(began.elapsed() < Duration::from_secs(3));
    drip.abort();
    // A kept-alive connection outlives the head's limit and ends with its own.
    let mut stream = door.connect().await;
    for _ in 0..2 {
        stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", door.address).as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_millis(650)).await;
    }
    let mut out = Vec::new();
    tokio::time::timeout(WITHIN, stream.read_to_end(&mut out)).await.expect("it ends").ok();
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_capped_and_places_come_back() {
    let door = Door::with(|c| c.connections_max = 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut stream = door.connect().await;
        stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", door.address).as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"));
        held.push(stream);
    }
    // The refused client may see the answer or only the close, depending on whose packet is first.
    let refused = door.raw(b"", WITHIN).await;
    assert!(refused.is_empty() || refused.starts_with(b"HTTP/1.1 503"));
    drop(held);
    let began = Instant::now();
    while door.raw(format!("GET /healthz HTTP/1.0\r\nHost: {}\r\n\r\n", door.address).as_bytes(), WITHIN).await.is_empty() {
        assert!(began.elapsed() < WITHIN);
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_paths_methods_and_parameters_are_problems() {
    let door = Door::open().await;
    let admin = door.admin().await;
    door.get("/api/nothing", &[]).await.expect(404);
    door.get("/api/v1/%2e%2e/%2e%2e/etc/passwd", &[]).await.expect(404);
    door.get("/api", &[]).await.expect(404);
    let wrong = door.call("DELETE", "/api/v1/overview", &[], b"").await;
    assert_eq!(wrong.expect(405).header("allow"), Some("GET"));
    let detail = async |path: &str| door.get(path, &admin.headers()).await.expect(400).json()["detail"].as_str().unwrap().to_owned();
    assert!(detail("/api/v1/search?limt=3").await.contains("did you mean limit?"));
    assert!(detail("/api/v1/search?limit=3&limit=4").await.contains("twice"));
    assert!(detail("/api/v1/search?limit=1001").await.contains("0 to 1000"));
    assert!(detail("/api/v1/search?from=yesterday").await.contains("2026-11-20T10:00:00Z"));
    let wrong = door.get("/api/v1/search?q=status:Failure%20AND%20user.nmae:x", &admin.headers()).await;
    let wrong = wrong.expect(400).json();
    assert_eq!((&wrong["column"], wrong["hint"].as_str()), (&19.into(), Some("did you mean user.name?")), "{wrong}");
    assert!(detail("/api/v1/search?cursor=xx").await.contains("cursor"));
    assert!(detail("/api/v1/alerts?cursor=xx").await.contains("cursor"));
    assert!(detail("/api/v1/alerts?state=opn").await.contains("did you mean open?"));
    assert!(detail("/api/v1/timeline?bucket_secs=61").await.contains("multiple of 60"));
    door.get("/api/v1/alerts/zz", &admin.headers()).await.expect(404);
    door.get("/api/v1/events/zz", &admin.headers()).await.expect(404);
    let too_long = format!("/api/v1/search?q={}", "x".repeat(100_000));
    let answer = door.raw(format!("GET {too_long} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(), WITHIN).await;
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    door.close().await;
}
