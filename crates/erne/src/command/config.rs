//! `erne config`: what is set, and where it was set.

use anyhow::Context;
use engine::Config;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub enum Action {
    /// Prints the configuration in force.
    Show {
        /// Says behind each value where it comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Reads the configuration and says what is wrong with it.
    Check,
}

pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    Config::layers(file).extract().context("the configuration cannot be used")
}

pub fn run(action: Action, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    match action {
        Action::Check => check(&config),
        Action::Show { origin: false } => {
            print!("{}", toml::to_string_pretty(&config)?);
            Ok(ExitCode::SUCCESS)
        }
        Action::Show { origin: true } => origins(file),
    }
}

fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let mut problems = Vec::new();
    for path in config.rules.dirs.iter().chain(&config.rules.lists).chain(&config.rules.pipelines).chain(&config.geoip.city).chain(&config.geoip.asn) {
        if !path.exists() {
            problems.push(format!("{} does not exist", path.display()));
        }
    }
    if !config.listen.ip().is_loopback() {
        eprintln!("note: listen = {} can be reached from other machines, without TLS", config.listen);
    }
    if config.lake.flush_rows == 0 || config.lake.retention_days == 0 {
        problems.push("lake.flush_rows and lake.retention_days must be above 0".to_owned());
    }
    for (name, source) in &config.lake.retention.sources {
        if source.days == Some(0) || source.bytes_max == Some(0) {
            problems.push(format!("lake.retention.sources.{name}: days and bytes_max must be above 0"));
        }
        if source.days.is_none() && source.bytes_max.is_none() {
            problems.push(format!("lake.retention.sources.{name} sets neither days nor bytes_max"));
        }
    }
    if config.lake.s3.kms_key_id.is_some() && !matches!(config.lake.s3.encryption, Some(engine::Encryption::Kms)) {
        problems.push("lake.s3.kms_key_id is only used with encryption = \"aws:kms\"".to_owned());
    }
    if config.lake.url.as_deref().is_some_and(|url| !url.starts_with("s3://")) {
        problems.push("lake.url must be s3://bucket/prefix; without it the lake is in the data folder".to_owned());
    }
    if let Some(url) = &config.control.url {
        eprintln!("note: alerts, users and keys are kept in {url}; `erne doctor` asks whether it answers");
    }
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    println!("{}", if problems.is_empty() { "the configuration is good" } else { "the configuration has problems" });
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn origins(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let layers = Config::layers(file);
    let values: serde_json::Value = layers.extract()?;
    walk(&layers, "", &values);
    Ok(ExitCode::SUCCESS)
}

fn walk(layers: &figment::Figment, path: &str, value: &serde_json::Value) {
    if let serde_json::Value::Object(table) = value {
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(layers, &path, value);
        }
        return;
    }
    let origin = layers.find_metadata(path).map_or_else(
        || "default".to_owned(),
        |m| match &m.source {
            Some(figment::Source::File(file)) => file.display().to_string(),
            _ if m.name.contains("environment") => format!("environment ERNE__{}", path.to_uppercase().replace('.', "__")),
            _ => "default".to_owned(),
        },
    );
    // What may hold a password is shown as its type shows it.
    let shown = value.as_str().filter(|_| path == "control.url").and_then(|text| text.parse::<engine::control::DatabaseUrl>().ok());
    match shown {
        Some(url) => println!("{path} = \"{url}\"  # {origin}"),
        None => println!("{path} = {value}  # {origin}"),
    }
}
