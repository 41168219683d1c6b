//! Saved searches, and how far the scheduled ones have come.

use crate::place::{Kind, on_both};
use crate::samples::{finding, rule};
use event::{Id, Severity, Timestamp};
use store::control::{ControlError, SCHEDULED_MAX, SEARCHES_PER_OWNER_MAX, SavedSearch, Schedule, SearchRun, WindowDone};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn schedule() -> Schedule {
    Schedule { every_secs: 60, window_secs: 300, at_least: 3, severity: Severity::High, group_by: Some("actor.user.name".into()), enabled: true }
}

fn search(n: u16, owner: &str, name: &str) -> SavedSearch {
    let mut id = [7; 16];
    id[..2].copy_from_slice(&n.to_be_bytes());
    SavedSearch {
        id: Id(id),
        name: name.into(),
        q: "status:Failure".into(),
        columns: vec!["actor.user.name".into()],
        range: Some("24h".into()),
        owner: owner.into(),
        shared: false,
        schedule: None,
        created_at: at(1),
        updated_at: at(1),
        last_run: None,
    }
}

fn names(found: &[SavedSearch]) -> String {
    found.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(" ")
}

async fn searches_are_kept_listed_replaced_and_deleted_with_a_line_in_the_audit_log(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let (b, a) = (search(1, "ana", "b"), SavedSearch { shared: true, ..search(2, "ana", "a") });
    for one in [&b, &a, &search(3, "bob", "c")] {
        control.create_search(one, &one.owner, at(5)).await.unwrap();
    }
    let twice = control.create_search(&search(4, "ana", "b"), "ana", at(5)).await;
    assert!(matches!(twice, Err(ControlError::Exists(_))), "{twice:?}");
    control.create_search(&search(5, "eve", "b"), "eve", at(5)).await.unwrap();
    assert_eq!(names(&control.searches(None).await.unwrap()), "a b b c");
    assert_eq!(names(&control.searches(Some("ana")).await.unwrap()), "a b");
    assert_eq!(names(&control.searches(Some("bob")).await.unwrap()), "a c", "shared ones and the own ones");
    assert_eq!(control.search(b.id).await.unwrap(), b);
    let renamed = SavedSearch { name: "z".into(), updated_at: at(9), ..b.clone() };
    control.replace_search(&renamed, "root", at(9)).await.unwrap();
    assert_eq!(control.search(b.id).await.unwrap(), renamed);
    let taken = control.replace_search(&SavedSearch { name: "a".into(), ..b.clone() }, "ana", at(9)).await;
    assert!(matches!(taken, Err(ControlError::Exists(_))), "{taken:?}");
    control.delete_search(b.id, "ana", at(10)).await.unwrap();
    for gone in [control.search(b.id).await.err(), control.delete_search(b.id, "ana", at(10)).await.err(), control.replace_search(&b, "ana", at(10)).await.err()] {
        assert!(matches!(gone, Some(ControlError::NotFound("search"))), "{gone:?}");
    }
    let log = control.audit_entries(10, None).await.unwrap().items;
    let said: Vec<_> = log.iter().map(|e| (e.actor.as_str(), e.action.as_str())).collect();
    assert_eq!(said[..2], [("ana", "search.delete"), ("root", "search.update")]);
    assert_eq!(said.len(), 6, "what was refused is not there: {said:?}");
    assert!(log[0].detail.contains("status:Failure"));
    assert_eq!(control.audit_verify().await.unwrap(), Ok(6));
}

async fn their_number_is_bounded(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    for n in 0..SEARCHES_PER_OWNER_MAX as u16 {
        let one = SavedSearch { schedule: Some(schedule()), ..search(n, "ana", &n.to_string()) };
        control.create_search(&one, "ana", at(1)).await.unwrap();
    }
    let more = control.create_search(&search(900, "ana", "one more"), "ana", at(1)).await;
    assert!(matches!(more, Err(ControlError::TooMany(SEARCHES_PER_OWNER_MAX))), "{more:?}");
    let plain = search(901, "bob", "x");
    control.create_search(&plain, "bob", at(1)).await.unwrap();
    let scheduled = SavedSearch { schedule: Some(schedule()), ..plain };
    let more = control.replace_search(&scheduled, "bob", at(1)).await;
    assert!(matches!(more, Err(ControlError::TooMany(SCHEDULED_MAX))), "{more:?}");
    let off = SavedSearch { schedule: Some(Schedule { enabled: false, ..schedule() }), ..scheduled };
    control.replace_search(&off, "bob", at(1)).await.unwrap();
    assert_eq!(control.scheduled_searches().await.unwrap().len(), SCHEDULED_MAX);
}

async fn windows_go_on_where_they_stood_and_an_edit_goes_one_back(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let one = SavedSearch { schedule: Some(schedule()), ..search(1, "ana", "s") };
    control.create_search(&one, "ana", at(1)).await.unwrap();
    let told = [finding(1, &rule("search:1", Severity::High), "alice", 590)];
    let run = SearchRun { time: at(700), hits: 9, findings: 1, error: None };
    let done = |revision, before: Option<i64>, until| WindowDone { revision, before: before.map(at), done_until: at(until), run: &run, told: &told };
    let only = async || control.scheduled_searches().await.unwrap().remove(0);
    assert_eq!((only().await.revision, only().await.done_until), (0, None));
    assert!(control.window_done(one.id, &done(0, None, 600)).await.unwrap());
    assert!(!control.window_done(one.id, &done(0, Some(540), 600)).await.unwrap(), "another node was faster");
    assert!(!control.window_done(one.id, &done(1, Some(600), 660)).await.unwrap(), "it was edited");
    assert!(!control.window_done(Id([1; 16]), &done(0, None, 600)).await.unwrap());
    drop(control);
    let control = place.open().await;
    let only = async || control.scheduled_searches().await.unwrap().remove(0);
    assert_eq!(only().await.done_until, Some(at(600)));
    assert_eq!(control.told_by_search(one.id).await.unwrap(), told);
    assert_eq!(control.search(one.id).await.unwrap().last_run, Some(run.clone()));

    let renamed = SavedSearch { name: "t".into(), ..one.clone() };
    control.replace_search(&renamed, "ana", at(2)).await.unwrap();
    assert_eq!((only().await.revision, only().await.done_until), (0, Some(at(600))), "a name finds nothing else");
    let edited = SavedSearch { q: "status:Success".into(), ..renamed };
    control.replace_search(&edited, "ana", at(3)).await.unwrap();
    assert_eq!((only().await.revision, only().await.done_until), (1, Some(at(540))));
    assert_eq!(control.search(one.id).await.unwrap().last_run, Some(run.clone()), "how it went last is still known");
    assert!(control.window_done(one.id, &done(1, Some(540), 600)).await.unwrap());

    let off = SavedSearch { schedule: Some(Schedule { enabled: false, ..schedule() }), ..edited.clone() };
    control.replace_search(&off, "ana", at(4)).await.unwrap();
    assert!(control.scheduled_searches().await.unwrap().is_empty());
    assert!(!control.window_done(one.id, &done(1, Some(600), 660)).await.unwrap(), "it was switched off");
    control.replace_search(&edited, "ana", at(5)).await.unwrap();
    assert_eq!((only().await.revision, only().await.done_until), (1, None), "what went by while it was off is not looked at");
    let failed = SearchRun { error: Some("too slow".into()), ..run.clone() };
    control.window_failed(one.id, &failed).await.unwrap();
    assert_eq!((control.search(one.id).await.unwrap().last_run, only().await.done_until), (Some(failed), None));
}

on_both!(
    searches_are_kept_listed_replaced_and_deleted_with_a_line_in_the_audit_log,
    their_number_is_bounded,
    windows_go_on_where_they_stood_and_an_edit_goes_one_back,
);
