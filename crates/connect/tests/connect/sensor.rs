//! A sensor against a platform that is away, loses answers and refuses: nothing is lost, nothing counts twice.

use connect::capture::Options;
use connect::sensor::{self, Config};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Requests taken, by their key: what a platform that knows keys would have stored.
type Stored = Arc<Mutex<BTreeMap<String, String>>>;

/// What the platform does with its n-th request.
#[derive(Clone, Copy, PartialEq)]
enum Turn {
    Take,
    /// It stores the batch, and the connection breaks before its answer.
    LoseAnswer,
    Answer(u16),
}

/// Answers until the flag is set; after the turns it takes everything.
fn platform(turns: Vec<Turn>, stored: Stored, stop: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let mut turns = turns.into_iter();
        while !stop.load(Ordering::Relaxed) {
            let Ok((stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            stream.set_nonblocking(false).unwrap();
            let mut reader = BufReader::new(stream);
            let (mut key, mut len, mut line, mut authorised) = (String::new(), 0, String::new(), false);
            while reader.read_line(&mut line).unwrap() > 2 {
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                match name.to_ascii_lowercase().as_str() {
                    "idempotency-key" => key = value.trim().to_owned(),
                    "content-length" => len = value.trim().parse().unwrap(),
                    "authorization" => authorised = value.trim() == "Bearer erne_test",
                    _ => {}
                }
                line.clear();
            }
            let mut body = vec![0; len];
            reader.read_exact(&mut body).unwrap();
            assert!(authorised && !key.is_empty());
            let turn = turns.next().unwrap_or(Turn::Take);
            if matches!(turn, Turn::Take | Turn::LoseAnswer) {
                stored.lock().unwrap().insert(key, String::from_utf8(body).unwrap());
            }
            let status = match turn {
                Turn::Take => 202,
                Turn::LoseAnswer => continue,
                Turn::Answer(status) => status,
            };
            write!(reader.get_mut(), "HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
        }
    });
    port
}

fn config(dir: &Path, port: u16) -> Config {
    Config {
        url: format!("http://127.0.0.1:{port}"),
        key: "erne_test".into(),
        ca: None,
        source: "host-a".into(),
        dir: dir.join("agent"),
        spool_bytes: 10 << 20,
        captures: Vec::new(),
        follow: vec![dir.join("auth.log")],
        journal: false,
        detect: net::detect::Settings::default(),
        user: None,
        confine: false,
        once: false,
    }
}

fn run_for(config: Config, millis: u64) -> sensor::Summary {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(millis));
        flag.store(true, Ordering::Relaxed);
    });
    sensor::run(config, stop, || Ok(()), &mut |_| {}).unwrap()
}

fn lines(from: u32, to: u32) -> String {
    (from..to).map(|i| format!("Nov 21 10:00:00 host sshd[{i}]: Failed password for root from 192.0.2.1 port 22 ssh2\n")).collect()
}

#[test]
fn nothing_is_lost_and_nothing_counts_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (stored, stop): (Stored, _) = (Stored::default(), Arc::new(AtomicBool::new(false)));
    let log = dir.path().join("auth.log");
    std::fs::write(&log, lines(0, 500)).unwrap();
    // Nobody listens: what was read waits on disk, and the stop does not wait for a platform that is away.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let begun = Instant::now();
    let away = run_for(config(dir.path(), closed), 800);
    assert!(away.spool_batches >= 1 && away.lines == 500 && away.batches_sent == 0, "{away:?}");
    assert!(begun.elapsed() < Duration::from_secs(8));
    // The file grows and is rotated while no sensor runs.
    std::fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(lines(500, 700).as_bytes()).unwrap();
    let port = platform(vec![Turn::Answer(503), Turn::LoseAnswer, Turn::Answer(429), Turn::Answer(401)], stored.clone(), stop.clone());
    let mut again = config(dir.path(), port);
    let back = run_for(again.clone(), 4_000);
    assert_eq!((back.spool_batches, back.lines, back.records_lost, back.batches_refused), (0, 200, 0, 0), "{back:?}");
    std::fs::rename(&log, dir.path().join("auth.log.1")).unwrap();
    std::fs::write(&log, lines(700, 900)).unwrap();
    again.once = true;
    let last = sensor::run(again, Arc::default(), || Ok(()), &mut |_| {}).unwrap();
    assert_eq!((last.spool_batches, last.lines), (0, 200), "{last:?}");
    stop.store(true, Ordering::Relaxed);
    let all: String = stored.lock().unwrap().values().filter(|body| !body.starts_with('{')).cloned().collect();
    assert_eq!(all, lines(0, 900));
    let beats = stored.lock().unwrap().values().filter(|body| body.contains("\"event_type\":\"sensor\"")).count();
    assert!(beats >= 2, "each start says what host it is");
}

#[test]
fn what_the_platform_will_never_take_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (stored, stop): (Stored, _) = (Stored::default(), Arc::new(AtomicBool::new(false)));
    std::fs::write(dir.path().join("auth.log"), lines(0, 10)).unwrap();
    let port = platform(vec![Turn::Answer(413)], stored.clone(), stop.clone());
    let summary = sensor::run(Config { once: true, ..config(dir.path(), port) }, Arc::default(), || Ok(()), &mut |_| {}).unwrap();
    stop.store(true, Ordering::Relaxed);
    assert_eq!((summary.batches_refused, summary.spool_batches), (1, 0));
    assert_eq!(std::fs::read_dir(dir.path().join("agent/spool/refused")).unwrap().count(), 1);
}

#[test]
fn a_full_spool_makes_files_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (stored, stop): (Stored, _) = (Stored::default(), Arc::new(AtomicBool::new(false)));
    std::fs::write(dir.path().join("auth.log"), lines(0, 500)).unwrap();
    let full = run_for(Config { spool_bytes: 10_000, ..config(dir.path(), 1) }, 500);
    assert_eq!((full.lines, full.records_lost), (0, 0), "{full:?}");
    let port = platform(Vec::new(), stored.clone(), stop.clone());
    sensor::run(Config { once: true, ..config(dir.path(), port) }, Arc::default(), || Ok(()), &mut |_| {}).unwrap();
    stop.store(true, Ordering::Relaxed);
    let all: String = stored.lock().unwrap().values().filter(|body| !body.starts_with('{')).cloned().collect();
    assert_eq!(all, lines(0, 500));
}

#[test]
fn without_work_or_right_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = |config: Config| sensor::run(config, Arc::default(), || Ok(()), &mut |_| {}).unwrap_err().to_string();
    assert!(error(Config { follow: Vec::new(), ..config(dir.path(), 1) }).contains("nothing to do"));
    let captures = vec![Options::new("nothing0")];
    assert_eq!(error(Config { captures, ..config(dir.path(), 1) }), "nothing0: there is no such interface");
    assert!(error(Config { url: "gopher://x".into(), ..config(dir.path(), 1) }).contains("is expected"));
}

/// Rights are given up per thread, so this one's do no harm to the other tests.
#[test]
fn a_confined_thread_reads_and_writes_nowhere_else() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("a"), "x").unwrap();
    let done = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let confined = sensor::confine(None, false, &[inside.path()]).unwrap();
                std::fs::write(inside.path().join("b"), "y").unwrap();
                std::fs::remove_file(inside.path().join("b")).unwrap();
                assert_eq!(std::fs::read_to_string(outside.path().join("a")).unwrap(), "x");
                if confined.landlock {
                    assert!(std::fs::write(outside.path().join("a"), "z").is_err());
                    assert!(std::process::Command::new("/bin/true").status().is_err(), "nor starts it a program");
                }
                let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
                assert!(status.contains("CapEff:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), "{status}");
                confined.landlock
            })
            .join()
            .unwrap()
    });
    if !done {
        eprintln!("skipped in part: this kernel has no Landlock");
    }
}
