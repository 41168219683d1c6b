//! What a host is, from `/proc` and `/sys`: for the platform's list of sensors.

use event::Timestamp;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Interfaces that are told.
const INTERFACES_MAX: usize = 64;

pub(super) fn timestamp() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64))
}

pub(super) fn now() -> String {
    timestamp().to_string()
}

fn line(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().chars().take(256).collect())
}

pub(super) fn inventory() -> Value {
    let release = line_of("/etc/os-release", "PRETTY_NAME=").map(|name| name.trim_matches('"').to_owned());
    json!({
        "name": line("/proc/sys/kernel/hostname"),
        "os": release,
        "kernel": line("/proc/sys/kernel/osrelease"),
        "architecture": std::env::consts::ARCH,
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_kb": line_of("/proc/meminfo", "MemTotal:").and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok()),
        "uptime_secs": line("/proc/uptime").and_then(|text| text.split('.').next()?.parse::<u64>().ok()),
        "machine_id": line("/etc/machine-id"),
        "interfaces": interfaces(),
    })
}

fn line_of(path: &str, begin: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()?.lines().find_map(|line| line.strip_prefix(begin).map(|rest| rest.trim().to_owned()))
}

fn interfaces() -> Vec<Value> {
    let mut names: Vec<String> = std::fs::read_dir("/sys/class/net").into_iter().flatten().filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names.truncate(INTERFACES_MAX);
    let fact = |name: &str, what: &str| line(&format!("/sys/class/net/{name}/{what}"));
    names.iter().map(|name| json!({"name": name, "mac": fact(name, "address"), "state": fact(name, "operstate"), "mtu": fact(name, "mtu").and_then(|n| n.parse::<u32>().ok())})).collect()
}
