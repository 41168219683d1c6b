//! Who calls, and what they may do.
mod caller;
mod directory;
mod gate;
mod keys;
mod origin;
mod password;
mod throttle;
mod token;

pub use caller::{Access, Caller, Scopes, Via};
pub use directory::Directory;
pub use gate::{Gate, cookie, gate, still_valid};
pub use keys::{new_key, shape_ok};
pub use origin::same_origin;
pub use password::{Passwords, password_ok};
pub use throttle::Throttle;
pub use token::Tokens;

use crate::ApiError;
use engine::control::{ApiKey, Control, Role, User};
use event::Timestamp;
use sha2::{Digest, Sha256};
use std::fmt::Write;

pub const SESSION_COOKIE: &str = "erne_session";

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// SHA-256 in hex: how random tokens are stored. They have 256 bits, so no slow hash is needed.
pub fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Makes the user `admin` with a random password if there is no user, and returns the password: the caller
/// shows it once, nothing keeps it.
pub async fn ensure_admin(control: &Control, now: Timestamp) -> Result<Option<String>, ApiError> {
    if !control.users().await?.is_empty() {
        return Ok(None);
    }
    let password = password::random_password();
    let hash = password::hash_now(&password).map_err(ApiError::Password)?;
    control.put_user(&User { name: "admin".into(), role: Role::Admin, password_hash: hash, created: now }).await?;
    control.audit("system", "user.create", "admin", "first start", now).await?;
    Ok(Some(password))
}

/// Makes an API key and gives its clear text, which is stored nowhere.
pub async fn create_key(control: &Control, name: &str, scopes: &[&str], by: &str, now: Timestamp) -> Result<String, ApiError> {
    let (id, clear, hash) = keys::new_key();
    let key = ApiKey {
        id: id.clone(),
        name: name.into(),
        scopes: scopes.iter().map(|s| (*s).to_owned()).collect(),
        hash,
        created: now,
        created_by: by.into(),
        last_used: None,
    };
    control.put_key(&key).await?;
    control.audit(by, "key.create", &id, name, now).await?;
    Ok(clear)
}

/// Whether the control plane knows this key, with at least these scopes.
pub async fn key_has(control: &Control, clear: &str, scopes: &[&str]) -> Result<bool, ApiError> {
    if !keys::shape_ok(clear) {
        return Ok(false);
    }
    let key = control.key_by_hash(&sha256_hex(clear)).await?;
    Ok(key.is_some_and(|key| scopes.iter().all(|scope| key.scopes.iter().any(|has| has == scope))))
}
