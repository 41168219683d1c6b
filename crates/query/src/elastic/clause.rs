//! Query clauses.
use super::part::{Part, only, text};
use super::{Context, ElasticError, NESTED_MAX, field, names};
use crate::parse::{Dialect, parse_as};
use crate::values::{self, End, Wrong};
use crate::when::{self, When};
use crate::{CLAUSES_MAX, Expr, Test, Words, escape_wildcard, is_prose};
use event::{Column, Kind, Timestamp};
use serde_json::Value;

/// Combinations that `minimum_should_match` is written out in.
const COMBINATIONS_MAX: usize = 256;
/// Values of one `terms` or `ids`, Elasticsearch's `index.max_terms_count`.
const TERMS_MAX: usize = 65_536;

type Clause<T = Expr> = Result<T, ElasticError>;

impl From<Wrong> for ElasticError {
    fn from(wrong: Wrong) -> Self {
        let hint = wrong.hint.map(|h| format!("; {h}")).unwrap_or_default();
        Self { status: 400, kind: "query_shard_exception", reason: format!("{}{hint}", wrong.message) }
    }
}

impl Context {
    pub(super) fn query(&mut self, value: &Value, depth: usize) -> Clause {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX || depth > NESTED_MAX {
            return Err(ElasticError::illegal(format!("more than {CLAUSES_MAX} clauses, or more than {NESTED_MAX} within each other")));
        }
        let (name, body) = only("query", value)?;
        match name {
            "match_all" | "match_none" => {
                let mut part = Part::of(name, body)?;
                part.ignore(RANKING);
                part.end()?;
                Ok(if name == "match_all" { Expr::All } else { Expr::Or(Vec::new()) })
            }
            "bool" => self.boolean(body, depth),
            "constant_score" => {
                let mut part = Part::of(name, body)?;
                part.ignore(RANKING);
                let filter = part.take("filter").ok_or_else(|| ElasticError::parsing("[constant_score] requires a [filter]"))?;
                part.end()?;
                self.query(filter, depth + 1)
            }
            "term" => self.term(body),
            "terms" => self.terms(body),
            "match" => self.words(body, false),
            "match_phrase" => self.words(body, true),
            "range" => self.range(body),
            "exists" => {
                let mut part = Part::of(name, body)?;
                part.ignore(RANKING);
                let column = field(&part.text("field")?.ok_or_else(|| ElasticError::parsing("[exists] must be provided with a [field]"))?)?;
                part.end()?;
                Ok(Expr::Field(column, Test::Exists))
            }
            "wildcard" => self.pattern(body, "wildcard"),
            "prefix" => self.pattern(body, "prefix"),
            "regexp" => self.regexp(body),
            "ids" => {
                let mut part = Part::of(name, body)?;
                part.ignore(RANKING);
                let values = part.take("values").ok_or_else(|| ElasticError::parsing("[ids] requires [values]"))?;
                part.end()?;
                self.one_of(field("_id")?, values)
            }
            "query_string" => self.query_string(body),
            "simple_query_string" => self.simple_query_string(body),
            _ => Err(ElasticError::parsing(format!("unknown query [{}]", crate::fields::shortened(name)))),
        }
    }

    fn list(&mut self, value: Option<&Value>, depth: usize) -> Clause<Vec<Expr>> {
        match value {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|q| self.query(q, depth + 1)).collect(),
            Some(one) => Ok(vec![self.query(one, depth + 1)?]),
        }
    }

    fn boolean(&mut self, body: &Value, depth: usize) -> Clause {
        let mut part = Part::of("bool", body)?;
        part.ignore(RANKING);
        let mut all = self.list(part.take("must"), depth)?;
        all.extend(self.list(part.take("filter"), depth)?);
        let should = self.list(part.take("should"), depth)?;
        let none = self.list(part.take("must_not"), depth)?;
        let least = match part.take("minimum_should_match") {
            Some(asked) => minimum(asked, should.len())?,
            None => usize::from(all.is_empty()),
        };
        part.ignore(&["adjust_pure_negative"]);
        part.end()?;
        if !should.is_empty() {
            all.push(at_least(should, least)?);
        } else if least > 1 {
            all.push(Expr::Or(Vec::new()));
        }
        all.extend(none.into_iter().map(|e| Expr::Not(Box::new(e))));
        Ok(Expr::And(all))
    }

    fn term(&mut self, body: &Value) -> Clause {
        let (name, value) = only("term", body)?;
        let column = field(name)?;
        let (value, any_case) = valued("term", value, &["value"])?;
        if any_case && matches!(column.kind, Kind::Text | Kind::TextList) && !is_prose(column) {
            return Ok(values::regex(column, &format!("(?i){}", regex::escape(&value)))?);
        }
        self.equal(column, &value)
    }

    fn terms(&mut self, body: &Value) -> Clause {
        let map = body.as_object().ok_or_else(|| ElasticError::parsing("[terms] query malformed, no field"))?;
        let mut fields = map.iter().filter(|(name, _)| !RANKING.contains(&name.as_str()));
        let (Some((name, values)), None) = (fields.next(), fields.next()) else {
            return Err(ElasticError::parsing("[terms] query needs one field"));
        };
        self.one_of(field(name)?, values)
    }

    fn one_of(&mut self, column: &'static Column, values: &Value) -> Clause {
        let list = values.as_array().filter(|l| l.len() <= TERMS_MAX).ok_or_else(|| ElasticError::parsing(format!("[terms] takes an array of at most {TERMS_MAX} values")))?;
        let any = list.iter().map(|v| text(v).and_then(|t| self.equal(column, &t))).collect::<Clause<Vec<_>>>()?;
        Ok(merged(column, any))
    }

    fn equal(&self, column: &'static Column, text: &str) -> Clause {
        if column.kind == Kind::Time {
            let when = time(text, None, self.now)?;
            return Ok(values::times(column, End::Including(when), End::Including(when))?);
        }
        Ok(values::equal(column, text, self.now)?)
    }

    /// `match` and `match_phrase`: words of prose; on other columns the value.
    fn words(&mut self, body: &Value, phrase: bool) -> Clause {
        let what = if phrase { "match_phrase" } else { "match" };
        let (name, value) = only(what, body)?;
        let column = field(name)?;
        let (query, and) = match value {
            Value::Object(_) => {
                let mut part = Part::of(what, value)?;
                part.ignore(RANKING);
                part.ignore(&["analyzer", "zero_terms_query", "lenient", "auto_generate_synonyms_phrase_query"]);
                let query = part.take("query").ok_or_else(|| ElasticError::parsing(format!("[{what}] requires a [query]")))?;
                if part.number("slop", 0)? > 0 {
                    return Err(ElasticError::illegal("[slop] words near each other are not supported"));
                }
                let and = part.text("operator")?.is_some_and(|o| o.eq_ignore_ascii_case("and"));
                part.end()?;
                (text(query)?, and)
            }
            value => (text(value)?, false),
        };
        if phrase || !is_prose(column) {
            return self.equal(column, &query);
        }
        let words: Vec<Expr> = crate::words(&query).map(|w| Expr::Field(column, Test::Words(Words::Phrase(vec![w])))).collect();
        Ok(if and { Expr::And(words) } else { Expr::Or(words) })
    }

    fn range(&mut self, body: &Value) -> Clause {
        let (name, value) = only("range", body)?;
        let column = field(name)?;
        let mut part = Part::of("range", value)?;
        part.ignore(RANKING);
        part.ignore(&["relation"]);
        let format = part.text("format")?;
        utc(part.text("time_zone")?.as_deref())?;
        let mut ends = [End::Open, End::Open];
        for (name, end, including) in [("gt", 0, false), ("gte", 0, true), ("lt", 1, false), ("lte", 1, true)] {
            let Some(value) = part.take(name) else { continue };
            if !matches!(ends[end], End::Open) {
                return Err(ElasticError::parsing(format!("[range] has two bounds on one side, one of them [{name}]")));
            }
            let value = text(value)?;
            ends[end] = if including { End::Including(value) } else { End::Excluding(value) };
        }
        part.end()?;
        let [low, high] = ends;
        if column.kind == Kind::Time {
            let read = |text: String| time(&text, format.as_deref(), self.now).map_err(|e| Wrong { message: e.reason, hint: None });
            return Ok(values::times(column, low.try_map(read)?, high.try_map(read)?)?);
        }
        let (low, high) = (whole(column, low, true), whole(column, high, false));
        Ok(values::range(column, as_str(&low), as_str(&high), self.now)?)
    }

    fn pattern(&mut self, body: &Value, what: &str) -> Clause {
        let (name, value) = only(what, body)?;
        let column = field(name)?;
        let (value, any_case) = valued(what, value, &["value", "wildcard"])?;
        let pattern = if what == "prefix" { format!("{}*", escape_wildcard(&value)) } else { value };
        if any_case && !is_prose(column) {
            return Ok(values::regex(column, &format!("(?i){}", regex_of(&pattern)))?);
        }
        Ok(values::pattern(column, &pattern)?)
    }

    fn regexp(&mut self, body: &Value) -> Clause {
        let (name, value) = only("regexp", body)?;
        let column = field(name)?;
        let mut flags = None;
        let (value, any_case) = match value {
            Value::Object(_) => {
                let mut part = Part::of("regexp", value)?;
                part.ignore(RANKING);
                part.ignore(&["max_determinized_states", "rewrite"]);
                flags = part.text("flags")?;
                let any_case = part.flag("case_insensitive")?;
                let value = part.text("value")?.ok_or_else(|| ElasticError::parsing("[regexp] requires a [value]"))?;
                part.end()?;
                (value, any_case)
            }
            value => (text(value)?, false),
        };
        if flags.as_deref() != Some("NONE") && has_extension(&value) {
            return Err(ElasticError::illegal("[regexp] the operators ~ & @ # < > and \" of Lucene are not supported; put \\ before them, or set [flags] to NONE"));
        }
        if values::is_plain(&value) && !any_case {
            return self.equal(column, &value);
        }
        let pattern = if any_case { format!("(?i){value}") } else { value };
        Ok(values::regex(column, &pattern)?)
    }

    fn query_string(&mut self, body: &Value) -> Clause {
        let mut part = Part::of("query_string", body)?;
        part.ignore(RANKING);
        part.ignore(&[
            "analyze_wildcard", "allow_leading_wildcard", "lenient", "analyzer", "quote_analyzer", "enable_position_increments", "auto_generate_synonyms_phrase_query",
            "max_determinized_states", "rewrite", "tie_breaker", "type", "phrase_slop", "fuzziness", "fuzzy_prefix_length", "fuzzy_max_expansions", "fuzzy_transpositions", "escape",
        ]);
        utc(part.text("time_zone")?.as_deref())?;
        let query = part.text("query")?.ok_or_else(|| ElasticError::parsing("[query_string] must be provided with a [query]"))?;
        let and = part.text("default_operator")?.is_some_and(|o| o.eq_ignore_ascii_case("and"));
        let mut fields = part.take("fields").map_or(Ok(Vec::new()), |f| names(f, "fields"))?;
        fields.extend(part.text("default_field")?);
        part.end()?;
        let dialect = Dialect { or: !and, lower_case_words: true, fields: columns(&fields)? };
        Ok(parse_as(&query, self.now, &dialect)?)
    }

    fn simple_query_string(&mut self, body: &Value) -> Clause {
        let mut part = Part::of("simple_query_string", body)?;
        part.ignore(RANKING);
        part.ignore(&["analyze_wildcard", "lenient", "analyzer", "auto_generate_synonyms_phrase_query", "fuzzy_prefix_length", "fuzzy_max_expansions", "fuzzy_transpositions"]);
        if part.text("flags")?.is_some_and(|f| f != "ALL") {
            return Err(ElasticError::illegal("[simple_query_string] only [flags] ALL is supported"));
        }
        let query = part.text("query")?.ok_or_else(|| ElasticError::parsing("[simple_query_string] query text missing"))?;
        let and = part.text("default_operator")?.is_some_and(|o| o.eq_ignore_ascii_case("and"));
        let fields = part.take("fields").map_or(Ok(Vec::new()), |f| names(f, "fields"))?;
        part.end()?;
        super::simple::read(&query, and, &columns(&fields)?, self.now)
    }
}

/// What clauses have for the order of hits, which is by time here.
const RANKING: &[&str] = &["boost", "_name"];

/// The value of `{"field": value}` or `{"field": {"value": value}}`, and whether in any case.
fn valued(what: &str, value: &Value, names: &[&'static str]) -> Clause<(String, bool)> {
    if !value.is_object() {
        return Ok((text(value)?, false));
    }
    let mut part = Part::of(what, value)?;
    part.ignore(RANKING);
    part.ignore(&["rewrite"]);
    let any_case = part.flag("case_insensitive")?;
    let mut found = None;
    for name in names {
        found = part.take(name).or(found);
    }
    let value = found.ok_or_else(|| ElasticError::parsing(format!("[{what}] requires a [value]")))?;
    part.end()?;
    Ok((text(value)?, any_case))
}

/// Alternatives for one column; equal values become one test without comparing each with each.
fn merged(column: &'static Column, any: Vec<Expr>) -> Expr {
    let mut values = Vec::new();
    let mut others = Vec::new();
    for expr in any {
        match expr {
            Expr::Field(_, Test::OneOf(more)) => values.extend(more),
            other => others.push(other),
        }
    }
    if !values.is_empty() {
        let key = |v: &crate::Value| v.to_string();
        values.sort_by_cached_key(key);
        values.dedup();
        others.push(Expr::Field(column, Test::OneOf(values)));
    }
    Expr::Or(others)
}

/// The columns of names; `*` and none stand for text anywhere.
fn columns(names: &[String]) -> Clause<Vec<&'static Column>> {
    if names.iter().any(|n| n == "*" || n == "_all") {
        return Ok(Vec::new());
    }
    // `title^3` is for ranking.
    names.iter().map(|n| field(n.split('^').next().unwrap_or(n))).collect()
}

/// How many of so many must match: `2`, `-1`, `75%`.
fn minimum(asked: &Value, clauses: usize) -> Clause<usize> {
    let wrong = || ElasticError::illegal("[minimum_should_match] is a whole number or a percentage such as 75%");
    let asked = text(asked)?;
    let (number, percent) = match asked.strip_suffix('%') {
        Some(number) => (number.parse::<i64>().map_err(|_| wrong())?, true),
        None => (asked.parse::<i64>().map_err(|_| wrong())?, false),
    };
    let clauses = clauses as i64;
    let number = if percent { number.clamp(-100, 100) * clauses / 100 } else { number };
    let least = if number < 0 { clauses.saturating_add(number) } else { number };
    Ok(least.max(0) as usize)
}

fn at_least(mut should: Vec<Expr>, least: usize) -> Clause {
    match least {
        0 => Ok(Expr::All),
        1 => Ok(Expr::Or(should)),
        n if n > should.len() => Ok(Expr::Or(Vec::new())),
        n if n == should.len() => Ok(Expr::And(should)),
        n => {
            let mut any = Vec::new();
            combinations(&mut should, n, &mut Vec::new(), 0, &mut any)?;
            Ok(Expr::Or(any))
        }
    }
}

fn combinations(should: &mut Vec<Expr>, least: usize, chosen: &mut Vec<Expr>, from: usize, any: &mut Vec<Expr>) -> Clause<()> {
    if chosen.len() == least {
        if any.len() == COMBINATIONS_MAX {
            return Err(ElasticError::illegal(format!("[minimum_should_match] with more than {COMBINATIONS_MAX} combinations")));
        }
        any.push(Expr::And(chosen.clone()));
        return Ok(());
    }
    for i in from..should.len() {
        chosen.push(should[i].clone());
        combinations(should, least, chosen, i + 1, any)?;
        chosen.pop();
    }
    Ok(())
}

/// Only UTC: all times are.
pub(super) fn utc(zone: Option<&str>) -> Clause<()> {
    match zone {
        None | Some("UTC" | "utc" | "Z" | "GMT" | "Etc/UTC" | "+00:00" | "-00:00") => Ok(()),
        Some(zone) => Err(ElasticError::illegal(format!("[time_zone] {zone} is not supported: write UTC, and times with their offset"))),
    }
}

/// A time in one of the formats asked for (`a||b`); numbers without a format are milliseconds.
pub(super) fn time(text: &str, format: Option<&str>, now: Timestamp) -> Clause<When> {
    const MILLI: i64 = 1_000;
    let wrong = || ElasticError { status: 400, kind: "parse_exception", reason: format!("failed to parse date field [{}]", crate::fields::shortened(text)) };
    let number = || text.parse::<i64>().ok();
    let formats = format.unwrap_or("strict_date_optional_time||epoch_millis");
    for format in formats.split("||") {
        let read = match format {
            "epoch_millis" => number().map(|n| When::span(Timestamp::from_millis(n), MILLI)),
            "epoch_second" => number().map(|n| When::span(Timestamp::from_secs(n), 1_000 * MILLI)),
            "strict_date_optional_time" | "date_optional_time" | "strict_date_optional_time_nanos" | "strict_date_time" | "date_time" | "date" | "strict_date" | "iso8601" => {
                // A year of four digits; a longer number is for the other formats.
                if text.len() > 4 && number().is_some() { None } else { when::read(text, now) }
            }
            _ => return Err(ElasticError::illegal(format!("[format] {format} is not supported; write epoch_millis, epoch_second or strict_date_optional_time"))),
        };
        if let Some(when) = read.or_else(|| text.starts_with("now").then(|| when::read(text, now)).flatten()) {
            return Ok(when);
        }
    }
    Err(wrong())
}

fn as_str(end: &End<String>) -> End<&str> {
    match end {
        End::Open => End::Open,
        End::Including(t) => End::Including(t),
        End::Excluding(t) => End::Excluding(t),
    }
}

/// The bound of a column of whole numbers, given one with a fraction.
fn whole(column: &Column, end: End<String>, low: bool) -> End<String> {
    let number = match &end {
        End::Including(t) | End::Excluding(t) if column.kind == Kind::Int && t.parse::<i64>().is_err() => t.parse::<f64>().ok(),
        _ => None,
    };
    match number.filter(|n| n.abs() < 9e15) {
        Some(n) if low => End::Including(format!("{:.0}", n.ceil())),
        Some(n) => End::Including(format!("{:.0}", n.floor())),
        None => end,
    }
}

fn regex_of(pattern: &str) -> String {
    let mut regex = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => regex.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex
}

/// Whether a regular expression uses an operator that Lucene has and others have not.
fn has_extension(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '~' | '&' | '@' | '#' | '<' | '>' | '"' => return true,
            _ => {}
        }
    }
    false
}
