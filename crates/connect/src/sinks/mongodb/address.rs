//! `mongodb://user:password@host:27017,other:27017/database?replicaSet=rs0&tls=true`, as in the connection string
//! specification; of its options those in [`Address::option`]. `mongodb+srv://` would need the hosts from DNS: here they
//! are listed.

use crate::sinks::percent_decoded;
use std::path::PathBuf;

/// Hosts of one replica set; the server allows 50.
const HOSTS_MAX: usize = 50;
const PORT: u16 = 27_017;

#[derive(Clone, Debug, PartialEq)]
pub struct Address {
    /// `host:port`.
    pub hosts: Vec<String>,
    pub login: Option<Login>,
    pub database: String,
    pub replica_set: Option<String>,
    pub tls: bool,
    pub authorities: Option<PathBuf>,
}

#[derive(Clone, PartialEq)]
pub struct Login {
    pub user: String,
    pub password: String,
    /// The database in which the user was made.
    pub source: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.user, self.source)
    }
}

impl Address {
    /// Errors name no part of the URL that may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.starts_with("mongodb+srv://") {
            return Err("mongodb+srv:// is not supported: list the hosts, as in mongodb://one:27017,two:27017/?replicaSet=name&tls=true".into());
        }
        let rest = url.strip_prefix("mongodb://").ok_or("the url begins with mongodb://")?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<String> = hosts.split(',').map(with_port).collect::<Result<_, _>>()?;
        if hosts.len() > HOSTS_MAX {
            return Err(format!("the url lists more than {HOSTS_MAX} hosts"));
        }
        let database = text(database)?;
        let mut address = Self { hosts, login: None, database, replica_set: None, tls: false, authorities: None };
        if let Some(login) = login {
            let (user, password) = login.split_once(':').ok_or("the url has a user without a password")?;
            let source = if address.database.is_empty() { "admin".into() } else { address.database.clone() };
            address.login = Some(Login { user: text(user)?, password: text(password)?, source });
        }
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            address.option(name, text(value)?)?;
        }
        if address.database.is_empty() {
            address.database = "erne".into();
        }
        Ok(address)
    }

    fn option(&mut self, name: &str, value: String) -> Result<(), String> {
        let truth = || value.parse::<bool>().map_err(|_| format!("the option {name} of the url is true or false"));
        match (name.to_ascii_lowercase().as_str(), &mut self.login) {
            ("replicaset", _) => self.replica_set = Some(value),
            ("tls" | "ssl", _) => self.tls = truth()?,
            ("tlscafile", _) => self.authorities = Some(value.into()),
            ("authsource", Some(login)) => login.source = value,
            ("authmechanism", _) if value == "SCRAM-SHA-256" => {}
            ("authmechanism", _) => return Err("of the authentication mechanisms only SCRAM-SHA-256 is supported".into()),
            // What it asks for is done anyway: writes are repeated, and acknowledged by a majority with the journal.
            ("retrywrites" | "retryreads" | "appname", _) => {}
            ("w", _) if value == "majority" => {}
            ("journal", _) if truth()? => {}
            _ => return Err(format!("the option {name} of the url is not supported")),
        }
        Ok(())
    }
}

fn text(part: &str) -> Result<String, String> {
    String::from_utf8(percent_decoded(part)).map_err(|_| "the url is not UTF-8".into())
}

fn with_port(host: &str) -> Result<String, String> {
    let bare = !host.contains(':') || host.ends_with(']');
    let whole = if bare { format!("{host}:{PORT}") } else { host.to_owned() };
    let good = whole.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
    if good { Ok(whole) } else { Err("the hosts of the url are host:port, separated by commas".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_its_faults_are_named() {
        let address = Address::parse("mongodb://us%40er:p%3Aw@one,two:1234,[::1]:5/soc?replicaSet=rs0&tls=true&authSource=admin").unwrap();
        assert_eq!(address.hosts, ["one:27017", "two:1234", "[::1]:5"]);
        assert_eq!(address.login, Some(Login { user: "us@er".into(), password: "p:w".into(), source: "admin".into() }));
        assert_eq!((address.database.as_str(), address.replica_set.as_deref(), address.tls), ("soc", Some("rs0"), true));
        let plain = Address::parse("mongodb://u:p@db").unwrap();
        assert_eq!((plain.database.as_str(), plain.login.unwrap().source.as_str()), ("erne", "admin"));
        for (url, fault) in [
            ("mongodb+srv://x/", "list the hosts"),
            ("mongodb://x:y/", "host:port"),
            ("mongodb:///", "host:port"),
            ("mongodb://u@x/", "without a password"),
            ("mongodb://x/?tls=maybe", "true or false"),
            ("mongodb://x/?w=0", "w of the url"),
            ("mongodb://x/?tlsInsecure=true", "tlsInsecure"),
            ("mongodb://u:p@x/?authMechanism=PLAIN", "SCRAM"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(error.contains(fault), "{url}: {error}");
        }
    }
}
