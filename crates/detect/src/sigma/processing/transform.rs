//! What a step of a pipeline does to a rule.

use super::super::Placeholders;
use super::super::pattern::Result;
use super::{Step, refusal};
use regex::Regex;
use rsigma_parser::{
    ConditionExpr, CorrelationCondition, CorrelationRule, Detection, DetectionItem, Detections, LogSource, Modifier,
    SigmaRule, SigmaString, SigmaValue, StringPart,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most values that a step may make of one item.
const VALUES_MAX: usize = 50_000;

pub(super) enum Transformation {
    /// Each name becomes another, or one of several.
    FieldMapping(BTreeMap<String, Vec<String>>),
    FieldPrefixMapping(BTreeMap<String, Vec<String>>),
    FieldPrefix(String),
    FieldSuffix(String),
    DropItem,
    AddCondition { name: Option<String>, detection: Detection, template: bool, negated: bool },
    ChangeLogSource(LogSource),
    ReplaceString { pattern: Regex, replacement: String, skip_special: bool },
    MapString(BTreeMap<String, Vec<String>>),
    /// `%name%` becomes each of the values of that variable.
    ValuePlaceholders(Names),
    /// `%name%` becomes `*`.
    WildcardPlaceholders(Names),
    RuleFailure(String),
    /// The rule is refused when one of its items meets the conditions.
    ItemFailure(String),
    /// State has no reader here; the reader of the file has said so.
    Nothing,
}

/// Which placeholders a step is about.
#[derive(Default)]
pub(super) struct Names {
    pub include: Option<Vec<String>>,
    pub exclude: Vec<String>,
}

impl Names {
    fn contain(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|list| list.iter().any(|own| own == name))
            && !self.exclude.iter().any(|own| own == name)
    }
}

/// What becomes of an item: `None` for unchanged; none for dropped; several are joined with OR.
type Changed = Option<Vec<DetectionItem>>;

impl Transformation {
    pub(super) fn apply(
        &self,
        step: &Step,
        rule: &mut SigmaRule,
        filters: &mut [Detections],
        vars: &Placeholders,
    ) -> Result<()> {
        match self {
            Self::Nothing => return Ok(()),
            Self::RuleFailure(message) => return Err(refusal(format!("refused by a pipeline: {message}"))),
            Self::ChangeLogSource(source) => {
                rule.logsource = source.clone();
                return Ok(());
            }
            Self::AddCondition { name, detection, template, negated } => {
                return add_condition(rule, name.as_deref(), detection, *template, *negated);
            }
            _ => {}
        }
        let mut sections: Vec<&mut Detections> = vec![&mut rule.detection];
        sections.extend(filters);
        for section in sections {
            for detection in section.named.values_mut() {
                self.rewrite(step, detection, vars)?;
            }
            if matches!(self, Self::DropItem) {
                prune(section)?;
            }
        }
        Ok(())
    }

    fn rewrite(&self, step: &Step, detection: &mut Detection, vars: &Placeholders) -> Result<()> {
        match detection {
            Detection::AllOf(items) => {
                let (mut kept, mut joined) = (Vec::new(), Vec::new());
                for item in items.drain(..) {
                    match self.changed(step, &item, vars)? {
                        None => kept.push(item),
                        Some(mut several) if several.len() < 2 => kept.append(&mut several),
                        Some(several) => {
                            let any = several.into_iter().map(|item| Detection::AllOf(vec![item])).collect();
                            joined.push(Detection::AnyOf(any));
                        }
                    }
                }
                *detection = match (kept.is_empty(), joined.len()) {
                    (_, 0) => Detection::AllOf(kept),
                    (true, 1) => joined.remove(0),
                    (true, _) => Detection::And(joined),
                    (false, _) => Detection::And([vec![Detection::AllOf(kept)], joined].concat()),
                };
            }
            Detection::AnyOf(list) | Detection::And(list) => {
                for one in list.iter_mut() {
                    self.rewrite(step, one, vars)?;
                }
                if matches!(self, Self::DropItem) {
                    list.retain(|one| !is_empty(one));
                }
            }
            Detection::Keywords(values) => {
                let item = DetectionItem { field: rsigma_parser::FieldSpec::new(None, Vec::new()), values: values.clone() };
                if let Some(several) = self.changed(step, &item, vars)? {
                    *values = several.into_iter().flat_map(|item| item.values).collect();
                }
            }
            // Refused when the rule is compiled, whatever they contain.
            Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {}
        }
        Ok(())
    }

    fn changed(&self, step: &Step, item: &DetectionItem, vars: &Placeholders) -> Result<Changed> {
        let name = item.field.name.as_deref();
        if !step.items.holds(|condition| condition.holds(item)) {
            return Ok(None);
        }
        // A reference's value is a field name as well, with conditions of its own.
        let by_field = step.fields.holds(|condition| condition.holds(name));
        Ok(match self {
            Self::DropItem => by_field.then(Vec::new),
            Self::ItemFailure(message) if by_field => return Err(refusal(format!("refused by a pipeline: {message}"))),
            Self::FieldMapping(_) | Self::FieldPrefixMapping(_) | Self::FieldPrefix(_) | Self::FieldSuffix(_) => {
                self.renamed_item(step, item, by_field)
            }
            Self::ReplaceString { pattern, replacement, skip_special } if by_field && is_text(item) => {
                each_text(item, |text| Ok(Some(vec![replaced(text, pattern, replacement, *skip_special)])))?
            }
            Self::MapString(mapping) if by_field && is_text(item) => each_text(item, |text| {
                Ok(mapping.get(&text.original).map(|list| list.iter().map(|new| SigmaString::new(new)).collect()))
            })?,
            Self::ValuePlaceholders(names) if by_field => {
                expanded(item, |name| if names.contain(name) { known(name, vars).map(Some) } else { Ok(None) })?
            }
            Self::WildcardPlaceholders(names) if by_field => {
                expanded(item, |name| Ok(names.contain(name).then(|| vec!["*".to_owned()])))?
            }
            _ => None,
        })
    }

    fn renamed_item(&self, step: &Step, item: &DetectionItem, by_field: bool) -> Changed {
        let mut item = item.clone();
        let mut changed = false;
        if item.field.has_modifier(Modifier::FieldRef) {
            let mut values = Vec::new();
            for value in item.values.drain(..) {
                let SigmaValue::String(text) = &value else {
                    values.push(value);
                    continue;
                };
                let new = step.fields.holds(|c| c.holds(Some(&text.original))).then(|| self.renamed(&text.original)).flatten();
                changed |= new.is_some();
                match new {
                    Some(new) => values.extend(new.iter().map(|name| SigmaValue::String(SigmaString::new(name)))),
                    None => values.push(value),
                }
            }
            item.values = values;
        }
        let new = item.field.name.as_deref().filter(|_| by_field).and_then(|name| self.renamed(name));
        match new {
            None => changed.then(|| vec![item]),
            Some(names) => Some(
                names
                    .into_iter()
                    .map(|name| {
                        let mut item = item.clone();
                        item.field.name = Some(name);
                        item
                    })
                    .collect(),
            ),
        }
    }

    /// The new names of a field; `None` if it keeps its own.
    fn renamed(&self, name: &str) -> Option<Vec<String>> {
        match self {
            Self::FieldMapping(mapping) => mapping.get(name).cloned(),
            Self::FieldPrefixMapping(mapping) => mapping.iter().find_map(|(prefix, new)| {
                let rest = name.strip_prefix(prefix.as_str())?;
                Some(new.iter().map(|new| format!("{new}{rest}")).collect())
            }),
            Self::FieldPrefix(prefix) => Some(vec![format!("{prefix}{name}")]),
            Self::FieldSuffix(suffix) => Some(vec![format!("{name}{suffix}")]),
            _ => None,
        }
    }

    pub(super) fn apply_to_correlation(&self, step: &Step, rule: &mut CorrelationRule) -> Result<()> {
        if let Self::RuleFailure(message) = self {
            return Err(refusal(format!("refused by a pipeline: {message}")));
        }
        let aliases: BTreeSet<String> = rule.aliases.iter().map(|alias| alias.alias.clone()).collect();
        let rename = |name: &mut String| -> Result<()> {
            let applies = step.fields.holds(|condition| condition.holds(Some(name)));
            match self.renamed(name).filter(|_| applies && !aliases.contains(name.as_str())).as_deref() {
                None => Ok(()),
                Some([new]) => {
                    new.clone_into(name);
                    Ok(())
                }
                Some(_) => Err(refusal(format!("a pipeline gives `{name}` several names; a correlation needs one"))),
            }
        };
        rule.group_by.iter_mut().try_for_each(rename)?;
        if let CorrelationCondition::Threshold { field: Some(fields), .. } = &mut rule.condition {
            fields.iter_mut().try_for_each(rename)?;
        }
        rule.aliases.iter_mut().flat_map(|alias| alias.mapping.values_mut()).try_for_each(rename)
    }
}

/// Whether the item's values are plain texts: not patterns, networks, references or numbers to compare with.
fn is_text(item: &DetectionItem) -> bool {
    use Modifier as M;
    let other = [M::Re, M::Cidr, M::FieldRef, M::Exists, M::Gt, M::Gte, M::Lt, M::Lte];
    !item.field.modifiers.iter().any(|modifier| other.contains(modifier))
}

/// Replaces the texts among an item's values; `change` gives `None` for one that stays.
fn each_text(item: &DetectionItem, mut change: impl FnMut(&SigmaString) -> Result<Option<Vec<SigmaString>>>) -> Result<Changed> {
    let (mut values, mut changed) = (Vec::new(), false);
    for value in &item.values {
        let new = match value {
            SigmaValue::String(text) => change(text)?,
            _ => None,
        };
        changed |= new.is_some();
        match new {
            Some(new) => values.extend(new.into_iter().map(SigmaValue::String)),
            None => values.push(value.clone()),
        }
        if values.len() > VALUES_MAX {
            return Err(refusal(format!("a pipeline makes more than {VALUES_MAX} values of one item")));
        }
    }
    Ok(changed.then(|| vec![DetectionItem { field: item.field.clone(), values }]))
}

fn replaced(text: &SigmaString, pattern: &Regex, replacement: &str, skip_special: bool) -> SigmaString {
    if !skip_special {
        return SigmaString::new(&pattern.replace_all(&text.original, replacement));
    }
    let mut original = String::new();
    for part in &text.parts {
        match part {
            StringPart::Plain(plain) => original.push_str(&escaped(&pattern.replace_all(plain, replacement))),
            StringPart::Special(rsigma_parser::SpecialChar::WildcardMulti) => original.push('*'),
            StringPart::Special(rsigma_parser::SpecialChar::WildcardSingle) => original.push('?'),
        }
    }
    SigmaString::new(&original)
}

/// A plain text as Sigma writes it.
fn escaped(plain: &str) -> String {
    plain.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?")
}

fn known(name: &str, vars: &Placeholders) -> Result<Vec<String>> {
    vars.get(name).cloned().ok_or_else(|| refusal(format!("no pipeline has values for the placeholder %{name}%")))
}

/// Replaces placeholders in items with `expand`. When none is left, the modifier goes: what a variable's value
/// holds is no placeholder.
fn expanded(item: &DetectionItem, values_of: impl Fn(&str) -> Result<Option<Vec<String>>>) -> Result<Changed> {
    if !item.field.has_modifier(Modifier::Expand) {
        return Ok(None);
    }
    let mut left = false;
    let changed = each_text(item, |text| {
        let mut done = vec![String::new()];
        for (i, part) in text.original.split('%').enumerate() {
            if i % 2 == 0 {
                done.iter_mut().for_each(|text| text.push_str(part));
                continue;
            }
            let values = values_of(part)?.unwrap_or_else(|| {
                left = true;
                vec![format!("%{part}%")]
            });
            if done.len() * values.len() > VALUES_MAX {
                return Err(refusal(format!("a pipeline makes more than {VALUES_MAX} values of one item")));
            }
            done = done.iter().flat_map(|head| values.iter().map(move |value| format!("{head}{value}"))).collect();
        }
        Ok(Some(done.iter().map(|text| SigmaString::new(text)).collect()))
    })?;
    Ok(changed.map(|mut items| {
        if !left {
            items.iter_mut().for_each(|item| item.field.modifiers.retain(|m| *m != Modifier::Expand));
        }
        items
    }))
}

fn add_condition(rule: &mut SigmaRule, name: Option<&str>, detection: &Detection, template: bool, negated: bool) -> Result<()> {
    let name = match name {
        Some(name) if rule.detection.named.contains_key(name) => {
            return Err(refusal(format!("a pipeline adds a selection `{name}`, which the rule already has")));
        }
        Some(name) => name.to_owned(),
        // With an underscore, as pySigma does, so that `1 of them` leaves it out.
        None => (0..).map(|i| format!("_cond_{i}")).find(|name| !rule.detection.named.contains_key(name)).unwrap_or_default(),
    };
    let mut detection = detection.clone();
    if template {
        fill_in(&mut detection, &rule.logsource);
    }
    rule.detection.named.insert(name.clone(), detection);
    let own = ConditionExpr::Identifier(name);
    let own = if negated { ConditionExpr::Not(Box::new(own)) } else { own };
    for condition in &mut rule.detection.conditions {
        *condition = ConditionExpr::And(vec![own.clone(), condition.clone()]);
    }
    Ok(())
}

/// `$category`, `$product` and `$service` in an added condition's values.
fn fill_in(detection: &mut Detection, source: &LogSource) {
    let fill = |text: &str| {
        [("category", &source.category), ("product", &source.product), ("service", &source.service)].into_iter().fold(
            text.to_owned(),
            |text, (name, value)| {
                let value = value.as_deref().unwrap_or_default();
                text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value)
            },
        )
    };
    match detection {
        Detection::AllOf(items) => {
            for value in items.iter_mut().flat_map(|item| &mut item.values) {
                if let SigmaValue::String(text) = value {
                    *text = SigmaString::new(&fill(&text.original));
                }
            }
        }
        Detection::AnyOf(list) | Detection::And(list) => list.iter_mut().for_each(|one| fill_in(one, source)),
        _ => {}
    }
}

fn is_empty(detection: &Detection) -> bool {
    match detection {
        Detection::AllOf(items) => items.is_empty(),
        Detection::AnyOf(list) | Detection::And(list) => list.iter().all(is_empty),
        Detection::Keywords(values) => values.is_empty(),
        Detection::ArrayMatch { .. } | Detection::Conditional { .. } => false,
    }
}

/// Selections of which nothing is left vanish from the condition: what is joined with them stands alone.
fn prune(section: &mut Detections) -> Result<()> {
    let gone: BTreeSet<String> =
        section.named.iter().filter(|(_, detection)| is_empty(detection)).map(|(name, _)| name.clone()).collect();
    if gone.is_empty() {
        return Ok(());
    }
    section.named.retain(|name, _| !gone.contains(name));
    let names: Vec<&String> = section.named.keys().collect();
    let conditions: Vec<_> = section.conditions.iter().filter_map(|one| without(one, &gone, &names)).collect();
    if conditions.is_empty() {
        return Err(refusal("a pipeline drops every condition of the rule"));
    }
    section.conditions = conditions;
    Ok(())
}

fn without(expression: &ConditionExpr, gone: &BTreeSet<String>, left: &[&String]) -> Option<ConditionExpr> {
    let list = |parts: &[ConditionExpr], join: fn(Vec<ConditionExpr>) -> ConditionExpr| {
        let mut parts: Vec<_> = parts.iter().filter_map(|part| without(part, gone, left)).collect();
        if parts.len() < 2 { parts.pop() } else { Some(join(parts)) }
    };
    match expression {
        ConditionExpr::And(parts) => list(parts, ConditionExpr::And),
        ConditionExpr::Or(parts) => list(parts, ConditionExpr::Or),
        ConditionExpr::Not(inner) => Some(ConditionExpr::Not(Box::new(without(inner, gone, left)?))),
        ConditionExpr::Identifier(name) => (!gone.contains(name)).then(|| expression.clone()),
        ConditionExpr::Selector { pattern, .. } => {
            let fits = |name: &str| pattern.matches_detection_name(name);
            let is_emptied = gone.iter().any(|name| fits(name)) && !left.iter().any(|name| fits(name));
            (!is_emptied).then(|| expression.clone())
        }
    }
}
