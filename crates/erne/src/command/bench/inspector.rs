//! `erne bench web`: the inspector's rates and speed per corpus, by the clone's script, which also writes them into
//! `docs/web.md` and checks that they did not get worse.

use anyhow::{Context, ensure};
use std::path::PathBuf;
use std::process::Command;

#[derive(clap::Args)]
pub struct Args {
    /// The script; run this in a clone.
    #[arg(long, default_value = "scripts/bench_web.py")]
    script: PathBuf,
    /// Handed to the script after `--`: `--peers`, `--write`, `--check`, `--sample N`.
    #[arg(last = true)]
    options: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let erne = std::env::current_exe().context("the path of this program is not known")?;
    let status = Command::new("python3")
        .arg(&args.script)
        .args(&args.options)
        .env("ERNE", erne)
        .status()
        .with_context(|| format!("{} cannot be run with python3", args.script.display()))?;
    ensure!(status.success(), "{} failed: see above", args.script.display());
    Ok(())
}
