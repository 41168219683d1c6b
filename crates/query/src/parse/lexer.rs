//! Characters into tokens; positions are characters from 0, as errors give them.
use super::sequence::Join;
use crate::{QueryError, escape_wildcard};

pub(super) struct Lexer {
    chars: Vec<char>,
    at: usize,
}

/// A run of characters with a mark on those that a backslash took the meaning from.
pub(super) struct Token(Vec<(char, bool)>);

impl Token {
    /// What is meant, without the backslashes.
    pub fn text(&self) -> String {
        self.0.iter().map(|(c, _)| *c).collect()
    }
    /// As written, for operators: an escaped character is not itself.
    pub fn raw(&self) -> String {
        self.0.iter().map(|(c, escaped)| if *escaped { '\\' } else { *c }).collect()
    }
    pub fn is_pattern(&self) -> bool {
        self.0.iter().any(|(c, escaped)| !escaped && matches!(c, '*' | '?'))
    }
    pub fn pattern(&self) -> String {
        let mut pattern = String::new();
        for (c, escaped) in &self.0 {
            match c {
                '*' | '?' if !escaped => pattern.push(*c),
                c => pattern.push_str(&escape_wildcard(c.encode_utf8(&mut [0; 4]))),
            }
        }
        pattern
    }
}

impl Lexer {
    pub fn new(text: &str) -> Self {
        let mut lexer = Self { chars: text.chars().collect(), at: 0 };
        lexer.skip_space();
        lexer
    }

    pub fn at(&self) -> usize {
        self.at
    }
    pub fn is_end(&self) -> bool {
        self.at == self.chars.len()
    }
    pub fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }
    pub fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }
    pub fn eat(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        self.at += usize::from(there);
        there
    }
    pub fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }
    /// The next character that is no space.
    pub fn peek_solid(&mut self) -> Option<char> {
        self.skip_space();
        self.peek()
    }

    pub fn error(&self, message: impl Into<String>, hint: impl Into<String>) -> QueryError {
        self.error_at(self.at, message, hint)
    }
    pub fn error_at(&self, column: usize, message: impl Into<String>, hint: impl Into<String>) -> QueryError {
        QueryError { message: message.into(), column, hint: Some(hint.into()) }
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.chars.get(self.at + i) == Some(&c))
    }
    /// Whether the word ends here: what follows cannot be part of it.
    fn ends_at(&self, at: usize) -> bool {
        self.chars.get(at).is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
    }

    /// An operator between conditions, and the space around it.
    pub fn operator(&mut self) -> Option<Join> {
        self.skip_space();
        let (join, len) = if self.starts_with("&&") {
            (Join::And, 2)
        } else if self.starts_with("||") {
            (Join::Or, 2)
        } else if self.starts_with("AND") && self.ends_at(self.at + 3) {
            (Join::And, 3)
        } else if self.starts_with("OR") && self.ends_at(self.at + 2) {
            (Join::Or, 2)
        } else {
            return None;
        };
        self.at += len;
        self.skip_space();
        Some(join)
    }

    /// `NOT`, or a sign right before a condition.
    pub fn sign(&mut self) -> Option<char> {
        if self.starts_with("NOT") && self.ends_at(self.at + 3) {
            self.at += 3;
            return Some('!');
        }
        let sign = self.peek().filter(|c| matches!(c, '!' | '+' | '-'))?;
        let alone = self.chars.get(self.at + 1).is_none_or(|c| c.is_whitespace());
        if alone && sign != '!' {
            return None;
        }
        self.at += 1;
        Some(sign)
    }

    /// A run of characters up to a space, a parenthesis, a quotation mark or a doubled operator; up to the colon of a
    /// field, if there may be one. A boost (`^2`) at its end is left out: nothing here is ranked.
    pub fn token(&mut self, field: bool) -> Result<Token, QueryError> {
        let start = self.at;
        let mut token: Vec<(char, bool)> = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() => break,
                '(' | ')' | '"' => break,
                ':' if field => break,
                '&' | '|' if self.chars.get(self.at + 1) == Some(&c) => break,
                '\\' => {
                    let Some(escaped) = self.chars.get(self.at + 1) else {
                        return Err(self.error(r"there is nothing behind this \", r"write \\ for the sign itself"));
                    };
                    token.push((*escaped, true));
                    self.at += 2;
                    continue;
                }
                _ => {}
            }
            token.push((c, false));
            self.at += 1;
        }
        if token.is_empty() {
            return Err(self.error_at(start, "something is missing here", "write a word, a value in quotes, or field:value"));
        }
        let at_colon = field && self.peek() == Some(':');
        if !at_colon {
            trim_suffix(&mut token).map_err(|()| self.fuzzy(start))?;
        }
        Ok(Token(token))
    }

    fn fuzzy(&self, at: usize) -> QueryError {
        self.error_at(at, "similar words and words near each other (~) are not supported", r#"write a pattern such as adm*n, or put a text that ends in ~ in quotes"#)
    }

    /// What may follow a quoted text, a range or a parenthesis: a boost, which is left out.
    pub fn suffix(&mut self) -> Result<(), QueryError> {
        match self.peek() {
            Some('~') => Err(self.fuzzy(self.at)),
            Some('^') => {
                self.at += 1;
                while self.peek().is_some_and(|c| c.is_ascii_digit() || c == '.') {
                    self.at += 1;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A text in quotation marks; `\` takes the meaning from the next character.
    pub fn quoted(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') if !self.is_end() => text.extend(self.bump()),
                Some(c) => text.push(c),
                None => return Err(self.error_at(open, "the quotation mark is never closed", r#"add one, or write \" for the sign itself"#)),
            }
        }
    }

    /// One value of a range; `*` is none.
    pub fn range_end(&mut self, open: usize) -> Result<Option<String>, QueryError> {
        self.skip_space();
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !matches!(c, ']' | '}')) {
            self.at += 1;
            text.push(if c == '\\' { self.bump().unwrap_or(c) } else { c });
        }
        match text.as_str() {
            "" => Err(self.error_at(open, "the range is not complete", "write [1 TO 5]; {1 TO 5} leaves the ends out, * is an open end")),
            "*" => Ok(None),
            _ => Ok(Some(text)),
        }
    }

    /// The place of the slash that ends a regular expression that begins here: the next one, if nothing is joined to
    /// it. `url.path:/etc/passwd` has none.
    fn regex_end(&self) -> Option<usize> {
        let mut at = self.at + 1;
        loop {
            match self.chars.get(at)? {
                '\\' => at += 2,
                '/' => break,
                _ => at += 1,
            }
        }
        let suffix = self.chars.get(at + 1).is_some_and(|c| matches!(c, '^' | '~'));
        (at > self.at + 1 && (suffix || self.ends_at(at + 1))).then_some(at)
    }

    /// Whether a regular expression begins at this slash.
    pub fn regex_ahead(&self) -> Result<bool, QueryError> {
        let Some(end) = self.regex_end() else { return Ok(false) };
        let inner = &self.chars[self.at + 1..end];
        let space = inner.iter().enumerate().any(|(i, c)| c.is_whitespace() && (i == 0 || inner[i - 1] != '\\'));
        match space {
            true => Err(self.error(
                "a regular expression with a space, or two values that begin with /",
                r#"write \s for the space; put a value that begins with / in quotes"#,
            )),
            false => Ok(true),
        }
    }

    /// What stands between the slashes; only after [`Lexer::regex_ahead`].
    pub fn regex(&mut self) -> String {
        let end = self.regex_end().unwrap_or(self.at);
        let pattern = self.chars[self.at + 1..end].iter().collect();
        self.at = end + 1;
        pattern
    }
}

/// Cuts off `^2`; `~` and `~2` are not understood.
fn trim_suffix(token: &mut Vec<(char, bool)>) -> Result<(), ()> {
    let digits = token.iter().rev().take_while(|(c, _)| c.is_ascii_digit() || *c == '.').count();
    let sign = (token.len() - digits).checked_sub(1).map(|i| (i, token[i]));
    match sign {
        Some((i, ('^', false))) if digits > 0 && i > 0 => token.truncate(i),
        Some((i, ('~', false))) if i > 0 => return Err(()),
        _ => {}
    }
    Ok(())
}
