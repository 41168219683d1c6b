//! A correlation rule compiled against the rules it refers to, and the part of an event or finding in it.

use super::document::{Document, Refused, refused};
use super::kinds::{self, Head, Kind};
use super::{EventSummary, Keyed, group_key};
use crate::front::principal::{self, Identity};
use crate::sigma::Source;
use crate::stateful::Draft;
use compact_str::CompactString;
use event::{Cell, Entity, EntityKind, Event, Finding, Rule, Timestamp, Value};
use std::collections::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Longest group or counted value that is kept, bytes; longer ones are kept as a prefix and a hash.
const VALUE_BYTES_MAX: usize = 512;
/// Longest window: state must not grow for ever.
const TIMESPAN_SECS_MAX: i64 = 31 * 24 * 3600;
/// Most rules that one correlation joins.
const PARTS_MAX: usize = 64;
/// Most correlations that build on each other.
pub(crate) const DEPTH_MAX: u8 = 4;

/// What a correlation counts: detection rules, or findings of other correlations, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Base {
    Rule(u32),
    Correlation(u32),
}

#[derive(Debug)]
pub(crate) struct Correlation {
    pub rule: Arc<Rule>,
    pub kind: Kind,
    /// In the order of `rules`; one that is named twice is here twice.
    pub bases: Vec<Base>,
    pub group_by: Vec<String>,
    pub timespan_secs: i64,
    /// Whether it raises findings of its own; false for the parts of another correlation without `generate`.
    pub emits: bool,
    /// The correlations it is part of, and as which part.
    pub chains: Vec<(u32, u16)>,
    /// One for a correlation of detection rules only.
    pub depth: u8,
    /// The rule's id, a zero, the hash of its text, a zero.
    pub state_prefix: Box<[u8]>,
    /// Per part.
    parts: Vec<PartFields>,
}

/// Where a part's group and value come from.
#[derive(Debug)]
enum PartFields {
    /// Names in the events of a detection rule.
    Event { group: Vec<String>, value: Vec<String> },
    /// Places among the group-by values of another correlation.
    Finding { group: Vec<usize>, value: Vec<usize> },
}

impl Correlation {
    /// `find` says which rule a reference names; `known` are the correlations that are compiled already.
    pub(crate) fn compile(
        source: &Source<Document>,
        rule: Arc<Rule>,
        find: &dyn Fn(&str) -> Option<Base>,
        known: &[Correlation],
    ) -> Result<Self, Refused> {
        let sigma = &source.item.sigma;
        let timespan_secs = sigma.timespan.seconds as i64;
        if !(1..=TIMESPAN_SECS_MAX).contains(&timespan_secs) {
            return refused("the timespan must be between one second and 31 days", "choose another", "timespan");
        }
        let bases = bases(&sigma.rules, find)?;
        let first = |base: &Base| bases.iter().position(|one| one == base).unwrap_or_default() as u16;
        let places: Vec<u16> = bases.iter().map(first).collect();
        let is_chained = bases.iter().any(|base| matches!(base, Base::Correlation(_)));
        let head = Head { sigma, options: &source.item.options, timespan_secs, places: &places, is_chained };
        let kind = kinds::compile(&head)?;
        let mut depth = 1;
        let mut parts = Vec::new();
        for (base, reference) in bases.iter().zip(&sigma.rules) {
            let names = Names { sigma, reference };
            parts.push(match base {
                Base::Rule(_) => PartFields::Event { group: names.own(&sigma.group_by), value: names.own(&kind.value_fields) },
                Base::Correlation(number) => {
                    let other = &known[*number as usize];
                    if !kind.can_chain {
                        let message = format!("{} counts detection rules, and `{reference}` is a correlation", kind.name);
                        return refused(message, "name the detection rules themselves", "rules:");
                    }
                    depth = depth.max(other.depth + 1);
                    PartFields::Finding { group: names.places(&sigma.group_by, other)?, value: names.places(&kind.value_fields, other)? }
                }
            });
        }
        if depth > DEPTH_MAX {
            return refused(format!("more than {DEPTH_MAX} correlations build on each other"), "join some of them", "rules:");
        }
        Ok(Self {
            state_prefix: state_prefix(&rule.id, &source.text),
            rule,
            kind,
            bases,
            group_by: sigma.group_by.clone(),
            timespan_secs,
            emits: true,
            chains: Vec::new(),
            depth,
            parts,
        })
    }

    /// The bases that events or findings come from, each once, with its part.
    pub(crate) fn distinct_bases(&self) -> impl Iterator<Item = (u16, Base)> {
        let first = |(place, base): &(usize, Base)| self.bases[..*place].iter().all(|other| other != base);
        self.bases.iter().copied().enumerate().filter(first).map(|(place, base)| (place as u16, base))
    }

    /// Every native field that the correlation reads.
    pub(crate) fn field_names(&self) -> Vec<String> {
        let fields = self.parts.iter().filter_map(|part| match part {
            PartFields::Event { group, value } => Some(group.iter().chain(value)),
            PartFields::Finding { .. } => None,
        });
        let mut names: Vec<String> = fields.flatten().cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// An event's part in this correlation; `None` when it lacks a group-by field or the counted one.
    pub(crate) fn key(&self, number: u32, part: u16, event: &Event, lateness_secs: u32) -> Option<Keyed> {
        let PartFields::Event { group, value } = &self.parts[part as usize] else { return None };
        let group: Vec<CompactString> = group.iter().map(|field| value_of(event, field)).collect::<Option<_>>()?;
        let value = match &value[..] {
            [] => None,
            [field] if self.kind.value_is_optional => value_of(event, field),
            [field] => Some(value_of(event, field)?),
            fields => {
                let values: Vec<_> = fields.iter().map(|field| value_of(event, field)).collect::<Option<_>>()?;
                Some(values.join("\u{1f}").into())
            }
        };
        Some(Keyed {
            shard_hash: self.shard_hash(&group),
            correlation: number,
            part,
            entity: entity(&group, event),
            group,
            time: event.time,
            received: event.received,
            lateness_secs,
            uid: event.uid.clone(),
            position: event.position,
            value,
            summary: if self.kind.counts_sharers { EventSummary::with_place(event) } else { EventSummary::of(event) },
            sharers: 0,
            identity: self.principal_place().and_then(|_| Identity::of(event)).map(Box::new),
            is_taken_back: false,
        })
    }

    /// Where among the group-by fields the resolved principal stands.
    pub(crate) fn principal_place(&self) -> Option<usize> {
        self.group_by.iter().position(|field| field == principal::FIELD)
    }

    /// Gives a part to a principal.
    pub(crate) fn give(&self, part: &mut Keyed, id: &CompactString, name: &CompactString) {
        let Some(place) = self.principal_place().filter(|place| *place < part.group.len()) else { return };
        part.group[place] = id.clone();
        part.shard_hash = self.shard_hash(&part.group);
        part.summary.user = Some(name.clone());
        part.entity = match part.group.len() {
            1 => Entity::new(EntityKind::User, name.clone()),
            _ => Entity::new(EntityKind::Group, part.group.join("|")),
        };
    }

    fn shard_hash(&self, group: &[CompactString]) -> u64 {
        let mut shard = self.rule.id.as_bytes().to_vec();
        shard.extend_from_slice(&group_key(group));
        xxh3_64(&shard)
    }

    /// A finding's part in this correlation, which names the finding's rule as its part `part`.
    pub(crate) fn key_of_finding(&self, number: u32, part: u16, cause: &Cause<'_>) -> Option<Keyed> {
        let PartFields::Finding { group, value } = self.parts.get(part as usize)? else { return None };
        let pick = |places: &[usize]| -> Vec<CompactString> { places.iter().map(|place| cause.group[*place].clone()).collect() };
        let (group, value) = (pick(group), pick(value));
        let entity = match &group[..] {
            [one] if *one == cause.finding.entity.value => cause.finding.entity.clone(),
            [one] => Entity::new(EntityKind::Group, one.clone()),
            [] => Entity::new(EntityKind::Group, "all"),
            several => Entity::new(EntityKind::Group, several.join("|")),
        };
        Some(Keyed {
            shard_hash: self.shard_hash(&group),
            correlation: number,
            part,
            entity,
            group,
            time: cause.draft.time,
            received: cause.now,
            lateness_secs: cause.lateness_secs,
            uid: cause.finding.id.to_string().into(),
            position: cause.draft.events.last().map(|event| event.position).unwrap_or_default(),
            value: (!value.is_empty()).then(|| value.join("\u{1f}").into()),
            summary: cause.summary.clone(),
            sharers: 0,
            identity: None,
            is_taken_back: false,
        })
    }
}

/// A finding that another correlation counts.
pub(crate) struct Cause<'a> {
    pub finding: &'a Finding,
    pub draft: &'a Draft,
    /// The values of its rule's group-by fields.
    pub group: &'a [CompactString],
    pub summary: &'a EventSummary,
    pub now: Timestamp,
    pub lateness_secs: u32,
}

fn bases(references: &[String], find: &dyn Fn(&str) -> Option<Base>) -> Result<Vec<Base>, Refused> {
    if references.is_empty() || references.len() > PARTS_MAX {
        return refused(format!("a correlation joins 1 to {PARTS_MAX} rules"), "list them under `rules`", "rules:");
    }
    let mut bases = Vec::new();
    for reference in references {
        let Some(base) = find(reference) else {
            let hint = "give the id or name of a rule that loads; correlations may build on each other, but not in a circle";
            return refused(format!("there is no rule `{reference}`"), hint, reference.clone());
        };
        bases.push(base);
    }
    Ok(bases)
}

/// How a correlation's field names read for one of its rules.
struct Names<'a> {
    sigma: &'a rsigma_parser::CorrelationRule,
    reference: &'a String,
}

impl Names<'_> {
    fn own(&self, fields: &[String]) -> Vec<String> {
        let aliases: HashMap<&str, _> = self.sigma.aliases.iter().map(|a| (a.alias.as_str(), &a.mapping)).collect();
        let own_name = |field: &String| {
            let mapped = aliases.get(field.as_str()).and_then(|mapping| mapping.get(self.reference));
            mapped.unwrap_or(field).clone()
        };
        fields.iter().map(own_name).collect()
    }

    /// Where the fields stand among another correlation's group-by fields: a finding has no others.
    fn places(&self, fields: &[String], other: &Correlation) -> Result<Vec<usize>, Refused> {
        let place = |name: String| match other.group_by.iter().position(|known| *known == name) {
            Some(place) => Ok(place),
            None => {
                let message = format!("findings of `{}` have no field `{name}`", self.reference);
                let hint = format!("they have its group-by fields: {}", other.group_by.join(", "));
                refused(message, hint, "group-by")
            }
        };
        self.own(fields).into_iter().map(place).collect()
    }
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
    if field == principal::FIELD {
        return Identity::of(event).map(|who| who.id().clone());
    }
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
