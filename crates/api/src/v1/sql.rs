//! SQL over events, alerts, incidents and findings. It only reads; a request that goes ends its query.
use crate::app::App;
use crate::auth::Caller;
use crate::body;
use crate::problem::Problem;
use crate::schema::SqlQuery;
use axum::extract::State;
use axum::{Extension, Json};
use engine::{SqlAnswer, SqlError, SqlRequest};
use http::StatusCode;

/// Characters of a statement that the audit log keeps.
const AUDIT_CHARS_MAX: usize = 2_000;

pub async fn run(State(app): State<App>, Extension(caller): Extension<Caller>, body::Json(query): body::Json<SqlQuery>) -> Result<Json<SqlAnswer>, Problem> {
    if query.limit == Some(0) || query.timeout_secs == Some(0) {
        return Err(Problem::bad_request("limit and timeout_secs are at least 1"));
    }
    // Before it runs: a client that goes away takes this handler with it.
    let text: String = query.sql.chars().take(AUDIT_CHARS_MAX).collect();
    app.audit(&caller.label(), "sql", if query.explain { "explain" } else { "run" }, &text).await;
    let request = SqlRequest { sql: query.sql, limit: query.limit, timeout_secs: query.timeout_secs, explain: query.explain };
    Ok(Json(app.platform.sql(request).await?))
}

impl From<SqlError> for Problem {
    fn from(error: SqlError) -> Self {
        let text = error.to_string();
        match error {
            SqlError::Bad { message, column, hint } => Self::new(StatusCode::BAD_REQUEST, "sql", message).at(column, hint),
            SqlError::Memory { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "sql-memory", text),
            SqlError::Timeout { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "sql-too-long", text),
            SqlError::Busy { .. } => Self::busy(text, 5),
            SqlError::Stopping => Self::unavailable(text).retry_after(1),
            SqlError::Lake(error) => error.into(),
            SqlError::Failed(_) => {
                tracing::error!(error = %text, "a query in SQL failed");
                Self::unavailable("the query failed; the server's log says why")
            }
        }
    }
}
