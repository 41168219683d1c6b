//! Web agents, their instances, and profiles with their versions.

use crate::place::{Kind, on_both};
use event::Timestamp;
use serde_json::{Value, json};
use store::control::{
    AgentInstance, Control, ControlError, INSTANCES_PER_AGENT_MAX, PROFILE_DEFAULT, PROFILE_VERSIONS_MAX, ProfileChange, WebAgent,
};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn agent(id: &str, name: &str) -> WebAgent {
    WebAgent {
        id: id.into(),
        name: name.into(),
        application: "shop".into(),
        secret: format!("secret of {id}"),
        enabled: true,
        profile: None,
        assigned: 0,
        created_at: at(1),
        created_by: "ana".into(),
    }
}

fn instance(agent: &str, n: usize, seen: i64) -> AgentInstance {
    let (first_seen, last_seen) = (at(seen), at(seen));
    AgentInstance { agent: agent.into(), instance: format!("i{n:04}"), application: "shop".into(), first_seen, last_seen, hello: json!({"n": n}) }
}

fn change<'a>(profile: &'a Value, note: &'a str) -> ProfileChange<'a> {
    ProfileChange { profile, note, actor: "ana", now: at(5) }
}

async fn revision(control: &Control) -> i64 {
    control.web_revision().await.unwrap().revision
}

async fn agents_are_kept_with_their_secrets_and_every_change_counts(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let start = revision(&control).await;
    for one in [agent("agt_b", "b"), agent("agt_a", "a")] {
        control.create_web_agent(&one, at(2)).await.unwrap();
    }
    let twice = control.create_web_agent(&agent("agt_c", "a"), at(2)).await;
    assert!(matches!(twice, Err(ControlError::Exists(_))), "{twice:?}");
    let lost = control.create_web_agent(&WebAgent { profile: Some("no".into()), ..agent("agt_d", "d") }, at(2)).await;
    assert!(matches!(lost, Err(ControlError::NotFound("profile"))), "{lost:?}");
    assert_eq!(revision(&control).await, start + 2, "what failed changed nothing");
    drop(control);
    let control = place.open().await;
    let all = control.web_agents().await.unwrap();
    assert_eq!(all.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["agt_a", "agt_b"]);
    assert_eq!((all[1].secret.as_str(), all[1].assigned), ("secret of agt_b", start + 1));
    let off = WebAgent { enabled: false, profile: Some(PROFILE_DEFAULT.into()), secret: "new".into(), ..all[0].clone() };
    control.replace_web_agent(&off, "agent.update", "eve", at(3)).await.unwrap();
    let found = control.web_agent("agt_a").await.unwrap();
    assert_eq!(found, WebAgent { assigned: start + 3, ..off });
    let entries = control.audit_entries(10, None).await.unwrap().items;
    assert_eq!((entries[0].actor.as_str(), entries[0].action.as_str(), entries[0].target.as_str()), ("eve", "agent.update", "agt_a"));
    assert!(entries.iter().all(|e| !e.detail.contains("secret of") && !e.detail.contains("\"new\"")), "no secret in the audit log");
    control.delete_web_agent("agt_a", "ana", at(4)).await.unwrap();
    for gone in [
        control.web_agent("agt_a").await.err(),
        control.delete_web_agent("agt_a", "ana", at(4)).await.err(),
        control.replace_web_agent(&found, "agent.update", "ana", at(4)).await.err(),
    ] {
        assert!(matches!(gone, Some(ControlError::NotFound("agent"))), "{gone:?}");
    }
}

async fn instances_say_hello_and_are_forgotten(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    control.create_web_agent(&agent("agt_a", "a"), at(2)).await.unwrap();
    control.web_hello(&instance("agt_a", 1, 100)).await.unwrap();
    control.web_hello(&instance("agt_b", 1, 150)).await.unwrap();
    let again = AgentInstance { hello: json!({"n": "new"}), application: "till".into(), ..instance("agt_a", 1, 200) };
    control.web_hello(&again).await.unwrap();
    let of = control.web_instances(Some("agt_a"), 10).await.unwrap();
    assert_eq!(of, [AgentInstance { first_seen: at(100), ..again }]);
    assert_eq!(control.web_instances(None, 10).await.unwrap().len(), 2);
    for n in 0..=INSTANCES_PER_AGENT_MAX {
        control.web_hello(&instance("agt_c", n, 300 + n as i64)).await.unwrap();
    }
    let of = control.web_instances(Some("agt_c"), 2_000).await.unwrap();
    assert_eq!((of.len(), of.last().unwrap().instance.as_str()), (INSTANCES_PER_AGENT_MAX, "i0001"), "the one silent longest went");
    control.web_hello(&instance("agt_d", 1, 40 * 86_400)).await.unwrap();
    assert_eq!(control.web_instances(None, 2_000).await.unwrap().len(), 1, "who is silent for a month is forgotten");
    control.delete_web_agent("agt_a", "ana", at(4)).await.unwrap();
    assert!(control.web_instances(Some("agt_a"), 10).await.unwrap().is_empty());
}

async fn profiles_keep_their_versions_and_no_change_is_lost(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let default = control.web_profile(PROFILE_DEFAULT).await.unwrap();
    assert_eq!((default.version, &default.profile), (1, &json!({})));
    let (first, second) = (json!({"mode": "monitor"}), json!({"mode": "protection"}));
    let version = control.create_web_profile("prf_a", "a", change(&first, "begin")).await.unwrap();
    let named = control.create_web_profile("prf_b", "a", change(&first, "")).await;
    assert!(matches!(named, Err(ControlError::Exists(_))), "{named:?}");
    let newer = control.change_web_profile("prf_a", "a", version, change(&second, "on")).await.unwrap();
    assert!(newer > version);
    let late = control.change_web_profile("prf_a", "a", version, change(&first, "")).await;
    assert!(matches!(late, Err(ControlError::Exists(_))), "{late:?}");
    let renamed = control.change_web_profile("prf_a", "default", newer, change(&first, "")).await;
    assert!(matches!(renamed, Err(ControlError::Exists(_))), "{renamed:?}");
    let now = control.web_profile("prf_a").await.unwrap();
    assert_eq!((now.version, &now.profile, now.note.as_str(), now.updated_by.as_str()), (newer, &second, "on", "ana"));
    let versions = control.web_profile_versions("prf_a").await.unwrap();
    assert_eq!(versions.iter().map(|v| (v.version, v.note.as_str())).collect::<Vec<_>>(), [(newer, "on"), (version, "begin")]);
    assert_eq!(control.web_profile_version("prf_a", version).await.unwrap().profile, first);
    let mut on = newer;
    for _ in 0..PROFILE_VERSIONS_MAX {
        on = control.change_web_profile("prf_a", "a", on, change(&first, "again")).await.unwrap();
    }
    let versions = control.web_profile_versions("prf_a").await.unwrap();
    assert_eq!((versions.len(), versions[0].version), (PROFILE_VERSIONS_MAX, on));
    assert!(matches!(control.web_profile_version("prf_a", version).await, Err(ControlError::NotFound(_))));
}

async fn a_profile_that_goes_leaves_its_agents_what_stands_behind(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let body = json!({});
    control.create_web_profile("prf_a", "a", change(&body, "")).await.unwrap();
    control.create_web_agent(&WebAgent { profile: Some("prf_a".into()), ..agent("agt_a", "a") }, at(2)).await.unwrap();
    control.assign_web_application("shop", Some("prf_a"), "ana", at(3)).await.unwrap();
    let lost = control.assign_web_application("till", Some("prf_no"), "ana", at(3)).await;
    assert!(matches!(lost, Err(ControlError::NotFound("profile"))), "{lost:?}");
    let shop = control.web_applications().await.unwrap().remove(0);
    assert_eq!((shop.name.as_str(), shop.profile.as_deref()), ("shop", Some("prf_a")));
    assert_eq!(shop.assigned, revision(&control).await);
    control.delete_web_profile("prf_a", "ana", at(4)).await.unwrap();
    let last = revision(&control).await;
    let (agent, shop) = (control.web_agent("agt_a").await.unwrap(), control.web_applications().await.unwrap().remove(0));
    assert_eq!((agent.profile, agent.assigned), (None, last));
    assert_eq!((shop.profile, shop.assigned), (None, last));
    for kept in [PROFILE_DEFAULT, "prf_a"] {
        assert!(matches!(control.delete_web_profile(kept, "ana", at(4)).await, Err(ControlError::NotFound(_))), "{kept}");
    }
}

async fn bans_are_told_once_by_whichever_node(kind: Kind) {
    let place = kind.place().await;
    let (one, other) = (place.open().await, place.open().await);
    one.tell_web_bans("abc").await.unwrap();
    let told = one.web_revision().await.unwrap();
    assert_eq!((told.bans.as_str(), told.bans_revision), ("abc", told.revision));
    other.tell_web_bans("abc").await.unwrap();
    assert_eq!(other.web_revision().await.unwrap(), told);
    other.tell_web_bans("").await.unwrap();
    assert_eq!(one.web_revision().await.unwrap().bans_revision, told.revision + 1);
}

on_both!(
    agents_are_kept_with_their_secrets_and_every_change_counts,
    instances_say_hello_and_are_forgotten,
    profiles_keep_their_versions_and_no_change_is_lost,
    a_profile_that_goes_leaves_its_agents_what_stands_behind,
    bans_are_told_once_by_whichever_node,
);
