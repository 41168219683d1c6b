//! The gate before every route: who calls, may they, and are the query's parameters ones the route knows.
use super::{Access, Caller, SESSION_COOKIE, Scopes, Via, origin, same_origin, sha256_hex, shape_ok, token};
use crate::app::App;
use crate::gateway;
use crate::observe::Template;
use crate::problem::Problem;
use crate::routes::Route;
use crate::schema::Credentials;
use crate::server::Peer;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use http::request::Parts;
use http::{HeaderMap, Method, Uri, header};
use subtle::ConstantTimeEq;

#[derive(Clone)]
pub struct Gate {
    pub app: App,
    pub route: &'static Route,
}

pub async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    // A body cannot be shared between threads, so that no reference to it may live over an await.
    let (mut head, body) = request.into_parts();
    let signed = matches!(gate.route.access, Access::Inspect | Access::Agent) && gateway::credential(&head).is_some();
    let result = if signed { admit_agent(&gate, &mut head, body).await } else { admit(&gate, &head).await.map(|caller| (caller, body)) };
    let mut response = match result {
        Ok((caller, body)) => {
            head.extensions.insert(caller.clone());
            let mut response = next.run(Request::from_parts(head, body)).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(Template(gate.route.path));
    response
}

/// As `admit`, for an agent: its signature is over the body, which is read for it.
async fn admit_agent(gate: &Gate, head: &mut Parts, body: Body) -> Result<(Caller, Body), Problem> {
    let (caller, body, held) = gateway::agent(&gate.app, head, body).await?;
    head.extensions.insert(held);
    check_params(gate, head)?;
    Ok((caller, body))
}

async fn admit(gate: &Gate, head: &Parts) -> Result<Caller, Problem> {
    let route = gate.route;
    let peer = head.extensions.get::<Peer>().copied();
    let asked = Asked { app: &gate.app, method: &head.method, uri: &head.uri, headers: &head.headers, peer, socket: route.socket };
    let caller = if route.access == Access::Open { Caller::Anonymous } else { asked.caller(route.access).await? };
    if !route.access.allows(&caller) {
        return Err(refuse(&gate.app, route.access, &caller));
    }
    if let (Caller::User { name, role, .. }, Some(peer)) = (&caller, peer) {
        // Whoever administers the platform is never locked out of it.
        gate.app.platform.note_admin(crate::v1::bans::asker(peer, &head.headers), name, *role).await;
    }
    check_params(gate, head)?;
    Ok(caller)
}

fn check_params(gate: &Gate, head: &Parts) -> Result<(), Problem> {
    if gate.route.own_params { Ok(()) } else { crate::params::check(head.uri.query(), gate.route) }
}

fn refuse(app: &App, access: Access, caller: &Caller) -> Problem {
    if caller.is_anonymous() && matches!(access, Access::Agent) {
        app.metrics.auth_failed("missing");
        return Problem::unauthorized("this is for web agents: sign the request with `Authorization: ERNE-HMAC-SHA256 …`");
    }
    if caller.is_anonymous() {
        app.metrics.auth_failed("missing");
        return Problem::unauthorized("log in, or send an API key or token as `Authorization: Bearer …`");
    }
    app.metrics.auth_failed("forbidden");
    Problem::forbidden(match (caller, access.scope()) {
        _ if access == Access::Agent => "this is for web agents, which sign their requests".to_owned(),
        (Caller::Key { .. }, Some(scope)) => format!("the key lacks the scope `{scope}`"),
        (Caller::Key { .. }, None) => "this is for people: log in instead of sending a key".to_owned(),
        _ => format!("this needs the role {}", access.role_min().as_str()),
    })
}

enum Credential {
    /// A key or a token.
    Bearer(String),
    Password(Credentials),
    /// Of a web agent, as the reference product's agents send it.
    AgentSecret(String),
}

/// A request, as far as it says who calls.
struct Asked<'a> {
    app: &'a App,
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    peer: Option<Peer>,
    socket: bool,
}

impl Asked<'_> {
    /// Credentials that are present and wrong are refused, never ignored.
    async fn caller(&self, access: Access) -> Result<Caller, Problem> {
        if access == Access::Hook {
            return self.proxy().await;
        }
        match self.credential()? {
            Some(Credential::Bearer(credential)) => return bearer(self.app, &credential).await,
            Some(Credential::Password(credentials)) => return self.password(&credentials).await,
            Some(Credential::AgentSecret(secret)) => return self.agent(&secret),
            None => {}
        }
        if let Some(token) = cookie(self.headers, SESSION_COOKIE) {
            return self.session(token).await;
        }
        if access == Access::IngestLocal && self.is_local() {
            return Ok(Caller::Local);
        }
        Ok(Caller::Anonymous)
    }

    /// A proxy that asks with the headers of its client: only what is a key of ours counts, and no cookie.
    async fn proxy(&self) -> Result<Caller, Problem> {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let sent = text("authorization").and_then(|value| value.strip_prefix("Bearer ")).filter(|key| key.starts_with("erne_"));
        if let Some(sent) = text("x-api-key").or(sent) {
            return bearer(self.app, sent).await;
        }
        let loopback = self.peer.is_some_and(|p| p.0.ip().to_canonical().is_loopback());
        if self.app.config.hooks_open_on_loopback && loopback {
            return Ok(Caller::Local);
        }
        // People try a hook by hand.
        let token = text("authorization").and_then(|value| value.strip_prefix("Bearer ")).filter(|token| token.matches('.').count() == 2);
        match token {
            Some(token) => jwt(self.app, token).await,
            None => Ok(Caller::Anonymous),
        }
    }

    fn agent(&self, secret: &str) -> Result<Caller, Problem> {
        let copy = self.app.gateway.directory.current();
        let agent = copy.by_secret(secret).ok_or_else(|| self.bad("agent_secret"))?;
        Ok(Caller::Agent { id: agent.row.id.clone(), name: agent.row.name.clone() })
    }

    /// The key or token of `Authorization`, `X-API-Key`, or of a socket's `?token=` (a browser cannot set
    /// headers on a WebSocket).
    fn credential(&self) -> Result<Option<Credential>, Problem> {
        let text = |value: &http::HeaderValue| value.to_str().map(str::to_owned).map_err(|_| self.bad("malformed"));
        if let Some(value) = self.headers.get(header::AUTHORIZATION) {
            let value = text(value)?;
            let (scheme, credential) = value.split_once(' ').unwrap_or((&value, ""));
            return self.of_scheme(&scheme.to_ascii_lowercase(), credential.trim()).map(Some);
        }
        if let Some(value) = self.headers.get("x-api-key") {
            return text(value).map(|key| Some(Credential::Bearer(key)));
        }
        let query = self.uri.query().filter(|_| self.socket).unwrap_or_default();
        let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
        Ok(token.map(|(_, value)| Credential::Bearer(value.into_owned())))
    }

    /// Everywhere `Bearer`; where the clients of other products call, what these send: a key as `ApiKey`, bare or as
    /// Base64 of `id:key`, and `Basic` with a key or with user and password.
    fn of_scheme(&self, scheme: &str, credential: &str) -> Result<Credential, Problem> {
        let foreign = self.uri.path().starts_with("/elastic");
        let whale = self.app.config.whale_basic && self.uri.path().starts_with(crate::compat::whale::PATH);
        match scheme {
            "basic" if whale => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(credential).ok().and_then(|b| String::from_utf8(b).ok());
                let secret = decoded.and_then(|text| text.split_once(':').map(|(_, secret)| secret.to_owned()));
                secret.map(Credential::AgentSecret).ok_or_else(|| self.bad("malformed"))
            }
            "bearer" => Ok(Credential::Bearer(credential.to_owned())),
            "apikey" if foreign && credential.starts_with("erne_") => Ok(Credential::Bearer(credential.to_owned())),
            "apikey" | "basic" if foreign => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(credential).ok().and_then(|b| String::from_utf8(b).ok());
                let decoded = decoded.ok_or_else(|| self.bad("malformed"))?;
                let (user, secret) = decoded.split_once(':').ok_or_else(|| self.bad("malformed"))?;
                if scheme == "apikey" || secret.starts_with("erne_") {
                    return Ok(Credential::Bearer(secret.to_owned()));
                }
                Ok(Credential::Password(Credentials { user: user.to_owned(), password: secret.to_owned() }))
            }
            _ => Err(self.bad("scheme")),
        }
    }

    /// A user by the password itself, which costs as much as a login and is throttled like one.
    async fn password(&self, credentials: &Credentials) -> Result<Caller, Problem> {
        let peer = self.peer.ok_or_else(|| self.bad("scheme"))?;
        let user = crate::v1::account::authenticate(self.app, peer, credentials).await?;
        let via = Via::Token { fingerprint: token::fingerprint(&user), expires_secs: self.app.now().secs() };
        Ok(Caller::User { name: user.name, role: user.role, via })
    }

    fn bad(&self, reason: &'static str) -> Problem {
        invalid(self.app, reason)
    }

    async fn session(&self, token: &str) -> Result<Caller, Problem> {
        let app = self.app;
        let token_hash = sha256_hex(token);
        let found = app.control().session(&token_hash, app.now()).await?;
        let Some((session, user)) = found else { return Err(invalid(app, "session")) };
        let origin = same_origin(self.headers, self.uri, &app.config.allowed_origins);
        let changes = !matches!(*self.method, Method::GET | Method::HEAD | Method::OPTIONS);
        if origin == Some(false) && (changes || self.socket) {
            app.metrics.auth_failed("origin");
            return Err(Problem::forbidden("the page's origin is not ours; add it to allowed_origins if it should be"));
        }
        if self.socket && origin.is_none() {
            app.metrics.auth_failed("origin");
            return Err(Problem::forbidden("a WebSocket with a cookie needs an Origin header; programs send a token instead"));
        }
        if changes && !self.csrf_ok(&session.csrf) {
            app.metrics.auth_failed("csrf");
            return Err(Problem::forbidden("the X-CSRF-Token header is missing or wrong; GET /api/v1/me tells it"));
        }
        let via = Via::Cookie { token_hash, csrf: session.csrf };
        Ok(Caller::User { name: user.name, role: user.role, via })
    }

    fn csrf_ok(&self, wanted: &str) -> bool {
        let sent = self.headers.get("x-csrf-token").map_or(&b""[..], |v| v.as_bytes());
        !wanted.is_empty() && sent.ct_eq(wanted.as_bytes()).into()
    }

    /// A process on this machine that asks for it by a loopback name. Pages in a browser are kept out by
    /// their origin, those of a rebound domain by the name they ask for, proxied strangers by the proxy's headers.
    fn is_local(&self) -> bool {
        let loopback = self.peer.is_some_and(|p| p.0.ip().to_canonical().is_loopback());
        let origin = same_origin(self.headers, self.uri, &self.app.config.allowed_origins);
        self.app.config.ingest_open_on_loopback && loopback && origin != Some(false) && origin::asks_loopback(self.headers, self.uri)
    }
}

fn invalid(app: &App, reason: &'static str) -> Problem {
    app.metrics.auth_failed(reason);
    Problem::unauthorized("the session, token or key is not valid, or has ended")
}

async fn bearer(app: &App, credential: &str) -> Result<Caller, Problem> {
    if credential.starts_with("erne_") { key(app, credential).await } else { jwt(app, credential).await }
}

async fn key(app: &App, credential: &str) -> Result<Caller, Problem> {
    if !shape_ok(credential) {
        return Err(invalid(app, "key"));
    }
    let hash = sha256_hex(credential);
    let directory = app.directory.current(app.control()).await?;
    let Some(key) = directory.key(&hash).cloned() else { return Err(invalid(app, "key")) };
    if app.directory.use_is_due(&key, app.now()) {
        let (app, key) = (app.clone(), key.clone());
        tokio::spawn(async move {
            if let Err(error) = app.control().touch_key(&key, app.now()).await {
                tracing::warn!(%error, "the use of a key cannot be noted");
            }
        });
    }
    Ok(Caller::Key { id: key.id.clone(), name: key.name.clone(), hash, scopes: Scopes::of(&key.scopes) })
}

async fn jwt(app: &App, credential: &str) -> Result<Caller, Problem> {
    let Some(claims) = app.tokens.check(credential, app.now()) else { return Err(invalid(app, "token")) };
    let directory = app.directory.current(app.control()).await?;
    let Some(user) = directory.user(&claims.sub) else { return Err(invalid(app, "token_user")) };
    if token::fingerprint(user) != claims.ver {
        return Err(invalid(app, "token_revoked"));
    }
    let via = Via::Token { fingerprint: claims.ver, expires_secs: claims.exp };
    Ok(Caller::User { name: user.name.clone(), role: user.role, via })
}

/// Whether the caller of a long-lived socket would still be let in. A failing control plane is no reason to
/// cut everybody off.
pub async fn still_valid(app: &App, caller: &Caller, access: Access) -> bool {
    match caller {
        Caller::User { via: Via::Cookie { token_hash, .. }, .. } => match app.control().session(token_hash, app.now()).await {
            Ok(None) => false,
            Ok(Some((_, user))) => user.role >= access.role_min(),
            Err(_) => true,
        },
        Caller::User { name, via: Via::Token { fingerprint, expires_secs }, .. } => match app.directory.current(app.control()).await {
            Ok(copy) => *expires_secs > app.now().secs() && copy.user(name).is_some_and(|u| token::fingerprint(u) == *fingerprint),
            Err(_) => true,
        },
        Caller::Key { hash, .. } => match app.directory.current(app.control()).await {
            Ok(copy) => copy.key(hash).is_some(),
            Err(_) => true,
        },
        Caller::Anonymous | Caller::Local | Caller::Agent { .. } => true,
    }
}

/// The cookie's value; of several with the name, the first.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty())
        .map(|(_, value)| value)
}
