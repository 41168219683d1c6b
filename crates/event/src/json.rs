//! The fast reader of JSON documents: one pass over text that is known to be UTF-8, eight bytes at a time
//! inside strings, no intermediate tree. It reads what is common and valid and gives up on all else (errors,
//! lone surrogates, documents beyond our limits), which is then left to the exact reader in `value`: that
//! one says what is wrong, and decides. So the two can't disagree about a document that only one of them reads,
//! and a test compares them on those that both read.

use crate::value::{DEPTH_MAX, JsonIssue, Map, NODES_MAX, Value, number};
use compact_str::CompactString;

type Member = (CompactString, Value);

/// Room for the members of objects that are still open.
const MEMBERS_TYPICAL: usize = 48;
/// Up to this many members, names are told apart one by one, beyond it by sorting: an attacker must not
/// buy n² comparisons with one event.
const SCAN_MAX: usize = 64;
/// Digits that always fit an `i64`.
const INTEGER_DIGITS: usize = 18;

/// The document and its issues; `None` where the exact reader has to decide.
pub(crate) fn read(text: &str) -> Option<(Value, Vec<JsonIssue>)> {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth: 0,
        nodes: 0,
        members: Vec::new(),
        elements: Vec::new(),
        unescaped: String::new(),
        issues: Vec::new(),
    };
    reader.blank();
    let value = reader.value()?;
    reader.blank();
    if reader.at != text.len() {
        return None;
    }
    reader.issues.sort_unstable();
    reader.issues.dedup();
    Some((value, reader.issues))
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    depth: usize,
    nodes: usize,
    /// Members of all open objects, innermost last, so that a closed one is moved once and fits exactly.
    members: Vec<Member>,
    /// Likewise of arrays.
    elements: Vec<Value>,
    unescaped: String,
    issues: Vec<JsonIssue>,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Whether the next byte that is not blank is this one, which is then passed.
    fn take(&mut self, byte: u8) -> bool {
        if self.peek() != Some(byte) {
            self.blank();
            if self.peek() != Some(byte) {
                return false;
            }
        }
        self.at += 1;
        true
    }

    fn word(&mut self, word: &str, value: Value) -> Option<Value> {
        let end = self.at + word.len();
        (self.bytes.get(self.at..end)? == word.as_bytes()).then_some(())?;
        self.at = end;
        Some(value)
    }

    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                let text = self.string()?;
                Some(Value::Text(CompactString::new(self.spelt(text))))
            }
            b'{' => self.nested(Self::map),
            b'[' => self.nested(Self::list),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Option<Value>) -> Option<Value> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let value = read(self)?;
        self.depth -= 1;
        Some(value)
    }

    fn count(&mut self) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= NODES_MAX).then_some(())
    }

    fn list(&mut self) -> Option<Value> {
        let first = self.elements.len();
        if self.take(b']') {
            return Some(Value::List(Vec::new()));
        }
        loop {
            self.blank();
            let value = self.value()?;
            self.count()?;
            self.elements.push(value);
            if self.take(b',') {
                continue;
            }
            self.take(b']').then_some(())?;
            return Some(Value::List(closed(&mut self.elements, first)));
        }
    }

    fn map(&mut self) -> Option<Value> {
        if self.members.capacity() == 0 {
            self.members.reserve(MEMBERS_TYPICAL);
        }
        let first = self.members.len();
        let mut names = Names::default();
        let mut unescaped_key;
        if !self.take(b'}') {
            loop {
                self.take(b'"').then_some(())?;
                let key = self.string()?;
                let key = match key {
                    Spelling::Plain(start, stop) => &self.text[start..stop],
                    Spelling::Unescaped => {
                        unescaped_key = CompactString::new(&self.unescaped);
                        &unescaped_key
                    }
                };
                names.add(key, &self.members[first..]);
                self.take(b':').then_some(())?;
                self.blank();
                self.count()?;
                if self.peek() == Some(b'"') {
                    self.at += 1;
                    let text = match self.string()? {
                        Spelling::Plain(start, stop) => &self.text[start..stop],
                        Spelling::Unescaped => &self.unescaped,
                    };
                    self.members.push((CompactString::new(key), Value::Text(CompactString::new(text))));
                } else {
                    let value = self.value()?;
                    self.members.push((CompactString::new(key), value));
                }
                if self.take(b',') {
                    continue;
                }
                self.take(b'}').then_some(())?;
                break;
            }
        }
        let members = closed(&mut self.members, first);
        if names.duplicate || (members.len() > SCAN_MAX && has_duplicate(&members)) {
            self.issues.push(JsonIssue::DuplicateKey);
        }
        Some(Value::Map(Map(members)))
    }

    /// The string that begins here, behind its quote. It is handed on as a slice and becomes a `CompactString`
    /// only where it is stored: moving one costs as much as making it.
    #[inline(always)]
    fn string(&mut self) -> Option<Spelling> {
        let start = self.at;
        let stop = string_stop(self.bytes, start)?;
        self.at = stop;
        if self.bytes[stop] == b'"' {
            self.at += 1;
            return Some(Spelling::Plain(start, stop));
        }
        self.escaped(start)
    }

    /// The same, from where the first escape is.
    #[inline(never)]
    fn escaped(&mut self, mut start: usize) -> Option<Spelling> {
        self.unescaped.clear();
        loop {
            self.unescaped.push_str(&self.text[start..self.at]);
            match self.bytes[self.at] {
                b'"' => {
                    self.at += 1;
                    return Some(Spelling::Unescaped);
                }
                b'\\' => self.escape()?,
                // A control character.
                _ => return None,
            }
            start = self.at;
            self.at = string_stop(self.bytes, start)?;
        }
    }

    fn spelt(&self, spelling: Spelling) -> &str {
        match spelling {
            Spelling::Plain(start, stop) => &self.text[start..stop],
            Spelling::Unescaped => &self.unescaped,
        }
    }

    fn escape(&mut self) -> Option<()> {
        let plain = match self.bytes.get(self.at + 1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return None,
        };
        self.at += 2;
        self.unescaped.push(plain);
        Some(())
    }

    fn unicode_escape(&mut self) -> Option<()> {
        let mut code = self.code_unit(self.at)?;
        self.at += 6;
        if (0xD800..0xDC00).contains(&code) {
            let low = self.code_unit(self.at).filter(|low| (0xDC00..0xE000).contains(low))?;
            self.at += 6;
            code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        // A low surrogate by itself is none.
        self.unescaped.push(char::from_u32(code)?);
        Some(())
    }

    /// `\uXXXX`
    fn code_unit(&self, at: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        let negative = self.bytes[start] == b'-';
        let digits = &self.bytes[start + usize::from(negative)..];
        let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let simple = len <= INTEGER_DIGITS
            && match digits.first()? {
                b'0' => len == 1 && !negative,
                _ => len > 0,
            };
        if simple && !matches!(digits.get(len), Some(b'.' | b'e' | b'E')) {
            let size = digits[..len].iter().fold(0i64, |n, digit| n * 10 + i64::from(digit - b'0'));
            self.at = start + usize::from(negative) + len;
            return Some(Value::Int(if negative { -size } else { size }));
        }
        let in_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        self.at += self.bytes[start..].iter().take_while(in_number).count();
        number(&self.text[start..self.at], &mut self.issues)
    }
}

/// Where a string's characters are.
#[derive(Clone, Copy)]
enum Spelling {
    /// In the document, as they are.
    Plain(usize, usize),
    /// In the reader's buffer, until it reads the next string.
    Unescaped,
}

/// Takes what a closed object or array holds, in memory of just that size.
fn closed<T>(open: &mut Vec<T>, first: usize) -> Vec<T> {
    if first > 0 {
        return open.split_off(first);
    }
    let mut all = Vec::with_capacity(open.len());
    all.append(open);
    all
}

/// Finds a name's second use in an object while it is read. A name whose mark is not set yet is new; only
/// the others are compared.
#[derive(Default)]
struct Names {
    marks: [u64; 8],
    duplicate: bool,
}

impl Names {
    fn add(&mut self, key: &str, before: &[Member]) {
        let mark = mark(key.as_bytes());
        let (word, bit) = (mark as usize / 64 % self.marks.len(), 1u64 << (mark % 64));
        if self.marks[word] & bit != 0 && before.len() < SCAN_MAX && !self.duplicate {
            self.duplicate = before.iter().any(|(known, _)| known == key);
        }
        self.marks[word] |= bit;
    }
}

/// Nine bits that differ for most names of one object: of its length, its first and last bytes.
fn mark(key: &[u8]) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    (first.wrapping_mul(MIX) ^ last.rotate_left(23) ^ key.len() as u64).wrapping_mul(MIX) >> 55
}

fn has_duplicate(members: &[Member]) -> bool {
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// Where the first quote, backslash or control character is; `None` if the text ends before one.
#[inline(always)]
fn string_stop(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The lowest set bit of each mask is exact: a borrow only runs upwards from a byte that is a hit itself.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let hits = zeros(word ^ ONES * u64::from(b'"')) | zeros(word ^ ONES * u64::from(b'\\')) | controls;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.get(at..)?.iter().position(stops).map(|found| at + found)
}
