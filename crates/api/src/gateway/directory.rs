//! Agents, profiles and bans, copied from the control plane: a request asks memory only. The copy is looked after by a
//! task beside the requests; while the control plane is away the last one goes on to count, because protection must not
//! end with a database.

use crate::app::App;
use ahash::AHashMap;
use engine::control::{ControlError, PROFILE_DEFAULT, WebAgent, WebProfile};
use engine::web::guard::{Guard, Profile};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the control plane is asked whether something changed: half of the second within which a change holds.
const EVERY: Duration = Duration::from_millis(500);
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A profile as it is asked for every request.
pub struct Policy {
    pub id: String,
    pub name: String,
    /// As agents get it, with the bans, without its number.
    pub profile: Profile,
    pub guard: Guard,
}

/// What holds for one agent, or for callers without one.
#[derive(Clone)]
pub struct Told {
    pub policy: Arc<Policy>,
    /// Changes with whatever changes for this agent.
    pub version: i64,
}

pub struct Agent {
    pub row: WebAgent,
    pub told: Told,
}

/// Everything, as of one revision.
#[derive(Default)]
pub struct Copy {
    revision: i64,
    agents: AHashMap<String, Arc<Agent>>,
    /// By application; those without an entry have the default.
    applications: AHashMap<String, Told>,
    default: Option<Told>,
    /// Profiles that cannot be used, for people: the agents that have them go on with the default.
    pub problems: Vec<String>,
}

impl Copy {
    pub fn agent(&self, id: &str) -> Option<&Arc<Agent>> {
        self.agents.get(id)
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Agent>> {
        self.agents.values().find(|agent| agent.row.name == name)
    }

    /// What an application's agents are told; the default if it has nothing of its own. `None` before the first load.
    pub fn application(&self, name: &str) -> Option<Told> {
        self.applications.get(name).or(self.default.as_ref()).cloned()
    }

    /// The agent with this secret, for clients that can say nothing else. A scan with a comparison that takes as long
    /// wherever texts differ: only the paths of the reference product come here, and only if they are switched on.
    pub fn by_secret(&self, secret: &str) -> Option<&Arc<Agent>> {
        use subtle::ConstantTimeEq;
        self.agents.values().filter(|a| a.row.enabled && bool::from(a.row.secret.as_bytes().ct_eq(secret.as_bytes()))).last()
    }
}

pub struct Directory {
    copy: RwLock<Arc<Copy>>,
    /// Grows with every new copy; long polls wait for it.
    loaded: watch::Sender<u64>,
}

impl Directory {
    pub fn new() -> Self {
        Self { copy: RwLock::default(), loaded: watch::Sender::new(0) }
    }

    pub fn current(&self) -> Arc<Copy> {
        self.copy.read().clone()
    }

    /// Resolves with each new copy.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.loaded.subscribe()
    }

    /// Loads a new copy if something changed. Who changes something calls it, so that the change holds with the answer.
    pub async fn refresh(&self, app: &App) -> Result<(), ControlError> {
        let told = tokio::time::timeout(ANSWER_MAX, self.load(app)).await;
        let Some(copy) = told.unwrap_or_else(|_| Err(ControlError::Failed("no answer in time".to_owned())))? else { return Ok(()) };
        for problem in &copy.problems {
            tracing::error!("{problem}");
        }
        let mut place = self.copy.write();
        // Two may load at once; the newer one stays.
        if copy.revision > place.revision {
            *place = Arc::new(copy);
            drop(place);
            self.loaded.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    async fn load(&self, app: &App) -> Result<Option<Copy>, ControlError> {
        let control = app.control();
        let bans = super::bans::current(app);
        let fingerprint = super::bans::fingerprint(&bans);
        let mut at = control.web_revision().await?;
        if at.bans != fingerprint {
            control.tell_web_bans(&fingerprint).await?;
            at = control.web_revision().await?;
        }
        if at.revision == self.current().revision {
            return Ok(None);
        }
        let (agents, profiles, applications) =
            (control.web_agents().await?, control.web_profiles().await?, control.web_applications().await?);
        let mut problems = Vec::new();
        let mut policies: AHashMap<String, (Arc<Policy>, i64)> = AHashMap::new();
        for row in profiles {
            match policy(&row, &bans) {
                Ok(policy) => drop(policies.insert(row.id.clone(), (Arc::new(policy), row.version))),
                Err(error) => problems.push(format!("the web profile {:?} cannot be used, its agents have the default: {error}", row.name)),
            }
        }
        if !policies.contains_key(PROFILE_DEFAULT) {
            let row = WebProfile {
                id: PROFILE_DEFAULT.into(), name: PROFILE_DEFAULT.into(), version: at.revision, updated_at: app.now(),
                updated_by: String::new(), note: String::new(), profile: serde_json::json!({}),
            };
            // Without bans it is the profile's own default, which is valid.
            let policy = policy(&row, &bans).or_else(|_| policy(&row, &[]));
            let policy = policy.map_err(ControlError::Failed)?;
            policies.insert(PROFILE_DEFAULT.into(), (Arc::new(policy), row.version));
        }
        let told = |profile: Option<&str>, since: i64| {
            let (policy, version) = profile.and_then(|id| policies.get(id)).or_else(|| policies.get(PROFILE_DEFAULT))?;
            Some(Told { policy: policy.clone(), version: (*version).max(since).max(at.bans_revision) })
        };
        let of: AHashMap<&str, _> = applications.iter().map(|a| (a.name.as_str(), (a.profile.as_deref(), a.assigned))).collect();
        let told_of_application = |name: &str, since: i64| match of.get(name) {
            Some((profile, assigned)) => told(*profile, since.max(*assigned)),
            None => told(None, since),
        };
        let mut copy = Copy { revision: at.revision, problems, default: told(None, 0), ..Copy::default() };
        for row in agents {
            let told = match row.profile.as_deref() {
                Some(profile) => told(Some(profile), row.assigned),
                None => told_of_application(&row.application, row.assigned),
            };
            if let Some(told) = told {
                copy.agents.insert(row.id.clone(), Arc::new(Agent { row, told }));
            }
        }
        for name in of.keys() {
            copy.applications.extend(told_of_application(name, 0).map(|told| ((*name).to_owned(), told)));
        }
        Ok(Some(copy))
    }
}

/// Compiles a stored profile.
fn policy(row: &WebProfile, bans: &[engine::web::guard::Ban]) -> Result<Policy, String> {
    let mut profile: Profile = serde_json::from_value(row.profile.clone()).map_err(|e| e.to_string())?;
    profile.bans.extend_from_slice(bans);
    let guard = Guard::new(&profile).map_err(|e| e.to_string())?;
    Ok(Policy { id: row.id.clone(), name: row.name.clone(), profile, guard })
}

/// Keeps the copy up to date until the server stops.
pub async fn follow(app: App) {
    let mut failing = false;
    loop {
        let result = app.gateway.directory.refresh(&app).await;
        match &result {
            Err(error) if !failing => tracing::error!(%error, "agents and profiles cannot be read; those that are known go on to count"),
            Ok(()) if failing => tracing::info!("agents and profiles can be read again"),
            _ => {}
        }
        failing = result.is_err();
        let pause = if failing { AGAIN_AFTER_FAILURE } else { EVERY };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
