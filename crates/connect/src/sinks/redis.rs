//! Redis, in the structures that the reference's dashboards read: lists `recent_events` (100), `recent_threats` (50) and
//! `active_alerts` (20), newest first; the hash `metrics`; a set `threats:ip:{ip}` for each attacker, for a day; and the
//! channel `security_alerts` with findings of level high and above.
//!
//! Each batch is one script on the server, so that it is done wholly or not at all. The place in the log up to which
//! events were counted, and the newest [`SEEN_MAX`] findings that were told, are kept under `erne:{sink}:…`: a batch
//! that comes again counts nothing twice and wakes nobody twice.

use super::rows::{alert, event_name, is_withdrawn, python_time};
use super::{ANSWER_MAX, Sink, SinkError, TechniqueName, Written, unavailable};
use ::redis::{Client, Connection, RedisError, Script};
use event::cloudhawk::{level, threat_type};
use event::{Event, Finding, FindingStatus, Severity};
use serde_json::json;

const RECENT_EVENTS: usize = 100;
const SEEN_MAX: usize = 100_000;
/// More than one record has events. A place is one number, exact in the server's doubles for 2^37 records.
const INDICES: u64 = 1 << 16;

/// KEYS: place, metrics, recent_events. ARGV: place after the batch, number, number suspicious, events oldest first.
const EVENTS: &str = r"
    local place = tonumber(redis.call('GET', KEYS[1]) or '0')
    if place >= tonumber(ARGV[1]) then return 0 end
    redis.call('SET', KEYS[1], ARGV[1])
    redis.call('HINCRBY', KEYS[2], 'events_processed', ARGV[2])
    redis.call('HINCRBY', KEYS[2], 'suspicious_events', ARGV[3])
    for i = 4, #ARGV do redis.call('LPUSH', KEYS[3], ARGV[i]) end
    redis.call('LTRIM', KEYS[3], 0, 99)
    return 1";

/// KEYS: seen, metrics, recent_threats, active_alerts. ARGV: seen_max, then for each finding: id, time, level, source
/// address, threat type, what the lists hold, what the channel says (empty: nothing).
const FINDINGS: &str = r"
    for i = 2, #ARGV, 7 do
        if redis.call('ZADD', KEYS[1], 'NX', ARGV[i + 1], ARGV[i]) == 1 then
            redis.call('HINCRBY', KEYS[2], 'threats_detected', 1)
            redis.call('HINCRBY', KEYS[2], 'severity_' .. ARGV[i + 2], 1)
            redis.call('LPUSH', KEYS[3], ARGV[i + 5])
            redis.call('LTRIM', KEYS[3], 0, 49)
            if ARGV[i + 3] ~= '' then
                local key = 'threats:ip:' .. ARGV[i + 3]
                redis.call('SADD', key, ARGV[i + 4])
                redis.call('EXPIRE', key, 86400)
            end
            if ARGV[i + 6] ~= '' then
                redis.call('LPUSH', KEYS[4], ARGV[i + 6])
                redis.call('LTRIM', KEYS[4], 0, 19)
                redis.call('PUBLISH', 'security_alerts', ARGV[i + 6])
            end
        end
    end
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[1]))
    return 1";

pub(super) struct Redis {
    client: Client,
    connection: Option<Connection>,
    place: String,
    seen: String,
    technique: TechniqueName,
    events: Script,
    findings: Script,
}

impl Redis {
    pub fn new(url: &str, name: &str, technique: TechniqueName) -> Result<Self, SinkError> {
        let client = Client::open(url).map_err(|_| SinkError::Refused("the url cannot be read".into()))?;
        Ok(Self {
            client,
            connection: None,
            place: format!("erne:{name}:next"),
            seen: format!("erne:{name}:findings"),
            technique,
            events: Script::new(EVENTS),
            findings: Script::new(FINDINGS),
        })
    }

    fn run(&mut self, call: impl FnOnce(&Self, &mut Connection) -> Result<i64, RedisError>) -> Written {
        if self.connection.is_none() {
            self.prepare()?;
        }
        let Some(mut connection) = self.connection.take() else { return Err(unavailable("not connected")) };
        match call(self, &mut connection) {
            Ok(_) => {
                self.connection = Some(connection);
                Ok(Vec::new())
            }
            Err(error) => Err(unavailable(error)),
        }
    }
}

impl Sink for Redis {
    fn prepare(&mut self) -> Result<(), SinkError> {
        self.connection = None;
        let connection = self.client.get_connection_with_timeout(ANSWER_MAX).map_err(unavailable)?;
        connection.set_read_timeout(Some(ANSWER_MAX)).and_then(|()| connection.set_write_timeout(Some(ANSWER_MAX))).map_err(unavailable)?;
        self.connection = Some(connection);
        Ok(())
    }

    fn events(&mut self, events: &[Event]) -> Written {
        let Some(last) = events.last() else { return Ok(Vec::new()) };
        let place = last.position.offset.wrapping_mul(INDICES) + u64::from(last.position.index);
        let count = events.iter().filter(|event| event.is_threat()).count();
        let newest: Vec<String> = events[events.len().saturating_sub(RECENT_EVENTS)..].iter().map(row).collect();
        self.run(|sink, connection| {
            let mut call = sink.events.prepare_invoke();
            call.key(&sink.place).key("metrics").key("recent_events").arg(place).arg(events.len()).arg(count);
            newest.iter().for_each(|row| {
                call.arg(row);
            });
            call.invoke(connection)
        })
    }

    fn findings(&mut self, findings: &[Finding]) -> Written {
        // What changes is not news here: the reference knows no revisions. What late events moved was told before.
        let news = |finding: &&Finding| finding.replaces.is_none() && !is_withdrawn(finding);
        let told: Vec<&Finding> = findings.iter().filter(news).filter(|f| f.status != FindingStatus::Final || f.revision == 0).collect();
        if told.is_empty() {
            return Ok(Vec::new());
        }
        self.run(|sink, connection| {
            let mut call = sink.findings.prepare_invoke();
            call.key(&sink.seen).key("metrics").key("recent_threats").key("active_alerts").arg(SEEN_MAX);
            for finding in told {
                let data = alert(finding, &sink.technique);
                let loud = finding.level >= Severity::High;
                let message = if loud { json!({"type": "alert", "data": data}).to_string() } else { String::new() };
                call.arg(finding.id.to_string()).arg(finding.time.0).arg(level(finding.level).to_lowercase());
                call.arg(finding.source_ip.as_deref().unwrap_or_default()).arg(threat_type(&finding.rule.name));
                call.arg(data.to_string()).arg(message);
            }
            call.invoke(connection)
        })
    }
}

/// An event as the list holds it.
fn row(event: &Event) -> String {
    let ocsf = &event.ocsf;
    let row = json!({
        "timestamp": python_time(event.time), "event_id": event.uid, "event_name": event_name(event),
        "event_source": ocsf.api_service.as_deref().or(ocsf.product.as_deref()), "aws_region": ocsf.cloud_region,
        "source_ip": ocsf.src.ip, "user_name": ocsf.user_name, "user_agent": ocsf.http.user_agent,
        "severity": level(event.severity), "is_suspicious": event.is_threat(),
    });
    row.to_string()
}
