//! What a client carries from page to page, so that the server need not: a restart ends no scroll.
use super::answer::Failure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::query::elastic::ElasticError;
use event::Timestamp;
use serde_json::{Value, json};

/// Bytes of a scroll's id: it travels in a body, and in the URL for old clients.
const BYTES_MAX: usize = 256 << 10;
const PIT: &str = "erne-pit-";

/// A search whose next page is asked for by its id.
pub struct Scroll {
    pub body: Value,
    /// What `now` meant at its start.
    pub now: Timestamp,
    /// None behind the last page.
    pub cursor: Option<String>,
}

impl Scroll {
    pub fn write(&self) -> Result<String, Failure> {
        let id = URL_SAFE_NO_PAD.encode(json!({"b": self.body, "n": self.now.0, "c": self.cursor}).to_string());
        match id.len() > BYTES_MAX {
            true => Err(Failure(ElasticError::illegal("the query is too long for a scroll; use search_after"))),
            false => Ok(id),
        }
    }

    pub fn read(id: &str) -> Result<Self, Failure> {
        let wrong = || Failure(ElasticError { status: 404, kind: "search_context_missing_exception", reason: "no search context found for this scroll id".into() });
        let bytes = (id.len() <= BYTES_MAX).then(|| URL_SAFE_NO_PAD.decode(id).ok()).flatten().ok_or_else(wrong)?;
        let mut told: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let now = told["n"].as_i64().map(Timestamp).ok_or_else(wrong)?;
        Ok(Self { body: told["b"].take(), now, cursor: told["c"].as_str().map(str::to_owned) })
    }
}

pub fn point_in_time(now: Timestamp) -> String {
    format!("{PIT}{}", now.0)
}

/// Refuses the id of a point in time that is none of ours.
pub fn check_point_in_time(id: &str) -> Result<(), Failure> {
    match id.strip_prefix(PIT).and_then(|t| t.parse::<i64>().ok()) {
        Some(_) => Ok(()),
        None => Err(Failure(ElasticError { status: 404, kind: "search_context_missing_exception", reason: "no such point in time".into() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_again_and_others_refused() {
        let scroll = Scroll { body: json!({"size": 5}), now: Timestamp(17), cursor: Some("1.2.3".into()) };
        let again = Scroll::read(&scroll.write().unwrap()).ok().unwrap();
        assert_eq!((again.body, again.now, again.cursor), (scroll.body, scroll.now, scroll.cursor));
        for id in ["", "x", "e30", &"A".repeat(BYTES_MAX + 1)] {
            assert_eq!(Scroll::read(id).err().map(|f| f.0.status), Some(404));
        }
        assert!(check_point_in_time(&point_in_time(Timestamp(1))).is_ok() && check_point_in_time("x").is_err());
    }
}
