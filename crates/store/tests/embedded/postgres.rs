//! A real PostgreSQL server for a test binary: started at its first use, gone when the process is, however it ends.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub struct Server {
    pub url: String,
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<std::process::ChildStdout>,
}

/// What tests share that do not stop it. The script ends with its standard input, which ends with this process.
#[allow(dead_code, reason = "not every test binary does")]
pub static SHARED: LazyLock<String> = LazyLock::new(|| {
    let server = Server::start();
    let url = server.url.clone();
    std::mem::forget(server);
    url
});

impl Server {
    pub fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
        let mut child = Command::new(&script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { url: String::new(), child, commands, answers };
        server.url = server.answer();
        assert!(server.url.starts_with("postgres://"), "{} does not start a server; what it said stands above", script.display());
        server
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, word: &str) -> String {
        writeln!(self.commands.as_mut().unwrap(), "{word}").unwrap();
        self.answer()
    }

    /// As a crash ends it.
    #[allow(dead_code, reason = "not every test binary does")]
    pub fn stop(&mut self) {
        assert_eq!(self.tell("stop"), "stopped");
    }

    #[allow(dead_code, reason = "not every test binary does")]
    pub fn start_again(&mut self) {
        assert_eq!(self.tell("start"), "started");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.commands.take());
        let _ = self.child.wait();
    }
}

/// A name for a schema that no other test of this process uses.
#[allow(dead_code, reason = "not every test binary does")]
pub fn new_schema() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("place{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The URL of a schema on a server; the schema is still to be made.
pub fn in_schema(url: &str, schema: &str) -> String {
    format!("{url}?options[search_path]={schema}")
}
