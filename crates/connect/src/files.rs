//! Files read once, from front to back: plain, gzip, zstd or xz, told apart by content.

use bytes::{Bytes, BytesMut};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of one chunk, cut at the next line end.
const CHUNK_BYTES: usize = 64 << 10;
/// Longest line, and largest document that is not one entry a line; more is an error, not an
/// out-of-memory kill.
pub const DOCUMENT_BYTES_MAX: usize = 512 << 20;

const XZ_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// What an .xz file's dictionary may take: its largest preset needs 64 MiB.
const XZ_MEMORY_KIB_MAX: u32 = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{path} cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} has a line or document of more than {DOCUMENT_BYTES_MAX} bytes; split it")]
    TooLarge { path: String },
}

/// A file to read, with its size on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub path: PathBuf,
    pub bytes: u64,
}

/// The files below the paths, in path order: the order decides the events' positions and so must not
/// depend on the file system. Symbolic links to folders are not followed.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>, FileError> {
    let mut found = Vec::new();
    for root in paths {
        let failed = |source| FileError::Read { path: root.display().to_string(), source };
        for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
            let entry = entry.map_err(|e| failed(e.into()))?;
            let kind = std::fs::metadata(entry.path()).map_err(failed)?;
            if kind.is_file() {
                found.push(Found { path: entry.into_path(), bytes: kind.len() });
            }
        }
    }
    Ok(found)
}

/// Reads a file in chunks of whole lines; a JSON document that spans lines comes whole. `progress` is told
/// the bytes read from disk since the last call.
pub fn read(path: &Path, visit: &mut dyn FnMut(Bytes), progress: &mut dyn FnMut(u64)) -> Result<(), FileError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| FileError::Read { path: name.clone(), source })?;
    read_from(file, &name, visit, progress)
}

/// As [`read`], from any reader: standard input, for one.
pub fn read_from(reader: impl Read, name: &str, visit: &mut dyn FnMut(Bytes), progress: &mut dyn FnMut(u64)) -> Result<(), FileError> {
    let failed = |source| FileError::Read { path: name.to_owned(), source };
    let mut counted = BufReader::with_capacity(CHUNK_BYTES, Counting { inner: reader, progress });
    let head = counted.fill_buf().map_err(failed)?;
    if head.starts_with(&[0x1f, 0x8b]) {
        chunks(BufReader::new(flate2::bufread::MultiGzDecoder::new(counted)), name, visit)
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(counted).map_err(failed)?;
        chunks(BufReader::new(decoder), name, visit)
    } else if head.starts_with(&XZ_MAGIC) {
        chunks(BufReader::new(lzma_rust2::XzReader::new_mem_limit(counted, true, XZ_MEMORY_KIB_MAX)), name, visit)
    } else {
        chunks(counted, name, visit)
    }
}

struct Counting<'p, R> {
    inner: R,
    progress: &'p mut dyn FnMut(u64),
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        (self.progress)(count as u64);
        Ok(count)
    }
}

fn chunks(mut reader: impl Read, name: &str, visit: &mut dyn FnMut(Bytes)) -> Result<(), FileError> {
    let mut pending = BytesMut::new();
    let mut whole: Option<bool> = None;
    loop {
        let ended = fill(&mut reader, &mut pending, name)?;
        if pending.is_empty() {
            return Ok(());
        }
        let document = *whole.get_or_insert_with(|| spans_lines(&pending));
        if ended {
            visit(pending.split().freeze());
            return Ok(());
        }
        if pending.len() > DOCUMENT_BYTES_MAX {
            return Err(FileError::TooLarge { path: name.to_owned() });
        }
        if !document && let Some(end) = pending.iter().rposition(|b| *b == b'\n') {
            visit(pending.split_to(end + 1).freeze());
        }
    }
}

/// Reads one more chunk; true at the end.
fn fill(reader: &mut impl Read, pending: &mut BytesMut, name: &str) -> Result<bool, FileError> {
    let from = pending.len();
    pending.resize(from + CHUNK_BYTES, 0);
    let mut filled = from;
    while filled < pending.len() {
        match reader.read(&mut pending[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(FileError::Read { path: name.to_owned(), source }),
        }
    }
    let ended = filled < pending.len();
    pending.truncate(filled);
    Ok(ended)
}

/// Whether the bytes begin a JSON document that goes on after its first line: an array, or an object whose
/// first line is no complete value.
fn spans_lines(head: &[u8]) -> bool {
    let start = head.iter().position(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf));
    let Some(text) = start.map(|start| &head[start..]) else { return false };
    let line = text.split(|b| *b == b'\n').next().unwrap_or(text);
    match text[0] {
        b'[' | b'{' if line.len() == text.len() => false,
        b'[' | b'{' => serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn bodies(bytes: &[u8]) -> Vec<Bytes> {
        let mut bodies = Vec::new();
        read_from(bytes, "test", &mut |body| bodies.push(body), &mut |_| {}).unwrap();
        bodies
    }

    #[test]
    fn chunks_end_at_line_ends_and_lose_nothing() {
        let text: String = (0..100_000).map(|i| format!("line {i}\n")).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        let gz = gz.finish().unwrap();
        let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for input in [text.as_bytes(), &gz, &zst] {
            let bodies = bodies(input);
            assert!(bodies.len() > 2);
            assert!(bodies.iter().all(|b| b.ends_with(b"\n")));
            assert_eq!(bodies.concat(), text.as_bytes());
        }
    }

    /// `printf 'one\ntwo\n' | xz -9`
    const XZ: [u8; 64] = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0x01, 0x00, 0x07, 0x6f, 0x6e, 0x65, 0x0a, 0x74,
        0x77, 0x6f, 0x0a, 0x00, 0x51, 0xab, 0x9e, 0xaf, 0x57, 0x75, 0x70, 0x49, 0x00, 0x01, 0x20, 0x08, 0xbb, 0x19, 0xd9, 0xbb, 0x1f, 0xb6, 0xf3, 0x7d, 0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
    ];

    #[test]
    fn xz_is_read_and_a_broken_one_is_an_error() {
        assert_eq!(bodies(&XZ).concat(), b"one\ntwo\n");
        let mut broken = XZ;
        broken[30] ^= 1;
        assert!(read_from(&broken[..], "test", &mut |_| {}, &mut |_| {}).is_err());
        assert!(read_from(&XZ[..40], "test", &mut |_| {}, &mut |_| {}).is_err());
    }

    #[test]
    fn a_document_over_many_lines_comes_whole() {
        let document = format!("{{\n \"Records\": [{}]\n}}\n", vec!["{\"a\":\n1}"; 100_000].join(","));
        assert_eq!(bodies(document.as_bytes()).len(), 1);
        let lines = "{\"a\":1}\n".repeat(100_000);
        assert!(bodies(lines.as_bytes()).len() > 1);
        assert!(bodies(b"").is_empty());
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let zst = zstd::encode_all("x\n".repeat(100_000).as_bytes(), 1).unwrap();
        let cut = &zst[..zst.len() / 2];
        assert!(read_from(cut, "cut", &mut |_| {}, &mut |_| {}).is_err());
    }
}
