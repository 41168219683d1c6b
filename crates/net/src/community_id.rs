//! Community ID 1: one name of a flow that every tool agrees on (corelight/community-id-spec).

use crate::decode::{Addr, protocol};
use base64::Engine;
use sha1::{Digest, Sha1};

/// The tuple a Community ID is a hash of. For ICMP the ports are type and code.
#[derive(Clone, Copy, Debug)]
pub struct Tuple {
    pub src: Addr,
    pub dst: Addr,
    pub v6: bool,
    pub protocol: u8,
    pub src_port: u16,
    pub dst_port: u16,
}

/// The answer to each kind of ICMP message that has one.
pub fn icmp_counterpart(v6: bool, kind: u16) -> Option<u16> {
    Some(match (v6, kind) {
        (false, 0) => 8,
        (false, 8) => 0,
        (false, 9) => 10,
        (false, 10) => 9,
        (false, 13) => 14,
        (false, 14) => 13,
        (false, 15) => 16,
        (false, 16) => 15,
        (false, 17) => 18,
        (false, 18) => 17,
        (true, 128) => 129,
        (true, 129) => 128,
        (true, 130) => 131,
        (true, 131) => 130,
        (true, 133) => 134,
        (true, 134) => 133,
        (true, 135) => 136,
        (true, 136) => 135,
        (true, 139) => 140,
        (true, 140) => 139,
        (true, 144) => 145,
        (true, 145) => 144,
        _ => return None,
    })
}

fn digest(seed: u16, tuple: &Tuple) -> [u8; 20] {
    let icmp = matches!(tuple.protocol, protocol::ICMP | protocol::ICMPV6);
    let ported = icmp || matches!(tuple.protocol, protocol::TCP | protocol::UDP | protocol::SCTP);
    let (mut ports, mut one_way) = ((tuple.src_port, tuple.dst_port), false);
    if icmp {
        match icmp_counterpart(tuple.protocol == protocol::ICMPV6, tuple.src_port) {
            Some(answer) => ports.1 = answer,
            None => one_way = true,
        }
    }
    let (src, dst) = (tuple.src.octets(tuple.v6), tuple.dst.octets(tuple.v6));
    let ordered = one_way || (src, ports.0) <= (dst, ports.1);
    let (first, second, ports) = if ordered { (src, dst, ports) } else { (dst, src, (ports.1, ports.0)) };
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    hash.update(first);
    hash.update(second);
    hash.update([tuple.protocol, 0]);
    if ported {
        hash.update(ports.0.to_be_bytes());
        hash.update(ports.1.to_be_bytes());
    }
    hash.finalize().into()
}

pub fn community_id(seed: u16, tuple: &Tuple) -> String {
    let mut text = String::with_capacity(30);
    text.push_str("1:");
    base64::engine::general_purpose::STANDARD.encode_string(digest(seed, tuple), &mut text);
    text
}

/// The form without Base64 that the specification knows too.
pub fn community_id_hex(seed: u16, tuple: &Tuple) -> String {
    format!("1:{}", crate::bytes::hex(&digest(seed, tuple)))
}
