//! Every example of the manual, docs/search.md, does what it says there.
use event::Timestamp;

const MANUAL: &str = include_str!("../../../../docs/search.md");

fn answer(text: &str) -> String {
    match super::parse(text, Timestamp(0)) {
        Ok(_) => "ok".to_owned(),
        Err(e) => format!("{}: {e}; {}", e.column, e.hint.as_deref().unwrap_or_default()),
    }
}

/// The texts between backticks.
fn code(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

#[test]
fn examples_are_understood() {
    let indented = MANUAL.lines().filter_map(|l| l.strip_prefix("    ")).filter(|l| !l.starts_with(' '));
    let glance = MANUAL.split("## Conditions").next().unwrap_or_default().lines().filter(|l| l.starts_with("| "));
    let examples: Vec<&str> = indented.chain(glance.flat_map(code)).collect();
    assert!(examples.len() > 40, "{}", examples.len());
    let wrong: Vec<_> = examples.into_iter().map(|e| (e, answer(e))).filter(|(_, a)| a != "ok").collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn errors_are_the_ones_shown() {
    let table = MANUAL.split("| query | answer |").nth(1).unwrap_or_default();
    let rows: Vec<_> = table.lines().filter(|l| l.starts_with("| `")).collect();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(answer(cells[0].trim_matches('`')), cells[1]);
    }
}

#[test]
fn bounds_are_the_ones_told() {
    for bound in [format!("{} KiB", super::QUERY_BYTES_MAX / 1024), "1,024 conditions".into(), format!("{} parentheses", super::DEPTH_MAX), format!("{} bytes", crate::WILDCARD_BYTES_MAX)] {
        assert!(MANUAL.contains(&bound), "{bound}");
    }
    assert_eq!(super::CLAUSES_MAX, 1_024);
}
