//! Signatures of agents: HMAC-SHA256 (RFC 2104) over what a request asks, when, and its body.
//!
//! `Authorization: ERNE-HMAC-SHA256 id=…,ts=…,nonce=…,sig=…`. A signature counts once and for five minutes: nonces are
//! remembered for as long as their time stamp would be accepted. That memory is this process's, so after a restart, or
//! at another node, a request of the last five minutes could be sent a second time; it would be inspected once more,
//! and what has an Idempotency-Key would be known.

use ahash::{AHashSet, RandomState};
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub const SCHEME: &str = "erne-hmac-sha256";
/// How far the clocks may be apart, in seconds.
const SKEW_SECS_MAX: i64 = 300;
/// Nonces in memory: twice what 2,000 requests a second bring while each is remembered. 8 bytes each and what a hash
/// table needs beside them: some 40 MB.
const NONCES_MAX: usize = 2_400_000;
/// Nonces are forgotten in steps of so many seconds.
const STEP_SECS: i64 = 60;
/// Of the header's value; ours have about 180.
const CREDENTIAL_BYTES_MAX: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the signature cannot be read; send `ERNE-HMAC-SHA256 id=…,ts=…,nonce=…,sig=…`")]
    Malformed,
    #[error("the time stamp is more than {SKEW_SECS_MAX} s from the server's clock; set the agent's clock")]
    Clock,
    #[error("there is no such agent, it is switched off, or the signature is wrong")]
    Wrong,
    #[error("this nonce was used before; make a new one for each request")]
    Replayed,
    #[error("more signed requests within {SKEW_SECS_MAX} s than are remembered; try again")]
    Full,
}

/// What an `Authorization` header says, not yet believed.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    pub id: &'a str,
    ts: &'a str,
    secs: i64,
    nonce: &'a str,
    sig: [u8; 32],
}

impl<'a> Signed<'a> {
    /// Reads what stands behind the scheme.
    pub fn parse(credential: &'a str) -> Result<Self, Refused> {
        if credential.len() > CREDENTIAL_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let (mut id, mut ts, mut nonce, mut sig) = (None, None, None, None);
        for part in credential.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or(Refused::Malformed)?;
            let place = match name {
                "id" => &mut id,
                "ts" => &mut ts,
                "nonce" => &mut nonce,
                "sig" => &mut sig,
                _ => return Err(Refused::Malformed),
            };
            if place.replace(value).is_some() {
                return Err(Refused::Malformed);
            }
        }
        let (Some(id), Some(ts), Some(nonce), Some(sig)) = (id, ts, nonce, sig) else { return Err(Refused::Malformed) };
        let is_nonce = (16..=64).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        let is_time = (1..=12).contains(&ts.len()) && ts.bytes().all(|b| b.is_ascii_digit());
        if !is_nonce || !is_time || id.is_empty() {
            return Err(Refused::Malformed);
        }
        Ok(Self { id, ts, secs: ts.parse().map_err(|_| Refused::Malformed)?, nonce, sig: unhex(sig).ok_or(Refused::Malformed)? })
    }

    /// Whether the time stamp is near enough: asked before a body is read.
    pub fn timely(&self, now_secs: i64) -> Result<(), Refused> {
        if (now_secs - self.secs).abs() > SKEW_SECS_MAX { Err(Refused::Clock) } else { Ok(()) }
    }

    /// Whether the secret's owner signed this request; in constant time.
    pub fn verify(&self, secret: &str, method: &str, path_and_query: &str, body: &[u8]) -> Result<(), Refused> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| Refused::Wrong)?;
        let body = crate::auth::hex(&Sha256::digest(body));
        for part in [method, "\n", path_and_query, "\n", self.ts, "\n", self.nonce, "\n", &body] {
            mac.update(part.as_bytes());
        }
        mac.verify_slice(&self.sig).map_err(|_| Refused::Wrong)
    }
}

/// 64 hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The nonces of the last minutes, by the step of their time stamp: the stamp is signed, so a nonce that comes again
/// comes in the same step.
pub struct Nonces {
    hasher: RandomState,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    steps: BTreeMap<i64, AHashSet<u64>>,
    count: usize,
}

impl Nonces {
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), seen: Mutex::default() }
    }

    /// Notes a nonce whose signature is right. Told apart by 64 bits of a keyed hash: of two million, two that differ
    /// are taken for the same with a chance of one in ten million.
    pub fn take(&self, signed: &Signed<'_>, now_secs: i64) -> Result<(), Refused> {
        let key = self.hasher.hash_one((signed.id, signed.nonce, signed.secs));
        let mut seen = self.seen.lock();
        let oldest = (now_secs - SKEW_SECS_MAX).div_euclid(STEP_SECS);
        while let Some(step) = seen.steps.first_entry().filter(|step| *step.key() < oldest) {
            let gone = step.remove().len();
            seen.count -= gone;
        }
        if seen.count >= NONCES_MAX {
            return Err(Refused::Full);
        }
        if !seen.steps.entry(signed.secs.div_euclid(STEP_SECS)).or_default().insert(key) {
            return Err(Refused::Replayed);
        }
        seen.count += 1;
        Ok(())
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.seen.lock().count
    }
}

/// Signs as agents do: for tests and `erne bench gateway`.
pub fn sign(id: &str, secret: &str, method: &str, path_and_query: &str, body: &[u8], ts: i64, nonce: &str) -> String {
    let body = crate::auth::hex(&Sha256::digest(body));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{method}\n{path_and_query}\n{ts}\n{nonce}\n{body}").as_bytes());
    format!("ERNE-HMAC-SHA256 id={id},ts={ts},nonce={nonce},sig={}", crate::auth::hex(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "abcdefghijklmnop";

    fn credential(header: &str) -> &str {
        header.split_once(' ').unwrap().1
    }

    /// The message spelt out and signed by Python's `hmac`, so that both sides cannot be wrong in the same way.
    #[test]
    fn a_signature_made_elsewhere_is_understood() {
        let header = sign("agt_1", "s3cret", "POST", "/api/v1/inspect?a=1", b"{}", 1_795_000_000, NONCE);
        assert_eq!(header, format!("ERNE-HMAC-SHA256 id=agt_1,ts=1795000000,nonce={NONCE},sig={EXPECTED}"));
        let signed = Signed::parse(credential(&header)).unwrap();
        assert_eq!(signed.verify("s3cret", "POST", "/api/v1/inspect?a=1", b"{}"), Ok(()));
        for (secret, method, path, body) in [
            ("s3cres", "POST", "/api/v1/inspect?a=1", "{}"),
            ("s3cret", "PUT", "/api/v1/inspect?a=1", "{}"),
            ("s3cret", "POST", "/api/v1/inspect?a=2", "{}"),
            ("s3cret", "POST", "/api/v1/inspect?a=1", "{ }"),
        ] {
            assert_eq!(signed.verify(secret, method, path, body.as_bytes()), Err(Refused::Wrong));
        }
    }

    const EXPECTED: &str = "eb2b005f7b3aa48a3f115e1a583ddaa55c2d945b239234fc4de7374eec81cb50";

    #[test]
    fn what_is_no_signature_is_refused_before_anything_is_hashed() {
        let sig = "0".repeat(64);
        let good = format!("id=a,ts=5,nonce={NONCE},sig={sig}");
        assert!(Signed::parse(&good).is_ok());
        for bad in [
            String::new(),
            "id=a".into(),
            format!("{good},id=b"),
            format!("{good},x=1"),
            good.replace(NONCE, "short"),
            good.replace(NONCE, &"n".repeat(65)),
            good.replace(NONCE, "abcdefghijklmno%"),
            good.replace("ts=5", "ts=-5"),
            good.replace("ts=5", "ts="),
            good.replace("ts=5", "ts=5.0"),
            good.replace("id=a", "id="),
            good.replace(&sig, "00"),
            good.replace(&sig, &"g".repeat(64)),
            good.replace(&sig, &"é".repeat(32)),
            format!("{good}{}", " ".repeat(600)),
        ] {
            assert_eq!(Signed::parse(&bad), Err(Refused::Malformed), "{bad}");
        }
    }

    #[test]
    fn clocks_may_differ_a_little_and_a_nonce_counts_once() {
        let nonces = Nonces::new();
        let header = sign("a", "k", "GET", "/", b"", 1_000, NONCE);
        let signed = Signed::parse(credential(&header)).unwrap();
        for (now, want) in [(700, Ok(())), (1_300, Ok(())), (699, Err(Refused::Clock)), (1_301, Err(Refused::Clock))] {
            assert_eq!(signed.timely(now), want, "{now}");
        }
        assert_eq!(nonces.take(&signed, 700), Ok(()));
        for now in [700, 1_000, 1_300] {
            assert_eq!(nonces.take(&signed, now), Err(Refused::Replayed), "{now}");
        }
        let other = sign("b", "k", "GET", "/", b"", 1_000, NONCE);
        assert_eq!(nonces.take(&Signed::parse(credential(&other)).unwrap(), 1_000), Ok(()), "another agent's nonces are its own");
        let later = sign("a", "k", "GET", "/", b"", 1_700, NONCE);
        assert_eq!(nonces.take(&Signed::parse(credential(&later)).unwrap(), 1_700), Ok(()));
        assert_eq!(nonces.count(), 1, "those whose time is over are forgotten");
    }
}
