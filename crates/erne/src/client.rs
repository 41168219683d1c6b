//! The commands' way to a running server: HTTP with an API key.

use anyhow::{Context, bail};
use engine::Config;
use std::path::Path;
use std::time::Duration;

/// Where the server left a key for commands on the same machine, readable by its user only.
pub const KEY_FILE: &str = "secrets/cli.key";

/// How to reach a server; shared by all commands that need one.
#[derive(clap::Args, Clone, Debug)]
pub struct Target {
    /// The server's address; by default the one of the configuration.
    #[arg(long)]
    pub url: Option<String>,
    /// An API key; by default the one that the server on this machine keeps in its data folder.
    #[arg(long, env = "ERNE_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// The data folder to take the key from.
    #[arg(long)]
    pub data_dir: Option<std::path::PathBuf>,
}

pub struct Client {
    agent: ureq::Agent,
    url: String,
    key: String,
}

/// A server's answer.
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: ureq::Body,
}

/// A body that comes piece by piece, and how many events it announces.
pub struct Download {
    pub status: u16,
    pub rows: Option<u64>,
    pub body: ureq::Body,
}

impl Client {
    pub fn open(target: &Target, config: Option<&Path>) -> anyhow::Result<Self> {
        let config: Config = Config::layers(config).extract().context("the configuration cannot be read")?;
        let dir = target.data_dir.clone().unwrap_or_else(|| config.data_dir.clone());
        let url = target.url.clone().unwrap_or_else(|| format!("http://{}", config.listen));
        let key = match &target.key {
            Some(key) => key.clone(),
            None => std::fs::read_to_string(dir.join(KEY_FILE))
                .with_context(|| format!("no key: give --key, or --data-dir of the running server (looked for {})", dir.join(KEY_FILE).display()))?,
        };
        Ok(Self::new(url, key.trim().to_owned()))
    }

    pub fn new(url: String, key: String) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .build();
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned(), key }
    }

    /// The same server, for an answer that may take so long.
    pub fn patient(mut self, answer: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(answer))
            .build();
        self.agent = config.into();
        self
    }

    pub fn get(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let mut response = self
            .agent
            .get(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.key))
            .call()
            .with_context(|| self.unreachable())?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
        if status >= 400 {
            bail!("{path}: {status} {}", problem(&text));
        }
        serde_json::from_str(&text).with_context(|| format!("{path}: the answer is no JSON"))
    }

    pub fn post(&self, path: &str, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<Answer> {
        self.post_as(&format!("Bearer {}", self.key), path, kind, headers, body)
    }

    /// As somebody else than the key's owner.
    pub fn post_as(&self, authorization: &str, path: &str, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> anyhow::Result<Answer> {
        let mut request = self.agent.post(format!("{}{path}", self.url)).header("authorization", authorization).header("content-type", kind);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send(body).with_context(|| self.unreachable())?;
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        Ok(Answer { status: response.status().as_u16(), retry_after, body: response.into_body() })
    }

    pub fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        let request = self.agent.delete(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.key));
        let response = request.call().with_context(|| self.unreachable())?;
        Ok(Answer { status: response.status().as_u16(), retry_after: None, body: response.into_body() })
    }

    /// Begins a download.
    pub fn download(&self, path: &str) -> anyhow::Result<Download> {
        let request = self.agent.get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.key));
        let response = request.call().with_context(|| self.unreachable())?;
        let rows = response.headers().get("x-erne-rows").and_then(|v| v.to_str().ok()?.parse().ok());
        Ok(Download { status: response.status().as_u16(), rows, body: response.into_body() })
    }

    fn unreachable(&self) -> String {
        format!("no server answers at {}: start one with `erne run`", self.url)
    }
}

/// The human part of a problem+json answer.
pub fn problem(text: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let part = |name: &str| json.as_ref()?.get(name)?.as_str().map(str::to_owned);
    match (part("title"), part("detail")) {
        (Some(title), Some(detail)) => match part("hint") {
            Some(hint) if !detail.contains(&hint) => format!("{title}: {detail}; {hint}"),
            _ => format!("{title}: {detail}"),
        },
        (Some(one), None) | (None, Some(one)) => one,
        _ => crate::output::inert(text, 300),
    }
}

/// Percent-encodes a query value (RFC 3986 unreserved characters stay).
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
