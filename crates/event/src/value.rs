use compact_str::CompactString;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting that is read as structure; a deeper document is an error and stays raw.
pub const DEPTH_MAX: usize = 100;
/// Most members and elements of one document that are read as structure.
pub const NODES_MAX: usize = 50_000;

/// A JSON-like tree: an event's native fields, under the names its log source gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(CompactString),
    List(Vec<Value>),
    Map(Map),
}

/// Members in the order they were written. Look-up is a scan: objects in logs are small, and the scan
/// beats hashing up to a few dozen members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(pub Vec<(CompactString, Value)>);

impl Map {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Appends without looking for an older member of the same name.
    pub fn push(&mut self, key: impl Into<CompactString>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}
impl From<CompactString> for Value {
    fn from(text: CompactString) -> Self {
        Self::Text(text)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

/// What was read but not faithfully: the raw bytes are kept beside the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JsonIssue {
    /// A name occurs twice in one object; both are kept, look-up finds the first.
    DuplicateKey,
    /// A number beyond 64 bits; kept as the nearest float.
    NumberRange,
}

/// Why bytes are not a JSON document we read as structure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JsonError {
    #[error("not valid JSON: {0}")]
    Syntax(String),
    #[error("nested deeper than {DEPTH_MAX} levels")]
    Depth,
    #[error("more than {NODES_MAX} members")]
    Nodes,
}

impl Value {
    /// Parses one JSON document. Duplicate keys and out-of-range numbers are reported as issues.
    pub fn from_json(bytes: &[u8]) -> Result<(Self, Vec<JsonIssue>), JsonError> {
        // One check of the whole text is cheaper than one of each string in it.
        let text = std::str::from_utf8(bytes).ok();
        match text.and_then(crate::json::read) {
            Some(read) => Ok(read),
            None => Self::from_json_exact(bytes, text),
        }
    }

    /// The reader that decides what is JSON, and says what is wrong with what is not.
    /// `text` is the same bytes, where they are UTF-8: of many documents on one line each is offered with all that
    /// follow it, so a second check of the whole would cost as much again.
    fn from_json_exact(bytes: &[u8], text: Option<&str>) -> Result<(Self, Vec<JsonIssue>), JsonError> {
        let mut reading = Reading { depth: 0, nodes: 0, issues: Vec::new(), stop: None };
        // The slice reader says where the text is not UTF-8.
        let result = match text {
            Some(text) => document(&mut reading, serde_json::Deserializer::from_str(text)),
            None => document(&mut reading, serde_json::Deserializer::from_slice(bytes)),
        };
        match result {
            Ok(value) => {
                reading.issues.sort_unstable();
                reading.issues.dedup();
                Ok((value, reading.issues))
            }
            Err(error) => Err(match reading.stop {
                Some(stop) => stop,
                // serde_json's own limit is 128, above ours; kept for safety.
                None if error.to_string().contains("recursion limit") => JsonError::Depth,
                None => JsonError::Syntax(error.to_string()),
            }),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            Self::Float(number) if number.fract() == 0.0 => Some(*number as i64),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// A scalar as text, as a rule compares it; `None` for null, lists and maps.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Int(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The member of a map.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// The value at a dotted path. A member whose own name holds the dots wins over a nested one; a
    /// list on the way is entered at its first element that has the rest of the path.
    pub fn path(&self, path: &str) -> Option<&Value> {
        let mut found = None;
        self.each(path, &mut |value| {
            found.get_or_insert(value);
            true
        });
        found
    }

    /// Calls `visit` with every value at a dotted path, entering all elements of lists on the way and at
    /// the end, until it returns true. Returns whether it did.
    pub fn each<'a>(&'a self, path: &str, visit: &mut dyn FnMut(&'a Value) -> bool) -> bool {
        match self {
            Self::Map(map) => {
                if let Some(value) = map.get(path) {
                    return value.each_element(visit);
                }
                let mut from = 0;
                while let Some(dot) = path[from..].find('.').map(|i| from + i) {
                    if let Some(value) = map.get(&path[..dot])
                        && value.each(&path[dot + 1..], visit)
                    {
                        return true;
                    }
                    from = dot + 1;
                }
                false
            }
            Self::List(list) => list.iter().any(|value| value.each(path, visit)),
            _ => false,
        }
    }

    /// Calls `visit` with the value, or with each element if it is a list, until it returns true.
    pub fn each_element<'a>(&'a self, visit: &mut dyn FnMut(&'a Value) -> bool) -> bool {
        match self {
            Self::List(list) => list.iter().any(|value| value.each_element(visit)),
            value => visit(value),
        }
    }

    /// Calls `visit` with every scalar in the tree, until it returns true: what a keyword search reads.
    pub fn each_scalar<'a>(&'a self, visit: &mut dyn FnMut(&'a Value) -> bool) -> bool {
        match self {
            Self::List(list) => list.iter().any(|value| value.each_scalar(visit)),
            Self::Map(map) => map.0.iter().any(|(_, value)| value.each_scalar(visit)),
            value => visit(value),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

fn document<'de, R: serde_json::de::Read<'de>>(
    reading: &mut Reading,
    mut deserializer: serde_json::Deserializer<R>,
) -> Result<Value, serde_json::Error> {
    let value = Seed(reading).deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// A number that is no plain integer, by the exact reader: its fractions are read in one place.
pub(crate) fn number(text: &str, issues: &mut Vec<JsonIssue>) -> Option<Value> {
    let mut reading = Reading { depth: 0, nodes: 0, issues: std::mem::take(issues), stop: None };
    let value = document(&mut reading, serde_json::Deserializer::from_str(text)).ok()?;
    *issues = reading.issues;
    Some(value)
}

/// Room for the members of most objects in logs, so that reading one does not move it several times.
const MEMBERS_TYPICAL: usize = 8;

struct Reading {
    depth: usize,
    nodes: usize,
    issues: Vec<JsonIssue>,
    stop: Option<JsonError>,
}

impl Reading {
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.stop = Some(JsonError::Depth);
            return Err(E::custom("too deep"));
        }
        Ok(())
    }

    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.stop = Some(JsonError::Nodes);
            return Err(E::custom("too many members"));
        }
        Ok(())
    }
}

struct Seed<'r>(&'r mut Reading);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A name: read without going through `String` when the input holds it unescaped.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = CompactString;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<CompactString, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = CompactString;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<CompactString, E> {
        Ok(CompactString::new(text))
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(match i64::try_from(number) {
            Ok(number) => Value::Int(number),
            Err(_) => {
                self.0.issues.push(JsonIssue::NumberRange);
                Value::Float(number as f64)
            }
        })
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        if number.abs() >= 9_223_372_036_854_775_808.0 {
            self.0.issues.push(JsonIssue::NumberRange);
        }
        Ok(Value::Float(number))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(CompactString::new(text)))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Seed(self.0))? {
            self.0.count()?;
            list.push(value);
        }
        self.0.depth -= 1;
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.enter()?;
        let mut members: Vec<(CompactString, Value)> = Vec::with_capacity(MEMBERS_TYPICAL);
        while let Some(key) = access.next_key_seed(Key)? {
            self.0.count()?;
            let value = access.next_value_seed(Seed(self.0))?;
            members.push((key, value));
        }
        if has_duplicate(&members) {
            self.0.issues.push(JsonIssue::DuplicateKey);
        }
        self.0.depth -= 1;
        Ok(Value::Map(Map(members)))
    }
}

/// Quadratic for small objects, by sorting for large ones: an attacker must not buy n² with one event.
fn has_duplicate(members: &[(CompactString, Value)]) -> bool {
    const SCAN_MAX: usize = 24;
    if members.len() <= SCAN_MAX {
        return members.iter().enumerate().any(|(i, (key, _))| members[..i].iter().any(|(k, _)| k == key));
    }
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        Value::from_json(text.as_bytes()).unwrap().0
    }

    #[test]
    fn paths_cross_lists_and_prefer_literal_names() {
        let value = read(r#"{"a":[{"b":1},{"b":[2,3]}],"a.b":4,"c":{"d.e":{"f":5}}}"#);
        assert_eq!(value.path("a.b"), Some(&Value::Int(4)));
        assert_eq!(value.path("c.d.e.f"), Some(&Value::Int(5)));
        let mut seen = Vec::new();
        read(r#"{"a":[{"b":1},{"b":[2,3]}]}"#).each("a.b", &mut |v| {
            seen.push(v.as_i64().unwrap());
            false
        });
        assert_eq!(seen, [1, 2, 3]);
    }

    #[test]
    fn what_attackers_send_is_flagged_or_refused() {
        let issues = |text: &str| Value::from_json(text.as_bytes()).unwrap().1;
        assert_eq!(issues(r#"{"a":1,"a":2}"#), [JsonIssue::DuplicateKey]);
        assert_eq!(read(r#"{"a":1,"a":2}"#).path("a"), Some(&Value::Int(1)));
        assert_eq!(issues("[123456789012345678901234567890123456789012]"), [JsonIssue::NumberRange]);
        let deep = "[".repeat(100_000);
        assert!(matches!(Value::from_json(deep.as_bytes()), Err(JsonError::Depth)));
        let wide = format!("[{}1]", "1,".repeat(NODES_MAX + 1));
        assert!(matches!(Value::from_json(wide.as_bytes()), Err(JsonError::Nodes)));
        for text in ["", "{", r#"{"a":1}x"#, "[1e400]", "\"\u{7f}\\ud800\"", "nul"] {
            assert!(matches!(Value::from_json(text.as_bytes()), Err(JsonError::Syntax(_))), "{text}");
        }
        assert!(Value::from_json(b"\"\xff\"").is_err());
    }

    /// The whole of what a reader says, for comparison. Debug form, because it tells `0.0` from `-0.0`.
    fn said(read: Result<(Value, Vec<JsonIssue>), JsonError>) -> String {
        format!("{read:?}")
    }

    #[track_caller]
    fn readers_agree(bytes: &[u8]) {
        assert_eq!(said(Value::from_json(bytes)), said(Value::from_json_exact(bytes, std::str::from_utf8(bytes).ok())), "{}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn the_fast_reader_reads_what_the_exact_one_reads() {
        let many = |member: &dyn Fn(usize) -> String, count| format!("{{{}}}", (0..count).map(member).collect::<Vec<_>>().join(","));
        let texts = [
            r#"{"a":"\u00e9\ud83d\ude00\n\"\\\/\b\f\r\t","b":[-0,0,-1,01,1.,1e3,-1.5E-2,9223372036854775807]}"#.replace(",01,1.", ""),
            "[9223372036854775808,-9223372036854775808,-9223372036854775809,1e308,123456789012345678,1234567890123456789]".into(),
            " \r\n\t{ \"a\" : [ ] , \"b\" : { } , \"c\" : [ 1 , 2 ] } \n".into(),
            many(&|i| format!(r#""name{i}":{i}"#), 300),
            many(&|i| format!(r#""name{}":{i}"#, i % 299), 300),
            many(&|i| format!(r#""{}":{i}"#, i % 63), 64),
            many(&|i| format!(r#""{}":{i}"#, i % 64), 65),
            format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)),
            format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1)),
            format!("[{}1]", "1,".repeat(NODES_MAX - 1)),
            format!("[{}1]", "1,".repeat(NODES_MAX)),
        ];
        for text in &texts {
            readers_agree(text.as_bytes());
            (0..text.len().min(400)).for_each(|cut| readers_agree(&text.as_bytes()[..cut]));
        }
        for text in ["01", "-", "-01", "1.", ".5", "1e", "+1", "1-1", "--1", r#""\ud800""#, r#""\udc00\ud800""#, r#""\u12""#, r#""\x""#, "[1,]", "{,}", r#"{"a":1,}"#, "\u{feff}{}", "\"\t\"", "tru", "truex", "[1 2]", "{\"a\" 1}", "\"\u{7f}\""] {
            readers_agree(text.as_bytes());
        }
    }

    proptest::proptest! {
        #[test]
        fn the_readers_agree_on_anything(
            text in r#"([\[\]{}:,]|"[a-c\\"ué/ ]{0,10}"|"a"|null|true|-?[0-9]{1,20}|[0-9.eE+-]{1,5}|[ \n\t]){0,24}"#,
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..24),
        ) {
            readers_agree(text.as_bytes());
            readers_agree(format!("{{\"k\":[{text}]}}").as_bytes());
            readers_agree(&bytes);
            readers_agree(&[b"\"", &bytes[..], b"\""].concat());
        }
    }

    #[test]
    fn json_round_trips() {
        let text = r#"{"a":[1,2.5,true,null,"x"],"b":{"c":-3}}"#;
        assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
    }
}
