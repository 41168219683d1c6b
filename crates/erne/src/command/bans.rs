//! `erne bans`: who is kept out by a running server.

use super::query::moment;
use crate::client::{Client, Target, encode, problem};
use crate::output::inert;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What is read of a list.
const LIST_BYTES_MAX: u64 = 16 << 20;
const REASON_CHARS: usize = 60;

#[derive(clap::Subcommand)]
pub enum Action {
    /// Lists bans, newest first.
    List(List),
    /// Keeps an address or a network out.
    Add(Add),
    /// Takes a ban back.
    Undo(Undo),
    /// Bans a list: an address or network a line, or Fail2Ban's log.
    Import(Import),
}

#[derive(clap::Args)]
pub struct List {
    /// Those that are over or taken back too.
    #[arg(long)]
    all: bool,
    /// Only those whose network, reason, actor or rule holds this text.
    #[arg(default_value = "")]
    text: String,
    /// Print what the server answers, as JSON lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
pub struct Add {
    /// An address or a network; an IPv6 address stands for its /64.
    cidr: String,
    #[arg(long, short)]
    reason: String,
    /// How long: `30m`, `4h`, `7d`. For good if absent.
    #[arg(long = "for", value_parser = secs)]
    secs: Option<u64>,
    /// Until then instead, RFC 3339.
    #[arg(long, conflicts_with = "secs")]
    until: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
pub struct Undo {
    /// The ban's id, or its network as it is listed.
    ban: String,
    #[arg(long, short)]
    reason: Option<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ListFormat {
    List,
    Fail2ban,
}

#[derive(clap::Args)]
pub struct Import {
    /// The list; `-` is standard input.
    file: PathBuf,
    #[arg(long, value_enum, default_value = "list")]
    format: ListFormat,
    /// How long: `30m`, `4h`, `7d`. For good if absent.
    #[arg(long = "for", value_parser = secs)]
    secs: Option<u64>,
    #[arg(long, short)]
    reason: Option<String>,
    #[command(flatten)]
    target: Target,
}

fn secs(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no time such as 30m, 4h or 7d");
    let unit = match text.chars().last().ok_or_else(wrong)? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    text[..text.len() - 1].parse::<u64>().ok().filter(|n| *n > 0).and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)
}

pub fn run(action: Action, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    match action {
        Action::List(args) => list(&args, &Client::open(&args.target, config)?)?,
        Action::Add(args) => add(&args, &Client::open(&args.target, config)?)?,
        Action::Undo(args) => undo(&args, &Client::open(&args.target, config)?)?,
        Action::Import(args) => import(&args, &Client::open(&args.target, config)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: &List, client: &Client) -> anyhow::Result<()> {
    let state = if args.all { "" } else { "&state=active" };
    let mut cursor = String::new();
    let mut shown = 0;
    loop {
        let page = client.get(&format!("/api/v1/bans?limit=500&q={}{state}{cursor}", encode(&args.text)))?;
        for ban in page["items"].as_array().map(Vec::as_slice).unwrap_or_default() {
            shown += 1;
            if args.json {
                println!("{ban}");
            } else {
                println!("{}", line(ban));
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encode(next)),
            None => break,
        }
    }
    if shown == 0 && !args.json {
        eprintln!("nobody is banned");
    }
    Ok(())
}

fn line(ban: &Value) -> String {
    let text = |name: &str| ban[name].as_str().unwrap_or_default();
    let state = if ban["dry_run"] == true { "dry run" } else { text("state") };
    let until = ban["until"].as_str().map_or("for good", |until| until.split('.').next().unwrap_or(until));
    let failed = |action: &&Value| action["state"] != "applied";
    let actions: Vec<String> = ban["actions"].as_array().into_iter().flatten().filter(failed).map(|a| format!("{} {}", a["name"].as_str().unwrap_or_default(), a["state"].as_str().unwrap_or_default())).collect();
    let actions = if actions.is_empty() { String::new() } else { format!("  [{}]", actions.join(", ")) };
    format!("{:<22} {:<8} {:<20} {:<12} {}{actions}", text("cidr"), state, until, inert(text("actor"), 12), inert(text("reason"), REASON_CHARS))
}

fn add(args: &Add, client: &Client) -> anyhow::Result<()> {
    let until = args.until.as_deref().map(moment).transpose()?.map(|t| t.to_string());
    let body = json!({"cidr": args.cidr, "reason": args.reason, "secs": args.secs, "until": until});
    let ban = answer(client.post("/api/v1/bans", "application/json", &[], body.to_string().as_bytes())?)?;
    println!("{}", line(&ban));
    Ok(())
}

fn undo(args: &Undo, client: &Client) -> anyhow::Result<()> {
    let ids = match args.ban.contains(['.', ':']) {
        false => vec![args.ban.clone()],
        true => {
            let page = client.get(&format!("/api/v1/bans?state=active&limit=1000&q={}", encode(&args.ban)))?;
            let same = |ban: &&Value| ban["cidr"].as_str().is_some_and(|cidr| cidr == args.ban || cidr.split('/').next() == Some(&args.ban));
            page["items"].as_array().into_iter().flatten().filter(same).filter_map(|ban| ban["id"].as_str().map(str::to_owned)).collect()
        }
    };
    if ids.is_empty() {
        bail!("no ban of {} stands; `erne bans list` shows those that do", args.ban);
    }
    let reason = args.reason.as_ref().map(|why| format!("?reason={}", encode(why))).unwrap_or_default();
    for id in ids {
        let undone = answer(client.delete(&format!("/api/v1/bans/{id}{reason}"))?)?;
        for ban in undone["undone"].as_array().into_iter().flatten() {
            println!("{} is let in again", ban["cidr"].as_str().unwrap_or_default());
        }
    }
    Ok(())
}

fn import(args: &Import, client: &Client) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    let name = if args.file.as_os_str() == "-" {
        std::io::stdin().lock().take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        "standard input".to_owned()
    } else {
        let file = std::fs::File::open(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
        file.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        args.file.file_name().map_or_else(|| args.file.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    if bytes.len() as u64 > LIST_BYTES_MAX {
        bail!("{name} is larger than {} MiB", LIST_BYTES_MAX >> 20);
    }
    let format = match args.format {
        ListFormat::List => "list",
        ListFormat::Fail2ban => "fail2ban",
    };
    let mut path = format!("/api/v1/bans/import?format={format}&name={}", encode(&name));
    if let Some(secs) = args.secs {
        path += &format!("&secs={secs}");
    }
    if let Some(reason) = &args.reason {
        path += &format!("&reason={}", encode(reason));
    }
    let done = answer(client.post(&path, "text/plain", &[], &bytes)?)?;
    for line in done["unreadable"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("{name}:{}", inert(line, 200));
    }
    println!("{} of {} networks are new bans, {} lines name none", done["imported"], done["read"], done["skipped"]);
    Ok(())
}

fn answer(mut answer: crate::client::Answer) -> anyhow::Result<Value> {
    let text = answer.body.with_config().limit(64 << 20).read_to_string()?;
    if answer.status >= 400 {
        bail!("{}", problem(&text));
    }
    serde_json::from_str(&text).context("the answer is no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!([secs("90s"), secs("30m"), secs("4h"), secs("7d")], [Ok(90), Ok(1_800), Ok(14_400), Ok(604_800)]);
        for wrong in ["", "4", "h", "0h", "-1h", "4w", "99999999999999999999d", "4é"] {
            assert!(secs(wrong).is_err(), "{wrong}");
        }
    }
}
