//! Aggregations. Buckets within buckets are groups of one question to the lake, which then are put into each other.
//!
//! A [`Level`] is what stands in the same buckets: its `rows` have a count and metrics for each combination of keys of
//! the buckets around it. So a date histogram with the ten most frequent addresses in each bucket is two questions,
//! however many buckets there are.
use super::answer::Failure;
use crate::app::App;
use engine::lake::{Aggregation, Extras, Group, Metric, Query};
use engine::query::elastic::{Agg, ElasticError, Interval, Kind, Order, TimeFormat};
use engine::query::{Expr, Test};
use event::{Column, Timestamp};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

/// Questions to the lake for one request.
const QUESTIONS_MAX: usize = 64;
/// Buckets of one question, and of an answer: Elasticsearch's `search.max_buckets`.
const BUCKETS_MAX: usize = 65_536;

/// The keys of the buckets around something, outermost first, as the text of a JSON array.
type Path = String;

#[derive(Clone)]
struct By {
    group: Group,
    interval: Option<Interval>,
    /// The key of rows without a value; they are left out if there is none.
    missing: Option<Value>,
}

#[derive(Clone, Default)]
struct Row {
    count: u64,
    metrics: Vec<Value>,
}

struct Level<'a> {
    aggs: &'a [(String, Agg)],
    rows: HashMap<Path, Row>,
    /// The last keys of the rows by those before it.
    keys: HashMap<Path, Vec<Value>>,
    parts: Vec<Part<'a>>,
    /// Groups beyond the limit were left out: those with the fewest events.
    cut: bool,
}

/// What belongs to an aggregation of a level.
enum Part<'a> {
    /// A metric of the level's rows, by its place.
    Metric(usize),
    /// The mean, where rows were put together: the sum's place, and how many values there were.
    Mean(usize, HashMap<Path, u64>),
    Counts(HashMap<Path, u64>),
    Buckets(Level<'a>),
    Filters(Vec<(&'a str, Level<'a>)>),
}

struct Asker<'a> {
    app: &'a App,
    questions: usize,
    buckets: usize,
}

pub async fn aggregations(app: &App, expr: &Expr, aggs: &[(String, Agg)]) -> Result<Value, Failure> {
    let mut asker = Asker { app, questions: 0, buckets: 0 };
    let level = asker.level(expr.clone(), Vec::new(), aggs, false).await?;
    asker.level_json(&level, &[])
}

fn illegal(reason: impl Into<String>) -> Failure {
    Failure(ElasticError::illegal(reason))
}

fn too_many() -> Failure {
    Failure(ElasticError {
        status: 400,
        kind: "too_many_buckets_exception",
        reason: format!("Trying to create too many buckets. Must be less than or equal to: [{BUCKETS_MAX}]; use a longer interval, a shorter time or fewer terms"),
    })
}

fn path(keys: &[Value]) -> Path {
    serde_json::to_string(keys).unwrap_or_default()
}

impl<'a> Asker<'a> {
    /// Asks for a level: `cut` allows that only the groups with the most events are answered.
    fn level<'s, 'b: 's>(&'s mut self, expr: Expr, by: Vec<By>, aggs: &'b [(String, Agg)], cut: bool) -> Pin<Box<dyn Future<Output = Result<Level<'b>, Failure>> + Send + 's>> {
        Box::pin(async move {
            let merged = by.iter().any(|b| matches!(b.interval, Some(Interval::Calendar(_))));
            let mut metrics = vec![Metric::Count];
            let mut parts = Vec::new();
            for (_, agg) in aggs {
                let metric = match agg.kind {
                    Kind::Sum(c) => Metric::Sum(c),
                    Kind::Avg(c) if merged => Metric::Sum(c),
                    Kind::Avg(c) => Metric::Avg(c),
                    Kind::Min(c) => Metric::Min(c),
                    Kind::Max(c) => Metric::Max(c),
                    _ => continue,
                };
                metrics.push(metric);
            }
            let (rows, keys, cut) = self.rows(expr.clone(), &by, metrics, cut).await?;
            let mut next = 0;
            for (_, agg) in aggs {
                parts.push(match &agg.kind {
                    Kind::Avg(column) if merged => {
                        next += 1;
                        let present = expr.clone().and(Expr::Field(column, Test::Exists));
                        Part::Mean(next - 1, self.counts(present, &by).await?)
                    }
                    Kind::Sum(_) | Kind::Avg(_) | Kind::Min(_) | Kind::Max(_) => {
                        next += 1;
                        Part::Metric(next - 1)
                    }
                    Kind::Cardinality(column) => Part::Counts(self.distinct(expr.clone(), &by, column).await?),
                    Kind::ValueCount(column) => Part::Counts(self.present(expr.clone(), &by, column).await?),
                    Kind::Terms { column, missing, order, .. } => {
                        // Of a single list of terms by count, the lake's choice of groups is the right one.
                        let cut = by.is_empty() && matches!(order.first(), Some((Order::Count, false)));
                        let missing = missing.as_ref().map(|m| m.parse::<i64>().map_or_else(|_| m.as_str().into(), Value::from));
                        let inner = [by.clone(), vec![By { group: Group::Column(column), interval: None, missing }]].concat();
                        Part::Buckets(self.level(expr.clone(), inner, &agg.subs, cut).await?)
                    }
                    Kind::DateHistogram { interval, .. } => {
                        let group = By { group: Group::Time { secs: interval.secs() }, interval: Some(*interval), missing: None };
                        Part::Buckets(self.level(expr.clone(), [by.clone(), vec![group]].concat(), &agg.subs, false).await?)
                    }
                    Kind::Filter(filter) => Part::Filters(vec![("", self.level(expr.clone().and(filter.clone()).simplify(), by.clone(), &agg.subs, false).await?)]),
                    Kind::Filters { filters, other, .. } => {
                        let mut levels = Vec::new();
                        for (name, filter) in filters {
                            levels.push((name.as_str(), self.level(expr.clone().and(filter.clone()).simplify(), by.clone(), &agg.subs, false).await?));
                        }
                        if let Some(name) = other {
                            let none = Expr::Not(Box::new(Expr::Or(filters.iter().map(|(_, f)| f.clone()).collect())));
                            levels.push((name.as_str(), self.level(expr.clone().and(none).simplify(), by.clone(), &agg.subs, false).await?));
                        }
                        Part::Filters(levels)
                    }
                });
            }
            Ok(Level { aggs, rows, keys, parts, cut })
        })
    }

    async fn ask(&mut self, expr: Expr, by: Vec<Group>, metrics: Vec<Metric>) -> Result<(Vec<Vec<Value>>, bool), Failure> {
        self.questions += 1;
        if self.questions > QUESTIONS_MAX {
            return Err(illegal(format!("the aggregations need more than {QUESTIONS_MAX} passes over the events; ask for fewer at once")));
        }
        let bounds = expr.time_bounds();
        let query = Query { from: bounds.from, to: bounds.to, expr, ..Query::default() };
        let told = self.app.platform.aggregate(query, Aggregation { by, metrics, limit: BUCKETS_MAX }).await?;
        let cut = told.groups > told.rows.len() as u64;
        Ok((told.rows, cut))
    }

    /// The rows of a level by the keys of their buckets.
    async fn rows(&mut self, expr: Expr, by: &[By], metrics: Vec<Metric>, cut_ok: bool) -> Result<(HashMap<Path, Row>, HashMap<Path, Vec<Value>>, bool), Failure> {
        let (list, cut) = self.ask(expr, by.iter().map(|b| b.group).collect(), metrics.clone()).await?;
        if cut && !cut_ok {
            return Err(too_many());
        }
        let (mut rows, mut keys): (HashMap<Path, Row>, HashMap<Path, Vec<Value>>) = (HashMap::new(), HashMap::new());
        for cells in list {
            let (groups, values) = cells.split_at(by.len().min(cells.len()));
            let Some(found) = by.iter().zip(groups).map(|(by, value)| by.key(value)).collect::<Option<Vec<_>>>() else { continue };
            let row = Row { count: values.first().and_then(Value::as_u64).unwrap_or(0), metrics: values.get(1..).unwrap_or_default().to_vec() };
            match rows.entry(path(&found)) {
                std::collections::hash_map::Entry::Occupied(mut known) => add(known.get_mut(), &row, &metrics[1..]),
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(row);
                    if let Some((last, before)) = found.split_last() {
                        keys.entry(path(before)).or_default().push(last.clone());
                    }
                }
            }
        }
        Ok((rows, keys, cut))
    }

    /// How many events there are in each bucket.
    async fn counts(&mut self, expr: Expr, by: &[By]) -> Result<HashMap<Path, u64>, Failure> {
        let (rows, ..) = self.rows(expr.simplify(), by, vec![Metric::Count], false).await?;
        Ok(rows.into_iter().map(|(path, row)| (path, row.count)).collect())
    }

    /// How many values a column has in each bucket; of a list, each element counts.
    async fn present(&mut self, expr: Expr, by: &[By], column: &'static Column) -> Result<HashMap<Path, u64>, Failure> {
        let expr = expr.and(Expr::Field(column, Test::Exists));
        if column.kind != event::Kind::TextList {
            return self.counts(expr, by).await;
        }
        self.by_value(expr, by, column, |count| count).await
    }

    /// How many different values a column has in each bucket.
    async fn distinct(&mut self, expr: Expr, by: &[By], column: &'static Column) -> Result<HashMap<Path, u64>, Failure> {
        if by.is_empty() {
            let bounds = expr.time_bounds();
            let query = Query { from: bounds.from, to: bounds.to, expr, ..Query::default() };
            self.questions += 1;
            let answer = self.app.platform.search(query, Extras { fields: vec![column], top: 1, ..Extras::default() }).await?;
            return Ok(HashMap::from([(path(&[]), answer.fields.first().map_or(0, |f| f.distinct))]));
        }
        self.by_value(expr, by, column, |_| 1).await
    }

    async fn by_value(&mut self, expr: Expr, by: &[By], column: &'static Column, worth: impl Fn(u64) -> u64) -> Result<HashMap<Path, u64>, Failure> {
        let inner = [by.to_vec(), vec![By { group: Group::Column(column), interval: None, missing: None }]].concat();
        let (rows, keys, _) = self.rows(expr.simplify(), &inner, vec![Metric::Count], false).await?;
        let mut sums = HashMap::new();
        for (before, lasts) in keys {
            let Ok(mut whole) = serde_json::from_str::<Vec<Value>>(&before) else { continue };
            for last in lasts {
                whole.push(last);
                *sums.entry(before.clone()).or_default() += rows.get(&path(&whole)).map_or(0, |row| worth(row.count));
                whole.pop();
            }
        }
        Ok(sums)
    }

    /// The aggregations of a level in one bucket.
    fn level_json(&mut self, level: &Level<'_>, at: &[Value]) -> Result<Value, Failure> {
        let here = path(at);
        let row = level.rows.get(&here);
        let mut out = Map::new();
        for ((name, agg), part) in level.aggs.iter().zip(&level.parts) {
            let mut value = match part {
                Part::Metric(place) => metric(&agg.kind, row.and_then(|r| r.metrics.get(*place))),
                Part::Mean(place, present) => {
                    let sum = row.and_then(|r| r.metrics.get(*place)).and_then(Value::as_f64);
                    let mean = present.get(&here).filter(|n| **n > 0).and_then(|n| Some(sum? / *n as f64));
                    json!({ "value": mean })
                }
                Part::Counts(counts) => json!({"value": counts.get(&here).copied().unwrap_or(0)}),
                Part::Buckets(inner) => self.buckets_json(&agg.kind, inner, level, at)?,
                Part::Filters(levels) => self.filters_json(&agg.kind, levels, at)?,
            };
            if let Some(meta) = &agg.meta {
                value["meta"] = meta.clone();
            }
            out.insert(name.clone(), value);
        }
        Ok(out.into())
    }

    fn bucket(&mut self, level: &Level<'_>, at: &[Value], mut head: Value) -> Result<Value, Failure> {
        self.buckets += 1;
        if self.buckets > BUCKETS_MAX {
            return Err(too_many());
        }
        head["doc_count"] = level.rows.get(&path(at)).map_or(0, |r| r.count).into();
        if let (Some(head), Value::Object(subs)) = (head.as_object_mut(), self.level_json(level, at)?) {
            head.extend(subs);
        }
        Ok(head)
    }

    fn filters_json(&mut self, kind: &Kind, levels: &[(&str, Level<'_>)], at: &[Value]) -> Result<Value, Failure> {
        let mut buckets = Vec::new();
        for (name, level) in levels {
            buckets.push((*name, self.bucket(level, at, json!({}))?));
        }
        Ok(match kind {
            Kind::Filters { keyed: true, .. } => json!({"buckets": buckets.into_iter().map(|(name, b)| (name.to_owned(), b)).collect::<Map<_, _>>()}),
            Kind::Filters { .. } => json!({"buckets": buckets.into_iter().map(|(_, b)| b).collect::<Vec<_>>()}),
            _ => buckets.pop().map_or(Value::Null, |(_, b)| b),
        })
    }

    fn buckets_json(&mut self, kind: &Kind, level: &Level<'_>, around: &Level<'_>, at: &[Value]) -> Result<Value, Failure> {
        match kind {
            Kind::Terms { .. } => self.terms_json(kind, level, around, at),
            _ => self.histogram_json(kind, level, at),
        }
    }

    fn terms_json(&mut self, kind: &Kind, level: &Level<'_>, around: &Level<'_>, at: &[Value]) -> Result<Value, Failure> {
        let Kind::Terms { size, order, min_doc_count, .. } = kind else { return Ok(Value::Null) };
        let below = |key: &Value| [at, std::slice::from_ref(key)].concat();
        let mut found: Vec<(&Value, Path)> = level.keys.get(&path(at)).into_iter().flatten().map(|key| (key, path(&below(key)))).collect();
        let count = |path: &Path| level.rows.get(path).map_or(0, |r| r.count);
        found.retain(|(_, path)| count(path) >= *min_doc_count);
        let sum: u64 = found.iter().map(|(_, path)| count(path)).sum();
        found.sort_by(|a, b| {
            let by = |(order, ascending): &(Order, bool)| {
                let way = match order {
                    Order::Count => count(&a.1).cmp(&count(&b.1)),
                    Order::Key => key_order(a.0, b.0),
                    Order::Metric(name) => value_of(level, name, &a.1).total_cmp(&value_of(level, name, &b.1)),
                };
                if *ascending { way } else { way.reverse() }
            };
            order.iter().map(by).find(|way| way.is_ne()).unwrap_or_else(|| key_order(a.0, b.0))
        });
        found.truncate(*size);
        let shown: u64 = found.iter().map(|(_, path)| count(path)).sum();
        let mut buckets = Vec::new();
        for (key, _) in found {
            buckets.push(self.bucket(level, &below(key), json!({ "key": key }))?);
        }
        // Where the lake left groups out, the events around tell how many there are besides.
        let all = if level.cut { around.rows.get(&path(at)).map_or(sum, |r| r.count.max(sum)) } else { sum };
        Ok(json!({"doc_count_error_upper_bound": 0, "sum_other_doc_count": all - shown, "buckets": buckets}))
    }

    fn histogram_json(&mut self, kind: &Kind, level: &Level<'_>, at: &[Value]) -> Result<Value, Failure> {
        let Kind::DateHistogram { interval, min_doc_count, bounds, format, newest_first, keyed, .. } = kind else { return Ok(Value::Null) };
        let mut starts: Vec<Timestamp> = level.keys.get(&path(at)).into_iter().flatten().filter_map(|k| k.as_i64().map(Timestamp::from_millis)).collect();
        starts.sort_unstable();
        if *min_doc_count == 0 {
            starts = filled(&starts, *interval, *bounds)?;
        }
        if *newest_first {
            starts.reverse();
        }
        let mut buckets = Vec::new();
        for start in starts {
            let key: Value = start.millis().into();
            let below = [at, std::slice::from_ref(&key)].concat();
            if level.rows.get(&path(&below)).map_or(0, |r| r.count) < *min_doc_count {
                continue;
            }
            let text = format.text(start);
            buckets.push((text.clone(), self.bucket(level, &below, json!({"key_as_string": text, "key": key}))?));
        }
        Ok(match keyed {
            true => json!({"buckets": buckets.into_iter().collect::<Map<_, _>>()}),
            false => json!({"buckets": buckets.into_iter().map(|(_, b)| b).collect::<Vec<_>>()}),
        })
    }
}

impl By {
    /// The key of a group's value; none if rows with it are in no bucket.
    fn key(&self, value: &Value) -> Option<Value> {
        match (self.interval, value) {
            (_, Value::Null) => self.missing.clone(),
            (Some(interval), time) => interval.floor(Timestamp::parse(time.as_str()?)?).map(|t| t.millis().into()),
            (None, value) => Some(value.clone()),
        }
    }
}

/// Adds a row to another of the same bucket.
fn add(into: &mut Row, row: &Row, metrics: &[Metric]) {
    into.count += row.count;
    for ((known, value), metric) in into.metrics.iter_mut().zip(&row.metrics).zip(metrics) {
        let both = (number(known), number(value));
        *known = match (both, metric) {
            ((None, _), _) => value.clone(),
            ((_, None), _) => continue,
            ((Some(a), Some(b)), Metric::Min(_)) => if b < a { value.clone() } else { continue },
            ((Some(a), Some(b)), Metric::Max(_)) => if b > a { value.clone() } else { continue },
            ((Some(a), Some(b)), _) => (a + b).into(),
        };
    }
}

/// A metric as a number; times are milliseconds.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| Timestamp::parse(value.as_str()?).map(|t| t.millis() as f64))
}

fn metric(kind: &Kind, value: Option<&Value>) -> Value {
    match (kind, value.filter(|v| !v.is_null())) {
        (Kind::Sum(_), None) => json!({"value": 0.0}),
        (_, None) => json!({"value": null}),
        (_, Some(Value::String(time))) => match Timestamp::parse(time) {
            Some(t) => json!({"value": t.millis() as f64, "value_as_string": TimeFormat::Iso.text(t)}),
            None => json!({"value": null}),
        },
        (_, Some(value)) => json!({"value": value}),
    }
}

/// What buckets are ordered by; one without a value comes last in a falling order.
fn value_of(level: &Level<'_>, name: &str, at: &Path) -> f64 {
    let place = level.aggs.iter().position(|(n, _)| n == name);
    let found = place.and_then(|i| match &level.parts[i] {
        Part::Metric(place) => level.rows.get(at)?.metrics.get(*place).and_then(number),
        Part::Mean(place, present) => {
            let sum = level.rows.get(at)?.metrics.get(*place).and_then(number)?;
            present.get(at).filter(|n| **n > 0).map(|n| sum / *n as f64)
        }
        Part::Counts(counts) => counts.get(at).map(|n| *n as f64),
        _ => None,
    });
    found.unwrap_or(f64::NEG_INFINITY)
}

fn key_order(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.as_str().cmp(&b.as_str()),
    }
}

/// The starts of all buckets from the first to the last, and over the bounds.
fn filled(starts: &[Timestamp], interval: Interval, bounds: Option<(Timestamp, Timestamp)>) -> Result<Vec<Timestamp>, Failure> {
    let floor = |t: Timestamp| interval.floor(t).ok_or_else(too_many);
    let (mut first, mut last) = (starts.first().copied(), starts.last().copied());
    if let Some((min, max)) = bounds.filter(|(min, max)| min <= max) {
        let (min, max) = (floor(min)?, floor(max)?);
        first = Some(first.map_or(min, |f| f.min(min)));
        last = last.max(Some(max));
    }
    let (Some(mut at), Some(last)) = (first, last) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    while at <= last {
        if all.len() == BUCKETS_MAX {
            return Err(too_many());
        }
        all.push(at);
        at = interval.next(at).ok_or_else(too_many)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_buckets_fill_the_gaps_and_the_bounds() {
        let t = |secs: i64| Timestamp::from_secs(secs);
        let all = |starts: &[i64], bounds: Option<(i64, i64)>| {
            let starts: Vec<_> = starts.iter().map(|s| t(*s)).collect();
            filled(&starts, Interval::Secs(10), bounds.map(|(a, b)| (t(a), t(b)))).map(|v| v.iter().map(|t| t.secs()).collect::<Vec<_>>()).map_err(|f| f.0.kind)
        };
        assert_eq!(all(&[20, 50], None), Ok(vec![20, 30, 40, 50]));
        assert_eq!(all(&[20], Some((5, 41))), Ok(vec![0, 10, 20, 30, 40]));
        assert_eq!(all(&[], Some((15, 25))), Ok(vec![10, 20]));
        assert_eq!(all(&[], None), Ok(vec![]));
        assert_eq!(all(&[], Some((0, 10_000_000))), Err("too_many_buckets_exception"));
    }

    #[test]
    fn rows_of_one_bucket_are_put_together() {
        let column = event::column("http_response.length").unwrap();
        let mut into = Row { count: 1, metrics: vec![json!(3), json!(3), json!(3), json!(null)] };
        let row = Row { count: 2, metrics: vec![json!(1), json!(1), json!(1), json!(7)] };
        add(&mut into, &row, &[Metric::Sum(column), Metric::Min(column), Metric::Max(column), Metric::Sum(column)]);
        assert_eq!((into.count, into.metrics), (3, vec![json!(4.0), json!(1), json!(3), json!(7)]));
    }
}
