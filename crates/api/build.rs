//! Embeds the dashboard: the folder `WEB_DIST` if it is given; else `dashboard/dist`, built with npm when its
//! sources are newer; else nothing, and the binary serves a page that says how to build it.
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

const SOURCES: [&str; 7] = ["src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json"];

fn main() {
    println!("cargo:rerun-if-env-changed=WEB_DIST");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let dist = match std::env::var_os("WEB_DIST") {
        Some(dist) => given(PathBuf::from(dist)),
        None => built(),
    };
    let mut files = Vec::new();
    if let Some(dist) = &dist {
        collect(dist, dist, &mut files);
    }
    files.sort();
    fs::write(out.join("assets.rs"), table(&files, &out)).expect("OUT_DIR can be written");
}

fn given(dist: PathBuf) -> Option<PathBuf> {
    println!("cargo:rerun-if-changed={}", dist.display());
    assert!(dist.join("index.html").is_file(), "WEB_DIST is {}, but there is no index.html in it", dist.display());
    fs::canonicalize(dist).ok()
}

fn built() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboard");
    // Watched by name even while it is absent, so that a dashboard that appears is built in.
    println!("cargo:rerun-if-changed={}", root.join("package.json").display());
    if !root.join("package.json").is_file() {
        return None;
    }
    for source in SOURCES {
        if root.join(source).exists() {
            println!("cargo:rerun-if-changed={}", root.join(source).display());
        }
    }
    let root = fs::canonicalize(root).ok()?;
    let index = root.join("dist/index.html");
    let newest = SOURCES.iter().filter_map(|s| newest(&root.join(s))).max();
    if modified(&index) < newest && !npm_build(&root) && !index.is_file() {
        return None;
    }
    index.is_file().then(|| root.join("dist"))
}

fn npm_build(root: &Path) -> bool {
    let lock = modified(&root.join("package-lock.json"));
    // npm writes this file at the end of an installation.
    let installed = modified(&root.join("node_modules/.package-lock.json"));
    (installed.is_some() && installed >= lock || npm(root, &["ci", "--no-audit", "--no-fund"])) && npm(root, &["run", "build"])
}

fn npm(root: &Path, args: &[&str]) -> bool {
    let output = Command::new("npm").args(args).current_dir(root).output();
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            println!("cargo:warning=npm {} failed in {}; the dashboard in this binary is old or absent", args.join(" "), root.display());
            let text = [output.stdout, output.stderr].concat();
            for line in String::from_utf8_lossy(&text).lines().rev().take(15).collect::<Vec<_>>().into_iter().rev() {
                println!("cargo:warning={line}");
            }
            false
        }
        Err(error) => {
            println!("cargo:warning=npm cannot run ({error}); the dashboard in this binary is old or absent");
            false
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn newest(path: &Path) -> Option<SystemTime> {
    let own = modified(path)?;
    let below = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest(&entry.path())).max();
    Some(below.map_or(own, |below| below.max(own)))
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_none_or(|e| e != "map") {
            let name = path.strip_prefix(root).expect("it is below the root").to_string_lossy().replace('\\', "/");
            files.push((name, path));
        }
    }
}

fn table(files: &[(String, PathBuf)], out: &Path) -> String {
    let mut text = String::from("static ASSETS: &[Asset] = &[\n");
    for (i, (name, path)) in files.iter().enumerate() {
        let bytes = fs::read(path).expect("the file was just listed");
        let etag = Sha256::digest(&bytes)[..8].iter().fold(String::new(), |mut s, b| {
            let _ = write!(s, "{b:02x}");
            s
        });
        let gzip = out.join(format!("{i}.gz"));
        let packed = pack(&bytes);
        let gzip = if packed.len() * 10 < bytes.len() * 9 {
            fs::write(&gzip, packed).expect("OUT_DIR can be written");
            format!("Some(include_bytes!({:?}))", gzip.to_string_lossy())
        } else {
            "None".to_owned()
        };
        let _ = writeln!(
            text,
            "Asset {{ path: {name:?}, kind: {:?}, etag: \"\\\"{etag}\\\"\", plain: include_bytes!({:?}), gzip: {gzip} }},",
            kind(name),
            path.to_string_lossy()
        );
    }
    text.push_str("];\n");
    text
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a Vec takes all bytes")
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "webmanifest" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
