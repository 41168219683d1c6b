//! Tampering with the audit log, behind the platform's back.

use event::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};
use std::path::Path;
use store::control::{BrokenAt, Control};

async fn filled(dir: &Path) -> Control {
    let control = Control::open(&dir.join("control.db")).await.unwrap();
    for n in 1..=5 {
        control.audit("alice", "user.put", &format!("user{n}"), "role=viewer", Timestamp::from_secs(n)).await.unwrap();
    }
    control
}

async fn tamper(dir: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(dir.join("control.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn an_untouched_chain_is_intact_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let control = filled(dir.path()).await;
    assert_eq!(control.audit_verify().await.unwrap(), Ok(5));
    control.close().await;
    let control = Control::open(&dir.path().join("control.db")).await.unwrap();
    control.audit("bob", "login", "", "", Timestamp::from_secs(6)).await.unwrap();
    assert_eq!(control.audit_verify().await.unwrap(), Ok(6));
    let page = control.audit_entries(4, None).await.unwrap();
    assert_eq!(page.items.iter().map(|e| e.seq).collect::<Vec<_>>(), [6, 5, 4, 3]);
    assert_eq!((page.items[1].target.as_str(), page.total), ("user5", 6));
    let rest = control.audit_entries(4, page.next_cursor.as_deref()).await.unwrap();
    assert_eq!(rest.items.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 1]);
    assert!(rest.next_cursor.is_none());
}

#[tokio::test]
async fn every_kind_of_tampering_is_named() {
    let changed = "changed since it was written";
    let cases = [
        ("UPDATE audit SET detail = 'role=viewes' WHERE seq = 3", 3, changed),
        ("UPDATE audit SET time = time + 1 WHERE seq = 3", 3, changed),
        ("UPDATE audit SET actor = 'alic', action = 'euser.put' WHERE seq = 2", 2, changed),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 4", 4, changed),
        ("UPDATE audit SET hash = 'text', time = 'text' WHERE seq = 4", 4, changed),
        ("DELETE FROM audit WHERE seq = 2", 2, "missing"),
        ("DELETE FROM audit WHERE seq = 1", 1, "missing"),
        ("DELETE FROM audit WHERE seq >= 4", 4, "missing at the end"),
        ("DELETE FROM audit", 1, "missing at the end"),
        ("UPDATE audit_mark SET hash = zeroblob(32)", 5, "not the newest that was written"),
    ];
    for (sql, seq, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        let control = filled(dir.path()).await;
        tamper(dir.path(), sql).await;
        assert_eq!(control.audit_verify().await.unwrap(), Err(BrokenAt { seq, reason }), "{sql}");
    }
}

/// One byte of the file itself, as a disk or a hex editor would change it.
#[tokio::test]
async fn a_flipped_byte_in_the_file_names_the_entry() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await.close().await;
    let path = dir.path().join("control.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(5).position(|w| w == b"user4").expect("the entry is in the file");
    bytes[place + 4] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let control = Control::open(&path).await.unwrap();
    let broken = control.audit_verify().await.unwrap().unwrap_err();
    assert_eq!(broken.to_string(), "audit entry 4: changed since it was written");
}
