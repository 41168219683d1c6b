//! The two readers of JSON, the fast and the exact one, stand behind `Value::from_json`; serde_json decides what is JSON.
#![no_main]

use event::Value;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Theirs;

fuzz_target!(|bytes: &[u8]| {
    let Ok((value, issues)) = Value::from_json(bytes) else { return };
    // What is read without an issue is JSON, and says the same.
    if issues.is_empty() {
        let theirs: Theirs = serde_json::from_slice(bytes).expect("ours read it without an issue");
        assert!(same(&value, &theirs), "{value:?} is not {theirs}");
    }
});

fn same(ours: &Value, theirs: &Theirs) -> bool {
    match (ours, theirs) {
        (Value::Null, Theirs::Null) => true,
        (Value::Bool(a), Theirs::Bool(b)) => a == b,
        (Value::Int(a), Theirs::Number(b)) => b.as_i64() == Some(*a),
        (Value::Float(a), Theirs::Number(b)) => b.as_f64() == Some(*a),
        (Value::Text(a), Theirs::String(b)) => a == b,
        (Value::List(a), Theirs::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Theirs::Object(b)) => {
            a.0.len() == b.len() && a.0.iter().all(|(key, a)| b.get(key.as_str()).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}
