//! What live capture keeps up with: `live INTERFACE SECONDS [FILTER]` reads an interface through the whole pipeline (decode,
//! flows, reassembly, protocols, detectors) and says rates, losses and CPU time as one line of JSON.
//!
//! `scripts/capture_lab.sh` sends it traffic with tcpreplay.

use connect::capture::{self, Options};
use net::Monitor;
use net::detect::{Detector, Settings};
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: live INTERFACE SECONDS [FILTER]";
    let mut options = Options::new(args.next().ok_or(usage)?);
    let span = Duration::from_secs(args.next().ok_or(usage)?.parse()?);
    options.filter = args.next().unwrap_or_default();
    let mut capture = capture::open(&options)?;
    let (mut monitor, mut detector) = (Monitor::default(), Detector::new(Settings::default()));
    let begun = Instant::now();
    let (mut records, mut busy_from, mut busy_to) = (0u64, None, begun);
    eprintln!("capturing {}", capture.name());
    while begun.elapsed() < span {
        let before = monitor.counts.frames;
        capture.read(Duration::from_millis(100), &mut |frame| monitor.frame(&frame))?;
        for record in monitor.records() {
            records += 1;
            detector.observe(&record);
        }
        if monitor.counts.frames > before {
            busy_from.get_or_insert_with(Instant::now);
            busy_to = Instant::now();
        }
    }
    monitor.finish();
    records += monitor.records().inspect(|record| detector.observe(record)).count() as u64;
    let busy = busy_from.map_or(0.0, |from| (busy_to - from).as_secs_f64());
    let counts = capture.counts();
    let cpu = cpu_secs();
    println!(
        "{}",
        serde_json::json!({
            "frames": counts.received, "dropped": counts.dropped, "frozen": counts.frozen, "bytes": counts.bytes, "records": records,
            "findings": detector.findings().len(), "busy_secs": busy, "frames_per_sec": (counts.received as f64 / busy.max(0.001)) as u64,
            "cpu_secs": cpu, "frames_per_cpu_sec": (counts.received as f64 / cpu.max(0.001)) as u64,
        })
    );
    Ok(())
}

/// CPU time of this process, user and system, in seconds.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |at: usize| stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(at)).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    // Linux counts these in hundredths of a second for user space, whatever the kernel's own tick.
    (ticks(11) + ticks(12)) / 100.0
}
