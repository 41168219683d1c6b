//! Packet captures within a hunt: records to the detectors, HTTP requests to the inspector.

use super::hunt::Totals;
use anyhow::Context;
use event::Finding;
use ::net::capture::Reader;
use ::net::detect::{Detector, Settings};
use ::net::protocols::http::HttpRecord;
use ::net::{Monitor, Record};
use ::web::{Decision, Inspector, Response, Transaction};

/// The detectors over all captures of a hunt: a scan may go over several files.
pub struct Packets {
    detector: Detector,
    inspector: Inspector,
}

/// The detectors' settings of a file, or the defaults.
pub fn settings(path: Option<&std::path::Path>) -> anyhow::Result<Settings> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Settings::parse(&text).with_context(|| path.display().to_string())
}

/// One capture. Flows end with their file.
pub struct Capture {
    reader: Reader,
    monitor: Monitor,
    failed: bool,
}

impl Capture {
    /// A capture, if these first bytes begin one.
    pub fn of(head: &[u8]) -> Option<Self> {
        Reader::recognises(head).then(|| Self { reader: Reader::default(), monitor: Monitor::default(), failed: false })
    }

    pub fn push(&mut self, chunk: &[u8], packets: &mut Packets, totals: &mut Totals) {
        self.failed |= self.reader.push(chunk, &mut |frame| self.monitor.frame(&frame)).is_err();
        self.observe(packets, totals);
    }

    /// What is wrong with the capture, if something is.
    pub fn finish(mut self, packets: &mut Packets, totals: &mut Totals) -> Option<String> {
        self.failed |= self.reader.finish().is_err();
        self.monitor.finish();
        self.observe(packets, totals);
        totals.captures += 1;
        totals.frames += self.monitor.counts.frames;
        totals.flows += self.monitor.flow_counts().opened;
        totals.malformed += self.monitor.counts.malformed.values().sum::<u64>();
        if self.failed {
            return Some("its header is no capture's".to_owned());
        }
        self.reader.damage().map(|damage| format!("{} after frame {}; what stands before it was read", damage.as_str(), self.reader.frames()))
    }

    fn observe(&mut self, packets: &mut Packets, totals: &mut Totals) {
        for record in self.monitor.records() {
            totals.events += 1;
            *totals.formats.entry(record.kind()).or_default() += 1;
            let time = record.time();
            totals.first = Some(totals.first.map_or(time, |t| t.min(time)));
            totals.last = Some(totals.last.map_or(time, |t| t.max(time)));
            totals.hours.entry(time.secs().div_euclid(3600)).or_default().0 += 1;
            packets.observe(&record);
        }
    }
}

impl Packets {
    pub fn new(settings: Settings) -> Self {
        Self { detector: Detector::new(settings), inspector: Inspector::default() }
    }

    pub fn observe(&mut self, record: &Record) {
        self.detector.observe(record);
        let Record::Http(http) = record else { return };
        if http.method.is_empty() {
            return;
        }
        let verdict = self.inspector.inspect(&transaction(http));
        if verdict.verdict == Decision::Attack
            && let Some(worst) = verdict.findings.iter().max_by(|a, b| a.score.total_cmp(&b.score))
        {
            self.detector.web_attack(http, worst.class.as_str(), &format!("{} at {}", worst.why, worst.location));
        }
    }

    /// What crossed its threshold or grew since the last call.
    pub fn told(&mut self) -> Vec<Finding> {
        self.detector.findings()
    }

    pub fn findings(&mut self, totals: &mut Totals) -> Vec<Finding> {
        let findings = self.told();
        for finding in &findings {
            let hits = finding.event_count.min(totals.events - totals.hits);
            totals.hits += hits;
            totals.hours.entry(finding.time.secs().div_euclid(3600)).or_default().1 += hits;
        }
        findings
    }
}

fn transaction(http: &HttpRecord) -> Transaction {
    Transaction {
        method: http.method.clone(),
        target: http.target.clone(),
        version: http.version.clone(),
        headers: http.request_headers.clone(),
        body: http.request_body.kept.clone(),
        peer: Some(http.endpoints.src_ip),
        response: http.status.map(|status| Response { status, headers: http.response_headers.clone(), body: http.response_body.kept.clone() }),
        ..Transaction::default()
    }
}
