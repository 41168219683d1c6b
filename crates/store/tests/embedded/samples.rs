//! Records and findings for tests.

use event::{Entity, EntityKind, Explanation, Finding, FindingStatus, Format, Id, Record, Rule, RuleKind, Severity, Timestamp};
use std::sync::Arc;
use store::log::Append;

pub fn record(n: u64, body_bytes: usize) -> Record {
    let mut body = format!("record {n} ").into_bytes();
    body.resize(body_bytes.max(body.len()), b'.');
    Record {
        source: Arc::from(if n.is_multiple_of(2) { "even" } else { "odd" }),
        format: (!n.is_multiple_of(3)).then_some(Format::ALL[n as usize % Format::ALL.len()]),
        received: Timestamp::from_secs(1_700_000_000 + n as i64),
        peer: match n % 3 {
            0 => None,
            1 => Some([192, 0, 2, n as u8].into()),
            _ => Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, n as u16].into()),
        },
        body: body.into(),
    }
}

/// Records numbered from `first` on.
pub fn append(first: u64, count: u64) -> Append {
    Append { records: (first..first + count).map(|n| record(n, 100)).collect(), idempotency_key: None }
}

pub fn keyed(first: u64, count: u64, key: &str) -> Append {
    Append { idempotency_key: Some(key.into()), ..append(first, count) }
}

pub fn rule(id: &str, level: Severity) -> Arc<Rule> {
    Arc::new(Rule {
        id: id.into(),
        name: format!("Rule {id}").into(),
        kind: RuleKind::Sigma,
        level,
        description: "what it sees".into(),
        techniques: vec!["T1110.003".into()],
        tactics: vec!["credential-access".into()],
        false_positives: vec![],
        references: vec![],
        author: "tests".into(),
        file: "tests.yml".into(),
        handling: Default::default(),
    })
}

/// Finding `n` of a rule about a user, at `secs`.
pub fn finding(n: u64, rule: &Arc<Rule>, user: &str, secs: i64) -> Finding {
    Finding {
        id: Id::of(&[b"test finding", &n.to_le_bytes()]),
        time: Timestamp::from_secs(secs),
        rule: rule.clone(),
        level: rule.level,
        entity: Entity::new(EntityKind::User, user),
        event_ids: vec![format!("event-{n}").into()],
        positions: vec![],
        event_count: 2,
        window: None,
        explanation: Explanation { summary: format!("{user} did thing {n}"), conditions: vec![] },
        status: FindingStatus::Final,
        revision: 0,
        replaces: None,
        user: Some(user.into()),
        source_ip: Some("203.0.113.7".into()),
        event_name: Some("ConsoleLogin".into()),
        place: Some((52.5, 13.4, "DE".into())),
    }
}
