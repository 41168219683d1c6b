//! Tampering with the audit log, behind the platform's back.

use crate::place::{Kind, Place, on_both};
use event::Timestamp;
use store::control::{BrokenAt, Control};

async fn filled(place: &Place) -> Control {
    let control = place.open().await;
    for n in 1..=5 {
        control.audit("alice", "user.put", &format!("user{n}"), "role=viewer", Timestamp::from_secs(n)).await.unwrap();
    }
    control
}

async fn an_untouched_chain_is_intact_across_a_restart(kind: Kind) {
    let place = kind.place().await;
    let control = filled(&place).await;
    assert_eq!(control.audit_verify().await.unwrap(), Ok(5));
    control.close().await;
    let control = place.open().await;
    control.audit("bob", "login", "", "", Timestamp::from_secs(6)).await.unwrap();
    assert_eq!(control.audit_verify().await.unwrap(), Ok(6));
    let page = control.audit_entries(4, None).await.unwrap();
    assert_eq!(page.items.iter().map(|e| e.seq).collect::<Vec<_>>(), [6, 5, 4, 3]);
    assert_eq!((page.items[1].target.as_str(), page.total), ("user5", 6));
    let rest = control.audit_entries(4, page.next_cursor.as_deref()).await.unwrap();
    assert_eq!(rest.items.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 1]);
    assert!(rest.next_cursor.is_none());
}

async fn every_kind_of_tampering_is_named(kind: Kind) {
    let changed = "changed since it was written";
    let zeros = if kind == Kind::Sqlite { "zeroblob(32)" } else { "decode(repeat('00', 32), 'hex')" };
    let cases = [
        ("UPDATE audit SET detail = 'role=viewes' WHERE seq = 3", 3, changed),
        ("UPDATE audit SET time = time + 1 WHERE seq = 3", 3, changed),
        ("UPDATE audit SET actor = 'alic', action = 'euser.put' WHERE seq = 2", 2, changed),
        ("UPDATE audit SET hash = ZEROS WHERE seq = 4", 4, changed),
        // Only SQLite lets a column hold what it is not made for.
        ("UPDATE audit SET hash = 'text', time = 'text' WHERE seq = 4", 4, changed),
        ("DELETE FROM audit WHERE seq = 2", 2, "missing"),
        ("DELETE FROM audit WHERE seq = 1", 1, "missing"),
        ("DELETE FROM audit WHERE seq >= 4", 4, "missing at the end"),
        ("DELETE FROM audit", 1, "missing at the end"),
        ("UPDATE audit_mark SET hash = ZEROS", 5, "not the newest that was written"),
    ];
    for (sql, seq, reason) in cases {
        if kind == Kind::Postgres && sql.contains("time = 'text'") {
            continue;
        }
        let place = kind.place().await;
        let control = filled(&place).await;
        place.run(&sql.replace("ZEROS", zeros)).await;
        assert_eq!(control.audit_verify().await.unwrap(), Err(BrokenAt { seq, reason }), "{sql}");
    }
}

/// What several nodes, or several people on one, write at the same time is one chain.
async fn many_writers_make_one_chain(kind: Kind) {
    const WRITERS: u64 = 8;
    const EACH: u64 = 20;
    let place = kind.place().await;
    let mut nodes = vec![place.open().await];
    if kind == Kind::Postgres {
        nodes.push(place.open().await);
        nodes.push(place.open().await);
    }
    let writers = (0..WRITERS).map(|n| {
        let control = nodes[n as usize % nodes.len()].clone();
        tokio::spawn(async move {
            for i in 0..EACH {
                control.audit(&format!("writer{n}"), "note", &i.to_string(), "with \0 in it", Timestamp::from_secs(1)).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for node in &nodes {
        assert_eq!(node.audit_verify().await.unwrap(), Ok(WRITERS * EACH));
    }
}

/// One byte of the file itself, as a disk or a hex editor would change it.
#[tokio::test]
async fn a_flipped_byte_in_the_file_names_the_entry() {
    let place = Kind::Sqlite.place().await;
    filled(&place).await.close().await;
    let path = place.path();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|w| w == b"user4").expect("the entry is in the file");
    bytes[at + 4] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let broken = place.open().await.audit_verify().await.unwrap().unwrap_err();
    assert_eq!(broken.to_string(), "audit entry 4: changed since it was written");
}

on_both!(an_untouched_chain_is_intact_across_a_restart, every_kind_of_tampering_is_named, many_writers_make_one_chain);
