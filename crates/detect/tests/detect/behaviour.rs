//! Detectors of behaviour and resolved principals, from raw CloudTrail to findings, through both stages.

use crate::data;
use detect::{Correlator, Detector, Front, Keyed, Matched, RuleSet, Stepped};
use event::{Bytes, Event, Finding, FindingStatus, Format, Record, RuleKind, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

const BASES: &str = "title: Call\nid: call\nname: call\nlevel: informational\nlogsource: {product: aws, service: cloudtrail}\n\
                     detection: {selection: {eventName: [ListUsers, CreateUser, DeleteTrail, ConsoleLogin]}, condition: selection}\n---\n\
                     title: Create\nid: create\nname: create\nlevel: informational\nlogsource: {product: aws, service: cloudtrail}\n\
                     detection: {selection: {eventName: CreateUser}, condition: selection}\n---\n\
                     title: Delete\nid: delete\nname: delete\nlevel: informational\nlogsource: {product: aws, service: cloudtrail}\n\
                     detection: {selection: {eventName: DeleteTrail}, condition: selection}\n---\n";

const CHAIN: &str = "title: Chain\nid: chain\nlevel: critical\ncorrelation:\n  type: temporal_ordered\n  rules: [create, delete]\n  group-by: [erne.principal]\n  timespan: 1h\n";
const TRAVEL: &str = "title: Travel\nid: travel\nlevel: high\ncorrelation:\n  type: impossible_travel\n  rules: [call]\n  group-by: [erne.principal]\n";

fn rules(correlations: &str) -> Arc<RuleSet> {
    let (rules, issues) = RuleSet::compile(&[data::file(&format!("{BASES}{correlations}"))]);
    assert!(issues.is_empty(), "{issues:?}");
    rules.into()
}

/// Both stages with their state on disk, as the pipeline drives them.
pub(crate) struct Pipeline {
    rules: Arc<RuleSet>,
    front: Front,
    correlator: Correlator,
    front_state: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// By id, the last word about each finding that stands.
    pub(crate) findings: BTreeMap<String, Finding>,
}

impl Pipeline {
    pub(crate) fn new(rules: &Arc<RuleSet>) -> Self {
        Self {
            rules: rules.clone(),
            front: Front::new(rules.clone()),
            correlator: Correlator::new(rules.clone()),
            front_state: BTreeMap::new(),
            state: BTreeMap::new(),
            findings: BTreeMap::new(),
        }
    }

    pub(crate) fn run(&mut self, events: &mut [Event]) {
        let keyed = self.stateless(events);
        self.step(keyed);
    }

    pub(crate) fn stateless(&self, events: &mut [Event]) -> Vec<Keyed> {
        let detector = Detector { rules: self.rules.clone(), lists: Default::default(), lateness: Default::default() };
        let mut matched = Matched::default();
        detector.run(events, &mut matched);
        matched.keyed
    }

    pub(crate) fn step(&mut self, keyed: Vec<Keyed>) {
        let mut delta = Vec::new();
        let keyed = self.front.pass(keyed, &mut delta);
        commit(&mut self.front_state, delta);
        let mut stepped = Stepped::default();
        self.correlator.step(&keyed, &mut stepped);
        self.take(stepped);
    }

    pub(crate) fn wait_until(&mut self, now: Timestamp) {
        let mut stepped = Stepped::default();
        self.correlator.advance(now, &mut stepped);
        self.take(stepped);
    }

    fn take(&mut self, stepped: Stepped) {
        commit(&mut self.state, stepped.delta);
        for finding in stepped.findings {
            if let Some(old) = &finding.replaces {
                self.findings.remove(&old.to_string());
            }
            let id = finding.id.to_string();
            match finding.status {
                FindingStatus::Withdrawn => self.findings.remove(&id),
                _ => self.findings.insert(id, finding),
            };
        }
    }

    /// The process ends and starts again.
    fn restart(&mut self) {
        self.front = Front::new(self.rules.clone());
        self.correlator = Correlator::new(self.rules.clone());
        for (key, value) in &self.front_state {
            assert!(self.front.restore(key, value));
        }
        for (key, value) in &self.state {
            assert!(self.correlator.restore(key, value));
        }
    }

    fn who(&self) -> Vec<String> {
        let mut who: Vec<String> = self.findings.values().map(|finding| finding.entity.to_string()).collect();
        who.sort();
        who
    }
}

fn commit(state: &mut BTreeMap<Vec<u8>, Vec<u8>>, delta: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
    for (key, value) in delta {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
}

/// Who calls: an IAM user with their own key, or a session of a role.
#[derive(Clone, Copy)]
enum Caller {
    User(&'static str),
    Session { role: &'static str, name: &'static str, key: &'static str },
    Saml(&'static str),
}

impl Caller {
    fn identity(self) -> String {
        match self {
            Self::User(name) => format!(
                r#"{{"type":"IAMUser","principalId":"AIDA{name}","arn":"arn:aws:iam::123456789012:user/{name}","accountId":"123456789012","accessKeyId":"AKIA{name}","userName":"{name}"}}"#
            ),
            Self::Session { role, name, key } => format!(
                r#"{{"type":"AssumedRole","principalId":"AROA:{name}","arn":"arn:aws:sts::123456789012:assumed-role/{role}/{name}","accountId":"123456789012","accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","userName":"{role}"}}}}}}"#
            ),
            Self::Saml(name) => format!(r#"{{"type":"SAMLUser","principalId":"idp:{name}","userName":"{name}"}}"#),
        }
    }
}

/// A call at so many seconds after 10:00, received `late` seconds later.
fn call(secs: i64, late: i64, by: Caller, name: &str, rest: &str) -> Event {
    let time = Timestamp::parse("2026-11-20T10:00:00Z").unwrap().plus_secs(secs);
    let service = if name.starts_with("Assume") { "sts" } else { "iam" };
    let line = format!(
        r#"{{"eventVersion":"1.09","eventID":"{name}-{secs}","eventTime":"{}","eventSource":"{service}.amazonaws.com","eventName":"{name}","sourceIPAddress":"198.51.100.7","userIdentity":{}{rest}}}"#,
        &time.to_string()[..19].replace(' ', "T"),
        by.identity(),
    );
    let record = Record {
        source: "aws".into(),
        format: Some(Format::Cloudtrail),
        received: time.plus_secs(late),
        peer: None,
        body: Bytes::from(line),
    };
    let mut events = Vec::new();
    parse::parse(&record, 1_000 + secs as u64, &mut events);
    assert!(events[0].issues.is_empty(), "{:?}", events[0].issues);
    events.remove(0)
}

fn assume(secs: i64, late: i64, by: Caller, operation: &str, to: Caller) -> Event {
    let Caller::Session { role, name, key } = to else { panic!("a role is assumed") };
    let answer = format!(
        r#","responseElements":{{"credentials":{{"accessKeyId":"{key}"}},"assumedRoleUser":{{"arn":"arn:aws:sts::123456789012:assumed-role/{role}/{name}"}}}}"#
    );
    call(secs, late, by, operation, &answer)
}

const ALICE: Caller = Caller::User("alice");
const ROLE_A: Caller = Caller::Session { role: "A", name: "s1", key: "ASIAFIRST" };
const ROLE_B: Caller = Caller::Session { role: "B", name: "s2", key: "ASIASECOND" };

/// Alice creates a user with her own key, assumes role A, from it role B, and deletes a trail.
fn story() -> Vec<Event> {
    vec![
        call(0, 60, ALICE, "CreateUser", ""),
        assume(60, 60, ALICE, "AssumeRole", ROLE_A),
        assume(120, 60, ROLE_A, "AssumeRole", ROLE_B),
        call(180, 60, ROLE_B, "DeleteTrail", ""),
    ]
}

#[test]
fn a_chain_of_roles_is_attributed_to_who_began_it() {
    let rules = rules(CHAIN);
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut story());
    assert_eq!(pipeline.who(), ["user:alice"]);
    let finding = pipeline.findings.values().next().unwrap();
    assert_eq!(finding.event_ids, ["CreateUser-0", "DeleteTrail-180"]);
    // Somebody else's session of the same role is somebody else.
    let other = Caller::Session { role: "B", name: "s3", key: "ASIAOTHER" };
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut [call(0, 60, ALICE, "CreateUser", ""), assume(60, 60, ALICE, "AssumeRole", ROLE_B), call(180, 60, other, "DeleteTrail", "")]);
    assert!(pipeline.findings.is_empty());
}

#[test]
fn every_order_of_arrival_and_every_batch_tells_the_same() {
    let rules = rules(CHAIN);
    let mut seen = None;
    for order in permutations(4) {
        for split in 0..4 {
            let story = story();
            let mut events: Vec<Event> = order.iter().map(|i| story[*i].clone()).collect();
            for (place, event) in events.iter_mut().enumerate() {
                event.received = Timestamp::parse("2026-11-20T10:10:00Z").unwrap().plus_secs(place as i64);
                event.position.offset = place as u64;
            }
            let mut pipeline = Pipeline::new(&rules);
            let (first, second) = events.split_at_mut(split);
            pipeline.run(first);
            pipeline.restart();
            pipeline.run(second);
            pipeline.wait_until(Timestamp::parse("2026-11-20T12:00:00Z").unwrap());
            let told: Vec<_> =
                pipeline.findings.values().map(|f| (f.id, f.entity.clone(), f.event_ids.clone(), f.status)).collect();
            assert_eq!(told.len(), 1, "{order:?} {split}: {told:?}");
            assert_eq!(&told, seen.get_or_insert_with(|| told.clone()), "{order:?} {split}");
        }
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    shorter.iter().flat_map(|one| (0..n).map(|at| [&one[..at], &[n - 1], &one[at..]].concat())).collect()
}

#[test]
fn federated_users_are_found_and_services_and_unknown_sessions_stay_themselves() {
    let rules = rules(CHAIN);
    let story = |first: Event| {
        let mut pipeline = Pipeline::new(&rules);
        pipeline.run(&mut [first, call(60, 60, ROLE_A, "CreateUser", ""), call(120, 60, ROLE_A, "DeleteTrail", "")]);
        pipeline.who()
    };
    assert_eq!(story(assume(0, 60, Caller::Saml("bob@example.com"), "AssumeRoleWithSAML", ROLE_A)), ["user:bob@example.com"]);
    assert_eq!(story(call(0, 60, ALICE, "ListUsers", "")), ["user:A/s1"]);
    let mut service = assume(0, 60, ALICE, "AssumeRole", ROLE_A);
    service.ocsf.user_type = Some("AWSService".into());
    assert_eq!(story(service), ["user:A/s1"]);
}

#[test]
fn a_session_name_that_several_use_names_nobody() {
    let rules = rules(CHAIN);
    let bob = Caller::User("bob");
    // The console gives its sessions keys of their own: only the name is left.
    let same = |key| Caller::Session { role: "A", name: "cli", key };
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut [
        assume(0, 60, ALICE, "AssumeRole", same("ASIAONE")),
        call(60, 60, same("ASIACONSOLE"), "CreateUser", ""),
        call(90, 60, same("ASIACONSOLE"), "DeleteTrail", ""),
    ]);
    assert_eq!(pipeline.who(), ["user:alice"]);
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut [
        assume(0, 60, ALICE, "AssumeRole", same("ASIAONE")),
        assume(10, 60, bob, "AssumeRole", same("ASIATWO")),
        call(60, 60, same("ASIACONSOLE"), "CreateUser", ""),
        call(70, 60, same("ASIATWO"), "CreateUser", ""),
        call(90, 60, same("ASIATWO"), "DeleteTrail", ""),
        call(95, 60, same("ASIACONSOLE"), "DeleteTrail", ""),
    ]);
    assert_eq!(pipeline.who(), ["user:A/cli", "user:bob"]);
}

#[test]
fn sessions_end_and_their_memory_with_them() {
    let rules = rules(CHAIN);
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut [assume(0, 60, ALICE, "AssumeRole", ROLE_A), call(60, 60, ROLE_B, "CreateUser", "")]);
    assert_eq!(pipeline.front_state.len(), 3, "a session by key and by name, and a part that waits");
    pipeline.run(&mut [call(40 * 3_600, 60, ALICE, "CreateUser", "")]);
    assert!(pipeline.front_state.is_empty(), "{:?}", pipeline.front_state.keys());
    pipeline.run(&mut [call(40 * 3_600 + 60, 60, ROLE_A, "CreateUser", ""), call(40 * 3_600 + 90, 60, ROLE_A, "DeleteTrail", "")]);
    assert_eq!(pipeline.who(), ["user:A/s1"]);
}

/// A console login from a place; what GeoIP would have added.
fn login(secs: i64, user: &'static str, ip: &str, (lat, long, country, city): (f64, f64, &str, &str), owner: &str) -> Event {
    let mut event = call(secs, 60, Caller::User(user), "ConsoleLogin", r#","responseElements":{"ConsoleLogin":"Success"}"#);
    event.uid = format!("{user}-{secs}").into();
    event.ocsf.src.ip = Some(ip.into());
    event.ocsf.src.location = event::Location { country: Some(country.into()), city: Some(city.into()), lat: Some(lat), long: Some(long) };
    event.ocsf.src.autonomous_system = event::AutonomousSystem { number: Some(owner.len() as i64), name: Some(owner.into()) };
    event
}

const BERLIN: (f64, f64, &str, &str) = (52.52, 13.405, "DE", "Berlin");
const LAGOS: (f64, f64, &str, &str) = (6.455, 3.394, "NG", "Lagos");

#[test]
fn impossible_travel_from_raw_logins_to_a_finding() {
    let rules = rules(TRAVEL);
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut [
        login(0, "alice", "203.0.113.1", BERLIN, "Telekom"),
        login(600, "bob", "203.0.113.9", LAGOS, "MTN"),
        login(1_320, "alice", "203.0.113.2", LAGOS, "MTN"),
    ]);
    let told: Vec<&Finding> = pipeline.findings.values().collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].rule.kind, RuleKind::Behaviour);
    assert_eq!(told[0].explanation.summary, "alice: Berlin, DE to Lagos, NG, 5,200 km in 22 min (14,200 km/h): Travel");
    assert_eq!((told[0].status, told[0].revision), (FindingStatus::Provisional, 0));
    pipeline.restart();
    pipeline.wait_until(Timestamp::parse("2026-11-20T11:00:00Z").unwrap());
    let told: Vec<&Finding> = pipeline.findings.values().collect();
    assert_eq!((told[0].status, told[0].revision), (FindingStatus::Final, 1));
}

#[test]
fn an_office_is_no_place_of_travel_and_one_evening_makes_no_office() {
    let rules = rules(TRAVEL);
    let staff = ["ann", "ben", "cem", "dee", "eve", "fay"];
    // Six people, each at home in Berlin and then through one address in Lagos.
    let day = |day: i64| -> Vec<Event> {
        let from = day * 86_400;
        let one = |(i, who): (usize, &&'static str)| {
            let secs = from + i as i64 * 60;
            [login(secs, who, &format!("203.0.113.{}", 10 + i), BERLIN, "Telekom"), login(secs + 30, who, "203.0.113.200", LAGOS, "MTN")]
        };
        staff.iter().enumerate().flat_map(one).collect()
    };
    let mut pipeline = Pipeline::new(&rules);
    pipeline.run(&mut day(0));
    assert_eq!(pipeline.findings.len(), 6, "stolen accounts tried out from one address");
    pipeline.findings.clear();
    pipeline.restart();
    pipeline.run(&mut day(2));
    pipeline.wait_until(Timestamp::parse("2026-11-25T00:00:00Z").unwrap());
    // What the first day told may be made final; nothing is told about the second.
    let second = Timestamp::parse("2026-11-22T00:00:00Z").unwrap();
    assert_eq!(pipeline.findings.values().filter(|f| f.time >= second).count(), 0);
}

#[test]
fn wrong_options_are_told_at_load() {
    for (text, word) in [
        ("  type: impossible_travel\n  rules: [call]\n  group-by: [erne.principal]\n  speed: 900\n", "speed"),
        ("  type: impossible_travel\n  rules: [call]\n  group-by: [erne.principal]\n  speed_kmh: 0\n", "speed_kmh"),
        ("  type: off_hours\n  rules: [call]\n  group-by: [erne.principal]\n  probability_max: 2\n", "probability_max"),
        ("  type: rate\n  rules: [call]\n  group-by: [erne.principal]\n  errors: nothing\n", "nothing"),
        ("  type: rate\n  rules: [call]\n  group-by: [erne.principal]\n  timespan: 2d\n", "timespan"),
    ] {
        let (set, issues) = RuleSet::compile(&[data::file(&format!("{BASES}title: T\nid: t\ncorrelation:\n{text}"))]);
        assert_eq!((set.rules().len(), issues.len()), (3, 1), "{issues:?}");
        assert!(issues[0].message.contains(word), "{}", issues[0]);
    }
}
