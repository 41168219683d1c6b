use engine::control::Role;

/// What an API key may do. `admin` includes the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    pub ingest: bool,
    pub read: bool,
    pub admin: bool,
}

impl Scopes {
    pub const NAMES: [&'static str; 3] = ["ingest", "read", "admin"];

    pub fn of<S: AsRef<str>>(names: &[S]) -> Self {
        let has = |name: &str| names.iter().any(|n| n.as_ref() == name);
        let admin = has("admin");
        Self { ingest: admin || has("ingest"), read: admin || has("read"), admin }
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
}

impl Caller {
    /// For logs and the audit trail.
    pub fn label(&self) -> String {
        match self {
            Self::Anonymous => String::new(),
            Self::Local => "local".into(),
            Self::User { name, .. } => name.clone(),
            Self::Key { id, .. } => format!("key:{id}"),
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
    /// An admin, or a key with scope `admin`.
    Manage,
    /// A person about themselves; keys cannot.
    Person,
}

impl Access {
    pub fn allows(self, caller: &Caller) -> bool {
        match (self, caller) {
            (Self::Open, _) | (Self::IngestLocal, Caller::Local) => true,
            (_, Caller::Anonymous | Caller::Local) => false,
            (_, Caller::User { role, .. }) => *role >= self.role_min(),
            (_, Caller::Key { scopes, .. }) => self.scope_ok(*scopes),
        }
    }

    /// The least role that may call.
    pub fn role_min(self) -> Role {
        match self {
            Self::Open | Self::Read | Self::Person => Role::Viewer,
            Self::Ingest | Self::IngestLocal | Self::Ask | Self::Triage => Role::Analyst,
            Self::Manage => Role::Admin,
        }
    }

    /// The scope that a key needs; `None`: no key may.
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::Open | Self::Person => None,
            Self::Ingest | Self::IngestLocal => Some("ingest"),
            Self::Read | Self::Ask => Some("read"),
            Self::Triage | Self::Manage => Some("admin"),
        }
    }

    fn scope_ok(self, scopes: Scopes) -> bool {
        match self.scope() {
            Some("ingest") => scopes.ingest,
            Some("read") => scopes.read,
            Some("admin") => scopes.admin,
            _ => false,
        }
    }
}
