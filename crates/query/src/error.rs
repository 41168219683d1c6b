/// Why a query is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Lower case, without a full stop.
    pub message: String,
    /// Where in the query, in characters from 0.
    pub column: usize,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Characters of a misspelt name that are compared.
const NAME_CHARS_MAX: usize = 64;

/// The name nearest to a misspelt one, if one is near.
pub fn did_you_mean<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: Vec<char> = wrong.to_lowercase().chars().take(NAME_CHARS_MAX).collect();
    names
        .into_iter()
        .map(|name| (distance(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein's edit distance in which two neighbours that changed places count once (optimal string alignment).
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let mut best = (above[j] + usize::from(a[i] != b[j])).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_get_a_suggestion_and_strange_ones_none() {
        let of = |wrong: &str| distance(&wrong.chars().collect::<Vec<_>>(), "sitting");
        assert_eq!((of("kitten"), of("sititng"), of("")), (3, 1, 7));
        assert_eq!(did_you_mean("sevrity", ["severity", "state"]), Some("severity"));
        assert_eq!(did_you_mean("xyzzy", ["severity", "state"]), None);
    }
}
