//! What rules read of one event: each field is looked up at most once, each text lower-cased at most once,
//! each predicate evaluated at most once. Slots are reused for all events of a batch and told apart by an
//! epoch, so that nothing has to be cleared between events.

use super::RuleMap;
use super::pattern::{FieldId, KEYWORDS, Number, Predicate};
use event::{Cell, Column, Event, Format, Value};
use std::borrow::Cow;
use std::cell::OnceCell;

/// The distinct fields of a rule set.
pub(crate) struct Fields {
    pub names: Vec<Box<str>>,
    /// What stands in where the native event has no such field.
    columns: Vec<Option<&'static Column>>,
    ids: RuleMap<Box<str>, FieldId>,
}

impl Default for Fields {
    fn default() -> Self {
        Self { names: vec!["keyword".into()], columns: vec![None], ids: RuleMap::default() }
    }
}

impl Fields {
    pub(crate) fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len() as FieldId;
        self.names.push(name.into());
        self.columns.push(event::column(name));
        self.ids.insert(name.into(), id);
        id
    }

    pub(crate) fn name(&self, id: FieldId) -> &str {
        &self.names[id as usize]
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
    /// A map: present, but without a text of its own.
    Tree,
}

/// One value of a field.
#[derive(Debug)]
pub(crate) struct Seen<'e> {
    pub kind: Kind,
    text: Cow<'e, str>,
    /// Empty until asked for; `None` inside when the text is its own lower case.
    lower: OnceCell<Option<Box<str>>>,
}

impl<'e> Seen<'e> {
    fn new(kind: Kind, text: Cow<'e, str>) -> Self {
        Self { kind, text, lower: OnceCell::new() }
    }

    fn of(value: &'e Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(value) => Kind::Bool(*value),
            Value::Int(number) => Kind::Int(*number),
            Value::Float(number) => Kind::Float(*number),
            Value::Text(_) => Kind::Text,
            Value::List(_) | Value::Map(_) => Kind::Tree,
        };
        Self::new(kind, value.text().unwrap_or_default())
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    pub(crate) fn text(&self) -> Option<&str> {
        (!matches!(self.kind, Kind::Null | Kind::Tree)).then_some(&*self.text)
    }

    pub(crate) fn lower(&self) -> &str {
        self.lower.get_or_init(|| lower(&self.text)).as_deref().unwrap_or(&self.text)
    }

    /// How an equal number is written in the index, where that differs from the text.
    pub(crate) fn canonical_number(&self) -> Option<String> {
        let number = match self.kind {
            Kind::Float(f) => Number::Float(f),
            Kind::Text => Number::parse(&self.text)?,
            _ => return None,
        };
        let canonical = number.canonical();
        (canonical != *self.text).then_some(canonical)
    }
}

fn lower(text: &str) -> Option<Box<str>> {
    if !text.is_ascii() {
        return Some(text.to_lowercase().into());
    }
    text.bytes().any(|b| b.is_ascii_uppercase()).then(|| text.to_ascii_lowercase().into())
}

struct Slot<'e> {
    epoch: u32,
    values: Vec<Seen<'e>>,
}

/// The memory of one batch's evaluation.
pub(crate) struct Look<'s, 'e> {
    fields: &'s Fields,
    predicates: &'s [Predicate],
    event: Option<&'e Event>,
    epoch: u32,
    slots: Vec<Slot<'e>>,
    /// Per predicate: the epoch shifted left by one, and the answer in the lowest bit.
    memo: Vec<u32>,
}

impl<'s, 'e> Look<'s, 'e> {
    pub(crate) fn new(fields: &'s Fields, predicates: &'s [Predicate]) -> Self {
        let slots = fields.names.iter().map(|_| Slot { epoch: 0, values: Vec::new() }).collect();
        Self { fields, predicates, event: None, epoch: 0, slots, memo: vec![0; predicates.len()] }
    }

    /// Forgets the last event. The epoch has 31 bits; at the end of them the memory is wiped.
    pub(crate) fn turn(&mut self, event: &'e Event) {
        self.event = Some(event);
        self.epoch += 1;
        if self.epoch > u32::MAX >> 1 {
            self.epoch = 1;
            self.memo.fill(0);
            self.slots.iter_mut().for_each(|slot| slot.epoch = 0);
        }
    }

    pub(crate) fn fill(&mut self, field: FieldId) {
        let slot = &mut self.slots[field as usize];
        let (Some(event), true) = (self.event, slot.epoch != self.epoch) else { return };
        slot.epoch = self.epoch;
        slot.values.clear();
        if field == KEYWORDS {
            return fill_keywords(event, &mut slot.values);
        }
        event.native.each(self.fields.name(field), &mut |value| {
            slot.values.push(Seen::of(value));
            false
        });
        if slot.values.is_empty()
            && let Some(column) = self.fields.columns[field as usize]
        {
            fill_column(column, event, &mut slot.values);
        }
    }

    /// The values of a field that was filled before.
    pub(crate) fn values(&self, field: FieldId) -> &[Seen<'e>] {
        &self.slots[field as usize].values
    }

    /// No value at all, or nothing but nulls.
    pub(crate) fn is_absent(&self, field: FieldId) -> bool {
        self.values(field).iter().all(Seen::is_null)
    }

    pub(crate) fn holds(&mut self, predicate: u32) -> bool {
        let memo = self.memo[predicate as usize];
        if memo >> 1 == self.epoch {
            return memo & 1 == 1;
        }
        let predicates: &'s [Predicate] = self.predicates;
        let holds = predicates[predicate as usize].eval(self);
        self.memo[predicate as usize] = self.epoch << 1 | u32::from(holds);
        holds
    }
}

/// Every scalar, and the line itself where it is text. A JSON record's line adds only its member names
/// and escapes to its scalars: a word in a *name* says nothing about the event.
fn fill_keywords<'e>(event: &'e Event, out: &mut Vec<Seen<'e>>) {
    event.native.each_scalar(&mut |value| {
        out.push(Seen::of(value));
        false
    });
    let is_json = matches!(event.format, Format::Cloudtrail | Format::AppLog | Format::AccessJson | Format::Json);
    if !event.raw.is_empty() && (!is_json || out.is_empty()) {
        out.push(Seen::new(Kind::Text, event.raw_text()));
    }
}

fn fill_column<'e>(column: &Column, event: &'e Event, out: &mut Vec<Seen<'e>>) {
    match (column.get)(event) {
        Cell::Null => {}
        Cell::Text(text) => out.push(Seen::new(Kind::Text, text)),
        Cell::Int(number) => out.push(Seen::new(Kind::Int(number), number.to_string().into())),
        Cell::Float(number) => out.push(Seen::new(Kind::Float(number), number.to_string().into())),
        Cell::Time(time) => out.push(Seen::new(Kind::Text, time.to_string().into())),
        Cell::Texts(list) => out.extend(list.into_iter().map(|text| Seen::new(Kind::Text, text))),
    }
}
