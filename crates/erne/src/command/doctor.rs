//! `erne doctor`: what keeps this machine from running Erne well.

use engine::Config;
use engine::lake::{Lake, Location, S3Config};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// The data folder to look at; by default the one of the configuration.
    #[arg(long)]
    pub data_dir: Option<std::path::PathBuf>,
}

enum Verdict {
    Good(String),
    Notice(String),
    Bad(String),
}

pub fn run(args: Args, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut config = match super::config::load(file) {
        Ok(config) => config,
        Err(error) => {
            println!("bad     configuration: {error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    if let Some(dir) = args.data_dir {
        config.data_dir = dir;
    }
    let checks: &[(&str, fn(&Config) -> Verdict)] = &[
        ("data folder", data_dir),
        ("disk space", disk),
        ("control plane", control),
        ("fsync", fsync),
        ("lake", lake),
        ("address", address),
        ("open files", open_files),
        ("memory", memory),
        ("clock", clock),
        ("geoip", geoip),
        ("content", content),
    ];
    let mut bad = 0;
    for (name, check) in checks {
        let (word, text) = match check(&config) {
            Verdict::Good(text) => ("good", text),
            Verdict::Notice(text) => ("notice", text),
            Verdict::Bad(text) => {
                bad += 1;
                ("bad", text)
            }
        };
        println!("{word:<7} {name}: {text}");
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The data folder, or the nearest folder above that exists.
fn nearest(config: &Config) -> &Path {
    let mut dir: &Path = &config.data_dir;
    while !dir.exists() {
        dir = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
    }
    dir
}

fn data_dir(config: &Config) -> Verdict {
    let probe = nearest(config).join(".erne-doctor");
    match std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe)) {
        Ok(()) if config.data_dir.exists() => Verdict::Good(format!("{} can be written", config.data_dir.display())),
        Ok(()) => Verdict::Good(format!("{} can be created", config.data_dir.display())),
        Err(error) => Verdict::Bad(format!("{} cannot be written: {error}", nearest(config).display())),
    }
}

fn disk(config: &Config) -> Verdict {
    let stat = match rustix::fs::statvfs(nearest(config)) {
        Ok(stat) => stat,
        Err(error) => return Verdict::Bad(format!("free space is unknown: {error}")),
    };
    let free = stat.f_bavail * stat.f_frsize;
    let text = format!("{} MB free, {} MB are kept free", free >> 20, config.log.free_bytes_min >> 20);
    if free <= config.log.free_bytes_min {
        Verdict::Bad(format!("{text}: ingest answers 503"))
    } else if free < config.log.free_bytes_min * 4 {
        Verdict::Notice(text)
    } else {
        Verdict::Good(text)
    }
}

fn control(config: &Config) -> Verdict {
    let Some(url) = &config.control.url else {
        return Verdict::Good(format!("SQLite in {}", config.data_dir.join("erne.db").display()));
    };
    let examined = super::run::runtime().map(|runtime| runtime.block_on(engine::control::Control::examine(url)));
    match examined {
        Ok(Ok(text)) => Verdict::Good(text),
        Ok(Err(error)) => Verdict::Bad(error.to_string()),
        Err(error) => Verdict::Bad(format!("{error:#}")),
    }
}

/// An acknowledgement waits for one fsync.
fn fsync(config: &Config) -> Verdict {
    let path = nearest(config).join(".erne-doctor");
    let measure = || -> std::io::Result<f64> {
        let mut file = std::fs::File::create(&path)?;
        let started = Instant::now();
        const ROUNDS: u32 = 20;
        for _ in 0..ROUNDS {
            file.write_all(&[0; 4096])?;
            file.sync_data()?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS))
    };
    let result = measure();
    let _ = std::fs::remove_file(&path);
    match result {
        Ok(ms) if ms > 30.0 => Verdict::Notice(format!("{ms:.1} ms each: acknowledgements will be slow")),
        Ok(ms) => Verdict::Good(format!("{ms:.2} ms each")),
        Err(error) => Verdict::Bad(error.to_string()),
    }
}

/// A lake in an object store: lists, writes, reads and deletes there.
fn lake(config: &Config) -> Verdict {
    let s3 = match config.lake_location() {
        Location::Disk(dir) => return Verdict::Good(format!("{} on local disk", dir.display())),
        Location::S3(s3) => s3,
    };
    let cache = nearest(config).join(".erne-doctor-cache");
    let s3 = S3Config { cache_dir: cache.clone(), deadline_secs: s3.deadline_secs.min(10), ..*s3 };
    let started = Instant::now();
    let tried = Lake::try_out(&s3);
    let _ = std::fs::remove_dir_all(&cache);
    let ms = started.elapsed().as_millis();
    match tried {
        Err(error) => Verdict::Bad(error.to_string()),
        Ok(()) if s3.endpoint.as_deref().is_some_and(|e| e.starts_with("http://")) => {
            Verdict::Notice(format!("{} works ({ms} ms), over plain HTTP: everyone on the way can read the events", s3.url))
        }
        Ok(()) => Verdict::Good(format!("{} can be listed, written, read and deleted ({ms} ms)", s3.url)),
    }
}

fn address(config: &Config) -> Verdict {
    match TcpListener::bind(config.listen) {
        Ok(_) if config.listen.ip().is_loopback() => Verdict::Good(format!("{} is free", config.listen)),
        Ok(_) => Verdict::Notice(format!("{} is free, and can be reached from other machines without TLS", config.listen)),
        Err(error) => Verdict::Notice(format!("{} is not free ({error}): is Erne running?", config.listen)),
    }
}

fn open_files(_: &Config) -> Verdict {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(limit) if limit < 4_096 => Verdict::Notice(format!("at most {limit}; raise it (ulimit -n 65536) for many connections")),
        Some(limit) => Verdict::Good(format!("at most {limit}")),
        None => Verdict::Good("no limit".to_owned()),
    }
}

fn memory(_: &Config) -> Verdict {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = text.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    match available {
        Some(kb) if kb < 600_000 => Verdict::Notice(format!("{} MB available; 600 MB are comfortable at full load", kb >> 10)),
        Some(kb) => Verdict::Good(format!("{} MB available", kb >> 10)),
        None => Verdict::Notice("unknown".to_owned()),
    }
}

fn clock(_: &Config) -> Verdict {
    let now = super::simulate::now();
    match event::Timestamp::parse("2026-01-01T00:00:00Z") {
        Some(least) if now < least => Verdict::Bad(format!("{now} is in the past: times and sessions will be wrong")),
        _ => Verdict::Good(now.to_string()),
    }
}

fn geoip(config: &Config) -> Verdict {
    let found = config.geoip_or_found();
    match (&found.city, &found.asn) {
        (Some(city), _) if city.is_file() => Verdict::Good(city.display().to_string()),
        _ => Verdict::Notice("no city database: the map stays empty; `make geoip` fetches one, or set geoip.city".to_owned()),
    }
}

fn content(config: &Config) -> Verdict {
    let (rules, issues) = engine::load_rules(&config.content());
    match issues.first() {
        None => Verdict::Good(format!("{} rules load", rules.rules().len())),
        Some(issue) => Verdict::Notice(format!("{} rules load, {} do not: {}", rules.rules().len(), issues.len(), super::hunt::describe(issue))),
    }
}
