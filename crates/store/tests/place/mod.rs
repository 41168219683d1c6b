//! Where the lakes of a test are: `tests/lake` runs on local disk, and once more, as `tests/lake_s3.rs`, in a
//! bucket of a real S3 server on loopback that `scripts/s3.sh` installs and starts.

#![allow(dead_code)] // Each of the two binaries uses its half.

pub mod proxy;

use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStore, ObjectStoreExt};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use store::lake::{Location, S3Config, S3Credentials};

const fn begins_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    let mut i = 0;
    while i < start.len() {
        if i >= text.len() || text[i] != start[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Which of the two binaries this is.
pub const ON_S3: bool = begins_with(module_path!(), "lake_s3");
const BUCKET: &str = "erne-test";
/// The address of a server that a parent process has started.
const SERVER: &str = "ERNE_TEST_S3";

/// How often a test tries, of so often on local disk: each request to the S3 server takes milliseconds.
pub const fn cases(on_disk: u32) -> u32 {
    if ON_S3 { on_disk / 3 } else { on_disk }
}

/// The server's address; started by the first who asks, ended with this process.
pub fn server() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        if let Ok(address) = std::env::var(SERVER) {
            return address;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/s3.sh");
        let mut child = Command::new(script).arg("run").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "scripts/s3.sh run has not started a server (see above)");
        // The server ends when its standard input does, which is with this process.
        std::mem::forget(child);
        let status = Command::new("curl").args(["--silent", "--fail", "-X", "PUT", &format!("{address}/{BUCKET}")]).status().unwrap();
        assert!(status.success(), "the bucket cannot be made");
        address
    })
}

pub fn child_env() -> Vec<(&'static str, String)> {
    if ON_S3 { vec![(SERVER, server().to_owned())] } else { Vec::new() }
}

/// The name by which this binary knows a test of the common suite.
pub fn test_name(name: &str) -> String {
    if ON_S3 { format!("suite::{name}") } else { name.to_owned() }
}

/// The lake of a test: its folder, or a prefix named after it.
pub fn location(dir: &Path) -> Location {
    if ON_S3 { Location::S3(Box::new(s3(dir))) } else { Location::Disk(dir.to_owned()) }
}

pub fn s3(dir: &Path) -> S3Config {
    s3_through(dir, server())
}

pub fn s3_through(dir: &Path, endpoint: &str) -> S3Config {
    let credentials = S3Credentials { access_key_id: "test".into(), secret_access_key: "test".into() };
    S3Config {
        endpoint: Some(endpoint.to_owned()),
        region: Some("us-east-1".into()),
        deadline_secs: 20,
        credentials: Some(credentials),
        ..S3Config::new(format!("s3://{BUCKET}/{}", prefix(dir)), dir.join("cache"))
    }
}

fn prefix(dir: &Path) -> String {
    format!("lakes/{}", dir.file_name().unwrap().to_string_lossy().trim_start_matches('.'))
}

fn bucket() -> AmazonS3 {
    let builder = AmazonS3Builder::new().with_bucket_name(BUCKET).with_endpoint(server()).with_allow_http(true);
    builder.with_access_key_id("test").with_secret_access_key("test").build().unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn key(dir: &Path, path: &str) -> object_store::path::Path {
    format!("{}/{path}", prefix(dir)).into()
}

/// What is stored of the table, by relative path.
pub fn files(dir: &Path) -> Vec<String> {
    if ON_S3 {
        let found: Vec<_> = wait(bucket().list(Some(&key(dir, ""))).try_collect()).unwrap();
        let start = format!("{}/", prefix(dir));
        return found.iter().map(|m| m.location.as_ref().strip_prefix(&start).unwrap().to_owned()).collect();
    }
    let mut files = Vec::new();
    below(dir, "", &mut files);
    files
}

fn below(folder: &Path, name: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let inside = format!("{name}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            below(&entry.path(), &format!("{inside}/"), files);
        } else {
            files.push(inside);
        }
    }
}

/// What the local cache of a lake in a bucket holds.
pub fn cached(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    below(&dir.join("cache"), "", &mut files);
    files
}

pub fn read(dir: &Path, path: &str) -> Vec<u8> {
    if ON_S3 {
        return wait(async { bucket().get(&key(dir, path)).await.unwrap().bytes().await.unwrap() }).to_vec();
    }
    std::fs::read(dir.join(path)).unwrap()
}

/// Changes what is stored; what a cache holds of it is forgotten.
pub fn write(dir: &Path, path: &str, bytes: &[u8]) {
    if ON_S3 {
        forget(dir);
        wait(bucket().put(&key(dir, path), bytes.to_vec().into())).unwrap();
    } else {
        std::fs::write(dir.join(path), bytes).unwrap();
    }
}

pub fn remove(dir: &Path, path: &str) {
    if ON_S3 {
        forget(dir);
        wait(bucket().delete(&key(dir, path))).unwrap();
    } else {
        std::fs::remove_file(dir.join(path)).unwrap();
    }
}

/// Empties the cache of a lake that is not open.
pub fn forget(dir: &Path) {
    for entry in std::fs::read_dir(dir.join("cache")).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

/// How a message names a file of the table.
pub fn name(dir: &Path, path: &str) -> String {
    if ON_S3 {
        format!("s3://{BUCKET}/{}/{path}", prefix(dir))
    } else {
        dir.canonicalize().unwrap().join(path).display().to_string()
    }
}
