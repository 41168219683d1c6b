//! Writing pcap, for captures that tests and simulations make.

use event::Timestamp;

/// A pcap file of Ethernet frames with microseconds, little endian.
pub struct Writer {
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new(super::Link::ETHERNET)
    }
}

impl Writer {
    pub fn new(link: super::Link) -> Self {
        let mut bytes = Vec::new();
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, u32::from(link.0)] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        Self { bytes }
    }

    pub fn frame(&mut self, time: Timestamp, frame: &[u8]) {
        let (secs, micros) = (time.secs() as u32, time.micros().rem_euclid(1_000_000) as u32);
        for word in [secs, micros, frame.len() as u32, frame.len() as u32] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.extend_from_slice(frame);
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
