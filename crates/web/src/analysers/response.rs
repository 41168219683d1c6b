//! What a response gives away.
//!
//! What it sees: stack traces, database errors, keys and secrets, listings of folders and password files in a
//! response, and redirects to a host that a parameter named.
//! What it raises: `leak`, `open_redirect`. Known false positives: pages about errors. CWE-209, CWE-601.

use super::{Hit, table};
use crate::{Class, Response, Transaction, decode};

/// What of a response's body is read.
const BODY_BYTES_MAX: usize = 64 << 10;

pub fn look(transaction: &Transaction, response: &Response) -> Vec<Hit> {
    let mut hits = Vec::new();
    let body = response.body[..response.body.len().min(BODY_BYTES_MAX)].to_ascii_lowercase();
    let found = table(&body, &[
        ("you have an error in your sql syntax", 0.9, "a database error"), ("unclosed quotation mark after", 0.9, "a database error"), ("ora-00933", 0.9, "a database error"), ("ora-01756", 0.9, "a database error"), ("pg_query():", 0.85, "a database error"), ("sqlstate[", 0.8, "a database error"), ("sqlite3.operationalerror", 0.9, "a database error"), ("org.postgresql.util.psqlexception", 0.9, "a database error"), ("com.mysql.jdbc", 0.8, "a database error"), ("microsoft ole db provider", 0.8, "a database error"), ("quoted string not properly terminated", 0.9, "a database error"),
        ("traceback (most recent call last)", 0.75, "a stack trace"), ("\tat java.lang.", 0.75, "a stack trace"), ("\tat org.", 0.6, "a stack trace"), ("<b>fatal error</b>:", 0.75, "a stack trace"), ("<b>warning</b>:", 0.55, "a stack trace"), ("system.web.httpunhandledexception", 0.8, "a stack trace"), ("goroutine 1 [running]", 0.75, "a stack trace"),
        ("-----begin rsa private key", 0.95, "a private key"), ("-----begin private key", 0.95, "a private key"), ("-----begin openssh private key", 0.95, "a private key"), ("root:x:0:0:", 0.95, "a password file"), ("[boot loader]", 0.9, "a system file"), ("aws_secret_access_key", 0.85, "a secret"), ("<title>index of /", 0.55, "a folder's list"),
    ]);
    if let Some(found) = found {
        let value = String::from_utf8_lossy(&body[found.at..body.len().min(found.at + 160)]).into_owned();
        hits.push(Hit { analyser: "response", class: Class::Leak, score: found.score, why: found.why, at: 0, place: "response:body", value });
    }
    hits.extend(redirect(transaction, response));
    hits
}

/// A redirect to another host, named by a parameter of the request.
fn redirect(transaction: &Transaction, response: &Response) -> Option<Hit> {
    let location = response.header("location").filter(|_| (300..400).contains(&response.status))?;
    let rest = location.split_once("//").filter(|(scheme, _)| scheme.is_empty() || scheme.ends_with(':'))?.1;
    let host = rest.split(['/', '?', '#', '\\']).next()?.to_ascii_lowercase();
    let own = transaction.header("host").unwrap_or_default().to_ascii_lowercase();
    if host.is_empty() || host == own || host.ends_with(&format!(".{own}")) || own.ends_with(&format!(".{host}")) {
        return None;
    }
    let query = transaction.target.split_once('?')?.1;
    let decoded = decode::url(query.as_bytes(), true).unwrap_or_else(|| query.as_bytes().to_vec()).to_ascii_lowercase();
    super::find(&decoded, &format!("//{host}"))?;
    Some(Hit { analyser: "response", class: Class::OpenRedirect, score: 0.6, why: "a redirect to a host that the request named", at: 0, place: "response:header:location", value: location.chars().take(160).collect() })
}
