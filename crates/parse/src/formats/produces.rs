//! What events of each format look like to rules: the log sources they can have, and the native fields. One
//! place, from which `erne rules check` tells what a rule can match; `tests/parse/produces.rs` holds every
//! sample against it, so that a format that learns a field cannot forget this table.

use super::{json, windows};
use event::Format;

/// What events of one format can be.
pub struct Produced {
    pub format: Format,
    /// What people call such events.
    pub name: &'static str,
    /// Whether an event can have this product, category and service, each empty where a rule names none.
    runs_on: fn(&str, &str, &str) -> bool,
    /// Native fields, by their first part.
    fields: &'static [&'static str],
    /// Whether the sender may bring any other field.
    pub open: bool,
}

impl Produced {
    /// Whether some event of this kind satisfies a rule's log source: product, category and service in lower
    /// case, empty where the rule does not name one.
    pub fn runs_on(&self, product: &str, category: &str, service: &str) -> bool {
        (self.runs_on)(product, category, service)
    }

    /// Whether an event of this kind can have a field: native, or a normalised column.
    pub fn has_field(&self, name: &str) -> bool {
        let first = name.split('.').next().unwrap_or(name);
        self.open || self.fields.iter().any(|own| *own == name || *own == first) || event::column(name).is_some()
    }
}

/// Every kind of event that the formats make.
pub static PRODUCED: &[Produced] = &[
    Produced {
        format: Format::Cloudtrail,
        name: "CloudTrail",
        runs_on: |product, category, service| is(product, "aws") && is(category, "") && is(service, "cloudtrail"),
        fields: CLOUDTRAIL,
        open: false,
    },
    Produced {
        format: Format::AppLog,
        name: "application logs",
        runs_on: |product, category, service| is(product, "") && among(category, &["application", "webserver"]) && is(service, ""),
        fields: WEB,
        open: true,
    },
    Produced { format: Format::AccessJson, name: "access logs in JSON", runs_on: web, fields: WEB, open: true },
    Produced { format: Format::AuthLog, name: "syslog", runs_on: syslog, fields: SYSLOG, open: false },
    Produced {
        format: Format::Auditd,
        name: "the Linux audit log",
        runs_on: |product, category, service| {
            is(product, "linux") && among(category, &["process_creation", "network_connection", "file_event"]) && is(service, "auditd")
        },
        fields: &[],
        open: true,
    },
    Produced {
        format: Format::WebInspection,
        name: "inspected requests",
        runs_on: |product, category, service| is(product, "erne") && is(category, "waf") && is(service, ""),
        fields: INSPECTED,
        open: false,
    },
    Produced { format: Format::AccessLog, name: "access logs", runs_on: web, fields: WEB, open: false },
    Produced {
        format: Format::Json,
        name: "Windows events in JSON",
        runs_on: |product, category, service| is(product, "windows") && windows::has_log_source(category, service),
        fields: &[],
        open: true,
    },
    Produced {
        format: Format::Json,
        name: "the Kubernetes audit log",
        runs_on: |product, category, service| is(product, "kubernetes") && is(category, "application") && is(service, "audit"),
        fields: &[],
        open: true,
    },
    Produced {
        format: Format::Json,
        name: "audit logs of Azure, Google Cloud, Okta and GitHub",
        runs_on: cloud_audit,
        fields: &[],
        open: true,
    },
    Produced {
        format: Format::Json,
        name: "refused logons in JSON",
        runs_on: |product, category, service| product.is_empty() && is(category, "authentication") && service.is_empty(),
        fields: &[],
        open: true,
    },
    Produced {
        format: Format::Json,
        name: "JSON that states its `logsource`",
        runs_on: |product, category, service| [product, category, service].iter().all(|part| part.is_empty() || json::is_log_source_name(part)),
        fields: &[],
        open: true,
    },
    Produced {
        format: Format::Raw,
        name: "lines of no known format",
        runs_on: |product, category, service| product.is_empty() && is(category, "authentication") && service.is_empty(),
        fields: &["event", "message", "src_ip", "user"],
        open: false,
    },
];

/// The record of AWS's CloudTrail reference, versions up to 1.11.
const CLOUDTRAIL: &[&str] = &[
    "addendum", "additionalEventData", "apiVersion", "awsRegion", "edgeDeviceDetails", "errorCode", "errorMessage",
    "eventCategory", "eventContext", "eventID", "eventName", "eventSource", "eventTime", "eventType", "eventVersion",
    "insightDetails", "managementEvent", "readOnly", "recipientAccountId", "requestID", "requestParameters", "resources",
    "responseElements", "serviceEventDetails", "sessionCredentialFromConsole", "sharedEventID", "sourceIPAddress",
    "tlsDetails", "userAgent", "userIdentity", "vpcEndpointAccountId", "vpcEndpointId",
];

const WEB: &[&str] = &[
    "c-ip", "c-uri", "c-uri-extension", "c-uri-query", "c-useragent", "cs-host", "cs-method", "cs-referer", "cs-uri",
    "cs-uri-query", "cs-uri-stem", "cs-user-agent", "cs-username", "cs-version", "date", "extra", "sc-bytes", "sc-status",
    "time",
];

const INSPECTED: &[&str] = &[
    "action", "agent", "banned", "blocked", "c-ip", "c-uri", "c-uri-extension", "c-uri-query", "c-useragent", "class", "classes",
    "client_ip", "cs-host", "cs-method", "cs-referer", "cs-uri", "cs-uri-query", "cs-uri-stem", "cs-user-agent", "cs-version",
    "erne", "evidence", "findings", "latency_us", "locations", "mode", "outcome", "patches", "policy", "profile_version", "request",
    "response", "sc-bytes", "sc-status", "score", "techniques", "time", "truncated", "verdict",
];

const SYSLOG: &[&str] = &[
    "auth_method", "by", "command", "event", "facility", "gid", "group", "home", "hostname", "invalid_user", "message",
    "msgid", "pid", "process", "pwd", "reason", "repeat_count", "run_as", "ruser", "shell", "src_ip", "src_port",
    "structured_data", "syslog_severity", "tty", "uid", "user",
];

/// What a rule names is nothing, or this.
fn is(named: &str, part: &str) -> bool {
    named.is_empty() || named == part
}

fn among(named: &str, parts: &[&str]) -> bool {
    named.is_empty() || parts.contains(&named)
}

fn web(product: &str, category: &str, service: &str) -> bool {
    is(category, "webserver") && among(product, &["nginx", "apache"]) && among(service, &["nginx", "apache"])
        && (product.is_empty() || service.is_empty() || product == service)
}

fn syslog(product: &str, category: &str, service: &str) -> bool {
    let services = ["sshd", "sudo", "auth", "cron", "auditd", "vsftpd", "clamav", "guacamole", "syslog"];
    is(product, "linux") && is(category, "authentication") && among(service, &services)
}

fn cloud_audit(product: &str, category: &str, service: &str) -> bool {
    let services: &[&str] = match product {
        "azure" => &["signinlogs", "riskdetection", "activitylogs", "auditlogs"],
        "gcp" => &["gcp.audit"],
        "okta" => &["okta"],
        "github" => &["audit"],
        "" => &["signinlogs", "riskdetection", "activitylogs", "auditlogs", "gcp.audit", "okta", "audit"],
        _ => return false,
    };
    is(category, "") && among(service, services)
}
