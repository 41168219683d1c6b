//! What only a database for several can suffer: nodes at the same time, names that one database would refuse,
//! connections that break.

use crate::place::{Kind, Place, on_both};
use crate::postgres::{Server, in_schema};
use crate::samples::{finding, rule};
use event::{Alert, Entity, EntityKind, Severity, Timestamp};
use sqlx::Connection;
use store::control::{AlertFilter, Control, FindingFilter};

const HOUR: i64 = 1_699_999_200;

/// Two nodes take over overlapping halves of the same findings at once, each in its own batches: every finding is
/// counted once, as if one node had done it alone.
#[tokio::test]
async fn two_nodes_that_take_over_at_once_count_everything_once() {
    const FINDINGS: u64 = 600;
    let place = Kind::Postgres.place().await;
    let rules = [rule("a", Severity::Medium), rule("b", Severity::High)];
    let findings: Vec<_> = (0..FINDINGS).map(|n| finding(n, &rules[n as usize % 2], &format!("u{}", n % 7), HOUR + n as i64)).collect();
    let nodes = [place.open().await, place.open().await, place.open().await];
    let mut tasks = Vec::new();
    for (n, node) in nodes.iter().cloned().enumerate() {
        let mut own = findings.clone();
        own.rotate_left(n * 200);
        tasks.push(tokio::spawn(async move {
            for some in own.chunks(37 + n * 11) {
                node.project(some, 1).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let all = AlertFilter { limit: 1_000, ..AlertFilter::default() };
    let alerts = nodes[0].alerts(&all).await.unwrap().items;
    assert_eq!(alerts.len(), 14, "two rules about seven users");
    assert_eq!(alerts.iter().map(|a| a.finding_count).sum::<u64>(), FINDINGS);
    assert_eq!(alerts.iter().map(|a| a.event_count).sum::<u64>(), FINDINGS * 2);
    assert_eq!(nodes[1].findings(&FindingFilter::default()).await.unwrap().total, FINDINGS);
    let incidents = nodes[2].incidents(&Default::default()).await.unwrap().items;
    assert_eq!(incidents.iter().map(|i| i.event_count).sum::<u64>(), FINDINGS * 2);
}

#[tokio::test]
async fn several_nodes_may_start_on_an_empty_database_at_once() {
    let place = Kind::Postgres.place().await;
    let opened = futures::future::join_all((0..6).map(|_| place.try_open())).await;
    for control in &opened {
        control.as_ref().unwrap().put_setting("x", "y").await.unwrap();
    }
}

/// Senders choose names. None of them may stop the take-over.
async fn names_that_are_hostile_are_stored_and_found(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let names = ["a\0b".to_owned(), "\0".to_owned(), noise(9_000), noise(300_000), "' OR 1=1 --".to_owned(), "ÄÖ%_\\".to_owned(), "\u{FFFD}\u{10FFFF}".to_owned()];
    let findings: Vec<_> = names.iter().enumerate().map(|(n, name)| {
        let mut one = finding(n as u64, &rule, name, HOUR);
        one.source_ip = Some(name.as_str().into());
        one
    }).collect();
    control.project(&findings, 1).await.unwrap();
    assert!(control.project(&findings, 1).await.unwrap().alerts.is_empty(), "the same again is nothing new");
    assert_eq!(control.alerts(&AlertFilter::default()).await.unwrap().total, names.len() as u64);
    for (name, finding) in names.iter().zip(&findings) {
        let by_user = FindingFilter { user: Some(name.clone()), ..FindingFilter::default() };
        assert_eq!(control.findings(&by_user).await.unwrap().items, [finding.clone()]);
        let entity = Entity::new(EntityKind::User, name.as_str());
        let known = control.entity(&entity, Timestamp::from_secs(HOUR)).await.unwrap();
        assert_eq!((known.alerts.len(), known.risk), (1, 25));
        assert_eq!(control.alert(Alert::id_of(finding)).await.unwrap().entity, entity, "whole, whatever the columns hold");
    }
    for (text, found) in [("äö%_", 1), ("OR 1=1", 1), ("a\0b", 1), ("did thing", names.len())] {
        let filter = AlertFilter { text: Some(text.into()), ..AlertFilter::default() };
        assert_eq!(control.alerts(&filter).await.unwrap().total, found as u64, "{text:?}");
    }
    control.audit("eve\0", "a", "b", "c", Timestamp::from_secs(1)).await.unwrap();
    assert_eq!(control.audit_verify().await.unwrap(), Ok(1));
}

/// Text that does not become small when compressed.
fn noise(bytes: usize) -> String {
    let mut state = 7u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 59) as u8 % 26)
    };
    (0..bytes).map(letter).collect()
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_costs_errors_and_nothing_else() {
    let (mut server, schema) = (Server::start(), "public");
    let place = Place::Postgres(in_schema(&server.url, schema));
    let control = place.open().await;
    let rule = rule("r", Severity::Medium);
    let findings: Vec<_> = (0..30).map(|n| finding(n, &rule, "alice", HOUR + n as i64)).collect();
    control.project(&findings[..10], 10).await.unwrap();
    server.stop();
    let error = control.project(&findings[10..20], 20).await.unwrap_err().to_string();
    assert!(!error.contains(&password(&server.url)), "{error}");
    assert!(control.ping().await.is_err());
    server.start_again();
    control.ping().await.unwrap();
    // As the projector does: the same again, and on.
    control.project(&findings[5..], 30).await.unwrap();
    let alert = control.alert(Alert::id_of(&findings[0])).await.unwrap();
    assert_eq!((alert.finding_count, alert.event_count), (30, 60));
    assert_eq!(control.projected_seq().await.unwrap(), 30);
}

fn password(url: &str) -> String {
    url.split(':').nth(2).unwrap().split('@').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_wrong_address_is_said_without_the_password() {
    let place = Kind::Postgres.place().await;
    let Place::Postgres(url) = &place else { unreachable!() };
    let started = std::time::Instant::now();
    let wrong = url.replace(&password(url), "s3cr3t-and-wrong");
    let error = Control::connect(&wrong.parse().unwrap()).await.err().unwrap().to_string();
    assert!(error.contains("password authentication failed") && error.contains("erne:***@") && !error.contains("s3cr3t"), "{error}");
    assert!(started.elapsed().as_secs() < 10, "a wrong password stays wrong, so it is not tried again");
    let said = Control::examine(&wrong.parse().unwrap()).await.unwrap_err().to_string();
    assert!(!said.contains("s3cr3t"), "{said}");
    let said = Control::examine(&url.parse().unwrap()).await.unwrap();
    assert!(said.contains("no tables yet") && !said.contains(&password(url)), "{said}");
    place.open().await;
    assert!(Control::examine(&url.parse().unwrap()).await.unwrap().contains("schema "));
}

async fn tables_of_a_newer_version_are_refused(kind: Kind) {
    let place = kind.place().await;
    place.open().await.close().await;
    place.run("INSERT INTO schema_version (version) VALUES (999)").await;
    let error = place.try_open().await.err().unwrap().to_string();
    assert!(error.contains("run the newer version again"), "{error}");
}

/// A transaction that another program left open with the writer's lock costs a wait, and then an error that says so.
#[tokio::test]
async fn a_lock_that_another_node_holds_is_waited_for() {
    let place = Kind::Postgres.place().await;
    let Place::Postgres(url) = &place else { unreachable!() };
    let control = place.open().await;
    let mut other = sqlx::postgres::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('erne ' || current_schema(), 0))").execute(&mut other).await.unwrap();
    let waiting = { let control = control.clone(); tokio::spawn(async move { control.audit("a", "b", "c", "d", Timestamp(1)).await }) };
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    control.ping().await.unwrap();
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(control.audit_verify().await.unwrap(), Ok(1));
}

on_both!(names_that_are_hostile_are_stored_and_found, tables_of_a_newer_version_are_refused);
