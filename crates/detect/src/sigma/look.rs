//! What rules read of one event: the event's members are matched to the rules' field names once, each field is
//! looked up at most once, each text lower-cased at most once, each predicate evaluated at most once. Slots are
//! reused for all events and told apart by an epoch, so that nothing has to be cleared between events.

use super::RuleMap;
use super::pattern::{FieldId, KEYWORDS, Number, Predicate};
use event::{Cell, Column, Event, Format, Value};
use std::borrow::Cow;
use std::fmt::Write;

/// A member name that some field begins with: the field's whole name, or its part before one of its dots.
type KeyId = u32;

/// The distinct fields of a rule set.
pub(crate) struct Fields {
    pub names: Vec<Box<str>>,
    /// What stands in where the native event has no such field.
    columns: Vec<Option<&'static Column>>,
    ids: RuleMap<Box<str>, FieldId>,
    /// Per field, the members of the event's root that it may be in.
    roots: Vec<Roots>,
    keys: RuleMap<Box<str>, KeyId>,
}

#[derive(Default)]
struct Roots {
    whole: KeyId,
    /// Each part of the name before a dot, and where the rest begins.
    heads: Box<[(KeyId, u32)]>,
}

impl Default for Fields {
    fn default() -> Self {
        let mut fields =
            Self { names: Vec::new(), columns: Vec::new(), ids: RuleMap::default(), roots: Vec::new(), keys: RuleMap::default() };
        // `KEYWORDS`, which no name leads to.
        fields.add("keyword");
        fields
    }
}

impl Fields {
    pub(crate) fn intern(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.add(name);
        self.ids.insert(name.into(), id);
        id
    }

    fn add(&mut self, name: &str) -> FieldId {
        let id = self.names.len() as FieldId;
        let heads: Vec<_> = name.match_indices('.').map(|(dot, _)| (self.key(&name[..dot]), dot as u32 + 1)).collect();
        let roots = Roots { whole: self.key(name), heads: heads.into() };
        self.names.push(name.into());
        self.columns.push(event::column(name));
        self.roots.push(roots);
        id
    }

    fn key(&mut self, name: &str) -> KeyId {
        let new = self.keys.len() as KeyId;
        *self.keys.entry(name.into()).or_insert(new)
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
    /// Where its lower case stands in [`Look::lowers`].
    lower: (u32, u32),
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Int(number) => Kind::Int(*number),
        Value::Float(number) => Kind::Float(*number),
        Value::Text(_) => Kind::Text,
        Value::List(_) | Value::Map(_) => Kind::Tree,
    }
}

impl Seen<'_> {
    pub(crate) fn is_null(&self) -> bool {
        self.kind == Kind::Null
    }

    pub(crate) fn text(&self) -> Option<&str> {
        (!matches!(self.kind, Kind::Null | Kind::Tree)).then_some(&*self.text)
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

/// Appends the text in lower case, as `str::to_lowercase` has it.
fn push_lower(text: &str, out: &mut String) {
    // The one letter whose lower case depends on its neighbours.
    if !text.is_ascii() && text.contains('Σ') {
        return out.push_str(&text.to_lowercase());
    }
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, other) = rest.split_at(ascii_len(rest.as_bytes()));
        let start = out.len();
        out.push_str(plain);
        out[start..].make_ascii_lowercase();
        let mut chars = other.chars();
        out.extend(chars.next().into_iter().flat_map(char::to_lowercase));
        rest = chars.as_str();
    }
}

/// How many bytes at the start are ASCII, several at a time.
fn ascii_len(bytes: &[u8]) -> usize {
    let whole = bytes.chunks(32).take_while(|chunk| chunk.is_ascii()).map(<[u8]>::len).sum::<usize>();
    whole + bytes[whole..].iter().take_while(|byte| byte.is_ascii()).count()
}

/// The values of one event's fields, in the order in which they were looked up.
#[derive(Default)]
struct Found<'e> {
    values: Vec<Seen<'e>>,
    lowers: String,
}

impl<'e> Found<'e> {
    fn push(&mut self, kind: Kind, text: Cow<'e, str>) {
        let start = self.lowers.len() as u32;
        push_lower(&text, &mut self.lowers);
        self.values.push(Seen { kind, text, lower: (start, self.lowers.len() as u32) });
    }

    fn push_value(&mut self, value: &'e Value) {
        self.push(kind(value), value.text().unwrap_or_default());
    }
}

/// Memory for evaluations, kept from batch to batch: it is as large as the rule set and clearing it for every
/// small batch would cost more than the events.
#[derive(Default)]
pub(crate) struct Memory {
    epoch: u32,
    /// Per key: the epoch, and which member of the event's root has that name.
    members: Vec<(u32, u32)>,
    slots: Vec<Slot>,
    /// Per predicate: the epoch shifted left by one, and the answer in the lowest bit.
    memo: Vec<u32>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    epoch: u32,
    start: u32,
    len: u32,
}

/// The state of one batch's evaluation.
pub(crate) struct Look<'s, 'e> {
    fields: &'s Fields,
    predicates: &'s [Predicate],
    event: Option<&'e Event>,
    memory: Memory,
    found: Found<'e>,
    keywords: Keywords,
}

/// All that a keyword can be in, in lower case, for one search.
#[derive(Default)]
struct Keywords {
    epoch: u32,
    text: String,
}

impl<'s, 'e> Look<'s, 'e> {
    pub(crate) fn new(fields: &'s Fields, predicates: &'s [Predicate]) -> Self {
        Self::with(fields, predicates, Memory::default())
    }

    /// With the memory of an earlier look at events by the same rules.
    pub(crate) fn with(fields: &'s Fields, predicates: &'s [Predicate], mut memory: Memory) -> Self {
        memory.members.resize(fields.keys.len(), (0, 0));
        memory.slots.resize(fields.names.len(), Slot::default());
        memory.memo.resize(predicates.len(), 0);
        Self { fields, predicates, event: None, memory, found: Found::default(), keywords: Keywords::default() }
    }

    pub(crate) fn into_memory(self) -> Memory {
        self.memory
    }

    /// Forgets the last event. The epoch has 31 bits; at the end of them the memory is wiped.
    pub(crate) fn turn(&mut self, event: &'e Event) {
        self.event = Some(event);
        self.found.values.clear();
        self.found.lowers.clear();
        let memory = &mut self.memory;
        memory.epoch += 1;
        if memory.epoch > u32::MAX >> 1 {
            memory.epoch = 1;
            memory.memo.fill(0);
            memory.slots.fill(Slot::default());
            memory.members.fill((0, 0));
            self.keywords.epoch = 0;
        }
        let Value::Map(map) = &event.native else { return };
        for (i, (name, _)) in map.iter().enumerate() {
            if let Some(key) = self.fields.keys.get(name) {
                let member = &mut memory.members[*key as usize];
                // Of members with the same name the first stands.
                if member.0 != memory.epoch {
                    *member = (memory.epoch, i as u32);
                }
            }
        }
    }

    pub(crate) fn fill(&mut self, field: FieldId) {
        let epoch = self.memory.epoch;
        let (Some(event), true) = (self.event, self.memory.slots[field as usize].epoch != epoch) else { return };
        let start = self.found.values.len();
        if field == KEYWORDS {
            fill_keywords(event, &mut self.found);
        } else {
            self.fill_field(field, event);
            if self.found.values.len() == start
                && let Some(column) = self.fields.columns[field as usize]
            {
                fill_column(column, event, &mut self.found);
            }
        }
        let len = (self.found.values.len() - start) as u32;
        self.memory.slots[field as usize] = Slot { epoch, start: start as u32, len };
    }

    /// What [`Value::each`] visits at the field's name, with the members of the root already looked up.
    fn fill_field(&mut self, field: FieldId, event: &'e Event) {
        let name = self.fields.name(field);
        let found = &mut self.found;
        let mut push = |value: &'e Value| {
            found.push_value(value);
            false
        };
        let Value::Map(map) = &event.native else {
            event.native.each(name, &mut push);
            return;
        };
        let memory = &self.memory;
        let member = |key: KeyId| {
            let (epoch, index) = memory.members[key as usize];
            (epoch == memory.epoch).then(|| &map.0[index as usize].1)
        };
        let roots = &self.fields.roots[field as usize];
        if let Some(value) = member(roots.whole) {
            value.each_element(&mut push);
            return;
        }
        for (key, rest) in &roots.heads {
            if let Some(value) = member(*key) {
                value.each(&name[*rest as usize..], &mut push);
            }
        }
    }

    /// The values of a field that was filled before.
    pub(crate) fn values(&self, field: FieldId) -> &[Seen<'e>] {
        let slot = &self.memory.slots[field as usize];
        if slot.epoch != self.memory.epoch {
            return &[];
        }
        &self.found.values[slot.start as usize..][..slot.len as usize]
    }

    /// A value's text in lower case.
    pub(crate) fn lower(&self, seen: &Seen<'_>) -> &str {
        &self.found.lowers[seen.lower.0 as usize..seen.lower.1 as usize]
    }

    /// Every text that a keyword is searched in, in lower case, one after the other. What seems to stand across
    /// two of them is not a match, so this only serves to rule keywords out.
    pub(crate) fn keywords(&mut self) -> &str {
        if let (Some(event), true) = (self.event, self.keywords.epoch != self.memory.epoch) {
            self.keywords.epoch = self.memory.epoch;
            self.keywords.text.clear();
            keyword_text(event, &mut self.keywords.text);
        }
        &self.keywords.text
    }

    /// No value at all, or nothing but nulls.
    pub(crate) fn is_absent(&self, field: FieldId) -> bool {
        self.values(field).iter().all(Seen::is_null)
    }

    pub(crate) fn holds(&mut self, predicate: u32) -> bool {
        let memo = self.memory.memo[predicate as usize];
        if memo >> 1 == self.memory.epoch {
            return memo & 1 == 1;
        }
        let predicates: &'s [Predicate] = self.predicates;
        let holds = predicates[predicate as usize].eval(self);
        self.memory.memo[predicate as usize] = self.memory.epoch << 1 | u32::from(holds);
        holds
    }
}

/// Every scalar, and the line itself where it is text. A JSON record's line adds only its member names
/// and escapes to its scalars: a word in a *name* says nothing about the event.
fn fill_keywords<'e>(event: &'e Event, out: &mut Found<'e>) {
    let before = out.values.len();
    event.native.each_scalar(&mut |value| {
        out.push_value(value);
        false
    });
    if line_is_searched(event, out.values.len() > before) {
        out.push(Kind::Text, event.raw_text());
    }
}

fn line_is_searched(event: &Event, has_scalars: bool) -> bool {
    let is_json = matches!(event.format, Format::Cloudtrail | Format::AppLog | Format::AccessJson | Format::Json);
    !event.raw.is_empty() && (!is_json || !has_scalars)
}

/// The texts of [`fill_keywords`].
fn keyword_text(event: &Event, out: &mut String) {
    let mut has_scalars = false;
    event.native.each_scalar(&mut |value| {
        has_scalars = true;
        // Writing to a `String` does not fail.
        let _ = match value {
            Value::Int(number) => write!(out, "{number}"),
            value => {
                push_lower(&value.text().unwrap_or_default(), out);
                Ok(())
            }
        };
        out.push('\n');
        false
    });
    if line_is_searched(event, has_scalars) {
        push_lower(&event.raw_text(), out);
    }
}

fn fill_column<'e>(column: &Column, event: &'e Event, out: &mut Found<'e>) {
    match (column.get)(event) {
        Cell::Null => {}
        Cell::Text(text) => out.push(Kind::Text, text),
        Cell::Int(number) => out.push(Kind::Int(number), number.to_string().into()),
        Cell::Float(number) => out.push(Kind::Float(number), number.to_string().into()),
        Cell::Time(time) => out.push(Kind::Text, time.to_string().into()),
        Cell::Texts(list) => list.into_iter().for_each(|text| out.push(Kind::Text, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lower_case_is_the_standard_librarys(text in "[a-zA-ZäÄßİIıΣσςẞK\u{212a}ﬀ. ]{0,24}") {
            let mut out = String::from("X");
            push_lower(&text, &mut out);
            prop_assert_eq!(out, format!("X{}", text.to_lowercase()));
        }
    }
}
