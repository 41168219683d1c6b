//! `simple_query_string`: `+` and, `|` or, `-` not, quotes, parentheses, `*` at a word's end. It has no errors: what
//! means nothing is left out, as the language defines it.
use super::{ElasticError, NESTED_MAX};
use crate::values;
use crate::{CLAUSES_MAX, Expr, QUERY_BYTES_MAX, escape_wildcard};
use event::{Column, Timestamp};

struct Reader<'a> {
    chars: Vec<char>,
    at: usize,
    and: bool,
    fields: &'a [&'static Column],
    now: Timestamp,
    clauses: usize,
}

pub(super) fn read(text: &str, and: bool, fields: &[&'static Column], now: Timestamp) -> Result<Expr, ElasticError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(ElasticError::illegal(format!("a query of more than {QUERY_BYTES_MAX} bytes")));
    }
    let mut reader = Reader { chars: text.chars().collect(), at: 0, and, fields, now, clauses: 0 };
    let mut all = Vec::new();
    while reader.at < reader.chars.len() {
        all.extend(reader.list(0)?);
        // A parenthesis that closes nothing.
        reader.at += 1;
    }
    Ok(reader.joined(all, and))
}

impl Reader<'_> {
    fn joined(&self, list: Vec<Expr>, and: bool) -> Expr {
        if and { Expr::And(list) } else { Expr::Or(list) }
    }

    /// Terms up to a closing parenthesis. `a + b | c d`: a sign joins what stands before it with what follows.
    fn list(&mut self, depth: usize) -> Result<Option<Expr>, ElasticError> {
        let mut so_far: Option<Expr> = None;
        let mut join = None;
        let mut not = false;
        while let Some(c) = self.chars.get(self.at).copied().filter(|c| *c != ')') {
            match c {
                '+' | '|' => {
                    join = Some(c == '+');
                    self.at += 1;
                    continue;
                }
                '-' => {
                    not = !not;
                    self.at += 1;
                    continue;
                }
                c if c.is_whitespace() => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            let Some(term) = self.term(depth)? else { continue };
            let term = if std::mem::take(&mut not) { Expr::Not(Box::new(term)) } else { term };
            let and = join.take().unwrap_or(self.and);
            so_far = Some(match so_far {
                None => term,
                Some(before) => self.joined(vec![before, term], and).simplify(),
            });
        }
        Ok(so_far)
    }

    fn term(&mut self, depth: usize) -> Result<Option<Expr>, ElasticError> {
        self.clauses += 1;
        if self.clauses > CLAUSES_MAX || depth > NESTED_MAX {
            return Err(ElasticError::illegal(format!("more than {CLAUSES_MAX} terms, or more than {NESTED_MAX} parentheses within each other")));
        }
        match self.chars[self.at] {
            '(' => {
                self.at += 1;
                let inner = self.list(depth + 1)?;
                self.at += 1;
                Ok(inner)
            }
            '"' => {
                let text = self.quoted();
                self.skip_tilde()?;
                Ok(self.anywhere(&text, false))
            }
            _ => {
                let (text, prefix) = self.word();
                self.skip_tilde()?;
                Ok(self.anywhere(&text, prefix))
            }
        }
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        self.at += 1;
        while let Some(c) = self.chars.get(self.at).copied() {
            self.at += 1;
            match c {
                '"' => break,
                '\\' => {
                    text.extend(self.chars.get(self.at));
                    self.at += 1;
                }
                c => text.push(c),
            }
        }
        text
    }

    fn word(&mut self) -> (String, bool) {
        let mut text = String::new();
        let mut prefix = false;
        while let Some(c) = self.chars.get(self.at).copied() {
            if c.is_whitespace() || matches!(c, '(' | ')' | '"' | '|' | '+' | '~') {
                break;
            }
            self.at += 1;
            prefix = c == '*';
            match c {
                '\\' => {
                    text.extend(self.chars.get(self.at));
                    self.at += 1;
                }
                c => text.push(c),
            }
        }
        if prefix {
            text.pop();
        }
        (text, prefix)
    }

    fn skip_tilde(&mut self) -> Result<(), ElasticError> {
        match self.chars.get(self.at) {
            Some('~') => Err(ElasticError::illegal("[simple_query_string] similar words and words near each other (~) are not supported")),
            _ => Ok(()),
        }
    }

    /// A term in the fields that can hold it; none if it says nothing.
    fn anywhere(&self, text: &str, prefix: bool) -> Option<Expr> {
        let pattern = format!("{}*", escape_wildcard(text));
        if self.fields.is_empty() {
            if text.is_empty() && prefix {
                return Some(Expr::All);
            }
            let words = if prefix { values::word_pattern(&pattern) } else { values::phrase(text) };
            return words.ok().map(Expr::Text);
        }
        let any: Vec<Expr> = self
            .fields
            .iter()
            .filter_map(|column| if prefix { values::pattern(column, &pattern).ok() } else { values::equal(column, text, self.now).ok() })
            .collect();
        // A value that no field can have matches nothing.
        (!text.is_empty()).then_some(Expr::Or(any))
    }
}
