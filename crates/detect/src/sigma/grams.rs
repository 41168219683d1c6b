//! Searching a text for thousands of short literals at once. An automaton visits a state per byte, and with
//! six thousand literals its states do not fit the processor's caches. Here each literal is represented by the
//! four bytes of it that fewest others have. A bitmap says for each place of the text whether some literal may
//! have its four bytes there; only then the literals are compared. (The idea is Wu and Manber's, without shifts.)

use super::RuleMap;

/// Literals of at least this length are found by four bytes, shorter ones by three.
const LONG: usize = 4;
const SHORT: usize = 3;
/// Bits of the bitmap for each literal, so that few places of a text are looked at in vain.
const BITS_PER_LITERAL: usize = 32;
/// Bounds of the bitmap's size as powers of two: a line of cache, and what a level-2 cache holds easily.
const BITS_LOG2: std::ops::RangeInclusive<u32> = 9..=18;

#[derive(Default)]
pub(crate) struct Grams {
    literals: Vec<Box<str>>,
    long: Table<LONG>,
    short: Table<SHORT>,
}

#[derive(Default)]
struct Table<const N: usize> {
    bitmap: Vec<u64>,
    /// What a hash is shifted by to number a bit.
    shift: u32,
    /// By the bytes: the literals that they represent, and where in the literal they are.
    places: RuleMap<u32, Vec<(u32, u32)>>,
}

impl Grams {
    /// `None` if a literal is too short.
    pub(crate) fn new(literals: &[String]) -> Option<Self> {
        if literals.iter().any(|literal| literal.len() < SHORT) {
            return None;
        }
        let numbered = || literals.iter().enumerate().map(|(i, literal)| (i as u32, literal.as_str()));
        Some(Self {
            long: Table::new(numbered().filter(|(_, literal)| literal.len() >= LONG).collect()),
            short: Table::new(numbered().filter(|(_, literal)| literal.len() < LONG).collect()),
            literals: literals.iter().map(|literal| literal.as_str().into()).collect(),
        })
    }

    /// Calls `found` with the number of every literal that is in the text; one can come more than once.
    pub(crate) fn each(&self, text: &str, found: &mut impl FnMut(usize)) {
        self.long.each(text.as_bytes(), &self.literals, found);
        self.short.each(text.as_bytes(), &self.literals, found);
    }
}

impl<const N: usize> Table<N> {
    fn new(literals: Vec<(u32, &str)>) -> Self {
        let bits = (literals.len() * BITS_PER_LITERAL).next_power_of_two().trailing_zeros();
        let bits = bits.clamp(*BITS_LOG2.start(), *BITS_LOG2.end());
        let mut table = Self { bitmap: Vec::new(), shift: 32 - bits, places: RuleMap::default() };
        if literals.is_empty() {
            return table;
        }
        let mut asked: RuleMap<u32, u32> = RuleMap::default();
        for (_, literal) in &literals {
            literal.as_bytes().windows(N).for_each(|gram| *asked.entry(key(gram)).or_default() += 1);
        }
        table.bitmap = vec![0; (1 << bits) / 64];
        for (number, literal) in literals {
            let grams = literal.as_bytes().windows(N).map(key).enumerate();
            let Some((at, key)) = grams.min_by_key(|(_, key)| asked[key]) else { continue };
            let bit = table.bit(key);
            table.bitmap[bit / 64] |= 1 << (bit % 64);
            table.places.entry(key).or_default().push((number, at as u32));
        }
        table
    }

    fn bit(&self, key: u32) -> usize {
        (key.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    fn each(&self, text: &[u8], literals: &[Box<str>], found: &mut impl FnMut(usize)) {
        if self.bitmap.is_empty() {
            return;
        }
        for (at, gram) in text.windows(N).enumerate() {
            let key = key(gram);
            let bit = self.bit(key);
            if self.bitmap[bit / 64] >> (bit % 64) & 1 == 0 {
                continue;
            }
            for (number, inside) in self.places.get(&key).into_iter().flatten() {
                let literal = literals[*number as usize].as_bytes();
                if at.checked_sub(*inside as usize).is_some_and(|start| text[start..].starts_with(literal)) {
                    found(*number as usize);
                }
            }
        }
    }
}

fn key(gram: &[u8]) -> u32 {
    match *gram {
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            literals in proptest::collection::vec("[abcé]{3,6}", 0..40),
            text in "[abcé]{0,60}",
        ) {
            let mut found = BTreeSet::new();
            Grams::new(&literals).expect("none is too short").each(&text, &mut |i| { found.insert(i); });
            let plain = (0..literals.len()).filter(|i| text.contains(&literals[*i])).collect();
            prop_assert_eq!(found, plain);
        }
    }

    #[test]
    fn short_literals_are_refused() {
        assert!(Grams::new(&["ab".into()]).is_none());
        Grams::new(&[]).expect("nothing to refuse").each("text", &mut |_| panic!("finds nothing"));
    }
}
