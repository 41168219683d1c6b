//! Who is attacking, decided: Sigma rules, Sigma correlations and threat lists over [`event::Event`]s.
//!
//! Detection has stages, so that the first runs in parallel and only the others hold state:
//! 1. [`Detector::run`] is stateless. It evaluates every Sigma rule and threat list on a slice of events,
//!    writes `rules`, `threat_lists` and `severity` into them, and returns findings plus one [`Keyed`]
//!    for each part that an event plays in a correlation.
//! 2. [`Front::pass`] completes the parts, in log order, with what other groups' events say: who began a chain
//!    of assumed roles, how many people use an address. It is one, before all shards.
//! 3. [`Correlator::step`] is stateful, one per shard. It counts in windows of *event* time, and hands
//!    out the changes of its state ([`Stepped::delta`]) so that the caller can commit them with the findings.
//!    [`Correlator::advance`] lets time pass without events, by the log's clock; a finding may be told several
//!    times, until it is final.
//!
//! This crate opens no file, reads no clock, draws no random number and starts no thread; the same events
//! in the same order always make the same findings with the same ids. It doesn't deduplicate findings
//! into alerts, and it doesn't parse log formats.
//!
//! What follows from a finding for its source, [`bans`] decides.
//!
//! Start with [`RuleSet::compile`]; the evaluator is in `sigma`, the windows in `correlate`, the lists in
//! `intel`.
//!
//! ```
//! use detect::{Detector, Matched, RuleFile, RuleSet, ThreatLists};
//! use event::{Bytes, Event, Format, LogSource, Position, Severity, Timestamp, Value};
//! let text = "title: Trail stopped\nid: t1\nlevel: high\nlogsource: {product: aws, service: cloudtrail}\n\
//!             detection: {selection: {eventName: StopLogging}, condition: selection}";
//! let (rules, issues) = RuleSet::compile(&[RuleFile { path: "t.yml".into(), text: text.into() }]);
//! assert!(issues.is_empty(), "{issues:?}");
//! let mut event = Event::new("u1".into(), Position::default(), Timestamp(0), "aws".into(), Format::Cloudtrail, Bytes::new());
//! event.log_source = LogSource { product: "aws", category: "", service: "cloudtrail" };
//! event.native = Value::from_json(br#"{"eventName":"StopLogging"}"#).unwrap().0;
//! let detector = Detector { rules: rules.into(), lists: ThreatLists::default().into(), lateness: Default::default() };
//! let mut out = Matched::default();
//! detector.run(std::slice::from_mut(&mut event), &mut out);
//! assert_eq!((out.findings.len(), event.severity), (1, Severity::High));
//! ```

pub mod bans;
mod behaviour;
mod correlate;
mod front;
mod intel;
mod lateness;
mod sigma;
mod stateful;

pub use correlate::{
    Correlator, EVENTS_PER_GROUP_MAX, EventSummary, GROUPS_PER_RULE_MAX, Keyed, Stepped,
    VALUES_PER_GROUP_MAX, standing,
};
pub use front::Front;
pub use intel::{ListInfo, ThreatLists};
pub use lateness::Lateness;
pub use sigma::{
    CorrelationInfo, EXCEPTIONS_MAX, Exception, ExceptionHits, Options, Placeholders, Possible, RuleRequirements, RuleSet, Trace,
    TraceStep,
};

use event::{Event, Finding, Severity};
use std::sync::Arc;

/// A rule file's text and the name it is reported under.
#[derive(Clone, Debug, Default)]
pub struct RuleFile {
    pub path: String,
    pub text: String,
}

/// Why a rule or a list line could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadIssue {
    pub file: String,
    pub line: Option<usize>,
    pub message: String,
    pub hint: Option<String>,
}

/// How an issue begins that leaves nothing out.
pub(crate) const NOTICE: &str = "ignored: ";
/// How the file name of an exception's issue begins.
pub(crate) const EXCEPTION: &str = "exception ";

impl LoadIssue {
    /// Whether what was written is loaded all the same.
    pub fn is_notice(&self) -> bool {
        self.message.starts_with(NOTICE)
    }

    /// Whether it is about an exception, not about a rule.
    pub fn is_of_exception(&self) -> bool {
        self.file.starts_with(EXCEPTION)
    }
}

impl std::fmt::Display for LoadIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

#[derive(Default)]
pub struct Matched {
    /// The level from which on matches are told as findings; below, they are counted, and stand on their events.
    pub findings_from: Severity,
    pub findings: Vec<Finding>,
    pub keyed: Vec<Keyed>,
    /// Matches below that level.
    pub untold: u64,
}

/// The stateless stage: sets `rules`, `threat_lists` and `severity` on the events and appends to `out`.
pub struct Detector {
    pub rules: Arc<RuleSet>,
    pub lists: Arc<ThreatLists>,
    /// How long events of each source may be under way.
    pub lateness: Arc<Lateness>,
}

/// What one event is marked with once all of the batch is evaluated.
struct Mark {
    index: usize,
    rules: Vec<Arc<str>>,
    lists: Vec<Arc<str>>,
    severity: Severity,
}

impl Detector {
    /// Evaluates all events. The events are only written to at the end: until then every look-up borrows
    /// from them.
    pub fn run(&self, events: &mut [Event], out: &mut Matched) {
        let mut marks = Vec::new();
        let mut evaluation = self.rules.evaluation();
        for (index, event) in events.iter().enumerate() {
            let mut mark = Mark { index, rules: Vec::new(), lists: Vec::new(), severity: event.severity };
            self.rules.run(&mut evaluation, event, &self.lateness, out, &mut mark.rules, &mut mark.severity);
            let excepted = &mut |rule: &str| self.rules.excepts(&mut evaluation, rule, event);
            self.lists.run(event, excepted, out, &mut mark.lists, &mut mark.severity);
            if !mark.rules.is_empty() || !mark.lists.is_empty() {
                marks.push(mark);
            }
        }
        self.rules.finish(evaluation);
        for mark in marks {
            let event = &mut events[mark.index];
            event.rules.extend(mark.rules);
            event.threat_lists.extend(mark.lists);
            event.severity = mark.severity;
        }
    }
}
