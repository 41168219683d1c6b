//! MongoDB: events, findings and profiles of entities, each a document under the id it has here, so that what comes
//! again changes nothing or replaces itself. `time` and other moments on the first level are dates, which know milliseconds; `time_dt`
//! keeps the microseconds.

mod address;
mod bson;
mod connection;
mod scram;

use super::rows::last_told;
use super::{Bad, Profile, Sink, SinkError, Written, unavailable};
use address::Address;
use bson::{Bson, Document};
use connection::Connection;
use event::{Event, Finding, Timestamp};
use serde_json::{Value, json};

/// Documents and bytes of one command; servers take 100,000 and 48 MB.
const BATCH_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 8 << 20;
/// What an update statement adds to its document.
const STATEMENT_BYTES: usize = 1 << 10;

/// Members that become dates.
const MOMENTS: [&str; 4] = ["time", "first_seen", "last_seen", "updated"];

/// Codes of the server that are about the document: BadValue, FailedToParse, TypeMismatch, Overflow, InvalidLength,
/// InvalidBSON, DollarPrefixedFieldName, EmptyFieldName, DottedFieldName, ImmutableField, DocumentValidationFailure,
/// BSONObjectTooLarge, and a second document under another's unique key.
const ABOUT_DATA: [i64; 14] = [2, 9, 14, 15, 16, 22, 52, 56, 57, 66, 121, 10_334, DUPLICATE, 17_280];
const DUPLICATE: i64 = 11_000;

pub(super) struct MongoDb {
    address: Address,
    collections: Collections,
    connection: Option<Connection>,
    /// Documents of one command: fewer after one that the server did not finish in time.
    batch_max: usize,
}

/// What a command does with a document whose `_id` is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    /// Leaves it: events never change.
    Insert,
    Replace,
}

/// Names of the three collections.
pub(super) struct Collections {
    pub events: String,
    pub findings: String,
    pub profiles: String,
}

/// A document with its row's place in the batch.
type Placed = (usize, Document);

/// What is wrong with the URL.
pub(super) fn check(url: &str) -> Result<(), String> {
    Address::parse(url).map(|_| ())
}

impl MongoDb {
    pub fn new(url: &str, collections: Collections) -> Result<Self, SinkError> {
        let address = Address::parse(url).map_err(SinkError::Refused)?;
        Ok(Self { address, collections, connection: None, batch_max: BATCH_MAX })
    }

    /// Runs `work`; a connection that failed is given up.
    fn connected<T>(&mut self, work: impl FnOnce(&mut Connection, &str) -> Result<T, SinkError>) -> Result<T, SinkError> {
        if self.connection.is_none() {
            self.prepare()?;
        }
        let Some(mut connection) = self.connection.take() else { return Err(unavailable("not connected")) };
        let result = work(&mut connection, &self.address.database);
        if !matches!(result, Err(SinkError::Unavailable(_))) {
            self.connection = Some(connection);
        }
        result
    }

    /// Puts documents under their `_id`. A server that is slower than its deadline gets smaller commands next time.
    fn put(&mut self, put: Put, collection: &str, documents: Vec<Placed>) -> Written {
        if self.connection.is_none() {
            self.prepare()?;
        }
        let batch_max = self.batch_max;
        let written = self.connected(|connection, database| write(connection, database, (put, collection), documents, batch_max));
        self.batch_max = match &written {
            Err(SinkError::Unavailable(_)) => (batch_max / 4).max(1),
            _ => (batch_max * 2).min(BATCH_MAX),
        };
        written
    }

    fn delete(&mut self, collection: &str, ids: &[String]) -> Result<(), SinkError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.connected(|connection, database| {
            for part in ids.chunks(BATCH_MAX) {
                let among = Document::default().with("$in", Bson::Array(part.iter().map(|id| id.as_str().into()).collect()));
                let statement = Document::default().with("q", Document::default().with("_id", among)).with("limit", 0);
                let command = Document::default().with("delete", collection).with("deletes", vec![statement]).with("writeConcern", durable());
                let answer = connection.ask(database, command, None)?;
                judged(Put::Replace, &answer, &[])?;
            }
            Ok(())
        })
    }
}

fn write(connection: &mut Connection, database: &str, to: (Put, &str), documents: Vec<Placed>, batch_max: usize) -> Written {
    let mut bad = Vec::new();
    let mut batch = Batch::default();
    for (place, document) in documents {
        let mut bytes = Vec::new();
        match to.0 {
            Put::Insert => document.encode(&mut bytes),
            Put::Replace => statement(document).encode(&mut bytes),
        }
        if bytes.len() > connection.document_bytes_max.saturating_sub(STATEMENT_BYTES) {
            let reason = format!("the document has {} bytes, the server takes {}", bytes.len(), connection.document_bytes_max);
            bad.push(Bad { place, reason });
            continue;
        }
        if batch.places.len() == batch_max || batch.bytes + bytes.len() > BATCH_BYTES_MAX {
            bad.extend(batch.write(connection, database, to)?);
        }
        batch.bytes += bytes.len();
        batch.places.push(place);
        batch.documents.push(bytes);
    }
    bad.extend(batch.write(connection, database, to)?);
    Ok(bad)
}

/// Documents, or statements about them, of one command.
#[derive(Default)]
struct Batch {
    places: Vec<usize>,
    documents: Vec<Vec<u8>>,
    bytes: usize,
}

impl Batch {
    fn write(&mut self, connection: &mut Connection, database: &str, (put, collection): (Put, &str)) -> Written {
        let batch = std::mem::take(self);
        if batch.places.is_empty() {
            return Ok(Vec::new());
        }
        let (name, sequence) = match put {
            Put::Insert => ("insert", "documents"),
            Put::Replace => ("update", "updates"),
        };
        let command = Document::default().with(name, collection).with("ordered", false).with("writeConcern", durable());
        let answer = connection.ask(database, command, Some((sequence, &batch.documents)))?;
        judged(put, &answer, &batch.places)
    }
}

fn statement(document: Document) -> Document {
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    Document::default().with("q", Document::default().with("_id", id)).with("u", document).with("upsert", true)
}

/// Acknowledged means that a majority has it in the journal: else a change of the primary could take it back.
fn durable() -> Document {
    Document::default().with("w", "majority").with("j", true)
}

/// What the server says of a command, and of each statement.
fn judged(put: Put, answer: &Document, places: &[usize]) -> Written {
    let reason = |document: &Document| {
        let text: String = document.text("errmsg").unwrap_or("refused").chars().take(300).collect();
        format!("{} (code {})", text, document.number("code").unwrap_or(0))
    };
    if answer.number("ok") != Some(1) {
        let about_data = answer.number("code").is_some_and(|code| ABOUT_DATA.contains(&code));
        return Err(if about_data { SinkError::Refused(reason(answer)) } else { unavailable(reason(answer)) });
    }
    let mut bad = Vec::new();
    for error in answer.documents("writeErrors") {
        let code = error.number("code").unwrap_or(0);
        // The same id, unless the text names another index; FerretDB names none.
        let same_id = code == DUPLICATE && error.text("errmsg").is_some_and(|text| text.contains("index: _id_") || !text.contains("index: "));
        if same_id && put == Put::Insert {
            continue;
        }
        // Two that put the same id at once: the second replaces it when it comes again.
        let raced = same_id && error.text("errmsg").is_some_and(|text| text.contains("index: _id_"));
        let place = error.number("index").and_then(|index| places.get(usize::try_from(index).ok()?));
        match place {
            Some(place) if ABOUT_DATA.contains(&code) && !raced => bad.push(Bad { place: *place, reason: reason(error) }),
            _ => return Err(unavailable(reason(error))),
        }
    }
    match answer.get("writeConcernError") {
        Some(Bson::Document(error)) => Err(unavailable(reason(error))),
        _ => Ok(bad),
    }
}

impl Sink for MongoDb {
    fn prepare(&mut self) -> Result<(), SinkError> {
        self.connection = None;
        let mut connection = connection::open(&self.address)?;
        let Collections { events, findings, profiles } = &self.collections;
        for (collection, keys) in [
            (events, &[&[("time", -1)][..], &[("actor.user.name", 1), ("time", -1)], &[("src_endpoint.ip", 1), ("time", -1)]][..]),
            (findings, &[&[("time", -1)], &[("rule.id", 1), ("time", -1)], &[("entity.kind", 1), ("entity.value", 1), ("time", -1)]]),
            (profiles, &[&[("risk", -1)], &[("last_seen", -1)]]),
        ] {
            // One at a time: FerretDB 1.24 ends the connection when several of a command are there.
            for keys in keys {
                let command = Document::default().with("createIndexes", collection.as_str()).with("indexes", vec![index(keys)]);
                connection.command(&self.address.database, command)?;
            }
        }
        self.connection = Some(connection);
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Written {
        let documents = events.iter().enumerate().map(|(place, event)| (place, document(event.uid.to_string(), event.to_json())));
        let collection = self.collections.events.clone();
        self.put(Put::Insert, &collection, documents.collect())
    }

    fn findings(&mut self, findings: &[Finding]) -> Written {
        let told = last_told(findings);
        let collection = self.collections.findings.clone();
        self.delete(&collection, &told.gone)?;
        let documents = told.kept.iter().map(|(place, finding)| (*place, document(finding.id.to_string(), json!(finding))));
        self.put(Put::Replace, &collection, documents.collect())
    }

    fn takes_profiles(&self) -> bool {
        true
    }

    fn profiles(&mut self, profiles: &[Profile]) -> Written {
        let documents = profiles.iter().enumerate().map(|(place, profile)| (place, document(profile.entity.to_string(), json!(profile))));
        let collection = self.collections.profiles.clone();
        self.put(Put::Replace, &collection, documents.collect())
    }
}

fn index(keys: &[(&str, i32)]) -> Document {
    let name: Vec<String> = keys.iter().map(|(key, way)| format!("{key}_{way}")).collect();
    let keys = keys.iter().fold(Document::default(), |keys, (key, way)| keys.with(key, *way));
    Document::default().with("key", keys).with("name", name.join("_"))
}

/// A row as a document.
fn document(id: String, mut row: Value) -> Document {
    if let Some(time) = row.get("time").cloned() {
        row["time_dt"] = time;
    }
    let mut document = Document::default().with("_id", id);
    for (key, value) in Document::from_json(row).0 {
        let moment = if let (true, Bson::String(text)) = (MOMENTS.contains(&key.as_str()), &value) { Timestamp::parse(text) } else { None };
        document.0.push((key, moment.map_or(value, |time| Bson::DateTime(time.millis()))));
    }
    document
}
