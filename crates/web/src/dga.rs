//! Domain names made by programs, and data carried in names.
//!
//! [`score`] looks at one name: a linear model over hashed character n-grams of the label that somebody registers, with
//! a few counts beside (length, vowels, digits, entropy). It was trained by `scripts/train_dga.py` and is measured
//! on families it has not seen (`models/dga.json`); names put together from words of a dictionary look like
//! anybody's and are not found. [`tunnels`] looks at a window of names: many different long ones below one domain.
//! ATT&CK T1568.002, T1071.004.
//!
//! ```
//! assert!(web::dga::score("www.wikipedia.org") < 0.5);
//! assert!(web::dga::score("hrtbvcnwqzpkd.com") > 0.5);
//! ```

use ahash::RandomState;
use std::collections::{BTreeMap, HashSet};

static SHIPPED: &[u8] = include_bytes!("../models/dga.bin");
/// The file: eight bytes `ERNEDGA1`, the logarithm of the number of weights, the dense weights, bias, scale, threshold.
const MAGIC_BYTES: usize = 8;
const DENSE: usize = 7;
const HEAD_BYTES: usize = MAGIC_BYTES + 1 + 4 * (DENSE + 3);
/// Longer labels do not exist (RFC 1035, 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// Domains of one window, names of one domain.
pub const DOMAINS_MAX: usize = 10_000;
pub const NAMES_MAX: usize = 10_000;

/// How much a name looks made by a program, 0 to 1. At 0.5 one of a hundred package names would be taken for one;
/// ask for several names of a client before believing it. Names of five letters or fewer, and international ones
/// (`xn--`), tell nothing: 0.
pub fn score(name: &str) -> f32 {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let label = label(&name);
    if label.len() <= 5 || label.len() > LABEL_BYTES_MAX || label.starts_with("xn--") || !label.is_ascii() {
        return 0.0;
    }
    let (margin, threshold) = margin(label);
    1.0 / (1.0 + (threshold - margin).exp())
}

/// The label that somebody registers: the one before the ending, which is of two parts if both are short
/// (`co.uk`). A name without dots is the label itself.
pub fn label(name: &str) -> &str {
    domain(name).split('.').next().unwrap_or_default()
}

/// The registered domain, guessed by the lengths of its labels.
pub fn domain(name: &str) -> &str {
    let mut ends = name.rmatch_indices('.').map(|(at, _)| at);
    let (Some(top), Some(second)) = (ends.next(), ends.next()) else { return name };
    let two_parts = name.len() - top <= 3 && top - second <= 4;
    match (two_parts, ends.next()) {
        (true, Some(third)) => &name[third + 1..],
        (true, None) => name,
        _ => &name[second + 1..],
    }
}

/// The model's sum for a label, and the sum from which on a label counts as made.
fn margin(label: &str) -> (f32, f32) {
    let float = |i: usize| SHIPPED.get(i..i + 4).and_then(|b| b.try_into().ok()).map_or(0.0, f32::from_le_bytes);
    let log2 = u32::from(SHIPPED[MAGIC_BYTES]);
    let weights = &SHIPPED[HEAD_BYTES..];
    let at = |i: usize| float(MAGIC_BYTES + 1 + 4 * i);
    let (bias, scale, threshold) = (at(DENSE), at(DENSE + 1), at(DENSE + 2));
    let text = [b"^", label.as_bytes(), b"$"].concat();
    let mut grams: Vec<u32> = (2..=4).flat_map(|size| text.windows(size).map(move |gram| hash(gram, size as u32) >> (32 - log2))).collect();
    grams.sort_unstable();
    grams.dedup();
    let sum: f32 = grams.iter().map(|g| f32::from(weights.get(*g as usize).map_or(0, |w| *w as i8)) * scale).sum();
    let dense: f32 = dense(label.as_bytes()).iter().enumerate().map(|(i, x)| x * at(i)).sum();
    (bias + sum / (grams.len().max(1) as f32).sqrt() + dense, threshold)
}

/// FNV-1a with its upper half folded in.
fn hash(bytes: &[u8], seed: u32) -> u32 {
    let h = bytes.iter().fold(0x811c_9dc5 ^ seed, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
    h ^ h >> 15
}

/// Length, vowels, the longest run of consonants, digits, entropy, changes between digits and others, dashes.
fn dense(label: &[u8]) -> [f32; DENSE] {
    let n = label.len() as f32;
    let letters = label.iter().filter(|b| b.is_ascii_lowercase()).count() as f32;
    let vowel = |b: &u8| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let vowels = label.iter().filter(|b| vowel(b)).count() as f32;
    let dashes = label.iter().filter(|b| **b == b'-').count() as f32;
    let (mut run, mut longest) = (0u32, 0u32);
    for b in label {
        run = if b.is_ascii_lowercase() && !vowel(b) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let switches = label.windows(2).filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit()).count() as f32;
    [n.min(40.0) / 20.0, vowels / letters.max(1.0), longest as f32 / 6.0, (n - letters - dashes) / n, entropy(label) / 4.0, switches / 6.0, if dashes > 0.0 { 1.0 } else { 0.0 }]
}

/// Bits a character.
fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for b in text {
        counts[usize::from(*b)] += 1;
    }
    let n = text.len().max(1) as f32;
    -counts.iter().filter(|c| **c > 0).map(|c| *c as f32 / n * (*c as f32 / n).log2()).sum::<f32>()
}

/// What a window of names shows of one domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Tunnel {
    pub domain: String,
    /// 0 to 1; from 0.5 on it looks like a tunnel.
    pub score: f32,
    /// Different names.
    pub names: usize,
    /// Characters below the domain, of all different names.
    pub chars: usize,
    /// Names with a label that looks like data.
    pub random: usize,
}

/// The domains below which a window's names carry data, highest score first. Four things must come together: many
/// different names, long ones, much in all, and labels that look like data. Look-ups of file hashes by virus
/// scanners are all of this too; only the operator knows them. Reverse look-ups (`.arpa`) do not count.
pub fn tunnels<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Tunnel> {
    let hasher = RandomState::new();
    let mut groups: BTreeMap<String, (HashSet<u64, RandomState>, Tunnel)> = BTreeMap::new();
    for name in names {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let domain = domain(&name);
        let below = name.len() - domain.len();
        if below < 2 || name.ends_with(".arpa") || name.ends_with(".local") || groups.len() >= DOMAINS_MAX && !groups.contains_key(domain) {
            continue;
        }
        let fresh = || (HashSet::with_hasher(hasher.clone()), Tunnel { domain: domain.to_owned(), score: 0.0, names: 0, chars: 0, random: 0 });
        let (seen, group) = groups.entry(domain.to_owned()).or_insert_with(fresh);
        if seen.len() < NAMES_MAX && seen.insert(hasher.hash_one(&name)) {
            group.names += 1;
            group.chars += below - 1;
            group.random += usize::from(name[..below - 1].split('.').any(is_data));
        }
    }
    let mut tunnels: Vec<Tunnel> = groups.into_values().map(|(_, group)| Tunnel { score: group.weigh(), ..group }).filter(|t| t.score > 0.0).collect();
    tunnels.sort_by(|a, b| b.score.total_cmp(&a.score));
    tunnels
}

/// Whether a label looks like encoded bytes: long, and of many different characters or unlike words.
fn is_data(label: &str) -> bool {
    label.len() >= 12 && !label.starts_with("xn--") && {
        let (margin, threshold) = margin(&label[..label.len().min(LABEL_BYTES_MAX)]);
        margin >= threshold
    }
}

impl Tunnel {
    fn weigh(&self) -> f32 {
        let part = |value: f32, none: f32, full: f32| ((value - none) / (full - none)).clamp(0.0, 1.0);
        let names = self.names.max(1) as f32;
        let parts = [part(names, 4.0, 24.0), part(self.chars as f32 / names, 14.0, 32.0), part(self.chars as f32, 300.0, 1_500.0), part(self.random as f32 / names, 0.2, 0.7)];
        parts.iter().product::<f32>().powf(0.25)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_computes_what_the_training_computed() {
        let card: serde_json::Value = serde_json::from_str(include_str!("../models/dga.json")).unwrap();
        for (label, expected) in card["vectors"].as_object().unwrap() {
            let (margin, _) = margin(label);
            assert!((f64::from(margin) - expected.as_f64().unwrap()).abs() < 0.02, "{label}: {margin} {expected}");
        }
        use sha2::Digest;
        let sum: String = sha2::Sha256::digest(SHIPPED).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(card["sha256"], sum);
        for (family, share) in card["families_held_out"].as_object().unwrap() {
            let of_words = ["suppobox", "matsnu", "symmi", "virut", "banjori"].contains(&family.as_str());
            assert!(of_words || share.as_f64().unwrap() > 0.7, "{family}: {share}");
        }
    }

    #[test]
    fn known_names_are_not_made() {
        for name in ["wikipedia.org", "www.google.co.uk", "stackoverflow.com.", "cloudflare.net", "microsoftonline.com", "d3a8f7xq92k1.cloudfront.net", "xn--80ak6aa92e.com", "a.b", "", "my-shop24.de", "bbc.co.uk", "googletagmanager.com"] {
            assert!(score(name) < 0.5, "{name} {}", score(name));
        }
        for name in ["kq7x3vz9wtpl.net", "hrtbvcnwqzpkd.com", "WWW.XJQKZVBTRPLM.RU", "9f86d081884c7d659a2feaa0c55ad015.info"] {
            assert!(score(name) > 0.5, "{name} {}", score(name));
        }
        assert_eq!((domain("a.b.example.com"), domain("www.example.co.uk"), domain("example.com"), label("localhost")), ("example.com", "example.co.uk", "example.com", "localhost"));
    }

    fn noise(seed: u64, len: usize, alphabet: &[u8]) -> String {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                alphabet[(state >> 20) as usize % alphabet.len()] as char
            })
            .collect()
    }

    #[test]
    fn tunnels_are_told_from_busy_domains() {
        let base32 = |i: u64| format!("{}.{}.t.tunnel.example", noise(i, 50, b"abcdefghijklmnopqrstuvwxyz234567"), noise(i + 999, 40, b"abcdefghijklmnopqrstuvwxyz234567"));
        let hex = |i: u64| format!("{}.exfil.example", noise(i, 32, b"0123456789abcdef"));
        let data: Vec<String> = (0..60).map(base32).chain((0..60).map(hex)).collect();
        let found = tunnels(data.iter().map(String::as_str));
        assert_eq!(found.iter().map(|t| t.score > 0.7).collect::<Vec<_>>(), [true, true], "{found:?}");
        let busy: Vec<String> = (0..500u32)
            .flat_map(|i| [format!("img{i}.cdn.example"), format!("{}.{}.{}.10.zen.blocklist.example", i % 250, i / 2 % 250, i % 7), format!("user-{i}.photos.people.example"), format!("{i}.1.168.192.in-addr.arpa"), format!("shop-number-{i}.storefront-of-many-people.hosting.example")])
            .collect();
        for tunnel in tunnels(busy.iter().map(String::as_str)) {
            assert!(tunnel.score < 0.5, "{tunnel:?}");
        }
        // The same name again and again carries nothing.
        assert!(tunnels(std::iter::repeat_n(data[0].as_str(), 1_000)).is_empty());
        let flood: Vec<String> = (0..2 * DOMAINS_MAX).map(|i| format!("a.b{i}.example")).collect();
        assert!(tunnels(flood.iter().map(String::as_str)).len() <= DOMAINS_MAX);
    }
}
