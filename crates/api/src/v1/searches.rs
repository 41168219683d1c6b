//! Searches that people keep, for themselves or for all, and that may run by themselves.
use super::Items;
use super::alerts::id;
use crate::app::App;
use crate::auth::{self, Caller};
use crate::body;
use crate::params::severity;
use crate::problem::Problem;
use crate::schema::{ScheduleRequest, SavedSearchRequest};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::{Role, SavedSearch, Schedule};
use engine::query;
use event::{Column, Id, Kind, Severity, Timestamp};
use http::StatusCode;

const NAME_CHARS_MAX: usize = 100;
const QUERY_CHARS_MAX: usize = 8_192;
const COLUMNS_MAX: usize = 50;
const EVERY_SECS: std::ops::RangeInclusive<u32> = 60..=7 * 86_400;
const WINDOW_SECS_MAX: u32 = 30 * 86_400;
/// How many windows an event is in, at most: each looks at it again.
const OVERLAP_MAX: u32 = 1_440;
/// The digits of a range, and its units.
const RANGE_DIGITS_MAX: usize = 4;
const RANGE_UNITS: [char; 5] = ['s', 'm', 'h', 'd', 'w'];

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Json<Items<SavedSearch>>, Problem> {
    let who = caller.label();
    let of = (!is_admin(&caller)).then_some(who.as_str());
    Ok(Json(Items { items: app.control().searches(of).await? }))
}

pub async fn one(State(app): State<App>, Extension(caller): Extension<Caller>, Path(text): Path<String>) -> Result<Json<SavedSearch>, Problem> {
    Ok(Json(visible(&app, &caller, &text).await?))
}

pub async fn make(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<SavedSearchRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let search = checked(asked, Id(auth::random()), caller.label(), now, now)?;
    app.control().create_search(&search, &caller.label(), now).await?;
    Ok((StatusCode::CREATED, Json(search)).into_response())
}

pub async fn replace(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    body::Json(asked): body::Json<SavedSearchRequest>,
) -> Result<Json<SavedSearch>, Problem> {
    let known = own(&app, &caller, &text).await?;
    let now = app.now();
    let search = checked(asked, known.id, known.owner, known.created_at, now)?;
    app.control().replace_search(&search, &caller.label(), now).await?;
    Ok(Json(app.control().search(search.id).await?))
}

pub async fn delete(State(app): State<App>, Extension(caller): Extension<Caller>, Path(text): Path<String>) -> Result<StatusCode, Problem> {
    let known = own(&app, &caller, &text).await?;
    app.control().delete_search(known.id, &caller.label(), app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_admin(caller: &Caller) -> bool {
    match caller {
        Caller::User { role, .. } => *role == Role::Admin,
        Caller::Key { scopes, .. } => scopes.admin,
        Caller::Anonymous | Caller::Local | Caller::Agent { .. } => false,
    }
}

/// Somebody else's private search is as if it were not there.
async fn visible(app: &App, caller: &Caller, text: &str) -> Result<SavedSearch, Problem> {
    let none = || Problem::not_found("there is no such search");
    let search = app.control().search(id(text).map_err(|_| none())?).await?;
    if search.shared || is_admin(caller) || search.owner == caller.label() { Ok(search) } else { Err(none()) }
}

async fn own(app: &App, caller: &Caller, text: &str) -> Result<SavedSearch, Problem> {
    let search = visible(app, caller, text).await?;
    if is_admin(caller) || search.owner == caller.label() {
        return Ok(search);
    }
    Err(Problem::forbidden(format!("the search belongs to {}; save a copy of your own", search.owner)))
}

fn checked(asked: SavedSearchRequest, id: Id, owner: String, created_at: Timestamp, now: Timestamp) -> Result<SavedSearch, Problem> {
    let name = asked.name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!("name is 1 to {NAME_CHARS_MAX} characters, none of them a control character")));
    }
    if asked.q.chars().count() > QUERY_CHARS_MAX {
        return Err(Problem::bad_request(format!("q is at most {QUERY_CHARS_MAX} characters long")));
    }
    query::parse(&asked.q, now)?;
    if asked.columns.len() > COLUMNS_MAX {
        return Err(Problem::bad_request(format!("columns holds at most {COLUMNS_MAX}")));
    }
    let columns = asked.columns.iter().map(|name| Ok(column("columns", name)?.path.to_owned())).collect::<Result<_, Problem>>()?;
    if let Some(range) = &asked.range {
        check_range(range)?;
    }
    Ok(SavedSearch {
        id,
        name: name.to_owned(),
        q: asked.q,
        columns,
        range: asked.range,
        owner,
        shared: asked.shared,
        schedule: asked.schedule.map(check_schedule).transpose()?,
        created_at,
        updated_at: now,
        last_run: None,
    })
}

fn column(what: &str, name: &str) -> Result<&'static Column, Problem> {
    query::field(name).map_err(|error| {
        let hint = error.hint.as_deref().map_or(String::new(), |hint| format!("; {hint}"));
        Problem::bad_request(format!("{what}: {error}{hint}"))
    })
}

fn check_range(range: &str) -> Result<(), Problem> {
    let digits = range.strip_suffix(RANGE_UNITS).unwrap_or_default();
    let fits = (1..=RANGE_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if fits { Ok(()) } else { Err(Problem::bad_request("range is a number and a unit, such as 15m, 24h or 7d")) }
}

fn check_schedule(asked: ScheduleRequest) -> Result<Schedule, Problem> {
    let wrong = |detail: String| Err(Problem::bad_request(format!("schedule: {detail}")));
    let ScheduleRequest { every_secs, window_secs, at_least, .. } = asked;
    if !EVERY_SECS.contains(&every_secs) {
        return wrong(format!("every_secs is {} to {}", EVERY_SECS.start(), EVERY_SECS.end()));
    }
    if window_secs < every_secs {
        return wrong("window_secs is at least every_secs, or events in between would never be looked at".to_owned());
    }
    if window_secs > WINDOW_SECS_MAX.min(every_secs.saturating_mul(OVERLAP_MAX)) {
        return wrong(format!("window_secs is at most {OVERLAP_MAX} times every_secs, and at most {WINDOW_SECS_MAX}"));
    }
    if at_least == 0 {
        return wrong("at_least is 1 or more: nothing at all is no finding".to_owned());
    }
    let level = severity(&asked.severity)?;
    if level == Severity::Informational {
        return wrong("severity is low, medium, high or critical".to_owned());
    }
    let group_by = asked.group_by.as_deref().map(|name| column("schedule: group_by", name)).transpose()?;
    if let Some(column) = group_by.filter(|c| query::is_prose(c) || !matches!(c.kind, Kind::Text | Kind::Int | Kind::TextList)) {
        return wrong(format!("group_by: the values of {} are too many to be groups", column.path));
    }
    Ok(Schedule { every_secs, window_secs, at_least, severity: level, group_by: group_by.map(|c| c.path.to_owned()), enabled: asked.enabled })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(value: Value) -> Result<SavedSearch, String> {
        let asked: SavedSearchRequest = serde_json::from_value(value).map_err(|e| e.to_string())?;
        checked(asked, Id([1; 16]), "ana".into(), Timestamp(0), Timestamp(5)).map_err(|p| format!("{p:?}"))
    }

    #[test]
    fn a_search_is_stored_as_columns_are_called() {
        let found = check(json!({"name": " Failed logins ", "q": "status:Failure", "columns": ["user.name", "src_endpoint.ip"], "range": "24h",
            "schedule": {"every_secs": 300, "window_secs": 3600, "at_least": 5, "severity": "high", "group_by": "source.ip"}})).unwrap();
        assert_eq!((found.name.as_str(), found.columns.join(" ").as_str()), ("Failed logins", "actor.user.name src_endpoint.ip"));
        let schedule = found.schedule.unwrap();
        assert_eq!((schedule.group_by.as_deref(), schedule.enabled), (Some("src_endpoint.ip"), true));
        assert!(check(json!({"name": "all", "q": ""})).is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_can() {
        let with = |schedule: Value| {
            let mut whole = json!({"every_secs": 300, "window_secs": 3600, "at_least": 5, "severity": "high"});
            whole.as_object_mut().unwrap().extend(schedule.as_object().unwrap().clone());
            json!({"name": "x", "q": "status:Failure", "schedule": whole})
        };
        for (bad, said) in [
            (json!({"name": " ", "q": ""}), "name is"),
            (json!({"name": "x".repeat(101), "q": ""}), "name is"),
            (json!({"name": "a\nb", "q": ""}), "name is"),
            (json!({"name": "x", "q": "(status:Failure"}), "hint"),
            (json!({"name": "x", "q": "", "columns": ["user.nam"]}), "columns"),
            (json!({"name": "x", "q": "", "range": "ever"}), "range is"),
            (json!({"name": "x", "q": "", "range": "é"}), "range is"),
            (json!({"name": "x", "q": "", "limit": 5}), "unknown field"),
            (with(json!({"every_secs": 59})), "every_secs is 60"),
            (with(json!({"window_secs": 299})), "at least every_secs"),
            (with(json!({"window_secs": 4_000_000})), "at most"),
            (with(json!({"every_secs": 60, "window_secs": 86_460})), "at most 1440"),
            (with(json!({"at_least": 0})), "1 or more"),
            (with(json!({"severity": "informational"})), "severity is"),
            (with(json!({"severity": "bad"})), "severity"),
            (with(json!({"group_by": "message"})), "too many"),
            (with(json!({"group_by": "time"})), "too many"),
        ] {
            let error = check(bad.clone()).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
