//! Sizes, bombs, pauses.
use crate::door::{Door, HEAVY};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MIB: usize = 1 << 20;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_bodies_and_bombs_are_refused_with_413() {
    let _alone = HEAVY.lock().await;
    let door = Door::with(|c| {
        c.wire_bytes_max = MIB;
        c.decoded_bytes_max = 8 * MIB;
    }).await;
    let send = async |headers: &[(&str, &str)], body: &[u8]| door.call("POST", "/api/logs", headers, body).await;
    send(&[], &vec![b'x'; MIB + 1]).await.expect(413);
    send(&[], &vec![b'x'; MIB]).await.expect(202);
    // Announced too large: refused before a byte is read.
    let head = format!("POST /api/logs HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000000000\r\n\r\n", door.address);
    assert!(door.raw(head.as_bytes(), Duration::from_secs(5)).await.starts_with(b"HTTP/1.1 413"));
    // Not announced: chunks without end.
    let mut chunked = format!("POST /api/logs HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", door.address).into_bytes();
    for _ in 0..40 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend_from_slice(&[b'x'; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    assert!(door.raw(&chunked, Duration::from_secs(10)).await.starts_with(b"HTTP/1.1 413"));

    let before = resident();
    let zeros = vec![0; 200 * MIB];
    let bombs = [("gzip", gzip(&zeros)), ("zstd", zstd::bulk::compress(&zeros, 3).unwrap()), ("gzip", gzip(&gzip(&zeros)))];
    drop(zeros);
    for (coding, bomb) in &bombs[..2] {
        assert!(bomb.len() < MIB);
        send(&[("Content-Encoding", coding)], bomb).await.expect(413);
    }
    // Nested: one layer is a small gzip file, kept as the bytes it is.
    send(&[("Content-Encoding", bombs[2].0)], &bombs[2].1).await.expect(202);
    assert!(resident() < before + 64 * MIB, "{} MiB more", (resident() - before) / MIB);
    send(&[("Content-Encoding", "gzip")], &bombs[0].1[..1000]).await.expect(400);
    send(&[("Content-Encoding", "zstd")], b"no zstd").await.expect(400);
    send(&[("Content-Encoding", "br")], b"x").await.expect(415);
    send(&[("Content-Encoding", "gzip, gzip")], &bombs[2].1).await.expect(415);
    send(&[], b"").await.expect(400);
    send(&[("Content-Encoding", "gzip")], &gzip(b"")).await.expect(400);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_are_a_408_whether_they_stop_or_trickle() {
    let door = Door::with(|c| {
        c.body_idle_timeout_ms = 400;
        c.body_grace_secs = 1;
        c.body_bytes_per_sec_min = 1000;
    }).await;
    let head = format!("POST /api/logs HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\n", door.address);
    let began = Instant::now();
    let answer = door.raw(format!("{head}abc").as_bytes(), Duration::from_secs(10)).await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert!(began.elapsed() < Duration::from_secs(3));

    let (mut reader, mut writer) = door.connect().await.into_split();
    writer.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(10), reader.read(&mut answer)).await.expect("cut in time").unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 408"));
    trickle.abort();
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_all_bodies_together_is_bounded() {
    let door = Door::with(|c| c.bodies_bytes_max = MIB).await;
    let answer = door.call("POST", "/api/logs", &[], &vec![b'x'; 2 * MIB]).await;
    assert!(answer.expect(429).header("retry-after").is_some());
    // What was refused gives its share back.
    door.call("POST", "/api/logs", &[], &vec![b'x'; MIB / 2]).await.expect(202);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_json_is_stored_raw_by_ingest_and_refused_by_the_api() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let deep = "[".repeat(100_000);
    let hostile: [&[u8]; 8] = [deep.as_bytes(), b"{\"a\":1,\"a\":2}", b"[1e400]", b"{\"a\":\"\\ud800\"}", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\"\x00\"", b"{\"__proto__\":{\"x\":1}}"];
    for body in hostile {
        door.call("POST", "/api/logs", &[], body).await.expect(202);
        let headers = [("Content-Type", "application/json"), admin.headers()[0], admin.headers()[1]];
        door.call("POST", "/api/v1/alerts/state", &headers, body).await.expect(400);
    }
    // A role in a body that has no place for it.
    let sneaky = json!({"current": door.password, "new": "correct horse battery", "role": "admin"});
    door.post_json("/api/v1/me/password", &admin.headers(), sneaky).await.expect(400);
    door.close().await;
}
