//! QUIC's first packets (RFC 9000, 9001, 9369), whose keys anyone can derive: the ClientHello with its server name and
//! JA4, told as a TLS record of carrier `quic`. Versions 1, 2 and the drafts from 23 on.

mod parse;

use super::tls::fingerprint::Carrier;
use super::tls::{CLIENT_HELLO, TlsRecord, hello};
use super::{Context, Conversation, Head, Next, Side, Verdict};
use crate::bytes::be24;
use crate::reassembly::{Counts, Piece, Stream};
use crate::record::Record;
use event::Timestamp;

/// Bytes of a ClientHello; with post-quantum keys they have about 1,700.
const HELLO_BYTES_MAX: usize = 16 << 10;
/// Datagrams looked at before a flow is given up.
const DATAGRAMS_MAX: u32 = 32;

pub fn recognise(head: Head<'_>) -> Verdict {
    let bytes = if head.src.is_empty() { head.dst } else { head.src };
    Verdict::of(parse::is_long_header(bytes))
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Quic { stream: Stream::default(), hello: Vec::new(), counts: Counts::default(), keys: None, datagrams: 0, version: None, started: None, told: false })
}

struct Quic {
    /// CRYPTO frames come in any order; a stream puts them in theirs.
    stream: Stream,
    hello: Vec<u8>,
    counts: Counts,
    keys: Option<parse::Keys>,
    datagrams: u32,
    version: Option<u32>,
    started: Option<Timestamp>,
    told: bool,
}

impl Quic {
    fn packet(&mut self, packet: &parse::Initial<'_>) {
        self.version = Some(packet.version);
        // Later packets carry the id the server chose, but their keys are those of the first one's; after a Retry
        // they are new. What decrypts to frames is right.
        let known = self.keys.as_ref().and_then(|keys| parse::open(packet, keys));
        let frames = known.or_else(|| {
            let keys = parse::Keys::derive(packet.version, packet.destination)?;
            let frames = parse::open(packet, &keys)?;
            self.keys = Some(keys);
            Some(frames)
        });
        for (offset, bytes) in frames.iter().flat_map(|plain| parse::crypto_frames(plain).unwrap_or_default()) {
            if offset + bytes.len() as u64 > HELLO_BYTES_MAX as u64 {
                continue;
            }
            let hello = &mut self.hello;
            self.stream.begin(0);
            self.stream.segment(offset as u32, bytes, bytes.len() as u32, &mut self.counts, |piece| {
                if let Piece::Data(data) = piece {
                    hello.extend_from_slice(data);
                }
            });
        }
    }

    fn tell(&mut self, context: &mut Context<'_>) -> Next {
        let (Some(&CLIENT_HELLO), Some(len)) = (self.hello.first(), be24(&self.hello, 1)) else { return Next::More };
        let Some(body) = self.hello.get(4..4 + len as usize) else { return Next::More };
        let client = hello::client(body);
        self.told = true;
        if client.is_some() {
            let version = self.version.map(parse::version_name);
            let time = self.started.unwrap_or(context.time);
            let record = TlsRecord::carried(Carrier::Quic, version, time, *context.endpoints, client, None, None, 0, false);
            context.records.push(Record::Tls(Box::new(record)));
        }
        Next::Done
    }
}

impl Conversation for Quic {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        self.started.get_or_insert(context.time);
        self.datagrams += 1;
        if side == Side::Source {
            let mut rest = bytes;
            while let Some((packet, after)) = parse::initial(rest) {
                if let Some(packet) = packet {
                    self.packet(&packet);
                }
                rest = after;
            }
            if self.tell(context) == Next::Done {
                return Next::Done;
            }
        }
        if self.datagrams > DATAGRAMS_MAX { Next::Done } else { Next::More }
    }
}
