//! Which fields there are, and of which type.
use super::INDEX;
use super::answer::Failure;
use engine::query::elastic::ElasticError;
use engine::query::{is_address, is_prose, wildcard_matches};
use event::{COLUMNS, Column, Kind};
use serde_json::{Map, Value, json};

fn type_of(column: &Column) -> &'static str {
    match column.kind {
        _ if is_prose(column) => "text",
        _ if is_address(column) => "ip",
        Kind::Text | Kind::TextList => "keyword",
        Kind::Int => "long",
        Kind::Float => "double",
        Kind::Time => "date",
    }
}

/// Every name with its column.
fn names() -> impl Iterator<Item = (&'static str, &'static Column)> {
    COLUMNS.iter().flat_map(|c| std::iter::once(c.path).chain(c.ecs.iter().copied()).map(move |name| (name, c)))
}

/// The columns of a name or pattern, under the names that it fits.
pub fn matching(pattern: &str) -> Vec<(String, &'static Column)> {
    if !pattern.contains('*') {
        let column = engine::query::elastic::field(pattern).ok();
        return column.map(|c| (pattern.to_owned(), c)).into_iter().collect();
    }
    names().filter(|(name, _)| wildcard_matches(pattern, name)).map(|(name, c)| (name.to_owned(), c)).collect()
}

/// The answer of `_field_caps`.
pub fn capabilities(asked: &Value) -> Result<Value, Failure> {
    let patterns: Vec<&str> = match asked {
        Value::String(list) => list.split(',').collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => return Err(Failure(ElasticError::illegal("specified [fields] are missing: write fields=* for all"))),
    };
    let mut fields = Map::new();
    for (name, column) in names() {
        if patterns.iter().any(|p| wildcard_matches(p, name)) {
            let kind = type_of(column);
            let about = json!({"type": kind, "metadata_field": false, "searchable": true, "aggregatable": kind != "text"});
            fields.insert(name.into(), json!({kind: about}));
        }
    }
    Ok(json!({"indices": [INDEX], "fields": fields}))
}

/// The mapping: OCSF names, and ECS names as aliases of them.
pub fn mapping() -> Value {
    let mut root = Map::new();
    for column in COLUMNS {
        insert(&mut root, column.path, json!({"type": type_of(column)}));
    }
    for column in COLUMNS {
        for ecs in column.ecs {
            insert(&mut root, ecs, json!({"type": "alias", "path": column.path}));
        }
    }
    json!({"dynamic": "false", "properties": root})
}

/// Adds a field; one whose name is also that of an object, or lies within another field, is left out.
fn insert(properties: &mut Map<String, Value>, path: &str, leaf: Value) {
    let Some((head, rest)) = path.split_once('.') else {
        properties.entry(path).or_insert(leaf);
        return;
    };
    let object = properties.entry(head).or_insert_with(|| json!({"properties": {}}));
    if let Some(inner) = object.get_mut("properties").and_then(Value::as_object_mut) {
        insert(inner, rest, leaf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_types_under_both_names() {
        let caps = capabilities(&json!("source.*,@timestamp,message")).unwrap_or_default();
        assert_eq!(caps["fields"]["source.ip"]["ip"]["aggregatable"], true);
        assert_eq!(caps["fields"]["@timestamp"]["date"]["type"], "date");
        assert_eq!(caps["fields"]["message"]["text"]["aggregatable"], false);
        assert!(caps["fields"].get("user.name").is_none());
        let mapping = mapping();
        assert_eq!(mapping["properties"]["src_endpoint"]["properties"]["ip"]["type"], "ip");
        assert_eq!(mapping["properties"]["source"]["properties"]["ip"], json!({"type": "alias", "path": "src_endpoint.ip"}));
        assert_eq!(mapping["properties"]["user_agent"]["properties"]["os"]["type"], "keyword");
        assert!(capabilities(&Value::Null).is_err());
    }
}
