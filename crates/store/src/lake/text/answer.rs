//! What the index of an open file says.

use super::{Open, Texts};
use index::Rows;
use parking_lot::Mutex;
use query::Words;
use std::collections::VecDeque;
use std::sync::Arc;

/// Answers that an open file keeps: the groups of a file ask the same in turn.
const ANSWERS_MAX: usize = 4;

/// The index of one open file, opened when it is first asked.
pub(in crate::lake) struct Text {
    texts: Arc<Texts>,
    file: String,
    rows: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    answers: VecDeque<(Words, &'static str, Option<Arc<Rows>>)>,
}

impl Text {
    pub fn new(texts: Arc<Texts>, file: &str, rows: u64) -> Self {
        Self { texts, file: file.to_owned(), rows, state: Mutex::default() }
    }

    /// The rows of the file with these words in a column; `None`: no index answers.
    pub fn rows(&self, words: &Words, column: &'static str) -> Option<Arc<Rows>> {
        let mut state = self.state.lock();
        if let Some((.., rows)) = state.answers.iter().find(|(w, c, _)| w == words && *c == column) {
            return rows.clone();
        }
        if state.open.as_ref().is_none_or(Open::stale) {
            state.open = self.texts.open(&self.file, self.rows);
        }
        let open = state.open.as_ref()?;
        let rows = match open.index.rows(words, column) {
            Ok(rows) => rows.map(Arc::new),
            Err(error) => {
                let failure = open.failure();
                *state = State::default();
                self.texts.unusable(&self.file, failure, error);
                return None;
            }
        };
        if state.answers.len() >= ANSWERS_MAX {
            state.answers.pop_front();
        }
        state.answers.push_back((words.clone(), column, rows.clone()));
        rows
    }
}
