//! One JSON object a line: `id, method, uri, headers, body | body_b64`, and `src, label, cls` if labelled.

use super::{Item, ReadError};
use crate::{Response, Transaction, decode};
use serde_json::Value;

pub fn items(bytes: &[u8], visit: &mut dyn FnMut(Result<Item, ReadError>)) {
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        visit(item(line).map_err(|why| ReadError::Line { line: i + 1, why }));
    }
}

pub fn item(line: &[u8]) -> Result<Item, String> {
    let value: Value = serde_json::from_slice(line).map_err(|e| format!("not JSON: {e}"))?;
    let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let target = value.get("uri").or_else(|| value.get("target")).or_else(|| value.get("url")).and_then(Value::as_str);
    let transaction = Transaction {
        method: value.get("method").and_then(Value::as_str).unwrap_or("GET").to_owned(),
        target: target.ok_or("it has no uri")?.to_owned(),
        version: text("version"),
        headers: headers(value.get("headers")),
        body: body(&value)?,
        peer: value.get("peer").and_then(Value::as_str).and_then(|p| p.parse().ok()),
        response: value.get("response").filter(|r| r.is_object()).map(response).transpose()?,
        ..Transaction::default()
    };
    let label = match value.get("label") {
        Some(Value::Number(n)) => n.as_i64().map(|n| n != 0),
        Some(Value::Bool(label)) => Some(*label),
        _ => None,
    };
    let id = match value.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => String::new(),
    };
    Ok(Item { id, source: text("src"), label, kind: text("cls"), transaction })
}

fn response(value: &Value) -> Result<Response, String> {
    Ok(Response {
        status: value.get("status").and_then(Value::as_u64).unwrap_or(0).min(999) as u16,
        headers: headers(value.get("headers")),
        body: body(value)?,
    })
}

fn body(value: &Value) -> Result<Vec<u8>, String> {
    if let Some(encoded) = value.get("body_b64").and_then(Value::as_str) {
        return decode::base64_decode(encoded.as_bytes()).ok_or_else(|| "body_b64 is no Base64".to_owned());
    }
    Ok(value.get("body").and_then(Value::as_str).unwrap_or_default().as_bytes().to_vec())
}

/// Pairs, or an object.
fn headers(value: Option<&Value>) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    match value {
        Some(Value::Array(pairs)) => pairs.iter().filter_map(|p| Some((text(p.get(0)?), text(p.get(1)?)))).collect(),
        Some(Value::Object(map)) => map.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        _ => Vec::new(),
    }
}
