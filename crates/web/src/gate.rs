//! One pass over a value's bytes that tells which analysers can have anything to say about it.
//!
//! Most of what browsers send are tokens, numbers and words. They end here.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Signs: which punctuation a value holds. One bit each.
pub mod sign {
    pub const QUOTE: u32 = 1; // '
    pub const DOUBLE: u32 = 1 << 1; // "
    pub const BACKTICK: u32 = 1 << 2;
    pub const ANGLE: u32 = 1 << 3; // <
    pub const PAREN: u32 = 1 << 4; // ( )
    pub const SEMICOLON: u32 = 1 << 5;
    pub const PIPE: u32 = 1 << 6;
    pub const AMPERSAND: u32 = 1 << 7;
    pub const DOLLAR: u32 = 1 << 8;
    pub const BRACE: u32 = 1 << 9; // { }
    pub const PERCENT: u32 = 1 << 10;
    pub const BACKSLASH: u32 = 1 << 11;
    pub const SLASH: u32 = 1 << 12;
    pub const EQUAL: u32 = 1 << 13; // = and >
    pub const HASH: u32 = 1 << 14;
    pub const CONTROL: u32 = 1 << 15; // below 0x20, and 0x7f
    pub const STAR: u32 = 1 << 16;
    pub const BANG: u32 = 1 << 17; // !
    pub const AT: u32 = 1 << 18;
    pub const BRACKET: u32 = 1 << 19; // [ ]
    pub const SPACE: u32 = 1 << 20;
    pub const COLON: u32 = 1 << 21;
    pub const HIGH: u32 = 1 << 22; // above 0x7f
    pub const PLUS: u32 = 1 << 23;
    pub const COMMA: u32 = 1 << 24;
    pub const CARET: u32 = 1 << 25; // ^ ~ and ?
    pub const DOT: u32 = 1 << 26;
    pub const DASH: u32 = 1 << 27;
    pub const NEWLINE: u32 = 1 << 28; // CR, LF
    pub const NUL: u32 = 1 << 29;
    /// What letters, digits, `_`, `-` and `.` leave free.
    pub const BORING: u32 = DOT | DASH;
}

const SIGNS: [u32; 256] = signs_table();

const fn signs_table() -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i as u8 {
            b'\'' => sign::QUOTE,
            b'"' => sign::DOUBLE,
            b'`' => sign::BACKTICK,
            b'<' => sign::ANGLE,
            b'(' | b')' => sign::PAREN,
            b';' => sign::SEMICOLON,
            b'|' => sign::PIPE,
            b'&' => sign::AMPERSAND,
            b'$' => sign::DOLLAR,
            b'{' | b'}' => sign::BRACE,
            b'%' => sign::PERCENT,
            b'\\' => sign::BACKSLASH,
            b'/' => sign::SLASH,
            b'=' | b'>' => sign::EQUAL,
            b'#' => sign::HASH,
            b'\r' | b'\n' => sign::NEWLINE | sign::CONTROL,
            0 => sign::NUL | sign::CONTROL,
            1..=0x1f | 0x7f => sign::CONTROL,
            b'*' => sign::STAR,
            b'!' => sign::BANG,
            b'@' => sign::AT,
            b'[' | b']' => sign::BRACKET,
            b' ' => sign::SPACE,
            b':' => sign::COLON,
            0x80..=0xff => sign::HIGH,
            b'+' => sign::PLUS,
            b',' => sign::COMMA,
            b'^' | b'~' | b'?' => sign::CARET,
            b'.' => sign::DOT,
            b'-' => sign::DASH,
            _ => 0,
        };
        i += 1;
    }
    table
}

pub fn signs(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |seen, &b| seen | SIGNS[b as usize])
}

/// Groups of trigger words, one bit each.
pub mod word {
    pub const SQL: u32 = 1;
    pub const SCRIPT: u32 = 1 << 1;
    pub const COMMAND: u32 = 1 << 2;
    pub const FILE: u32 = 1 << 3;
    pub const URL: u32 = 1 << 4;
    pub const TEMPLATE: u32 = 1 << 5;
    pub const EXPRESSION: u32 = 1 << 6;
    pub const XML: u32 = 1 << 7;
    pub const NOSQL: u32 = 1 << 8;
    pub const LDAP: u32 = 1 << 9;
    pub const XPATH: u32 = 1 << 10;
    pub const MAIL: u32 = 1 << 11;
    pub const OBJECT: u32 = 1 << 12;
    pub const LOOKUP: u32 = 1 << 13;
    pub const PROTOTYPE: u32 = 1 << 14;
    pub const CODE: u32 = 1 << 15;
    pub const GRAPHQL: u32 = 1 << 16;
    pub const SCANNER: u32 = 1 << 18;
    /// Words that are SQL whatever stands around them.
    pub const SQL_STRONG: u32 = 1 << 17;
}

/// The words' automaton. Built once for an inspector.
pub struct Words {
    automaton: AhoCorasick,
    groups: Vec<u32>,
}

impl Default for Words {
    fn default() -> Self {
        let lists = crate::analysers::TRIGGERS;
        let patterns: Vec<&str> = lists.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        let groups = lists.iter().flat_map(|(group, words)| std::iter::repeat_n(*group, words.len())).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .ascii_case_insensitive(true)
            .build(patterns)
            .expect("the trigger words are few and short");
        Self { automaton, groups }
    }
}

impl Words {
    /// The groups of which a word occurs.
    pub fn groups(&self, bytes: &[u8]) -> u32 {
        self.automaton.find_overlapping_iter(bytes).fold(0, |seen, hit| seen | self.groups[hit.pattern().as_usize()])
    }
}
