//! A server that a script of ours runs until this is dropped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub url: String,
}

impl Server {
    /// `script` is below `scripts/`.
    pub fn start(script: &str) -> Self {
        Self::start_with(script, &[])
    }

    pub fn start_with(script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(path(script)).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Self { child, input, output, url: String::new() };
        server.url = server.line();
        assert!(server.url.contains("://"), "scripts/{script} did not start a server");
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// `stop` or `start`.
    pub fn tell(&mut self, word: &str) {
        writeln!(self.input.as_mut().unwrap(), "{word}").unwrap();
        assert!(self.line().starts_with(word));
    }

    pub fn port(&self) -> &str {
        let host = self.url.rsplit('@').next().unwrap().trim_start_matches("redis://");
        host.split(':').nth(1).unwrap().split('/').next().unwrap()
    }
}

/// Whether `mongodb.sh` can run a server here: Debian packages neither `mongod` nor a Go that can build FerretDB.
pub fn has_mongodb() -> bool {
    let found = Command::new("sh").args(["-c", "command -v mongod || command -v go"]).output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: neither mongod nor go is on the PATH, so there is no server of MongoDB's protocol");
    }
    found
}

/// `script` is below `scripts/`.
pub fn path(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(script)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.child.wait();
    }
}
