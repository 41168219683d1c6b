//! Case folders: `cases/parse/NAME/{input, format?, source?, expected.json}`. `BLESS=1` accepts what is
//! read now; review the difference.

use super::*;

#[test]
fn case_folders() {
    let root = project("cases/parse");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&root).expect("cases/parse exists").map(|e| e.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= parse::FORMATS.len(), "every format has a case");
    let bless = std::env::var_os("BLESS").is_some();
    let failed: Vec<String> = folders.iter().filter_map(|folder| run(folder, bless)).collect();
    assert!(failed.is_empty(), "{}\n(BLESS=1 accepts the new output)", failed.join("\n"));
}

fn run(folder: &std::path::Path, bless: bool) -> Option<String> {
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let word = |name: &str| read(name).map(|bytes| String::from_utf8(bytes).unwrap().trim().to_owned());
    let format = word("format").map(|name| Format::parse(&name).unwrap_or_else(|| panic!("{name} is no format")));
    let source = word("source").unwrap_or("case".into());
    let mut events = Vec::new();
    parse::parse(&record(&read("input").expect("a case has an input"), format, &source), 7, &mut events);
    let got = serde_json::to_string_pretty(&events.iter().map(show).collect::<Vec<_>>()).unwrap() + "\n";
    if bless {
        std::fs::write(folder.join("expected.json"), got).unwrap();
        return None;
    }
    let want = read("expected.json").map(|bytes| String::from_utf8(bytes).unwrap());
    (want.as_deref() != Some(&got)).then(|| format!("{}: differs; now\n{got}", folder.display()))
}
