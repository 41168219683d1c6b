//! Reading numbers out of hostile bytes: what is not there is `None`, never a panic.

pub fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub fn be24(bytes: &[u8], at: usize) -> Option<u32> {
    let [a, b, c] = bytes.get(at..)?.first_chunk().copied()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

/// Text from the wire, cut to `max` bytes; what is not UTF-8 becomes the replacement character.
pub fn text(bytes: &[u8], max: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned()
}

/// A reader that goes from front to back.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    pub fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    pub fn be16(&mut self) -> Option<u16> {
        be16(self.take(2)?, 0)
    }

    pub fn be24(&mut self) -> Option<u32> {
        be24(self.take(3)?, 0)
    }

    pub fn be32(&mut self) -> Option<u32> {
        be32(self.take(4)?, 0)
    }

    /// A block behind its length of one byte.
    pub fn block8(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(count.into())
    }

    /// A block behind its length of two bytes.
    pub fn block16(&mut self) -> Option<&'a [u8]> {
        let count = self.be16()?;
        self.take(count.into())
    }

    /// A block behind its length of three bytes.
    pub fn block24(&mut self) -> Option<&'a [u8]> {
        let count = self.be24()?;
        self.take(count as usize)
    }

    /// A block behind its length of four bytes.
    pub fn block32(&mut self) -> Option<&'a [u8]> {
        let count = self.be32()?;
        self.take(count as usize)
    }
}
