use engine::control::{ApiKey, Control, ControlError, User};
use event::Timestamp;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How old the copy may be: half of the second within which a revocation must hold.
const AGE_MAX: Duration = Duration::from_millis(500);
/// How long the copy goes on to count while the control plane cannot be read: what senders and people may do does
/// not end because a database is being restarted, and nobody could change it meanwhile.
const AGE_MAX_WITHOUT_CONTROL: Duration = Duration::from_secs(15 * 60);
/// How long an answer is waited for then, and how long the next question waits.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A key's last use is written at most so often.
const USED_EVERY_SECS: i64 = 60;

/// Users and keys, copied from the control plane at most every half second: a flood of bad tokens costs one
/// look-up in memory each, whatever the database does.
pub struct Directory {
    copy: RwLock<Arc<Copy>>,
    loading: tokio::sync::Mutex<()>,
    /// Grows when this process changes a user or key: an older copy is then stale at once.
    generation: AtomicU64,
    /// When it last could not be loaded.
    failed: Mutex<Option<Instant>>,
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
            failed: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// The copy, loaded again if it is too old; the old one for a while, if the control plane is not there.
    pub async fn current(&self, control: &Control) -> Result<Arc<Copy>, ControlError> {
        if let Some(copy) = self.fresh() {
            return Ok(copy);
        }
        // Nobody waits for one who asks a database that was away a moment ago.
        let _one_loads = match (self.loading.try_lock(), self.last_known()) {
            (Ok(_), Some((copy, true))) | (Err(_), Some((copy, _))) => return Ok(copy),
            (Ok(guard), _) => guard,
            (Err(_), None) => self.loading.lock().await,
        };
        if let Some(copy) = self.fresh() {
            return Ok(copy);
        }
        let loaded = tokio::time::timeout(ANSWER_MAX, self.load(control)).await;
        let loaded = loaded.unwrap_or_else(|_| Err(ControlError::Failed("no answer in time".to_owned())));
        *self.failed.lock() = loaded.is_err().then(Instant::now);
        loaded.or_else(|error| self.last_known().map(|(copy, _)| copy).ok_or(error))
    }

    async fn load(&self, control: &Control) -> Result<Arc<Copy>, ControlError> {
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

    /// The copy as it was when the control plane went away, and whether that was asked just now.
    fn last_known(&self) -> Option<(Arc<Copy>, bool)> {
        let failed = (*self.failed.lock())?;
        let copy = self.copy.read().clone();
        let (at, _) = copy.loaded?;
        (at.elapsed() < AGE_MAX_WITHOUT_CONTROL).then_some((copy, failed.elapsed() < ASK_AGAIN))
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
