//! AWS CloudTrail events, as the service writes them to S3, CloudWatch and EventBridge targets.
//!
//! Field meanings: "CloudTrail record contents" in the AWS documentation. The members keep their names, so
//! Sigma's `aws`/`cloudtrail` rules run on them unchanged.

use super::{Reader, Spec};
use crate::members;
use crate::{address, time};
use compact_str::{CompactString, format_compact};
use event::{Class, Event, Format, LogSource, Map, Status, Value};

pub const SPEC: Spec = Spec {
    format: Format::Cloudtrail,
    about: "AWS CloudTrail: `{\"Records\":[…]}` documents on one or many lines, a JSON array, one event per \
            line, or an envelope around one (EventBridge's, or a member `event`, `_source`, `record` or `log`). Members keep their names (`eventName`, `userIdentity.arn`, …). `eventID` is the event's uid.",
    log_source: "product `aws`, service `cloudtrail`",
    reader: Reader::Json { detect, read },
    example: r#"{"Records":[{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/alice","accountId":"123456789012","userName":"alice"},"eventTime":"2026-11-20T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"DeleteBucket","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7","userAgent":"aws-cli/2.13.25","requestParameters":{"bucketName":"backups"},"responseElements":null,"eventID":"0f2a4c1e-7d7f-4c64-9f0b-3b1d6f1f8a11","readOnly":false,"eventType":"AwsApiCall","recipientAccountId":"123456789012"}]}"#,
};

/// Longest `eventID` that becomes the uid; the real ones are UUIDs of 36.
const UID_BYTES_MAX: usize = 64;

fn detect(map: &Map) -> bool {
    is_event(map) || delivered(map).is_some()
}

/// The event inside EventBridge's envelope.
fn delivered(map: &Map) -> Option<&Map> {
    map.get("detail-type")?.as_str().filter(|kind| kind.ends_with("via CloudTrail"))?;
    map.get("detail").and_then(Value::as_map).filter(|detail| is_event(detail))
}

pub(super) fn is_event(map: &Map) -> bool {
    let has = |name| map.get(name).is_some();
    has("eventName") && has("eventSource") && (has("eventTime") || has("userIdentity") || has("eventVersion"))
}

fn read(event: &mut Event, map: Map) {
    match delivered(&map).cloned() {
        Some(detail) => read_event(event, detail),
        None => read_event(event, map),
    }
}

fn read_event(event: &mut Event, map: Map) {
    event.class = Class::ApiActivity;
    event.log_source = LogSource { product: "aws", category: "", service: "cloudtrail" };
    event.ocsf.status = Status::Success;
    event.ocsf.cloud_provider = Some(CompactString::const_new("AWS"));
    event.ocsf.product = Some(CompactString::const_new("CloudTrail"));
    // One pass: an event has some 25 members, and looking up each by name would scan them 20 times.
    // Backwards, so that of members with the same name the first stands, as it does for rules.
    for (name, value) in map.0.iter().rev() {
        set_member(event, name, value);
    }
    time::set(event, map.get("eventTime"));
    set_error(event, &map);
    event.ocsf.resource = resource(&map);
    if event.ocsf.api_operation.as_deref() == Some("ConsoleLogin") {
        event.class = Class::Authentication;
        event.ocsf.activity = Some(CompactString::const_new("Logon"));
    } else {
        let read_only = map.get("readOnly").is_some_and(|v| matches!(v, Value::Bool(true)) || v.as_str() == Some("true"));
        let operation = event.ocsf.api_operation.as_deref().unwrap_or_default();
        event.ocsf.activity = Some(CompactString::const_new(activity(operation, read_only)));
    }
    event.native = Value::Map(map);
}

fn set_member(event: &mut Event, name: &str, value: &Value) {
    if *value == Value::Null {
        return;
    }
    let ocsf = &mut event.ocsf;
    match name {
        "eventID" => {
            if let Some(id) = value.as_str().filter(|id| id.len() <= UID_BYTES_MAX) {
                event.uid = id.into();
            }
        }
        "eventName" => ocsf.api_operation = members::as_text(value),
        "eventSource" => ocsf.api_service = members::as_text(value),
        "awsRegion" => ocsf.cloud_region = members::as_text(value),
        "recipientAccountId" => ocsf.cloud_account = members::as_text(value),
        "userAgent" => ocsf.http.user_agent = members::as_text(value),
        "sourceIPAddress" => address::set_endpoint(&mut ocsf.src, value.as_str().unwrap_or_default()),
        "userIdentity" => set_identity(event, value),
        "responseElements" if value.get("ConsoleLogin").and_then(Value::as_str) == Some("Failure") => {
            ocsf.status = Status::Failure;
        }
        _ => {}
    }
}

fn set_error(event: &mut Event, map: &Map) {
    let (code, message) = (members::text(map, &["errorCode"]), members::text(map, &["errorMessage"]));
    if code.is_some() {
        event.ocsf.status = Status::Failure;
    }
    event.ocsf.status_detail = match (code, message) {
        (Some(code), Some(message)) => Some(format_compact!("{code}: {message}")),
        (code, message) => code.or(message),
    };
}

/// `resources` names the thing itself and wins over a guess from the parameters.
fn resource(map: &Map) -> Option<CompactString> {
    let named = map.get("resources").and_then(|list| list.path("ARN").or_else(|| list.path("arn")));
    named.and_then(members::as_text).or_else(|| requested(map.get("requestParameters")?))
}

fn set_identity(event: &mut Event, identity: &Value) {
    let text = |path: &str| identity.path(path).and_then(members::as_text).filter(|t| !t.is_empty());
    let ocsf = &mut event.ocsf;
    ocsf.user_type = text("type");
    ocsf.user_uid = text("arn").or_else(|| text("principalId"));
    ocsf.user_name = user_name(identity);
    if ocsf.cloud_account.is_none() {
        ocsf.cloud_account = text("accountId");
    }
}

fn user_name(identity: &Value) -> Option<CompactString> {
    let text = |path: &str| identity.path(path).and_then(members::as_text).filter(|t| !t.is_empty());
    let by_type = match text("type").as_deref() {
        Some("Root") => Some(CompactString::const_new("root")),
        Some("AssumedRole" | "Role" | "FederatedUser") => text("sessionContext.sessionIssuer.userName"),
        Some("AWSService") => text("invokedBy"),
        Some("IdentityCenterUser") => text("onBehalfOf.userId"),
        _ => None,
    };
    text("userName")
        .or(by_type)
        .or_else(|| text("invokedBy"))
        .or_else(|| text("arn")?.rsplit(['/', ':']).next().map(CompactString::from))
        .or_else(|| text("principalId"))
}

/// Parameters that name what a call acts on, the most telling first.
const RESOURCE_PARAMETERS: &[&str] = &[
    "bucketName", "roleName", "userName", "groupName", "policyArn", "functionName", "instanceId",
    "instancesSet.items.instanceId", "secretId", "keyId", "dBInstanceIdentifier", "dBSnapshotIdentifier",
    "snapshotId", "imageId", "volumeId", "groupId", "vpcId", "subnetId", "tableName", "trailName",
    "detectorId", "logGroupName", "clusterName", "repositoryName", "stackName", "queueUrl", "topicArn",
    "roleArn", "accessKeyId", "resourceArn", "domainName", "instanceProfileName", "documentName", "name",
];

fn requested(parameters: &Value) -> Option<CompactString> {
    parameters.as_map()?;
    RESOURCE_PARAMETERS.iter().find_map(|name| parameters.path(name).and_then(members::as_text))
}

/// OCSF's activities of API Activity, by the verb that AWS begins an operation's name with.
fn activity(operation: &str, read_only: bool) -> &'static str {
    const VERBS: &[(&str, &str)] = &[
        ("Create", "Create"), ("Run", "Create"), ("Put", "Create"), ("Add", "Create"), ("Import", "Create"),
        ("Delete", "Delete"), ("Terminate", "Delete"), ("Remove", "Delete"), ("Deregister", "Delete"),
        ("Get", "Read"), ("List", "Read"), ("Describe", "Read"), ("Lookup", "Read"), ("Head", "Read"),
        ("Update", "Update"), ("Modify", "Update"), ("Set", "Update"), ("Attach", "Update"),
        ("Detach", "Update"), ("Enable", "Update"), ("Disable", "Update"), ("Stop", "Update"),
        ("Start", "Update"), ("Change", "Update"), ("Associate", "Update"), ("Disassociate", "Update"),
    ];
    if read_only {
        return "Read";
    }
    VERBS.iter().find(|(verb, _)| operation.starts_with(verb)).map_or("Other", |(_, activity)| activity)
}
