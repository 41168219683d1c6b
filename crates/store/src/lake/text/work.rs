//! Making indexes: of new files in the background, of merged ones from those of their parts.

use super::Texts;
use crate::lake::file::DataFile;
use crate::lake::read::Opened;
use crate::lake::schema::LAYOUT;
use crate::lake::{LakeError, Shared, Step};
use arrow_array::{Array, StringArray};
use index::{Builder, Index};
use query::PROSE;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Pause between looks for files without an index.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Memory of a build; more is put aside on disk.
const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Rows whose text is held at once.
const READ_ROWS: usize = 1_024;
/// How much the thread steps back behind detection and searches (`nice`).
const NICENESS: i32 = 10;

impl Shared {
    /// Indexes files as they come, newest first.
    pub(in crate::lake) fn run_text(&self) {
        // On Linux this is the priority of this thread alone. Without it, indexing only takes its full share.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        while !self.stopping() {
            if !matches!(self.index_next(), Ok(true)) {
                let mut state = self.state.lock();
                if !state.stop {
                    self.work.wait_for(&mut state, LOOK_EVERY);
                }
            }
        }
    }

    /// Indexes one file; false if none lacks an index.
    pub(in crate::lake) fn index_next(&self) -> Result<bool, LakeError> {
        let table = self.state.lock().table.clone();
        let Some(file) = self.texts.next(&table) else { return Ok(false) };
        let built = self.index_file(&file);
        if let Err(error) = &built {
            if !self.stopping() {
                tracing::warn!("{}: its text is not indexed: {error}", file.path);
            }
            self.texts.failed(&file.path, error);
        }
        // Deleted meanwhile: the index came too late to be deleted with it.
        if !self.holds(&file.path) {
            self.texts.forget(&file.path);
        }
        built.map(|()| true)
    }

    fn index_file(&self, file: &DataFile) -> Result<(), LakeError> {
        let opened = self.files.open_new(file)?;
        let fill = |out: &mut dyn Write| self.build(&opened, out);
        self.texts.write(&file.path, fill, || self.reached(Step::Indexed))
    }

    fn build(&self, opened: &Opened, out: &mut dyn Write) -> Result<u64, LakeError> {
        let leaves = PROSE.map(|path| LAYOUT.leaf(path));
        let read: Vec<usize> = leaves.iter().flatten().copied().collect();
        let mut builder = Builder::with_memory(&self.texts.folder()?, MEMORY_BYTES_MAX);
        for group in 0..opened.groups() {
            for rows in opened.batches(Some(group), &read, None, READ_ROWS)? {
                if self.stopping() {
                    return Err(LakeError::Failed("the lake is being closed".into()));
                }
                let rows = rows?;
                let columns = leaves.map(|leaf| leaf.and_then(|l| rows.typed::<StringArray>(l)));
                for row in 0..rows.len {
                    builder.add(&columns.map(|c| c.filter(|c| c.is_valid(row)).map(|c| c.value(row))))?;
                }
            }
        }
        Ok(builder.finish(out)?)
    }

    /// Makes the index of a merged file from those of its parts, if all have one; `places` are the rows of the merged
    /// file that each part's rows became. Failing is no harm: the file is indexed by its text then.
    pub(in crate::lake) fn merge_texts(&self, parts: &[Arc<DataFile>], places: &[Vec<u32>], merged: &DataFile) {
        let opened: Option<Vec<_>> = parts.iter().map(|f| self.texts.open(&f.path, f.rows)).collect();
        let Some(opened) = opened else { return };
        let inputs: Vec<(&Index, &[u32])> = opened.iter().zip(places).map(|(o, p)| (&o.index, p.as_slice())).collect();
        let fill = |out: &mut dyn Write| Ok(index::merge(&inputs, out)?);
        if let Err(error) = self.texts.write(&merged.path, fill, || self.reached(Step::Indexed)) {
            tracing::warn!("{}: its text is indexed anew: {error}", merged.path);
        }
    }
}

impl Texts {
    /// Where builds put aside what memory cannot hold; leftovers go at the next start.
    fn folder(&self) -> Result<std::path::PathBuf, LakeError> {
        let folder = self.home.scratch().join(super::FOLDER).join("scratch");
        std::fs::create_dir_all(&folder).map_err(|e| crate::lake::io_error(&folder, e))?;
        Ok(folder)
    }
}
