//! Names of columns as people write them.
use crate::{QueryError, did_you_mean};
use event::{COLUMNS, Column};

/// Candidates that an error lists.
const CANDIDATES_MAX: usize = 6;

/// Columns that hold one address each, in the form the `parse` crate makes canonical.
pub fn is_address(column: &Column) -> bool {
    column.path.ends_with("_endpoint.ip")
}

/// The column of a name: the OCSF path, an ECS name, or the end of either if only one column has it (`country`).
/// The error's column is 0.
pub fn field(name: &str) -> Result<&'static Column, QueryError> {
    if let Some(column) = event::column(name) {
        return Ok(column);
    }
    let ends = |path: &str| path.strip_suffix(name).is_some_and(|head| head.ends_with('.'));
    let found: Vec<_> = COLUMNS.iter().filter(|c| ends(c.path) || c.ecs.iter().any(|e| ends(e))).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(unknown(name)),
        many => Err(QueryError {
            message: format!("{name:?} may be any of {} fields", many.len()),
            column: 0,
            hint: Some(format!("write {}", list(many.iter().map(|c| c.path)))),
        }),
    }
}

fn unknown(name: &str) -> QueryError {
    let names = COLUMNS.iter().flat_map(|c| std::iter::once(c.path).chain(c.ecs.iter().copied()));
    let hint = match did_you_mean(name, names) {
        Some(near) => format!("did you mean {near}?"),
        None => "put the text in quotes if it is not a field but text to look for".to_owned(),
    };
    QueryError { message: format!("there is no field {:?}", shortened(name)), column: 0, hint: Some(hint) }
}

/// The beginning of what was written, for messages.
pub(crate) fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// `a, b or c`.
pub(crate) fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    if names.len() > CANDIDATES_MAX {
        names.truncate(CANDIDATES_MAX);
        return format!("{}, …", names.join(", "));
    }
    match names.as_slice() {
        [head @ .., last] if !head.is_empty() => format!("{} or {last}", head.join(", ")),
        _ => names.join(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_ambiguous_ones_list_the_candidates() {
        let path = |name: &str| field(name).map(|c| c.path).map_err(|e| format!("{e}; {}", e.hint.as_deref().unwrap_or_default()));
        assert_eq!(path("actor.user.name"), Ok("actor.user.name"));
        assert_eq!(path("user.name"), Ok("actor.user.name"));
        assert_eq!(path("country"), Ok("src_endpoint.location.country"));
        assert_eq!(path("location.city"), Ok("src_endpoint.location.city"));
        assert_eq!(path("ip"), Err(r#""ip" may be any of 2 fields; write src_endpoint.ip or dst_endpoint.ip"#.into()));
        assert_eq!(path("user.nmae"), Err(r#"there is no field "user.nmae"; did you mean user.name?"#.into()));
        assert!(path("").is_err() && path(".").is_err());
    }
}
