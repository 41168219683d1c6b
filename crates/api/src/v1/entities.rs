//! Entities by their risk score, and what is known of one.
use super::Items;
use crate::app::App;
use crate::params::{Params, did_you_mean};
use crate::problem::Problem;
use axum::Json;
use axum::extract::{Path, State};
use engine::control::{EntityDetail, EntityRisk};
use event::{Entity, EntityKind};

const KINDS: [EntityKind; 7] =
    [EntityKind::User, EntityKind::Ip, EntityKind::Host, EntityKind::Service, EntityKind::Account, EntityKind::Group, EntityKind::Unknown];

pub async fn list(State(app): State<App>, params: Params) -> Result<Json<Items<EntityRisk>>, Problem> {
    Ok(Json(Items { items: app.control().entities(params.limit()?, app.now()).await? }))
}

pub async fn one(State(app): State<App>, Path((kind, value)): Path<(String, String)>) -> Result<Json<EntityDetail>, Problem> {
    let names = KINDS.map(EntityKind::as_str);
    let kind = KINDS.into_iter().find(|k| k.as_str() == kind).ok_or_else(|| {
        let meant = did_you_mean(&kind, &names);
        Problem::not_found(format!("there is no kind of entity {kind:?}{meant}; they are {}", names.join(", ")))
    })?;
    Ok(Json(app.control().entity(&Entity::new(kind, value), app.now()).await?))
}
