//! Every shared capture goes through, and what comes out is bounded.

use crate::shared;
use net::{Monitor, Settings};

#[test]
fn every_shared_capture_goes_through() {
    let (mut captures, mut frames, mut records, mut refused) = (0u32, 0u64, 0u64, 0u32);
    // One monitor for all: times jump, ports are reused, and nothing may be carried over that does harm.
    let mut all = Monitor::default();
    for name in ["community-id", "ja4", "suricata-verify", "zeek"] {
        let Some(files) = shared::archive(name) else { return };
        for (path, bytes) in files {
            let bytes = shared::plain(&path, &bytes);
            if !shared::is_capture(&bytes) {
                refused += u32::from(path.ends_with(".pcap") || path.ends_with(".pcapng") || path.ends_with(".trace"));
                continue;
            }
            captures += 1;
            let (mut reader, mut one) = (net::capture::Reader::default(), Monitor::default());
            let result = reader.push(&bytes, &mut |frame| {
                one.frame(&frame);
                all.frame(&frame);
            });
            assert!(result.is_ok(), "{path}: {result:?}");
            drop(reader.finish());
            one.finish();
            frames += reader.frames();
            for record in one.records() {
                let json = serde_json::to_value(&record).unwrap_or_else(|e| panic!("{path}: {e}"));
                assert!(json["community_id"].as_str().is_some_and(|id| id.len() == 30), "{path}: {json}");
                records += 1;
            }
            drop(all.records());
        }
    }
    all.finish();
    println!("{captures} captures, {frames} frames, {records} records, {refused} files that are no capture");
    assert!(captures > 1_400 && all.reassembly.held == 0);
    assert!(all.reassembly.held_max < net::reassembly::TOTAL_BYTES_MAX + net::reassembly::HELD_BYTES_MAX);
}

/// Chunks of any size give the same frames.
#[test]
fn chunks_do_not_change_what_is_read() {
    let mut capture = net::capture::write::Writer::default();
    for i in 0..50u8 {
        capture.frame(event::Timestamp::from_secs(i.into()), &vec![i; usize::from(i) * 7 + 14]);
    }
    let bytes = capture.finish();
    for size in [1, 2, 7, 24, 100, 1_000, usize::MAX] {
        let (mut reader, mut seen) = (net::capture::Reader::default(), Vec::new());
        for chunk in bytes.chunks(size.min(bytes.len())) {
            reader.push(chunk, &mut |frame| seen.push((frame.time, frame.bytes.to_vec()))).unwrap();
        }
        reader.finish().unwrap();
        assert_eq!((seen.len(), reader.damage()), (50, None), "chunks of {size}");
        assert!(seen.iter().enumerate().all(|(i, (time, frame))| time.secs() == i as i64 && frame.len() == i * 7 + 14));
    }
}

#[test]
fn a_flood_of_flows_stays_within_the_table() {
    let mut settings = Settings::default();
    settings.limits.flows_max = 10_000;
    let mut monitor = Monitor::new(settings);
    let mut records = 0;
    for i in 0..100_000u32 {
        let frame = crate::build::tcp([10, 0, (i >> 16) as u8, (i >> 8) as u8], (i & 0xff) as u16 + 1_024, [10, 9, 9, 9], 80, 2, i, 0, b"");
        monitor.frame(&crate::build::frame(event::Timestamp(i64::from(i)), &frame));
        records += monitor.records().count();
    }
    let counts = monitor.flow_counts();
    assert_eq!((counts.open_max, counts.evicted), (10_000, 90_000));
    monitor.finish();
    assert_eq!(records + monitor.records().count(), 100_000);
}
