//! What a simulation promises: the same bytes for a seed, time order, the rate and the share asked for,
//! entries in their sources' formats, every attack in turn, and no word of the truth in a line.

use event::{Id, Timestamp};
use expect_test::{Expect, expect};
use sim::{Kind, SimConfig, SimEvent, Simulator, Stream, Truth};
use std::collections::{BTreeMap, BTreeSet};

fn config(kind: Kind) -> SimConfig {
    let start = Timestamp::parse("2026-11-20T10:00:00Z").expect("a time");
    SimConfig { kind, seed: 1, rate: 50.0, attacks: SimConfig::ATTACKS_DEFAULT, start }
}

fn events(kind: Kind, count: usize) -> Vec<SimEvent> {
    Simulator::new(config(kind)).take(count).collect()
}

fn hash(events: &[SimEvent]) -> String {
    let lines: Vec<&[u8]> = events.iter().map(|event| event.line.as_bytes()).collect();
    Id::of(&lines).to_string()
}

#[test]
fn a_seed_gives_the_same_bytes() {
    let check = |kind, expected: Expect| expected.assert_eq(&hash(&events(kind, 5_000)));
    check(Kind::Cloud, expect!["5bc6d5b1-b0a5-3121-1df7-9c8fdb833298"]);
    check(Kind::Web, expect!["4df17d5c-f0a2-fe36-3761-6e6fecd19c03"]);
    check(Kind::Auth, expect!["aea6df46-8dd1-1ddc-5c00-91cf8db6b388"]);
    check(Kind::Mixed, expect!["8534a639-2926-6213-a025-f7d397e96698"]);
    let other = Simulator::new(SimConfig { seed: 2, ..config(Kind::Web) }).take(5_000).collect::<Vec<_>>();
    assert_ne!(hash(&other), hash(&events(Kind::Web, 5_000)));
}

#[test]
fn batches_are_the_same_events_as_the_iterator() {
    let start = config(Kind::Mixed).start;
    let mut simulator = Simulator::new(config(Kind::Mixed));
    let mut batched = Vec::new();
    for minute in 1..=3 {
        let batch = simulator.batch(start.plus_secs(60 * minute));
        assert!(batch.iter().all(|event| event.time < start.plus_secs(60 * minute)));
        batched.extend(batch);
    }
    assert_eq!(batched, events(Kind::Mixed, batched.len()));
}

#[test]
fn times_never_go_back_and_ordinals_count_up() {
    for kind in Kind::ALL {
        let events = events(kind, 20_000);
        assert!(events[0].time >= config(kind).start);
        assert!(events.windows(2).all(|pair| pair[0].time <= pair[1].time), "{kind:?}");
        assert!(events.iter().enumerate().all(|(i, event)| event.truth.event.ordinal == i as u64), "{kind:?}");
    }
}

#[test]
fn rate_and_share_are_as_asked_for() {
    for kind in Kind::ALL {
        for rate in [0.5, 50.0, 200.0] {
            // A whole day of a slow simulation, since the hours differ; minutes of faster ones.
            let secs = if rate < 10.0 { 86_400 } else if rate < 100.0 { 900 } else { 240 };
            let start = config(kind).start;
            let mut simulator = Simulator::new(SimConfig { rate, ..config(kind) });
            let events = simulator.batch(start.plus_secs(secs));
            let measured = events.len() as f64 / secs as f64;
            let allowed = if rate < 10.0 { 0.9..1.1 } else { 0.7..1.4 };
            assert!(allowed.contains(&(measured / rate)), "{kind:?} at {rate}: {measured}");
            let steps = events.iter().filter(|event| event.truth.attack.is_some()).count();
            let share = steps as f64 / events.len() as f64;
            assert!((0.03..0.07).contains(&share), "{kind:?} at {rate}: share {share}");
        }
    }
}

#[test]
fn without_attacks_there_are_none() {
    let simulator = Simulator::new(SimConfig { attacks: 0.0, ..config(Kind::Mixed) });
    assert!(simulator.take(20_000).all(|event| event.truth.attack.is_none()));
}

#[test]
fn senseless_settings_are_brought_into_bounds() {
    for rate in [f64::NAN, -1.0, 0.0, f64::INFINITY] {
        for attacks in [f64::NAN, -1.0, 7.0] {
            let simulator = Simulator::new(SimConfig { rate, attacks, ..config(Kind::Mixed) });
            assert_eq!(simulator.take(50).count(), 50);
        }
    }
}

#[test]
fn every_attack_comes_and_its_steps_count_up() {
    const WITHIN_EVENTS: usize = 25_000;
    for (kind, streams) in [
        (Kind::Cloud, &[Stream::Cloud][..]),
        (Kind::Web, &[Stream::Web]),
        (Kind::Auth, &[Stream::Auth]),
        (Kind::Mixed, &[Stream::Cloud, Stream::Web, Stream::Auth, Stream::App]),
    ] {
        let mut steps: BTreeMap<Id, u32> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for event in events(kind, WITHIN_EVENTS) {
            let Some(attack) = event.truth.attack else { continue };
            let step = steps.entry(attack.id).or_default();
            *step += 1;
            assert_eq!(attack.step, *step, "{}", attack.name);
            assert!(attack.step <= attack.steps && !attack.techniques.is_empty());
            seen.insert((event.stream, attack.name.into_owned()));
        }
        let all = streams.iter().flat_map(|s| s.attacks().into_iter().map(|name| (*s, name.to_owned())));
        let missing: Vec<_> = all.filter(|attack| !seen.contains(attack)).collect();
        assert!(missing.is_empty(), "{kind:?} lacks {missing:?}");
    }
}

#[test]
fn cloudtrail_events_have_all_members_in_their_order() {
    for event in events(Kind::Cloud, 5_000) {
        let json: serde_json::Value = serde_json::from_str(&event.line).expect(&event.line);
        for member in [
            "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
            "userAgent", "requestParameters", "responseElements", "eventID", "readOnly", "eventType",
            "managementEvent", "recipientAccountId", "eventCategory",
        ] {
            assert!(json.get(member).is_some(), "{member} in {}", event.line);
        }
        assert_eq!(json["eventID"].as_str(), event.truth.event.event_id.as_deref());
        assert_eq!(Timestamp::parse(json["eventTime"].as_str().unwrap()), Some(event.time.floor(1)));
        assert!(event.line.starts_with(r#"{"eventVersion":"#));
    }
}

#[test]
fn application_logs_are_the_objects_of_post_api_logs() {
    let mut count = 0;
    for event in events(Kind::Mixed, 5_000).iter().filter(|event| event.stream == Stream::App) {
        let json: serde_json::Value = serde_json::from_str(&event.line).unwrap();
        assert!(json["service"].is_string() && json["message"].is_string());
        assert!(json["status_code"].is_i64() && Timestamp::parse(json["timestamp"].as_str().unwrap()).is_some());
        count += 1;
    }
    assert!(count > 200, "{count}");
}

#[test]
fn lines_hold_no_line_feed_and_no_word_of_the_truth() {
    for event in events(Kind::Mixed, 20_000) {
        assert!(!event.line.contains(['\n', '\r']) && !event.line.is_empty());
        let lower = event.line.to_ascii_lowercase();
        for word in ["attack", "malicious", "truth", "simulat", "label", "stratus"] {
            assert!(!lower.contains(word), "{word} in {}", event.line);
        }
        for stream in Stream::ALL {
            assert!(stream.attacks().iter().all(|name| !lower.contains(name)), "{}", event.line);
        }
        assert_eq!(event.truth.event.line_hash, Id::of(&[event.line.as_bytes()]));
        if let Some(attack) = &event.truth.attack {
            assert!(!event.line.contains(&attack.id.to_string()));
        }
    }
}

#[test]
fn truth_can_be_written_and_read_back() {
    for event in events(Kind::Mixed, 2_000) {
        let text = serde_json::to_string(&event.truth).unwrap();
        assert_eq!(serde_json::from_str::<Truth>(&text).unwrap(), event.truth);
    }
}
