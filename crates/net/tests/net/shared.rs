//! The captures of `../shared/data/net` (or `$ERNE_SHARED`): archives are read in memory, nothing is unpacked.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The archive's files by path; `None`, with a notice, where the data is not.
pub fn archive(name: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let root = std::env::var_os("ERNE_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("data/net").join(format!("{name}.tar.zst"));
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {} is absent (set ERNE_SHARED)", path.display());
        return None;
    };
    let mut decoder = zstd::stream::read::Decoder::new(file).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut tar = Vec::new();
    decoder.read_to_end(&mut tar).unwrap();
    Some(files(&tar))
}

fn octal(field: &[u8]) -> usize {
    let text: String = field.iter().map(|b| *b as char).filter(|c| ('0'..='7').contains(c)).collect();
    usize::from_str_radix(&text, 8).unwrap_or(0)
}

fn name_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|b| *b == 0).next().unwrap()).into_owned()
}

/// Regular files of a tar archive, long names of GNU and POSIX included.
fn files(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut at, mut found, mut long) = (0, Vec::new(), None);
    while let Some(header) = tar.get(at..at + 512).filter(|h| h[0] != 0) {
        let size = octal(&header[124..136]);
        let body = &tar[at + 512..at + 512 + size];
        match header[156] {
            b'L' => long = Some(name_of(body)),
            b'x' => {
                let text = String::from_utf8_lossy(body).into_owned();
                long = text.lines().find_map(|line| line.split_once(" path=").map(|(_, path)| path.to_owned())).or(long);
            }
            b'0' | 0 => {
                let prefix = name_of(&header[345..500]);
                let short = if prefix.is_empty() { name_of(&header[..100]) } else { format!("{prefix}/{}", name_of(&header[..100])) };
                found.push((long.take().unwrap_or(short), body.to_vec()));
            }
            _ => {}
        }
        at += 512 + size.next_multiple_of(512);
    }
    found
}

/// A capture's bytes, unpacked if its name ends in `.gz`.
pub fn plain(name: &str, bytes: &[u8]) -> Vec<u8> {
    if !name.ends_with(".gz") {
        return bytes.to_vec();
    }
    let mut out = Vec::new();
    // A cut archive gives what it holds.
    drop(flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut out));
    out
}

pub fn is_capture(bytes: &[u8]) -> bool {
    net::capture::Reader::recognises(bytes)
}
