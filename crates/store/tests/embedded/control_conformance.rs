//! What every implementation of the control plane does: each case gets an empty one, and may open it again.

use crate::place::{Kind, on_both};
use crate::samples::{finding, rule};
use event::{Alert, AlertState, Finding, Id, Severity, Timestamp};
use std::collections::BTreeSet;
use std::time::Instant;
use store::control::{
    AlertCounts, AlertFilter, ApiKey, ControlError, FINDINGS_PER_ALERT_MAX, FindingFilter, Projected, Role,
    Session, User,
};

/// The start of an hour, so that alert windows are easy to count.
const HOUR: i64 = 1_699_999_200;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn touched(result: Projected) -> Vec<(String, u64, bool)> {
    result.alerts.into_iter().map(|(a, new)| (a.entity.value.to_string(), a.finding_count, new)).collect()
}

async fn findings_join_the_alert_of_their_rule_entity_and_window(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let (low, high) = (rule("low", Severity::Low), rule("high", Severity::High));
    let findings = [
        finding(1, &low, "alice", HOUR + 5),
        finding(2, &high, "alice", HOUR + 6),
        finding(3, &low, "alice", HOUR + 1),
        finding(4, &low, "bob", HOUR + 7),
        finding(5, &low, "alice", HOUR + 3600),
    ];
    let result = control.project(&findings, 5).await.unwrap();
    let alerts: Vec<Alert> = result.alerts.iter().map(|(alert, _)| alert.clone()).collect();
    let name = |n: &str| n.to_owned();
    let want = [(name("alice"), 2, true), (name("alice"), 1, true), (name("bob"), 1, true), (name("alice"), 1, true)];
    assert_eq!(touched(result), want);
    let first = &alerts[0];
    assert_eq!(first.id, Alert::id_of(&findings[0]));
    assert_eq!((first.first_seen, first.last_seen, first.event_count), (at(HOUR + 1), at(HOUR + 5), 4));
    assert_eq!(first.summary, "alice did thing 1", "of the newest finding");
    assert_eq!(control.alert(first.id).await.unwrap(), *first);
    let again = control.project(&[finding(6, &low, "bob", HOUR + 8)], 6).await.unwrap();
    assert_eq!(touched(again), [(name("bob"), 2, false)]);
    assert_eq!(control.projected_seq().await.unwrap(), 6);
}

async fn a_finding_counts_once_however_often_it_is_handed_over(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let findings: Vec<_> = (0..1500).map(|n| finding(n, &rule, "alice", HOUR + n as i64)).collect();
    let twice: Vec<_> = findings.iter().chain(&findings).cloned().collect();
    control.project(&twice, 1500).await.unwrap();
    assert_eq!(touched(control.project(&findings, 1500).await.unwrap()), []);
    drop(control);
    let control = place.open().await;
    assert_eq!(touched(control.project(&findings[1000..], 1400).await.unwrap()), []);
    let alert = control.alert(Alert::id_of(&findings[0])).await.unwrap();
    assert_eq!(alert.finding_count, 1500, "exact, also beyond the rows that are kept");
    assert_eq!(alert.event_count, 3000);
    assert_eq!(control.projected_seq().await.unwrap(), 1500, "never goes back");
    let kept = control.findings(&FindingFilter { alert: Some(alert.id), ..FindingFilter::default() }).await.unwrap();
    assert_eq!(kept.total, FINDINGS_PER_ALERT_MAX);
}

async fn nothing_at_all_only_moves_the_sequence(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    assert_eq!(control.projected_seq().await.unwrap(), 0);
    assert!(control.project(&[], 7).await.unwrap().alerts.is_empty());
    assert_eq!(control.projected_seq().await.unwrap(), 7);
}

async fn a_closed_alert_counts_on_and_opens_when_it_gets_worse(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let medium = rule("r", Severity::Medium);
    let findings: Vec<_> = (0..4).map(|n| finding(n, &medium, "alice", HOUR + n as i64)).collect();
    control.project(&findings[..1], 1).await.unwrap();
    let id = Alert::id_of(&findings[0]);
    let closed = control.set_alert_state(&[id], AlertState::Closed, "eve", Some("a drill"), at(HOUR + 60)).await.unwrap();
    assert_eq!(closed[0].state, AlertState::Closed);
    assert_eq!(closed[0].history[0].reason.as_deref(), Some("a drill"));
    let still = &control.project(&findings[1..2], 2).await.unwrap().alerts[0].0;
    assert_eq!((still.state, still.finding_count), (AlertState::Closed, 2));
    let worse = Finding { level: Severity::Critical, ..findings[2].clone() };
    let open = &control.project(&[worse], 3).await.unwrap().alerts[0].0;
    assert_eq!((open.state, open.severity), (AlertState::Open, Severity::Critical));
    let change = open.history.last().unwrap();
    assert_eq!((change.actor.as_str(), change.time), ("erne", findings[2].time));
    assert_eq!(change.reason.as_deref(), Some("severity rose from medium to critical"));
    assert_eq!(control.alert(id).await.unwrap(), *open);
}

async fn triage_changes_what_is_known_and_says_when_nothing_is(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let findings: Vec<_> = (0..3).map(|n| finding(n, &rule, &format!("user{n}"), HOUR)).collect();
    control.project(&findings, 3).await.unwrap();
    let ids: Vec<_> = findings.iter().map(Alert::id_of).collect();
    let unknown = Id([9; 16]);
    let asked = [ids[2], unknown, ids[0]];
    let changed = control.set_alert_state(&asked, AlertState::Acknowledged, "eve", None, at(1)).await.unwrap();
    assert_eq!(changed.iter().map(|a| a.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
    let again = control.set_alert_state(&ids[..1], AlertState::Acknowledged, "bob", None, at(2)).await.unwrap();
    assert_eq!(again[0].history.len(), 1, "no change, no line");
    let none = control.set_alert_state(&[unknown], AlertState::Closed, "eve", None, at(3)).await;
    assert!(matches!(none, Err(ControlError::NotFound("alert"))));
    assert!(matches!(control.alert(unknown).await, Err(ControlError::NotFound("alert"))));
    let counts = control.count_alerts_by_state().await.unwrap();
    assert_eq!(counts, AlertCounts { open: 1, acknowledged: 2, closed: 0 });
}

async fn alerts_are_listed_newest_first_page_by_page(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    // Several at the same moment: the page border must not lose or repeat any.
    let findings: Vec<_> = (0..25).map(|n| finding(n, &rule, &format!("user{n}"), HOUR + n as i64 / 10)).collect();
    control.project(&findings, 25).await.unwrap();
    let mut filter = AlertFilter { limit: 7, ..AlertFilter::default() };
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let page = control.alerts(&filter).await.unwrap();
        assert_eq!(page.total, 25, "of all pages");
        seen.extend(page.items);
        pages += 1;
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (4, 25));
    assert!(seen.windows(2).all(|pair| pair[0].last_seen >= pair[1].last_seen));
    assert_eq!(seen.iter().map(|a| a.id).collect::<BTreeSet<_>>().len(), 25);
    filter.cursor = Some("nonsense".into());
    assert!(matches!(control.alerts(&filter).await, Err(ControlError::BadCursor)));
    assert!(control.alerts(&AlertFilter { limit: 25, ..AlertFilter::default() }).await.unwrap().next_cursor.is_none());
}

async fn alerts_are_filtered(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let (low, high) = (rule("low_100%", Severity::Low), rule("high", Severity::High));
    let findings = [
        finding(1, &low, "Alice", HOUR),
        finding(2, &high, "bob", HOUR + 100),
        finding(3, &high, "alicia", HOUR + 200),
    ];
    control.project(&findings, 3).await.unwrap();
    control.set_alert_state(&[Alert::id_of(&findings[1])], AlertState::Closed, "eve", None, at(1)).await.unwrap();
    let all = AlertFilter::default;
    let text = |t: &str| AlertFilter { text: Some(t.into()), ..all() };
    let cases = [
        (all(), "alicia bob Alice"),
        (AlertFilter { states: vec![AlertState::Open], ..all() }, "alicia Alice"),
        (AlertFilter { states: vec![AlertState::Open, AlertState::Closed], ..all() }, "alicia bob Alice"),
        (AlertFilter { severity_min: Some(Severity::Medium), ..all() }, "alicia bob"),
        (text("ALIC"), "alicia Alice"),
        (text("rule HIGH"), "alicia bob"),
        (text("did thing 2"), "bob"),
        (text("user:bob"), "bob"),
        (text("100%"), "Alice"),
        (text("%"), "Alice"),
        (text("_"), "Alice"),
        (text("' OR 1=1 --"), ""),
        (text(""), "alicia bob Alice"),
        (AlertFilter { from: Some(at(HOUR + 100)), ..all() }, "alicia bob"),
        (AlertFilter { to: Some(at(HOUR + 100)), ..all() }, "Alice"),
    ];
    for (filter, want) in cases {
        let found = control.alerts(&filter).await.unwrap();
        let names: Vec<_> = found.items.iter().map(|a| a.entity.value.as_str()).collect();
        assert_eq!(names.join(" "), want, "{filter:?}");
        assert_eq!(found.total, found.items.len() as u64, "{filter:?}");
    }
}

async fn findings_are_filtered_newest_first(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let (low, high) = (rule("low", Severity::Low), rule("high", Severity::High));
    let mut findings = vec![
        finding(1, &low, "alice", HOUR),
        finding(2, &high, "bob", HOUR + 100),
        finding(3, &high, "alice", HOUR + 200),
    ];
    findings[1].source_ip = Some("198.51.100.1".into());
    control.project(&findings, 3).await.unwrap();
    let all = FindingFilter::default;
    let cases = [
        (all(), vec![2, 1, 0]),
        (FindingFilter { alert: Some(Alert::id_of(&findings[0])), ..all() }, vec![0]),
        (FindingFilter { severities: vec![Severity::High], ..all() }, vec![2, 1]),
        (FindingFilter { severities: vec![Severity::High, Severity::Low], ..all() }, vec![2, 1, 0]),
        (FindingFilter { rule: Some("low".into()), ..all() }, vec![0]),
        (FindingFilter { rule: Some("Rule high".into()), ..all() }, vec![2, 1]),
        (FindingFilter { user: Some("alice".into()), ..all() }, vec![2, 0]),
        (FindingFilter { source_ip: Some("198.51.100.1".into()), ..all() }, vec![1]),
        (FindingFilter { from: Some(at(HOUR + 100)), to: Some(at(HOUR + 200)), ..all() }, vec![1]),
    ];
    for (filter, want) in cases {
        let found = control.findings(&filter).await.unwrap();
        let want: Vec<_> = want.into_iter().map(|i: usize| findings[i].clone()).collect();
        assert_eq!(found.items, want, "{filter:?}");
    }
    let page = control.findings(&FindingFilter { limit: 2, ..all() }).await.unwrap();
    let rest = control.findings(&FindingFilter { limit: 2, cursor: page.next_cursor, ..all() }).await.unwrap();
    assert_eq!((rest.items.len(), rest.total, rest.next_cursor), (1, 3, None));
}

fn user(name: &str, role: Role) -> User {
    User { name: name.into(), role, password_hash: format!("hash of {name}"), created: at(1) }
}

fn session(n: u64, user: &str, expires: Timestamp) -> Session {
    Session { token_hash: format!("token{n}"), user: user.into(), csrf: format!("csrf{n}"), expires }
}

async fn users_are_created_replaced_and_deleted_with_their_sessions(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    assert!(control.user("alice").await.unwrap().is_none());
    control.put_user(&user("bob", Role::Viewer)).await.unwrap();
    control.put_user(&user("alice", Role::Admin)).await.unwrap();
    let far = at(4_000_000_000);
    control.put_session(&session(1, "alice", far)).await.unwrap();
    control.put_user(&User { role: Role::Analyst, ..user("alice", Role::Admin) }).await.unwrap();
    let (found, owner) = control.session("token1", at(1)).await.unwrap().expect("replacing a user ends no session");
    assert_eq!((found.csrf.as_str(), owner.role), ("csrf1", Role::Analyst));
    let names: Vec<_> = control.users().await.unwrap().into_iter().map(|u| (u.name, u.role)).collect();
    assert_eq!(names, [("alice".to_owned(), Role::Analyst), ("bob".to_owned(), Role::Viewer)]);
    assert_eq!(control.user("alice").await.unwrap().unwrap().password_hash, "hash of alice");
    control.delete_user("alice").await.unwrap();
    assert!(control.session("token1", at(1)).await.unwrap().is_none());
    assert!(matches!(control.delete_user("alice").await, Err(ControlError::NotFound("user"))));
}

async fn sessions_end_by_time_by_logout_and_all_at_once(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    control.put_user(&user("alice", Role::Viewer)).await.unwrap();
    let far = at(4_000_000_000);
    for n in 0..4 {
        control.put_session(&session(n, "alice", far)).await.unwrap();
    }
    assert!(control.session("token0", at(3_999_999_999)).await.unwrap().is_some());
    assert!(control.session("token0", far).await.unwrap().is_none(), "over");
    control.delete_session("token0").await.unwrap();
    assert!(control.session("token0", at(1)).await.unwrap().is_none());
    assert!(control.session("token1", at(1)).await.unwrap().is_some());
    control.delete_sessions_of("alice").await.unwrap();
    assert!(control.session("token1", at(1)).await.unwrap().is_none());
    assert!(matches!(control.put_session(&session(9, "nobody", far)).await, Err(ControlError::NotFound("user"))));
}

async fn sessions_of_one_user_are_bounded(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    control.put_user(&user("alice", Role::Viewer)).await.unwrap();
    for n in 0..60 {
        control.put_session(&session(n, "alice", at(4_000_000_000 + n as i64))).await.unwrap();
    }
    assert!(control.session("token9", at(1)).await.unwrap().is_none(), "made room");
    assert!(control.session("token10", at(1)).await.unwrap().is_some());
}

async fn keys_are_found_by_their_hash(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let key = ApiKey {
        id: "k1".into(),
        name: "shipper".into(),
        scopes: vec!["ingest".into(), "read".into()],
        hash: "h1".into(),
        created: at(5),
        created_by: "alice".into(),
        last_used: None,
    };
    control.put_key(&key).await.unwrap();
    assert!(matches!(control.put_key(&key).await, Err(ControlError::Exists("key"))));
    let found = control.key_by_hash("h1").await.unwrap().unwrap();
    assert_eq!((found.id, found.scopes, found.last_used), (key.id.clone(), key.scopes.clone(), None));
    assert!(control.key_by_hash("h2").await.unwrap().is_none());
    control.touch_key(&key, at(100)).await.unwrap();
    control.touch_key(&key, at(120)).await.unwrap();
    let keys = control.keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].last_used), (1, Some(at(100))), "once a minute is enough");
    control.touch_key(&keys[0], at(160)).await.unwrap();
    assert_eq!(control.keys().await.unwrap()[0].last_used, Some(at(160)));
    control.delete_key("k1").await.unwrap();
    assert!(control.key_by_hash("h1").await.unwrap().is_none());
    assert!(matches!(control.delete_key("k1").await, Err(ControlError::NotFound("key"))));
}

#[tokio::test]
async fn settings_survive_and_the_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Kind::Sqlite.place().await;
    let control = place.open().await;
    assert_eq!(control.setting("jwt").await.unwrap(), None);
    control.put_setting("jwt", "one").await.unwrap();
    control.put_setting("jwt", "two").await.unwrap();
    control.sync().await.unwrap();
    for file in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.file_name());
    }
    control.close().await;
    assert_eq!(place.open().await.setting("jwt").await.unwrap().as_deref(), Some("two"));
}

async fn retention_takes_closed_alerts_and_old_findings(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let findings = [
        finding(1, &rule, "old-closed", HOUR),
        finding(2, &rule, "old-open", HOUR),
        finding(3, &rule, "new-closed", HOUR + 100),
    ];
    control.project(&findings, 3).await.unwrap();
    let closed = [Alert::id_of(&findings[0]), Alert::id_of(&findings[2])];
    control.set_alert_state(&closed, AlertState::Closed, "eve", None, at(1)).await.unwrap();
    let pruned = control.prune(at(HOUR + 100), at(HOUR + 100)).await.unwrap();
    assert_eq!((pruned.alerts, pruned.findings), (0, 0), "old events, but taken over just now");
    assert_eq!(touched(control.project(&findings, 3).await.unwrap()), [], "still known, however old the event");
    let pruned = control.prune(at(HOUR + 100), Timestamp(i64::MAX)).await.unwrap();
    assert_eq!((pruned.alerts, pruned.findings), (1, 2));
    let left = control.alerts(&AlertFilter::default()).await.unwrap();
    let names: Vec<_> = left.items.iter().map(|a| a.entity.value.as_str()).collect();
    assert_eq!(names, ["new-closed", "old-open"]);
    assert_eq!(control.findings(&FindingFilter::default()).await.unwrap().items, findings[2..]);
}

async fn readers_go_on_while_findings_are_taken_over(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let writer = {
        let control = control.clone();
        tokio::spawn(async move {
            for batch in 0..20u64 {
                let findings: Vec<_> = (0..200).map(|n| finding(batch * 200 + n, &rule, &format!("u{n}"), HOUR)).collect();
                control.project(&findings, batch).await.unwrap();
            }
        })
    };
    let mut reads = 0;
    while !writer.is_finished() {
        let total = control.findings(&FindingFilter::default()).await.unwrap().total;
        assert_eq!(total % 200, 0, "whole batches only");
        reads += 1;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert!(reads > 0);
    assert_eq!(control.findings(&FindingFilter::default()).await.unwrap().total, 4000);
}

/// Not a benchmark: it fails when taking over becomes slower by an order of magnitude.
async fn a_flood_of_findings_about_few_entities_is_taken_over_fast(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let findings: Vec<_> = (0..40_000).map(|n| finding(n, &rule, &format!("u{}", n % 20), HOUR)).collect();
    let started = Instant::now();
    for (i, some) in findings.chunks(4_000).enumerate() {
        control.project(some, i as u64).await.unwrap();
    }
    let per_sec = 40_000.0 / started.elapsed().as_secs_f64();
    println!("{per_sec:.0} findings/s");
    assert!(per_sec > 3_000.0, "{per_sec:.0} findings/s");
}

on_both!(
    findings_join_the_alert_of_their_rule_entity_and_window,
    a_finding_counts_once_however_often_it_is_handed_over,
    nothing_at_all_only_moves_the_sequence,
    a_closed_alert_counts_on_and_opens_when_it_gets_worse,
    triage_changes_what_is_known_and_says_when_nothing_is,
    alerts_are_listed_newest_first_page_by_page,
    alerts_are_filtered,
    findings_are_filtered_newest_first,
    users_are_created_replaced_and_deleted_with_their_sessions,
    sessions_end_by_time_by_logout_and_all_at_once,
    sessions_of_one_user_are_bounded,
    keys_are_found_by_their_hash,
    retention_takes_closed_alerts_and_old_findings,
    readers_go_on_while_findings_are_taken_over,
    a_flood_of_findings_about_few_entities_is_taken_over_fast,
);
