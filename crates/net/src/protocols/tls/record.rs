use super::certificate::Certificate;
use super::fingerprint::{Carrier, ja3, ja3s, ja4};
use super::hello::{Client, Server, version_name};
use crate::bytes::text;
use crate::flow::Endpoints;
use event::Timestamp;
use serde::Serialize;

/// A TLS handshake, over TCP or in QUIC.
#[derive(Clone, Debug, Serialize)]
pub struct TlsRecord {
    pub time: Timestamp,
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// `tcp` or `quic`.
    pub carrier: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quic_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn_offered: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// What was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The cipher suite agreed on, by its number in IANA's registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja3: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja3s: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ja4: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    #[serde(skip_serializing_if = "is_zero")]
    pub chain_len: u32,
    /// Both sides began to encrypt.
    pub established: bool,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TlsRecord {
    pub fn of(time: Timestamp, endpoints: Endpoints, client: Option<Client>, server: Option<Server>, certificate: Option<Certificate>, chain_len: u32, established: bool) -> Self {
        Self::carried(Carrier::Tcp, None, time, endpoints, client, server, certificate, chain_len, established)
    }

    #[allow(clippy::too_many_arguments)]
    pub fn carried(carrier: Carrier, quic_version: Option<String>, time: Timestamp, endpoints: Endpoints, client: Option<Client>, server: Option<Server>, certificate: Option<Certificate>, chain_len: u32, established: bool) -> Self {
        let client = client.as_ref();
        let server = server.filter(|s| !s.retry);
        Self {
            time,
            endpoints,
            carrier: if carrier == Carrier::Quic { "quic" } else { "tcp" },
            quic_version,
            server_name: client.and_then(|c| c.server_name.clone()),
            alpn_offered: client.map(|c| c.alpn.iter().take(16).map(|name| text(name, 64)).collect()).unwrap_or_default(),
            alpn: server.as_ref().and_then(|s| s.alpn.clone()),
            version: server.as_ref().map(|s| version_name(s.version)),
            cipher: server.as_ref().map(|s| format!("0x{:04x}", s.cipher)),
            ja3: client.map(ja3),
            ja3s: server.as_ref().map(ja3s),
            ja4: client.map(|c| ja4(c, carrier)),
            certificate,
            chain_len,
            established,
        }
    }
}
