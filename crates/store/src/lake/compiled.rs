//! An expression made ready for the lake: what is wrong with it is said before anything is read, negations stand
//! at single conditions, and cheap columns come first.

use super::needle::Needle;
use super::schema::LAYOUT;
use super::{LakeError, Query};
use event::{Column, Kind, Timestamp};
use ipnet::IpNet;
use query::{Bound, Expr, Test, Value, Words};
use std::net::IpAddr;
use std::sync::Arc;

/// Most conditions of one expression, and values of one `OneOf`.
const CONDITIONS_MAX: usize = 4_096;
const VALUES_MAX: usize = 65_536;
const DEPTH_MAX: usize = 200;
/// Up to so many values are compared one by one, more are looked up.
const COMPARE_MAX: usize = 8;

/// An expression over leaves of the table.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    All,
    None,
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Arc<Leaf>),
    Leaf(Arc<Leaf>),
}

/// One condition on one column.
#[derive(Debug)]
pub(super) struct Leaf {
    pub leaf: usize,
    pub kind: Kind,
    pub matcher: Matcher,
}

#[derive(Debug)]
pub(super) enum Matcher {
    Exists,
    /// One of these, sorted.
    Texts(Vec<String>),
    /// One of these, sorted: numbers or microseconds.
    Ints(Vec<i64>),
    /// `low <= value <= high`.
    Between(i64, i64),
    Contains(Needle),
    Cidr(Vec<IpNet>),
    Words(WordsIn),
    /// As the query crate says: patterns, floats.
    Plain(Test),
}

/// Words as an index is asked for them, and as a text is.
#[derive(Debug)]
pub(super) struct WordsIn {
    pub words: Words,
    matcher: query::Matcher,
}

/// A query made ready.
pub(super) struct Compiled {
    /// No time before `from` or after `last` matches.
    pub from: i64,
    pub last: i64,
    /// With the bounds of time as a condition.
    pub tree: Tree,
}

impl Compiled {
    pub fn new(query: &Query) -> Result<Self, LakeError> {
        let mut left = CONDITIONS_MAX;
        let tree = compile(&query.expr, false, DEPTH_MAX, &mut left)?;
        let from = query.from.map_or(i64::MIN, |t| t.0);
        let last = query.to.map_or(i64::MAX, |t| t.0.saturating_sub(1));
        let asked = if query.from.or(query.to).is_none() { Tree::All } else { between(LAYOUT.time, Kind::Time, from, last) };
        let tree = and(vec![asked, tree]);
        let (from, last) = time_bounds(&tree);
        Ok(Self { from, last, tree })
    }

    /// Whether rows between these times, both included, may match.
    pub fn meets(&self, time_min: i64, time_max: i64) -> bool {
        !matches!(self.tree, Tree::None) && time_max >= self.from && time_min <= self.last
    }
}

fn compile(expr: &Expr, negated: bool, depth: usize, left: &mut usize) -> Result<Tree, LakeError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(LakeError::BadQuery(format!("more than {DEPTH_MAX} levels of brackets")));
    };
    let list = |list: &[Expr], left: &mut usize| list.iter().map(|e| compile(e, negated, depth, left)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::All => if negated { Tree::None } else { Tree::All },
        Expr::Not(inner) => compile(inner, !negated, depth, left)?,
        Expr::And(all) if negated => or(list(all, left)?),
        Expr::And(all) => and(list(all, left)?),
        Expr::Or(any) if negated => and(list(any, left)?),
        Expr::Or(any) => or(list(any, left)?),
        Expr::Field(column, test) => condition(leaf(column, test, left)?, negated),
        Expr::Text(words) => condition(raw_words(words, left)?, negated),
    })
}

fn condition(leaf: Option<Leaf>, negated: bool) -> Tree {
    match (leaf, negated) {
        (None, false) => Tree::None,
        (None, true) => Tree::All,
        (Some(leaf), false) => Tree::Leaf(Arc::new(leaf)),
        // Every row has a time: what is not within is before or after, of which page indexes know.
        (Some(Leaf { leaf, kind, matcher: Matcher::Between(low, high) }), true) if leaf == LAYOUT.time => {
            let before = low.checked_sub(1).map_or(Tree::None, |last| between(leaf, kind, i64::MIN, last));
            let after = high.checked_add(1).map_or(Tree::None, |first| between(leaf, kind, first, i64::MAX));
            or(vec![before, after])
        }
        (Some(leaf), true) => Tree::Not(Arc::new(leaf)),
    }
}

/// All of these, cheapest first.
pub(super) fn and(parts: Vec<Tree>) -> Tree {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Tree::All => {}
            Tree::None => return Tree::None,
            Tree::And(inner) => all.extend(inner),
            other => all.push(other),
        }
    }
    all.sort_by_key(Tree::cost);
    match all.len() {
        0 => Tree::All,
        1 => all.swap_remove(0),
        _ => Tree::And(all),
    }
}

pub(super) fn or(parts: Vec<Tree>) -> Tree {
    let mut any = Vec::new();
    for part in parts {
        match part {
            Tree::None => {}
            Tree::All => return Tree::All,
            Tree::Or(inner) => any.extend(inner),
            other => any.push(other),
        }
    }
    any.sort_by_key(Tree::cost);
    match any.len() {
        0 => Tree::None,
        1 => any.swap_remove(0),
        _ => Tree::Or(any),
    }
}

/// From and to, both included, of every time that matches.
fn time_bounds(tree: &Tree) -> (i64, i64) {
    const ANY: (i64, i64) = (i64::MIN, i64::MAX);
    const NEVER: (i64, i64) = (i64::MAX, i64::MIN);
    match tree {
        Tree::All | Tree::Not(_) => ANY,
        Tree::None => NEVER,
        Tree::And(all) => all.iter().map(time_bounds).fold(ANY, |a, b| (a.0.max(b.0), a.1.min(b.1))),
        Tree::Or(any) => any.iter().map(time_bounds).fold(NEVER, |a, b| (a.0.min(b.0), a.1.max(b.1))),
        Tree::Leaf(leaf) if leaf.leaf == LAYOUT.time => leaf.range().unwrap_or(ANY),
        Tree::Leaf(_) => ANY,
    }
}

impl Tree {
    /// What evaluating it costs a row, roughly: narrow columns before wide ones, numbers before text.
    fn cost(&self) -> u32 {
        match self {
            Self::All | Self::None => 0,
            Self::Leaf(leaf) | Self::Not(leaf) => leaf.cost(),
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).sum::<u32>().saturating_add(1),
        }
    }

    /// Whether it reads a column of prose.
    pub fn reads_prose(&self) -> bool {
        match self {
            Self::All | Self::None => false,
            Self::Leaf(leaf) | Self::Not(leaf) => leaf.is_prose(),
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::reads_prose),
        }
    }
}

impl Leaf {
    pub fn is_prose(&self) -> bool {
        event::COLUMNS.get(self.leaf).is_some_and(query::is_prose)
    }

    fn cost(&self) -> u32 {
        let test = match (&self.matcher, self.kind) {
            (_, Kind::Time | Kind::Int | Kind::Float) => 1,
            (Matcher::Exists | Matcher::Texts(_), _) => 2,
            _ => 6,
        };
        match (self.leaf == LAYOUT.raw, self.is_prose()) {
            (true, _) => test + 200,
            (_, true) => test + 40,
            _ => test,
        }
    }

    /// The least and the greatest number that matches.
    pub fn range(&self) -> Option<(i64, i64)> {
        match &self.matcher {
            Matcher::Between(low, high) => Some((*low, *high)),
            Matcher::Ints(ints) => Some((*ints.first()?, *ints.last()?)),
            _ => None,
        }
    }

    /// Whether a text matches.
    pub fn text(&self, value: &str) -> bool {
        match &self.matcher {
            Matcher::Exists => true,
            Matcher::Texts(wanted) if wanted.len() <= COMPARE_MAX => wanted.iter().any(|w| w == value),
            Matcher::Texts(wanted) => wanted.binary_search_by(|w| w.as_str().cmp(value)).is_ok(),
            Matcher::Contains(needle) => needle.is_in(value),
            Matcher::Cidr(nets) => value.parse::<IpAddr>().is_ok_and(|ip| nets.iter().any(|net| net.contains(&ip.to_canonical()))),
            Matcher::Words(words) => words.matcher.is_in(value),
            Matcher::Plain(test) => test.matches_text(value),
            Matcher::Ints(_) | Matcher::Between(..) => false,
        }
    }
}

fn raw_words(words: &Words, left: &mut usize) -> Result<Option<Leaf>, LakeError> {
    let column = event::column("raw_data").ok_or_else(|| LakeError::BadQuery("there is no column raw_data".into()))?;
    leaf(column, &Test::Words(words.clone()), left)
}

/// `None`: nothing can match.
fn leaf(column: &'static Column, test: &Test, left: &mut usize) -> Result<Option<Leaf>, LakeError> {
    *left = left.checked_sub(1).ok_or_else(|| LakeError::BadQuery(format!("more than {CONDITIONS_MAX} conditions")))?;
    if matches!(test, Test::OneOf(values) if values.len() > VALUES_MAX) {
        return Err(LakeError::BadQuery(format!("{}: more than {VALUES_MAX} values", column.path)));
    }
    let number = LAYOUT.leaf(column.path).ok_or_else(|| LakeError::BadQuery(format!("there is no column {}", column.path)))?;
    let matcher = match column.kind {
        Kind::Text | Kind::TextList => text_matcher(test),
        Kind::Int => int_matcher(test, |v| if let Value::Int(n) = v { Some(*n) } else { None }),
        Kind::Time => int_matcher(test, |v| if let Value::Time(t) = v { Some(t.0) } else { None }),
        Kind::Float => match test {
            Test::Exists => Some(Matcher::Exists),
            Test::OneOf(_) | Test::Range(..) => Some(Matcher::Plain(test.clone())),
            _ => None,
        },
    };
    Ok(matcher.map(|matcher| Leaf { leaf: number, kind: column.kind, matcher }))
}

fn text_matcher(test: &Test) -> Option<Matcher> {
    Some(match test {
        Test::Exists => Matcher::Exists,
        Test::Range(..) => return None,
        Test::OneOf(values) => {
            let mut texts: Vec<String> = values.iter().filter_map(|v| if let Value::Text(t) = v { Some(t.clone()) } else { None }).collect();
            texts.sort_unstable();
            texts.dedup();
            if texts.is_empty() {
                return None;
            }
            Matcher::Texts(texts)
        }
        Test::Contains(part) => Matcher::Contains(Needle::new(part)),
        Test::Cidr(nets) => Matcher::Cidr(nets.clone()),
        Test::Words(Words::Phrase(phrase)) if phrase.is_empty() => return None,
        Test::Words(words) => Matcher::Words(WordsIn { matcher: query::Matcher::new(words), words: words.clone() }),
        Test::Wildcard(_) | Test::Regex(_) => Matcher::Plain(test.clone()),
    })
}

/// On whole numbers and times; `exact` is a value of the column's own kind. Others are compared as the query crate does.
fn int_matcher(test: &Test, exact: impl Fn(&Value) -> Option<i64>) -> Option<Matcher> {
    let is_other_number = |v: &Value| matches!(v, Value::Float(_)) && exact(&Value::Int(0)).is_some();
    match test {
        Test::Exists => Some(Matcher::Exists),
        Test::OneOf(values) if values.iter().any(is_other_number) => Some(Matcher::Plain(test.clone())),
        Test::OneOf(values) => {
            let mut ints: Vec<i64> = values.iter().filter_map(&exact).collect();
            ints.sort_unstable();
            ints.dedup();
            (!ints.is_empty()).then_some(Matcher::Ints(ints))
        }
        Test::Range(low, high) => {
            if [low, high].iter().any(|b| matches!(b, Bound::Including(v) | Bound::Excluding(v) if is_other_number(v))) {
                return Some(Matcher::Plain(test.clone()));
            }
            let low = match low {
                Bound::Open => i64::MIN,
                Bound::Including(v) => exact(v)?,
                Bound::Excluding(v) => exact(v)?.checked_add(1)?,
            };
            let high = match high {
                Bound::Open => i64::MAX,
                Bound::Including(v) => exact(v)?,
                Bound::Excluding(v) => exact(v)?.checked_sub(1)?,
            };
            (low <= high).then_some(Matcher::Between(low, high))
        }
        _ => None,
    }
}

/// Rows whose number is between these, both included.
pub(super) fn between(leaf: usize, kind: Kind, low: i64, high: i64) -> Tree {
    if low > high { Tree::None } else { Tree::Leaf(Arc::new(Leaf { leaf, kind, matcher: Matcher::Between(low, high) })) }
}

/// A number as the query crate's evaluator sees it.
pub(super) fn cell<'a>(kind: Kind, number: i64) -> event::Cell<'a> {
    if kind == Kind::Time { event::Cell::Time(Timestamp(number)) } else { event::Cell::Int(number) }
}
