//! Which rules can fire on an event at all. For each rule a *witness* is chosen at load: a set of literals
//! (or fields) of which an event must show at least one for the rule to hold. Rules of one log source share
//! an index over their witnesses: a hash map for whole values, an Aho-Corasick automaton (or `grams`, for
//! many) for parts of values. An event is looked up once per indexed field, and only the rules whose witness it shows are
//! evaluated. A wrong witness would lose detections silently, so `tests/differential.rs` compares the
//! indexed evaluation with a plain one.

use super::RuleMap;
use super::grams::Grams;
use super::look::Look;
use super::pattern::{FieldId, KEYWORDS, Literal, Pattern, Predicate, Test};
use super::tree::Node;
use aho_corasick::{AhoCorasick, packed};

/// Longest list of alternatives that a witness may have.
const ATOMS_PER_WITNESS_MAX: usize = 4_096;
/// Parts shorter than this occur in too many values to be worth looking for.
const PART_BYTES_MIN: usize = 3;

/// One thing an event may show.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Atom {
    Equal(FieldId, String),
    Part(FieldId, String),
    Present(FieldId),
}

type Witness = Vec<Atom>;

/// All witnesses that a tree offers; each alone is sufficient for the index.
fn witnesses(node: &Node, predicates: &[Predicate]) -> Vec<Witness> {
    let all = match node {
        Node::Predicate(id) => of_predicate(&predicates[*id as usize]),
        Node::Named(_, inner) => witnesses(inner, predicates),
        Node::Not(_) => Vec::new(),
        Node::And(nodes) => nodes.iter().flat_map(|node| witnesses(node, predicates)).collect(),
        Node::Or(nodes) => of_any(nodes, predicates).into_iter().collect(),
        Node::AtLeast(0, _) => Vec::new(),
        Node::AtLeast(count, nodes) if *count >= nodes.len() => {
            nodes.iter().flat_map(|node| witnesses(node, predicates)).collect()
        }
        Node::AtLeast(_, nodes) => of_any(nodes, predicates).into_iter().collect(),
    };
    all.into_iter().filter(|witness: &Witness| witness.len() <= ATOMS_PER_WITNESS_MAX).collect()
}

/// The union of the best witness of each alternative; none if one alternative has none.
fn of_any(nodes: &[Node], predicates: &[Predicate]) -> Option<Witness> {
    let (mut union, unknown) = (Vec::new(), Frequencies::default());
    for node in nodes {
        let best = witnesses(node, predicates).into_iter().min_by_key(|witness| unknown.of_witness(witness))?;
        union.extend(best);
    }
    union.sort();
    union.dedup();
    Some(union)
}

fn of_predicate(predicate: &Predicate) -> Vec<Witness> {
    let field = predicate.field;
    let present = || vec![Atom::Present(field)];
    match predicate.exists {
        Some(true) => return vec![present()],
        Some(false) => return Vec::new(),
        None => {}
    }
    if predicate.patterns.iter().any(|p| matches!(p.test, Test::Null)) || predicate.patterns.is_empty() {
        return Vec::new();
    }
    if predicate.negated {
        return vec![present()];
    }
    let part = |text: String| if text.len() >= PART_BYTES_MIN { Atom::Part(field, text) } else { Atom::Present(field) };
    let atoms = |pattern: &Pattern| match pattern.literal() {
        Literal::Equal(text) if field == KEYWORDS => vec![part(text)],
        Literal::Equal(text) => vec![Atom::Equal(field, text)],
        Literal::Inside(text) => vec![part(text)],
        Literal::OneInside(texts) => texts.into_iter().map(part).collect(),
        Literal::Present | Literal::None => present(),
    };
    if predicate.all {
        return predicate.patterns.iter().map(atoms).collect();
    }
    let mut union: Witness = predicate.patterns.iter().flat_map(atoms).collect();
    union.sort();
    union.dedup();
    if union.contains(&Atom::Present(field)) {
        return vec![present()];
    }
    vec![union]
}

/// How often events that aren't hits show an atom, in 1/100,000, guessed from the rules alone: a field of
/// which the rules name few values has few (`cs-method`), a part is the rarer the longer it is, and what
/// many rules ask for (`\\powershell.exe`) is common.
#[derive(Default)]
struct Frequencies {
    asked: RuleMap<Atom, u32>,
    values: RuleMap<FieldId, u32>,
}

impl Frequencies {
    fn of<'a>(witnesses: impl Iterator<Item = &'a Witness>) -> Self {
        let mut frequencies = Self::default();
        for atom in witnesses.flatten() {
            let asked = frequencies.asked.entry(atom.clone()).or_default();
            *asked += 1;
            if let (Atom::Equal(field, _), 1) = (atom, *asked) {
                *frequencies.values.entry(*field).or_default() += 1;
            }
        }
        frequencies
    }

    fn of_atom(&self, atom: &Atom) -> u32 {
        let guess = match atom {
            Atom::Equal(field, _) => 100_000 / (2 + self.values.get(field).copied().unwrap_or(100)),
            Atom::Part(_, text) => match text.len() {
                0..=3 => 3_000,
                4 => 1_500,
                5 => 800,
                6..=7 => 400,
                8..=11 => 150,
                _ => 60,
            },
            Atom::Present(_) => 50_000,
        };
        guess + 50 * self.asked.get(atom).copied().unwrap_or(0).saturating_sub(1)
    }

    fn of_witness(&self, witness: &Witness) -> u32 {
        witness.iter().fold(0, |sum, atom| sum.saturating_add(self.of_atom(atom)))
    }
}

#[derive(Default)]
struct FieldIndex {
    field: FieldId,
    present: Vec<u32>,
    equal: RuleMap<Box<str>, Vec<u32>>,
    parts: Option<Parts>,
    part_rules: Vec<Vec<u32>>,
    /// Whether some whole value is a number, so that `4624.0` must be looked up as `4624` too.
    has_numbers: bool,
}

/// A search for parts of values.
enum Parts {
    Few(AhoCorasick),
    /// Long texts that mostly show none: whether there is any is asked first, of several bytes at once.
    Gated(packed::Searcher, AhoCorasick),
    Many(Grams),
}

/// Beyond this an automaton no longer is a table of all states and bytes.
const FEW_MAX: usize = 100;

impl Parts {
    fn build(parts: &[String], field: FieldId) -> Option<Self> {
        if parts.len() > FEW_MAX {
            return Grams::new(parts).map(Self::Many);
        }
        let automaton = AhoCorasick::new(parts).ok()?;
        let gate = if field == KEYWORDS { packed::Searcher::new(parts) } else { None };
        Some(match gate {
            Some(gate) => Self::Gated(gate, automaton),
            None => Self::Few(automaton),
        })
    }

    /// Calls `found` with the number of every part that is in the text.
    fn each(&self, text: &str, found: &mut impl FnMut(usize)) {
        let automaton = match self {
            Self::Many(grams) => return grams.each(text, found),
            Self::Gated(gate, _) if gate.find(text).is_none() => return,
            Self::Gated(_, automaton) | Self::Few(automaton) => automaton,
        };
        automaton.find_overlapping_iter(text).for_each(|hit| found(hit.pattern().as_usize()));
    }
}

impl FieldIndex {
    fn each_part(&self, text: &str, found: &mut impl FnMut(u32)) {
        if let Some(parts) = &self.parts {
            parts.each(text, &mut |part| self.part_rules[part].iter().copied().for_each(&mut *found));
        }
    }

    /// One search in all texts of the event at once.
    fn keywords(&self, look: &mut Look<'_, '_>, found: &mut impl FnMut(u32)) {
        self.present.iter().copied().for_each(&mut *found);
        if self.parts.is_some() {
            self.each_part(look.keywords(), found);
        }
    }
}

/// The rules of one log source.
#[derive(Default)]
pub(crate) struct Bucket {
    fields: Vec<FieldIndex>,
    /// Rules without a witness run on every event.
    always: Vec<u32>,
}

impl Bucket {
    pub(crate) fn build(rules: &[(u32, &Node)], predicates: &[Predicate]) -> Self {
        let offers: Vec<(u32, Vec<Witness>)> =
            rules.iter().map(|(rule, node)| (*rule, witnesses(node, predicates))).collect();
        let frequencies = Frequencies::of(offers.iter().flat_map(|(_, witnesses)| witnesses));
        let mut chosen: std::collections::BTreeMap<Atom, Vec<u32>> = Default::default();
        let mut bucket = Self::default();
        for (rule, witnesses) in offers {
            match witnesses.into_iter().min_by_key(|witness| frequencies.of_witness(witness)) {
                Some(witness) => witness.into_iter().for_each(|atom| chosen.entry(atom).or_default().push(rule)),
                None => bucket.always.push(rule),
            }
        }
        bucket.fields = field_indexes(chosen);
        bucket
    }

    /// Calls `found` with every rule that may fire; a rule can come more than once.
    pub(crate) fn candidates(&self, look: &mut Look<'_, '_>, found: &mut impl FnMut(u32)) {
        self.always.iter().copied().for_each(&mut *found);
        for index in &self.fields {
            if index.field == KEYWORDS {
                index.keywords(look, found);
                continue;
            }
            look.fill(index.field);
            if look.is_absent(index.field) {
                continue;
            }
            index.present.iter().copied().for_each(&mut *found);
            if index.equal.is_empty() && index.parts.is_none() {
                continue;
            }
            for seen in look.values(index.field) {
                if seen.text().is_none() {
                    continue;
                }
                let lower = look.lower(seen);
                index.equal.get(lower).into_iter().flatten().copied().for_each(&mut *found);
                if index.has_numbers
                    && let Some(number) = seen.canonical_number()
                {
                    index.equal.get(&*number).into_iter().flatten().copied().for_each(&mut *found);
                }
                index.each_part(lower, found);
            }
        }
    }
}

fn field_indexes(chosen: std::collections::BTreeMap<Atom, Vec<u32>>) -> Vec<FieldIndex> {
    let mut fields: std::collections::BTreeMap<FieldId, (FieldIndex, Vec<String>)> = Default::default();
    for (atom, rules) in chosen {
        let (Atom::Equal(field, _) | Atom::Part(field, _) | Atom::Present(field)) = atom;
        let (index, parts) = fields.entry(field).or_default();
        index.field = field;
        match atom {
            Atom::Equal(_, text) => {
                index.has_numbers |= super::pattern::Number::parse(&text).is_some();
                index.equal.insert(text.into(), rules);
            }
            Atom::Part(_, text) => {
                parts.push(text);
                index.part_rules.push(rules);
            }
            Atom::Present(_) => index.present = rules,
        }
    }
    fields.into_values().map(|(index, parts)| with_automaton(index, &parts)).collect()
}

fn with_automaton(mut index: FieldIndex, parts: &[String]) -> FieldIndex {
    if parts.is_empty() {
        return index;
    }
    index.parts = Parts::build(parts, index.field);
    if index.parts.is_none() {
        // Too much for one search: their rules run on every event that has the field.
        index.present.extend(std::mem::take(&mut index.part_rules).into_iter().flatten());
    }
    index
}
