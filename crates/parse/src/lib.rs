//! stub: the agreed surface
use event::{Event, Record};

/// Splits a record into entries and reads each as an event. Never fails: what can't be read is an event
/// with `issues`. Event uids that the source does not give are `Id::of(["event", source, offset, index])`.
pub fn parse(record: &Record, offset: u64, out: &mut Vec<Event>) {
    let _ = (record, offset, out);
}

pub mod enrich {
    use event::{Bytes, Event};
    /// MMDB files' contents; absent means empty fields and a notice.
    #[derive(Default)]
    pub struct Databases {
        pub city: Option<Bytes>,
        pub asn: Option<Bytes>,
    }
    pub struct Enricher;
    impl Enricher {
        /// The second value says, for people, what is absent or unreadable and what to do.
        pub fn new(databases: Databases) -> (Self, Vec<String>) {
            let _ = databases;
            (Self, vec![])
        }
        /// Fills location, autonomous system and user agent.
        pub fn enrich(&self, event: &mut Event) {
            let _ = event;
        }
    }
}
