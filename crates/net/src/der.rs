//! The elements of BER and DER (X.690), as certificates, Kerberos and LDAP use them.

use crate::bytes::Cursor;

pub const SEQUENCE: u8 = 0x30;

/// One element: its tag, its contents, and all its bytes.
pub fn element<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, &'a [u8], &'a [u8])> {
    let whole = cursor.rest;
    let tag = cursor.u8()?;
    let first = cursor.u8()?;
    let len = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => cursor.take(usize::from(first & 0x7f))?.iter().fold(0usize, |len, b| len << 8 | usize::from(*b)),
        _ => return None,
    };
    let contents = cursor.take(len)?;
    Some((tag, contents, &whole[..whole.len() - cursor.rest.len()]))
}

/// The contents of the next element, if it has this tag.
pub fn expect<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Option<&'a [u8]> {
    element(cursor).filter(|(found, ..)| *found == tag).map(|(_, contents, _)| contents)
}

/// The contents of the first element with this tag among siblings.
pub fn find(contents: &[u8], tag: u8) -> Option<&[u8]> {
    let mut cursor = Cursor::new(contents);
    std::iter::from_fn(|| element(&mut cursor)).find(|(found, ..)| *found == tag).map(|(_, contents, _)| contents)
}

/// A small integer.
pub fn integer(contents: &[u8]) -> Option<i64> {
    let first = *contents.first()?;
    (contents.len() <= 8).then(|| contents.iter().fold(if first & 0x80 == 0 { 0 } else { -1 }, |value, byte| value << 8 | i64::from(*byte)))
}
