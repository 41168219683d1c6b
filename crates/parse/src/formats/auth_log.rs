//! Syslog lines, above all those of auth.log: sshd, PAM, sudo, su, account tools. Lines of other programs
//! are read as far as their header goes.

use super::sshd::{self, Told};
use super::{Reader, Spec, access_log, auditd, refused, syslog};
use crate::{address, issue};
use compact_str::CompactString;
use event::{Class, Event, Format, Issue, LogSource, Map, Status, Value};

pub const SPEC: Spec = Spec {
    format: Format::AuthLog,
    about: "Syslog lines: RFC 3164 with or without priority, RFC 5424, and the ISO times of modern rsyslog; \
            one per line, or octet-counted (RFC 6587). sshd, PAM, sudo, su, useradd, usermod, passwd and \
            systemd-logind are read in full: native `event` says what happened (`failed_password`, \
            `accepted`, `invalid_user`, `sudo_command`, `user_added`, …), with `user`, `src_ip`, `src_port`, \
            `auth_method`; `message repeated N times` gives `repeat_count`. A year that is not told is taken \
            so that the time is at most a day after its receipt; a zone that is not told is UTC. Other programs' refused logons (postfix, dovecot, vsftpd, \
            mysqld, smbd, …) are recognised by their wording: `event` is `login_failed`.",
    log_source: "product `linux`, service `sshd`, `sudo`, `auth`, `cron`, … by program, else `syslog`; category `authentication` for a refused logon at another service than these",
    reader: Reader::Line { detect: syslog::looks_like, read },
    example: "Nov 20 10:00:00 bastion sshd[4242]: Failed password for invalid user admin from 198.51.100.7 port 50514 ssh2",
};

/// Most fields beside user, address and method that one message gives.
const EXTRA_MAX: usize = 16;

fn read(event: &mut Event, line: &str) -> Result<(), Issue> {
    let line = syslog::parse(line, event.received).ok_or_else(|| issue::bad_line("auth_log"))?;
    // nginx and Apache can log to syslog: the line inside is an access log's.
    if matches!(line.program, Some("nginx" | "apache2" | "apache" | "httpd")) && access_log::read_message(event, line.message) {
        event.ocsf.device_hostname = line.host.map(CompactString::from);
        return Ok(());
    }
    if auditd::read_message(event, line.program, line.message) {
        auditd::place(event, line.host, line.time);
        return Ok(());
    }
    match line.time {
        Some(time) => event.time = time,
        None => event.issues.push(issue::bad_time("")),
    }
    let (message, repeat_count) = repeated(line.message);
    let mut native = header(&line);
    if let Some(count) = repeat_count {
        native.push("repeat_count", count);
    }
    let program = line.program.unwrap_or_default();
    event.log_source = LogSource { product: "linux", category: "", service: service(program) };
    if let Some(told) = tell(program, message) {
        fill(event, &mut native, &told);
        // PAM's refusals of mail, FTP and other servers count with those that the servers tell themselves.
        let own = matches!(event.log_source.service, "sshd" | "sudo" | "auth" | "cron");
        if event.class == Class::Authentication && told.status == Status::Failure && !own {
            event.log_source.category = "authentication";
        }
    } else {
        refused::note(event, &mut native, message);
    }
    let ocsf = &mut event.ocsf;
    ocsf.message = Some(line.message.into());
    ocsf.device_hostname = line.host.map(CompactString::from);
    ocsf.process_name = line.program.map(CompactString::from);
    ocsf.product = ocsf.process_name.clone();
    ocsf.process_pid = line.pid;
    event.native = Value::Map(native);
    Ok(())
}

fn header(line: &syslog::Line<'_>) -> Map {
    let mut native = Map(Vec::with_capacity(16));
    native.push("message", line.message);
    for (name, text) in [("hostname", line.host), ("process", line.program), ("msgid", line.message_id)] {
        if let Some(text) = text {
            native.push(name, text);
        }
    }
    if let Some(pid) = line.pid {
        native.push("pid", pid);
    }
    if let Some(priority) = line.priority {
        let (facility, severity) = syslog::priority_names(priority);
        native.push("facility", facility);
        native.push("syslog_severity", severity);
    }
    if let Some(data) = line.structured_data {
        native.push("structured_data", syslog::structured_map(data));
    }
    native
}

/// `message repeated 3 times: [ text]`: the text and the count.
fn repeated(message: &str) -> (&str, Option<i64>) {
    let parts = message.strip_prefix("message repeated ").and_then(|rest| rest.split_once(" times: ["));
    let Some((count, text)) = parts else { return (message, None) };
    match (count.parse(), text.strip_suffix(']')) {
        (Ok(count), Some(text)) => (text.trim_start(), Some(count)),
        _ => (message, None),
    }
}

fn tell<'a>(program: &str, message: &'a str) -> Option<Told<'a>> {
    match program {
        name if name.starts_with("sshd") => sshd::sshd(message),
        "sudo" => sshd::sudo(message),
        "su" => sshd::su(message),
        "useradd" | "usermod" | "userdel" | "groupadd" | "adduser" | "gpasswd" | "passwd" | "chpasswd" | "systemd-logind" => {
            sshd::accounts(message)
        }
        _ => sshd::pam(message),
    }
}

/// Sigma's service of a program.
fn service(program: &str) -> &'static str {
    match program {
        name if name.starts_with("sshd") => "sshd",
        "sudo" => "sudo",
        "su" | "useradd" | "usermod" | "userdel" | "groupadd" | "groupdel" | "adduser" | "gpasswd" | "passwd"
        | "chpasswd" | "chage" | "login" | "systemd-logind" | "pkexec" | "polkitd" | "gdm-password" | "doas" => "auth",
        "CRON" | "cron" | "crond" | "crontab" | "anacron" => "cron",
        "auditd" | "audisp-syslog" => "auditd",
        "vsftpd" => "vsftpd",
        "clamd" | "freshclam" | "clamav" => "clamav",
        "guacd" => "guacamole",
        _ => "syslog",
    }
}

fn fill(event: &mut Event, native: &mut Map, told: &Told<'_>) {
    // Account changes have an OCSF class of their own that Erne does not model yet.
    event.class = match told.activity {
        "Create" | "Delete" | "Update" => Class::BaseEvent,
        _ => Class::Authentication,
    };
    event.ocsf.activity = Some(CompactString::const_new(told.activity));
    event.ocsf.status = told.status;
    native.push("event", told.event);
    if let Some(user) = told.user {
        event.ocsf.user_name = Some(user.into());
        native.push("user", user);
    }
    if let Some(address) = told.address {
        address::set_endpoint(&mut event.ocsf.src, address);
        native.push("src_ip", event.ocsf.src.ip.clone().unwrap_or_else(|| address.into()));
    }
    if let Some(port) = told.port {
        event.ocsf.src.port = Some(port);
        native.push("src_port", port);
    }
    if let Some(method) = told.method {
        native.push("auth_method", method);
    }
    for (name, value) in told.extra.iter().take(EXTRA_MAX) {
        native.push(*name, *value);
    }
}
