//! stub: the agreed surface
use event::{Event, Finding, Rule};
use std::sync::Arc;

/// A rule file's text and the name it is reported under.
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

/// Compiled, immutable rules, bucketed by log source.
#[derive(Default)]
pub struct RuleSet;
impl RuleSet {
    pub fn compile(files: &[RuleFile]) -> (Self, Vec<LoadIssue>) {
        let _ = files;
        (Self, vec![])
    }
    pub fn rules(&self) -> &[Arc<Rule>] {
        &[]
    }
}

/// Compiled threat lists: addresses, CIDR blocks and domains, one per line, `#` comments.
#[derive(Default)]
pub struct ThreatLists;
impl ThreatLists {
    pub fn compile(files: &[RuleFile]) -> (Self, Vec<LoadIssue>) {
        let _ = files;
        (Self, vec![])
    }
}

/// One event's part in one correlation: what crosses from the stateless to the stateful stage.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// Equal keys go to the same shard.
    pub shard_hash: u64,
}

#[derive(Default)]
pub struct Matched {
    pub findings: Vec<Finding>,
    pub keyed: Vec<Keyed>,
}

/// The stateless stage: sets `rules`, `threat_lists` and `severity` on the events and appends to `out`.
pub struct Detector {
    pub rules: Arc<RuleSet>,
    pub lists: Arc<ThreatLists>,
}
impl Detector {
    pub fn run(&self, events: &mut [Event], out: &mut Matched) {
        let _ = (events, out);
    }
}

/// The stateful stage of one shard.
pub struct Correlator;
#[derive(Default)]
pub struct Stepped {
    pub findings: Vec<Finding>,
    /// State entries to write, `None` to delete. Keys begin with the rule's id.
    pub delta: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}
impl Correlator {
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let _ = rules;
        Self
    }
    /// Takes back an entry that an earlier `step` wrote; entries of unknown or changed rules are ignored.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) {
        let _ = (key, value);
    }
    pub fn step(&mut self, keyed: &[Keyed], out: &mut Stepped) {
        let _ = (keyed, out);
    }
}
