//! A capture file as if it were an interface: the same trait, and the same filter, run here instead of in the kernel.

use super::{Capture, CaptureError, Counts, Filter, Frame};
use net::capture::Reader;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

const CHUNK_BYTES: usize = 256 << 10;

pub struct FileCapture {
    name: String,
    file: File,
    reader: Reader,
    filter: Filter,
    chunk: Vec<u8>,
    counts: Counts,
}

impl FileCapture {
    /// pcap or pcapng, not compressed.
    pub fn open(path: &Path, filter: Filter) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|source| CaptureError::Io { interface: name.clone(), what: "opening", source })?;
        Ok(Self { name, file, reader: Reader::default(), filter, chunk: vec![0; CHUNK_BYTES], counts: Counts::default() })
    }
}

impl Capture for FileCapture {
    fn read(&mut self, _wait: Duration, visit: &mut dyn FnMut(Frame<'_>)) -> Result<bool, CaptureError> {
        let count = loop {
            match self.file.read(&mut self.chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(CaptureError::Io { interface: self.name.clone(), what: "reading", source }),
                Ok(count) => break count,
            }
        };
        if count == 0 {
            self.reader.finish().map_err(|error| CaptureError::File(format!("{}: {error}", self.name)))?;
            return Ok(false);
        }
        let Self { filter, counts, .. } = self;
        let mut pass = |frame: Frame<'_>| {
            // The filter was compiled for one kind of link; frames of others are taken as they are.
            let kept = if frame.link == filter.link() { filter.run(frame.bytes) } else { u32::MAX };
            if kept > 0 {
                counts.received += 1;
                counts.bytes += u64::from(frame.wire_len);
                let bytes = &frame.bytes[..frame.bytes.len().min(kept as usize)];
                visit(Frame { bytes, ..frame });
            }
        };
        self.reader.push(&self.chunk[..count], &mut pass).map_err(|error| CaptureError::File(format!("{}: {error}", self.name)))?;
        Ok(true)
    }

    fn counts(&mut self) -> Counts {
        self.counts
    }

    fn name(&self) -> &str {
        &self.name
    }
}
