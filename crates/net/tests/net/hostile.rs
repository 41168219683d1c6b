//! Whatever the bytes, nothing panics and nothing grows without bound.

use crate::build;
use event::Timestamp;
use net::capture::{Frame, Link, Reader};
use net::{Monitor, Settings};
use proptest::prelude::*;

const LINKS: [u16; 11] = [0, 1, 9, 12, 50, 51, 101, 108, 113, 228, 276];

/// A frame that goes deep: TCP and UDP payloads of every protocol here.
fn seeds() -> Vec<Vec<u8>> {
    let payloads: [&[u8]; 12] = [
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"\x16\x03\x01\0\x30\x01\0\0\x2c\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0\0\x02\x13\x01\x01\0\0\x04\0\0\0\0",
        b"SSH-2.0-x\r\n\0\0\0\x20\x04\x14aaaaaaaaaaaaaaaa\0\0\0\x01a\0\0\0\x01b\0\0\0\0",
        b"\0\0\0\x40\xfeSMB\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x02ex\0\0\x01\0\x01",
        b"EHLO a\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<a@b>\r\nDATA\r\n.\r\n",
        b"\x10\x16\0\x04MQTT\x04\xc2\0\x3c\0\x01a\0\x01u\0\x01p",
        b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0",
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
        b"\x05\x01\0",
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x02ex\0\0\x01\0\x01",
    ];
    let mut frames = Vec::new();
    for payload in payloads {
        frames.push(build::tcp([10, 0, 0, 1], 40_000, [10, 0, 0, 2], 80, 24, 1, 1, payload));
        frames.push(build::udp([10, 0, 0, 1], 40_000, [10, 0, 0, 2], 4_789, payload));
    }
    // Around them: VXLAN, GRE, fragments, IPv6.
    let inner = build::tcp([10, 0, 0, 1], 1, [10, 0, 0, 2], 2, 24, 1, 1, b"GET / HTTP/1.1\r\n\r\n");
    frames.push(build::udp([1, 1, 1, 1], 1, [2, 2, 2, 2], 4_789, &[&[8, 0, 0, 0, 0, 0, 1, 0], inner.as_slice()].concat()));
    frames.push(build::ipv4([1, 1, 1, 1], [2, 2, 2, 2], 47, &[&[0, 0, 8, 0], &inner[14..]].concat()));
    let mut fragment = build::ipv4([1, 1, 1, 1], [2, 2, 2, 2], 17, &[7; 64]);
    fragment[20] = 0x20;
    frames.push(fragment);
    let mut quic = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xd0];
    quic.extend([9; 1_232]);
    frames.push(build::udp([10, 0, 0, 1], 5, [10, 0, 0, 2], 443, &quic));
    frames
}

fn see(monitor: &mut Monitor, link: u16, bytes: &[u8], at: i64) {
    monitor.frame(&Frame { time: Timestamp(at), link: Link(link), bytes, wire_len: bytes.len() as u32, number: 0 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn random_frames_of_every_link(link in 0usize..LINKS.len(), frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8)) {
        let mut monitor = Monitor::default();
        frames.iter().enumerate().for_each(|(i, bytes)| see(&mut monitor, LINKS[link], bytes, i as i64));
        monitor.finish();
        prop_assert_eq!(monitor.counts.frames, frames.len() as u64);
    }

    /// Frames that go deep, changed in a few bytes, cut, repeated, in any order, from both sides.
    #[test]
    fn mutated_frames(steps in proptest::collection::vec((0usize..64, proptest::collection::vec((12usize..160, any::<u8>()), 0..4), 0usize..2_000, any::<bool>(), 0u32..2_000), 1..40)) {
        let (seeds, mut monitor) = (seeds(), Monitor::default());
        for (at, (which, changes, keep, back, seq)) in steps.into_iter().enumerate() {
            let mut bytes = seeds[which % seeds.len()].clone();
            if bytes.len() > 54 && bytes[23] == 6 {
                bytes[38..42].copy_from_slice(&seq.to_be_bytes());
            }
            if back && bytes.len() > 38 {
                let (from, to): (Vec<u8>, Vec<u8>) = (bytes[26..30].to_vec(), bytes[30..34].to_vec());
                bytes[26..30].copy_from_slice(&to);
                bytes[30..34].copy_from_slice(&from);
                bytes.swap(34, 36);
                bytes.swap(35, 37);
            }
            for (place, value) in changes {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            bytes.truncate(keep.max(14));
            see(&mut monitor, 1, &bytes, at as i64 * 1_000);
        }
        monitor.finish();
        prop_assert_eq!(monitor.reassembly.held, 0);
        for record in monitor.records() {
            prop_assert!(serde_json::to_string(&record).is_ok());
        }
    }

    #[test]
    fn mutated_capture_files(changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..6), cut in 0usize..2_000, chunk in 1usize..300, ng in any::<bool>()) {
        let mut bytes = if ng { pcapng() } else { pcap() };
        for (place, value) in changes {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = value;
            }
        }
        bytes.truncate(cut);
        let (mut reader, mut monitor) = (Reader::default(), Monitor::default());
        for chunk in bytes.chunks(chunk) {
            if reader.push(chunk, &mut |frame| monitor.frame(&frame)).is_err() {
                break;
            }
        }
        drop(reader.finish());
        monitor.finish();
    }
}

fn pcap() -> Vec<u8> {
    let mut writer = net::capture::write::Writer::default();
    seeds().iter().take(6).for_each(|frame| writer.frame(Timestamp(5), frame));
    writer.finish()
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let body = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
    let len = (body.len() as u32 + 12).to_be_bytes();
    [&kind.to_be_bytes(), len.as_slice(), &body, &len].concat()
}

/// Big endian, two interfaces: Ethernet in microseconds, raw IP in nanoseconds with an offset of an hour.
fn pcapng() -> Vec<u8> {
    let mut bytes = block(0x0a0d_0d0a, &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    bytes.extend(block(1, &[0, 1, 0, 0, 0, 4, 0, 0]));
    bytes.extend(block(1, &[&[0, 101, 0, 0, 0, 4, 0, 0, 0, 9, 0, 1, 9, 0, 0, 0, 0, 14, 0, 8], 3_600u64.to_be_bytes().as_slice(), &[0; 4]].concat()));
    let frame = build::udp([10, 0, 0, 1], 1, [10, 0, 0, 2], 2, b"x");
    for (interface, frame, ticks) in [(0u32, frame.as_slice(), 7_000_000u64), (1, &frame[14..], 7_000_000_000)] {
        let len = (frame.len() as u32).to_be_bytes();
        bytes.extend(block(6, &[&interface.to_be_bytes(), &((ticks >> 32) as u32).to_be_bytes(), &(ticks as u32).to_be_bytes(), &len, len.as_slice(), frame].concat()));
    }
    bytes
}

#[test]
fn interfaces_have_their_own_links_and_clocks() {
    let (mut reader, mut seen, mut monitor) = (Reader::default(), Vec::new(), Monitor::default());
    reader.push(&pcapng(), &mut |frame| {
        seen.push((frame.link, frame.time.secs()));
        monitor.frame(&frame);
    }).unwrap();
    reader.finish().unwrap();
    assert_eq!(seen, [(Link::ETHERNET, 7), (Link::RAW, 3_607)]);
    assert_eq!((monitor.counts.udp, reader.damage()), (2, None));
}

#[test]
fn what_is_no_capture_is_an_error_and_what_is_cut_is_told() {
    let mut reader = Reader::default();
    assert!(reader.push(b"hello world, this is no capture", &mut |_| {}).is_err());
    assert!(Reader::default().finish().is_err());
    let bytes = pcap();
    let mut reader = Reader::default();
    reader.push(&bytes[..bytes.len() - 5], &mut |_| {}).unwrap();
    reader.finish().unwrap();
    assert_eq!((reader.frames(), reader.damage()), (5, Some(net::capture::Damage::Truncated)));
    let mut absurd = bytes;
    absurd[24 + 8..24 + 12].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut reader = Reader::default();
    reader.push(&absurd, &mut |_| {}).unwrap();
    assert_eq!((reader.frames(), reader.damage()), (0, Some(net::capture::Damage::Length)));
}

/// First fragments alone, a window's worth of holes, and every connection half a request: what is held stays small.
#[test]
fn memory_is_bounded_against_those_who_try() {
    let mut settings = Settings::default();
    settings.limits.flows_max = 5_000;
    settings.conversations_max = 2_000;
    let mut monitor = Monitor::new(settings);
    for i in 0..60_000u32 {
        let mut fragment = build::ipv4([1, 1, (i >> 8) as u8, i as u8], [2, 2, 2, 2], 17, &[7; 1_000]);
        fragment[20] = 0x20;
        fragment[18..20].copy_from_slice(&(i as u16).to_be_bytes());
        monitor.frame(&build::frame(Timestamp(i64::from(i)), &fragment));
        let source = [10, 0, (i >> 8) as u8 & 15, i as u8];
        monitor.frame(&build::frame(Timestamp(i64::from(i)), &build::tcp(source, 9, [10, 9, 9, 9], 80, 24, 1, 1, b"GET /")));
        monitor.frame(&build::frame(Timestamp(i64::from(i)), &build::tcp(source, 9, [10, 9, 9, 9], 80, 24, 5_000 + (i >> 12) * 3_000, 1, &[b'x'; 1_000])));
        drop(monitor.records());
    }
    assert!(monitor.flow_counts().open_max <= 5_000 && monitor.counts.unread > 0);
    assert!(monitor.reassembly.held <= net::reassembly::TOTAL_BYTES_MAX);
    let fragments = monitor.fragment_counts();
    assert!(fragments.incomplete > 50_000, "{fragments:?}");
    monitor.finish();
    assert_eq!(monitor.reassembly.held, 0);
}
