//! Where bans are enforced: a firewall's set, a jail of Fail2Ban, somebody else's program.
//!
//! An action says what its target holds and changes that; it keeps no queue and no schedule. `engine` asks what is held,
//! takes the [`difference`] from what should be, has it applied, and looks again: what a target really holds is what
//! counts, so a flushed ruleset or a restarted daemon mends itself at the next look, and a repetition changes nothing.
//!
//! Actions block; each has a thread of its own. Adding one is a file here and a row in [`ActionConfig`].

mod fail2ban;
mod memory;
mod nftables;
mod program;
mod webhook;

pub use fail2ban::{Fail2banLine, fail2ban_line};

use event::Timestamp;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// A network's end may differ by so much before it is set again: programs count in whole seconds, and answers take time.
const END_TOLERANCE_SECS: i64 = 5;

#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The program is not there, may not, or nobody answers: the same again later.
    #[error("{0}")]
    Failed(String),
}

/// A network to keep out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub net: IpNet,
    /// None: for good.
    pub until: Option<Timestamp>,
    pub reason: String,
}

/// When a target itself ends what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Never,
    At(Timestamp),
    /// It does not say.
    Unknown,
}

/// A network that a target keeps out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub net: IpNet,
    pub end: End,
    /// Whether we put it there. What others put there counts as held, and is left alone.
    pub ours: bool,
}

/// What is to be changed: removed first, then added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub remove: Vec<IpNet>,
    pub add: Vec<Entry>,
}

impl Change {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

/// A network that was refused by itself, while others were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub net: IpNet,
    pub reason: String,
}

pub trait Action: Send {
    /// What the target holds. Makes there what is needed (a table, a set) and missing.
    fn held(&mut self, now: Timestamp) -> Result<Vec<Held>, ActionError>;
    /// Changes that, and answers what was refused.
    fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Vec<Refused>, ActionError>;
}

/// What leads from what is held to what is wanted. Both are without overlaps in themselves.
pub fn difference(held: &[Held], wanted: &[Entry], now: Timestamp) -> Change {
    let there: HashMap<IpNet, &Held> = held.iter().map(|held| (held.net, held)).collect();
    let asked: HashMap<IpNet, &Entry> = wanted.iter().map(|entry| (entry.net, entry)).collect();
    let stays = |entry: &Entry| there.get(&entry.net).is_some_and(|held| !held.ours || ends_alike(held.end, entry.until));
    let is_due = |entry: &Entry| entry.until.is_none_or(|until| until > now);
    let add: Vec<Entry> = wanted.iter().filter(|entry| is_due(entry) && !stays(entry)).cloned().collect();
    let goes = |held: &&Held| held.ours && asked.get(&held.net).is_none_or(|entry| !stays(entry) || !is_due(entry));
    Change { remove: held.iter().filter(goes).map(|held| held.net).collect(), add }
}

fn ends_alike(end: End, until: Option<Timestamp>) -> bool {
    match (end, until) {
        (End::Unknown, _) | (End::Never, None) => true,
        (End::At(at), Some(until)) => (at.0 - until.0).abs() <= END_TOLERANCE_SECS * 1_000_000,
        _ => false,
    }
}

/// One `[[answer.actions]]` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ActionConfig {
    /// Sets of nftables in a table of our own.
    Nftables {
        /// Unique; letters, digits, `-` and `_`.
        name: String,
        #[serde(default = "nft_table")]
        table: String,
        /// `input`, `forward`, `prerouting`: where packets of banned addresses are dropped.
        #[serde(default = "nft_hooks")]
        hooks: Vec<String>,
        /// How nft is called; `["sudo", "nft"]` where the platform may not.
        #[serde(default = "nft_command")]
        command: Vec<String>,
    },
    /// A jail of Fail2Ban, which does what its own actions say.
    Fail2ban {
        name: String,
        #[serde(default = "fail2ban_jail")]
        jail: String,
        /// The server's socket; the client's default if absent.
        #[serde(default)]
        socket: Option<String>,
        #[serde(default = "fail2ban_command")]
        command: Vec<String>,
    },
    /// Signed JSON to a URL.
    Webhook {
        name: String,
        url: String,
        /// The key of the signature; `env:NAME` is read from the environment.
        secret: String,
    },
}

fn nft_table() -> String {
    "erne".into()
}

fn nft_hooks() -> Vec<String> {
    vec!["input".into()]
}

fn nft_command() -> Vec<String> {
    vec!["nft".into()]
}

fn fail2ban_jail() -> String {
    "erne".into()
}

fn fail2ban_command() -> Vec<String> {
    vec!["fail2ban-client".into()]
}

impl ActionConfig {
    pub fn name(&self) -> &str {
        match self {
            Self::Nftables { name, .. } | Self::Fail2ban { name, .. } | Self::Webhook { name, .. } => name,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nftables { .. } => "nftables",
            Self::Fail2ban { .. } => "fail2ban",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// What is wrong with it, without touching the target.
    pub fn check(&self) -> Result<(), String> {
        let name = self.name();
        let say = |why: &str| Err(format!("action {name}: {why}"));
        if !is_word(name) {
            return Err(format!("the name {name:?} of an action is 1 to 64 letters, digits, - and _"));
        }
        match self {
            Self::Nftables { table, hooks, command, .. } => {
                if !is_word(table) {
                    return say("the table's name is 1 to 64 letters, digits, - and _");
                }
                if hooks.is_empty() || hooks.iter().any(|hook| !nftables::HOOKS.contains(&hook.as_str())) {
                    return say("hooks are some of input, forward and prerouting");
                }
                if command.is_empty() { say("the command is empty") } else { Ok(()) }
            }
            Self::Fail2ban { jail, command, .. } if !is_word(jail) || command.is_empty() => say("it needs the name of a jail, and a command"),
            Self::Fail2ban { .. } => Ok(()),
            Self::Webhook { url, secret, .. } => {
                let secret = crate::sinks::secret(secret).map_err(|why| format!("action {name}: {why}"))?;
                if secret.len() < webhook::SECRET_BYTES_MIN {
                    return say("the secret has at least 16 characters");
                }
                webhook::check_url(url).or_else(|why| say(&why))
            }
        }
    }

    /// Touches nothing yet. `folder` is for what an action has to remember.
    pub fn build(&self, folder: &Path) -> Result<Box<dyn Action>, ActionError> {
        let memory = |name: &str| memory::Memory::open(folder.join(format!("{name}.json")));
        Ok(match self {
            Self::Nftables { table, hooks, command, .. } => Box::new(nftables::Nftables::new(table, hooks, command)),
            Self::Fail2ban { name, jail, socket, command } => Box::new(fail2ban::Fail2ban::new(jail, socket.as_deref(), command, memory(name)?)),
            Self::Webhook { name, url, secret } => {
                let secret = crate::sinks::secret(secret).map_err(ActionError::Failed)?;
                Box::new(webhook::Webhook::new(name, url, secret, memory(name)?).map_err(ActionError::Failed)?)
            }
        })
    }
}

/// Names go into commands and file names.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) && !text.starts_with('-')
}

fn failed(error: impl std::fmt::Display) -> ActionError {
    ActionError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(net: &str, until: Option<i64>) -> Entry {
        Entry { net: net.parse().unwrap(), until: until.map(Timestamp::from_secs), reason: String::new() }
    }

    fn held(net: &str, end: End, ours: bool) -> Held {
        Held { net: net.parse().unwrap(), end, ours }
    }

    #[test]
    fn the_difference_is_what_leads_from_one_to_the_other() {
        let at = |secs| End::At(Timestamp::from_secs(secs));
        let there = [
            held("192.0.2.1/32", at(103), true),
            held("192.0.2.2/32", at(50), true),
            held("192.0.2.3/32", End::Never, true),
            held("192.0.2.4/32", End::Unknown, false),
            held("192.0.2.5/32", End::Unknown, true),
            held("192.0.2.6/32", End::Never, false),
        ];
        let wanted = [entry("192.0.2.1/32", Some(100)), entry("192.0.2.2/32", Some(100)), entry("192.0.2.4/32", None), entry("192.0.2.5/32", Some(70)), entry("192.0.2.7/32", None), entry("192.0.2.8/32", Some(10))];
        let change = difference(&there, &wanted, Timestamp::from_secs(20));
        let removed: Vec<String> = change.remove.iter().map(ToString::to_string).collect();
        let added: Vec<String> = change.add.iter().map(|e| e.net.to_string()).collect();
        assert_eq!(removed, ["192.0.2.2/32", "192.0.2.3/32"], "another end, and no longer wanted; not what others hold");
        assert_eq!(added, ["192.0.2.2/32", "192.0.2.7/32"], "and not what is over");
        assert!(difference(&[], &[], Timestamp(0)).is_empty());
    }

    #[test]
    fn wrong_settings_are_said_before_anything_starts() {
        let check = |text: &str| serde_json::from_str::<ActionConfig>(text).unwrap().check();
        assert_eq!(check(r#"{"type":"nftables","name":"fw"}"#), Ok(()));
        assert!(check(r#"{"type":"nftables","name":"fw","hooks":["output"]}"#).unwrap_err().contains("hooks"));
        assert!(check(r#"{"type":"nftables","name":"fw","table":"a; flush ruleset"}"#).unwrap_err().contains("table"));
        assert!(check(r#"{"type":"fail2ban","name":"f","jail":"--x"}"#).is_err());
        assert!(check(r#"{"type":"webhook","name":"w","url":"http://h/","secret":"short"}"#).unwrap_err().contains("16"));
        assert!(check(r#"{"type":"webhook","name":"w","url":"ftp://h/","secret":"0123456789abcdef"}"#).is_err());
        assert!(check(r#"{"type":"webhook","name":"../w","url":"http://h/","secret":"0123456789abcdef"}"#).is_err());
    }
}
