//! Lines for the log: what was asked, found and done, redacted and bounded. `parse::formats::web_inspection` reads them.

use super::Asker;
use engine::web::guard::Redactor;
use engine::web::wire::{Answer, Request as Asked};
use event::Timestamp;
use serde_json::{Map, Value, json};

/// Characters of a target, of other texts of a request, and of texts of a finding.
const URI_CHARS_MAX: usize = 8_192;
const TEXT_CHARS_MAX: usize = 1_024;
const FOUND_CHARS_MAX: usize = 512;
/// Findings, and notes of a kind, in a line.
const FINDINGS_MAX: usize = 32;
const NOTES_MAX: usize = 32;

/// What a line is about beside the transaction and its verdict.
pub struct Happened<'a> {
    pub time: Timestamp,
    pub mode: &'a str,
    pub blocked: bool,
    pub latency_us: u64,
}

/// One line, without its end.
pub fn line(asker: &Asker, asked: Asked, answer: &Answer, happened: &Happened<'_>, redactor: &Redactor) -> Vec<u8> {
    let Asked { id, trace_id, scheme, route, mut transaction } = asked;
    let (body_bytes, files) = (transaction.body.len(), transaction.files.len());
    // No body leaves: findings hold the places that matter.
    transaction.body = Vec::new();
    let response = transaction.response.take();
    redactor.transaction(&mut transaction);
    let header = |name: &str| transaction.header(name).map(|value| cut(value, TEXT_CHARS_MAX));
    let mut request = Map::new();
    let version = transaction.version.strip_prefix("HTTP/").unwrap_or(&transaction.version);
    for (name, text) in [
        ("id", cut(&id, TEXT_CHARS_MAX)), ("trace_id", cut(&trace_id, TEXT_CHARS_MAX)), ("method", cut(&transaction.method, 64)),
        ("uri", cut(&transaction.target, URI_CHARS_MAX)), ("http_version", cut(version, 16)), ("scheme", cut(&scheme, 16)),
        ("route", cut(&route, TEXT_CHARS_MAX)), ("host", header("host").unwrap_or_default()),
        ("user_agent", header("user-agent").unwrap_or_default()), ("referrer", header("referer").unwrap_or_default()),
        ("content_type", header("content-type").unwrap_or_default()),
    ] {
        if !text.is_empty() {
            request.insert(name.to_owned(), text.into());
        }
    }
    for (name, count) in [("body_bytes", body_bytes), ("files", files)] {
        if count > 0 {
            request.insert(name.to_owned(), count.into());
        }
    }
    let mut line = json!({
        "erne": "web_inspection",
        "time": happened.time,
        "agent": {"id": asker.agent, "name": asker.name, "application": asker.application},
        "mode": happened.mode,
        "action": if happened.blocked { "block" } else { "allow" },
        "blocked": happened.blocked,
        "latency_us": happened.latency_us,
        "request": request,
        "verdict": answer.verdict,
        "score": rounded(answer.score),
        "classes": classes(answer),
        "findings": findings(answer, redactor),
        "banned": answer.banned,
        "profile_version": answer.profile_version,
    });
    if let Some(ip) = transaction.peer {
        line["client_ip"] = ip.to_canonical().to_string().into();
    }
    if let Some(response) = response {
        line["response"] = json!({"status": response.status, "length": length(&response)});
    }
    for (name, notes) in [("policy", &answer.policy), ("truncated", &answer.truncated)] {
        if !notes.is_empty() {
            line[name] = notes.iter().take(NOTES_MAX).map(|note| cut(note, TEXT_CHARS_MAX)).collect();
        }
    }
    if !answer.patches.is_empty() {
        line["patches"] = answer.patches.iter().take(NOTES_MAX).map(|id| cut(id, 128)).collect();
    }
    line.to_string().into_bytes()
}

/// What the response says of its length, else what is known of it.
fn length(response: &engine::web::Response) -> u64 {
    let told = response.header("content-length").and_then(|text| text.parse().ok());
    told.unwrap_or(response.body.len() as u64)
}

/// The names of the classes, those with the best score first.
fn classes(answer: &Answer) -> Value {
    let mut classes: Vec<(&str, f32)> = answer.classes.iter().map(|(name, score)| (&**name, *score)).collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    classes.into_iter().take(FINDINGS_MAX).map(|(name, _)| cut(name, 64)).collect()
}

fn findings(answer: &Answer, redactor: &Redactor) -> Value {
    let one = |found: &engine::web::wire::Told| {
        let value = if redactor.is_secret_place(&found.location) { engine::web::guard::redact::REDACTED.to_owned() } else { cut(&found.value, FOUND_CHARS_MAX) };
        json!({
            "analyser": cut(&found.analyser, 64), "class": cut(&found.class, 64), "location": cut(&found.location, FOUND_CHARS_MAX),
            "chain": found.chain.iter().take(NOTES_MAX).map(|step| cut(step, 64)).collect::<Vec<_>>(), "value": value,
            "score": rounded(found.score), "cwe": cut(&found.cwe, 32), "technique": cut(&found.technique, 32), "why": cut(&found.why, FOUND_CHARS_MAX),
        })
    };
    answer.findings.iter().take(FINDINGS_MAX).map(one).collect()
}

/// A single precision number as people write it: 0.98, not 0.9800000190734863.
fn rounded(score: f32) -> f64 {
    if score.is_finite() { (f64::from(score.clamp(0.0, 1.0)) * 1e4).round() / 1e4 } else { 0.0 }
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}
