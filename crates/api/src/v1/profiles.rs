//! Profiles of web agents: versions, differences, restoring, templates.
use super::Items;
use crate::app::App;
use crate::auth::{self, Caller};
use crate::body;
use crate::params::{PROFILE_FROM, PROFILE_TO, Params, did_you_mean};
use crate::problem::Problem;
use crate::schema::{ProfileChange, ProfileDiff, ProfileRequest, ProfileRestore, ProfileTemplate, ProfileUpdate, ProfileVersion, WebProfile};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::{self, PROFILE_DEFAULT};
use engine::web::guard::{Guard, Profile};
use http::StatusCode;
use serde_json::{Value, json};

const NAME_CHARS_MAX: usize = 100;
const NOTE_CHARS_MAX: usize = 500;
const PROFILE_BYTES_MAX: usize = 512 << 10;

/// What people start from.
fn templates() -> Vec<ProfileTemplate> {
    let headers = json!({"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"});
    vec![
        ProfileTemplate { name: "watch", about: "Tells attacks and blocks nothing: where everybody starts", profile: json!({"mode": "monitor"}) },
        ProfileTemplate {
            name: "protect",
            about: "Blocks attacks; lets requests through while the gateway cannot be asked",
            profile: json!({"mode": "protection", "fail": "open", "threshold": 0.6, "secure_headers": headers}),
        },
        ProfileTemplate {
            name: "strict",
            about: "Blocks attacks from half certainty on, and everything while the gateway cannot be asked",
            profile: json!({"mode": "protection", "fail": "closed", "threshold": 0.5, "secure_headers": headers, "rate_limit": {"requests": 600, "per_secs": 60}}),
        },
        ProfileTemplate {
            name: "api",
            about: "For machines that talk JSON: blocks attacks, without findings that only browsers can suffer from",
            profile: json!({"mode": "protection", "fail": "open", "threshold": 0.6, "classes": {"xss": {"enabled": false}, "open_redirect": {"enabled": false}}}),
        },
        ProfileTemplate { name: "keep", about: "Keeps transactions and forwards them later; nobody waits", profile: json!({"mode": "lite"}) },
        ProfileTemplate { name: "off", about: "Inspects nothing", profile: json!({"mode": "off"}) },
    ]
}

/// A profile that can be used, without the number that the platform gives it; and what of it has no effect.
fn checked(profile: &Value) -> Result<(Value, Vec<String>), Problem> {
    if profile.to_string().len() > PROFILE_BYTES_MAX {
        return Err(Problem::too_large(format!("a profile has at most {PROFILE_BYTES_MAX} bytes")));
    }
    let Value::Object(members) = profile else { return Err(Problem::bad_request("profile is an object")) };
    let known = serde_json::to_value(Profile::default()).unwrap_or_default();
    let known: Vec<&str> = known.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
    if let Some(wrong) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Problem::bad_request(format!("profile: there is no member {wrong:?}{}", did_you_mean(wrong, &known))));
    }
    let read: Profile = serde_json::from_value(profile.clone()).map_err(|error| Problem::bad_request(format!("profile: {error}")))?;
    let guard = Guard::new(&read).map_err(|error| Problem::bad_request(format!("profile: {error}")))?;
    let mut kept = members.clone();
    kept.remove("version");
    Ok((Value::Object(kept), guard.notes().to_vec()))
}

fn name_ok(name: &str) -> Result<String, Problem> {
    let fits = !name.trim().is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
    if fits { Ok(name.trim().to_owned()) } else { Err(Problem::bad_request(format!("name is 1 to {NAME_CHARS_MAX} printable characters"))) }
}

fn note_ok(note: &str) -> Result<&str, Problem> {
    if note.chars().count() <= NOTE_CHARS_MAX { Ok(note) } else { Err(Problem::bad_request(format!("note has at most {NOTE_CHARS_MAX} characters"))) }
}

/// Who is given which profile.
struct Uses {
    agents: Vec<Option<String>>,
    applications: Vec<Option<String>>,
}

impl Uses {
    async fn of(app: &App) -> Result<Self, Problem> {
        let agents = app.control().web_agents().await?.into_iter().map(|agent| agent.profile).collect();
        let applications = app.control().web_applications().await?.into_iter().map(|application| application.profile).collect();
        Ok(Self { agents, applications })
    }

    fn shown(&self, row: control::WebProfile) -> WebProfile {
        let count = |list: &[Option<String>]| list.iter().filter(|id| id.as_deref() == Some(&row.id)).count();
        let notes = checked(&row.profile).map_or_else(|problem| vec![problem.detail().to_owned()], |(_, notes)| notes);
        WebProfile {
            agents: count(&self.agents),
            applications: count(&self.applications),
            notes,
            updated_at: row.updated_at.to_string(),
            id: row.id,
            name: row.name,
            version: row.version,
            updated_by: row.updated_by,
            note: row.note,
            profile: row.profile,
        }
    }
}

async fn shown(app: &App, id: &str) -> Result<WebProfile, Problem> {
    let row = app.control().web_profile(id).await?;
    Ok(Uses::of(app).await?.shown(row))
}

pub async fn list(State(app): State<App>) -> Result<Json<Items<WebProfile>>, Problem> {
    let uses = Uses::of(&app).await?;
    Ok(Json(Items { items: app.control().web_profiles().await?.into_iter().map(|row| uses.shown(row)).collect() }))
}

pub async fn list_templates() -> Json<Items<ProfileTemplate>> {
    Json(Items { items: templates() })
}

pub async fn one(State(app): State<App>, Path(id): Path<String>) -> Result<Json<WebProfile>, Problem> {
    Ok(Json(shown(&app, &id).await?))
}

pub async fn make(State(app): State<App>, Extension(caller): Extension<Caller>, body::Json(asked): body::Json<ProfileRequest>) -> Result<Response, Problem> {
    let name = name_ok(&asked.name)?;
    let profile = match (asked.profile, asked.template.as_deref()) {
        (Some(profile), None) => profile,
        (None, None) => json!({}),
        (None, Some(wanted)) => {
            let all = templates();
            let names: Vec<&str> = all.iter().map(|t| t.name).collect();
            let unknown = Problem::bad_request(format!("there is no template {wanted:?}{}; they are {}", did_you_mean(wanted, &names), names.join(", ")));
            all.into_iter().find(|t| t.name == wanted).ok_or(unknown)?.profile
        }
        (Some(_), Some(_)) => return Err(Problem::bad_request("give a profile or a template, not both")),
    };
    let (profile, _) = checked(&profile)?;
    let id = format!("prf_{}", auth::hex(&auth::random::<8>()));
    let change = control::ProfileChange { profile: &profile, note: note_ok(&asked.note)?, actor: &caller.label(), now: app.now() };
    app.control().create_web_profile(&id, &name, change).await?;
    app.gateway.directory.refresh(&app).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, &id).await?)).into_response())
}

pub async fn change(State(app): State<App>, Extension(caller): Extension<Caller>, Path(id): Path<String>, body::Json(asked): body::Json<ProfileUpdate>) -> Result<Json<WebProfile>, Problem> {
    let old = app.control().web_profile(&id).await?;
    let name = match &asked.name {
        Some(name) if id == PROFILE_DEFAULT && name != &old.name => return Err(Problem::bad_request("the default profile keeps its name")),
        Some(name) => name_ok(name)?,
        None => old.name,
    };
    let (profile, _) = checked(&asked.profile)?;
    let change = control::ProfileChange { profile: &profile, note: note_ok(&asked.note)?, actor: &caller.label(), now: app.now() };
    app.control().change_web_profile(&id, &name, asked.version, change).await?;
    app.gateway.directory.refresh(&app).await?;
    Ok(Json(shown(&app, &id).await?))
}

pub async fn delete(State(app): State<App>, Extension(caller): Extension<Caller>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    if id == PROFILE_DEFAULT {
        return Err(Problem::conflict("the default profile cannot be deleted"));
    }
    app.control().delete_web_profile(&id, &caller.label(), app.now()).await?;
    app.gateway.directory.refresh(&app).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn version(row: control::ProfileVersion) -> ProfileVersion {
    ProfileVersion { version: row.version, time: row.time.to_string(), actor: row.actor, note: row.note, profile: row.profile }
}

pub async fn versions(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Items<ProfileVersion>>, Problem> {
    app.control().web_profile(&id).await?;
    Ok(Json(Items { items: app.control().web_profile_versions(&id).await?.into_iter().map(version).collect() }))
}

/// Makes an older version the newest.
pub async fn restore(State(app): State<App>, Extension(caller): Extension<Caller>, Path(id): Path<String>, body::Json(asked): body::Json<ProfileRestore>) -> Result<Json<WebProfile>, Problem> {
    let now = app.control().web_profile(&id).await?;
    let old = app.control().web_profile_version(&id, asked.version).await?;
    let (profile, _) = checked(&old.profile)?;
    let note = if asked.note.is_empty() { format!("restores version {}", asked.version) } else { note_ok(&asked.note)?.to_owned() };
    let change = control::ProfileChange { profile: &profile, note: &note, actor: &caller.label(), now: app.now() };
    app.control().change_web_profile(&id, &now.name, now.version, change).await?;
    app.gateway.directory.refresh(&app).await?;
    Ok(Json(shown(&app, &id).await?))
}

/// What differs between two versions.
pub async fn diff(State(app): State<App>, Path(id): Path<String>, params: Params) -> Result<Json<ProfileDiff>, Problem> {
    app.control().web_profile(&id).await?;
    let versions = app.control().web_profile_versions(&id).await?;
    let at = |number: u64| versions.iter().find(|v| u64::try_from(v.version) == Ok(number)).ok_or_else(|| Problem::not_found(format!("there is no version {number} of this profile")));
    let newest = versions.first().ok_or_else(|| Problem::not_found("there is no version of this profile"))?;
    let to = match params.get(&PROFILE_TO) {
        Some(_) => at(params.number(&PROFILE_TO, 0, 0..=u64::MAX)?)?,
        None => newest,
    };
    let from = match params.get(&PROFILE_FROM) {
        Some(_) => at(params.number(&PROFILE_FROM, 0, 0..=u64::MAX)?)?,
        None => versions.iter().find(|v| v.version < to.version).unwrap_or(to),
    };
    let mut changes = Vec::new();
    compare(&from.profile, &to.profile, &mut String::new(), &mut changes);
    Ok(Json(ProfileDiff { from: from.version, to: to.version, changes }))
}

/// Objects are compared member by member, lists as a whole: their entries have no names.
fn compare(from: &Value, to: &Value, path: &mut String, changes: &mut Vec<ProfileChange>) {
    let (Value::Object(old), Value::Object(new)) = (from, to) else {
        if from != to {
            changes.push(ProfileChange { path: path.clone(), kind: "changed", from: Some(from.clone()), to: Some(to.clone()) });
        }
        return;
    };
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let before = path.len();
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        match (old.get(name), new.get(name)) {
            (Some(from), Some(to)) => compare(from, to, path, changes),
            (from, to) => {
                let kind = if from.is_none() { "added" } else { "removed" };
                changes.push(ProfileChange { path: path.clone(), kind, from: from.cloned(), to: to.cloned() });
            }
        }
        path.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_profile_that_can_be_used() {
        for template in templates() {
            assert_eq!(checked(&template.profile).unwrap(), (template.profile.clone(), vec![]), "{}", template.name);
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_place() {
        for (bad, said) in [
            (json!([]), "an object"),
            (json!({"mod": "off"}), "did you mean mode?"),
            (json!({"mode": "on"}), "unknown variant"),
            (json!({"threshold": 7}), "threshold"),
            (json!({"trusted_proxies": ["here"]}), "trusted_proxies"),
            (json!({"routes": [{"path": "admin", "mode": "off"}]}), "routes"),
            (json!({"exclusions": [{"route": "/x"}]}), "exclusions"),
            (json!({"redact": ["x".repeat(600 << 10)]}), "at most"),
        ] {
            let problem = checked(&bad).unwrap_err();
            assert!(problem.detail().contains(said), "{}", problem.detail());
        }
        let (kept, notes) = checked(&json!({"version": 7, "classes": {"of_tomorrow": {"enabled": true}}})).unwrap();
        assert_eq!(kept, json!({"classes": {"of_tomorrow": {"enabled": true}}}));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn a_difference_names_members_by_their_pointers() {
        let mut changes = Vec::new();
        let from = json!({"mode": "monitor", "classes": {"sqli": {"enabled": true}}, "redact": ["a"], "same": 1});
        let to = json!({"mode": "protection", "classes": {"sqli": {"enabled": true}, "a/b": 1}, "redact": ["a", "b"], "same": 1});
        compare(&from, &to, &mut String::new(), &mut changes);
        let told: Vec<(&str, &str)> = changes.iter().map(|c| (c.path.as_str(), c.kind)).collect();
        assert_eq!(told, [("/classes/a~1b", "added"), ("/mode", "changed"), ("/redact", "changed")]);
        assert_eq!((&changes[1].from, &changes[1].to), (&Some(json!("monitor")), &Some(json!("protection"))));
    }
}
