//! `erne net` and `erne hunt` on captures made here.

use crate::server::erne;
use event::Timestamp;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

fn run(arguments: &[&str]) -> Output {
    erne().args(arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    std::str::from_utf8(&output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tcp(src: [u8; 4], ports: (u16, u16), dst: [u8; 4], flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    bytes.extend((40 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend(src);
    bytes.extend(dst);
    bytes.extend(ports.0.to_be_bytes());
    bytes.extend(ports.1.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

const A: [u8; 4] = [192, 0, 2, 66];
const B: [u8; 4] = [192, 0, 2, 5];

/// A scan of forty ports, and one web request with an injection.
fn capture(dir: &Path) -> PathBuf {
    let mut writer = ::net::capture::write::Writer::default();
    let mut at = 1_700_000_000_000_000;
    let mut add = |frame: Vec<u8>| {
        at += 1_000;
        writer.frame(Timestamp(at), &frame);
    };
    for port in 1..=40 {
        add(tcp(A, (40_000, port), B, 2, 7, 0, b""));
        add(tcp(B, (port, 40_000), A, 20, 0, 8, b""));
    }
    let request = b"GET /p?id=1'+UNION+SELECT+password+FROM+users-- HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: Mozilla/5.0\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    add(tcp(A, (50_000, 8_080), B, 2, 10, 0, b""));
    add(tcp(B, (8_080, 50_000), A, 18, 90, 11, b""));
    add(tcp(A, (50_000, 8_080), B, 16, 11, 91, b""));
    add(tcp(A, (50_000, 8_080), B, 24, 11, 91, request));
    add(tcp(B, (8_080, 50_000), A, 24, 91, 11 + request.len() as u32, response));
    add(tcp(A, (50_000, 8_080), B, 17, 11 + request.len() as u32, 91 + response.len() as u32, b""));
    add(tcp(B, (8_080, 50_000), A, 17, 91 + response.len() as u32, 12 + request.len() as u32, b""));
    let path = dir.join("night.pcap");
    std::fs::write(&path, writer.finish()).unwrap();
    path
}

#[test]
fn a_capture_is_hunted_like_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path());
    let path = path.to_str().unwrap();
    let output = run(&["hunt", path, "-o", "jsonl"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let findings = lines(&output);
    let told: Vec<_> = findings.iter().map(|f| (f["rule"]["id"].as_str().unwrap(), f["entity"]["value"].as_str().unwrap())).collect();
    assert_eq!(told, [("net-port-scan", "192.0.2.66"), ("net-web-attack", "192.0.2.66")]);
    assert!(findings[0]["techniques"].as_array().unwrap().contains(&"T1046".into()));
    let table = String::from_utf8(run(&["hunt", path]).stdout).unwrap();
    assert!(table.contains("Packet captures: 1 with 87 frames and 41 flows") && table.contains("Port scan of a host"), "{table}");
    assert_eq!(run(&["hunt", path, "--fail-on", "medium"]).status.code(), Some(10));
}

#[test]
fn archives_and_standard_input_give_the_same_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path());
    let records = |what: &str| lines(&run(&["net", what, path.to_str().unwrap()]));
    let (flows, http) = (records("flows"), records("http"));
    assert_eq!((flows.len(), http.len()), (41, 1));
    for flow in &flows {
        for field in ["start", "end", "community_id", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "state", "reason", "src_packets", "dst_bytes"] {
            assert!(!flow[field].is_null(), "{field} is absent in {flow}");
        }
    }
    assert_eq!((http[0]["status"].as_u64(), http[0]["host"].as_str(), http[0]["response_body_bytes"].as_u64()), (Some(200), Some("shop.test"), Some(2)));
    let packed = dir.path().join("night.pcap.gz");
    std::fs::write(&packed, std::process::Command::new("gzip").arg("-c").arg(&path).output().unwrap().stdout).unwrap();
    assert_eq!(flows, lines(&run(&["net", "flows", packed.to_str().unwrap()])));
    let mut child = erne().args(["net", "flows", "-"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(flows, lines(&child.wait_with_output().unwrap()));
}

#[test]
fn eve_has_suricatas_names_and_broken_captures_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = capture(dir.path());
    let eve = lines(&run(&["net", "all", path.to_str().unwrap(), "-o", "eve"]));
    let http = eve.iter().find(|e| e["event_type"] == "http").unwrap();
    assert_eq!((http["dest_port"].as_u64(), http["http"]["http_method"].as_str(), http["proto"].as_str()), (Some(8_080), Some("GET"), Some("TCP")));
    assert!(http["timestamp"].as_str().unwrap().ends_with("+0000"));
    let (cut, text) = (dir.path().join("cut.pcap"), dir.path().join("text.pcap"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 3]).unwrap();
    std::fs::write(&text, "no capture").unwrap();
    let output = run(&["net", "flows", cut.to_str().unwrap()]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("the last frame is cut"));
    assert_eq!(run(&["net", "flows", text.to_str().unwrap()]).status.code(), Some(1));
    assert_eq!(run(&["net", "flows", "/no/such/capture"]).status.code(), Some(1));
}
