//! A server that a script of ours runs until this is dropped.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
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
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(script);
        let mut child = Command::new(path).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
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

impl Drop for Server {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.child.wait();
    }
}
