//! Request bodies, read with every limit: bytes on the wire, bytes after decompression, pauses, and the
//! average rate. Decompression is incremental, so that a bomb is refused after the limit and not after its end.
use crate::app::App;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

/// JSON bodies of the own API (logins, states, queries).
const JSON_BYTES_MAX: usize = 1 << 20;
/// Decoding goes in steps of so many compressed bytes, then lets other tasks run.
const STEP_BYTES: usize = 4 << 10;
/// 8 MiB, what RFC 8878 recommends decoders to support at least; every level up to 19 stays below.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The limits of one kind of body.
pub struct Limits {
    pub wire_bytes_max: usize,
    pub decoded_bytes_max: usize,
}

/// A body in memory, and its share of the memory that all bodies may take.
pub struct Taken {
    pub bytes: Bytes,
    pub share: Share,
}

/// The part of `bodies_bytes_max` that a body holds, in KiB.
pub struct Share {
    app: App,
    permits: Vec<OwnedSemaphorePermit>,
    kib: usize,
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        // A body that grows takes its next quarter megabyte at once, so that permits stay few.
        const STEP_KIB: usize = 256;
        while self.kib * 1024 < bytes {
            let permit = self.app.bodies.clone().try_acquire_many_owned(STEP_KIB as u32).map_err(|_| {
                self.app.metrics.shed("bodies_bytes_max");
                Problem::busy("too many bodies are being read at once; try again", 1)
            })?;
            self.permits.push(permit);
            self.kib += STEP_KIB;
        }
        Ok(())
    }
}

/// Reads a whole body.
pub async fn read(app: &App, headers: &HeaderMap, body: Body, limits: &Limits) -> Result<Taken, Problem> {
    refuse_announced(headers, limits.wire_bytes_max)?;
    let mut decoder = Decoder::of(headers, limits.decoded_bytes_max)?;
    let mut share = Share { app: app.clone(), permits: Vec::new(), kib: 0 };
    let mut frames = Frames { body, app, began: Instant::now(), wire: 0 };
    while let Some(piece) = frames.next().await? {
        if frames.wire > limits.wire_bytes_max {
            app.metrics.shed("wire_bytes_max");
            return Err(over(limits.wire_bytes_max, "as sent"));
        }
        for step in piece.chunks(STEP_BYTES.max(if decoder.is_identity() { piece.len() } else { 0 })) {
            decoder.push(step).inspect_err(|_| app.metrics.shed("decoding"))?;
            share.grow(decoder.held())?;
            if !decoder.is_identity() {
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(Taken { bytes: decoder.finish()?.into(), share })
}

fn over(bytes_max: usize, what: &str) -> Problem {
    Problem::too_large(format!("the body is larger than {bytes_max} bytes {what}; send it in parts"))
}

fn refuse_announced(headers: &HeaderMap, wire_bytes_max: usize) -> Result<(), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if announced.is_some_and(|n| n > wire_bytes_max as u64) {
        return Err(over(wire_bytes_max, "as sent"));
    }
    Ok(())
}

struct Frames<'a> {
    body: Body,
    app: &'a App,
    began: Instant,
    wire: usize,
}

impl Frames<'_> {
    /// The next piece; late pieces are a 408.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let config = &self.app.config;
        let earned = self.wire as u64 / config.body_bytes_per_sec_min.max(1);
        let all_by = self.began + Duration::from_secs(config.body_grace_secs + earned);
        loop {
            let by = all_by.min(Instant::now() + config.body_idle_timeout());
            let frame = timeout_at(by, self.body.frame()).await.map_err(|_| {
                self.app.metrics.shed("body_timeout");
                Problem::timeout("the body came too slowly")
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| Problem::bad_request("the body ended early or is framed wrongly"))?;
            if let Ok(data) = frame.into_data() {
                self.wire += data.len();
                return Ok(Some(data));
            }
        }
    }
}

/// A `Vec` that refuses to grow beyond its limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

const OVER: &str = "over the limit";

impl Bounded {
    fn room(&self) -> usize {
        self.bytes_max - self.bytes.len()
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.room() {
            return Err(io::Error::other(OVER));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder {
    Identity(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Deflate(Box<Zlib>),
    Zstd(Box<Zstd>),
}

impl Decoder {
    fn of(headers: &HeaderMap, bytes_max: usize) -> Result<Self, Problem> {
        let out = Bounded { bytes: Vec::new(), bytes_max };
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let coding = codings.next().map_or("identity", |v| v.to_str().unwrap_or("?")).trim().to_ascii_lowercase();
        match (coding.as_str(), codings.next()) {
            ("identity", None) => Ok(Self::Identity(out)),
            ("gzip" | "x-gzip", None) => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(out)))),
            ("deflate", None) => Ok(Self::Deflate(Box::new(Zlib::new(out)))),
            ("zstd", None) => Zstd::new(out).map(|z| Self::Zstd(Box::new(z))).map_err(|_| Problem::unavailable("no memory for a decoder")),
            _ => Err(Problem::new(
                http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content-encoding",
                "Content-Encoding is one of gzip, zstd, deflate, identity, and only one",
            )),
        }
    }

    fn is_identity(&self) -> bool {
        matches!(self, Self::Identity(_))
    }

    fn held(&self) -> usize {
        match self {
            Self::Identity(out) => out.bytes.len(),
            Self::Gzip(d) => d.get_ref().bytes.len(),
            Self::Deflate(d) => d.out.bytes.len(),
            Self::Zstd(d) => d.out.bytes.len(),
        }
    }

    fn bytes_max(&self) -> usize {
        match self {
            Self::Identity(out) => out.bytes_max,
            Self::Gzip(d) => d.get_ref().bytes_max,
            Self::Deflate(d) => d.out.bytes_max,
            Self::Zstd(d) => d.out.bytes_max,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let result = match self {
            Self::Identity(out) => out.write_all(bytes),
            Self::Gzip(d) => d.write_all(bytes),
            Self::Deflate(d) => d.push(bytes),
            Self::Zstd(d) => d.push(bytes),
        };
        result.map_err(|error| problem_of(&error, self.bytes_max()))
    }

    fn finish(self) -> Result<Vec<u8>, Problem> {
        let bytes_max = self.bytes_max();
        let out = match self {
            Self::Identity(out) => Ok(out),
            // An empty body has no gzip header to miss; the caller refuses empty bodies.
            Self::Gzip(d) => d.finish(),
            Self::Deflate(d) => d.finish(),
            Self::Zstd(d) => d.finish(),
        };
        out.map(|out| out.bytes).map_err(|error| problem_of(&error, bytes_max))
    }
}

fn problem_of(error: &io::Error, bytes_max: usize) -> Problem {
    let text = error.to_string();
    if text.contains(OVER) {
        return over(bytes_max, "after decompression");
    }
    if text.contains("too much memory") {
        return Problem::too_large("the zstd window is larger than 8 MiB; compress with level 19 or below");
    }
    Problem::bad_request("the body is not what its Content-Encoding says, or ends early")
}

const PIECE_BYTES: usize = 128 << 10;

/// zlib by its raw interface: the writer of `flate2` takes a body that is cut off for a whole one.
struct Zlib {
    raw: Decompress,
    out: Bounded,
    complete: bool,
    piece: Vec<u8>,
}

impl Zlib {
    fn new(out: Bounded) -> Self {
        Self { raw: Decompress::new(true), out, complete: false, piece: vec![0; PIECE_BYTES] }
    }

    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            if self.complete {
                // Bytes behind the end are nobody's.
                return if bytes.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) };
            }
            let (read, written) = (self.raw.total_in(), self.raw.total_out());
            let status = self.raw.decompress(bytes, &mut self.piece, FlushDecompress::None)?;
            let (read, written) = ((self.raw.total_in() - read) as usize, (self.raw.total_out() - written) as usize);
            self.out.write_all(&self.piece[..written])?;
            bytes = &bytes[read..];
            self.complete = status == Status::StreamEnd;
            // A full piece may leave more inside the decoder.
            if !self.complete && bytes.is_empty() && written < self.piece.len() {
                return Ok(());
            }
            if !self.complete && read == 0 && written == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    fn finish(self) -> io::Result<Bounded> {
        if self.complete { Ok(self.out) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// zstd by its raw interface: the writer of the `zstd` crate cannot say whether the last frame was complete.
struct Zstd {
    raw: zstd::stream::raw::Decoder<'static>,
    out: Bounded,
    /// No frame is open.
    complete: bool,
    piece: Vec<u8>,
}

impl Zstd {
    fn new(out: Bounded) -> io::Result<Self> {
        let mut raw = zstd::stream::raw::Decoder::new()?;
        raw.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
        Ok(Self { raw, out, complete: true, piece: vec![0; PIECE_BYTES] })
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(bytes);
        loop {
            let mut output = OutBuffer::around(self.piece.as_mut_slice());
            let hint = self.raw.run(&mut input, &mut output)?;
            let written = output.pos();
            self.out.write_all(&self.piece[..written])?;
            self.complete = hint == 0;
            // A full piece may leave more inside the decoder.
            if input.pos() == bytes.len() && written < self.piece.len() {
                return Ok(());
            }
        }
    }

    fn finish(self) -> io::Result<Bounded> {
        if self.complete { Ok(self.out) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A JSON body of the own API.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        // A form of a foreign page cannot send this type without asking first.
        let is_json = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| {
            v.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            return Err(Problem::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", "send JSON with Content-Type: application/json"));
        }
        let limits = Limits { wire_bytes_max: JSON_BYTES_MAX, decoded_bytes_max: JSON_BYTES_MAX };
        let taken = read(app, &parts.headers, body, &limits).await?;
        serde_json::from_slice(&taken.bytes).map(Self).map_err(|error| Problem::bad_request(format!("the body does not fit: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(coding: &'static str, bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, http::StatusCode> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, http::HeaderValue::from_static(coding));
        let mut decoder = Decoder::of(&headers, bytes_max).map_err(|p| p.status())?;
        for step in bytes.chunks(STEP_BYTES) {
            decoder.push(step).map_err(|p| p.status())?;
            assert!(decoder.held() <= bytes_max);
        }
        decoder.finish().map_err(|p| p.status())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const MIB: usize = 1 << 20;

    #[test]
    fn every_coding_decodes_and_several_members_are_one_body() {
        let text = b"hello ".repeat(100_000);
        assert_eq!(decode("gzip", &gzip(&text), MIB).unwrap(), text);
        assert_eq!(decode("deflate", &zlib(&text), MIB).unwrap(), text);
        let packed = zstd::bulk::compress(&text, 3).unwrap();
        assert_eq!(decode("zstd", &packed, MIB).unwrap(), text);
        assert_eq!(decode("gzip", &[gzip(b"a"), gzip(b"b")].concat(), MIB).unwrap(), b"ab");
        let two = [zstd::bulk::compress(b"a", 3).unwrap(), zstd::bulk::compress(b"b", 3).unwrap()].concat();
        assert_eq!(decode("zstd", &two, MIB).unwrap(), b"ab");
    }

    #[test]
    fn bombs_are_refused_at_the_limit() {
        let zeros = vec![0; 64 * MIB];
        assert_eq!(decode("gzip", &gzip(&zeros), MIB).unwrap_err(), 413);
        assert_eq!(decode("deflate", &zlib(&zeros), MIB).unwrap_err(), 413);
        assert_eq!(decode("zstd", &zstd::bulk::compress(&zeros, 3).unwrap(), MIB).unwrap_err(), 413);
    }

    #[test]
    fn what_is_cut_off_or_false_is_a_400() {
        let text = b"hello ".repeat(10_000);
        for (coding, packed) in [("gzip", gzip(&text)), ("deflate", zlib(&text)), ("zstd", zstd::bulk::compress(&text, 3).unwrap())] {
            assert_eq!(decode(coding, &packed[..packed.len() - 1], MIB).unwrap_err(), 400, "{coding}");
            assert_eq!(decode(coding, &packed[..packed.len() / 2], MIB).unwrap_err(), 400, "{coding}");
            assert_eq!(decode(coding, b"not compressed at all", MIB).unwrap_err(), 400, "{coding}");
        }
        assert_eq!(decode("br", b"", MIB).unwrap_err(), 415);
        assert_eq!(decode("gzip, gzip", b"", MIB).unwrap_err(), 415);
    }
}
