//! CrowdSec's local API, as far as its bouncers read it: `X-Api-Key` with a key of scope `bouncer`, decisions of type
//! `ban` and scope `Ip` or `Range`. No match answers `null`, as theirs does.
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;
use axum::extract::{Query, State};
use axum::{Extension, Json};
use engine::Decision;
use engine::bans::trusted_network;
use event::{Id, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a ban for good lasts: bouncers know no end that never comes.
const FOR_GOOD_SECS: i64 = 10 * 365 * 86_400;

/// Parameters of theirs that narrow anything here; the others concern kinds of decisions that we do not make.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    startup: Option<String>,
    scopes: Option<String>,
    scope: Option<String>,
    value: Option<String>,
    ip: Option<String>,
    range: Option<String>,
    r#type: Option<String>,
}

pub async fn stream(State(app): State<App>, Extension(caller): Extension<Caller>, Query(asked): Query<Asked>) -> Result<Json<Value>, Problem> {
    let from_start = asked.startup.as_deref() == Some("true");
    let told = app.platform.decisions(&caller.label(), from_start).await?;
    let now = app.now();
    let list = |decisions: &[Decision]| {
        let shown: Vec<Value> = decisions.iter().filter(|d| in_scopes(d, asked.scopes.as_deref())).map(|d| shown(d, now)).collect();
        if shown.is_empty() { Value::Null } else { shown.into() }
    };
    Ok(Json(json!({"new": list(&told.new), "deleted": list(&told.deleted)})))
}

pub async fn decisions(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Json<Value>, Problem> {
    let (snapshot, now) = (app.platform.kept_out(), app.now());
    let value = asked.ip.as_deref().or(asked.range.as_deref()).or(asked.value.as_deref());
    let found = match value {
        Some(text) => snapshot.within(trusted_network(text).map_err(|error| Problem::bad_request(error.to_string()))?),
        None => &snapshot.networks,
    };
    let is_ban = asked.r#type.as_deref().is_none_or(|kind| kind.eq_ignore_ascii_case("ban"));
    let decision = |e: &engine::bans::Enforced| Decision { net: e.net, until: e.until, reason: snapshot.bans[e.ban].reason.clone() };
    let is_due = |e: &&engine::bans::Enforced| is_ban && e.until.is_none_or(|until| until > now);
    let listed: Vec<Value> = found.iter().filter(is_due).map(decision).filter(|d| in_scopes(d, asked.scope.as_deref())).map(|d| shown(&d, now)).collect();
    Ok(Json(if listed.is_empty() { Value::Null } else { listed.into() }))
}

fn scope(decision: &Decision) -> &'static str {
    if decision.net.prefix_len() == decision.net.max_prefix_len() { "Ip" } else { "Range" }
}

fn in_scopes(decision: &Decision, scopes: Option<&str>) -> bool {
    scopes.is_none_or(|scopes| scopes.split(',').any(|name| name.trim().eq_ignore_ascii_case(scope(decision))))
}

fn shown(decision: &Decision, now: Timestamp) -> Value {
    let id = Id::of(&[b"decision", decision.net.to_string().as_bytes()]);
    let number = i64::from_be_bytes([0, 0, id.0[0], id.0[1], id.0[2], id.0[3], id.0[4], id.0[5]]);
    let single = scope(decision) == "Ip";
    let value = if single { decision.net.addr().to_string() } else { decision.net.to_string() };
    json!({
        "id": number, "uuid": id, "origin": "erne", "type": "ban", "scope": scope(decision), "value": value,
        "duration": duration(decision.until.map_or(FOR_GOOD_SECS, |until| (until.0 - now.0) / 1_000_000)), "scenario": decision.reason, "simulated": false,
    })
}

/// As Go writes it; of what is over, with its sign.
fn duration(secs: i64) -> String {
    let (sign, secs) = if secs < 0 { ("-", -secs) } else { ("", secs) };
    format!("{sign}{}h{}m{}s", secs / 3_600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_have_the_shape_that_bouncers_read() {
        let ban = |net: &str, until| Decision { net: net.parse().unwrap(), until, reason: "ssh guessing".into() };
        let one = shown(&ban("192.0.2.1/32", Some(Timestamp::from_secs(14_499))), Timestamp::from_secs(100));
        assert_eq!((&one["scope"], &one["value"], &one["duration"], &one["type"]), (&json!("Ip"), &json!("192.0.2.1"), &json!("3h59m59s"), &json!("ban")));
        assert!(one["id"].as_i64().unwrap() > 0);
        let range = shown(&ban("2001:db8::/64", None), Timestamp(0));
        assert_eq!((&range["scope"], &range["value"], &range["duration"]), (&json!("Range"), &json!("2001:db8::/64"), &json!("87600h0m0s")));
        assert!(in_scopes(&ban("192.0.2.1/32", None), Some("ip,range")) && !in_scopes(&ban("192.0.2.0/24", None), Some("ip")));
        assert_eq!(duration(-61), "-0h1m1s");
    }
}
