//! What sshd, PAM, sudo, su and the account tools say in their messages.
//!
//! User names are chosen by attackers and may hold anything, also ` from 192.0.2.1 port 22`. So a name ends
//! at the *last* ` from ADDRESS port N`, which sshd itself wrote.

use event::Status;

/// What a message tells, before it is put into an event.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told<'a> {
    /// A stable word for rules: `failed_password`, `accepted`, `invalid_user`, …
    pub event: &'static str,
    pub activity: &'static str,
    pub status: Status,
    pub user: Option<&'a str>,
    pub address: Option<&'a str>,
    pub port: Option<i64>,
    pub method: Option<&'a str>,
    /// Further native fields.
    pub extra: Vec<(&'static str, &'a str)>,
}

const LOGON: &str = "Logon";
const LOGOFF: &str = "Logoff";
const SWITCH: &str = "Account Switch";
const OTHER: &str = "Other";

fn told<'a>(event: &'static str, activity: &'static str, status: Status) -> Told<'a> {
    Told { event, activity, status, ..Told::default() }
}

/// Splits `USER from ADDRESS[ port N…]` at the last ` from `.
fn user_from(text: &str) -> Option<(&str, &str, Option<i64>)> {
    let (user, rest) = match text.strip_prefix("from ") {
        Some(rest) => ("", rest),
        None => text.rsplit_once(" from ")?,
    };
    let (address, port) = address_port(rest)?;
    Some((user, address, port))
}

/// `ADDRESS port N`, `ADDRESS:`, `ADDRESS` at the start.
fn address_port(text: &str) -> Option<(&str, Option<i64>)> {
    let address = text.split(' ').next()?.trim_end_matches([':', ',']);
    let rest = text[address.len()..].trim_start_matches([':', ',']);
    let port = rest.strip_prefix(" port ").and_then(leading_number);
    (!address.is_empty()).then_some((address, port))
}

fn leading_number(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

impl<'a> Told<'a> {
    fn at(mut self, address: &'a str, port: Option<i64>) -> Self {
        (self.address, self.port) = (Some(address), port);
        self
    }

    fn user(mut self, user: &'a str) -> Self {
        self.user = Some(user).filter(|user| !user.is_empty());
        self
    }

    fn method(mut self, method: &'a str) -> Self {
        self.method = Some(method);
        self
    }
}

/// A user with sshd's remark before it; says whether the user exists.
fn known_user(text: &str) -> (&str, bool) {
    for remark in ["invalid user ", "illegal user "] {
        if let Some(user) = text.strip_prefix(remark) {
            return (user, false);
        }
    }
    (text.strip_prefix("authenticating user ").or_else(|| text.strip_prefix("user ")).unwrap_or(text), true)
}

pub(super) fn sshd(message: &str) -> Option<Told<'_>> {
    let message = message.strip_prefix("error: ").or_else(|| message.strip_prefix("fatal: ")).unwrap_or(message);
    authentication(message).or_else(|| connection(message)).or_else(|| pam(message)).or_else(|| elsewhere(message))
}

/// A message of no known shape that still ends in `from ADDRESS port N`.
fn elsewhere(message: &str) -> Option<Told<'_>> {
    let (_, address, port) = user_from(message)?;
    port.map(|port| told("other", OTHER, Status::Unknown).at(address, Some(port)))
}

/// Attempts to log on.
fn authentication(message: &str) -> Option<Told<'_>> {
    let (word, rest) = message.split_once(' ')?;
    match word {
        "Failed" | "Accepted" | "Postponed" => {
            let (method, rest) = rest.split_once(" for ")?;
            let (user, address, port) = user_from(rest)?;
            let (user, known) = known_user(user);
            let mut told = match word {
                "Accepted" => told("accepted", LOGON, Status::Success),
                "Postponed" => told("postponed", LOGON, Status::Unknown),
                _ if method == "password" => told("failed_password", LOGON, Status::Failure),
                _ => told("failed_authentication", LOGON, Status::Failure),
            };
            if !known {
                told.extra.push(("invalid_user", "true"));
            }
            Some(told.user(user).at(address, port).method(method))
        }
        "Invalid" | "Illegal" => {
            let (user, address, port) = user_from(rest.strip_prefix("user ")?)?;
            Some(told("invalid_user", LOGON, Status::Failure).user(user).at(address, port))
        }
        "maximum" => {
            let rest = rest.strip_prefix("authentication attempts exceeded for ")?;
            let (user, address, port) = user_from(rest)?;
            Some(told("max_attempts", LOGON, Status::Failure).user(known_user(user).0).at(address, port))
        }
        "PAM:" => {
            let (_, rest) = rest.split_once(" for ")?;
            let (user, address, port) = user_from(rest)?;
            Some(told("pam_failure", LOGON, Status::Failure).user(known_user(user).0).at(address, port).method("pam"))
        }
        "User" => {
            let (before, _) = rest.split_once(" not allowed because ")?;
            let (user, address) = before.rsplit_once(" from ").unwrap_or((before, ""));
            let told = told("user_not_allowed", LOGON, Status::Failure).user(user);
            Some(if address.is_empty() { told } else { told.at(address, None) })
        }
        "ROOT" => {
            let (_, address) = rest.rsplit_once("FROM ")?;
            let (address, port) = address_port(address)?;
            Some(told("root_refused", LOGON, Status::Failure).user("root").at(address, port))
        }
        _ => None,
    }
}

/// Connections that open, close or break off.
fn connection(message: &str) -> Option<Told<'_>> {
    const SHAPES: &[(&str, &str, &str, Status)] = &[
        ("Connection closed by ", "connection_closed", OTHER, Status::Unknown),
        ("Connection reset by ", "connection_reset", OTHER, Status::Unknown),
        ("Disconnected from ", "disconnected", LOGOFF, Status::Unknown),
        ("Disconnecting ", "disconnecting", OTHER, Status::Failure),
        ("Received disconnect from ", "received_disconnect", LOGOFF, Status::Unknown),
        ("Did not receive identification string from ", "no_identification", OTHER, Status::Failure),
        ("Unable to negotiate with ", "unable_to_negotiate", OTHER, Status::Failure),
        ("banner exchange: Connection from ", "bad_banner", OTHER, Status::Failure),
        ("ssh_dispatch_run_fatal: Connection from ", "protocol_error", OTHER, Status::Failure),
        ("Timeout before authentication for connection from ", "timeout", OTHER, Status::Failure),
        ("Timeout before authentication for ", "timeout", OTHER, Status::Failure),
        ("Connection from ", "connection", OTHER, Status::Unknown),
        ("refused connect from ", "refused_connect", OTHER, Status::Failure),
        ("drop connection ", "dropped_connection", OTHER, Status::Failure),
    ];
    if let Some(told) = suspicious(message) {
        return Some(told);
    }
    let (rest, (_, event, activity, status)) =
        SHAPES.iter().find_map(|shape| message.strip_prefix(shape.0).map(|rest| (rest, shape)))?;
    let mut found = told(event, activity, *status);
    let (user, address, port) = peer(rest)?;
    let before_logon = message.ends_with("[preauth]");
    if let Some(user) = user {
        // A client that names a user and leaves before it is let in has failed to log on.
        let failed = before_logon || rest.starts_with("authenticating ") || rest.starts_with("invalid ");
        if failed {
            (found.activity, found.status) = (LOGON, Status::Failure);
        }
        if rest.starts_with("invalid ") {
            found.extra.push(("invalid_user", "true"));
        }
        found = found.user(user);
    }
    if before_logon && found.activity == LOGOFF {
        found.activity = OTHER;
    }
    Some(found.at(address, port))
}

/// `[authenticating |invalid ]user X ADDRESS port N…`, `ADDRESS port N…`, `NAME (ADDRESS)`, `… from [ADDRESS]:N on …`.
fn peer(text: &str) -> Option<(Option<&str>, &str, Option<i64>)> {
    if let Some((_, rest)) = text.split_once(" from [") {
        let (address, rest) = rest.split_once(']')?;
        return Some((None, address, rest.strip_prefix(':').and_then(leading_number)));
    }
    let (named, _) = known_user(text);
    if named.len() != text.len() {
        let (before, port) = named.rsplit_once(" port ")?;
        let (user, address) = before.rsplit_once(' ').unwrap_or(("", before));
        return Some((Some(user), address, leading_number(port)));
    }
    if let Some((_, address)) = text.rsplit_once(" (").filter(|_| text.ends_with(')')) {
        return Some((None, &address[..address.len() - 1], None));
    }
    let (address, port) = address_port(text)?;
    Some((None, address, port))
}

fn suspicious(message: &str) -> Option<Told<'_>> {
    if message.contains("POSSIBLE BREAK-IN ATTEMPT") {
        let found = told("reverse_mapping", OTHER, Status::Failure);
        if let Some(rest) = message.strip_prefix("Address ") {
            return Some(found.at(rest.split(' ').next()?, None));
        }
        let (_, rest) = message.split_once('[')?;
        return Some(found.at(rest.split(']').next()?, None));
    }
    if message.starts_with("Bad protocol version identification ") || message.starts_with("Bad remote protocol version identification") {
        let (_, rest) = message.rsplit_once(" from ")?;
        let (address, port) = address_port(rest)?;
        return Some(told("bad_protocol", OTHER, Status::Failure).at(address, port));
    }
    let user = message.strip_prefix("Disconnecting: Too many authentication failures for ")?;
    Some(told("max_attempts", LOGON, Status::Failure).user(user.trim_end_matches(" [preauth]")))
}

/// `pam_unix(SERVICE:TYPE): …`, and PAM's summary when a connection ends.
pub(super) fn pam(message: &str) -> Option<Told<'_>> {
    if let Some(rest) = message.strip_prefix("PAM ") {
        return rest.contains("authentication failure").then(|| pam_failure(rest));
    }
    let (_, rest) = message.strip_prefix("pam_").and_then(|m| m.split_once("): ")).or_else(|| {
        message.starts_with("authentication failure;").then_some(("", message))
    })?;
    if rest.starts_with("authentication failure") {
        return Some(pam_failure(rest));
    }
    if let Some(user) = rest.strip_prefix("session opened for user ") {
        let (user, by) = user.split_once(" by ").unwrap_or((user, ""));
        let mut found = told("session_opened", LOGON, Status::Success).user(bare_user(user));
        if !bare_user(by).is_empty() {
            found.extra.push(("by", bare_user(by)));
        }
        return Some(found);
    }
    if let Some(user) = rest.strip_prefix("session closed for user ") {
        return Some(told("session_closed", LOGOFF, Status::Success).user(user));
    }
    if rest.starts_with("check pass; user unknown") {
        return Some(told("user_unknown", LOGON, Status::Failure));
    }
    let user = rest.strip_prefix("password changed for ")?;
    Some(told("password_changed", OTHER, Status::Success).user(user))
}

/// `root(uid=0)` without the number.
fn bare_user(text: &str) -> &str {
    text.split_once("(uid=").map_or(text, |(user, _)| user).trim()
}

fn pam_failure(text: &str) -> Told<'_> {
    let mut found = told("authentication_failure", LOGON, Status::Failure).method("pam");
    for pair in text.split([' ', ';']) {
        match pair.split_once('=') {
            Some(("user", user)) => found = found.user(user),
            Some(("rhost", host)) if !host.is_empty() => found = found.at(host, None),
            Some(("tty", tty)) if !tty.is_empty() => found.extra.push(("tty", tty)),
            Some(("ruser", user)) if !user.is_empty() => found.extra.push(("ruser", user)),
            _ => {}
        }
    }
    found
}

/// `alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/id`, with a remark first where it was refused.
pub(super) fn sudo(message: &str) -> Option<Told<'_>> {
    let message = message.trim_start();
    let Some((user, rest)) = message.split_once(" : ") else { return pam(message) };
    let mut found = told("sudo_command", SWITCH, Status::Success).user(user);
    let mut rest = rest;
    // The command is last and may hold ` ; ` itself.
    if let Some((before, command)) = rest.split_once("COMMAND=") {
        found.extra.push(("command", command));
        rest = before;
    }
    for part in rest.split(" ; ") {
        match part.trim_end_matches(" ;").split_once('=') {
            Some(("TTY", tty)) => found.extra.push(("tty", tty)),
            Some(("PWD", folder)) => found.extra.push(("pwd", folder)),
            Some(("USER", user)) => found.extra.push(("run_as", user)),
            Some(_) => {}
            None if part.trim().is_empty() => {}
            None => {
                (found.event, found.status) = ("sudo_refused", Status::Failure);
                found.extra.push(("reason", part.trim()));
            }
        }
    }
    Some(found)
}

/// `(to root) alice on pts/1`, `FAILED SU (to root) alice on pts/1`, `Successful su for root by alice`.
pub(super) fn su(message: &str) -> Option<Told<'_>> {
    let (status, rest) = match message.strip_prefix("FAILED SU ") {
        Some(rest) => (Status::Failure, rest),
        None => (Status::Success, message),
    };
    if let Some((target, user)) = rest.strip_prefix("(to ").and_then(|rest| rest.split_once(") ")) {
        let (user, tty) = user.rsplit_once(" on ").unwrap_or((user, ""));
        let mut found = told(if status == Status::Failure { "su_failed" } else { "su" }, SWITCH, status).user(user);
        found.extra.extend([("run_as", target), ("tty", tty)]);
        return Some(found);
    }
    for (prefix, event, status) in
        [("Successful su for ", "su", Status::Success), ("FAILED su for ", "su_failed", Status::Failure)]
    {
        if let Some((target, user)) = message.strip_prefix(prefix).and_then(|rest| rest.split_once(" by ")) {
            let mut found = told(event, SWITCH, status).user(user);
            found.extra.push(("run_as", target));
            return Some(found);
        }
    }
    pam(message)
}

/// useradd, usermod, userdel, groupadd, passwd, systemd-logind.
pub(super) fn accounts(message: &str) -> Option<Told<'_>> {
    if let Some(rest) = message.strip_prefix("new user: name=") {
        let (user, rest) = rest.split_once(',').unwrap_or((rest, ""));
        let mut found = told("user_added", "Create", Status::Success).user(user);
        for part in rest.split(", ") {
            match part.trim().split_once('=') {
                Some(("UID", value)) => found.extra.push(("uid", value)),
                Some(("GID", value)) => found.extra.push(("gid", value)),
                Some(("home", value)) => found.extra.push(("home", value)),
                Some(("shell", value)) => found.extra.push(("shell", value)),
                Some(("from", value)) => found.extra.push(("tty", value)),
                _ => {}
            }
        }
        return Some(found);
    }
    if let Some(group) = message.strip_prefix("new group: name=") {
        let mut found = told("group_added", "Create", Status::Success);
        found.extra.push(("group", group.split(',').next().unwrap_or(group)));
        return Some(found);
    }
    if let Some(user) = message.strip_prefix("delete user ") {
        return Some(told("user_deleted", "Delete", Status::Success).user(user.trim_matches('\'')));
    }
    if let Some((user, group)) = message.strip_prefix("add '").and_then(|rest| rest.split_once("' to ")) {
        let mut found = told("group_member_added", "Update", Status::Success).user(user);
        let group = group.rsplit_once(' ').map_or(group, |(_, group)| group);
        found.extra.push(("group", group.trim_matches('\'')));
        return Some(found);
    }
    if let Some((_, user)) = message.strip_prefix("New session ").and_then(|rest| rest.split_once(" of user ")) {
        return Some(told("session_opened", LOGON, Status::Success).user(user.trim_end_matches('.')));
    }
    pam(message)
}
