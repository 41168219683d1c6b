//! A server process in a folder of its own, and a client for it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    child: Child,
    pub url: String,
    pub dir: PathBuf,
    /// What it said at its start.
    pub said: String,
}

pub fn erne() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_erne"));
    command.env("NO_COLOR", "1").env_remove("ERNE_CONFIG").env_remove("ERNE_LOG").env_remove("ERNE_KEY");
    command
}

impl Server {
    pub fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[], &[])
    }

    pub fn start_with(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = erne();
        command.args(["run", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir).args(arguments);
        command.envs(environment.iter().copied());
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut reader = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut url) = (String::new(), None);
        // The greeting ends with the line about the password.
        while !said.contains("log in as admin") {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                panic!("the server ended at its start and said:\n{said}");
            }
            if let Some((_, rest)) = line.split_once("watching at ") {
                url = Some(rest.trim().to_owned());
            }
            said.push_str(&line);
        }
        let echo = std::env::var_os("ERNE_TEST_ECHO").is_some();
        std::thread::spawn(move || {
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                if echo {
                    eprint!("server: {line}");
                }
                line.clear();
            }
        });
        Self { child, url: url.expect("the greeting names the address"), dir: dir.to_owned(), said }
    }

    pub fn password(&self) -> Option<&str> {
        self.said.split_once("with the password ").map(|(_, rest)| rest.split_whitespace().next().unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn key(&self) -> String {
        std::fs::read_to_string(self.dir.join("secrets/cli.key")).unwrap().trim().to_owned()
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the server did not end after SIGTERM");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn client(&self) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(20))).build();
        Client { agent: config.into(), url: self.url.clone(), key: self.key() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
pub struct Client {
    pub agent: ureq::Agent,
    pub url: String,
    pub key: String,
}

impl Client {
    pub fn get(&self, path: &str) -> Value {
        let mut response = self.agent.get(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.key)).call().unwrap();
        let status = response.status();
        let mut text = String::new();
        response.body_mut().as_reader().read_to_string(&mut text).unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}: {text}"))
    }

    /// The status, or the transport's error when the server is gone.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Value), ureq::Error> {
        let mut request = self.agent.post(format!("{}{path}", self.url)).header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body)?;
        let text = response.body_mut().read_to_string()?;
        Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// All items of a list, page by page.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit=1000{cursor}"));
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Waits until `ready` accepts the answer of `path`, and gives it.
    pub fn until(&self, path: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.get(path);
            if ready(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} does not come to the expected state; last: {answer:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until everything acknowledged is processed and its alerts are stored.
    pub fn settle(&self) {
        self.until("/api/v1/overview", |o| o["lag_records"] == 0);
    }
}
