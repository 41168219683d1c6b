//! Each detector on captures made here: what fires, with the right culprit, and the near miss that does not.

use crate::build;
use event::{Finding, Timestamp};
use net::Monitor;
use net::detect::{Detector, Settings};

const ATTACKER: [u8; 4] = [10, 0, 0, 66];
const VICTIM: [u8; 4] = [10, 0, 0, 5];
const OUTSIDE: [u8; 4] = [93, 184, 216, 34];

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH_ACK: u8 = 24;
const ACK: u8 = 16;

/// A capture in the making: frames with their times in microseconds.
#[derive(Default)]
struct Scene {
    frames: Vec<(i64, Vec<u8>)>,
}

impl Scene {
    fn add(&mut self, micros: i64, frame: Vec<u8>) {
        self.frames.push((1_700_000_000_000_000 + micros, frame));
    }

    /// A whole connection: handshake, what both say, and both ends' FIN.
    fn connection(&mut self, at: i64, src: ([u8; 4], u16), dst: ([u8; 4], u16), said: &[(bool, &[u8])], secs: i64) {
        let (mut seq, mut ack, mut time) = (1_000u32, 5_000u32, at);
        self.add(time, build::tcp(src.0, src.1, dst.0, dst.1, SYN, seq, 0, b""));
        self.add(time + 100, build::tcp(dst.0, dst.1, src.0, src.1, SYN | ACK, ack, seq + 1, b""));
        (seq, ack) = (seq + 1, ack + 1);
        self.add(time + 200, build::tcp(src.0, src.1, dst.0, dst.1, ACK, seq, ack, b""));
        for (from_source, bytes) in said {
            time += 300;
            for part in bytes.chunks(1_400) {
                if *from_source {
                    self.add(time, build::tcp(src.0, src.1, dst.0, dst.1, PSH_ACK, seq, ack, part));
                    seq = seq.wrapping_add(part.len() as u32);
                } else {
                    self.add(time, build::tcp(dst.0, dst.1, src.0, src.1, PSH_ACK, ack, seq, part));
                    ack = ack.wrapping_add(part.len() as u32);
                }
            }
        }
        let end = at + secs * 1_000_000 + 1_000;
        self.add(end, build::tcp(src.0, src.1, dst.0, dst.1, FIN | ACK, seq, ack, b""));
        self.add(end + 100, build::tcp(dst.0, dst.1, src.0, src.1, FIN | ACK, ack, seq + 1, b""));
    }

    fn findings(self) -> Vec<Finding> {
        self.findings_with(Settings::default())
    }

    fn findings_with(mut self, settings: Settings) -> Vec<Finding> {
        self.frames.sort_by_key(|(time, _)| *time);
        let (mut monitor, mut detector) = (Monitor::default(), Detector::new(settings));
        for (time, bytes) in &self.frames {
            monitor.frame(&build::frame(Timestamp(*time), bytes));
            monitor.records().for_each(|record| detector.observe(&record));
        }
        monitor.finish();
        monitor.records().for_each(|record| detector.observe(&record));
        let findings = detector.findings();
        assert!(detector.findings().is_empty(), "what was told and did not grow is not told again");
        findings
    }

    /// The rules and culprits of all findings.
    fn told(self) -> Vec<(String, String)> {
        self.told_with(Settings::default())
    }

    fn told_with(self, settings: Settings) -> Vec<(String, String)> {
        self.findings_with(settings).iter().map(|f| (f.rule.id.to_string(), f.entity.value.to_string())).collect()
    }
}

fn one(rule: &str, culprit: [u8; 4]) -> Vec<(String, String)> {
    vec![(rule.to_owned(), std::net::Ipv4Addr::from(culprit).to_string())]
}

#[test]
fn every_kind_of_scan_names_the_scanner() {
    for (way, bits, answer) in [("SYN", SYN, RST | ACK), ("FIN", FIN, RST | ACK), ("NULL", 0, RST | ACK), ("Xmas", 41, RST | ACK), ("ACK", ACK, RST), ("SYN", SYN, 0)] {
        let mut scene = Scene::default();
        for port in 1..=40u16 {
            scene.add(i64::from(port) * 1_000, build::tcp(ATTACKER, 40_000, VICTIM, port, bits, 7, 0, b""));
            if answer != 0 {
                scene.add(i64::from(port) * 1_000 + 50, build::tcp(VICTIM, port, ATTACKER, 40_000, answer, 0, 8, b""));
            }
        }
        let findings = scene.findings();
        assert_eq!(findings.len(), 1, "{way} answered by {answer}: {findings:#?}");
        assert_eq!((&*findings[0].rule.id, findings[0].entity.value.as_str()), ("net-port-scan", "10.0.0.66"), "{way}");
        assert!(findings[0].explanation.summary.contains(&format!("{way} scan")), "{way}: {}", findings[0].explanation.summary);
        assert_eq!(findings[0].event_count, 40);
        assert!(findings[0].rule.techniques.contains(&"T1046".to_owned()));
    }
}

#[test]
fn connect_scans_tell_open_ports() {
    let mut scene = Scene::default();
    for port in 1..=60u16 {
        let at = i64::from(port) * 2_000;
        if [22, 53].contains(&port) {
            scene.connection(at, (ATTACKER, 40_000 + port), (VICTIM, port), &[], 0);
        } else {
            scene.add(at, build::tcp(ATTACKER, 40_000 + port, VICTIM, port, SYN, 7, 0, b""));
            scene.add(at + 50, build::tcp(VICTIM, port, ATTACKER, 40_000 + port, RST | ACK, 0, 8, b""));
        }
    }
    let findings = scene.findings();
    assert_eq!(findings.len(), 1);
    let summary = &findings[0].explanation.summary;
    assert!(summary.contains("connect scan") && summary.contains("open: 22, 53"), "{summary}");
}

#[test]
fn a_slow_scan_is_one_scan() {
    let mut scene = Scene::default();
    for port in 1..=20u16 {
        scene.add(i64::from(port) * 300_000_000, build::tcp(ATTACKER, 40_000, VICTIM, port, SYN, 7, 0, b""));
    }
    let findings = scene.findings();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].explanation.summary.contains("slow SYN scan"), "{}", findings[0].explanation.summary);
}

#[test]
fn udp_scans_count_and_traceroutes_do_not() {
    let probes = |base: u16| {
        let mut scene = Scene::default();
        for i in 0..40u16 {
            scene.add(i64::from(i) * 1_000, build::udp(ATTACKER, 40_000, VICTIM, base + i, b"\0\0\0\0"));
        }
        scene.told()
    };
    assert_eq!(probes(100), one("net-port-scan", ATTACKER));
    assert_eq!(probes(33_440), []);
}

#[test]
fn sweeps_over_hosts_name_the_sweeper() {
    let (mut ports, mut pings) = (Scene::default(), Scene::default());
    for i in 1..=60u8 {
        let at = i64::from(i) * 1_000;
        ports.add(at, build::tcp(ATTACKER, 40_000, [10, 1, 0, i], 445, SYN, 7, 0, b""));
        pings.add(at, build::icmp(ATTACKER, [10, 1, 0, i], 8));
        if i % 3 == 0 {
            pings.add(at + 10, build::icmp([10, 1, 0, i], ATTACKER, 0));
        }
    }
    assert_eq!(ports.told(), one("net-port-sweep", ATTACKER));
    assert_eq!(pings.told(), one("net-ping-sweep", ATTACKER));
}

/// A capture that sees only one direction: the victim's answers accuse nobody but the one they answer.
#[test]
fn answers_alone_do_not_accuse_the_victim() {
    let mut scene = Scene::default();
    for port in 1..=40u16 {
        scene.add(i64::from(port) * 1_000, build::tcp(VICTIM, port, ATTACKER, 40_000, RST | ACK, 0, 8, b""));
    }
    assert!(scene.told().iter().all(|(_, culprit)| culprit != "10.0.0.5"));
}

fn ssh_connection(scene: &mut Scene, at: i64, port: u16, server_bytes: usize, secs: i64) {
    let reply = vec![0x55; server_bytes];
    scene.connection(at, (ATTACKER, port), (VICTIM, 22), &[(false, b"SSH-2.0-OpenSSH_9.2\r\n"), (true, b"SSH-2.0-libssh_0.9\r\n"), (true, &[0x44; 900]), (false, &reply)], secs);
}

#[test]
fn guessing_of_ssh_logins_is_told_and_use_is_not() {
    let mut guessing = Scene::default();
    (0..30).for_each(|i| ssh_connection(&mut guessing, i * 3_000_000, 40_000 + i as u16, 1_800, 2));
    assert!(guessing.told().contains(&one("net-login-guessing", ATTACKER)[0]));
    let mut working = Scene::default();
    (0..30).for_each(|i| ssh_connection(&mut working, i * 7_000_000 + (i * i % 11) * 1_000_000, 40_000 + i as u16, 40_000 + 1_000 * i as usize, 100));
    assert_eq!(working.told(), []);
    let mut few = Scene::default();
    (0..5).for_each(|i| ssh_connection(&mut few, i * 3_000_000, 40_000 + i as u16, 1_800, 2));
    assert_eq!(few.told(), []);
}

#[test]
fn refused_ftp_logins_and_their_passwords() {
    let mut scene = Scene::default();
    for i in 0..12u16 {
        scene.connection(i64::from(i) * 1_000_000, (ATTACKER, 41_000 + i), (VICTIM, 2121), &[(false, b"220 hello\r\n"), (true, b"USER root\r\n"), (false, b"331 and?\r\n"), (true, b"PASS secret\r\n"), (false, b"530 no\r\n")], 0);
    }
    let told = scene.told();
    assert_eq!(told, [one("net-clear-text-password", ATTACKER), one("net-login-failures", ATTACKER)].concat());
}

#[test]
fn floods_accuse_one_source_or_protect_the_victim() {
    let flood = |sources: u32| {
        let mut scene = Scene::default();
        for i in 0..2_000u32 {
            let source = [172, 16, (i % sources) as u8, 9];
            scene.add(i64::from(i) * 500, build::tcp(source, 1_024 + i as u16, VICTIM, 80, SYN, i, 0, b""));
        }
        scene.told()
    };
    assert_eq!(flood(1), one("net-syn-flood", [172, 16, 0, 9]));
    assert_eq!(flood(200), one("net-syn-flood", VICTIM));
}

#[test]
fn floods_of_datagrams_and_pings_and_calls_that_are_answered() {
    let flood = |answered: bool, ping: bool, packets: i64| {
        let mut scene = Scene::default();
        for i in 0..packets {
            let frame = if ping { build::icmp(ATTACKER, VICTIM, 8) } else { build::udp(ATTACKER, 4_000, VICTIM, 9_999, &[0; 200]) };
            scene.add(i * 200, frame);
            if answered {
                scene.add(i * 200 + 50, build::udp(VICTIM, 9_999, ATTACKER, 4_000, &[0; 20]));
            }
        }
        scene.told()
    };
    assert_eq!(flood(false, false, 20_000), one("net-udp-flood", ATTACKER));
    assert_eq!(flood(true, false, 20_000), []);
    assert_eq!(flood(false, false, 5_000), []);
    assert_eq!(flood(false, true, 8_000), one("net-icmp-flood", ATTACKER));
    assert_eq!(flood(false, true, 1_000), []);
    // A call of an hour that nobody answers: as many packets, but spread out.
    let mut scene = Scene::default();
    (0..36_000).for_each(|i| scene.add(i * 100_000, build::udp(ATTACKER, 4_000, VICTIM, 9_999, &[0; 200])));
    assert_eq!(scene.told(), []);
}

#[test]
fn what_only_scanners_send_needs_few_ports_and_trusted_scanners_none_at_all() {
    let scan = |bits: u8, ports: u16, settings: Settings| {
        let mut scene = Scene::default();
        for port in 1..=ports {
            scene.add(i64::from(port) * 1_000, build::tcp(ATTACKER, 40_000, VICTIM, port, bits, 7, 0, b""));
            scene.add(i64::from(port) * 1_000 + 50, build::tcp(VICTIM, port, ATTACKER, 40_000, RST | ACK, 0, 8, b""));
        }
        scene.told_with(settings)
    };
    assert_eq!(scan(0, 6, Settings::default()), one("net-port-scan", ATTACKER));
    assert_eq!(scan(FIN | ACK, 6, Settings::default()), one("net-port-scan", ATTACKER));
    assert_eq!(scan(SYN, 6, Settings::default()), []);
    let trusted = Settings::parse("trusted: [10.0.0.64/28]").unwrap();
    assert_eq!(scan(SYN, 60, trusted), []);
}

#[test]
fn sessions_of_administration_to_many_hosts_are_spread() {
    let meet = |hosts: u8, apart_secs: i64| {
        let mut scene = Scene::default();
        for i in 1..=hosts {
            scene.connection(i64::from(i) * apart_secs * 1_000_000, (ATTACKER, 40_000 + u16::from(i)), ([10, 0, 1, i], 5985), &[(true, b"POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), (false, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], 1);
        }
        scene.told()
    };
    assert_eq!(meet(12, 60), one("net-lateral-spread", ATTACKER));
    assert_eq!(meet(5, 60), []);
    assert_eq!(meet(12, 1_200), []);
}

#[test]
fn services_are_learned_before_they_are_told() {
    let serve = |at_secs: i64| {
        let mut scene = Scene::default();
        let said: &[(bool, &[u8])] = &[(true, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), (false, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")];
        scene.connection(0, (OUTSIDE, 50_000), (VICTIM, 80), said, 0);
        scene.connection(at_secs * 1_000_000, (OUTSIDE, 50_001), (VICTIM, 8081), said, 0);
        scene.connection(at_secs * 1_000_000 + 10, (OUTSIDE, 50_002), (VICTIM, 80), said, 0);
        scene.told()
    };
    assert_eq!(serve(90_000), one("net-new-external-service", VICTIM));
    assert_eq!(serve(3_000), []);
}

#[test]
fn an_hour_beyond_all_others_of_the_host_is_told() {
    let week = |last_mb: u32, usual_mb: u32| {
        let mut scene = Scene::default();
        for hour in 0..30i64 {
            let packets = if hour == 29 { last_mb } else { usual_mb } * 715;
            for i in 0..packets {
                scene.add(hour * 3_600_000_000 + (hour * hour % 7) * 450_000_000 + i64::from(i) * 20, build::tcp(VICTIM, 45_000, OUTSIDE, 443, PSH_ACK, i * 1_400, 9, &[0; 1_400]));
                if i % 10 == 0 {
                    // Answers enough that the ratio alone says nothing.
                    scene.add(hour * 3_600_000_000 + (hour * hour % 7) * 450_000_000 + i64::from(i) * 20 + 5, build::tcp(OUTSIDE, 443, VICTIM, 45_000, ACK, 9 + i * 140, i * 1_400, &[0; 1_400]));
                }
            }
        }
        scene.told()
    };
    assert_eq!(week(60, 1), one("net-exfiltration-unusual", VICTIM));
    assert_eq!(week(20, 1), []);
}

#[test]
fn listed_addresses_are_told_with_both_sides() {
    let settings = Settings::parse("bad_ips: [93.184.216.0/24]").unwrap();
    let mut scene = Scene::default();
    scene.connection(0, (VICTIM, 50_000), (OUTSIDE, 443), &[(true, b"hello")], 0);
    let findings = scene.findings_with(settings);
    assert_eq!((findings.len(), &*findings[0].rule.id, findings[0].entity.value.as_str()), (1, "net-known-bad", "93.184.216.34"));
    assert!(findings[0].explanation.summary.contains("10.0.0.5"));
}

fn visits(intervals: impl Iterator<Item = i64>, size: impl Fn(usize) -> usize) -> Vec<(String, String)> {
    let (mut scene, mut at) = (Scene::default(), 0);
    for (i, interval) in intervals.enumerate() {
        at += interval * 1_000_000;
        let request = format!("GET /a HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(size(i)));
        scene.connection(at, (ATTACKER, 42_000 + i as u16), (OUTSIDE, 80), &[(true, request.as_bytes()), (false, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")], 0);
    }
    scene.told()
}

#[test]
fn a_rhythm_with_jitter_is_a_beacon_and_browsing_is_not() {
    // Sixty seconds with a tenth of jitter, and one beat missed.
    let jittered = (0..40i64).map(|i| if i == 20 { 120 } else { 60 + (i * 7 % 13) - 6 });
    assert_eq!(visits(jittered, |i| 100 + i % 3), one("net-beacon", ATTACKER));
    let people = (0..60i64).map(|i| [1, 2, 1, 30, 3, 1, 200, 12, 2, 1, 75, 5][i as usize % 12] + i % 5);
    assert_eq!(visits(people, |i| 50 + (i * 37) % 400), []);
    assert_eq!(visits((0..6).map(|_| 60), |_| 100), []);
}

fn question(name: &str, kind: u16, id: u16, rcode: Option<u8>) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend(rcode.map_or([1, 0], |rcode| [0x81, 0x80 | rcode]));
    bytes.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, (kind >> 8) as u8, kind as u8, 0, 1]);
    bytes
}

fn asked(names: impl Iterator<Item = String>, kind: u16, rcode: u8) -> Vec<(String, String)> {
    let mut scene = Scene::default();
    for (i, name) in names.enumerate() {
        let at = i as i64 * 50_000;
        scene.add(at, build::udp(ATTACKER, 50_000, [10, 0, 0, 53], 53, &question(&name, kind, i as u16, None)));
        scene.add(at + 500, build::udp([10, 0, 0, 53], 53, ATTACKER, 50_000, &question(&name, kind, i as u16, Some(rcode))));
    }
    scene.told()
}

/// Digits and letters that follow from a number: no randomness in tests either.
fn scramble(seed: u64, len: usize, letters: &[u8]) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        letters[(state >> 20) as usize % letters.len()] as char
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn dns_tunnels_and_generated_names() {
    let letters = b"abcdefghijklmnopqrstuvwxyz234567";
    assert_eq!(asked((0..80).map(|i| format!("{}.t.example.com", scramble(i, 50, letters))), 16, 0), one("net-dns-tunnel", ATTACKER));
    assert_eq!(asked((0..40).map(|i| format!("{}.com", scramble(i, 14, b"bcdfghjklmnpqrstvwxz3a"))), 1, 3), one("net-dga", ATTACKER));
    let words = ["mail", "news", "shop", "img", "static", "login", "cdn", "api", "docs", "forum"];
    assert_eq!(asked((0..300).map(|i| format!("{}{}.example.com", words[i % 10], i % 40)), 1, 0), []);
    assert_eq!(asked((0..40).map(|i| format!("{}{}.org", words[i % 10], words[i / 10])), 1, 3), []);
}

#[test]
fn a_password_of_basic_authentication_is_told_without_the_password() {
    let mut scene = Scene::default();
    scene.connection(0, (ATTACKER, 43_000), (VICTIM, 8080), &[(true, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWxpY2U6aHVudGVyMg==\r\n\r\n"), (false, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")], 0);
    let findings = scene.findings();
    assert_eq!(findings.len(), 1);
    let json = serde_json::to_string(&findings).unwrap();
    assert!(json.contains("alice") && !json.contains("hunter2") && !json.contains("YWxpY2U6"), "{json}");
}

#[test]
fn long_connections_and_volumes_go_to_public_addresses() {
    let long = |dst: [u8; 4]| {
        let mut scene = Scene::default();
        for i in 0..100i64 {
            scene.add(i * 300_000_000, build::tcp(ATTACKER, 44_000, dst, 443, PSH_ACK, 100 + i as u32, 9, b"x"));
            scene.add(i * 300_000_000 + 10, build::tcp(dst, 443, ATTACKER, 44_000, ACK, 9, 101 + i as u32, b""));
        }
        scene.told()
    };
    assert_eq!(long(OUTSIDE), one("net-long-connection", ATTACKER));
    assert_eq!(long(VICTIM), []);
    let mut scene = Scene::default();
    for i in 0..75_000u32 {
        scene.add(i64::from(i) * 100, build::tcp(ATTACKER, 45_000, OUTSIDE, 443, PSH_ACK, i * 1_400, 9, &[0; 1_400]));
    }
    scene.add(10_000_000, build::tcp(OUTSIDE, 443, ATTACKER, 45_000, ACK, 9, 0, b""));
    assert_eq!(scene.told(), one("net-exfiltration-volume", ATTACKER));
}

/// An hour of a person: pages with many connections, one SSH session, names, a ping.
#[test]
fn plain_use_is_silent() {
    let mut scene = Scene::default();
    for page in 0..30i64 {
        let at = page * 97_000_000 + (page * page % 17) * 3_000_000;
        for i in 0..6i64 {
            let server = [151, 101, (page % 7) as u8, i as u8 + 1];
            let request = format!("GET /{page}/{i} HTTP/1.1\r\nHost: example.org\r\n\r\n");
            scene.connection(at + i * 20_000, (VICTIM, (30_000 + page * 6 + i) as u16), (server, 80), &[(true, request.as_bytes()), (false, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")], 3);
        }
        scene.add(at, build::udp(VICTIM, 50_000 + page as u16, [10, 0, 0, 53], 53, &question(&format!("www{page}.example.org"), 1, page as u16, None)));
        scene.add(at + 900, build::udp([10, 0, 0, 53], 53, VICTIM, 50_000 + page as u16, &question(&format!("www{page}.example.org"), 1, page as u16, Some(0))));
    }
    scene.add(5_000_000, build::icmp(VICTIM, OUTSIDE, 8));
    scene.add(5_010_000, build::icmp(OUTSIDE, VICTIM, 0));
    ssh_connection(&mut scene, 9_000_000, 61_000, 90_000, 1_200);
    assert_eq!(scene.told(), []);
}
