//! HTTP/1 (RFC 9112): requests with their responses, bodies of a stated length, chunked or until the end; pipelining;
//! CONNECT, after which the connection is recognised anew.
//!
//! A record is a request with its response. The headers and the beginning of the bodies stay with it for the request
//! inspector; passwords of Basic authentication are not kept apart.

mod parse;
mod record;

pub use record::{Body, HttpRecord};

use super::{Buffer, Context, Conversation, Head, Next, Side, Verdict};
use crate::record::Record;
use std::collections::VecDeque;

/// Request line and headers. Servers take 8 to 64 KiB.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes kept of a request's body, and of a response's.
pub const REQUEST_BODY_MAX: usize = 64 << 10;
pub const RESPONSE_BODY_MAX: usize = 8 << 10;
/// Requests without their response.
const WAITING_MAX: usize = 16;

const METHODS: [&str; 30] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "REPORT", "CHECKOUT", "MERGE", "SUBSCRIBE",
    "UNSUBSCRIBE", "NOTIFY", "M-SEARCH", "BCOPY", "RPC_IN_DATA", "RPC_OUT_DATA", "SSTP_DUPLEX_POST", "DEBUG", "TRACK",
];

fn request_begins(bytes: &[u8]) -> Verdict {
    let mut maybe = Verdict::No;
    for method in METHODS {
        match Verdict::prefix(bytes, method.as_bytes()) {
            Verdict::Yes if bytes.len() == method.len() => maybe = Verdict::Maybe,
            Verdict::Yes if bytes[method.len()] == b' ' => {
                let line = bytes.split(|b| *b == b'\n').next().unwrap_or(bytes);
                // A whole line ends with the version; HTTP/0.9 has none and looks like anything.
                let whole = line.len() < bytes.len();
                let named = line.strip_suffix(b"\r").unwrap_or(line).windows(7).rev().take(4).any(|w| w == b"HTTP/1." || w == b"HTTP/0.");
                return if !whole && bytes.len() < super::HEAD_BYTES_MAX { Verdict::Maybe } else { Verdict::of(named || !whole) };
            }
            Verdict::Maybe => maybe = Verdict::Maybe,
            _ => {}
        }
    }
    maybe
}

pub fn recognise(head: Head<'_>) -> Verdict {
    let response = if head.dst.is_empty() { Verdict::No } else { Verdict::prefix(head.dst, b"HTTP/1.") };
    if head.src.is_empty() {
        return if head.dst.is_empty() { Verdict::Maybe } else { response };
    }
    match request_begins(head.src) {
        Verdict::No if response == Verdict::Yes => Verdict::Yes,
        verdict => verdict,
    }
}

pub fn start() -> Box<dyn Conversation> {
    Box::new(Http::default())
}

/// What follows in one direction.
#[derive(Default)]
enum Expect {
    #[default]
    Head,
    Body(u64),
    /// The size line of a chunk.
    ChunkSize,
    /// A chunk's bytes with the line end behind them.
    Chunk(u64),
    /// The lines after the last chunk.
    Trailer,
    UntilClose,
}

#[derive(Default)]
struct One {
    buffer: Buffer,
    expect: Expect,
    /// Bytes of an unfinished head that hold no end of it: a head that comes byte by byte is searched once.
    searched: usize,
}

#[derive(Default)]
struct Http {
    sides: [One; 2],
    /// Requests whose response is not complete, oldest first. The last one's body may still come.
    waiting: VecDeque<HttpRecord>,
    /// Whether the response's head of the oldest one was read.
    responding: bool,
    request_open: bool,
    broken: bool,
    tunnelled: bool,
}

impl Http {
    fn read(&mut self, side: Side, context: &mut Context<'_>) {
        while !self.broken && !self.tunnelled {
            let place = side as usize;
            let went_on = match self.sides[place].expect {
                Expect::Head => self.head(side, context),
                Expect::Body(left) => self.body(side, left, context),
                Expect::ChunkSize => self.chunk_size(side),
                Expect::Chunk(left) => self.chunk(side, left),
                Expect::Trailer => self.trailer(side, context),
                Expect::UntilClose => {
                    let count = self.sides[place].buffer.rest().len() as u64;
                    self.keep(side, count);
                    false
                }
            };
            if !went_on {
                return;
            }
        }
    }

    fn head(&mut self, side: Side, context: &mut Context<'_>) -> bool {
        let One { buffer, searched, .. } = &mut self.sides[side as usize];
        // Empty lines before a request line are skipped (RFC 9112, section 2.2).
        let blank = buffer.rest().iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        buffer.consume(blank);
        let Some(len) = parse::head_len(buffer.rest(), *searched) else {
            *searched = buffer.rest().len().saturating_sub(3);
            self.broken |= buffer.rest().len() > HEAD_BYTES_MAX;
            return false;
        };
        *searched = 0;
        let Some(head) = parse::head(&buffer.rest()[..len]) else {
            self.broken = true;
            return false;
        };
        buffer.consume(len);
        match side {
            Side::Source => self.request(head, context),
            Side::Destination => self.response(head, context),
        }
        true
    }

    fn request(&mut self, head: parse::Head, context: &mut Context<'_>) {
        let Some(record) = HttpRecord::request(context.time, *context.endpoints, head) else {
            self.broken = true;
            return;
        };
        if self.waiting.len() >= WAITING_MAX {
            self.tell_oldest(context);
        }
        let expect = parse::request_body(&record.request_headers);
        self.waiting.push_back(record);
        self.request_open = true;
        self.expect(Side::Source, expect, context);
    }

    fn response(&mut self, head: parse::Head, context: &mut Context<'_>) {
        let Some(status) = parse::status(&head) else {
            self.broken = true;
            return;
        };
        if self.waiting.is_empty() {
            self.waiting.push_back(HttpRecord::unasked(context.time, *context.endpoints));
        }
        let Some(oldest) = self.waiting.front_mut() else { return };
        let switches = status == 101 || (oldest.method == "CONNECT" && (200..300).contains(&status));
        if (100..200).contains(&status) && !switches {
            return;
        }
        let bodiless = oldest.method == "HEAD" || matches!(status, 101 | 204 | 304);
        oldest.response(context.time, status, head);
        self.responding = true;
        if switches {
            self.tunnelled = true;
            self.tell_oldest(context);
            return;
        }
        let expect = if bodiless { parse::Length::Known(0) } else { parse::response_body(&self.waiting[0].response_headers) };
        self.expect(Side::Destination, expect, context);
    }

    fn expect(&mut self, side: Side, length: parse::Length, context: &mut Context<'_>) {
        self.sides[side as usize].expect = match length {
            parse::Length::Known(0) => {
                self.complete(side, context);
                Expect::Head
            }
            parse::Length::Known(count) => Expect::Body(count),
            parse::Length::Chunked => Expect::ChunkSize,
            parse::Length::UntilClose => Expect::UntilClose,
        };
    }

    /// A message of this side is whole.
    fn complete(&mut self, side: Side, context: &mut Context<'_>) {
        self.sides[side as usize].expect = Expect::Head;
        match side {
            Side::Source => self.request_open = false,
            Side::Destination => {
                if let Some(record) = self.waiting.front_mut() {
                    record.complete = true;
                }
                self.tell_oldest(context);
            }
        }
    }

    fn tell_oldest(&mut self, context: &mut Context<'_>) {
        self.responding = false;
        context.records.extend(self.waiting.pop_front().map(|record| Record::Http(Box::new(record))));
    }

    /// Moves bytes of a body from the buffer to where they are counted.
    fn keep(&mut self, side: Side, count: u64) -> u64 {
        let buffer = &mut self.sides[side as usize].buffer;
        let taken = (buffer.rest().len() as u64).min(count);
        let bytes = &buffer.rest()[..taken as usize];
        let body = match side {
            Side::Source if self.request_open => self.waiting.back_mut().map(|r| (&mut r.request_body, REQUEST_BODY_MAX)),
            Side::Source => None,
            Side::Destination => self.waiting.front_mut().map(|r| (&mut r.response_body, RESPONSE_BODY_MAX)),
        };
        if let Some((body, max)) = body {
            body.add(bytes, max);
        }
        buffer.consume(taken as usize);
        taken
    }

    fn body(&mut self, side: Side, left: u64, context: &mut Context<'_>) -> bool {
        let taken = self.keep(side, left);
        self.sides[side as usize].expect = Expect::Body(left - taken);
        if taken == left {
            self.complete(side, context);
        }
        taken == left
    }

    fn chunk_size(&mut self, side: Side) -> bool {
        let one = &mut self.sides[side as usize];
        let Some(line) = one.buffer.line() else {
            self.broken |= one.buffer.rest().len() > 1_024;
            return false;
        };
        let digits = line.split(';').next().unwrap_or_default().trim();
        match u64::from_str_radix(digits, 16) {
            Ok(0) => one.expect = Expect::Trailer,
            Ok(size) if digits.len() <= 15 => one.expect = Expect::Chunk(size),
            _ => self.broken = true,
        }
        !self.broken
    }

    fn chunk(&mut self, side: Side, left: u64) -> bool {
        if left > 0 {
            let taken = self.keep(side, left);
            self.sides[side as usize].expect = Expect::Chunk(left - taken);
            return taken == left;
        }
        let one = &mut self.sides[side as usize];
        match one.buffer.line() {
            Some(line) if line.is_empty() => one.expect = Expect::ChunkSize,
            Some(_) => self.broken = true,
            None => {
                self.broken |= one.buffer.rest().len() > 2;
                return false;
            }
        }
        !self.broken
    }

    fn trailer(&mut self, side: Side, context: &mut Context<'_>) -> bool {
        match self.sides[side as usize].buffer.line() {
            Some(line) if line.is_empty() => {
                self.complete(side, context);
                true
            }
            Some(_) => true,
            None => {
                self.broken |= self.sides[side as usize].buffer.rest().len() > HEAD_BYTES_MAX;
                false
            }
        }
    }

    /// A stated body may go on behind a gap; a head or chunk cannot.
    fn skip(&mut self, side: Side, len: u64) {
        let one = &mut self.sides[side as usize];
        match one.expect {
            Expect::Body(left) if left > len => one.expect = Expect::Body(left - len),
            Expect::Chunk(left) if left > len => one.expect = Expect::Chunk(left - len),
            Expect::UntilClose => {}
            _ => self.broken = true,
        }
    }

    fn next(&mut self, context: &mut Context<'_>) -> Next {
        if self.tunnelled {
            return Next::Another;
        }
        if self.broken {
            self.tell_all(context);
            return Next::Done;
        }
        Next::More
    }

    fn tell_all(&mut self, context: &mut Context<'_>) {
        while !self.waiting.is_empty() {
            self.tell_oldest(context);
        }
    }
}

impl Conversation for Http {
    fn data(&mut self, side: Side, bytes: &[u8], context: &mut Context<'_>) -> Next {
        let mut rest = bytes;
        while !rest.is_empty() && !self.broken {
            // Bodies go through in pieces, so that a buffer never holds more than a head.
            let piece = &rest[..rest.len().min(HEAD_BYTES_MAX)];
            rest = &rest[piece.len()..];
            self.broken |= !self.sides[side as usize].buffer.push(piece, 2 * HEAD_BYTES_MAX);
            self.read(side, context);
        }
        self.next(context)
    }

    fn gap(&mut self, side: Side, len: u32, context: &mut Context<'_>) -> Next {
        self.skip(side, len.into());
        self.next(context)
    }

    fn end(&mut self, context: &mut Context<'_>) {
        // The end of the connection is the end of a body without a length.
        if matches!(self.sides[1].expect, Expect::UntilClose)
            && let Some(record) = self.waiting.front_mut().filter(|_| self.responding)
        {
            record.complete = true;
        }
        self.tell_all(context);
    }

    fn left_over(&mut self) -> [Vec<u8>; 2] {
        let [src, dst] = &mut self.sides;
        [src.buffer.take(), dst.buffer.take()]
    }
}
