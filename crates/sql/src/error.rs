//! What goes wrong, cut by what the asker does next; positions instead of the planner's prose.

use crate::statement::Place;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use store::lake::LakeError;

#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The statement is to be changed.
    #[error("{message}")]
    Bad {
        message: String,
        /// The character of the statement that it is about, from 0.
        column: Option<usize>,
        hint: Option<String>,
    },
    #[error("the query needs more than the {mb} MB of memory that queries have; narrow its time range, group by fewer values, or select fewer columns")]
    Memory { mb: usize },
    #[error("the query took longer than {secs} s; narrow its time range, or give it more seconds")]
    Timeout { secs: u64 },
    #[error("{running} queries are running and {waiting} are waiting; try again in a few seconds")]
    Busy { running: usize, waiting: usize },
    #[error("the server is stopping")]
    Stopping,
    /// The server's own trouble: for its log, not for the asker.
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("the query failed: {0}")]
    Failed(String),
}

impl SqlError {
    pub fn bad(message: impl Into<String>) -> Self {
        Self::Bad { message: message.into(), column: None, hint: None }
    }

    pub(crate) fn at(message: impl Into<String>, column: Option<usize>, hint: Option<String>) -> Self {
        Self::Bad { message: message.into(), column, hint }
    }
}

/// What the planner or the execution of `sql` said.
pub(crate) fn explain(error: DataFusionError, sql: &str, memory_bytes: usize) -> SqlError {
    let span = error.diagnostic().and_then(|d| d.span);
    let column = span.and_then(|s| Place { line: s.start.line, column: s.start.column }.offset(sql));
    match take_root(error) {
        Root::Lake(error) => SqlError::Lake(error),
        Root::Memory => SqlError::Memory { mb: memory_bytes >> 20 },
        Root::NoField(name) => {
            let hint = crate::statement::suggest(&name);
            SqlError::at(format!("there is no column {name}"), column, hint)
        }
        Root::Text(text) => {
            let (text, place) = Place::cut(&text);
            let end = text.ends_with("found: EOF").then(|| sql.chars().count());
            let column = column.or_else(|| place?.offset(sql)).or(end);
            SqlError::at(text, column, None)
        }
    }
}

enum Root {
    Lake(LakeError),
    Memory,
    NoField(String),
    Text(String),
}

/// The deepest error that says something, without the prefixes of the layers above.
fn take_root(error: DataFusionError) -> Root {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<LakeError>() {
            Ok(lake) => Root::Lake(*lake),
            Err(other) => Root::Text(plain(&other.to_string())),
        },
        DataFusionError::ArrowError(inner, _) => match *inner {
            datafusion::arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<DataFusionError>() {
                Ok(inner) => take_root(*inner),
                Err(other) => Root::Text(plain(&other.to_string())),
            },
            other => Root::Text(plain(&other.to_string())),
        },
        DataFusionError::ResourcesExhausted(_) => Root::Memory,
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => take_root(*inner),
        DataFusionError::Shared(inner) => match inner.find_root() {
            DataFusionError::ResourcesExhausted(_) => Root::Memory,
            other => Root::Text(plain(&other.strip_backtrace())),
        },
        DataFusionError::Collection(errors) => {
            errors.into_iter().next().map_or_else(|| Root::Text("it failed".into()), take_root)
        }
        DataFusionError::SchemaError(inner, _) => match *inner {
            SchemaError::FieldNotFound { field, .. } => Root::NoField(field.flat_name()),
            other => Root::Text(plain(&other.to_string())),
        },
        DataFusionError::SQL(error, _) => Root::Text(match *error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => "recursion".to_owned(),
        }),
        other => Root::Text(plain(&other.strip_backtrace())),
    }
}

/// Without what only the library's authors need.
fn plain(text: &str) -> String {
    let mut text = text;
    for prefix in ["Error during planning: ", "Schema error: ", "SQL error: ", "Execution error: ", "This feature is not implemented: ", "Arrow error: ", "External error: ", "Optimizer rule "] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.split("Valid fields are").next().unwrap_or(text);
    let text = text.split("\nThis issue was likely caused by a bug").next().unwrap_or(text);
    // Five lines say what is wrong; candidates of functions follow.
    const CHARS_MAX: usize = 600;
    text.trim().trim_end_matches('.').chars().take(CHARS_MAX).collect()
}
