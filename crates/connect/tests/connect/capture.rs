//! Filters against tcpdump's own, and capture of interfaces in a network namespace of this test's own.

use connect::capture::file::FileCapture;
use connect::capture::{self, Capture, CaptureError, Filter, FilterError, Link, Options};
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

/// One frame of each kind that a filter may ask for.
fn frames() -> Vec<Vec<u8>> {
    let ether = |kind: u16, rest: &[u8]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), rest].concat();
    let v4 = |src: [u8; 4], dst: [u8; 4], protocol: u8, fragment: u16, options: usize, body: &[u8]| {
        let header_len = 20 + options;
        let mut ip = vec![0x40 | (header_len / 4) as u8, 0];
        ip.extend(((header_len + body.len()) as u16).to_be_bytes());
        ip.extend([0, 1]);
        ip.extend(fragment.to_be_bytes());
        ip.extend([64, protocol, 0, 0]);
        ip.extend(src);
        ip.extend(dst);
        ip.extend(vec![1; options]);
        ip.extend(body);
        ether(0x0800, &ip)
    };
    let v6 = |src: u8, protocol: u8, body: &[u8]| {
        let mut ip = vec![0x60, 0, 0, 0, 0, body.len() as u8, protocol, 64, 0x20, 1, 0xd, 0xb8];
        ip.extend([0; 11]);
        ip.extend([src, 0x20, 1, 0xd, 0xb8]);
        ip.extend([0; 11]);
        ip.push(9);
        ip.extend(body);
        ether(0x86dd, &ip)
    };
    let ports = |src: u16, dst: u16| [&src.to_be_bytes()[..], &dst.to_be_bytes(), &[0; 16]].concat();
    let (a, b) = ([10, 0, 0, 1], [192, 168, 5, 2]);
    vec![
        v4(a, b, 6, 0x4000, 0, &ports(40_000, 80)),
        v4(b, a, 6, 0, 0, &ports(80, 40_000)),
        v4(a, b, 6, 0, 8, &ports(40_000, 443)),
        v4(a, b, 17, 0, 0, &ports(5_353, 53)),
        v4(a, b, 17, 0x00b9, 0, &ports(53, 53)),
        v4(a, b, 132, 0, 0, &ports(80, 80)),
        v4(a, [10, 9, 8, 7], 1, 0, 0, &[8, 0, 0, 0, 0, 1, 0, 1]),
        v6(1, 6, &ports(40_000, 22)),
        v6(2, 17, &ports(53, 1_024)),
        v6(2, 58, &[128, 0, 0, 0, 0, 1, 0, 1]),
        ether(0x0806, &[0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]),
        ether(0x88cc, &[0; 46]),
        vec![0; 10],
    ]
}

/// What passes, by number; the file's twin of a live capture does the work.
fn passing(text: &str) -> Vec<usize> {
    let filter = Filter::compile(text, Link::ETHERNET, 65_535).unwrap_or_else(|e| panic!("{text}: {e}"));
    frames().iter().enumerate().filter(|(_, frame)| filter.run(frame) > 0).map(|(i, _)| i).collect()
}

const FILTERS: [&str; 22] = [
    "ip", "ip6", "arp", "tcp", "udp", "sctp", "icmp", "icmp6", "port 80", "tcp port 80", "udp src port 53", "dst port 53", "portrange 50-100", "tcp dst portrange 1-1023",
    "src host 10.0.0.1 and tcp", "net 192.168.0.0/16 and not arp and ip", "src net 10.0.0.0/8 and (icmp or udp)", "ip6 and host 2001:db8::1", "ip6 and net 2001:db8::/33",
    "not (tcp or udp)", "tcp and not port 443", "! udp && ! arp",
];

#[test]
fn filters_choose_what_their_words_say() {
    assert_eq!(passing(""), (0..13).collect::<Vec<_>>());
    assert_eq!(passing("port 80"), [0, 1, 5]);
    assert_eq!(passing("tcp dst port 443 or udp src port 53"), [2, 8]);
    assert_eq!(passing("src host 10.0.0.1 and tcp"), [0, 2]);
    assert_eq!(passing("net 10.9.0.0/16"), [6]);
    assert_eq!(passing("net 0.0.0.0/0"), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(passing("host 2001:db8::1"), [7]);
    assert_eq!(passing("not ip and not ip6"), [10, 11]);
}

#[test]
fn wrong_filters_say_where() {
    let error = |text: &str| Filter::compile(text, Link::ETHERNET, 96).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error("tcp and prot 80"), "\"prot\" is not known at character 9");
    assert_eq!(error("port 70000"), "a port is expected, 0 to 65535 at character 6");
    assert_eq!(error("(tcp"), "a closing parenthesis is expected at character 5");
    assert_eq!(error("host"), "an address is expected at character 5");
    assert_eq!(error("net 10.0.0.0/33"), "a prefix of 0 to 32 is expected at character 5");
    assert_eq!(error("tcp src"), "port or portrange is expected at character 8");
    assert_eq!(error("tcp udp"), "\"udp\" is not expected at character 5");
    assert_eq!(Filter::compile(&"(".repeat(100), Link::ETHERNET, 96).map(|_| ()), Err(FilterError::Syntax { at: 65, what: "too many parentheses".into() }));
    let long = vec!["host 10.0.0.1"; 500].join(" or ");
    assert_eq!(Filter::compile(&long, Link::ETHERNET, 96).map(|_| ()), Err(FilterError::LongProgram));
    assert_eq!(Filter::compile("tcp", Link(113), 96), Err(FilterError::Link(113)));
}

/// The same frames, the same words, the same answers, where tcpdump is there.
#[test]
fn filters_agree_with_tcpdump() {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("skipped: there is no tcpdump here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.pcap");
    let mut writer = net::capture::write::Writer::default();
    for (i, frame) in frames().iter().enumerate() {
        writer.frame(event::Timestamp::from_secs(i as i64), frame);
    }
    std::fs::write(&path, writer.finish()).unwrap();
    for text in FILTERS {
        let output = Command::new("tcpdump").args(["-n", "-tt", "-r"]).arg(&path).arg(text).output().unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        let theirs: Vec<usize> = String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.split('.').next()?.parse().ok()).collect();
        let mut ours = Vec::new();
        let mut capture = FileCapture::open(&path, Filter::compile(text, Link::ETHERNET, 65_535).unwrap()).unwrap();
        while capture.read(Duration::ZERO, &mut |frame| ours.push(frame.time.secs() as usize)).unwrap() {}
        assert_eq!(ours, theirs, "{text}");
    }
}

/// Set for the run of a test inside its namespace.
const INSIDE: &str = "ERNE_INSIDE_NAMESPACE";

/// Runs the test of this name again in a new network namespace; says so and goes on where that may not be.
fn in_namespace(test: &str) {
    let allowed = Command::new("unshare").args(["-n", "true"]).output().is_ok_and(|o| o.status.success());
    if !allowed || Command::new("ip").arg("-V").output().is_err() {
        eprintln!("skipped: no right to make a network namespace here, or no ip");
        return;
    }
    let output = Command::new("unshare").arg("-n").arg(std::env::current_exe().unwrap()).args(["--exact", "--nocapture", test]).env(INSIDE, "1").output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn captures_loopback_and_tagged_frames() {
    if std::env::var_os(INSIDE).is_some() {
        inside_a_namespace();
    } else {
        in_namespace("capture::captures_loopback_and_tagged_frames");
    }
}

fn ip(args: &str) {
    assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "ip {args}");
}

fn read_for(capture: &mut dyn Capture, wanted: usize) -> Vec<(u32, Vec<u8>)> {
    let (mut got, until) = (Vec::new(), Instant::now() + Duration::from_secs(5));
    while got.len() < wanted && Instant::now() < until {
        capture.read(Duration::from_millis(50), &mut |frame| got.push((frame.wire_len, frame.bytes.to_vec()))).unwrap();
    }
    // Whatever comes too much comes now.
    capture.read(Duration::from_millis(100), &mut |frame| got.push((frame.wire_len, frame.bytes.to_vec()))).unwrap();
    got
}

fn inside_a_namespace() {
    assert!(matches!(capture::open(&Options::new("nothing0")), Err(CaptureError::NoInterface(_))));
    ip("link set lo up");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let options = Options { filter: format!("udp dst port {port}"), snaplen: 60, ring_bytes: 4 << 20, ..Options::new("lo") };
    let mut lo = capture::open(&options).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..500 {
        client.send_to(&[7; 100], ("127.0.0.1", port)).unwrap();
        client.send_to(&[8; 100], elsewhere.local_addr().unwrap()).unwrap();
    }
    let got = read_for(&mut *lo, 500);
    assert_eq!(got.len(), 500, "each once, although the loopback shows it twice, and only what the filter wants");
    assert!(got.iter().all(|(wire, bytes)| *wire == 142 && bytes.len() == 60 && bytes[42..].iter().all(|b| *b == 7)));
    let counts = lo.counts();
    assert_eq!((counts.received, counts.bytes, counts.dropped), (500, 500 * 142, 0));

    ip("link add name v0 type veth peer name v1");
    for up in ["v0", "v1"] {
        ip(&format!("link set dev {up} up"));
    }
    ip("addr add 10.9.0.1/24 dev v1");
    ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev v1");
    let mut wire = capture::open(&Options { filter: "udp port 9".into(), ..Options::new("v0") }).unwrap();
    let sender = UdpSocket::bind("10.9.0.1:0").unwrap();
    sender.send_to(&[9; 100], "10.9.0.2:9").unwrap();
    let got = read_for(&mut *wire, 1);
    assert_eq!((got.len(), got[0].0, &got[0].1[..6], &got[0].1[12..14]), (1, 142, &[2, 0, 0, 0, 0, 2][..], &[8, 0][..]));
    tagged_frames(&mut *wire);
    ip("link set dev v0 down");
    let down = (0..50).find_map(|_| wire.read(Duration::from_millis(100), &mut |_| {}).err());
    assert!(matches!(down, Some(CaptureError::Down(_))), "{down:?}");
    ip("link set dev v0 up");
    std::thread::sleep(Duration::from_millis(200));
    sender.send_to(&[9; 100], "10.9.0.2:9").unwrap();
    assert_eq!(read_for(&mut *wire, 1).len(), 1, "it goes on when the interface is up again");
    ip("link del dev v0");
    let gone = (0..50).find_map(|_| wire.read(Duration::from_millis(100), &mut |_| {}).err());
    assert!(matches!(gone, Some(CaptureError::Gone(_))), "{gone:?}");
}

/// The kernel takes tags out of frames; they are put back.
fn tagged_frames(wire: &mut dyn Capture) {
    if Command::new("tcpreplay").arg("--version").output().is_err() {
        eprintln!("skipped in part: there is no tcpreplay here, so nothing sends tagged frames");
        return;
    }
    // The fourth of the frames is UDP from port 5353 to 53.
    let plain = frames().remove(3);
    let tagged = [&plain[..12], &[0x81, 0, 0x20, 7], &plain[12..]].concat();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tagged.pcap");
    let mut writer = net::capture::write::Writer::default();
    writer.frame(event::Timestamp::from_secs(1), &tagged);
    std::fs::write(&path, writer.finish()).unwrap();
    // The kernel's filter sees a tagged frame without its tag.
    let mut dns = capture::open(&Options { filter: "udp dst port 53".into(), ..Options::new("v0") }).unwrap();
    assert!(Command::new("tcpreplay").args(["-q", "-i", "v1"]).arg(&path).output().unwrap().status.success());
    let got = read_for(&mut *dns, 1);
    assert_eq!(got, [(tagged.len() as u32, tagged)]);
    assert_eq!(wire.counts().received, 1);
}
