//! An action's thread: what its target holds is compared with what it should, at the start, when bans change, once a
//! minute, and after a failure sooner or later.

use super::Snapshot;
use crate::pipeline::Shared;
use connect::actions::{Action, ActionConfig, Entry, Refused, difference};
use event::Timestamp;
use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(200);
/// Who else changes the target is found out after this long.
const EVERY: Duration = Duration::from_secs(60);
/// Pauses after a failure, doubled each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = EVERY;
/// What it means that a target took a network and does not hold it.
const NOT_HELD: &str = "the target took it and does not hold it";

/// An action, and how it stands.
pub(crate) struct Runner {
    pub name: String,
    pub kind: &'static str,
    action: Mutex<Box<dyn Action>>,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    /// The newest snapshot that was brought there.
    generation: u64,
    looked: Option<Timestamp>,
    held: HashSet<IpNet>,
    refused: HashMap<IpNet, String>,
    error: Option<String>,
}

/// How one network stands at a target.
pub(crate) enum At {
    Held,
    Pending,
    Failed(String),
}

impl Runner {
    pub fn open(configs: &[ActionConfig], data_dir: &Path) -> Result<Vec<Arc<Self>>, String> {
        let folder = data_dir.join("answer");
        let open = |config: &ActionConfig| {
            config.check()?;
            let action = config.build(&folder).map_err(|error| format!("action {}: {error}", config.name()))?;
            Ok(Arc::new(Self { name: config.name().to_owned(), kind: config.kind(), action: Mutex::new(action), standing: Mutex::default() }))
        };
        configs.iter().map(open).collect()
    }

    pub fn at(&self, net: IpNet, generation: u64) -> At {
        let standing = self.standing.lock();
        if standing.held.contains(&net) {
            return At::Held;
        }
        match (standing.refused.get(&net), &standing.error) {
            (Some(why), _) | (None, Some(why)) => At::Failed(why.clone()),
            _ if standing.generation < generation => At::Pending,
            _ => At::Failed(NOT_HELD.into()),
        }
    }

    pub fn status(&self) -> (usize, Option<Timestamp>, Option<String>) {
        let standing = self.standing.lock();
        let refused = || standing.refused.values().next().map(|why| format!("{} networks refused: {why}", standing.refused.len()));
        (standing.held.len(), standing.looked, standing.error.clone().or_else(refused))
    }

    pub fn trouble(&self) -> Option<String> {
        self.status().2.map(|why| format!("action {} ({}): {why}", self.name, self.kind))
    }

    /// One look and what follows from it. Answers whether all is well.
    fn reconcile(&self, snapshot: &Snapshot, now: Timestamp) -> bool {
        let entry = |e: &detect::bans::Enforced| Entry { net: e.net, until: e.until, reason: snapshot.bans[e.ban].reason.clone() };
        let wanted: Vec<Entry> = snapshot.networks.iter().map(entry).collect();
        let mut action = self.action.lock();
        let done = (|| {
            let mut held = action.held(now)?;
            let change = difference(&held, &wanted, now);
            let mut refused: Vec<Refused> = Vec::new();
            if !change.is_empty() {
                tracing::debug!(action = self.name, add = change.add.len(), remove = change.remove.len(), "bans change");
                refused = action.apply(&change, now)?;
                held = action.held(now)?;
            }
            Ok::<_, connect::actions::ActionError>((held, refused))
        })();
        drop(action);
        let mut standing = self.standing.lock();
        standing.looked = Some(now);
        match done {
            Ok((held, refused)) => {
                if let Some(error) = standing.error.take() {
                    tracing::info!(action = self.name, "over: {error}");
                }
                standing.generation = snapshot.generation;
                standing.held = held.into_iter().map(|held| held.net).collect();
                standing.refused = refused.into_iter().map(|refused| (refused.net, refused.reason)).collect();
                let missing: Vec<IpNet> = wanted.iter().filter(|e| e.until.is_none_or(|until| until > now)).map(|e| e.net).filter(|net| !standing.held.contains(net)).collect();
                for net in missing {
                    standing.refused.entry(net).or_insert_with(|| NOT_HELD.into());
                }
                standing.refused.is_empty()
            }
            Err(error) => {
                let error = error.to_string();
                if standing.error.as_ref() != Some(&error) {
                    tracing::warn!(action = self.name, kind = self.kind, "bans are not enforced: {error}");
                }
                standing.error = Some(error);
                false
            }
        }
    }

    fn run(&self, shared: &Shared) {
        let (mut seen, mut due, mut pause) = (0, Instant::now(), PAUSE_MIN);
        while !shared.stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
            let snapshot = shared.answer.snapshot();
            // The first snapshot is the one that was read from the control plane.
            let is_new = snapshot.generation > seen && snapshot.generation > 0;
            if snapshot.generation == 0 || (!is_new && Instant::now() < due) {
                continue;
            }
            seen = snapshot.generation;
            let is_well = self.reconcile(&snapshot, (shared.now)());
            due = Instant::now() + if is_well { EVERY } else { pause };
            pause = if is_well { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
        }
    }
}

pub(crate) fn spawn(shared: &Arc<Shared>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let start = |runner: &Arc<Runner>| {
        let (shared, runner) = (shared.clone(), runner.clone());
        std::thread::Builder::new().name(format!("erne-ban-{}", runner.name)).spawn(move || runner.run(&shared))
    };
    shared.answer.runners.iter().map(start).collect()
}
