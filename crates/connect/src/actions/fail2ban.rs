//! Fail2Ban: a jail that is told whom to ban, and its log, which tells whom it banned.
//!
//! What is in the jail because of Fail2Ban itself counts as kept out and is left alone: only what we asked for, which
//! a file remembers, is taken out again. The jail's own `bantime` ends bans too; those that should stand are asked
//! for again at the next look, so a long `bantime` is the right one.

use super::memory::Memory;
use super::program::run;
use super::{Action, ActionError, Change, End, Held, Refused};
use event::Timestamp;
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Addresses of one command.
const NETS_PER_COMMAND: usize = 200;

pub struct Fail2ban {
    jail: String,
    command: Vec<String>,
    memory: Memory,
}

impl Fail2ban {
    pub fn new(jail: &str, socket: Option<&str>, command: &[String], memory: Memory) -> Self {
        let mut command = command.to_vec();
        command.extend(socket.into_iter().flat_map(|socket| ["-s".to_owned(), socket.to_owned()]));
        Self { jail: jail.to_owned(), command, memory }
    }

    fn jail(&self) -> Result<BTreeSet<IpNet>, ActionError> {
        let said = run(&self.command, &["get", &self.jail, "banip"], "")?;
        Ok(said.split_whitespace().filter_map(net_of).collect())
    }

    fn set(&self, verb: &str, nets: &[IpNet]) -> Result<(), ActionError> {
        let shown: Vec<String> = nets.iter().map(shown).collect();
        let arguments: Vec<&str> = ["set", &self.jail, verb].into_iter().chain(shown.iter().map(String::as_str)).collect();
        run(&self.command, &arguments, "").map(drop)
    }

    /// Several at once; if that fails one by one, to know which.
    fn set_all(&self, verb: &str, nets: &[IpNet]) -> Vec<Refused> {
        let mut refused = Vec::new();
        for some in nets.chunks(NETS_PER_COMMAND) {
            if self.set(verb, some).is_ok() {
                continue;
            }
            for net in some {
                if let Err(error) = self.set(verb, std::slice::from_ref(net)) {
                    refused.push(Refused { net: *net, reason: error.to_string() });
                }
            }
        }
        refused
    }
}

impl Action for Fail2ban {
    fn held(&mut self, _: Timestamp) -> Result<Vec<Held>, ActionError> {
        let jail = self.jail()?;
        Ok(jail.into_iter().map(|net| Held { net, end: End::Unknown, ours: self.memory.nets.contains_key(&net) }).collect())
    }

    fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Vec<Refused>, ActionError> {
        // Remembered first: a crash in between must not leave anything there that nobody takes out.
        self.memory.nets.extend(change.add.iter().map(|entry| (entry.net, entry.until)));
        self.memory.save()?;
        let mut refused = self.set_all("unbanip", &change.remove);
        let kept: BTreeSet<IpNet> = refused.iter().map(|r| r.net).collect();
        let add: Vec<IpNet> = change.add.iter().map(|entry| entry.net).collect();
        refused.extend(self.set_all("banip", &add));
        self.memory.nets.retain(|net, _| !change.remove.contains(net) || kept.contains(net) || add.contains(net));
        // What Fail2Ban let end by itself is forgotten once it is over here too.
        let jail = self.jail()?;
        self.memory.nets.retain(|net, until| jail.contains(net) || until.is_none_or(|until| until > now));
        self.memory.save()?;
        Ok(refused)
    }
}

/// Fail2Ban writes single addresses without a length.
fn shown(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn net_of(text: &str) -> Option<IpNet> {
    text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>().map(|net| net.trunc())).ok()
}

/// A line of Fail2Ban's log about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail2banLine<'a> {
    pub jail: &'a str,
    pub net: IpNet,
    /// Else it was let in again.
    pub banned: bool,
}

/// Reads `… fail2ban.actions [812]: NOTICE [sshd] Ban 203.0.113.7`, with `Restore Ban` and `Unban`; other lines of the
/// log are none.
pub fn fail2ban_line(line: &str) -> Option<Fail2banLine<'_>> {
    let (_, rest) = line.split_once("fail2ban.actions")?;
    let (_, rest) = rest.split_once("NOTICE")?;
    let (jail, rest) = rest.trim_start().strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim();
    let (banned, address) = match rest.strip_prefix("Unban ") {
        Some(address) => (false, address),
        None => (true, rest.strip_prefix("Restore ").unwrap_or(rest).strip_prefix("Ban ")?),
    };
    Some(Fail2banLine { jail, net: net_of(address.trim())?, banned })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_fail2ban_is_read() {
        let read = |line: &str| fail2ban_line(line).map(|l| format!("{} {} {}", l.jail, l.net, l.banned));
        let head = "2026-11-20 10:00:00,123 fail2ban.actions        [812]: NOTICE  ";
        assert_eq!(read(&format!("{head}[sshd] Ban 203.0.113.7")).unwrap(), "sshd 203.0.113.7/32 true");
        assert_eq!(read(&format!("{head}[nginx-http-auth] Unban 2001:db8::1")).unwrap(), "nginx-http-auth 2001:db8::1/128 false");
        assert_eq!(read(&format!("{head}[recidive] Restore Ban 198.51.100.0/24")).unwrap(), "recidive 198.51.100.0/24 true");
        assert_eq!(read(&format!("{head}[sshd] 203.0.113.7 already banned")), None);
        assert_eq!(read("2026-11-20 10:00:00,123 fail2ban.filter [812]: INFO [sshd] Found 203.0.113.7 - 2026-11-20 10:00:00"), None);
        assert_eq!(read(&format!("{head}[sshd] Ban evil")), None);
        assert_eq!(read(""), None);
    }
}
