//! Server-side request forgery.
//!
//! What it sees: addresses in values that make a server ask itself, its network or its cloud: loopback, link-local
//! and private addresses in every notation, metadata services, names that resolve to such addresses, other
//! schemes than the web's, and the hosts of call-back services.
//! What it raises: `ssrf`.
//! Known false positives: development set-ups whose parameters name `localhost`.
//! CWE-918, ATT&CK T1090.

use super::{Analyser, Place, Seen, View, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "ssrf", class: Class::Ssrf, wants, look };

pub const WORDS: &[&str] = &[
    "://", "169.254", "metadata", "localhost", "127.", "gopher:", "dict:", "ldap", "tftp:", "jar:", "netdoc:", "sftp:", "interact.sh", "oast.", "oastify", "burpcollab", "dnslog", "ceye.io", "nip.io", "xip.io", "sslip.io", "localtest.me", "requestbin", "webhook.site", "canarytoken", "bxss.", "xss.ht", "interactsh", "pipedream.net", "2130706433", "0x7f", "ngrok", "r87.me", "\\\\", "//", "lvh.me", ".internal", "rogue",
];

fn wants(view: &View<'_>) -> bool {
    view.says(word::URL) && view.place.is_value() && (view.signs & (sign::COLON | sign::SLASH | sign::DOT | sign::AT | sign::BACKSLASH) != 0)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let best = table(text, &[
        ("interact.sh", 0.9, "a call-back service"), ("interactsh", 0.85, "a call-back service"), (".oast.", 0.92, "a call-back service"), ("oastify.com", 0.92, "a call-back service"), ("burpcollaborator", 0.92, "a call-back service"), ("dnslog.", 0.85, "a call-back service"), ("ceye.io", 0.88, "a call-back service"), ("requestbin", 0.75, "a call-back service"), ("webhook.site", 0.75, "a call-back service"), ("canarytokens", 0.75, "a call-back service"), ("bxss.me", 0.92, "a call-back service"), (".xss.ht", 0.9, "a call-back service"), ("pipedream.net", 0.55, "a call-back service"), ("r87.me", 0.9, "a call-back service"),
        ("169.254.169.254", 0.93, "a metadata service"), ("metadata.google", 0.93, "a metadata service"), ("latest/meta-data", 0.93, "a metadata service"), ("computemetadata/", 0.93, "a metadata service"), ("100.100.100.200", 0.9, "a metadata service"), ("192.0.0.192", 0.85, "a metadata service"), ("metadata/v1", 0.8, "a metadata service"), ("/metadata/instance", 0.85, "a metadata service"),
    ]);
    if matches!(view.place, Place::Agent | Place::Path | Place::Name) || matches!(view.place, Place::Header | Place::Referer) {
        return best;
    }
    let schemes = table(text, &[
        ("gopher://", 0.93, "a scheme no visitor needs"), ("dict://", 0.92, "a scheme no visitor needs"), ("ldap://", 0.8, "a scheme no visitor needs"), ("ldaps://", 0.75, "a scheme no visitor needs"), ("tftp://", 0.85, "a scheme no visitor needs"), ("sftp://", 0.7, "a scheme no visitor needs"), ("jar:", 0.6, "a scheme no visitor needs"), ("jar:http", 0.92, "a scheme no visitor needs"), ("netdoc:", 0.9, "a scheme no visitor needs"), ("smb://", 0.7, "a scheme no visitor needs"), ("ssh://", 0.5, "a scheme no visitor needs"),
    ]);
    let mut best = stronger(best, schemes);
    for at in memchr::memmem::find_iter(text, b"//").take(8) {
        // Within prose or a policy an address is told, not asked for.
        let prose = memchr::memchr(b' ', &text[..at]).is_some();
        let found = authority(text, at + 2).map(|s| Seen { score: if prose { s.score * 0.6 } else { s.score }, ..s });
        best = stronger(best, found);
    }
    best = stronger(best, bare(text));
    if let Some(rest) = text.strip_prefix(b"\\\\") {
        let host = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')).count();
        if host > 3 && matches!(rest.get(host), Some(b'\\')) {
            best = stronger(best, seen(0.65, "a Windows share", 0));
        }
    }
    best
}

/// `localhost/admin`, `lvh.me:8080`: a value that is a host with a path or a port, and no scheme.
fn bare(text: &[u8]) -> Option<Seen> {
    let end = text.iter().position(|b| matches!(b, b'/' | b':'))?;
    let behind = text.get(end + 1);
    let follows = text[end] == b'/' || behind.is_some_and(u8::is_ascii_digit);
    if end < 6 || !follows || memchr::memchr(b' ', text).is_some() || !text[..end].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')) {
        return None;
    }
    // An address with a port is what telemetry tells of its servers.
    if text[end] == b':' && address(&text[..end]).is_some() {
        return None;
    }
    authority(text, 0).filter(|found| found.why != "an address in an odd notation").map(|found| Seen { score: (found.score - 0.1).max(0.3), ..found })
}

/// The host of a URL, by what it points at.
fn authority(text: &[u8], from: usize) -> Option<Seen> {
    let rest = &text[from..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b' ' | b'\\' | b',' | b'&' | b'|' | b';')).unwrap_or(rest.len());
    let mut host = &rest[..end.min(255)];
    let user = memchr::memrchr(b'@', host);
    if let Some(at) = user {
        host = &host[at + 1..];
    }
    let host_only = if host.first() == Some(&b'[') { host } else { &host[..memchr::memchr(b':', host).unwrap_or(host.len())] };
    if host_only.is_empty() {
        return None;
    }
    let at = from;
    if let Some(ip) = address(host_only) {
        let plain = host_only.iter().filter(|b| **b == b'.').count() == 3 && host_only.iter().all(|b| b.is_ascii_digit() || *b == b'.') && !host_only.split(|b| *b == b'.').any(|p| p.len() > 1 && p[0] == b'0');
        return inner(ip).map(|score| Seen { score: if plain { score } else { 0.9 }, why: "an address within the server's network", at, class: None }).or_else(|| if plain { None } else { seen(0.6, "an address in an odd notation", at) });
    }
    let name = std::str::from_utf8(host_only).unwrap_or_default();
    let names = ["localhost", "localhost.localdomain", "ip6-localhost", "0", "host.docker.internal", "kubernetes.default.svc", "instance-data", "metadata"];
    if names.contains(&name) || name.ends_with(".localhost") {
        return seen(0.75, "the server itself", at);
    }
    if [".nip.io", ".xip.io", ".sslip.io", ".localtest.me", ".lvh.me", ".vcap.me"].iter().any(|s| name.ends_with(s)) || matches!(name, "localtest.me" | "lvh.me" | "vcap.me") {
        return seen(0.85, "a name that resolves to any address", at);
    }
    if name.ends_with(".internal") || name.ends_with(".cluster.local") {
        return seen(0.6, "a name within the server's network", at);
    }
    if !host_only.is_ascii() && name.chars().any(|c| matches!(c, '\u{2460}'..='\u{24ff}' | '\u{3002}')) {
        return seen(0.85, "a host in enclosed letters", at);
    }
    if user.is_some() && user.is_some_and(|u| memchr::memchr(b'.', &rest[..u]).is_some()) {
        return seen(0.5, "a host before the host", at);
    }
    None
}

/// IPv4 in all notations `inet_aton` reads, and IPv6 that holds or is an IPv4 loopback.
fn address(host: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(host).ok()?;
    if let Some(six) = text.strip_prefix('[') {
        let inner: std::net::Ipv6Addr = six.split([']', '%']).next()?.parse().ok()?;
        if inner.is_loopback() || inner.is_unspecified() {
            return Some(0x7f00_0001);
        }
        if inner.segments()[0] & 0xfe00 == 0xfc00 || inner.segments()[0] == 0xfe80 {
            return Some(0x0a00_0001);
        }
        return inner.to_ipv4().map(u32::from);
    }
    let parts: Vec<&str> = text.trim_end_matches('.').split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let mut numbers = Vec::with_capacity(4);
    for part in &parts {
        numbers.push(if let Some(hex) = part.strip_prefix("0x") { u64::from_str_radix(hex, 16).ok()? } else if part.len() > 1 && part.starts_with('0') { u64::from_str_radix(part, 8).ok()? } else { part.parse().ok()? });
    }
    let (last, head) = numbers.split_last()?;
    if head.is_empty() && *last < 0x0100_0000 && *last != 0 {
        return None;
    }
    let mut value = 0u64;
    for (i, n) in head.iter().enumerate() {
        value |= (n & 0xff) << (24 - 8 * i);
    }
    Some((value | (last & (u64::from(u32::MAX) >> (8 * head.len())))) as u32)
}

fn inner(ip: u32) -> Option<f32> {
    Some(match ip.to_be_bytes() {
        [127, ..] | [0, ..] => 0.75,
        [169, 254, ..] => 0.9,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] => 0.55,
        [100, 64..=127, ..] => 0.5,
        _ => return None,
    })
}
