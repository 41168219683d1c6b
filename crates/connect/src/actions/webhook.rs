//! A webhook: what is banned and what is lifted, as signed JSON to somebody else's program.
//!
//! `POST` with `{"delivery", "time", "ban": [{"cidr", "until", "reason"}], "lift": ["cidr"]}`. `X-Erne-Signature` is
//! `t=<unix seconds>,v1=<hex>`, an HMAC-SHA256 under the secret over `<unix seconds>.<body>`; receivers refuse what is older
//! than they like. A delivery counts when it is answered 2xx and is repeated otherwise, so one may come twice.
//!
//! A webhook cannot be asked what it holds: a file remembers what was delivered. What ends by its time is lifted too.

use super::memory::Memory;
use super::{Action, ActionError, Change, End, Held, Refused, failed};
use event::Timestamp;
use hmac::{Hmac, Mac};
use ipnet::IpNet;
use serde_json::json;
use sha2::Sha256;
use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;
use ureq::Agent;

pub const SECRET_BYTES_MIN: usize = 16;
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// Networks of one delivery.
const NETS_MAX: usize = 1_000;

pub struct Webhook {
    name: String,
    agent: Agent,
    url: String,
    secret: String,
    memory: Memory,
}

/// Whether the address can be called.
pub fn check_url(url: &str) -> Result<(), String> {
    if url.starts_with("http://") || url.starts_with("https://") { Ok(()) } else { Err("the url begins with http:// or https://".into()) }
}

impl Webhook {
    pub fn new(name: &str, url: &str, secret: String, memory: Memory) -> Result<Self, String> {
        // A redirect would take the body to somebody who was not named.
        let config = Agent::config_builder().timeout_global(Some(ANSWER_MAX)).http_status_as_error(false).max_redirects(0).max_redirects_will_error(false);
        Ok(Self { name: name.to_owned(), agent: crate::https::agent(config.build(), None)?, url: url.to_owned(), secret, memory })
    }

    fn deliver(&self, change: &Change, now: Timestamp) -> Result<(), ActionError> {
        let ban: Vec<_> = change.add.iter().map(|e| json!({"cidr": e.net.to_string(), "until": e.until, "reason": e.reason})).collect();
        let lift: Vec<String> = change.remove.iter().map(ToString::to_string).collect();
        let body = json!({"delivery": format!("{}-{}", self.name, now.0), "time": now, "ban": ban, "lift": lift}).to_string();
        let secs = now.secs();
        let signature = format!("t={secs},v1={}", sign(&self.secret, secs, &body));
        let request = self.agent.post(&self.url).header("content-type", "application/json").header("x-erne-signature", signature);
        let answer = request.send(body).map_err(failed)?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            status => Err(failed(format!("the receiver answered {status}"))),
        }
    }
}

/// The signature's hexadecimal digits.
pub fn sign(secret: &str, secs: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{secs}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a String takes all text");
        out
    })
}

impl Action for Webhook {
    fn held(&mut self, _: Timestamp) -> Result<Vec<Held>, ActionError> {
        let held = |(net, until): (&IpNet, &Option<Timestamp>)| Held { net: *net, end: until.map_or(End::Never, End::At), ours: true };
        Ok(self.memory.nets.iter().map(held).collect())
    }

    fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Vec<Refused>, ActionError> {
        let mut rest = change.clone();
        // What only ends at another time is told again, not lifted.
        let again: HashSet<IpNet> = change.add.iter().map(|entry| entry.net).collect();
        rest.remove.retain(|net| !again.contains(net));
        while !rest.is_empty() {
            let part = Change {
                remove: rest.remove.drain(..rest.remove.len().min(NETS_MAX)).collect(),
                add: rest.add.drain(..rest.add.len().min(NETS_MAX)).collect(),
            };
            self.deliver(&part, now)?;
            self.memory.nets.retain(|net, _| !part.remove.contains(net));
            self.memory.nets.extend(part.add.iter().map(|entry| (entry.net, entry.until)));
            self.memory.save()?;
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, with our way to put the message together.
    #[test]
    fn signatures_are_hmac_sha256_over_time_and_body() {
        let plain = |message: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(b"Jefe").unwrap();
            mac.update(message.as_bytes());
            mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>()
        };
        assert_eq!(plain("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(sign("Jefe", 5, "{}"), plain("5.{}"));
    }
}
