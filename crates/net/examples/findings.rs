//! What the detectors say of a capture, as JSON lines: `cargo run --release -p net --example findings -- FILE`.
//!
//! `erne hunt` does the same beside logs; this one compiles in seconds and is what `scripts/scan_lab.sh` uses by default.

use net::Monitor;
use net::capture::Reader;
use net::detect::{Detector, Settings};
use std::io::{Read, Write};

const CHUNK_BYTES: usize = 1 << 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: findings FILE")?;
    let mut file = std::fs::File::open(path)?;
    let (mut reader, mut monitor, mut detector) = (Reader::default(), Monitor::default(), Detector::new(Settings::default()));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        reader.push(&chunk[..count], &mut |frame| monitor.frame(&frame))?;
        monitor.records().for_each(|record| detector.observe(&record));
    }
    reader.finish()?;
    monitor.finish();
    monitor.records().for_each(|record| detector.observe(&record));
    let mut out = std::io::stdout().lock();
    for finding in detector.findings() {
        serde_json::to_writer(&mut out, &finding)?;
        writeln!(out)?;
    }
    Ok(())
}
