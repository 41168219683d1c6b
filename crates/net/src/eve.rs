//! Records in the shape of Suricata's EVE JSON, for tools that read it.
//!
//! Fields that Suricata has and this crate does not know are left out; what only this crate knows is added under its
//! own name.

use crate::Record;
use crate::flow::{ConnState, EndReason, Endpoints, FlowRecord, protocol_name};
use crate::protocols::dns::DnsRecord;
use crate::protocols::http::HttpRecord;
use crate::protocols::ssh::SshRecord;
use crate::protocols::tls::TlsRecord;
use event::Timestamp;
use serde_json::{Map, Value, json};

/// Suricata's form of a time: an offset without a colon.
fn timestamp(time: Timestamp) -> String {
    time.to_string().replace('Z', "+0000")
}

/// An object without the fields that are null.
fn object(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, object(v))).collect()),
        other => other,
    }
}

pub fn eve(record: &Record) -> Value {
    let Endpoints { community_id, src_ip, src_port, dst_ip, dst_port, proto } = record.endpoints();
    let (event_type, name, body) = match record {
        Record::Flow(flow) => ("flow", "flow", flow_body(flow)),
        Record::Dns(dns) => ("dns", "dns", dns_body(dns)),
        Record::Http(http) => ("http", "http", http_body(http)),
        Record::Tls(tls) if tls.carrier == "quic" => ("quic", "quic", quic_body(tls)),
        Record::Tls(tls) => ("tls", "tls", tls_body(tls)),
        Record::Ssh(ssh) => ("ssh", "ssh", ssh_body(ssh)),
        Record::Facts(facts) => (facts.protocol, facts.protocol, Value::Object(facts.values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect::<Map<_, _>>())),
    };
    let mut event = json!({
        "timestamp": timestamp(record.time()),
        "event_type": event_type,
        "src_ip": src_ip,
        "src_port": src_port,
        "dest_ip": dst_ip,
        "dest_port": dst_port,
        "proto": protocol_name(*proto).to_uppercase(),
        "community_id": community_id,
        name: body,
    });
    if let Record::Flow(flow) = record {
        event["app_proto"] = json!(flow.app.unwrap_or("failed"));
        if flow.vlan != 0 {
            event["vlan"] = json!([flow.vlan]);
        }
        if let Some(tcp) = &flow.tcp {
            let flags = |counts: &crate::flow::FlagCounts| counts.0.iter().enumerate().fold(0u8, |all, (bit, n)| all | u8::from(*n > 0) << bit);
            let (to_server, to_client) = (flags(&tcp.src_flags), flags(&tcp.dst_flags));
            event["tcp"] = json!({"tcp_flags": format!("{:02x}", to_server | to_client), "tcp_flags_ts": format!("{to_server:02x}"), "tcp_flags_tc": format!("{to_client:02x}")});
        }
    }
    object(event)
}

fn flow_body(flow: &FlowRecord) -> Value {
    let state = match flow.state {
        ConnState::S0 => "new",
        ConnState::S1 | ConnState::S2 | ConnState::S3 | ConnState::Other => "established",
        _ if flow.tcp.is_none() => "established",
        _ => "closed",
    };
    let reason = match flow.reason {
        EndReason::End | EndReason::Evicted => "forced",
        _ => "timeout",
    };
    json!({
        "pkts_toserver": flow.src_packets,
        "pkts_toclient": flow.dst_packets,
        "bytes_toserver": flow.src_bytes,
        "bytes_toclient": flow.dst_bytes,
        "start": timestamp(flow.start),
        "end": timestamp(flow.end),
        "age": flow.duration as i64,
        "state": state,
        "reason": reason,
    })
}

fn dns_body(dns: &DnsRecord) -> Value {
    let answers: Vec<Value> = dns.answers.iter().map(|a| json!({"rrname": a.name, "rrtype": a.kind, "ttl": a.ttl, "rdata": a.data})).collect();
    json!({
        "version": 2,
        "type": if dns.rcode.is_some() { "answer" } else { "query" },
        "id": dns.id,
        "rrname": dns.query,
        "rrtype": dns.query_type,
        "rcode": dns.rcode,
        "aa": dns.authoritative.then_some(true),
        "tc": dns.truncated.then_some(true),
        "rd": dns.recursion_desired,
        "ra": dns.recursion_available,
        "answers": (!answers.is_empty()).then_some(answers),
    })
}

fn http_body(http: &HttpRecord) -> Value {
    json!({
        "hostname": http.host,
        "url": http.target,
        "http_user_agent": http.user_agent,
        "http_refer": http.referer,
        "http_method": (!http.method.is_empty()).then_some(&http.method),
        "protocol": http.version,
        "status": http.status,
        "redirect": http.location,
        "http_content_type": http.response_content_type.as_deref().and_then(|v| v.split(';').next()),
        "length": http.response_body.len,
    })
}

fn tls_body(tls: &TlsRecord) -> Value {
    let certificate = tls.certificate.as_ref();
    json!({
        "sni": tls.server_name,
        "version": tls.version.as_deref().map(|v| v.replacen("TLSv1.0", "TLSv1", 1).replacen("TLSv", "TLS ", 1)),
        "subject": certificate.map(|c| &c.subject),
        "issuerdn": certificate.map(|c| &c.issuer),
        "serial": certificate.map(|c| &c.serial),
        "notbefore": certificate.and_then(|c| c.not_before).map(|t| t.to_string()[..19].to_owned()),
        "notafter": certificate.and_then(|c| c.not_after).map(|t| t.to_string()[..19].to_owned()),
        "client_alpns": (!tls.alpn_offered.is_empty()).then_some(&tls.alpn_offered),
        "server_alpns": tls.alpn.as_ref().map(|a| [a]),
        "ja3": tls.ja3.as_ref().map(|hash| json!({"hash": hash})),
        "ja3s": tls.ja3s.as_ref().map(|hash| json!({"hash": hash})),
        "ja4": tls.ja4,
    })
}

fn quic_body(tls: &TlsRecord) -> Value {
    json!({"version": tls.quic_version, "sni": tls.server_name, "ja3": tls.ja3.as_ref().map(|hash| json!({"hash": hash})), "ja4": tls.ja4})
}

fn ssh_body(ssh: &SshRecord) -> Value {
    let side = |banner: &Option<String>, hash: &Option<String>, text: &Option<String>| {
        let mut parts = banner.as_deref().unwrap_or_default().splitn(3, '-').skip(1);
        json!({"proto_version": parts.next(), "software_version": parts.next(), "hassh": hash.as_ref().map(|hash| json!({"hash": hash, "string": text}))})
    };
    json!({"client": side(&ssh.client, &ssh.hassh, &ssh.hassh_algorithms), "server": side(&ssh.server, &ssh.hassh_server, &ssh.hassh_server_algorithms)})
}
