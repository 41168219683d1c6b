//! From the YAML of a pipeline to its steps. Whatever is not understood is an issue with file and line.

use super::super::exceptions::selection;
use super::super::load::line_of;
use super::super::pattern::{Refusal, Result};
use super::conditions::{FieldCondition, FieldNames, Guard, ItemCondition, Operator, RuleCondition};
use super::transform::{Names, Transformation};
use super::{Pipeline, STEPS_MAX, Step};
use crate::{LoadIssue, RuleFile};
use regex::{Regex, RegexBuilder};
use rsigma_parser::{LogSource, SigmaValue};
use std::collections::BTreeMap;
use yaml_serde::{Mapping, Value};

/// Largest pipeline file.
const FILE_BYTES_MAX: usize = 2 << 20;
/// Largest compiled regular expression, bytes.
const REGEX_BYTES_MAX: usize = 4 << 20;
const KNOWN: &str = "known are field_name_mapping, field_name_prefix_mapping, field_name_prefix, field_name_suffix, \
    drop_detection_item, add_condition, change_logsource, replace_string, map_string, value_placeholders, \
    wildcard_placeholders, set_state, rule_failure and detection_item_failure";

/// The pipeline of a file; `None` when something in it is refused.
pub(super) fn pipeline(file: &RuleFile, issues: &mut Vec<LoadIssue>) -> Option<Pipeline> {
    let mut notices = Vec::new();
    let read = read(&file.text, &mut notices);
    let failed = read.is_err();
    let (pipeline, refused) = match read {
        Ok(pipeline) => (Some(pipeline), None),
        Err(refusal) => (None, Some(refusal)),
    };
    for refusal in notices.into_iter().chain(refused) {
        issues.push(LoadIssue {
            file: file.path.clone(),
            line: line_of(&file.text, &refusal.near).map(|line| line + 1).or(Some(1)),
            message: if failed { format!("the pipeline is not used: {}", refusal.message) } else { refusal.message },
            hint: refusal.hint,
        });
    }
    pipeline
}

fn read(text: &str, notices: &mut Vec<Refusal>) -> Result<Pipeline> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Refusal::new(format!("it has {} bytes, at most {FILE_BYTES_MAX} are read", text.len()), "", ""));
    }
    let value: Value = yaml_serde::from_str(text).map_err(|error| yaml_refusal(text, &error))?;
    let mut members = Members::of(value, "the file")?;
    for words in ["name", "allowed_backends"] {
        members.take(words);
    }
    for output in ["postprocessing", "finalizers"] {
        if members.take(output).is_some() {
            let message = format!("{output} changes the text of queries, and there are none here");
            return Err(Refusal::new(message, "remove it, or use the part of the pipeline about rules", format!("{output}:")));
        }
    }
    let priority = match members.take("priority") {
        None => 0,
        Some(value) => value.as_i64().ok_or_else(|| Refusal::new("priority is not a whole number", "", "priority:"))?,
    };
    let vars = match members.take("vars") {
        None => BTreeMap::new(),
        Some(value) => texts_by_name(value, "vars")?,
    };
    let entries = members.list("transformations")?;
    members.finish("the file")?;
    if entries.len() > STEPS_MAX {
        return Err(Refusal::new(format!("{} transformations, at most {STEPS_MAX} are read", entries.len()), "", ""));
    }
    let steps = entries.into_iter().map(|entry| step(entry, notices)).collect::<Result<_>>()?;
    Ok(Pipeline { priority, vars, steps })
}

fn yaml_refusal(text: &str, error: &yaml_serde::Error) -> Refusal {
    let line = error.location().and_then(|at| text.lines().nth(at.line().saturating_sub(1))).unwrap_or_default();
    Refusal::new(error.to_string(), "the file is not valid YAML at this place: check indentation and quotes", line)
}

fn step(entry: Value, notices: &mut Vec<Refusal>) -> Result<Step> {
    let mut members = Members::of(entry, "a transformation")?;
    let id = members.text("id")?;
    let kind = members.text("type")?.ok_or_else(|| {
        Refusal::new("a transformation has no type", KNOWN, id.clone().unwrap_or_else(|| "transformations:".into()))
    })?;
    members.near.clone_from(&kind);
    for expression in ["rule_cond_expr", "detection_item_cond_expr", "field_name_cond_expr"] {
        if members.map.contains_key(expression) {
            return Err(Refusal::new(format!("{expression} is not supported"), "use a list of conditions with an operator", expression));
        }
    }
    let rules = members.guard("rule_conditions", "rule_cond_op", "rule_cond_not", rule_condition)?;
    let items = members.guard("detection_item_conditions", "detection_item_cond_op", "detection_item_cond_not", item_condition)?;
    let fields = members.guard("field_name_conditions", "field_name_cond_op", "field_name_cond_not", field_condition)?;
    let transformation = transformation(&kind, &mut members, notices)?;
    members.finish(&kind)?;
    Ok(Step { id, transformation, rules, items, fields })
}

fn transformation(kind: &str, members: &mut Members, notices: &mut Vec<Refusal>) -> Result<Transformation> {
    Ok(match kind {
        "field_name_mapping" => Transformation::FieldMapping(members.mapping()?),
        "field_name_prefix_mapping" => Transformation::FieldPrefixMapping(members.mapping()?),
        "field_name_prefix" => Transformation::FieldPrefix(members.needed("prefix")?),
        "field_name_suffix" => Transformation::FieldSuffix(members.needed("suffix")?),
        "drop_detection_item" => Transformation::DropItem,
        "add_condition" => {
            let conditions = members.take("conditions").ok_or_else(|| members.refuse("needs `conditions`"))?;
            Transformation::AddCondition {
                name: members.text("name")?,
                detection: detection(conditions, members)?,
                template: members.flag("template")?,
                negated: members.flag("negated")?,
            }
        }
        "change_logsource" => Transformation::ChangeLogSource(LogSource {
            category: members.text("category")?,
            product: members.text("product")?,
            service: members.text("service")?,
            ..LogSource::default()
        }),
        "replace_string" => {
            let pattern = pattern(&members.needed("regex")?)?;
            let replacement = replacement(&members.needed("replacement")?);
            let skip_special = members.flag("skip_special")?;
            if members.flag("interpret_special")? && skip_special {
                return Err(members.refuse("interpret_special together with skip_special is not supported"));
            }
            Transformation::ReplaceString { pattern, replacement, skip_special }
        }
        "map_string" => Transformation::MapString(members.mapping()?),
        "value_placeholders" => Transformation::ValuePlaceholders(members.names()?),
        "wildcard_placeholders" => Transformation::WildcardPlaceholders(members.names()?),
        "query_expression_placeholders" => {
            let hint = "use value_placeholders with `vars`, or a threat list";
            return Err(Refusal::new("a query expression has no meaning here: there are no queries", hint, kind));
        }
        "set_state" => {
            let state = members.text("key")?.unwrap_or_default();
            members.take("val");
            notices.push(Refusal::new(format!("{}nothing reads the state `{state}` that set_state sets", crate::NOTICE), "", kind));
            Transformation::Nothing
        }
        "rule_failure" => Transformation::RuleFailure(members.needed("message")?),
        "detection_item_failure" => Transformation::ItemFailure(members.needed("message")?),
        other => return Err(Refusal::new(format!("unknown transformation `{other}`"), KNOWN, other)),
    })
}

fn detection(conditions: Value, members: &Members) -> Result<rsigma_parser::Detection> {
    let conditions: BTreeMap<String, serde_json::Value> =
        yaml_serde::from_value(conditions).map_err(|_| members.refuse("`conditions` is not a map of fields to values"))?;
    let mut read = selection(&conditions).map_err(|refusal| {
        Refusal::new(refusal.message, refusal.hint.unwrap_or_default(), conditions.keys().next().cloned().unwrap_or_default())
    })?;
    let detection = read.named.drain().next().map(|(_, detection)| detection);
    detection.ok_or_else(|| members.refuse("`conditions` is empty"))
}

fn rule_condition(mut members: Members) -> Result<RuleCondition> {
    let kind = members.kind()?;
    let condition = match kind.as_str() {
        "logsource" => RuleCondition::LogSource {
            category: members.text("category")?,
            product: members.text("product")?,
            service: members.text("service")?,
        },
        "contains_detection_item" => RuleCondition::ContainsItem {
            field: members.needed("field")?,
            value: members.take("value").map(|v| SigmaValue::from_yaml(&v)).ok_or_else(|| members.refuse("needs `value`"))?,
        },
        "contains_field" => RuleCondition::ContainsField(members.needed("field")?),
        "tag" => RuleCondition::Tag(members.needed("tag")?),
        "rule_attribute" => {
            let name = members.needed("attribute")?;
            let values = match members.take("value") {
                Some(value) => texts(value).ok_or_else(|| members.refuse("`value` is neither a text nor a list"))?,
                None => return Err(members.refuse("needs `value`")),
            };
            let operator = operator(members.text("op")?.as_deref().unwrap_or("eq"), &members)?;
            RuleCondition::Attribute { name, operator, values }
        }
        "is_sigma_rule" => RuleCondition::IsRule,
        "is_sigma_correlation_rule" => RuleCondition::IsCorrelation,
        "processing_item_applied" => RuleCondition::Applied(members.needed("processing_item_id")?),
        other => {
            let known = "known are logsource, contains_detection_item, contains_field, tag, rule_attribute, is_sigma_rule, \
                is_sigma_correlation_rule and processing_item_applied";
            return Err(Refusal::new(format!("unknown rule condition `{other}`"), known, other));
        }
    };
    members.finish(&kind)?;
    Ok(condition)
}

fn operator(word: &str, members: &Members) -> Result<Operator> {
    Ok(match word {
        "eq" => Operator::Equal,
        "ne" => Operator::NotEqual,
        "lt" => Operator::Less,
        "lte" => Operator::LessEqual,
        "gt" => Operator::Greater,
        "gte" => Operator::GreaterEqual,
        "in" => Operator::In,
        "not_in" => Operator::NotIn,
        other => return Err(members.refuse(&format!("unknown operator `{other}`"))),
    })
}

fn item_condition(mut members: Members) -> Result<ItemCondition> {
    let kind = members.kind()?;
    let all = match members.text("cond")?.as_deref() {
        None | Some("any") => false,
        Some("all") => true,
        Some(other) => return Err(members.refuse(&format!("`cond` is any or all, not `{other}`"))),
    };
    let condition = match kind.as_str() {
        "match_string" => {
            ItemCondition::Text { pattern: pattern(&members.needed("pattern")?)?, all, negate: members.flag("negate")? }
        }
        "is_null" => ItemCondition::Null { all },
        other => {
            return Err(Refusal::new(format!("unknown detection item condition `{other}`"), "known are match_string and is_null", other));
        }
    };
    members.finish(&kind)?;
    Ok(condition)
}

fn field_condition(mut members: Members) -> Result<FieldCondition> {
    let kind = members.kind()?;
    let mode = members.text("mode")?;
    let list = members.take("fields").and_then(texts).ok_or_else(|| members.refuse("needs `fields`, a list of names"))?;
    let names = match mode.as_deref() {
        None | Some("plain") => FieldNames::Plain(list),
        Some("re") => FieldNames::Patterns(list.iter().map(|text| pattern(text)).collect::<Result<_>>()?),
        Some(other) => return Err(members.refuse(&format!("`mode` is plain or re, not `{other}`"))),
    };
    members.finish(&kind)?;
    Ok(match kind.as_str() {
        "include_fields" => FieldCondition::Include(names),
        "exclude_fields" => FieldCondition::Exclude(names),
        other => {
            return Err(Refusal::new(format!("unknown field name condition `{other}`"), "known are include_fields and exclude_fields", other));
        }
    })
}

fn pattern(text: &str) -> Result<Regex> {
    RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim().to_owned();
        Refusal::new(format!("regular expression refused: {reason}"), "see the regex syntax of the Rust regex crate", text)
    })
}

/// Python writes groups as `\1` and `\g<name>`, and means `$` as it stands.
fn replacement(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['\\', '$']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if rest.as_bytes()[at] == b'$' {
            out.push_str("$$");
            rest = tail;
        } else if let Some((name, after)) = tail.strip_prefix("g<").and_then(|tail| tail.split_once('>')) {
            out.push_str(&format!("${{{name}}}"));
            rest = after;
        } else {
            let digits = tail.bytes().take(2).take_while(u8::is_ascii_digit).count();
            match digits {
                0 => {
                    let after = tail.strip_prefix('\\').unwrap_or(tail);
                    out.push('\\');
                    rest = after;
                }
                _ => {
                    out.push_str(&format!("${{{}}}", &tail[..digits]));
                    rest = &tail[digits..];
                }
            }
        }
    }
    out + rest
}

/// A text, number or boolean, or a list of them.
fn texts(value: Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    };
    match &value {
        Value::Sequence(list) => list.iter().map(one).collect(),
        other => Some(vec![one(other)?]),
    }
}

fn texts_by_name(value: Value, what: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let refuse = || Refusal::new(format!("{what} is not a map of names to texts or lists of texts"), "", format!("{what}:"));
    let Value::Mapping(map) = value else { return Err(refuse()) };
    let pair = |(name, value): (Value, Value)| Some((name.as_str()?.to_owned(), texts(value)?));
    map.into_iter().map(|entry| pair(entry).ok_or_else(refuse)).collect()
}

/// The members of a YAML map; each is taken once, and what is left at the end is not known.
struct Members {
    map: Mapping,
    /// Text near which an issue is reported.
    near: String,
}

impl Members {
    fn of(value: Value, what: &str) -> Result<Self> {
        match value {
            Value::Mapping(map) => Ok(Self { map, near: String::new() }),
            _ => Err(Refusal::new(format!("{what} is not a map"), "see pySigma's documentation of processing pipelines", "")),
        }
    }

    fn refuse(&self, message: &str) -> Refusal {
        let message = if self.near.is_empty() { message.to_owned() } else { format!("{}: {message}", self.near) };
        Refusal::new(message, "", self.near.clone())
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name)
    }

    fn kind(&mut self) -> Result<String> {
        let kind = self.needed("type")?;
        self.near.clone_from(&kind);
        Ok(kind)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match texts(value).as_deref() {
                Some([text]) => Ok(Some(text.clone())),
                _ => Err(self.refuse(&format!("`{name}` is not a text"))),
            },
        }
    }

    fn needed(&mut self, name: &str) -> Result<String> {
        self.text(name)?.ok_or_else(|| self.refuse(&format!("needs `{name}`")))
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.refuse(&format!("`{name}` is true or false"))),
        }
    }

    fn list(&mut self, name: &str) -> Result<Vec<Value>> {
        match self.take(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Sequence(list)) => Ok(list),
            // pySigma takes a map from names to conditions as well.
            Some(Value::Mapping(map)) => Ok(map.into_iter().map(|(_, value)| value).collect()),
            Some(_) => Err(Refusal::new(format!("{name} is not a list"), "", format!("{name}:"))),
        }
    }

    fn mapping(&mut self) -> Result<BTreeMap<String, Vec<String>>> {
        let value = self.take("mapping").ok_or_else(|| self.refuse("needs `mapping`"))?;
        let mapping = texts_by_name(value, "mapping")?;
        match mapping.iter().find(|(_, names)| names.is_empty()) {
            Some((name, _)) => Err(self.refuse(&format!("`{name}` is mapped to nothing"))),
            None => Ok(mapping),
        }
    }

    fn names(&mut self) -> Result<Names> {
        let mut list = |name: &str| match self.take(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => texts(value).map(Some).ok_or_else(|| self.refuse(&format!("`{name}` is not a list of names"))),
        };
        Ok(Names { include: list("include")?, exclude: list("exclude")?.unwrap_or_default() })
    }

    fn guard<T>(&mut self, list: &str, operator: &str, not: &str, read: fn(Members) -> Result<T>) -> Result<Guard<T>> {
        let entries = self.list(list)?;
        let near = &self.near;
        let condition = |entry: Value| {
            let mut members = Members::of(entry, "a condition")?;
            members.near.clone_from(near);
            read(members)
        };
        let conditions = entries.into_iter().map(condition).collect::<Result<_>>()?;
        let any = match self.text(operator)?.as_deref() {
            None | Some("and") => false,
            Some("or") => true,
            Some(other) => return Err(self.refuse(&format!("`{operator}` is and or or, not `{other}`"))),
        };
        Ok(Guard { conditions, any, not: self.flag(not)? })
    }

    fn finish(self, what: &str) -> Result<()> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(key) => {
                let name = key.as_str().unwrap_or("?");
                Err(Refusal::new(format!("{what}: unknown member `{name}`"), "check the spelling", format!("{name}:")))
            }
        }
    }
}
