//! Measures JSON lines from standard input: `xz -dc x.jsonl.xz | measure [--hosts odd|even] [--ids odd|even] [--no-model] [--misses N] [--raised N] [--times N]`

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use web::measure::{HEADING, Tally, line};

fn half(text: &str) -> bool {
    text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)) >> 32 & 1 == 1
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let option = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).map(String::as_str);
    let number = |name: &str| option(name).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
    let inspector = if let Some(file) = option("--model") { web::Inspector::with_model(Some(web::model::Model::read(&std::fs::read(file).expect("a model")).expect("a model"))) } else { web::Inspector::default() };
    let (mut misses, mut raised, times) = (number("--misses"), number("--raised"), number("--times").max(1));
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut kinds: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let out = &mut std::io::stdout().lock();
    for text in std::io::stdin().lock().lines() {
        let item = web::read::line(text.expect("a line").as_bytes()).expect("a request");
        let host = item.transaction.header("host").unwrap_or_default().to_owned();
        if option("--hosts").is_some_and(|w| (w == "odd") != half(&host)) || option("--ids").is_some_and(|w| (w == "odd") != half(&item.id)) {
            continue;
        }
        let mut nanos = u64::MAX;
        let mut verdict = web::Verdict::default();
        for _ in 0..times {
            let started = std::time::Instant::now();
            verdict = inspector.inspect(&item.transaction);
            nanos = nanos.min(started.elapsed().as_nanos() as u64);
        }
        let attack = verdict.verdict == web::Decision::Attack;
        let kind = kinds.entry(format!("{} {}", item.label.unwrap_or(false), item.kind)).or_default();
        kind.0 += 1;
        kind.1 += u32::from(attack);
        if item.label == Some(true) && !attack && misses > 0 {
            misses -= 1;
            let hint = verdict.findings.first().map(|f| format!("{}:{:.2}", f.analyser, f.score)).unwrap_or_default();
            let body: String = String::from_utf8_lossy(&item.transaction.body).chars().take(150).collect();
            let uri: String = item.transaction.target.chars().take(200).collect();
            writeln!(out, "MISS {} [{}] {hint} {uri} {body:?}", item.id, item.kind).ok();
        }
        if item.label == Some(false) && attack && raised > 0 {
            raised -= 1;
            for f in verdict.findings.iter().take(2) {
                writeln!(out, "RAISED {} {host} {}:{:?}:{:.2} {} {:?} {} {:?}", item.id, f.analyser, f.class, f.score, f.location, f.chain, f.why, f.value).ok();
            }
        }
        tallies.entry(item.source.clone()).or_default().add(item.label, &verdict, nanos);
    }
    if args.iter().any(|a| a == "--kinds") {
        for (kind, (all, found)) in kinds {
            writeln!(out, "  {kind:<50} {found}/{all}").ok();
        }
    }
    if !args.iter().any(|a| a == "--bare") { writeln!(out, "{HEADING}").ok(); }
    for (corpus, tally) in tallies {
        writeln!(out, "{}", line(&tally.row(&corpus))).ok();
    }
}
