//! The modifiers that turn one value into others before it is compared: `expand`, `windash`, `wide`,
//! `utf16*`, `base64*`.

use super::pattern::{Context, Modifiers, Refusal, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsigma_parser::{Modifier, SigmaString};

/// Most spellings that `windash` may make of one value, and most values that placeholders may: five dashes
/// to the power of the dashes in it.
const VARIANTS_MAX: usize = 625;
const DASHES: [&str; 5] = ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"];

/// The value with every `%name%` replaced by each of its values.
pub(crate) fn expand(text: &SigmaString, modifiers: &Modifiers<'_>, context: &Context<'_>) -> Result<Vec<SigmaString>> {
    let mut done = vec![String::new()];
    for (i, part) in text.original.split('%').enumerate() {
        if i % 2 == 0 {
            done.iter_mut().for_each(|text| text.push_str(part));
            continue;
        }
        let Some(values) = context.placeholders.get(part) else {
            let message = format!("{}: no values are known for the placeholder %{part}%", modifiers.key);
            let hint = "give its values in the configuration, or write them into the rule";
            return Err(Refusal::new(message, hint, text.original.clone()));
        };
        if done.len() * values.len() > VARIANTS_MAX {
            let message = format!("{}: more than {VARIANTS_MAX} values", modifiers.key);
            return Err(Refusal::new(message, "use fewer placeholders in one value", text.original.clone()));
        }
        done = done.iter().flat_map(|head| values.iter().map(move |value| format!("{head}{value}"))).collect();
    }
    Ok(done.iter().map(|text| SigmaString::new(text)).collect())
}

/// All spellings of `-option` and `/option`: a dash or slash counts where no word precedes it and one
/// follows, as in pySigma.
pub(crate) fn windash(text: &str, modifiers: &Modifiers<'_>) -> Result<Vec<String>> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |i: Option<usize>| i.and_then(|i| chars.get(i)).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    let mut variants = vec![String::new()];
    for (i, c) in chars.iter().enumerate() {
        if matches!(c, '-' | '/') && !is_word(i.checked_sub(1)) && is_word(Some(i + 1)) {
            variants = variants.iter().flat_map(|v| DASHES.map(|dash| format!("{v}{dash}"))).collect();
        } else {
            variants.iter_mut().for_each(|v| v.push(*c));
        }
        if variants.len() > VARIANTS_MAX {
            let message = format!("{}: more than {VARIANTS_MAX} spellings of one value", modifiers.key);
            return Err(Refusal::new(message, "split the value at its dashes and use |all", text));
        }
    }
    Ok(variants)
}

/// The value under `wide`, `utf16*` and `base64*`; `None` when there is no such modifier.
pub(crate) fn encoded(text: &SigmaString, modifiers: &Modifiers<'_>) -> Result<Option<Vec<String>>> {
    use Modifier as M;
    if ![M::Wide, M::Utf16, M::Utf16be, M::Base64, M::Base64Offset].iter().any(|m| modifiers.has(*m)) {
        return Ok(None);
    }
    let Some(plain) = text.as_plain() else {
        let hint = "escape * and ? with a backslash, or remove the encoding";
        return Err(Refusal::new(format!("{}: an encoded value takes no wildcards", modifiers.key), hint, &*text.original));
    };
    let units = || plain.encode_utf16();
    let bytes: Vec<u8> = if modifiers.has(M::Wide) {
        units().flat_map(u16::to_le_bytes).collect()
    } else if modifiers.has(M::Utf16be) {
        units().flat_map(u16::to_be_bytes).collect()
    } else if modifiers.has(M::Utf16) {
        [0xff, 0xfe].into_iter().chain(units().flat_map(u16::to_le_bytes)).collect()
    } else {
        plain.into_bytes()
    };
    Ok(Some(if modifiers.has(M::Base64) {
        vec![STANDARD.encode(&bytes)]
    } else if modifiers.has(M::Base64Offset) {
        base64_offsets(&bytes)
    } else {
        vec![String::from_utf8_lossy(&bytes).into_owned()]
    }))
}

/// The characters of the encoding that the bytes alone decide, at each of the three alignments: those
/// shared with a neighbour before or after are cut.
fn base64_offsets(bytes: &[u8]) -> Vec<String> {
    (0..3)
        .filter_map(|offset| {
            let padded: Vec<u8> = std::iter::repeat_n(b' ', offset).chain(bytes.iter().copied()).collect();
            let encoded = STANDARD.encode(&padded);
            let from = [0, 2, 3][offset];
            let to = encoded.len() - [0, 3, 2][padded.len() % 3];
            (from < to).then(|| encoded[from..to].to_owned())
        })
        .collect()
}
