//! One writer at a time.
//!
//! What keeps two writers apart is the conditional put of a commit: the second one finds the version taken
//! and stops. Before it writes anything a writer takes over the table with a commit of its own, so that
//! files which an earlier one uploaded can never be committed any more, and may be deleted as leftovers.
//!
//! The lease, a small object that the writer renews every round of upkeep, is only there to tell people early:
//! a second Erne with the same `lake.url` refuses to start while the first one runs.

use super::S3;
use crate::lake::LakeError;
use bytes::Bytes;
use event::Timestamp;
use object_store::ObjectStoreExt;
use serde_json::{Value, json};

/// Delta ignores names that begin with an underscore.
const LEASE: &str = "_erne/writer.json";
/// A lease that was not renewed for so long is a dead writer's.
const LEASE_SECS: i64 = 90;

impl S3 {
    /// Refuses where another writer seems to be alive.
    pub fn look_for_other_writer(&self, now: Timestamp) -> Result<(), LakeError> {
        let Some(lease) = self.read_lease()? else { return Ok(()) };
        let age = now.secs() - lease["renewed"].as_i64().unwrap_or(0);
        if lease["writer"].as_str() == self.writer() || age.abs() >= LEASE_SECS {
            return Ok(());
        }
        let whose = describe(&lease);
        Err(LakeError::InUse(format!("{} was written {age} s ago by {whose}; stop that one, or wait {LEASE_SECS} s if it is dead: it", self.describe(""))))
    }

    /// Renews the lease, unless it has become another writer's: then its name is the answer.
    pub fn renew_lease(&self, now: Timestamp) -> Result<Option<String>, LakeError> {
        if let Some(lease) = self.read_lease()?
            && lease["writer"].as_str() != self.writer()
            && now.secs() - lease["renewed"].as_i64().unwrap_or(0) < LEASE_SECS
        {
            return Ok(Some(describe(&lease)));
        }
        self.take_lease(now)?;
        Ok(None)
    }

    pub fn take_lease(&self, now: Timestamp) -> Result<(), LakeError> {
        let lease = json!({"writer": self.writer(), "host": host(), "pid": std::process::id(), "renewed": now.secs()});
        self.put(LEASE, Bytes::from(lease.to_string()))
    }

    /// Lets another writer start at once. A shutdown does not wait for a store that is away: the lease runs out.
    pub fn give_up_lease(&self) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
        let (store, key, writer) = (self.store.clone(), self.key(LEASE), self.writer().map(str::to_owned));
        let _ = self.wait(PATIENCE, async move {
            let lease = store.get(&key).await?.bytes().await?;
            let lease: Value = serde_json::from_slice(&lease).unwrap_or(Value::Null);
            if lease["writer"].as_str() == writer.as_deref() {
                store.delete(&key).await?;
            }
            Ok(())
        });
    }

    fn read_lease(&self) -> Result<Option<Value>, LakeError> {
        let bytes = self.get(LEASE)?;
        Ok(bytes.map(|b| serde_json::from_slice(&b).unwrap_or(Value::Null)))
    }

    /// Tries all that a lake needs on an object of its own: list, conditional put, read, delete.
    pub fn try_out(&self) -> Result<(), LakeError> {
        let name = format!("_erne/try-{}", uuid::Uuid::new_v4());
        self.holds("")?;
        let result = self.try_object(&name);
        let deleted = self.delete(&name);
        result.and(deleted)
    }

    fn try_object(&self, name: &str) -> Result<(), LakeError> {
        self.create(name)?;
        match self.get(name)? {
            Some(bytes) if bytes == name.as_bytes() => self.must_honour_create(name, name.as_bytes()),
            _ => Err(LakeError::Failed(format!("{} was written and reads differently: this store is not consistent", self.describe(name)))),
        }
    }

    fn create(&self, name: &str) -> Result<(), LakeError> {
        let (store, key, body) = (self.store.clone(), self.key(name), Bytes::copy_from_slice(name.as_bytes()));
        self.run(name, 0, super::create(store, key, body))
    }

    /// A store that ignores `If-None-Match` would let two writers overwrite each other's commits. The object
    /// is there with this body, so that nothing changes where it does.
    pub fn must_honour_create(&self, name: &str, body: &[u8]) -> Result<(), LakeError> {
        let (store, key, body) = (self.store.clone(), self.key(name), Bytes::copy_from_slice(body));
        match self.wait(self.budget(0), super::create(store, key, body)) {
            Err(super::Failure::Store(object_store::Error::AlreadyExists { .. })) => Ok(()),
            Ok(()) => Err(LakeError::Failed(format!(
                "{}: this store does not honour If-None-Match, without which a lake is not safe in it; use another store, or a newer version of it",
                self.describe("")
            ))),
            Err(failure) => Err(self.explain(name, &failure)),
        }
    }
}

/// Whose commit it is that took a version's name.
pub(super) fn who_committed(place: &str, commit: &[u8]) -> String {
    let first = commit.split(|b| *b == b'\n').next().unwrap_or_default();
    let info: Value = serde_json::from_slice(first).unwrap_or(Value::Null);
    let info = &info["commitInfo"];
    let engine = info["engineInfo"].as_str().unwrap_or("another program");
    let writer = info["erneWriter"].as_str().map(|w| format!(", writer {w}")).unwrap_or_default();
    format!("{place} was written by another process ({engine}{writer})")
}

fn describe(lease: &Value) -> String {
    let text = |name: &str| lease[name].as_str().unwrap_or("unknown").chars().filter(|c| !c.is_control()).take(100).collect::<String>();
    format!("process {} on {} (writer {})", lease["pid"], text("host"), text("writer"))
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|h| h.trim().to_owned()).unwrap_or_default()
}
