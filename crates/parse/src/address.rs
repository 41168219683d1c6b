//! Addresses in logs: canonical text, and finding one in free text.

use compact_str::{CompactString, ToCompactString};
use event::Endpoint;
use std::net::{IpAddr, SocketAddr};

/// Longest text of an address with brackets and port.
const ADDRESS_BYTES_MAX: usize = 60;

/// Reads an address, also with a port (`192.0.2.1:80`, `[2001:db8::1]:80`), in brackets or with an IPv6
/// zone. An IPv4 address mapped into IPv6 is given as IPv4, or it would be a second entity.
pub(crate) fn ip(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let text = text.trim();
    if text.len() < 2 || text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip.to_canonical(), None));
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some((socket.ip().to_canonical(), Some(socket.port())));
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    Some((bare.parse::<IpAddr>().ok()?.to_canonical(), None))
}

/// The canonical text of an address.
pub(crate) fn canonical(ip: IpAddr) -> CompactString {
    ip.to_compact_string()
}

/// Sets address and port, or the host name where the text is not an address.
pub(crate) fn set_endpoint(endpoint: &mut Endpoint, text: &str) {
    let text = text.trim();
    if text.is_empty() || text == "-" {
        return;
    }
    match ip(text) {
        Some((address, port)) => {
            endpoint.ip = Some(canonical(address));
            if let Some(port) = port {
                endpoint.port = Some(i64::from(port));
            }
        }
        None => endpoint.hostname = Some(text.into()),
    }
}

/// The first address in free text. A token counts only if it stands alone: `1.2.3.4` in `v1.2.3.4a` and the
/// colons of `std::vec` are none.
pub(crate) fn find(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let bytes = text.as_bytes();
    let inside = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':');
    let mut at = 0;
    while at < bytes.len() {
        if !inside(bytes[at]) {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|b| inside(**b)).count();
        let alone = |b: Option<&u8>| b.is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
        if (7..=ADDRESS_BYTES_MAX).contains(&(end - at)) || bytes[at..end].starts_with(b"::") {
            let token = text[at..end].trim_end_matches(['.', ':']);
            if token.len() > 2 && alone(bytes.get(end)) && alone(at.checked_sub(1).map(|i| &bytes[i])) && let Some(found) = ip(token) {
                return Some(found);
            }
        }
        at = end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_text_form() {
        let text = |t: &str| ip(t).map(|(a, p)| (canonical(a).to_string(), p));
        assert_eq!(text("192.0.2.1"), Some(("192.0.2.1".into(), None)));
        assert_eq!(text("192.0.2.1:80"), Some(("192.0.2.1".into(), Some(80))));
        assert_eq!(text("::ffff:124.222.66.99"), Some(("124.222.66.99".into(), None)));
        assert_eq!(text("[2001:0DB8:0:0::1]:443"), Some(("2001:db8::1".into(), Some(443))));
        assert_eq!(text("[fe80::1%eth0]"), Some(("fe80::1".into(), None)));
        for bad in ["", "-", "256.1.1.1", "example.com", "1.2.3", "01.2.3.4"] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_is_found_only_where_it_stands_alone() {
        let text = |t: &str| find(t).map(|(a, _)| canonical(a).to_string());
        assert_eq!(text("login failed for bob from 203.0.113.7."), Some("203.0.113.7".into()));
        assert_eq!(text("peer 203.0.113.7:5050 closed"), Some("203.0.113.7".into()));
        assert_eq!(text("at 10:00:00 [2001:db8::5] connected"), Some("2001:db8::5".into()));
        for none in ["", "std::vec::Vec", "at 10:00:00", "v1.2.3.4beta", "a::b", "build 1.2.3", "face"] {
            assert_eq!(text(none), None, "{none}");
        }
    }
}
