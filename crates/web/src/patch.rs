//! Virtual patches: what an operator knows of a hole in an application, as YAML, in force at once.
//!
//! ```yaml
//! - id: report-id
//!   title: The report's id goes into a query unescaped
//!   path: /reports/**            # a glob, held against the path in all its spellings and the application's template
//!   methods: [GET, POST]         # all if absent
//!   match:                       # all must hold
//!     - in: query:id             # a place as findings tell it; `*` stands for any characters
//!       type: integer
//!       not: true                # holds if a value there is no integer
//!   action: block                # or log
//!   cases:                       # run when the patch is loaded; one that fails refuses it
//!     match: [{uri: "/reports/daily?id=1x"}]
//!     pass: [{uri: "/reports/daily?id=17"}, {method: DELETE, uri: "/reports/daily?id=1x"}]
//! ```
//!
//! A condition has one test: `regex` (linear in the value's length), `contains`, `longer_than` (bytes), `type`
//! ([`crate::shape`]), `exists`, or, without `in` if any place will do, `class` (a finding of this class that counts).
//! Values are tested as the application reads them: decoded once. Besides the places of findings there are `method`,
//! `uri` (as it came) and `body` (as it came).

use crate::guard::glob::{Glob, PATTERN_CHARS_MAX, Paths};
use crate::shape::Shape;
use crate::{Class, Finding, Inspector, Transaction};
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

pub const TEXT_BYTES_MAX: usize = 1 << 20;
pub const PATCHES_MAX: usize = 500;
pub const CONDITIONS_MAX: usize = 16;
pub const CASES_MAX: usize = 100;
/// A compiled pattern.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Of a value, patterns see this much.
pub const VALUE_BYTES_MAX: usize = 128 << 10;
/// Problems told at once.
const ISSUES_MAX: usize = 20;

/// What is wrong with a text of patches.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PatchIssue {
    /// From 1.
    pub line: usize,
    pub message: String,
}

impl std::fmt::Display for PatchIssue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// A patch that holds for a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchHit<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub action: PatchAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum PatchAction {
    #[default]
    Block,
    Log,
}

/// Compiled patches.
#[derive(Debug, Clone, Default)]
pub struct Patches {
    patches: Vec<Patch>,
}

#[derive(Debug, Clone)]
struct Patch {
    id: String,
    title: String,
    action: PatchAction,
    path: Option<Glob>,
    methods: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
struct Condition {
    place: Option<Glob>,
    test: Test,
    not: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Regex(Regex),
    Contains(Vec<u8>),
    LongerThan(usize),
    Shape(Shape),
    Exists(bool),
    Class(Class),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPatch {
    id: String,
    title: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(rename = "match", default)]
    conditions: Vec<RawCondition>,
    #[serde(default)]
    action: PatchAction,
    #[serde(default)]
    cases: RawCases,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    #[serde(rename = "in", default)]
    place: Option<String>,
    #[serde(default)]
    regex: Option<String>,
    #[serde(default)]
    contains: Option<String>,
    #[serde(default)]
    longer_than: Option<usize>,
    #[serde(rename = "type", default)]
    shape: Option<Shape>,
    #[serde(default)]
    exists: Option<bool>,
    #[serde(default)]
    class: Option<String>,
    #[serde(default)]
    not: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawCases {
    #[serde(rename = "match", default)]
    matching: Vec<RawCase>,
    #[serde(default)]
    pass: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    #[serde(default)]
    method: Option<String>,
    uri: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

impl Patches {
    /// Reads, compiles and tries the patches. Either all are right, or what is wrong is told with its line.
    pub fn compile(text: &str) -> Result<Self, Vec<PatchIssue>> {
        let issue = |line, message: String| vec![PatchIssue { line, message }];
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(issue(1, format!("the text is longer than {TEXT_BYTES_MAX} bytes")));
        }
        let raw: Vec<RawPatch> = yaml_serde::from_str(text).map_err(|e| {
            let line = e.location().map_or(1, |at| at.line());
            issue(line, e.to_string())
        })?;
        if raw.len() > PATCHES_MAX {
            return Err(issue(1, format!("{} patches; at most {PATCHES_MAX} are taken", raw.len())));
        }
        let mut issues = Vec::new();
        let mut patches: Vec<Patch> = Vec::new();
        let mut from = 0;
        let mut inspector = None;
        for one in &raw {
            from = line_of(text, from, &["id:", &one.id]).unwrap_or(from);
            let lines = Lines { text, from };
            if patches.iter().any(|p| p.id == one.id) {
                issues.push(lines.issue(&["id:"], format!("{}: this id is taken by an earlier patch", one.id)));
            }
            match Patch::compile(one, &lines) {
                Ok(patch) => {
                    patch.cases(one, &lines, &mut inspector, &mut issues);
                    patches.push(patch);
                }
                Err(wrong) => issues.push(wrong),
            }
            from += 1;
        }
        issues.truncate(ISSUES_MAX);
        if issues.is_empty() { Ok(Self { patches }) } else { Err(issues) }
    }

    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    pub fn len(&self) -> usize {
        self.patches.len()
    }

    /// The patches that hold, in their order. `findings` are those that count under the profile.
    pub fn hits<'a>(&'a self, transaction: &Transaction, route: Option<&str>, findings: &[&Finding]) -> Vec<PatchHit<'a>> {
        if self.patches.is_empty() {
            return Vec::new();
        }
        let paths = Paths::of(&transaction.target);
        let about: Vec<&Patch> = self.patches.iter().filter(|p| p.is_about(transaction, &paths, route)).collect();
        let holding = holding(&about, transaction, findings);
        about.iter().zip(holding).filter(|(_, holds)| *holds).map(|(p, _)| PatchHit { id: &p.id, title: &p.title, action: p.action }).collect()
    }
}

/// Which of the patches hold. The values are read once for all of them, and only if one asks for a value.
fn holding(patches: &[&Patch], transaction: &Transaction, findings: &[&Finding]) -> Vec<bool> {
    let mut met: Vec<Vec<bool>> = patches.iter().map(|p| p.conditions.iter().map(|c| c.by_findings(findings)).collect()).collect();
    let asks = |c: &Condition| !matches!(c.test, Test::Class(_));
    if patches.iter().any(|p| p.conditions.iter().any(asks)) {
        crate::values(transaction, &mut |place, value| {
            for (patch, met) in patches.iter().zip(&mut met) {
                for (condition, met) in patch.conditions.iter().zip(met) {
                    if asks(condition) && condition.place.as_ref().is_none_or(|glob| glob.matches(place)) {
                        *met |= condition.by_value(value);
                    }
                }
            }
        });
    }
    let all = patches.iter().zip(&met).map(|(patch, met)| patch.conditions.iter().zip(met).all(|(condition, met)| condition.turned(*met)));
    all.collect()
}

impl Patch {
    fn compile(raw: &RawPatch, lines: &Lines<'_>) -> Result<Self, PatchIssue> {
        let wrong = |what: &[&str], message: String| lines.issue(what, format!("{}: {message}", raw.id));
        if raw.id.is_empty() || raw.id.len() > 128 || raw.title.is_empty() {
            return Err(wrong(&["id:"], "a patch has an id of at most 128 characters and a title".to_owned()));
        }
        if raw.path.is_none() && raw.conditions.is_empty() {
            return Err(wrong(&["id:"], "it would hold for every request; add a path or a condition".to_owned()));
        }
        if raw.conditions.len() > CONDITIONS_MAX {
            return Err(wrong(&["match:"], format!("{} conditions; at most {CONDITIONS_MAX} are taken", raw.conditions.len())));
        }
        if let Some(path) = raw.path.as_ref().filter(|p| !p.starts_with(['/', '*']) || p.len() > PATTERN_CHARS_MAX) {
            return Err(wrong(&["path:"], format!("{path:?} is no path pattern; it begins with / or *")));
        }
        let conditions = raw.conditions.iter().map(|c| Condition::compile(c).map_err(|(what, message)| wrong(&[&what], message))).collect::<Result<_, _>>()?;
        Ok(Self {
            id: raw.id.clone(),
            title: raw.title.clone(),
            action: raw.action,
            path: raw.path.as_deref().map(Glob::path),
            methods: raw.methods.iter().map(|m| m.to_ascii_uppercase()).collect(),
            conditions,
        })
    }

    fn is_about(&self, transaction: &Transaction, paths: &Paths<'_>, route: Option<&str>) -> bool {
        let method = self.methods.is_empty() || self.methods.iter().any(|m| transaction.method.eq_ignore_ascii_case(m));
        method && self.path.as_ref().is_none_or(|glob| paths.possibly(glob) || route.is_some_and(|route| glob.matches(route)))
    }

    fn cases(&self, raw: &RawPatch, lines: &Lines<'_>, inspector: &mut Option<Inspector>, issues: &mut Vec<PatchIssue>) {
        let cases = &raw.cases;
        if cases.matching.len() + cases.pass.len() > CASES_MAX {
            issues.push(lines.issue(&["cases:"], format!("{}: more than {CASES_MAX} cases", self.id)));
            return;
        }
        if cases.matching.is_empty() {
            issues.push(lines.issue(&["id:"], format!("{}: it has no case that must match; add one below cases.match", self.id)));
        }
        let by_class = self.conditions.iter().any(|c| matches!(c.test, Test::Class(_)));
        for (case, expected) in cases.matching.iter().map(|c| (c, true)).chain(cases.pass.iter().map(|c| (c, false))) {
            let transaction = Transaction {
                method: case.method.clone().unwrap_or_else(|| "GET".to_owned()),
                target: case.uri.clone(),
                headers: case.headers.clone(),
                body: case.body.as_bytes().to_vec(),
                ..Transaction::default()
            };
            let verdict = if by_class { inspector.get_or_insert_with(Inspector::default).inspect(&transaction) } else { Default::default() };
            let counting: Vec<&Finding> = verdict.findings.iter().filter(|f| f.score >= crate::ATTACK_SCORE).collect();
            let matched = self.is_about(&transaction, &Paths::of(&transaction.target), None) && holding(&[self], &transaction, &counting)[0];
            if matched != expected {
                let what = if expected { "must match and does not" } else { "must pass and matches" };
                issues.push(lines.issue(&["cases:", &case.uri], format!("{}: the case {} {what}", self.id, case.uri)));
            }
        }
    }
}

impl Condition {
    /// An error holds what to look for in the text, and the message.
    fn compile(raw: &RawCondition) -> Result<Self, (String, String)> {
        let mut tests = Vec::new();
        if let Some(pattern) = &raw.regex {
            let compiled = RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build();
            tests.push(Test::Regex(compiled.map_err(|e| (pattern.lines().next().unwrap_or_default().to_owned(), format!("regex: {}", e.to_string().lines().last().unwrap_or_default())))?));
        }
        if let Some(text) = &raw.contains {
            if text.is_empty() {
                return Err(("contains:".to_owned(), "contains: an empty text is in every value".to_owned()));
            }
            tests.push(Test::Contains(text.as_bytes().to_vec()));
        }
        tests.extend(raw.longer_than.map(Test::LongerThan));
        tests.extend(raw.shape.map(Test::Shape));
        tests.extend(raw.exists.map(Test::Exists));
        if let Some(name) = &raw.class {
            let class = Class::parse(name).ok_or_else(|| (name.clone(), format!("class: {name:?} is none; write one of {}", names())))?;
            tests.push(Test::Class(class));
        }
        let place = raw.place.as_deref();
        let at = place.unwrap_or("match:").to_owned();
        let [test] = <[Test; 1]>::try_from(tests).map_err(|tests| (at.clone(), format!("a condition has one test of regex, contains, longer_than, type, exists, class; here are {}", tests.len())))?;
        if place.is_none() && !matches!(test, Test::Class(_)) {
            return Err((at, "the condition needs a place: in: query:NAME, path, body:json:$.a, header:NAME, cookie:NAME, uri, body".to_owned()));
        }
        if place.is_some_and(|p| p.is_empty() || p.len() > PATTERN_CHARS_MAX) {
            return Err((at, format!("in: a place has 1 to {PATTERN_CHARS_MAX} characters")));
        }
        Ok(Self { place: place.map(Glob::text), test, not: raw.not })
    }

    fn by_findings(&self, findings: &[&Finding]) -> bool {
        let Test::Class(class) = self.test else { return false };
        findings.iter().any(|f| f.class == class && self.place.as_ref().is_none_or(|glob| glob.matches(&f.location)))
    }

    /// Whether a value meets the condition; `not` turns the test of each value.
    fn by_value(&self, value: &[u8]) -> bool {
        let cut = &value[..value.len().min(VALUE_BYTES_MAX)];
        let holds = match &self.test {
            Test::Regex(regex) => regex.is_match(cut),
            Test::Contains(text) => memchr::memmem::find(value, text).is_some(),
            Test::LongerThan(bytes) => value.len() > *bytes,
            Test::Shape(shape) => shape.holds(value),
            Test::Exists(_) => return true,
            Test::Class(_) => return false,
        };
        holds != self.not
    }

    /// What the presence of a place or a class means for the condition.
    fn turned(&self, met: bool) -> bool {
        match self.test {
            Test::Exists(wanted) => (met == wanted) != self.not,
            Test::Class(_) => met != self.not,
            _ => met,
        }
    }
}

fn names() -> String {
    Class::ALL.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(", ")
}

/// Finds the line that an issue is about: the first at or behind a patch's own that holds what it names.
struct Lines<'a> {
    text: &'a str,
    /// From 0.
    from: usize,
}

impl Lines<'_> {
    fn issue(&self, what: &[&str], message: String) -> PatchIssue {
        let mut at = self.from;
        for part in what {
            at = line_of(self.text, at, &[part]).unwrap_or(at);
        }
        PatchIssue { line: at + 1, message }
    }
}

/// The first line from `from` on, counted from 0, that holds all the parts in order.
fn line_of(text: &str, from: usize, parts: &[&str]) -> Option<usize> {
    text.lines().enumerate().skip(from).find(|(_, line)| {
        let mut rest = *line;
        parts.iter().all(|part| rest.find(part).is_some_and(|at| {
            rest = &rest[at + part.len()..];
            true
        }))
    }).map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
# Until the next release.
- id: report-id
  title: The report's id goes into a query unescaped
  path: /reports/**
  methods: [GET]
  match:
    - in: query:id
      type: integer
      not: true
  cases:
    match: [{uri: "/reports/daily?id=1x"}, {uri: "/reports/%64aily?id=1%20"}, {uri: "/x/../reports/a?a=b&id="}]
    pass: [{uri: "/reports/daily?id=17"}, {method: POST, uri: "/reports/daily?id=1x"}, {uri: "/other?id=x"}, {uri: "/reports/"}]
- id: template
  title: Templates in the profile
  match:
    - {in: "body:json:$.profile.*", regex: '(?i)\{\{.*\}\}'}
    - {in: "header:x-internal", exists: false}
  action: log
  cases:
    match: [{method: PUT, uri: /me, body: '{"profile":{"name":"{{config}}"}}'}]
    pass:
      - {method: PUT, uri: /me, body: '{"profile":{"name":"Ann"}}'}
      - {method: PUT, uri: /me, headers: [[X-Internal, "1"]], body: '{"profile":{"name":"{{config}}"}}'}
- id: any-injection
  title: No injection at all in the export
  path: /export
  match: [{class: sqli}, {in: uri, longer_than: 10}, {in: "body:json:$.n", type: integer}]
  cases:
    match: [{method: POST, uri: "/export?q=1'+or+'1'='1", body: '{"n":5}'}]
    pass: [{method: POST, uri: "/export?q=shoes", body: '{"n":5}'}]
"#;

    #[test]
    fn good_patches_load_and_hold_only_where_they_say() {
        let patches = Patches::compile(GOOD).unwrap();
        assert_eq!(patches.len(), 3);
        let hits = |target: &str, body: &str| {
            let t = Transaction { method: "GET".into(), target: target.into(), body: body.into(), ..Transaction::default() };
            patches.hits(&t, None, &[]).iter().map(|h| h.id).collect::<Vec<_>>()
        };
        assert_eq!(hits("/reports/a?id=x", r#"{"profile":{"x":"{{1}}"}}"#), ["report-id", "template"]);
        assert!(hits("/reports/a?id=5", "").is_empty());
        assert!(Patches::compile(" \n").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (change, to, line, part) in [
            ("type: integer", "type: whole", 9, "whole"),
            ("  title: Templates in the profile\n", "", 14, "title"),
            (r"'(?i)\{\{.*\}\}'", "'(x'", 17, "regex"),
            ("id: template", "id: report-id", 14, "taken by an earlier patch"),
            ("{class: sqli}", "{class: sql}", 28, "write one of sqli"),
            ("pass: [{uri: \"/reports/daily?id=17\"}", "pass: [{uri: \"/reports/daily?id=17x\"}", 13, "must pass and matches"),
            ("match: [{uri: \"/reports/daily?id=1x\"}", "match: [{uri: \"/reports/daily?id=1\"}", 12, "must match and does not"),
            ("path: /export", "path: export", 27, "no path pattern"),
            ("{in: uri, longer_than: 10}", "{in: uri, longer_than: 10, contains: x}", 28, "here are 2"),
            ("{in: uri, longer_than: 10}", "{longer_than: 10}", 28, "needs a place"),
            ("methods: [GET]", "method: GET", 6, "method"),
        ] {
            let issues = Patches::compile(&GOOD.replacen(change, to, 1)).unwrap_err();
            assert!(issues[0].message.contains(part), "{to}: {issues:?}");
            assert_eq!(issues[0].line, line, "{to}: {issues:?}");
        }
        let bare = "- id: a\n  title: b\n  cases: {match: [{uri: /}]}\n";
        assert!(Patches::compile(bare).unwrap_err()[0].message.contains("every request"));
        let caseless = "- id: a\n  title: b\n  path: /x\n";
        assert!(Patches::compile(caseless).unwrap_err()[0].message.contains("no case that must match"));
    }

    #[test]
    fn hostile_patterns_and_values_end_soon() {
        let huge = "- {id: a, title: b, match: [{in: uri, regex: '(\\w{1000}){1000}'}], cases: {match: [{uri: /}]}}";
        assert!(Patches::compile(huge).unwrap_err()[0].message.contains("regex"));
        let slow = "- {id: a, title: b, match: [{in: 'query:*', regex: '^(a+)+$'}], cases: {match: [{uri: '/?q=aaa'}]}}";
        let patches = Patches::compile(slow).unwrap();
        let t = Transaction { method: "GET".into(), target: format!("/?q={}!", "a".repeat(100_000)), ..Transaction::default() };
        assert!(patches.hits(&t, None, &[]).is_empty());
    }
}
