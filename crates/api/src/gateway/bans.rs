//! The bans that agents are told, and what stands for them when nodes compare.

use crate::app::App;
use crate::auth::hex;
use engine::web::guard::Ban;
use sha2::{Digest, Sha256};

/// What is kept out now: disjoint networks, without what is trusted.
pub fn current(app: &App) -> Vec<Ban> {
    let told = |ban: engine::ProfileBan| Ban { cidr: ban.cidr.to_string(), until: ban.until.map(|until| until.to_string()), reason: ban.reason };
    app.platform.profile_bans().into_iter().map(told).collect()
}

/// The same text for the same bans in any order; empty for none.
pub fn fingerprint(bans: &[Ban]) -> String {
    if bans.is_empty() {
        return String::new();
    }
    let mut lines: Vec<String> = bans.iter().map(|ban| format!("{}\n{}\n{}", ban.cidr, ban.until.as_deref().unwrap_or(""), ban.reason)).collect();
    lines.sort_unstable();
    hex(&Sha256::digest(lines.join("\n\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_bans_apart_and_not_their_order() {
        let ban = |cidr: &str, until: Option<&str>| Ban { cidr: cidr.into(), until: until.map(str::to_owned), reason: String::new() };
        let (a, b) = (ban("192.0.2.1", None), ban("192.0.2.2", Some("2027-01-01T00:00:00Z")));
        assert_eq!(fingerprint(&[]), "");
        assert_eq!(fingerprint(&[a.clone(), b.clone()]), fingerprint(&[b.clone(), a.clone()]));
        assert_ne!(fingerprint(&[a.clone()]), fingerprint(&[b]));
        assert_ne!(fingerprint(&[a]), fingerprint(&[ban("192.0.2.1", Some("2027-01-01T00:00:00Z"))]));
    }
}
