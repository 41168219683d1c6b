//! Checksums of the Delta log's checkpoints, which the library writes without any.
//!
//! Once a checkpoint is written, and before the commits behind it are deleted, `_erne/checkpoints` gets a line
//! for each checkpoint: its CRC-32C, its name. The first line is the checksum of the others. A kill in between
//! leaves a checkpoint without a line, beside all commits that it holds.

use super::home::Home;
use super::s3::LOG;
use super::LakeError;
use std::collections::BTreeMap;

/// Delta ignores names that begin with an underscore.
const SUMS: &str = "_erne/checkpoints";
/// Which checkpoint is the newest, for readers in a hurry.
const HINT: &str = "_last_checkpoint";

/// Remembers the checksums of the checkpoints that are there.
pub(super) fn record(home: &Home) -> Result<(), LakeError> {
    let mut lines = String::new();
    for name in home.log_names()?.iter().filter(|n| is_checked(n)) {
        if let Some(bytes) = home.read_small(&format!("{LOG}/{name}"))? {
            lines.push_str(&format!("{:08x} {name}\n", crc32c::crc32c(&bytes)));
        }
    }
    let sums = format!("{:08x}\n{lines}", crc32c::crc32c(lines.as_bytes()));
    home.write_small(SUMS, sums.as_bytes())
}

/// Refuses a checkpoint that is not as it was written.
pub(super) fn verify(home: &Home) -> Result<(), LakeError> {
    let Some(bytes) = home.read_small(SUMS)? else { return Ok(()) };
    let sums = parse(&bytes).ok_or_else(|| LakeError::Damaged {
        file: home.describe(SUMS),
        reason: "it fails its checksum (without it Erne starts, and takes the checkpoints as they are)".into(),
    })?;
    let names = home.log_names()?;
    // A kill between the two may have left a checkpoint, and a hint at it, that the sums do not know.
    let unknown: Vec<u64> = names.iter().filter(|n| !sums.contains_key(n.as_str())).filter_map(|n| version(n)).collect();
    for name in names.iter().filter(|n| is_checked(n)) {
        let Some(sum) = sums.get(name.as_str()) else { continue };
        let path = format!("{LOG}/{name}");
        let Some(bytes) = home.read_small(&path)? else { continue };
        let newer = name == HINT && hinted(&bytes).is_some_and(|v| unknown.contains(&v));
        if crc32c::crc32c(&bytes) != *sum && !newer {
            return Err(LakeError::Damaged { file: home.describe(&path), reason: "it fails its checksum".into() });
        }
    }
    Ok(())
}

fn is_checked(name: &str) -> bool {
    name == HINT || version(name).is_some()
}

/// `00000000000000000100.checkpoint.parquet`
fn version(name: &str) -> Option<u64> {
    name.split_once(".checkpoint")?.0.parse().ok()
}

fn hinted(bytes: &[u8]) -> Option<u64> {
    let hint: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    hint["version"].as_u64()
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<&str, u32>> {
    let (first, lines) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    if first != format!("{:08x}", crc32c::crc32c(lines.as_bytes())) {
        return None;
    }
    lines.lines().map(|l| l.split_once(' ').and_then(|(sum, name)| Some((name, u32::from_str_radix(sum, 16).ok()?)))).collect()
}
