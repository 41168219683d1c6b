//! What people do with rules beside the running pipeline: look at them, check, replay and explain them. Nothing
//! here changes what runs.

use crate::attack::{Score, Technique, navigator_layer};
use crate::platform::Platform;
use crate::reach::{Reach, reach};
use crate::replay::{Replay, ReplayJob, ReplayLimits, replay};
use crate::{rebuild, reload};
use detect::{CorrelationInfo, Exception, ExceptionHits, LoadIssue, Options, RuleFile, RuleSet, Trace};
use event::{Bytes, Event, Format, Record, Rule, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::lake::LakeError;

/// The name of a text that came over the API, in issues and as the file of its rules.
const TEXT_FILE: &str = "text";
/// Largest text of rules.
pub const RULE_TEXT_BYTES_MAX: usize = 256 << 10;

/// A rule with what it needs and can match.
#[derive(Clone, Debug, Serialize)]
pub struct RuleDetail {
    pub rule: Arc<Rule>,
    /// The file that it stands in, with whatever else does.
    pub text: String,
    /// Product, category and service; empty where it names none.
    pub log_source: [String; 3],
    pub fields: Vec<String>,
    pub correlation: Option<CorrelationInfo>,
    #[serde(flatten)]
    pub reach: Reach,
}

/// Which rules a replay or an explanation is about.
#[derive(Clone, Debug)]
pub enum RuleChoice {
    /// A running rule.
    Id(String),
    /// Rules that do not run yet. They may refer to running ones.
    Text(String),
}

/// Why rules cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("there is no rule {0}")]
    NoRule(String),
    #[error("there is no such event, or its time is over")]
    NoEvent,
    #[error("the text cannot be used: {0}")]
    BadText(String),
    #[error("{0}")]
    Bad(String),
    #[error("another replay is running; try again when it has ended")]
    Busy,
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// The event to explain.
#[derive(Clone, Debug)]
pub enum EventChoice {
    Uid(String),
    Raw { raw: String, format: Option<Format> },
}

/// Rules compiled for a look, and the ids of those that were asked for.
struct Chosen {
    rules: Arc<RuleSet>,
    ids: BTreeSet<Arc<str>>,
}

/// Stops a replay whose caller has gone.
struct Cancel(Arc<AtomicBool>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Platform {
    /// One running rule.
    pub fn rule(&self, id: &str) -> Option<RuleDetail> {
        let processor = self.0.shared.processor.load();
        if let Some(rule) = processor.list_rules().iter().find(|rule| *rule.id == *id) {
            let why = "can match on every event with an address or a host name".to_owned();
            let reach = Reach { can_match: true, why, on: Vec::new(), absent: Vec::new() };
            let fields = ["src_endpoint.ip", "dst_endpoint.ip", "src_endpoint.hostname", "dst_endpoint.hostname", "http_request.url.hostname"];
            return Some(RuleDetail {
                rule: rule.clone(),
                text: String::new(),
                log_source: Default::default(),
                fields: fields.map(str::to_owned).to_vec(),
                correlation: None,
                reach,
            });
        }
        let (needs, reach) = reach(processor.rule_set()).into_iter().find(|(needs, _)| *needs.rule.id == *id)?;
        let text = self.0.shared.content.texts().text_of(&needs.rule.file).unwrap_or_default().to_owned();
        let (product, category, service) = needs.log_source;
        let log_source = [product, category, service];
        Some(RuleDetail { rule: needs.rule, text, log_source, fields: needs.fields, correlation: needs.correlation, reach })
    }

    /// Whether a text of rules would load, beside those that run; nothing is changed.
    pub fn check_rules(&self, text: &str) -> (Vec<Arc<Rule>>, Vec<LoadIssue>) {
        let (rules, issues) = self.compile_text(text, &[]);
        let own = rules.rules().iter().filter(|rule| rule.file == TEXT_FILE).cloned().collect();
        (own, issues)
    }

    /// The text alone; with the running rules where it refers to some. Only its own issues.
    fn compile_text(&self, text: &str, exceptions: &[Exception]) -> (RuleSet, Vec<LoadIssue>) {
        let texts = self.0.shared.content.texts();
        let mut files = vec![RuleFile { path: TEXT_FILE.into(), text: text.to_owned() }];
        let (rules, issues) = texts.compile_files(&files, exceptions);
        let own = |issues: Vec<LoadIssue>| issues.into_iter().filter(|issue| issue.file == TEXT_FILE).collect::<Vec<_>>();
        if !issues.iter().any(|issue| issue.message.starts_with("there is no rule")) {
            return (rules, own(issues));
        }
        files.extend(texts.files.iter().cloned());
        let (rules, issues) = texts.compile_files(&files, exceptions);
        (rules, own(issues))
    }

    fn choose(&self, choice: &RuleChoice) -> Result<Chosen, WorkError> {
        let exceptions = self.0.shared.content.exceptions();
        match choice {
            RuleChoice::Text(text) => {
                if text.len() > RULE_TEXT_BYTES_MAX {
                    return Err(WorkError::BadText(format!("it has {} bytes, at most {RULE_TEXT_BYTES_MAX} are read", text.len())));
                }
                let (rules, issues) = self.compile_text(text, &exceptions);
                if let Some(issue) = issues.iter().find(|issue| !issue.is_notice()) {
                    return Err(WorkError::BadText(issue.to_string()));
                }
                let ids: BTreeSet<_> = rules.rules().iter().filter(|r| r.file == TEXT_FILE).map(|r| r.id.clone()).collect();
                if ids.is_empty() {
                    return Err(WorkError::BadText("it holds no rule".into()));
                }
                Ok(Chosen { rules: Arc::new(rules), ids })
            }
            RuleChoice::Id(id) => {
                let texts = self.0.shared.content.texts();
                let running = self.0.shared.processor.load();
                let rule = running.rules().iter().find(|rule| *rule.id == **id).ok_or_else(|| WorkError::NoRule(id.clone()))?;
                // Compiled anew, so that exceptions are not counted; its own file is enough unless it refers to others.
                let own: Vec<RuleFile> = texts.files.iter().filter(|file| file.path == rule.file).cloned().collect();
                let has = |rules: &RuleSet| rules.rules().iter().any(|known| known.id == rule.id);
                let (mut rules, _) = texts.compile_files(&own, &exceptions);
                if !has(&rules) {
                    (rules, _) = texts.compile(&exceptions);
                }
                if !has(&rules) {
                    return Err(WorkError::NoRule(id.clone()));
                }
                Ok(Chosen { rules: Arc::new(rules), ids: BTreeSet::from([rule.id.clone()]) })
            }
        }
    }

    /// What rules would have told about the events of the lake. One at a time; ends when the caller goes.
    pub async fn replay(&self, choice: RuleChoice, from: Timestamp, to: Timestamp, limits: ReplayLimits) -> Result<Replay, WorkError> {
        if from >= to {
            return Err(WorkError::Bad("from must be before to".into()));
        }
        let permit = self.0.replaying.clone().try_acquire_owned().map_err(|_| WorkError::Busy)?;
        let gone = Arc::new(AtomicBool::new(false));
        let _cancel = Cancel(gone.clone());
        let platform = self.clone();
        let work = move || {
            let _permit = permit;
            let chosen = platform.choose(&choice)?;
            let shared = &platform.0.shared;
            let processor = shared.processor.load_full();
            let job = ReplayJob {
                lake: &shared.lake,
                enricher: processor.enricher(),
                rules: &chosen.rules,
                tells: &|rule: &Rule| chosen.ids.contains(&rule.id),
                from,
                to,
                limits,
            };
            let stops = || gone.load(Ordering::Relaxed) || shared.stop.load(Ordering::Relaxed);
            let told = replay(&job, &mut |_| !stops())?;
            if stops() { Err(WorkError::Stopping) } else { Ok(told) }
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(WorkError::Lake(LakeError::Failed(error.to_string()))))
    }

    /// Why rules hold for an event, or do not: one trace for each rule that was chosen. Of a correlation, the
    /// traces of the rules it counts.
    pub async fn explain(&self, choice: RuleChoice, event: EventChoice) -> Result<Vec<Trace>, WorkError> {
        let event = self.chosen_event(event).await?;
        let platform = self.clone();
        let work = move || {
            let chosen = platform.choose(&choice)?;
            let needs = chosen.rules.requirements();
            let mut traces = Vec::new();
            for needs in needs.iter().filter(|needs| chosen.ids.contains(&needs.rule.id)) {
                match &needs.correlation {
                    None => traces.extend(chosen.rules.explain(&needs.rule.id, &event)),
                    Some(correlation) => traces.extend(correlation.rules.iter().filter_map(|id| chosen.rules.explain(id, &event))),
                }
            }
            Ok(traces)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(WorkError::Bad(error.to_string())))
    }

    async fn chosen_event(&self, choice: EventChoice) -> Result<Event, WorkError> {
        let processor = self.0.shared.processor.load_full();
        match choice {
            EventChoice::Uid(uid) => {
                let stored = self.event(uid).await?.ok_or(WorkError::NoEvent)?;
                let rebuilt = rebuild::of_json(&stored, processor.enricher());
                Ok(rebuilt.ok_or_else(|| WorkError::Bad("the stored entry cannot be read again".into()))?.event)
            }
            EventChoice::Raw { raw, format } => {
                let record = Record { source: TEXT_FILE.into(), format, received: self.now(), peer: None, body: Bytes::from(raw) };
                let mut events = parse::events(&record, 0);
                let mut event = events.next().ok_or_else(|| WorkError::Bad("there is no entry in it".into()))?;
                if events.next().is_some() {
                    return Err(WorkError::Bad("there are several entries in it: give one".into()));
                }
                processor.enricher().enrich(&mut event);
                Ok(event)
            }
        }
    }

    /// A layer for MITRE's ATT&CK Navigator.
    pub fn navigator(&self, score: Score) -> serde_json::Value {
        navigator_layer(&self.coverage(), score)
    }

    /// Puts these exceptions into force instead of those before; answers what is wrong with them.
    pub fn set_exceptions(&self, exceptions: Vec<Exception>) -> Vec<LoadIssue> {
        reload::set_exceptions(&self.0.shared, exceptions)
    }

    /// What is wrong with an exception, if it were made; whether there is its rule is not asked.
    pub fn check_exception(&self, exception: &Exception) -> Option<LoadIssue> {
        let options = Options { exceptions: vec![Exception { rule_id: None, ..exception.clone() }], ..Options::default() };
        let (_, issues) = RuleSet::compile_all(&[], &options);
        issues.into_iter().find(LoadIssue::is_of_exception)
    }

    /// How often exceptions have taken something out since the start.
    pub fn exception_hits(&self) -> Vec<ExceptionHits> {
        reload::exception_hits(&self.0.shared)
    }
}

/// Techniques that rules name, without what was found.
pub fn coverage_of(rules: &[Arc<Rule>]) -> Vec<Technique> {
    crate::attack::Matrix::builtin().coverage(rules, &Default::default())
}
