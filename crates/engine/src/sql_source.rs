//! SQL over what the platform holds.

use crate::platform::{Inner, Platform};
use async_trait::async_trait;
use event::{Alert, Finding, Incident};
use sql::{Answer, RECORDS_MAX, Request, Source, SqlError};
use std::sync::Arc;
use store::control::{AlertFilter, ControlError, FindingFilter, IncidentFilter, Listed};
use store::lake::Frozen;
use tokio::runtime::Handle;

impl Platform {
    /// Runs one statement that only reads. Dropping the future ends it.
    pub async fn sql(&self, request: Request) -> Result<Answer, SqlError> {
        let source = Held { inner: self.0.clone(), runtime: Handle::current() };
        self.0.sql.run(request, Arc::new(source)).await
    }

    pub fn sql_load(&self) -> sql::Load {
        self.0.sql.load()
    }
}

struct Held {
    inner: Arc<Inner>,
    /// The control plane's connections live on the server's runtime, not on that of queries.
    runtime: Handle,
}

impl Held {
    async fn on_server<T: Send + 'static>(&self, work: impl Future<Output = Result<Vec<T>, ControlError>> + Send + 'static) -> Result<Vec<T>, SqlError> {
        let joined = self.runtime.spawn(work).await.map_err(|_| SqlError::Stopping)?;
        joined.map_err(|error| {
            tracing::error!(%error, "the control plane cannot be read for SQL");
            SqlError::Failed("the control plane is not available; try again".into())
        })
    }
}

#[async_trait]
impl Source for Held {
    fn events(&self) -> Frozen {
        self.inner.shared.lake.frozen()
    }

    async fn alerts(&self) -> Result<Vec<Alert>, SqlError> {
        let control = self.inner.control.clone();
        self.on_server(async move {
            let mut pages = Pages::default();
            while pages.more() {
                let filter = AlertFilter { signals: true, limit: PAGE, cursor: pages.cursor.take(), ..AlertFilter::default() };
                pages.add(control.alerts(&filter).await?);
            }
            Ok(pages.items)
        })
        .await
    }

    async fn incidents(&self) -> Result<Vec<Incident>, SqlError> {
        let control = self.inner.control.clone();
        self.on_server(async move {
            let mut pages = Pages::default();
            while pages.more() {
                let filter = IncidentFilter { limit: PAGE, cursor: pages.cursor.take(), ..IncidentFilter::default() };
                pages.add(control.incidents(&filter).await?);
            }
            Ok(pages.items)
        })
        .await
    }

    async fn findings(&self) -> Result<Vec<Finding>, SqlError> {
        let control = self.inner.control.clone();
        self.on_server(async move {
            let mut pages = Pages::default();
            while pages.more() {
                let filter = FindingFilter { limit: PAGE, cursor: pages.cursor.take(), ..FindingFilter::default() };
                pages.add(control.findings(&filter).await?);
            }
            Ok(pages.items)
        })
        .await
    }
}

/// Rows of one question to the control plane.
const PAGE: usize = 1_000;

/// The newest rows of a list, gathered page by page.
struct Pages<T> {
    items: Vec<T>,
    cursor: Option<String>,
    done: bool,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { items: Vec::new(), cursor: None, done: false }
    }
}

impl<T> Pages<T> {
    fn more(&self) -> bool {
        !self.done
    }

    fn add(&mut self, page: Listed<T>) {
        self.items.extend(page.items);
        self.items.truncate(RECORDS_MAX);
        self.done = page.next_cursor.is_none() || self.items.len() >= RECORDS_MAX;
        self.cursor = page.next_cursor;
    }
}
