//! Terms and the operators between them into one expression.
use crate::Expr;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Join {
    And,
    Or,
    /// Side by side.
    Implicit,
}

impl std::fmt::Display for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Join::Or { "OR" } else { "AND" })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sign {
    None,
    Must,
    Not,
}

/// A term, what joins it to the one before, and where it begins.
pub(super) struct Item {
    pub join: Join,
    pub sign: Sign,
    pub expr: Expr,
    pub at: usize,
}

impl Item {
    fn signed(self) -> Expr {
        match self.sign {
            Sign::Not => Expr::Not(Box::new(self.expr)),
            _ => self.expr,
        }
    }
}

/// Side by side means AND; AND binds tighter than OR.
pub(super) fn all(items: Vec<Item>) -> Expr {
    let mut any: Vec<Vec<Expr>> = Vec::new();
    for item in items {
        match (item.join, any.last_mut()) {
            (Join::And | Join::Implicit, Some(last)) => last.push(item.signed()),
            _ => any.push(vec![item.signed()]),
        }
    }
    Expr::Or(any.into_iter().map(Expr::And).collect())
}

/// Lucene's optional clauses: side by side means OR, unless a sign makes a term required or forbidden.
pub(super) fn any(items: Vec<Item>) -> Expr {
    let mut chains: Vec<(Join, Vec<Item>)> = Vec::new();
    for item in items {
        match (item.join, chains.last_mut()) {
            (Join::And, Some((_, chain))) => chain.push(item),
            (join, _) => chains.push((join, vec![item])),
        }
    }
    let (mut must, mut should) = (Vec::new(), Vec::new());
    for i in 0..chains.len() {
        let explicit = chains[i].0 == Join::Or || chains.get(i + 1).is_some_and(|(join, _)| *join == Join::Or);
        let chain = std::mem::take(&mut chains[i].1);
        let required = !explicit && chain.len() == 1 && chain[0].sign != Sign::None;
        let expr = Expr::And(chain.into_iter().map(Item::signed).collect());
        if required { must.push(expr) } else { should.push(expr) }
    }
    // A forbidden term alone leaves the others as they are; a required one makes them count for the ranking only.
    if !should.is_empty() && !must.iter().any(|e| !is_not(e)) {
        must.push(Expr::Or(should));
    }
    Expr::And(must)
}

fn is_not(expr: &Expr) -> bool {
    matches!(expr, Expr::And(list) if matches!(list.as_slice(), [Expr::Not(_)]))
}
