//! `new_terms`: a value that a group has not shown for `timespan`.
//!
//! What it sees: events of its rules, by group, and the value of `field` in them.
//!
//! What it raises: one finding per value and stretch, a stretch being occurrences of which each is within `timespan`
//! of the one before. The first event of a stretch is new if the group was known for `baseline` by then; a group is
//! known since the first of its events of which each is within `timespan` of the one before, so one event with an odd
//! date makes nobody known.
//!
//! Parameters: `field`; `timespan`, how long a value is remembered (an hour to 31 days); `baseline` (default a quarter of it, at most 7
//! days); `values_max` (default 1,000): a group that shows more has no habit, and its further values are neither learned nor told.
//!
//! Known false positives: anything that changes seldom (a new office, a new laptop): make it a signal, or narrow the rules.

use super::Keyed;
use super::document::{Refused, refused};
use super::finding::{condition, duration};
use super::kinds::{Head, Kind};
use crate::stateful::{Draft, EventRef, GroupState};
use compact_str::CompactString;
use event::{FindingStatus, Position, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use xxhash_rust::xxh3::xxh3_128;

/// Shorter memories would be in the range of what events may be late.
const TIMESPAN_SECS_MIN: i64 = 3_600;
const BASELINE_SECS_MAX: i64 = 7 * 86_400;
const VALUES_DEFAULT: usize = 1_000;
/// Most that `values_max` may be.
const VALUES_MAX: usize = 10_000;
/// What a group that is known has more to lose than one that is not, in events.
const KNOWN_EVIDENCE: usize = 1_024;
/// The layout of stored entries, and what the keys of values begin with.
const LAYOUT: u8 = 1;
const VALUE: u8 = 1;

pub(crate) const KEYS: &[&str] = &["field", "baseline", "values_max"];

#[derive(Clone, Debug)]
pub(crate) struct Rule {
    field: String,
    /// µs.
    memory: i64,
    baseline: i64,
    values_max: usize,
}

pub(crate) fn compile(head: &Head<'_>) -> Result<Kind, Refused> {
    let Some(field) = head.options.text("field")? else {
        return refused("new_terms needs `field`", "name the field whose values are remembered", "type:");
    };
    if head.timespan_secs < TIMESPAN_SECS_MIN {
        return refused("new_terms remembers for an hour at least", "such as timespan: 30d", "timespan");
    }
    let baseline = head.options.secs("baseline")?.unwrap_or((head.timespan_secs / 4).min(BASELINE_SECS_MAX));
    if !(0..=head.timespan_secs).contains(&baseline) {
        return refused("the baseline must not be longer than the timespan", "choose a shorter one", "baseline:");
    }
    let values_max = match head.options.number("values_max")? {
        None => VALUES_DEFAULT,
        Some(number) if (1.0..=VALUES_MAX as f64).contains(&number) && number.fract() == 0.0 => number as usize,
        Some(_) => return refused(format!("values_max goes from 1 to {VALUES_MAX}"), "choose another", "values_max:"),
    };
    let micros = 1_000_000;
    let rule = Rule { field: field.into(), memory: head.timespan_secs * micros, baseline: baseline * micros, values_max };
    let mut kind = Kind::of::<Terms>("new_terms", rule);
    kind.value_fields = vec![field.into()];
    Ok(kind)
}

/// A value and its newest stretch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Term {
    first: i64,
    last: i64,
    /// The last event time of the stretch before.
    before: Option<i64>,
    /// What the finding needs, until it is final.
    open: Option<Open>,
}

impl Term {
    /// Whether it occurred within the memory before a time. Occurrences of a stretch are that near to each other, so its
    /// ends are enough.
    fn was_known(&self, time: i64, memory: i64) -> bool {
        let oldest = time - memory;
        self.first < time && self.last >= oldest || self.before.is_some_and(|before| (oldest..time).contains(&before))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    text: CompactString,
    uid: CompactString,
    offset: u64,
    index: u32,
    heard: i64,
    /// It is no new stretch after all.
    is_old: bool,
    told: Option<Told>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    first: i64,
    revision: u32,
    is_withdrawn: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    head: Written,
    terms: HashMap<u128, Term, ahash::RandomState>,
    /// Values whose newness may still change.
    open: BTreeSet<u128>,
    due: Option<i64>,
    /// No value can be forgotten that is younger.
    oldest: i64,
    changed: BTreeSet<u128>,
    is_head_changed: bool,
    is_head_stored: bool,
}

/// The main entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Written {
    layout: u8,
    /// First and last event time of the group's stretch.
    known: Option<(i64, i64)>,
    heard: i64,
    lateness: i64,
}

impl GroupState for Terms {
    type Rule = Rule;

    fn new() -> Self {
        Self { head: Written { layout: LAYOUT, heard: i64::MIN, ..Written::default() }, oldest: i64::MIN, ..Self::default() }
    }

    fn add(&mut self, rule: &Rule, part: &Keyed, out: &mut Vec<Draft>) {
        let (Some(text), false) = (&part.value, part.is_taken_back) else { return };
        let time = part.clamped().micros();
        self.head.heard = self.head.heard.max(part.received.micros());
        self.head.lateness = self.head.lateness.max(i64::from(part.lateness_secs) * 1_000_000);
        self.is_head_changed = true;
        let Some(is_known_longer) = self.know(rule, time) else { return };
        let hash = xxh3_128(text.as_bytes());
        if self.note(rule, hash, time, part) {
            self.tell(rule, hash, false, out);
        }
        if is_known_longer {
            for hash in self.open.clone() {
                self.tell(rule, hash, false, out);
            }
        }
        self.due_with(hash);
    }

    fn due(&self, _: &Rule) -> Option<Timestamp> {
        self.due.map(Timestamp)
    }

    fn ripen(&mut self, rule: &Rule, now: Timestamp, out: &mut Vec<Draft>) {
        let over: Vec<u128> = self.open.iter().copied().filter(|hash| self.due_of(*hash) <= now.micros()).collect();
        self.close(rule, over, out);
    }

    fn finish(&mut self, rule: &Rule, newest: Timestamp, out: &mut Vec<Draft>) {
        let is_seen = |hash: &u128| self.terms.get(hash).is_some_and(|term| term.first <= newest.micros());
        let over = self.open.iter().copied().filter(is_seen).collect();
        self.close(rule, over, out);
    }

    fn expires(&self, rule: &Rule) -> Timestamp {
        let last = self.head.known.map_or(self.head.heard, |(_, last)| last.max(self.head.heard));
        Timestamp(last.saturating_add(rule.memory).saturating_add(self.head.lateness))
    }

    fn evidence(&self) -> usize {
        let is_known = self.head.known.is_some_and(|(first, last)| last - first >= 3_600_000_000);
        self.terms.len() + if is_known { KNOWN_EVIDENCE } else { 0 }
    }

    fn write(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.head).expect("a struct of numbers has a binary form")
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let head: Written = postcard::from_bytes(bytes).ok()?;
        (head.layout == LAYOUT).then(|| Self { head, is_head_stored: true, ..Self::new() })
    }

    fn changes(&mut self, put: &mut dyn FnMut(&[u8], Option<Vec<u8>>)) {
        if std::mem::take(&mut self.is_head_changed) {
            self.is_head_stored = true;
            put(&[], Some(self.write()));
        }
        for hash in std::mem::take(&mut self.changed) {
            let bytes = self.terms.get(&hash).map(|term| postcard::to_allocvec(term).expect("numbers and text have a binary form"));
            put(&key(hash), bytes);
        }
    }

    fn take(&mut self, entry: &[u8], bytes: &[u8]) -> bool {
        match entry {
            [] => match Self::read(bytes) {
                Some(terms) => *self = terms,
                None => return false,
            },
            [VALUE, hash @ ..] if self.is_head_stored => {
                let Ok(hash) = <[u8; 16]>::try_from(hash).map(u128::from_be_bytes) else { return false };
                let Ok(term) = postcard::from_bytes::<Term>(bytes) else { return false };
                if term.open.is_some() {
                    self.open.insert(hash);
                }
                self.terms.insert(hash, term);
                self.due_with(hash);
            }
            _ => return false,
        }
        true
    }

    fn stored(&self) -> Vec<Vec<u8>> {
        let head = self.is_head_stored.then(Vec::new);
        // One that was never written may be among them: to delete what is not there harms nothing.
        let values = self.terms.keys().chain(&self.changed).map(|hash| key(*hash));
        head.into_iter().chain(values).collect()
    }
}

fn key(hash: u128) -> Vec<u8> {
    [&[VALUE][..], &hash.to_be_bytes()].concat()
}

impl Terms {
    /// Takes an event time into the group's stretch. `None` if it lies before it; else whether the group is known longer now.
    fn know(&mut self, rule: &Rule, time: i64) -> Option<bool> {
        let known = self.head.known.get_or_insert((time, time));
        if time < known.0.saturating_sub(rule.memory) {
            return None;
        }
        if time > known.1.saturating_add(rule.memory) {
            *known = (time, time);
        }
        let is_longer = time < known.0;
        *known = (known.0.min(time), known.1.max(time));
        Some(is_longer)
    }

    /// Takes an occurrence of a value; returns whether its newness is to be looked at.
    fn note(&mut self, rule: &Rule, hash: u128, time: i64, part: &Keyed) -> bool {
        let open = |heard: i64| Open {
            text: part.value.clone().unwrap_or_default(),
            uid: part.uid.clone(),
            offset: part.position.offset,
            index: part.position.index,
            heard,
            is_old: false,
            told: None,
        };
        let received = part.received.micros();
        let Some(term) = self.terms.get_mut(&hash) else {
            if self.terms.len() >= rule.values_max && !self.make_room(rule, time) {
                return false;
            }
            self.terms.insert(hash, Term { first: time, last: time, before: None, open: Some(open(received)) });
            self.open.insert(hash);
            self.changed.insert(hash);
            return true;
        };
        self.changed.insert(hash);
        if time > term.last.saturating_add(rule.memory) {
            *term = Term { first: time, last: time, before: Some(term.last), open: Some(open(received)) };
            self.open.insert(hash);
            return true;
        }
        if time < term.first.saturating_sub(rule.memory) {
            term.before = Some(term.before.map_or(time, |before| before.max(time)));
        } else {
            let is_first = term.open.as_ref().is_some_and(|open| (time, &part.uid) < (term.first, &open.uid));
            if is_first && let Some(now) = &mut term.open {
                *now = Open { told: now.told.take(), is_old: now.is_old, ..open(now.heard.max(received)) };
            }
            (term.first, term.last) = (term.first.min(time), term.last.max(time));
        }
        match &mut term.open {
            Some(open) => {
                open.is_old |= term.before.is_some_and(|before| term.first - before <= rule.memory);
                true
            }
            None => false,
        }
    }

    /// Forgets values that are older than the memory.
    fn make_room(&mut self, rule: &Rule, time: i64) -> bool {
        let oldest = time.saturating_sub(rule.memory).saturating_sub(self.head.lateness);
        if oldest <= self.oldest {
            return false;
        }
        let (changed, before) = (&mut self.changed, self.terms.len());
        self.terms.retain(|hash, term| {
            let stays = term.open.is_some() || term.last >= oldest;
            if !stays {
                changed.insert(*hash);
            }
            stays
        });
        // Values only become younger, so that nothing has to be looked at before this time.
        self.oldest = self.terms.values().filter(|term| term.open.is_none()).map(|term| term.last).min().unwrap_or(oldest);
        self.terms.len() < before
    }

    fn due_of(&self, hash: u128) -> i64 {
        let Some(term) = self.terms.get(&hash) else { return i64::MIN };
        let heard = term.open.as_ref().map_or(i64::MIN, |open| open.heard);
        // An event that is as late as is allowed still counts, hence one more.
        term.first.max(heard).saturating_add(self.head.lateness).saturating_add(1)
    }

    /// Exact after this; in between, `due` may be earlier than it must be, and never later.
    fn set_due(&mut self) {
        self.due = self.open.iter().map(|hash| self.due_of(*hash)).min();
    }

    fn due_with(&mut self, hash: u128) {
        if self.open.contains(&hash) {
            let due = self.due_of(hash);
            self.due = Some(self.due.map_or(due, |other| other.min(due)));
        }
    }

    fn close(&mut self, rule: &Rule, over: Vec<u128>, out: &mut Vec<Draft>) {
        for hash in over {
            self.tell(rule, hash, true, out);
            self.open.remove(&hash);
            if let Some(term) = self.terms.get_mut(&hash) {
                term.open = None;
            }
        }
        self.set_due();
    }

    /// Compares a value's newness with what was told of it.
    fn tell(&mut self, rule: &Rule, hash: u128, is_final: bool, out: &mut Vec<Draft>) {
        let Some((known, _)) = self.head.known else { return };
        let Some(term) = self.terms.get(&hash) else { return };
        let (first, Some(open)) = (term.first, &term.open) else { return };
        let holds = !open.is_old && first - known >= rule.baseline;
        let before = open.told.clone();
        let revision = before.as_ref().map_or(0, |told| told.revision + 1);
        let is_told = before.as_ref().is_some_and(|told| !told.is_withdrawn);
        let is_same = before.as_ref().is_some_and(|told| told.first == first);
        let status = match (holds, is_told) {
            (true, _) if is_final => FindingStatus::Final,
            (true, true) if is_same => return,
            (true, _) => FindingStatus::Provisional,
            (false, true) => FindingStatus::Withdrawn,
            (false, false) => return,
        };
        let told_first = before.as_ref().map(|told| told.first).filter(|_| is_told);
        let cause_first = if holds { first } else { told_first.unwrap_or(first) };
        let others = self.terms.values().filter(|other| other.was_known(first, rule.memory)).count();
        let draft = Draft {
            cause: cause(hash, cause_first),
            replaces: told_first.filter(|told| holds && *told != first).map(|told| cause(hash, told)),
            status,
            revision,
            time: Timestamp(first),
            window: (Timestamp(first), Timestamp(first)),
            events: vec![EventRef { uid: open.uid.clone(), position: Position { offset: open.offset, index: open.index } }],
            event_count: 1,
            what: if holds { what(rule, &open.text, known, others) } else { "late events show that the value was known".into() },
            conditions: vec![
                condition("new_terms", &rule.field, "new", &format!("not seen for {}", duration(rule.memory / 1_000_000)), &open.text),
                condition("new_terms", "group", "known", &format!("for {}", duration(rule.baseline / 1_000_000)), &format!("since {}", Timestamp(known))),
                condition("new_terms", &rule.field, "values", "known before", &others.to_string()),
            ],
        };
        out.push(draft);
        self.changed.insert(hash);
        if let Some(open) = self.terms.get_mut(&hash).and_then(|term| term.open.as_mut()) {
            open.told = Some(Told { first: cause_first, revision, is_withdrawn: !holds });
        }
    }
}

fn cause(hash: u128, first: i64) -> Vec<u8> {
    [&hash.to_le_bytes()[..], &first.to_le_bytes()].concat()
}

fn what(rule: &Rule, value: &str, known: i64, others: usize) -> String {
    let clean: String = crate::sigma::cut(value, 120).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let day = Timestamp(known).day();
    format!("{} {clean} is new among {others} known values since {day}", rule.field)
}
