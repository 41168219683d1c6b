//! What a scheduled search finds in one window, as findings.

use crate::pipeline::Shared;
use event::{
    Column, Condition, Entity, EntityKind, Explanation, Finding, FindingStatus, Format, Handling, Id, Rule, RuleKind, Timestamp, column,
};
use query::{Expr, Test, Value};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::control::{SavedSearch, Schedule};
use store::lake::{Aggregation, Group, Lake, Metric, Query, Reading};

/// Groups of one window that are told, those with the most events.
pub const GROUPS_MAX: usize = 100;
/// Events of a finding that are named, the newest ones.
const EVIDENCE_EVENTS: usize = 20;
/// How long one window is worked on. A single search of the lake has a bound of its own.
const RUN_MAX: Duration = Duration::from_secs(60);
/// Sources that are looked at for how late they may be.
const SOURCES_MAX: usize = 1_000;
const SOURCES_SECS: i64 = 86_400;
/// Of a group's value within a finding.
const VALUE_BYTES_MAX: usize = 256;

/// `start <= time < end`, in event time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

pub struct Found {
    pub hits: u64,
    pub findings: Vec<Finding>,
    /// What is missing in it.
    pub incomplete: Option<String>,
}

/// The longest that events of any source of the last day may be under way. If the lake does not tell, the longest
/// that any format may be.
pub fn longest_lateness(shared: &Shared) -> u32 {
    let of_formats = Format::ALL.iter().map(|format| detect::Lateness::of_format(*format)).max().unwrap_or_default();
    let by = ["metadata.log_name", "metadata.log_format"].map(|path| Group::Column(column(path).expect("a column of ours")));
    let ask = Aggregation { by: by.to_vec(), metrics: vec![Metric::Count], limit: SOURCES_MAX };
    let day = Query { from: Some((shared.now)().plus_secs(-SOURCES_SECS)), ..Query::default() };
    let Ok(sources) = shared.lake.aggregate(&day, &ask) else { return of_formats };
    let processor = shared.processor.load();
    let secs = sources.rows.iter().filter_map(|row| {
        let format = Format::parse(row.get(1)?.as_str()?)?;
        Some(processor.lateness().secs_of(row.first()?.as_str()?, format))
    });
    secs.max().unwrap_or(detect::Lateness::of_format(Format::Json))
}

/// What is told of a window that was looked at before an edit, and is not found any more.
pub fn withdrawn(told: &[Finding], found: &[Finding], revision: u32, window: Window) -> Vec<Finding> {
    let of_window = |known: &&Finding| known.revision < revision && known.window.is_some_and(|(_, end)| end == window.end);
    let gone = told.iter().filter(of_window).filter(|known| !found.iter().any(|finding| finding.id == known.id));
    gone.map(|known| Finding { status: FindingStatus::Withdrawn, revision, ..known.clone() }).collect()
}

/// Counts what matches within the window, by group, and makes a finding of each group with enough events.
pub fn evaluate(lake: &Lake, search: &SavedSearch, schedule: &Schedule, revision: u32, window: Window) -> Result<Found, String> {
    let give_up = Instant::now() + RUN_MAX;
    // Times such as `now-1h` are as of the window's end.
    let expr = query::parse(&search.q, window.end).map_err(|error| format!("the query is not understood: {error}"))?;
    let run = Run { lake, give_up, search, schedule, revision, window, expr, rule: Arc::new(rule(search, schedule)) };
    let hits = run.count()?;
    let mut found = Found { hits, findings: Vec::new(), incomplete: None };
    if hits < schedule.at_least {
        return Ok(found);
    }
    let Some(path) = &schedule.group_by else {
        found.findings.push(run.finding(None, hits)?);
        return Ok(found);
    };
    let by = column(path).ok_or_else(|| format!("there is no column {path:?} to group by"))?;
    let (groups, all) = run.groups(by)?;
    let told = groups.len();
    for (value, count) in groups {
        found.findings.push(run.finding(Some((by, &value)), count)?);
    }
    if all > GROUPS_MAX as u64 && told == GROUPS_MAX {
        found.incomplete = Some(format!("more than {GROUPS_MAX} groups; those with the most events were told"));
    }
    Ok(found)
}

fn rule(search: &SavedSearch, schedule: &Schedule) -> Rule {
    Rule {
        id: format!("search:{}", search.id).into(),
        name: search.name.as_str().into(),
        kind: RuleKind::ScheduledSearch,
        level: schedule.severity,
        description: format!("Scheduled search of {}: {}", search.owner, search.q),
        techniques: Vec::new(),
        tactics: Vec::new(),
        false_positives: Vec::new(),
        references: Vec::new(),
        author: search.owner.clone(),
        file: String::new(),
        handling: Handling::default(),
    }
}

struct Run<'a> {
    lake: &'a Lake,
    give_up: Instant,
    search: &'a SavedSearch,
    schedule: &'a Schedule,
    revision: u32,
    window: Window,
    expr: Expr,
    rule: Arc<Rule>,
}

impl Run<'_> {
    /// The lake, for as long as is left.
    fn lake(&self) -> Result<Reading, String> {
        let left = self.give_up.saturating_duration_since(Instant::now()).as_secs();
        if left == 0 {
            return Err(format!("it took longer than {} s; narrow the query or the window", RUN_MAX.as_secs()));
        }
        Ok(self.lake.read().within(left))
    }

    fn query(&self, limit: usize) -> Query {
        Query { from: Some(self.window.start), to: Some(self.window.end), expr: self.expr.clone(), limit, cursor: None }
    }

    fn count(&self) -> Result<u64, String> {
        let ask = Aggregation { by: Vec::new(), metrics: vec![Metric::Count], limit: 1 };
        let counted = self.lake()?.aggregate(&self.query(0), &ask).map_err(|error| error.to_string())?;
        Ok(counted.rows.first().and_then(|row| row.first()?.as_u64()).unwrap_or(0))
    }

    /// Groups with enough events, most first, and how many groups there are in all. Events without a value are in none.
    fn groups(&self, by: &'static Column) -> Result<(Vec<(Json, u64)>, u64), String> {
        // One more, for those without a value.
        let ask = Aggregation { by: vec![Group::Column(by)], metrics: vec![Metric::Count], limit: GROUPS_MAX + 1 };
        let counted = self.lake()?.aggregate(&self.query(0), &ask).map_err(|error| error.to_string())?;
        let mut groups = Vec::new();
        for row in counted.rows {
            let [value, count]: [Json; 2] = row.try_into().map_err(|_| "the lake answered with other columns".to_owned())?;
            let count = count.as_u64().unwrap_or(0);
            if !value.is_null() && count >= self.schedule.at_least && groups.len() < GROUPS_MAX {
                groups.push((value, count));
            }
        }
        Ok((groups, counted.groups))
    }

    fn finding(&self, group: Option<(&'static Column, &Json)>, count: u64) -> Result<Finding, String> {
        let mut query = self.query(EVIDENCE_EVENTS);
        if let Some((by, value)) = group {
            query.expr = query.expr.and(Expr::Field(by, Test::OneOf(vec![as_value(by, value)?])));
        }
        let events = self.lake()?.query(&query).map_err(|error| error.to_string())?.events;
        let entity = self.entity(group);
        let newest = events.first().and_then(|event| Timestamp::parse(at(event, "time")?.as_str()?));
        let of_kind = |kind, path: &str| if entity.kind == kind { Some(entity.value.clone()) } else { agreed(&events, path).map(Into::into) };
        let key = group.map_or(String::new(), |(by, value)| format!("{}={}", by.path, plain(value)));
        Ok(Finding {
            id: Id::of(&[b"scheduled search", &self.search.id.0, &self.window.start.0.to_le_bytes(), key.as_bytes()]),
            time: newest.unwrap_or(self.window.start),
            rule: self.rule.clone(),
            level: self.schedule.severity,
            event_ids: events.iter().rev().filter_map(|event| Some(at(event, "metadata.uid")?.as_str()?.into())).collect(),
            positions: Vec::new(),
            event_count: count,
            window: Some((self.window.start, self.window.end)),
            explanation: self.explanation(group, count),
            status: FindingStatus::Final,
            revision: self.revision,
            replaces: None,
            user: of_kind(EntityKind::User, "actor.user.name"),
            source_ip: of_kind(EntityKind::Ip, "src_endpoint.ip"),
            event_name: agreed(&events, "api.operation").map(Into::into),
            place: None,
            entity,
        })
    }

    fn entity(&self, group: Option<(&'static Column, &Json)>) -> Entity {
        let Some((by, value)) = group else { return Entity::new(EntityKind::Group, self.search.name.as_str()) };
        let text = cut(plain(value));
        match by.path {
            path if path.ends_with(".ip") => Entity::new(EntityKind::Ip, text),
            "actor.user.name" | "actor.user.uid" => Entity::new(EntityKind::User, text),
            path if path.ends_with(".hostname") => Entity::new(EntityKind::Host, text),
            "cloud.account.uid" => Entity::new(EntityKind::Account, text),
            "metadata.product.name" | "api.service.name" => Entity::new(EntityKind::Service, text),
            path => Entity::new(EntityKind::Group, format!("{path}={text}")),
        }
    }

    fn explanation(&self, group: Option<(&'static Column, &Json)>, count: u64) -> Explanation {
        let Schedule { at_least, window_secs, .. } = self.schedule;
        let whose = group.map_or(String::new(), |(by, value)| format!(" with {} {}", by.path, cut(plain(value))));
        let events = if count == 1 { "event" } else { "events" };
        let period = told_secs(*window_secs);
        let summary = format!("{count} {events}{whose} within {period} match the search \"{}\", which tells from {at_least} on", self.search.name);
        let condition = |selection: &str, field: &str, operator: &str, expected: String, actual: String| Condition {
            selection: selection.into(),
            field: field.into(),
            operator: operator.into(),
            expected: cut(expected).into(),
            actual: cut(actual).into(),
        };
        let mut conditions = vec![condition("search", "query", "matches", self.search.q.clone(), format!("{count} {events}"))];
        if let Some((by, value)) = group {
            conditions.push(condition("group", by.path, "equals", plain(value), plain(value)));
        }
        conditions.push(condition("count", "count", "gte", at_least.to_string(), count.to_string()));
        Explanation { summary, conditions }
    }
}

/// A value as the lake answered it, as a query asks for it.
fn as_value(by: &Column, value: &Json) -> Result<Value, String> {
    match value {
        Json::String(text) => Ok(Value::Text(text.clone())),
        Json::Number(number) => number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Float)).ok_or_else(|| format!("{number} is no value of {}", by.path)),
        other => Err(format!("{other} is no value of {}", by.path)),
    }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A long value is told apart from others that begin alike by a hash.
fn cut(text: String) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return text;
    }
    let hash = Id::of(&[text.as_bytes()]);
    format!("{}…{hash}", &text[..text.floor_char_boundary(VALUE_BYTES_MAX - 40)])
}

fn told_secs(secs: u32) -> String {
    match secs {
        secs if secs % 86_400 == 0 => format!("{} d", secs / 86_400),
        secs if secs % 3_600 == 0 => format!("{} h", secs / 3_600),
        secs if secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}

fn at<'a>(event: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(event, |value, part| value.get(part))
}

/// The text that all of these events have there, if they agree.
fn agreed(events: &[Json], path: &str) -> Option<String> {
    let first = at(events.first()?, path)?.as_str()?;
    events.iter().all(|event| at(event, path).and_then(Json::as_str) == Some(first)).then(|| cut(first.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_events_agree_on_is_told_and_nothing_else() {
        let events = [json!({"actor": {"user": {"name": "alice"}}, "a": 1}), json!({"actor": {"user": {"name": "alice"}}})];
        assert_eq!(agreed(&events, "actor.user.name").as_deref(), Some("alice"));
        assert_eq!(agreed(&events, "a"), None);
        assert_eq!(agreed(&[], "actor.user.name"), None);
        assert_eq!(agreed(&[events[0].clone(), json!({})], "actor.user.name"), None);
    }

    #[test]
    fn periods_and_long_values_read_well() {
        assert_eq!([60, 90, 7_200, 172_800].map(told_secs), ["1 min", "90 s", "2 h", "2 d"]);
        let long = cut("é".repeat(500));
        assert!(long.len() <= VALUE_BYTES_MAX && long != cut("é".repeat(501)), "{}", long.len());
        assert_eq!(cut("short".into()), "short");
    }
}
