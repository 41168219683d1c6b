//! What minima, maxima, counts of nulls, bloom filters and page indexes say about an expression before a row is read.
//!
//! [`reduce`] replaces conditions that hold for all rows or for none by just that. What is left of the tree is
//! evaluated; nothing left means that no row, or every row, matches.

use super::LakeError;
use super::compiled::{Leaf, Matcher, Tree, and, or};
use super::file::DataFile;
use super::lookup::lookup;
use super::read::Opened;
use super::schema::LAYOUT;
use event::Kind;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use std::ops::Range;

/// What is known about the rows of a file or row group.
pub(super) trait Facts {
    fn rows(&self) -> u64;
    /// Rows without a value in a column that is no list.
    fn nulls(&self, leaf: usize) -> Option<u64>;
    /// No value is less than the first or greater than the second.
    fn ints(&self, leaf: usize) -> Option<(i64, i64)>;
    /// The same of texts, and whether both are values that occur.
    fn texts(&self, leaf: usize) -> Option<(&[u8], &[u8], bool)>;
    /// Whether the column is in the file at all.
    fn has(&self, leaf: usize) -> bool;
}

impl Facts for DataFile {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn nulls(&self, leaf: usize) -> Option<u64> {
        (leaf == LAYOUT.time || leaf == LAYOUT.severity).then_some(0)
    }

    fn ints(&self, leaf: usize) -> Option<(i64, i64)> {
        match leaf {
            leaf if leaf == LAYOUT.time => Some((self.time_min, self.time_max)),
            leaf if leaf == LAYOUT.severity => Some(self.stats.severity),
            _ => None,
        }
    }

    fn texts(&self, _: usize) -> Option<(&[u8], &[u8], bool)> {
        None
    }

    fn has(&self, _: usize) -> bool {
        true
    }
}

/// One row group of an open file.
#[derive(Clone, Copy)]
pub(super) struct GroupFacts<'a> {
    pub opened: &'a Opened,
    pub group: usize,
}

impl GroupFacts<'_> {
    fn statistics(&self, leaf: usize) -> Option<&Statistics> {
        self.opened.statistics(self.group, leaf)
    }
}

impl Facts for GroupFacts<'_> {
    fn rows(&self) -> u64 {
        self.opened.group_rows(self.group) as u64
    }

    fn nulls(&self, leaf: usize) -> Option<u64> {
        self.statistics(leaf)?.null_count_opt().filter(|_| !LAYOUT.leaves[leaf].list)
    }

    fn ints(&self, leaf: usize) -> Option<(i64, i64)> {
        match self.statistics(leaf)? {
            Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)),
            _ => None,
        }
    }

    fn texts(&self, leaf: usize) -> Option<(&[u8], &[u8], bool)> {
        match self.statistics(leaf).filter(|s| !s.is_min_max_deprecated())? {
            Statistics::ByteArray(s) => {
                Some((s.min_opt()?.data(), s.max_opt()?.data(), s.min_is_exact() && s.max_is_exact()))
            }
            _ => None,
        }
    }

    fn has(&self, leaf: usize) -> bool {
        self.opened.column(leaf).is_some()
    }
}

/// The tree without what the facts decide.
pub(super) fn reduce(tree: &Tree, facts: &impl Facts) -> Tree {
    match tree {
        Tree::All => Tree::All,
        Tree::None => Tree::None,
        Tree::And(all) => and(all.iter().map(|t| reduce(t, facts)).collect()),
        Tree::Or(any) => or(any.iter().map(|t| reduce(t, facts)).collect()),
        Tree::Leaf(leaf) => match decide(leaf, facts) {
            Some(true) => Tree::All,
            Some(false) => Tree::None,
            None => tree.clone(),
        },
        Tree::Not(leaf) => match decide(leaf, facts) {
            Some(true) => Tree::None,
            Some(false) => Tree::All,
            None => tree.clone(),
        },
    }
}

/// Whether the condition holds for all rows (true) or for none (false).
fn decide(leaf: &Leaf, facts: &impl Facts) -> Option<bool> {
    let nulls = facts.nulls(leaf.leaf);
    if !facts.has(leaf.leaf) || nulls.is_some_and(|n| n >= facts.rows()) {
        return Some(false);
    }
    let all_set = nulls == Some(0);
    let verdict = match (&leaf.matcher, leaf.kind) {
        (Matcher::Exists, _) => Some(true),
        (Matcher::Between(low, high), _) => facts.ints(leaf.leaf).and_then(|(min, max)| match () {
            () if max < *low || min > *high => Some(false),
            () if min >= *low && max <= *high => Some(true),
            () => None,
        }),
        (Matcher::Ints(wanted), _) => facts.ints(leaf.leaf).and_then(|(min, max)| match () {
            () if !wanted.iter().any(|w| (min..=max).contains(w)) => Some(false),
            () if min == max => Some(true),
            () => None,
        }),
        (Matcher::Texts(wanted), Kind::Text) => facts.texts(leaf.leaf).and_then(|(min, max, exact)| match () {
            () if !wanted.iter().any(|w| w.as_bytes() >= min && w.as_bytes() <= max) => Some(false),
            () if exact && min == max => Some(true),
            () => None,
        }),
        _ => None,
    };
    verdict.filter(|holds| !holds || all_set)
}

/// The tree without conditions on texts that no bloom filter, and on words that no text index knows.
pub(super) fn bloom(tree: Tree, facts: &GroupFacts<'_>) -> Result<Tree, LakeError> {
    Ok(match tree {
        Tree::And(all) => {
            let mut left = Vec::with_capacity(all.len());
            for part in all {
                match bloom(part, facts)? {
                    Tree::None => return Ok(Tree::None),
                    part => left.push(part),
                }
            }
            and(left)
        }
        Tree::Or(any) => or(any.into_iter().map(|t| bloom(t, facts)).collect::<Result<_, _>>()?),
        Tree::Leaf(leaf) if !bloom_allows(&leaf, facts)? => Tree::None,
        Tree::Not(leaf) if !bloom_allows(&leaf, facts)? => Tree::All,
        other => other,
    })
}

fn bloom_allows(leaf: &Leaf, facts: &GroupFacts<'_>) -> Result<bool, LakeError> {
    match &leaf.matcher {
        Matcher::Texts(texts) if LAYOUT.leaves[leaf.leaf].bloom => facts.opened.bloom_allows(facts.group, leaf.leaf, texts),
        Matcher::Words(words) => {
            let found = lookup(facts.opened, facts.group, leaf.leaf, &words.words);
            Ok(found.is_none_or(|found| !found.rows.is_empty()))
        }
        _ => Ok(true),
    }
}

/// Rows of the group, ascending, outside which page indexes exclude a match; `None`: they exclude nothing.
pub(super) fn pages(tree: &Tree, facts: &GroupFacts<'_>) -> Option<Vec<Range<usize>>> {
    match tree {
        Tree::All | Tree::None | Tree::Not(_) => None,
        Tree::And(all) => all.iter().filter_map(|t| pages(t, facts)).reduce(|a, b| meet(&a, &b)),
        Tree::Or(any) => any.iter().map(|t| pages(t, facts)).collect::<Option<Vec<_>>>().map(|lists| join(lists.concat())),
        Tree::Leaf(leaf) => {
            let (low, high) = leaf.range()?;
            let (index, locations) = facts.opened.page_index(facts.group, leaf.leaf)?;
            let ColumnIndexMetaData::INT64(index) = index else { return None };
            if index.num_pages() != locations.len() as u64 {
                return None;
            }
            let end = |page: usize| locations.get(page + 1).map_or(facts.rows() as usize, |next| next.first_row_index.max(0) as usize);
            let may = |page: usize| match (index.min_value(page), index.max_value(page)) {
                (Some(min), Some(max)) => *max >= low && *min <= high,
                _ => !index.is_null_page(page),
            };
            let ranges = (0..locations.len()).filter(|p| may(*p)).map(|p| locations[p].first_row_index.max(0) as usize..end(p));
            Some(join(ranges.collect()))
        }
    }
}

/// In order, and touching ones as one.
fn join(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|r| r.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

fn meet(a: &[Range<usize>], b: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut both = Vec::new();
    let (mut i, mut j) = (0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let range = x.start.max(y.start)..x.end.min(y.end);
        if !range.is_empty() {
            both.push(range);
        }
        if x.end <= y.end { i += 1 } else { j += 1 }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)]
    fn ranges_are_joined_and_met() {
        assert_eq!(join(vec![5..9, 0..3, 3..5, 20..21]), [0..9, 20..21]);
        assert_eq!(meet(&[0..10, 20..30], &[5..25, 29..40]), [5..10, 20..25, 29..30]);
        assert!(meet(&[0..10], &[10..20]).is_empty());
    }
}
