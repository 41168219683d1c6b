use engine::control::Role;

/// What an API key may do. `admin` includes the others, `read` includes `bouncer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    pub ingest: bool,
    pub read: bool,
    pub inspect: bool,
    pub admin: bool,
    /// Bans and undoes bans.
    pub answer: bool,
    /// Reads who is kept out, and nothing else.
    pub bouncer: bool,
}

impl Scopes {
    pub const NAMES: [&'static str; 6] = ["ingest", "read", "inspect", "admin", "answer", "bouncer"];

    pub fn of<S: AsRef<str>>(names: &[S]) -> Self {
        let has = |name: &str| names.iter().any(|n| n.as_ref() == name);
        let admin = has("admin");
        Self {
            ingest: admin || has("ingest"),
            read: admin || has("read"),
            inspect: admin || has("inspect"),
            admin,
            answer: admin || has("answer"),
            bouncer: admin || has("read") || has("bouncer"),
        }
    }
}

/// How a person proved who they are.
#[derive(Clone, Debug)]
pub enum Via {
    Cookie { token_hash: String, csrf: String },
    /// A JWT, by its claims' end and fingerprint: what a long-lived socket checks again.
    Token { fingerprint: String, expires_secs: i64 },
}

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// No credentials: only open routes.
    Anonymous,
    /// A process on this machine without credentials, where that is allowed.
    Local,
    User { name: String, role: Role, via: Via },
    Key { id: String, name: String, hash: String, scopes: Scopes },
    /// A web agent, by its signature.
    Agent { id: String, name: String },
}

impl Caller {
    /// For logs and the audit trail.
    pub fn label(&self) -> String {
        match self {
            Self::Anonymous => String::new(),
            Self::Local => "local".into(),
            Self::User { name, .. } => name.clone(),
            Self::Key { id, .. } => format!("key:{id}"),
            Self::Agent { id, .. } => format!("agent:{id}"),
        }
    }

    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: no credentials are looked at.
    Open,
    /// Senders: a key with scope `ingest`, or an analyst.
    Ingest,
    /// As `Ingest`; also without credentials from this machine while `ingest_open_on_loopback` is set.
    IngestLocal,
    /// A viewer, or a key with scope `read`.
    Read,
    /// An analyst, or a key with scope `read`: reading that costs, such as SQL.
    Ask,
    /// An analyst, or a key with scope `admin`.
    Triage,
    /// An analyst, or a key with scope `answer`: keeping addresses out.
    Ban,
    /// A viewer, or a key with scope `bouncer`: who is kept out.
    Bouncer,
    /// An admin, or a key with scope `admin`.
    Manage,
    /// A person about themselves; keys cannot.
    Person,
    /// An agent by its signature, a key with scope `inspect`, or an analyst: whoever asks for a verdict.
    Inspect,
    /// A proxy: a key with scope `inspect`; also without one from this machine while `hooks_open_on_loopback` is set.
    Hook,
    /// An agent by its signature, and nobody else.
    Agent,
}

impl Access {
    pub fn allows(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Open, _) | (Self::IngestLocal | Self::Hook, Caller::Local) => true,
            (Self::Inspect | Self::Agent, Caller::Agent { .. }) => true,
            (_, Caller::Anonymous | Caller::Local | Caller::Agent { .. }) | (Self::Agent, _) => false,
            (_, Caller::User { role, .. }) => *role >= self.role_min(),
            (_, Caller::Key { scopes, .. }) => self.scope_ok(*scopes),
        }
    }

    /// The least role that may call; for `Agent` none does.
    pub fn role_min(self) -> Role {
        match self {
            Self::Open | Self::Read | Self::Person | Self::Bouncer => Role::Viewer,
            Self::Ingest | Self::IngestLocal | Self::Ask | Self::Triage | Self::Inspect | Self::Hook | Self::Ban => Role::Analyst,
            Self::Manage | Self::Agent => Role::Admin,
        }
    }

    /// The scope that a key needs; `None`: no key may.
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::Open | Self::Person | Self::Agent => None,
            Self::Ingest | Self::IngestLocal => Some("ingest"),
            Self::Read | Self::Ask => Some("read"),
            Self::Inspect | Self::Hook => Some("inspect"),
            Self::Triage | Self::Manage => Some("admin"),
            Self::Ban => Some("answer"),
            Self::Bouncer => Some("bouncer"),
        }
    }

    fn scope_ok(self, scopes: Scopes) -> bool {
        match self.scope() {
            Some("ingest") => scopes.ingest,
            Some("read") => scopes.read,
            Some("inspect") => scopes.inspect,
            Some("admin") => scopes.admin,
            Some("answer") => scopes.answer,
            Some("bouncer") => scopes.bouncer,
            _ => false,
        }
    }
}
