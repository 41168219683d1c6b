//! `erne export`: all events that a query matches, into a file that is either whole or not there.

use super::query::{Search, moment, paths, pointer};
use crate::client::{Client, encode, problem};
use crate::output::{self, thousands};
use anyhow::{Context, bail};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Matches are counted before the first byte comes.
const COUNTING_MAX: Duration = Duration::from_secs(900);
const PIECE_BYTES: usize = 256 << 10;
/// What a Parquet file begins and ends with.
const PARQUET_MAGIC: &[u8] = b"PAR1";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Jsonl,
    Csv,
    Parquet,
}

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub search: Search,
    /// The file to write; standard output if absent. Until it is whole it is FILE.part.
    #[arg(long, short = 'o')]
    pub file: Option<PathBuf>,
    /// The format; if absent what the file's ending says, else jsonl.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// The columns to write, OCSF or ECS names between commas; all if absent.
    #[arg(long, value_delimiter = ',')]
    pub columns: Vec<String>,
}

impl Args {
    fn format(&self) -> Format {
        let ending = self.file.as_deref().and_then(|f| f.extension()?.to_str());
        self.format.unwrap_or(match ending {
            Some("csv") => Format::Csv,
            Some("parquet") => Format::Parquet,
            _ => Format::Jsonl,
        })
    }

    fn path(&self) -> anyhow::Result<String> {
        let format = match self.format() {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        };
        let mut path = format!("/api/v1/export?format={format}&from={}", encode(&moment(&self.search.from)?.to_string()));
        if let Some(to) = &self.search.to {
            path += &format!("&to={}", encode(&moment(to)?.to_string()));
        }
        if !self.search.q.is_empty() {
            path += &format!("&q={}", encode(&self.search.q));
        }
        let columns = paths(&self.columns)?;
        if !columns.is_empty() {
            path += &format!("&columns={}", encode(&columns.join(",")));
        }
        Ok(path)
    }
}

pub fn run(args: &Args, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let client = Client::open(&args.search.target, config)?.patient(COUNTING_MAX);
    let mut download = client.download(&args.path()?)?;
    if download.status >= 400 {
        let text = download.body.with_config().limit(1 << 20).read_to_string()?;
        eprint!("{}", pointer(&args.search.q, &text));
        bail!("{}", problem(&text));
    }
    let rows = download.rows.context("the server did not say how many events there are")?;
    match &args.file {
        Some(file) => to_file(args.format(), download.body.as_reader(), rows, file)?,
        None => copy(args.format(), download.body.as_reader(), rows, &mut std::io::stdout().lock())?,
    }
    eprintln!("{} events", thousands(rows));
    Ok(ExitCode::SUCCESS)
}

fn to_file(format: Format, body: impl Read, rows: u64, file: &Path) -> anyhow::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut out = BufWriter::new(File::create(&part).with_context(|| format!("{} cannot be written", part.display()))?);
    copy(format, body, rows, &mut out).with_context(|| format!("{} holds what came; nothing was written to {}", part.display(), file.display()))?;
    let out = out.into_inner().map_err(|e| e.into_error())?;
    out.sync_all()?;
    std::fs::rename(&part, file).with_context(|| format!("{} cannot be named {}", part.display(), file.display()))
}

/// Copies, and fails unless as many events came as were announced.
fn copy(format: Format, mut body: impl Read, rows: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let bar = output::counter(rows);
    let mut count = Count::new(format);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                bar.abandon();
                bail!("the connection broke after {} of {} events ({error}); run it again", thousands(count.events()), thousands(rows));
            }
        };
        count.see(&piece[..read]);
        out.write_all(&piece[..read])?;
        bar.set_position(count.events().min(rows));
    }
    out.flush()?;
    bar.finish_and_clear();
    if !count.whole(rows) {
        bail!("the download ended early: {} of {} events came; run it again", thousands(count.events()), thousands(rows));
    }
    Ok(())
}

/// Counts events as they pass.
struct Count {
    format: Format,
    /// Lines, or CSV rows: line ends outside quotes.
    rows: u64,
    quoted: bool,
    last: Vec<u8>,
}

impl Count {
    fn new(format: Format) -> Self {
        Self { format, rows: 0, quoted: false, last: Vec::new() }
    }

    fn see(&mut self, bytes: &[u8]) {
        match self.format {
            Format::Parquet => {
                self.last.extend_from_slice(&bytes[bytes.len().saturating_sub(PARQUET_MAGIC.len())..]);
                let from = self.last.len().saturating_sub(PARQUET_MAGIC.len());
                self.last.drain(..from);
            }
            Format::Jsonl => self.rows += bytes.iter().filter(|b| **b == b'\n').count() as u64,
            Format::Csv => {
                for byte in bytes {
                    self.quoted ^= *byte == b'"';
                    self.rows += u64::from(*byte == b'\n' && !self.quoted);
                }
            }
        }
    }

    /// Without CSV's header.
    fn events(&self) -> u64 {
        if self.format == Format::Csv { self.rows.saturating_sub(1) } else { self.rows }
    }

    /// A Parquet file has its end or is none; its footer holds the count.
    fn whole(&self, rows: u64) -> bool {
        match self.format {
            Format::Parquet => self.last == PARQUET_MAGIC,
            Format::Csv => self.rows == rows + 1 && !self.quoted,
            Format::Jsonl => self.rows == rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(format: Format, text: &[u8]) -> Count {
        let mut count = Count::new(format);
        text.chunks(3).for_each(|piece| count.see(piece));
        count
    }

    #[test]
    fn a_download_that_was_cut_is_recognised() {
        let csv = b"a,b\n1,\"x\ny\"\"\n\"\n2,z\n";
        assert!(counted(Format::Csv, csv).whole(2));
        for cut in 0..csv.len() {
            assert!(!counted(Format::Csv, &csv[..cut]).whole(2), "{cut}");
        }
        assert!(counted(Format::Jsonl, b"{}\n{}\n").whole(2));
        assert!(!counted(Format::Jsonl, b"{}\n{}").whole(2));
        assert!(counted(Format::Parquet, b"PAR1....PAR1").whole(7));
        assert!(!counted(Format::Parquet, b"PAR1....PAR").whole(7));
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("events.jsonl");
        let error = to_file(Format::Jsonl, &b"{}\n"[..], 2, &path).unwrap_err();
        assert!(format!("{error:#}").contains("1 of 2 events came"), "{error:#}");
        assert!(!path.exists() && file.path().join("events.jsonl.part").exists());
        to_file(Format::Jsonl, &b"{}\n{}\n"[..], 2, &path).unwrap();
        assert!(path.exists() && !file.path().join("events.jsonl.part").exists());
    }
}
