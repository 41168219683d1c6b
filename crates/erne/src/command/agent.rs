//! `erne agent`: a sensor on a host. What it does is `connect::sensor`; here are its options and its signals.

use super::packets;
use anyhow::{Context, bail};
use connect::capture::{Options, RING_BYTES_DEFAULT, SNAPLEN_DEFAULT};
use connect::sensor::{self, BYTES_MAX_DEFAULT, Config};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(clap::Args)]
pub struct Args {
    /// The platform: http://HOST:PORT or https://HOST:PORT.
    #[arg(long, env = "ERNE_URL")]
    url: String,
    /// An API key with the scope `ingest`.
    #[arg(long, env = "ERNE_KEY", hide_env_values = true, conflicts_with = "key_file")]
    key: Option<String>,
    /// The file that holds the key.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Certificates (PEM) to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Captures an interface. May be repeated.
    #[arg(long, short)]
    interface: Vec<String>,
    /// Captures only what this filter takes, in tcpdump's language: "not port 22".
    #[arg(long, value_name = "FILTER", default_value = "")]
    bpf: String,
    /// Bytes kept of a frame.
    #[arg(long, default_value_t = SNAPLEN_DEFAULT, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    snaplen: u32,
    /// Captures only what is addressed to this host.
    #[arg(long)]
    no_promiscuous: bool,
    /// Megabytes of the ring that packets wait in, for each interface.
    #[arg(long, default_value_t = RING_BYTES_DEFAULT >> 20, value_name = "MB")]
    ring_mb: usize,
    /// Follows a file through rotation, /var/log/auth.log for example. May be repeated.
    #[arg(long, short, value_name = "FILE")]
    follow: Vec<PathBuf>,
    /// Follows systemd's journal.
    #[arg(long)]
    journal: bool,
    /// The name under which the platform shows what comes from here; by default the host's.
    #[arg(long)]
    source: Option<String>,
    /// Folder for what waits and for the places in followed files.
    #[arg(long, default_value = "/var/lib/erne-agent", value_name = "FOLDER")]
    dir: PathBuf,
    /// Megabytes that may wait on disk while the platform is away.
    #[arg(long, default_value_t = BYTES_MAX_DEFAULT >> 20, value_name = "MB")]
    spool_mb: u64,
    /// Thresholds of the network detectors, as in content/network.yml.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Whom to become once everything is open.
    #[arg(long)]
    user: Option<String>,
    /// Keeps all rights, to look for what confinement breaks.
    #[arg(long)]
    no_confine: bool,
    /// Reads what the followed files hold now, sends it and ends.
    #[arg(long, conflicts_with_all = ["interface", "journal"])]
    once: bool,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = config(args)?;
    let (stop, once) = (Arc::new(AtomicBool::new(false)), config.once);
    let signals = stop.clone();
    let summary = sensor::run(config, stop, || watch_signals(signals), &mut |line| eprintln!("{line}"))?;
    eprintln!("{}", serde_json::to_string(&summary)?);
    Ok(if once && summary.spool_batches > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// SIGINT and SIGTERM set the flag.
pub fn watch_signals(stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_io().build()?;
    std::thread::spawn(move || {
        runtime.block_on(super::run::stop_signal());
        stop.store(true, Ordering::Relaxed);
    });
    Ok(())
}

fn config(args: Args) -> anyhow::Result<Config> {
    let key = match (&args.key, &args.key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(path)) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        (None, None) => bail!("a key is needed: --key, --key-file or ERNE_KEY"),
    };
    let name = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_else(|_| "agent".to_owned());
    let captures = args.interface.iter().map(|interface| Options {
        filter: args.bpf.clone(),
        snaplen: args.snaplen,
        promiscuous: !args.no_promiscuous,
        ring_bytes: args.ring_mb << 20,
        ..Options::new(interface)
    });
    Ok(Config {
        url: args.url.clone(),
        key: key.trim().to_owned(),
        ca: args.ca.clone(),
        source: args.source.clone().unwrap_or_else(name),
        dir: args.dir.clone(),
        spool_bytes: args.spool_mb << 20,
        captures: captures.collect(),
        follow: args.follow.clone(),
        journal: args.journal,
        detect: packets::settings(args.settings.as_deref())?,
        user: args.user.clone(),
        confine: !args.no_confine,
        once: args.once,
    })
}
