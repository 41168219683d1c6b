//! What an expression needs, for those who plan: columns and time bounds.
use crate::{Bound, Expr, Test, Value};
use event::{Column, Timestamp};

/// From `from` on and before `to`; an end without a bound is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeBounds {
    pub from: Option<Timestamp>,
    /// Not itself within.
    pub to: Option<Timestamp>,
}

impl TimeBounds {
    /// Bounds within which no time lies.
    const NEVER: Self = Self { from: Some(Timestamp(0)), to: Some(Timestamp(0)) };

    pub fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from >= to)
    }

    fn both(self, other: Self) -> Self {
        let to = match (self.to, other.to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { from: self.from.max(other.from), to }
    }

    fn either(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { from: self.from.min(other.from), to: self.to.and_then(|a| other.to.map(|b| a.max(b))) },
        }
    }
}

impl Expr {
    /// Both must hold.
    pub fn and(self, other: Expr) -> Expr {
        match (self, other) {
            (Expr::All, e) | (e, Expr::All) => e,
            (Expr::And(mut a), Expr::And(b)) => {
                a.extend(b);
                Expr::And(a)
            }
            (Expr::And(mut a), e) => {
                a.push(e);
                Expr::And(a)
            }
            (e, Expr::And(mut b)) => {
                b.insert(0, e);
                Expr::And(b)
            }
            (a, b) => Expr::And(vec![a, b]),
        }
    }

    /// The columns it reads, each once, in the order of their first mention; words anywhere read `raw_data`.
    pub fn columns(&self) -> Vec<&'static Column> {
        let mut columns: Vec<&'static Column> = Vec::new();
        self.each(&mut |column, _| {
            if !columns.iter().any(|c| std::ptr::eq(*c, column)) {
                columns.push(column);
            }
        });
        columns
    }

    /// Calls `f` with every condition's column and test; a text's is `raw_data` and no test.
    fn each(&self, f: &mut dyn FnMut(&'static Column, Option<&Test>)) {
        match self {
            Expr::All => {}
            Expr::And(list) | Expr::Or(list) => list.iter().for_each(|e| e.each(f)),
            Expr::Not(one) => one.each(f),
            Expr::Field(column, test) => f(column, Some(test)),
            Expr::Text(_) => f(event::column("raw_data").expect("the list has it"), None),
        }
    }

    /// Bounds of the column `time` that every event which matches keeps. They may be wider than what the expression
    /// says, never narrower.
    pub fn time_bounds(&self) -> TimeBounds {
        match self {
            Expr::All | Expr::Text(_) | Expr::Not(_) => TimeBounds::default(),
            Expr::And(all) => all.iter().fold(TimeBounds::default(), |b, e| b.both(e.time_bounds())),
            Expr::Or(any) => any.iter().map(Expr::time_bounds).fold(TimeBounds::NEVER, TimeBounds::either),
            Expr::Field(column, test) if column.path == "time" => test.time_bounds(),
            Expr::Field(..) => TimeBounds::default(),
        }
    }
}

impl Test {
    fn time_bounds(&self) -> TimeBounds {
        let after = |t: &Timestamp| Timestamp(t.0.saturating_add(1));
        match self {
            Test::OneOf(values) => values
                .iter()
                .map(|value| match value {
                    Value::Time(t) => TimeBounds { from: Some(*t), to: Some(after(t)) },
                    _ => TimeBounds::NEVER,
                })
                .fold(TimeBounds::NEVER, TimeBounds::either),
            Test::Range(low, high) => TimeBounds {
                from: match low {
                    Bound::Including(Value::Time(t)) => Some(*t),
                    Bound::Excluding(Value::Time(t)) => Some(after(t)),
                    _ => None,
                },
                to: match high {
                    Bound::Including(Value::Time(t)) => Some(after(t)),
                    Bound::Excluding(Value::Time(t)) => Some(*t),
                    _ => None,
                },
            },
            _ => TimeBounds::default(),
        }
    }
}
