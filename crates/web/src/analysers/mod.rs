//! The analysers: one file each, one table. Each looks at one decoded view at a time and says the strongest
//! thing it sees. Below 0.5 it is only a hint, which the classifier may take up.

pub mod cmdi;
pub mod code;
pub mod crlf;
pub mod deserialisation;
pub mod expression;
pub mod graphql;
pub mod ldap;
pub mod lookup;
pub mod nosql;
pub mod prototype;
pub mod protocol;
pub mod response;
pub mod scanner;
pub mod sqli;
pub mod ssi;
pub mod ssrf;
pub mod template;
pub mod traversal;
pub mod upload;
pub mod xpath;
pub mod xss;
pub mod xxe;

use crate::{Class, Transaction};

/// How many words of prose stand in a row right before `at`: letters between spaces, perhaps with a sign of prose
/// behind them. What people write about commands and files stands in sentences; what attacks send seldom does.
pub fn words_before(text: &[u8], at: usize) -> usize {
    const LOOKED_BYTES_MAX: usize = 96;
    let head = &text[at.saturating_sub(LOOKED_BYTES_MAX)..at.min(text.len())];
    if head.last().is_some_and(|b| !matches!(b, b' ' | b'\n' | b'`' | b'"' | b'(')) {
        return 0;
    }
    let head = head.trim_ascii_end();
    let head = head.strip_suffix(b"`").or_else(|| head.strip_suffix(b"\"")).or_else(|| head.strip_suffix(b"(")).unwrap_or(head);
    let word = |w: &&[u8]| {
        let bare = w.strip_suffix(b",").or_else(|| w.strip_suffix(b".")).or_else(|| w.strip_suffix(b":")).or_else(|| w.strip_suffix(b"?")).unwrap_or(w);
        !bare.is_empty() && bare.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80 || *b == b'\'')
    };
    head.rsplit(|b| matches!(b, b' ' | b'\n')).filter(|w| !w.is_empty()).take_while(word).count()
}

/// A finding within a sentence counts less, unless it is beyond doubt.
pub fn in_prose(found: Option<Seen>, text: &[u8]) -> Option<Seen> {
    found.map(|s| if s.score < 0.9 && words_before(text, s.at) >= 2 { Seen { score: s.score * 0.55, ..s } } else { s })
}

/// What kind of place a view's value stands in; the same bytes mean different things there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Path,
    /// A query, form, JSON or multipart value.
    Value,
    Name,
    Cookie,
    Header,
    Agent,
    /// The referrer's path and parameters: another page's address, seldom used by an application.
    Referer,
    FileName,
    /// An uploaded file that is text.
    File,
    /// A whole document of markup.
    Xml,
    /// A printable run of a binary body.
    Binary,
}

impl Place {
    /// Whether an application would put the value into a query, a command or a page.
    pub fn is_value(self) -> bool {
        matches!(self, Self::Value | Self::Name | Self::Cookie | Self::Header | Self::Agent | Self::Path | Self::Referer | Self::FileName)
    }

    /// Whether the classifier has learned such values.
    pub fn is_learned(self) -> bool {
        matches!(self, Self::Value | Self::Name | Self::Cookie | Self::Path)
    }
}

/// One decoded value, or a window of a long one.
pub struct View<'a> {
    pub place: Place,
    pub raw: &'a [u8],
    /// ASCII letters in lower case.
    pub lower: &'a [u8],
    /// [`crate::gate::sign`] bits.
    pub signs: u32,
    /// [`crate::gate::word`] bits.
    pub words: u32,
}

impl View<'_> {
    pub fn has(&self, signs: u32) -> bool {
        self.signs & signs != 0
    }

    pub fn says(&self, words: u32) -> bool {
        self.words & words != 0
    }
}

/// What an analyser saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub score: f32,
    pub why: &'static str,
    /// Where in the view.
    pub at: usize,
    /// If it is not the analyser's own.
    pub class: Option<Class>,
}

pub fn seen(score: f32, why: &'static str, at: usize) -> Option<Seen> {
    Some(Seen { score, why, at, class: None })
}

/// The stronger of two.
pub fn stronger(a: Option<Seen>, b: Option<Seen>) -> Option<Seen> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.score > a.score { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// The first place of any of the needles, by rows of (needle, score, why): the strongest row wins.
pub fn table(lower: &[u8], rows: &[(&str, f32, &'static str)]) -> Option<Seen> {
    let mut best: Option<Seen> = None;
    for (needle, score, why) in rows {
        if best.is_none_or(|b| b.score < *score)
            && let Some(at) = memchr::memmem::find(lower, needle.as_bytes())
        {
            best = seen(*score, why, at);
        }
    }
    best
}

pub fn find(haystack: &[u8], needle: &str) -> Option<usize> {
    memchr::memmem::find(haystack, needle.as_bytes())
}

pub struct Hit {
    pub analyser: &'static str,
    pub class: Class,
    pub score: f32,
    pub why: &'static str,
    pub at: usize,
    /// For hits about the whole transaction.
    pub place: &'static str,
    pub value: String,
}

impl Hit {
    pub fn none() -> Self {
        Self { analyser: "", class: Class::Unknown, score: 0.0, why: "", at: 0, place: "", value: String::new() }
    }
}

pub struct Analyser {
    pub name: &'static str,
    pub class: Class,
    /// Quickly, from the signs and words alone.
    pub wants: fn(&View<'_>) -> bool,
    pub look: fn(&View<'_>) -> Option<Seen>,
}

pub const TABLE: &[Analyser] = &[
    sqli::ANALYSER, xss::ANALYSER, cmdi::ANALYSER, code::ANALYSER, traversal::ANALYSER, ssrf::ANALYSER,
    template::ANALYSER, expression::ANALYSER, xxe::ANALYSER, ssi::ANALYSER, nosql::ANALYSER, ldap::ANALYSER,
    xpath::ANALYSER, crlf::ANALYSER, deserialisation::ANALYSER, lookup::ANALYSER, prototype::ANALYSER,
    graphql::ANALYSER, upload::ANALYSER, scanner::ANALYSER,
];

/// Trigger words by group, all found in one pass.
pub const TRIGGERS: &[(u32, &[&str])] = &[
    (crate::gate::word::SQL, sqli::WORDS),
    (crate::gate::word::SQL_STRONG, sqli::STRONG_WORDS),
    (crate::gate::word::SCRIPT, xss::WORDS),
    (crate::gate::word::COMMAND, cmdi::WORDS),
    (crate::gate::word::CODE, code::WORDS),
    (crate::gate::word::FILE, traversal::WORDS),
    (crate::gate::word::URL, ssrf::WORDS),
    (crate::gate::word::TEMPLATE, template::WORDS),
    (crate::gate::word::EXPRESSION, expression::WORDS),
    (crate::gate::word::XML, xxe::WORDS),
    (crate::gate::word::XML, ssi::WORDS),
    (crate::gate::word::NOSQL, nosql::WORDS),
    (crate::gate::word::LDAP, ldap::WORDS),
    (crate::gate::word::XPATH, xpath::WORDS),
    (crate::gate::word::MAIL, crlf::WORDS),
    (crate::gate::word::OBJECT, deserialisation::WORDS),
    (crate::gate::word::LOOKUP, lookup::WORDS),
    (crate::gate::word::PROTOTYPE, prototype::WORDS),
    (crate::gate::word::GRAPHQL, graphql::WORDS),
    (crate::gate::word::SCANNER, scanner::WORDS),
    (crate::gate::word::SCANNER, scanner::TOOLS),
];

/// What only the whole transaction shows.
pub fn whole(transaction: &Transaction) -> Vec<Hit> {
    let mut hits = protocol::look(transaction);
    if let Some(response) = &transaction.response {
        hits.extend(response::look(transaction, response));
    }
    hits
}
