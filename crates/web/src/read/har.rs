//! HTTP archives, as browsers' developer tools save them (HAR 1.2).

use super::{Item, ReadError};
use crate::{Response, Transaction, decode};
use serde_json::Value;

pub fn items(bytes: &[u8], visit: &mut dyn FnMut(Result<Item, ReadError>)) -> Result<(), ReadError> {
    let document: Value = serde_json::from_slice(bytes).map_err(|e| ReadError::Har(e.to_string()))?;
    let entries = document["log"]["entries"].as_array().ok_or_else(|| ReadError::Har("it has no log.entries".to_owned()))?;
    for (i, entry) in entries.iter().enumerate() {
        let request = &entry["request"];
        let Some(url) = request["url"].as_str() else {
            visit(Err(ReadError::Line { line: i + 1, why: "the entry has no url".to_owned() }));
            continue;
        };
        let transaction = Transaction {
            method: request["method"].as_str().unwrap_or("GET").to_owned(),
            target: url.to_owned(),
            version: request["httpVersion"].as_str().unwrap_or_default().to_ascii_uppercase(),
            headers: headers(&request["headers"], url),
            body: request["postData"]["text"].as_str().unwrap_or_default().as_bytes().to_vec(),
            response: response(&entry["response"]),
            ..Transaction::default()
        };
        visit(Ok(Item { id: (i + 1).to_string(), transaction, ..Item::default() }));
    }
    Ok(())
}

/// Pseudo-headers of HTTP/2 are no headers; `:authority` is the host.
fn headers(list: &Value, url: &str) -> Vec<(String, String)> {
    let pairs = list.as_array().into_iter().flatten().filter_map(|h| Some((h["name"].as_str()?.to_owned(), h["value"].as_str()?.to_owned())));
    let mut headers: Vec<(String, String)> = pairs.map(|(n, v)| if n == ":authority" { ("host".to_owned(), v) } else { (n, v) }).filter(|(n, _)| !n.starts_with(':')).collect();
    if !url.is_empty() && !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host"))
        && let Some(host) = url.split("//").nth(1).and_then(|r| r.split(['/', '?']).next())
    {
        headers.push(("host".to_owned(), host.to_owned()));
    }
    headers
}

fn response(value: &Value) -> Option<Response> {
    let status = value["status"].as_u64().filter(|s| (100..1000).contains(s))? as u16;
    let text = value["content"]["text"].as_str().unwrap_or_default();
    let body = if value["content"]["encoding"] == "base64" { decode::base64_decode(text.as_bytes()).unwrap_or_default() } else { text.as_bytes().to_vec() };
    Some(Response { status, headers: headers(&value["headers"], ""), body })
}
