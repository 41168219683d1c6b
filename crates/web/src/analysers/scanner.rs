//! Scanners and attack tools, by what they call themselves and what they look for.
//!
//! What it sees: the user agents of known tools, and paths that only scanners ask for.
//! What it raises: `scanner`. Known false positives: one's own scans; general HTTP libraries are no finding.
//! CWE-200, ATT&CK T1595.002.

use super::{Analyser, Place, Seen, View, find, seen, table};
use crate::Class;
use crate::gate::word;

pub const ANALYSER: Analyser = Analyser { name: "scanner", class: Class::Scanner, wants, look };

/// What attack tools call themselves.
pub const TOOLS: &[&str] = &[
    "sqlmap", "nikto", "nessus", "nmap scripting", "masscan", "zgrab", "acunetix", "netsparker", "burpsuite", "burp suite", "dirbuster", "gobuster", "ffuf", "feroxbuster", "wfuzz", "wpscan", "nuclei", "arachni", "w3af", "openvas", "qualys", "havij",
    "zmeu", "morfeus", "jorgee", "paros", "webinspect", "appscan", "skipfish", "whatweb", "joomscan", "commix", "hydra", "medusa", "brutus", "fimap", "jaascois", "pangolin", "sqlninja", "absinthe", "owasp zap", "zaproxy", "vega/", "grabber", "bsqlbf", "dirsearch", "xsser", "cgichk", "grendel-scan", "n-stealth", "webshag", "libwww-perl/sql", "mysqloit", "sysscan", "toata dragostea", "detectify", "nettalk", "whisker", "metis", "springenwerk", "datacha0s", "internet ninja", "black widow", "prog.customcrawler", "core-project/", "gootkit", "hello, world", "l9explore", "censysinspect", "expanse, a palo", "jndi",
];

/// The paths below, which are looked for in one pass with all other words.
pub const WORDS: &[&str] = &["/.env", "/.git/", "/phpunit/", "/cgi-bin/luci", "/hnap1", "/boaform/", "/gponform/", "/w00tw00t", "/actuator/env", "/actuator/heapdump", "/wp-content/debug.log", "/server-status", "/manager/html", "/solr/admin", "/_ignition/execute-solution", "/c99.php", "/r57.php", "/shell.php", "/cmd.jsp", "/cmd.php", "/cmd.asp", "/id_rsa", "/etc/passwd"];

fn wants(view: &View<'_>) -> bool {
    view.says(word::SCANNER) && matches!(view.place, Place::Path | Place::Agent)
}

fn look(view: &View<'_>) -> Option<Seen> {
    if view.place == Place::Agent {
        return TOOLS.iter().find_map(|tool| find(view.lower, tool)).and_then(|at| seen(0.85, "the user agent of an attack tool", at));
    }
    table(view.lower, &[
        ("/.env", 0.75, "a path that scanners try"), ("/.git/", 0.85, "a path that scanners try"), ("/phpunit/", 0.75, "a path that scanners try"), ("eval-stdin.php", 0.95, "a path that scanners try"), ("/cgi-bin/luci", 0.75, "a path that scanners try"), ("/hnap1", 0.75, "a path that scanners try"), ("/boaform/", 0.8, "a path that scanners try"), ("/gponform/", 0.85, "a path that scanners try"), ("/w00tw00t", 0.93, "a path that scanners try"), ("/actuator/env", 0.7, "a path that scanners try"), ("/actuator/heapdump", 0.85, "a path that scanners try"), ("/wp-content/debug.log", 0.8, "a path that scanners try"), ("/server-status", 0.5, "a path that scanners try"), ("/manager/html", 0.55, "a path that scanners try"), ("/solr/admin", 0.6, "a path that scanners try"), ("/_ignition/execute-solution", 0.95, "a path that scanners try"), ("/c99.php", 0.85, "a web shell's name"), ("/r57.php", 0.85, "a web shell's name"), ("/shell.php", 0.75, "a web shell's name"), ("/cmd.jsp", 0.8, "a web shell's name"), ("/cmd.php", 0.75, "a web shell's name"), ("/cmd.asp", 0.75, "a web shell's name"), ("/id_rsa", 0.85, "a path that scanners try"), ("/etc/passwd", 0.93, "a path that scanners try"),
    ])
}
