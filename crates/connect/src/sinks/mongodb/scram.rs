//! SCRAM-SHA-256 (RFC 5802 and 7677): shows the server that we know the password, and has it show the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Fewest rounds that RFC 7677 allows; most that a server may make us compute.
const ROUNDS_MIN: u32 = 4_096;
const ROUNDS_MAX: u32 = 1_000_000;

type Key = [u8; 32];

/// One exchange.
pub struct Scram {
    /// As SASLprep leaves it.
    password: String,
    nonce: String,
    first_bare: String,
}

/// Our proof, and how the server has to answer it.
pub struct Proof {
    pub message: String,
    expected: String,
}

impl Scram {
    /// `nonce` is printable ASCII without a comma, new for each exchange.
    pub fn new(user: &str, password: &str, nonce: String) -> Self {
        let password = stringprep::saslprep(password).map_or_else(|_| password.to_owned(), |text| text.into_owned());
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        Self { password, nonce, first_bare }
    }

    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// What to answer to the server's first message.
    pub fn proof(&self, server_first: &str) -> Result<Proof, String> {
        let nonce = attribute(server_first, "r=").filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len());
        let nonce = nonce.ok_or("the server answered another client's greeting")?;
        let salt = attribute(server_first, "s=").and_then(|salt| STANDARD.decode(salt).ok()).ok_or("the server sent no salt")?;
        let rounds = attribute(server_first, "i=").and_then(|rounds| rounds.parse().ok()).unwrap_or(0);
        if !(ROUNDS_MIN..=ROUNDS_MAX).contains(&rounds) {
            return Err(format!("the server asks for {rounds} rounds of hashing, not {ROUNDS_MIN} to {ROUNDS_MAX}"));
        }
        let salted = salted(self.password.as_bytes(), &salt, rounds);
        let client_key = mac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let signature = mac(&Sha256::digest(client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let expected = mac(&mac(&salted, b"Server Key"), signed.as_bytes());
        Ok(Proof { message: format!("{without_proof},p={}", STANDARD.encode(proof)), expected: format!("v={}", STANDARD.encode(expected)) })
    }
}

impl Proof {
    /// Whether the server knows the password too: else it is somebody in between.
    pub fn is_answered_by(&self, server_final: &str) -> bool {
        server_final.split(',').next() == Some(&self.expected)
    }
}

fn attribute<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.split(',').find_map(|part| part.strip_prefix(name))
}

fn mac(key: &[u8], text: &[u8]) -> Key {
    keyed(key).chain_update(text).finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// `Hi` of RFC 5802: the first block of PBKDF2.
fn salted(password: &[u8], salt: &[u8], rounds: u32) -> Key {
    let keyed = keyed(password);
    let mut block: Key = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes().into();
    let mut sum = block;
    for _ in 1..rounds {
        block = keyed.clone().chain_update(block).finalize().into_bytes().into();
        sum.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_of_rfc_7677_comes_out() {
        let scram = Scram::new("user", "pencil", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = scram.proof(server).unwrap();
        assert_eq!(
            proof.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(proof.is_answered_by("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!proof.is_answered_by("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!proof.is_answered_by("e=other-error"));
    }

    #[test]
    fn a_server_that_makes_it_easy_is_refused() {
        let scram = Scram::new("a,b=c", "x", "abc".into());
        assert_eq!(scram.first(), "n,,n=a=2Cb=3Dc,r=abc");
        for bad in ["r=abcd,s=AAAA,i=1", "r=xyz,s=AAAA,i=4096", "r=abc,s=AAAA,i=4096", "r=abcd,i=4096", "r=abcd,s=AAAA,i=4000000000", ""] {
            assert!(scram.proof(bad).is_err(), "{bad}");
        }
    }
}
