//! The JSON that the gateway, the agents and the in-process inspector exchange: one transaction in
//! (`POST /api/v1/inspect`), one answer out.
//!
//! Members that are not known are ignored, absent ones are empty. Header values and targets that were no UTF-8
//! must be sent with replacement characters; bodies travel as Base64, so that they come as they were.

use crate::guard::{Action, Mode, Outcome};
use crate::transaction::UploadedFile;
use crate::{Decision, Response, Transaction, Verdict, decode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One transaction with what its sender knows of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Request {
    /// The sender's name for it; empty if it gave none.
    pub id: String,
    pub trace_id: String,
    /// `http`, `https` or empty.
    pub scheme: String,
    /// The application's template of the path (`/items/{id}`), empty if unknown.
    pub route: String,
    pub transaction: Transaction,
}

/// The members as they stand in the JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    method: String,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_version: Option<String>,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<UploadedFile>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<RawResponse>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct RawResponse {
    status: u16,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_b64: Option<String>,
}

/// Why a transaction cannot be inspected as it was sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is no Base64")]
    Base64(&'static str),
    #[error("client_ip is no IP address")]
    ClientIp,
}

impl TryFrom<Raw> for Request {
    type Error = RequestError;

    fn try_from(raw: Raw) -> Result<Self, RequestError> {
        for (name, text) in [("method", &raw.method), ("uri", &raw.uri)] {
            if text.is_empty() {
                return Err(RequestError::Missing(name));
            }
        }
        let bytes = |text: Option<String>, name| decode::base64_decode(text.unwrap_or_default().as_bytes()).ok_or(RequestError::Base64(name));
        let client_ip = raw.client_ip.filter(|text| !text.is_empty());
        let peer = client_ip.map(|text| text.parse::<IpAddr>().map_err(|_| RequestError::ClientIp)).transpose()?;
        let response = match raw.response {
            Some(r) => Some(Response { status: r.status, headers: r.headers, body: bytes(r.body_b64, "response.body_b64")? }),
            None => None,
        };
        let transaction = Transaction {
            method: raw.method,
            target: raw.uri,
            version: raw.http_version.map(version).unwrap_or_default(),
            headers: raw.headers,
            body: bytes(raw.body_b64, "body_b64")?,
            body_truncated: raw.body_truncated.unwrap_or(false),
            files: raw.files.unwrap_or_default(),
            peer,
            response,
        };
        let text = Option::unwrap_or_default;
        Ok(Self { id: text(raw.id), trace_id: text(raw.trace_id), scheme: text(raw.scheme), route: text(raw.route), transaction })
    }
}

/// `1.1` is `HTTP/1.1`.
fn version(text: String) -> String {
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("HTTP/{text}") } else { text }
}

impl From<Request> for Raw {
    fn from(request: Request) -> Self {
        let text = |t: String| (!t.is_empty()).then_some(t);
        let bytes = |b: Vec<u8>| (!b.is_empty()).then(|| STANDARD.encode(b));
        let t = request.transaction;
        Self {
            id: text(request.id),
            trace_id: text(request.trace_id),
            method: t.method,
            uri: t.target,
            http_version: text(t.version.strip_prefix("HTTP/").unwrap_or(&t.version).to_owned()),
            headers: t.headers,
            body_b64: bytes(t.body),
            body_truncated: t.body_truncated.then_some(true),
            client_ip: t.peer.map(|ip| ip.to_string()),
            scheme: text(request.scheme),
            route: text(request.route),
            files: (!t.files.is_empty()).then_some(t.files),
            response: t.response.map(|r| RawResponse { status: r.status, headers: r.headers, body_b64: bytes(r.body) }),
        }
    }
}

/// What the asker is told: the verdict, and what its profile makes of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub id: String,
    /// Under the profile's thresholds and exclusions.
    pub verdict: Decision,
    pub action: Outcome,
    /// The best score of the findings that count under the profile.
    pub score: f32,
    pub classes: BTreeMap<Cow<'static, str>, f32>,
    pub policy: Vec<Cow<'static, str>>,
    /// All findings, also those that an exclusion sets aside.
    pub findings: Vec<Told>,
    pub truncated: Vec<Cow<'static, str>>,
    /// The ids of the virtual patches that held.
    pub patches: Vec<String>,
    pub banned: bool,
    pub profile_version: u64,
    /// The mode that held for this route.
    pub mode: Mode,
    /// Why the action is what it is, for people.
    pub reasons: Vec<String>,
}

/// A [`crate::Finding`] that can also be read back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    pub analyser: Cow<'static, str>,
    pub class: Cow<'static, str>,
    pub location: String,
    pub chain: Vec<Cow<'static, str>>,
    pub value: String,
    pub score: f32,
    pub cwe: Cow<'static, str>,
    pub technique: Cow<'static, str>,
    pub why: String,
}

impl Answer {
    pub fn new(id: &str, verdict: &Verdict, action: &Action, profile_version: u64) -> Self {
        let texts = |list: &[&'static str]| list.iter().map(|t| Cow::Borrowed(*t)).collect();
        let findings = verdict.findings.iter().map(|f| Told {
            analyser: f.analyser.into(),
            class: f.class.as_str().into(),
            location: f.location.clone(),
            chain: texts(&f.chain),
            value: f.value.clone(),
            score: f.score,
            cwe: f.cwe.into(),
            technique: f.technique.into(),
            why: f.why.clone(),
        });
        Self {
            id: id.to_owned(),
            verdict: action.verdict,
            action: action.outcome,
            score: action.score,
            classes: verdict.classes.iter().map(|(class, score)| (class.as_str().into(), *score)).collect(),
            policy: texts(&verdict.policy),
            findings: findings.collect(),
            truncated: texts(&verdict.truncated),
            patches: action.patches.clone(),
            banned: action.banned,
            profile_version,
            mode: action.mode,
            reasons: action.reasons.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_survives_its_json() {
        let text = r#"{"id":"r1","method":"POST","uri":"/a?b=c","http_version":"1.1","headers":[["Host","x"],["A","1"],["A","2"]],"body_b64":"AP8=",
            "body_truncated":true,"client_ip":"2001:db8::1","scheme":"https","route":"/{x}","files":[{"name":"a.png","size":3,"sha256":"00","content_type":"image/png","magic":"89504e47"}],
            "response":{"status":500,"headers":[["S","t"]],"body_b64":"b2s="},"later":{"x":1}}"#;
        let request: Request = serde_json::from_str(text).unwrap();
        assert_eq!((request.transaction.version.as_str(), &request.transaction.body[..]), ("HTTP/1.1", &[0, 255][..]));
        assert_eq!(request.transaction.response.as_ref().unwrap().body, b"ok");
        assert_eq!(request.transaction.files[0].size, 3);
        let again: Request = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!(again, request);
        let short: Request = serde_json::from_str(r#"{"method":"GET","uri":"/","body_b64":null,"client_ip":null,"response":null}"#).unwrap();
        assert_eq!((short.transaction.peer, short.transaction.response), (None, None));
    }

    #[test]
    fn what_cannot_be_inspected_is_refused_with_the_reason() {
        for (text, why) in [
            (r#"{"uri":"/"}"#, "method is missing"),
            (r#"{"method":"GET"}"#, "uri is missing"),
            (r#"{"method":"GET","uri":"/","body_b64":"?"}"#, "body_b64 is no Base64"),
            (r#"{"method":"GET","uri":"/","client_ip":"x"}"#, "client_ip is no IP address"),
        ] {
            assert_eq!(serde_json::from_str::<Request>(text).unwrap_err().to_string(), why);
        }
    }
}
