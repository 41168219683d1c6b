//! Operating system command injection.
//!
//! What it sees: shell grammar (a separator, substitution or redirection) with a known program behind it, and
//! whole command lines; `cmd.exe` and PowerShell too. Quotes, carets, backslashes and `$IFS` that only hide
//! letters are taken out first.
//! What it raises: `command_injection`.
//! Known false positives: texts about shells, command lines that an application takes on purpose.
//! CWE-78, ATT&CK T1059.

use super::{Analyser, Place, Seen, View, find, in_prose, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "cmdi", class: Class::CommandInjection, wants, look };

pub const WORDS: &[&str] = &[
    "/bin/", "/sbin/", "bash", "cmd", "powershell", "whoami", "wget", "curl", "nslookup", "ping", "netcat", "ncat", "uname", "ifconfig", "ipconfig", "systeminfo", "netstat", "sleep",
    "echo", "cat ", "/etc/", "$ifs", "${ifs", "$(", "/dev/tcp", "chmod", "python", "perl", "ruby", "telnet", "net user", "certutil", "bitsadmin", "mshta", "rundll", "regsvr", "wmic", "tasklist",
    "() {", "(){", "%comspec%", "iex", "invoke-", "downloadstring", "mkfifo", "crontab", "timeout", "dir ", "type ", "ls ", "id;", "nc ", "xterm", "busybox", "phpinfo", "$path", "${path", "$@", "/???",
];

/// Programs whose names are no common words: a separator before them is enough.
const PROGRAMS: &[&str] = &[
    "whoami", "uname", "wget", "curl", "nslookup", "ifconfig", "ipconfig", "systeminfo", "netstat", "bash", "chmod", "chown", "netcat", "ncat", "powershell", "pwsh", "certutil", "bitsadmin", "tasklist", "taskkill", "regsvr32",
    "rundll32", "mshta", "wmic", "telnet", "xterm", "printenv", "hostname", "phpinfo", "passwd", "useradd", "adduser", "iptables", "crontab", "traceroute", "tracert", "mkfifo", "busybox", "nmap", "dnsrecon", "sh", "ksh", "zsh", "dash", "csh", "ps",
    "ls", "id", "pwd", "nc", "cat", "echo", "ping", "sleep", "dir", "env", "rm", "cp", "mv", "cmd", "cmd.exe", "python", "python3", "python2", "perl", "ruby", "php", "lua", "node", "gcc", "awk", "gawk", "sed", "grep", "egrep", "xargs", "tftp", "ftp", "scp", "ssh", "socat", "mknod", "uptime", "lsof", "dig", "strings", "base64", "xxd", "printf", "sysctl", "reboot", "arp", "ver", "vol", "reg", "schtasks", "netsh", "timeout", "expr", "getent", "lsb_release", "tac", "nohup", "usleep", "mount", "df", "du", "lscpu", "w32tm", "icacls", "rem", "attrib", "cacls", "sc", "openssl",
];

/// Programs whose names are common words: they need an argument that only a command has.
const WORDS_TOO: &[&str] = &[
    "who", "w", "find", "sort", "more", "less", "head", "tail", "time", "date", "at", "type", "start", "help", "set", "net", "tree", "kill", "man", "top", "host", "last", "diff", "touch", "cut", "test", "read", "exec", "eval", "export", "alias",
    "copy", "move", "del", "print", "route", "finger", "shutdown", "init", "service", "make", "git", "tar", "zip", "unzip", "tee", "wc", "tr", "rev", "od", "nl", "split", "watch", "which", "whereis", "locate", "if", "for", "while", "history", "source", "sudo", "su", "call", "query", "vi", "vim", "nano", "system", "stat", "file", "look", "paste", "fold", "column", "erase", "path", "run", "join",
];

/// Programs among [`PROGRAMS`] that a word may follow in prose: `milk; cat food`.
const SOFT: &[&str] = &["cat", "node", "strings", "mount", "timeout", "ver", "vol", "reg", "sc", "dash", "php", "python", "ruby", "perl", "lua", "env", "id", "ps", "dig", "echo", "ping", "sleep", "curl", "bash"];

fn wants(view: &View<'_>) -> bool {
    if !view.place.is_value() {
        return false;
    }
    if view.says(word::COMMAND) && view.signs & !(sign::BORING) != 0 {
        return true;
    }
    !matches!(view.place, Place::Agent | Place::Header | Place::Referer)
        && view.signs & (sign::PIPE | sign::SEMICOLON | sign::BACKTICK | sign::DOLLAR | sign::NEWLINE) != 0
        || view.place == Place::Value && view.has(sign::AMPERSAND)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let mut best = lines(view.lower, view.place);
    if view.says(word::COMMAND) {
        best = stronger(best, in_prose(phrases(view.lower), view.lower));
    }
    if best.is_none_or(|b| b.score < 0.6)
        && let Some(plain) = unhidden(view.lower)
    {
        let hidden = stronger(lines(&plain, view.place), in_prose(phrases(&plain), &plain));
        best = stronger(best, hidden.map(|s| Seen { score: if s.score >= 0.5 { (s.score + 0.1).min(0.97) } else { s.score }, at: 0, ..s }));
    }
    // A cookie of all kinds of punctuation and no space is ciphered: commands in it are chance.
    let ciphered = view.place == Place::Cookie && view.raw.len() >= 64 && !view.has(sign::SPACE) && view.signs.count_ones() >= 18;
    if ciphered { best.map(|s| Seen { score: s.score * 0.5, ..s }) } else { best }
}

/// What marks a command line whatever stands around it.
fn phrases(text: &[u8]) -> Option<Seen> {
    let found = table(text, &[
        ("() {", 0.45, "a function in an environment variable"), ("() { :", 0.95, "a function in an environment variable"), ("(){ :", 0.95, "a function in an environment variable"), ("() {:", 0.95, "a function in an environment variable"), ("/dev/tcp/", 0.95, "a shell's network device"), ("/dev/udp/", 0.9, "a shell's network device"),
        ("/bin/sh", 0.8, "a shell"), ("/bin/bash", 0.8, "a shell"), ("/bin/cat", 0.8, "a program's path"), ("/bin/ls", 0.75, "a program's path"), ("/bin/id", 0.75, "a program's path"), ("/bin/nc", 0.75, "a program's path"), ("/bin/ping", 0.75, "a program's path"), ("/bin/uname", 0.8, "a program's path"), ("/bin/who", 0.75, "a program's path"), ("/usr/bin/", 0.6, "a program's path"), ("/sbin/", 0.5, "a program's path"), ("/bin/", 0.4, "a program's path"),
        ("cat /etc/", 0.9, "a file is shown"), ("cat /proc/", 0.9, "a file is shown"), ("type c:\\", 0.8, "a file is shown"), ("type %", 0.7, "a file is shown"), ("cmd /c", 0.85, "a shell"), ("cmd.exe", 0.75, "a shell"), ("cmd /k", 0.8, "a shell"), ("%comspec%", 0.85, "a shell"), ("powershell -", 0.9, "PowerShell"), ("powershell.exe", 0.85, "PowerShell"), ("powershell iex", 0.9, "PowerShell"), ("downloadstring(", 0.9, "PowerShell downloads"), ("downloadfile(", 0.9, "PowerShell downloads"), ("invoke-expression", 0.85, "PowerShell"), ("invoke-webrequest", 0.8, "PowerShell"), ("invoke-mimikatz", 0.95, "PowerShell"), ("-encodedcommand", 0.8, "PowerShell"),
        ("wget http", 0.85, "a download"), ("curl http", 0.85, "a download"), ("wget -", 0.7, "a download"), ("curl -", 0.65, "a download"), ("nc -e", 0.9, "a shell over the network"), ("nc -l", 0.8, "a shell over the network"), ("bash -i", 0.9, "a shell"), ("bash -c", 0.85, "a shell"), ("sh -i", 0.8, "a shell"), ("sh -c", 0.75, "a shell"), ("sh${ifs", 0.9, "a hidden space"), ("${ifs}", 0.88, "a hidden space"), ("$ifs", 0.8, "a hidden space"), ("chmod 777", 0.85, "rights are changed"), ("chmod +x", 0.85, "rights are changed"), ("rm -rf", 0.85, "files are deleted"), ("rm -f", 0.75, "files are deleted"),
        ("python -c", 0.9, "a program in an argument"), ("python3 -c", 0.9, "a program in an argument"), ("perl -e", 0.9, "a program in an argument"), ("perl -mio", 0.9, "a program in an argument"), ("php -r", 0.85, "a program in an argument"), ("ruby -r", 0.85, "a program in an argument"), ("ruby -e", 0.85, "a program in an argument"), ("net user", 0.7, "accounts are listed"), ("net localgroup", 0.8, "accounts are listed"), ("net view", 0.65, "the network is listed"), ("ping -n ", 0.8, "a ping"), ("ping -c ", 0.8, "a ping"), ("ping -i ", 0.75, "a ping"), ("uname -a", 0.8, "the system is listed"), ("ls -l", 0.65, "files are listed"), ("ls -a", 0.65, "files are listed"), ("ls /", 0.6, "files are listed"), ("ipconfig /all", 0.85, "the network is listed"), ("certutil -", 0.85, "a download"), ("bitsadmin /", 0.85, "a download"), ("mshta http", 0.85, "a download"), ("regsvr32 /", 0.85, "a download"), ("rundll32 ", 0.7, "a library runs"), ("wmic ", 0.6, "WMI"), ("/???/", 0.75, "a path of wildcards"), ("/?in/", 0.75, "a path of wildcards"), ("${path:", 0.85, "letters cut from a variable"), ("${home:", 0.85, "letters cut from a variable"), ("dir c:", 0.75, "files are listed"), ("mkfifo /", 0.9, "a pipe for a shell"), ("crontab -", 0.75, "scheduled programs"), ("telnet ", 0.35, "telnet"), ("2>&1", 0.7, "a redirection"), (">/dev/null", 0.75, "a redirection"), ("> /dev/null", 0.7, "a redirection"), (">&/dev", 0.8, "a redirection"), ("sleep ", 0.2, "a delay"), ("whoami", 0.45, "the account is asked for"), ("nslookup ", 0.5, "a name is resolved"), ("systeminfo", 0.4, "the system is listed"), ("ifconfig", 0.4, "the network is listed"),
    ])?;
    // ".NET users" is no `net user`.
    let product = found.at > 0 && text[found.at - 1] == b'.' && text[found.at..].starts_with(b"net ");
    if product { None } else { Some(found) }
}

/// How far around a backtick a text is looked at.
const SPAN_BYTES_MAX: usize = 160;

/// "use `ls -la` to list": code between backticks in a text, which stands apart from the words around it, of which there
/// are some.
fn is_code_span(text: &[u8], at: usize) -> bool {
    let apart = |b: Option<&u8>| b.is_none_or(|b| b.is_ascii_whitespace() || matches!(b, b'(' | b')' | b'.' | b',' | b';' | b':' | b'?' | b'!'));
    let Some(len) = memchr::memchr(b'`', &text[at + 1..text.len().min(at + 1 + SPAN_BYTES_MAX)]) else { return false };
    let close = at + 1 + len;
    let words = |part: &[u8]| part.split(|b| b.is_ascii_whitespace()).filter(|w| w.len() > 1 && w.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b',' | b'.'))).take(3).count();
    apart(at.checked_sub(1).and_then(|i| text.get(i))) && apart(text.get(close + 1)) && words(&text[at.saturating_sub(SPAN_BYTES_MAX)..at]) + words(&text[close + 1..text.len().min(close + 1 + SPAN_BYTES_MAX)]) >= 3
}

/// Looks behind every separator, and at the beginning.
fn lines(text: &[u8], place: Place) -> Option<Seen> {
    let mut best = None;
    if place != Place::Agent && place != Place::Path {
        best = command(text, 0, 0.0, Cut::Start);
    }
    // Texts of many lines are queries, traces and prose: a line of them is no command.
    let many_lines = memchr::memchr_iter(b'\n', text).nth(2).is_some();
    for (i, &b) in text.iter().enumerate() {
        let (cut, skip) = match b {
            b';' => (Cut::Separator, 1),
            b'|' if text.get(i + 1) == Some(&b'|') => (Cut::Separator, 2),
            b'|' => (Cut::Pipe, 1),
            b'&' if text.get(i + 1) == Some(&b'&') => (Cut::Separator, 2),
            b'&' => (Cut::Weak, 1),
            b'\n' if many_lines => continue,
            b'\n' => (Cut::Weak, 1),
            b'`' => (Cut::Substitution, 1),
            b'$' if text.get(i + 1) == Some(&b'(') => {
                if text.get(i + 2) == Some(&b'(') {
                    best = stronger(best, seen(0.5, "shell arithmetic", i));
                }
                (Cut::Substitution, 2)
            }
            b'<' | b'>' if text.get(i + 1) == Some(&b'(') => (Cut::Substitution, 2),
            b'{' if i == 0 || text[i - 1] == b';' || text[i - 1] == b'|' => (Cut::Brace, 1),
            _ => continue,
        };
        let found = command(text, i + skip, 0.0, cut).map(|s| Seen { at: i, ..s });
        let quoted = b == b'`' && found.is_some() && is_code_span(text, i);
        best = stronger(best, if quoted { found.map(|s| Seen { score: s.score * 0.4, ..s }) } else { found });
        if best.is_some_and(|b| b.score >= 0.9) {
            break;
        }
    }
    best
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Start,
    Separator,
    /// Also common in other texts.
    Weak,
    /// Also a list's separator.
    Pipe,
    Substitution,
    Brace,
}

/// A command at `from`: a program and something behind it that fits.
fn command(text: &[u8], from: usize, _bonus: f32, cut: Cut) -> Option<Seen> {
    let skip = text[from.min(text.len())..].iter().take(8).take_while(|b| matches!(b, b' ' | b'\t' | 0x0b | 0x0c | 0xa0 | b'(' | b'"' | b'\'' | b'\r' | b'\n' | b'@' | b'!' | b'{' | b'|' | b'&' | b';')).count();
    let start = from + skip;
    let rest = text.get(start..)?;
    let path_len = rest.iter().take(64).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'\\')).count();
    let word = &rest[..path_len];
    let name = word.rsplit(|b| matches!(b, b'/' | b'\\')).next().unwrap_or(word);
    let name = name.strip_suffix(b".exe").unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    let by_path = name.len() < word.len() && (find(word, "bin/").is_some() || find(word, "system32").is_some());
    let known = PROGRAMS.iter().any(|p| p.as_bytes() == name);
    let wordlike = !known && WORDS_TOO.iter().any(|p| p.as_bytes() == name);
    if !known && !wordlike && !by_path {
        return None;
    }
    let after = &rest[path_len..];
    let arguments = arguments(after);
    // Two letters stand behind a separator in random text as well.
    let brief = name.len() <= 2 && !by_path && arguments == Arguments::Cut && after.len() > 1 && !matches!(cut, Cut::Substitution);
    let worded = arguments == Arguments::Word && SOFT.iter().any(|s| s.as_bytes() == name) && !by_path && !matches!(cut, Cut::Substitution);
    let listed = cut == Cut::Pipe && (after.first() == Some(&b'|') || after.starts_with(b" |"));
    // Only what is near, so that a text of many separators costs no more.
    let near = &after[..after.len().min(64)];
    let words = near.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).take(3).take_while(|w| w.iter().all(u8::is_ascii_alphabetic)).count();
    // "limit | cat", "values | top 10", "bread & butter; dir en grey": words on both sides, with spaces, are a list.
    let spaced = from >= 3 && text.get(from) == Some(&b' ') && (text[from - 2] == b' ' && text[from - 3].is_ascii_alphabetic() || text[from - 2].is_ascii_alphabetic());
    let soft = wordlike || name == b"dir" || SOFT.iter().any(|s| s.as_bytes() == name);
    let first = near.split(u8::is_ascii_whitespace).find(|w| !w.is_empty()).unwrap_or_default();
    let number = wordlike && first.iter().all(u8::is_ascii_digit);
    let separates = matches!(cut, Cut::Pipe | Cut::Separator | Cut::Weak);
    let prose = spaced && separates && !by_path && (soft && (matches!(arguments, Arguments::None | Arguments::Word | Arguments::Cut) || number) || words >= 2);
    // `cat < $20`, `cat | house`
    let compared = matches!(first.first(), Some(b'<' | b'>')) && find(&after[..after.len().min(24)], "/").is_none();
    let priced = soft && (cut == Cut::Start && arguments == Arguments::Cut || compared && (spaced || cut == Cut::Start));
    if brief || listed || worded || prose || priced {
        return seen(0.45, "a program behind a separator of the shell", start);
    }
    let score = match (cut, known || by_path, arguments) {
        (_, _, Arguments::Unlike) => 0.1,
        (Cut::Start, true, Arguments::Typical) if after.trim_ascii_start().first().is_some_and(u8::is_ascii_digit) => 0.35,
        (Cut::Start, true, Arguments::Typical) => 0.7,
        (Cut::Start, true, Arguments::Cut) => 0.55,
        (Cut::Start, _, _) => 0.15,
        (Cut::Weak, true, Arguments::Typical) => 0.85,
        (Cut::Weak, true, Arguments::Cut) => 0.7,
        (Cut::Weak, true, Arguments::None) => if name.len() > 2 { 0.6 } else { 0.4 },
        (Cut::Weak, true, Arguments::Word) => 0.5,
        (Cut::Weak, false, Arguments::Typical) => 0.4,
        (Cut::Weak, false, _) => 0.2,
        (Cut::Substitution, true, Arguments::Word) => 0.85,
        (Cut::Substitution, true, _) => 0.92,
        (Cut::Substitution, false, Arguments::Typical) => 0.8,
        (Cut::Substitution, false, _) => 0.55,
        (Cut::Separator | Cut::Pipe | Cut::Brace, true, Arguments::Typical) => 0.92,
        (Cut::Separator | Cut::Pipe | Cut::Brace, true, Arguments::Word) => 0.65,
        (Cut::Separator | Cut::Pipe | Cut::Brace, true, _) => 0.72,
        (Cut::Separator | Cut::Pipe | Cut::Brace, false, Arguments::Typical) => 0.75,
        (Cut::Separator | Cut::Pipe | Cut::Brace, false, Arguments::Cut) => 0.5,
        (Cut::Separator | Cut::Pipe | Cut::Brace, false, _) => 0.35,
    };
    seen(score, "a program behind a separator of the shell", start)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arguments {
    None,
    /// An option, a path, a number, a variable, a URL.
    Typical,
    /// Another separator.
    Cut,
    Word,
    /// What no shell reads.
    Unlike,
}

fn arguments(after: &[u8]) -> Arguments {
    let skip = after.iter().take_while(|b| matches!(b, b' ' | b'\t' | 0x0b | 0x0c | 0xa0)).count();
    let trimmed = &after[skip..];
    let spaced = trimmed.len() < after.len();
    match trimmed.first() {
        None | Some(b'\r' | b'\n') => Arguments::None,
        // `cat</strong>`
        Some(b'<') if trimmed.starts_with(b"</") && trimmed[2..trimmed.len().min(14)].iter().find(|b| !b.is_ascii_alphanumeric()) == Some(&b'>') => Arguments::None,
        Some(b';' | b'|' | b'&' | b'`' | b')' | b'}' | b'#') => Arguments::Cut,
        Some(b'"' | b'\'') if trimmed.len() <= 4 => Arguments::Cut,
        Some(b'<' | b'>') => if spaced || after.len() > 4 && matches!(after[1], b'/' | b'>' | b' ' | b'&') { Arguments::Typical } else { Arguments::Cut },
        Some(b'$') if trimmed.len() > 1 => Arguments::Typical,
        Some(b',') if after.first() == Some(&b',') => if trimmed.len() > 1 && matches!(trimmed[1], b'-' | b'/') { Arguments::Typical } else { Arguments::Unlike },
        Some(b'-' | b'/' | b'\\' | b'~' | b'.' | b'*' | b'%' | b'0'..=b'9' | b'"' | b'\'' | b'+') if spaced => Arguments::Typical,
        Some(_) if spaced => {
            let word = &trimmed[..trimmed.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'&' | b';' | b'|' | b'<')).unwrap_or(trimmed.len().min(256))];
            if word.iter().any(|b| matches!(b, b'/' | b'\\' | b'.' | b'$' | b':')) { Arguments::Typical } else { Arguments::Word }
        }
        Some(_) => Arguments::Unlike,
    }
}

/// The text without what shells read over: empty quotes, backslashes and carets within words, `$@`, `$IFS`.
fn unhidden(text: &[u8]) -> Option<Vec<u8>> {
    let hides = memchr::memchr3_iter(b'\'', b'"', b'\\', text).any(|i| i > 0 && text[i - 1].is_ascii_alphanumeric() && text.get(i + 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == text[i]))
        || memchr::memchr2_iter(b'$', b'^', text).any(|i| matches!(text.get(i + 1), Some(b'@' | b'*' | b'i' | b'{' | b'a'..=b'z' | b'1'..=b'9')));
    if !hides {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        let rest = &text[i..];
        if rest.starts_with(b"${ifs}") {
            out.push(b' ');
            i += 6;
        } else if rest.starts_with(b"$ifs$") || rest.starts_with(b"$ifs") {
            out.push(b' ');
            i += 4;
        } else if rest.starts_with(b"$@") || rest.starts_with(b"$*") || rest.starts_with(b"$u ") || rest.starts_with(b"$9") {
            i += 2;
        } else if matches!(rest[0], b'\'' | b'"' | b'\\' | b'^') {
            i += 1;
        } else {
            out.push(rest[0]);
            i += 1;
        }
    }
    Some(out)
}
