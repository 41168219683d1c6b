use super::parse::{Head, find};
use crate::flow::Endpoints;
use base64::Engine;
use event::Timestamp;
use serde::Serialize;

/// A body's beginning and its length.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pub kept: Vec<u8>,
    pub len: u64,
}

impl Body {
    pub fn add(&mut self, bytes: &[u8], max: usize) {
        self.len += bytes.len() as u64;
        let room = max.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
    }
}

fn length<S: serde::Serializer>(body: &Body, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(body.len)
}

/// A request with its response.
#[derive(Clone, Debug, Serialize)]
pub struct HttpRecord {
    pub time: Timestamp,
    #[serde(flatten)]
    pub endpoints: Endpoints,
    /// Empty for a response whose request was not seen.
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub target: String,
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_content_type: Option<String>,
    /// The scheme of `Authorization`, in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// The user of Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_content_type: Option<String>,
    #[serde(rename = "request_body_bytes", serialize_with = "length")]
    pub request_body: Body,
    #[serde(rename = "response_body_bytes", serialize_with = "length")]
    pub response_body: Body,
    /// Milliseconds from the request's head to the response's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<f64>,
    /// The response came whole.
    pub complete: bool,
    #[serde(skip)]
    pub request_headers: Vec<(String, String)>,
    #[serde(skip)]
    pub response_headers: Vec<(String, String)>,
}

/// The user of `Basic dXNlcjpwYXNz`; the password is dropped at once.
fn basic_user(value: &str) -> Option<String> {
    let encoded = value.get(..6).filter(|s| s.eq_ignore_ascii_case("basic ")).map(|_| value[6..].trim())?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let user = decoded.split(|b| *b == b':').next()?;
    Some(crate::bytes::text(user, 256))
}

impl HttpRecord {
    pub fn request(time: Timestamp, endpoints: Endpoints, head: Head) -> Option<Self> {
        let [method, target, version] = head.first;
        if !version.is_empty() && !version.starts_with("HTTP/") {
            return None;
        }
        let get = |name| find(&head.headers, name).map(str::to_owned);
        let authorization = find(&head.headers, "authorization");
        Some(Self {
            time,
            host: get("host"),
            user_agent: get("user-agent"),
            referer: get("referer"),
            request_content_type: get("content-type"),
            authorization: authorization.and_then(|v| v.split(' ').next()).map(str::to_ascii_lowercase),
            user: authorization.and_then(basic_user),
            method,
            target,
            version,
            request_headers: head.headers,
            ..Self::unasked(time, endpoints)
        })
    }

    /// A record without a request.
    pub fn unasked(time: Timestamp, endpoints: Endpoints) -> Self {
        Self {
            time,
            endpoints,
            method: String::new(),
            host: None,
            target: String::new(),
            version: String::new(),
            user_agent: None,
            referer: None,
            request_content_type: None,
            authorization: None,
            user: None,
            status: None,
            reason: None,
            server: None,
            location: None,
            response_content_type: None,
            request_body: Body::default(),
            response_body: Body::default(),
            response_ms: None,
            complete: false,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }

    pub fn response(&mut self, time: Timestamp, status: u16, head: Head) {
        let get = |name| find(&head.headers, name).map(str::to_owned);
        self.status = Some(status);
        self.server = get("server");
        self.location = get("location");
        self.response_content_type = get("content-type");
        self.response_ms = (!self.method.is_empty()).then(|| (time.micros() - self.time.micros()) as f64 / 1e3);
        let [version, _, reason] = head.first;
        self.reason = Some(reason);
        if self.version.is_empty() {
            self.version = version;
        }
        self.response_headers = head.headers;
    }
}
