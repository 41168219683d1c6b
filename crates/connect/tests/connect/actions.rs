//! Bans enforced for real: nftables in network namespaces of our own, Fail2Ban with its own socket and a harmless
//! action, a receiver of webhooks. Where namespaces are not permitted the test says so.

use connect::actions::{Action, ActionConfig, Change, End, Entry, Held, difference};
use event::Timestamp;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64)
}

fn entry(net: &str, secs: Option<i64>) -> Entry {
    Entry { net: net.parse().unwrap(), until: secs.map(|secs| now().plus_secs(secs)), reason: "a test".into() }
}

fn build(config: &Value, folder: &Path) -> Box<dyn Action> {
    let config: ActionConfig = serde_json::from_value(config.clone()).unwrap();
    config.check().unwrap();
    config.build(folder).unwrap()
}

/// What `engine` does at each look.
fn reconcile(action: &mut dyn Action, wanted: &[Entry]) -> Vec<String> {
    let held = action.held(now()).unwrap();
    let change = difference(&held, wanted, now());
    if !change.is_empty() {
        assert_eq!(action.apply(&change, now()).unwrap(), []);
    }
    nets(&action.held(now()).unwrap())
}

fn nets(held: &[Held]) -> Vec<String> {
    let mut nets: Vec<_> = held.iter().map(|held| held.net).collect();
    nets.sort();
    nets.iter().map(ToString::to_string).collect()
}

fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn run(program: &str, arguments: &str) -> bool {
    Command::new(program).args(arguments.split_whitespace()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A server with a firewall, and clients of it, each in a namespace, gone when this is dropped.
struct Network {
    server: String,
    clients: String,
    listener: Option<Child>,
}

impl Network {
    fn new() -> Option<Self> {
        let id = std::process::id();
        let network = Self { server: format!("erne-s{id}"), clients: format!("erne-c{id}"), listener: None };
        let Self { server, clients, .. } = &network;
        let made = run("ip", &format!("netns add {server}"))
            && run("ip", &format!("netns add {clients}"))
            && run("ip", &format!("link add v0 netns {server} type veth peer name v1 netns {clients}"))
            && run("ip", &format!("-n {server} addr add 192.0.2.100/24 dev v0"))
            && run("ip", &format!("-n {server} addr add 2001:db8::100/32 dev v0 nodad"))
            && ["192.0.2.1/24", "192.0.2.2/24", "192.0.2.77/24"].iter().all(|a| run("ip", &format!("-n {clients} addr add {a} dev v1")))
            && ["2001:db8:0:1::5/32", "2001:db8:0:2::5/32"].iter().all(|a| run("ip", &format!("-n {clients} addr add {a} dev v1 nodad")))
            && run("ip", &format!("-n {server} link set v0 up"))
            && run("ip", &format!("-n {clients} link set v1 up"))
            && run("ip", &format!("netns exec {server} nft list ruleset"));
        made.then_some(network)
    }

    fn listen(&mut self) {
        let program = "import socket\ns=socket.create_server(('::',9999),family=socket.AF_INET6,dualstack_ipv6=True)\nprint('ready',flush=True)\nwhile True: s.accept()[0].close()";
        let mut child = Command::new("ip").args(["netns", "exec", &self.server, "python3", "-c", program]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready");
        self.listener = Some(child);
    }

    /// Whether a connection from this address comes about.
    fn connects(&self, from: &str) -> bool {
        let to = if from.contains(':') { "2001:db8::100" } else { "192.0.2.100" };
        let program = format!("import socket\nsocket.create_connection(('{to}',9999),timeout=1,source_address=('{from}',0)).close()");
        Command::new("ip").args(["netns", "exec", &self.clients, "python3", "-c", &program]).stderr(Stdio::null()).status().unwrap().success()
    }

    fn nft(&self, arguments: &str) -> bool {
        run("ip", &format!("netns exec {} nft {arguments}", self.server))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(mut child) = self.listener.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        run("ip", &format!("netns del {}", self.server));
        run("ip", &format!("netns del {}", self.clients));
    }
}

#[test]
fn nftables_keeps_the_banned_out_and_nobody_else_and_mends_itself() {
    let Some(mut network) = Network::new() else {
        eprintln!("skipped: network namespaces with nftables are not permitted here");
        return;
    };
    network.listen();
    let folder = tempfile::tempdir().unwrap();
    let command = json!(["ip", "netns", "exec", network.server, "nft"]);
    let mut action = build(&json!({"type": "nftables", "name": "fw", "command": command}), folder.path());
    // Somebody else's table must survive all of it.
    assert!(network.nft("add table inet others"));
    until("the network", || network.connects("192.0.2.1") && network.connects("2001:db8:0:1::5"));
    // All of the network but one trusted address, as the sweep hands it over; and one /64.
    let around: Vec<Entry> = ["192.0.2.0/26", "192.0.2.64/29", "192.0.2.72/30", "192.0.2.76/32", "192.0.2.78/31"].iter().map(|net| entry(net, Some(600))).collect();
    let wanted = [around, vec![entry("2001:db8:0:1::/64", None)]].concat();
    let held = reconcile(action.as_mut(), &wanted);
    assert_eq!(held, ["192.0.2.0/26", "192.0.2.64/29", "192.0.2.72/30", "192.0.2.76/32", "192.0.2.78/31", "2001:db8:0:1::/64"]);
    assert!(!network.connects("192.0.2.1") && !network.connects("192.0.2.2"), "banned");
    assert!(network.connects("192.0.2.77"), "trusted");
    assert!(!network.connects("2001:db8:0:1::5") && network.connects("2001:db8:0:2::5"));
    assert!(difference(&action.held(now()).unwrap(), &wanted, now()).is_empty(), "the same again changes nothing");

    // Undone in part, another end, a wider network in place of what was there: one transaction.
    let wanted = [entry("192.0.2.1/32", Some(600)), entry("192.0.2.64/29", Some(3_600)), entry("198.51.100.0/24", Some(600))];
    assert_eq!(reconcile(action.as_mut(), &wanted), ["192.0.2.1/32", "192.0.2.64/29", "198.51.100.0/24"]);
    assert!(!network.connects("192.0.2.1") && network.connects("192.0.2.2") && network.connects("2001:db8:0:1::5"));

    // Who flushes the ruleset, or removes the rules only, is noticed.
    assert!(network.nft("flush ruleset"));
    assert!(network.connects("192.0.2.1"));
    assert_eq!(reconcile(action.as_mut(), &wanted).len(), 3);
    assert!(!network.connects("192.0.2.1"));
    assert!(network.nft("add table inet others") && network.nft("flush chain inet erne input"));
    assert!(network.connects("192.0.2.1"));
    assert_eq!(reconcile(action.as_mut(), &wanted).len(), 3);
    assert!(!network.connects("192.0.2.1"));
    assert!(network.nft("list table inet others"), "other tables are left alone");

    // The kernel ends a ban by itself; what is gone already does not spoil the next change.
    let mut ends = wanted.to_vec();
    ends[0].until = Some(now().plus_secs(2));
    assert_eq!(reconcile(action.as_mut(), &ends).len(), 3);
    until("the end of the ban", || network.connects("192.0.2.1"));
    let change = Change { remove: vec!["192.0.2.1/32".parse().unwrap(), "192.0.2.64/29".parse().unwrap()], add: vec![entry("203.0.113.0/24", None)] };
    assert_eq!(action.apply(&change, now()).unwrap(), []);
    assert_eq!(nets(&action.held(now()).unwrap()), ["198.51.100.0/24", "203.0.113.0/24"]);
    let kept = action.held(now()).unwrap().into_iter().find(|held| held.end == End::Never);
    assert_eq!(kept.unwrap().net.to_string(), "203.0.113.0/24");

    // As many as there may be.
    let many: Vec<Entry> = (0..5_000u32).map(|n| entry(&format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255).parse::<std::net::IpAddr>().map(|ip| format!("{ip}/32")).unwrap(), Some(600))).collect();
    let began = Instant::now();
    assert_eq!(reconcile(action.as_mut(), &many).len(), 5_000);
    eprintln!("5,000 networks: {:?}", began.elapsed());
    assert!(reconcile(action.as_mut(), &[]).is_empty());
}

#[test]
fn a_firewall_that_cannot_be_reached_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut action = build(&json!({"type": "nftables", "name": "fw", "command": ["/no/such/nft"]}), folder.path());
    assert!(action.held(now()).unwrap_err().to_string().contains("/no/such/nft cannot be run"));
    let mut action = build(&json!({"type": "nftables", "name": "fw", "command": ["sh", "-c", "echo Operation not permitted >&2; exit 1"]}), folder.path());
    assert!(action.held(now()).unwrap_err().to_string().contains("Operation not permitted"));
}

/// Fail2Ban's server with one jail, whose action writes into a file.
struct Fail2ban {
    child: Child,
    dir: tempfile::TempDir,
}

impl Fail2ban {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let write = |name: &str, text: String| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("fail2ban.conf", format!("[Definition]\nloglevel = INFO\nlogtarget = {at}/fail2ban.log\nsyslogsocket = auto\nsocket = {at}/sock\npidfile = {at}/pid\ndbfile = None\ndbpurgeage = 1d\nallowipv6 = yes\n"));
        write("jail.conf", format!("[erne]\nenabled = true\nfilter = none\nlogpath = {at}/watched\nbackend = polling\nbantime = 31536000\naction = note\n"));
        write("filter.d/none.conf", "[Definition]\nfailregex = ^nothing from <HOST>$\n".into());
        write("action.d/note.conf", format!("[Definition]\nactionban = echo \"<ip>\" >> {at}/banned\nactionunban = echo \"<ip>\" >> {at}/unbanned\n"));
        write("watched", String::new());
        let child = Command::new("fail2ban-server").arg("-c").arg(dir.path()).arg("-s").arg(dir.path().join("sock")).arg("-p").arg(dir.path().join("pid")).args(["-f", "start"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let server = Self { child, dir };
        until("Fail2Ban's start", || server.client(&["status", "erne"]));
        Some(server)
    }

    fn client(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("fail2ban-client");
        command.arg("-c").arg(self.dir.path()).arg("-s").arg(self.dir.path().join("sock")).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    fn lines(&self, name: &str) -> Vec<String> {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

impl Drop for Fail2ban {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

#[test]
fn fail2ban_bans_and_lets_in_what_it_is_told_and_keeps_its_own() {
    let Some(server) = Fail2ban::start() else {
        eprintln!("skipped: Fail2Ban is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"type": "fail2ban", "name": "f2b", "socket": server.dir.path().join("sock"), "command": ["fail2ban-client", "-c", server.dir.path()]});
    let mut action = build(&config, folder.path());
    assert!(server.client(&["set", "erne", "banip", "203.0.113.50"]), "its own ban");
    let wanted = [entry("192.0.2.1/32", Some(600)), entry("198.51.100.0/24", None), entry("2001:db8:0:1::/64", Some(600)), entry("203.0.113.50/32", Some(600))];
    let all = ["192.0.2.1/32", "198.51.100.0/24", "203.0.113.50/32", "2001:db8:0:1::/64"];
    assert_eq!(reconcile(action.as_mut(), &wanted), all);
    until("the action", || server.lines("banned").len() == 4);
    assert!(server.lines("banned").contains(&"198.51.100.0/24".to_owned()));
    // After a start the file tells what was ours.
    let mut action = build(&config, folder.path());
    assert!(server.client(&["set", "erne", "unbanip", "192.0.2.1"]), "somebody let it in");
    assert_eq!(reconcile(action.as_mut(), &wanted), all, "and it is banned again");
    assert_eq!(reconcile(action.as_mut(), &wanted[1..2]), ["198.51.100.0/24", "203.0.113.50/32"], "what Fail2Ban banned itself stays");
    assert!(!server.lines("unbanned").contains(&"203.0.113.50".to_owned()));
    // Its log, as `erne bans import --format fail2ban` reads it.
    let log = std::fs::read_to_string(server.dir.path().join("fail2ban.log")).unwrap();
    let said: Vec<String> = log.lines().filter_map(connect::actions::fail2ban_line).map(|l| format!("{} {} {}", l.jail, l.net, l.banned)).collect();
    assert!(said.contains(&"erne 198.51.100.0/24 true".to_owned()) && said.contains(&"erne 192.0.2.1/32 false".to_owned()), "{said:?}");
    drop(server);
    assert!(action.held(now()).is_err(), "a server that is away is an error, not an empty jail");
}

/// Answers each request with the next status, and gives what it got.
fn receiver(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let answer = |status: &u16| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut signature, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("x-erne-signature:") {
                    signature = value.trim().to_owned();
                }
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            (signature, String::from_utf8(body).unwrap())
        };
        statuses.iter().map(answer).collect()
    });
    (url, thread)
}

#[test]
fn a_webhook_is_told_signed_and_again_until_it_answers() {
    let (url, thread) = receiver(&[500, 204, 200]);
    let folder = tempfile::tempdir().unwrap();
    let secret = "0123456789abcdef";
    let config = json!({"type": "webhook", "name": "hook", "url": url, "secret": secret});
    let mut action = build(&config, folder.path());
    let wanted = [entry("192.0.2.1/32", Some(600)), entry("2001:db8::/64", None)];
    let change = difference(&action.held(now()).unwrap(), &wanted, now());
    assert!(action.apply(&change, now()).unwrap_err().to_string().contains("500"));
    assert!(action.held(now()).unwrap().is_empty(), "what was not answered was not delivered");
    assert_eq!(reconcile(action.as_mut(), &wanted), ["192.0.2.1/32", "2001:db8::/64"]);
    let mut action = build(&config, folder.path());
    let longer = [entry("192.0.2.1/32", Some(6_000))];
    assert_eq!(reconcile(action.as_mut(), &longer), ["192.0.2.1/32"]);
    let got = thread.join().unwrap();
    let bodies: Vec<Value> = got.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(bodies[1]["ban"].as_array().unwrap().len(), 2);
    assert_eq!((&bodies[2]["ban"][0]["cidr"], &bodies[2]["lift"]), (&json!("192.0.2.1/32"), &json!(["2001:db8::/64"])), "another end is told, not lifted");
    for (signature, body) in &got {
        let (time, hex) = signature.split_once(",v1=").unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{}.{body}", time.strip_prefix("t=").unwrap()).as_bytes());
        assert_eq!(mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>(), hex);
    }
}
