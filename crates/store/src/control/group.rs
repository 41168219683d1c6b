//! Which alerts and signals belong together. A [`Group`] is one or more of them; once it has earned it, the
//! group is an incident.
//!
//! - **Who**: an alert joins the group of its entity. Through a user or address that it merely names it joins
//!   too, if few others are seen with that user or address ([`Links`]): `alice` from an address that only she
//!   and a colleague use is the same story, `alice` behind a proxy of hundreds is not.
//! - **When**: within a day of the group's last finding, the whole not longer than seven days.
//! - **What makes it an incident** ([`Group::has_earned_it`]): a lone alert of level high or above; two
//!   different rules, at least one of which is no signal, or which are about different tactics; or an entity
//!   whose risk score has reached `INCIDENT_RISK`.
//!
//! An alert that connects several groups joins them into one, unless two of them are incidents already. The id
//! is a hash of the first alert's id, and nothing here asks for the time: a replay makes the same incidents.

use super::risk::INCIDENT_RISK;
use super::sql::storable;
use event::{
    Alert, AlertState, Entity, EntityKind, Id, Incident, Rule, Severity, StateChange, TACTICS, Timestamp, tactic_place,
    tactics_in_order,
};
use serde::{Deserialize, Serialize};

/// How long after its last finding a group takes another alert, and how long it is at most.
pub const WINDOW_SECS: i64 = 86_400;
pub const SPAN_SECS_MAX: i64 = 7 * 86_400;
/// Others seen with a user or an address within the window, up to which the link says something.
pub const LINK_PARTNERS_MAX: usize = 3;
/// Tactics that follow each other and make an incident one level worse.
const PROGRESS_TACTICS: usize = 3;
/// Alerts of a group that are held one by one; the further ones are held as sums.
pub const MEMBERS_MAX: usize = 64;
/// Different rules of a group whose tactics count.
const RULES_MAX: usize = 64;
/// Users, addresses and other entities by which alerts find a group.
const KEYS_MAX: usize = 32;
/// Users and addresses that its title and search know.
const NAMES_MAX: usize = 8;
/// Changes of state that an incident remembers, the newest ones.
const HISTORY_MAX: usize = 200;
/// Who is named when an incident opens or closes by itself.
pub const ACTOR: &str = "erne";

/// What a rule says about an attack, once per group.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    id: String,
    name: String,
    tactics: Vec<String>,
    techniques: Vec<String>,
}

/// An alert or signal as far as its group needs it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    alert: Id,
    /// Place in `notes`; one beyond the last when there are too many.
    note: usize,
    signal: bool,
    severity: Severity,
    first: Timestamp,
    last: Timestamp,
    events: u64,
}

/// Members beyond `MEMBERS_MAX`. Their times, levels and tactics only add; their numbers stay exact.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Rest {
    alerts: u64,
    signals: u64,
    events: u64,
    severity: Severity,
    signal_severity: Severity,
    last: Option<Timestamp>,
    /// Place in `notes` and first time.
    notes: Vec<(usize, Timestamp)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Work {
    notes: Vec<Note>,
    members: Vec<Member>,
    rest: Rest,
    users: Vec<String>,
    ips: Vec<String>,
}

/// A user, an address or another entity by which alerts find a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub text: String,
    /// An alert is about it; else it is only named in one.
    pub direct: bool,
}

/// Alerts and signals that belong together.
#[derive(Clone, Debug)]
pub struct Group {
    /// What people see once it is opened. Its state, history and assignee stand nowhere else.
    pub incident: Incident,
    pub opened: bool,
    pub keys: Vec<Key>,
    work: Work,
}

/// A key as long as this is cut and told apart by a hash: senders choose names, and PostgreSQL's indexes take no
/// more than a third of a page.
const KEY_BYTES_MAX: usize = 256;
/// Of a name in a title.
const NAME_CHARS_MAX: usize = 100;

pub fn key_of(entity: &Entity) -> String {
    bounded(entity.to_string())
}

/// A user or address as columns hold it that are searched for equality.
pub fn name_of(text: &str) -> String {
    bounded(text.to_owned())
}

fn bounded(text: String) -> String {
    let text = storable(text);
    if text.len() <= KEY_BYTES_MAX {
        return text;
    }
    let cut = text.floor_char_boundary(KEY_BYTES_MAX);
    format!("{}#{}", &text[..cut], Id::of(&[text.as_bytes()]))
}

/// The entity's key, and those of the user and address it names besides.
pub fn keys_of(alert: &Alert) -> (Option<String>, Vec<String>) {
    if alert.further.is_some() || alert.entity.kind == EntityKind::Unknown {
        return (None, Vec::new());
    }
    let own = key_of(&alert.entity);
    let user = alert.user.as_ref().map(|user| key_of(&Entity::new(EntityKind::User, user.clone())));
    let ip = alert.source_ip.as_ref().map(|ip| key_of(&Entity::new(EntityKind::Ip, ip.clone())));
    let named = [user, ip].into_iter().flatten().filter(|key| *key != own).collect();
    (Some(own), named)
}

impl Group {
    /// Empty, with the entity and id that its first alert gives it.
    pub fn new(first: &Alert) -> Self {
        let incident = Incident {
            id: Id::of(&[b"incident", &first.id.0]),
            entity: first.entity.clone(),
            state: AlertState::Open,
            severity: Severity::Informational,
            risk: 0,
            title: String::new(),
            first_seen: first.first_seen,
            last_seen: first.last_seen,
            tactics: Vec::new(),
            techniques: Vec::new(),
            alert_count: 0,
            signal_count: 0,
            event_count: 0,
            assignee: None,
            history: Vec::new(),
        };
        Self { incident, opened: false, keys: Vec::new(), work: Work::default() }
    }

    /// From the database: the incident and what `work` wrote.
    pub fn read(incident: &str, work: &str, opened: bool, keys: Vec<Key>) -> Result<Self, serde_json::Error> {
        Ok(Self { incident: serde_json::from_str(incident)?, opened, keys, work: serde_json::from_str(work)? })
    }

    pub fn work(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.work)
    }

    /// What a search looks at.
    pub fn search(&self) -> String {
        let incident = &self.incident;
        let mut text = format!("{}\n{}", incident.title, incident.entity);
        let notes = self.work.notes.iter().map(|n| &n.name);
        for part in notes.chain(&incident.techniques).chain(&self.work.users).chain(&self.work.ips) {
            text.push('\n');
            text.push_str(part);
        }
        text.to_lowercase()
    }

    /// Whether something at `time` may join.
    pub fn is_active(&self, time: Timestamp) -> bool {
        let (first, last) = (self.incident.first_seen, self.incident.last_seen);
        time <= last.plus_secs(WINDOW_SECS)
            && time >= first.plus_secs(-WINDOW_SECS)
            && last.max(time) <= first.min(time).plus_secs(SPAN_SECS_MAX)
    }

    /// Whether another group may become part of this one.
    pub fn may_absorb(&self, other: &Self) -> bool {
        let first = self.incident.first_seen.min(other.incident.first_seen);
        !other.opened && self.incident.last_seen.max(other.incident.last_seen) <= first.plus_secs(SPAN_SECS_MAX)
    }

    pub fn is_empty(&self) -> bool {
        self.work.members.is_empty() && self.work.rest.alerts + self.work.rest.signals == 0
    }

    pub fn join(&mut self, alert: &Alert) {
        let note = self.note(&alert.rule);
        let member = Member {
            alert: alert.id,
            note,
            signal: alert.rule.handling.signal,
            severity: alert.severity,
            first: alert.first_seen,
            last: alert.last_seen,
            events: alert.event_count,
        };
        self.take(member);
        add_name(&mut self.work.users, alert.user.as_deref());
        add_name(&mut self.work.ips, alert.source_ip.as_deref());
        self.summarise(alert.last_seen);
    }

    fn take(&mut self, member: Member) {
        if self.work.members.len() < MEMBERS_MAX {
            self.work.members.push(member);
            return;
        }
        let rest = &mut self.work.rest;
        rest.events += member.events;
        rest.last = rest.last.max(Some(member.last));
        let (count, severity) = if member.signal {
            (&mut rest.signals, &mut rest.signal_severity)
        } else {
            (&mut rest.alerts, &mut rest.severity)
        };
        *count += 1;
        *severity = member.severity.max(*severity);
        match rest.notes.iter_mut().find(|(note, _)| *note == member.note) {
            Some((_, first)) => *first = member.first.min(*first),
            None => rest.notes.push((member.note, member.first)),
        }
    }

    /// Takes over what changed in an alert that is in the group, and had `events` before. Answers whether more
    /// changed than that there are more events and a later last one.
    pub fn update(&mut self, alert: &Alert, events: u64) -> bool {
        let Some(member) = self.work.members.iter_mut().find(|m| m.alert == alert.id) else {
            let rest = &mut self.work.rest;
            rest.events = (rest.events + alert.event_count).saturating_sub(events);
            rest.last = rest.last.max(Some(alert.last_seen));
            let known = if alert.rule.handling.signal { &mut rest.signal_severity } else { &mut rest.severity };
            if alert.severity > *known {
                *known = alert.severity;
                self.summarise(alert.last_seen);
                return true;
            }
            self.incident.last_seen = self.incident.last_seen.max(alert.last_seen);
            self.incident.event_count = (self.incident.event_count + alert.event_count).saturating_sub(events);
            return false;
        };
        let only_grew = member.severity == alert.severity && member.first == alert.first_seen && member.last <= alert.last_seen;
        member.severity = alert.severity;
        member.first = alert.first_seen;
        member.last = alert.last_seen;
        member.events = alert.event_count;
        if only_grew {
            // What most findings change; all else stays as it is.
            self.incident.last_seen = self.incident.last_seen.max(alert.last_seen);
            self.incident.event_count = (self.incident.event_count + alert.event_count).saturating_sub(events);
        } else {
            self.summarise(alert.last_seen);
        }
        !only_grew
    }

    /// An alert turned out not to be one.
    pub fn leave(&mut self, alert: &Alert, events: u64, time: Timestamp) {
        let before = self.work.members.len();
        self.work.members.retain(|m| m.alert != alert.id);
        if self.work.members.len() == before {
            let rest = &mut self.work.rest;
            rest.events = rest.events.saturating_sub(events);
            let count = if alert.rule.handling.signal { &mut rest.signals } else { &mut rest.alerts };
            *count = count.saturating_sub(1);
        }
        self.summarise(time);
        if self.opened && self.is_empty() && self.incident.state != AlertState::Closed {
            self.change_state(AlertState::Closed, ACTOR, Some("late events took its last alert".to_owned()), time);
        }
    }

    /// Takes over all members and keys of a group that is no incident.
    pub fn absorb(&mut self, other: Self, time: Timestamp) {
        let Work { notes, members, rest, users, ips } = other.work;
        let places: Vec<usize> = notes.into_iter().map(|note| self.add_note(note)).collect();
        let place = |note: usize| places.get(note).copied().unwrap_or(RULES_MAX);
        for member in members {
            self.take(Member { note: place(member.note), ..member });
        }
        let own = &mut self.work.rest;
        own.alerts += rest.alerts;
        own.signals += rest.signals;
        own.events += rest.events;
        own.severity = own.severity.max(rest.severity);
        own.signal_severity = own.signal_severity.max(rest.signal_severity);
        own.last = own.last.max(rest.last);
        for (note, first) in rest.notes {
            let note = place(note);
            match own.notes.iter_mut().find(|(n, _)| *n == note) {
                Some((_, known)) => *known = first.min(*known),
                None => own.notes.push((note, first)),
            }
        }
        for user in users {
            add_name(&mut self.work.users, Some(&user));
        }
        for ip in ips {
            add_name(&mut self.work.ips, Some(&ip));
        }
        for key in other.keys {
            self.add_key(&key.text, key.direct);
        }
        self.summarise(time);
    }

    /// Whether the key is new to the group.
    pub fn add_key(&mut self, text: &str, direct: bool) -> bool {
        if let Some(key) = self.keys.iter_mut().find(|key| key.text == text) {
            key.direct |= direct;
            return false;
        }
        if self.keys.len() == KEYS_MAX {
            return false;
        }
        self.keys.push(Key { text: text.to_owned(), direct });
        true
    }

    fn note(&mut self, rule: &Rule) -> usize {
        if let Some(place) = self.work.notes.iter().position(|n| *n.id == *rule.id) {
            return place;
        }
        self.add_note(Note {
            id: rule.id.to_string(),
            name: rule.name.to_string(),
            tactics: rule.tactics.clone(),
            techniques: rule.techniques.clone(),
        })
    }

    fn add_note(&mut self, note: Note) -> usize {
        if let Some(place) = self.work.notes.iter().position(|n| n.id == note.id) {
            return place;
        }
        if self.work.notes.len() < RULES_MAX {
            self.work.notes.push(note);
            return self.work.notes.len() - 1;
        }
        RULES_MAX
    }

    /// Whether its alerts are an incident; `risk` is the score of an entity that one of them is about.
    pub fn has_earned_it(&self, risk: u32) -> bool {
        let work = &self.work;
        let alerts = || work.members.iter().filter(|m| !m.signal);
        let any_alert = alerts().next().is_some() || work.rest.alerts > 0;
        let severe = alerts().any(|m| m.severity >= Severity::High) || work.rest.severity >= Severity::High;
        severe || risk >= INCIDENT_RISK || (self.rules() >= 2 && (any_alert || self.incident.tactics.len() >= 2))
    }

    /// Different rules among the members.
    fn rules(&self) -> usize {
        let mut notes: Vec<usize> = self.first_times().into_iter().map(|(note, _)| note).collect();
        notes.dedup();
        notes.len()
    }

    /// Each rule's first time, by rule.
    fn first_times(&self) -> Vec<(usize, Timestamp)> {
        let own = self.work.members.iter().map(|m| (m.note, m.first));
        let mut all: Vec<_> = own.chain(self.work.rest.notes.iter().copied()).collect();
        all.sort();
        all.dedup_by_key(|(note, _)| *note);
        all
    }

    /// Everything that follows from the members. Opens it again if it is worse than when it was closed.
    fn summarise(&mut self, time: Timestamp) {
        let firsts = self.first_times();
        let tactics = self.tactics(&firsts);
        let order: Vec<(&str, Timestamp)> = tactics.iter().map(|(name, time)| (*name, *time)).collect();
        let progress = tactics_in_order(&order) >= PROGRESS_TACTICS;
        let names: Vec<String> = order.iter().map(|(name, _)| (*name).to_owned()).collect();
        let (work, rest) = (&self.work, &self.work.rest);
        let mut techniques: Vec<String> =
            firsts.iter().filter_map(|(note, _)| work.notes.get(*note)).flat_map(|n| n.techniques.iter().cloned()).collect();
        techniques.sort();
        techniques.dedup();
        let highest = |signal| work.members.iter().filter(|m| m.signal == signal).map(|m| m.severity).max().unwrap_or_default();
        let of_alerts = highest(false).max(rest.severity);
        let of_signals = highest(true).max(rest.signal_severity);
        let first = firsts.iter().map(|(_, time)| *time).min();
        let last = work.members.iter().map(|m| Some(m.last)).max().unwrap_or_default().max(rest.last);
        let signals = work.members.iter().filter(|m| m.signal).count() as u64;
        let before = self.incident.severity;
        let alert_count = work.members.len() as u64 - signals + rest.alerts;
        let event_count = work.members.iter().map(|m| m.events).sum::<u64>() + rest.events;
        let signal_count = signals + rest.signals;
        // A signal says little by itself: its level counts where there is nothing else.
        let highest = if alert_count > 0 { of_alerts } else { of_signals };
        let incident = &mut self.incident;
        incident.severity = if progress { one_up(highest) } else { highest };
        incident.first_seen = first.unwrap_or(incident.first_seen);
        incident.last_seen = last.unwrap_or(incident.last_seen);
        incident.tactics = names;
        incident.techniques = techniques;
        incident.alert_count = alert_count;
        incident.signal_count = signal_count;
        incident.event_count = event_count;
        self.incident.title = self.title();
        let severity = self.incident.severity;
        if self.opened && self.incident.state == AlertState::Closed && severity > before {
            let reason = format!("severity rose from {before} to {severity}");
            self.change_state(AlertState::Open, ACTOR, Some(reason), time);
        }
    }

    /// Tactics with the time they were first seen, in that order; at the same time in an attack's order.
    fn tactics(&self, firsts: &[(usize, Timestamp)]) -> Vec<(&str, Timestamp)> {
        let mut all: Vec<(&str, Timestamp)> = Vec::new();
        for (note, time) in firsts {
            for tactic in self.work.notes.get(*note).into_iter().flat_map(|n| &n.tactics) {
                match all.iter_mut().find(|(name, _)| name == tactic) {
                    Some((_, first)) => *first = *time.min(first),
                    None => all.push((tactic, *time)),
                }
            }
        }
        all.sort_by_key(|(name, time)| (*time, tactic_place(name).unwrap_or(TACTICS.len()), *name));
        all
    }

    /// "Credential access, then persistence, by alice from 203.0.113.7".
    fn title(&self) -> String {
        let incident = &self.incident;
        let what = match incident.tactics.as_slice() {
            [] => self.rule_names(),
            tactics => in_words(tactics),
        };
        format!("{what}{}", self.who())
    }

    fn rule_names(&self) -> String {
        let mut firsts = self.first_times();
        firsts.sort_by_key(|(note, time)| (*time, *note));
        let mut names = firsts.iter().filter_map(|(note, _)| self.work.notes.get(*note)).map(|n| n.name.as_str());
        match (names.next(), names.count()) {
            (Some(first), 0) => first.to_owned(),
            (Some(first), more) => format!("{first} and {more} more"),
            (None, _) => "Nothing any more".to_owned(),
        }
    }

    fn who(&self) -> String {
        let kind = self.incident.entity.kind;
        let name = short(&self.incident.entity.value);
        let mut who = match kind {
            EntityKind::User => by(&self.work.users, &name),
            EntityKind::Ip => by(&self.work.users, ""),
            EntityKind::Host => format!(" on {name}"),
            EntityKind::Service => format!(" in {name}"),
            EntityKind::Account | EntityKind::Group => format!(" by {name}"),
            EntityKind::Unknown => format!(" in what {name} sent"),
        };
        match list(&self.work.ips, if kind == EntityKind::Ip { &name } else { "" }).as_slice() {
            [] => {}
            [one] => who += &format!(" from {one}"),
            [one, two] => who += &format!(" from {one} and {two}"),
            many => who += &format!(" from {} addresses", many.len()),
        }
        if who.starts_with(" by") { format!(",{who}") } else { who }
    }

    pub fn change_state(&mut self, state: AlertState, actor: &str, reason: Option<String>, time: Timestamp) {
        change_state(&mut self.incident, state, actor, reason, time);
    }
}

/// What people move through states: alerts and incidents.
pub trait Triaged {
    fn triage(&mut self) -> (&mut AlertState, &mut Vec<StateChange>);
}

impl Triaged for Alert {
    fn triage(&mut self) -> (&mut AlertState, &mut Vec<StateChange>) {
        (&mut self.state, &mut self.history)
    }
}

impl Triaged for Incident {
    fn triage(&mut self) -> (&mut AlertState, &mut Vec<StateChange>) {
        (&mut self.state, &mut self.history)
    }
}

pub fn change_state(one: &mut impl Triaged, state: AlertState, actor: &str, reason: Option<String>, time: Timestamp) {
    let (present, history) = one.triage();
    if history.len() >= HISTORY_MAX {
        history.remove(0);
    }
    *present = state;
    history.push(StateChange { state, actor: actor.to_owned(), time, reason });
}

fn one_up(severity: Severity) -> Severity {
    Severity::ALL.get(severity as usize + 1).copied().unwrap_or(Severity::Critical)
}

fn add_name(names: &mut Vec<String>, name: Option<&str>) {
    if let Some(name) = name
        && names.len() < NAMES_MAX
        && let name = short(name)
        && !names.contains(&name)
    {
        names.push(name);
    }
}

fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

/// The names with `first` before the others.
fn list<'a>(names: &'a [String], first: &'a str) -> Vec<&'a str> {
    let others = names.iter().map(String::as_str).filter(|name| *name != first);
    Some(first).filter(|f| !f.is_empty()).into_iter().chain(others).collect()
}

fn by(users: &[String], first: &str) -> String {
    match list(users, first).as_slice() {
        [] => String::new(),
        [one] => format!(" by {one}"),
        [one, two] => format!(" by {one} and {two}"),
        [one, rest @ ..] => format!(" by {one} and {} others", rest.len()),
    }
}

/// "Credential access, then persistence, then impact".
fn in_words(tactics: &[String]) -> String {
    let words: Vec<String> = tactics.iter().map(|tactic| tactic.replace('-', " ")).collect();
    let mut text = words.join(", then ");
    if let Some(first) = text.get(..1) {
        text = first.to_uppercase() + &text[1..];
    }
    text
}

/// The users seen with an address lately, or the addresses seen with a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Links(Vec<(String, Timestamp)>);

impl Links {
    /// One more partner is remembered than may be there: that is enough to know that there are too many.
    pub fn see(&mut self, partner: &str, time: Timestamp) {
        if let Some(known) = self.0.iter_mut().find(|(name, _)| name == partner) {
            known.1 = known.1.max(time);
            return;
        }
        if self.0.len() > LINK_PARTNERS_MAX
            && let Some(oldest) = (0..self.0.len()).min_by_key(|i| (self.0[*i].1, &self.0[*i].0))
        {
            if self.0[oldest].1 >= time {
                return;
            }
            self.0.remove(oldest);
        }
        self.0.push((partner.to_owned(), time));
    }

    /// Whether few are seen with it around `time`.
    pub fn is_specific(&self, time: Timestamp) -> bool {
        self.0.iter().filter(|(_, seen)| *seen >= time.plus_secs(-WINDOW_SECS)).count() <= LINK_PARTNERS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Explanation, Finding, FindingStatus, Handling, RuleKind};

    fn alert(rule: &str, level: Severity, tactics: &[&str], entity: (EntityKind, &str), secs: i64) -> Alert {
        let rule = Rule {
            id: rule.into(),
            name: format!("Rule {rule}").into(),
            kind: RuleKind::Sigma,
            level,
            description: String::new(),
            techniques: vec![format!("T-{rule}")],
            tactics: tactics.iter().map(|t| (*t).to_owned()).collect(),
            false_positives: vec![],
            references: vec![],
            author: String::new(),
            file: String::new(),
            handling: Handling::default(),
        };
        Alert::from_finding(&Finding {
            id: Id::of(&[rule.id.as_bytes(), entity.1.as_bytes()]),
            time: Timestamp::from_secs(secs),
            rule: rule.into(),
            level,
            entity: Entity::new(entity.0, entity.1),
            event_ids: vec![],
            positions: vec![],
            event_count: 2,
            window: None,
            explanation: Explanation::default(),
            status: FindingStatus::Final,
            revision: 0,
            replaces: None,
            user: (entity.0 == EntityKind::User).then(|| entity.1.into()),
            source_ip: Some("203.0.113.7".into()),
            event_name: None,
            place: None,
        })
    }

    fn group(alerts: &[Alert]) -> Group {
        let mut group = Group::new(&alerts[0]);
        alerts.iter().for_each(|a| group.join(a));
        group
    }

    const ALICE: (EntityKind, &str) = (EntityKind::User, "alice");

    #[test]
    fn the_order_of_tactics_is_the_order_of_time_and_three_in_a_row_are_worse() {
        let a = alert("a", Severity::Medium, &["credential-access"], ALICE, 100);
        let b = alert("b", Severity::Medium, &["persistence"], ALICE, 50);
        let c = alert("c", Severity::Low, &["impact"], ALICE, 200);
        let mut chain = group(&[a, b]);
        assert_eq!(chain.incident.tactics, ["persistence", "credential-access"]);
        assert_eq!(chain.incident.title, "Persistence, then credential access, by alice from 203.0.113.7");
        assert_eq!((chain.incident.severity, chain.incident.event_count), (Severity::Medium, 4));
        chain.join(&c);
        assert_eq!((chain.incident.severity, chain.incident.alert_count), (Severity::High, 3));
        assert_eq!(chain.incident.techniques, ["T-a", "T-b", "T-c"]);
        chain.leave(&c, 2, Timestamp::from_secs(300));
        assert_eq!((chain.incident.severity, chain.incident.alert_count), (Severity::Medium, 2));
    }

    #[test]
    fn what_earns_an_incident() {
        let medium = alert("a", Severity::Medium, &["impact"], ALICE, 1);
        let same = alert("a", Severity::Medium, &["impact"], ALICE, 4_000);
        let other = alert("b", Severity::Low, &["impact"], ALICE, 2);
        let signal = |mut alert: Alert| {
            let rule = std::sync::Arc::make_mut(&mut alert.rule);
            rule.handling.signal = true;
            alert
        };
        let high = alert("h", Severity::High, &[], ALICE, 3);
        assert!(!group(std::slice::from_ref(&medium)).has_earned_it(99), "a lone medium alert stays one");
        assert!(group(std::slice::from_ref(&medium)).has_earned_it(100), "unless its entity's risk is high");
        assert!(!group(&[medium.clone(), same]).has_earned_it(0), "the same rule again is nothing new");
        assert!(group(&[medium.clone(), other.clone()]).has_earned_it(0));
        assert!(group(std::slice::from_ref(&high)).has_earned_it(0));
        assert!(!group(&[signal(high)]).has_earned_it(0), "a signal alone never");
        assert!(group(&[signal(medium.clone()), other.clone()]).has_earned_it(0));
        assert!(!group(&[signal(medium.clone()), signal(other)]).has_earned_it(0), "signals of one tactic");
        let tactic = alert("c", Severity::Low, &["discovery"], ALICE, 2);
        assert!(group(&[signal(medium.clone()), signal(tactic.clone())]).has_earned_it(0), "signals of two tactics");
        assert_eq!(group(&[signal(medium.clone()), signal(tactic.clone())]).incident.severity, Severity::Medium);
        assert_eq!(group(&[signal(medium), tactic]).incident.severity, Severity::Low, "a signal's level counts only alone");
    }

    #[test]
    fn a_group_takes_what_is_near_and_never_grows_beyond_a_week() {
        let group = group(&[alert("a", Severity::Low, &[], ALICE, 1_000_000)]);
        let near = |secs: i64| group.is_active(Timestamp::from_secs(1_000_000 + secs));
        assert!(near(WINDOW_SECS) && !near(WINDOW_SECS + 1) && near(-WINDOW_SECS) && !near(-WINDOW_SECS - 1));
        let mut long = group.clone();
        for day in 1..=7 {
            let next = alert("a", Severity::Low, &[], ALICE, 1_000_000 + day * WINDOW_SECS);
            assert!(long.is_active(next.first_seen));
            long.join(&next);
        }
        assert!(!long.is_active(Timestamp::from_secs(1_000_000 + 7 * WINDOW_SECS + 1)));
        assert!(long.is_active(Timestamp::from_secs(1_000_000 + 7 * WINDOW_SECS)));
    }

    #[test]
    fn numbers_stay_exact_beyond_the_members_that_are_held() {
        let many: Vec<Alert> = (0..200)
            .map(|n| {
                let mut one = alert(&format!("r{}", n % 100), Severity::Low, &["discovery"], ALICE, n);
                one.id = Id::of(&[&n.to_le_bytes()]);
                one
            })
            .collect();
        let mut all = group(&many);
        assert_eq!((all.incident.alert_count, all.incident.event_count), (200, 400));
        assert_eq!(all.incident.last_seen, Timestamp::from_secs(199));
        let mut grown = many[150].clone();
        grown.event_count = 12;
        all.update(&grown, 2);
        all.leave(&many[151], 2, Timestamp::from_secs(1));
        all.leave(&many[3], 2, Timestamp::from_secs(1));
        assert_eq!((all.incident.alert_count, all.incident.event_count), (198, 406));
        let text = all.work().unwrap();
        assert!(text.len() < 32 << 10, "{} bytes", text.len());
        let mut half = group(&many[..90]);
        half.absorb(group(&many[90..]), Timestamp::from_secs(1));
        assert_eq!((half.incident.alert_count, half.incident.event_count), (200, 400));
    }

    #[test]
    fn titles_name_who_and_from_where() {
        let title = |entity, user: Option<&str>| {
            let mut one = alert("a", Severity::Low, &[], entity, 1);
            one.user = user.map(Into::into);
            group(&[one]).incident.title
        };
        assert_eq!(title(ALICE, Some("alice")), "Rule a, by alice from 203.0.113.7");
        assert_eq!(title((EntityKind::Ip, "203.0.113.7"), None), "Rule a from 203.0.113.7");
        assert_eq!(title((EntityKind::Ip, "203.0.113.7"), Some("bob")), "Rule a, by bob from 203.0.113.7");
        assert_eq!(title((EntityKind::Host, "web1"), None), "Rule a on web1 from 203.0.113.7");
        let users: Vec<Alert> = ["a", "b", "c", "d"].map(|u| alert("a", Severity::Low, &[], (EntityKind::User, u), 1)).into();
        assert_eq!(group(&users).incident.title, "Rule a, by a and 3 others from 203.0.113.7");
    }

    #[test]
    fn a_link_is_specific_while_few_are_seen_with_it() {
        let at = Timestamp::from_secs;
        let mut links = Links::default();
        for (n, user) in ["a", "b", "c"].iter().enumerate() {
            links.see(user, at(n as i64));
        }
        assert!(links.is_specific(at(10)));
        links.see("d", at(10));
        assert!(!links.is_specific(at(10)) && links.is_specific(at(10 + WINDOW_SECS)));
        for n in 0..1_000 {
            links.see(&n.to_string(), at(n));
        }
        assert!(links.0.len() == LINK_PARTNERS_MAX + 1 && !links.is_specific(at(1_000)));
    }

    #[test]
    fn a_closed_incident_opens_only_for_something_worse() {
        let mut one = group(&[alert("a", Severity::High, &[], ALICE, 1)]);
        one.opened = true;
        one.change_state(AlertState::Closed, "eve", None, Timestamp::from_secs(2));
        one.join(&alert("b", Severity::High, &[], ALICE, 3));
        assert_eq!(one.incident.state, AlertState::Closed);
        one.join(&alert("c", Severity::Critical, &[], ALICE, 4));
        assert_eq!(one.incident.state, AlertState::Open);
        assert_eq!(one.incident.history[1].reason.as_deref(), Some("severity rose from high to critical"));
    }
}
