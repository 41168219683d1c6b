//! The `key=value` part of an audit record, and what is derived from it.

use super::is_told;
use compact_str::{CompactString, format_compact};
use event::{Event, Map, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most fields of one record. The kernel's longest `EXECVE` record has far fewer.
const FIELDS_MAX: usize = 1024;
/// Between the fields as the kernel wrote them and the names that auditd adds (`log_format = ENRICHED`).
pub(super) const ENRICHED_SEPARATOR: char = '\u{1d}';
/// The names that auditd adds. Some shippers drop the separator, so that `res=1AUID="bob"` is seen.
const ENRICHED: [&str; 20] = [
    "OAUID", "AUID", "FSUID", "SUID", "EUID", "OUID", "IUID", "UID", "FSGID", "SGID", "EGID", "OGID", "IGID", "GID", "ARCH",
    "SYSCALL", "SADDR", "ID", "NEW_GROUP", "OLD_AUID",
];

/// Reads `key=value` pairs into native fields.
pub(super) fn read(kind: &str, body: &str, native: &mut Map) {
    let mut rest = body;
    if let Some((decision, after)) = access_vector(rest) {
        native.push("avc", decision.0);
        native.push("permissions", decision.1);
        rest = after;
    }
    while native.len() < FIELDS_MAX {
        rest = rest.trim_start_matches([' ', '\t', ',', ENRICHED_SEPARATOR]);
        if rest.is_empty() {
            return;
        }
        let end = rest.find(['=', ' ', ENRICHED_SEPARATOR]).unwrap_or(rest.len());
        let key = &rest[..end];
        let Some(after) = rest[end..].strip_prefix('=') else {
            bare_word(native, key);
            rest = &rest[end..];
            continue;
        };
        rest = value(kind, key, after, native);
    }
}

/// Puts the value at the start of `text` into the map; gives what follows it.
fn value<'a>(kind: &str, key: &str, text: &'a str, native: &mut Map) -> &'a str {
    if let Some(inside) = text.strip_prefix('"') {
        let (quoted, after) = inside.split_once('"').unwrap_or((inside, ""));
        push(native, key, quoted.into());
        return after;
    }
    // What a program said: fields of its own, up to the last apostrophe, because they may hold some too.
    if let (Some(inside), true) = (text.strip_prefix('\''), key == "msg") {
        let (told, after) = inside.rsplit_once('\'').unwrap_or((inside, ""));
        read(kind, told, native);
        return after;
    }
    let end = text.find([' ', ENRICHED_SEPARATOR]).unwrap_or(text.len());
    let end = glued(&text[..end]).unwrap_or(end);
    let plain = text[..end].trim_end_matches(',');
    push(native, key, decoded(kind, key, plain).unwrap_or_else(|| plain.into()));
    &text[end..]
}

/// Where in `0OUID="root"` the value ends and the next name begins.
fn glued(token: &str) -> Option<usize> {
    let before = &token[..token.find('=')?];
    let name = ENRICHED.iter().find(|name| before.ends_with(**name))?;
    Some(before.len() - name.len())
}

/// `a1[0]`, `a1[1]`, … are pieces of one argument that was too long for a line.
fn push(native: &mut Map, key: &str, value: CompactString) {
    let Some((whole, _)) = key.split_once('[') else { return native.push(key, value) };
    match native.0.last_mut() {
        Some((last, Value::Text(text))) if last == whole => text.push_str(&value),
        _ => native.push(whole, value),
    }
}

/// Older tools write `op=adding user to group acct=…`: words without `=` belong to the operation.
fn bare_word(native: &mut Map, word: &str) {
    if let Some((last, Value::Text(text))) = native.0.last_mut()
        && last == "op"
    {
        text.push(' ');
        text.push_str(word);
    }
}

/// SELinux begins `avc:  denied  { read write } for  pid=…`.
fn access_vector(body: &str) -> Option<((&str, &str), &str)> {
    let rest = body.trim_start().strip_prefix("avc:")?.trim_start();
    let (decision, rest) = rest.split_once('{')?;
    let (permissions, rest) = rest.split_once('}')?;
    Some(((decision.trim(), permissions.trim()), rest.trim_start().strip_prefix("for ").unwrap_or(rest)))
}

/// Fields in which the kernel or a program writes text that it does not trust: in quotes where it is harmless,
/// in hexadecimal where it has blanks, quotes or control characters.
fn decoded(kind: &str, key: &str, text: &str) -> Option<CompactString> {
    const UNTRUSTED: [&str; 22] = [
        "acct", "cmd", "comm", "cwd", "data", "device", "dir", "exe", "file", "grp", "key", "name", "new_group", "ocomm",
        "path", "proctitle", "profile", "unit", "vm", "watch", "terminal", "ppid_comm",
    ];
    let argument = kind == "EXECVE" && key.starts_with('a') && key[1..].starts_with(|c: char| c.is_ascii_digit()) && !key.ends_with("_len");
    if !(argument || UNTRUSTED.contains(&key)) || text.len() < 2 {
        return None;
    }
    let mut bytes = unhex(text)?;
    for byte in &mut bytes {
        // Arguments end in NUL, several keys of one rule are kept apart by 1.
        if *byte <= 1 {
            *byte = b' ';
        }
    }
    let decoded = String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    Some(decoded.trim_end_matches(' ').into())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    if text.len() % 2 == 1 {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// `CommandLine` from the arguments, and the category of Sigma's process rules.
pub(super) fn command_line(event: &mut Event) {
    let Value::Map(native) = &mut event.native else { return };
    let mut line = CompactString::default();
    for (name, value) in native.iter() {
        let number = name.strip_prefix('a').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if let (true, Some(text)) = (number, value.as_str()) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(text);
        }
    }
    if line.is_empty() {
        return;
    }
    native.push("CommandLine", line.clone());
    event.ocsf.message = Some(line);
    event.log_source.category = "process_creation";
    image(event);
}

/// `Image`: the executable, or the first argument where that is a path and no `SYSCALL` record told better.
pub(super) fn image(event: &mut Event) {
    let Value::Map(native) = &mut event.native else { return };
    let text = |name: &str| native.get(name).and_then(Value::as_str).filter(|t| t.starts_with('/'));
    if let Some(image) = text("exe").or_else(|| text("a0")).map(CompactString::from) {
        native.0.retain(|(name, _)| name != "Image");
        native.push("Image", image);
    }
}

/// `saddr` of a socket call: the family in host order, then port and address in network order.
pub(super) fn socket_address(event: &mut Event) {
    let Value::Map(native) = &mut event.native else { return };
    let Some(bytes) = native.get("saddr").and_then(Value::as_str).and_then(unhex) else { return };
    let port = |b: &[u8]| i64::from(u16::from_be_bytes([b[0], b[1]]));
    let (family, address, port) = match bytes.as_slice() {
        [2, 0, rest @ ..] if rest.len() >= 6 => {
            let ip: [u8; 4] = rest[2..6].try_into().unwrap_or_default();
            ("inet", format_compact!("{}", Ipv4Addr::from(ip)), Some(port(rest)))
        }
        [10, 0, rest @ ..] if rest.len() >= 22 => {
            let ip: [u8; 16] = rest[6..22].try_into().unwrap_or_default();
            ("inet6", format_compact!("{}", Ipv6Addr::from(ip).to_canonical()), Some(port(rest)))
        }
        [1, 0, rest @ ..] => {
            let path = rest.split(|b| *b == 0).find(|part| !part.is_empty()).unwrap_or_default();
            ("local", String::from_utf8_lossy(path).as_ref().into(), None)
        }
        _ => return,
    };
    native.push("saddr_fam", family);
    let Some(port) = port else { return native.push("path", address) };
    native.push("laddr", address.clone());
    native.push("lport", port);
    (event.ocsf.dst.ip, event.ocsf.dst.port) = (Some(address), Some(port));
}

/// The category and fields of Sigma's network rules, where it was a `connect`.
pub(super) fn connection(event: &mut Event) {
    let (Some(ip), Some(port)) = (event.ocsf.dst.ip.clone(), event.ocsf.dst.port) else { return };
    let Value::Map(native) = &mut event.native else { return };
    if native.get("SYSCALL").and_then(Value::as_str) != Some("connect") {
        return;
    }
    native.push("DestinationIp", ip);
    native.push("DestinationPort", port);
    native.push("Initiated", "true");
    event.log_source.category = "network_connection";
    image(event);
}

/// The file of a `PATH` record as resource; a relative name also as the absolute one that it means.
pub(super) fn path(event: &mut Event, folder: Option<&str>) {
    let Value::Map(native) = &mut event.native else { return };
    let Some(name) = native.get("name").and_then(Value::as_str).filter(|t| is_told(t)).map(CompactString::from) else { return };
    let absolute = folder.filter(|folder| !name.starts_with('/') && folder.starts_with('/')).map(|folder| absolute(folder, &name));
    if let (Some(absolute), Some((_, value))) = (&absolute, native.0.iter_mut().find(|(key, _)| key == "name")) {
        *value = Value::List(vec![name.clone().into(), absolute.clone().into()]);
    }
    let whole = absolute.unwrap_or(name);
    let activity = match native.get("nametype").and_then(Value::as_str) {
        Some("CREATE") => Some("Create"),
        Some("DELETE") => Some("Delete"),
        _ => None,
    };
    if activity == Some("Create") {
        native.0.retain(|(key, _)| key != "TargetFilename");
        native.push("TargetFilename", whole.clone());
        event.log_source.category = "file_event";
        image(event);
    }
    event.ocsf.activity = activity.map(CompactString::const_new);
    event.ocsf.resource = Some(whole);
}

/// A relative name in its folder, `.` and `..` resolved as far as text can tell.
fn absolute(folder: &str, name: &str) -> CompactString {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut whole = CompactString::default();
    for part in parts {
        whole.push('/');
        whole.push_str(part);
    }
    if whole.is_empty() { "/".into() } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(kind: &str, body: &str) -> String {
        let mut native = Map::default();
        read(kind, body, &mut native);
        native.iter().map(|(k, v)| format!("{k}={} ", v.text().unwrap_or_default())).collect()
    }

    #[test]
    fn values_in_all_their_shapes() {
        assert_eq!(fields("PATH", "item=0 name=2F746D702F61206220 nametype=CREATE"), "item=0 name=/tmp/a b nametype=CREATE ");
        assert_eq!(fields("PATH", "cap=0OUID=\"root\" OGID=\"root\""), "cap=0 OUID=root OGID=root ");
        assert_eq!(fields("SYSCALL", "a0=61626364 key=(null)\u{1d}UID=\"bob\""), "a0=61626364 key=(null) UID=bob ");
        assert_eq!(fields("EXECVE", "argc=2 a0=\"sh\" a1_len=6 a1[0]=6162 a1[1]=63"), "argc=2 a0=sh a1_len=6 a1=abc ");
        assert_eq!(
            fields("USER_LOGIN", "pid=1 msg='op=login acct=28756E6B6E6F776E207573657229 exe=\"/x\" addr=192.0.2.1 res=failed'"),
            "pid=1 op=login acct=(unknown user) exe=/x addr=192.0.2.1 res=failed "
        );
        assert_eq!(fields("USER_MGMT", "msg='op=adding user to group acct=\"eve\" res=success'\u{1d}UID=\"root\""), "op=adding user to group acct=eve res=success UID=root ");
        assert_eq!(fields("AVC", "avc:  denied  { read } for  pid=7 comm=\"x\""), "avc=denied permissions=read pid=7 comm=x ");
        assert_eq!(fields("SYSCALL", "= \"x\" a=\"unclosed"), "= a=unclosed ");
    }

    #[test]
    fn names_are_taken_from_their_folder() {
        assert_eq!(absolute("/etc", "shadow"), "/etc/shadow");
        assert_eq!(absolute("/var/www/", "../../etc/./passwd"), "/etc/passwd");
        assert_eq!(absolute("/", "../.."), "/");
    }
}
