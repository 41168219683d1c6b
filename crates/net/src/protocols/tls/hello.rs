//! ClientHello and ServerHello (RFC 8446, section 4.1; RFC 5246, section 7.4.1).

use crate::bytes::{Cursor, be16, text};

/// Extensions of one hello: nobody sends a quarter of this.
const EXTENSIONS_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 255;

const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// The random of a HelloRetryRequest: SHA-256 of "HelloRetryRequest".
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[derive(Clone, Debug, Default)]
pub struct Client {
    pub legacy_version: u16,
    pub ciphers: Vec<u16>,
    /// In the order they were sent.
    pub extensions: Vec<u16>,
    pub server_name: Option<String>,
    pub alpn: Vec<Vec<u8>>,
    pub versions: Vec<u16>,
    pub groups: Vec<u16>,
    pub point_formats: Vec<u8>,
    pub signature_algorithms: Vec<u16>,
}

#[derive(Clone, Debug, Default)]
pub struct Server {
    pub legacy_version: u16,
    /// What was agreed on: `supported_versions` where it is.
    pub version: u16,
    pub cipher: u16,
    pub extensions: Vec<u16>,
    pub alpn: Option<String>,
    pub retry: bool,
    pub group: Option<u16>,
}

/// Values that say nothing, sent to keep servers tolerant (RFC 8701).
pub fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

pub fn client(body: &[u8]) -> Option<Client> {
    let mut cursor = Cursor::new(body);
    let mut hello = Client { legacy_version: cursor.be16()?, ..Client::default() };
    let _random = cursor.take(32)?;
    let _session = cursor.block8()?;
    hello.ciphers = numbers(cursor.block16()?);
    let _compression = cursor.block8()?;
    // Before TLS 1.2 there may be no extensions at all.
    let mut extensions = Cursor::new(cursor.block16().unwrap_or_default());
    while let (Some(kind), Some(data)) = (extensions.be16(), extensions.block16()) {
        if hello.extensions.len() >= EXTENSIONS_MAX {
            break;
        }
        hello.extensions.push(kind);
        let mut data = Cursor::new(data);
        match kind {
            SERVER_NAME => hello.server_name = hello.server_name.or(server_name(data)),
            GROUPS => hello.groups = numbers(data.block16().unwrap_or_default()),
            POINT_FORMATS => hello.point_formats = data.block8().unwrap_or_default().to_vec(),
            SIGNATURE_ALGORITHMS => hello.signature_algorithms = numbers(data.block16().unwrap_or_default()),
            ALPN => hello.alpn = alpn(data),
            SUPPORTED_VERSIONS => hello.versions = numbers(data.block8().unwrap_or_default()),
            _ => {}
        }
    }
    Some(hello)
}

fn server_name(mut data: Cursor<'_>) -> Option<String> {
    let mut list = Cursor::new(data.block16()?);
    let kind = list.u8()?;
    let name = list.block16()?;
    (kind == 0 && !name.is_empty()).then(|| text(name, NAME_BYTES_MAX))
}

fn alpn(mut data: Cursor<'_>) -> Vec<Vec<u8>> {
    let mut list = Cursor::new(data.block16().unwrap_or_default());
    std::iter::from_fn(|| list.block8().map(<[u8]>::to_vec)).take(EXTENSIONS_MAX).collect()
}

pub fn server(body: &[u8]) -> Option<Server> {
    let mut cursor = Cursor::new(body);
    let legacy_version = cursor.be16()?;
    let random = cursor.take(32)?;
    let _session = cursor.block8()?;
    let mut hello = Server { legacy_version, version: legacy_version, cipher: cursor.be16()?, retry: random == RETRY, ..Server::default() };
    let _compression = cursor.u8()?;
    let mut extensions = Cursor::new(cursor.block16().unwrap_or_default());
    while let (Some(kind), Some(data)) = (extensions.be16(), extensions.block16()) {
        if hello.extensions.len() >= EXTENSIONS_MAX {
            break;
        }
        hello.extensions.push(kind);
        match kind {
            SUPPORTED_VERSIONS => hello.version = be16(data, 0).unwrap_or(hello.version),
            ALPN => hello.alpn = alpn(Cursor::new(data)).first().map(|name| text(name, NAME_BYTES_MAX)),
            KEY_SHARE => hello.group = be16(data, 0),
            _ => {}
        }
    }
    Some(hello)
}

/// The name of a version, as people write it.
pub fn version_name(version: u16) -> String {
    match version {
        0x0002 => "SSLv2".into(),
        0x0300 => "SSLv3".into(),
        0x0301 => "TLSv1.0".into(),
        0x0302 => "TLSv1.1".into(),
        0x0303 => "TLSv1.2".into(),
        0x0304 => "TLSv1.3".into(),
        draft if draft >> 8 == 0x7f => format!("TLSv1.3-draft{}", draft & 0xff),
        other => format!("0x{other:04x}"),
    }
}
