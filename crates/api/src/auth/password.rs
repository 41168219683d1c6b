use super::random;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longer ones would let a login cost more than Argon2id itself.
const PASSWORD_BYTES_MAX: usize = 1024;
// OWASP's first choice for Argon2id without parallelism: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at a time: the machine has other work. 2 × 19 MiB.
const AT_ONCE_MAX: usize = 2;
/// Logins that may wait for a place.
const WAITING_MAX: usize = 32;

/// Checks passwords without letting a flood of logins take the machine.
pub struct Passwords {
    places: Semaphore,
    waiting: AtomicUsize,
    /// A hash that no password has, for users that do not exist: their answer takes as long.
    nobody: String,
}

/// Too many logins wait already.
pub struct Busy;

impl Passwords {
    pub fn new() -> Self {
        let nobody = hash_now(&random_password()).expect("the parameters are valid");
        Self { places: Semaphore::new(AT_ONCE_MAX), waiting: AtomicUsize::new(0), nobody }
    }

    /// Whether the password is the one of the hash; with no hash it takes as long and is false.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, Busy> {
        let known = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).to_owned();
        let password = cut(password).to_owned();
        let right = self.run(move || verify_now(&password, &hash)).await?;
        Ok(known && right)
    }

    pub async fn hash(&self, password: &str) -> Result<Result<String, String>, Busy> {
        let password = password.to_owned();
        self.run(move || hash_now(&password)).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let _waiting = Waiting::enter(&self.waiting).ok_or(Busy)?;
        let _place = self.places.acquire().await.map_err(|_| Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

struct Waiting<'a>(&'a AtomicUsize);
impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(waiting)
    }
}
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn argon() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// On the calling thread; takes tens of milliseconds.
pub fn hash_now(password: &str) -> Result<String, String> {
    let salt = SaltString::encode_b64(&random::<16>()).map_err(|e| e.to_string())?;
    let hash = argon().hash_password(password.as_bytes(), &salt).map_err(|e| e.to_string())?;
    Ok(hash.to_string())
}

fn verify_now(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    !password.is_empty() && argon().verify_password(password.as_bytes(), &hash).is_ok()
}

fn cut(password: &str) -> &str {
    // A longer one is nobody's: `password_ok` refuses it when it is set.
    if password.len() > PASSWORD_BYTES_MAX { "" } else { password }
}

/// Whether a password may be set; the reason if not.
pub fn password_ok(password: &str) -> Result<(), String> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(format!("the password is too short: use at least {PASSWORD_CHARS_MIN} characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(format!("the password is too long: use at most {PASSWORD_BYTES_MAX} bytes"));
    }
    Ok(())
}

/// Four groups of five out of 32 characters that are not mistaken for each other: 100 bits.
pub fn random_password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters = random::<20>().map(|b| ALPHABET[usize::from(b % 32)] as char);
    letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_with_the_stated_parameters_and_fits_only_its_password() {
        let password = random_password();
        let hash = hash_now(&password).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_now(&password, &hash));
        assert!(!verify_now(&random_password(), &hash));
        assert!(!verify_now("", &hash_now("").unwrap()));
        assert!(!verify_now(&password, "not a hash"));
    }

    #[test]
    fn short_and_endless_passwords_are_refused() {
        assert!(password_ok("short").is_err());
        assert!(password_ok(&"x".repeat(2000)).is_err());
        assert!(password_ok(&random_password()).is_ok());
    }
}
