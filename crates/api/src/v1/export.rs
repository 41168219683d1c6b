//! Downloads of everything that a search matches.
use crate::app::App;
use crate::auth::Caller;
use crate::params::{COLUMNS, EXPORT_FORMAT, FROM, Params, QUERY, TO, did_you_mean};
use crate::problem::Problem;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use engine::lake::Query;
use engine::{Export, ExportError, ExportFormat};
use event::Column;
use futures::stream::unfold;
use http::{HeaderName, header};

/// How many events follow: a download with fewer was cut off.
pub const ROWS_HEADER: &str = "x-erne-rows";
/// Columns that may be named.
const COLUMNS_MAX: usize = 256;

pub async fn run(State(app): State<App>, Extension(caller): Extension<Caller>, params: Params) -> Result<Response, Problem> {
    let format = match params.get(&EXPORT_FORMAT) {
        None => ExportFormat::Jsonl,
        Some(text) => ExportFormat::parse(text).ok_or_else(|| {
            Problem::bad_request(format!("{text:?} is no format of exports; they are {}", ExportFormat::ALL.map(ExportFormat::as_str).join(", ")))
        })?,
    };
    let expr = engine::query::parse(params.get(&QUERY).unwrap_or_default(), app.now())?;
    let query = Query { from: params.time(&FROM)?, to: params.time(&TO)?, expr, ..Query::default() };
    let columns = columns(params.get(&COLUMNS).unwrap_or_default())?;
    // Before it runs: a client that goes away takes this handler with it.
    let detail = format!("{} {}", format.as_str(), params.get(&QUERY).unwrap_or("all events"));
    app.audit(&caller.label(), "export", "events", &detail).await;
    let export = app.platform.export(query, format, columns).await?;
    let name = format!("attachment; filename=\"erne-events-{}.{}\"", app.now().day(), format.as_str());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (HeaderName::from_static(ROWS_HEADER), export.rows.to_string()),
    ];
    Ok((headers, body(export)).into_response())
}

/// An error cuts the connection: the client sees a body without its end.
fn body(export: Export) -> Body {
    Body::from_stream(unfold(export, |mut export| async move {
        let piece = export.next().await?;
        if let Err(error) = &piece {
            tracing::error!(%error, "an export broke off");
        }
        Some((piece, export))
    }))
}

fn columns(text: &str) -> Result<Vec<&'static Column>, Problem> {
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    if names.len() > COLUMNS_MAX {
        return Err(Problem::bad_request(format!("more than {COLUMNS_MAX} columns")));
    }
    let all: Vec<&str> = event::COLUMNS.iter().flat_map(|c| std::iter::once(c.path).chain(c.ecs.iter().copied())).collect();
    let column = |name: &&str| event::column(name).ok_or_else(|| Problem::bad_request(format!("there is no column {name:?}{}", did_you_mean(name, &all))));
    names.iter().map(column).collect()
}

impl From<ExportError> for Problem {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Busy => Self::busy(error.to_string(), 30),
            ExportError::Lake(error) => error.into(),
            ExportError::Failed(_) => {
                tracing::error!(%error, "an export failed");
                Self::unavailable("the export failed; the server's log says why")
            }
        }
    }
}
