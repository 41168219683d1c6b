use crate::{Event, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// The type of a column, in Arrow's terms: `Utf8`, `Int64`, `Float64`, `Timestamp(µs, UTC)`, `List<Utf8>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Float,
    Time,
    TextList,
}

/// One event's value in one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Text(Cow<'a, str>),
    Int(i64),
    Float(f64),
    Time(Timestamp),
    Texts(Vec<Cow<'a, str>>),
}

/// A normalised column.
pub struct Column {
    /// The OCSF path, dotted; the last part is the leaf, the others are structs.
    pub path: &'static str,
    pub kind: Kind,
    /// The Elastic Common Schema names that queries accept for it.
    pub ecs: &'static [&'static str],
    /// Whether look-ups by equality are common, so that the lake keeps a bloom filter.
    pub bloom: bool,
    pub about: &'static str,
    pub get: for<'a> fn(&'a Event) -> Cell<'a>,
}

/// A path stands for one column.
impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

fn text<'a>(value: &'a Option<compact_str::CompactString>) -> Cell<'a> {
    value.as_deref().map_or(Cell::Null, |t| Cell::Text(Cow::Borrowed(t)))
}
fn int<'a>(value: Option<i64>) -> Cell<'a> {
    value.map_or(Cell::Null, Cell::Int)
}
fn float<'a>(value: Option<f64>) -> Cell<'a> {
    value.map_or(Cell::Null, Cell::Float)
}
fn texts<'a>(list: &'a [Arc<str>]) -> Cell<'a> {
    if list.is_empty() {
        return Cell::Null;
    }
    Cell::Texts(list.iter().map(|t| Cow::Borrowed(&**t)).collect())
}

fn names(list: &[compact_str::CompactString]) -> Cell<'_> {
    if list.is_empty() {
        return Cell::Null;
    }
    Cell::Texts(list.iter().map(|t| Cow::Borrowed(&**t)).collect())
}

macro_rules! columns {
    ($($path:literal $kind:ident $bloom:literal [$($ecs:literal)*] $about:literal |$e:ident| $get:expr;)*) => {
        /// Every normalised column, in the lake's order.
        pub static COLUMNS: &[Column] = &[$(Column {
            path: $path, kind: Kind::$kind, ecs: &[$($ecs),*], bloom: $bloom, about: $about, get: {
                fn get($e: &Event) -> Cell<'_> { $get }
                get
            },
        }),*];
    };
}

columns! {
    "time" Time false ["@timestamp"] "When it happened, by the source's word" |e| Cell::Time(e.time);
    "metadata.uid" Text true ["event.id"] "The source's unique id, else a hash of the log position" |e| Cell::Text((&*e.uid).into());
    "metadata.logged_time" Time false ["event.ingested"] "When Erne received it" |e| Cell::Time(e.received);
    "metadata.log_name" Text false ["data_stream.dataset" "event.dataset"] "The source that sent it" |e| Cell::Text((&*e.source).into());
    "metadata.log_format" Text false ["event.module"] "The format it was read as" |e| Cell::Text(e.format.as_str().into());
    "metadata.product.name" Text false ["service.name"] "The application or service that wrote it" |e| text(&e.ocsf.product);
    "class_name" Text false ["event.category"] "The OCSF class" |e| Cell::Text(e.class.as_str().into());
    "activity_name" Text false ["event.type"] "What kind of activity within the class" |e| text(&e.ocsf.activity);
    "severity" Text false ["event.severity_name"] "The worst level of the rules it matched" |e| Cell::Text(e.severity.as_str().into());
    "severity_id" Int false ["event.severity"] "1 informational to 5 critical" |e| Cell::Int(e.severity.ocsf_id());
    "status" Text false ["event.outcome"] "Success, Failure or Unknown" |e| Cell::Text(e.ocsf.status.as_str().into());
    "status_detail" Text false ["error.message"] "Why it failed" |e| text(&e.ocsf.status_detail);
    "message" Text false [] "The line's text" |e| text(&e.ocsf.message);
    "actor.user.name" Text true ["user.name"] "Who did it, or who tried to log on" |e| text(&e.ocsf.user_name);
    "actor.user.uid" Text true ["user.id"] "The principal's unique id (an ARN)" |e| text(&e.ocsf.user_uid);
    "actor.user.type" Text false ["user.roles"] "IAMUser, AssumedRole, Root, …" |e| text(&e.ocsf.user_type);
    "src_endpoint.ip" Text true ["source.ip" "client.ip"] "Where it came from" |e| text(&e.ocsf.src.ip);
    "src_endpoint.port" Int false ["source.port" "client.port"] "The port it came from" |e| int(e.ocsf.src.port);
    "src_endpoint.hostname" Text false ["source.domain" "client.domain"] "The name it came from, where the log has no address" |e| text(&e.ocsf.src.hostname);
    "src_endpoint.location.country" Text false ["source.geo.country_iso_code"] "ISO 3166-1 alpha-2 of the source address" |e| text(&e.ocsf.src.location.country);
    "src_endpoint.location.city" Text false ["source.geo.city_name"] "City of the source address" |e| text(&e.ocsf.src.location.city);
    "src_endpoint.location.lat" Float false ["source.geo.location.lat"] "Latitude of the source address, degrees" |e| float(e.ocsf.src.location.lat);
    "src_endpoint.location.long" Float false ["source.geo.location.lon"] "Longitude of the source address, degrees" |e| float(e.ocsf.src.location.long);
    "src_endpoint.autonomous_system.number" Int false ["source.as.number"] "Autonomous system of the source address" |e| int(e.ocsf.src.autonomous_system.number);
    "src_endpoint.autonomous_system.name" Text false ["source.as.organization.name"] "Its owner" |e| text(&e.ocsf.src.autonomous_system.name);
    "dst_endpoint.ip" Text true ["destination.ip" "server.ip"] "Where it went" |e| text(&e.ocsf.dst.ip);
    "dst_endpoint.port" Int false ["destination.port" "server.port"] "The port it went to" |e| int(e.ocsf.dst.port);
    "dst_endpoint.hostname" Text false ["destination.domain" "server.domain"] "The name it went to" |e| text(&e.ocsf.dst.hostname);
    "device.hostname" Text true ["host.name" "host.hostname"] "The host that logged it" |e| text(&e.ocsf.device_hostname);
    "actor.process.name" Text false ["process.name"] "The process that logged it" |e| text(&e.ocsf.process_name);
    "actor.process.pid" Int false ["process.pid"] "Its process id" |e| int(e.ocsf.process_pid);
    "api.operation" Text true ["event.action"] "The API call" |e| text(&e.ocsf.api_operation);
    "api.service.name" Text false ["event.provider"] "The service called" |e| text(&e.ocsf.api_service);
    "cloud.provider" Text false [] "AWS, …" |e| text(&e.ocsf.cloud_provider);
    "cloud.region" Text false [] "The region" |e| text(&e.ocsf.cloud_region);
    "cloud.account.uid" Text false ["cloud.account.id"] "The account" |e| text(&e.ocsf.cloud_account);
    "resource.uid" Text false ["resource.id"] "What was acted on" |e| text(&e.ocsf.resource);
    "http_request.http_method" Text false ["http.request.method"] "GET, POST, …" |e| text(&e.ocsf.http.method);
    "http_request.url.path" Text false ["url.path"] "The path, as sent" |e| text(&e.ocsf.http.path);
    "http_request.url.query_string" Text false ["url.query"] "The query, as sent" |e| text(&e.ocsf.http.query);
    "http_request.url.hostname" Text false ["url.domain"] "The host asked for" |e| text(&e.ocsf.http.hostname);
    "http_request.version" Text false ["http.version"] "1.0, 1.1, 2.0" |e| text(&e.ocsf.http.version);
    "http_request.referrer" Text false ["http.request.referrer"] "The referring page" |e| text(&e.ocsf.http.referrer);
    "http_request.user_agent" Text false ["user_agent.original"] "The user agent, as sent" |e| text(&e.ocsf.http.user_agent);
    "http_response.code" Int false ["http.response.status_code"] "The HTTP status" |e| int(e.ocsf.http.response_code);
    "http_response.length" Int false ["http.response.body.bytes"] "Bytes of the response" |e| int(e.ocsf.http.response_bytes);
    "user_agent.name" Text false [] "Browser or tool, from the user agent" |e| text(&e.ocsf.user_agent.name);
    "user_agent.os" Text false ["user_agent.os.name"] "Operating system, from the user agent" |e| text(&e.ocsf.user_agent.os);
    "user_agent.device" Text false ["user_agent.device.name"] "desktop, mobile, bot or tool" |e| text(&e.ocsf.user_agent.device);
    "enrichments.threat_lists" TextList false ["threat.feed.name"] "Threat lists it is on" |e| texts(&e.threat_lists);
    "finding_info.rules" TextList true ["rule.id"] "Ids of the rules it matched" |e| texts(&e.rules);
    "finding_info.types" TextList false [] "Kinds of attack that the source itself names" |e| names(&e.ocsf.finding_types);
    "metadata.issues" TextList false ["error.code"] "Why it could not be read cleanly" |e| issues(e);
    "raw_data" Text false ["event.original"] "The entry as received" |e| Cell::Text(e.raw_text());
}

fn issues(event: &Event) -> Cell<'_> {
    if event.issues.is_empty() {
        return Cell::Null;
    }
    Cell::Texts(event.issues.iter().map(|i| Cow::Owned(format!("{}: {}", i.code, i.detail))).collect())
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.path)
    }
}

/// The column of an OCSF path or of an ECS name.
pub fn column(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|c| c.path == name).or_else(|| COLUMNS.iter().find(|c| c.ecs.contains(&name)))
}

impl Event {
    /// The normalised columns as nested JSON under OCSF's names, empty ones left out.
    pub fn to_json(&self) -> serde_json::Value {
        let mut root = serde_json::Map::new();
        for column in COLUMNS {
            let Some(value) = cell_json((column.get)(self)) else { continue };
            insert(&mut root, column.path, value);
        }
        let metadata = root.entry("metadata").or_insert_with(|| serde_json::json!({}));
        metadata["version"] = crate::OCSF_VERSION.into();
        root.into()
    }
}

fn cell_json(cell: Cell<'_>) -> Option<serde_json::Value> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Text(text) => text.into_owned().into(),
        Cell::Int(number) => number.into(),
        Cell::Float(number) => number.into(),
        Cell::Time(time) => time.to_string().into(),
        Cell::Texts(list) => list.into_iter().map(Cow::into_owned).collect::<Vec<_>>().into(),
    })
}

/// Puts a value at a column's path, with the objects on the way.
pub fn insert(map: &mut serde_json::Map<String, serde_json::Value>, path: &str, value: serde_json::Value) {
    match path.split_once('.') {
        None => {
            map.insert(path.to_owned(), value);
        }
        Some((head, rest)) => {
            let child = map.entry(head).or_insert_with(|| serde_json::Map::new().into());
            if let serde_json::Value::Object(child) = child {
                insert(child, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Format, Position};
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_no_leaf_is_also_a_struct() {
        let mut names = HashSet::new();
        for column in COLUMNS {
            assert!(names.insert(column.path), "{} twice", column.path);
            for ecs in column.ecs {
                assert!(names.insert(ecs), "{ecs} twice");
            }
            let inside = format!("{}.", column.path);
            assert!(COLUMNS.iter().all(|c| !c.path.starts_with(&inside)), "{inside} is a leaf");
        }
    }

    #[test]
    fn json_is_nested_and_leaves_empty_columns_out() {
        let mut event = Event::new("e1".into(), Position::default(), Timestamp(0), "web".into(), Format::Json, "{}".into());
        event.ocsf.src.ip = Some("192.0.2.1".into());
        let json = event.to_json();
        assert_eq!(json["src_endpoint"]["ip"], "192.0.2.1");
        assert_eq!(json["metadata"]["uid"], "e1");
        assert_eq!(json["metadata"]["version"], crate::OCSF_VERSION);
        assert!(json.get("http_request").is_none());
    }
}
