//! Services of one's own that public addresses reach for the first time.
//!
//! For [`Settings::service_learn_secs`] from the first packet on all are learned; a service that answers a public address
//! later, and was never seen, is told. The memory is that of the process: a restart learns anew.
//! ATT&CK T1133, T1190. Known false positives: a service that somebody opened on purpose.

use super::keep::Keep;
use super::{Evidence, Samples, Settings, is_private};
use crate::decode::protocol;
use crate::flow::{FlowRecord, protocol_name};
use event::Timestamp;
use std::net::IpAddr;

const GROUPS_MAX: usize = 50_000;

struct Service {
    learned: bool,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    by: IpAddr,
    app: &'static str,
    samples: Samples,
}

pub struct Services {
    learn_secs: i64,
    began: Option<Timestamp>,
    services: Keep<(IpAddr, u16, u8), Service>,
}

impl Services {
    pub fn new(settings: &Settings) -> Self {
        Self { learn_secs: settings.service_learn_secs, began: None, services: Keep::new(GROUPS_MAX) }
    }

    pub fn flow(&mut self, flow: &FlowRecord) {
        let began = *self.began.get_or_insert(flow.start);
        let e = &flow.endpoints;
        let served = flow.src_payload_bytes > 0 && flow.dst_payload_bytes > 0 && matches!(e.proto, protocol::TCP | protocol::UDP);
        if !served || is_private(e.src_ip) || !is_private(e.dst_ip) {
            return;
        }
        let learned = flow.start.secs() - began.secs() < self.learn_secs;
        let begin = || Service { learned, first: flow.start, last: flow.end, count: 0, by: e.src_ip, app: flow.app.unwrap_or("unknown"), samples: Samples::default() };
        if let Some(service) = self.services.get_or((e.dst_ip, e.dst_port, e.proto), flow.end, begin) {
            service.last = service.last.max(flow.end);
            service.count += 1;
            service.samples.add(e);
        }
    }

    pub fn tell(&self) -> Vec<Evidence> {
        self.services.telling(|s| !s.learned).into_iter().map(|((ip, port, proto), service)| evidence(*ip, *port, *proto, service)).collect()
    }
}

fn evidence(ip: IpAddr, port: u16, proto: u8, service: &Service) -> Evidence {
    Evidence {
        rule: "net-new-external-service",
        entity: ip,
        group: format!("{port} {proto}"),
        first: service.first,
        last: service.last,
        // Told once: a service that goes on being used is no news.
        count: 1,
        summary: format!("{ip} answers public addresses at {} port {port} ({}), first {}, as it never did before", protocol_name(proto), service.app, service.by),
        facts: vec![
            ("dst_port", "equals", String::new(), port.to_string()),
            ("app", "equals", String::new(), service.app.to_owned()),
            ("first_client", "equals", String::new(), service.by.to_string()),
        ],
        community_ids: service.samples.ids(),
    }
}
