//! Whale Sentinel: the paths that its agents and services ask, over our inspector, agents and profiles.
//!
//! Scores are percentages, as its thresholds are. Its shapes stand in `shared/contracts/seeds.json` (key `whale`),
//! with their spelling.

mod shapes;

use crate::app::App;
use crate::auth::Caller;
use crate::body::{self, Limits};
use crate::gateway::directory::Told;
use crate::gateway::inspect::{beside, judge};
use crate::gateway::{Asker, BODY_BYTES_MAX};
use crate::observe::Ours;
use crate::problem::{Detail, Problem};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::AgentInstance;
use engine::web::guard::Outcome;
use engine::web::wire::{Answer, Request as Asked};
use engine::web::{Decision, Transaction, dga as domains};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shapes::{AgentName, ConfigurationName, Envelope, GatewayData, Sentence, Synchronize};

pub const PATH: &str = "/api/v1/ws/services/";
/// What `event_info` names as its service.
const SERVICE: &str = "WS_GATEWAY_SERVICE";
const INSTANCE_CHARS_MAX: usize = 200;

/// Turns an error into the product's own shape.
pub fn dress(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let detail = response.extensions().get::<Detail>().map_or_else(|| status.canonical_reason().unwrap_or("Error").to_owned(), |d| d.0.clone());
    let (old, _) = response.into_parts();
    let mut dressed = (status, Json(json!({"status": "Error", "message": detail, "error_code": status.as_u16()}))).into_response();
    for name in [http::header::RETRY_AFTER, http::header::ALLOW, http::header::WWW_AUTHENTICATE] {
        if let Some(value) = old.headers.get(&name) {
            dressed.headers_mut().insert(name, value.clone());
        }
    }
    *dressed.extensions_mut() = old.extensions;
    dressed.extensions_mut().insert(Ours);
    dressed
}

/// A question with who asks it.
struct Question<T> {
    asker: Asker,
    said: Envelope<T>,
    /// Of the body, for `event_info`.
    hash: String,
}

async fn question<T: DeserializeOwned>(app: &App, caller: &Caller, request: Request) -> Result<Question<T>, Problem> {
    let (parts, body) = request.into_parts();
    let asker = Asker::of(app, caller, &parts.headers)?;
    let limits = Limits { wire_bytes_max: BODY_BYTES_MAX, decoded_bytes_max: BODY_BYTES_MAX };
    let taken = body::read(app, &parts.headers, body, &limits).await?;
    let said = serde_json::from_slice(&taken.bytes).map_err(|error| Problem::bad_request(format!("the body does not fit: {error}")))?;
    let hash = crate::auth::hex(&<sha2::Sha256 as sha2::Digest>::digest(&taken.bytes));
    Ok(Question { asker, said, hash })
}

impl<T> Question<T> {
    /// An answer in the product's envelope.
    fn answer(&self, app: &App, agent: &str, mut members: Value) -> Json<Value> {
        let info = self.said.event_info.clone().unwrap_or_else(|| format!("{agent}|{SERVICE}|{}", self.hash));
        members["event_info"] = info.into();
        members["request_created_at"] = self.said.request_created_at.clone();
        members["request_processed_at"] = app.now().to_string().into();
        Json(members)
    }
}

/// Where the classifier's own threshold stands.
const DGA_SCORE: f32 = 0.5;

fn percent(score: f32) -> f64 {
    (f64::from(score) * 1e4).round() / 100.0
}

/// `POST …/gateway`: everything about one request.
pub async fn gateway(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<GatewayData> = question(&app, &caller, request).await?;
    let (answer, asked) = inspected(&app, asked, GatewayData::transaction).await?;
    let score = percent(answer.score);
    let domain = percent(domains::score(asked.said.payload.data.http_request.host.split(':').next().unwrap_or_default()));
    let data = json!({
        "ws_module_web_attack_detection_predict_score": score,
        "ws_module_web_attack_detection_score": score,
        "ws_module_dga_detection_predict_score": domain,
        "ws_module_dga_detection_score": domain,
        "ws_module_common_attack_detection": common(&answer),
    });
    let members = json!({
        "status": "Success",
        "message": "Analysis completed successfully.",
        "data": data,
        "analysis_result": if is_abnormal(&answer) { "ABNORMAL_REQUEST" } else { "NORMAL_REQUEST" },
    });
    Ok(asked.answer(&app, &asked.said.payload.data.agent_name, members))
}

/// `POST …/common-attack-detection`.
pub async fn common_attack(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<GatewayData> = question(&app, &caller, request).await?;
    let (answer, asked) = inspected(&app, asked, GatewayData::transaction).await?;
    let members = json!({
        "status": "Success",
        "message": "Analysis completed successfully.",
        "data": common(&answer),
        // Spelt so in the original, and compared by its clients.
        "analysis_result": if is_abnormal(&answer) { "ABNORMAL_REQUEST" } else { "NORNAL_REQUEST" },
    });
    Ok(asked.answer(&app, &asked.said.payload.data.agent_name, members))
}

/// `POST …/web-attack-detection`: one text.
pub async fn web_attack(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<Sentence> = question(&app, &caller, request).await?;
    let (answer, asked) = inspected(&app, asked, |data| data.transaction()).await?;
    let sentence = &asked.said.payload.data.sentence;
    let decoded = answer.findings.first().map_or(sentence.as_str(), |finding| finding.value.as_str());
    let members = json!({
        "status": "success",
        "message": "Request processed successfully",
        "data": {"threat_metrix": {"origin_payload": sentence, "decode_payload": decoded, "score": percent(answer.score)}},
    });
    Ok(asked.answer(&app, &asked.said.payload.data.agent_name, members))
}

/// `POST …/dga-detection`: whether a domain looks made by a program; `class` 1 from the score on at which one of a
/// hundred names of people would be taken for one.
pub async fn dga(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<Sentence> = question(&app, &caller, request).await?;
    let domain = asked.said.payload.data.sentence.trim();
    let score = domains::score(domain);
    let members = json!({
        "status": "success",
        "message": "Request processed successfully",
        "data": {"threat_metrix": {"domain": domain, "class": u8::from(score >= DGA_SCORE), "score": percent(score)}},
    });
    Ok(asked.answer(&app, &asked.said.payload.data.agent_name, members))
}

/// Inspects what a question holds, on a thread of its own: bodies of this product carry whole files.
async fn inspected<T: Send + 'static>(app: &App, asked: Question<T>, transaction: fn(&T) -> Result<Transaction, Problem>) -> Result<(Answer, Question<T>), Problem> {
    let transaction = transaction(&asked.said.payload.data)?;
    let app = app.clone();
    beside(move || {
        let answer = judge(&app, &asked.asker, Asked { transaction, ..Asked::default() });
        Ok((answer, asked))
    })
    .await
}

fn is_abnormal(answer: &Answer) -> bool {
    answer.verdict == Decision::Attack || answer.banned || answer.action == Outcome::Block
}

/// The product's seven kinds; what is none of the six named ones is unknown to it.
fn common(answer: &Answer) -> Value {
    const NAMED: [(&str, &str); 6] = [
        ("xss", "cross_site_scripting_detection"),
        ("sqli", "sql_injection_detection"),
        ("verb_tampering", "http_verb_tampering_detection"),
        ("oversized", "http_large_request_detection"),
        ("upload", "insecure_file_upload_detection"),
        ("open_redirect", "insecure_redirect_detection"),
    ];
    let attack = answer.verdict == Decision::Attack;
    let seen = |class: &str| attack && answer.classes.get(class).is_some_and(|score| *score >= engine::web::ATTACK_SCORE);
    let mut kinds: serde_json::Map<String, Value> = NAMED.iter().map(|(class, name)| ((*name).to_owned(), seen(class).into())).collect();
    let other = answer.classes.keys().any(|class| seen(class) && NAMED.iter().all(|(named, _)| named != class));
    let named = kinds.values().any(|value| *value == Value::Bool(true));
    // A verdict by a lower threshold of the profile is an attack of no kind that is certain enough to name.
    kinds.insert("unknown_attack_detection".to_owned(), (other || (attack && !named)).into());
    Value::Object(kinds)
}

/// The agent that a question is about: the one that signed it, or the one that it names if a service asks.
fn agent(app: &App, asker: &Asker, id: &str, name: &str) -> Result<(String, String, Told), Problem> {
    let copy = app.gateway.directory.current();
    let own = if asker.agent.is_empty() { id } else { &asker.agent };
    let agent = copy.agent(own).or_else(|| copy.by_name(name).filter(|_| asker.agent.is_empty()));
    let agent = agent.ok_or_else(|| Problem::not_found("there is no such agent"))?;
    Ok((agent.row.id.clone(), agent.row.name.clone(), agent.told.clone()))
}

async fn told_profile(app: &App, agent: &str, told: &Told) -> Result<Value, Problem> {
    let instances = app.control().web_instances(Some(agent), 1).await?;
    let last = instances.first().map_or(&Value::Null, |one| &one.hello["whale"]);
    Ok(json!({"profile": shapes::profile(&told.policy.profile, last)}))
}

/// `POST …/gateway/agent/profile`.
pub async fn agent_profile(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<AgentName> = question(&app, &caller, request).await?;
    let data = &asked.said.payload.data;
    let (id, name, told) = agent(&app, &asked.asker, &data.agent_id, &data.agent_name)?;
    let members = json!({"status": "Success", "message": "Profile retrieved successfully.", "data": told_profile(&app, &id, &told).await?});
    Ok(asked.answer(&app, &name, members))
}

/// Notes what the product's agent says of itself, as a hello.
async fn synchronized(app: &App, id: &str, application: &str, data: &Synchronize) -> Result<(), Problem> {
    let host = &data.host_information;
    let text = |name: &str| host[name].as_str().unwrap_or_default();
    let instance = format!("{}@{}", host["pid"], text("ip_address"));
    let hello = json!({
        "language": "", "framework": "whale-sentinel", "profile_version": Value::Null,
        "host": {
            "hostname": text("ip_address"), "os": text("os_name"), "arch": text("architecture"), "pid": host["pid"],
            "runtime": text("executable_path"), "runtime_version": text("executable_version"), "run_as": text("run_as"),
        },
        "whale": data.profile,
    });
    let now = app.now();
    let instance = AgentInstance {
        agent: id.to_owned(), instance: instance.chars().take(INSTANCE_CHARS_MAX).collect(), application: application.to_owned(),
        first_seen: now, last_seen: now, hello: shapes::bounded(hello),
    };
    Ok(app.control().web_hello(&instance).await?)
}

/// `POST …/gateway/agent/synchronize`.
pub async fn agent_synchronize(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<Synchronize> = question(&app, &caller, request).await?;
    let data = &asked.said.payload.data;
    let (id, name, told) = agent(&app, &asked.asker, &data.agent_id, &data.agent_name)?;
    synchronized(&app, &id, &asked.asker.application, data).await?;
    let members = json!({"status": "Success", "message": "Profile synchronized successfully.", "data": told_profile(&app, &id, &told).await?});
    Ok(asked.answer(&app, &name, members))
}

fn of_agent(kind: &str) -> Result<(), Problem> {
    match kind {
        "agent" => Ok(()),
        // The original keeps its services' regular expressions there; our analysers have none.
        "service" => Err(Problem::not_found("services have no profile here; detection is configured by the agents' profiles")),
        _ => Err(Problem::bad_request("type is agent or service")),
    }
}

/// `POST …/configuration/profile`: the profile as JSON within a text.
pub async fn configuration(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<ConfigurationName> = question(&app, &caller, request).await?;
    let data = &asked.said.payload.data;
    of_agent(&data.kind)?;
    let (id, name, told) = agent(&app, &asked.asker, &data.id, &data.name)?;
    let profile = told_profile(&app, &id, &told).await?.to_string();
    let members = json!({"status": "Success", "message": "Profile retrieved successfully.", "data": {"type": "agent", "name": name, "id": id, "profile": profile}});
    Ok(asked.answer(&app, &name, members))
}

/// `POST …/configuration/profile/synchronize`.
pub async fn configuration_synchronize(State(app): State<App>, Extension(caller): Extension<Caller>, request: Request) -> Result<Json<Value>, Problem> {
    let asked: Question<Synchronize> = question(&app, &caller, request).await?;
    let data = &asked.said.payload.data;
    of_agent(&data.kind)?;
    let (id, name, told) = agent(&app, &asked.asker, &data.id, &data.name)?;
    synchronized(&app, &id, &asked.asker.application, data).await?;
    let profile = told_profile(&app, &id, &told).await?.to_string();
    let members = json!({"status": "Success", "message": "Profile synchronized successfully.", "data": {"type": "agent", "name": name, "id": id, "profile": profile}});
    Ok(asked.answer(&app, &name, members))
}
