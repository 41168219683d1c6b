//! What is inspected: one HTTP request, and its response if it is known.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A request as it came, nothing decoded. A chunked or HTTP/2 body is given put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    pub method: String,
    /// Path and query as in the request line, or an absolute URL.
    pub target: String,
    /// `HTTP/1.1`; empty if unknown.
    pub version: String,
    /// In order, repeated names kept.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether `body` is only the beginning of what was sent.
    pub body_truncated: bool,
    /// What is known of uploaded files whose contents stayed with the sender.
    pub files: Vec<UploadedFile>,
    pub peer: Option<IpAddr>,
    pub response: Option<Response>,
}

/// An uploaded file as an agent describes it instead of shipping it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UploadedFile {
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// As the part declared it.
    pub content_type: String,
    /// The file's first bytes in hexadecimal, 16 or more of them.
    pub magic: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Transaction {
    /// The first header of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}
