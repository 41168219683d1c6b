//! Sigma detection rules: parsed by `rsigma-parser`, evaluated here.
//!
//! What the specification leaves open is decided as follows. A list matches when any element does. A field
//! that the native event does not have is taken from the OCSF column or ECS alias of that name. Comparison
//! is without case unless `cased`; `re` is with case unless `i`. `*` crosses line breaks. A field that is
//! missing satisfies only `null` and `exists: false`, never `neq`. A number equals its text. A keyword is
//! searched in every scalar of the event, and in the line itself where the line is not JSON. A rule runs on
//! events that have every part of the log source it names; lines of sshd and sudo are also `service: auth`.

mod encode;
mod exceptions;
mod explain;
mod glob;
mod grams;
mod index;
mod literals;
mod load;
mod look;
mod needs;
mod pattern;
mod processing;
mod run;
mod tree;

pub(crate) use explain::{cut, summary};
pub(crate) use load::Source;
pub use exceptions::{EXCEPTIONS_MAX, Exception, ExceptionHits};
pub use needs::Possible;
pub use run::{Trace, TraceStep};
pub(crate) use run::finding_of_event;

use crate::correlate::{Base, Correlation, Document};
use crate::{LoadIssue, RuleFile};
use compact_str::CompactString;
use event::{Handling, Id, Rule, RuleKind, Severity};
use exceptions::Exceptions;
use index::Bucket;
use load::Documents;
use look::Fields;
use pattern::{Context, Predicate};
use processing::Pipelines;
use rsigma_parser::{Detections, FilterRule, FilterRuleTarget, LogSource, SigmaRule};
use std::collections::BTreeSet;
use std::sync::Arc;
use tree::{Builder, Node, Predicates};

/// Values for `%name%` in rules with the `expand` modifier.
pub type Placeholders = std::collections::BTreeMap<String, Vec<String>>;

/// What compiling a rule set depends on besides the rules.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub placeholders: Placeholders,
    /// Processing pipelines in pySigma's format.
    pub pipelines: Vec<RuleFile>,
    pub exceptions: Vec<Exception>,
}

/// A hash map whose keys come from rules. Its hash has no secret, so keys that senders of events choose
/// belong into the standard one.
pub(crate) type RuleMap<K, V> = std::collections::HashMap<K, V, std::hash::BuildHasherDefault<ahash::AHasher>>;
pub(crate) type RuleTexts = std::collections::HashSet<Box<str>, std::hash::BuildHasherDefault<ahash::AHasher>>;

pub(crate) const HANDLING_HINT: &str = "erne: takes signal, dedup, alerts_per_hour, risk, ban and part";

/// A rule as it is evaluated.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub rule: Arc<Rule>,
    pub root: Node,
    pub names: Vec<CompactString>,
    pub log_source: [CompactString; 3],
    /// Whether it raises findings of its own; false for the parts of a correlation without `generate`.
    pub emits: bool,
    /// The correlations it is part of, and as which of their rules.
    pub parts: Vec<(u32, u16)>,
}

/// Compiled, immutable rules, bucketed by log source.
#[derive(Default)]
pub struct RuleSet {
    pub(crate) rules: Vec<Arc<Rule>>,
    pub(crate) compiled: Vec<Compiled>,
    pub(crate) correlations: Vec<Correlation>,
    /// Whether some correlation groups by the resolved principal.
    pub(crate) traces_principals: bool,
    predicates: Vec<Predicate>,
    fields: Fields,
    pub(crate) exceptions: Exceptions,
    /// By product, category and service, in lower case.
    buckets: RuleMap<[CompactString; 3], Bucket>,
    pool: run::Pool,
}

/// What a rule asks of the events it is to match.
#[derive(Clone, Debug)]
pub struct RuleRequirements {
    pub rule: Arc<Rule>,
    /// Product, category and service, empty where the rule does not name one.
    pub log_source: (String, String, String),
    pub fields: Vec<String>,
    pub correlation: Option<CorrelationInfo>,
}

/// What a correlation counts.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CorrelationInfo {
    pub kind: &'static str,
    /// Ids of the rules it counts.
    pub rules: Vec<Arc<str>>,
    pub group_by: Vec<String>,
    pub timespan_secs: i64,
}

impl RuleSet {
    /// Compiles rule files. What can't be loaded is an issue; the rest is loaded.
    pub fn compile(files: &[RuleFile]) -> (Self, Vec<LoadIssue>) {
        Self::compile_with(files, &Placeholders::new())
    }

    /// The same, with values for placeholders.
    pub fn compile_with(files: &[RuleFile], placeholders: &Placeholders) -> (Self, Vec<LoadIssue>) {
        Self::compile_all(files, &Options { placeholders: placeholders.clone(), ..Options::default() })
    }

    /// The same, with everything that changes what rules mean.
    pub fn compile_all(files: &[RuleFile], options: &Options) -> (Self, Vec<LoadIssue>) {
        let mut issues = Vec::new();
        let pipelines = Pipelines::read(&options.pipelines, &mut issues);
        let mut documents = Documents::read(files, &mut issues);
        documents.process_correlations(&pipelines, &mut issues);
        let mut set = Self::default();
        let placeholders = &options.placeholders;
        let mut loading =
            Loading { issues: &mut issues, ids: RuleMap::default(), names: Vec::new(), placeholders, pipelines: &pipelines };
        let mut predicates = Predicates::default();
        for source in &documents.rules {
            set.add_rule(source, &documents.filters, &mut predicates, &mut loading);
        }
        loading.check_filters(&documents);
        set.add_correlations(&documents.correlations, &mut loading);
        set.check_parts(&documents.rules, &mut loading);
        set.add_exceptions(&options.exceptions, &mut predicates, placeholders, &mut issues);
        set.predicates = predicates.list;
        set.traces_principals = set.correlations.iter().any(|correlation| correlation.principal_place().is_some());
        set.build_buckets();
        issues.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        (set, issues)
    }

    /// All rules that were loaded, detections first, then correlations.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Per rule, what it needs of an event to be able to match.
    pub fn requirements(&self) -> Vec<RuleRequirements> {
        let detections = self.compiled.iter().map(|compiled| {
            let [product, category, service] = compiled.log_source.each_ref().map(|part| part.to_string());
            RuleRequirements {
                rule: compiled.rule.clone(),
                log_source: (product, category, service),
                fields: self.fields_of(&compiled.root),
                correlation: None,
            }
        });
        let correlations = self.correlations.iter().map(|correlation| RuleRequirements {
            rule: correlation.rule.clone(),
            log_source: Default::default(),
            fields: correlation.field_names(),
            correlation: Some(CorrelationInfo {
                kind: correlation.kind.name,
                rules: correlation.bases.iter().map(|base| self.base_rule(*base).id.clone()).collect(),
                group_by: correlation.group_by.clone(),
                timespan_secs: correlation.timespan_secs,
            }),
        });
        detections.chain(correlations).collect()
    }

    fn base_rule(&self, base: Base) -> &Arc<Rule> {
        match base {
            Base::Rule(rule) => &self.compiled[rule as usize].rule,
            Base::Correlation(number) => &self.correlations[number as usize].rule,
        }
    }

    fn fields_of(&self, root: &Node) -> Vec<String> {
        let mut names = BTreeSet::new();
        root.each_predicate(&mut |id| {
            let predicate = &self.predicates[id as usize];
            names.insert(self.fields.name(predicate.field).to_owned());
            for pattern in &predicate.patterns {
                if let pattern::Test::Field(_, field) = pattern.test {
                    names.insert(self.fields.name(field).to_owned());
                }
            }
        });
        names.into_iter().collect()
    }

    fn add_rule(
        &mut self,
        source: &Source<SigmaRule>,
        filters: &[Source<FilterRule>],
        predicates: &mut Predicates,
        loading: &mut Loading<'_>,
    ) {
        let sigma = &source.item;
        if rsigma_parser::is_unsupported(sigma.sigma_version) {
            let hint = Some("this version reads Sigma up to 3".into());
            return loading.issues.push(source.issue("unknown sigma-version", hint, "sigma-version:"));
        }
        let rule = match rule_of(source) {
            Ok(rule) => Arc::new(rule),
            Err(message) => return loading.issues.push(source.issue(message, Some(HANDLING_HINT.into()), "erne:")),
        };
        if !loading.claim(&rule.id, source) {
            return;
        }
        let mut processed = sigma.clone();
        let filters: Vec<&FilterRule> = filters.iter().map(|f| &f.item).filter(|f| applies(f, sigma)).collect();
        let mut added: Vec<Detections> = filters.iter().map(|filter| filter.detection.clone()).collect();
        let mut context = Context { fields: &mut self.fields, placeholders: loading.placeholders };
        let mut builder = Builder { context: &mut context, predicates, names: Vec::new() };
        let root = loading.pipelines.apply(&mut processed, &mut added).and_then(|()| {
            let mut parts = vec![builder.section(&processed.detection, "")?];
            for (filter, detection) in filters.iter().zip(&added) {
                parts.push(builder.section(detection, &format!("{}: ", filter.title))?);
            }
            Ok(if parts.len() == 1 { parts.remove(0) } else { Node::And(parts) })
        });
        let names = builder.names;
        match root {
            Ok(root) => {
                let index = self.compiled.len() as u32;
                loading.names.push((rule.id.to_string(), index));
                loading.names.extend(sigma.name.clone().map(|name| (name, index)));
                let log_source = log_source(&processed.logsource);
                self.rules.push(rule.clone());
                let emits = !is_part(sigma.custom_attributes.get("erne"));
                self.compiled.push(Compiled { rule, root, names, log_source, emits, parts: Vec::new() });
            }
            Err(refusal) => {
                loading.issues.push(source.issue(refusal.message, refusal.hint, &refusal.near));
            }
        }
    }

    /// A part that no correlation names would match for nobody.
    fn check_parts(&self, sources: &[Source<SigmaRule>], loading: &mut Loading<'_>) {
        for source in sources.iter().filter(|source| is_part(source.item.custom_attributes.get("erne"))) {
            let of_source = |compiled: &&Compiled| compiled.rule.file == source.file && *compiled.rule.name == *source.item.title;
            if self.compiled.iter().find(of_source).is_some_and(|compiled| compiled.parts.is_empty()) {
                let hint = Some("name it under `rules:` of a correlation, or remove `part: true`".into());
                loading.issues.push(source.issue("the rule is a part, but of no correlation", hint, "part:"));
            }
        }
    }

    fn build_buckets(&mut self) {
        let mut groups: RuleMap<[CompactString; 3], Vec<(u32, &Node)>> = RuleMap::default();
        for (i, compiled) in self.compiled.iter().enumerate() {
            groups.entry(compiled.log_source.clone()).or_default().push((i as u32, &compiled.root));
        }
        self.buckets =
            groups.into_iter().map(|(key, rules)| (key, Bucket::build(&rules, &self.predicates))).collect();
    }
}

/// What is collected while files are compiled.
pub(crate) struct Loading<'a> {
    pub issues: &'a mut Vec<LoadIssue>,
    /// Rule ids with the file that brought them.
    ids: RuleMap<String, String>,
    /// Ids and names of the detection rules, for correlations to refer to.
    names: Vec<(String, u32)>,
    placeholders: &'a Placeholders,
    pipelines: &'a Pipelines,
}

impl Loading<'_> {
    /// Whether the id is new; a second rule of the same id is not loaded.
    pub(crate) fn claim<T>(&mut self, id: &str, source: &Source<T>) -> bool {
        if let Some(first) = self.ids.get(id) {
            let message = format!("the rule id {id} is already used in {first}");
            let hint = Some("give the rule its own id, or remove one of the two".into());
            self.issues.push(source.issue(message, hint, "id:"));
            return false;
        }
        self.ids.insert(id.to_owned(), source.file.clone());
        true
    }

    /// The detection rule of an id or name.
    pub(crate) fn find_rule(&self, name: &str) -> Option<u32> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, index)| *index)
    }

    fn check_filters(&mut self, documents: &Documents) {
        for filter in &documents.filters {
            if !documents.rules.iter().any(|rule| applies(&filter.item, &rule.item)) {
                let hint = Some("it names rules by id or name, and its logsource must be part of theirs".into());
                self.issues.push(filter.issue("the filter applies to no rule", hint, "filter:"));
            }
        }
    }
}

fn applies(filter: &FilterRule, rule: &SigmaRule) -> bool {
    let named = match &filter.rules {
        FilterRuleTarget::Any => true,
        FilterRuleTarget::Specific(list) => list.iter().any(|wanted| {
            rule.id.as_ref() == Some(wanted) || rule.name.as_ref() == Some(wanted) || rule.title == *wanted
        }),
    };
    let inside = filter.logsource.as_ref().is_none_or(|wanted| {
        let (wanted, rule) = (log_source(wanted), log_source(&rule.logsource));
        wanted.iter().zip(&rule).all(|(wanted, part)| wanted.is_empty() || wanted == part)
    });
    named && inside
}

fn log_source(source: &LogSource) -> [CompactString; 3] {
    [&source.product, &source.category, &source.service]
        .map(|part| part.as_deref().unwrap_or_default().trim().to_lowercase().into())
}

/// The level's own enum and ours share their words.
fn level(level: Option<rsigma_parser::Level>) -> Severity {
    level.and_then(|level| Severity::parse(level.as_str())).unwrap_or(Severity::Medium)
}

fn rule_id(id: Option<&String>, title: &str, file: &str) -> Arc<str> {
    match id {
        Some(id) => id.as_str().into(),
        None => Id::of(&[b"rule", title.as_bytes(), file.as_bytes()]).to_string().into(),
    }
}

/// ATT&CK technique ids in upper case, and tactics by their short names.
fn attack(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut techniques, mut tactics) = (Vec::new(), Vec::new());
    for tag in tags.iter().map(|tag| tag.to_lowercase()) {
        let Some(name) = tag.strip_prefix("attack.") else { continue };
        let is_numbered = |prefix: char| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        if is_numbered('t') {
            techniques.push(name.to_uppercase());
        } else if !is_numbered('s') && !is_numbered('g') && !is_numbered('c') {
            tactics.push(name.replace(['_', ' '], "-"));
        }
    }
    (techniques, tactics)
}

/// What detection rules and correlations say about themselves in the same words.
macro_rules! rule_of {
    ($source:expr, $sigma:expr, $kind:expr) => {{
        let (source, sigma) = ($source, $sigma);
        let (techniques, tactics) = attack(&sigma.tags);
        Rule {
            id: rule_id(sigma.id.as_ref(), &sigma.title, &source.file),
            name: sigma.title.as_str().into(),
            kind: $kind,
            level: level(sigma.level),
            description: sigma.description.clone().unwrap_or_default().trim().to_owned(),
            techniques,
            tactics,
            false_positives: sigma.falsepositives.clone(),
            references: sigma.references.clone(),
            author: sigma.author.clone().unwrap_or_default(),
            file: source.file.clone(),
            handling: handling(sigma.custom_attributes.get("erne"))?,
        }
    }};
}

fn rule_of(source: &Source<SigmaRule>) -> Result<Rule, String> {
    Ok(rule_of!(source, &source.item, RuleKind::Sigma))
}

pub(crate) fn correlation_rule_of(source: &Source<Document>, kind: RuleKind) -> Result<Rule, String> {
    Ok(rule_of!(source, &source.item.sigma, kind))
}

/// The rule's `erne:` attributes. What is misspelt is refused, because a rule that should be quiet would page.
fn handling(attributes: Option<&yaml_serde::Value>) -> Result<Handling, String> {
    let Some(attributes) = attributes else { return Ok(Handling::default()) };
    let written: Written = yaml_serde::from_value(attributes.clone()).map_err(|e| format!("erne: {e}"))?;
    let base = Handling::default();
    let dedup_secs = match &written.dedup {
        Some(text) => rsigma_parser::Timespan::parse(text).map_err(|e| format!("erne: dedup: {e}"))?.seconds as i64,
        None => base.dedup_secs,
    };
    if !(1..=7 * 86_400).contains(&dedup_secs) {
        return Err("erne: dedup must be between one second and seven days".into());
    }
    if written.risk.is_some_and(|risk| risk > 100) {
        return Err("erne: risk goes from 0 to 100".into());
    }
    Ok(Handling {
        signal: written.signal.unwrap_or(base.signal),
        dedup_secs,
        alerts_per_hour: written.alerts_per_hour.unwrap_or(base.alerts_per_hour),
        risk: written.risk,
        ban_secs: written.ban.as_deref().map(ban_secs).transpose()?,
    })
}

/// The longest that a rule may ban for by itself: a year.
const BAN_SECS_MAX: i64 = 365 * 86_400;

fn ban_secs(text: &str) -> Result<i64, String> {
    let secs = rsigma_parser::Timespan::parse(text).map_err(|e| format!("erne: ban: {e}"))?.seconds as i64;
    if !(1..=BAN_SECS_MAX).contains(&secs) {
        return Err("erne: ban must be between one second and a year".into());
    }
    Ok(secs)
}

/// Whether a detection rule is a part of correlations only.
fn is_part(attributes: Option<&yaml_serde::Value>) -> bool {
    attributes.and_then(|map| map.get("part")).and_then(yaml_serde::Value::as_bool) == Some(true)
}

/// `erne:` as it stands in a rule file.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    signal: Option<bool>,
    /// `30m`, `6h`.
    dedup: Option<String>,
    alerts_per_hour: Option<u32>,
    risk: Option<u8>,
    /// How long a finding bans its source: `1h`, `7d`.
    ban: Option<String>,
    /// The rule is a part of correlations and makes no finding of its own.
    #[expect(dead_code, reason = "is_part reads it; here it stands so that it is a known key")]
    part: Option<bool>,
}
