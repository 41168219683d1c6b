//! A disk that is really full: a tmpfs of 4 MB, which takes root to mount.

use crate::log_conformance::small;
use crate::samples::record;
use futures::executor::block_on;
use std::path::Path;
use std::process::Command;
use store::log::{Append, AppendError, Log, LogConfig, SegmentLog};

struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(dir: &'a Path) -> Result<Self, String> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(dir).output();
        let mount = mount.map_err(|e| e.to_string())?;
        mount.status.success().then_some(Self(dir)).ok_or_else(|| String::from_utf8_lossy(&mount.stderr).into())
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_loses_nothing_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let _tmpfs = match Tmpfs::mount(dir.path()) {
        Ok(tmpfs) => tmpfs,
        Err(why) => return println!("skipped: cannot mount a tmpfs: {why}"),
    };
    let path = dir.path().join("log");
    let open = || SegmentLog::open(&path, LogConfig { segment_bytes_max: 1 << 20, ..small() }).unwrap();
    let mut log = open();
    let append = |n: u64, log: &SegmentLog| {
        block_on(log.append(Append { records: vec![record(n, 100_000)], idempotency_key: None }))
    };
    let mut next = 0;
    for round in 0..3 {
        let refused = loop {
            match append(next, &log) {
                Ok(answer) => next = answer.next,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, AppendError::DiskFull { .. }), "round {round}: {refused}");
        let (start, end) = log.range();
        assert_eq!(end, next, "exactly what was acknowledged");
        for n in start..end {
            assert_eq!(log.read(n, 0).unwrap(), [(n, record(n, 100_000))]);
        }
        if round == 1 {
            drop(log);
            log = open();
            assert_eq!(log.range(), (start, end));
        }
        log.release(end).unwrap();
        append(next, &log).expect("released, it goes on");
        next += 1;
    }
    assert_eq!(log.stopped(), None);
}
