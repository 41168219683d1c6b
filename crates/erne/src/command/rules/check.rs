//! `erne rules check`: do rules load, and on what can they match?

use crate::command::hunt::describe;
use crate::output::{Format, inert, level};
use anyhow::bail;
use engine::{ContentDirs, Reach};
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Characters of a reason in the table.
const WHY_CHARS_MAX: usize = 160;

#[derive(clap::Args)]
pub struct Check {
    /// Files or folders; none means the rules in the binary.
    pub paths: Vec<PathBuf>,
    /// Lists every rule with its log source, its fields and what it can match.
    #[arg(long)]
    pub list: bool,
    /// Processing pipelines in pySigma's format, which change the rules. May be repeated.
    #[arg(long)]
    pub pipeline: Vec<PathBuf>,
    /// `table` or `json`.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Format,
}

pub fn run(args: &Check) -> anyhow::Result<ExitCode> {
    let dirs = ContentDirs { pipelines: args.pipeline.clone(), ..super::dirs(&args.paths) };
    let (rules, issues) = engine::load_rules(&dirs);
    let reached = engine::reach(&rules);
    let dead = reached.iter().filter(|(_, reach)| !reach.can_match).count();
    // Written with `?`: a reader that closes the pipe early, such as `head`, is no panic.
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        Format::Json => {
            let rows: Vec<_> = reached.iter().map(|(needs, reach)| row(needs, reach)).collect();
            let issues: Vec<_> = issues.iter().map(|i| json!({"file": i.file, "line": i.line, "message": i.message, "hint": i.hint})).collect();
            serde_json::to_writer_pretty(&mut out, &json!({"rules": rows, "issues": issues}))?;
            writeln!(out)?;
        }
        Format::Table => {
            if args.list {
                writeln!(out, "{:<13} {:<46} {:<34} FIELDS, AND WHAT IT CAN MATCH", "LEVEL", "RULE", "LOG SOURCE")?;
            }
            for (needs, reach) in &reached {
                let source = &needs.log_source;
                let source = [&source.0, &source.1, &source.2].map(|s| if s.is_empty() { "*" } else { &**s }).join("/");
                if args.list {
                    writeln!(out, "{} {:<46} {:<34} {}", level(needs.rule.level, 13), inert(&needs.rule.name, 45), inert(&source, 33), inert(&needs.fields.join(" "), 400))?;
                    writeln!(out, "{:<13} {}", "", inert(&reach.why, WHY_CHARS_MAX))?;
                } else if !reach.can_match {
                    writeln!(out, "cannot match: {} ({}): {}", inert(&needs.rule.name, 80), inert(&needs.rule.file, 80), inert(&reach.why, WHY_CHARS_MAX))?;
                }
            }
        }
        _ => bail!("rules check writes table or json"),
    }
    out.flush()?;
    let bad: Vec<_> = issues.iter().filter(|issue| !issue.is_notice()).collect();
    for issue in &issues {
        eprintln!("{}: {}", if issue.is_notice() { "note" } else { "error" }, describe(issue));
    }
    if args.output == Format::Table {
        writeln!(out, "{} rules loaded, {} problems; {dead} can match nothing that our formats produce", rules.rules().len(), bad.len())?;
        out.flush()?;
    }
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(needs: &detect::RuleRequirements, reach: &Reach) -> serde_json::Value {
    let (product, category, service) = &needs.log_source;
    json!({
        "id": needs.rule.id, "name": needs.rule.name, "file": needs.rule.file, "level": needs.rule.level,
        "log_source": [product, category, service], "fields": needs.fields, "correlation": needs.correlation,
        "can_match": reach.can_match, "why": reach.why, "on": reach.on, "absent": reach.absent,
    })
}
