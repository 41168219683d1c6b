use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

const LATENCY_SECS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const INSPECTION_SECS: [f64; 10] = [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.02, 0.1];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u32,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Inspection {
    verdict: &'static str,
    action: &'static str,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The door's own counters. Labels are from our own lists, never from a request: a stranger cannot grow them.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    latency: Family<Route, Histogram, fn() -> Histogram>,
    connections: Gauge,
    sockets: Gauge,
    auth_failures: Family<Reason, Counter>,
    shed: Family<Reason, Counter>,
    ingested_bytes: Counter,
    inspections: Family<Inspection, Counter>,
    inspection: Histogram,
    reported: Family<Reason, Counter>,
}

/// Counts one open thing until it is dropped.
pub struct Open(Gauge);
impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}
impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub fn new() -> Self {
        let constructor: fn() -> Histogram = || Histogram::new(LATENCY_SECS);
        let mut me = Self {
            registry: Registry::default(),
            requests: Family::default(),
            latency: Family::new_with_constructor(constructor),
            connections: Gauge::default(),
            sockets: Gauge::default(),
            auth_failures: Family::default(),
            shed: Family::default(),
            ingested_bytes: Counter::default(),
            inspections: Family::default(),
            inspection: Histogram::new(INSPECTION_SECS),
            reported: Family::default(),
        };
        let r = &mut me.registry;
        r.register("erne_http_requests", "Answered requests by route and status", me.requests.clone());
        r.register("erne_http_request_seconds", "Time to an answer by route", me.latency.clone());
        r.register("erne_http_connections", "Open connections", me.connections.clone());
        r.register("erne_http_sockets", "Open WebSockets", me.sockets.clone());
        r.register("erne_auth_failures", "Refused credentials by reason", me.auth_failures.clone());
        r.register("erne_http_shed", "Requests, connections and messages refused or lost by reason", me.shed.clone());
        r.register("erne_http_ingested_bytes", "Bytes of acknowledged bodies after decompression", me.ingested_bytes.clone());
        r.register("erne_web_inspections", "Requests inspected by the gateway, by verdict and what was done", me.inspections.clone());
        r.register("erne_web_inspection_seconds", "Time of an inspection, without reading the question", me.inspection.clone());
        r.register("erne_web_reported", "Requests that agents report, by what they did", me.reported.clone());
        me
    }

    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { route, status: u32::from(status) }).inc();
        self.latency.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }
    pub fn inspected(&self, verdict: &'static str, action: &'static str, took: Duration) {
        self.inspections.get_or_create(&Inspection { verdict, action }).inc();
        self.inspection.observe(took.as_secs_f64());
    }
    pub fn reported(&self, reason: &'static str) {
        self.reported.get_or_create(&Reason { reason }).inc();
    }
    pub fn connection(&self) -> Open {
        Open::new(&self.connections)
    }
    pub fn socket(&self) -> Open {
        Open::new(&self.sockets)
    }
    pub fn auth_failed(&self, reason: &'static str) {
        self.auth_failures.get_or_create(&Reason { reason }).inc();
    }
    pub fn shed(&self, reason: &'static str) {
        self.shed_many(reason, 1);
    }
    pub fn shed_many(&self, reason: &'static str, count: u64) {
        self.shed.get_or_create(&Reason { reason }).inc_by(count);
    }
    pub fn ingested(&self, bytes: u64) {
        self.ingested_bytes.inc_by(bytes);
    }

    /// Appends the Prometheus text, without the closing `# EOF`.
    pub fn write(&self, out: &mut String) {
        prometheus_client::encoding::text::encode_registry(out, &self.registry).expect("a String takes any text");
    }
}
