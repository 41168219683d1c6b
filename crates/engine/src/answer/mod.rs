//! The answer: bans and trusts as they stand, what follows from them, and the threads that see to it.
//!
//! The control plane keeps bans; `detect::bans` decides; this module holds the [`Snapshot`] of both that everybody
//! reads, makes it anew when something changed (here or on another node) or a ban has ended, lets findings ban
//! (`automatic`), and drives the actions (`runner`).

mod automatic;
mod config;
mod history;
mod own;
mod platform;
mod runner;

pub use config::{AnswerRule, AnswerSection, EscalationSection, GrowthSection};
pub use history::{Decision, Decisions};
pub use platform::{ActionState, ActionStatus, AnswerError, AnswerStatus, BanCheck, NewBan, ProfileBan, ShownBan, Trusted};
pub(crate) use runner::{Runner, spawn};

use crate::live::Topic;
use crate::pipeline::Shared;
use arc_swap::ArcSwap;
use detect::bans::{Enforced, Growth, Part, Policy, Refusal, Standing, TrustSet, enforce, grown, network, prefix_of, trusted_network};
use event::{Id, Timestamp};
use history::History;
use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use store::control::{Ban, BanSource, Control, ControlError, Trust};

/// Who bans and lifts without being a person.
pub(crate) const ACTOR: &str = "erne";
const LOOK: Duration = Duration::from_millis(500);
/// Looks at this machine's addresses and other nodes' admins.
const OWN_EVERY_SECS: i64 = 60;

/// What is kept out at a moment, and why.
pub struct Snapshot {
    /// Grows with each.
    pub generation: u64,
    /// Those that stand, oldest first; those that only would have been among them.
    pub bans: Vec<Ban>,
    /// Disjoint, in order. `ban` is a place in `bans`.
    pub networks: Vec<Enforced>,
    /// Networks beyond what can be enforced.
    pub dropped: usize,
    pub trusts: Vec<Trusted>,
    pub trust_set: TrustSet,
    nets: Vec<Option<IpNet>>,
}

impl Snapshot {
    fn empty() -> Self {
        Self { generation: 0, bans: Vec::new(), networks: Vec::new(), dropped: 0, trusts: Vec::new(), trust_set: TrustSet::new([]), nets: Vec::new() }
    }

    /// The networks that are kept out and overlap with this one.
    pub fn within(&self, net: IpNet) -> &[Enforced] {
        let end = |e: &Enforced| e.net.broadcast();
        let same = |e: &Enforced| e.net.addr().is_ipv4() == net.addr().is_ipv4();
        let is_before = |e: &Enforced| (e.net.addr().is_ipv6(), end(e)) < (net.addr().is_ipv6(), net.network());
        let first = self.networks.partition_point(is_before);
        let count = self.networks[first..].iter().take_while(|e| same(e) && e.net.network() <= net.broadcast()).count();
        &self.networks[first..first + count]
    }

    /// Bans that stand and hold all of the network.
    pub fn holding(&self, net: IpNet) -> impl Iterator<Item = &Ban> {
        self.bans.iter().zip(&self.nets).filter(move |(_, held)| held.is_some_and(|held| held.contains(&net))).map(|(ban, _)| ban)
    }

    fn next_end(&self) -> Option<Timestamp> {
        self.bans.iter().filter_map(|ban| ban.until).min()
    }
}

/// What the answer knows while the platform runs.
pub(crate) struct Answer {
    policy: Option<Policy>,
    pub section: AnswerSection,
    growth: Growth,
    configured: Vec<IpNet>,
    own: Mutex<Vec<(IpNet, &'static str)>>,
    snapshot: ArcSwap<Snapshot>,
    history: Mutex<History>,
    runners: Vec<Arc<Runner>>,
    /// Made anew by one at a time.
    making: tokio::sync::Mutex<()>,
    /// Something changed here.
    is_stale: AtomicBool,
    seen_generation: AtomicU64,
    /// Why findings banned nobody, how often.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    /// The hour in which the cap on bans was last told of.
    capped_hour: Mutex<Option<i64>>,
    /// When admins' addresses were noted.
    noted: Mutex<HashMap<std::net::IpAddr, Timestamp>>,
}

impl Answer {
    pub fn new(section: &AnswerSection, runners: Vec<Arc<Runner>>) -> Result<Self, String> {
        section.check()?;
        Ok(Self {
            policy: section.policy(),
            growth: section.growth(),
            configured: section.trusted()?,
            section: section.clone(),
            own: Mutex::new(own::addresses()),
            snapshot: ArcSwap::from_pointee(Snapshot::empty()),
            history: Mutex::default(),
            runners,
            making: tokio::sync::Mutex::new(()),
            is_stale: AtomicBool::new(true),
            seen_generation: AtomicU64::new(0),
            refusals: Mutex::default(),
            capped_hour: Mutex::new(None),
            noted: Mutex::default(),
        })
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    fn refused(&self, why: Refusal) {
        *self.refusals.lock().entry(why.as_str()).or_default() += 1;
    }

    /// Everything that is never kept out, with where that comes from.
    fn trusted(&self, trusts: &[Trust], admins: &[store::control::AdminAddress]) -> Vec<Trusted> {
        let mut all: Vec<Trusted> = Vec::new();
        let fixed = |net: IpNet, kind: &'static str, reason: &str| Trusted { id: None, cidr: net, kind, reason: reason.to_owned(), actor: None, created_at: None };
        for trust in trusts {
            let Ok(net) = trusted_network(&trust.cidr) else { continue };
            all.push(Trusted { id: Some(trust.id), actor: Some(trust.actor.clone()), created_at: Some(trust.created_at), ..fixed(net, "list", &trust.reason) });
        }
        all.extend(self.configured.iter().map(|net| fixed(*net, "configuration", "answer.trust")));
        for admin in admins {
            // The whole /64: it is the same person tomorrow.
            let Ok(address) = admin.address.parse() else { continue };
            let net = detect::bans::subject(address);
            let reason = format!("{} was signed in from {}", admin.person, admin.address);
            all.push(Trusted { created_at: Some(admin.seen), ..fixed(net, "admin", &reason) });
        }
        all.extend(self.own.lock().iter().map(|(net, what)| fixed(*net, "platform", what)));
        let always = detect::bans::ALWAYS_TRUSTED.iter().filter_map(|(text, what)| Some(fixed(trusted_network(text).ok()?, "always", what)));
        all.extend(always);
        all
    }

    /// Makes the snapshot anew from the control plane.
    pub async fn refresh(&self, shared: &Shared, control: &Control) -> Result<Arc<Snapshot>, ControlError> {
        let _one = self.making.lock().await;
        let now = (shared.now)();
        self.is_stale.store(false, Ordering::Release);
        let result = self.make(control, now).await;
        if result.is_err() {
            self.is_stale.store(true, Ordering::Release);
        }
        let (snapshot, new) = result?;
        self.history.lock().follow(&snapshot);
        for ban in new {
            self.announce(shared, &ban, true);
        }
        let before = self.snapshot.swap(snapshot.clone());
        for ban in before.bans.iter().filter(|ban| !ban.is_active(now)) {
            self.announce(shared, ban, false);
        }
        Ok(snapshot)
    }

    async fn make(&self, control: &Control, now: Timestamp) -> Result<(Arc<Snapshot>, Vec<Ban>), ControlError> {
        // Read first: what changes from here on is looked at again.
        let generation = control.bans_generation().await?;
        let (trusts, admins) = (control.trusts().await?, control.admin_addresses(now.plus_secs(-self.section.admin_secs)).await?);
        let mut bans = control.standing_bans(now).await?;
        let new = self.grow(control, &bans, now).await?;
        if !new.is_empty() {
            bans = control.standing_bans(now).await?;
        }
        let trusts = self.trusted(&trusts, &admins);
        let trust_set = TrustSet::new(trusts.iter().map(|trusted| trusted.cidr));
        let nets: Vec<Option<IpNet>> = bans.iter().map(|ban| network(&ban.cidr).ok()).collect();
        let places: Vec<usize> = (0..bans.len()).filter(|place| !bans[*place].dry_run && nets[*place].is_some()).collect();
        let standing: Vec<Standing> = places.iter().filter_map(|place| Some(Standing { net: nets[*place]?, until: bans[*place].until })).collect();
        let enforced = enforce(&standing, &trust_set, now);
        let networks = enforced.networks.into_iter().map(|e| Enforced { ban: places[e.ban], ..e }).collect();
        let number = self.snapshot.load().generation + 1;
        self.seen_generation.store(if new.is_empty() { generation } else { control.bans_generation().await? }, Ordering::Release);
        let snapshot = Snapshot { generation: number, bans, networks, dropped: enforced.dropped, trusts, trust_set, nets };
        Ok((Arc::new(snapshot), new))
    }

    /// Bans prefixes that have earned it, and answers those bans.
    async fn grow(&self, control: &Control, bans: &[Ban], now: Timestamp) -> Result<Vec<Ban>, ControlError> {
        let net_of = |ban: &Ban| network(&ban.cidr).ok().filter(|_| !ban.dry_run);
        let counts = |ban: &&Ban| ban.source != BanSource::Manual && ban.grown_from.is_none();
        let part = |ban: &Ban| Some(Part { net: net_of(ban)?, created: ban.created_at, until: ban.until });
        let parts: Vec<Part> = bans.iter().filter(counts).filter_map(part).collect();
        let standing: std::collections::BTreeSet<IpNet> = bans.iter().filter_map(net_of).collect();
        let banned = |net: IpNet| (0..=net.prefix_len()).any(|bits| IpNet::new(net.addr(), bits).is_ok_and(|wide| standing.contains(&wide.trunc())));
        let mut judged = HashMap::new();
        for candidate in grown(&parts, &self.growth, now, |_| None, banned) {
            if let Some(at) = control.last_taken_back(&candidate.net.to_string()).await? {
                judged.insert(candidate.net, at);
            }
        }
        let new: Vec<Ban> = grown(&parts, &self.growth, now, |net| judged.get(&net).copied(), banned)
            .into_iter()
            .map(|found| Ban {
                id: Id::of(&[b"grown ban", found.net.to_string().as_bytes(), &now.0.to_le_bytes()]),
                cidr: found.net.to_string(),
                reason: format!("{} banned addresses of this network", found.parts),
                actor: ACTOR.into(),
                source: BanSource::Rule,
                rule: None,
                rule_name: None,
                alert: None,
                finding: None,
                created_at: now,
                until: found.until,
                dry_run: false,
                grown_from: Some(found.parts),
                offences: 0,
                undone: None,
            })
            .collect();
        control.put_bans(&new, None, now).await?;
        Ok(new)
    }

    /// The bans of prefixes that a ban of one of their addresses is part of.
    fn grown_over<'a>(&self, snapshot: &'a Snapshot, ban: &Ban) -> Vec<&'a Ban> {
        let Some(prefix) = network(&ban.cidr).ok().and_then(|net| prefix_of(net, &self.growth)) else { return Vec::new() };
        snapshot.bans.iter().filter(|other| other.grown_from.is_some() && other.cidr == prefix.to_string()).collect()
    }

    /// Tells the sockets.
    fn announce(&self, shared: &Shared, ban: &Ban, created: bool) {
        if shared.hot.ring.has_readers() {
            let ban = platform::shown(self, ban, (shared.now)());
            shared.hot.ring.publish(Topic::Ban, serde_json::json!({"ban": ban, "created": created}).to_string());
        }
    }

    /// One line for each thing that is not as it should be.
    pub fn notices(&self) -> Vec<String> {
        let snapshot = self.snapshot.load();
        let mut notices: Vec<String> = self.runners.iter().filter_map(|runner| runner.trouble()).collect();
        if snapshot.dropped > 0 {
            notices.push(format!("{} banned networks are too many to be enforced", snapshot.dropped));
        }
        notices
    }

    pub fn metrics(&self, out: &mut String) {
        use std::fmt::Write;
        let snapshot = self.snapshot.load();
        let active = snapshot.bans.iter().filter(|ban| !ban.dry_run).count();
        let _ = write!(out, "# HELP erne_bans_active Bans that stand.\n# TYPE erne_bans_active gauge\nerne_bans_active {active}\n");
        let _ = write!(out, "# HELP erne_banned_networks Networks that are kept out.\n# TYPE erne_banned_networks gauge\nerne_banned_networks {}\n", snapshot.networks.len());
        let _ = write!(out, "# HELP erne_bans_refused Findings that a rule would ban for and that banned nobody.\n# TYPE erne_bans_refused counter\n");
        for (reason, count) in self.refusals.lock().iter() {
            let _ = writeln!(out, "erne_bans_refused_total{{reason=\"{reason}\"}} {count}");
        }
        let _ = write!(out, "# HELP erne_ban_action_up Whether the action's target holds what it should.\n# TYPE erne_ban_action_up gauge\n");
        for runner in &self.runners {
            let _ = writeln!(out, "erne_ban_action_up{{action=\"{}\"}} {}", runner.name, u8::from(runner.trouble().is_none()));
        }
    }
}

/// Follows changes until the platform stops.
pub(crate) async fn run(shared: Arc<Shared>, control: Control) {
    let answer = shared.answer.clone();
    let mut own_at = (shared.now)();
    let mut looks = 0u32;
    while !shared.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
        looks = looks.wrapping_add(1);
        let now = (shared.now)();
        let mut is_due = answer.is_stale.load(Ordering::Acquire) || answer.snapshot.load().next_end().is_some_and(|end| end <= now);
        if now.0 - own_at.0 > OWN_EVERY_SECS * 1_000_000 {
            own_at = now;
            *answer.own.lock() = own::addresses();
            is_due = true;
        }
        // Other nodes write to the same database.
        if !is_due && looks.is_multiple_of(4) {
            is_due = control.bans_generation().await.is_ok_and(|generation| generation != answer.seen_generation.load(Ordering::Acquire));
        }
        if is_due && let Err(error) = answer.refresh(&shared, &control).await {
            tracing::warn!(%error, "bans could not be read; what was enforced stays so");
        }
    }
}
