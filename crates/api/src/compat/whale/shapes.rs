//! What the product's agents send, and their profile as they understand it.

use crate::problem::Problem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use engine::web::Transaction;
use engine::web::guard::{Mode, Profile};
use serde::Deserialize;
use serde_json::{Value, json};

/// Names that a form's and an agent's texts must not collide with.
const BOUNDARY: &str = "erne-whale-4f1d9a2c77b0";
const FILES_MAX: usize = 64;
const TEXT_CHARS_MAX: usize = 500;
/// What its agents take for the number of requests a minute where we have no limit.
const NO_LIMIT: u32 = 0;

#[derive(Deserialize)]
pub struct Envelope<T> {
    pub payload: Payload<T>,
    #[serde(default)]
    pub request_created_at: Value,
    #[serde(default)]
    pub event_info: Option<String>,
}
#[derive(Deserialize)]
pub struct Payload<T> {
    pub data: T,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct AgentName {
    pub agent_id: String,
    pub agent_name: String,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct ConfigurationName {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub id: String,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Synchronize {
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub id: String,
    pub agent_id: String,
    pub agent_name: String,
    pub profile: Value,
    pub host_information: Value,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Sentence {
    pub agent_id: String,
    pub agent_name: String,
    pub sentence: String,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct GatewayData {
    pub agent_id: String,
    pub agent_name: String,
    pub client_information: Client,
    pub http_request: HttpRequest,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Client {
    pub ip: String,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub host: String,
    pub headers: serde_json::Map<String, Value>,
    pub query_parameters: Value,
    pub body: Value,
    pub files: Vec<File>,
}
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct File {
    pub file_name: String,
    /// Base64.
    pub file_content: String,
    pub file_type: String,
}

impl Sentence {
    /// A text is looked at as a body without a type: the inspector finds out what it is.
    pub fn transaction(&self) -> Result<Transaction, Problem> {
        Ok(Transaction { method: "POST".into(), target: "/".into(), headers: vec![("host".into(), "sentence".into())], body: self.sentence.clone().into_bytes(), ..Transaction::default() })
    }
}

impl GatewayData {
    pub fn transaction(&self) -> Result<Transaction, Problem> {
        let request = &self.http_request;
        if request.method.is_empty() || request.url.is_empty() {
            return Err(Problem::bad_request("http_request.method and http_request.url are needed"));
        }
        let mut target = request.url.clone();
        let query = text(&request.query_parameters);
        if !query.is_empty() && !target.contains('?') {
            target.push('?');
            target.push_str(query.trim_start_matches('?'));
        }
        let mut headers: Vec<(String, String)> = request.headers.iter().map(|(name, value)| (header_name(name), text(value))).collect();
        if !request.host.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            headers.push(("host".into(), request.host.clone()));
        }
        let mut body = text(&request.body).into_bytes();
        if !request.files.is_empty() {
            body = self.multipart(&mut headers, body)?;
        }
        let peer = self.client_information.ip.trim().parse().ok();
        Ok(Transaction { method: request.method.clone(), target, headers, body, peer, ..Transaction::default() })
    }

    /// The form that the files came in, put together again: its agents send texts and files apart.
    fn multipart(&self, headers: &mut Vec<(String, String)>, text: Vec<u8>) -> Result<Vec<u8>, Problem> {
        if self.http_request.files.len() > FILES_MAX {
            return Err(Problem::too_large(format!("more than {FILES_MAX} files")));
        }
        headers.retain(|(name, _)| !["content-type", "content-length"].contains(&name.to_ascii_lowercase().as_str()));
        headers.push(("content-type".into(), format!("multipart/form-data; boundary={BOUNDARY}")));
        let mut form = Vec::new();
        let mut part = |head: String, content: &[u8]| {
            form.extend_from_slice(format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes());
            form.extend_from_slice(content);
            form.extend_from_slice(b"\r\n");
        };
        if !text.is_empty() {
            part("Content-Disposition: form-data; name=\"body\"".into(), &text);
        }
        for file in &self.http_request.files {
            let content = STANDARD.decode(file.file_content.trim()).map_err(|_| Problem::bad_request("file_content is no Base64"))?;
            let plain = |text: &str| text.replace(['"', '\r', '\n'], "_");
            let head = format!("Content-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: {}", plain(&file.file_name), plain(&file.file_type));
            part(head, &content);
        }
        form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        Ok(form)
    }
}

/// Its agents call this header by its right name.
fn header_name(name: &str) -> String {
    if name.eq_ignore_ascii_case("referrer") { "referer".to_owned() } else { name.to_owned() }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A profile as its agents read it. Their flags about data kept in mode lite are their own, as they last sent them.
pub fn profile(profile: &Profile, last: &Value) -> Value {
    let enabled = |class: &str| profile.classes.get(class).is_none_or(|rule| rule.enabled);
    let threshold = (f64::from(profile.threshold) * 100.0).round();
    let mode = match profile.mode {
        Mode::Off => "off",
        Mode::Lite => "lite",
        Mode::Monitor => "monitor",
        Mode::Protection => "protection",
    };
    json!({
        "running_mode": mode,
        "last_run_mode": last["last_run_mode"].as_str().unwrap_or(mode),
        "lite_mode_data_is_synchronized": last["lite_mode_data_is_synchronized"].as_bool().unwrap_or(false),
        "lite_mode_data_synchronize_status": last["lite_mode_data_synchronize_status"].as_str().unwrap_or("none"),
        "ws_module_web_attack_detection": {"enable": profile.mode != Mode::Off, "detect_header": true, "threshold": threshold},
        "ws_request_rate_limit": {"enable": profile.rate_limit.requests > NO_LIMIT, "threshold": per_minute(profile)},
        "ws_module_dga_detection": {"enable": false, "threshold": threshold},
        "ws_module_common_attack_detection": {
            "enable": profile.mode != Mode::Off,
            "detect_cross_site_scripting": enabled("xss"),
            "detect_sql_injection": enabled("sqli"),
            "detect_http_verb_tampering": enabled("verb_tampering"),
            "detect_http_large_request": enabled("oversized"),
            "detect_unknown_attack": enabled("unknown"),
            "detect_insecure_file_upload": enabled("upload"),
            "detect_insecure_redirect": enabled("open_redirect"),
        },
        "secure_response_headers": {"enable": !profile.secure_headers.is_empty(), "headers": profile.secure_headers},
    })
}

fn per_minute(profile: &Profile) -> u64 {
    let limit = profile.rate_limit;
    u64::from(limit.requests) * 60 / u64::from(limit.per_secs.max(1))
}

/// Texts of what agents say of themselves, cut to a bound.
pub fn bounded(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) if text.len() > TEXT_CHARS_MAX => *text = text.chars().take(TEXT_CHARS_MAX).collect(),
        Value::Object(map) => *map = std::mem::take(map).into_iter().take(64).map(|(name, value)| (name, bounded(value))).collect(),
        Value::Array(list) => *list = std::mem::take(list).into_iter().take(64).map(bounded).collect(),
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> GatewayData {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_request_of_its_agents_becomes_a_transaction() {
        let data = read(json!({"agent_name": "a", "client_information": {"ip": "203.0.113.7"}, "http_request": {
            "method": "POST", "url": "/login", "host": "shop.example", "headers": {"user-agent": "M", "content-length": 17, "referrer": "https://shop.example/"},
            "query_parameters": "a=1", "body": "user=a&pass=x'--", "files": []}}));
        let t = data.transaction().unwrap();
        assert_eq!((t.target.as_str(), &t.body[..], t.peer), ("/login?a=1", &b"user=a&pass=x'--"[..], "203.0.113.7".parse().ok()));
        assert_eq!((t.header("referer"), t.header("content-length"), t.header("host")), (Some("https://shop.example/"), Some("17"), Some("shop.example")));
        assert!(read(json!({})).transaction().is_err());
    }

    #[test]
    fn its_files_are_a_form_again() {
        let data = read(json!({"http_request": {"method": "POST", "url": "/up", "headers": {"content-type": "x"}, "body": "note",
            "files": [{"file_name": "a\"\r\n.png", "file_content": "iVBORw==", "file_type": "image/png"}]}}));
        let t = data.transaction().unwrap();
        assert_eq!(t.header("content-type"), Some(format!("multipart/form-data; boundary={BOUNDARY}").as_str()));
        let form = String::from_utf8_lossy(&t.body).into_owned();
        assert!(form.contains("filename=\"a___.png\"\r\nContent-Type: image/png\r\n\r\n\u{fffd}PNG\r\n") && form.contains("\r\n\r\nnote\r\n"), "{form}");
        assert!(read(json!({"http_request": {"method": "POST", "url": "/", "files": [{"file_content": "?"}]}})).transaction().is_err());
    }

    #[test]
    fn a_profile_has_the_members_of_the_original() {
        let ours = Profile { mode: Mode::Protection, threshold: 0.8, ..Profile::default() };
        let told = profile(&ours, &json!({"lite_mode_data_synchronize_status": "inprogress"}));
        assert_eq!((&told["running_mode"], &told["ws_module_web_attack_detection"]["threshold"]), (&json!("protection"), &json!(80.0)));
        assert_eq!(told["lite_mode_data_synchronize_status"], "inprogress");
    }
}
