//! The commands, in the order `--help` lists them.

mod agent;
mod bans;
mod bench;
mod config;
mod demo;
mod doctor;
mod explain;
mod export;
mod hunt;
mod net;
mod net_live;
mod packets;
mod query;
mod report;
mod rules;
mod run;
mod simulate;
mod sql;
mod web;

use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Run the platform: ingest, detection, storage, API and dashboard.
    Run(run::Args),
    /// Run the platform with live simulated traffic, to look around.
    Demo(demo::Args),
    /// Search files for attacks, offline: logs and packet captures, folders, gzip, zstd, standard input.
    Hunt(hunt::Args),
    /// Send labelled traffic to a running server.
    Simulate(simulate::Args),
    /// Check, test, replay and measure detection rules.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Show why a rule matches an event, or does not.
    Explain(explain::Args),
    /// Inspect HTTP requests for attacks, offline.
    #[command(subcommand)]
    Web(web::Action),
    /// Read packet captures: flows, DNS, TLS, HTTP, SSH and more, as JSON.
    Net(net::Args),
    /// Run a sensor on this host: packets, log files and the journal, sent to a platform.
    Agent(Box<agent::Args>),
    /// Search the events of a running server.
    Query(query::QueryArgs),
    /// Ask a running server in SQL: events, alerts, incidents, findings.
    Sql(sql::Args),
    /// List, make, undo and import the bans of a running server.
    #[command(subcommand)]
    Bans(bans::Action),
    /// Write the events of a running server to a file.
    Export(export::Args),
    /// Show or check the configuration.
    #[command(subcommand)]
    Config(config::Action),
    /// Look for what keeps this machine from running Erne well.
    Doctor(doctor::Args),
    /// Measure this machine: ingest, detection, recovery.
    #[command(subcommand)]
    Bench(bench::Bench),
}

impl Command {
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(args, config),
            Self::Demo(args) => demo::run(args, config),
            Self::Hunt(args) => hunt::run(args),
            Self::Simulate(args) => simulate::run(args, config),
            Self::Rules(rules) => rules::run(rules, config),
            Self::Explain(args) => explain::run(&args, config),
            Self::Web(action) => web::run(action),
            Self::Net(args) => net::run(args),
            Self::Agent(args) => agent::run(*args),
            Self::Query(args) => query::query(args, config),
            Self::Sql(args) => sql::run(args, config),
            Self::Bans(action) => bans::run(action, config),
            Self::Export(args) => export::run(&args, config),
            Self::Config(action) => config::run(action, config),
            Self::Doctor(args) => doctor::run(args, config),
            Self::Bench(bench) => bench::run(bench),
        }
    }
}
