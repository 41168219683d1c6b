//! Incidents: what people investigate.
use super::alerts::{id, ids, reason, state};
use super::{Items, Page};
use crate::app::App;
use crate::auth::Caller;
use crate::body;
use crate::params::{CURSOR, FROM, Params, Q, SEVERITY_MIN, STATE, TO, did_you_mean, severity};
use crate::problem::Problem;
use crate::schema::{Assignment, IncidentStateChange};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use engine::control::IncidentFilter;
use event::{Alert, Id, Incident};
use serde::Serialize;

pub async fn list(State(app): State<App>, params: Params) -> Result<Json<Page<Incident>>, Problem> {
    let filter = IncidentFilter {
        states: params.all(&STATE).flat_map(|v| v.split(',')).map(state).collect::<Result<_, _>>()?,
        severity_min: params.get(&SEVERITY_MIN).map(severity).transpose()?,
        text: params.text(&Q),
        from: params.time(&FROM)?,
        to: params.time(&TO)?,
        limit: params.limit()?,
        cursor: params.text(&CURSOR),
    };
    Ok(Json(app.control().incidents(&filter).await?.into()))
}

#[derive(Serialize)]
pub struct Detail {
    incident: Incident,
    alerts: Vec<Alert>,
}

fn no_incident() -> Problem {
    Problem::not_found("there is no such incident")
}

pub async fn one(State(app): State<App>, Path(text): Path<String>) -> Result<Json<Detail>, Problem> {
    let (incident, alerts) = app.control().incident(Id::parse(&text).ok_or_else(no_incident)?).await?;
    Ok(Json(Detail { incident, alerts }))
}

pub async fn set_state(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(change): body::Json<IncidentStateChange>,
) -> Result<Json<Items<Incident>>, Problem> {
    let state = state(&change.state)?;
    let ids = ids(&change.ids, "incidents")?;
    let reason = reason(change.reason.as_deref())?;
    let actor = caller.label();
    let items = app.control().set_incident_state(&ids, state, &actor, reason, app.now()).await?;
    app.platform.announce_incidents(&items);
    app.audit(&actor, "incident.state", &change.ids.join(","), state.as_str()).await;
    Ok(Json(Items { items }))
}

pub async fn assign(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    body::Json(asked): body::Json<Assignment>,
) -> Result<Json<Incident>, Problem> {
    let id = id(&text).map_err(|_| no_incident())?;
    let assignee = asked.assignee.as_deref();
    if let Some(name) = assignee {
        let users = app.control().users().await?;
        if !users.iter().any(|user| user.name == name) {
            let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
            return Err(Problem::not_found(format!("there is no user {name:?}{}", did_you_mean(name, &names))));
        }
    }
    let actor = caller.label();
    let incident = app.control().assign_incident(id, assignee, &actor, app.now()).await?;
    app.platform.announce_incidents(std::slice::from_ref(&incident));
    app.audit(&actor, "incident.assign", &text, assignee.unwrap_or_default()).await;
    Ok(Json(incident))
}
