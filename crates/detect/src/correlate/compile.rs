//! A correlation rule compiled against the detection rules it refers to, and the part of an event in it.

use super::{EVENTS_PER_GROUP_MAX, EventSummary, Keyed, VALUES_PER_GROUP_MAX, group_key};
use crate::sigma::Source;
use compact_str::CompactString;
use event::{Cell, Entity, EntityKind, Event, Rule, Value};
use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, Quantifier, WindowMode,
};
use std::collections::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Longest group or counted value that is kept, bytes; longer ones are kept as a prefix and a hash.
const VALUE_BYTES_MAX: usize = 512;
/// Longest window: state must not grow for ever.
const TIMESPAN_SECS_MAX: i64 = 31 * 24 * 3600;
/// Most rules that one correlation joins.
const PARTS_MAX: usize = 64;
/// Least entries that a group may keep, so that disorder has room.
const ENTRIES_MIN: usize = 256;

#[derive(Debug)]
pub(crate) enum Kind {
    EventCount,
    /// The counted fields.
    ValueCount(Vec<String>),
    Temporal(Presence),
    TemporalOrdered,
}

/// Which of the correlation's rules must have occurred.
#[derive(Debug)]
pub(crate) enum Presence {
    AtLeast(usize),
    Part(u16),
    And(Vec<Presence>),
    Or(Vec<Presence>),
}

impl Presence {
    pub(crate) fn holds(&self, present: u64) -> bool {
        match self {
            Self::AtLeast(count) => present.count_ones() as usize >= *count,
            Self::Part(part) => present & 1 << part != 0,
            Self::And(list) => list.iter().all(|p| p.holds(present)),
            Self::Or(list) => list.iter().any(|p| p.holds(present)),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Correlation {
    pub rule: Arc<Rule>,
    pub kind: Kind,
    /// The detection rules, by their number in the rule set, in the rule's order.
    pub bases: Vec<u32>,
    pub base_titles: Vec<String>,
    pub group_by: Vec<String>,
    pub timespan_secs: i64,
    /// All of them must hold for the count.
    pub predicates: Vec<(ConditionOperator, u64)>,
    /// Most entries per group; far ones of them, see `group`.
    pub entries_max: usize,
    pub far_max: usize,
    /// The rule's id, a zero, the hash of its text, a zero.
    pub state_prefix: Box<[u8]>,
    /// Per part and group-by field: the name in that rule's events.
    fields: Vec<Vec<String>>,
}

type Refused = (String, Option<String>, &'static str);

fn refused<T>(message: impl Into<String>, hint: &str, near: &'static str) -> Result<T, Refused> {
    Err((message.into(), Some(hint.to_owned()), near))
}

impl Correlation {
    pub(crate) fn compile(
        source: &Source<CorrelationRule>,
        rule: Arc<Rule>,
        find: &dyn Fn(&str) -> Option<u32>,
    ) -> Result<Self, Refused> {
        let sigma = &source.item;
        if sigma.window != WindowMode::Sliding {
            return refused("only sliding windows are supported", "remove `window`", "window:");
        }
        let timespan_secs = sigma.timespan.seconds as i64;
        if !(1..=TIMESPAN_SECS_MAX).contains(&timespan_secs) {
            return refused("the timespan must be between one second and 31 days", "choose a shorter one", "timespan");
        }
        let bases = bases(sigma, find)?;
        let predicates = match &sigma.condition {
            CorrelationCondition::Threshold { predicates, .. } => predicates.clone(),
            CorrelationCondition::Extended(_) => Vec::new(),
        };
        let kind = kind(sigma, &predicates)?;
        check_lower_bound(&kind, &predicates)?;
        let (entries_max, far_max) = bounds(&kind, &predicates)?;
        let aliases: HashMap<&str, _> = sigma.aliases.iter().map(|a| (a.alias.as_str(), &a.mapping)).collect();
        let own_name = |field: &String, reference: &String| -> String {
            let mapped = aliases.get(field.as_str()).and_then(|mapping| mapping.get(reference));
            mapped.unwrap_or(field).clone()
        };
        let fields =
            sigma.rules.iter().map(|reference| sigma.group_by.iter().map(|f| own_name(f, reference)).collect()).collect();
        Ok(Self {
            state_prefix: state_prefix(&rule.id, &source.text),
            base_titles: sigma.rules.clone(),
            rule,
            kind,
            bases,
            group_by: sigma.group_by.clone(),
            timespan_secs,
            predicates,
            entries_max,
            far_max,
            fields,
        })
    }

    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::EventCount => "event_count",
            Kind::ValueCount(_) => "value_count",
            Kind::Temporal(_) => "temporal",
            Kind::TemporalOrdered => "temporal_ordered",
        }
    }

    /// Every native field that the correlation reads.
    pub(crate) fn field_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.fields.iter().flatten().cloned().collect();
        if let Kind::ValueCount(counted) = &self.kind {
            names.extend(counted.iter().cloned());
        }
        names.sort();
        names.dedup();
        names
    }

    /// An event's part in this correlation; `None` when it lacks a group-by field or the counted one.
    pub(crate) fn key(&self, number: u32, part: u16, event: &Event) -> Option<Keyed> {
        let fields = &self.fields[part as usize];
        let group: Vec<CompactString> = fields.iter().map(|field| value_of(event, field)).collect::<Option<_>>()?;
        let value = match &self.kind {
            Kind::ValueCount(counted) => {
                let values: Vec<_> = counted.iter().map(|field| value_of(event, field)).collect::<Option<_>>()?;
                Some(values.join("\u{1f}").into())
            }
            _ => None,
        };
        let mut shard = self.rule.id.as_bytes().to_vec();
        shard.extend_from_slice(&group_key(&group));
        Some(Keyed {
            shard_hash: xxh3_64(&shard),
            correlation: number,
            part,
            entity: entity(&group, event),
            group,
            time: event.time,
            received: event.received,
            uid: event.uid.clone(),
            position: event.position,
            value,
            summary: EventSummary::of(event),
            sharers: 0,
        })
    }
}

fn bases(sigma: &CorrelationRule, find: &dyn Fn(&str) -> Option<u32>) -> Result<Vec<u32>, Refused> {
    if sigma.rules.is_empty() || sigma.rules.len() > PARTS_MAX {
        return refused(format!("a correlation joins 1 to {PARTS_MAX} rules"), "list them under `rules`", "rules:");
    }
    let mut bases = Vec::new();
    for reference in &sigma.rules {
        let Some(base) = find(reference) else {
            let hint = "give the id or name of a detection rule that loads; correlations of correlations are not supported";
            return refused(format!("there is no rule `{reference}`"), hint, "rules:");
        };
        bases.push(base);
    }
    Ok(bases)
}

fn kind(sigma: &CorrelationRule, predicates: &[(ConditionOperator, u64)]) -> Result<Kind, Refused> {
    let is_text = matches!(sigma.condition, CorrelationCondition::Extended(_));
    Ok(match sigma.correlation_type {
        CorrelationType::EventCount | CorrelationType::ValueCount | CorrelationType::TemporalOrdered if is_text => {
            return refused("a condition in words needs `type: temporal`", "compare with gte, gt, lte, lt or eq", "condition:");
        }
        CorrelationType::EventCount => Kind::EventCount,
        CorrelationType::ValueCount => match &sigma.condition {
            CorrelationCondition::Threshold { field: Some(fields), .. } if !fields.is_empty() => {
                Kind::ValueCount(fields.clone())
            }
            _ => return refused("value_count needs `field` in its condition", "name the field to count", "condition:"),
        },
        CorrelationType::Temporal => Kind::Temporal(match &sigma.condition {
            CorrelationCondition::Extended(expression) => presence(expression, &sigma.rules)?,
            // The parser's stand-in for "no condition" is `gte: 1`; one rule alone is no correlation.
            CorrelationCondition::Threshold { .. } => Presence::AtLeast(match predicates {
                [(ConditionOperator::Gte, count)] if *count > 1 => *count as usize,
                _ => sigma.rules.len(),
            }),
        }),
        CorrelationType::TemporalOrdered => Kind::TemporalOrdered,
        other => {
            let message = format!("correlation type {} is not supported yet", other.as_str());
            return refused(message, "use event_count, value_count, temporal or temporal_ordered", "type:");
        }
    })
}

fn presence(expression: &ConditionExpr, rules: &[String]) -> Result<Presence, Refused> {
    let list = |list: &[ConditionExpr]| list.iter().map(|e| presence(e, rules)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        ConditionExpr::And(parts) => Presence::And(list(parts)?),
        ConditionExpr::Or(parts) => Presence::Or(list(parts)?),
        ConditionExpr::Not(_) => {
            let message = "that a rule did not occur is known only when the window is over: `not` is not supported";
            return refused(message, "leave the negated rule out", "condition:");
        }
        ConditionExpr::Identifier(name) => match rules.iter().position(|rule| rule == name) {
            Some(part) => Presence::Part(part as u16),
            None => return refused(format!("`{name}` is not one of the rules"), "check the spelling", "condition:"),
        },
        ConditionExpr::Selector { quantifier, .. } => Presence::AtLeast(match quantifier {
            Quantifier::Any => 1,
            Quantifier::All => rules.len(),
            Quantifier::Count(count) => *count as usize,
        }),
    })
}

/// "Fewer than" alone would be true at the first event of every window.
fn check_lower_bound(kind: &Kind, predicates: &[(ConditionOperator, u64)]) -> Result<(), Refused> {
    let is_count = matches!(kind, Kind::EventCount | Kind::ValueCount(_));
    let has_lower = predicates.iter().any(|(op, _)| {
        matches!(op, ConditionOperator::Gt | ConditionOperator::Gte | ConditionOperator::Eq)
    });
    if is_count && !has_lower {
        let message = "an upper bound alone is known only when the window is over";
        return refused(message, "add a lower bound with gt, gte or eq", "condition:");
    }
    Ok(())
}

/// How many entries a group keeps: a few times what the condition needs.
fn bounds(kind: &Kind, predicates: &[(ConditionOperator, u64)]) -> Result<(usize, usize), Refused> {
    let limit = if matches!(kind, Kind::ValueCount(_)) { VALUES_PER_GROUP_MAX } else { EVENTS_PER_GROUP_MAX };
    let needed = predicates.iter().map(|(_, count)| *count as usize).max().unwrap_or(1);
    if needed >= limit {
        return refused(format!("the condition needs {needed} events, a group keeps {limit}"), "lower the number", "condition:");
    }
    let entries_max = (needed * 4).clamp(ENTRIES_MIN, limit);
    Ok((entries_max, needed.max(ENTRIES_MIN).min(entries_max)))
}

fn state_prefix(id: &str, text: &str) -> Box<[u8]> {
    let mut prefix = id.as_bytes().to_vec();
    prefix.push(0);
    // In hexadecimal: a raw hash may hold the zero that ends it.
    prefix.extend(format!("{:016x}", xxh3_64(text.trim().as_bytes())).bytes());
    prefix.push(0);
    prefix.into()
}

/// The first value of a field as text: native first, then the column of that name.
fn value_of(event: &Event, field: &str) -> Option<CompactString> {
    let native = event.native.path(field).and_then(Value::text);
    let text = match native {
        Some(text) => text.into_owned(),
        None => match (event::column(field)?.get)(event) {
            Cell::Null => return None,
            Cell::Text(text) => text.into_owned(),
            Cell::Int(number) => number.to_string(),
            Cell::Float(number) => number.to_string(),
            Cell::Time(time) => time.to_string(),
            Cell::Texts(list) => list.into_iter().next()?.into_owned(),
        },
    };
    if text.is_empty() {
        return None;
    }
    Some(bounded(text).into())
}

fn bounded(text: String) -> String {
    if text.len() <= VALUE_BYTES_MAX {
        return text;
    }
    let hash = xxh3_64(text.as_bytes());
    let mut end = VALUE_BYTES_MAX - 20;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…{hash:016x}", &text[..end])
}

/// Whom a group is about: a single value that is the event's user, address or host is that; anything else
/// is a group of its own.
fn entity(group: &[CompactString], event: &Event) -> Entity {
    let ocsf = &event.ocsf;
    let [value] = group else {
        let text = if group.is_empty() { "all".into() } else { group.join("|") };
        return Entity::new(EntityKind::Group, text);
    };
    let is = |field: &Option<CompactString>| field.as_ref() == Some(value);
    let kind = if is(&ocsf.src.ip) || is(&ocsf.dst.ip) {
        EntityKind::Ip
    } else if is(&ocsf.user_name) || is(&ocsf.user_uid) {
        EntityKind::User
    } else if is(&ocsf.device_hostname) || is(&ocsf.src.hostname) || is(&ocsf.dst.hostname) {
        EntityKind::Host
    } else if is(&ocsf.cloud_account) {
        EntityKind::Account
    } else if is(&ocsf.product) || is(&ocsf.api_service) {
        EntityKind::Service
    } else {
        EntityKind::Group
    };
    Entity::new(kind, value.clone())
}
