//! What the API, the gateway and the agents ask the answer.

use super::history::Decisions;
use super::runner::At;
use super::{Answer, Snapshot};
use crate::platform::Platform;
use detect::bans::{NetworkError, network, subject, trusted_network};
use event::{Id, Timestamp};
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::control::{Ban, BanFilter, BanSource, BanState, ControlError, Listed, Role, Trust, Undoing};

/// Times are written so often at most.
const NOTE_EVERY_SECS: i64 = 600;
/// Addresses that are remembered as noted.
const NOTED_MAX: usize = 10_000;
/// Networks in the profile of a web agent, which every heartbeat may carry.
const PROFILE_BANS_MAX: usize = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("{net} is trusted ({reason}) and is never kept out")]
    Trusted { net: IpNet, reason: String },
    #[error("{net} covers your own address {address}")]
    OwnAddress { net: IpNet, address: IpAddr },
    #[error("{0} is banned already, for at least as long")]
    Banned(IpNet),
    #[error("the ban would be over before it began")]
    Over,
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// A network that is never kept out, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trusted {
    /// Of an entry of the trust list, which can be deleted.
    pub id: Option<Id>,
    #[serde(serialize_with = "as_text")]
    pub cidr: IpNet,
    /// list, configuration, admin, platform or always
    pub kind: &'static str,
    pub reason: String,
    pub actor: Option<String>,
    pub created_at: Option<Timestamp>,
}

fn as_text<S: Serializer>(net: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(net)
}

/// How a ban stands at one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionState {
    pub name: String,
    /// pending, applied, failed; trusted where no part of it may be enforced
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A ban with what follows from it.
#[derive(Clone, Debug, Serialize)]
pub struct ShownBan {
    #[serde(flatten)]
    pub ban: Ban,
    pub state: BanState,
    pub actions: Vec<ActionState>,
}

/// A network that a web agent keeps out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProfileBan {
    #[serde(serialize_with = "as_text")]
    pub cidr: IpNet,
    pub until: Option<Timestamp>,
    pub reason: String,
}

/// How an action stands.
#[derive(Clone, Debug, Serialize)]
pub struct ActionStatus {
    pub name: String,
    pub kind: &'static str,
    /// Networks that its target holds.
    pub held: usize,
    pub looked_at: Option<Timestamp>,
    pub error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct AnswerStatus {
    pub automatic: bool,
    pub dry_run: bool,
    pub bans_per_hour: u32,
    pub bans_last_hour: u32,
    pub active: usize,
    /// Bans that only would have been.
    pub dry: usize,
    pub networks: usize,
    pub actions: Vec<ActionStatus>,
    /// Why findings banned nobody since the start, how often.
    pub refused: std::collections::BTreeMap<&'static str, u64>,
}

/// What a ban would mean.
#[derive(Clone, Debug, Serialize)]
pub struct BanCheck {
    /// As it would be banned.
    pub cidr: String,
    /// The asking address, if the ban covers it.
    pub own_address: Option<String>,
    /// What of it would be spared, and why.
    pub spared: Vec<Trusted>,
    /// Nothing of it would be kept out.
    pub trusted: bool,
    /// Bans that hold all of it already.
    pub banned: Vec<Ban>,
    /// Addresses for IPv4, /64 networks for IPv6.
    pub size: u64,
}

/// What somebody wants to ban.
#[derive(Clone, Debug)]
pub struct NewBan {
    pub id: Id,
    pub cidr: String,
    pub reason: String,
    pub actor: String,
    pub source: BanSource,
    pub until: Option<Timestamp>,
    pub alert: Option<Id>,
    pub rule: Option<String>,
    pub rule_name: Option<String>,
    /// Where they ask from.
    pub asker: Option<IpAddr>,
    /// A network around the own address is meant; the address itself is spared.
    pub spare_own: bool,
}

pub(super) fn shown(answer: &Answer, ban: &Ban, now: Timestamp) -> ShownBan {
    let snapshot = answer.snapshot();
    let state = ban.state(now);
    let actions = if state == BanState::Active && !ban.dry_run { actions_of(answer, &snapshot, ban) } else { Vec::new() };
    ShownBan { ban: ban.clone(), state, actions }
}

fn actions_of(answer: &Answer, snapshot: &Snapshot, ban: &Ban) -> Vec<ActionState> {
    let Ok(net) = network(&ban.cidr) else { return Vec::new() };
    let is_trusted = snapshot.trust_set.covers(net);
    let is_known = snapshot.bans.iter().any(|known| known.id == ban.id);
    let parts = snapshot.within(net);
    let state_at = |runner: &super::Runner| {
        if is_trusted {
            return ("trusted", None);
        }
        let mut found = if is_known { ("applied", None) } else { ("pending", None) };
        for part in parts {
            match runner.at(part.net, snapshot.generation) {
                At::Held => {}
                At::Pending => found = ("pending", None),
                At::Failed(why) => return ("failed", Some(why)),
            }
        }
        found
    };
    let show = |runner: &Arc<super::Runner>| {
        let (state, error) = state_at(runner);
        ActionState { name: runner.name.clone(), state, error }
    };
    answer.runners.iter().map(show).collect()
}

impl Platform {
    fn answer(&self) -> &Answer {
        &self.0.shared.answer
    }

    /// Bans that stand and are enforced.
    pub fn bans(&self) -> Vec<Ban> {
        let now = self.now();
        self.answer().snapshot().bans.iter().filter(|ban| !ban.dry_run && ban.is_active(now)).cloned().collect()
    }

    /// What is kept out at the moment: disjoint networks without what is trusted.
    pub fn kept_out(&self) -> Arc<Snapshot> {
        self.answer().snapshot()
    }

    /// What the web agents' profile carries: the first networks, if there are more than it should.
    pub fn profile_bans(&self) -> Vec<ProfileBan> {
        let (snapshot, now) = (self.answer().snapshot(), self.now());
        let shown = |e: &detect::bans::Enforced| ProfileBan { cidr: e.net, until: e.until, reason: snapshot.bans[e.ban].reason.clone() };
        snapshot.networks.iter().filter(|e| e.until.is_none_or(|until| until > now)).take(PROFILE_BANS_MAX).map(shown).collect()
    }

    /// The ban that keeps an address out.
    pub fn ban_of(&self, address: IpAddr) -> Option<Ban> {
        let (snapshot, now) = (self.answer().snapshot(), self.now());
        let net = IpNet::from(address.to_canonical());
        let found = snapshot.within(net).iter().find(|e| e.until.is_none_or(|until| until > now))?;
        snapshot.bans.get(found.ban).cloned()
    }

    pub async fn list_bans(&self, filter: &BanFilter) -> Result<Listed<ShownBan>, ControlError> {
        let listed = self.control().bans(filter, self.now()).await?;
        let items = listed.items.iter().map(|ban| self.show_ban(ban)).collect();
        Ok(Listed { items, next_cursor: listed.next_cursor, total: listed.total })
    }

    /// A ban with its state and how it stands at each action.
    pub fn show_ban(&self, ban: &Ban) -> ShownBan {
        shown(self.answer(), ban, self.now())
    }

    pub async fn answer_status(&self) -> Result<AnswerStatus, ControlError> {
        let answer = self.answer();
        let (snapshot, section) = (answer.snapshot(), &answer.section);
        let dry = snapshot.bans.iter().filter(|ban| ban.dry_run).count();
        let status = |runner: &Arc<super::Runner>| {
            let (held, looked_at, error) = runner.status();
            ActionStatus { name: runner.name.clone(), kind: runner.kind, held, looked_at, error }
        };
        Ok(AnswerStatus {
            automatic: section.automatic,
            dry_run: section.dry_run,
            bans_per_hour: section.bans_per_hour,
            bans_last_hour: self.control().count_rule_bans(self.now().plus_secs(-3_600), section.dry_run).await?,
            active: snapshot.bans.len() - dry,
            dry,
            networks: snapshot.networks.len(),
            actions: answer.runners.iter().map(status).collect(),
            refused: answer.refusals.lock().clone(),
        })
    }

    /// What banning would mean, without doing it.
    pub fn check_ban(&self, cidr: &str, asker: Option<IpAddr>) -> Result<BanCheck, AnswerError> {
        let net = network(cidr)?;
        let snapshot = self.answer().snapshot();
        let bits = if net.addr().is_ipv4() { 32 } else { 64 };
        let overlaps = |trusted: &&Trusted| trusted.cidr.contains(&net) || net.contains(&trusted.cidr);
        Ok(BanCheck {
            cidr: net.to_string(),
            own_address: asker.map(|a| a.to_canonical()).filter(|address| net.contains(address)).map(|address| address.to_string()),
            spared: snapshot.trusts.iter().filter(overlaps).cloned().collect(),
            trusted: snapshot.trust_set.covers(net),
            banned: snapshot.holding(net).filter(|ban| !ban.dry_run).cloned().collect(),
            size: 1 << (bits - net.prefix_len().min(bits)),
        })
    }

    /// Bans, unless that would keep out whom it must not.
    pub async fn ban(&self, new: NewBan) -> Result<ShownBan, AnswerError> {
        let now = self.now();
        let net = network(&new.cidr)?;
        if new.until.is_some_and(|until| until <= now) {
            return Err(AnswerError::Over);
        }
        if let Some(address) = new.asker.map(|a| a.to_canonical()).filter(|a| net.contains(a)) {
            let is_all = net == subject(address);
            if is_all || !new.spare_own {
                return Err(AnswerError::OwnAddress { net, address });
            }
            self.note_address(address, &new.actor).await?;
        }
        let snapshot = self.answer().snapshot();
        if snapshot.trust_set.covers(net) {
            let covering = snapshot.trusts.iter().find(|trusted| trusted.cidr.contains(&net));
            return Err(AnswerError::Trusted { net, reason: covering.map_or_else(|| "several entries together".into(), |t| t.reason.clone()) });
        }
        let lasts = |ban: &Ban| !ban.dry_run && ban.is_active(now) && (ban.until.is_none() || new.until.is_some_and(|until| ban.until.is_some_and(|end| end >= until)));
        if snapshot.holding(net).any(lasts) {
            return Err(AnswerError::Banned(net));
        }
        let ban = Ban {
            id: new.id, cidr: net.to_string(), reason: new.reason, actor: new.actor, source: new.source, rule: new.rule, rule_name: new.rule_name,
            alert: new.alert, finding: None, created_at: now, until: new.until, dry_run: false, grown_from: None, offences: 0, undone: None,
        };
        self.control().put_bans(std::slice::from_ref(&ban), None, now).await?;
        self.changed().await?;
        self.answer().announce(&self.0.shared, &ban, true);
        Ok(self.show_ban(&ban))
    }

    /// Takes over a list. Answers how many are new; those that are trusted, cover the asker or stand already are left out.
    pub async fn import_bans(&self, list: Vec<NewBan>, name: &str) -> Result<usize, AnswerError> {
        let now = self.now();
        let snapshot = self.answer().snapshot();
        let mut bans = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for new in list {
            let net = network(&new.cidr)?;
            let own = new.asker.is_some_and(|address| net.contains(&address.to_canonical()));
            let stands = snapshot.holding(net).any(|ban| !ban.dry_run && ban.is_active(now));
            if own || stands || snapshot.trust_set.covers(net) || new.until.is_some_and(|until| until <= now) || !seen.insert(net) {
                continue;
            }
            bans.push(Ban {
                id: new.id, cidr: net.to_string(), reason: new.reason, actor: new.actor, source: new.source, rule: None, rule_name: None, alert: None,
                finding: None, created_at: now, until: new.until, dry_run: false, grown_from: None, offences: 0, undone: None,
            });
        }
        let stored = self.control().put_bans(&bans, Some(name), now).await?.len();
        self.changed().await?;
        Ok(stored)
    }

    /// Takes a ban back, and with it the ban of its prefix that it helped to make: who lets an address in means it.
    pub async fn undo_ban(&self, id: Id, actor: &str, reason: &str) -> Result<Vec<Ban>, AnswerError> {
        let ban = self.control().ban(id).await?;
        let snapshot = self.answer().snapshot();
        let grown = self.answer().grown_over(&snapshot, &ban).into_iter().map(|grown| grown.id);
        let ids: Vec<Id> = std::iter::once(id).chain(grown).collect();
        let undone = self.control().undo_bans(&ids, Undoing { actor, reason, by_person: true }, self.now()).await?;
        self.changed().await?;
        undone.iter().for_each(|ban| self.answer().announce(&self.0.shared, ban, false));
        if undone.iter().any(|ban| ban.id == id) { Ok(undone) } else { Err(ControlError::NotFound("ban that still stands").into()) }
    }

    /// Everything that is never kept out.
    pub fn trusts(&self) -> Vec<Trusted> {
        self.answer().snapshot().trusts.clone()
    }

    /// Trusts a network, and takes back the bans inside it.
    pub async fn trust(&self, id: Id, cidr: &str, reason: &str, actor: &str) -> Result<(Trust, Vec<Ban>), AnswerError> {
        let now = self.now();
        let net = trusted_network(cidr)?;
        let trust = Trust { id, cidr: net.to_string(), reason: reason.to_owned(), actor: actor.to_owned(), created_at: now };
        self.control().put_trust(&trust, now).await?;
        // Read anew: the snapshot may be a moment old.
        let standing = self.control().standing_bans(now).await?;
        let inside: Vec<Id> = standing.iter().filter(|ban| network(&ban.cidr).is_ok_and(|banned| net.contains(&banned))).map(|ban| ban.id).collect();
        let why = format!("{net} is trusted: {reason}");
        let undone = self.control().undo_bans(&inside, Undoing { actor, reason: &why, by_person: true }, now).await?;
        self.changed().await?;
        undone.iter().for_each(|ban| self.answer().announce(&self.0.shared, ban, false));
        Ok((trust, undone))
    }

    pub async fn distrust(&self, id: Id, actor: &str) -> Result<Trust, AnswerError> {
        let trust = self.control().delete_trust(id, actor, self.now()).await?;
        self.changed().await?;
        Ok(trust)
    }

    /// Notes where an admin is signed in from. Cheap to call with every request.
    pub async fn note_admin(&self, address: IpAddr, person: &str, role: Role) {
        if role != Role::Admin || address.to_canonical().is_loopback() {
            return;
        }
        if let Err(error) = self.note_address(address.to_canonical(), person).await {
            tracing::warn!(%error, "an admin's address could not be noted");
        }
    }

    async fn note_address(&self, address: IpAddr, person: &str) -> Result<(), ControlError> {
        let (answer, now) = (self.answer(), self.now());
        {
            let mut noted = answer.noted.lock();
            if noted.get(&address).is_some_and(|at| at.plus_secs(NOTE_EVERY_SECS) > now) {
                return Ok(());
            }
            if noted.len() >= NOTED_MAX {
                noted.clear();
            }
            noted.insert(address, now);
        }
        self.control().note_address(&address.to_string(), person, now).await?;
        if !answer.snapshot().trust_set.covers(subject(address)) {
            self.changed().await?;
        }
        Ok(())
    }

    /// What a bouncer does not know yet.
    pub async fn decisions(&self, bouncer: &str, from_start: bool) -> Result<Decisions, ControlError> {
        let mut told = self.answer().history.lock().ask(bouncer, from_start);
        if told.is_whole && !from_start {
            // It may still hold what ended while we did not know it.
            let now = self.now();
            let snapshot = self.answer().snapshot();
            for ban in self.control().bans_ended(now.plus_secs(-ENDED_SECS), now, ENDED_MAX).await? {
                let Ok(net) = network(&ban.cidr) else { continue };
                if snapshot.networks.binary_search_by(|e| e.net.cmp(&net)).is_err() {
                    told.deleted.push(super::history::Decision { net, until: ban.until, reason: ban.reason });
                }
            }
        }
        Ok(told)
    }

    async fn changed(&self) -> Result<(), ControlError> {
        self.answer().is_stale.store(true, Ordering::Release);
        self.answer().refresh(&self.0.shared, self.control()).await.map(drop)
    }
}

/// Bans that ended are told again to bouncers that are not known.
const ENDED_SECS: i64 = 7 * 86_400;
const ENDED_MAX: usize = 10_000;
