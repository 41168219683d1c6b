//! Any JSON object. What can be told from customary member names is put into columns; Windows events and
//! objects that name their Sigma log source get one.

use super::{Reader, Spec, network, refused, windows};
use crate::{address, members, time, web};
use event::{Class, Event, Format, LogSource, Map, Status, Value};

pub const SPEC: Spec = Spec {
    format: Format::Json,
    about: "Any JSON object, an array of them, or one per line. Time, message, host, user, addresses, service \
            and status are taken from customary member names (`@timestamp`, `msg`, `user.name`, `src_ip`, …), the \
            source's location from an object like `source.geo` if it holds both coordinates. \
            Windows events (flat with `EventID` and `Channel`, `Event.System` with `EventData`, or `winlog`) \
            become flat fields under the names of Sigma's `windows` rules. Suricata's EVE, the records of `erne agent` and \
            Zeek's logs as JSON are known by their shape: requests come into the HTTP columns, names that were asked for \
            into `dst_endpoint.hostname`. A member `logsource` with \
            `product`, `category`, `service` states the Sigma log source; audit logs of Azure and Entra ID, Google \
            Cloud, Kubernetes, GitHub and Okta are known by their shape.",
    log_source: "Windows: product `windows`, service by channel, category by Sysmon's event id; EVE: category `webserver` for `http`, `dns` for `dns`; Zeek: product `zeek`, service by log; \
                 else as `logsource` says; else none",
    reader: Reader::Json { detect: |_| true, read },
    example: r#"{"@timestamp":"2026-11-20T10:00:00Z","level":"warn","host":"db1","user":"alice","src_ip":"198.51.100.7","msg":"permission denied"}"#,
};

const TIMES: &[&str] = &[
    "@timestamp", "timestamp", "time", "ts", "eventTime", "event_time", "EventTime", "datetime", "date",
    "created_at", "createdDateTime", "published", "p_event_time", "requestReceivedTimestamp", "log_time", "t",
];
const MESSAGES: &[&str] = &["message", "msg", "Message", "log", "text", "description", "displayMessage"];
const HOSTS: &[&str] = &["host.name", "host.hostname", "hostname", "host", "Hostname", "Computer", "computer", "agent.hostname", "_HOSTNAME"];
const USERS: &[&str] = &["user.name", "user", "username", "user_name", "userName", "User", "actor.alternateId", "actor.email", "user.username", "protoPayload.authenticationInfo.principalEmail", "properties.userPrincipalName", "actor", "account", "login"];
const SOURCES: &[&str] = &[
    "source.ip", "client.ip", "src_ip", "source_ip", "client_ip", "clientip", "remote_addr", "remote_ip",
    "ip_address", "ipAddress", "client.ipAddress", "attr.remote", "addr.remote", "actor_ip", "protoPayload.requestMetadata.callerIp", "properties.ipAddress", "id.orig_h", "src", "ip", "sourceIPAddress", "callerIpAddress",
];
const SOURCE_PORTS: &[&str] = &["source.port", "src_port", "source_port", "client_port", "id.orig_p"];
const DESTINATIONS: &[&str] = &["destination.ip", "dest_ip", "dst_ip", "destination_ip", "id.resp_h", "dst"];
const DESTINATION_PORTS: &[&str] = &["destination.port", "dest_port", "dst_port", "destination_port", "id.resp_p"];
const SERVICES: &[&str] = &["service.name", "service", "app", "application", "program", "logger", "SYSLOG_IDENTIFIER"];
const ACTIONS: &[&str] = &["event.action", "action", "operation", "operationName", "eventName", "event_type", "eventType", "protoPayload.methodName", "verb", "event", "type"];
const OUTCOMES: &[&str] = &["event.outcome", "outcome.result", "outcome", "result", "status", "success"];

fn read(event: &mut Event, map: Map) {
    match windows::flatten(map) {
        Ok(flat) => windows::read(event, flat),
        Err(map) => read_any(event, map),
    }
}

fn read_any(event: &mut Event, mut map: Map) {
    time::set(event, members::first(&map, TIMES));
    let text = |names: &[&str]| members::text(&map, names);
    let ocsf = &mut event.ocsf;
    ocsf.message = text(MESSAGES);
    ocsf.device_hostname = text(HOSTS);
    ocsf.user_name = text(USERS);
    ocsf.product = text(SERVICES);
    ocsf.api_operation = text(ACTIONS);
    ocsf.http.user_agent = text(&["user_agent.original", "http_user_agent", "user_agent", "userAgent"]);
    for (endpoint, names, ports) in
        [(&mut ocsf.src, SOURCES, SOURCE_PORTS), (&mut ocsf.dst, DESTINATIONS, DESTINATION_PORTS)]
    {
        if let Some(address) = text(names) {
            address::set_endpoint(endpoint, &address);
            endpoint.port = members::first(&map, ports).and_then(Value::as_i64).or(endpoint.port);
        }
    }
    ocsf.src.location = members::location(&map);
    ocsf.status = members::first(&map, OUTCOMES).map_or(Status::Unknown, status);
    event.log_source = stated_log_source(&map);
    if network::read(event, &mut map) {
        event.native = Value::Map(map);
        return;
    }
    if event.ocsf.product.is_some() && event.ocsf.message.is_some() {
        event.class = Class::ApplicationLog;
    }
    if event.log_source == LogSource::default() {
        refused_logon(event, &mut map);
    } else if matches!(event.log_source.product, "azure" | "gcp" | "okta" | "github" | "kubernetes") {
        event.class = Class::ApiActivity;
        event.ocsf.product = Some(event.log_source.product.into());
    }
    event.native = Value::Map(map);
}

/// A logon that failed, by its message, or by its action and outcome.
fn refused_logon(event: &mut Event, map: &mut Map) {
    let message = event.ocsf.message.clone().unwrap_or_default();
    if message.is_empty() && event.ocsf.status != Status::Failure {
        return;
    }
    let named = |action: &str| ["login", "logon", "signin", "sign_in", "sign-in", "authenticat"].iter().any(|word| action.contains(word));
    let action = event.ocsf.api_operation.as_deref().map(str::to_ascii_lowercase);
    if event.ocsf.status == Status::Failure && action.is_some_and(|action| named(&action)) {
        refused::mark(event, map);
    } else {
        refused::note(event, map, &message);
    }
}

fn status(value: &Value) -> Status {
    match value {
        Value::Bool(true) => Status::Success,
        Value::Bool(false) => Status::Failure,
        Value::Int(code) => web::status_of(*code),
        value => match value.text().unwrap_or_default().to_ascii_lowercase().as_str() {
            "success" | "succeeded" | "ok" | "allow" | "allowed" | "true" => Status::Success,
            "failure" | "failed" | "fail" | "error" | "deny" | "denied" | "false" => Status::Failure,
            text => text.parse().map_or(Status::Unknown, web::status_of),
        },
    }
}

/// Names that SigmaHQ's rules use in their log sources, so that an event's can be `&'static`.
const LOG_SOURCE_NAMES: &[&str] = &[
    "windows", "linux", "macos", "aws", "azure", "gcp", "m365", "okta", "onelogin", "github", "bitbucket",
    "kubernetes", "cisco", "fortigate", "fortios", "huawei", "juniper", "paloalto", "zeek", "opencanary",
    "rpc_firewall", "django", "jvm", "nodejs", "python", "ruby_on_rails", "spring", "sql", "velocity",
    "apache", "nginx", "modsecurity", "qualys", "antivirus", "application", "appliance", "database", "dns",
    "firewall", "proxy", "webserver", "process_creation", "process_termination", "process_access",
    "process_tampering", "network_connection", "file_event", "file_access", "file_change", "file_delete",
    "file_rename", "file_executable_detected", "image_load", "driver_load", "dns_query", "pipe_created",
    "registry_add", "registry_delete", "registry_event", "registry_rename", "registry_set",
    "create_remote_thread", "create_stream_hash", "raw_access_thread", "wmi_event", "ps_classic_start",
    "ps_classic_provider_start", "ps_module", "ps_script", "sysmon_error", "sysmon_status", "cloudtrail",
    "auditlogs", "activitylogs", "signinlogs", "riskdetection", "pim", "gcp.audit", "google_workspace.admin",
    "google_workspace.login", "threat_management", "threat_detection", "audit", "exchange", "onelogin.events",
    "aaa", "bgp", "ldp", "duo", "syslog", "event", "sslvpnd", "globalprotect", "http", "smb_files", "dce_rpc",
    "x509", "rdp", "kerberos", "sshd", "sudo", "auth", "auditd", "cron", "clamav", "guacamole", "vsftpd",
    "security", "system", "sysmon", "powershell", "powershell-classic", "taskscheduler", "windefend", "wmi",
    "ntlm", "dns-server", "dns-client", "bits-client", "applocker", "firewall-as", "ldap", "openssh",
];

/// Whether an event may state this name, in lower case, as a part of its log source.
pub(super) fn is_log_source_name(part: &str) -> bool {
    LOG_SOURCE_NAMES.contains(&part)
}

/// `"logsource": {"product": …, "category": …, "service": …}`; names that no rule uses are left empty.
fn stated_log_source(map: &Map) -> LogSource {
    let Some(stated) = map.get("logsource").or_else(|| map.get("log_source")) else { return by_shape(map) };
    let name = |part: &str| {
        let text = stated.get(part).and_then(Value::as_str).unwrap_or_default();
        LOG_SOURCE_NAMES.iter().find(|name| name.eq_ignore_ascii_case(text)).copied().unwrap_or_default()
    };
    LogSource { product: name("product"), category: name("category"), service: name("service") }
}

/// Audit logs of services that are known by the members that only they have.
fn by_shape(map: &Map) -> LogSource {
    let has = |name| map.get(name).is_some();
    let text = |name| map.get(name).and_then(Value::as_str).unwrap_or_default();
    let source = |product, category, service| LogSource { product, category, service };
    if text("apiVersion").starts_with("audit.k8s.io/") || (has("verb") && (has("auditID") || (has("objectRef") && has("user")))) {
        source("kubernetes", "application", "audit")
    } else if has("protoPayload") && (has("logName") || has("resource")) {
        source("gcp", "", "gcp.audit")
    } else if has("operationName") && has("category") && (has("resourceId") || has("tenantId") || has("properties")) {
        source("azure", "", azure_service(text("category")))
    } else if has("eventType") && has("actor") && has("outcome") && (has("published") || has("debugContext") || has("legacyEventType")) {
        source("okta", "", "okta")
    } else if text("action").contains('.') && has("actor") && (has("org") || has("business") || has("repo") || has("_document_id")) {
        source("github", "", "audit")
    } else {
        LogSource::default()
    }
}

/// Azure's log categories under the names of Sigma's services.
fn azure_service(category: &str) -> &'static str {
    match category {
        "SignInLogs" | "NonInteractiveUserSignInLogs" | "ServicePrincipalSignInLogs" | "ManagedIdentitySignInLogs" => "signinlogs",
        "RiskyUsers" | "UserRiskEvents" | "RiskyServicePrincipals" | "ServicePrincipalRiskEvents" => "riskdetection",
        "Administrative" | "Security" | "ServiceHealth" | "Alert" | "Recommendation" | "Autoscale" | "ResourceHealth" => "activitylogs",
        _ => "auditlogs",
    }
}
