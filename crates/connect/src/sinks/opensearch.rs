//! OpenSearch or Elasticsearch, by `_bulk`: events under their id in one index, findings under theirs in another, so that
//! what comes again overwrites itself. An index template maps times, addresses and coordinates before the first document;
//! with `raw_data` and `message` as text, everything else as keywords.

use super::rows::is_withdrawn;
use super::{ANSWER_MAX, Bad, Sink, SinkError, Written, percent_decoded, unavailable};
use crate::https;
use base64::Engine;
use event::{Event, Finding};
use serde_json::{Value, json};
use std::path::Path;
use ureq::Agent;
use ureq::http::Uri;

/// Documents of one request; an event takes one to two kilobytes, and servers refuse more than 100 MB.
const BULK_BYTES_MAX: usize = 8 << 20;
/// Least deep and longest texts that an index keeps as one keyword; Lucene refuses terms of 32,766 bytes.
const KEYWORD_CHARS_MAX: u32 = 4_096;

pub(super) struct OpenSearch {
    agent: Agent,
    base: String,
    authorization: Option<String>,
    events_index: String,
    findings_index: String,
    ready: bool,
}

/// A document's place in the batch, its id, and what it is; nothing deletes it.
type Document = (usize, String, Option<Value>);

impl OpenSearch {
    pub fn new(url: &str, ca_file: Option<&Path>, events_index: &str, findings_index: &str) -> Result<Self, SinkError> {
        let bad = || SinkError::Refused("the url cannot be read".into());
        let uri: Uri = url.parse().map_err(|_| bad())?;
        let authority = uri.authority().ok_or_else(bad)?.as_str();
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let path = uri.path().trim_end_matches('/');
        let config = Agent::config_builder().timeout_global(Some(ANSWER_MAX)).http_status_as_error(false).build();
        let agent = match uri.scheme_str() {
            Some("https") => https::agent(config, ca_file).map_err(SinkError::Refused)?,
            _ => config.into(),
        };
        Ok(Self {
            agent,
            base: format!("{}://{host}{path}", uri.scheme_str().unwrap_or("http")),
            authorization: user.map(|user| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(percent_decoded(user)))),
            events_index: events_index.to_owned(),
            findings_index: findings_index.to_owned(),
            ready: false,
        })
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> Result<(u16, Value), SinkError> {
        let mut request = match method {
            "PUT" => self.agent.put(format!("{}{path}", self.base)),
            _ => self.agent.post(format!("{}{path}", self.base)),
        }
        .header("content-type", kind);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let mut answer = request.send(body).map_err(unavailable)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().map_err(unavailable)?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    fn bulk(&mut self, index: &str, documents: Vec<Document>) -> Written {
        if !self.ready {
            self.prepare()?;
        }
        let mut bad = Vec::new();
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let (mut text, mut places) = (String::new(), Vec::new());
            while text.len() < BULK_BYTES_MAX
                && let Some((place, id, document)) = documents.next()
            {
                let action = if document.is_some() { "index" } else { "delete" };
                text.push_str(&json!({action: {"_index": index, "_id": id}}).to_string());
                text.push('\n');
                if let Some(document) = document {
                    text.push_str(&document.to_string());
                    text.push('\n');
                }
                places.push(place);
            }
            let (status, answer) = self.send("POST", "/_bulk", "application/x-ndjson", &text)?;
            bad.extend(judged(status, &answer, &places)?);
        }
        Ok(bad)
    }
}

/// What the server says of each document: those it cannot map are refused, those it had no room for make all come again.
fn judged(status: u16, answer: &Value, places: &[usize]) -> Written {
    if status != 200 {
        let reason = format!("status {status}: {}", short(answer));
        // 400 and 413 are about what was sent; all else, a wrong password too, is about the server.
        return Err(if matches!(status, 400 | 413) { SinkError::Refused(reason) } else { unavailable(reason) });
    }
    let Some(items) = answer["items"].as_array().filter(|items| items.len() == places.len()) else {
        return Err(unavailable(format!("the answer does not list every document: {}", short(answer))));
    };
    let mut bad = Vec::new();
    for (item, place) in items.iter().zip(places) {
        let result = item.get("index").or(item.get("delete")).unwrap_or(&Value::Null);
        match result["status"].as_u64().unwrap_or(0) {
            // A deletion of what was never there.
            200..=299 | 404 => {}
            400 => bad.push(Bad { place: *place, reason: short(&result["error"]) }),
            status => return Err(unavailable(format!("status {status}: {}", short(&result["error"])))),
        }
    }
    Ok(bad)
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(300).collect()
}

impl Sink for OpenSearch {
    fn prepare(&mut self) -> Result<(), SinkError> {
        for (name, index, template) in [
            ("erne-events", &self.events_index, events_template(&self.events_index)),
            ("erne-findings", &self.findings_index, findings_template(&self.findings_index)),
        ] {
            let (status, answer) = self.send("PUT", &format!("/_index_template/{name}-{index}"), "application/json", &template.to_string())?;
            if status != 200 {
                return Err(unavailable(format!("the index template was refused, status {status}: {}", short(&answer))));
            }
        }
        self.ready = true;
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Written {
        let documents = events.iter().enumerate().map(|(place, event)| {
            let mut document = event.to_json();
            document["@timestamp"] = document["time"].clone();
            let location = &event.ocsf.src.location;
            if let (Some(lat), Some(lon)) = (location.lat, location.long) {
                document["src_endpoint"]["location"]["coordinates"] = json!({"lat": lat, "lon": lon});
            }
            (place, event.uid.to_string(), Some(document))
        });
        let index = self.events_index.clone();
        self.bulk(&index, documents.collect())
    }

    fn findings(&mut self, findings: &[Finding]) -> Written {
        let mut documents: Vec<Document> = Vec::new();
        for (place, finding) in findings.iter().enumerate() {
            documents.extend(finding.replaces.map(|id| (place, id.to_string(), None)));
            let document = (!is_withdrawn(finding)).then(|| {
                let mut document = json!(finding);
                document["@timestamp"] = json!(finding.time);
                document
            });
            documents.push((place, finding.id.to_string(), document));
        }
        let index = self.findings_index.clone();
        self.bulk(&index, documents)
    }
}

fn template(index: &str, properties: Value) -> Value {
    json!({
        "index_patterns": [index], "priority": 200,
        "template": {
            "mappings": {
                "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": {"type": "keyword", "ignore_above": KEYWORD_CHARS_MAX}}}],
                "date_detection": false,
                "properties": properties,
            },
        },
    })
}

fn events_template(index: &str) -> Value {
    template(
        index,
        json!({
            "@timestamp": {"type": "date"}, "time": {"type": "date"},
            "message": {"type": "text"}, "raw_data": {"type": "text"}, "status_detail": {"type": "text"},
            "metadata": {"properties": {"logged_time": {"type": "date"}}},
            "src_endpoint": {"properties": {
                "ip": {"type": "ip", "ignore_malformed": true},
                "location": {"properties": {"coordinates": {"type": "geo_point"}}},
            }},
            "dst_endpoint": {"properties": {"ip": {"type": "ip", "ignore_malformed": true}}},
        }),
    )
}

fn findings_template(index: &str) -> Value {
    template(
        index,
        json!({
            "@timestamp": {"type": "date"}, "time": {"type": "date"}, "window": {"type": "date"},
            "source_ip": {"type": "ip", "ignore_malformed": true},
            "explanation": {"properties": {"summary": {"type": "text"}, "conditions": {"enabled": false}}},
            "place": {"enabled": false}, "positions": {"enabled": false},
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_sent_as_a_header_and_never_in_the_path() {
        let sink = OpenSearch::new("http://erne:p%40ss@127.0.0.1:9200/", None, "a", "b").unwrap();
        assert_eq!(sink.base, "http://127.0.0.1:9200");
        assert_eq!(sink.authorization.as_deref(), Some("Basic ZXJuZTpwQHNz"));
    }

    #[test]
    fn each_answer_of_the_server_leads_to_the_right_next_step() {
        let items = |statuses: &[u64]| json!({"items": statuses.iter().map(|s| json!({"index": {"status": s, "error": {"type": "x"}}})).collect::<Vec<_>>()});
        assert_eq!(judged(200, &items(&[201, 200]), &[0, 1]).unwrap(), []);
        assert_eq!(judged(200, &items(&[201, 400]), &[3, 7]).unwrap()[0].place, 7);
        assert!(matches!(judged(200, &items(&[201, 429]), &[0, 1]), Err(SinkError::Unavailable(_))));
        assert!(matches!(judged(200, &items(&[201]), &[0, 1]), Err(SinkError::Unavailable(_))));
        assert!(matches!(judged(413, &json!({}), &[0]), Err(SinkError::Refused(_))));
        assert!(matches!(judged(401, &json!({}), &[0]), Err(SinkError::Unavailable(_))));
    }
}
