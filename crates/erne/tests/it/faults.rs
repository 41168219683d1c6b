//! P1, P6 and P7 of the promises against real faults: power cuts of a mounted ext4, and writes that fail.
//!
//! They need root and loop devices, or strace; where these are missing the tests say so and stop.

use crate::kill::{Load, random};
use crate::server::Server;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// `ERNE_POWER_CUTS` makes it another number.
const POWER_CUTS: u64 = 15;
/// The volume is small: nothing is to be kept free on it.
const SMALL: [(&str, &str); 2] = [("ERNE__LAKE__FLUSH_SECS", "1"), ("ERNE__LOG__FREE_BYTES_MIN", "16777216")];

/// An ext4 of its own that can lose its power.
struct Volume {
    image: PathBuf,
    mount: PathBuf,
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    if done.status.success() { Ok(()) } else { Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr))) }
}

impl Volume {
    fn make(dir: &Path) -> Result<Self, String> {
        let volume = Self { image: dir.join("disk.img"), mount: dir.join("disk") };
        std::fs::create_dir(&volume.mount).map_err(|e| e.to_string())?;
        std::fs::File::create(&volume.image).and_then(|f| f.set_len(1 << 30)).map_err(|e| e.to_string())?;
        run("mkfs.ext4", &["-q", volume.image.to_str().unwrap()])?;
        volume.mount()?;
        Ok(volume)
    }

    fn mount(&self) -> Result<(), String> {
        run("mount", &["-o", "loop", self.image.to_str().unwrap(), self.mount.to_str().unwrap()])
    }

    /// EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: from here on nothing reaches the disk, neither data
    /// in the page cache nor the journal's running transaction.
    fn cut_power(&self) {
        let program = "import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";
        run("python3", &["-c", program, self.mount.to_str().unwrap()]).unwrap();
    }

    /// What a machine does when it starts again: the journal is replayed.
    fn restart(&self) {
        run("umount", &[self.mount.to_str().unwrap()]).unwrap();
        self.mount().unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", self.mount.to_str().unwrap()]);
    }
}

#[test]
fn power_cuts_lose_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let volume = match Volume::make(dir.path()) {
        Ok(volume) => volume,
        Err(why) => return println!("skipped: no volume can be mounted: {why}"),
    };
    let rounds = std::env::var("ERNE_POWER_CUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(POWER_CUTS);
    let load = Load::new(dir.path());
    let data = volume.mount.join("data");
    let mut seed = 77;
    for _ in 0..rounds {
        let mut server = load.serve(&data, &SMALL);
        load.send_until(&server.client(), || {
            std::thread::sleep(Duration::from_millis(100 + random(&mut seed) % 1_500));
            // A machine without power answers nobody. Here the process lives on, and an fsync that is under way while ext4
            // shuts down may succeed although its blocks never reach the disk.
            load.goes_dark();
            volume.cut_power();
            std::thread::sleep(Duration::from_millis(random(&mut seed) % 100));
            server.kill();
        });
        volume.restart();
    }
    let server = load.serve(&data, &SMALL);
    load.check(&server, rounds);
    server.stop();
}

/// An strace that makes every fsync of a process fail, from when it says so until it is dropped.
struct FailingSync(std::process::Child);

impl FailingSync {
    fn attach(pid: u32) -> Result<Self, String> {
        let mut strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO", "-p", &pid.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("strace: {e}"))?;
        let mut said = String::new();
        let mut lines = BufReader::new(strace.stderr.take().unwrap());
        while !said.contains("attached") {
            if lines.read_line(&mut said).map_err(|e| e.to_string())? == 0 {
                return Err(said);
            }
        }
        std::thread::spawn(move || lines.lines().for_each(drop));
        Ok(Self(strace))
    }
}

impl Drop for FailingSync {
    fn drop(&mut self) {
        // SIGTERM: it detaches, and the process goes on without it.
        let _ = run("kill", &[&self.0.id().to_string()]);
        let _ = self.0.wait();
    }
}

#[test]
fn a_disk_that_fails_to_sync_is_never_trusted_again() {
    let dir = tempfile::tempdir().unwrap();
    let load = Load::new(dir.path());
    let data = dir.path().join("data");
    let server = load.serve(&data, &SMALL);
    load.send_until(&server.client(), || std::thread::sleep(Duration::from_millis(300)));
    let failing = match FailingSync::attach(server.pid()) {
        Ok(failing) => failing,
        Err(why) => return println!("skipped: strace cannot attach: {why}"),
    };
    // All threads are traced after a moment; from then on nothing may be acknowledged.
    std::thread::sleep(Duration::from_millis(500));
    let before = load.acked();
    load.send_until(&server.client(), || std::thread::sleep(Duration::from_millis(700)));
    assert_eq!(load.acked(), before, "acknowledged though no fsync succeeded");
    drop(failing);
    // The kernel reports a failed fsync once and drops the pages: the next one's success means nothing.
    load.send_until(&server.client(), || std::thread::sleep(Duration::from_millis(300)));
    assert_eq!(load.acked(), before, "acknowledged after a failed fsync");
    let told = server.client().post("/api/logs", &[], b"{}").unwrap();
    assert_eq!(told.0, 503, "{}", told.1);
    drop(server);
    load.check(&load.serve(&data, &SMALL), 1);
}

/// A server on a full disk refuses, answers queries, and heals once there is room.
#[test]
fn a_full_disk_refuses_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let volume = match Volume::make(dir.path()) {
        Ok(volume) => volume,
        Err(why) => return println!("skipped: no volume can be mounted: {why}"),
    };
    let load = Load::new(dir.path());
    let data = volume.mount.join("data");
    let server: Server = load.serve(&data, &[("ERNE__LAKE__FLUSH_SECS", "1"), ("ERNE__LOG__FREE_BYTES_MIN", "67108864")]);
    load.send_until(&server.client(), || std::thread::sleep(Duration::from_millis(300)));
    let ballast = volume.mount.join("ballast");
    let full = run("fallocate", &["-l", "880M", ballast.to_str().unwrap()]);
    full.expect("the volume has one gigabyte");
    let client = server.client();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut probes = 0..;
    let told = loop {
        let probe = format!("{{\"message\":\"is there room n-probe-{}.\"}}", probes.next().unwrap_or(0));
        let (status, answer) = client.post("/api/logs", &[], probe.as_bytes()).unwrap();
        if status == 503 {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "a full disk still answers {status}");
    };
    assert!(told.to_string().contains("disk"), "{told}");
    assert!(client.get("/api/v1/search?from=2020-01-01T00:00:00Z&limit=1")["items"].as_array().is_some_and(|i| !i.is_empty()), "queries live");
    std::fs::remove_file(&ballast).unwrap();
    let before = load.acked();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while load.acked() == before {
        assert!(std::time::Instant::now() < deadline, "it does not heal");
        load.send_until(&client, || std::thread::sleep(Duration::from_millis(200)));
    }
    load.check(&server, 1);
    server.stop();
}
