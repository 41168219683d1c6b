//! What the baseline changes: `baseline BROWSING.jsonl ATTACKS.jsonl [odd|even]`, files already decompressed, or
//! `baseline generated ATTACKS.jsonl` for the harmless requests of the tests, learned from 200 clients.
//!
//! For each host the first half of its requests is learned, in their order, and the second half is tested, as it is and
//! with attacks put into its parameters (the `q` of the attack file's requests, in turn). The recordings name no
//! clients: every five requests count as one.

#[path = "../tests/benign/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use web::baseline::{Baseline, Settings};
use web::{Decision, Inspector, Timestamp, Transaction};

const REQUESTS_PER_CLIENT: usize = 5;

fn half(text: &str) -> &'static str {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    if hash >> 32 & 1 == 1 { "odd" } else { "even" }
}

/// The request with the value of its `n`-th parameter replaced, of the query or of a body of JSON, if it has any.
fn with_attack(t: &Transaction, n: usize, attack: &str) -> Option<Transaction> {
    if let Ok(serde_json::Value::Object(mut members)) = serde_json::from_slice(&t.body) {
        let names: Vec<String> = members.iter().filter(|(_, v)| v.is_string()).map(|(k, _)| k.clone()).collect();
        *members.get_mut(names.get(n % names.len().max(1))?)? = attack.into();
        return Some(Transaction { body: serde_json::to_vec(&members).ok()?, ..t.clone() });
    }
    let (path, query) = t.target.split_once('?')?;
    let encoded: String = attack.bytes().map(|b| format!("%{b:02x}")).collect();
    let mut pairs: Vec<String> = query.split('&').map(str::to_owned).collect();
    let at = n % pairs.len();
    let name = pairs[at].split('=').next().unwrap_or_default().to_owned();
    pairs[at] = format!("{name}={encoded}");
    Some(Transaction { target: format!("{path}?{}", pairs.join("&")), ..t.clone() })
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let read = |path: &str| std::fs::read(path).expect("a file");
    let mut hosts: BTreeMap<String, Vec<Transaction>> = BTreeMap::new();
    let made = args[1] == "generated";
    for i in 0..if made { 34_000 } else { 0 } {
        hosts.entry("made".to_owned()).or_default().push(generator::request(7, i).1);
    }
    let browsing = if made { b"{}".to_vec() } else { read(&args[1]) };
    web::read::items(&browsing, &mut |item| {
        let Ok(item) = item else { return };
        let t = item.transaction;
        let host = t.header("host").unwrap_or_default().to_owned();
        if args.get(3).is_none_or(|wanted| half(&host) == wanted) {
            hosts.entry(host).or_default().push(t);
        }
    })
    .expect("requests");
    let mut attacks: Vec<String> = Vec::new();
    web::read::items(&read(&args[2]), &mut |item| {
        let item = item.expect("a request");
        if item.label == Some(true) {
            web::values(&item.transaction, &mut |place, value| {
                if (place.starts_with("query:") || place.starts_with("body:form:")) && value.len() > 8 {
                    attacks.push(String::from_utf8_lossy(value).into_owned());
                }
            });
        }
    })
    .expect("requests");
    let inspector = Inspector::default();
    let (mut benign, mut raised, mut raised_after, mut attacked, mut found, mut found_after, mut lowered, mut bytes) = (0, 0, 0, 0, 0, 0, 0, 0);
    let mut next = 0;
    for (i, requests) in hosts.values().enumerate() {
        let mut baseline = Baseline::new(Settings::default(), i as u64 + 1);
        let (learned, tested) = requests.split_at(requests.len() / 2);
        for (k, t) in learned.iter().enumerate() {
            let client = std::net::IpAddr::from(((if made { k % 200 } else { k / REQUESTS_PER_CLIENT }) as u32 * 256).to_be_bytes());
            baseline.learn(t, &inspector.inspect(t), None, client, Timestamp::from_secs(0));
        }
        bytes += serde_json::to_vec(&baseline).map_or(0, |json| json.len());
        for t in tested {
            let mut verdict = inspector.inspect(t);
            benign += 1;
            raised += u32::from(verdict.verdict == Decision::Attack);
            baseline.adjust(t, &mut verdict, None);
            raised_after += u32::from(verdict.verdict == Decision::Attack);
            next += 1;
            let Some(t) = with_attack(t, next, &attacks[next * 7 % attacks.len()]) else { continue };
            let mut verdict = inspector.inspect(&t);
            attacked += 1;
            let before = verdict.verdict == Decision::Attack;
            found += u32::from(before);
            baseline.adjust(&t, &mut verdict, None);
            let after = verdict.verdict == Decision::Attack;
            found_after += u32::from(after);
            lowered += u32::from(before && !after);
        }
    }
    let share = |part: u32, all: u32| f64::from(part) * 100.0 / f64::from(all.max(1));
    println!("{} hosts, {benign} requests tested, {attacked} attacks put into them, {bytes} bytes learned", hosts.len());
    println!("without  FPR {:.3} %  TPR {:.2} %", share(raised, benign), share(found, attacked));
    println!("with     FPR {:.3} %  TPR {:.2} %  ({lowered} attacks lowered)", share(raised_after, benign), share(found_after, attacked));
}
