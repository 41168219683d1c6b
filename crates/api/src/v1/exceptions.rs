//! Exceptions: events that rules pass over, until a given time or for good.
use super::Items;
use super::alerts::{id, reason};
use crate::app::App;
use crate::auth::{self, Caller};
use crate::body;
use crate::params::{did_you_mean, time};
use crate::problem::Problem;
use crate::schema::ExceptionRequest;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::Exception;
use event::{Id, Rule, Timestamp};
use http::StatusCode;
use serde_json::{Map, Value};

/// Conditions of an exception, values of one, and characters of a field or value.
const CONDITIONS_MAX: usize = 32;
const VALUES_MAX: usize = 1_000;
const CHARS_MAX: usize = 1_024;

pub async fn list(State(app): State<App>) -> Result<Json<Items<Exception>>, Problem> {
    Ok(Json(Items { items: app.control().exceptions(app.now()).await? }))
}

pub async fn make(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    body::Json(asked): body::Json<ExceptionRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let rules = app.platform.rules();
    let rule = asked.rule_id.as_deref().map(|id| find_rule(&rules, id)).transpose()?;
    check_where(&asked.r#where, rule.is_some())?;
    let conditions = asked.r#where.clone().into_iter().collect();
    let as_compiled = engine::Exception { id: "new".into(), rule_id: None, conditions, expires_at: None };
    if !as_compiled.conditions.is_empty()
        && let Some(issue) = app.platform.check_exception(&as_compiled)
    {
        return Err(Problem::bad_request(format!("where: {}", issue.message)));
    }
    let why = reason(Some(&asked.reason))?.ok_or_else(|| Problem::bad_request("say why: reason is empty"))?;
    let expires_at = asked.expires_at.as_deref().map(|text| expiry(text, now)).transpose()?;
    let author = caller.label();
    let exception = Exception {
        id: Id(auth::random()),
        rule_id: rule.map(|rule| rule.id.to_string()),
        rule_name: rule.map(|rule| rule.name.to_string()),
        r#where: asked.r#where,
        reason: why.to_owned(),
        author,
        created_at: now,
        expires_at,
        hits: 0,
        last_hit: None,
    };
    app.control().put_exception(&exception, now).await?;
    app.platform.exceptions_changed();
    Ok((StatusCode::CREATED, Json(exception)).into_response())
}

pub async fn delete(State(app): State<App>, Extension(caller): Extension<Caller>, Path(text): Path<String>) -> Result<StatusCode, Problem> {
    let id = id(&text).map_err(|_| Problem::not_found("there is no such exception"))?;
    app.control().delete_exception(id, &caller.label(), app.now()).await?;
    app.platform.exceptions_changed();
    Ok(StatusCode::NO_CONTENT)
}

fn find_rule<'a>(rules: &'a [std::sync::Arc<Rule>], id: &str) -> Result<&'a Rule, Problem> {
    rules.iter().find(|rule| *rule.id == *id).map(|rule| &**rule).ok_or_else(|| {
        let ids: Vec<&str> = rules.iter().map(|rule| &*rule.id).collect();
        // People know rules by their names.
        let named = rules.iter().find(|rule| rule.name.eq_ignore_ascii_case(id));
        let meant = named.map_or_else(|| did_you_mean(id, &ids), |rule| format!(", did you mean {}?", rule.id));
        Problem::not_found(format!("there is no rule {id:?}{meant}"))
    })
}

/// What the evaluator does not bound; whether it understands the conditions, it says itself.
fn check_where(conditions: &Map<String, Value>, has_rule: bool) -> Result<(), Problem> {
    if conditions.is_empty() && !has_rule {
        return Err(Problem::bad_request("an empty `where` without a rule_id would except everything"));
    }
    if conditions.len() > CONDITIONS_MAX {
        return Err(Problem::bad_request(format!("where holds at most {CONDITIONS_MAX} conditions")));
    }
    for (field, value) in conditions {
        if field.split('|').next().is_none_or(|name| name.trim().is_empty()) || field.chars().count() > CHARS_MAX {
            return Err(Problem::bad_request(format!("where: {:?} names no field", field.chars().take(64).collect::<String>())));
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(Problem::bad_request(format!("where: {field} needs 1 to {VALUES_MAX} values")));
        }
        let fits = |value: &Value| match value {
            Value::String(text) => text.chars().count() <= CHARS_MAX,
            Value::Array(_) | Value::Object(_) => false,
            _ => true,
        };
        if !values.iter().all(fits) {
            return Err(Problem::bad_request(format!("where: the values of {field} are plain and at most {CHARS_MAX} characters long")));
        }
    }
    Ok(())
}

fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let at = time("expires_at", text)?;
    if at <= now {
        return Err(Problem::bad_request(format!("expires_at is {text:?}, which is over already")));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_are_plain_and_bounded() {
        let check = |value: Value, rule| check_where(value.as_object().unwrap(), rule).is_ok();
        assert!(check(json!({"user.name": "alice", "src_endpoint.ip|cidr": ["192.0.2.0/24"]}), false));
        assert!(check(json!({}), true) && !check(json!({}), false));
        for bad in [json!({"": "x"}), json!({"|contains": "x"}), json!({"a": []}), json!({"a": {"b": 1}}), json!({"a": [["b"]]}), json!({"a": "x".repeat(2_000)})] {
            assert!(!check(bad.clone(), true), "{bad}");
        }
        let many: Map<String, Value> = (0..40).map(|n| (format!("f{n}"), json!(n))).collect();
        assert!(check_where(&many, true).is_err());
    }
}
