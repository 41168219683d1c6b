//! Test data outside the repository (`../shared/data`, or `$ERNE_SHARED/data`), and event builders.

use detect::RuleFile;
use event::{Bytes, Event, Format, LogSource, Position, Timestamp, Value};
use std::path::PathBuf;
use std::process::Command;

/// The data folder; `None`, said aloud, where it is absent.
pub fn folder() -> Option<PathBuf> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("ERNE_SHARED").map(PathBuf::from);
    // Worktrees lie one level deeper than the main checkout.
    let beside = ["../../../shared", "../../../../shared"].map(|path| manifest.join(path));
    let found = shared.into_iter().chain(beside).map(|path| path.join("data/detect")).find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: no shared data folder; set ERNE_SHARED");
    }
    found
}

/// The lines of a zstd-compressed file.
pub fn lines(path: PathBuf) -> Vec<serde_json::Value> {
    let output = Command::new("zstd").arg("-dc").arg(&path).output().expect("zstd is installed");
    assert!(output.status.success(), "zstd failed on {}", path.display());
    let text = String::from_utf8(output.stdout).expect("the data is UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON document per line")).collect()
}

/// All rules of the SigmaHQ archive.
pub fn sigma_hq() -> Option<Vec<RuleFile>> {
    let archive = folder()?.join("sigma/sigma_rules_all.tar.zst");
    let folder = std::env::temp_dir().join(format!("erne-sigma-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = format!("zstd -dc '{}' | tar x -C '{}'", archive.display(), folder.display());
    assert!(Command::new("sh").arg("-c").arg(script).status().unwrap().success());
    let mut files = Vec::new();
    walk(&folder, &folder, &mut files);
    std::fs::remove_dir_all(&folder).unwrap();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Some(files)
}

/// Appends all `.yml` files below a folder.
pub fn walk(root: &PathBuf, folder: &PathBuf, files: &mut Vec<RuleFile>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "yml") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push(RuleFile { path: path.strip_prefix(root).unwrap().display().to_string(), text });
        }
    }
}

pub fn file(text: &str) -> RuleFile {
    RuleFile { path: "test.yml".into(), text: text.into() }
}

/// An event of a native JSON document.
pub fn event(source: LogSource, native: &str) -> Event {
    let raw = Bytes::copy_from_slice(native.as_bytes());
    let mut event = Event::new("u".into(), Position::default(), Timestamp(0), "test".into(), Format::Json, raw);
    event.native = Value::from_json(native.as_bytes()).expect("test events are JSON").0;
    event.log_source = source;
    event
}

/// Windows event data as sources deliver it: the members of `EventData` and `System` side by side, names
/// without the blanks that Defender writes (Sigma's taxonomy has none).
pub fn flatten_windows(document: &serde_json::Value) -> serde_json::Value {
    let Some(inner) = document.get("Event") else { return document.clone() };
    let mut flat = serde_json::Map::new();
    for part in ["System", "EventData", "UserData"] {
        add_members(&inner[part], &mut flat);
    }
    if let Some(name) = inner["System"]["Provider"]["#attributes"]["Name"].as_str() {
        flat.insert("Provider_Name".into(), name.into());
    }
    flat.into()
}

fn add_members(value: &serde_json::Value, flat: &mut serde_json::Map<String, serde_json::Value>) {
    let Some(map) = value.as_object() else { return };
    for (key, value) in map {
        match value.as_object() {
            Some(_) if key.starts_with('#') => {}
            Some(_) => add_members(value, flat),
            None => {
                flat.insert(key.replace(' ', ""), value.clone());
            }
        }
    }
}
