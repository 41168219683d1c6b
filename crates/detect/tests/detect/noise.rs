//! How often behaviour is told of people who only do their work, and how much of an attack is found: the
//! whole content pack on simulated traffic with ground truth. The figures are in docs/content.md.

use crate::behaviour::Pipeline;
use detect::{RuleFile, RuleSet};
use event::{Event, Finding, Record, Severity, Timestamp};
use sim::{Kind, SimConfig, SimEvent, Simulator};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The content pack.
pub(crate) fn pack() -> Arc<RuleSet> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/rules")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "yml") {
                let name = path.to_str().unwrap().split("content/rules/").last().unwrap().to_owned();
                files.push(RuleFile { path: name, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let (rules, issues) = RuleSet::compile(&files);
    assert!(issues.is_empty(), "{issues:?}");
    rules.into()
}

fn read(one: &SimEvent, offset: u64) -> Event {
    let record = Record {
        source: one.stream.source().into(),
        format: Some(one.stream.format()),
        // As it comes from a forwarder.
        received: one.time.plus_secs(5),
        peer: None,
        body: one.line.clone().into_bytes().into(),
    };
    let mut events = Vec::new();
    parse::parse(&record, offset, &mut events);
    events.remove(0)
}

/// Runs simulated traffic for so many hours; `change` is what enrichment would do.
fn run(rules: &Arc<RuleSet>, config: SimConfig, hours: i64, change: fn(&mut Event)) -> (u64, Vec<Finding>, Vec<SimEvent>) {
    const BATCH: usize = 4_096;
    let end = config.start.plus_secs(hours * 3_600);
    let mut pipeline = Pipeline::new(rules);
    let (mut events, mut attacks, mut count) = (Vec::new(), Vec::new(), 0);
    for one in Simulator::new(config).take_while(|one| one.time < end) {
        let mut event = read(&one, count);
        count += 1;
        change(&mut event);
        events.push(event);
        if one.truth.attack.is_some() {
            attacks.push(one);
        }
        if events.len() == BATCH {
            pipeline.run(&mut events);
            events.clear();
        }
    }
    pipeline.run(&mut events);
    pipeline.wait_until(end.plus_secs(86_400));
    let mut findings: Vec<Finding> = pipeline.findings.into_values().filter(|f| f.level > Severity::Informational).collect();
    findings.sort_by_key(|finding| finding.time);
    (count, findings, attacks)
}

fn config(kind: Kind, rate: f64, attacks: f64) -> SimConfig {
    SimConfig { kind, seed: 7, rate, attacks, start: Timestamp::parse("2026-10-05T00:00:00Z").unwrap() }
}

fn print(what: &str, count: u64, findings: &[Finding]) -> BTreeMap<String, usize> {
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    for finding in findings.iter().filter(|f| f.rule.file.starts_with("behaviour/")) {
        *rules.entry(finding.rule.name.to_string()).or_default() += 1;
    }
    println!("{what}: {count} events, {:?}", rules);
    for finding in findings.iter().filter(|f| f.rule.file.starts_with("behaviour/")).take(12) {
        println!("    {} {}", finding.time, finding.explanation.summary);
    }
    rules
}

fn of<'a>(findings: &'a [Finding], rule: &'a str) -> impl Iterator<Item = &'a Finding> {
    findings.iter().filter(move |finding| finding.rule.file.ends_with(&format!("/{rule}.yml")))
}

/// A place by the address, as a GeoIP database gives it: the blocks of the simulator's access networks by country,
/// and within the country anywhere, so that two addresses of one person can be hundreds of kilometres apart.
fn locate(event: &mut Event) {
    const BLOCKS: &[(u8, u8, f64, f64, &str)] = &[
        (79, 16, 42.5, 12.5, "IT"), (79, 255, 51.0, 10.0, "DE"), (84, 255, 51.0, 10.0, "DE"), (90, 255, 46.5, 2.5, "FR"),
        (86, 255, 52.5, -1.5, "GB"), (73, 255, 40.0, -83.0, "US"), (98, 255, 45.0, -120.0, "US"), (99, 223, 35.0, -95.0, "US"),
        (99, 255, 45.0, -78.0, "CA"), (88, 255, 40.0, -4.0, "ES"), (78, 255, 60.0, 15.0, "SE"), (83, 255, 52.0, 19.0, "PL"),
        (85, 255, 46.8, 8.2, "CH"), (153, 255, 36.0, 138.0, "JP"), (175, 255, 36.5, 127.8, "KR"), (122, 255, 22.0, 78.0, "IN"),
        (49, 255, 22.0, 78.0, "IN"), (101, 255, -33.0, 148.0, "AU"), (177, 255, -15.0, -47.0, "BR"), (187, 255, 22.0, -101.0, "MX"),
        (41, 255, -29.0, 25.0, "ZA"), (116, 255, 1.35, 103.8, "SG"),
    ];
    let octets: Vec<u8> = event.ocsf.src.ip.iter().flat_map(|ip| ip.split('.')).filter_map(|octet| octet.parse().ok()).collect();
    let [a, b, c, _] = octets[..] else { return };
    let Some((_, _, lat, long, country)) = BLOCKS.iter().find(|(first, second, ..)| *first == a && b <= *second) else { return };
    let hash = u64::from(u32::from_be_bytes([0, a, b, c])).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (dx, dy) = ((hash >> 40 & 0xFF) as f64 / 255.0 - 0.5, (hash >> 50 & 0xFF) as f64 / 255.0 - 0.5);
    let location = &mut event.ocsf.src.location;
    (location.lat, location.long, location.country) = (Some(lat + 5.0 * dx), Some(long + 5.0 * dy), Some((*country).into()));
    event.ocsf.src.autonomous_system.number = Some(i64::from(a));
}

#[test]
fn weeks_of_a_company_at_work() {
    let days = 21;
    let (count, findings, _) = run(&pack(), config(Kind::Cloud, 0.08, 0.0), days * 24, locate);
    print("cloud, 21 days, no attack", count, &findings);
    // People of the simulation do work at night now and then: what is told is true, and a signal only.
    let odd = of(&findings, "aws_off_hours").count();
    assert!(odd <= 26 * days as usize / 8, "{odd} odd hours of 26 people");
    assert!(of(&findings, "aws_off_hours").all(|finding| finding.rule.handling.signal));
    // GeoIP moves one of them by 414 km between two addresses; after three days it is a habit.
    assert!(of(&findings, "impossible_travel").count() <= 3);
    let others = findings.iter().filter(|f| f.rule.file.starts_with("behaviour/") && !f.rule.handling.signal);
    assert_eq!(others.filter(|f| !f.rule.file.ends_with("impossible_travel.yml")).count(), 0);
}

/// A line as the simulated web server writes it.
pub(crate) fn request(time: Timestamp, ip: &str, target: &str) -> Event {
    let text = time.to_string();
    let clock = format!("{}/Oct/2026:{} +0000", &text[8..10], &text[11..19]);
    let line = format!(r#"{ip} - - [{clock}] "GET {target} HTTP/1.1" 200 512 "-" "Mozilla/5.0""#);
    let record = Record {
        source: "shop-nginx".into(),
        format: Some(event::Format::AccessLog),
        received: time.plus_secs(5),
        peer: None,
        body: line.into_bytes().into(),
    };
    let mut events = Vec::new();
    parse::parse(&record, 1_000_000_000, &mut events);
    events.remove(0)
}

#[test]
fn floods_stand_out_of_a_shops_traffic() {
    let start = Timestamp::parse("2026-10-05T12:00:00Z").unwrap();
    let base: Vec<Event> = Simulator::new(SimConfig { start, ..config(Kind::Web, 4.0, 0.0) })
        .take_while(|one| one.time < start.plus_secs(3_600))
        .enumerate()
        .map(|(i, one)| read(&one, i as u64))
        .collect();
    let told = |more: Vec<Event>| -> Vec<(String, String)> {
        let mut events: Vec<Event> = base.iter().cloned().chain(more).collect();
        events.sort_by_key(|event| event.received);
        for (place, event) in events.iter_mut().enumerate() {
            event.position = event::Position { offset: place as u64, index: 0 };
            event.uid = format!("e{place}").into();
        }
        let mut pipeline = Pipeline::new(&pack());
        events.chunks_mut(4_096).for_each(|batch| pipeline.run(batch));
        pipeline.wait_until(start.plus_secs(7_200));
        let own = pipeline.findings.into_values().filter(|f| f.rule.file.ends_with("/web_request_rate.yml") && f.level > Severity::Informational);
        own.map(|f| (f.rule.name.to_string(), f.entity.value.to_string())).collect()
    };
    assert!(told(Vec::new()).is_empty());
    let at = |secs: i64| start.plus_secs(2_400 + secs);
    // One address, ten requests a second for two minutes.
    let one: Vec<Event> = (0..1_200).map(|i| request(at(i / 10), "203.0.113.66", "/search?q=shoes")).collect();
    assert_eq!(told(one), [("Client asks far more, or for far more things, than clients do".into(), "203.0.113.66".into())]);
    // Four hundred addresses, each harmless by itself; together a hundred times what the shop is used to.
    let many = (0..28_000i64).map(|i| request(at(i / 233), &format!("198.51.{}.{}", 100 + i % 2, i / 2 % 200), "/"));
    assert_eq!(told(many.collect()), [("Web site gets far more requests than usual".into(), "shop-nginx".into())]);
}

#[test]
fn hours_of_a_shop_and_its_scanners() {
    let rules = pack();
    let (count, findings, _) = run(&rules, config(Kind::Web, 4.0, 0.0), 6, |_| {});
    assert_eq!(print("web, 6 hours, no attack", count, &findings), BTreeMap::new());
    let (count, findings, attacks) = run(&rules, config(Kind::Web, 10.0, 0.05), 2, |_| {});
    print("web, 2 hours, 5 % attacks", count, &findings);
    let told: BTreeSet<&str> = of(&findings, "web_request_rate").map(|f| f.entity.value.as_str()).collect();
    let mut sequences: BTreeMap<&str, BTreeMap<String, &str>> = BTreeMap::new();
    for one in &attacks {
        let label = one.truth.attack.as_ref().unwrap();
        sequences.entry(&label.name).or_default().insert(label.id.to_string(), &label.entity.value);
    }
    let scans = &sequences["vulnerability_scan"];
    let hit = scans.values().filter(|who| told.contains(*who)).count();
    println!("    {hit} of {} scans told", scans.len());
    // One may be cut off by the end.
    assert!(hit + 1 >= scans.len());
    let hostile: BTreeSet<&str> = sequences.values().flat_map(|all| all.values().copied()).collect();
    assert_eq!(told.difference(&hostile).count(), 0);
}

#[test]
fn an_hour_of_everything_without_an_attack() {
    let (count, findings, _) = run(&pack(), config(Kind::Mixed, 10.0, 0.0), 2, locate);
    let rules = print("mixed, 2 hours, no attack", count, &findings);
    assert!(rules.values().sum::<usize>() <= 1, "{rules:?}");
}
