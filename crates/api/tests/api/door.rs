//! A running server and a client that sends exactly the bytes it is told to.
use api::{ApiConfig, CancellationToken, Server};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Held by tests that measure or take much memory.
pub static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub struct Door {
    pub address: SocketAddr,
    pub password: String,
    pub platform: engine::Platform,
    running: Option<engine::Running>,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<Result<(), api::ApiError>>,
    _dir: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// Asserts the status and, for errors, that the body is a problem document.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text());
        if status >= 400 {
            assert_eq!(self.header("content-type"), Some("application/problem+json"));
            let problem = self.json();
            assert_eq!(problem["status"], status);
            for member in ["type", "title", "detail"] {
                assert!(problem[member].is_string(), "{problem}");
            }
        }
        self
    }
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let end = text.find("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = text[..end].lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|l| l.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect();
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        Self { status, headers, body: bytes[at..].to_vec() }
    }
}

impl Door {
    pub async fn open() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = engine::Config { data_dir: dir.path().to_owned(), workers: 1, ..engine::Config::default() };
        let running = engine::start(&config).await.unwrap();
        let platform = running.platform.clone();
        let password = api::ensure_admin(platform.control(), platform.now()).await.unwrap().expect("the first start makes an admin");
        let mut config = ApiConfig { listen: "127.0.0.1:0".parse().unwrap(), ..ApiConfig::default() };
        change(&mut config);
        let server = Server::bind(platform.clone(), config).await.unwrap();
        let address = server.local_addr();
        let stop = CancellationToken::new();
        let server = tokio::spawn(server.run(stop.clone()));
        Self { address, password, platform, running: Some(running), stop, server, _dir: dir }
    }

    pub async fn close(mut self) {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
        self.running.take().unwrap().stop().await;
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and returns everything up to the server's close, or what came within `within`.
    pub async fn raw(&self, bytes: &[u8], within: Duration) -> Vec<u8> {
        let mut stream = self.connect().await;
        // The server may close while a large request is still on its way.
        let _ = stream.write_all(bytes).await;
        let mut out = Vec::new();
        let _ = tokio::time::timeout(within, stream.read_to_end(&mut out)).await;
        out
    }

    pub async fn call(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{verb} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() || verb != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let bytes = [head.as_bytes(), b"\r\n", body].concat();
        Answer::parse(&self.raw(&bytes, Duration::from_secs(30)).await)
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", path, headers, b"").await
    }

    pub async fn post_json(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.call("POST", path, &all, body.to_string().as_bytes()).await
    }

    pub async fn login(&self, user: &str, password: &str) -> Session {
        let answer = self.post_json("/api/v1/login", &[], serde_json::json!({"user": user, "password": password})).await;
        answer.expect(200);
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        Session { cookie: cookie.split(';').next().unwrap().to_owned(), csrf: answer.json()["csrf"].as_str().unwrap().to_owned() }
    }

    pub async fn admin(&self) -> Session {
        self.login("admin", &self.password).await
    }

    pub async fn token(&self, user: &str, password: &str) -> String {
        let answer = self.post_json("/api/v1/token", &[], serde_json::json!({"user": user, "password": password})).await;
        format!("Bearer {}", answer.expect(200).json()["access_token"].as_str().unwrap())
    }

    pub async fn make_user(&self, admin: &Session, name: &str, role: &str, password: &str) {
        let body = serde_json::json!({"role": role, "password": password}).to_string();
        let headers = [("Content-Type", "application/json"), ("Cookie", &*admin.cookie), ("X-CSRF-Token", &*admin.csrf)];
        self.call("PUT", &format!("/api/v1/users/{name}"), &headers, body.as_bytes()).await.expect(200);
    }

    /// The clear text and the id of a new key.
    pub async fn make_key(&self, admin: &Session, name: &str, scopes: &[&str]) -> (String, String) {
        let body = serde_json::json!({"name": name, "scopes": scopes});
        let answer = self.post_json("/api/v1/keys", &admin.headers(), body).await;
        let answer = answer.expect(201).json();
        (answer["key"].as_str().unwrap().to_owned(), answer["id"].as_str().unwrap().to_owned())
    }
}

pub struct Session {
    pub cookie: String,
    pub csrf: String,
}

impl Session {
    pub fn headers(&self) -> [(&str, &str); 2] {
        [("Cookie", &self.cookie), ("X-CSRF-Token", &self.csrf)]
    }
}

pub const PASSWORD: &str = "correct horse battery";
