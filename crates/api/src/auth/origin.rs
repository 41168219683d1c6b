use http::{HeaderMap, header};

/// Whether the request's `Origin` is the host it was sent to, or one of the configured ones. `None`: the
/// request names no origin, so it does not come from a page's script.
///
/// The scheme of our own origin is not compared: behind a TLS proxy we cannot know it.
pub fn same_origin(headers: &HeaderMap, uri: &http::Uri, allowed: &[String]) -> Option<bool> {
    let origin = headers.get(header::ORIGIN)?;
    let Ok(origin) = origin.to_str() else { return Some(false) };
    if allowed.iter().any(|a| a.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return Some(true);
    }
    let Some((_, origin_host)) = origin.split_once("://") else { return Some(false) };
    Some(host(headers, uri).is_some_and(|host| host.eq_ignore_ascii_case(origin_host)))
}

/// The host asked for, with its port: the `Host` header, or HTTP/2's authority.
pub fn host<'a>(headers: &'a HeaderMap, uri: &'a http::Uri) -> Option<&'a str> {
    headers.get(header::HOST).and_then(|h| h.to_str().ok()).or_else(|| uri.authority().map(|a| a.as_str()))
}

/// Whether the request asks for this machine by a loopback name, and no proxy passed it on. A page of a
/// rebound domain asks for its own name.
pub fn asks_loopback(headers: &HeaderMap, uri: &http::Uri) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|h| headers.contains_key(*h));
    let Some(host) = host(headers, uri) else { return false };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    !forwarded && (name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (http::HeaderName::from_static(k), v.parse().unwrap())).collect()
    }

    #[test]
    fn only_the_own_host_or_a_configured_page_is_the_same_origin() {
        let uri = http::Uri::from_static("/x");
        let of = |origin: &str| same_origin(&headers(&[("host", "erne.example:8440"), ("origin", origin)]), &uri, &["https://ops.example".into()]);
        assert_eq!(of("http://erne.example:8440"), Some(true));
        assert_eq!(of("https://ERNE.example:8440"), Some(true));
        assert_eq!(of("https://ops.example"), Some(true));
        for foreign in ["http://evil.example", "null", "http://erne.example", "http://erne.example:8440.evil.example", "https://ops.example.evil"] {
            assert_eq!(of(foreign), Some(false), "{foreign}");
        }
        assert_eq!(same_origin(&headers(&[("host", "a")]), &uri, &[]), None);
    }

    #[test]
    fn loopback_is_asked_for_by_name_and_without_a_proxy() {
        let uri = http::Uri::from_static("/x");
        for host in ["localhost:8440", "127.0.0.1", "[::1]:8440"] {
            assert!(asks_loopback(&headers(&[("host", host)]), &uri), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "192.0.2.1"] {
            assert!(!asks_loopback(&headers(&[("host", host)]), &uri), "{host}");
        }
        assert!(!asks_loopback(&headers(&[("host", "localhost"), ("x-forwarded-for", "1.2.3.4")]), &uri));
        assert!(!asks_loopback(&headers(&[]), &uri));
    }
}
