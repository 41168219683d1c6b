//! How long events may be under way, per source.

use event::{Event, Format};
use std::collections::HashMap;

/// CloudTrail delivers within 15 minutes of the call, by its documentation; the other formats come from
/// agents and forwarders that ship within seconds.
const CLOUDTRAIL_SECS: u32 = 15 * 60;
const DEFAULT_SECS: u32 = 60;

/// The allowed lateness of events: how long stateful rules wait for what may still come. The watermark of a
/// source is the log's clock less its lateness; no event time enters it, so none can move it.
#[derive(Clone, Debug, Default)]
pub struct Lateness {
    by_source: HashMap<String, u32>,
}

impl Lateness {
    /// Longest lateness that is honoured: state is kept for it.
    pub const SECS_MAX: u32 = 24 * 3_600;

    /// Seconds by source name; sources that are not named have the default of their format.
    pub fn new(by_source: impl IntoIterator<Item = (String, u32)>) -> Self {
        Self { by_source: by_source.into_iter().map(|(name, secs)| (name, secs.min(Self::SECS_MAX))).collect() }
    }

    /// The default of a format.
    pub fn of_format(format: Format) -> u32 {
        match format {
            Format::Cloudtrail => CLOUDTRAIL_SECS,
            Format::AppLog
            | Format::AccessLog
            | Format::AccessJson
            | Format::AuthLog
            | Format::Auditd
            | Format::WebInspection
            | Format::Json
            | Format::Raw => DEFAULT_SECS,
        }
    }

    pub fn secs(&self, event: &Event) -> u32 {
        self.secs_of(&event.source, event.format)
    }

    pub fn secs_of(&self, source: &str, format: Format) -> u32 {
        self.by_source.get(source).copied().unwrap_or_else(|| Self::of_format(format))
    }
}
