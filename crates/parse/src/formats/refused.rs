//! Refused logons, told in free text by programs that no format knows: mail, FTP, database and VPN servers,
//! web applications. Their wording differs, but they all say that something about a password, a login or an
//! authentication failed, and mostly from where. That is enough to see guessing.

use crate::{address, members, text, time};
use compact_str::CompactString;
use event::{Class, Event, Map, Status};

/// Bytes of a message that are looked at.
const LOOK_BYTES_MAX: usize = 2048;
/// The shortest phrase is as long.
const MESSAGE_BYTES_MIN: usize = 10;
/// Longest user name that is taken over.
const USER_BYTES_MAX: usize = 128;

/// A message without one of these says no refusal; asked first because most messages have none.
const NEGATIVE: [&str; 9] = ["fail", "invalid", "incorrect", "wrong", "denied", "bad ", "error", "unsuccessful", "no_such"];

/// What is said of a logon that was refused, in lower case.
const PHRASES: [&str; 52] = [
    "auth failed", "auth failure", "auth-failure", "auth-error", "auth_failed", "auth error", "authentication failed",
    "authentication failure", "authentication error", "authentication unsuccessful", "authentication_failed",
    "authentication has failed", "authenticator failed", "failed authentication", "invalid authentication",
    "could not authenticate", "failed to authenticate", "login failed", "login failure", "login_failed", "login_error",
    "login error", "login attempt failed", "login denied", "login incorrect", "failed login", "failed_login",
    "failed to login", "failed to log in", "failed logon", "logon failure", "unsuccessful login", "invalid login",
    "incorrect login", "failed password", "invalid password", "invalidpassword", "incorrect password", "wrong password",
    "bad password", "password mismatch", "invalid credentials", "invalid user credentials", "bad credentials",
    "incorrect username", "invalid username", "invalid user or password", "incorrect authentication",
    "access denied for user", "challengeresponsefailed", "nt_status_wrong_password", "nt_status_no_such_user",
];

/// Words after which the client's address stands.
const ADDRESS_MARKS: [&str; 14] = [
    "rhost=", "rip=", "[ipv4:", "[ipv6:", "ipaddress=", "remoteaddress=", "remote host [", "raddr=", "from ip", "from [", "ip=", "ip:", "from ",
    "client",
];

/// Words after which the account's name stands, the surest first.
const USER_MARKS: [&str; 11] = [
    "set_id=", "accountid=", "username=", "user=", "for username ", "for user: ", "for user ", "username ", "login=", "user: ",
    "user ",
];

/// Marks the event as a refused logon if its message is one. Leaves alone what is told already.
pub(super) fn note(event: &mut Event, native: &mut Map, message: &str) {
    if event.class == Class::Authentication || message.len() < MESSAGE_BYTES_MIN {
        return;
    }
    let lower = text::head(message, LOOK_BYTES_MAX).to_ascii_lowercase();
    if !is_refusal(&lower) {
        return;
    }
    mark(event, native);
    // Lower case in ASCII keeps every byte's place.
    let message = text::head(message, LOOK_BYTES_MAX);
    if event.ocsf.src.ip.is_none()
        && let Some((ip, port)) = client(message, &lower)
    {
        event.ocsf.src.ip = Some(address::canonical(ip));
        event.ocsf.src.port = port.map(i64::from);
    }
    if event.ocsf.user_name.is_none() {
        event.ocsf.user_name = user(message, &lower).map(CompactString::from);
    }
    if let Some(ip) = &event.ocsf.src.ip {
        members::add(native, "src_ip", ip.clone());
    }
    if let Some(user) = &event.ocsf.user_name {
        members::add(native, "user", user.clone());
    }
}

/// Class and log source of a refused logon.
pub(super) fn mark(event: &mut Event, native: &mut Map) {
    event.class = Class::Authentication;
    event.log_source.category = "authentication";
    event.ocsf.activity = Some(CompactString::const_new("Logon"));
    event.ocsf.status = Status::Failure;
    members::add(native, "event", "login_failed");
}

fn is_refusal(lower: &str) -> bool {
    if !NEGATIVE.iter().any(|word| lower.contains(word)) {
        return false;
    }
    PHRASES.iter().any(|phrase| lower.contains(phrase))
        || ["authentication attempt", "authentication request", "login request"].iter().any(|word| lower.contains(word))
}

fn client(message: &str, lower: &str) -> Option<(std::net::IpAddr, Option<u16>)> {
    // Exim writes the name by which the client calls itself before its address, and that may be an address too.
    if lower.contains("authenticator failed for")
        && let Some(end) = lower.find("]:").or_else(|| lower.rfind(']'))
    {
        let start = message[..end].rfind('[')?;
        return address::ip(&message[start + 1..end]);
    }
    let marked = ADDRESS_MARKS.iter().find_map(|mark| {
        // The last one: what stands before may be a name that the client chose.
        let at = lower.rfind(mark)? + mark.len();
        const NEAR_BYTES: usize = 64;
        address::find(text::head(&message[at..], NEAR_BYTES))
    });
    marked.or_else(|| address::find(message))
}

fn user<'a>(message: &'a str, lower: &str) -> Option<&'a str> {
    USER_MARKS.iter().find_map(|mark| {
        let at = lower.find(mark)? + mark.len();
        let rest = message[at..].trim_start_matches(['"', '\'', '<', '[', '(', '\\', ']']);
        let end = rest.find(['"', '\'', '>', ']', ')', ' ', ',', ';', '\\']).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', ':']);
        let plain = !name.is_empty() && name.len() <= USER_BYTES_MAX && !matches!(name, "or" | "and" | "from" | "with" | "has" | "is" | "null");
        plain.then_some(name)
    })
}

/// The time at the start of a line of no known format.
pub(super) fn leading_time(line: &str) -> Option<event::Timestamp> {
    let line = line.trim_start_matches(['[', ' ']);
    [32, 29, 27, 26, 25, 24, 23, 20, 19].iter().find_map(|len| {
        let candidate = line.get(..*len)?.trim_end_matches([']', ':', ' ', ',']);
        time::of_text(&candidate.replacen(',', ".", 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Option<String> {
        let lower = message.to_ascii_lowercase();
        let client = client(message, &lower).map(|(ip, _)| ip.to_string()).unwrap_or_default();
        is_refusal(&lower).then(|| format!("{} {client}", user(message, &lower).unwrap_or("-")))
    }

    #[test]
    fn refusals_in_the_words_of_many_programs() {
        for (message, want) in [
            ("warning: unknown[203.0.113.7]: SASL LOGIN authentication failed: authentication failure", "- 203.0.113.7"),
            ("imap-login: Disconnected (auth failed, 3 attempts): user=<bob>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.1", "bob 203.0.113.7"),
            ("plain authenticator failed for ([192.0.2.9]) [203.0.113.7]:5050: 535 Incorrect authentication data (set_id=bob)", "bob 203.0.113.7"),
            ("Access denied for user 'root'@'203.0.113.7' (using password: YES)", "root 203.0.113.7"),
            ("FATAL:  password authentication failed for user \"bob\"", "bob "),
            ("Auth: [SMB2,(null)] user []\\[bob] status [NT_STATUS_WRONG_PASSWORD] remote host [ipv4:203.0.113.7:62419]", "bob 203.0.113.7"),
            ("Authentication request for \"bob\" has been denied (IP: \"203.0.113.7\").", "- 203.0.113.7"),
            ("Failed password for x from 192.0.2.1 from 203.0.113.7 port 5050", "- 203.0.113.7"),
            ("Login failed for user bob, ip 203.0.113.7", "bob 203.0.113.7"),
            ("Authentication attempt from [203.0.113.7, 192.0.2.1] for user \"bob\" failed.", "bob 203.0.113.7"),
        ] {
            assert_eq!(told(message).as_deref(), Some(want), "{message}");
        }
        for harmless in ["Accepted password for bob from 203.0.113.7", "user bob logged in", "login failover complete", "error: disk full", ""] {
            assert_eq!(told(harmless), None, "{harmless}");
        }
    }

    #[test]
    fn times_before_a_message() {
        for line in ["2026-11-20 10:00:00,123 ERROR x", "[2026-11-20 10:00:00.123 +00:00] [INF]", "2026-11-20T10:00:00+00:00: y", "2026-11-20 10:00:00 z"] {
            assert_eq!(leading_time(line).map(|t| t.secs()), Some(1_795_168_800), "{line}");
        }
        assert_eq!(leading_time("no time"), None);
    }
}
