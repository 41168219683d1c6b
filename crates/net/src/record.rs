//! What is written: one record a flow, and one a transaction or handshake seen in it.

use crate::flow::{Endpoints, FlowRecord};
use crate::protocols::dns::DnsRecord;
use crate::protocols::http::HttpRecord;
use crate::protocols::ssh::SshRecord;
use crate::protocols::tls::TlsRecord;
use event::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

#[derive(Clone, Debug)]
pub enum Record {
    Flow(Box<FlowRecord>),
    Dns(Box<DnsRecord>),
    Http(Box<HttpRecord>),
    Tls(Box<TlsRecord>),
    Ssh(Box<SshRecord>),
    /// The facts of a protocol of which only headers are read.
    Facts(Box<Facts>),
}

impl Record {
    /// The record's `type`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flow(_) => "flow",
            Self::Dns(_) => "dns",
            Self::Http(_) => "http",
            Self::Tls(_) => "tls",
            Self::Ssh(_) => "ssh",
            Self::Facts(facts) => facts.protocol,
        }
    }

    pub fn time(&self) -> Timestamp {
        match self {
            Self::Flow(record) => record.start,
            Self::Dns(record) => record.time,
            Self::Http(record) => record.time,
            Self::Tls(record) => record.time,
            Self::Ssh(record) => record.time,
            Self::Facts(record) => record.time,
        }
    }

    pub fn endpoints(&self) -> &Endpoints {
        match self {
            Self::Flow(record) => &record.endpoints,
            Self::Dns(record) => &record.endpoints,
            Self::Http(record) => &record.endpoints,
            Self::Tls(record) => &record.endpoints,
            Self::Ssh(record) => &record.endpoints,
            Self::Facts(record) => &record.endpoints,
        }
    }
}

#[derive(Serialize)]
struct Typed<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    record: &'a T,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kind = self.kind();
        match self {
            Self::Flow(record) => Typed { kind, record }.serialize(serializer),
            Self::Dns(record) => Typed { kind, record }.serialize(serializer),
            Self::Http(record) => Typed { kind, record }.serialize(serializer),
            Self::Tls(record) => Typed { kind, record }.serialize(serializer),
            Self::Ssh(record) => Typed { kind, record }.serialize(serializer),
            Self::Facts(record) => Typed { kind, record }.serialize(serializer),
        }
    }
}

/// Named values of a protocol.
#[derive(Clone, Debug)]
pub struct Facts {
    pub time: Timestamp,
    pub endpoints: Endpoints,
    pub protocol: &'static str,
    pub values: Vec<(&'static str, serde_json::Value)>,
    /// Whom a password was sent for without encryption. The password itself is never kept.
    pub clear_text: Option<String>,
}

impl Facts {
    pub fn get(&self, name: &str) -> Option<&serde_json::Value> {
        self.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Values<'a>(&'a [(&'static str, serde_json::Value)]);
        impl Serialize for Values<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time)?;
        let e = &self.endpoints;
        map.serialize_entry("community_id", &e.community_id)?;
        map.serialize_entry("src_ip", &e.src_ip)?;
        map.serialize_entry("src_port", &e.src_port)?;
        map.serialize_entry("dst_ip", &e.dst_ip)?;
        map.serialize_entry("dst_port", &e.dst_port)?;
        map.serialize_entry("proto", &crate::flow::protocol_name(e.proto))?;
        map.serialize_entry(self.protocol, &Values(&self.values))?;
        if let Some(user) = &self.clear_text {
            map.serialize_entry("clear_text_password_of", user)?;
        }
        map.end()
    }
}
