//! One detection item (`field|modifiers: values`) compiled to a [`Predicate`]: every modifier is resolved
//! here, at load time, so that evaluation only compares.

use super::{Placeholders, RuleTexts};
use super::encode::{encoded, expand, windash};
use super::glob::Glob;
use super::look::{Fields, Kind, Look, Seen};
use aho_corasick::AhoCorasick;
use compact_str::CompactString;
use event::Timestamp;
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use rsigma_parser::{DetectionItem, Modifier, SigmaString, SigmaValue};
use std::net::IpAddr;

/// Largest compiled regular expression, bytes: `a{1000}{1000}` is refused at load.
const REGEX_BYTES_MAX: usize = 4 << 20;
/// From how many alternatives a set pays for itself.
const EQUAL_SET_MIN: usize = 4;
const CONTAINS_SET_MIN: usize = 3;

/// A field's number in [`Fields`].
pub(crate) type FieldId = u32;
/// The pseudo-field of keyword searches: every scalar of the event, and the line itself.
pub(crate) const KEYWORDS: FieldId = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextOp {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A number of a rule. Integers stay integers: a 64-bit id must not match its neighbour by rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    pub(crate) fn canonical(self) -> String {
        match self {
            Self::Int(n) => n.to_string(),
            Self::Float(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => (f as i64).to_string(),
            Self::Float(f) => f.to_string(),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        // `f64::from_str` also reads `inf` and `nan`, which no rule means.
        let first = text.bytes().next()?;
        if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
            return None;
        }
        text.parse().map(Self::Int).ok().or_else(|| text.parse().map(Self::Float).ok())
    }

    fn order(self, other: Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Int(n) => n as f64,
            Self::Float(f) => f,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

#[derive(Debug)]
pub(crate) enum Test {
    Text(TextOp, Box<str>),
    Glob(Glob),
    Regex(Box<Regex>),
    Cidr(IpNet),
    Number(Compare, Number),
    Bool(bool),
    Null,
    Field(TextOp, FieldId),
    Time(TimePart, i64),
}

/// One value of a detection item.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub test: Test,
    pub cased: bool,
    /// The value as the rule wrote it.
    pub shown: CompactString,
}

/// What is left of all comparisons of one event with one detection item: a boolean, memoised per event
/// and shared by all rules that ask the same.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub field: FieldId,
    /// `|all`: every pattern must match, not any.
    pub all: bool,
    /// `|neq`.
    pub negated: bool,
    pub exists: Option<bool>,
    pub patterns: Vec<Pattern>,
    pub operator: CompactString,
    equals: Option<RuleTexts>,
    contains: Option<AhoCorasick>,
    /// The patterns that are in neither set.
    rest: Vec<u32>,
    /// The fields that patterns compare with.
    others: Vec<FieldId>,
}

/// Why an item can't be compiled.
pub(crate) struct Refusal {
    pub message: String,
    pub hint: Option<String>,
    /// Text that occurs in the offending line of the file.
    pub near: String,
}

impl Refusal {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>, near: impl Into<String>) -> Self {
        let hint: String = hint.into();
        Self { message: message.into(), hint: (!hint.is_empty()).then_some(hint), near: near.into() }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Refusal>;

/// The modifiers of one item, counted rather than ordered.
pub(crate) struct Modifiers<'a> {
    pub list: &'a [Modifier],
    /// `Field|contains`, as the rule wrote it, to find the line.
    pub key: String,
}

impl Modifiers<'_> {
    pub(crate) fn has(&self, modifier: Modifier) -> bool {
        self.list.contains(&modifier)
    }

    fn op(&self) -> TextOp {
        if self.has(Modifier::Contains) {
            TextOp::Contains
        } else if self.has(Modifier::StartsWith) {
            TextOp::StartsWith
        } else if self.has(Modifier::EndsWith) {
            TextOp::EndsWith
        } else {
            TextOp::Equals
        }
    }

    fn compare(&self) -> Option<Compare> {
        [
            (Modifier::Lt, Compare::Less),
            (Modifier::Lte, Compare::LessEqual),
            (Modifier::Gt, Compare::Greater),
            (Modifier::Gte, Compare::GreaterEqual),
        ]
        .into_iter()
        .find_map(|(modifier, compare)| self.has(modifier).then_some(compare))
    }

    fn time_part(&self) -> Option<TimePart> {
        self.list.iter().find_map(|m| {
            Some(match m {
                Modifier::Minute => TimePart::Minute,
                Modifier::Hour => TimePart::Hour,
                Modifier::Day => TimePart::Day,
                Modifier::Week => TimePart::Week,
                Modifier::Month => TimePart::Month,
                Modifier::Year => TimePart::Year,
                _ => return None,
            })
        })
    }

    fn refuse(&self, message: &str, hint: &str) -> Refusal {
        Refusal::new(format!("{}: {message}", self.key), hint, self.key.clone())
    }

    /// Refuses combinations whose meaning would be a guess.
    fn check(&self, values: usize) -> Result<()> {
        use Modifier as M;
        let count = |set: &[Modifier]| set.iter().filter(|m| self.has(**m)).count();
        let texts = count(&[M::Contains, M::StartsWith, M::EndsWith]);
        let others = count(&[M::Re, M::Cidr, M::Exists, M::Gt, M::Gte, M::Lt, M::Lte])
            + count(&[M::Minute, M::Hour, M::Day, M::Week, M::Month, M::Year]);
        let reference = usize::from(self.has(M::FieldRef));
        if texts > 1 || others > 1 || (others > 0 && texts + reference > 0) {
            return Err(self.refuse("these modifiers exclude each other", "keep one of them"));
        }
        let encodings = count(&[M::Base64, M::Base64Offset, M::Wide, M::Utf16, M::Utf16be, M::WindAsh, M::Expand]);
        if encodings > 0 && others + reference > 0 {
            return Err(self.refuse("an encoding only applies to text", "remove the encoding modifier"));
        }
        if count(&[M::Wide, M::Utf16, M::Utf16be]) > 1 || count(&[M::Base64, M::Base64Offset]) > 1 {
            return Err(self.refuse("two encodings of the same kind", "keep one of them"));
        }
        if !self.has(M::Re) && count(&[M::IgnoreCase, M::Multiline, M::DotAll]) > 0 {
            return Err(self.refuse("i, m and s are flags of re", "without re, text is compared without case anyway"));
        }
        if self.has(M::All) && values < 2 {
            return Err(self.refuse("all needs at least two values", "remove |all"));
        }
        Ok(())
    }

    /// The operator in Sigma's words, as explanations name it.
    fn operator(&self) -> CompactString {
        use Modifier as M;
        let word = match () {
            () if self.has(M::Re) => "re",
            () if self.has(M::Cidr) => "cidr",
            () if self.has(M::Exists) => "exists",
            () if self.has(M::FieldRef) => "fieldref",
            () if self.has(M::Lt) => "lt",
            () if self.has(M::Lte) => "lte",
            () if self.has(M::Gt) => "gt",
            () if self.has(M::Gte) => "gte",
            () if self.has(M::Neq) => "neq",
            () => match (self.time_part(), self.op()) {
                (Some(TimePart::Minute), _) => "minute",
                (Some(TimePart::Hour), _) => "hour",
                (Some(TimePart::Day), _) => "day",
                (Some(TimePart::Week), _) => "week",
                (Some(TimePart::Month), _) => "month",
                (Some(TimePart::Year), _) => "year",
                (None, TextOp::Contains) => "contains",
                (None, TextOp::StartsWith) => "startswith",
                (None, TextOp::EndsWith) => "endswith",
                (None, TextOp::Equals) => "equals",
            },
        };
        word.into()
    }
}

/// What compiling an item needs besides the item.
pub(crate) struct Context<'a> {
    pub fields: &'a mut Fields,
    pub placeholders: &'a Placeholders,
}

impl Predicate {
    pub(crate) fn compile(item: &DetectionItem, context: &mut Context<'_>) -> Result<Self> {
        let key = item_key(item);
        let modifiers = Modifiers { list: &item.field.modifiers, key };
        modifiers.check(item.values.len())?;
        let Some(name) = &item.field.name else {
            return Self::keywords(&item.values, modifiers.has(Modifier::All), Some(&modifiers), context);
        };
        let field = context.fields.intern(&unescape(name));
        let exists = modifiers.has(Modifier::Exists).then(|| expects_presence(item.values.first()));
        let mut patterns = Vec::new();
        if exists.is_none() {
            for value in &item.values {
                add_patterns(value, &modifiers, context, &mut patterns)?;
            }
        }
        let all = modifiers.has(Modifier::All);
        Ok(Self::new(field, all, modifiers.has(Modifier::Neq), exists, patterns, modifiers.operator()))
    }

    /// Values without a field: each is searched in every scalar and in the line.
    pub(crate) fn keywords(
        values: &[SigmaValue],
        all: bool,
        modifiers: Option<&Modifiers<'_>>,
        context: &mut Context<'_>,
    ) -> Result<Self> {
        let near = values.first().map(ToString::to_string).unwrap_or_default();
        if values.is_empty() {
            return Err(Refusal::new("a keyword list is empty", "give at least one word", near));
        }
        let mut patterns = Vec::new();
        for value in values {
            match (value, modifiers) {
                (SigmaValue::String(text), None) => patterns.push(text_pattern(text, TextOp::Contains, false)),
                (SigmaValue::String(text), Some(m)) if m.list.iter().all(|m| *m == Modifier::All) => {
                    patterns.push(text_pattern(text, TextOp::Contains, false));
                }
                (value, Some(m)) if m.list.iter().any(|m| *m != Modifier::All) => {
                    add_patterns(value, m, context, &mut patterns)?;
                }
                (value, _) => {
                    let text = SigmaString::from_raw(&value.to_string());
                    patterns.push(text_pattern(&text, TextOp::Contains, false));
                }
            }
        }
        Ok(Self::new(KEYWORDS, all, false, None, patterns, "contains".into()))
    }

    fn new(
        field: FieldId,
        all: bool,
        negated: bool,
        exists: Option<bool>,
        patterns: Vec<Pattern>,
        operator: CompactString,
    ) -> Self {
        let other = |pattern: &Pattern| match pattern.test {
            Test::Field(_, field) => Some(field),
            _ => None,
        };
        let mut predicate = Self {
            others: patterns.iter().filter_map(other).collect(),
            field,
            all,
            negated,
            exists,
            rest: (0..patterns.len() as u32).collect(),
            patterns,
            operator,
            equals: None,
            contains: None,
        };
        if !all {
            predicate.build_sets();
        }
        predicate
    }

    fn build_sets(&mut self) {
        let (mut equals, mut contains, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for (i, pattern) in self.patterns.iter().enumerate() {
            match &pattern.test {
                Test::Text(TextOp::Equals, text) if !pattern.cased => equals.push((i as u32, text)),
                Test::Text(TextOp::Contains, text) if !pattern.cased && !text.is_empty() => {
                    contains.push((i as u32, text));
                }
                _ => rest.push(i as u32),
            }
        }
        let equal_set = equals.len() >= EQUAL_SET_MIN;
        let contains_set = (contains.len() >= CONTAINS_SET_MIN)
            .then(|| {
                AhoCorasick::builder()
                    .kind(Some(aho_corasick::AhoCorasickKind::ContiguousNFA))
                    .build(contains.iter().map(|(_, text)| text.as_bytes()))
                    .ok()
            })
            .flatten();
        if !equal_set {
            rest.extend(equals.iter().map(|(i, _)| *i));
        }
        if contains_set.is_none() {
            rest.extend(contains.iter().map(|(i, _)| *i));
        }
        rest.sort_unstable();
        let set = equal_set.then(|| equals.iter().map(|(_, text)| (*text).clone()).collect());
        (self.equals, self.contains, self.rest) = (set, contains_set, rest);
    }

    /// Whether the event satisfies the item.
    pub(crate) fn eval<'e>(&self, look: &mut Look<'_, 'e>) -> bool {
        look.fill(self.field);
        if let Some(expected) = self.exists {
            return look.values(self.field).iter().any(|seen| !seen.is_null()) == expected;
        }
        self.others.iter().for_each(|other| look.fill(*other));
        let look = &*look;
        if look.is_absent(self.field) {
            let is_null = |pattern: &Pattern| matches!(pattern.test, Test::Null);
            let mut patterns = self.patterns.iter();
            return !self.negated && if self.all { patterns.all(is_null) } else { patterns.any(is_null) };
        }
        let values = look.values(self.field);
        let matched = if self.all {
            self.patterns.iter().all(|pattern| values.iter().any(|seen| pattern.matches(seen, look)))
        } else {
            values.iter().any(|seen| self.any_matches(seen, look))
        };
        matched != self.negated
    }

    fn any_matches(&self, seen: &Seen<'_>, look: &Look<'_, '_>) -> bool {
        if let Some(set) = &self.equals
            && seen.text().is_some()
            && set.contains(look.lower(seen))
        {
            return true;
        }
        if let Some(automaton) = &self.contains
            && seen.text().is_some()
            && automaton.is_match(look.lower(seen))
        {
            return true;
        }
        self.rest.iter().any(|i| self.patterns[*i as usize].matches(seen, look))
    }
}

impl Pattern {
    pub(crate) fn matches(&self, seen: &Seen<'_>, look: &Look<'_, '_>) -> bool {
        match &self.test {
            Test::Text(op, pattern) => {
                seen.text().is_some_and(|text| op.holds(if self.cased { text } else { look.lower(seen) }, pattern))
            }
            Test::Glob(glob) => {
                seen.text().is_some_and(|text| glob.matches(if self.cased { text } else { look.lower(seen) }))
            }
            Test::Regex(regex) => seen.text().is_some_and(|text| regex.is_match(text)),
            Test::Cidr(network) => {
                seen.text().and_then(address).is_some_and(|address| network.contains(&address))
            }
            Test::Number(compare, number) => seen.number().is_some_and(|n| compare.holds(n, *number)),
            Test::Bool(expected) => seen.boolean(look) == Some(*expected),
            Test::Null => seen.is_null(),
            Test::Field(op, field) => look.values(*field).iter().any(|other| self.same(*op, seen, other, look)),
            Test::Time(part, number) => seen.time().is_some_and(|time| part.of(time) == Some(*number)),
        }
    }

    fn same(&self, op: TextOp, seen: &Seen<'_>, other: &Seen<'_>, look: &Look<'_, '_>) -> bool {
        match (seen.text(), other.text()) {
            (Some(a), Some(b)) if self.cased => op.holds(a, b),
            (Some(_), Some(_)) => op.holds(look.lower(seen), look.lower(other)),
            _ => seen.is_null() && other.is_null(),
        }
    }
}

impl TextOp {
    fn holds(self, text: &str, pattern: &str) -> bool {
        match self {
            Self::Equals => text == pattern,
            Self::Contains => memchr::memmem::find(text.as_bytes(), pattern.as_bytes()).is_some(),
            Self::StartsWith => text.starts_with(pattern),
            Self::EndsWith => text.ends_with(pattern),
        }
    }
}

impl Compare {
    fn holds(self, value: Number, than: Number) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = value.order(than);
        match self {
            Self::Equal => order == Some(Equal),
            Self::Less => order == Some(Less),
            Self::LessEqual => matches!(order, Some(Less | Equal)),
            Self::Greater => order == Some(Greater),
            Self::GreaterEqual => matches!(order, Some(Greater | Equal)),
        }
    }
}

impl TimePart {
    fn of(self, time: Timestamp) -> Option<i64> {
        let stamp = jiff::Timestamp::from_microsecond(time.micros()).ok()?;
        let civil = jiff::tz::TimeZone::UTC.to_datetime(stamp);
        Some(match self {
            Self::Minute => civil.minute().into(),
            Self::Hour => civil.hour().into(),
            Self::Day => civil.day().into(),
            Self::Week => civil.date().iso_week_date().week().into(),
            Self::Month => civil.month().into(),
            Self::Year => civil.year().into(),
        })
    }
}

/// An address as logs write it: bare, in brackets, or with a port after an IPv4 address.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.split_once(']')).map_or(text, |(inside, _)| inside);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// `Field|modifier`, as the rule wrote it.
fn item_key(item: &DetectionItem) -> String {
    let mut key = item.field.name.as_deref().map(unescape).unwrap_or_default();
    for modifier in &item.field.modifiers {
        let word = serde_json::to_value(modifier).ok();
        let word = word.as_ref().and_then(|w| w.as_str()).unwrap_or("?");
        key.push('|');
        key.push_str(word);
    }
    key
}

/// The parser escapes brackets in names; native names are literal.
pub(crate) fn unescape(name: &str) -> String {
    if !name.contains('\\') {
        return name.to_owned();
    }
    name.replace("\\[", "[").replace("\\]", "]").replace("\\\\", "\\")
}

fn expects_presence(value: Option<&SigmaValue>) -> bool {
    match value {
        Some(SigmaValue::Bool(expected)) => *expected,
        Some(SigmaValue::String(text)) => !matches!(text.original.as_str(), "false" | "no"),
        _ => true,
    }
}

fn add_patterns(
    value: &SigmaValue,
    modifiers: &Modifiers<'_>,
    context: &mut Context<'_>,
    out: &mut Vec<Pattern>,
) -> Result<()> {
    let cased = modifiers.has(Modifier::Cased);
    let shown: CompactString = value.to_string().into();
    let mut push = |test: Test| out.push(Pattern { test, cased, shown: shown.clone() });
    if let Some(part) = modifiers.time_part() {
        let number = integer(value).ok_or_else(|| modifiers.refuse("needs a whole number", ""))?;
        push(Test::Time(part, number));
    } else if modifiers.has(Modifier::FieldRef) {
        push(Test::Field(modifiers.op(), context.fields.intern(&unescape(&plain(value, modifiers)?))));
    } else if modifiers.has(Modifier::Re) {
        push(Test::Regex(Box::new(regex(value, modifiers)?)));
    } else if modifiers.has(Modifier::Cidr) {
        push(Test::Cidr(network(value, modifiers)?));
    } else if let Some(compare) = modifiers.compare() {
        let number = number(value).ok_or_else(|| modifiers.refuse("needs a number", "give a number without quotes"))?;
        push(Test::Number(compare, number));
    } else {
        match (value, modifiers.op()) {
            (SigmaValue::Null, _) => push(Test::Null),
            (SigmaValue::Bool(expected), TextOp::Equals) => push(Test::Bool(*expected)),
            (SigmaValue::Integer(n), TextOp::Equals) => push(Test::Number(Compare::Equal, Number::Int(*n))),
            (SigmaValue::Float(n), TextOp::Equals) => push(Test::Number(Compare::Equal, Number::Float(*n))),
            (SigmaValue::String(text), _) => return text_patterns(text, modifiers, context, out),
            (other, op) => out.push(text_pattern(&SigmaString::from_raw(&other.to_string()), op, cased)),
        }
    }
    Ok(())
}

fn integer(value: &SigmaValue) -> Option<i64> {
    match number(value)? {
        Number::Int(n) => Some(n),
        Number::Float(_) => None,
    }
}

fn number(value: &SigmaValue) -> Option<Number> {
    match value {
        SigmaValue::Integer(n) => Some(Number::Int(*n)),
        SigmaValue::Float(n) => Some(Number::Float(*n)),
        SigmaValue::String(text) => Number::parse(&text.original),
        _ => None,
    }
}

fn plain(value: &SigmaValue, modifiers: &Modifiers<'_>) -> Result<String> {
    match value {
        SigmaValue::String(text) => {
            text.as_plain().ok_or_else(|| modifiers.refuse("takes no wildcards", "escape * and ? with a backslash"))
        }
        SigmaValue::Null => Err(modifiers.refuse("takes no null", "")),
        other => Ok(other.to_string()),
    }
}

fn regex(value: &SigmaValue, modifiers: &Modifiers<'_>) -> Result<Regex> {
    let pattern = match value {
        SigmaValue::String(text) => text.original.clone(),
        other => other.to_string(),
    };
    RegexBuilder::new(&pattern)
        .case_insensitive(modifiers.has(Modifier::IgnoreCase))
        .multi_line(modifiers.has(Modifier::Multiline))
        .dot_matches_new_line(modifiers.has(Modifier::DotAll))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| regex_refusal(&pattern, &error, modifiers))
}

fn regex_refusal(pattern: &str, error: &regex::Error, modifiers: &Modifiers<'_>) -> Refusal {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
    let hint = if text.contains("look-around") || text.contains("backreference") {
        "regular expressions run in linear time here, without look-around and back-references: match what is \
         wanted with one selection and exclude the rest with `and not`"
    } else if matches!(error, regex::Error::CompiledTooBig(_)) {
        "use smaller repetition counts"
    } else {
        "see the regex syntax of the Rust regex crate"
    };
    let near = pattern.lines().next().unwrap_or_default().to_owned();
    Refusal::new(format!("{}: regular expression refused: {reason}", modifiers.key), hint, near)
}

fn network(value: &SigmaValue, modifiers: &Modifiers<'_>) -> Result<IpNet> {
    let text = plain(value, modifiers)?;
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    parsed.ok_or_else(|| {
        Refusal::new(format!("{}: not a network: {text}", modifiers.key), "write 10.0.0.0/8 or 2001:db8::/32", text)
    })
}

/// A text value after encodings and placeholders, with its wildcards.
fn text_patterns(
    text: &SigmaString,
    modifiers: &Modifiers<'_>,
    context: &Context<'_>,
    out: &mut Vec<Pattern>,
) -> Result<()> {
    let cased = modifiers.has(Modifier::Cased);
    let expanded = if modifiers.has(Modifier::Expand) { expand(text, modifiers, context)? } else { vec![text.clone()] };
    for text in &expanded {
        if modifiers.has(Modifier::WindAsh) {
            for variant in windash(&text.original, modifiers)? {
                out.push(text_pattern(&SigmaString::new(&variant), modifiers.op(), cased));
            }
        } else if let Some(variants) = encoded(text, modifiers)? {
            let op = if modifiers.has(Modifier::Base64Offset) { TextOp::Contains } else { modifiers.op() };
            for variant in variants {
                let mut pattern = text_pattern(&SigmaString::from_raw(&variant), op, cased);
                pattern.shown = format!("{variant} ({})", text.original).into();
                out.push(pattern);
            }
        } else {
            out.push(text_pattern(text, modifiers.op(), cased));
        }
    }
    Ok(())
}

/// One text with wildcards under one operator, reduced to the cheapest comparison that means the same.
fn text_pattern(text: &SigmaString, op: TextOp, cased: bool) -> Pattern {
    let shown: CompactString = text.original.as_str().into();
    let test = match text.as_plain() {
        Some(plain) => Test::Text(op, if cased { plain.into() } else { plain.to_lowercase().into() }),
        None => Glob::compile(text, op, cased),
    };
    Pattern { test, cased, shown }
}

/// A literal whose presence in a lower-cased value is necessary for the pattern.
pub(crate) enum Literal {
    Equal(String),
    Inside(String),
    /// One of these is inside.
    OneInside(Vec<String>),
    /// Only that the field has a value.
    Present,
    /// Nothing: the pattern may hold without the field.
    None,
}

impl Pattern {
    /// What an event must show for this pattern to hold. Case folding of non-ASCII text depends on its
    /// surroundings, so a cased pattern with such text promises only presence.
    pub(crate) fn literal(&self) -> Literal {
        let fold = |text: &str| {
            if !self.cased {
                Some(text.to_owned())
            } else {
                text.is_ascii().then(|| text.to_ascii_lowercase())
            }
        };
        match &self.test {
            Test::Text(TextOp::Equals, text) => fold(text).map_or(Literal::Present, Literal::Equal),
            Test::Text(_, text) if !text.is_empty() => fold(text).map_or(Literal::Present, Literal::Inside),
            Test::Glob(glob) => match glob.longest_literal().and_then(fold) {
                Some(text) => Literal::Inside(text),
                None => Literal::Present,
            },
            Test::Number(Compare::Equal, number) => Literal::Equal(number.canonical()),
            Test::Regex(regex) => super::literals::required(regex.as_str()).map_or(Literal::Present, Literal::OneInside),
            Test::Null => Literal::None,
            Test::Field(..) => Literal::Present,
            _ => Literal::Present,
        }
    }
}

impl Seen<'_> {
    fn number(&self) -> Option<Number> {
        match self.kind {
            Kind::Int(n) => Some(Number::Int(n)),
            Kind::Float(f) => Some(Number::Float(f)),
            Kind::Text => Number::parse(self.text()?),
            _ => None,
        }
    }

    fn boolean(&self, look: &Look<'_, '_>) -> Option<bool> {
        match self.kind {
            Kind::Bool(value) => Some(value),
            Kind::Text => match look.lower(self) {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn time(&self) -> Option<Timestamp> {
        match self.kind {
            Kind::Int(n) => Timestamp::from_epoch_number(n as f64),
            Kind::Float(f) => Timestamp::from_epoch_number(f),
            Kind::Text => Timestamp::parse(self.text()?),
            _ => None,
        }
    }
}
