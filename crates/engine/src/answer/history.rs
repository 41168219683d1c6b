//! What changed between two snapshots, for those who ask again and again: CrowdSec's bouncers.
//!
//! A bouncer is known by its key. One that is not known (a restart was in between), or that stayed away for longer
//! than the changes are kept, gets everything again: that is what its protocol allows for.

use super::Snapshot;
use event::Timestamp;
use ipnet::IpNet;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Changes that are kept, and bouncers that are known.
const CHANGES_MAX: usize = 4_096;
const BOUNCERS_MAX: usize = 1_000;

/// A network that is kept out, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub net: IpNet,
    pub until: Option<Timestamp>,
    pub reason: String,
}

/// What a bouncer does not know yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decisions {
    pub new: Vec<Decision>,
    pub deleted: Vec<Decision>,
    /// Whether `new` is everything that is kept out.
    pub is_whole: bool,
}

#[derive(Default)]
pub struct History {
    /// As of the newest snapshot.
    current: BTreeMap<IpNet, Decision>,
    /// The number of the newest change.
    last: u64,
    changes: VecDeque<Change>,
    bouncers: HashMap<String, u64>,
}

struct Change {
    number: u64,
    net: IpNet,
    before: Option<Decision>,
}

impl History {
    pub fn follow(&mut self, snapshot: &Snapshot) {
        let decision = |e: &detect::bans::Enforced| Decision { net: e.net, until: e.until, reason: snapshot.bans[e.ban].reason.clone() };
        let next: BTreeMap<IpNet, Decision> = snapshot.networks.iter().map(|e| (e.net, decision(e))).collect();
        let gone = self.current.keys().filter(|net| !next.contains_key(net)).copied();
        let changed = next.iter().filter(|(net, new)| self.current.get(net) != Some(new)).map(|(net, _)| *net);
        let moved: Vec<IpNet> = gone.chain(changed).collect();
        for net in moved {
            self.last += 1;
            self.changes.push_back(Change { number: self.last, net, before: self.current.get(&net).cloned() });
        }
        while self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
        self.current = next;
    }

    /// `from_start`: the bouncer has just started, and knows nothing.
    pub fn ask(&mut self, bouncer: &str, from_start: bool) -> Decisions {
        let seen = self.bouncers.get(bouncer).copied().filter(|_| !from_start);
        if self.bouncers.len() >= BOUNCERS_MAX && !self.bouncers.contains_key(bouncer) {
            self.bouncers.clear();
        }
        self.bouncers.insert(bouncer.to_owned(), self.last);
        let oldest = self.changes.front().map_or(self.last + 1, |change| change.number);
        let Some(seen) = seen.filter(|seen| seen + 1 >= oldest) else {
            return Decisions { new: self.current.values().cloned().collect(), deleted: Vec::new(), is_whole: true };
        };
        // Of several changes of one network, what it was at first and what it is now.
        let mut first: BTreeMap<IpNet, &Change> = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.number > seen) {
            first.entry(change.net).or_insert(change);
        }
        let mut told = Decisions::default();
        for (net, change) in first {
            match (self.current.get(&net), &change.before) {
                (Some(now), before) if before.as_ref() != Some(now) => told.new.push(now.clone()),
                (None, Some(before)) => told.deleted.push(before.clone()),
                _ => {}
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detect::bans::Enforced;
    use store::control::{Ban, BanSource};

    fn snapshot(nets: &[&str]) -> Snapshot {
        let ban = Ban {
            id: event::Id([0; 16]), cidr: String::new(), reason: "r".into(), actor: String::new(), source: BanSource::Manual, rule: None, rule_name: None,
            alert: None, finding: None, created_at: Timestamp(0), until: None, dry_run: false, grown_from: None, offences: 0, undone: None,
        };
        let networks = nets.iter().map(|net| Enforced { net: net.parse().unwrap(), until: None, ban: 0 }).collect();
        Snapshot { bans: vec![ban], networks, ..Snapshot::empty() }
    }

    fn shown(decisions: &Decisions) -> (Vec<String>, Vec<String>, bool) {
        let nets = |list: &[Decision]| list.iter().map(|d| d.net.to_string()).collect();
        (nets(&decisions.new), nets(&decisions.deleted), decisions.is_whole)
    }

    #[test]
    fn a_bouncer_learns_what_changed_since_it_asked() {
        let mut history = History::default();
        history.follow(&snapshot(&["192.0.2.1/32", "192.0.2.2/32"]));
        assert_eq!(shown(&history.ask("a", true)), (vec!["192.0.2.1/32".into(), "192.0.2.2/32".into()], vec![], true));
        assert_eq!(shown(&history.ask("a", false)), (vec![], vec![], false));
        history.follow(&snapshot(&["192.0.2.2/32", "192.0.2.3/32"]));
        history.follow(&snapshot(&["192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"]));
        history.follow(&snapshot(&["192.0.2.2/32", "192.0.2.3/32"]));
        assert_eq!(shown(&history.ask("a", false)), (vec!["192.0.2.3/32".into()], vec!["192.0.2.1/32".into()], false), "what came and went is not told");
        assert_eq!(shown(&history.ask("b", false)).2, true, "one that is not known gets everything");
    }

    #[test]
    fn one_that_stayed_away_too_long_gets_everything() {
        let mut history = History::default();
        history.follow(&snapshot(&["192.0.2.1/32"]));
        history.ask("a", true);
        for n in 0..=CHANGES_MAX {
            history.follow(&snapshot(&[&format!("192.0.{}.{}/32", n / 256, n % 256)]));
        }
        assert!(history.ask("a", false).is_whole);
        assert!(history.changes.len() <= CHANGES_MAX);
        for n in 0..2 * BOUNCERS_MAX {
            history.ask(&n.to_string(), false);
        }
        assert!(history.bouncers.len() <= BOUNCERS_MAX);
    }
}
