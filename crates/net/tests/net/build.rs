//! Frames made in code.

use event::Timestamp;
use net::capture::{Frame, Link};

pub fn frame(time: Timestamp, bytes: &[u8]) -> Frame<'_> {
    Frame { time, link: Link::ETHERNET, bytes, wire_len: bytes.len() as u32, number: 0 }
}

pub fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend([0x45, 0]);
    bytes.extend((20 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
    bytes.extend(src);
    bytes.extend(dst);
    bytes.extend(payload);
    bytes
}

#[allow(clippy::too_many_arguments)]
pub fn tcp(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(src_port.to_be_bytes());
    bytes.extend(dst_port.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(ack.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    ipv4(src, dst, 6, &bytes)
}

pub fn udp(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(src_port.to_be_bytes());
    bytes.extend(dst_port.to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    ipv4(src, dst, 17, &bytes)
}

pub fn icmp(src: [u8; 4], dst: [u8; 4], kind: u8) -> Vec<u8> {
    ipv4(src, dst, 1, &[kind, 0, 0, 0, 0, 1, 0, 1])
}
