//! Fingerprints and ids that others have published.

use crate::shared;
use net::community_id::{Tuple, community_id, community_id_hex};
use net::decode::Addr;
use net::{Monitor, Record};
use std::collections::BTreeMap;

pub fn records(bytes: &[u8]) -> Vec<Record> {
    let (mut reader, mut monitor) = (net::capture::Reader::default(), Monitor::default());
    reader.push(bytes, &mut |frame| monitor.frame(&frame)).unwrap();
    drop(reader.finish());
    monitor.finish();
    monitor.records().collect()
}

fn field<'t>(line: &'t str, name: &str) -> Option<&'t str> {
    line.trim_start_matches(['-', ' ']).strip_prefix(name)?.strip_prefix(": ").map(str::trim)
}

/// One connection of FoxIO's expected output: its four parts, and the fingerprints of its hellos.
fn expected_ja4(yaml: &str) -> Vec<(String, String)> {
    let (mut found, mut endpoints) = (Vec::new(), BTreeMap::new());
    for line in yaml.lines() {
        if line.starts_with("- ") {
            endpoints.clear();
        }
        for name in ["src", "dst", "src_port", "dst_port"] {
            if let Some(value) = field(line, name) {
                endpoints.insert(name, value.trim_matches('\'').to_owned());
            }
        }
        if let Some(ja4) = field(line, "ja4") {
            found.push((format!("{} {} {} {}", endpoints["src"], endpoints["src_port"], endpoints["dst"], endpoints["dst_port"]), ja4.to_owned()));
        }
    }
    found
}

#[test]
fn ja4_is_as_published() {
    let Some(files) = shared::archive("ja4") else { return };
    let files: BTreeMap<_, _> = files.into_iter().collect();
    let (mut right, mut total, mut wrong) = (0, 0, Vec::new());
    for (name, yaml) in files.iter().filter(|(name, _)| name.ends_with(".expected.yaml")) {
        let expected = expected_ja4(std::str::from_utf8(yaml).unwrap());
        let capture = name.strip_suffix(".expected.yaml").unwrap();
        // One capture is too large for the archive; nothing is expected of it.
        let Some(bytes) = files.get(capture) else {
            assert!(expected.is_empty(), "{capture} is missing");
            continue;
        };
        let mut told: Vec<(String, String)> = records(bytes)
            .iter()
            .filter_map(|record| match record {
                Record::Tls(tls) => Some((format!("{} {} {} {}", tls.endpoints.src_ip, tls.endpoints.src_port, tls.endpoints.dst_ip, tls.endpoints.dst_port), tls.ja4.clone()?)),
                _ => None,
            })
            .collect();
        total += expected.len();
        for want in expected {
            match told.iter().position(|got| *got == want) {
                Some(place) => {
                    told.swap_remove(place);
                    right += 1;
                }
                None => wrong.push(format!("{capture}: {want:?} is not among what was told")),
            }
        }
        wrong.extend(told.iter().map(|extra| format!("{capture}: {extra:?} is told beyond what is expected")));
    }
    println!("JA4: {right} of {total}");
    assert!(wrong.is_empty(), "JA4: {right} of {total}\n{}", wrong.join("\n"));
    assert_eq!((right, total), (202, 202));
}

#[test]
fn community_ids_are_as_published() {
    let Some(files) = shared::archive("community-id") else { return };
    let mut right = 0;
    for (baseline, seed, base64) in [("deflt", 0, true), ("seed1", 1, true), ("nob64", 0, false)] {
        let (_, json) = files.iter().find(|(name, _)| name.ends_with(&format!("baseline_{baseline}.json"))).expect("the baseline is in the archive");
        let rows: Vec<serde_json::Value> = serde_json::from_slice(json).unwrap();
        for row in rows {
            let ip = |name: &str| row[name].as_str().unwrap().parse::<std::net::IpAddr>().unwrap();
            let port = |name: &str| row[name].as_u64().unwrap_or(0) as u16;
            let (src, dst) = (ip("saddr"), ip("daddr"));
            let tuple = Tuple { src: Addr::of(src), dst: Addr::of(dst), v6: src.is_ipv6(), protocol: row["proto"].as_u64().unwrap() as u8, src_port: port("sport"), dst_port: port("dport") };
            let id = if base64 { community_id(seed, &tuple) } else { community_id_hex(seed, &tuple) };
            assert_eq!(id, row["communityid"].as_str().unwrap(), "{row}");
            right += 1;
        }
    }
    assert_eq!(right, 69);
}

/// The same ids out of the captures the values were made from.
#[test]
fn flows_of_the_captures_carry_the_published_ids() {
    let Some(files) = shared::archive("community-id") else { return };
    let (_, json) = files.iter().find(|(name, _)| name.ends_with("baseline_deflt.json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(json).unwrap();
    let published: std::collections::BTreeSet<_> = rows.iter().map(|row| row["communityid"].as_str().unwrap().to_owned()).collect();
    let told: std::collections::BTreeSet<_> = files
        .iter()
        .filter(|(name, _)| name.contains("/pcaps/") && name.ends_with(".pcap"))
        .flat_map(|(_, bytes)| records(bytes))
        .map(|record| record.endpoints().community_id.as_str().to_owned())
        .collect();
    assert!(!told.is_empty() && told.is_subset(&published), "beyond what is published: {:?}", told.difference(&published).collect::<Vec<_>>());
}

fn suricata(test: &str) -> Option<Vec<u8>> {
    let files = shared::archive("suricata-verify")?;
    let found = files.into_iter().find(|(name, bytes)| name.contains(&format!("/{test}/")) && shared::is_capture(bytes));
    Some(found.unwrap_or_else(|| panic!("no capture in {test}")).1)
}

#[test]
fn hassh_is_as_published() {
    let expected = [
        ("ssh-hassh", vec![("2dd6531c7e89d3c925db9214711be76a", "6832f1ce43d4397c2c0a3e2f8c94334e")]),
        ("ssh-hassh-only", vec![("2dd6531c7e89d3c925db9214711be76a", "6832f1ce43d4397c2c0a3e2f8c94334e")]),
        ("ssh-hassh-reassembled", vec![("3cc67862bceac0f334c62ad1b76895b4", "3cc67862bceac0f334c62ad1b76895b4")]),
        ("ssh-hassh-incomplete", vec![("46c5bd9748882f1a5d75753fb7d47a61", "")]),
    ];
    for (test, pairs) in expected {
        let Some(capture) = suricata(test) else { return };
        let told: Vec<(String, String)> = records(&capture)
            .into_iter()
            .filter_map(|record| match record {
                Record::Ssh(ssh) => Some((ssh.hassh.unwrap_or_default(), ssh.hassh_server.unwrap_or_default())),
                _ => None,
            })
            .collect();
        for (client, server) in pairs {
            assert!(told.iter().any(|(c, s)| c == client && s == server), "{test}: {client} {server} is not among {told:?}");
        }
    }
}
