//! SQL injection.
//!
//! What it sees: values that change the meaning of an SQL statement when pasted into one. The value is cut into
//! SQL tokens three times, as if it stood bare, within single and within double quotes, and the tokens are
//! matched with what injections need: tautologies, `UNION SELECT`, stacked statements, subqueries, probing and
//! delaying functions, comments that cut the rest off, probes such as `ORDER BY 7`.
//! What it raises: `sqli`; 0.5 to 0.97 by how little else the tokens can mean.
//! Known false positives: SQL that an application takes on purpose (a query console), teaching texts.
//! CWE-89, ATT&CK T1190.

use super::{Analyser, Place, Seen, View, seen, stronger};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "sqli", class: Class::Sqli, wants, look };

/// Words that mean nothing by themselves.
pub const WORDS: &[&str] = &[
    " or ", " and ", " or(", " and(", "'or", "'and", "\"or", "\"and", ")or", ")and", "*/or", "*/and", "\tor", "\tand", "\nor", "\nand",
    "or'", "or\"", "and'", "or(", "and(", "||", "&&", " xor ", " like ", "select", "union", "insert", "update", "delete", "drop ", "alter ", "create ",
    "truncate", "exec", "declare", "order by", "group by", "having", "where", "null", "case when", "limit ", " is not", "rlike", "regexp",
    "between", "procedure", "@@", "waitfor", "benchmark", "sleep", "shutdown", "into ", "cast(", "convert(", "char(", "chr(", "if(", "ascii(",
    "substr", "concat", "+or+", "+and+", "order/**/by", "handler ", "merge ", "begin", "from ", "table", "print ",
];

/// Words that hardly occur outside SQL.
pub const STRONG_WORDS: &[&str] = &[
    "waitfor", "xp_cmdshell", "information_schema", "pg_sleep", "benchmark(", "extractvalue(", "updatexml(", "dbms_pipe", "dbms_lock", "utl_inaddr",
    "utl_http", "sysobjects", "syscolumns", "sqlite_master", "load_file(", "into outfile", "into dumpfile", "group_concat", "concat_ws(",
    "@@version", "union select", "union all", "/*!", "randomblob(", "pg_catalog", "all_tables", "user_tables", "mysql.user", "sys.user",
    "generate_series(", "ctxsys.", "regexp_substring(", "openrowset", "sp_executesql", "sp_password", "xp_regread", "xp_dirtree", "pg_database",
    "xmltype(", "msysaccessobjects", "procedure analyse", "sleep(", "master..", "sp_oacreate", "rdb$", "sysibm.", "domain.domains", "systables",
    "make_set(", "elt(", "json_keys(", "gtid_subset(", "polygon(", "name_const(", "crypt_key", "dbms_",
];

fn wants(view: &View<'_>) -> bool {
    if !matches!(view.place, Place::Value | Place::Name | Place::Cookie | Place::Path | Place::Header | Place::Agent | Place::Referer) {
        return false;
    }
    let begins = view.has(sign::EQUAL | sign::DASH | sign::HASH) && [&b"or "[..], b"and ", b"or\t", b"and\t"].iter().any(|w| view.lower.starts_with(w));
    if begins || view.says(word::SQL_STRONG) {
        return true;
    }
    if matches!(view.place, Place::Agent | Place::Header) {
        return view.says(word::SQL) && view.has(sign::QUOTE | sign::BACKTICK | sign::EQUAL) || view.has(sign::QUOTE) && view.has(sign::HASH | sign::DASH);
    }
    view.has(sign::QUOTE | sign::DOUBLE | sign::BACKTICK) || view.says(word::SQL) && (view.signs & (sign::EQUAL | sign::PAREN | sign::SPACE | sign::STAR | sign::HASH | sign::ANGLE | sign::PIPE | sign::PLUS | sign::COMMA | sign::SEMICOLON | sign::CONTROL) != 0)
}

fn look(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let mut best = read(text, None);
    for (sign, quote) in [(sign::QUOTE, b'\''), (sign::DOUBLE, b'"')] {
        if best.is_none_or(|b| b.score < 0.9) && view.has(sign) && !is_search(text, quote) {
            best = stronger(best, read(text, Some(quote)));
        }
    }
    if best.is_none_or(|b| b.score < 0.9) && view.has(sign::BACKTICK) {
        best = stronger(best, read(text, Some(b'`')));
    }
    best
}

/// `"red shoes" AND "size 9"`: phrases of a search, whose quotes stand around words and at spaces. What breaks out of
/// a statement's quotes does not: it has a comparison, or a quote without its other one, or blanks inside.
fn is_search(text: &[u8], quote: u8) -> bool {
    if text.iter().any(|b| matches!(b, b'=' | b'<' | b'>' | b';' | b'#' | b'|' | b'&' | b'*' | b'/' | b'\\') || *b != quote && matches!(b, b'\'' | b'"' | b'`') && quote == b'\'') || memchr::memmem::find(text, b"--").is_some() {
        return false;
    }
    let outside = |b: Option<&u8>| b.is_none_or(|b| matches!(b, b' ' | b'(' | b')' | b'+' | b'-' | b':' | b',' | b'.' | b'?' | b'!'));
    let mut from = 0;
    while let Some(open) = memchr::memchr(quote, &text[from..]).map(|n| from + n) {
        let Some(len) = memchr::memchr(quote, &text[open + 1..]) else { return false };
        let inside = &text[open + 1..open + 1 + len];
        let close = open + 1 + len;
        let before = open.checked_sub(1).and_then(|i| text.get(i));
        if inside.trim_ascii().len() != inside.len() || inside.is_empty() || !outside(before) || !outside(text.get(close + 1)) {
            return false;
        }
        from = close + 1;
    }
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    /// A string whose end is missing.
    Open,
    /// A name that is no keyword.
    Name,
    Function,
    Union,
    Select,
    From,
    And,
    Or,
    Not,
    Null,
    Like,
    /// `order`, `group`
    Sort,
    By,
    /// `insert`, `update` and other first words of statements.
    Statement,
    Keyword,
    /// `=` `<` `>` `<>`
    Compare,
    /// Arithmetic and `||`.
    Operator,
    Comment,
    /// A comment that hides the rest.
    Rest,
    /// `/*!50000`
    Conditional,
    Left,
    Right,
    Comma,
    Semicolon,
    Variable,
    Star,
    Dot,
    /// What no SQL has.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    from: usize,
    to: usize,
}

struct Tokens<'a> {
    text: &'a [u8],
    list: Vec<Token>,
    /// A quote of the context was closed by the value.
    broke_out: bool,
}

fn read(text: &[u8], quote: Option<u8>) -> Option<Seen> {
    let tokens = tokenise(text, quote);
    if quote.is_some() && !tokens.broke_out {
        return None;
    }
    tokens.judge(quote.is_some())
}

fn tokenise(text: &[u8], quote: Option<u8>) -> Tokens<'_> {
    let mut tokens = Tokens { text, list: Vec::new(), broke_out: false };
    let mut i = 0;
    if let Some(quote) = quote {
        let Some(end) = memchr::memchr(quote, text) else { return tokens };
        tokens.broke_out = true;
        tokens.list.push(Token { kind: Kind::Text, from: 0, to: end });
        i = end + 1;
    }
    while i < text.len() {
        let from = i;
        let kind = token(text, &mut i, &tokens.list);
        if let Some(kind) = kind {
            tokens.list.push(Token { kind, from, to: i });
        }
    }
    tokens
}

/// Reads one token; white space gives none.
fn token(text: &[u8], i: &mut usize, before: &[Token]) -> Option<Kind> {
    let at = *i;
    let byte = text[at];
    let next = text.get(at + 1).copied().unwrap_or(0);
    *i += 1;
    Some(match byte {
        0..=b' ' | 0x7f | 0xa0 => return None,
        b'\'' | b'"' | b'`' => {
            let (end, closed) = string_end(text, at + 1, byte);
            *i = end;
            if closed { Kind::Text } else { Kind::Open }
        }
        b'0'..=b'9' => {
            let word = run(text, at, |b| b.is_ascii_alphanumeric() || b == b'.');
            *i = at + number_end(&text[at..at + word]);
            if *i - at == word || !text[at + 1..at + word].iter().any(|b| *b == b'_') { Kind::Number } else { Kind::Name }
        }
        b'.' if next.is_ascii_digit() => {
            *i = at + 1 + run(text, at + 1, |b| b.is_ascii_digit());
            Kind::Number
        }
        b'a'..=b'z' | b'_' | 0x80.. => {
            *i = at + run(text, at, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | 0x80..));
            keyword(text, at, i)
        }
        b'-' if next == b'-' => {
            // `--` begins a comment that hides the rest of its line.
            *i = line_end(text, at);
            if text[at + 2..].first().is_none_or(|b| !b.is_ascii_alphanumeric()) || *i == text.len() { Kind::Rest } else { Kind::Comment }
        }
        b'#' => {
            if before.is_empty() {
                Kind::Other
            } else {
                *i = line_end(text, at);
                Kind::Rest
            }
        }
        b'/' if next == b'*' => {
            if text.get(at + 2) == Some(&b'!') {
                *i = at + 3 + run(text, at + 3, |b| b.is_ascii_digit());
                return Some(Kind::Conditional);
            }
            match memchr::memmem::find(&text[at + 2..], b"*/") {
                Some(n) => {
                    *i = at + n + 4;
                    return if n == 0 { None } else { Some(Kind::Comment) };
                }
                None => *i = text.len(),
            }
            Kind::Rest
        }
        b'*' if next == b'/' => {
            *i += 1;
            return None;
        }
        b'(' => Kind::Left,
        b')' => Kind::Right,
        b',' => Kind::Comma,
        b';' => Kind::Semicolon,
        b'@' if next == b'@' || next.is_ascii_alphabetic() => {
            *i = at + 1 + run(text, at + 1, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'.'));
            Kind::Variable
        }
        b'&' if next == b'&' => {
            *i += 1;
            Kind::And
        }
        b'|' if next == b'|' => {
            *i += 1;
            Kind::Operator
        }
        // A closing tag, and a heart.
        b'<' if matches!(next, b'/' | b'!') || text[at + 1..].starts_with(b"3 ") && text.get(at + 3).is_some_and(u8::is_ascii_alphabetic) => Kind::Other,
        b'=' | b'<' | b'>' => {
            *i = at + run(text, at, |b| matches!(b, b'=' | b'<' | b'>'));
            Kind::Compare
        }
        b'!' if next == b'=' => {
            *i += 1;
            Kind::Compare
        }
        b'!' | b'~' => Kind::Not,
        b'*' => Kind::Star,
        b'+' | b'-' | b'/' | b'%' | b'|' | b'&' | b'^' => Kind::Operator,
        b'.' => Kind::Dot,
        _ => Kind::Other,
    })
}

fn run(text: &[u8], from: usize, holds: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().take_while(|b| holds(**b)).count()
}

/// `1`, `1.5`, `1e9`, `0x3a`; what follows is a token of its own, as in `1or`.
fn number_end(word: &[u8]) -> usize {
    if word.starts_with(b"0x") {
        return 2 + run(word, 2, |b| b.is_ascii_hexdigit());
    }
    let digits = run(word, 0, |b| b.is_ascii_digit() || b == b'.');
    match word[digits..] {
        [b'e', d, ..] if d.is_ascii_digit() => digits + 1 + run(word, digits + 1, |b| b.is_ascii_digit()),
        _ => digits,
    }
}

fn line_end(text: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |n| from + n)
}

/// Behind the closing quote, and whether there is one. Doubled and escaped quotes stay inside.
fn string_end(text: &[u8], from: usize, quote: u8) -> (usize, bool) {
    let mut i = from;
    while i < text.len() {
        match text[i] {
            b'\\' if text.get(i + 1) == Some(&quote) => i += 2,
            b if b == quote => return (i + 1, true),
            _ => i += 1,
        }
    }
    (text.len(), false)
}

fn keyword(text: &[u8], at: usize, end: &mut usize) -> Kind {
    let word = &text[at..*end];
    let kind = match word {
        b"union" | b"intersect" | b"except" => Kind::Union,
        b"select" => Kind::Select,
        b"from" => Kind::From,
        b"and" => Kind::And,
        b"or" | b"xor" | b"having" | b"when" => Kind::Or,
        b"div" | b"mod" => Kind::Operator,
        b"not" => Kind::Not,
        b"null" | b"true" | b"false" => Kind::Null,
        b"like" | b"rlike" | b"regexp" | b"between" | b"in" | b"is" | b"glob" | b"similar" | b"sounds" => Kind::Like,
        b"order" | b"group" => Kind::Sort,
        b"by" => Kind::By,
        b"insert" | b"update" | b"delete" | b"drop" | b"alter" | b"create" | b"truncate" | b"exec" | b"execute" | b"declare" | b"waitfor" | b"shutdown"
        | b"merge" | b"grant" | b"revoke" | b"call" | b"handler" | b"begin" | b"replace" | b"load" | b"copy" | b"attach" | b"prepare" | b"set" | b"print" | b"use" | b"kill" => Kind::Statement,
        b"where" | b"into" | b"values" | b"table" | b"database" | b"limit" | b"offset" | b"case" | b"end" | b"then" | b"else" | b"exists"
        | b"procedure" | b"all" | b"distinct" | b"as" | b"outfile" | b"dumpfile" | b"delay" | b"time" | b"top" | b"if" | b"join" | b"collate" | b"user" | b"schema" => Kind::Keyword,
        _ => Kind::Name,
    };
    let after = *end + run(text, *end, |b| b <= b' ');
    if matches!(kind, Kind::Name | Kind::Keyword | Kind::Statement) && text.get(after) == Some(&b'(') && (kind == Kind::Name || matches!(word, b"if" | b"user" | b"schema" | b"database" | b"replace" | b"values" | b"exists")) {
        return Kind::Function;
    }
    kind
}

/// What stands before names in English and never before those of tables.
const ARTICLES: &[&str] = &["the", "a", "an", "my", "your", "our", "his", "her", "their", "its", "this", "that", "these", "those", "any", "some", "each", "every", "one"];

/// Functions that only an attack calls from a value.
const PROBES: &[&str] = &[
    "sleep", "benchmark", "pg_sleep", "extractvalue", "updatexml", "load_file", "xp_cmdshell", "randomblob", "utl_inaddr", "get_host_address", "receive_message",
    "load_extension", "sys_eval", "sys_exec", "xmltype", "generate_series", "make_set", "elt", "row_count", "gtid_subset", "json_keys", "regexp_substring",
    "user_lock", "openrowset", "pg_read_file", "lo_import", "lo_export", "dblink", "httpuritype", "name_const", "group_concat", "concat_ws",
];

/// Functions that attacks use and texts seldom: with a call's parenthesis behind them.
const FUNCTIONS: &[&str] = &[
    "char", "chr", "nchar", "concat", "ascii", "substring", "substr", "mid", "version", "user", "database", "current_user", "session_user", "system_user", "schema", "hex",
    "unhex", "cast", "convert", "count", "length", "len", "ord", "if", "ifnull", "iif", "floor", "rand", "exp", "md5", "coalesce", "nullif", "to_char", "upper",
    "lower", "left", "right", "lpad", "rpad", "instr", "locate", "position", "strcmp", "conv", "bin", "db_name", "host_name", "is_srvrolemember", "exists", "likelihood",
    "quote", "char_length", "bit_length", "min", "max", "avg", "sum", "abs", "sign", "isnull", "nvl", "decode", "reverse", "repeat", "space", "replace", "stuff", "str", "object_id", "values", "analyse",
];

/// Variables that tell about the server.
const VARIABLES: &[&str] = &["@@version", "@@hostname", "@@datadir", "@@basedir", "@@servername", "@@global", "@@version_compile_os", "@@version_comment", "@@language", "@@spid", "@@rowcount", "@@microsoftversion", "@@tmpdir", "@@secure_file_priv", "@@identity", "@@servicename", "@@version--", "@@connections"];

impl Tokens<'_> {
    fn word(&self, i: usize) -> &[u8] {
        self.list.get(i).map_or(b"", |t| &self.text[t.from..t.to])
    }

    fn kind(&self, i: usize) -> Option<Kind> {
        self.list.get(i).map(|t| t.kind)
    }

    fn is(&self, i: usize, words: &[&str]) -> bool {
        let word = self.word(i);
        words.iter().any(|w| w.as_bytes() == word)
    }

    /// An operand at `i`, and where the next token stands. Parentheses, signs and calls belong to it.
    fn operand(&self, mut i: usize) -> Option<(usize, bool)> {
        while matches!(self.kind(i), Some(Kind::Left | Kind::Not | Kind::Comment)) || self.kind(i) == Some(Kind::Operator) && self.is(i, &["+", "-"]) {
            i += 1;
        }
        let constant = match self.kind(i)? {
            Kind::Number | Kind::Text | Kind::Open | Kind::Null | Kind::Variable => true,
            Kind::Function => {
                let mut depth = 0;
                let mut j = i + 1;
                while let Some(kind) = self.kind(j) {
                    match kind {
                        Kind::Left => depth += 1,
                        Kind::Right => depth -= 1,
                        _ => {}
                    }
                    j += 1;
                    if depth == 0 {
                        break;
                    }
                }
                return Some((self.skip_right(j), true));
            }
            Kind::Select => return Some((i + 1, true)),
            Kind::Name | Kind::Keyword => {
                let mut j = i + 1;
                while self.kind(j) == Some(Kind::Dot) && matches!(self.kind(j + 1), Some(Kind::Name | Kind::Keyword)) {
                    j += 2;
                }
                return Some((self.skip_right(j), false));
            }
            _ => return None,
        };
        let mut j = i + 1;
        while self.kind(j) == Some(Kind::Operator) && matches!(self.kind(j + 1), Some(Kind::Number | Kind::Text)) {
            j += 2;
        }
        Some((self.skip_right(j), constant))
    }

    fn skip_right(&self, mut i: usize) -> usize {
        while matches!(self.kind(i), Some(Kind::Right | Kind::Comment)) {
            i += 1;
        }
        i
    }

    fn judge(&self, quoted: bool) -> Option<Seen> {
        let mut best = None;
        let mut evidence = 0.0f32;
        let bonus = if quoted { 0.15 } else { 0.0 };
        for i in 0..self.list.len() {
            let at = self.list[i].from;
            let found = match self.list[i].kind {
                Kind::Union => self.union(i, at),
                Kind::Select => self.select(i, at, bonus),
                Kind::And | Kind::Or => self.condition(i, at, quoted),
                Kind::Operator if self.is(i, &["||"]) => self.condition(i, at, quoted),
                Kind::Statement => self.statement(i, at, bonus),
                Kind::Semicolon => self.stacked(i, at),
                Kind::Function => self.call(i, at, &mut evidence),
                Kind::Sort if self.kind(i + 1) == Some(Kind::By) => self.sort(i, at, bonus),
                Kind::Conditional => seen(0.75, "a conditional comment of MySQL", at),
                Kind::Rest => self.cut_off(i, at, quoted),
                Kind::Variable if self.is(i, VARIABLES) => seen(0.55 + bonus, "a server variable", at),
                Kind::Keyword => self.keyword(i, at, bonus),
                Kind::Comment => {
                    evidence += 0.2;
                    None
                }
                Kind::Like => self.like(i, at, quoted),
                Kind::Compare if quoted && i == 1 => self.quoted_compare(i, at),
                Kind::Operator if quoted && i == 1 => self.quoted_operator(i, at),
                Kind::Name => self.system_name(i, at),
                _ => None,
            };
            best = stronger(best, found);
        }
        best = stronger(best, self.ends_the_statement(quoted));
        if evidence >= 0.4 {
            best = stronger(best, seen((0.3 + evidence / 2.0).min(0.8), "calls and comments of SQL", 0));
        }
        best
    }

    /// `z'or email notnull--`: an operator or clause right behind the closed quote, and an empty comment at the end.
    fn ends_the_statement(&self, quoted: bool) -> Option<Seen> {
        let (first, last) = (self.list.get(1)?, self.list.last()?);
        if !quoted || self.list.len() < 4 || self.list.len() > 48 || last.kind != Kind::Rest || self.text[last.from..].trim_ascii().len() > 2 {
            return None;
        }
        let clause = self.is(1, &["collate", "limit", "where", "as"]);
        let joins = clause || self.is(1, &["||"]) || matches!(first.kind, Kind::And | Kind::Or | Kind::Like | Kind::Not | Kind::Compare | Kind::Right | Kind::Union | Kind::Sort);
        let plain = self.list[1..].iter().all(|t| t.kind != Kind::Other && t.kind != Kind::Open);
        if joins && plain { seen(0.8, "a clause after a closed quote, and a comment that hides the rest", first.from) } else { None }
    }

    fn union(&self, i: usize, at: usize) -> Option<Seen> {
        let mut j = i + 1;
        while matches!(self.kind(j), Some(Kind::Left | Kind::Comment | Kind::Conditional | Kind::Other | Kind::Operator)) || self.is(j, &["all", "distinct", "distinctrow"]) {
            j += 1;
        }
        match self.kind(j) {
            Some(Kind::Select) => seen(0.97, "UNION SELECT", at),
            Some(Kind::Function) if self.is(j, &["values"]) => seen(0.9, "UNION VALUES", at),
            None if j > i + 1 && self.is(i + 1, &["all"]) && i > 0 => seen(0.6, "UNION ALL at the end", at),
            _ => None,
        }
    }

    fn select(&self, i: usize, at: usize, bonus: f32) -> Option<Seen> {
        let opened = i > 0 && self.kind(i - 1) == Some(Kind::Left);
        let mut j = i + 1;
        while self.is(j, &["distinct", "all", "top"]) || matches!(self.kind(j), Some(Kind::Comment | Kind::Left | Kind::Conditional)) {
            j += 1;
        }
        let expression = match self.kind(j)? {
            Kind::Star | Kind::Variable | Kind::Null | Kind::Function | Kind::Select => true,
            Kind::Number => matches!(self.kind(j + 1), None | Some(Kind::Comma | Kind::Right | Kind::From | Kind::Rest | Kind::Operator)) || opened,
            Kind::Text | Kind::Open => matches!(self.kind(j + 1), None | Some(Kind::Comma | Kind::Right | Kind::From | Kind::Operator | Kind::Rest)),
            _ if self.is(j, &["case"]) => (j..(j + 12).min(self.list.len())).any(|k| self.is(k, &["when"])),
            _ => self.is(j, &["if", "user"]) && !matches!(self.kind(j + 1), Some(Kind::Name | Kind::Keyword | Kind::Like | Kind::And | Kind::Or)),
        };
        let from = (j..(j + 24).min(self.list.len())).find(|k| self.kind(*k) == Some(Kind::From));
        let table = from.is_some_and(|k| matches!(self.kind(k + 1), Some(Kind::Name | Kind::Left | Kind::Text | Kind::Keyword)));
        let simple_list = from.is_some_and(|k| k == j + 1 || (j + 1..k).all(|m| matches!(self.kind(m), Some(Kind::Comma | Kind::Name | Kind::Dot | Kind::Keyword)) && (self.kind(m) != Some(Kind::Name) || matches!(self.kind(m - 1), Some(Kind::Comma | Kind::Dot)))));
        match (expression, table, opened) {
            (true, true, _) => seen(0.92, "SELECT … FROM", at),
            (true, false, true) => seen(0.85, "a subquery", at),
            (true, false, false) => seen(0.6 + bonus, "SELECT of an expression", at),
            (false, true, true) => seen(0.85, "a subquery", at),
            (false, true, false) if simple_list => {
                // "select shoes from catalog" may be said by people; a clause behind it is not.
                let table_at = from.map_or(j, |k| k + 1);
                if self.is(table_at, ARTICLES) || self.is(j, ARTICLES) {
                    return seen(0.3, "SELECT … FROM", at);
                }
                let named = (table_at..self.list.len()).take_while(|k| matches!(self.kind(*k), Some(Kind::Name | Kind::Dot | Kind::Comma | Kind::Text))).take(8).count();
                let clause_at = table_at + named;
                let clause = (clause_at..=clause_at).any(|k| match self.kind(k) {
                    Some(Kind::Rest) => true,
                    Some(Kind::Semicolon) => matches!(self.kind(k + 1), None | Some(Kind::Rest)),
                    Some(Kind::Keyword) if self.is(k, &["join", "as"]) => true,
                    Some(Kind::Sort) => self.kind(k + 1) == Some(Kind::By),
                    Some(Kind::Keyword) if self.is(k, &["limit", "offset"]) => self.kind(k + 1) == Some(Kind::Number),
                    Some(Kind::Keyword) if self.is(k, &["where"]) => self.operand(k + 1).is_some_and(|(n, _)| match self.kind(n) {
                        Some(Kind::Compare) => true,
                        Some(Kind::Like) => self.operand(n + 1).is_some_and(|(_, constant)| constant),
                        _ => false,
                    }),
                    _ => false,
                });
                let listed = (j..from.unwrap_or(j)).any(|k| matches!(self.kind(k), Some(Kind::Comma | Kind::Dot)));
                seen(if clause { 0.85 } else if listed { 0.5 + bonus } else { 0.4 + bonus }, "SELECT … FROM", at)
            }
            _ => None,
        }
    }

    /// `OR 1=1`, `AND 'a'='a`, `|| 1 --`, `HAVING 1=1`.
    fn condition(&self, i: usize, at: usize, quoted: bool) -> Option<Seen> {
        let concat = self.kind(i) == Some(Kind::Operator);
        if i == 0 && self.kind(i + 1).is_none() {
            return None;
        }
        // `"wood" and "sign"`: phrases of a search, not of a statement.
        if !quoted && self.list.iter().all(|t| matches!(t.kind, Kind::Text | Kind::And | Kind::Or | Kind::Not | Kind::Name | Kind::Left | Kind::Right)) {
            return None;
        }
        let (next, constant) = self.operand(i + 1)?;
        let after_break = quoted && self.list[..i].iter().all(|t| matches!(t.kind, Kind::Text | Kind::Right | Kind::Comment));
        let left_number = i > 0 && matches!(self.kind(i - 1), Some(Kind::Number | Kind::Text | Kind::Right)) || i == 0;
        match self.kind(next) {
            Some(Kind::Compare | Kind::Like) => {
                let negated = self.is(next, &["is", "in", "not"]);
                match self.operand(next + 1) {
                    Some((_, right)) if constant && right && !concat => seen(0.93, "a condition of constants", at),
                    Some((_, right)) if constant && right => seen(if quoted { 0.9 } else { 0.5 }, "a condition of constants", at),
                    Some(_) if after_break => seen(0.8, "a condition after a closed quote", at),
                    Some((end, _)) if i == 0 && matches!(self.kind(end), Some(Kind::Rest)) => seen(0.75, "a condition and a comment that hides the rest", at),
                    Some((_, right)) if right && left_number && !concat && !negated => seen(0.6, "a condition appended to a value", at),
                    None if constant && left_number && self.kind(next) == Some(Kind::Compare) && !concat => seen(0.7, "a comparison whose end is left to the statement", at),
                    _ => None,
                }
            }
            Some(Kind::Rest) if constant || after_break => seen(0.85, "a condition and a comment that hides the rest", at),
            None if constant && after_break => seen(if matches!(self.kind(i + 1), Some(Kind::Open)) || concat { 0.7 } else { 0.8 }, "a condition after a closed quote", at),
            Some(Kind::And | Kind::Or) if constant && (after_break || left_number) => seen(0.75, "chained conditions", at),
            None if constant && left_number && !concat && matches!(self.kind(i + 1), Some(Kind::Number | Kind::Null | Kind::Not)) && self.list.len() <= 4 => seen(0.45, "a value and a condition", at),
            Some(Kind::Semicolon) if constant && after_break => seen(0.8, "a condition that ends the statement", at),
            // `D'or 1st`, `16" or 18"`: a word or a quote right behind the operand.
            Some(Kind::Name) => None,
            Some(Kind::Open | Kind::Text) if matches!(self.kind(i + 1), Some(Kind::Number)) => None,
            _ if after_break && constant && !concat => seen(0.6, "a condition after a closed quote", at),
            _ => None,
        }
    }

    fn statement(&self, i: usize, at: usize, bonus: f32) -> Option<Seen> {
        let one = |words: &[&str]| self.is(i + 1, words);
        let score = match self.word(i) {
            b"insert" | b"replace" if one(&["into"]) => {
                let values = (i + 2..(i + 40).min(self.list.len())).any(|k| self.is(k, &["values", "select", "set"]));
                if values { 0.9 } else { 0.5 }
            }
            b"delete" if self.kind(i + 1) == Some(Kind::From) => {
                let end = self.kind(i + 3).is_none() || matches!(self.kind(i + 3), Some(Kind::Rest | Kind::Semicolon)) || self.is(i + 3, &["where"]);
                if end { 0.75 } else { 0.4 }
            }
            b"update" if (i + 2..i + 5).any(|k| self.is(k, &["set"])) && (i + 4..i + 8).any(|k| self.kind(k) == Some(Kind::Compare)) => 0.88,
            b"drop" | b"truncate" if one(&["table", "database", "schema", "user", "procedure", "view", "column", "index", "function"]) && self.kind(i + 2).is_some() => {
                // "drop table tennis from the list" goes on; a statement ends, or names what follows.
                let ends = matches!(self.kind(i + 3), None | Some(Kind::Rest | Kind::Semicolon | Kind::Comma | Kind::Dot | Kind::Comment)) || self.is(i + 3, &["cascade", "restrict", "exists"]) || self.is(i + 2, &["if"]);
                let named = matches!(self.kind(i + 2), Some(Kind::Name | Kind::Text | Kind::Left)) || self.is(i + 2, &["if", "user", "users"]);
                match (named, ends) {
                    (true, true) if i == 0 && self.list.len() > 5 => 0.55,
                    (true, true) => 0.8,
                    _ => 0.35,
                }
            }
            b"alter" | b"create" if one(&["table", "database", "user", "procedure", "login", "function"]) => {
                let named = matches!(self.kind(i + 2), Some(Kind::Name | Kind::Function | Kind::Text)) && !self.is(i + 2, ARTICLES);
                let goes_on = matches!(self.kind(i + 3), Some(Kind::Left | Kind::Dot)) || self.is(i + 3, &["add", "drop", "modify", "alter", "rename", "change", "set", "identified", "with", "as", "character"]) || matches!(self.kind(i + 2), Some(Kind::Function));
                if named && (goes_on || matches!(self.kind(i + 3), Some(Kind::Rest))) { 0.55 } else { 0.3 }
            }
            b"create" if one(&["or"]) && self.is(i + 2, &["replace"]) => 0.85,
            b"grant" if one(&["all", "select", "connect", "dba", "execute"]) => {
                let to = (i + 2..(i + 8).min(self.list.len())).any(|k| self.is(k, &["on", "to"]));
                if to { 0.6 } else { 0.3 }
            }
            b"exec" | b"execute" if self.word(i + 1).starts_with(b"xp_") || self.word(i + 1).starts_with(b"sp_") || one(&["master", "immediate"]) => 0.92,
            b"exec" | b"execute" if matches!(self.kind(i + 1), Some(Kind::Variable | Kind::Left)) => 0.6,
            b"declare" if self.kind(i + 1) == Some(Kind::Variable) => 0.85,
            b"set" if self.kind(i + 1) == Some(Kind::Variable) && self.kind(i + 2) == Some(Kind::Compare) => 0.7,
            b"waitfor" if one(&["delay", "time"]) => 0.95,
            b"shutdown" if i > 0 && (one(&["with"]) || matches!(self.kind(i + 1), Some(Kind::Rest))) => 0.8,
            b"load" if one(&["data"]) && self.is(i + 2, &["infile", "local"]) => 0.9,
            b"handler" if self.is(i + 2, &["open", "read"]) => 0.8,
            b"begin" if self.kind(i + 1) == Some(Kind::Name) && self.word(i + 1).starts_with(b"dbms_") => 0.9,
            b"attach" if one(&["database"]) => 0.7,
            b"copy" if self.is(i + 2, &["from", "to"]) && self.is(i + 3, &["program"]) => 0.9,
            _ => return None,
        };
        seen((score + bonus / 2.0).min(0.97), "a statement", at)
    }

    fn stacked(&self, i: usize, at: usize) -> Option<Seen> {
        let mut j = i + 1;
        while matches!(self.kind(j), Some(Kind::Semicolon | Kind::Comment | Kind::Left)) {
            j += 1;
        }
        match self.kind(j) {
            Some(Kind::Select) => match self.kind(j + 1) {
                Some(Kind::Star | Kind::Function | Kind::Number | Kind::Variable | Kind::Text | Kind::Left) => seen(0.9, "a stacked statement", at),
                _ => None,
            },
            Some(Kind::Rest) if i == 1 && self.kind(0) == Some(Kind::Text) => seen(0.75, "the statement is ended and its rest hidden", at),
            Some(Kind::Rest) if i > 0 && self.kind(i - 1) == Some(Kind::Right) => seen(0.6, "the statement is ended and its rest hidden", at),
            Some(Kind::Statement) => {
                let target = self.is(j + 1, &["table", "database", "into", "from", "xp_cmdshell", "delay", "user", "with"]) || matches!(self.kind(j + 1), Some(Kind::Variable | Kind::Rest));
                // "1; exec will create the case": words in a row are prose.
                let prose = matches!(self.kind(j + 1), Some(Kind::Name)) && matches!(self.kind(j + 2), Some(Kind::Name | Kind::Statement | Kind::Keyword | Kind::Like));
                let lone = self.is(j, &["shutdown", "waitfor", "truncate", "exec", "execute", "drop"]) && !prose;
                if target || lone { seen(0.85, "a stacked statement", at) } else { None }
            }
            _ => None,
        }
    }

    fn call(&self, i: usize, at: usize, evidence: &mut f32) -> Option<Seen> {
        // "left (really)" is a remark, `fn sleep(` a definition.
        let apart = self.list.get(i + 1).is_some_and(|left| left.from > self.list[i].to) && matches!(self.kind(i + 2), Some(Kind::Name)) && matches!(self.kind(i + 3), Some(Kind::Right | Kind::Name));
        let defined = i > 0 && self.is(i - 1, &["fn", "function", "def", "func", "void", "int", "public"]);
        if apart || defined {
            return None;
        }
        if self.is(i, PROBES) {
            let empty = self.kind(i + 2) == Some(Kind::Right);
            return seen(if empty { 0.4 } else { 0.88 }, "a function that only probes call", at);
        }
        if self.is(i, FUNCTIONS) {
            *evidence += 0.2;
            let first = self.kind(i + 2);
            if self.is(i, &["char", "chr", "nchar"]) && first == Some(Kind::Number) {
                let again = (i + 3..(i + 12).min(self.list.len())).any(|k| self.is(k, &["char", "chr", "nchar"]) || self.kind(k) == Some(Kind::Comma));
                return seen(if again { 0.8 } else { 0.45 }, "text hidden in character codes", at);
            }
            if self.is(i, &["version", "user", "database", "current_user", "session_user", "system_user", "db_name", "schema"]) && first == Some(Kind::Right) {
                return seen(0.55, "the server is asked for itself", at);
            }
            if matches!(first, Some(Kind::Select)) || first == Some(Kind::Left) && self.kind(i + 3) == Some(Kind::Select) {
                *evidence += 0.3;
            }
            if self.is(i, &["cast", "convert"]) && (i + 3..(i + 10).min(self.list.len())).any(|k| self.is(k, &["as", "using", "int"])) {
                return seen(0.55, "a conversion", at);
            }
            if self.is(i, &["if", "iif"]) && matches!(first, Some(Kind::Number | Kind::Left | Kind::Function)) && (i + 3..(i + 8).min(self.list.len())).any(|k| self.kind(k) == Some(Kind::Compare)) {
                return seen(0.6, "a conditional", at);
            }
        }
        None
    }

    fn sort(&self, i: usize, at: usize, bonus: f32) -> Option<Seen> {
        let lead = i > 0;
        match self.kind(i + 2) {
            Some(Kind::Number) if lead => {
                let end = matches!(self.kind(i + 3), None | Some(Kind::Rest | Kind::Comma | Kind::Right));
                seen(if end { 0.7 + bonus } else { 0.5 }, "the columns are counted", at)
            }
            Some(Kind::Number) => seen(0.5, "the columns are counted", at),
            Some(Kind::Left | Kind::Function) => seen(0.5, "sorting by an expression", at),
            Some(Kind::Name) if lead && matches!(self.kind(i + 3), Some(Kind::Rest | Kind::Or)) => seen(0.7, "grouping and a condition", at),
            _ => None,
        }
    }

    /// `admin'--`, `1)#`
    fn cut_off(&self, i: usize, at: usize, quoted: bool) -> Option<Seen> {
        let dash = self.word(i).starts_with(b"--");
        let previous = self.kind(i.checked_sub(1)?)?;
        if quoted && self.list[..i].iter().all(|t| matches!(t.kind, Kind::Text | Kind::Right | Kind::Semicolon)) {
            // `shoes' --kids --men` excludes words from a search.
            // `pass'#1!` is a password.
            let words = dash && self.word(i).get(2).is_some_and(u8::is_ascii_alphanumeric) && self.word(i).contains(&b' ') || !dash && self.word(i).get(1).is_some_and(u8::is_ascii_alphanumeric);
            return seen(if !words && (dash || self.word(i).len() < 6) { 0.7 } else { 0.4 }, "a closed quote and a comment that hides the rest", at);
        }
        let tail = self.word(i).len() <= 8;
        match previous {
            Kind::Number | Kind::Right | Kind::Null if dash && tail && i <= 3 => seen(0.4, "a value and a comment", at),
            _ => None,
        }
    }

    fn keyword(&self, i: usize, at: usize, bonus: f32) -> Option<Seen> {
        match self.word(i) {
            b"into" if self.is(i + 1, &["outfile", "dumpfile"]) => seen(0.93, "the result goes into a file", at),
            b"procedure" if self.is(i + 1, &["analyse"]) => seen(0.9, "PROCEDURE ANALYSE", at),
            b"case" if (self.is(i + 1, &["when"]) || self.operand(i + 1).is_some_and(|(n, _)| self.is(n, &["when"]))) && (i..(i + 30).min(self.list.len())).any(|k| self.is(k, &["then"])) => seen(0.7 + bonus, "a conditional", at),
            b"limit" if i > 0 && self.kind(i + 1) == Some(Kind::Number) && matches!(self.kind(i + 2), Some(Kind::Comma | Kind::Rest)) => seen(0.5 + bonus, "LIMIT", at),
            b"where" => match self.operand(i + 1) {
                Some((n, l)) if matches!(self.kind(n), Some(Kind::Compare)) => match self.operand(n + 1) {
                    Some((_, r)) if l && r => seen(0.8, "a condition of constants", at),
                    Some((_, true)) if i > 0 => seen(0.45 + bonus, "a WHERE clause", at),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// `' LIKE '%`, `' IS NULL`, `1 BETWEEN 1 AND 1`.
    fn like(&self, i: usize, at: usize, quoted: bool) -> Option<Seen> {
        if !quoted || i == 0 || i > 2 {
            return None;
        }
        let j = i + usize::from(self.kind(i + 1) == Some(Kind::Not));
        match self.kind(j + 1) {
            Some(Kind::Text | Kind::Open | Kind::Number) if !self.is(i, &["is", "in"]) => seen(0.6, "a pattern after a closed quote", at),
            Some(Kind::Null) if self.is(i, &["is"]) => seen(0.7, "a condition after a closed quote", at),
            Some(Kind::Left) if self.is(i, &["in"]) => seen(0.6, "a list after a closed quote", at),
            _ => None,
        }
    }

    /// `'='`, `'>0--`
    fn quoted_compare(&self, i: usize, at: usize) -> Option<Seen> {
        match self.kind(i + 1)? {
            Kind::Text | Kind::Open if self.list[0].to > 24 => None,
            // `"a="b"` is markup or a header parameter.
            Kind::Text | Kind::Open if self.text.get(self.list[0].to) == Some(&b'\'') && self.word(i) == b"=" => seen(if self.kind(i + 2).is_none() { 0.6 } else { 0.3 }, "a comparison after a closed quote", at),
            Kind::Number | Kind::Function if matches!(self.kind(i + 2), None | Some(Kind::Rest)) => seen(0.5, "a comparison after a closed quote", at),
            _ => None,
        }
    }

    /// `'+(select…`, `'||'a`, `'-0-'`
    fn quoted_operator(&self, i: usize, at: usize) -> Option<Seen> {
        let quote = *self.text.get(self.list[0].to)?;
        let concatenates = self.is(i, &["+", "||", "-", "*", "/", "%", "^", "|", "&"]);
        match self.kind(i + 1)? {
            Kind::Open if quote == b'\'' && self.is(i, &["||"]) => seen(0.6, "a concatenation after a closed quote", at),
            Kind::Text | Kind::Open if quote == b'\'' && concatenates && matches!(self.kind(i + 2), None) && self.list[i + 1].to - self.list[i + 1].from <= 24 => seen(0.45, "a concatenation after a closed quote", at),
            Kind::Left if matches!(self.kind(i + 2), Some(Kind::Select | Kind::Function)) => seen(0.85, "a subquery after a closed quote", at),
            Kind::Number if matches!(self.kind(i + 2), Some(Kind::Operator)) && matches!(self.kind(i + 3), Some(Kind::Open | Kind::Text)) => seen(0.6, "arithmetic after a closed quote", at),
            Kind::Function if self.is(i + 1, PROBES) => seen(0.9, "a call after a closed quote", at),
            Kind::Function if self.is(i + 1, FUNCTIONS) => seen(0.7, "a call after a closed quote", at),
            _ => None,
        }
    }

    fn system_name(&self, i: usize, at: usize) -> Option<Seen> {
        const NAMES: &[&str] = &[
            "information_schema", "xp_cmdshell", "sysobjects", "syscolumns", "sqlite_master", "pg_catalog", "utl_inaddr", "utl_http", "dbms_pipe", "dbms_lock", "ctxsys", "msysaccessobjects",
            "all_tables", "user_tables", "sp_executesql", "sp_password", "xp_regread", "xp_dirtree", "pg_database", "sp_oacreate", "pg_shadow", "sysibm", "dbms_utility", "dbms_ldap", "xp_fileexist", "sysdatabases", "pg_user",
        ];
        let word = self.word(i);
        // The words are long and rare: their first letters rule most names out.
        if word.len() < 6 || !matches!(word[0], b'i' | b'x' | b's' | b'p' | b'u' | b'd' | b'c' | b'm' | b'a') || !self.is(i, NAMES) {
            return None;
        }
        seen(if self.list.len() > 1 { 0.8 } else { 0.45 }, "a system table or procedure", at)
    }
}
