//! CSV that no spreadsheet runs, and JSON lines.

use super::{Encoder, at};
use event::Column;
use serde_json::{Map, Value};

/// RFC 4180 with `\n`, a header row, columns under their dotted paths. A text that a spreadsheet would take for a
/// formula gets a quote in front; numbers stay numbers. Lists are JSON.
pub(super) struct Csv {
    columns: Vec<&'static Column>,
    out: Vec<u8>,
}

impl Csv {
    pub fn new(columns: Vec<&'static Column>) -> Self {
        Self { columns, out: Vec::new() }
    }
}

impl Encoder for Csv {
    fn begin(&mut self) -> Result<(), String> {
        let names: Vec<&str> = self.columns.iter().map(|c| c.path).collect();
        self.out.extend_from_slice(names.join(",").as_bytes());
        self.out.push(b'\n');
        Ok(())
    }

    fn add(&mut self, event: &Value) -> Result<(), String> {
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            match at(event, column.path) {
                None => {}
                Some(Value::String(text)) => text_cell(&mut self.out, text),
                Some(number @ (Value::Number(_) | Value::Bool(_))) => self.out.extend_from_slice(number.to_string().as_bytes()),
                Some(other) => text_cell(&mut self.out, &other.to_string()),
            }
        }
        self.out.push(b'\n');
        Ok(())
    }

    fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

fn text_cell(out: &mut Vec<u8>, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if !formula && !text.contains([',', '"', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// One event a line, under OCSF's names; with columns, only those of each event.
pub(super) struct Jsonl {
    columns: Vec<&'static Column>,
    out: Vec<u8>,
}

impl Jsonl {
    pub fn new(columns: Vec<&'static Column>) -> Self {
        Self { columns, out: Vec::new() }
    }
}

impl Encoder for Jsonl {
    fn add(&mut self, event: &Value) -> Result<(), String> {
        let written = if self.columns.is_empty() {
            serde_json::to_writer(&mut self.out, event)
        } else {
            let mut kept = Map::new();
            for column in &self.columns {
                if let Some(value) = at(event, column.path) {
                    event::insert(&mut kept, column.path, value.clone());
                }
            }
            serde_json::to_writer(&mut self.out, &kept)
        };
        self.out.push(b'\n');
        written.map_err(|e| e.to_string())
    }

    fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(mut encoder: impl Encoder, events: &[Value]) -> String {
        encoder.begin().unwrap();
        events.iter().for_each(|e| encoder.add(e).unwrap());
        encoder.end().unwrap();
        String::from_utf8(std::mem::take(encoder.bytes())).unwrap()
    }

    fn columns(names: &[&str]) -> Vec<&'static Column> {
        names.iter().map(|n| event::column(n).unwrap()).collect()
    }

    #[test]
    fn csv_is_inert_and_numbers_stay_numbers() {
        for start in ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1"] {
            let line = text(Csv::new(columns(&["message"])), &[json!({"message": start})]);
            assert_eq!(line, format!("message\n\"'{start}\"\n"));
        }
        let events = [
            json!({"message": "a,\"b\"\nc", "src_endpoint": {"location": {"lat": -1.5}}, "finding_info": {"rules": ["r", "=s"]}}),
            json!({"message": "plain=1"}),
        ];
        let got = text(Csv::new(columns(&["message", "src_endpoint.location.lat", "finding_info.rules", "severity"])), &events);
        let head = "message,src_endpoint.location.lat,finding_info.rules,severity\n";
        assert_eq!(got, format!("{head}\"a,\"\"b\"\"\nc\",-1.5,\"[\"\"r\"\",\"\"=s\"\"]\",\nplain=1,,,\n"));
        assert_eq!(text(Csv::new(columns(&["message"])), &[]), "message\n");
    }

    #[test]
    fn json_lines_are_whole_events_or_the_columns_asked_for() {
        let event = json!({"message": "m\n", "actor": {"user": {"name": "u", "uid": "1"}}});
        assert_eq!(text(Jsonl::new(vec![]), std::slice::from_ref(&event)), format!("{event}\n"));
        assert_eq!(text(Jsonl::new(columns(&["user.name", "source.ip"])), &[event]), "{\"actor\":{\"user\":{\"name\":\"u\"}}}\n");
    }
}
