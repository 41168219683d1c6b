//! nftables: two sets, of IPv4 and IPv6 networks, and rules that drop what comes from them, in a table of our own.
//!
//! The table is ours alone: other tables' rules are not touched, and `nft delete table inet erne` removes all of it. The
//! sets have the flags `interval` (networks) and `timeout`, so that the kernel lets a ban end even while the platform is
//! away. A change is one transaction: all of it holds, or nothing.

use super::program::run;
use super::{Action, ActionError, Change, End, Entry, Held, Refused, failed};
use event::Timestamp;
use ipnet::IpNet;
use serde_json::{Value, json};
use std::collections::HashSet;

pub const HOOKS: [&str; 3] = ["input", "forward", "prerouting"];
/// Before the chains of most rulesets, after connection tracking.
const PRIORITY: i32 = -10;
/// Networks that are deleted one by one; with more the sets are filled anew.
const DELETED_MAX: usize = 500;
const SETS: [(&str, &str, &str); 2] = [("bans4", "ipv4_addr", "ip"), ("bans6", "ipv6_addr", "ip6")];

pub struct Nftables {
    table: String,
    hooks: Vec<String>,
    command: Vec<String>,
}

impl Nftables {
    pub fn new(table: &str, hooks: &[String], command: &[String]) -> Self {
        Self { table: table.to_owned(), hooks: hooks.to_vec(), command: command.to_vec() }
    }

    fn run(&self, commands: Vec<Value>) -> Result<(), ActionError> {
        run(&self.command, &["-j", "-f", "-"], &json!({"nftables": commands}).to_string()).map(drop)
    }

    fn list(&self) -> Result<Option<Vec<Value>>, ActionError> {
        let listed = run(&self.command, &["-j", "list", "table", "inet", &self.table], "");
        let text = match listed {
            Ok(text) => text,
            Err(ActionError::Failed(why)) if why.contains("No such file or directory") && !why.contains("cannot be run") => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut listed: Value = serde_json::from_str(&text).map_err(|error| failed(format!("what nft lists is no JSON: {error}")))?;
        match listed["nftables"].take() {
            Value::Array(items) => Ok(Some(items)),
            _ => Err(failed("nft lists something else than a table")),
        }
    }

    /// The table, made anew: whoever took a part of it away has taken the rest's meaning too.
    fn make(&self) -> Vec<Value> {
        let table = json!({"family": "inet", "name": self.table});
        let mut commands = vec![json!({"add": {"table": table}}), json!({"delete": {"table": table}}), json!({"add": {"table": table}})];
        for (name, kind, _) in SETS {
            let set = json!({"family": "inet", "table": self.table, "name": name, "type": kind, "flags": ["interval", "timeout"]});
            commands.push(json!({"add": {"set": set}}));
        }
        for hook in &self.hooks {
            let chain = json!({"family": "inet", "table": self.table, "name": hook, "type": "filter", "hook": hook, "prio": PRIORITY, "policy": "accept"});
            commands.push(json!({"add": {"chain": chain}}));
            for (set, _, protocol) in SETS {
                let source = json!({"payload": {"protocol": protocol, "field": "saddr"}});
                let drop = json!([{"match": {"op": "==", "left": source, "right": format!("@{set}")}}, {"counter": null}, {"drop": null}]);
                commands.push(json!({"add": {"rule": {"family": "inet", "table": self.table, "chain": hook, "expr": drop}}}));
            }
        }
        commands
    }

    /// Whether sets and rules are there as we make them.
    fn is_whole(&self, items: &[Value]) -> bool {
        let sets = items.iter().filter(|item| SETS.iter().any(|(name, ..)| item["set"]["name"] == *name)).count();
        let drops = |item: &&Value| {
            let parts = item["rule"]["expr"].as_array().map(Vec::as_slice).unwrap_or_default();
            let from_us = |part: &Value| part["match"]["right"].as_str().is_some_and(|right| SETS.iter().any(|(set, ..)| right == format!("@{set}")));
            parts.iter().any(from_us) && parts.iter().any(|part| part.get("drop").is_some())
        };
        let hooked = |hook: &&String| items.iter().any(|item| item["chain"]["name"] == **hook && item["chain"]["hook"] == **hook);
        sets == SETS.len()
            && items.iter().filter(drops).count() == self.hooks.len() * SETS.len()
            && self.hooks.iter().filter(hooked).count() == self.hooks.len()
    }

    /// One command for each set.
    fn elements<'a>(&self, verb: &str, elements: impl Iterator<Item = (&'a IpNet, Value)>) -> Vec<Value> {
        let mut of_set = [Vec::new(), Vec::new()];
        for (net, element) in elements {
            of_set[usize::from(net.addr().is_ipv6())].push(element);
        }
        let command = |((set, ..), elements): (&(&str, &str, &str), Vec<Value>)| json!({verb: {"element": {"family": "inet", "table": self.table, "name": set, "elem": elements}}});
        SETS.iter().zip(of_set).filter(|(_, elements)| !elements.is_empty()).map(command).collect()
    }

    fn change(&self, change: &Change, now: Timestamp) -> Vec<Value> {
        let mut commands = self.elements("delete", change.remove.iter().map(|net| (net, value_of(net))));
        commands.extend(self.elements("add", change.add.iter().map(|entry| (&entry.net, timed(entry, now)))));
        commands
    }

    /// Everything anew, which is what the kernel does fast: it takes a minute to delete some ten thousand networks.
    fn fill(&self, change: &Change, now: Timestamp) -> Result<Vec<Value>, ActionError> {
        let mut held = self.read(now)?;
        let removed: HashSet<&IpNet> = change.remove.iter().collect();
        held.retain(|held| !removed.contains(&held.net));
        let until = |held: &Held| if let End::At(at) = held.end { Some(at) } else { None };
        let kept: Vec<Entry> = held.iter().map(|held| Entry { net: held.net, until: until(held), reason: String::new() }).collect();
        let mut commands: Vec<Value> = SETS.iter().map(|(set, ..)| json!({"flush": {"set": {"family": "inet", "table": self.table, "name": set}}})).collect();
        commands.extend(self.elements("add", kept.iter().chain(&change.add).map(|entry| (&entry.net, timed(entry, now)))));
        Ok(commands)
    }

    /// What the sets hold; nothing if the table is not as it should be.
    fn read(&self, now: Timestamp) -> Result<Vec<Held>, ActionError> {
        match self.list()? {
            Some(items) if self.is_whole(&items) => read_sets(&items, now),
            _ => {
                self.run(self.make())?;
                Ok(Vec::new())
            }
        }
    }
}

impl Action for Nftables {
    fn held(&mut self, now: Timestamp) -> Result<Vec<Held>, ActionError> {
        self.read(now)
    }

    fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Vec<Refused>, ActionError> {
        if change.is_empty() {
            return Ok(Vec::new());
        }
        if change.remove.len() > DELETED_MAX {
            return self.run(self.fill(change, now)?).map(|()| Vec::new());
        }
        // An element may have ended by itself since it was looked at, and deleting it would fail all.
        let first = self.run(self.change(change, now));
        let Err(first) = first else { return Ok(Vec::new()) };
        let held: HashSet<IpNet> = self.read(now)?.into_iter().map(|held| held.net).collect();
        let remove = change.remove.iter().copied().filter(|net| held.contains(net)).collect();
        let again = Change { remove, add: change.add.clone() };
        self.run(self.change(&again, now)).map(|()| Vec::new()).map_err(|_| first)
    }
}

fn value_of(net: &IpNet) -> Value {
    let single = net.prefix_len() == net.max_prefix_len();
    if single { json!(net.addr().to_string()) } else { json!({"prefix": {"addr": net.addr().to_string(), "len": net.prefix_len()}}) }
}

fn timed(entry: &Entry, now: Timestamp) -> Value {
    match entry.until {
        // Not before it is over: a second too long is looked at again, a second too short is a gap.
        Some(until) => json!({"elem": {"val": value_of(&entry.net), "timeout": ((until.0 - now.0 + 999_999) / 1_000_000).max(1)}}),
        None => value_of(&entry.net),
    }
}

fn read_sets(items: &[Value], now: Timestamp) -> Result<Vec<Held>, ActionError> {
    let sets = items.iter().filter(|item| SETS.iter().any(|(name, ..)| item["set"]["name"] == *name));
    let mut held = Vec::new();
    for element in sets.flat_map(|item| item["set"]["elem"].as_array().map(Vec::as_slice).unwrap_or_default()) {
        let (value, end) = match element.get("elem") {
            Some(elem) => {
                let left = elem["expires"].as_i64().or(elem["timeout"].as_i64());
                (&elem["val"], left.map_or(End::Never, |secs| End::At(now.plus_secs(secs))))
            }
            None => (element, End::Never),
        };
        let nets = nets_of(value).ok_or_else(|| failed(format!("nft lists an element that is no network: {value}")))?;
        held.extend(nets.into_iter().map(|net| Held { net, end, ours: true }));
    }
    Ok(held)
}

fn nets_of(value: &Value) -> Option<Vec<IpNet>> {
    if let Some(text) = value.as_str() {
        return Some(vec![IpNet::from(text.parse::<std::net::IpAddr>().ok()?)]);
    }
    if let Some(prefix) = value.get("prefix") {
        let net = IpNet::new(prefix["addr"].as_str()?.parse().ok()?, u8::try_from(prefix["len"].as_u64()?).ok()?).ok()?;
        return Some(vec![net]);
    }
    let [first, last] = value.get("range")?.as_array()?.as_slice() else { return None };
    match (first.as_str()?.parse().ok()?, last.as_str()?.parse().ok()?) {
        (std::net::IpAddr::V4(first), std::net::IpAddr::V4(last)) => Some(ipnet::Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()),
        (std::net::IpAddr::V6(first), std::net::IpAddr::V6(last)) => Some(ipnet::Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nft_lists_is_read() {
        let items = [json!({"set": {"name": "bans4", "elem": [
            "192.0.2.1", {"prefix": {"addr": "198.51.100.0", "len": 24}}, {"range": ["203.0.113.1", "203.0.113.2"]},
            {"elem": {"val": "192.0.2.9", "timeout": 60, "expires": 50}}]}}),
            json!({"set": {"name": "others", "elem": ["10.0.0.1"]}}), json!({"set": {"name": "bans6", "elem": [{"prefix": {"addr": "2001:db8::", "len": 64}}]}})];
        let held = read_sets(&items, Timestamp::from_secs(100)).unwrap();
        let shown: Vec<String> = held.iter().map(|h| format!("{} {:?}", h.net, h.end)).collect();
        let at = format!("{:?}", End::At(Timestamp::from_secs(150)));
        assert_eq!(shown, ["192.0.2.1/32 Never".to_owned(), "198.51.100.0/24 Never".into(), "203.0.113.1/32 Never".into(), "203.0.113.2/32 Never".into(), format!("192.0.2.9/32 {at}"), "2001:db8::/64 Never".into()]);
        assert!(read_sets(&[json!({"set": {"name": "bans4", "elem": [{"concat": []}]}})], Timestamp(0)).is_err());
    }

    #[test]
    fn ends_are_rounded_up() {
        let entry = |until| Entry { net: "192.0.2.1/32".parse().unwrap(), until: Some(Timestamp(until)), reason: String::new() };
        assert_eq!(timed(&entry(2_000_001), Timestamp(1_000_000))["elem"]["timeout"], 2);
        assert_eq!(timed(&entry(1), Timestamp(1_000_000))["elem"]["timeout"], 1);
    }
}
