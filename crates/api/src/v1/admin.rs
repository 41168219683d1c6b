//! Users and API keys.
use super::Items;
use super::account::hash;
use crate::app::App;
use crate::auth::{self, Caller, Scopes, password_ok};
use crate::body;
use crate::params::did_you_mean;
use crate::problem::Problem;
use crate::schema::{KeyRequest, NewKey, UserChange};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::{ApiKey, Role, User};
use http::StatusCode;

const USERS_MAX: usize = 10_000;
const KEYS_MAX: usize = 10_000;
const NAME_CHARS_MAX: usize = 64;

pub async fn users(State(app): State<App>) -> Result<Json<Items<User>>, Problem> {
    Ok(Json(Items { items: app.control().users().await? }))
}

fn role(text: &str) -> Result<Role, Problem> {
    Role::parse(text).ok_or_else(|| {
        Problem::bad_request(format!("{text:?} is no role{}; they are viewer, analyst, admin", did_you_mean(text, &["viewer", "analyst", "admin"])))
    })
}

fn name_ok(name: &str) -> Result<(), Problem> {
    let fits = !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
    if fits { Ok(()) } else { Err(Problem::bad_request(format!("a name has 1 to {NAME_CHARS_MAX} of the characters a-z A-Z 0-9 . _ @ -"))) }
}

/// There is always somebody who can let others in.
async fn keep_an_admin(app: &App, name: &str) -> Result<(), Problem> {
    let others = app.control().users().await?.iter().any(|u| u.role == Role::Admin && u.name != name);
    if others { Ok(()) } else { Err(Problem::conflict("this is the last admin; make another first")) }
}

pub async fn put_user(State(app): State<App>, Extension(caller): Extension<Caller>, Path(name): Path<String>, body::Json(change): body::Json<UserChange>) -> Result<Json<User>, Problem> {
    name_ok(&name)?;
    let role = role(&change.role)?;
    if let Some(password) = &change.password {
        password_ok(password).map_err(Problem::bad_request)?;
    }
    let old = app.control().user(&name).await?;
    if old.as_ref().is_some_and(|u| u.role == Role::Admin) && role != Role::Admin {
        keep_an_admin(&app, &name).await?;
    }
    if old.is_none() && app.control().users().await?.len() >= USERS_MAX {
        return Err(Problem::conflict(format!("there are {USERS_MAX} users already; delete one first")));
    }
    let password_hash = match (&change.password, &old) {
        (Some(password), _) => hash(&app, password).await?,
        (None, Some(old)) => old.password_hash.clone(),
        (None, None) => return Err(Problem::bad_request("a new user needs a password")),
    };
    let user = User { name: name.clone(), role, password_hash, created: old.as_ref().map_or_else(|| app.now(), |u| u.created) };
    app.control().put_user(&user).await?;
    app.directory.changed();
    if change.password.is_some() {
        app.control().delete_sessions_of(&name).await?;
    }
    let action = if old.is_some() { "user.change" } else { "user.create" };
    app.audit(&caller.label(), action, &name, role.as_str()).await;
    Ok(Json(user))
}

pub async fn delete_user(State(app): State<App>, Extension(caller): Extension<Caller>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let user = app.control().user(&name).await?.ok_or_else(|| Problem::not_found("there is no such user"))?;
    if user.role == Role::Admin {
        keep_an_admin(&app, &name).await?;
    }
    app.control().delete_sessions_of(&name).await?;
    app.control().delete_user(&name).await?;
    app.directory.changed();
    app.audit(&caller.label(), "user.delete", &name, "").await;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn keys(State(app): State<App>) -> Result<Json<Items<ApiKey>>, Problem> {
    Ok(Json(Items { items: app.control().keys().await? }))
}

pub async fn make_key(State(app): State<App>, Extension(caller): Extension<Caller>, body::Json(request): body::Json<KeyRequest>) -> Result<Response, Problem> {
    name_ok(&request.name)?;
    for scope in &request.scopes {
        if !Scopes::NAMES.contains(&scope.as_str()) {
            return Err(Problem::bad_request(format!("{scope:?} is no scope{}; they are {}", did_you_mean(scope, &Scopes::NAMES), Scopes::NAMES.join(", "))));
        }
    }
    if request.scopes.is_empty() {
        return Err(Problem::bad_request(format!("a key needs at least one scope of {}", Scopes::NAMES.join(", "))));
    }
    if app.control().keys().await?.len() >= KEYS_MAX {
        return Err(Problem::conflict(format!("there are {KEYS_MAX} keys already; delete one first")));
    }
    let (id, clear, hash) = auth::new_key();
    let mut scopes = request.scopes;
    scopes.sort();
    scopes.dedup();
    let key = ApiKey { id: id.clone(), name: request.name.clone(), scopes: scopes.clone(), hash, created: app.now(), created_by: caller.label(), last_used: None };
    app.control().put_key(&key).await?;
    app.directory.changed();
    app.audit(&caller.label(), "key.create", &id, &scopes.join(",")).await;
    Ok((StatusCode::CREATED, Json(NewKey { key: clear, id, name: request.name, scopes })).into_response())
}

pub async fn delete_key(State(app): State<App>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if !app.control().keys().await?.iter().any(|k| k.id == id) {
        return Err(Problem::not_found("there is no such key"));
    }
    app.control().delete_key(&id).await?;
    app.directory.forget(&id);
    app.audit(&caller.label(), "key.delete", &id, "").await;
    Ok(StatusCode::NO_CONTENT)
}
