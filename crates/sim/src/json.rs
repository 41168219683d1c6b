//! Writes JSON with the members in the order given: sources write theirs in a fixed order, and the bytes
//! must not depend on which features of a JSON library the rest of a build turns on.

/// A finished JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Json(pub String);

impl Json {
    pub fn null() -> Self {
        Self("null".to_owned())
    }

    pub fn list(items: impl IntoIterator<Item = Json>) -> Self {
        let items: Vec<String> = items.into_iter().map(|item| item.0).collect();
        Self(format!("[{}]", items.join(",")))
    }
}

pub(crate) trait ToJson {
    fn to_json(&self, out: &mut String);
}

impl ToJson for str {
    fn to_json(&self, out: &mut String) {
        out.push_str(&serde_json::to_string(self).expect("a string is always JSON"));
    }
}
impl ToJson for String {
    fn to_json(&self, out: &mut String) {
        self.as_str().to_json(out);
    }
}
impl ToJson for bool {
    fn to_json(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}
impl ToJson for i64 {
    fn to_json(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}
impl ToJson for Json {
    fn to_json(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}
impl<T: ToJson + ?Sized> ToJson for &T {
    fn to_json(&self, out: &mut String) {
        (*self).to_json(out);
    }
}

/// An object under construction; [`object!`] is the short form.
pub(crate) struct Object(String);

impl Object {
    pub fn new() -> Self {
        Self("{".to_owned())
    }

    pub fn put(&mut self, key: &str, value: impl ToJson) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        key.to_json(&mut self.0);
        self.0.push(':');
        value.to_json(&mut self.0);
    }

    pub fn end(mut self) -> Json {
        self.0.push('}');
        Json(self.0)
    }
}

macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "an empty object changes nothing")]
        let mut object = $crate::json::Object::new();
        $(object.put($key, $value);)*
        object.end()
    }};
}
pub(crate) use object;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_strings_are_escaped() {
        let json = object! {"b": "x\"\n", "a": object! {"n": 1i64}, "l": Json::list([Json::null()]), "t": true};
        assert_eq!(json.0, r#"{"b":"x\"\n","a":{"n":1},"l":[null],"t":true}"#);
        assert_eq!(object! {}.0, "{}");
    }
}
