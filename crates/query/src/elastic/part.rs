//! An object of the body of which every member must be understood.
use super::ElasticError;
use serde_json::{Map, Value};

pub(super) struct Part<'a> {
    what: &'a str,
    map: &'a Map<String, Value>,
    taken: Vec<&'static str>,
}

impl<'a> Part<'a> {
    pub fn new(what: &'a str, map: &'a Map<String, Value>) -> Self {
        Self { what, map, taken: Vec::new() }
    }

    pub fn of(what: &'a str, value: &'a Value) -> Result<Self, ElasticError> {
        match value {
            Value::Object(map) => Ok(Self::new(what, map)),
            _ => Err(ElasticError::parsing(format!("[{what}] is no object"))),
        }
    }

    /// A member; null is as if it were not there.
    pub fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.map.get(name).filter(|v| !v.is_null())
    }

    pub fn take_either(&mut self, name: &'static str, other: &'static str) -> Option<&'a Value> {
        let (one, two) = (self.take(name), self.take(other));
        one.or(two)
    }

    /// What may stand there and cannot change the answer.
    pub fn ignore(&mut self, names: &[&'static str]) {
        self.taken.extend(names);
    }

    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, ElasticError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.as_str().map(|t| Some(t.to_owned())).ok_or_else(|| self.wrong(name, "a text"))
    }

    pub fn flag(&mut self, name: &'static str) -> Result<bool, ElasticError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(text == "true"),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    pub fn number(&mut self, name: &'static str, default: usize) -> Result<usize, ElasticError> {
        let Some(value) = self.take(name) else { return Ok(default) };
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| self.wrong(name, "a whole number from 0"))
    }

    fn wrong(&self, name: &str, wanted: &str) -> ElasticError {
        ElasticError::parsing(format!("[{}] [{name}] is not {wanted}", self.what))
    }

    /// Refuses what nobody has taken.
    pub fn end(self) -> Result<(), ElasticError> {
        match self.map.keys().find(|k| !self.taken.contains(&k.as_str())) {
            Some(name) => Err(ElasticError::parsing(format!("[{}] does not support [{}]", self.what, crate::fields::shortened(name)))),
            None => Ok(()),
        }
    }
}

/// The one member of an object: the clause's name, or the field of a clause.
pub(super) fn only<'a>(what: &str, value: &'a Value) -> Result<(&'a str, &'a Value), ElasticError> {
    let map = value.as_object().ok_or_else(|| ElasticError::parsing(format!("[{what}] malformed query, expected an object")))?;
    match (map.iter().next(), map.len()) {
        (Some((name, value)), 1) => Ok((name, value)),
        (Some(_), _) => Err(ElasticError::parsing(format!("[{what}] malformed query, expected [END_OBJECT] after one name but found more"))),
        _ => Err(ElasticError::illegal(format!("[{what}] malformed query, empty clause found"))),
    }
}

/// A value as its text; a whole number without the fraction that JavaScript leaves.
pub(super) fn text(value: &Value) -> Result<String, ElasticError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(n) if number.is_f64() && n.fract() == 0.0 && n.abs() < 9e15 => format!("{n:.0}"),
            _ => number.to_string(),
        }),
        _ => Err(ElasticError::parsing("a value is a text, a number or a boolean")),
    }
}
