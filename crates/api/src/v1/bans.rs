//! Bans and trusts: who is kept out, and who never is.
use super::alerts::{id, reason};
use super::{Items, Page};
use crate::app::App;
use crate::auth::{self, Caller};
use crate::body::{self, Limits};
use crate::params::{BAN_FORMAT, BAN_SECS, BAN_STATE, CURSOR, LIST_FORMAT, LIST_NAME, Params, Q, REASON, did_you_mean, time};
use crate::problem::Problem;
use crate::schema::{BanCheckRequest, BanImported, BanRequest, TrustRequest};
use crate::server::Peer;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::actions::fail2ban_line;
use engine::bans::network;
use engine::control::{BanFilter, BanSource, BanState};
use engine::{AnswerError, AnswerStatus, BanCheck, NewBan, ShownBan, Trusted};
use event::{Id, Timestamp};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Bytes and networks of one import.
const IMPORT_BYTES_MAX: usize = 16 << 20;
const IMPORT_NETWORKS_MAX: usize = 50_000;
/// Lines that could not be read are told so often.
const UNREADABLE_TOLD_MAX: usize = 10;
/// The longest ban that is not for good: ten years.
const BAN_SECS_MAX: u64 = 10 * 365 * 86_400;
const NAME_CHARS_MAX: usize = 200;

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Self {
        let detail = error.to_string();
        match error {
            AnswerError::Network(_) | AnswerError::Over => Self::bad_request(detail),
            AnswerError::Trusted { .. } => Self::new(StatusCode::CONFLICT, "trusted", detail),
            AnswerError::OwnAddress { .. } => Self::new(StatusCode::CONFLICT, "own-address", detail),
            AnswerError::Banned(_) => Self::new(StatusCode::CONFLICT, "banned", detail),
            AnswerError::Control(error) => error.into(),
        }
    }
}

/// Where a request comes from: the peer, or whom a proxy on this machine or in a private network says it is for.
/// Callers may lie about it; that spares an address they name and nobody else's.
pub(crate) fn asker(peer: Peer, headers: &HeaderMap) -> IpAddr {
    let peer = peer.0.ip().to_canonical();
    let is_near = match peer {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    };
    let forwarded = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
    forwarded.filter(|_| is_near).map_or(peer, |address| address.to_canonical())
}

pub async fn list(State(app): State<App>, params: Params) -> Result<Json<Page<ShownBan>>, Problem> {
    let state = |text: &str| {
        BanState::parse(text).ok_or_else(|| Problem::bad_request(format!("state is {text:?}: give active, expired or undone{}", did_you_mean(text, &["active", "expired", "undone"]))))
    };
    let states = params.all(&BAN_STATE).flat_map(|v| v.split(',')).map(state).collect::<Result<_, _>>()?;
    let filter = BanFilter { states, text: params.text(&Q), limit: params.limit()?, cursor: params.text(&CURSOR) };
    Ok(Json(app.platform.list_bans(&filter).await?.into()))
}

pub async fn one(State(app): State<App>, Path(text): Path<String>) -> Result<Json<ShownBan>, Problem> {
    let ban = app.control().ban(ban_id(&text)?).await?;
    Ok(Json(app.platform.show_ban(&ban)))
}

pub async fn status(State(app): State<App>) -> Result<Json<AnswerStatus>, Problem> {
    Ok(Json(app.platform.answer_status().await?))
}

pub async fn check(State(app): State<App>, Extension(peer): Extension<Peer>, headers: HeaderMap, body::Json(asked): body::Json<BanCheckRequest>) -> Result<Json<BanCheck>, Problem> {
    Ok(Json(app.platform.check_ban(&asked.cidr, Some(asker(peer, &headers)))?))
}

pub async fn make(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body::Json(asked): body::Json<BanRequest>,
) -> Result<Response, Problem> {
    let why = reason(Some(&asked.reason))?.ok_or_else(|| Problem::bad_request("say why: reason is empty"))?;
    let until = until(&asked, app.now())?;
    let (mut rule, mut rule_name) = (None, None);
    let alert = asked.alert.as_deref().map(id).transpose()?;
    if let Some(alert) = alert {
        let alert = app.control().alert(alert).await?;
        (rule, rule_name) = (Some(alert.rule.id.to_string()), Some(alert.rule.name.to_string()));
    }
    let new = NewBan {
        id: Id(auth::random()),
        cidr: asked.cidr,
        reason: why.to_owned(),
        actor: caller.label(),
        source: BanSource::Manual,
        until,
        alert,
        rule,
        rule_name,
        asker: Some(asker(peer, &headers)),
        spare_own: asked.spare_own,
    };
    let ban = app.platform.ban(new).await?;
    Ok((StatusCode::CREATED, Json(ban)).into_response())
}

fn until(asked: &BanRequest, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    match (&asked.until, asked.secs) {
        (Some(_), Some(_)) => Err(Problem::bad_request("give until or secs, not both")),
        (Some(text), None) => time("until", text).map(Some),
        (None, Some(secs @ 1..=BAN_SECS_MAX)) => Ok(Some(now.plus_secs(secs as i64))),
        (None, Some(secs)) => Err(Problem::bad_request(format!("secs is {secs}: give 1 to {BAN_SECS_MAX}, or nothing for good"))),
        (None, None) => Ok(None),
    }
}

pub async fn undo(State(app): State<App>, Extension(caller): Extension<Caller>, Path(text): Path<String>, params: Params) -> Result<Json<serde_json::Value>, Problem> {
    let why = reason(params.get(&REASON))?.unwrap_or("taken back");
    let undone = app.platform.undo_ban(ban_id(&text)?, &caller.label(), why).await?;
    Ok(Json(serde_json::json!({"undone": undone})))
}

fn ban_id(text: &str) -> Result<Id, Problem> {
    id(text).map_err(|_| Problem::not_found("there is no such ban"))
}

pub async fn import(State(app): State<App>, Extension(caller): Extension<Caller>, Extension(peer): Extension<Peer>, params: Params, request: Request) -> Result<Json<BanImported>, Problem> {
    let (parts, body) = request.into_parts();
    let limits = Limits { wire_bytes_max: IMPORT_BYTES_MAX, decoded_bytes_max: IMPORT_BYTES_MAX };
    let taken = body::read(&app, &parts.headers, body, &limits).await?;
    let text = String::from_utf8_lossy(&taken.bytes);
    let read = match params.get(&LIST_FORMAT) {
        None | Some("list") => read_list(&text),
        Some("fail2ban") => read_fail2ban(&text),
        Some(other) => return Err(Problem::bad_request(format!("there is no format {other:?}; they are list and fail2ban"))),
    };
    if read.networks.is_empty() {
        return Err(Problem::bad_request("the list names no address and no network"));
    }
    if read.networks.len() > IMPORT_NETWORKS_MAX {
        return Err(Problem::too_large(format!("the list has {} networks; {IMPORT_NETWORKS_MAX} are the most", read.networks.len())));
    }
    let name = params.get(&LIST_NAME).unwrap_or("a list");
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(Problem::bad_request(format!("name is at most {NAME_CHARS_MAX} printable characters")));
    }
    let secs = params.number(&BAN_SECS, 0, 1..=BAN_SECS_MAX)?;
    let why = reason(params.get(&REASON))?.map_or_else(|| format!("imported from {name}"), str::to_owned);
    let (actor, asker, until) = (caller.label(), asker(peer, &parts.headers), (secs > 0).then(|| app.now().plus_secs(secs as i64)));
    let new = |cidr: &String| NewBan {
        id: Id(auth::random()),
        cidr: cidr.clone(),
        reason: why.clone(),
        actor: actor.clone(),
        source: BanSource::Import,
        until,
        alert: None,
        rule: None,
        rule_name: None,
        asker: Some(asker),
        spare_own: false,
    };
    let imported = app.platform.import_bans(read.networks.iter().map(new).collect(), name).await?;
    Ok(Json(BanImported { imported, read: read.networks.len(), skipped: read.skipped, unreadable: read.unreadable }))
}

/// A list, as far as it could be read.
#[derive(Default)]
struct Read {
    networks: Vec<String>,
    skipped: usize,
    unreadable: Vec<String>,
}

/// An address or network a line, whatever stands behind it; `#` and `;` begin comments, nginx's `deny` is passed over.
fn read_list(text: &str) -> Read {
    let mut read = Read::default();
    let mut seen = std::collections::BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches("deny ");
        let word = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '#')).next().unwrap_or_default();
        if word.is_empty() {
            read.skipped += 1;
            continue;
        }
        match network(word) {
            Ok(net) => {
                seen.insert(net);
            }
            Err(error) => {
                read.skipped += 1;
                if read.unreadable.len() < UNREADABLE_TOLD_MAX {
                    read.unreadable.push(format!("{}: {error}", number + 1));
                }
            }
        }
    }
    read.networks = seen.iter().map(ToString::to_string).collect();
    read
}

/// Whom Fail2Ban has banned and not let in again, at the end of its log.
fn read_fail2ban(text: &str) -> Read {
    let mut read = Read::default();
    let mut banned: BTreeMap<String, bool> = BTreeMap::new();
    for line in text.lines() {
        match fail2ban_line(line).and_then(|said| Some((network(&said.net.to_string()).ok()?, said.banned))) {
            Some((net, is_banned)) => {
                banned.insert(net.to_string(), is_banned);
            }
            None => read.skipped += 1,
        }
    }
    read.networks = banned.into_iter().filter(|(_, is_banned)| *is_banned).map(|(net, _)| net).collect();
    read
}

/// For programs that read lists: the whole of it each time, and nothing while it is the same.
pub async fn text(State(app): State<App>, params: Params, headers: HeaderMap) -> Result<Response, Problem> {
    let now = app.now();
    let snapshot = app.platform.kept_out();
    let nets = snapshot.networks.iter().filter(|e| e.until.is_none_or(|until| until > now)).map(|e| e.net);
    let text: String = match params.get(&BAN_FORMAT) {
        None | Some("plain") => nets.map(|net| format!("{net}\n")).collect(),
        Some("nginx") => nets.map(|net| format!("deny {net};\n")).collect(),
        Some("ipset") => {
            let set = |net: &engine::bans::Net| if net.addr().is_ipv4() { "erne4" } else { "erne6" };
            let head = "create erne4 hash:net family inet\ncreate erne6 hash:net family inet6\nflush erne4\nflush erne6\n";
            head.to_owned() + &nets.map(|net| format!("add {} {net}\n", set(&net))).collect::<String>()
        }
        Some(other) => return Err(Problem::bad_request(format!("there is no format {other:?}; they are plain, nginx and ipset"))),
    };
    let tag = format!("\"{}\"", &auth::hex(&Sha256::digest(text.as_bytes()))[..32]);
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    let is_known = known.map(|t| t.trim().trim_start_matches("W/")).any(|t| t == tag || t == "*");
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes");
    let headers = [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    Ok((headers, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

pub async fn trusts(State(app): State<App>) -> Result<Json<Items<Trusted>>, Problem> {
    Ok(Json(Items { items: app.platform.trusts() }))
}

pub async fn trust(State(app): State<App>, Extension(caller): Extension<Caller>, body::Json(asked): body::Json<TrustRequest>) -> Result<Response, Problem> {
    let why = reason(Some(&asked.reason))?.ok_or_else(|| Problem::bad_request("say why: reason is empty"))?;
    let (trust, undone) = app.platform.trust(Id(auth::random()), &asked.cidr, why, &caller.label()).await?;
    Ok((StatusCode::CREATED, Json(serde_json::json!({"trust": trust, "undone": undone}))).into_response())
}

pub async fn distrust(State(app): State<App>, Extension(caller): Extension<Caller>, Path(text): Path<String>) -> Result<StatusCode, Problem> {
    let id = id(&text).map_err(|_| Problem::not_found("there is no such trust"))?;
    app.platform.distrust(id, &caller.label()).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_all_kinds_are_read() {
        let read = read_list("# blocklist\n203.0.113.7\n203.0.113.7 # twice\n\n2001:db8::1,spam\ndeny 198.51.100.0/24;\n; x\nevil.example\n0.0.0.0/0\n");
        assert_eq!(read.networks, ["198.51.100.0/24", "203.0.113.7/32", "2001:db8::/64"]);
        assert_eq!(read.skipped, 5);
        assert_eq!(read.unreadable.len(), 2);
        assert!(read.unreadable[0].starts_with("8: "), "{:?}", read.unreadable);
    }

    #[test]
    fn of_a_log_of_fail2ban_those_count_who_are_still_banned() {
        let line = |what: &str| format!("2026-11-20 10:00:00,123 fail2ban.actions        [812]: NOTICE  [sshd] {what}\n");
        let log = [line("Ban 203.0.113.7"), line("Ban 203.0.113.8"), line("Unban 203.0.113.7"), line("Restore Ban 2001:db8::1"), "noise\n".into()].concat();
        let read = read_fail2ban(&log);
        assert_eq!(read.networks, ["2001:db8::/64", "203.0.113.8/32"]);
        assert_eq!(read.skipped, 1);
    }

    #[test]
    fn a_proxy_nearby_may_say_who_asks_and_others_may_not() {
        let ask = |peer: &str, forwarded: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(text) = forwarded {
                headers.insert("x-forwarded-for", text.parse().unwrap());
            }
            asker(Peer(peer.parse().unwrap()), &headers).to_string()
        };
        assert_eq!(ask("127.0.0.1:1", Some("198.51.100.1, 203.0.113.9")), "203.0.113.9");
        assert_eq!(ask("203.0.113.5:1", Some("198.51.100.1")), "203.0.113.5");
        assert_eq!(ask("[::ffff:10.0.0.1]:1", Some("junk")), "10.0.0.1");
        assert_eq!(ask("127.0.0.1:1", None), "127.0.0.1");
    }
}
