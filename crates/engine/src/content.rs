//! Rules, threat lists and databases: from the binary and from folders.

use detect::{Exception, LoadIssue, Options, RuleFile, RuleSet, ThreatLists};
use event::Bytes;
use parse::enrich::Databases;
use rust_embed::RustEmbed;
use std::path::{Path, PathBuf};

#[derive(RustEmbed)]
#[folder = "../../content"]
struct Builtin;

/// Largest file that is read as a rule or a list; a larger one is a load issue.
const RULE_BYTES_MAX: u64 = 4 << 20;
const LIST_BYTES_MAX: u64 = 256 << 20;
/// Deepest folder below the given one, and most files: a folder given by mistake must not be walked whole.
const FOLDER_DEPTH_MAX: usize = 16;
const FILES_MAX: usize = 50_000;
const ENDINGS: &[&str] = &["yml", "yaml"];

/// Where content comes from besides the binary.
#[derive(Clone, Debug)]
pub struct ContentDirs {
    /// Whether the content pack in the binary is used.
    pub builtin: bool,
    /// Files, or folders of `*.yml`/`*.yaml`.
    pub rules: Vec<PathBuf>,
    /// Files, or folders of `*.txt`/`*.list`/`*.netset`.
    pub lists: Vec<PathBuf>,
    /// Processing pipelines in pySigma's format: files, or folders of `*.yml`/`*.yaml`.
    pub pipelines: Vec<PathBuf>,
}

impl Default for ContentDirs {
    fn default() -> Self {
        Self { builtin: true, rules: Vec::new(), lists: Vec::new(), pipelines: Vec::new() }
    }
}

/// The texts that a rule set is made of.
#[derive(Clone, Debug, Default)]
pub struct RuleTexts {
    pub files: Vec<RuleFile>,
    pub pipelines: Vec<RuleFile>,
}

impl RuleTexts {
    /// Reads what the folders hold now.
    pub fn read(dirs: &ContentDirs) -> (Self, Vec<LoadIssue>) {
        let mut issues = Vec::new();
        let mut texts = Self { files: if dirs.builtin { builtin("rules/", ENDINGS) } else { Vec::new() }, pipelines: Vec::new() };
        for dir in &dirs.rules {
            read_folder(dir, ENDINGS, RULE_BYTES_MAX, &mut texts.files, &mut issues);
        }
        for file in &dirs.pipelines {
            read_folder(file, ENDINGS, RULE_BYTES_MAX, &mut texts.pipelines, &mut issues);
        }
        (texts, issues)
    }

    pub fn compile(&self, exceptions: &[Exception]) -> (RuleSet, Vec<LoadIssue>) {
        self.compile_files(&self.files, exceptions)
    }

    /// Other files under the same pipelines.
    pub fn compile_files(&self, files: &[RuleFile], exceptions: &[Exception]) -> (RuleSet, Vec<LoadIssue>) {
        let options =
            Options { pipelines: self.pipelines.clone(), exceptions: exceptions.to_vec(), ..Options::default() };
        RuleSet::compile_all(files, &options)
    }

    /// The text of the file that a rule is from.
    pub fn text_of(&self, file: &str) -> Option<&str> {
        self.files.iter().find(|known| known.path == file).map(|known| known.text.as_str())
    }
}

pub fn load_rules(dirs: &ContentDirs) -> (RuleSet, Vec<LoadIssue>) {
    let (texts, mut issues) = RuleTexts::read(dirs);
    let (rules, more) = texts.compile(&[]);
    issues.extend(more);
    (rules, issues)
}

pub fn load_lists(dirs: &ContentDirs) -> (ThreatLists, Vec<LoadIssue>) {
    let mut issues = Vec::new();
    let mut files = if dirs.builtin { builtin("lists/", &["txt"]) } else { Vec::new() };
    for dir in &dirs.lists {
        read_folder(dir, &["txt", "list", "netset", "ipset"], LIST_BYTES_MAX, &mut files, &mut issues);
    }
    let (lists, more) = ThreatLists::compile(&files);
    issues.extend(more);
    (lists, issues)
}

/// A file of the content pack in the binary.
pub fn builtin_text(path: &str) -> Option<String> {
    Builtin::get(path).map(|file| String::from_utf8_lossy(&file.data).into_owned())
}

fn builtin(prefix: &str, endings: &[&str]) -> Vec<RuleFile> {
    let mut paths: Vec<_> =
        Builtin::iter().filter(|p| p.starts_with(prefix) && has_ending(Path::new(&**p), endings)).collect();
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| Some(RuleFile { text: builtin_text(&path)?, path: format!("builtin:{path}") }))
        .collect()
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e))
}

fn issue(path: &Path, message: String) -> LoadIssue {
    LoadIssue { file: path.display().to_string(), line: None, message, hint: None }
}

/// Reads a file, or every file with one of the endings below a folder, in path order.
fn read_folder(root: &Path, endings: &[&str], bytes_max: u64, files: &mut Vec<RuleFile>, issues: &mut Vec<LoadIssue>) {
    let mut paths = Vec::new();
    if root.is_dir() {
        if let Err(error) = walk(root, endings, 0, &mut paths) {
            issues.push(issue(root, format!("cannot be read: {error}")));
        }
    } else {
        paths.push(root.to_owned());
    }
    paths.sort();
    for path in paths {
        match read_text(&path, bytes_max) {
            Ok(text) => {
                let name = path.strip_prefix(root).ok().filter(|p| !p.as_os_str().is_empty());
                files.push(RuleFile { path: name.unwrap_or(&path).display().to_string(), text });
            }
            Err(message) => issues.push(issue(&path, message)),
        }
    }
}

fn walk(dir: &Path, endings: &[&str], depth: usize, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth < FOLDER_DEPTH_MAX {
            walk(&path, endings, depth + 1, paths)?;
        } else if !kind.is_dir() && has_ending(&path, endings) {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(std::io::Error::other(format!("more than {FILES_MAX} files")));
        }
    }
    Ok(())
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
    if size > bytes_max {
        return Err(format!("is {size} bytes, more than {bytes_max}"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))
}

/// A number that changes when a file below the roots is edited, added, renamed or removed. Reads no file.
pub fn fingerprint(roots: &[PathBuf]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut paths = Vec::new();
    for root in roots {
        if root.is_dir() {
            // An unreadable folder reads as empty here; loading it reports the error.
            let _ = walk(root, &["yml", "yaml", "txt", "list", "netset", "ipset"], 0, &mut paths);
        } else {
            paths.push(root.clone());
        }
    }
    paths.sort();
    let mut hasher = DefaultHasher::new();
    for path in &paths {
        let known = std::fs::metadata(path).ok().map(|metadata| (metadata.modified().ok(), metadata.len()));
        (path, known).hash(&mut hasher);
    }
    hasher.finish()
}

/// Reads the MMDB files; an unreadable one is a notice, not an error.
pub fn load_geoip(config: &crate::GeoipConfig) -> (Databases, Vec<String>) {
    let mut notices = Vec::new();
    let mut read = |path: &Option<PathBuf>| -> Option<Bytes> {
        let path = path.as_ref()?;
        std::fs::read(path)
            .map(Bytes::from)
            .map_err(|e| notices.push(format!("GeoIP database {} cannot be read: {e}", path.display())))
            .ok()
    };
    let databases = Databases { city: read(&config.city), asn: read(&config.asn) };
    (databases, notices)
}
