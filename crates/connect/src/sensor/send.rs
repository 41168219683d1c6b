//! A small HTTP/1.1 client for the one request a sensor makes, over TCP or TLS.
//!
//! `ureq` is in the workspace without TLS; with it, features of crates below the lake would change. rustls is there anyway.

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_SECS: u64 = 10;
/// The platform fsyncs before it answers.
const ANSWER_SECS: u64 = 60;
/// Of an answer only its head counts.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub struct Answer {
    pub status: u16,
    pub retry_after_secs: Option<u64>,
    /// The beginning of the body, for people.
    pub text: String,
}

pub struct Client {
    host: String,
    port: u16,
    path: String,
    key: String,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Client {
    /// `url` is `http://host:port` or `https://host:port`, with a path before `/api` if a proxy wants one. `ca` holds the
    /// certificates to trust instead of the system's.
    pub fn new(url: &str, key: String, ca: Option<&Path>) -> Result<Self> {
        let wrong = || Error::new(ErrorKind::InvalidInput, format!("{url}: http://HOST:PORT or https://HOST:PORT is expected"));
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        let bracketed_end = place.rfind(']').unwrap_or(0);
        let (host, port) = match place[bracketed_end..].rfind(':') {
            Some(at) => (&place[..bracketed_end + at], place[bracketed_end + at + 1..].parse().map_err(|_| wrong())?),
            None => (place, if secure { 443 } else { 80 }),
        };
        if host.is_empty() || rest.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@') || key.contains(|c: char| c.is_control()) {
            return Err(wrong());
        }
        let path = path.trim_end_matches('/');
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            path: if path.is_empty() { String::new() } else { format!("/{path}") },
            key,
            tls: if secure { Some(Arc::new(trust(ca)?)) } else { None },
        })
    }

    pub fn host(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    pub fn post(&self, target: &str, idempotency_key: &str, body: &[u8]) -> Result<Answer> {
        let addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        let mut last = Error::new(ErrorKind::NotFound, format!("{}: no address", self.host));
        for address in addresses {
            match TcpStream::connect_timeout(&address, Duration::from_secs(CONNECT_SECS)) {
                Ok(stream) => return self.over(stream, target, idempotency_key, body),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn over(&self, stream: TcpStream, target: &str, idempotency_key: &str, body: &[u8]) -> Result<Answer> {
        stream.set_read_timeout(Some(Duration::from_secs(ANSWER_SECS)))?;
        stream.set_write_timeout(Some(Duration::from_secs(ANSWER_SECS)))?;
        stream.set_nodelay(true)?;
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let head = format!(
            "POST {}{target} HTTP/1.1\r\nHost: {host}:{}\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {idempotency_key}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\nUser-Agent: erne-agent/{}\r\nConnection: close\r\n\r\n",
            self.path,
            self.port,
            self.key,
            body.len(),
            env!("CARGO_PKG_VERSION")
        );
        match &self.tls {
            None => exchange(stream, head.as_bytes(), body),
            Some(config) => {
                let name = ServerName::try_from(self.host.clone()).map_err(|e| Error::new(ErrorKind::InvalidInput, e))?;
                let connection = rustls::ClientConnection::new(config.clone(), name).map_err(Error::other)?;
                exchange(rustls::StreamOwned::new(connection, stream), head.as_bytes(), body)
            }
        }
    }
}

fn trust(ca: Option<&Path>) -> Result<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| Error::new(ErrorKind::InvalidData, format!("{}: {e}", path.display())))? {
                let certificate = certificate.map_err(|e| Error::new(ErrorKind::InvalidData, format!("{}: {e}", path.display())))?;
                roots.add(certificate).map_err(Error::other)?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // A system's store may hold one that nothing can read.
                drop(roots.add(certificate));
            }
        }
    }
    if roots.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "there is no certificate to trust: name a file with --ca"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn exchange(mut stream: impl Read + Write, head: &[u8], body: &[u8]) -> Result<Answer> {
    stream.write_all(head)?;
    // A platform that refuses may answer and close before it has read all: its answer counts.
    let sent = stream.write_all(body).and_then(|()| stream.flush());
    let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => got.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Many servers end TLS without saying so.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) if got.is_empty() => return Err(sent.err().unwrap_or(error)),
            Err(_) => break,
        }
        if got.len() > HEAD_BYTES_MAX {
            break;
        }
        // The body is short, and a proxy might keep the connection open all the same.
        if answer(&got).is_some_and(|(_, whole)| whole) {
            break;
        }
    }
    match answer(&got) {
        Some((answer, _)) => Ok(answer),
        None => Err(Error::new(ErrorKind::InvalidData, "the answer is not HTTP")),
    }
}

/// The answer, once its head is whole; and whether its body is.
fn answer(got: &[u8]) -> Option<(Answer, bool)> {
    let end = got.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&got[..end]);
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let header = |wanted: &str| head.lines().skip(1).find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned()));
    let body = &got[end + 4..];
    let whole = header("content-length").and_then(|n| n.parse::<usize>().ok()).is_some_and(|len| body.len() >= len);
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
    Some((Answer { status, retry_after_secs: header("retry-after").and_then(|n| n.parse().ok()), text }, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let parts = |url: &str| Client::new(url, "k".into(), None).map(|c| (c.host, c.port, c.path)).ok();
        assert_eq!(parts("http://127.0.0.1:8080"), Some(("127.0.0.1".into(), 8080, String::new())));
        assert_eq!(parts("http://[::1]:9/erne/"), Some(("::1".into(), 9, "/erne".into())));
        assert_eq!(parts("http://host"), Some(("host".into(), 80, String::new())));
        for wrong in ["host:80", "ftp://host", "http://", "http://a:b", "http://a@b", "http://a b"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn answers_are_read_as_far_as_they_came() {
        assert!(answer(b"HTTP/1.1 202 Acc").is_none());
        let (one, whole) = answer(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\ncontent-length: 3\r\n\r\nno").unwrap();
        assert_eq!((one.status, one.retry_after_secs, whole), (429, Some(7), false));
        assert!(answer(b"HTTP/1.1 202 A\r\ncontent-length: 2\r\n\r\nok").unwrap().1);
        assert!(answer(b"SSH-2.0-x\r\n\r\n").is_none());
    }
}
