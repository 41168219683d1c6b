//! As much of BSON (bsonspec.org, version 1.1) as the wire protocol needs: our rows on the way out, answers on the way in.

use serde_json::Value;

/// Deepest nesting that is written or read; servers refuse documents deeper than 100.
const DEPTH_MAX: usize = 120;

#[derive(Clone, Debug, PartialEq)]
pub enum Bson {
    Double(f64),
    String(String),
    Document(Document),
    Array(Vec<Bson>),
    Binary(Vec<u8>),
    Bool(bool),
    /// Milliseconds since 1970.
    DateTime(i64),
    Null,
    Int32(i32),
    Int64(i64),
    /// A type that we never send and never look at; its bytes are skipped.
    Other,
}

/// Members in their order: a command's name has to come first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document(pub Vec<(String, Bson)>);

/// What came is no BSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

impl Document {
    pub fn with(mut self, key: &str, value: impl Into<Bson>) -> Self {
        self.0.push((key.to_owned(), value.into()));
        self
    }

    pub fn get(&self, key: &str) -> Option<&Bson> {
        self.0.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Bson::String(text) => Some(text),
            _ => None,
        }
    }

    /// A number of whichever type the server chose, or a truth as 1.
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.get(key)? {
            Bson::Int32(n) => Some((*n).into()),
            Bson::Int64(n) => Some(*n),
            Bson::Double(n) => Some(*n as i64),
            Bson::Bool(yes) => Some((*yes).into()),
            _ => None,
        }
    }

    /// Documents of an array.
    pub fn documents(&self, key: &str) -> impl Iterator<Item = &Document> {
        let list = match self.get(key) {
            Some(Bson::Array(list)) => list.as_slice(),
            _ => &[],
        };
        list.iter().filter_map(|item| match item {
            Bson::Document(document) => Some(document),
            _ => None,
        })
    }

    /// What JSON says, as BSON. Numbers that fit are 64-bit integers; a NUL in a key, which BSON cannot hold, is U+FFFD.
    pub fn from_json(value: Value) -> Self {
        match Bson::from_json(value, 0) {
            Bson::Document(document) => document,
            other => Self::default().with("value", other),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; 4]);
        for (key, value) in &self.0 {
            element(key, value, out);
        }
        out.push(0);
        let length = (out.len() - start) as i32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Reads one document from the front of the bytes, and moves them on.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, Broken> {
        decode(bytes, 0).map(Self)
    }
}

impl Bson {
    fn from_json(value: Value, depth: usize) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(yes) => Self::Bool(yes),
            Value::Number(number) => number.as_i64().map_or_else(|| Self::Double(number.as_f64().unwrap_or(f64::NAN)), Self::Int64),
            Value::String(text) => Self::String(text),
            // The server would refuse the document; as text it keeps what was there.
            deep if depth >= DEPTH_MAX => Self::String(deep.to_string()),
            Value::Array(list) => Self::Array(list.into_iter().map(|item| Self::from_json(item, depth + 1)).collect()),
            Value::Object(map) => Self::Document(Document(map.into_iter().map(|(key, item)| (key, Self::from_json(item, depth + 1))).collect())),
        }
    }
}

impl From<&str> for Bson {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Bson {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i32> for Bson {
    fn from(number: i32) -> Self {
        Self::Int32(number)
    }
}

impl From<bool> for Bson {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<Document> for Bson {
    fn from(document: Document) -> Self {
        Self::Document(document)
    }
}

impl From<Vec<Document>> for Bson {
    fn from(documents: Vec<Document>) -> Self {
        Self::Array(documents.into_iter().map(Self::Document).collect())
    }
}

fn element(key: &str, value: &Bson, out: &mut Vec<u8>) {
    out.push(match value {
        Bson::Double(_) => 0x01,
        Bson::String(_) => 0x02,
        Bson::Document(_) => 0x03,
        Bson::Array(_) => 0x04,
        Bson::Binary(_) => 0x05,
        Bson::Bool(_) => 0x08,
        Bson::DateTime(_) => 0x09,
        Bson::Null | Bson::Other => 0x0A,
        Bson::Int32(_) => 0x10,
        Bson::Int64(_) => 0x12,
    });
    if key.contains('\0') {
        out.extend(key.replace('\0', "\u{FFFD}").as_bytes());
    } else {
        out.extend(key.as_bytes());
    }
    out.push(0);
    match value {
        Bson::Double(number) => out.extend(number.to_le_bytes()),
        Bson::String(text) => {
            out.extend((text.len() as i32 + 1).to_le_bytes());
            out.extend(text.as_bytes());
            out.push(0);
        }
        Bson::Document(document) => document.encode(out),
        Bson::Array(list) => {
            let numbered = list.iter().enumerate().map(|(i, item)| (i.to_string(), item.clone())).collect();
            Document(numbered).encode(out);
        }
        Bson::Binary(bytes) => {
            out.extend((bytes.len() as i32).to_le_bytes());
            out.push(0);
            out.extend(bytes);
        }
        Bson::Bool(yes) => out.push((*yes).into()),
        Bson::DateTime(number) | Bson::Int64(number) => out.extend(number.to_le_bytes()),
        Bson::Int32(number) => out.extend(number.to_le_bytes()),
        Bson::Null | Bson::Other => {}
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Broken> {
    let (front, rest) = bytes.split_at_checked(count).ok_or(Broken)?;
    *bytes = rest;
    Ok(front)
}

fn int32(bytes: &mut &[u8]) -> Result<i32, Broken> {
    take(bytes, 4)?.try_into().map(i32::from_le_bytes).map_err(|_| Broken)
}

fn int64(bytes: &mut &[u8]) -> Result<i64, Broken> {
    take(bytes, 8)?.try_into().map(i64::from_le_bytes).map_err(|_| Broken)
}

fn length(bytes: &mut &[u8]) -> Result<usize, Broken> {
    usize::try_from(int32(bytes)?).map_err(|_| Broken)
}

/// A string without length, as keys are.
fn cstring(bytes: &mut &[u8]) -> Result<String, Broken> {
    let end = memchr::memchr(0, bytes).ok_or(Broken)?;
    let text = String::from_utf8_lossy(take(bytes, end)?).into_owned();
    take(bytes, 1)?;
    Ok(text)
}

fn string(bytes: &mut &[u8]) -> Result<String, Broken> {
    let count = length(bytes)?;
    let (_, text) = take(bytes, count)?.split_last().ok_or(Broken)?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn decode(bytes: &mut &[u8], depth: usize) -> Result<Vec<(String, Bson)>, Broken> {
    let inner = length(bytes)?.checked_sub(4).filter(|_| depth < DEPTH_MAX).ok_or(Broken)?;
    let mut inner = take(bytes, inner)?;
    let mut members = Vec::new();
    loop {
        let kind = take(&mut inner, 1)?[0];
        if kind == 0 {
            return if inner.is_empty() { Ok(members) } else { Err(Broken) };
        }
        let key = cstring(&mut inner)?;
        members.push((key, value(kind, &mut inner, depth)?));
    }
}

fn value(kind: u8, bytes: &mut &[u8], depth: usize) -> Result<Bson, Broken> {
    Ok(match kind {
        0x01 => Bson::Double(f64::from_bits(int64(bytes)? as u64)),
        0x02 | 0x0D | 0x0E => Bson::String(string(bytes)?),
        0x03 => Bson::Document(Document(decode(bytes, depth + 1)?)),
        0x04 => Bson::Array(decode(bytes, depth + 1)?.into_iter().map(|(_, item)| item).collect()),
        0x05 => {
            let count = length(bytes)?;
            take(bytes, 1)?;
            Bson::Binary(take(bytes, count)?.to_vec())
        }
        0x08 => Bson::Bool(take(bytes, 1)?[0] != 0),
        0x09 => Bson::DateTime(int64(bytes)?),
        0x0A => Bson::Null,
        0x10 => Bson::Int32(int32(bytes)?),
        0x12 => Bson::Int64(int64(bytes)?),
        // Undefined, and the two ends of the order: nothing follows.
        0x06 | 0x7F | 0xFF => Bson::Other,
        // ObjectId, timestamp, decimal.
        0x07 => skip(bytes, 12)?,
        0x11 => skip(bytes, 8)?,
        0x13 => skip(bytes, 16)?,
        // A regular expression is two strings.
        0x0B => {
            cstring(bytes)?;
            cstring(bytes)?;
            Bson::Other
        }
        _ => return Err(Broken),
    })
}

fn skip(bytes: &mut &[u8], count: usize) -> Result<Bson, Broken> {
    take(bytes, count).map(|_| Bson::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn encoded(document: &Document) -> Vec<u8> {
        let mut out = Vec::new();
        document.encode(&mut out);
        out
    }

    #[test]
    fn documents_have_the_bytes_of_the_specification() {
        // The two examples on bsonspec.org.
        let hello = Document::default().with("hello", "world");
        assert_eq!(encoded(&hello), b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0");
        let list = Bson::Array(vec!["awesome".into(), Bson::Double(5.05), Bson::Int32(1986)]);
        let expected = b"\x31\0\0\0\x04BSON\0\x26\0\0\0\x020\0\x08\0\0\0awesome\0\x011\0\x33\x33\x33\x33\x33\x33\x14\x40\x102\0\xc2\x07\0\0\0\0";
        assert_eq!(encoded(&Document::default().with("BSON", list)), expected);
    }

    #[test]
    fn what_is_written_is_read() {
        let text = json!({"a": [1, -2.5, null, true, {"b\0": "x\0y"}], "big": u64::MAX, "é": {}});
        let mut document = Document::from_json(text);
        document = document.with("at", Bson::DateTime(-5)).with("bytes", Bson::Binary(vec![0, 255]));
        let bytes = encoded(&document);
        let read = Document::decode(&mut bytes.as_slice()).unwrap();
        assert_eq!(read.get("at"), Some(&Bson::DateTime(-5)));
        assert_eq!(read.get("big"), Some(&Bson::Double(u64::MAX as f64)));
        let nested = read.documents("a").next().unwrap();
        assert_eq!(nested.text("b\u{FFFD}"), Some("x\0y"));
        assert_eq!(encoded(&read), bytes);
    }

    #[test]
    fn broken_bytes_are_refused() {
        let mut deep = json!(1);
        (0..300).for_each(|_| deep = json!({"a": deep.take()}));
        let good = encoded(&Document::from_json(json!({"a": [1, "two", {"three": 3.0}], "deep": deep})));
        assert!(Document::decode(&mut good.as_slice()).is_ok());
        for end in 0..good.len() {
            assert!(Document::decode(&mut &good[..end]).is_err());
        }
        for place in 0..good.len() {
            for byte in [0, 1, 0x7F, 0xFF] {
                let mut bad = good.clone();
                bad[place] = byte;
                // It ends, and does not panic.
                let _ = Document::decode(&mut bad.as_slice());
            }
        }
    }
}
