//! Searches of stored events: pages, histograms, values of columns, counts by groups.
use super::Items;
use crate::app::App;
use crate::body;
use crate::params::{CURSOR, FIELDS, FROM, HISTOGRAM, Params, QUERY, ROWS, TO, TOP, time};
use crate::problem::Problem;
use crate::schema::{AggregateRequest, GroupBy, HistogramWidth, Measure, SearchRequest};
use axum::Json;
use axum::extract::State;
use engine::lake::{
    Aggregation, Answer, BySeverity, Extras, FIELDS_MAX, FieldValues, GROUPS_BY_MAX, Group, METRICS_MAX, Metric, Query, Scanned, Total, Width,
};
use engine::query::{self, QueryError};
use event::{COLUMNS, Column, Kind, Timestamp};
use serde::Serialize;
use serde_json::Value;
use std::time::Instant;

const ROWS_MAX: u64 = 1_000;
const ROWS_DEFAULT: u64 = 100;
const TOP_MAX: u64 = 100;
const TOP_DEFAULT: u64 = 10;
const GROUPS_SHOWN_MAX: u64 = 10_000;
const GROUPS_SHOWN_DEFAULT: u64 = 1_000;

#[derive(Serialize)]
pub struct SearchAnswer {
    items: Vec<Value>,
    next_cursor: Option<String>,
    total: Total,
    histogram: Option<Histogram>,
    fields: Vec<FieldValues>,
    took_ms: u64,
    scanned: Scanned,
}

#[derive(Serialize)]
struct Histogram {
    bucket_secs: u32,
    buckets: Vec<HistogramBucket>,
}

#[derive(Serialize)]
struct HistogramBucket {
    start: Timestamp,
    counts: BySeverity,
}

#[derive(Serialize)]
pub struct SearchColumn {
    path: &'static str,
    kind: &'static str,
    ecs: &'static [&'static str],
    about: &'static str,
    prose: bool,
    bloom: bool,
}

#[derive(Serialize)]
pub struct QueryCheck {
    ok: bool,
    message: Option<String>,
    column: Option<usize>,
    hint: Option<String>,
    normalised: Option<String>,
}

#[derive(Serialize)]
pub struct AggregateAnswer {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// Groups in all, with those beyond the limit.
    groups: u64,
    took_ms: u64,
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A column by one of its names.
pub fn column(name: &str) -> Result<&'static Column, Problem> {
    Ok(query::field(name)?)
}

fn within(name: &str, number: Option<u64>, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<usize, Problem> {
    let number = number.unwrap_or(default);
    if range.contains(&number) { Ok(number as usize) } else { Err(Problem::bad_request(format!("{name} is {} to {}", range.start(), range.end()))) }
}

fn at(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.filter(|t| !t.is_empty()).map(|text| time(name, text)).transpose()
}

fn width(asked: &HistogramWidth) -> Result<Option<Width>, Problem> {
    let wrong = || Problem::bad_request("histogram is auto, none, or the width of a bucket in seconds");
    match asked {
        HistogramWidth::Secs(secs) => u32::try_from(*secs).ok().filter(|s| *s > 0).map(|s| Some(Width::Secs(s))).ok_or_else(wrong),
        HistogramWidth::Word(word) => match word.as_str() {
            "auto" => Ok(Some(Width::Auto)),
            "none" | "" => Ok(None),
            secs => secs.parse().ok().filter(|s| *s > 0).map(|s| Some(Width::Secs(s))).ok_or_else(wrong),
        },
    }
}

async fn answer(app: &App, asked: SearchRequest) -> Result<Json<SearchAnswer>, Problem> {
    let began = Instant::now();
    let query = Query {
        from: at("from", asked.from.as_deref())?,
        to: at("to", asked.to.as_deref())?,
        expr: query::parse(asked.q.as_deref().unwrap_or_default(), app.now())?,
        limit: within("limit", asked.limit, ROWS_DEFAULT, 0..=ROWS_MAX)?,
        cursor: asked.cursor.filter(|c| !c.is_empty()),
    };
    let fields = asked.fields.unwrap_or_default();
    if fields.len() > FIELDS_MAX {
        return Err(Problem::bad_request(format!("at most {FIELDS_MAX} fields")));
    }
    let extras = Extras {
        histogram: asked.histogram.as_ref().map(width).transpose()?.flatten(),
        fields: fields.iter().map(|name| column(name)).collect::<Result<_, _>>()?,
        top: within("top", asked.top, TOP_DEFAULT, 1..=TOP_MAX)?,
    };
    let Answer { page, histogram, fields } = app.platform.search(query, extras).await?;
    let histogram = histogram.map(|h| Histogram {
        bucket_secs: h.bucket_secs,
        buckets: h.buckets.into_iter().map(|(start, counts)| HistogramBucket { start, counts }).collect(),
    });
    let (next_cursor, total, scanned) = (page.next_cursor, page.total, page.scanned);
    Ok(Json(SearchAnswer { items: page.events, next_cursor, total, histogram, fields, took_ms: millis(began), scanned }))
}

pub async fn get(State(app): State<App>, params: Params) -> Result<Json<SearchAnswer>, Problem> {
    let names = params.get(&FIELDS).map(|list| list.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect());
    let asked = SearchRequest {
        q: params.text(&QUERY),
        from: params.text(&FROM),
        to: params.text(&TO),
        limit: Some(params.number(&ROWS, ROWS_DEFAULT, 0..=ROWS_MAX)?),
        cursor: params.text(&CURSOR),
        histogram: params.text(&HISTOGRAM).map(HistogramWidth::Word),
        fields: names,
        top: Some(params.number(&TOP, TOP_DEFAULT, 1..=TOP_MAX)?),
    };
    answer(&app, asked).await
}

pub async fn post(State(app): State<App>, body::Json(asked): body::Json<SearchRequest>) -> Result<Json<SearchAnswer>, Problem> {
    answer(&app, asked).await
}

pub async fn columns() -> Json<Items<SearchColumn>> {
    let kind = |kind: Kind| match kind {
        Kind::Text => "text",
        Kind::Int => "int",
        Kind::Float => "float",
        Kind::Time => "time",
        Kind::TextList => "text_list",
    };
    let column = |c: &'static Column| SearchColumn {
        path: c.path,
        kind: kind(c.kind),
        ecs: c.ecs,
        about: c.about,
        prose: query::is_prose(c),
        bloom: c.bloom,
    };
    Json(Items { items: COLUMNS.iter().map(column).collect() })
}

/// Whether a query can be read, and how it was read.
pub async fn check(State(app): State<App>, params: Params) -> Json<QueryCheck> {
    Json(match query::parse(params.get(&QUERY).unwrap_or_default(), app.now()) {
        Ok(expr) => QueryCheck { ok: true, message: None, column: None, hint: None, normalised: Some(expr.to_string()) },
        Err(QueryError { message, column, hint }) => QueryCheck { ok: false, message: Some(message), column: Some(column), hint, normalised: None },
    })
}

fn group(asked: &GroupBy) -> Result<Group, Problem> {
    match (asked.time, asked.field.as_deref()) {
        (Some(secs), None) if secs > 0 => Ok(Group::Time { secs }),
        (None, Some(name)) => Ok(Group::Column(column(name)?)),
        _ => Err(Problem::bad_request(r#"each of by is {"time": seconds} or {"field": name}"#)),
    }
}

fn metric(asked: &Measure) -> Result<Metric, Problem> {
    let named = |name: &Option<String>, metric: fn(&'static Column) -> Metric| name.as_deref().map(|name| column(name).map(metric)).transpose();
    let count = asked.count.unwrap_or(false).then_some(Metric::Count);
    let columns = [
        named(&asked.sum, Metric::Sum)?, named(&asked.min, Metric::Min)?, named(&asked.max, Metric::Max)?, named(&asked.avg, Metric::Avg)?,
    ];
    let mut all = count.into_iter().chain(columns.into_iter().flatten());
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(Problem::bad_request(r#"each of metrics is {"count": true}, or one of sum, min, max, avg with a field"#)),
    }
}

pub async fn aggregate(State(app): State<App>, body::Json(asked): body::Json<AggregateRequest>) -> Result<Json<AggregateAnswer>, Problem> {
    let began = Instant::now();
    if asked.by.len() > GROUPS_BY_MAX || asked.metrics.len() > METRICS_MAX {
        return Err(Problem::bad_request(format!("at most {GROUPS_BY_MAX} of by and {METRICS_MAX} metrics")));
    }
    let query = Query {
        from: at("from", asked.from.as_deref())?,
        to: at("to", asked.to.as_deref())?,
        expr: query::parse(asked.q.as_deref().unwrap_or_default(), app.now())?,
        ..Query::default()
    };
    let mut metrics: Vec<Metric> = asked.metrics.iter().map(metric).collect::<Result<_, _>>()?;
    if metrics.is_empty() {
        metrics.push(Metric::Count);
    }
    let limit = within("limit", asked.limit, GROUPS_SHOWN_DEFAULT, 1..=GROUPS_SHOWN_MAX)?;
    let aggregation = Aggregation { by: asked.by.iter().map(group).collect::<Result<_, _>>()?, metrics, limit };
    let told = app.platform.aggregate(query, aggregation).await?;
    Ok(Json(AggregateAnswer { columns: told.columns, rows: told.rows, groups: told.groups, took_ms: millis(began) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_metrics_are_one_thing_each() {
        let by = |json: &str| group(&serde_json::from_str::<GroupBy>(json).unwrap()).is_ok();
        assert!(by(r#"{"time": 3600}"#) && by(r#"{"field": "source.geo.country_iso_code"}"#));
        assert!(!by("{}") && !by(r#"{"time": 0}"#) && !by(r#"{"time": 1, "field": "status"}"#) && !by(r#"{"field": "nothing"}"#));
        let measure = |json: &str| metric(&serde_json::from_str::<Measure>(json).unwrap()).is_ok();
        assert!(measure(r#"{"count": true}"#) && measure(r#"{"avg": "http_response.length"}"#));
        assert!(!measure("{}") && !measure(r#"{"count": false}"#) && !measure(r#"{"sum": "severity_id", "min": "severity_id"}"#));
        assert!(serde_json::from_str::<Measure>(r#"{"median": "severity_id"}"#).is_err());
    }

    #[test]
    fn histograms_are_asked_for_in_three_ways() {
        let read = |json: &str| width(&serde_json::from_str::<HistogramWidth>(json).unwrap()).map_err(|_| ());
        assert_eq!(read(r#""auto""#), Ok(Some(Width::Auto)));
        assert_eq!(read(r#""none""#), Ok(None));
        assert_eq!((read("60"), read(r#""60""#)), (Ok(Some(Width::Secs(60))), Ok(Some(Width::Secs(60)))));
        assert!(read("0").is_err() && read(r#""soon""#).is_err());
    }
}
