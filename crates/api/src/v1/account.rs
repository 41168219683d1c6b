//! Login, logout, tokens, the own password.
use crate::app::App;
use crate::auth::{self, Caller, SESSION_COOKIE, Via, password_ok, same_origin, sha256_hex};
use crate::body;
use crate::problem::Problem;
use crate::schema::{AccessToken, Credentials, LoggedIn, Me, PasswordChange, Person};
use crate::server::Peer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use engine::control::{Session, User};
use http::{HeaderMap, StatusCode, Uri, header};

/// The user of right credentials. Wrong user and wrong password answer alike and take as long.
pub(crate) async fn authenticate(app: &App, peer: Peer, credentials: &Credentials) -> Result<User, Problem> {
    let (address, name) = (peer.0.ip(), credentials.user.as_str());
    if let Err(secs) = app.throttle.check(address, name, app.now()) {
        app.metrics.auth_failed("throttled");
        return Err(Problem::busy(format!("too many failed logins; try again in {secs} s"), secs));
    }
    let user = app.control().user(name).await?;
    let hash = user.as_ref().map(|u| u.password_hash.as_str());
    let right = app.passwords.verify(&credentials.password, hash).await.map_err(|_| {
        app.metrics.shed("logins");
        Problem::busy("too many logins at once; try again", 1)
    })?;
    match user.filter(|_| right) {
        Some(user) => {
            app.throttle.succeeded(address, name);
            Ok(user)
        }
        None => {
            app.throttle.failed(address, name, app.now());
            app.metrics.auth_failed("password");
            tracing::warn!(peer = %peer.0, user = %crate::observe::inert(name), "login failed");
            Err(Problem::unauthorized("user or password is wrong"))
        }
    }
}

fn refuse_foreign(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
    if same_origin(headers, uri, &app.config.allowed_origins) == Some(false) {
        app.metrics.auth_failed("origin");
        return Err(Problem::forbidden("the page's origin is not ours"));
    }
    Ok(())
}

pub async fn login(State(app): State<App>, Extension(peer): Extension<Peer>, headers: HeaderMap, uri: Uri, body::Json(credentials): body::Json<Credentials>) -> Result<Response, Problem> {
    refuse_foreign(&app, &headers, &uri)?;
    let user = authenticate(&app, peer, &credentials).await?;
    // A session that the browser had is over: nothing planted before the login survives it.
    if let Some(old) = auth::cookie(&headers, SESSION_COOKIE) {
        app.control().delete_session(&sha256_hex(old)).await?;
    }
    let token = auth::hex(&auth::random::<32>());
    let csrf = auth::hex(&auth::random::<32>());
    let expires = app.now().plus_secs(i64::from(app.config.session_hours) * 3600);
    let session = Session { token_hash: sha256_hex(&token), user: user.name.clone(), csrf: csrf.clone(), expires };
    app.control().put_session(&session).await?;
    app.audit(&user.name, "login", &user.name, &peer.0.ip().to_string()).await;
    let answer = LoggedIn { user: Person { name: user.name, role: user.role.as_str().into() }, csrf };
    let cookie = set_cookie(&app, &token, i64::from(app.config.session_hours) * 3600);
    Ok(([(header::SET_COOKIE, cookie)], Json(answer)).into_response())
}

fn set_cookie(app: &App, token: &str, age_secs: i64) -> String {
    let secure = if app.config.cookie_secure { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_secs}{secure}")
}

pub async fn logout(State(app): State<App>, Extension(caller): Extension<Caller>) -> Result<Response, Problem> {
    let Caller::User { name, via: Via::Cookie { token_hash, .. }, .. } = &caller else {
        return Err(Problem::bad_request("there is no session to end; a token ends by itself, or when the password changes"));
    };
    app.control().delete_session(token_hash).await?;
    app.audit(name, "logout", name, "").await;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(&app, "", 0))]).into_response())
}

pub async fn token(State(app): State<App>, Extension(peer): Extension<Peer>, headers: HeaderMap, uri: Uri, body::Json(credentials): body::Json<Credentials>) -> Result<Json<AccessToken>, Problem> {
    refuse_foreign(&app, &headers, &uri)?;
    let user = authenticate(&app, peer, &credentials).await?;
    let access_token = app.tokens.issue(&user, app.now()).ok_or_else(|| Problem::unavailable("no token can be made"))?;
    app.audit(&user.name, "token.issue", &user.name, &peer.0.ip().to_string()).await;
    Ok(Json(AccessToken { access_token, token_type: "Bearer", expires_in: app.tokens.valid_secs }))
}

pub async fn me(Extension(caller): Extension<Caller>) -> Result<Json<Me>, Problem> {
    match caller {
        Caller::User { name, role, via } => {
            let csrf = if let Via::Cookie { csrf, .. } = via { Some(csrf) } else { None };
            Ok(Json(Me { name, role: role.as_str().into(), csrf }))
        }
        Caller::Key { name, scopes, .. } => Ok(Json(Me { name, role: if scopes.admin { "admin" } else { "viewer" }.into(), csrf: None })),
        Caller::Anonymous | Caller::Local | Caller::Agent { .. } => Err(Problem::unauthorized("log in first")),
    }
}

pub async fn password(State(app): State<App>, Extension(caller): Extension<Caller>, Extension(peer): Extension<Peer>, body::Json(change): body::Json<PasswordChange>) -> Result<StatusCode, Problem> {
    let Caller::User { name, via, .. } = caller else { return Err(Problem::forbidden("this is for people")) };
    password_ok(&change.new).map_err(Problem::bad_request)?;
    let credentials = Credentials { user: name.clone(), password: change.current };
    let mut user = match authenticate(&app, peer, &credentials).await {
        // The session is good; only the password is not.
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => return Err(Problem::forbidden("the current password is wrong")),
        other => other?,
    };
    user.password_hash = hash(&app, &change.new).await?;
    app.control().put_user(&user).await?;
    app.directory.changed();
    end_other_sessions(&app, &name, &via).await?;
    app.audit(&name, "user.password", &name, "").await;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn hash(app: &App, password: &str) -> Result<String, Problem> {
    let hashed = app.passwords.hash(password).await.map_err(|_| Problem::busy("too many logins at once; try again", 1))?;
    hashed.map_err(|error| {
        tracing::error!(error, "a password cannot be hashed");
        Problem::unavailable("the password cannot be hashed")
    })
}

async fn end_other_sessions(app: &App, name: &str, via: &Via) -> Result<(), Problem> {
    let kept = match via {
        Via::Cookie { token_hash, .. } => app.control().session(token_hash, app.now()).await?.map(|(session, _)| session),
        Via::Token { .. } => None,
    };
    app.control().delete_sessions_of(name).await?;
    if let Some(session) = kept {
        app.control().put_session(&session).await?;
    }
    Ok(())
}
