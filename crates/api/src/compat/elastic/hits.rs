//! Hits as Elasticsearch writes them.
use super::INDEX;
use super::answer::{millis, shards};
use super::fields::matching;
use crate::compat::at;
use engine::lake::Total;
use engine::query::elastic::{FieldAsked, Search, Source, TimeFormat, Tracked};
use engine::query::wildcard_matches;
use event::{COLUMNS, Column, Kind, Timestamp};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// What a search found.
#[derive(Default)]
pub struct Answer {
    pub events: Vec<Value>,
    pub total: Option<Total>,
    /// Where the next page begins.
    pub next: Option<String>,
    pub aggregations: Option<Value>,
}

impl Answer {
    pub fn json(&self, asked: &Search, began: Instant) -> Value {
        let last = self.events.len().saturating_sub(1);
        let hit = |(i, event): (usize, &Value)| hit(event, asked, self.next.as_deref().filter(|_| i == last));
        let mut hits = json!({"max_score": if asked.sorted.is_some() || self.events.is_empty() { Value::Null } else { 1.0.into() }});
        if let Some(total) = total(self.total, asked.tracked) {
            hits["total"] = total;
        }
        hits["hits"] = self.events.iter().enumerate().map(hit).collect::<Vec<_>>().into();
        let mut out = json!({"took": millis(began), "timed_out": false, "_shards": shards(), "hits": hits});
        if let Some(aggregations) = &self.aggregations {
            out["aggregations"] = aggregations.clone();
        }
        if let Some(id) = &asked.pit {
            out["pit_id"] = id.as_str().into();
        }
        out
    }
}

fn total(total: Option<Total>, tracked: Tracked) -> Option<Value> {
    let total = total.unwrap_or(Total { value: 0, exact: true });
    match tracked {
        Tracked::None => None,
        Tracked::UpTo(most) if total.value > most => Some(json!({"value": most, "relation": "gte"})),
        _ => Some(json!({"value": total.value, "relation": if total.exact { "eq" } else { "gte" }})),
    }
}

/// One hit. The last of a page carries in `sort` where the next begins, for `search_after`.
fn hit(event: &Value, asked: &Search, next: Option<&str>) -> Value {
    let uid = at(event, "metadata.uid").as_str().unwrap_or_default();
    let mut hit = json!({"_index": INDEX, "_id": uid, "_score": if asked.sorted.is_some() { Value::Null } else { 1.0.into() }});
    if !asked.source.left_out {
        hit["_source"] = source(event, &asked.source);
    }
    if !asked.fields.is_empty() {
        hit["fields"] = fields(event, &asked.fields);
    }
    if let Some(format) = asked.sorted {
        let time = event["time"].as_str().and_then(Timestamp::parse).unwrap_or_default();
        let first = if format == TimeFormat::EpochMillis { time.millis().into() } else { Value::from(format.text(time)) };
        hit["sort"] = json!([first, next.unwrap_or(uid)]);
    }
    hit
}

/// The event under its OCSF names, and `@timestamp`, which every tool looks for.
pub fn source(event: &Value, wanted: &Source) -> Value {
    let mut source = match wanted.includes.is_empty() && wanted.excludes.is_empty() {
        true => event.clone(),
        false => {
            let mut part = json!({});
            for column in COLUMNS.iter().filter(|c| wants(wanted, c)) {
                put(&mut part, column.path, at(event, column.path));
            }
            part
        }
    };
    let timestamp = ["@timestamp"].iter().any(|t| named(&wanted.includes, t) || wanted.includes.is_empty()) && !named(&wanted.excludes, "@timestamp");
    if timestamp {
        source["@timestamp"] = event["time"].clone();
    }
    source
}

fn wants(wanted: &Source, column: &Column) -> bool {
    let any = |patterns: &[String]| std::iter::once(column.path).chain(column.ecs.iter().copied().filter(|e| *e != "@timestamp")).any(|name| named(patterns, name));
    (wanted.includes.is_empty() || any(&wanted.includes)) && !any(&wanted.excludes)
}

/// Whether a pattern fits a name, or an object that holds it.
fn named(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|p| wildcard_matches(p, name) || name.strip_prefix(p.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

fn put(object: &mut Value, path: &str, value: &Value) {
    if value.is_null() {
        return;
    }
    match path.split_once('.') {
        None => object[path] = value.clone(),
        Some((head, rest)) => {
            if object[head].is_null() {
                object[head] = json!({});
            }
            put(&mut object[head], rest, value);
        }
    }
}

/// `fields` and `docvalue_fields`: values in arrays, under the names asked for.
fn fields(event: &Value, asked: &[FieldAsked]) -> Value {
    let mut out = Map::new();
    for one in asked {
        for (name, column) in matching(&one.name) {
            let values = match at(event, column.path) {
                Value::Null => continue,
                Value::Array(list) => list.clone(),
                value => vec![value.clone()],
            };
            let values = values.into_iter().map(|v| if column.kind == Kind::Time { formatted(&v, one.format) } else { v });
            out.insert(name, values.collect::<Vec<_>>().into());
        }
    }
    out.into()
}

fn formatted(time: &Value, format: Option<TimeFormat>) -> Value {
    match time.as_str().and_then(Timestamp::parse) {
        Some(t) => format.unwrap_or(TimeFormat::Iso).text(t).into(),
        None => time.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Value {
        json!({"time": "2026-11-20T10:00:00.123456Z", "message": "m", "actor": {"user": {"name": "alice", "uid": "1"}}, "metadata": {"uid": "e1", "version": "1.5.0"},
            "finding_info": {"rules": ["a", "b"]}})
    }

    #[test]
    fn a_part_of_the_source_under_either_name() {
        let of = |includes: &[&str], excludes: &[&str]| {
            let list = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect();
            source(&event(), &Source { left_out: false, includes: list(includes), excludes: list(excludes) })
        };
        assert_eq!(of(&[], &[])["@timestamp"], "2026-11-20T10:00:00.123456Z");
        assert_eq!(of(&[], &[])["metadata"]["version"], "1.5.0");
        assert_eq!(of(&["user.name"], &[]), json!({"actor": {"user": {"name": "alice"}}}));
        assert_eq!(of(&["actor", "@timestamp"], &["*.uid"]), json!({"actor": {"user": {"name": "alice"}}, "@timestamp": "2026-11-20T10:00:00.123456Z"}));
        assert_eq!(of(&["mess*"], &[]), json!({"message": "m"}));
    }

    #[test]
    fn a_page_tells_where_the_next_begins() {
        let asked = engine::query::elastic::search(&json!({"sort": [{"@timestamp": "desc"}], "fields": ["user.*", {"field": "@timestamp", "format": "epoch_millis"}, "rule.id"]}), Timestamp(0)).unwrap();
        let answer = Answer { events: vec![event(), event()], total: Some(Total { value: 7, exact: false }), next: Some("1.2.3".into()), aggregations: None };
        let out = answer.json(&asked, Instant::now());
        assert_eq!(out["hits"]["total"], json!({"value": 7, "relation": "gte"}));
        assert_eq!(out["hits"]["hits"][0]["sort"], json!([1795168800123i64, "e1"]));
        assert_eq!(out["hits"]["hits"][1]["sort"], json!([1795168800123i64, "1.2.3"]));
        assert_eq!(out["hits"]["hits"][0]["fields"], json!({"user.name": ["alice"], "user.id": ["1"], "@timestamp": ["1795168800123"], "rule.id": ["a", "b"]}));
        assert_eq!(total(Some(Total { value: 20, exact: true }), Tracked::UpTo(10)), Some(json!({"value": 10, "relation": "gte"})));
        assert_eq!(total(None, Tracked::None), None);
    }
}
