//! The OpenAPI 3.1 document, made from [`ROUTES`] and the types in `schema`.
use crate::app::App;
use crate::auth::Access;
use crate::routes::{ROUTES, Route, Verb};
use crate::schema::Schemas;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::OpenApi;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response as Answer, ResponseBuilder};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, Info, Paths, Ref, RefOr, Required, Schema};

/// The document as JSON text.
pub fn document() -> String {
    let mut api = Schemas::openapi();
    api.info = Info::new("Erne", env!("CARGO_PKG_VERSION"));
    api.info.description = Some("Real-time security detection. Errors are problem+json (RFC 9457).".into());
    api.paths = Paths::new();
    // `/elastic/` is `/elastic`, as some clients write it.
    for route in ROUTES.iter().filter(|r| !r.path.ends_with('/')) {
        api.paths.add_path_operation(template(route.path), vec![method(route.verb)], operation(route));
    }
    let components = api.components.get_or_insert_default();
    let schemes = [
        ("session", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(crate::auth::SESSION_COOKIE)))),
        ("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT or erne_… key").build())),
        ("key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")))),
        ("agent", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("Authorization")))),
    ];
    for (name, scheme) in schemes {
        components.security_schemes.insert(name.into(), scheme.into());
    }
    api.to_json().expect("the document is plain data")
}

/// As OpenAPI writes it: the rest of a path is a parameter like others.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

fn method(verb: Verb) -> HttpMethod {
    match verb {
        Verb::Get => HttpMethod::Get,
        Verb::Post => HttpMethod::Post,
        Verb::Put => HttpMethod::Put,
        Verb::Delete => HttpMethod::Delete,
    }
}

fn operation(route: &Route) -> Operation {
    let mut operation = OperationBuilder::new()
        .summary(Some(route.about))
        .description(Some(who(route)))
        .operation_id(Some(operation_id(route)))
        .tag(tag(route.path));
    for name in path_params(route.path) {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        operation = operation.parameter(ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True).schema(Some(text)));
    }
    for param in route.params {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let schema: RefOr<Schema> = if param.many { ArrayBuilder::new().items(text).build().into() } else { text.into() };
        operation = operation.parameter(
            ParameterBuilder::new().name(param.name).parameter_in(ParameterIn::Query).required(Required::False).description(Some(param.about)).schema(Some(schema)),
        );
    }
    operation = operation.request_body(body(route)).response(route.status.to_string(), success(route)).response("default", problem());
    if route.access != Access::Open {
        let schemes: &[&str] = match route.access {
            Access::Agent => &["agent"],
            Access::Inspect => &["agent", "session", "bearer", "key"],
            _ => &["session", "bearer", "key"],
        };
        for scheme in schemes {
            operation = operation.security(SecurityRequirement::new::<_, [&str; 0], &str>(*scheme, []));
        }
    }
    operation.build()
}

fn body(route: &Route) -> Option<RequestBody> {
    if route.takes_bytes {
        let bytes = ObjectBuilder::new().schema_type(Type::String).build();
        let content = Content::new(Some(bytes));
        return Some(RequestBodyBuilder::new().required(Some(Required::True)).content("application/octet-stream", content).build());
    }
    let content = json(route.takes?);
    Some(RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", content).build())
}

fn json(schema: &str) -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build()
}

fn success(route: &Route) -> Answer {
    let text = match route.status {
        101 => "switches to WebSocket",
        202 => "accepted and on disk",
        204 => "done",
        _ => "the answer",
    };
    let answer = ResponseBuilder::new().description(text);
    match route.answers {
        Some(schema) => answer.content("application/json", json(schema)).build(),
        None => answer.build(),
    }
}

fn problem() -> Answer {
    ResponseBuilder::new().description("an error").content("application/problem+json", json("Problem")).build()
}

fn who(route: &Route) -> String {
    match (route.access, route.access.scope()) {
        (Access::Open, _) => "No login.".into(),
        (Access::Agent, _) => "A web agent's signature.".into(),
        (Access::Inspect, _) => "A web agent's signature, a key with scope inspect, or role analyst.".into(),
        (access, Some(scope)) => format!("Role {} or a key with scope {scope}.", access.role_min().as_str()),
        (access, None) => format!("Role {}; not for keys.", access.role_min().as_str()),
    }
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let mut id = route.verb.as_str().to_lowercase();
    for word in words {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn tag(path: &str) -> &'static str {
    match path {
        "/api/logs" | "/api/v1/ingest" => "ingest",
        "/healthz" | "/readyz" | "/metrics" | "/api/openapi.json" => "operations",
        _ if path.starts_with("/ws/") || path == "/api/v1/live" => "live",
        _ if path.starts_with("/api/v1/ws/") => "whale",
        _ if path.starts_with("/api/v1/") => "v1",
        _ if path.starts_with("/elastic") => "elasticsearch",
        _ => "cloudhawk",
    }
}

/// The names in braces.
pub fn path_params(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| name.trim_start_matches('*'))
}

pub async fn serve(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn read() -> Value {
        serde_json::from_str(&document()).unwrap()
    }

    #[test]
    fn every_route_is_in_the_document_and_the_reverse() {
        let document = read();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let told: BTreeSet<(String, String)> = document["paths"].as_object().unwrap().iter()
            .flat_map(|(path, item)| item.as_object().unwrap().keys().map(move |verb| (path.clone(), verb.to_uppercase())))
            .collect();
        // `/elastic/` is `/elastic`, as some clients write it, and is told once; so is the hook of the path `/`.
        let told_once = ROUTES.iter().filter(|r| !r.path.ends_with('/'));
        let ours: BTreeSet<(String, String)> = told_once.map(|r| (template(r.path), r.verb.as_str().to_owned())).collect();
        assert_eq!(told, ours);
        let mut ids = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
            }
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = read();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut refs = Vec::new();
        collect_refs(&document, &mut refs);
        assert!(refs.len() > 50);
        for name in refs {
            assert!(schemas.contains_key(name.rsplit('/').next().unwrap()), "{name}");
        }
    }

    fn collect_refs(value: &Value, refs: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    refs.push(target.clone());
                }
                map.values().for_each(|v| collect_refs(v, refs));
            }
            Value::Array(list) => list.iter().for_each(|v| collect_refs(v, refs)),
            _ => {}
        }
    }

    /// A value must have every member its schema requires and none it does not name.
    fn check(schema: &str, value: &Value) {
        let document = read();
        let schema_value = &document["components"]["schemas"][schema];
        let names: BTreeSet<&String> = schema_value["properties"].as_object().unwrap().keys().collect();
        for (name, _) in value.as_object().unwrap() {
            assert!(names.contains(name), "{schema}.{name} is not in the document");
        }
        for name in schema_value["required"].as_array().into_iter().flatten() {
            assert!(value.get(name.as_str().unwrap()).is_some(), "{schema}.{name} is not in the answer");
        }
    }

    fn finding() -> event::Finding {
        let rule = event::Rule {
            id: "r".into(), name: "R".into(), kind: event::RuleKind::Sigma, level: event::Severity::High, description: String::new(),
            techniques: vec![], tactics: vec![], false_positives: vec![], references: vec![], author: String::new(), file: String::new(), handling: event::Handling { risk: Some(1), ..Default::default() },
        };
        event::Finding {
            id: event::Id::of(&[b"x"]), time: event::Timestamp(0), rule: rule.into(), level: event::Severity::High,
            entity: event::Entity::new(event::EntityKind::Ip, "192.0.2.1"), event_ids: vec!["e".into()], positions: vec![],
            event_count: 1, window: Some((event::Timestamp(0), event::Timestamp(1))),
            explanation: event::Explanation { summary: "s".into(), conditions: vec![event::Condition {
                selection: "s".into(), field: "f".into(), operator: "equals".into(), expected: "e".into(), actual: "a".into() }] },
            status: event::FindingStatus::Final, revision: 0, replaces: Some(event::Id::of(&[b"y"])),
            user: Some("u".into()), source_ip: Some("192.0.2.1".into()), event_name: Some("n".into()), place: Some((1.0, 2.0, "DE".into())),
        }
    }

    #[test]
    fn what_is_served_has_the_documented_shape() {
        let json = |value: &dyn erased::Json| value.json();
        let finding = finding();
        let mut alert = event::Alert::from_finding(&finding);
        alert.history.push(event::StateChange { state: event::AlertState::Closed, actor: "a".into(), time: event::Timestamp(0), reason: Some("r".into()) });
        check("Finding", &json(&finding));
        check("Rule", &json(&*finding.rule));
        check("Entity", &json(&finding.entity));
        check("Explanation", &json(&finding.explanation));
        check("Condition", &json(&finding.explanation.conditions[0]));
        alert.further = Some(event::Further { entities: 1, samples: vec!["ip:192.0.2.1".into()] });
        alert.incident = Some(alert.id);
        check("Alert", &json(&alert));
        check("Handling", &json(&finding.rule.handling));
        check("Further", &json(alert.further.as_ref().unwrap()));
        let incident = event::Incident {
            id: alert.id, entity: finding.entity.clone(), state: event::AlertState::Open, severity: event::Severity::High, risk: 1, title: "t".into(),
            first_seen: event::Timestamp(0), last_seen: event::Timestamp(0), tactics: vec![], techniques: vec![], alert_count: 1,
            signal_count: 0, event_count: 1, assignee: Some("a".into()), history: vec![],
        };
        check("Incident", &json(&incident));
        check("Exception", &json(&engine::control::Exception {
            id: alert.id, rule_id: None, rule_name: None, r#where: Default::default(), reason: "r".into(), author: "a".into(),
            created_at: event::Timestamp(0), expires_at: None, hits: 0, last_hit: None,
        }));
        let undone = engine::control::Undone { actor: "a".into(), at: event::Timestamp(0), reason: "r".into() };
        check("Undone", &json(&undone));
        let action = engine::ActionState { name: "n".into(), state: "failed", error: Some("e".into()) };
        check("ActionState", &json(&action));
        let ban = engine::control::Ban {
            id: alert.id, cidr: "192.0.2.1/32".into(), reason: "r".into(), actor: "a".into(), source: engine::control::BanSource::Rule, rule: None,
            rule_name: None, alert: None, finding: None, created_at: event::Timestamp(0), until: None, dry_run: false, grown_from: None, offences: 0,
            undone: Some(undone),
        };
        check("Ban", &json(&engine::ShownBan { state: ban.state(event::Timestamp(0)), ban, actions: vec![action] }));
        let net = "192.0.2.1/32".parse().unwrap();
        check("Trust", &json(&engine::Trusted { id: None, cidr: net, kind: "list", reason: "r".into(), actor: None, created_at: None }));
        let banned = engine::BanCheck { cidr: "c".into(), own_address: None, spared: vec![], trusted: false, banned: vec![], size: 1 };
        check("BanCheck", &json(&banned));
        let status = engine::ActionStatus { name: "n".into(), kind: "k", held: 1, looked_at: None, error: None };
        check("ActionStatus", &json(&status));
        check("AnswerStatus", &json(&engine::AnswerStatus {
            automatic: true, dry_run: true, bans_per_hour: 1, bans_last_hour: 1, active: 1, dry: 1, networks: 1, actions: vec![status], refused: Default::default(),
        }));
        check("StateChange", &json(&alert.history[0]));
        let mut overview = json(&engine::Totals::default());
        overview["notices"] = Value::Array(vec![]);
        check("Overview", &overview);
        check("Bucket", &json(&engine::Bucket::default()));
        check("Top", &json(&engine::Top::default()));
        check("Replay", &json(&engine::Replay::default()));
        check("ReplayDay", &json(&engine::ReplayDay::default()));
        let step = engine::TraceStep {
            selection: "s".into(), field: "f".into(), operator: "equals".into(), expected: vec![], all: false, actual: vec![], matched: true,
        };
        check("TraceStep", &json(&step));
        let trace = engine::Trace { rule: finding.rule.clone(), matched: true, log_source_matches: true, steps: vec![step], excepted_by: None };
        check("Trace", &json(&trace));
        let reach = engine::Reach { can_match: true, why: "w".into(), on: vec![], absent: vec![] };
        let detail = engine::RuleDetail {
            rule: finding.rule.clone(), text: String::new(), log_source: Default::default(), fields: vec![], correlation: None, reach,
        };
        check("RuleDetail", &json(&detail));
        let answer = engine::SqlAnswer { plan: Some("p".into()), ..Default::default() };
        check("SqlAnswer", &json(&answer));
        check("SqlColumn", &json(&engine::SqlColumn { name: "n".into(), r#type: "text" }));
    }

    mod erased {
        pub trait Json {
            fn json(&self) -> serde_json::Value;
        }
        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> serde_json::Value {
                serde_json::to_value(self).unwrap()
            }
        }
    }
}
