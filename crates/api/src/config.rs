use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The settings of the HTTP door. Every bound that a stranger can push against has its figure here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Loopback unless configured: a first start exposes nothing.
    pub listen: SocketAddr,
    /// Open connections; one more is answered 503 and closed.
    pub connections_max: usize,
    /// Open WebSockets.
    pub sockets_max: usize,
    /// From accept to the end of the protocol preface or to the first byte of a request.
    pub first_byte_timeout_ms: u64,
    /// From the first byte of a request's head to its end.
    pub header_read_timeout_ms: u64,
    /// A connection without a request is closed after this.
    pub keep_alive_timeout_ms: u64,
    /// A peer that takes no byte of an answer for this long is cut.
    pub write_stall_timeout_ms: u64,
    /// Between two pieces of a request's body.
    pub body_idle_timeout_ms: u64,
    /// A body may take this long in any case …
    pub body_grace_secs: u64,
    /// … and longer only while it arrives at this rate on average.
    pub body_bytes_per_sec_min: u64,
    /// A request's body as sent.
    pub wire_bytes_max: usize,
    /// A request's body after decompression.
    pub decoded_bytes_max: usize,
    /// Bodies in memory of all requests together; beyond it ingest answers 429.
    pub bodies_bytes_max: usize,
    pub session_hours: u32,
    /// How long a JWT is valid.
    pub token_secs: u64,
    /// Pages other than our own that may use the cookie on a WebSocket, as `https://host:port`.
    pub allowed_origins: Vec<String>,
    /// Whether `POST /api/logs` takes logs from this machine without a key, as the Sentinel generator sends them.
    pub ingest_open_on_loopback: bool,
    /// Whether proxies on this machine may ask `/api/v1/hooks/` without a key. Any program on it may then.
    pub hooks_open_on_loopback: bool,
    /// Whether the paths of the reference product take a web agent's secret as `Basic` credentials, which its old
    /// agents send. They stand in clear in every request.
    pub whale_basic: bool,
    /// Pause between two pings on a WebSocket.
    pub socket_ping_ms: u64,
    /// A WebSocket that answers or takes nothing for this long is closed with 1008.
    pub socket_stall_ms: u64,
    /// Marks the session cookie `Secure`: set it when browsers come over TLS.
    pub cookie_secure: bool,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8440)),
            connections_max: 1024,
            sockets_max: 256,
            first_byte_timeout_ms: 10_000,
            header_read_timeout_ms: 10_000,
            keep_alive_timeout_ms: 60_000,
            write_stall_timeout_ms: 30_000,
            body_idle_timeout_ms: 10_000,
            body_grace_secs: 30,
            body_bytes_per_sec_min: 4096,
            wire_bytes_max: 32 << 20,
            decoded_bytes_max: 64 << 20,
            bodies_bytes_max: 256 << 20,
            session_hours: 12,
            token_secs: 3600,
            allowed_origins: Vec::new(),
            ingest_open_on_loopback: true,
            hooks_open_on_loopback: false,
            whale_basic: false,
            socket_ping_ms: 5_000,
            socket_stall_ms: 10_000,
            cookie_secure: false,
        }
    }
}

impl ApiConfig {
    pub(crate) fn first_byte_timeout(&self) -> Duration {
        Duration::from_millis(self.first_byte_timeout_ms)
    }
    pub(crate) fn header_read_timeout(&self) -> Duration {
        Duration::from_millis(self.header_read_timeout_ms)
    }
    pub(crate) fn keep_alive_timeout(&self) -> Duration {
        Duration::from_millis(self.keep_alive_timeout_ms)
    }
    pub(crate) fn write_stall_timeout(&self) -> Duration {
        Duration::from_millis(self.write_stall_timeout_ms)
    }
    pub(crate) fn body_idle_timeout(&self) -> Duration {
        Duration::from_millis(self.body_idle_timeout_ms)
    }
    pub(crate) fn socket_ping(&self) -> Duration {
        Duration::from_millis(self.socket_ping_ms)
    }
    pub(crate) fn socket_stall(&self) -> Duration {
        Duration::from_millis(self.socket_stall_ms)
    }
}
