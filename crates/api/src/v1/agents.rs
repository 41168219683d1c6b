//! Web agents, their instances, and the applications they belong to.
use super::Items;
use crate::app::App;
use crate::auth::{self, Caller};
use crate::body;
use crate::gateway::directory::{Copy, Told};
use crate::gateway::hello::HEARTBEAT_SECS;
use crate::params::{AGENT, Params};
use crate::problem::Problem;
use crate::schema::{Agent, AgentDetail, AgentRequest, Application, ApplicationChange, HelloCounters, Instance, NewAgent, ProfileInForce};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::control::{AgentInstance, PROFILE_DEFAULT, WebAgent};
use event::Timestamp;
use http::{HeaderMap, StatusCode};
use std::collections::BTreeMap;

const NAME_CHARS_MAX: usize = 64;
const APPLICATION_CHARS_MAX: usize = 100;
const INSTANCES_SHOWN_MAX: usize = 5_000;
/// An instance that missed two beats is late, one that missed ten is offline.
const LATE_SECS: i64 = 2 * HEARTBEAT_SECS as i64 + 15;
const OFFLINE_SECS: i64 = 10 * HEARTBEAT_SECS as i64;

pub fn application_ok(name: &str, may_be_empty: bool) -> Result<(), Problem> {
    let fits = name.chars().count() <= APPLICATION_CHARS_MAX && !name.chars().any(char::is_control) && name.trim() == name;
    match fits && (may_be_empty || !name.is_empty()) {
        true => Ok(()),
        false => Err(Problem::bad_request(format!("an application is a name of at most {APPLICATION_CHARS_MAX} printable characters"))),
    }
}

fn name_ok(name: &str) -> Result<(), Problem> {
    let fits = !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
    if fits { Ok(()) } else { Err(Problem::bad_request(format!("an agent's name has 1 to {NAME_CHARS_MAX} of the characters a-z A-Z 0-9 . _ @ -"))) }
}

/// What is shown of all agents, from one look at the control plane.
struct Shown {
    now: Timestamp,
    copy: std::sync::Arc<Copy>,
    instances: Vec<AgentInstance>,
    /// Applications with a profile of their own.
    assigned: BTreeMap<String, Option<String>>,
}

impl Shown {
    async fn of(app: &App, agent: Option<&str>) -> Result<Self, Problem> {
        app.gateway.directory.refresh(app).await?;
        let control = app.control();
        Ok(Self {
            now: app.now(),
            copy: app.gateway.directory.current(),
            instances: control.web_instances(agent, INSTANCES_SHOWN_MAX).await?,
            assigned: control.web_applications().await?.into_iter().map(|a| (a.name, a.profile)).collect(),
        })
    }

    fn status(&self, last_seen: Timestamp) -> &'static str {
        match self.now.secs() - last_seen.secs() {
            ..=LATE_SECS => "online",
            ..=OFFLINE_SECS => "late",
            _ => "offline",
        }
    }

    fn told(&self, agent: &WebAgent) -> Result<Told, Problem> {
        let known = self.copy.agent(&agent.id).map(|known| known.told.clone());
        known.or_else(|| self.copy.application(&agent.application)).ok_or_else(|| Problem::unavailable("profiles are not loaded yet; try again"))
    }

    fn agent(&self, agent: WebAgent) -> Result<Agent, Problem> {
        let told = self.told(&agent)?;
        let by = match (&agent.profile, self.assigned.get(&agent.application)) {
            (Some(_), _) => "agent",
            (None, Some(Some(_))) => "application",
            (None, _) => "default",
        };
        let own: Vec<&AgentInstance> = self.instances.iter().filter(|i| i.agent == agent.id).collect();
        let last_seen = own.iter().map(|i| i.last_seen).max();
        let mut counters = HelloCounters::default();
        for one in own.iter().filter(|i| self.status(i.last_seen) != "offline") {
            add(&mut counters, &one.hello["counters"]);
        }
        Ok(Agent {
            status: match last_seen {
                _ if !agent.enabled => "disabled",
                None => "new",
                Some(seen) => self.status(seen),
            },
            profile_in_force: ProfileInForce { id: told.policy.id.clone(), name: told.policy.name.clone(), version: told.version, by },
            instances: own.len(),
            instances_online: own.iter().filter(|i| self.status(i.last_seen) == "online").count(),
            last_seen: last_seen.map(|t| t.to_string()),
            counters,
            created_at: agent.created_at.to_string(),
            created_by: agent.created_by,
            id: agent.id,
            name: agent.name,
            application: agent.application,
            enabled: agent.enabled,
            profile: agent.profile,
        })
    }

    fn instance(&self, one: AgentInstance) -> Instance {
        let version = self.copy.agent(&one.agent).map(|agent| agent.told.version);
        Instance {
            status: self.status(one.last_seen),
            up_to_date: version.is_some() && one.hello["profile_version"].as_i64() == version,
            first_seen: one.first_seen.to_string(),
            last_seen: one.last_seen.to_string(),
            agent: one.agent,
            instance: one.instance,
            application: one.application,
            hello: one.hello,
        }
    }
}

fn add(counters: &mut HelloCounters, said: &serde_json::Value) {
    let of = |name: &str| said[name].as_u64().unwrap_or_default();
    counters.requests = counters.requests.saturating_add(of("requests"));
    counters.attacks = counters.attacks.saturating_add(of("attacks"));
    counters.blocked = counters.blocked.saturating_add(of("blocked"));
    counters.errors = counters.errors.saturating_add(of("errors"));
    counters.dropped = counters.dropped.saturating_add(of("dropped"));
    counters.queue = counters.queue.saturating_add(of("queue"));
}

pub async fn list(State(app): State<App>) -> Result<Json<Items<Agent>>, Problem> {
    let shown = Shown::of(&app, None).await?;
    let agents = app.control().web_agents().await?;
    Ok(Json(Items { items: agents.into_iter().map(|agent| shown.agent(agent)).collect::<Result<_, _>>()? }))
}

pub async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<AgentDetail>, Problem> {
    let agent = app.control().web_agent(&id).await?;
    let mut shown = Shown::of(&app, Some(&id)).await?;
    let agent = shown.agent(agent)?;
    let instances = std::mem::take(&mut shown.instances).into_iter().map(|one| shown.instance(one)).collect();
    Ok(Json(AgentDetail { agent, instances }))
}

/// Instances of all agents, or of one: what the tree of application, agent and instance is made of.
pub async fn instances(State(app): State<App>, params: Params) -> Result<Json<Items<Instance>>, Problem> {
    let mut shown = Shown::of(&app, params.get(&AGENT)).await?;
    let instances = std::mem::take(&mut shown.instances);
    Ok(Json(Items { items: instances.into_iter().map(|one| shown.instance(one)).collect() }))
}

fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(auth::random::<32>())
}

pub async fn make(State(app): State<App>, Extension(caller): Extension<Caller>, headers: HeaderMap, body::Json(asked): body::Json<AgentRequest>) -> Result<Response, Problem> {
    name_ok(&asked.name)?;
    application_ok(&asked.application, true)?;
    let agent = WebAgent {
        id: format!("agt_{}", auth::hex(&auth::random::<8>())),
        name: asked.name,
        application: asked.application,
        secret: new_secret(),
        enabled: asked.enabled,
        profile: asked.profile,
        assigned: 0,
        created_at: app.now(),
        created_by: caller.label(),
    };
    app.control().create_web_agent(&agent, app.now()).await?;
    Ok((StatusCode::CREATED, Json(with_secret(&app, agent, &headers).await?)).into_response())
}

/// A new secret; the old one is refused from then on.
pub async fn rotate(State(app): State<App>, Extension(caller): Extension<Caller>, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<NewAgent>, Problem> {
    let agent = WebAgent { secret: new_secret(), ..app.control().web_agent(&id).await? };
    app.control().replace_web_agent(&agent, "agent.secret", &caller.label(), app.now()).await?;
    Ok(Json(with_secret(&app, agent, &headers).await?))
}

async fn with_secret(app: &App, agent: WebAgent, headers: &HeaderMap) -> Result<NewAgent, Problem> {
    let host = headers.get(http::header::HOST).and_then(|v| v.to_str().ok()).unwrap_or("127.0.0.1:8440");
    let environment = BTreeMap::from([
        // Agents for Python read the one, those for Java the other.
        ("ERNE_AGENT_URL", format!("http://{host}")),
        ("ERNE_AGENT_GATEWAY", format!("http://{host}")),
        ("ERNE_AGENT_ID", agent.id.clone()),
        ("ERNE_AGENT_SECRET", agent.secret.clone()),
        ("ERNE_AGENT_APPLICATION", agent.application.clone()),
    ]);
    let secret = agent.secret.clone();
    let shown = Shown::of(app, Some(&agent.id)).await?;
    Ok(NewAgent { agent: shown.agent(agent)?, secret, environment })
}

pub async fn change(State(app): State<App>, Extension(caller): Extension<Caller>, Path(id): Path<String>, body::Json(asked): body::Json<AgentRequest>) -> Result<Json<Agent>, Problem> {
    name_ok(&asked.name)?;
    application_ok(&asked.application, true)?;
    let old = app.control().web_agent(&id).await?;
    let agent = WebAgent { name: asked.name, application: asked.application, profile: asked.profile, enabled: asked.enabled, ..old };
    app.control().replace_web_agent(&agent, "agent.update", &caller.label(), app.now()).await?;
    let shown = Shown::of(&app, Some(&id)).await?;
    Ok(Json(shown.agent(agent)?))
}

pub async fn delete(State(app): State<App>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.control().delete_web_agent(&id, &caller.label(), app.now()).await?;
    app.gateway.directory.refresh(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Applications that agents or instances name, or that have a profile.
pub async fn applications(State(app): State<App>) -> Result<Json<Items<Application>>, Problem> {
    let shown = Shown::of(&app, None).await?;
    let mut found: BTreeMap<String, Application> = BTreeMap::new();
    let mut at = |name: &str, count: &dyn Fn(&mut Application)| {
        let profile = shown.assigned.get(name).cloned().flatten();
        count(found.entry(name.to_owned()).or_insert(Application { name: name.to_owned(), profile, agents: 0, instances: 0, instances_online: 0 }));
    };
    for (name, _) in shown.assigned.iter().filter(|(_, profile)| profile.is_some()) {
        at(name, &|_| ());
    }
    for agent in app.control().web_agents().await? {
        at(&agent.application, &|application| application.agents += 1);
    }
    for one in &shown.instances {
        let online = usize::from(shown.status(one.last_seen) == "online");
        at(&one.application, &|application| {
            application.instances += 1;
            application.instances_online += online;
        });
    }
    Ok(Json(Items { items: found.into_values().collect() }))
}

/// Gives the agents of an application a profile.
pub async fn assign(State(app): State<App>, Extension(caller): Extension<Caller>, Path(name): Path<String>, body::Json(change): body::Json<ApplicationChange>) -> Result<StatusCode, Problem> {
    application_ok(&name, false)?;
    let profile = change.profile.filter(|id| id != PROFILE_DEFAULT);
    app.control().assign_web_application(&name, profile.as_deref(), &caller.label(), app.now()).await?;
    app.gateway.directory.refresh(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}
