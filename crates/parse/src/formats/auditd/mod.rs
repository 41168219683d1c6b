//! Records of the Linux audit system, as auditd writes them to `audit.log`, as the kernel writes them where no
//! auditd runs, and as audisp or journald hand them to syslog.
//!
//! Each record stays an event of its own, because Sigma's rules for `service: auditd` say which record type
//! they mean. What one system call caused (`SYSCALL`, `EXECVE`, `CWD`, `PATH`, `SOCKADDR`, …) is brought
//! together by [`Joiner`]: the later records get who did it from the first.

mod fields;
mod join;
mod syscalls;

use super::{Reader, Spec, syslog};
use crate::{address, issue, time};
use compact_str::{CompactString, format_compact};
use event::{Class, Event, Format, Issue, LogSource, Map, Status, Timestamp, Value};
pub(crate) use join::Joiner;

pub const SPEC: Spec = Spec {
    format: Format::Auditd,
    about: "Records of the Linux audit system: `audit.log` (RAW and ENRICHED), the kernel's `audit: type=1300 …`, \
            and what audisp or journald send as syslog. Native fields have auditd's names (`type`, `exe`, `a0`, \
            `key`, `name`, `acct`, …), hex-encoded texts are decoded, `msg='…'` is opened, `SYSCALL` and `ARCH` \
            name the call also where the log has only numbers. Records of one event are joined within a batch: \
            `EXECVE`, `CWD`, `PATH`, `SOCKADDR` and `PROCTITLE` get `exe`, `comm`, `pid`, `auid`, `euid`, \
            `SYSCALL`, … of their `SYSCALL`; a relative `name` also has its absolute form. `EXECVE` has \
            `CommandLine` and `Image`, `SOCKADDR` `DestinationIp` and `DestinationPort`, a created `PATH` \
            `TargetFilename`, so that rules for those categories run too.",
    log_source: "product `linux`, service `auditd`; category `process_creation` (`EXECVE`), `network_connection` \
                 (`SOCKADDR` of a connect), `file_event` (`PATH` that was created)",
    reader: Reader::Line { detect, read },
    example: "type=SYSCALL msg=audit(1795168800.123:4242): arch=c000003e syscall=59 success=yes exit=0 a0=55d0 a1=55d8 \
              a2=55e0 a3=8 items=2 ppid=811 pid=812 auid=1000 uid=1000 gid=1000 euid=0 suid=0 fsuid=0 egid=0 sgid=0 \
              fsgid=0 tty=pts0 ses=3 comm=\"passwd\" exe=\"/usr/bin/passwd\" key=\"identity\"",
};

fn detect(line: &str) -> bool {
    line.starts_with("type=") || line.starts_with("node=") || line.starts_with("audit: type=")
}

fn read(event: &mut Event, line: &str) -> Result<(), Issue> {
    if read_message(event, None, line) {
        return Ok(());
    }
    // A source that is said to be auditd's may still put a syslog header before each record.
    let framed = syslog::parse(line, event.received).ok_or_else(|| issue::bad_line("auditd"))?;
    if !read_message(event, framed.program, framed.message) {
        return Err(issue::bad_line("auditd"));
    }
    place(event, framed.host, framed.time);
    Ok(())
}

/// What only the syslog header around a record says.
pub(super) fn place(event: &mut Event, host: Option<&str>, time: Option<Timestamp>) {
    if event.ocsf.device_hostname.is_none() {
        event.ocsf.device_hostname = host.map(CompactString::from);
    }
    if let Some(at) = event.issues.iter().position(|issue| issue.code == "bad_time")
        && let Some(time) = time
    {
        event.time = time;
        event.issues.remove(at);
    }
}

/// Reads a record that stands in a syslog message; `false` if it is none, and then nothing has changed.
pub(super) fn read_message(event: &mut Event, program: Option<&str>, message: &str) -> bool {
    let Some(record) = Record::parse(program, message) else { return false };
    let mut native = Map(Vec::with_capacity(40));
    native.push("type", record.kind.clone());
    if let Some(stamp) = record.stamp {
        native.push("msg", format_compact!("audit({stamp})"));
    }
    fields::read(&record.kind, record.body, &mut native);
    match record.stamp.and_then(|stamp| time::of_text(stamp.rsplit_once(':')?.0)) {
        Some(time) => event.time = time,
        None => event.issues.push(issue::bad_time(record.stamp.unwrap_or_default())),
    }
    event.format = Format::Auditd;
    event.log_source = LogSource { product: "linux", category: "", service: "auditd" };
    event.ocsf.device_hostname = record.node.map(CompactString::from);
    event.ocsf.message = Some(record.body.trim().replace(fields::ENRICHED_SEPARATOR, " ").into());
    event.native = Value::Map(native);
    complete(event, &record.kind);
    true
}

/// A record's outermost parts.
struct Record<'a> {
    node: Option<&'a str>,
    kind: CompactString,
    /// `SECONDS.MILLIS:SERIAL`, the same for all records of one event; journald leaves it out.
    stamp: Option<&'a str>,
    body: &'a str,
}

impl<'a> Record<'a> {
    fn parse(program: Option<&str>, message: &'a str) -> Option<Self> {
        let mut rest = message.trim_start();
        // The kernel may put seconds since boot and its own tag first.
        if let Some((_, after)) = rest.strip_prefix('[').and_then(|r| r.split_once("] ")) {
            rest = after.trim_start();
        }
        rest = rest.strip_prefix("audit: ").unwrap_or(rest);
        let mut node = None;
        if let Some((name, after)) = rest.strip_prefix("node=").and_then(|r| r.split_once(' ')) {
            (node, rest) = (Some(name), after);
        }
        let Some(after) = rest.strip_prefix("type=") else {
            return program.filter(|name| *name == "audit").and_then(|_| Self::of_journal(rest));
        };
        let (kind, rest) = after.split_once(' ')?;
        let rest = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
        let (stamp, body) = rest.split_once(')')?;
        let body = body.trim_start().strip_prefix(':').unwrap_or(body);
        Some(Self { node, kind: type_name(kind), stamp: Some(stamp), body })
    }

    /// `SYSCALL arch=…`, as journald passes records on.
    fn of_journal(text: &'a str) -> Option<Self> {
        let (kind, body) = text.split_once(' ')?;
        let named = kind.len() > 2 && kind.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        named.then(|| Self { node: None, kind: kind.into(), stamp: None, body })
    }
}

/// The name of a record type of which the kernel wrote the number (`linux/audit.h`, `libaudit.h`).
fn type_name(text: &str) -> CompactString {
    let bare = text.strip_prefix("UNKNOWN[").and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let Ok(number) = bare.parse::<u32>() else { return text.into() };
    const USER: &str = "USER_AUTH USER_ACCT USER_MGMT CRED_ACQ CRED_DISP USER_START USER_END USER_AVC USER_CHAUTHTOK USER_ERR \
        CRED_REFR USYS_CONFIG USER_LOGIN USER_LOGOUT ADD_USER DEL_USER ADD_GROUP DEL_GROUP DAC_CHECK CHGRP_ID TEST \
        TRUSTED_APP USER_SELINUX_ERR USER_CMD USER_TTY CHUSER_ID GRP_AUTH SYSTEM_BOOT SYSTEM_SHUTDOWN SYSTEM_RUNLEVEL \
        SERVICE_START SERVICE_STOP GRP_MGMT GRP_CHAUTHTOK MAC_CHECK ACCT_LOCK ACCT_UNLOCK";
    const KERNEL: &str = "SYSCALL FS_WATCH PATH IPC SOCKETCALL CONFIG_CHANGE SOCKADDR CWD - EXECVE - IPC_SET_PERM MQ_OPEN \
        MQ_SENDRECV MQ_NOTIFY MQ_GETSETATTR KERNEL_OTHER FD_PAIR OBJ_PID TTY EOE BPRM_FCAPS CAPSET MMAP NETFILTER_PKT \
        NETFILTER_CFG SECCOMP PROCTITLE FEATURE_CHANGE REPLACE KERN_MODULE FANOTIFY TIME_INJOFFSET TIME_ADJNTPVAL BPF \
        EVENT_LISTENER URINGOP OPENAT2 DM_CTRL DM_EVENT";
    let named = |first: u32, names: &'static str| {
        names.split_ascii_whitespace().nth(usize::try_from(number.checked_sub(first)?).ok()?).filter(|name| *name != "-")
    };
    let name = match number {
        1006 => Some("LOGIN"),
        1100..1200 => named(1100, USER),
        1200..1300 => named(1200, "DAEMON_START DAEMON_END DAEMON_ABORT DAEMON_CONFIG DAEMON_RECONFIG DAEMON_ROTATE DAEMON_RESUME"),
        1300..1400 => named(1300, KERNEL),
        1400..1500 => named(1400, "AVC SELINUX_ERR AVC_PATH MAC_POLICY_LOAD MAC_STATUS MAC_CONFIG_CHANGE"),
        1700..1800 => named(1700, "ANOM_PROMISCUOUS ANOM_ABEND ANOM_LINK ANOM_CREAT"),
        _ => None,
    };
    name.map_or_else(|| text.into(), CompactString::from)
}

/// Columns and log source from the fields.
fn complete(event: &mut Event, kind: &str) {
    let Value::Map(native) = &mut event.native else { return };
    let text = |native: &Map, name: &str| native.get(name).and_then(Value::as_str).filter(|t| is_told(t)).map(CompactString::from);
    name_call(native);
    let ocsf = &mut event.ocsf;
    ocsf.product = Some("auditd".into());
    ocsf.process_name = text(native, "comm").or_else(|| text(native, "exe").map(|exe| base_name(&exe).into()));
    ocsf.process_pid = native.get("pid").and_then(Value::as_i64);
    ocsf.status = status(native);
    // `acct` is who logs on, or whom the one who is logged on changes.
    let (subject, object) = if is_session(kind) { (text(native, "acct"), None) } else { (None, text(native, "acct")) };
    (ocsf.user_name, ocsf.user_uid) = (subject.or_else(|| user(native)), login_uid(native));
    ocsf.resource = object.or_else(|| text(native, "unit"));
    let host = || is_session(kind).then(|| text(native, "hostname")).flatten();
    if let Some(address) = text(native, "addr").or_else(host) {
        address::set_endpoint(&mut ocsf.src, &address);
    }
    let activity = match kind {
        "USER_AUTH" | "USER_LOGIN" | "USER_ERR" | "GRP_AUTH" => Some((Class::Authentication, "Logon")),
        "USER_LOGOUT" | "USER_END" => Some((Class::Authentication, "Logoff")),
        "EXECVE" => Some((Class::BaseEvent, "Launch")),
        "ADD_USER" | "ADD_GROUP" => Some((Class::BaseEvent, "Create")),
        "DEL_USER" | "DEL_GROUP" => Some((Class::BaseEvent, "Delete")),
        _ => None,
    };
    if let Some((class, activity)) = activity {
        event.class = class;
        event.ocsf.activity = Some(CompactString::const_new(activity));
    }
    match kind {
        "EXECVE" => fields::command_line(event),
        "SOCKADDR" => fields::socket_address(event),
        "PATH" => fields::path(event, None),
        _ => {}
    }
}

/// Whether a record is about somebody's session, not about the account.
fn is_session(kind: &str) -> bool {
    matches!(kind, "USER_AUTH" | "USER_ACCT" | "USER_LOGIN" | "USER_LOGOUT" | "USER_START" | "USER_END" | "USER_ERR")
        || kind.starts_with("CRED_")
        || kind.starts_with("ANOM_LOGIN")
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Values with which auditd says that there is none.
fn is_told(text: &str) -> bool {
    !matches!(text, "" | "?" | "(null)" | "(none)" | "(unknown)" | "unset")
}

/// Says the call and architecture by name, under the names that ENRICHED logs use.
fn name_call(native: &mut Map) {
    let text = |name: &str| native.get(name).and_then(Value::as_str);
    let Some(number) = text("syscall") else { return };
    let arch = text("arch").unwrap_or_default();
    let call = match number.bytes().all(|b| b.is_ascii_digit()) {
        true => syscalls::name(arch, number).map(CompactString::from),
        false => Some(number.into()),
    };
    let arch = syscalls::architecture(arch);
    for (name, value) in [("SYSCALL", call), ("ARCH", arch.map(CompactString::from))] {
        if let (Some(value), None) = (value, native.get(name)) {
            native.push(name, value);
        }
    }
}

fn status(native: &Map) -> Status {
    let text = ["success", "res"].iter().find_map(|name| native.get(name)?.as_str());
    match text.unwrap_or_default() {
        "yes" | "success" | "1" => Status::Success,
        "no" | "failed" | "0" => Status::Failure,
        _ => Status::Unknown,
    }
}

/// The user id of nobody: -1 in 32 bits.
const NO_UID: &str = "4294967295";

/// The uid that logged on, which `sudo` and `su` do not change; the process's where nobody did.
fn login_uid(native: &Map) -> Option<CompactString> {
    let told = |name: &str| native.get(name).and_then(Value::as_str).filter(|t| *t != NO_UID && *t != "-1" && is_told(t));
    told("auid").or_else(|| told("uid")).map(CompactString::from)
}

/// The name of that user, where the log has one.
fn user(native: &Map) -> Option<CompactString> {
    let told = |name: &str| native.get(name).and_then(Value::as_str).filter(|t| is_told(t));
    let nobody = |uid: Option<&str>| uid.is_none_or(|uid| uid == NO_UID || uid == "-1");
    let (names, uid) = if nobody(told("auid")) { ("UID", told("uid")) } else { ("AUID", told("auid")) };
    let name = told(names).map(CompactString::from);
    // Uid 0 is root on every system; other numbers have names of their own there.
    name.or_else(|| (uid == Some("0")).then(|| "root".into()))
}
