//! Aggregations.
use super::clause::{time, utc};
use super::part::Part;
use super::{Context, ElasticError, NESTED_MAX, field};
use crate::Expr;
use crate::when;
use event::{Column, Timestamp};
use serde_json::Value;

/// Aggregations of one request, with those within others.
pub const AGGS_MAX: usize = 64;
/// Buckets of one `terms`.
const TERMS_SIZE_MAX: usize = 10_000;
/// Filters of one `filters`.
const FILTERS_MAX: usize = 64;

/// What is counted, and what of each bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Agg {
    pub kind: Kind,
    pub subs: Vec<(String, Agg)>,
    /// Handed back as it came.
    pub meta: Option<Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    DateHistogram {
        column: &'static Column,
        interval: Interval,
        min_doc_count: u64,
        /// Empty buckets reach from here to there at least.
        bounds: Option<(Timestamp, Timestamp)>,
        format: TimeFormat,
        newest_first: bool,
        keyed: bool,
    },
    Terms { column: &'static Column, size: usize, order: Vec<(Order, bool)>, min_doc_count: u64, missing: Option<String> },
    Filter(Expr),
    /// With names, or without and answered as an array.
    Filters { filters: Vec<(String, Expr)>, keyed: bool, other: Option<String> },
    Cardinality(&'static Column),
    ValueCount(&'static Column),
    Sum(&'static Column),
    Avg(&'static Column),
    Min(&'static Column),
    Max(&'static Column),
}

impl Kind {
    /// Whether it makes buckets, in which others may stand.
    pub fn is_bucket(&self) -> bool {
        matches!(self, Kind::DateHistogram { .. } | Kind::Terms { .. } | Kind::Filter(_) | Kind::Filters { .. })
    }
}

/// What buckets are ordered by; the flag beside it is true for ascending.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Count,
    Key,
    /// The value of a metric within.
    Metric(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    Secs(u32),
    /// A unit of the calendar that is not always as long: `w` (from Monday), `M`, `q` or `y`.
    Calendar(char),
}

impl Interval {
    fn fixed(text: &str) -> Result<Self, ElasticError> {
        let wrong = || ElasticError::illegal(format!("[fixed_interval] {text} is not supported: write whole seconds or more, such as 30s, 5m, 1h or 1d"));
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let millis = match &text[digits..] {
            "ms" => number,
            "s" => number.saturating_mul(1_000),
            "m" => number.saturating_mul(60_000),
            "h" => number.saturating_mul(3_600_000),
            "d" => number.saturating_mul(86_400_000),
            "w" => number.saturating_mul(7 * 86_400_000),
            _ => return Err(wrong()),
        };
        match millis % 1_000 {
            0 => u32::try_from(millis / 1_000).ok().filter(|s| *s > 0).map(Self::Secs).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn calendar(text: &str) -> Result<Self, ElasticError> {
        Ok(match text {
            "1s" | "second" => Self::Secs(1),
            "1m" | "minute" => Self::Secs(60),
            "1h" | "hour" => Self::Secs(3_600),
            "1d" | "day" => Self::Secs(86_400),
            "1w" | "week" => Self::Calendar('w'),
            "1M" | "month" => Self::Calendar('M'),
            "1q" | "quarter" => Self::Calendar('q'),
            "1y" | "year" => Self::Calendar('y'),
            _ => return Err(ElasticError::illegal(format!("The supplied interval [{text}] could not be parsed as a calendar interval."))),
        })
    }

    /// What the lake counts by, finer than the interval if that has no fixed width.
    pub fn secs(self) -> u32 {
        match self {
            Self::Secs(secs) => secs,
            Self::Calendar(_) => 86_400,
        }
    }

    /// The start of the bucket of a time; none beyond the calendar.
    pub fn floor(self, t: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Secs(secs) => Some(t.floor(i64::from(secs))),
            Self::Calendar('q') => {
                let month = when::floor(t, 'M')?;
                let number: i64 = month.to_string()[5..7].parse().ok()?;
                when::shifted(month, -((number - 1) % 3), 'M')
            }
            Self::Calendar(unit) => when::floor(t, unit),
        }
    }

    /// The start of the bucket behind the one that starts here.
    pub fn next(self, start: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Secs(secs) => Some(start.plus_secs(i64::from(secs))).filter(|n| *n > start),
            Self::Calendar('q') => when::shifted(start, 3, 'M'),
            Self::Calendar(unit) => when::shifted(start, 1, unit),
        }
    }
}

/// How times are written in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    EpochMillis,
    EpochSecond,
    /// RFC 3339 with milliseconds.
    Iso,
    /// `2026-11-20`.
    Date,
}

impl TimeFormat {
    pub fn parse(text: &str) -> Result<Self, ElasticError> {
        Ok(match text {
            "epoch_millis" => Self::EpochMillis,
            "epoch_second" => Self::EpochSecond,
            "strict_date_optional_time" | "date_optional_time" | "strict_date_optional_time_nanos" | "strict_date_time" | "date_time" | "iso8601" => Self::Iso,
            "yyyy-MM-dd" | "date" | "strict_date" => Self::Date,
            _ => return Err(ElasticError::illegal(format!("[format] {text} is not supported; write epoch_millis, epoch_second, strict_date_optional_time or yyyy-MM-dd"))),
        })
    }

    pub fn text(self, t: Timestamp) -> String {
        match self {
            Self::EpochMillis => t.millis().to_string(),
            Self::EpochSecond => t.secs().to_string(),
            Self::Iso => {
                let mut text = Timestamp::from_millis(t.millis()).to_string();
                // Microseconds to milliseconds: the last three digits before the Z are zeros.
                text.truncate(text.len().saturating_sub(4));
                text + "Z"
            }
            Self::Date => t.day(),
        }
    }
}

impl Context {
    pub(super) fn aggs(&mut self, value: &Value, depth: usize) -> Result<Vec<(String, Agg)>, ElasticError> {
        let map = value.as_object().ok_or_else(|| ElasticError::parsing("[aggs] is no object"))?;
        if depth > NESTED_MAX {
            return Err(ElasticError::illegal(format!("more than {NESTED_MAX} aggregations within each other")));
        }
        map.iter().map(|(name, agg)| Ok((name.clone(), self.agg(name, agg, depth)?))).collect()
    }

    fn agg(&mut self, name: &str, value: &Value, depth: usize) -> Result<Agg, ElasticError> {
        self.aggs += 1;
        if self.aggs > AGGS_MAX {
            return Err(ElasticError::illegal(format!("more than {AGGS_MAX} aggregations")));
        }
        let map = value.as_object().ok_or_else(|| ElasticError::parsing(format!("aggregation [{name}] is no object")))?;
        let mut kind = None;
        let (mut subs, mut meta) = (Vec::new(), None);
        for (key, body) in map {
            match key.as_str() {
                "aggs" | "aggregations" => subs = self.aggs(body, depth + 1)?,
                "meta" => meta = Some(body.clone()),
                _ if kind.is_some() => return Err(ElasticError::parsing(format!("found two aggregation type definitions in [{name}]"))),
                what => kind = Some(self.kind(what, body, depth)?),
            }
        }
        let kind = kind.ok_or_else(|| ElasticError::parsing(format!("missing definition for aggregation [{name}]")))?;
        if !subs.is_empty() && !kind.is_bucket() {
            return Err(ElasticError::illegal(format!("aggregation [{name}] cannot accept sub-aggregations")));
        }
        if let Kind::Terms { order, .. } = &kind {
            for (order, _) in order {
                let Order::Metric(metric) = order else { continue };
                if !subs.iter().any(|(n, a)| n == metric && !a.kind.is_bucket()) {
                    return Err(ElasticError::illegal(format!("[order] [{metric}] is no metric within [{name}]")));
                }
            }
        }
        Ok(Agg { kind, subs, meta })
    }

    fn kind(&mut self, what: &str, body: &Value, depth: usize) -> Result<Kind, ElasticError> {
        match what {
            "filter" => return Ok(Kind::Filter(self.query(body, depth)?.simplify())),
            "filters" => return self.filters(body, depth),
            "terms" => return terms(body),
            "date_histogram" => return self.date_histogram(body),
            "cardinality" | "value_count" | "sum" | "avg" | "min" | "max" => {}
            _ => return Err(ElasticError::parsing(format!("Unknown aggregation type [{}]", crate::fields::shortened(what)))),
        }
        let mut part = Part::of(what, body)?;
        part.ignore(&["precision_threshold", "rehash", "execution_hint", "value_type"]);
        let column = self::column(&mut part, what)?;
        if part.take("missing").is_some() || part.take("script").is_some() {
            return Err(ElasticError::illegal(format!("[{what}] does not support [missing] and [script]")));
        }
        part.end()?;
        let numbers = matches!(column.kind, event::Kind::Int | event::Kind::Float);
        let fits = match what {
            "sum" | "avg" => numbers,
            "min" | "max" => numbers || column.kind == event::Kind::Time,
            _ => true,
        };
        if !fits {
            return Err(ElasticError::illegal(format!("Field [{}] of type [keyword] is not supported for aggregation [{what}]", column.path)));
        }
        Ok(match what {
            "cardinality" => Kind::Cardinality(column),
            "value_count" => Kind::ValueCount(column),
            "sum" => Kind::Sum(column),
            "avg" => Kind::Avg(column),
            "min" => Kind::Min(column),
            _ => Kind::Max(column),
        })
    }

    fn filters(&mut self, body: &Value, depth: usize) -> Result<Kind, ElasticError> {
        let mut part = Part::of("filters", body)?;
        let other_bucket = part.flag("other_bucket")?;
        let other_name = part.text("other_bucket_key")?;
        let list = part.take("filters").ok_or_else(|| ElasticError::parsing("[filters] requires [filters]"))?;
        let keyed = list.is_object();
        let filters: Vec<(String, &Value)> = match list {
            Value::Object(map) => map.iter().map(|(n, q)| (n.clone(), q)).collect(),
            Value::Array(list) => list.iter().enumerate().map(|(i, q)| (i.to_string(), q)).collect(),
            _ => return Err(ElasticError::parsing("[filters] is an object or an array")),
        };
        part.end()?;
        if filters.is_empty() || filters.len() > FILTERS_MAX {
            return Err(ElasticError::illegal(format!("[filters] takes 1 to {FILTERS_MAX} filters")));
        }
        let filters = filters.into_iter().map(|(n, q)| Ok((n, self.query(q, depth)?.simplify()))).collect::<Result<Vec<_>, ElasticError>>()?;
        let other = (other_bucket || other_name.is_some()).then(|| other_name.unwrap_or_else(|| "_other_".into()));
        Ok(Kind::Filters { filters, keyed, other })
    }

    fn date_histogram(&mut self, body: &Value) -> Result<Kind, ElasticError> {
        let mut part = Part::of("date_histogram", body)?;
        let column = column(&mut part, "date_histogram")?;
        if column.path != "time" {
            return Err(ElasticError::illegal(format!("[date_histogram] of [{}] is not supported; buckets are of @timestamp", column.path)));
        }
        let (fixed, calendar, legacy) = (part.text("fixed_interval")?, part.text("calendar_interval")?, part.text("interval")?);
        let interval = match (fixed, calendar, legacy) {
            (Some(fixed), None, None) => Interval::fixed(&fixed)?,
            (None, Some(calendar), None) => Interval::calendar(&calendar)?,
            (None, None, Some(either)) => Interval::calendar(&either).or_else(|_| Interval::fixed(&either))?,
            _ => return Err(ElasticError::illegal("[date_histogram] needs one of [fixed_interval] and [calendar_interval]")),
        };
        let format = part.text("format")?;
        utc(part.text("time_zone")?.as_deref())?;
        if part.text("offset")?.is_some_and(|o| !matches!(o.as_str(), "0" | "0s" | "0ms" | "+0s")) || part.take("missing").is_some() || part.take("hard_bounds").is_some() {
            return Err(ElasticError::illegal("[date_histogram] does not support [offset], [missing] and [hard_bounds]"));
        }
        let bounds = match part.take("extended_bounds") {
            None => None,
            Some(bounds) => {
                let mut part = Part::of("extended_bounds", bounds)?;
                let mut end = |name| -> Result<Timestamp, ElasticError> {
                    let value = part.take(name).ok_or_else(|| ElasticError::parsing(format!("[extended_bounds] needs [{name}]")))?;
                    Ok(time(&super::part::text(value)?, format.as_deref().filter(|f| *f != "yyyy-MM-dd"), self.now)?.start)
                };
                let both = (end("min")?, end("max")?);
                part.end()?;
                Some(both)
            }
        };
        let order = part.take("order").map_or(Ok(Vec::new()), orders)?;
        let newest_first = match order.as_slice() {
            [] | [(Order::Key, true)] => false,
            [(Order::Key, false)] => true,
            _ => return Err(ElasticError::illegal("[date_histogram] is ordered by [_key] only")),
        };
        let kind = Kind::DateHistogram {
            column,
            interval,
            min_doc_count: part.number("min_doc_count", 0)? as u64,
            bounds,
            format: format.as_deref().map_or(Ok(TimeFormat::Iso), |f| TimeFormat::parse(f.split("||").next().unwrap_or(f)))?,
            newest_first,
            keyed: part.flag("keyed")?,
        };
        part.end()?;
        Ok(kind)
    }
}

fn column(part: &mut Part<'_>, what: &str) -> Result<&'static Column, ElasticError> {
    let name = part.text("field")?.ok_or_else(|| ElasticError::illegal(format!("Required one of fields [field], but none were specified in [{what}]; scripts are not supported")))?;
    field(&name)
}

fn terms(body: &Value) -> Result<Kind, ElasticError> {
    let mut part = Part::of("terms", body)?;
    part.ignore(&["shard_size", "execution_hint", "collect_mode", "show_term_doc_count_error", "shard_min_doc_count"]);
    let column = column(&mut part, "terms")?;
    if crate::is_prose(column) || column.kind == event::Kind::Time {
        return Err(ElasticError::illegal(format!("[terms] of [{}] is not supported: its values are sentences or times", column.path)));
    }
    let size = part.number("size", 10)?;
    if size == 0 || size > TERMS_SIZE_MAX {
        return Err(ElasticError::illegal(format!("[size] must be from 1 to {TERMS_SIZE_MAX} in [terms]")));
    }
    let order = part.take("order").map_or(Ok(Vec::new()), orders)?;
    let kind = Kind::Terms {
        column,
        size,
        order: if order.is_empty() { vec![(Order::Count, false)] } else { order },
        min_doc_count: part.number("min_doc_count", 1)? as u64,
        missing: part.take("missing").map(super::part::text).transpose()?,
    };
    part.end()?;
    Ok(kind)
}

/// `{"_count": "desc"}` or an array of such.
fn orders(value: &Value) -> Result<Vec<(Order, bool)>, ElasticError> {
    let wrong = || ElasticError::parsing("[order] is an object such as {\"_count\": \"desc\"}, or an array of them");
    let list: &[Value] = match value {
        Value::Array(list) => list,
        one => std::slice::from_ref(one),
    };
    let mut orders = Vec::new();
    for one in list {
        for (name, way) in one.as_object().ok_or_else(wrong)? {
            let ascending = match way.as_str() {
                Some("asc") => true,
                Some("desc") => false,
                _ => return Err(wrong()),
            };
            let order = match name.as_str() {
                "_count" => Order::Count,
                "_key" | "_term" => Order::Key,
                metric => Order::Metric(metric.strip_suffix(".value").unwrap_or(metric).to_owned()),
            };
            orders.push((order, ascending));
        }
    }
    Ok(orders)
}
