use std::f64::consts::LN_2;

/// A small, seeded generator: xoshiro256** by David Blackman and Sebastiano Vigna ("Scrambled linear
/// pseudorandom number generators", ACM TOMS 47, 2021; the authors' reference code is in the public
/// domain), its state filled by SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), as its authors advise.
///
/// Everything here is integer arithmetic or plain float multiplication and addition, which IEEE 754 fixes
/// to the bit: no `ln`, no `cos`. So a seed gives the same bytes on every machine. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random([u64; 4]);

/// Quantiles of the exponential distribution with mean 1, at 0/16 … 15/16 and 0.995: waiting times are
/// drawn by interpolating between them.
const WAIT_QUANTILES: [f64; 17] = [
    0.0, 0.0645, 0.1335, 0.2076, 0.2877, 0.3747, 0.4700, 0.5754, LN_2, 0.8267, 0.9808, 1.1632, 1.3863,
    1.6740, 2.0794, 2.7726, 5.2983,
];

impl Random {
    pub fn seeded(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| split_mix(&mut state)))
    }

    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number in `0..n`, by the high half of a product: the bias is below n / 2^64. `n` of 0 gives 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1).max(1) as u64) as i64
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }

    /// One of a list of words that is not empty.
    pub fn word(&mut self, list: &[&'static str]) -> &'static str {
        self.pick::<&'static str>(list)
    }

    /// One of a list, each in proportion to its weight.
    pub fn weighted<'a, T>(&mut self, list: &'a [(T, u32)]) -> &'a T {
        let total: u64 = list.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut at = self.below(total);
        for (item, weight) in list {
            if at < u64::from(*weight) {
                return item;
            }
            at -= u64::from(*weight);
        }
        &list[0].0
    }

    /// A waiting time in microseconds, about exponentially distributed.
    pub fn wait_micros(&mut self, mean_secs: f64) -> i64 {
        let at = self.unit() * 16.0;
        let (low, part) = (at as usize, at - (at as usize) as f64);
        let times = WAIT_QUANTILES[low] + (WAIT_QUANTILES[low + 1] - WAIT_QUANTILES[low]) * part;
        (mean_secs * times * 1e6) as i64
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// `len` characters of an alphabet.
    pub fn text(&mut self, alphabet: &str, len: usize) -> String {
        (0..len).map(|_| char::from(*self.pick(alphabet.as_bytes()))).collect()
    }

    pub fn hex(&mut self, len: usize) -> String {
        self.text("0123456789abcdef", len)
    }

    pub fn digits(&mut self, len: usize) -> String {
        self.text("0123456789", len)
    }

    /// The form of AWS unique ids: a prefix and upper-case letters and digits.
    pub fn aws_id(&mut self, prefix: &str, len: usize) -> String {
        format!("{prefix}{}", self.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", len))
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_algorithm() {
        // SplitMix64 of seed 1234567, as listed with the algorithm on Rosetta Code and in many libraries' tests.
        let mut state = 1_234_567;
        assert_eq!(split_mix(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(&mut state), 3_203_168_211_198_807_973);
        // xoshiro256** of the state 1, 2, 3, 4.
        let mut random = Random([1, 2, 3, 4]);
        assert_eq!([random.bits(), random.bits(), random.bits()], [11520, 0, 1_509_978_240]);
    }

    #[test]
    fn draws_stay_in_range_and_waits_have_their_mean() {
        let mut random = Random::seeded(7);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert!((0..1000).all(|_| (-2..=2).contains(&random.between(-2, 2))));
        let sum: i64 = (0..100_000).map(|_| random.wait_micros(1.0)).sum();
        let mean_secs = sum as f64 / 1e11;
        assert!((0.9..1.1).contains(&mean_secs), "{mean_secs}");
    }
}
