//! The one table of routes.
use crate::app::App;
use crate::auth::{Access, Gate, gate};
use crate::params::*;
use crate::{compat, gateway, ingest, live, observe, openapi, ops, v1, web};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, delete, get, post, put, on};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One method of one path.
pub struct Route {
    pub verb: Verb,
    pub path: &'static str,
    pub access: Access,
    /// One sentence for the OpenAPI document.
    pub about: &'static str,
    pub(crate) handler: fn() -> MethodRouter<App>,
    pub(crate) params: &'static [&'static Param],
    /// Names in `schema`: the JSON body it takes, and the one it answers with.
    pub takes: Option<&'static str>,
    pub answers: Option<&'static str>,
    /// Takes any bytes.
    pub takes_bytes: bool,
    /// The status of success.
    pub status: u16,
    /// A WebSocket.
    pub socket: bool,
    /// Checks the query's parameters itself: those of another product, in its words.
    pub(crate) own_params: bool,
}

impl Route {
    const fn new(verb: Verb, path: &'static str, access: Access, about: &'static str, handler: fn() -> MethodRouter<App>) -> Self {
        Self { verb, path, access, about, handler, params: &[], takes: None, answers: None, takes_bytes: false, status: 200, socket: false, own_params: false }
    }
    const fn params(mut self, params: &'static [&'static Param]) -> Self {
        self.params = params;
        self
    }
    const fn takes(mut self, schema: &'static str) -> Self {
        self.takes = Some(schema);
        self
    }
    const fn bytes(mut self) -> Self {
        self.takes_bytes = true;
        self
    }
    const fn answers(mut self, schema: &'static str) -> Self {
        self.answers = Some(schema);
        self
    }
    const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
    /// Whose query is not for us: that of the request that a proxy asks about.
    const fn any_params(mut self) -> Self {
        self.own_params = true;
        self
    }
    /// One of Elasticsearch's API.
    const fn elastic(mut self) -> Self {
        self.own_params = true;
        self.answers = Some("Anything");
        self
    }
    /// One of CrowdSec's API.
    const fn crowdsec(self) -> Self {
        self.elastic()
    }
    const fn socket(mut self) -> Self {
        self.socket = true;
        self.status = 101;
        self
    }
}

use Access::{Agent, Ask, Ban, Bouncer, Hook, Ingest, IngestLocal, Inspect, Manage, Open, Person, Read, Triage};
use Verb::{Delete, Get, Post, Put};

/// `any` would not do: layers of a route do not cover fallbacks, and it is one.
const EVERY_METHOD: MethodFilter = MethodFilter::GET
    .or(MethodFilter::HEAD)
    .or(MethodFilter::POST)
    .or(MethodFilter::PUT)
    .or(MethodFilter::DELETE)
    .or(MethodFilter::PATCH)
    .or(MethodFilter::OPTIONS)
    .or(MethodFilter::TRACE)
    .or(MethodFilter::CONNECT);

/// Every path under `/api` and `/ws`, and those for operations. The dashboard answers the rest.
pub static ROUTES: &[Route] = &[
    // Ingest
    Route::new(Post, "/api/logs", IngestLocal, "Takes application logs: one object, an array, or one per line", || post(ingest::logs))
        .params(&[&SOURCE]).bytes().answers("Accepted").status(202),
    Route::new(Post, "/api/v1/ingest", Ingest, "Takes logs of any format; 202 means they are on disk", || post(ingest::ingest))
        .params(&[&FORMAT, &SOURCE]).bytes().answers("Accepted").status(202),
    // Who
    Route::new(Post, "/api/v1/login", Open, "Logs in and sets the session cookie", || post(v1::account::login)).takes("Credentials").answers("LoggedIn"),
    Route::new(Post, "/api/v1/logout", Person, "Ends the session", || post(v1::account::logout)).status(204),
    Route::new(Post, "/api/v1/token", Open, "Issues a JWT", || post(v1::account::token)).takes("Credentials").answers("AccessToken"),
    Route::new(Get, "/api/v1/me", Read, "Who the caller is", || get(v1::account::me)).answers("Me"),
    Route::new(Post, "/api/v1/me/password", Person, "Changes the own password; ends the other sessions and all tokens", || post(v1::account::password))
        .takes("PasswordChange").status(204),
    // What is going on
    Route::new(Get, "/api/v1/overview", Read, "Totals", || get(v1::overview::overview)).answers("Overview"),
    Route::new(Get, "/api/v1/timeline", Read, "Events by time, severity and HTTP status", || get(v1::overview::timeline)).params(&[&HOURS, &BUCKET_SECS]).answers("Buckets"),
    Route::new(Get, "/api/v1/top/users", Read, "Users with the most events of 24 h", || get(v1::overview::top_users)).params(&[&LIMIT]).answers("Tops"),
    Route::new(Get, "/api/v1/top/ips", Read, "Addresses with the most events of 24 h", || get(v1::overview::top_ips)).params(&[&LIMIT]).answers("Tops"),
    Route::new(Get, "/api/v1/coverage", Read, "ATT&CK techniques, with rules and findings", || get(v1::overview::coverage)).answers("Coverage"),
    Route::new(Get, "/api/v1/markers", Read, "Places on the map", || get(v1::overview::markers)).answers("Markers"),
    // Searches
    Route::new(Get, "/api/v1/search", Read, "Searches events, newest first, with histogram and values of fields", || get(v1::search::get))
        .params(&[&QUERY, &FROM, &TO, &ROWS, &CURSOR, &HISTOGRAM, &FIELDS, &TOP]).answers("SearchAnswer"),
    Route::new(Post, "/api/v1/search", Read, "The same, asked for in the body", || post(v1::search::post)).takes("SearchRequest").answers("SearchAnswer"),
    Route::new(Get, "/api/v1/search/columns", Read, "The columns that queries can name", || get(v1::search::columns)).answers("Columns"),
    Route::new(Get, "/api/v1/search/check", Read, "Whether a query can be read, and how it is", || get(v1::search::check)).params(&[&QUERY]).answers("QueryCheck"),
    Route::new(Post, "/api/v1/search/aggregate", Read, "Counts and sums by time and fields", || post(v1::search::aggregate))
        .takes("AggregateRequest").answers("AggregateAnswer"),
    Route::new(Get, "/api/v1/events/{uid}", Read, "One event", || get(v1::events::one)).answers("Event"),
    Route::new(Get, "/api/v1/export", Ask, "All events that a query matches, as a download; X-Erne-Rows says how many they are", || get(v1::export::run))
        .params(&[&QUERY, &FROM, &TO, &EXPORT_FORMAT, &COLUMNS]),
    Route::new(Post, "/api/v1/sql", Ask, "Runs one SELECT over events, alerts, incidents and findings; ends when the caller goes", || post(v1::sql::run))
        .takes("SqlQuery").answers("SqlAnswer"),
    Route::new(Get, "/api/v1/events/{uid}/around", Read, "Events of the same source around one, oldest first", || get(v1::events::around))
        .params(&[&BEFORE, &AFTER_IT]).answers("EventsAround"),
    Route::new(Get, "/api/v1/events/{uid}/findings", Read, "Alerts and signals whose findings name the event", || get(v1::events::findings)).answers("AlertsOfEvent"),
    Route::new(Get, "/api/v1/alerts", Read, "Alerts, newest first", || get(v1::alerts::list))
        .params(&[&STATE, &SEVERITY_MIN, &Q, &FROM, &TO, &SIGNALS, &LIMIT, &CURSOR]).answers("Alerts"),
    Route::new(Get, "/api/v1/alerts/{id}", Read, "An alert with its newest findings and their events", || get(v1::alerts::one)).answers("AlertDetail"),
    Route::new(Post, "/api/v1/alerts/state", Triage, "Moves alerts to a state", || post(v1::alerts::set_state)).takes("AlertStateChange").answers("ChangedAlerts"),
    Route::new(Get, "/api/v1/findings", Read, "Findings, newest first", || get(v1::alerts::findings))
        .params(&[&ALERT, &SEVERITY, &RULE, &USER, &SOURCE_IP, &FROM, &TO, &LIMIT, &CURSOR]).answers("Findings"),
    Route::new(Get, "/api/v1/rules", Read, "Active rules", || get(v1::rules::list)).answers("Rules"),
    Route::new(Get, "/api/v1/rules/{id}", Read, "One rule: its text, what it needs, and what it can match", || get(v1::rules::one)).answers("RuleDetail"),
    Route::new(Post, "/api/v1/rules/check", Read, "Whether a text of rules would load; nothing is changed", || post(v1::rules::check)).takes("RuleText").answers("RuleCheck"),
    Route::new(Post, "/api/v1/rules/replay", Read, "What rules would have told about stored events; one at a time, ends when the caller goes", || post(v1::rules::replay))
        .takes("ReplayRequest").answers("Replay"),
    Route::new(Post, "/api/v1/explain", Read, "Why a rule holds for an event, or does not", || post(v1::rules::explain)).takes("ExplainRequest").answers("Explained"),
    Route::new(Get, "/api/v1/coverage/navigator", Read, "A layer for ATT&CK Navigator, version 4.5", || get(v1::rules::navigator)).params(&[&SCORE]).answers("Anything"),
    // What belongs together
    Route::new(Get, "/api/v1/incidents", Read, "Incidents, newest first", || get(v1::incidents::list))
        .params(&[&STATE, &SEVERITY_MIN, &Q, &FROM, &TO, &LIMIT, &CURSOR]).answers("Incidents"),
    Route::new(Get, "/api/v1/incidents/{id}", Read, "An incident with its alerts and signals, oldest first", || get(v1::incidents::one)).answers("IncidentDetail"),
    Route::new(Post, "/api/v1/incidents/state", Triage, "Moves incidents to a state", || post(v1::incidents::set_state))
        .takes("IncidentStateChange").answers("ChangedIncidents"),
    Route::new(Post, "/api/v1/incidents/{id}/assignee", Triage, "Gives an incident to a user, or to nobody", || post(v1::incidents::assign))
        .takes("Assignment").answers("Incident"),
    Route::new(Get, "/api/v1/entities", Read, "Entities with the highest risk scores", || get(v1::entities::list)).params(&[&LIMIT]).answers("Entities"),
    Route::new(Get, "/api/v1/entities/{kind}/{value}", Read, "An entity with its risk, alerts and incidents", || get(v1::entities::one)).answers("EntityDetail"),
    Route::new(Get, "/api/v1/exceptions", Read, "What rules pass over", || get(v1::exceptions::list)).answers("Exceptions"),
    Route::new(Post, "/api/v1/exceptions", Triage, "Makes rules pass over events", || post(v1::exceptions::make))
        .takes("ExceptionRequest").answers("Exception").status(201),
    Route::new(Delete, "/api/v1/exceptions/{id}", Triage, "Ends an exception", || delete(v1::exceptions::delete)).status(204),
    // The answer
    Route::new(Get, "/api/v1/bans", Read, "Bans, newest first", || get(v1::bans::list)).params(&[&BAN_STATE, &Q, &LIMIT, &CURSOR]).answers("Bans"),
    Route::new(Post, "/api/v1/bans", Ban, "Keeps an address or a network out; 409 if that would keep out whom it must not", || post(v1::bans::make))
        .takes("BanRequest").answers("Ban").status(201),
    Route::new(Post, "/api/v1/bans/check", Read, "What a ban would mean: whom it spares, whether it covers your own address", || post(v1::bans::check))
        .takes("BanCheckRequest").answers("BanCheck"),
    Route::new(Post, "/api/v1/bans/import", Ban, "Bans a list: an address or network a line, or Fail2Ban's log", || post(v1::bans::import))
        .params(&[&LIST_NAME, &LIST_FORMAT, &BAN_SECS, &REASON]).bytes().answers("BanImported"),
    Route::new(Get, "/api/v1/bans/list", Bouncer, "The networks that are kept out, as text for nginx, HAProxy or ipset; with ETag", || get(v1::bans::text)).params(&[&BAN_FORMAT]),
    Route::new(Get, "/api/v1/bans/{id}", Read, "One ban", || get(v1::bans::one)).answers("Ban"),
    Route::new(Delete, "/api/v1/bans/{id}", Ban, "Takes a ban back", || delete(v1::bans::undo)).params(&[&REASON]).answers("UndoneBans"),
    Route::new(Get, "/api/v1/answer", Read, "Whether findings ban, and how the actions stand", || get(v1::bans::status)).answers("AnswerStatus"),
    Route::new(Get, "/api/v1/trusts", Read, "What is never kept out", || get(v1::bans::trusts)).answers("Trusts"),
    Route::new(Post, "/api/v1/trusts", Manage, "Never keeps a network out; bans inside it are taken back", || post(v1::bans::trust))
        .takes("TrustRequest").answers("TrustMade").status(201),
    Route::new(Delete, "/api/v1/trusts/{id}", Manage, "Removes an entry of the trust list", || delete(v1::bans::distrust)).status(204),
    // CrowdSec's paths, for its bouncers
    Route::new(Get, "/v1/decisions/stream", Bouncer, "CrowdSec: what changed since the bouncer asked", || get(compat::crowdsec::stream)).crowdsec(),
    Route::new(Get, "/v1/decisions", Bouncer, "CrowdSec: decisions about an address or network", || get(compat::crowdsec::decisions)).crowdsec(),
    Route::new(Get, "/api/v1/searches", Read, "Saved searches: shared ones and the own ones", || get(v1::searches::list)).answers("SavedSearches"),
    Route::new(Post, "/api/v1/searches", Triage, "Saves a search; with a schedule it runs by itself and raises findings", || post(v1::searches::make))
        .takes("SavedSearchRequest").answers("SavedSearch").status(201),
    Route::new(Get, "/api/v1/searches/{id}", Read, "One saved search", || get(v1::searches::one)).answers("SavedSearch"),
    Route::new(Put, "/api/v1/searches/{id}", Triage, "Replaces a saved search; the own one, or any for an admin", || put(v1::searches::replace))
        .takes("SavedSearchRequest").answers("SavedSearch"),
    Route::new(Delete, "/api/v1/searches/{id}", Triage, "Deletes a saved search; the own one, or any for an admin", || delete(v1::searches::delete)).status(204),
    // Administration
    Route::new(Get, "/api/v1/users", Manage, "Users", || get(v1::admin::users)).answers("Users"),
    Route::new(Put, "/api/v1/users/{name}", Manage, "Makes a user, or changes role or password", || put(v1::admin::put_user)).takes("UserChange").answers("User"),
    Route::new(Delete, "/api/v1/users/{name}", Manage, "Deletes a user; sessions and tokens end", || delete(v1::admin::delete_user)).status(204),
    Route::new(Get, "/api/v1/keys", Manage, "API keys, without their secrets", || get(v1::admin::keys)).answers("Keys"),
    Route::new(Post, "/api/v1/keys", Manage, "Makes an API key; its clear text is shown once", || post(v1::admin::make_key)).takes("KeyRequest").answers("NewKey").status(201),
    Route::new(Delete, "/api/v1/keys/{id}", Manage, "Revokes an API key", || delete(v1::admin::delete_key)).status(204),
    // Web protection
    Route::new(Post, "/api/v1/inspect", Inspect, "Whether a request is an attack, and what to do about it", || post(gateway::inspect::inspect))
        .takes("InspectRequest").answers("InspectAnswer"),
    Route::new(Post, "/api/v1/agent/events", Agent, "Requests that an agent saw; 202 means they are on disk", || post(gateway::events::events))
        .takes("AgentEvents").answers("EventsAccepted").status(202),
    Route::new(Post, "/api/v1/agent/hello", Agent, "An instance says what it is; answers with its profile", || post(gateway::hello::hello))
        .takes("Hello").answers("HelloAnswer"),
    Route::new(Get, "/api/v1/agent/profile", Agent, "The profile as soon as its version differs; 304 when the wait is over", || get(gateway::hello::poll))
        .params(&[&VERSION, &WAIT]).answers("WebProfileBody"),
    Route::new(Get, "/api/v1/hooks/nginx", Hook, "For nginx's auth_request: 204 lets the request through, 403 does not", || get(gateway::hooks::nginx))
        .any_params().status(204),
    Route::new(Post, "/api/v1/hooks/envoy/", Hook, "For Envoy's ext_authz: any method; 200 lets the request through, 403 does not", || on(EVERY_METHOD, gateway::hooks::envoy)).any_params(),
    Route::new(Post, "/api/v1/hooks/envoy/{*path}", Hook, "For Envoy's ext_authz: any method; 200 lets the request through, 403 does not", || on(EVERY_METHOD, gateway::hooks::envoy)).any_params(),
    Route::new(Get, "/api/v1/agents", Read, "Web agents, by name", || get(v1::agents::list)).answers("Agents"),
    Route::new(Post, "/api/v1/agents", Manage, "Makes an agent; its secret is shown once", || post(v1::agents::make)).takes("AgentRequest").answers("NewAgent").status(201),
    Route::new(Get, "/api/v1/agents/instances", Read, "Instances of agents, the newest first", || get(v1::agents::instances)).params(&[&AGENT]).answers("Instances"),
    Route::new(Get, "/api/v1/agents/{id}", Read, "An agent with its instances", || get(v1::agents::one)).answers("AgentDetail"),
    Route::new(Put, "/api/v1/agents/{id}", Manage, "Changes an agent: its name, application, profile, and whether it may ask", || put(v1::agents::change))
        .takes("AgentRequest").answers("Agent"),
    Route::new(Delete, "/api/v1/agents/{id}", Manage, "Deletes an agent and forgets its instances", || delete(v1::agents::delete)).status(204),
    Route::new(Post, "/api/v1/agents/{id}/secret", Manage, "Gives an agent a new secret; the old one ends at once", || post(v1::agents::rotate)).answers("NewAgent"),
    Route::new(Get, "/api/v1/applications", Read, "Applications with their agents, instances and profiles", || get(v1::agents::applications)).answers("Applications"),
    Route::new(Put, "/api/v1/applications/{name}", Manage, "Gives the agents of an application a profile", || put(v1::agents::assign)).takes("ApplicationChange").status(204),
    Route::new(Get, "/api/v1/profiles", Read, "Profiles of web agents, by name", || get(v1::profiles::list)).answers("WebProfiles"),
    Route::new(Post, "/api/v1/profiles", Manage, "Makes a profile, from a template or as given", || post(v1::profiles::make))
        .takes("ProfileRequest").answers("WebProfile").status(201),
    Route::new(Get, "/api/v1/profiles/templates", Read, "What a profile can begin with", || get(v1::profiles::list_templates)).answers("ProfileTemplates"),
    Route::new(Get, "/api/v1/profiles/{id}", Read, "A profile", || get(v1::profiles::one)).answers("WebProfile"),
    Route::new(Put, "/api/v1/profiles/{id}", Manage, "Makes a new version of a profile; agents get it at once", || put(v1::profiles::change))
        .takes("ProfileUpdate").answers("WebProfile"),
    Route::new(Delete, "/api/v1/profiles/{id}", Manage, "Deletes a profile; its agents get what stands behind it", || delete(v1::profiles::delete)).status(204),
    Route::new(Get, "/api/v1/profiles/{id}/versions", Read, "Versions of a profile, newest first", || get(v1::profiles::versions)).answers("ProfileVersions"),
    Route::new(Get, "/api/v1/profiles/{id}/diff", Read, "What differs between two versions", || get(v1::profiles::diff)).params(&[&PROFILE_FROM, &PROFILE_TO]).answers("ProfileDiff"),
    Route::new(Post, "/api/v1/profiles/{id}/restore", Manage, "Makes an older version the newest", || post(v1::profiles::restore))
        .takes("ProfileRestore").answers("WebProfile"),
    // Whale Sentinel's paths
    Route::new(Post, "/api/v1/ws/services/gateway", Inspect, "Whale Sentinel: everything about a request", || post(compat::whale::gateway)).takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/gateway/agent/profile", Inspect, "Whale Sentinel: an agent's profile", || post(compat::whale::agent_profile))
        .takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/gateway/agent/synchronize", Inspect, "Whale Sentinel: what an agent says of itself", || post(compat::whale::agent_synchronize))
        .takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/common-attack-detection", Inspect, "Whale Sentinel: seven kinds of attack", || post(compat::whale::common_attack))
        .takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/web-attack-detection", Inspect, "Whale Sentinel: the score of a text", || post(compat::whale::web_attack))
        .takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/dga-detection", Inspect, "Whale Sentinel: the score of a domain", || post(compat::whale::dga)).takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/configuration/profile", Inspect, "Whale Sentinel: an agent's profile, within a text", || post(compat::whale::configuration))
        .takes("Anything").answers("Anything"),
    Route::new(Post, "/api/v1/ws/services/configuration/profile/synchronize", Inspect, "Whale Sentinel: what an agent says of itself", || post(compat::whale::configuration_synchronize))
        .takes("Anything").answers("Anything"),
    // Live
    Route::new(Get, "/api/v1/live", Read, "Live messages with resume", || get(live::live)).params(&[&TOPICS, &AFTER, &TOKEN]).socket(),
    Route::new(Get, "/ws/logs", Read, "Every event, in the Sentinel shape", || get(compat::sentinel::logs)).params(&[&TOKEN]).socket(),
    Route::new(Get, "/ws/realtime", Read, "Alerts, events and totals, in the CloudHawk shape", || get(compat::cloudhawk::realtime)).params(&[&TOKEN]).socket(),
    // CloudHawk's paths
    Route::new(Get, "/api/stats", Read, "CloudHawk: totals", || get(compat::cloudhawk::stats)).answers("Anything"),
    Route::new(Get, "/api/events/recent", Read, "CloudHawk: newest events", || get(compat::cloudhawk::recent_events)).params(&[&LIMIT]).answers("Anything"),
    Route::new(Get, "/api/threats/recent", Read, "CloudHawk: newest threats", || get(compat::cloudhawk::recent_threats)).params(&[&LIMIT]).answers("Anything"),
    Route::new(Get, "/api/alerts/active", Read, "CloudHawk: alerts not closed", || get(compat::cloudhawk::active_alerts)).params(&[&LIMIT]).answers("Anything"),
    Route::new(Post, "/api/events/query", Read, "CloudHawk: searches events", || post(compat::cloudhawk::query_events)).takes("CloudHawkQuery").answers("Anything"),
    Route::new(Post, "/api/threats/query", Read, "CloudHawk: searches threats", || post(compat::cloudhawk::query_threats)).takes("CloudHawkQuery").answers("Anything"),
    Route::new(Get, "/api/analytics/timeline", Read, "CloudHawk: events by hour and severity", || get(compat::cloudhawk::timeline)).params(&[&HOURS]).answers("Anything"),
    Route::new(Get, "/api/analytics/top-users", Read, "CloudHawk: users", || get(compat::cloudhawk::top_users)).params(&[&LIMIT]).answers("Anything"),
    Route::new(Get, "/api/analytics/top-ips", Read, "CloudHawk: addresses", || get(compat::cloudhawk::top_ips)).params(&[&LIMIT]).answers("Anything"),
    Route::new(Get, "/api/mitre-attack/coverage", Read, "CloudHawk: techniques seen", || get(compat::cloudhawk::coverage)).answers("Anything"),
    // Elasticsearch's paths
    Route::new(Get, "/elastic", Read, "Elasticsearch: the product and its version", || get(compat::elastic::root)).elastic(),
    Route::new(Get, "/elastic/", Read, "Elasticsearch: the product and its version", || get(compat::elastic::root)).elastic(),
    Route::new(Get, "/elastic/_search", Read, "Elasticsearch: a search", || get(compat::elastic::search_all)).elastic(),
    Route::new(Get, "/elastic/{index}/_search", Read, "Elasticsearch: a search", || get(compat::elastic::search_in)).elastic(),
    Route::new(Get, "/elastic/_count", Read, "Elasticsearch: how many events match", || get(compat::elastic::count_all)).elastic(),
    Route::new(Get, "/elastic/{index}/_count", Read, "Elasticsearch: how many events match", || get(compat::elastic::count_in)).elastic(),
    Route::new(Get, "/elastic/_msearch", Read, "Elasticsearch: several searches", || get(compat::elastic::msearch_all)).elastic(),
    Route::new(Get, "/elastic/{index}/_msearch", Read, "Elasticsearch: several searches", || get(compat::elastic::msearch_in)).elastic(),
    Route::new(Get, "/elastic/_field_caps", Read, "Elasticsearch: which fields there are", || get(compat::elastic::field_caps_all)).elastic(),
    Route::new(Get, "/elastic/{index}/_field_caps", Read, "Elasticsearch: which fields there are", || get(compat::elastic::field_caps_in)).elastic(),
    Route::new(Get, "/elastic/_search/scroll", Read, "Elasticsearch: the next page of a scroll", || get(compat::elastic::scroll)).elastic(),
    Route::new(Post, "/elastic/_search", Read, "Elasticsearch: a search", || post(compat::elastic::search_all)).elastic(),
    Route::new(Post, "/elastic/{index}/_search", Read, "Elasticsearch: a search", || post(compat::elastic::search_in)).elastic(),
    Route::new(Post, "/elastic/_count", Read, "Elasticsearch: how many events match", || post(compat::elastic::count_all)).elastic(),
    Route::new(Post, "/elastic/{index}/_count", Read, "Elasticsearch: how many events match", || post(compat::elastic::count_in)).elastic(),
    Route::new(Post, "/elastic/_msearch", Read, "Elasticsearch: several searches", || post(compat::elastic::msearch_all)).elastic(),
    Route::new(Post, "/elastic/{index}/_msearch", Read, "Elasticsearch: several searches", || post(compat::elastic::msearch_in)).elastic(),
    Route::new(Post, "/elastic/_field_caps", Read, "Elasticsearch: which fields there are", || post(compat::elastic::field_caps_all)).elastic(),
    Route::new(Post, "/elastic/{index}/_field_caps", Read, "Elasticsearch: which fields there are", || post(compat::elastic::field_caps_in)).elastic(),
    Route::new(Post, "/elastic/_search/scroll", Read, "Elasticsearch: the next page of a scroll", || post(compat::elastic::scroll)).elastic(),
    Route::new(Delete, "/elastic/_search/scroll", Read, "Elasticsearch: ends a scroll", || delete(compat::elastic::free)).elastic(),
    Route::new(Post, "/elastic/{index}/_pit", Read, "Elasticsearch: a point in time", || post(compat::elastic::open_pit)).elastic(),
    Route::new(Delete, "/elastic/_pit", Read, "Elasticsearch: ends a point in time", || delete(compat::elastic::free)).elastic(),
    Route::new(Get, "/elastic/_mapping", Read, "Elasticsearch: the fields and their types", || get(compat::elastic::mapping_all)).elastic(),
    Route::new(Get, "/elastic/{index}/_mapping", Read, "Elasticsearch: the fields and their types", || get(compat::elastic::mapping_in)).elastic(),
    Route::new(Get, "/elastic/{index}/_doc/{id}", Read, "Elasticsearch: one event", || get(compat::elastic::document)).elastic(),
    Route::new(Get, "/elastic/{index}", Read, "Elasticsearch: the index", || get(compat::elastic::index)).elastic(),
    Route::new(Get, "/elastic/_cat/indices", Read, "Elasticsearch: the table of indices", || get(compat::elastic::cat_indices)).elastic(),
    Route::new(Get, "/elastic/_cluster/health", Read, "Elasticsearch: whether it is there", || get(compat::elastic::health)).elastic(),
    // Operations
    Route::new(Get, "/api/openapi.json", Open, "This document", || get(openapi::serve)).answers("Anything"),
    Route::new(Get, "/healthz", Open, "The process lives", || get(ops::healthz)),
    Route::new(Get, "/readyz", Open, "It can take events; 503 with reasons if not", || get(ops::readyz)).answers("Ready"),
    Route::new(Get, "/metrics", Open, "Prometheus text", || get(ops::metrics)),
];

pub(crate) fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let state = Gate { app: app.clone(), route };
        router = router.route(route.path, (route.handler)().route_layer(from_fn_with_state(state, gate)));
    }
    router
        .method_not_allowed_fallback(web::wrong_method)
        .fallback(web::page)
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_stands_twice_and_none_but_the_listed_are_open() {
        let mut seen = std::collections::BTreeSet::new();
        for route in ROUTES {
            assert!(seen.insert((route.path, route.verb)), "{}", route.path);
        }
        let open: Vec<&str> = ROUTES.iter().filter(|r| r.access == Open).map(|r| r.path).collect();
        assert_eq!(open, ["/api/v1/login", "/api/v1/token", "/api/openapi.json", "/healthz", "/readyz", "/metrics"]);
    }
}
