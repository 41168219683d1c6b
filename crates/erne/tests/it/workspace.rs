//! The promises about the workspace itself: dependencies point one way, pure crates are pure, no test is
//! ignored, everything has the workspace's licence.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that do no input or output and read no clock.
const PURE: [&str; 7] = ["event", "parse", "detect", "sim", "web", "query", "net"];

/// What a pure crate must not depend on, whatever for.
const IMPURE_CRATES: [&str; 18] = [
    "async-std", "chrono", "crossbeam", "crossbeam-channel", "fastrand", "futures", "getrandom", "hyper", "mio", "rand",
    "rayon", "reqwest", "rustix", "smol", "socket2", "tokio", "ureq", "walkdir",
];

/// What a pure crate's sources must not mention outside comments and tests.
const IMPURE_WORDS: [&str; 24] = [
    "std::fs", "std::env", "std::process", "std::thread", "std::io::stdin", "std::io::stdout", "std::os", "TcpStream",
    "TcpListener", "UdpSocket", "UnixStream", "ToSocketAddrs", "SystemTime::", "Instant::now", "Timestamp::now",
    "Zoned::now", "Utc::now", "File::open", "rand::", "getrandom::", "tokio", "println!", "eprintln!", "Mmap",
];

type Edges = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root")
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map_or(&[], Vec::as_slice)
}

/// The normal and build dependencies of every crate of the workspace, by name.
fn dependencies(metadata: &Value) -> Edges {
    let of = |package: &Value| {
        let normal = list(package, "dependencies").iter().filter(|dependency| dependency["kind"] != "dev");
        normal.map(|dependency| text(dependency, "name").to_owned()).collect()
    };
    list(metadata, "packages").iter().map(|package| (text(package, "name").to_owned(), of(package))).collect()
}

/// The rows of the table under "## Allowed edges".
fn allowed_edges(markdown: &str, members: &BTreeSet<String>) -> Edges {
    let section = markdown.split("\n## ").find(|section| section.starts_with("Allowed edges")).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let names = match cells[1] {
            "all" => members.iter().filter(|member| *member != cells[0]).cloned().collect(),
            "(none)" => BTreeSet::new(),
            names => names.split(',').map(|name| name.trim().to_owned()).collect(),
        };
        (cells[0].to_owned(), names)
    })
    .collect()
}

/// What the workspace does that the table does not allow, and rows that make no sense.
fn edge_violations(used: &Edges, allowed: &Edges) -> Vec<String> {
    let members: BTreeSet<&String> = used.keys().collect();
    let mut found = Vec::new();
    for (name, dependencies) in used {
        let Some(may_use) = allowed.get(name) else {
            found.push(format!("{name} has no row"));
            continue;
        };
        for other in dependencies.iter().filter(|other| members.contains(other) && !may_use.contains(*other)) {
            found.push(format!("{name} must not use {other}"));
        }
    }
    for (name, may_use) in allowed {
        for other in std::iter::once(name).chain(may_use).filter(|other| !members.contains(other)) {
            found.push(format!("the row of {name} names {other}, which is no crate here"));
        }
    }
    found.extend(cycle(allowed).map(|name| format!("{name} may use itself through others")));
    found
}

/// A crate that can reach itself.
fn cycle(edges: &Edges) -> Option<&String> {
    edges.keys().find(|start| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = edges[*start].iter().collect();
        while let Some(name) = open.pop() {
            if name == *start {
                return true;
            }
            if seen.insert(name) {
                open.extend(edges.get(name).into_iter().flatten());
            }
        }
        false
    })
}

#[test]
fn dependencies_point_one_way() {
    let used = dependencies(&metadata());
    let members = used.keys().cloned().collect();
    let markdown = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let allowed = allowed_edges(&markdown, &members);
    assert!(allowed.len() >= 9, "the table under `## Allowed edges` was not found");
    let found = edge_violations(&used, &allowed);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_wrong_edge_a_missing_row_and_a_cycle_are_found() {
    let edges = |rows: &[(&str, &[&str])]| -> Edges {
        rows.iter().map(|(name, uses)| ((*name).to_owned(), uses.iter().map(|u| (*u).to_owned()).collect())).collect()
    };
    let used = edges(&[("a", &["b", "serde"]), ("b", &["a"]), ("c", &[])]);
    let allowed = edges(&[("a", &["b"]), ("b", &[]), ("d", &[])]);
    assert_eq!(
        edge_violations(&used, &allowed),
        ["b must not use a", "c has no row", "the row of d names d, which is no crate here"]
    );
    let round = edges(&[("a", &["b"]), ("b", &["a"])]);
    assert_eq!(edge_violations(&round, &round), ["a may use itself through others"]);
    let table = "# T\n\n## Allowed edges\n\n| crate | may use |\n|---|---|\n| a | (none) |\n| b | a |\n| c | all |\n\n## Next\n| x | y |\n";
    let members = ["a", "b", "c"].map(str::to_owned).into();
    assert_eq!(allowed_edges(table, &members), edges(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]));
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    let used = dependencies(&metadata());
    for name in PURE {
        let found: Vec<_> = used[name].iter().filter(|other| IMPURE_CRATES.contains(&other.as_str())).collect();
        assert!(found.is_empty(), "{name} is pure but depends on {found:?}");
    }
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The lines outside comments and before the test module, numbered from 1.
fn code_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let before_tests = source.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    before_tests.map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

#[test]
fn pure_crates_read_no_clock_and_touch_no_system() {
    let mut found = Vec::new();
    for name in PURE {
        let mut files = Vec::new();
        rust_files(&root().join("crates").join(name).join("src"), &mut files);
        assert!(!files.is_empty(), "{name} has no sources");
        for file in files {
            let source = std::fs::read_to_string(&file).expect("a source file");
            for (number, line) in code_lines(&source) {
                found.extend(IMPURE_WORDS.iter().filter(|word| line.contains(**word)).map(|word| {
                    format!("{}:{number}: {word} in a pure crate", file.display())
                }));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn code_is_told_from_comments_and_tests() {
    let source = "use a; // std::fs\n//! std::fs\nlet b = std::fs;\n#[cfg(test)]\nmod tests { std::fs }\n";
    let lines: Vec<_> = code_lines(source).filter(|(_, line)| line.contains("std::fs")).collect();
    assert_eq!(lines, [(3, "let b = std::fs;")]);
}

#[test]
fn no_test_is_ignored() {
    // Put together here, so that this file does not find itself.
    let forbidden = [concat!("#[ign", "ore]"), concat!("#[ign", "ore =")];
    let mut files = Vec::new();
    rust_files(&root().join("crates"), &mut files);
    assert!(files.len() > 20);
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source file");
        assert!(!forbidden.iter().any(|word| source.contains(word)), "{} ignores a test", file.display());
    }
}

#[test]
fn every_crate_has_the_licence_of_the_workspace() {
    let licence = std::fs::read_to_string(root().join("LICENSE")).expect("LICENSE");
    assert!(licence.contains("Apache License") && licence.contains("Version 2.0"));
    for package in list(&metadata(), "packages") {
        let name = text(package, "name");
        assert_eq!(text(package, "license"), "Apache-2.0", "{name}");
        assert_eq!(package["publish"], Value::Array(Vec::new()), "{name} could be published by mistake");
        assert!(Path::new(text(package, "manifest_path")).ends_with(format!("crates/{name}/Cargo.toml")), "{name}");
    }
}
