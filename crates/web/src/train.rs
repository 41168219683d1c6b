//! Training the classifier: logistic regression by stochastic gradient descent, the same for the same examples and
//! seed.

use crate::model::{self, HINTS, Model, WEIGHTS, WINDOW};
use serde::Serialize;

/// One view of a labelled request.
#[derive(Debug, Clone)]
pub struct Example {
    /// As [`model::normalise`] gives it.
    pub text: Vec<u8>,
    pub hint: f32,
    pub attack: bool,
    /// How much it counts; less for lists whose labels are poor.
    pub weight: f32,
    /// The request it belongs to: an attack needs only one view that looks like one.
    pub request: u32,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Settings {
    pub seed: u64,
    pub epochs: u32,
    pub rate: f32,
    /// Shrinks weights, per epoch.
    pub decay: f32,
    /// Benign requests that may be called attacks, in training.
    pub fpr: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 7, epochs: 6, rate: 0.4, decay: 0.04, fpr: 0.0003 }
    }
}

struct Learner {
    weights: Vec<f32>,
    bias: f32,
    hints: [f32; HINTS],
}

impl Learner {
    /// The best window's log-odds, its range, and the root that its sum is divided by.
    fn best(&self, example: &Example) -> (f32, std::ops::Range<usize>, f32) {
        let count = model::positions(&example.text);
        let values: Vec<f32> = (0..count).map(|i| model::features(&example.text, i).iter().map(|f| self.weights[*f as usize]).sum()).collect();
        let root = |len: usize| ((len.max(8) * 3) as f32).sqrt();
        let base = self.bias + self.hints[model::hint_step(example.hint)];
        if count <= WINDOW {
            return (values.iter().sum::<f32>() / root(count) + base, 0..count, root(count));
        }
        let mut sum: f32 = values[..WINDOW].iter().sum();
        let (mut best, mut at) = (sum, 0);
        for i in WINDOW..count {
            sum += values[i] - values[i - WINDOW];
            if sum > best {
                (best, at) = (sum, i + 1 - WINDOW);
            }
        }
        (best / root(WINDOW) + base, at..at + WINDOW, root(WINDOW))
    }

    fn step(&mut self, example: &Example, rate: f32) {
        let (log_odds, range, root) = self.best(example);
        let wanted = if example.attack { 1.0 } else { 0.0 };
        let error = (wanted - 1.0 / (1.0 + (-log_odds).exp())) * example.weight * rate;
        if error.abs() < 1e-4 {
            return;
        }
        for i in range {
            for feature in model::features(&example.text, i) {
                self.weights[feature as usize] += error / root;
            }
        }
        self.bias += error * 0.02;
        self.hints[model::hint_step(example.hint)] += error * 0.1;
    }
}

/// SplitMix64: shuffles the same way everywhere.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Trains on `examples`; the threshold is set on `benign_apart`, benign examples that were not trained on.
pub fn train(examples: &[Example], benign_apart: &[Example], settings: Settings) -> Model {
    let mut learner = Learner { weights: vec![0.0; WEIGHTS], bias: -1.0, hints: [0.0; HINTS] };
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut state = settings.seed;
    for epoch in 0..settings.epochs {
        for i in (1..order.len()).rev() {
            order.swap(i, (next(&mut state) % (i as u64 + 1)) as usize);
        }
        let rate = settings.rate / (1.0 + epoch as f32);
        order.iter().for_each(|&i| learner.step(&examples[i], rate));
        learner.weights.iter_mut().for_each(|w| *w *= 1.0 - settings.decay);
    }
    let mut model = quantise(&learner);
    model.offset = offset(&model, benign_apart, settings.fpr);
    model
}

fn quantise(learner: &Learner) -> Model {
    let largest = learner.weights.iter().fold(1e-6f32, |most, w| most.max(w.abs()));
    // A few huge weights would cost all others their precision.
    let scale = (largest / 127.0).min(0.02);
    let weights = learner.weights.iter().map(|w| (w / scale).round().clamp(-127.0, 127.0) as i8).collect();
    Model { weights, scale, bias: learner.bias, hints: learner.hints, offset: 0.0 }
}

/// The log-odds that only a share of `fpr` of the benign requests exceed.
fn offset(model: &Model, benign: &[Example], fpr: f64) -> f32 {
    let mut best: std::collections::BTreeMap<u32, f32> = std::collections::BTreeMap::new();
    // What an analyser calls an attack is none of the model's false positives.
    for example in benign.iter().filter(|e| e.hint < crate::ATTACK_SCORE) {
        let score = model.log_odds_of(&example.text, example.hint).0;
        best.entry(example.request).and_modify(|b| *b = b.max(score)).or_insert(score);
    }
    let mut scores: Vec<f32> = best.into_values().collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let allowed = (scores.len() as f64 * fpr) as usize;
    scores.get(allowed).copied().unwrap_or(0.0).max(0.0)
}

/// What a model was trained on, with which result.
#[derive(Debug, Clone, Serialize)]
pub struct Card {
    pub corpora: Vec<CorpusCount>,
    pub settings: Settings,
    /// Views trained on.
    pub views: usize,
    /// Benign requests kept apart, on which the threshold was set.
    pub benign_apart: usize,
    /// The log-odds at which the threshold lies.
    pub offset: f32,
    pub sha256: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct CorpusCount {
    pub name: String,
    pub attacks: u32,
    pub benign: u32,
}

/// Views of one request that are learned from.
const VIEWS_MAX: usize = 64;

/// Collects labelled requests.
#[derive(Default)]
pub struct Trainer {
    examples: Vec<Example>,
    apart: Vec<Example>,
    corpora: Vec<CorpusCount>,
    requests: u32,
    benign_apart: usize,
    inspector: Option<crate::Inspector>,
}

impl Trainer {
    /// Adds the views of a labelled request. Benign requests of a third of the hosts are kept apart for the
    /// threshold: by host, because requests of one host resemble each other.
    pub fn add(&mut self, item: &crate::read::Item) {
        let Some(attack) = item.label else { return };
        self.requests += 1;
        let count = match self.corpora.iter_mut().position(|c| c.name == item.source) {
            Some(i) => &mut self.corpora[i],
            None => {
                self.corpora.push(CorpusCount { name: item.source.clone(), ..CorpusCount::default() });
                self.corpora.last_mut().expect("just pushed")
            }
        };
        *(if attack { &mut count.attacks } else { &mut count.benign }) += 1;
        let host = item.transaction.header("host").unwrap_or_default();
        let apart = !attack && host.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b))) % 3 == 0;
        self.benign_apart += usize::from(apart);
        let views = self.inspector.get_or_insert_with(|| crate::Inspector::with_model(None)).views(&item.transaction);
        for (lower, hint) in views.into_iter().take(VIEWS_MAX) {
            // What no analyser doubts need not be learned; bare words of payload lists must not be.
            let bare = lower.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '));
            if attack && bare {
                continue;
            }
            let example = Example { text: model::normalise(&lower), hint, attack, weight: if attack { 0.5 } else { 1.0 }, request: self.requests };
            if apart { self.apart.push(example) } else { self.examples.push(example) }
        }
    }

    pub fn finish(self, settings: Settings) -> (Model, Card) {
        let model = train(&self.examples, &self.apart, settings);
        let sha256 = sha2_hex(&model.write());
        let card = Card { corpora: self.corpora, settings, views: self.examples.len(), benign_apart: self.benign_apart, offset: model.offset, sha256 };
        (model, card)
    }
}

fn sha2_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
