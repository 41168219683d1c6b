//! `erne rules coverage`: the ATT&CK techniques that rules name, as a table or for MITRE's Navigator.

use crate::output::inert;
use engine::{Score, coverage_of, navigator_layer};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Coverage {
    /// Files or folders; none means the rules in the binary.
    pub paths: Vec<PathBuf>,
    /// `navigator` is a layer for ATT&CK Navigator, version 4.5.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    Table,
    Json,
    Navigator,
}

pub fn run(args: &Coverage) -> anyhow::Result<ExitCode> {
    let (rules, _) = engine::load_rules(&super::dirs(&args.paths));
    let techniques = coverage_of(rules.rules());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        Output::Navigator => serde_json::to_writer_pretty(&mut out, &navigator_layer(&techniques, Score::Rules))?,
        Output::Json => serde_json::to_writer_pretty(&mut out, &techniques)?,
        Output::Table => {
            writeln!(out, "{:<11} {:>5}  {:<50} TACTICS", "TECHNIQUE", "RULES", "NAME")?;
            for one in &techniques {
                writeln!(out, "{:<11} {:>5}  {:<50} {}", one.id, one.rules, inert(&one.name, 49), one.tactics.join(", "))?;
            }
        }
    }
    if args.output != Output::Table {
        writeln!(out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
