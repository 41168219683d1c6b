//! `erne net … --interface IF`: what an interface carries, as it happens.

use super::agent::watch_signals;
use super::net::{Out, What};
use super::packets::{self, Packets};
use ::net::Monitor;
use anyhow::bail;
use connect::capture::{self, CaptureError, Options, SNAPLEN_DEFAULT};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often detectors are asked, idle flows are ended and what was written is shown.
const LOOK_MS: u64 = 1_000;
/// A half-open connection is written after so long, so that scans are told while they go on.
const OPENING_SECS: i64 = 10;

#[derive(clap::Args)]
pub struct Args {
    /// Captures an interface instead of reading files.
    #[arg(long, short)]
    pub interface: Option<String>,
    /// Captures only what this filter takes, in tcpdump's language: "not port 22".
    #[arg(long, value_name = "FILTER", default_value = "", requires = "interface")]
    bpf: String,
    /// Bytes kept of a frame.
    #[arg(long, default_value_t = SNAPLEN_DEFAULT, value_parser = clap::value_parser!(u32).range(64..=262_144))]
    snaplen: u32,
    /// Captures only what is addressed to this host.
    #[arg(long, requires = "interface")]
    no_promiscuous: bool,
    /// Ends after so many seconds; by default with Ctrl-C.
    #[arg(long, requires = "interface")]
    seconds: Option<u64>,
    /// Thresholds of the detectors, as in content/network.yml.
    #[arg(long, value_name = "FILE", requires = "interface")]
    settings: Option<PathBuf>,
}

pub(super) fn run<W: Write>(args: &Args, what: What, mut settings: ::net::Settings, out: &mut Out<W>) -> anyhow::Result<ExitCode> {
    let Some(interface) = &args.interface else { bail!("--interface is needed") };
    let options = Options { filter: args.bpf.clone(), snaplen: args.snaplen, promiscuous: !args.no_promiscuous, ..Options::new(interface) };
    let mut packets = Packets::new(packets::settings(args.settings.as_deref())?);
    let mut capture = capture::open(&options)?;
    let stop = Arc::new(AtomicBool::new(false));
    watch_signals(stop.clone())?;
    settings.limits.tcp_opening_secs = OPENING_SECS;
    let mut monitor = Monitor::new(settings);
    let (begun, mut looked) = (Instant::now(), Instant::now());
    let over = |begun: Instant| args.seconds.is_some_and(|secs| begun.elapsed() >= Duration::from_secs(secs));
    eprintln!("capturing {interface}; Ctrl-C ends");
    while !stop.load(Ordering::Relaxed) && !over(begun) {
        match capture.read(Duration::from_millis(100), &mut |frame| monitor.frame(&frame)) {
            Ok(_) => {}
            Err(CaptureError::Down(_)) => std::thread::sleep(Duration::from_millis(200)),
            Err(error) => return Err(error.into()),
        }
        write(&mut monitor, &mut packets, what, out)?;
        if looked.elapsed() >= Duration::from_millis(LOOK_MS) {
            looked = Instant::now();
            monitor.tick(event::Timestamp(jiff::Timestamp::now().as_microsecond()));
            write(&mut monitor, &mut packets, what, out)?;
            tell(&mut packets, what, out)?;
        }
    }
    monitor.finish();
    write(&mut monitor, &mut packets, what, out)?;
    tell(&mut packets, what, out)?;
    let counts = capture.counts();
    eprintln!("{} frames, {} bytes, {} dropped by the kernel", counts.received, counts.bytes, counts.dropped);
    Ok(ExitCode::SUCCESS)
}

fn write<W: Write>(monitor: &mut Monitor, packets: &mut Packets, what: What, out: &mut Out<W>) -> anyhow::Result<()> {
    for record in monitor.records() {
        packets.observe(&record);
        if what.holds(&record) {
            out.record(&record)?;
        }
    }
    Ok(())
}

fn tell<W: Write>(packets: &mut Packets, what: What, out: &mut Out<W>) -> anyhow::Result<()> {
    if what == What::Live {
        for finding in packets.told() {
            out.finding(&finding)?;
        }
    }
    Ok(out.flush()?)
}
