//! Bans, trusts and admins' addresses.

use crate::place::{Kind, on_both};
use event::{Id, Timestamp};
use store::control::{Ban, BanFilter, BanSource, BanState, ControlError, Trust, Undoing};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn ban(n: u8, cidr: &str, created: i64, until: Option<i64>) -> Ban {
    Ban {
        id: Id([n; 16]), cidr: cidr.into(), reason: format!("because {n}"), actor: "ana".into(), source: BanSource::Manual, rule: None, rule_name: None,
        alert: None, finding: None, created_at: at(created), until: until.map(at), dry_run: false, grown_from: None, offences: 0, undone: None,
    }
}

fn trust(n: u8, cidr: &str) -> Trust {
    Trust { id: Id([n; 16]), cidr: cidr.into(), reason: "office".into(), actor: "root".into(), created_at: at(1) }
}

fn ids(bans: &[Ban]) -> Vec<u8> {
    bans.iter().map(|b| b.id.0[0]).collect()
}

const BY_ANA: Undoing<'static> = Undoing { actor: "ana", reason: "a mistake", by_person: true };

async fn bans_are_stored_once_end_by_their_time_and_can_be_taken_back(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let all = [ban(1, "192.0.2.1/32", 10, Some(50)), ban(2, "192.0.2.2/32", 20, None), ban(3, "2001:db8::/64", 30, Some(40))];
    assert_eq!(control.bans_generation().await.unwrap(), 0);
    assert_eq!(control.put_bans(&all, None, at(30)).await.unwrap().len(), 3);
    let generation = control.bans_generation().await.unwrap();
    assert!(generation > 0);
    assert!(control.put_bans(&all, None, at(31)).await.unwrap().is_empty(), "the same again changes nothing");
    assert_eq!(control.bans_generation().await.unwrap(), generation);
    assert_eq!(ids(&control.standing_bans(at(39)).await.unwrap()), [1, 2, 3]);
    assert_eq!(ids(&control.standing_bans(at(40)).await.unwrap()), [1, 2], "the end is exclusive");
    let undone = control.undo_bans(&[all[1].id, all[2].id, Id([9; 16])], BY_ANA, at(45)).await.unwrap();
    assert_eq!(ids(&undone), [2], "what is over and what is not there are passed over");
    assert!(control.undo_bans(&[all[1].id], BY_ANA, at(46)).await.unwrap().is_empty());
    drop(control);
    let control = place.open().await;
    assert_eq!(ids(&control.standing_bans(at(45)).await.unwrap()), [1]);
    let stored = control.ban(all[1].id).await.unwrap();
    assert_eq!((stored.state(at(46)), stored.undone.as_ref().map(|u| u.reason.as_str())), (BanState::Undone, Some("a mistake")));
    assert!(matches!(control.ban(Id([9; 16])).await, Err(ControlError::NotFound("ban"))));
    assert_eq!(ids(&control.bans_ended(at(35), at(46), 10).await.unwrap()), [3, 2]);
    assert_eq!(control.last_taken_back("192.0.2.2/32").await.unwrap(), Some(at(45)));
    assert_eq!(control.last_taken_back("192.0.2.1/32").await.unwrap(), None);
    let log = control.audit_entries(10, None).await.unwrap().items;
    let said: Vec<_> = log.iter().map(|e| (e.action.as_str(), e.target.as_str())).collect();
    assert_eq!(said, [("ban.undo", "192.0.2.2/32"), ("ban.create", "2001:db8::/64"), ("ban.create", "192.0.2.2/32"), ("ban.create", "192.0.2.1/32")]);
    assert_eq!(control.audit_verify().await.unwrap(), Ok(4));
}

async fn lists_are_narrowed_and_paged(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let all = [ban(1, "192.0.2.1/32", 10, Some(50)), ban(2, "192.0.2.2/32", 20, None), ban(3, "198.51.100.0/24", 30, Some(60)), ban(4, "192.0.2.100/32", 40, None)];
    control.put_bans(&all, None, at(40)).await.unwrap();
    control.undo_bans(&[all[3].id], BY_ANA, at(41)).await.unwrap();
    let list = async |states: &[BanState], text: Option<&str>| {
        let filter = BanFilter { states: states.to_vec(), text: text.map(str::to_owned), ..BanFilter::default() };
        let listed = control.bans(&filter, at(55)).await.unwrap();
        assert_eq!(listed.total as usize, listed.items.len());
        ids(&listed.items)
    };
    assert_eq!(list(&[], None).await, [4, 3, 2, 1]);
    assert_eq!(list(&[BanState::Active], None).await, [3, 2]);
    assert_eq!(list(&[BanState::Expired], None).await, [1]);
    assert_eq!(list(&[BanState::Undone, BanState::Expired], None).await, [4, 1]);
    assert_eq!(list(&[], Some("BECAUSE 3")).await, [3]);
    assert_eq!(list(&[BanState::Active], Some("192.0.2.")).await, [2]);
    assert_eq!(list(&[], Some("%")).await, [] as [u8; 0], "a sign of LIKE is a character");
    let filter = BanFilter { limit: 3, ..BanFilter::default() };
    let page = control.bans(&filter, at(55)).await.unwrap();
    assert_eq!((ids(&page.items), page.total), (vec![4, 3, 2], 4));
    let rest = control.bans(&BanFilter { cursor: page.next_cursor, ..filter }, at(55)).await.unwrap();
    assert_eq!((ids(&rest.items), rest.next_cursor), (vec![1], None));
}

async fn what_rules_banned_is_counted_and_known_by_its_finding(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let of_rule = |n: u8, created, dry_run| Ban { source: BanSource::Rule, finding: Some(Id([100 + n; 16])), dry_run, ..ban(n, "192.0.2.1/32", created, Some(created + 5)) };
    let grown = Ban { source: BanSource::Rule, grown_from: Some(8), ..ban(5, "192.0.2.0/24", 20, None) };
    control.put_bans(&[of_rule(1, 10, false), of_rule(2, 20, false), of_rule(3, 20, true), grown], None, at(20)).await.unwrap();
    assert_eq!(control.count_rule_bans(at(0), false).await.unwrap(), 2);
    assert_eq!(control.count_rule_bans(at(15), false).await.unwrap(), 1);
    assert_eq!(control.count_rule_bans(at(0), true).await.unwrap(), 1);
    assert_eq!(control.offences("192.0.2.1/32", at(0), false).await.unwrap(), 2);
    assert_eq!(control.offences("192.0.2.1/32", at(11), false).await.unwrap(), 1);
    control.undo_bans(&[Id([2; 16])], BY_ANA, at(21)).await.unwrap();
    assert_eq!(control.offences("192.0.2.1/32", at(0), false).await.unwrap(), 1, "a mistake is no offence");
    let asked: Vec<Id> = (99..105).map(|n| Id([n; 16])).collect();
    let mut known = control.findings_answered(&asked).await.unwrap();
    known.sort();
    assert_eq!(known, [(Id([101; 16]), Id([1; 16])), (Id([102; 16]), Id([2; 16])), (Id([103; 16]), Id([3; 16]))]);
}

async fn trusts_are_one_for_a_network_and_addresses_are_noted(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    control.put_trust(&trust(1, "10.0.0.0/8"), at(1)).await.unwrap();
    control.put_trust(&trust(2, "192.0.2.0/24"), at(1)).await.unwrap();
    assert!(matches!(control.put_trust(&trust(3, "10.0.0.0/8"), at(1)).await, Err(ControlError::Exists(_))));
    let generation = control.bans_generation().await.unwrap();
    assert_eq!(control.delete_trust(Id([1; 16]), "root", at(2)).await.unwrap(), trust(1, "10.0.0.0/8"));
    assert!(matches!(control.delete_trust(Id([1; 16]), "root", at(2)).await, Err(ControlError::NotFound("trust"))));
    assert_eq!(control.trusts().await.unwrap(), [trust(2, "192.0.2.0/24")]);
    assert_eq!(control.bans_generation().await.unwrap(), generation + 1);
    control.note_address("203.0.113.5", "root", at(10)).await.unwrap();
    assert_eq!(control.bans_generation().await.unwrap(), generation + 2);
    control.note_address("203.0.113.5", "root", at(20)).await.unwrap();
    assert_eq!(control.bans_generation().await.unwrap(), generation + 2, "an address that is known moves nothing");
    assert_eq!(control.admin_addresses(at(20)).await.unwrap()[0].seen, at(20));
    assert!(control.admin_addresses(at(21)).await.unwrap().is_empty());
    let actions: Vec<_> = control.audit_entries(10, None).await.unwrap().items.into_iter().map(|e| e.action).collect();
    assert_eq!(actions, ["trust.delete", "trust.create", "trust.create"]);
}

async fn an_import_is_one_line_of_the_audit_log_and_old_bans_leave(kind: Kind) {
    let place = kind.place().await;
    let control = place.open().await;
    let list: Vec<Ban> = (1..=20).map(|n| Ban { source: BanSource::Import, ..ban(n, &format!("192.0.2.{n}/32"), 10, (n % 2 == 0).then_some(20)) }).collect();
    assert_eq!(control.put_bans(&list, Some("blocklist.txt"), at(10)).await.unwrap().len(), 20);
    let log = control.audit_entries(10, None).await.unwrap().items;
    assert_eq!((log.len(), log[0].target.as_str(), log[0].detail.as_str()), (1, "blocklist.txt", "20 networks"));
    control.prune(at(30), at(30)).await.unwrap();
    assert_eq!(control.bans(&BanFilter::default(), at(30)).await.unwrap().total, 10, "those for good stay");
}

on_both!(
    bans_are_stored_once_end_by_their_time_and_can_be_taken_back,
    lists_are_narrowed_and_paged,
    what_rules_banned_is_counted_and_known_by_its_finding,
    trusts_are_one_for_a_network_and_addresses_are_noted,
    an_import_is_one_line_of_the_audit_log_and_old_bans_leave,
);
