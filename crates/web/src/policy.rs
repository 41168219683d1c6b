//! Departures from what applications should be sent. They are told apart from attacks and never make one.

use crate::Transaction;

pub fn check(transaction: &Transaction, told: &mut Vec<&'static str>) {
    let method = transaction.method.as_str();
    if !matches!(method, "GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS" | "PATCH") {
        told.push("method: not one of the usual");
    }
    match transaction.header("host") {
        None => told.push("host: missing"),
        Some(host) if host.trim_end_matches(|c: char| c.is_ascii_digit() || c == ':').trim_end_matches('.').is_empty() => told.push("host: an address"),
        Some(_) => {}
    }
    match transaction.header("user-agent") {
        None => told.push("user-agent: missing"),
        Some(agent) if agent.trim().is_empty() => told.push("user-agent: empty"),
        Some(_) => {}
    }
    if !transaction.body.is_empty() {
        if matches!(method, "GET" | "HEAD") {
            told.push("body: with a method that has none");
        }
        match transaction.header("content-type") {
            None => told.push("content-type: missing"),
            Some(kind) => {
                let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                let usual = ["application/x-www-form-urlencoded", "multipart/form-data", "application/json", "text/plain", "text/xml", "application/xml", "application/graphql", "application/octet-stream"];
                if !usual.contains(&kind.as_str()) && !kind.ends_with("+json") && !kind.ends_with("+xml") {
                    told.push("content-type: not one of the usual");
                }
            }
        }
        if let Some(length) = transaction.header("content-length")
            && length.trim().parse() != Ok(transaction.body.len())
        {
            told.push("content-length: not the body's");
        }
    }
    if !transaction.version.is_empty() && !matches!(transaction.version.as_str(), "HTTP/1.0" | "HTTP/1.1" | "HTTP/2" | "HTTP/2.0" | "HTTP/3" | "HTTP/3.0") {
        told.push("version: not one of the usual");
    }
    if transaction.target.bytes().any(|b| b <= b' ' || b >= 0x7f) {
        told.push("target: characters that must be encoded");
    }
}
