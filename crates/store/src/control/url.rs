//! The address of a PostgreSQL database. It may hold a password, which it never shows.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use url::Url;

/// What may stand behind the `?`. Anything else is a mistake, or would be ignored.
const PARAMETERS: [&str; 10] =
    ["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "dbname", "user", "application_name", "options"];
/// What is shown instead of a password.
const HIDDEN: &str = "***";

/// Why an address cannot be used. None of these repeats it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("not a URL like postgres://erne@127.0.0.1:5432/erne")]
    NoUrl,
    #[error("the URL has to begin with postgres://, this begins with {0}://")]
    Scheme(String),
    #[error("the parameter {0} is not known; known are {known}", known = PARAMETERS.join(", "))]
    Parameter(String),
    #[error("a password stands before the host (postgres://user:password@host/…), in ~/.pgpass or in PGPASSWORD, not behind the ?")]
    PasswordParameter,
    #[error("the URL names no database: postgres://user@host/database")]
    NoDatabase,
    #[error("{0} is not on this machine, and sslmode={1} would send passwords and alerts unencrypted: use verify-full, verify-ca or require")]
    Unencrypted(String, &'static str),
    #[error("{0}")]
    Value(String),
}

/// `postgres://user:password@host:port/database?parameters`, with libpq's parameters. What it leaves out comes from
/// libpq's environment variables and `~/.pgpass`. Beyond this machine TLS is a must: `sslmode` is `verify-full`
/// unless it says `verify-ca` or `require`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Url);

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|_| UrlError::NoUrl)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(UrlError::Scheme(url.scheme().to_owned()));
        }
        for (name, _) in url.query_pairs() {
            if name == "password" {
                return Err(UrlError::PasswordParameter);
            }
            if !PARAMETERS.contains(&&*name) && !name.starts_with("options[") {
                return Err(UrlError::Parameter(name.into_owned()));
            }
        }
        let url = Self(url);
        url.options()?;
        Ok(url)
    }
}

impl DatabaseUrl {
    pub(super) fn options(&self) -> Result<PgConnectOptions, UrlError> {
        let options = PgConnectOptions::from_str(self.0.as_str()).map_err(|e| UrlError::Value(e.to_string()))?;
        if options.get_database().is_none() {
            return Err(UrlError::NoDatabase);
        }
        if options.get_socket().is_some() || is_local(options.get_host()) {
            return Ok(options);
        }
        let says = self.0.query_pairs().any(|(name, _)| name == "sslmode") || std::env::var_os("PGSSLMODE").is_some();
        let weak = match options.get_ssl_mode() {
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => return Ok(options),
            _ if !says => return Ok(options.ssl_mode(PgSslMode::VerifyFull)),
            PgSslMode::Disable => "disable",
            PgSslMode::Allow => "allow",
            PgSslMode::Prefer => "prefer",
        };
        Err(UrlError::Unencrypted(options.get_host().to_owned(), weak))
    }
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty() || host.starts_with('/') || host == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Without its password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        if url.password().is_some() && url.set_password(Some(HIDDEN)).is_err() {
            return f.write_str("postgres://");
        }
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DatabaseUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn a_password_is_used_and_never_shown() {
        let url = parse("postgres://erne:s3cr3t%40@127.0.0.1:5433/erne").unwrap();
        let shown = [url.to_string(), format!("{url:?}"), serde_json::to_string(&url).unwrap()];
        assert!(shown.iter().all(|text| !text.contains("s3cr3t") && text.contains("erne:***@127.0.0.1:5433/erne")), "{shown:?}");
        assert_eq!(url.options().unwrap().get_port(), 5433);
        for bad in ["postgres://u:s3cr3t@db.example/e?sslmode=disable", "postgres://u:s3cr3t@h/e?x=1", "mysql://u:s3cr3t@h/e", "s3cr3t", "postgres://u@h/e?password=s3cr3t"] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn beyond_this_machine_there_is_no_way_without_tls() {
        for local in ["postgres://u@localhost/e", "postgres://u@[::1]/e", "postgres://u@127.0.0.9/e?sslmode=disable", "postgres:///e?host=/run/postgresql"] {
            assert!(parse(local).is_ok(), "{local}");
        }
        let far = parse("postgres://u@db.example/e").unwrap();
        assert!(matches!(far.options().unwrap().get_ssl_mode(), PgSslMode::VerifyFull));
        let far = parse("postgres://u@db.example/e?sslmode=require").unwrap();
        assert!(matches!(far.options().unwrap().get_ssl_mode(), PgSslMode::Require));
        for weak in ["disable", "allow", "prefer"] {
            let error = parse(&format!("postgres://u@db.example/e?sslmode={weak}")).unwrap_err();
            assert!(error.to_string().contains("verify-full"), "{error}");
        }
        // A host behind the ? overrides the one before it.
        assert!(parse("postgres://u@localhost/e?host=db.example&sslmode=disable").is_err());
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(parse("erne.db").unwrap_err(), UrlError::NoUrl);
        assert_eq!(parse("http://h/e").unwrap_err(), UrlError::Scheme("http".into()));
        assert_eq!(parse("postgres://u@h/e?sslmodus=x").unwrap_err(), UrlError::Parameter("sslmodus".into()));
        assert!(matches!(parse("postgres://u@h/e?sslmode=x").unwrap_err(), UrlError::Value(_)));
    }
}
