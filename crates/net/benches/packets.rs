//! Packets a second of one core, in CPU time: other programs on the machine do not change it much.
//!
//! `cargo bench -p net` reads the captures of `../shared/data/net` (or `$ERNE_SHARED`). Wall-clock harnesses measure
//! the neighbours on a shared machine; the scheduler's account of this process (`/proc/self/schedstat`) does not.

#[path = "../tests/net/build.rs"]
#[allow(dead_code)]
mod build;
#[path = "../tests/net/shared.rs"]
mod shared;

use event::Timestamp;
use net::capture::{Frame, Link, Reader};
use net::decode::Decoded;
use net::{Monitor, Settings};
use std::io::Write;

/// Seconds of CPU this process has used.
fn cpu_secs() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Runs for at least two seconds of CPU time; millions of packets a second, the best of several parts.
fn rate(name: &str, packets: u64, mut once: impl FnMut()) {
    once();
    let (mut best, started) = (f64::MAX, cpu_secs());
    while cpu_secs() - started < 2.0 {
        // The account is kept in steps of some milliseconds: a part takes many of them.
        let (from, mut runs) = (cpu_secs(), 0);
        while cpu_secs() - from < 0.25 {
            once();
            runs += 1;
        }
        best = best.min((cpu_secs() - from) / f64::from(runs));
    }
    println!("{name:<52} {:>8.2} M packets/s/core  {:>7.0} ns/packet", packets as f64 / best / 1e6, best / packets as f64 * 1e9);
}

type Owned = (Timestamp, Link, Vec<u8>);

/// All captures in one: what is malformed stands among what is not.
fn mixed() -> Vec<Owned> {
    let mut frames = Vec::new();
    for name in ["community-id", "ja4", "suricata-verify", "zeek"] {
        for (path, bytes) in shared::archive(name).unwrap_or_default() {
            let bytes = shared::plain(&path, &bytes);
            if shared::is_capture(&bytes) {
                drop(Reader::default().push(&bytes, &mut |f| frames.push((f.time, f.link, f.bytes.to_vec()))));
            }
        }
    }
    frames
}

fn one(archive: &str, part: &str) -> Vec<Owned> {
    let mut frames = Vec::new();
    for (path, bytes) in shared::archive(archive).unwrap_or_default() {
        if path.ends_with(part) {
            drop(Reader::default().push(&bytes, &mut |f| frames.push((f.time, f.link, f.bytes.to_vec()))));
        }
    }
    frames
}

fn frame(owned: &Owned) -> Frame<'_> {
    Frame { time: owned.0, link: owned.1, bytes: &owned.2, wire_len: owned.2.len() as u32, number: 0 }
}

fn measure(name: &str, frames: &[Owned]) {
    if frames.is_empty() {
        return;
    }
    let count = frames.len() as u64;
    println!("{name}: {count} frames");
    rate("  decode", count, || {
        let packets = frames.iter().filter(|f| matches!(net::decode::frame(f.1, &f.2), Ok(Decoded::Packet(_)))).count();
        std::hint::black_box(packets);
    });
    rate("  decode and flows", count, || {
        let mut monitor = Monitor::default().flows_only();
        for owned in frames {
            monitor.frame(&frame(owned));
            if monitor.has_records() {
                monitor.records();
            }
        }
        std::hint::black_box(monitor.flow_counts().opened);
    });
    rate("  decode, flows, reassembly, protocols", count, || {
        let mut monitor = Monitor::default();
        for owned in frames {
            monitor.frame(&frame(owned));
            if monitor.has_records() {
                monitor.records();
            }
        }
        monitor.finish();
        std::hint::black_box(monitor.records().count());
    });
    rate("  all of it, and JSON", count, || {
        let (mut monitor, mut out) = (Monitor::default(), std::io::BufWriter::with_capacity(1 << 16, std::io::sink()));
        let mut write = |monitor: &mut Monitor| {
            for record in monitor.records() {
                drop(serde_json::to_writer(&mut out, &record));
                drop(out.write_all(b"\n"));
            }
        };
        for owned in frames {
            monitor.frame(&frame(owned));
            if monitor.has_records() {
                write(&mut monitor);
            }
        }
        monitor.finish();
        write(&mut monitor);
    });
}

/// A million flows at a time: what they take, and what the table does when it is far larger than the caches.
fn many() {
    let mut monitor = Monitor::new(Settings::default()).flows_only();
    let frames: Vec<Vec<u8>> = (0..1_000_000u32).map(|i| build::udp([10, (i >> 16) as u8, (i >> 8) as u8, i as u8], 1_024 + (i % 50_000) as u16, [192, 0, 2, 1], 53, b"x")).collect();
    for bytes in &frames {
        monitor.frame(&build::frame(Timestamp(1), bytes));
    }
    println!("a million flows: {} MB, {} open", monitor.table_bytes() / 1_000_000, monitor.flow_counts().open_max);
    rate("  decode and flows, all of them open", frames.len() as u64, || frames.iter().for_each(|bytes| monitor.frame(&build::frame(Timestamp(1), bytes))));
}

fn main() {
    // `cargo test --benches` runs this too, and wants no measurement.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    measure("ja4/http2-with-cookies.pcapng (ordinary application traffic)", &one("ja4", "/http2-with-cookies.pcapng"));
    measure("ja4/ssh-scp-1050.pcap", &one("ja4", "/ssh-scp-1050.pcap"));
    measure("every shared capture, one after another", &mixed());
    many();
}
