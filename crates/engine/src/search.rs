//! Searches of the lake for callers that wait: on the blocking pool, a few at a time, and ended when the caller goes.

use crate::platform::Platform;
use std::time::Duration;
use store::lake::{Aggregated, Aggregation, Answer, Cancel, Extras, LakeError, Page, Query, Reading};

/// Searches that run at once; each holds decoded columns. Further ones wait …
pub const SEARCHES_MAX: usize = 8;
/// … so long.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Cancels the search when the future that waits for it is dropped.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Platform {
    /// Asks the lake as it is now. Dropping the future ends the work.
    pub async fn ask<T, F>(&self, question: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce(Reading) -> Result<T, LakeError> + Send + 'static,
    {
        let wait = tokio::time::timeout(WAIT_MAX, self.0.searching.clone().acquire_owned());
        let permit = wait.await.map_err(|_| LakeError::Busy)?.map_err(|closed| LakeError::Failed(closed.to_string()))?;
        let lake = self.0.shared.lake.clone();
        let guard = CancelOnDrop(Cancel::default());
        let cancel = guard.0.clone();
        let work = move || {
            let _permit = permit;
            question(lake.read().cancelled_by(cancel))
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(LakeError::Failed(error.to_string())))
    }

    /// A page of matching events, newest first.
    pub async fn events(&self, query: Query) -> Result<Page, LakeError> {
        self.ask(move |reading| reading.query(&query)).await
    }

    /// A page with histogram and values of columns.
    pub async fn search(&self, query: Query, extras: Extras) -> Result<Answer, LakeError> {
        self.ask(move |reading| reading.search(&query, &extras)).await
    }

    pub async fn aggregate(&self, query: Query, asked: Aggregation) -> Result<Aggregated, LakeError> {
        self.ask(move |reading| reading.aggregate(&query, &asked)).await
    }

    /// The event with this uid.
    pub async fn event(&self, uid: String) -> Result<Option<serde_json::Value>, LakeError> {
        self.ask(move |reading| reading.event(&uid)).await
    }

    /// Events of the same source around one, oldest first, itself among them; empty if there is none.
    pub async fn around(&self, uid: String, before: usize, after: usize) -> Result<Vec<serde_json::Value>, LakeError> {
        self.ask(move |reading| reading.around(&uid, before, after)).await
    }
}
