//! One interface: packets in, lines of JSON out.

use super::{BATCH_BYTES, BATCH_SECS, Shared};
use crate::capture::{Capture, CaptureError, Counts};
use event::Finding;
use net::detect::{Detector, Settings};
use net::{Monitor, Record};
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often detectors are asked and idle flows are ended.
const LOOK_SECS: u64 = 2;
/// A half-open connection is written after so long, so that scans are told while they go on.
const OPENING_SECS: i64 = 10;

struct Interface<'a> {
    shared: &'a Shared,
    monitor: Monitor,
    detector: Detector,
    lines: Vec<u8>,
    /// Records in `lines`.
    waiting: u64,
    begun: Instant,
}

pub(super) fn read(mut capture: Box<dyn Capture>, settings: Settings, shared: &Shared) {
    let mut limits = net::Settings::default();
    limits.limits.tcp_opening_secs = OPENING_SECS;
    let mut interface = Interface { shared, monitor: Monitor::new(limits), detector: Detector::new(settings), lines: Vec::new(), waiting: 0, begun: Instant::now() };
    let place = {
        let mut captures = shared.tally.captures.lock().unwrap_or_else(PoisonError::into_inner);
        captures.push((capture.name().to_owned(), Counts::default()));
        captures.len() - 1
    };
    let mut looked = Instant::now();
    while !shared.stopping() {
        let read = capture.read(Duration::from_millis(100), &mut |frame| interface.monitor.frame(&frame));
        match read {
            Ok(true) => {}
            Ok(false) => break,
            // It is read on as soon as it is up again.
            Err(CaptureError::Down(_)) => std::thread::sleep(Duration::from_millis(200)),
            Err(error) => {
                shared.end(error.to_string());
                break;
            }
        }
        interface.take();
        if looked.elapsed() >= Duration::from_secs(LOOK_SECS) {
            looked = Instant::now();
            interface.monitor.tick(super::host::timestamp());
            interface.take();
            interface.look();
            count(shared, place, &mut *capture);
        }
        if interface.lines.len() >= BATCH_BYTES || interface.begun.elapsed() >= Duration::from_secs(BATCH_SECS) {
            interface.keep();
        }
    }
    interface.monitor.finish();
    interface.take();
    interface.look();
    interface.keep();
    count(shared, place, &mut *capture);
}

fn count(shared: &Shared, place: usize, capture: &mut dyn Capture) {
    let counts = capture.counts();
    if let Some(entry) = shared.tally.captures.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place) {
        entry.1 = counts;
    }
}

impl Interface<'_> {
    fn take(&mut self) {
        let mut count = 0;
        for record in self.monitor.records() {
            self.detector.observe(&record);
            line(&mut self.lines, &of_record(&record));
            count += 1;
        }
        self.waiting += count;
        self.shared.tally.records.fetch_add(count, Ordering::Relaxed);
    }

    fn look(&mut self) {
        for finding in self.detector.findings() {
            line(&mut self.lines, &eve_alert(&finding));
            self.waiting += 1;
            self.shared.tally.findings.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn keep(&mut self) {
        self.begun = Instant::now();
        let waiting = std::mem::take(&mut self.waiting);
        self.shared.keep(&mut self.lines, waiting);
    }
}

fn line(lines: &mut Vec<u8>, value: &Value) {
    // Writing into memory does not fail.
    drop(serde_json::to_writer(&mut *lines, value));
    lines.push(b'\n');
}

/// EVE, with what EVE has no name for under `erne`.
fn of_record(record: &Record) -> Value {
    let mut value = net::eve::eve(record);
    if let Record::Ssh(ssh) = record
        && ssh.authenticated.is_some()
    {
        value["erne"] = json!({"authenticated": ssh.authenticated, "refused": ssh.refused});
    }
    value
}

/// A finding in the shape of an EVE alert.
pub fn eve_alert(finding: &Finding) -> Value {
    let fact = |name: &str| finding.explanation.conditions.iter().find(|c| c.field.as_str() == name).map(|c| c.actual.to_string());
    json!({
        "timestamp": finding.time,
        "event_type": "alert",
        "src_ip": finding.entity.value,
        "dest_ip": fact("dst_ip"),
        "message": finding.explanation.summary,
        "community_id": finding.event_ids.first(),
        "alert": {
            "action": "allowed",
            "signature_id": finding.rule.id,
            "signature": finding.rule.name,
            "category": finding.rule.tactics.first(),
            // Suricata counts from 1, the worst.
            "severity": 5 - finding.level.ocsf_id().clamp(1, 4),
        },
        "erne": {"rule": finding.rule.id, "level": finding.level, "techniques": finding.rule.techniques, "count": finding.event_count, "revision": finding.revision, "id": finding.id},
    })
}

