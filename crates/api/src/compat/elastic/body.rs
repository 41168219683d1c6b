//! JSON bodies as Elasticsearch's clients send them.
use super::answer::Failure;
use crate::app::App;
use crate::body::{Limits, read};
use crate::problem::Problem;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use engine::query::elastic::ElasticError;
use http::header;
use serde_json::Value;

const BYTES_MAX: usize = 1 << 20;

/// A JSON body, or null if there is none.
pub struct Body(pub Value);

/// The pairs of header and body of `_msearch`, one JSON object a line.
pub struct Lines(pub Vec<(Value, Value)>);

async fn bytes(request: Request, app: &App) -> Result<Bytes, Failure> {
    let (parts, body) = request.into_parts();
    let limits = Limits { wire_bytes_max: BYTES_MAX, decoded_bytes_max: BYTES_MAX };
    let taken = read(app, &parts.headers, body, &limits).await?;
    // A form of a foreign page cannot send these types without asking first.
    let is_json = parts.headers.get(header::CONTENT_TYPE).and_then(|t| t.to_str().ok()).is_some_and(|t| t.starts_with("application/") && t.contains("json"));
    if !taken.bytes.is_empty() && !is_json {
        let problem = Problem::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", "send JSON with Content-Type: application/json");
        return Err(problem.into());
    }
    Ok(taken.bytes)
}

fn parse(bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|e| Failure(ElasticError::parsing(format!("the body is no JSON: {e}"))))
}

impl FromRequest<App> for Body {
    type Rejection = Failure;
    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let bytes = bytes(request, app).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(Value::Null));
        }
        parse(&bytes).map(Self)
    }
}

impl FromRequest<App> for Lines {
    type Rejection = Failure;
    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        pairs(&bytes(request, app).await?).map(Self)
    }
}

fn pairs(bytes: &[u8]) -> Result<Vec<(Value, Value)>, Failure> {
    let mut lines = bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let mut pairs = Vec::new();
    while let Some(header) = lines.next() {
        // An empty line is an empty header, except behind the last pair.
        let Some(body) = lines.next() else {
            if header.is_empty() {
                break;
            }
            return Err(Failure(ElasticError::parsing("a search has two lines, its header and its body")));
        };
        let empty = Value::Object(serde_json::Map::new());
        let header = if header.is_empty() { empty } else { parse(header)? };
        pairs.push((header, parse(body)?));
    }
    match pairs.is_empty() {
        true => Err(Failure(ElasticError::illegal("no requests added"))),
        false => Ok(pairs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_go_in_pairs() {
        let two = b"{\"index\":\"erne\"}\n{\"size\":1}\n\n{\"size\":2}\n";
        let found = pairs(two).unwrap();
        assert_eq!(found, [(json!({"index": "erne"}), json!({"size": 1})), (json!({}), json!({"size": 2}))]);
        assert!(pairs(b"{}\n").is_err() && pairs(b"").is_err() && pairs(b"{}\nx\n").is_err());
    }
}
