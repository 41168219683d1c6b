//! Path traversal and inclusion of local files.
//!
//! What it sees: climbing (`../`, `..\`, `..;/`, `....//`, also behind the encodings that decoding undoes), and
//! files that no visitor has to name (`/etc/passwd`, `win.ini`, `.git/config`, `web.xml`).
//! What it raises: `traversal`. One step up in a value is a hint, two are an attack.
//! Known false positives: relative addresses of two steps in parameters.
//! CWE-22, ATT&CK T1083.

use super::{in_prose, Analyser, Place, Seen, View, find, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "traversal", class: Class::Traversal, wants, look };

pub const WORDS: &[&str] = &[
    "..", "/etc/", "\\etc\\", "etc/passwd", "/proc/", "win.ini", "boot.ini", "system32", "/windows", "\\windows", "winnt", "/var/", "web-inf", "meta-inf", "web.xml", "web.config", ".htaccess", ".htpasswd", ".git/", ".svn/", ".env", ".ssh", "id_rsa", ".bash_history", "wp-config", "file:/", "shadow", "passwd", "c:\\", "c:/", "/root/", "/home/", ".aws", "/boot", "/usr/", "/opt/", "/inetpub", "php.ini", "my.cnf", "httpd.conf", "access.log", "access_log", "error_log", "error.log", "global.asa", "autoexec", "sam._", "ntuser", "drivers/etc", "drivers\\etc", ".ds_store", ".npmrc", ".dockerenv", "/sys/", "/dev/", "\\\\", "desktop.ini", "localstart.asp", "/apache", "/logs/", "/log/", ".mysql_history",
];

fn wants(view: &View<'_>) -> bool {
    view.place.is_value() && (view.says(word::FILE) || view.has(sign::NUL))
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = files(text, view.place);
    if view.has(sign::SLASH | sign::BACKSLASH | sign::DOT) {
        best = stronger(best, climbing(text, view.place));
    }
    if view.has(sign::NUL)
        && view.place != Place::Binary
        && let Some(at) = memchr::memchr(0, text)
        && text[at + 1..].starts_with(b".")
    {
        best = stronger(best, seen(0.75, "a NUL before a file's ending", at));
    }
    best
}

/// Counts steps up; nonstandard ones weigh more.
fn climbing(text: &[u8], place: Place) -> Option<Seen> {
    let (mut steps, mut odd, mut first, mut i) = (0u32, false, 0, 0);
    while let Some(n) = find(&text[i..], "..") {
        let at = i + n;
        let mut j = at + text[at..].iter().take_while(|b| **b == b'.').count();
        let dots = j - at;
        let before = at.checked_sub(1).map(|k| text[k]);
        while matches!(text.get(j), Some(b';' | 0 | b'?' | 0x80..)) && j < at + 8 {
            j += 1;
        }
        let slashed = matches!(text.get(j), Some(b'/' | b'\\')) || text[j..].starts_with(b"2f..") || text[j..].starts_with(b"5c..") || text[j..].starts_with(b"2fetc") || text[j..].starts_with(b"0x2f") || text[j..].starts_with(b"0x5c") || text[j..].starts_with(b"%2f") || text[j..].starts_with(b"%5c") || text[j..].starts_with(b"%c0") || text[j..].starts_with(b"%25");
        let opens = before.is_none_or(|b| !b.is_ascii_alphanumeric() && b != b'-' && b != b'_') || dots > 2;
        let closes_path = text.get(j).is_none() && matches!(before, Some(b'/' | b'\\'));
        let garbled = j > at + dots && text[j..].starts_with(b"..") || text[j..].starts_with(b"0x2e");
        if (slashed || garbled) && opens || closes_path {
            if steps == 0 {
                first = at;
            }
            steps += 1;
            odd |= dots > 2 || text.get(at + dots) != Some(&b'/') || text[j..].starts_with(b"//");
        }
        i = j.max(at + 2);
        if i >= text.len() {
            break;
        }
    }
    // `0x2e0x2e0x2f`, and dots in place of a path.
    let spelled = memchr::memmem::find_iter(text, b"0x2e0x2e").count();
    if spelled > 0 {
        return seen(0.6 + 0.1 * spelled.min(3) as f32, "steps up the path, spelled", 0);
    }
    if let Some(at) = find(text, "/......") {
        return seen(0.6, "dots in place of a path", at);
    }
    let score = match (steps, odd) {
        (0, _) => return None,
        (1, false) => if place == Place::Path { 0.45 } else { 0.4 },
        (1, true) => 0.5,
        (2, false) => if place == Place::Referer { 0.4 } else { 0.65 },
        (2, true) => 0.75,
        _ => 0.92,
    };
    seen(score, "steps up the path", first)
}

fn files(text: &[u8], place: Place) -> Option<Seen> {
    let found = table(text, &[
        ("etc/passwd", 0.93, "a system file"), ("etc\\passwd", 0.93, "a system file"), ("etc/shadow", 0.93, "a system file"), ("etc/group", 0.85, "a system file"), ("etc/hosts", 0.85, "a system file"), ("etc/issue", 0.85, "a system file"), ("etc/motd", 0.85, "a system file"), ("etc/fstab", 0.85, "a system file"), ("etc/crontab", 0.85, "a system file"), ("/etc/apache", 0.85, "a system file"), ("/etc/httpd", 0.85, "a system file"), ("/etc/nginx", 0.85, "a system file"), ("/etc/mysql", 0.85, "a system file"), ("/etc/ssh", 0.85, "a system file"), ("/etc/php", 0.85, "a system file"), ("/etc/init", 0.8, "a system file"), ("/etc/", 0.6, "a system folder"), ("drivers/etc", 0.85, "a system file"), ("drivers\\etc", 0.85, "a system file"),
        ("proc/self", 0.92, "a process's file"), ("/proc/version", 0.88, "a process's file"), ("/proc/cpuinfo", 0.88, "a process's file"), ("/proc/", 0.5, "a process's file"), ("win.ini", 0.9, "a system file"), ("boot.ini", 0.92, "a system file"), ("system32", 0.75, "a system folder"), ("winnt/", 0.8, "a system folder"), ("winnt\\", 0.8, "a system folder"), ("windows/system", 0.8, "a system folder"), ("\\windows\\", 0.75, "a system folder"), ("c:\\", 0.5, "a drive"), ("c:/", 0.5, "a drive"), ("autoexec.bat", 0.8, "a system file"), ("ntuser.dat", 0.85, "a system file"),
        ("/var/log/", 0.82, "a log file"), ("/var/www/", 0.65, "a server's folder"), ("/var/lib/", 0.7, "a server's folder"), ("/var/run/", 0.75, "a server's folder"), ("/var/mail", 0.75, "a server's folder"), ("/var/adm", 0.8, "a server's folder"), ("/var/apache", 0.8, "a server's folder"), ("/usr/local/", 0.6, "a server's folder"), ("/usr/lib/", 0.55, "a server's folder"), ("/opt/lampp", 0.85, "a server's folder"), ("inetpub", 0.65, "a server's folder"), ("xampp", 0.6, "a server's folder"), ("httpd.conf", 0.85, "a server's settings"), ("logs/access_log", 0.8, "a log file"), ("logs/error_log", 0.8, "a log file"), ("log/error", 0.75, "a log file"), ("log/access", 0.75, "a log file"), ("php.ini", 0.82, "a server's settings"), ("my.cnf", 0.85, "a server's settings"), ("my.ini", 0.5, "a server's settings"), ("access_log", 0.45, "a log file"), ("access.log", 0.55, "a log file"), ("error_log", 0.45, "a log file"), ("error.log", 0.5, "a log file"), (".mysql_history", 0.9, "a history"),
        ("web-inf/", 0.88, "an application's inside"), ("meta-inf/", 0.7, "an application's inside"), ("web.xml", 0.65, "an application's settings"), ("web.config", 0.75, "an application's settings"), ("global.asa", 0.75, "an application's settings"), (".htaccess", 0.82, "a server's settings"), (".htpasswd", 0.88, "a server's passwords"), ("/.git/", 0.85, "a repository"), (".git/config", 0.88, "a repository"), (".git/head", 0.88, "a repository"), ("/.svn/", 0.85, "a repository"), ("/.hg/", 0.75, "a repository"), ("/.env", 0.75, "an application's secrets"), (".ssh/", 0.85, "a key"), ("id_rsa", 0.85, "a key"), (".aws/", 0.85, "a key"), (".bash_history", 0.9, "a history"), (".bashrc", 0.75, "a user's settings"), ("wp-config.", 0.75, "an application's settings"), (".ds_store", 0.6, "a folder's list"), (".npmrc", 0.75, "an application's secrets"), ("file:///", 0.75, "a file's address"), ("file://", 0.6, "a file's address"), ("file:/", 0.5, "a file's address"), ("/root/", 0.55, "the administrator's folder"), ("/dev/", 0.3, "a device"), ("passwd", 0.25, "a password file"),
    ])?;
    // A file's address, home and folder names are common in pages' own addresses.
    let whole = found.score * if matches!(place, Place::Referer | Place::Agent) && found.score < 0.8 { 0.6 } else { 1.0 };
    // `/etc/` within a web address is a folder of that site.
    let inside_url = found.score < 0.7 && (find(text, "http").is_some() || place == Place::Path);
    in_prose(seen(if inside_url { whole * 0.6 } else { whole }, found.why, found.at), text)
}
