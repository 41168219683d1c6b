//! What the store's errors mean, and what to do about them.

use super::{Failure, S3Config};
use crate::lake::LakeError;
use object_store::Error;

/// Error codes of the S3 API (AWS, "List of error codes"), and what an operator does about each.
const CODES: &[(&str, &str)] = &[
    ("NoSuchBucket", "there is no such bucket: create it, or correct lake.url"),
    ("InvalidAccessKeyId", "the access key is not known there: check AWS_ACCESS_KEY_ID, and that lake.s3.endpoint is the store it belongs to"),
    ("SignatureDoesNotMatch", "the secret key does not fit the access key: check AWS_SECRET_ACCESS_KEY, and lake.s3.region"),
    ("ExpiredToken", "the session token has expired: get new credentials and restart"),
    ("InvalidToken", "the session token is not valid: check AWS_SESSION_TOKEN"),
    ("RequestTimeTooSkewed", "this machine's clock differs from the store's by more than 15 minutes: set the clock (timedatectl set-ntp true)"),
    ("AuthorizationHeaderMalformed", "the bucket is in another region: correct lake.s3.region"),
    ("PermanentRedirect", "the bucket is in another region, or behind another endpoint: correct lake.s3.region"),
    ("IllegalLocationConstraintException", "the bucket is in another region: correct lake.s3.region"),
    ("KMS", "the encryption key cannot be used: check lake.s3.encryption and that the role may use the key"),
    ("AccessDenied", "access is denied: the credentials need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload below the prefix"),
    ("SlowDown", "the store asks to slow down; it is tried again"),
    ("QuotaExceeded", "the store is full: make room, or shorten the retention"),
    ("XMinioStorageFull", "the store is full: make room, or shorten the retention"),
];

/// The error that says what failed, where, and what to do.
pub(super) fn failure(config: &S3Config, place: &str, failure: &Failure) -> LakeError {
    let endpoint = config.endpoint.as_deref().unwrap_or("AWS");
    LakeError::Failed(match failure {
        Failure::Late(budget) => {
            format!("{place}: no answer from {endpoint} within {} s; it is tried again", budget.as_secs())
        }
        Failure::Ended => format!("{place}: the threads that reach the store have ended"),
        Failure::Store(error) => {
            let text = chain(error);
            match advice(error, &text, endpoint) {
                Some(advice) => format!("{place}: {advice} ({})", short(&text)),
                None => format!("{place}: {}", short(&text)),
            }
        }
    })
}

/// A configuration that cannot be used.
pub(super) fn configuration(config: &S3Config, error: &Error) -> LakeError {
    LakeError::Failed(format!("{} cannot be used: {}", config.url, short(&chain(error))))
}

/// NotFound of an object is an answer, NotFound of the bucket is a mistake in the configuration.
pub(in crate::lake) fn is_missing_bucket(failure: &Failure) -> bool {
    matches!(failure, Failure::Store(error) if chain(error).contains("NoSuchBucket"))
}

/// The object ends before the range: it is not the one that was written.
pub(in crate::lake) fn is_too_short(failure: &Failure) -> bool {
    let Failure::Store(error) = failure else { return false };
    let text = chain(error);
    text.contains("InvalidRange") || text.contains("416 ") || text.contains("bytes long")
}

fn advice(error: &Error, text: &str, endpoint: &str) -> Option<String> {
    if text.contains("169.254.") {
        return Some("there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role".into());
    }
    if let Some((_, advice)) = CODES.iter().find(|(code, _)| text.contains(code)) {
        let region = region_asked_for(text).map(|r| format!("; the store says {r}")).unwrap_or_default();
        return Some(format!("{advice}{region}"));
    }
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            CODES.iter().find(|(code, _)| *code == "AccessDenied").map(|(_, advice)| (*advice).to_owned())
        }
        _ if text.contains("redirect") => Some("the bucket is in another region, or behind another endpoint: correct lake.s3.region".into()),
        _ if unreachable(text) => Some(format!("{endpoint} cannot be reached: check lake.s3.endpoint, and the network; it is tried again")),
        _ => None,
    }
}

fn unreachable(text: &str) -> bool {
    ["error sending request", "connection", "Connection", "dns error", "timed out", "tcp connect"].iter().any(|sign| text.contains(sign))
}

/// `<Region>eu-west-1</Region>`, or `expecting 'eu-west-1'`.
fn region_asked_for(text: &str) -> Option<&str> {
    let between = |open: &str, close: char| text.split_once(open)?.1.split(close).next().filter(|r| !r.is_empty() && r.len() < 40);
    between("<Region>", '<').or_else(|| between("expecting '", '\''))
}

/// An error with its causes: the outer one rarely says what happened.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

/// The store's XML and an attacker's bucket are no reason for a line of kilobytes.
fn short(text: &str) -> String {
    const CHARS_MAX: usize = 400;
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    one_line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: Error) -> String {
        let config = S3Config::new("s3://logs/erne", "/tmp");
        failure(&config, "s3://logs/erne/_delta_log", &Failure::Store(error)).to_string()
    }

    fn answer(body: &str) -> Error {
        Error::Generic { store: "S3", source: format!("Server returned non-2xx status code: 400: {body}").into() }
    }

    #[test]
    fn each_error_says_what_to_do() {
        for (body, says) in [
            ("<Code>NoSuchBucket</Code>", "create it"),
            ("<Code>InvalidAccessKeyId</Code>", "AWS_ACCESS_KEY_ID"),
            ("<Code>SignatureDoesNotMatch</Code>", "AWS_SECRET_ACCESS_KEY"),
            ("<Code>RequestTimeTooSkewed</Code>", "clock"),
            ("<Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region>", "the store says eu-central-1"),
            ("<Message>the region 'us-east-1' is wrong; expecting 'eu-west-2'</Message><Code>AuthorizationHeaderMalformed</Code>", "eu-west-2"),
            ("<Code>KMS.DisabledException</Code>", "lake.s3.encryption"),
            ("Error performing GET http://169.254.169.254/latest/api/token", "no credentials"),
            ("error sending request: tcp connect error: Connection refused", "cannot be reached"),
            ("Received redirect without LOCATION", "lake.s3.region"),
        ] {
            let text = told(answer(body));
            assert!(text.contains(says) && text.contains("s3://logs/erne/_delta_log"), "{body}: {text}");
        }
        let denied = Error::PermissionDenied { path: "x".into(), source: "<Code>AccessDenied</Code>".into() };
        assert!(told(denied).contains("s3:PutObject"));
    }

    #[test]
    fn a_long_answer_is_cut_and_kept_on_one_line() {
        let text = told(answer(&"<a>\n\u{1b}[31m".repeat(10_000)));
        assert!(text.len() < 2_000 && !text.contains('\n') && !text.contains('\u{1b}'));
    }
}
