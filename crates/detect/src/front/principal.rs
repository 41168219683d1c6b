//! Who really did it: AWS sessions traced back to whoever assumed the first role.
//!
//! A call made with temporary credentials names the role and the session, not the person. The person stands in
//! the `AssumeRole…` event that handed the credentials out, and the person of *that* one may stand in another.
//! A rule that groups by `erne.principal` counts all of them as one: the IAM user, the federated user or the
//! root user at the beginning of the chain. Where the beginning was never seen, `sourceIdentity` says it if the
//! account uses it; else the session itself is the principal.
//!
//! **Order.** CloudTrail delivers a call and the `AssumeRole` before it in any order. Parts whose session is
//! not known yet go on at once under the session, and are remembered for the lateness of their source; when
//! the missing event comes, they are taken back there and given to their principal. A link of a chain may be
//! missing just as well, since sessions are linked, not resolved, when they are stored.
//!
//! **Bounds.** [`SESSIONS_MAX`] sessions, for 36 hours, the longest that AWS gives; [`HELD_MAX`] parts.

use super::kept::{Delta, Kept};
use crate::Keyed;
use compact_str::{CompactString, format_compact};
use event::{Event, Timestamp, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// The group-by name that stands for the resolved principal.
pub(crate) const FIELD: &str = "erne.principal";
/// Most sessions that are known at a time, and how long.
const SESSIONS_MAX: usize = 100_000;
const SESSION_SECS: i64 = 36 * 3_600;
/// Most parts that wait for a session to become known.
const HELD_MAX: usize = 4_096;
/// Longest chain of roles that is followed.
const CHAIN_MAX: usize = 8;
/// Longest key, name or ARN that is kept; real ones are below 2,048 and mostly below 200.
const TEXT_BYTES_MAX: usize = 512;

/// Who made a call, as the call itself says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Unique: an ARN, else the name.
    id: CompactString,
    /// For people: `alice`.
    name: CompactString,
    /// How a session is found again; both empty for somebody who is no session.
    session_key: CompactString,
    session_arn: CompactString,
    /// The session that the call handed out.
    grant: Option<Box<Grant>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Grant {
    key: CompactString,
    arn: CompactString,
}

fn text(value: &Value, path: &str) -> CompactString {
    let text = value.path(path).and_then(Value::as_str).unwrap_or_default();
    if text.len() > TEXT_BYTES_MAX { CompactString::default() } else { text.into() }
}

impl Identity {
    /// Who did it, by the event's own word; `None` if it does not say.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        match event.native.get("userIdentity") {
            Some(identity) if event.log_source.service == "cloudtrail" => Self::of_cloudtrail(event, identity),
            _ => {
                let id = event.ocsf.user_uid.clone().or_else(|| event.ocsf.user_name.clone())?;
                let name = event.ocsf.user_name.clone().unwrap_or_else(|| id.clone());
                (!id.is_empty() && id.len() <= TEXT_BYTES_MAX).then(|| Self::plain(id, name))
            }
        }
    }

    fn plain(id: CompactString, name: CompactString) -> Self {
        Self { id, name, session_key: "".into(), session_arn: "".into(), grant: None }
    }

    fn of_cloudtrail(event: &Event, identity: &Value) -> Option<Self> {
        let name = event.ocsf.user_name.clone().filter(|name| name.len() <= TEXT_BYTES_MAX).unwrap_or_default();
        let arn = text(identity, "arn");
        let id = [&arn, &text(identity, "principalId"), &name].into_iter().find(|id| !id.is_empty())?.clone();
        let mut who = Self::plain(id, if name.is_empty() { arn.clone() } else { name });
        match &*text(identity, "type") {
            "AssumedRole" | "FederatedUser" => {
                let key = text(identity, "accessKeyId");
                // Everybody of a role shares its name: the session's tells them apart.
                let tail = arn.split_once('/').map(|(_, tail)| CompactString::from(tail)).unwrap_or_default();
                let source = text(identity, "sessionContext.sourceIdentity");
                if !source.is_empty() {
                    who.id = format_compact!("sourceIdentity:{source}");
                    who.name = source;
                } else if !tail.is_empty() {
                    who.name = tail;
                }
                (who.session_key, who.session_arn) = (key, arn);
            }
            _ => {}
        }
        who.grant = Grant::of(event).map(Box::new);
        Some(who)
    }

    pub(crate) fn id(&self) -> &CompactString {
        &self.id
    }

    fn is_session(&self) -> bool {
        !self.session_key.is_empty() || !self.session_arn.is_empty()
    }
}

/// Whether the event hands out a session to somebody: what the resolver must see.
pub(crate) fn grants(event: &Event) -> bool {
    event.log_source.service == "cloudtrail" && Grant::of(event).is_some()
}

impl Grant {
    fn of(event: &Event) -> Option<Self> {
        let operation = event.ocsf.api_operation.as_deref()?;
        let known = ["AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot", "GetFederationToken"];
        let is_service = event.ocsf.user_type.as_deref() == Some("AWSService");
        // A service that assumes a role for itself (an instance, a function) is nobody's doing.
        if !known.contains(&operation) || event.ocsf.api_service.as_deref() != Some("sts.amazonaws.com") || is_service {
            return None;
        }
        let answer = event.native.get("responseElements")?;
        let key = text(answer, "credentials.accessKeyId");
        let arn = [text(answer, "assumedRoleUser.arn"), text(answer, "federatedUser.arn")].into_iter().find(|arn| !arn.is_empty());
        let arn = arn.unwrap_or_default();
        (!key.is_empty() || !arn.is_empty()).then_some(Self { key, arn })
    }
}

/// A session that is known, and who asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    by: Identity,
    /// Different principals were given a session of this name: it says nothing.
    ambiguous: bool,
}

/// A part that went on under its session because more was not known.
#[derive(Clone, Serialize, Deserialize)]
struct Held {
    part: Keyed,
    /// The rule and its text's hash: the part's number is another after a restart with other rules.
    rule: Vec<u8>,
    /// Under which principal.
    id: CompactString,
}

pub(super) struct Resolver {
    sessions: Kept<Session>,
    held: Kept<Held>,
    /// For which session parts wait: its key or name, and the parts' places in `held`. Follows from `held`.
    waiting: HashMap<Vec<u8>, BTreeSet<Vec<u8>>>,
}

/// A part that changes hands.
pub(super) struct Moved {
    pub part: Keyed,
    pub rule: Vec<u8>,
    /// Whom it was given to.
    pub before: CompactString,
    /// Id and name of whose it is.
    pub now: (CompactString, CompactString),
}

fn by_key(key: &str) -> Vec<u8> {
    [b"k", key.as_bytes()].concat()
}

fn by_arn(arn: &str) -> Vec<u8> {
    [b"a", arn.as_bytes()].concat()
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self {
            sessions: Kept::new(b"session\0", SESSIONS_MAX),
            held: Kept::new(b"held\0", HELD_MAX),
            waiting: HashMap::new(),
        }
    }

    /// The beginning of the chain of sessions, and whether it is known to be one.
    fn resolve<'a>(&'a self, who: &'a Identity) -> (&'a Identity, bool) {
        let mut who = who;
        for _ in 0..CHAIN_MAX {
            if !who.is_session() {
                return (who, true);
            }
            match self.granted(who) {
                Some(by) => who = by,
                None => return (who, false),
            }
        }
        (who, false)
    }

    /// Who asked for this one's session. The key is unique; a session of the same name is as good where all
    /// sessions of that name are one principal's (the console gives its sessions keys of their own).
    fn granted(&self, who: &Identity) -> Option<&Identity> {
        let found = |key: Vec<u8>| self.sessions.get(&key).filter(|session| !session.ambiguous).map(|session| &session.by);
        let by = match who.session_key.is_empty() {
            true => None,
            false => found(by_key(&who.session_key)),
        };
        by.or_else(|| if who.session_arn.is_empty() { None } else { found(by_arn(&who.session_arn)) })
    }

    /// Stores the session that the part's event handed out, and returns the parts that waited for it.
    pub(super) fn learn(&mut self, part: &Keyed) -> Vec<Moved> {
        let Some(identity) = &part.identity else { return Vec::new() };
        let Some(grant) = &identity.grant else { return Vec::new() };
        let by = Identity { grant: None, ..(**identity).clone() };
        let root = self.resolve(&by).0.id.clone();
        if !grant.key.is_empty() {
            let session = Session { by: by.clone(), ambiguous: false };
            self.sessions.change(&by_key(&grant.key), part.received, || session.clone(), |known| *known = session.clone());
        }
        // A session that goes on under its own name would lead back to itself.
        if !grant.arn.is_empty() && grant.arn != by.session_arn {
            let key = by_arn(&grant.arn);
            let other = self.sessions.get(&key).is_some_and(|known| self.resolve(&known.by).0.id != root);
            let new = || Session { by: by.clone(), ambiguous: false };
            self.sessions.change(&key, part.received, new, |known| {
                known.ambiguous |= other;
                known.by = by.clone();
            });
        }
        self.reconsider(grant)
    }

    /// The principal of a part; the part is remembered if that may still change.
    pub(super) fn pass(&mut self, rule: &[u8], part: &Keyed) -> Option<(CompactString, CompactString)> {
        let (who, known) = self.resolve(part.identity.as_deref()?);
        let found = (who.id.clone(), who.name.clone());
        if !known {
            let missing = who.clone();
            self.hold(held_key(rule, part), part.clone(), rule.to_vec(), &missing);
        }
        Some(found)
    }

    fn hold(&mut self, key: Vec<u8>, part: Keyed, rule: Vec<u8>, missing: &Identity) {
        self.wait_for(missing, &key);
        let (received, held) = (part.received, Held { part, rule, id: missing.id.clone() });
        self.held.change(&key, received, || held.clone(), |known| *known = held.clone());
    }

    fn wait_for(&mut self, missing: &Identity, key: &[u8]) {
        for session in [by_key(&missing.session_key), by_arn(&missing.session_arn)].into_iter().filter(|name| name.len() > 1) {
            self.waiting.entry(session).or_default().insert(key.to_vec());
        }
        // Parts that are held no longer leave their names behind.
        if self.waiting.len() > 4 * HELD_MAX {
            let held = &self.held;
            self.waiting.retain(|_, keys| {
                keys.retain(|key| held.get(key).is_some());
                !keys.is_empty()
            });
        }
    }

    fn reconsider(&mut self, grant: &Grant) -> Vec<Moved> {
        let names = [by_key(&grant.key), by_arn(&grant.arn)];
        // In log order, whatever the map's.
        let keys: BTreeSet<Vec<u8>> = names.iter().filter_map(|name| self.waiting.remove(name)).flatten().collect();
        let mut moved = Vec::new();
        for key in keys {
            let Some(Held { part, rule, id }) = self.held.remove(&key) else { continue };
            let Some(identity) = part.identity.clone() else { continue };
            let (who, known) = self.resolve(&identity);
            let (who, now) = (who.clone(), (who.id.clone(), who.name.clone()));
            if !known {
                self.hold(key, part.clone(), rule.clone(), &who);
            }
            if now.0 != id {
                moved.push(Moved { part, rule, before: id, now });
            }
        }
        moved
    }

    /// `lateness_secs`: how long parts wait.
    pub(super) fn expire(&mut self, now: Timestamp, lateness_secs: i64) {
        self.sessions.expire(now.plus_secs(-SESSION_SECS));
        self.held.expire(now.plus_secs(-lateness_secs));
    }

    pub(super) fn write(&mut self, delta: &mut Delta) {
        self.sessions.write(delta);
        self.held.write(delta);
    }

    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.sessions.restore(key, value) || self.held.restore(key, value)
    }

    pub(super) fn restored(&mut self) {
        self.sessions.restored();
        self.held.restored();
        let missing = |(key, held): (&Vec<u8>, &Held)| {
            let (who, _) = self.resolve(held.part.identity.as_deref()?);
            Some((key.clone(), who.clone()))
        };
        for (key, who) in self.held.iter().filter_map(missing).collect::<Vec<_>>() {
            self.wait_for(&who, &key);
        }
    }
}

/// By position in the log, so that the order of keys is the log's.
fn held_key(rule: &[u8], part: &Keyed) -> Vec<u8> {
    let mut key = part.position.offset.to_be_bytes().to_vec();
    key.extend(part.position.index.to_be_bytes());
    key.extend(part.part.to_be_bytes());
    key.extend(rule);
    key
}
