//! Where the table lies: a folder on local disk, or a prefix in an object store.

use super::checked::CheckedFile;
use super::file::{DataFile, sync_folder, sync_folders};
use super::read::damaged;
use super::s3::file::RemoteFile;
use super::s3::{CommitFailed, LOG, S3, S3Config, commit_name};
use super::{LakeError, io_error};
use bytes::Bytes;
use event::Timestamp;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a lake is.
#[derive(Clone, Debug)]
pub enum Location {
    Disk(PathBuf),
    S3(Box<S3Config>),
}

impl From<&Path> for Location {
    fn from(dir: &Path) -> Self {
        Self::Disk(dir.to_owned())
    }
}

pub(super) enum Home {
    /// An absolute path.
    Disk(PathBuf),
    S3 {
        s3: Arc<S3>,
        /// The cache folder.
        scratch: PathBuf,
    },
}

impl Home {
    /// Makes the local folder; `writable` claims it and names this writer.
    pub fn open(location: &Location, writable: bool) -> Result<(Self, Option<File>), LakeError> {
        let dir = match location {
            Location::Disk(dir) => dir,
            Location::S3(config) => &config.cache_dir,
        };
        if writable || matches!(location, Location::S3(_)) {
            std::fs::create_dir_all(dir).map_err(|e| io_error(dir, e))?;
        }
        let dir = dir.canonicalize().map_err(|e| io_error(dir, e))?;
        let lock = if writable { Some(lock(&dir)?) } else { None };
        let home = match location {
            Location::Disk(_) => Self::Disk(dir),
            Location::S3(config) => {
                let writer = if writable { Some(writer_id(&dir)?) } else { None };
                let config = S3Config { cache_dir: dir.clone(), ..(**config).clone() };
                Self::S3 { s3: S3::new(config, writer)?, scratch: dir }
            }
        };
        Ok((home, lock))
    }

    /// The folder in which files are written before [`Self::publish`].
    pub fn scratch(&self) -> &Path {
        match self {
            Self::Disk(dir) => dir,
            Self::S3 { scratch, .. } => scratch,
        }
    }

    pub fn s3(&self) -> Option<&Arc<S3>> {
        match self {
            Self::Disk(_) => None,
            Self::S3 { s3, .. } => Some(s3),
        }
    }

    /// The name of a file of the table, for people.
    pub fn describe(&self, relative: &str) -> String {
        match self {
            Self::Disk(dir) => dir.join(relative).display().to_string(),
            Self::S3 { s3, .. } => s3.describe(relative),
        }
    }

    /// The id that commits carry, where the table may have several writers.
    pub fn writer(&self) -> Option<&str> {
        self.s3().and_then(|s3| s3.writer())
    }

    pub fn open_file(&self, file: &DataFile) -> Result<CheckedFile, LakeError> {
        match self {
            Self::Disk(dir) => CheckedFile::open(&dir.join(&file.path)).map_err(|e| damaged(&self.describe(&file.path), e)),
            Self::S3 { s3, .. } => {
                let remote = Arc::new(RemoteFile::new(s3.clone(), &file.path, file.bytes));
                CheckedFile::remote(remote.clone(), &file.path, file.bytes).map_err(|e| match remote.failure() {
                    Some(failure) => LakeError::Failed(failure),
                    None => damaged(&self.describe(&file.path), e),
                })
            }
        }
    }

    /// Makes written files durable under their final names.
    pub fn publish(&self, files: &[DataFile]) -> Result<(), LakeError> {
        match self {
            Self::Disk(dir) => sync_folders(dir, files),
            Self::S3 { s3, .. } => files.iter().try_for_each(|file| s3.upload(&file.path, file.bytes)),
        }
    }

    /// Deletes a file of the table; false if there was none. On disk its day's folder goes with the last one.
    pub fn delete(&self, relative: &str) -> Result<bool, LakeError> {
        let dir = match self {
            Self::S3 { s3, .. } => return s3.delete(relative).map(|()| true),
            Self::Disk(dir) => dir,
        };
        let file = dir.join(relative);
        match std::fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io_error(&file, error)),
        }
        if let Some(folder) = file.parent()
            && std::fs::remove_dir(folder).is_ok()
        {
            sync_folder(dir)?;
        }
        Ok(true)
    }

    /// Whether there is a Delta log.
    pub fn has_log(&self) -> Result<bool, LakeError> {
        match self {
            Self::S3 { s3, .. } => s3.holds(LOG),
            Self::Disk(dir) => {
                let log = dir.join(LOG);
                if !log.is_dir() {
                    return Ok(false);
                }
                let mut entries = std::fs::read_dir(&log).map_err(|e| io_error(&log, e))?;
                Ok(entries.any(|e| e.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with('.'))))
            }
        }
    }

    /// All Parquet files below the days' folders, and leftovers under temporary names.
    pub fn data_files(&self) -> Result<Vec<String>, LakeError> {
        let is_data = |path: &str| path.starts_with("day=") && (path.ends_with(".parquet") || path.contains("/.tmp-"));
        match self {
            Self::S3 { s3, .. } => Ok(s3.list("")?.into_iter().map(|(path, _)| path).filter(|p| is_data(p)).collect()),
            Self::Disk(dir) => {
                let mut found = Vec::new();
                for folder in names(dir)?.into_iter().filter(|f| f.starts_with("day=") && dir.join(f).is_dir()) {
                    found.extend(names(&dir.join(&folder))?.into_iter().map(|file| format!("{folder}/{file}")));
                }
                found.retain(|p| is_data(p));
                Ok(found)
            }
        }
    }

    /// Files in the folders below one of the table's, with their sizes.
    pub fn files_below(&self, above: &str) -> Result<Vec<(String, u64)>, LakeError> {
        let dir = match self {
            Self::S3 { s3, .. } => return s3.list(above),
            Self::Disk(dir) => dir.join(above),
        };
        let mut found = Vec::new();
        if !dir.is_dir() {
            return Ok(found);
        }
        for folder in names(&dir)?.into_iter().filter(|f| dir.join(f).is_dir()) {
            for name in names(&dir.join(&folder))? {
                let path = dir.join(&folder).join(&name);
                match path.metadata() {
                    Ok(meta) => found.push((format!("{above}/{folder}/{name}"), meta.len())),
                    // The writer beside this process has just renamed or deleted it.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io_error(&path, error)),
                }
            }
        }
        Ok(found)
    }

    /// The commits of the log that are still there as JSON, with their bytes.
    pub fn commits(&self) -> Result<Vec<(String, Bytes)>, LakeError> {
        match self {
            Self::S3 { s3, .. } => {
                let paths = s3.list(LOG)?.into_iter().map(|(path, _)| path).filter(|p| p.ends_with(".json"));
                s3.get_all(paths.collect())
            }
            Self::Disk(dir) => {
                let log = dir.join(LOG);
                let read = |name: String| {
                    let path = log.join(&name);
                    let bytes = std::fs::read(&path).map_err(|e| io_error(&path, e))?;
                    Ok((format!("{LOG}/{name}"), bytes.into()))
                };
                names(&log)?.into_iter().filter(|n| n.ends_with(".json")).map(read).collect()
            }
        }
    }

    /// The names in the Delta log.
    pub fn log_names(&self) -> Result<Vec<String>, LakeError> {
        match self {
            Self::Disk(dir) => names(&dir.join(LOG)),
            Self::S3 { s3, .. } => {
                let start = format!("{LOG}/");
                Ok(s3.list(LOG)?.into_iter().filter_map(|(path, _)| Some(path.strip_prefix(&start)?.to_owned())).collect())
            }
        }
    }

    /// A file beside the data; `None` if there is none.
    pub fn read_small(&self, relative: &str) -> Result<Option<Bytes>, LakeError> {
        match self {
            Self::S3 { s3, .. } => s3.get(relative),
            Self::Disk(dir) => {
                let path = dir.join(relative);
                match std::fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes.into())),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(io_error(&path, error)),
                }
            }
        }
    }

    /// Replaces a file beside the data; durable when it returns, and never half.
    pub fn write_small(&self, relative: &str, bytes: &[u8]) -> Result<(), LakeError> {
        let dir = match self {
            Self::S3 { s3, .. } => return s3.put(relative, Bytes::copy_from_slice(bytes)),
            Self::Disk(dir) => dir,
        };
        let path = dir.join(relative);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).map_err(|e| io_error(folder, e))?;
        let staged = folder.join(".tmp");
        let written = File::create(&staged).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&staged, &path)).map_err(|e| io_error(&path, e))?;
        sync_folder(folder)?;
        sync_folder(dir)
    }

    /// Writes a version of the log, whose name is never taken twice; durable when it returns.
    pub fn put_commit(&self, version: u64, body: &[u8]) -> Result<(), CommitFailed> {
        match self {
            Self::S3 { s3, .. } => s3.put_commit(version, body),
            Self::Disk(dir) => put_on_disk(dir, version, body).map_err(|error| {
                let named = dir.join(commit_name(version));
                if named.exists() {
                    CommitFailed::Taken(format!("a commit to the lake failed half-way ({error})"))
                } else {
                    CommitFailed::Refused(error)
                }
            }),
        }
    }

    /// Removes temporary names in the log that a kill left.
    pub fn remove_staged_commits(&self) -> Result<usize, LakeError> {
        let Self::Disk(dir) = self else { return Ok(0) };
        let log = dir.join(LOG);
        let staged: Vec<String> = names(&log)?.into_iter().filter(|n| n.starts_with(".tmp-")).collect();
        for name in &staged {
            let path = log.join(name);
            std::fs::remove_file(&path).map_err(|e| io_error(&path, e))?;
        }
        Ok(staged.len())
    }

    /// Takes leave of the other writers.
    pub fn close(&self) {
        if let Some(s3) = self.s3()
            && s3.writer().is_some()
        {
            s3.give_up_lease();
        }
    }

    /// Tells other processes that this one writes. The answer names one that has taken over.
    pub fn renew(&self, now: Timestamp) -> Result<Option<String>, LakeError> {
        match self.s3() {
            Some(s3) => s3.renew_lease(now),
            None => Ok(None),
        }
    }
}

fn names(folder: &Path) -> Result<Vec<String>, LakeError> {
    let entries = std::fs::read_dir(folder).map_err(|e| io_error(folder, e))?;
    entries.map(|e| Ok(e.map_err(|e| io_error(folder, e))?.file_name().to_string_lossy().into_owned())).collect()
}

/// The file is complete and synced before it gets its name.
fn put_on_disk(dir: &Path, version: u64, body: &[u8]) -> Result<(), LakeError> {
    let log = dir.join(LOG);
    let staged = log.join(format!(".tmp-{}", uuid::Uuid::new_v4()));
    let named = dir.join(commit_name(version));
    let written = File::create_new(&staged)
        .and_then(|mut file| {
            file.write_all(body)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::hard_link(&staged, &named));
    let removed = std::fs::remove_file(&staged);
    written.and(removed).map_err(|e| io_error(&named, e))?;
    sync_folder(&log)
}

fn lock(dir: &Path) -> Result<File, LakeError> {
    let path = dir.join(".lock");
    let file = File::create(&path).map_err(|e| io_error(&path, e))?;
    match crate::log::lock_soon(&file) {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(LakeError::InUse(dir.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(io_error(&path, error)),
    }
}

/// Names this folder for as long as it exists, so that a restart after a crash need not wait for its own lease.
fn writer_id(dir: &Path) -> Result<String, LakeError> {
    let path = dir.join("writer-id");
    if let Ok(id) = std::fs::read_to_string(&path)
        && let Ok(id) = id.trim().parse::<uuid::Uuid>()
    {
        return Ok(id.to_string());
    }
    let id = uuid::Uuid::new_v4().to_string();
    std::fs::write(&path, &id).map_err(|e| io_error(&path, e))?;
    Ok(id)
}
