use engine::control::{ApiKey, Control, ControlError, User};
use event::Timestamp;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How old the copy may be: half of the second within which a revocation must hold.
const AGE_MAX: Duration = Duration::from_millis(500);
/// A key's last use is written at most so often.
const USED_EVERY_SECS: i64 = 60;

/// Users and keys, copied from the control plane at most every half second: a flood of bad tokens costs one
/// look-up in memory each, whatever the database does.
pub struct Directory {
    copy: RwLock<Arc<Copy>>,
    loading: tokio::sync::Mutex<()>,
    /// Grows when this process changes a user or key: an older copy is then stale at once.
    generation: AtomicU64,
    /// When each key's use was last written.
    used: Mutex<ahash::AHashMap<String, Timestamp>>,
}

#[derive(Default)]
pub struct Copy {
    loaded: Option<(Instant, u64)>,
    users: ahash::AHashMap<String, Arc<User>>,
    keys_by_hash: ahash::AHashMap<String, Arc<ApiKey>>,
}

impl Copy {
    pub fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }
    pub fn key(&self, hash: &str) -> Option<&Arc<ApiKey>> {
        self.keys_by_hash.get(hash)
    }
}

impl Directory {
    pub fn new() -> Self {
        Self {
            copy: RwLock::default(),
            loading: tokio::sync::Mutex::new(()),
            generation: AtomicU64::new(0),
            used: Mutex::default(),
        }
    }

    /// The copy, loaded again if it is too old.
    pub async fn current(&self, control: &Control) -> Result<Arc<Copy>, ControlError> {
        if let Some(copy) = self.fresh() {
            return Ok(copy);
        }
        let _one_loads = self.loading.lock().await;
        if let Some(copy) = self.fresh() {
            return Ok(copy);
        }
        let generation = self.generation.load(Ordering::Acquire);
        let loaded = Some((Instant::now(), generation));
        let users = control.users().await?.into_iter().map(|u| (u.name.clone(), Arc::new(u))).collect();
        let keys = control.keys().await?.into_iter().map(|k| (k.hash.clone(), Arc::new(k))).collect();
        let copy = Arc::new(Copy { loaded, users, keys_by_hash: keys });
        *self.copy.write() = copy.clone();
        Ok(copy)
    }

    fn fresh(&self) -> Option<Arc<Copy>> {
        let copy = self.copy.read().clone();
        let (at, generation) = copy.loaded?;
        (at.elapsed() < AGE_MAX && generation == self.generation.load(Ordering::Acquire)).then_some(copy)
    }

    /// This process has changed a user or a key.
    pub fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// This process has deleted a key.
    pub fn forget(&self, key_id: &str) {
        self.used.lock().remove(key_id);
        self.changed();
    }

    /// Whether a use of the key at `now` is due to be written; says so once.
    pub fn use_is_due(&self, key: &ApiKey, now: Timestamp) -> bool {
        let mut used = self.used.lock();
        let last = used.get(&key.id).copied().or(key.last_used);
        let due = last.is_none_or(|last| now >= last.plus_secs(USED_EVERY_SECS));
        if due {
            used.insert(key.id.clone(), now);
        }
        due
    }
}
