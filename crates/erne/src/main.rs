//! The `erne` binary: one command per file in `command/`.
//!
//! Data goes to standard output, narration to standard error. Exit codes: 0 clean, 1 error, 2 usage,
//! 10 findings under `--fail-on`.

mod client;
mod command;
mod output;

use clap::Parser;
use command::Command;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Real-time security detection and analytics: logs, cloud audit trails and web requests in, alerts out.
#[derive(Parser)]
#[command(name = "erne", version, max_term_width = 100)]
struct Cli {
    /// The configuration file (TOML).
    #[arg(long, short = 'c', global = true, env = "ERNE_CONFIG")]
    config: Option<std::path::PathBuf>,
    /// More narration on standard error; twice for everything.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    narrate(cli.verbose);
    match cli.command.run(cli.config.as_deref()) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `erne hunt … | head` is no error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>()).any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn narrate(verbose: u8) {
    let default = match verbose {
        0 => "warn,erne=info,engine=info,store=info,erne::access=warn",
        // The table format's library narrates every step of every commit.
        1 => "info,erne=debug,engine=debug,api=debug,store=debug,buoyant_kernel=warn,buoyant_kernel_engine=warn,deltalake=warn,deltalake_core=warn",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("ERNE_LOG").unwrap_or_else(|_| default.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::colour())
        .with_target(false)
        .init();
}
