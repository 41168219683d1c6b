use crate::door::Door;
use bytes::Bytes;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_bodies_are_taken_like_plain_ones_and_streams_are_capped() {
    let door = Door::open().await;
    let (mut client, connection) = h2::client::handshake(door.connect().await).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = http::Request::post(format!("http://{}/api/logs", door.address)).body(()).unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"{\"service\":\"a\",\"status_code\":200,"), false).unwrap();
        body.send_data(Bytes::from_static(b"\"message\":\"m\",\"timestamp\":\"2026-11-20T10:00:00Z\"}"), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 202);
    }
    assert!(client.current_max_send_streams() <= 128);
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_http2_connections_end() {
    let door = Door::with(|c| c.keep_alive_timeout_ms = 400).await;
    let mut stream = door.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut out = Vec::new();
    tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut out)).await.expect("it ends").ok();
    door.close().await;
}
