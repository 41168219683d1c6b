//! What a log does not say itself: where an address is, whose network it is in, and which browser or tool a
//! user agent names.

mod agent;
mod geo;

use event::{Bytes, Event};

/// MMDB files' contents; absent means empty fields and a notice.
#[derive(Default)]
pub struct Databases {
    pub city: Option<Bytes>,
    pub asn: Option<Bytes>,
}

/// Adds location, autonomous system and user agent. Pure: the databases are in memory.
pub struct Enricher {
    city: Option<geo::Database>,
    asn: Option<geo::Database>,
    agents: agent::Words,
}

impl Enricher {
    /// The second value says, for people, what is absent or unreadable and what to do.
    pub fn new(databases: Databases) -> (Self, Vec<String>) {
        let mut notices = Vec::new();
        let city = geo::open(databases.city, "city", "countries and cities stay empty", &mut notices);
        let asn = geo::open(databases.asn, "ASN", "network owners stay empty", &mut notices);
        let agents = agent::Words::new().expect("a few hundred short words fit an automaton");
        (Self { city, asn, agents }, notices)
    }

    /// Fills location, autonomous system and user agent. What the event already has stays.
    pub fn enrich(&self, event: &mut Event) {
        geo::fill(&mut event.ocsf.src, self.city.as_ref(), self.asn.as_ref());
        geo::fill(&mut event.ocsf.dst, self.city.as_ref(), self.asn.as_ref());
        if let Some(text) = &event.ocsf.http.user_agent
            && event.ocsf.user_agent.name.is_none()
        {
            event.ocsf.user_agent = self.agents.parse(text);
        }
    }
}
