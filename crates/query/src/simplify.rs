use crate::{Expr, Test, Words};

impl Expr {
    /// The same condition without what says nothing: lists within lists of their kind, double negation, repetition;
    /// alternatives for the value of one column become one test. Nothing at all is `Or` of none.
    pub fn simplify(self) -> Expr {
        match self {
            Expr::And(list) => junction(list, true),
            Expr::Or(list) => junction(list, false),
            Expr::Not(one) => one.simplify().negated(),
            Expr::Field(column, Test::Words(words)) if column.path == "raw_data" => Expr::Text(words),
            Expr::Field(column, test) => test.simplified().map_or_else(Expr::nothing, |t| Expr::Field(column, t)),
            Expr::Text(Words::Phrase(words)) if words.is_empty() => Expr::nothing(),
            other => other,
        }
    }

    fn nothing() -> Expr {
        Expr::Or(Vec::new())
    }

    /// Whether no event can match, as far as a simplified expression shows it.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Expr::Or(list) if list.is_empty())
    }

    fn negated(self) -> Expr {
        match self {
            Expr::Not(inner) => *inner,
            Expr::All => Expr::nothing(),
            other if other.is_nothing() => Expr::All,
            other => Expr::Not(Box::new(other)),
        }
    }
}

/// `And` (or else `Or`) of simplified parts.
fn junction(list: Vec<Expr>, and: bool) -> Expr {
    let mut parts: Vec<Expr> = Vec::new();
    for part in list {
        match part.simplify() {
            Expr::And(inner) if and => inner.into_iter().for_each(|e| add(&mut parts, e, and)),
            Expr::Or(inner) if !and => inner.into_iter().for_each(|e| add(&mut parts, e, and)),
            Expr::All if and => {}
            Expr::All => return Expr::All,
            nothing if nothing.is_nothing() => return nothing,
            other => add(&mut parts, other, and),
        }
    }
    match (parts.len(), and) {
        (0, true) => Expr::All,
        (1, _) => parts.swap_remove(0),
        (_, true) => Expr::And(parts),
        (_, false) => Expr::Or(parts),
    }
}

/// Adds a part unless it is there; merges a further value of a column into the test before.
fn add(parts: &mut Vec<Expr>, part: Expr, and: bool) {
    if !and && let Expr::Field(column, test) = &part {
        for before in parts.iter_mut() {
            let Expr::Field(there, into) = before else { continue };
            if there == column && merge(into, test) {
                return;
            }
        }
    }
    if !parts.contains(&part) {
        parts.push(part);
    }
}

/// Makes a test true for what another is true for, if one test can say it.
fn merge(into: &mut Test, test: &Test) -> bool {
    match (into, test) {
        (Test::OneOf(into), Test::OneOf(values)) => add_new(into, values),
        (Test::Cidr(into), Test::Cidr(nets)) => add_new(into, nets),
        _ => return false,
    }
    true
}

fn add_new<T: Clone + PartialEq>(into: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !into.contains(item) {
            into.push(item.clone());
        }
    }
}

impl Test {
    /// Without repeated values; none if no value can match.
    fn simplified(self) -> Option<Test> {
        let once = |test: Test| {
            let mut unique = match &test {
                Test::OneOf(_) => Test::OneOf(Vec::new()),
                Test::Cidr(_) => Test::Cidr(Vec::new()),
                _ => return test,
            };
            merge(&mut unique, &test);
            unique
        };
        match once(self) {
            Test::OneOf(values) if values.is_empty() => None,
            Test::Cidr(nets) if nets.is_empty() => None,
            test => Some(test),
        }
    }
}
