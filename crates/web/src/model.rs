//! The classifier: a linear model over hashed character n-grams of decoded views, and the analysers' best score.
//!
//! Letters are lower case, digits are `0`, runs of white space one space. Every window of [`WINDOW`] characters is
//! scored alone and the highest counts, so that text around an attack does not thin it out.

/// Hashed features.
pub const WEIGHTS: usize = 1 << 16;
/// Characters of a window.
pub const WINDOW: usize = 128;
/// Longest text that is scored; a view is shorter.
const TEXT_BYTES_MAX: usize = 8_192;
/// First bytes of a model's file; the number is the version.
const MAGIC: &[u8; 8] = b"ERNEWEB1";
/// Steps of the analysers' score that have a weight each.
pub const HINTS: usize = 11;

#[derive(Clone)]
pub struct Model {
    /// Quantised weights.
    pub weights: Vec<i8>,
    /// What one step of a weight is worth.
    pub scale: f32,
    pub bias: f32,
    pub hints: [f32; HINTS],
    /// Taken off the log-odds, so that 0.5 is the operating point.
    pub offset: f32,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ModelError {
    #[error("not a model of this version; train it again with `erne web train`")]
    Format,
}

impl Model {
    /// The model that is compiled in.
    pub fn shipped() -> Option<Self> {
        Self::read(include_bytes!("../../../content/models/web.bin")).ok()
    }

    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ModelError::Format)?;
        let floats = 3 + HINTS;
        if rest.len() != floats * 4 + WEIGHTS {
            return Err(ModelError::Format);
        }
        let float = |i: usize| f32::from_le_bytes([rest[4 * i], rest[4 * i + 1], rest[4 * i + 2], rest[4 * i + 3]]);
        let mut hints = [0.0; HINTS];
        for (i, hint) in hints.iter_mut().enumerate() {
            *hint = float(3 + i);
        }
        if !(0..floats).all(|i| float(i).is_finite()) {
            return Err(ModelError::Format);
        }
        let weights = rest[floats * 4..].iter().map(|b| *b as i8).collect();
        Ok(Self { weights, scale: float(0), bias: float(1), offset: float(2), hints })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for value in [self.scale, self.bias, self.offset].iter().chain(&self.hints) {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend(self.weights.iter().map(|w| *w as u8));
        out
    }

    /// The probability that the text is an attack, and where its window begins.
    pub fn score(&self, lower: &[u8], hint: f32) -> (f32, usize) {
        let (log_odds, at) = self.log_odds(lower, hint);
        (1.0 / (1.0 + (-log_odds).exp()), at)
    }

    pub fn log_odds(&self, lower: &[u8], hint: f32) -> (f32, usize) {
        self.log_odds_of(&normalise(lower), hint)
    }

    /// As [`Self::log_odds`], of a text already normalised.
    pub fn log_odds_of(&self, text: &[u8], hint: f32) -> (f32, usize) {
        let values: Vec<i32> = (0..positions(text)).map(|i| features(text, i).iter().map(|f| i32::from(self.weights[*f as usize])).sum()).collect();
        let (best, at) = windows(&values);
        (best * self.scale + self.bias + self.hints[hint_step(hint)] - self.offset, at)
    }
}

pub fn hint_step(hint: f32) -> usize {
    ((hint * (HINTS - 1) as f32) as usize).min(HINTS - 1)
}

/// The highest sum of a window, divided by the root of its length.
fn windows(values: &[i32]) -> (f32, usize) {
    let share = |sum: i32, len: usize| sum as f32 / ((len.max(8) * 3) as f32).sqrt();
    if values.len() <= WINDOW {
        return (share(values.iter().sum(), values.len()), 0);
    }
    let mut sum: i32 = values[..WINDOW].iter().sum();
    let (mut best, mut at) = (sum, 0);
    for i in WINDOW..values.len() {
        sum += values[i] - values[i - WINDOW];
        if sum > best {
            (best, at) = (sum, i + 1 - WINDOW);
        }
    }
    (share(best, WINDOW), at)
}

/// Longest n-gram; texts are padded to it.
const GRAMS: usize = 5;

/// As the features see it, with a mark at both ends and padding for the last n-grams.
pub fn normalise(lower: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lower.len().min(TEXT_BYTES_MAX) + 8);
    out.push(2);
    for &b in &lower[..lower.len().min(TEXT_BYTES_MAX)] {
        let c = match b {
            b'0'..=b'9' => b'0',
            b' ' | b'\t' | b'\r' | b'\n' => b' ',
            0x80.. => 0x80,
            b => b,
        };
        // Runs of digits, spaces and foreign letters say the same whatever their length.
        if matches!(c, b'0' | b' ' | 0x80) && out.last() == Some(&c) {
            continue;
        }
        out.push(c);
    }
    out.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
    out
}

/// The hashed n-grams of three, four and five characters at `i`.
pub fn features(text: &[u8], i: usize) -> [u32; 3] {
    let mut word = [0u8; 8];
    let end = (i + 5).min(text.len());
    word[..end - i].copy_from_slice(&text[i..end]);
    let word = u64::from_le_bytes(word);
    let hash = |bits: u32| {
        let gram = word << (64 - bits);
        (gram.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(bits).wrapping_mul(0xff51_afd7_ed55_8ccd)).wrapping_mul(0xc4ce_b9fe_1a85_ec53) >> 48
    };
    [hash(24) as u32, hash(32) as u32, hash(40) as u32]
}

/// Where features begin.
pub fn positions(text: &[u8]) -> usize {
    text.len().saturating_sub(GRAMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_as_it_was_written() {
        let mut model = Model { weights: vec![0; WEIGHTS], scale: 0.5, bias: -1.0, hints: [0.25; HINTS], offset: 2.0 };
        model.weights[7] = -128;
        let read = Model::read(&model.write()).unwrap();
        assert_eq!((read.weights[7], read.scale, read.bias, read.offset, read.hints[3]), (-128, 0.5, -1.0, 2.0, 0.25));
        assert_eq!(Model::read(&model.write()[1..]).err(), Some(ModelError::Format));
        assert_eq!(Model::read(b"").err(), Some(ModelError::Format));
    }

    #[test]
    fn text_around_an_attack_does_not_thin_it_out() {
        let mut model = Model { weights: vec![0; WEIGHTS], scale: 1.0, bias: 0.0, hints: [0.0; HINTS], offset: 0.0 };
        let text = normalise(b"union select");
        for i in 0..positions(&text) {
            features(&text, i).iter().for_each(|f| model.weights[*f as usize] = 10);
        }
        let alone = model.log_odds(b"xx union select xx", 0.0).0;
        let mut padded = vec![b'-'; 4_000];
        padded[2_000..2_012].copy_from_slice(b"union select");
        let (within, at) = model.log_odds(&padded, 0.0);
        assert!(within > 0.25 * alone && within > 10.0, "{within} {alone}");
        assert!((1_880..2_001).contains(&at), "{at}");
    }
}
