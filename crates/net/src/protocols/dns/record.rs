use super::{Message, name_of_type};
use crate::flow::Endpoints;
use event::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    pub ttl: u32,
    pub data: String,
}

/// A question, its answer, or both.
#[derive(Clone, Debug, Serialize)]
pub struct DnsRecord {
    pub time: Timestamp,
    #[serde(flatten)]
    pub endpoints: Endpoints,
    pub id: u16,
    pub query: String,
    pub query_type: Cow<'static, str>,
    /// `false` for an answer whose question was not seen.
    pub asked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcode: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub authoritative: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    pub recursion_desired: bool,
    pub recursion_available: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Bytes of both messages.
    pub bytes: usize,
}

fn rcode(code: u16) -> Cow<'static, str> {
    const NAMES: [&str; 12] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "DSOTYPENI"];
    NAMES.get(usize::from(code)).map_or_else(|| format!("RCODE{code}").into(), |name| (*name).into())
}

impl DnsRecord {
    pub fn of(time: Timestamp, endpoints: Endpoints, asked: Option<Message>, answer: Option<Message>, rtt_ms: Option<f64>) -> Option<Self> {
        let bytes = asked.as_ref().map_or(0, |m| m.bytes) + answer.as_ref().map_or(0, |m| m.bytes);
        let (was_asked, answered) = (asked.is_some(), answer.as_ref().map(|a| a.rcode));
        let recursion_desired = asked.as_ref().or(answer.as_ref())?.recursion_desired;
        let message = answer.or(asked)?;
        Some(Self {
            time,
            endpoints,
            id: message.id,
            query_type: name_of_type(message.kind),
            asked: was_asked,
            rcode: answered.map(rcode),
            rtt_ms,
            authoritative: message.authoritative,
            truncated: message.truncated,
            recursion_desired,
            recursion_available: message.recursion_available,
            query: message.name,
            answers: message.answers,
            bytes,
        })
    }
}
