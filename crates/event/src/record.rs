use crate::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// The shape of a record's bytes. `parse::FORMATS` describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Format {
    /// AWS CloudTrail: `{"Records":[…]}` or one event per line.
    Cloudtrail = 1,
    /// The application log of `POST /api/logs`.
    AppLog = 2,
    /// nginx/Apache combined or common access log, one request per line.
    AccessLog = 3,
    /// nginx/Apache access log as JSON, one request per line.
    AccessJson = 4,
    /// sshd/PAM lines of auth.log, framed by RFC 3164 or RFC 5424.
    AuthLog = 5,
    /// Any JSON object per line, or an array of them.
    Json = 6,
    /// A line that no format above recognises; kept raw and flagged.
    Raw = 7,
    /// Records of the Linux audit system, one per line.
    Auditd = 8,
    /// A request that the gateway or an agent inspected, with the verdict; one JSON object per line.
    WebInspection = 10,
}

impl Format {
    pub const ALL: [Format; 9] = [
        Self::Cloudtrail,
        Self::AppLog,
        Self::AccessLog,
        Self::AccessJson,
        Self::AuthLog,
        Self::Json,
        Self::Raw,
        Self::Auditd,
        Self::WebInspection,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloudtrail => "cloudtrail",
            Self::AppLog => "app_log",
            Self::AccessLog => "access_log",
            Self::AccessJson => "access_json",
            Self::AuthLog => "auth_log",
            Self::Auditd => "auditd",
            Self::WebInspection => "web_inspection",
            Self::Json => "json",
            Self::Raw => "raw",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == text)
    }

    /// The inverse of `self as u8`, for stored records.
    pub fn from_u8(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|f| *f as u8 == code)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Bytes as a source delivered them: a request body, a run of lines, a file's chunk. One record holds one
/// or many events; `parse` splits it, so that the door acknowledges without reading the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who sent it: the key's or source's name, shown to people as the log's name.
    pub source: Arc<str>,
    /// The format the sender stated; `None` means detect it.
    pub format: Option<Format>,
    /// When the door received it.
    pub received: Timestamp,
    /// The sender's address, where there is one. Never taken for the address of an attacker.
    pub peer: Option<IpAddr>,
    pub body: Bytes,
}
