//! `erne net`: what captures hold, as records: flows, and what was said in them.

use crate::output::{inert, thousands};
use anyhow::Context;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ::net::capture::Reader;
use ::net::{Monitor, Record};

/// Widest value in a table.
const SHOWN_CHARS: usize = 60;

/// What to write of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Who exchanged how much with whom, in which state, until when.
    Flows,
    /// All transactions and handshakes, of every protocol.
    Sessions,
    Dns,
    /// TLS handshakes, those of QUIC included, with JA3 and JA4.
    Tls,
    Http,
    /// SSH handshakes with HASSH.
    Ssh,
    /// Flows and sessions.
    All,
    /// Counters: packets by protocol, what could not be decoded, gaps, fragments.
    Summary,
    /// Of an interface: flows and sessions as they happen, and findings.
    Live,
}

#[derive(clap::Args)]
pub struct Args {
    /// Which records to write.
    #[arg(value_enum)]
    what: What,
    /// pcap and pcapng files, also gzip, zstd, xz; `-` is standard input.
    #[arg(required_unless_present = "interface", conflicts_with = "interface")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    live: super::net_live::Args,
    /// Lines of JSON for programs, a table for people, or the shape of Suricata's EVE.
    #[arg(long, short, value_enum, default_value = "jsonl")]
    output: Shape,
    /// The seed of Community IDs.
    #[arg(long, default_value_t = 0)]
    community_id_seed: u16,
    /// Most flows kept at a time; about 400 bytes each.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    flows_max: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    Table,
    Json,
    Jsonl,
    Eve,
}

impl What {
    pub(super) fn holds(self, record: &Record) -> bool {
        match self {
            Self::Flows => matches!(record, Record::Flow(_)),
            Self::Sessions => !matches!(record, Record::Flow(_)),
            Self::Dns => matches!(record, Record::Dns(_)),
            Self::Tls => matches!(record, Record::Tls(_)),
            Self::Http => matches!(record, Record::Http(_)),
            Self::Ssh => matches!(record, Record::Ssh(_)),
            Self::All | Self::Live => true,
            Self::Summary => false,
        }
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut out = Out { to: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()), shape: args.output, written: 0 };
    out.begin()?;
    if args.live.interface.is_some() {
        let code = super::net_live::run(&args.live, args.what, settings(&args), &mut out)?;
        out.end()?;
        return Ok(code);
    }
    if args.what == What::Live {
        anyhow::bail!("live reads an interface: name it with --interface");
    }
    let mut failed = false;
    for file in &args.files {
        let mut monitor = Monitor::new(settings(&args));
        // A capture that cannot be read must not keep the others from being read.
        if let Err(error) = capture(file, &mut monitor, &mut |record| if args.what.holds(&record) { out.record(&record) } else { Ok(()) }) {
            if crate::is_broken_pipe(&error) {
                return Err(error);
            }
            eprintln!("warning: {error:#}");
            failed = true;
        }
        if args.what == What::Summary {
            out.summary(file, &monitor)?;
        }
    }
    out.end()?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn settings(args: &Args) -> ::net::Settings {
    let mut settings = ::net::Settings { community_id_seed: args.community_id_seed, ..Default::default() };
    settings.limits.flows_max = args.flows_max as usize;
    settings
}

/// Reads one capture; records are visited as they are made. A damaged one gives what stands before the damage, and a
/// warning.
fn capture(path: &Path, monitor: &mut Monitor, visit: &mut dyn FnMut(Record) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let (mut reader, mut failed) = (Reader::default(), None);
    let mut take = |chunk: event::Bytes| {
        if failed.is_some() {
            return;
        }
        let pushed = reader.push(&chunk, &mut |frame| monitor.frame(&frame)).map_err(anyhow::Error::from);
        failed = pushed.and_then(|()| monitor.records().try_for_each(&mut *visit)).err();
    };
    if path == Path::new("-") {
        connect::files::read_from(std::io::stdin().lock(), "standard input", &mut take, &mut |_| {})?;
    } else {
        connect::files::read(path, &mut take, &mut |_| {})?;
    }
    if let Some(error) = failed {
        return Err(error).context(name);
    }
    reader.finish().with_context(|| name.clone())?;
    monitor.finish();
    monitor.records().try_for_each(visit)?;
    if let Some(damage) = reader.damage() {
        eprintln!("warning: {name}: {} after frame {}; what stands before it was read", damage.as_str(), reader.frames());
    }
    Ok(())
}

/// Where records go, in the shape that was asked for.
pub(super) struct Out<W> {
    to: W,
    shape: Shape,
    written: u64,
}

impl<W: Write> Out<W> {
    fn begin(&mut self) -> anyhow::Result<()> {
        match self.shape {
            Shape::Json => write!(self.to, "[")?,
            Shape::Table => writeln!(self.to, "{:<20} {:<5} {:<9} {:<45} WHAT", "TIME (UTC)", "TYPE", "PROTO", "WHO -> WHOM")?,
            Shape::Jsonl | Shape::Eve => {}
        }
        Ok(())
    }

    pub(super) fn record(&mut self, record: &Record) -> anyhow::Result<()> {
        match self.shape {
            Shape::Jsonl => {
                serde_json::to_writer(&mut self.to, record)?;
                writeln!(self.to)?;
            }
            Shape::Eve => {
                serde_json::to_writer(&mut self.to, &::net::eve::eve(record))?;
                writeln!(self.to)?;
            }
            Shape::Json => {
                write!(self.to, "{}", if self.written == 0 { "\n" } else { ",\n" })?;
                serde_json::to_writer(&mut self.to, record)?;
            }
            Shape::Table => self.row(record)?,
        }
        self.written += 1;
        Ok(())
    }

    fn row(&mut self, record: &Record) -> std::io::Result<()> {
        let (e, time) = (record.endpoints(), record.time().to_string());
        let who = format!("{}:{} -> {}:{}", e.src_ip, e.src_port, e.dst_ip, e.dst_port);
        writeln!(self.to, "{:<20} {:<5} {:<9} {:<45} {}", time[..19].replace('T', " "), record.kind(), ::net::flow::protocol_name(e.proto), who, inert(&told(record), SHOWN_CHARS * 2))
    }

    fn summary(&mut self, file: &Path, monitor: &Monitor) -> anyhow::Result<()> {
        if self.shape == Shape::Table {
            let c = &monitor.counts;
            writeln!(self.to, "{}: {} frames, {} IPv4, {} IPv6, {} TCP, {} UDP, {} ICMP, {} flows", inert(&file.display().to_string(), 200), thousands(c.frames), thousands(c.ipv4), thousands(c.ipv6), thousands(c.tcp), thousands(c.udp), thousands(c.icmp), thousands(monitor.flow_counts().opened))?;
            return Ok(());
        }
        let summary = serde_json::json!({"file": file.display().to_string(), "counts": monitor.counts, "flows": monitor.flow_counts(), "fragments": monitor.fragment_counts(), "reassembly": monitor.reassembly});
        if self.shape == Shape::Json {
            write!(self.to, "{}", if self.written == 0 { "\n" } else { ",\n" })?;
        }
        self.written += 1;
        serde_json::to_writer(&mut self.to, &summary)?;
        if self.shape != Shape::Json {
            writeln!(self.to)?;
        }
        Ok(())
    }

    /// A finding, among records of a live capture.
    pub(super) fn finding(&mut self, finding: &event::Finding) -> anyhow::Result<()> {
        if self.shape == Shape::Table {
            let time = finding.time.to_string();
            writeln!(self.to, "{:<20} {:<5} {:<9} {:<45} {}", time[..19].replace('T', " "), "FOUND", finding.level.as_str(), inert(&finding.entity.value, 45), inert(&finding.explanation.summary, SHOWN_CHARS * 3))?;
            return Ok(());
        }
        let mut value = serde_json::to_value(finding)?;
        value["type"] = "finding".into();
        if self.shape == Shape::Eve {
            value = connect::sensor::eve_alert(finding);
        }
        if self.shape == Shape::Json {
            write!(self.to, "{}", if self.written == 0 { "\n" } else { ",\n" })?;
        }
        self.written += 1;
        serde_json::to_writer(&mut self.to, &value)?;
        if self.shape != Shape::Json {
            writeln!(self.to)?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if self.shape == Shape::Json {
            writeln!(self.to, "\n]")?;
        }
        Ok(self.to.flush()?)
    }
}

/// What a record says, in one line.
fn told(record: &Record) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    match record {
        Record::Flow(f) => format!("{} {:?} {}+{} packets {}+{} bytes {:.1} s", f.app.unwrap_or("-"), f.state, f.src_packets, f.dst_packets, f.src_bytes, f.dst_bytes, f.duration),
        Record::Dns(d) => format!("{} {} {} {}", d.query_type, d.query, d.rcode.as_deref().unwrap_or("no answer"), d.answers.iter().map(|a| a.data.as_str()).collect::<Vec<_>>().join(" ")),
        Record::Http(h) => format!("{} {}{} {}", h.method, text(&h.host), h.target, h.status.map_or_else(|| "no answer".into(), |s| s.to_string())),
        Record::Tls(t) => format!("{} {} {} ja4 {}", text(&t.server_name), text(&t.version), text(&t.alpn), text(&t.ja4)),
        Record::Ssh(s) => format!("{} | {} hassh {}", text(&s.client), text(&s.server), text(&s.hassh)),
        Record::Facts(f) => f.values.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
    }
}
