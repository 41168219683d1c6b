use super::random;
use crate::ApiError;
use engine::control::User;
use event::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const ISSUER: &str = "erne";
const AUDIENCE: &str = "erne-api";
/// Ours have about 300; a longer one is refused before it is decoded.
const TOKEN_BYTES_MAX: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    pub sub: String,
    pub iss: String,
    pub aud: String,
    pub iat: i64,
    pub exp: i64,
    /// The user's fingerprint at the time of issue.
    pub ver: String,
}

/// Issues and checks JWTs: HS256 and nothing else, whatever a token's header asks for.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    pub valid_secs: u64,
}

impl Tokens {
    /// Reads `secrets/jwt.key` in the data folder, or makes it.
    pub fn open(data_dir: &Path, valid_secs: u64) -> Result<Self, ApiError> {
        let path = data_dir.join("secrets/jwt.key");
        let secret = secret(&path).map_err(|source| ApiError::Secret { path: path.display().to_string(), source })?;
        Ok(Self::with_secret(&secret, valid_secs))
    }

    pub fn with_secret(secret: &[u8], valid_secs: u64) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.leeway = 0;
        validation.validate_nbf = true;
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            valid_secs,
        }
    }

    pub fn issue(&self, user: &User, now: Timestamp) -> Option<String> {
        let claims = Claims {
            sub: user.name.clone(),
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            iat: now.secs(),
            exp: now.secs().saturating_add_unsigned(self.valid_secs),
            ver: fingerprint(user),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).ok()
    }

    /// The claims of a genuine token that has not ended. The caller still asks whether its user exists and
    /// has not changed. The header's `kid`, `jwk` and `jku` are never looked at.
    pub fn check(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation).ok()?.claims;
        (claims.exp > now.secs()).then_some(claims)
    }
}

/// Changes when the user's password or role changes or the user is made anew, so that every token issued
/// before is refused: the "not before" of a user without a column for it.
pub fn fingerprint(user: &User) -> String {
    let mut hash = super::sha256_hex(&format!("{}\0{:?}\0{}\0{}", user.name, user.role, user.created.0, user.password_hash));
    hash.truncate(32);
    hash
}

fn secret(path: &Path) -> io::Result<Vec<u8>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    match fs::File::open(path) {
        Ok(file) => read_secret(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path, folder),
        Err(error) => Err(error),
    }
}

fn read_secret(mut file: fs::File) -> io::Result<Vec<u8>> {
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!("secrets/jwt.key was readable by others; its mode is set to 600");
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let mut secret = Vec::new();
    file.read_to_end(&mut secret)?;
    if secret.len() != 32 {
        return Err(io::Error::other("it does not hold 32 bytes; delete it to make a new one (all tokens end)"));
    }
    Ok(secret)
}

/// Written beside and renamed, so that a crash never leaves half a secret.
fn make_secret(path: &Path, folder: &Path) -> io::Result<Vec<u8>> {
    let secret = random::<32>().to_vec();
    let beside = folder.join(format!(".jwt.key.{}", super::hex(&random::<4>())));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(secret)
}

#[cfg(test)]
mod tests;
