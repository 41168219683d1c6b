use axum::response::{IntoResponse, Response};
use engine::control::ControlError;
use engine::lake::LakeError;
use engine::query::QueryError;
use http::{HeaderValue, StatusCode, header};

/// An error answer: `application/problem+json` (RFC 9457).
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// A stable word for programs; the `type` is `urn:erne:problem:` and this word.
    code: &'static str,
    detail: String,
    retry_after_secs: Option<u64>,
    /// The character of a query that it is about, from 0, and a way out.
    column: Option<usize>,
    hint: Option<String>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_secs: None, column: None, hint: None }
    }
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }
    pub fn timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
    }
    pub fn busy(detail: impl Into<String>, retry_after_secs: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).retry_after(retry_after_secs)
    }
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }
    pub fn retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs.max(1));
        self
    }
    /// Says where in a query it is wrong, and what was probably meant.
    pub fn at(mut self, column: Option<usize>, hint: Option<String>) -> Self {
        (self.column, self.hint) = (column, hint);
        self
    }
    pub fn status(&self) -> StatusCode {
        self.status
    }
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer for a status that some layer below gave without a body of ours.
    pub fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not-found", "there is no such path; see /api/openapi.json"),
            StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "the path exists, but not with this method"),
            StatusCode::UPGRADE_REQUIRED => ("upgrade-required", "this path is a WebSocket"),
            _ => ("refused", status.canonical_reason().unwrap_or("the request was refused")),
        };
        Self::new(status, code, detail)
    }
}

/// The text of a problem, beside the answer, for those who write it in another form.
#[derive(Clone, Debug)]
pub struct Detail(pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({
            "type": format!("urn:erne:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(column) = self.column {
            body["column"] = column.into();
        }
        if let Some(hint) = self.hint {
            body["hint"] = hint.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Detail(self.detail));
        response
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NotFound(what) => Self::not_found(format!("there is no such {what}")),
            ControlError::Exists(what) => Self::conflict(format!("{what} exists already")),
            ControlError::TooMany(most) => Self::conflict(format!("there are {most} already; delete one first")),
            ControlError::BadCursor => Self::bad_request("not a cursor of this list; leave it out to start again"),
            other => {
                tracing::error!(error = %other, "the control plane refused");
                Self::unavailable("the control plane is not available; try again").retry_after(1)
            }
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-query", error.message).at(Some(error.column), error.hint)
    }
}

impl From<LakeError> for Problem {
    fn from(error: LakeError) -> Self {
        match error {
            LakeError::BadCursor => Self::bad_request("not a cursor of this search; leave it out to start again"),
            LakeError::BadQuery(detail) => Self::bad_request(detail),
            error @ LakeError::Timeout { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "search-too-long", error.to_string())
            }
            LakeError::Busy => Self::busy("too many searches run at once; try again", 2),
            LakeError::Cancelled => Self::unavailable("the search was cancelled"),
            other => {
                tracing::error!(error = %other, "the lake refused");
                Self::unavailable("the search failed; try again").retry_after(1)
            }
        }
    }
}
