//! What stands before the shards: knowledge that parts of different groups share.
//!
//! A shard knows its own groups only. Who assumed a role ([`principal`]) and how many people use an address
//! ([`egress`]) is learned from events of other groups, so it can't be kept there. One [`Front`] sees all parts
//! in log order before they are dealt to the shards, and writes what it knows into them; its answers depend on
//! the log alone, not on batches or threads. What it does per part is a look-up or two. Where shards live on
//! several nodes each needs a front of its own that is told of every session; those events are rare.

mod egress;
mod kept;
pub(crate) mod principal;

pub(crate) use egress::PRINCIPALS_MAX;

use crate::{Keyed, RuleSet};
use egress::Egress;
use event::Timestamp;
use kept::Delta;
use principal::{Moved, Resolver};
use std::sync::Arc;

/// Completes parts with what other groups' events say.
pub struct Front {
    rules: Arc<RuleSet>,
    resolver: Resolver,
    egress: Egress,
    /// The log's clock.
    now: Timestamp,
    /// The longest lateness of the parts seen.
    lateness_secs: i64,
    is_restoring: bool,
}

impl Front {
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self {
            rules,
            resolver: Resolver::new(),
            egress: Egress::new(),
            now: Timestamp(i64::MIN),
            lateness_secs: 0,
            is_restoring: false,
        }
    }

    /// Takes back an entry that an earlier `pass` wrote; false if its layout is not known.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.is_restoring = true;
        self.resolver.restore(key, value) || self.egress.restore(key, value)
    }

    /// Takes other rules; what is known of sessions and addresses stays.
    pub fn reload(&mut self, rules: Arc<RuleSet>) {
        self.rules = rules;
    }

    /// Takes parts in log order and returns those that the shards are to see, in order. Changes of state are
    /// appended to `delta`.
    pub fn pass(&mut self, keyed: Vec<Keyed>, delta: &mut Delta) -> Vec<Keyed> {
        if std::mem::take(&mut self.is_restoring) {
            self.resolver.restored();
            self.egress.restored();
        }
        let mut out = Vec::with_capacity(keyed.len());
        for part in keyed {
            self.now = self.now.max(part.received);
            self.lateness_secs = self.lateness_secs.max(i64::from(part.lateness_secs));
            self.resolver.expire(self.now, self.lateness_secs);
            self.egress.expire(self.now);
            if part.correlation == Keyed::GRANT {
                self.learn(&part, &mut out);
            } else {
                self.complete(part, &mut out);
            }
        }
        self.resolver.write(delta);
        self.egress.write(delta);
        out
    }

    fn complete(&mut self, mut part: Keyed, out: &mut Vec<Keyed>) {
        let Some(correlation) = self.rules.correlations.get(part.correlation as usize) else { return };
        if let Some((id, name)) = self.resolver.pass(&correlation.state_prefix, &part) {
            correlation.give(&mut part, &id, &name);
        }
        if correlation.kind.counts_sharers {
            self.egress.pass(&correlation.rule.id, &mut part);
        }
        out.push(part);
    }

    /// A session became known: parts that waited for it go to their principal.
    fn learn(&mut self, grant: &Keyed, out: &mut Vec<Keyed>) {
        for Moved { mut part, rule, before, now } in self.resolver.learn(grant) {
            let found = self.rules.correlations.iter().position(|correlation| *correlation.state_prefix == *rule);
            let Some(number) = found else { continue };
            let correlation = &self.rules.correlations[number];
            part.correlation = number as u32;
            let mut back = part.clone();
            correlation.give(&mut back, &before, &now.1);
            back.is_taken_back = true;
            correlation.give(&mut part, &now.0, &now.1);
            out.extend([back, part]);
        }
    }
}
