//! What one request may cost, counted in units of work instead of time, so that the same request always gets
//! the same verdict.

/// Units of work for one request. The costliest texts found take some 5 ns a unit, so that it ends below 20 ms.
pub const WORK_MAX: u64 = 2_000_000;
/// Values looked at.
pub const VALUES_MAX: u32 = 4_096;
/// Findings kept.
pub const FINDINGS_MAX: usize = 32;

/// Counts down; a bound that is reached is noted once.
#[derive(Debug, Default)]
pub struct Budget {
    spent: u64,
    values: u32,
    pub notes: Vec<&'static str>,
}

impl Budget {
    /// Whether `units` more may be spent; they count as spent if so.
    pub fn spend(&mut self, units: usize) -> bool {
        let after = self.spent + units as u64;
        if after > WORK_MAX {
            self.note("work: the request cost more than one may; the rest of it was not inspected");
            return false;
        }
        self.spent = after;
        true
    }

    pub fn value(&mut self) -> bool {
        self.values += 1;
        if self.values > VALUES_MAX {
            self.note("values: more values than are looked at");
            return false;
        }
        true
    }

    pub fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
