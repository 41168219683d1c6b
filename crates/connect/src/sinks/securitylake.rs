//! Amazon Security Lake: events as OCSF Parquet below the prefixes of custom sources, as the service asks for it: one
//! class a source, `ext/SOURCE/region=…/accountId=…/eventDay=YYYYMMDD/`, each object sorted by time.
//!
//! An object's name is the place in the log of its first and last event, so that a batch that comes again overwrites what
//! it left; `engine` cuts batches where it noted to cut them before the first try. What is Parquet and what is S3 the
//! sink leaves to an [`Archive`], which `engine` hands in.

use super::{Cut, Sink, SinkError, Written};
use event::{Event, Finding, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// Partitions of one batch beyond which events go into those of the sink's own account and the day of receipt: times
/// and accounts are senders' words.
const PARTITIONS_MAX: usize = 256;
/// An event's own day counts if it is not further from the day of receipt.
const PAST_DAYS_MAX: i64 = 400;
const FUTURE_DAYS_MAX: i64 = 2;
const DAY_SECS: i64 = 86_400;

/// Makes objects and puts them where they belong.
pub trait Archive: Send {
    /// Events of one class, sorted by time, as a Parquet file.
    fn parquet(&self, events: &[&Event]) -> Result<Vec<u8>, SinkError>;
    /// In place of what is there under this name.
    fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), SinkError>;
}

/// A bucket of S3 or of something like it.
#[derive(Clone)]
pub struct Bucket {
    pub name: String,
    pub region: String,
    /// Of a store that is not AWS, `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// Id and secret; those of the environment, or of the machine's role, if absent.
    pub credentials: Option<(String, String)>,
}

/// The parts of every object's path.
pub struct Layout {
    pub source: String,
    pub version: Option<String>,
    pub region: String,
    pub account: String,
    /// Names this installation among those that write into the same source.
    pub instance: String,
}

pub(super) struct SecurityLake {
    archive: Box<dyn Archive>,
    layout: Layout,
    cut: Cut,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Partition {
    class: u32,
    account: String,
    day: String,
}

impl SecurityLake {
    pub fn new(archive: Box<dyn Archive>, layout: Layout, cut: Cut) -> Self {
        Self { archive, layout, cut }
    }

    fn partitions<'a>(&self, events: &'a [Event]) -> BTreeMap<Partition, Vec<&'a Event>> {
        let mut partitions: BTreeMap<Partition, Vec<&Event>> = BTreeMap::new();
        let mut known: HashSet<Partition> = HashSet::new();
        for event in events {
            let mut partition = Partition { class: event.class.uid(), account: self.account(event), day: day(own_day(event)) };
            if !known.contains(&partition) {
                if known.len() < PARTITIONS_MAX {
                    known.insert(partition.clone());
                } else {
                    partition.account.clone_from(&self.layout.account);
                    partition.day = day(event.received);
                }
            }
            partitions.entry(partition).or_default().push(event);
        }
        partitions.values_mut().for_each(|events| events.sort_by_key(|event| (event.time, event.position)));
        partitions
    }

    /// The AWS account that the event is about.
    fn account(&self, event: &Event) -> String {
        let named = event.ocsf.cloud_account.as_deref().filter(|account| is_account(account));
        named.unwrap_or(&self.layout.account).to_owned()
    }

    fn path(&self, partition: &Partition, events: &[&Event]) -> String {
        let Layout { source, version, region, instance, .. } = &self.layout;
        let Partition { class, account, day } = partition;
        let version = version.as_ref().map_or_else(String::new, |version| format!("{version}/"));
        let places = || events.iter().map(|event| event.position);
        let text = |place: Option<event::Position>| place.map_or_else(String::new, |place| format!("{:016}.{}", place.offset, place.index));
        let (first, last) = (text(places().min()), text(places().max()));
        format!("ext/{source}-{class}/{version}region={region}/accountId={account}/eventDay={day}/{instance}-{first}-{last}.zstd.parquet")
    }
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The event's time, or that of receipt where the first is absurd.
fn own_day(event: &Event) -> Timestamp {
    let days = (event.received.secs() - event.time.secs()).div_euclid(DAY_SECS);
    if (-FUTURE_DAYS_MAX..=PAST_DAYS_MAX).contains(&days) { event.time } else { event.received }
}

fn day(time: Timestamp) -> String {
    time.day().replace('-', "")
}

impl Sink for SecurityLake {
    fn prepare(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Written {
        for (partition, events) in self.partitions(events) {
            let bytes = self.archive.parquet(&events)?;
            self.archive.put(&self.path(&partition, &events), bytes)?;
        }
        Ok(Vec::new())
    }

    fn cut(&self) -> Option<Cut> {
        Some(self.cut)
    }

    fn findings(&mut self, _findings: &[Finding]) -> Written {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Class, Format, Position};
    use std::sync::{Arc, Mutex};

    type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

    /// Objects in memory, as lines of ids.
    struct Memory(Objects);

    impl Archive for Memory {
        fn parquet(&self, events: &[&Event]) -> Result<Vec<u8>, SinkError> {
            Ok(events.iter().flat_map(|event| event.uid.bytes().chain([b' '])).collect())
        }

        fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), SinkError> {
            self.0.lock().expect("not poisoned").insert(path.to_owned(), bytes);
            Ok(())
        }
    }

    fn sink() -> (SecurityLake, Objects) {
        let objects = Objects::default();
        let layout = Layout {
            source: "erne".into(),
            version: Some("1.0".into()),
            region: "eu-central-1".into(),
            account: "external".into(),
            instance: "0a1b2c3d".into(),
        };
        let cut = Cut { after: std::time::Duration::from_secs(300), bytes_max: 1 << 20 };
        (SecurityLake::new(Box::new(Memory(objects.clone())), layout, cut), objects)
    }

    fn event(offset: u64, secs: i64, account: &str, class: Class) -> Event {
        let received = Timestamp::from_secs(1_790_000_000);
        let mut event = Event::new(format!("e{offset}").into(), Position { offset, index: 0 }, received, "app".into(), Format::Json, "{}".into());
        event.time = Timestamp::from_secs(1_790_000_000 + secs);
        event.class = class;
        event.ocsf.cloud_account = (!account.is_empty()).then(|| account.into());
        event
    }

    #[test]
    fn objects_lie_where_the_service_looks_and_come_again_under_the_same_names() {
        let (mut sink, objects) = sink();
        let events = [
            event(7, 5, "123456789012", Class::ApiActivity),
            event(8, 3, "123456789012", Class::ApiActivity),
            event(9, 0, "../../x", Class::Authentication),
            event(10, -DAY_SECS, "", Class::Authentication),
            event(11, -9_000 * DAY_SECS, "", Class::Authentication),
        ];
        sink.events(&events).unwrap();
        sink.events(&events).unwrap();
        let found: Vec<(String, String)> =
            objects.lock().unwrap().iter().map(|(path, bytes)| (path.clone(), String::from_utf8_lossy(bytes).trim().to_owned())).collect();
        let path = |source, account, day, first, last| {
            format!(
                "ext/{source}/1.0/region=eu-central-1/accountId={account}/eventDay={day}/0a1b2c3d-{first:016}.0-{last:016}.0.zstd.parquet"
            )
        };
        let expected = [
            (path("erne-3002", "external", "20260920", 10, 10), "e10"),
            (path("erne-3002", "external", "20260921", 9, 11), "e11 e9"),
            (path("erne-6003", "123456789012", "20260921", 7, 8), "e8 e7"),
        ];
        assert_eq!(found, expected.map(|(path, ids)| (path, ids.to_owned())));
    }

    #[test]
    fn senders_cannot_make_partitions_without_end() {
        let (mut sink, objects) = sink();
        let events: Vec<Event> = (0..2_000).map(|i| event(i, 0, &format!("{i:012}"), Class::ApiActivity)).collect();
        sink.events(&events).unwrap();
        let objects = objects.lock().unwrap();
        assert_eq!(objects.len(), PARTITIONS_MAX + 1);
        let ids: usize = objects.values().map(|bytes| bytes.iter().filter(|byte| **byte == b' ').count()).sum();
        assert_eq!(ids, 2_000);
    }
}
