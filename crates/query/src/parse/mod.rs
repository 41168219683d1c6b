//! The query bar's language: Lucene's syntax as people know it from Kibana (docs/search.md is its manual).
//!
//! It differs where Lucene's reading surprises: words side by side must all be there, a `/` begins a regular
//! expression only where one is closed, and what would be ignored or guessed at is an error that says what to write.
mod lexer;
mod sequence;

use crate::fields::shortened;
use crate::values::{self, End, Wrong};
use crate::{Expr, QueryError, field};
use event::{Column, Kind, Timestamp};
use lexer::{Lexer, Token};
use sequence::{Item, Join, Sign};

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Conditions in one query.
pub const CLAUSES_MAX: usize = 1_024;
/// Parentheses within parentheses.
pub const DEPTH_MAX: usize = 32;

/// Reads a query; an empty one asks for every event. `now` is what the word means in times.
///
/// The result is simplified (see [`Expr::simplify`]), and its `Display` form is read as the same expression.
pub fn parse(text: &str, now: Timestamp) -> Result<Expr, QueryError> {
    parse_as(text, now, &Dialect::default())
}

/// How Elasticsearch's `query_string` differs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialect {
    /// Terms side by side are Lucene's optional clauses.
    pub or: bool,
    /// `and`, `or` and `not` are words and not taken for misspelt operators.
    pub lower_case_words: bool,
    /// Where terms without a field are looked for; none is anywhere.
    pub fields: Vec<&'static Column>,
}

pub(crate) fn parse_as(text: &str, now: Timestamp, dialect: &Dialect) -> Result<Expr, QueryError> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(QueryError {
            message: format!("a query of more than {QUERY_BYTES_MAX} bytes"),
            column: text.floor_char_boundary(QUERY_BYTES_MAX).min(text.len()),
            hint: Some("search for part of it".into()),
        }
        .in_chars(text));
    }
    let mut parser = Parser { lexer: Lexer::new(text), now, dialect, depth: 0, clauses: 0 };
    if parser.lexer.is_end() {
        return Ok(Expr::All);
    }
    let expr = parser.list(None)?;
    if parser.lexer.peek() == Some(')') {
        return Err(parser.lexer.error("this ) closes nothing", r#"remove it, or put it in quotes: ")""#));
    }
    Ok(expr.simplify())
}

impl QueryError {
    /// With a column counted in bytes turned into characters.
    fn in_chars(mut self, text: &str) -> Self {
        self.column = text[..self.column].chars().count();
        self
    }
}

struct Parser<'a> {
    lexer: Lexer,
    now: Timestamp,
    dialect: &'a Dialect,
    depth: usize,
    clauses: usize,
}

/// Where a term's value is looked for.
#[derive(Clone, Copy)]
struct Scope {
    column: &'static Column,
    /// Behind the colon itself and not within parentheses, where operators count.
    direct: bool,
}

type Parsed<T> = Result<T, QueryError>;

impl Parser<'_> {
    /// Conditions up to a closing parenthesis or the end.
    fn list(&mut self, scope: Option<Scope>) -> Parsed<Expr> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            if matches!(self.lexer.peek_solid(), None | Some(')')) && !items.is_empty() {
                break;
            }
            let at = self.lexer.at();
            let join = match self.lexer.operator() {
                Some(join) if items.is_empty() => {
                    return Err(self.lexer.error_at(at, format!("{join} needs a condition before it"), "put it in quotes to look for the word"));
                }
                Some(join) => join,
                None => Join::Implicit,
            };
            if join != Join::Implicit && matches!(self.lexer.peek(), None | Some(')')) {
                return Err(self.lexer.error_at(at, format!("{join} needs a condition behind it"), "write one, or remove the operator"));
            }
            let item = Item { join, at: self.lexer.at(), ..self.signed(scope)? };
            if let (Some(Scope { column, .. }), Some(before)) = (scope, items.last()) {
                self.one_value_only(column, before, &item)?;
            }
            items.push(item);
        }
        Ok(match self.dialect.or {
            true => sequence::any(items),
            false => sequence::all(items),
        })
    }

    /// `status:(Failure Unknown)` asks for two values of one column at once: surely either is meant.
    fn one_value_only(&self, column: &Column, before: &Item, item: &Item) -> Parsed<()> {
        let plain = |i: &Item| i.sign == Sign::None && matches!(i.expr, Expr::Field(_, crate::Test::OneOf(_)));
        if self.dialect.or || item.join != Join::Implicit || column.kind == Kind::TextList || !plain(before) || !plain(item) {
            return Ok(());
        }
        Err(self.lexer.error_at(
            item.at,
            format!("{} has one value and cannot be both", column.path),
            format!("write OR between the values: {}:(… OR …)", column.path),
        ))
    }

    /// A term with the signs before it.
    fn signed(&mut self, scope: Option<Scope>) -> Parsed<Item> {
        let start = self.lexer.at();
        let (mut not, mut must) = (false, false);
        while let Some(sign) = self.lexer.sign() {
            match sign {
                '+' => must = true,
                _ => not = !not,
            }
            self.lexer.skip_space();
            if matches!(self.lexer.peek(), None | Some(')')) {
                return Err(self.lexer.error_at(start, "there is nothing behind this sign", "write a condition, or remove it"));
            }
        }
        let expr = self.term(scope)?;
        let sign = match (not, must) {
            (true, _) => Sign::Not,
            (_, true) => Sign::Must,
            _ => Sign::None,
        };
        Ok(Item { join: Join::Implicit, sign, expr, at: start })
    }

    fn term(&mut self, scope: Option<Scope>) -> Parsed<Expr> {
        match self.lexer.peek() {
            None => Err(self.lexer.error("something is missing at the end", "write a condition")),
            Some('(') => self.group(scope),
            Some(_) => {
                self.count(self.lexer.at())?;
                self.leaf(scope)
            }
        }
    }

    fn leaf(&mut self, scope: Option<Scope>) -> Parsed<Expr> {
        let at = self.lexer.at();
        let expr = match (self.lexer.peek(), scope) {
            (Some('"'), _) => {
                let text = self.lexer.quoted()?;
                self.quoted(scope, at, &text)?
            }
            (Some('[' | '{'), Some(scope)) => self.range(scope.column)?,
            (Some('<' | '>'), Some(scope)) => self.comparison(scope.column)?,
            (Some('~'), Some(scope)) => self.part(scope.column)?,
            (Some('/'), Some(scope)) if self.lexer.regex_ahead()? => self.regex(scope.column)?,
            (Some('[' | '{' | '<' | '>'), None) => {
                let hint = "write http_response.code:[400 TO 499], or put the text in quotes";
                return Err(self.lexer.error("a range needs a field before it", hint));
            }
            _ => return self.bare(scope),
        };
        self.lexer.suffix()?;
        Ok(expr)
    }

    fn count(&mut self, at: usize) -> Parsed<()> {
        self.clauses += 1;
        match self.clauses > CLAUSES_MAX {
            true => Err(self.lexer.error_at(at, format!("more than {CLAUSES_MAX} conditions"), "ask for fewer at once; a block of addresses or a pattern stands for many values")),
            false => Ok(()),
        }
    }

    fn group(&mut self, scope: Option<Scope>) -> Parsed<Expr> {
        let open = self.lexer.at();
        // The parentheses of a list of values do not count: the normalised form has them where the query had none.
        let level = usize::from(!scope.is_some_and(|s| s.direct));
        self.depth += level;
        if self.depth > DEPTH_MAX {
            return Err(self.lexer.error(format!("more than {DEPTH_MAX} parentheses within each other"), "write it with fewer"));
        }
        self.lexer.bump();
        if self.lexer.peek_solid().is_none() {
            return Err(self.unclosed(open));
        }
        if self.lexer.peek() == Some(')') {
            return Err(self.lexer.error_at(open, "there is nothing between these parentheses", r#"write a condition, or put them in quotes: "()""#));
        }
        let expr = self.list(scope.map(|s| Scope { direct: false, ..s }))?;
        if self.lexer.peek() != Some(')') {
            return Err(self.unclosed(open));
        }
        self.lexer.bump();
        self.lexer.suffix()?;
        self.depth -= level;
        Ok(expr)
    }

    fn unclosed(&self, open: usize) -> QueryError {
        self.lexer.error_at(open, "this ( is never closed", r#"add the ), or put it in quotes: "(""#)
    }

    /// A term that no sign begins: a word, or a field and what follows its colon.
    fn bare(&mut self, scope: Option<Scope>) -> Parsed<Expr> {
        let at = self.lexer.at();
        if let Some(scope) = scope {
            let token = self.lexer.token(false)?;
            return self.bare_value(scope, at, token);
        }
        let token = self.lexer.token(true)?;
        if !self.lexer.eat(':') {
            return self.bare_word(at, &token);
        }
        let name = token.text();
        if name == "*" {
            let value = self.lexer.token(false)?;
            return match value.text().as_str() {
                "*" => Ok(Expr::All),
                _ => Err(self.lexer.error_at(at, "*: stands before * only", "leave it out to look for text anywhere")),
            };
        }
        if name == "_exists_" {
            return self.exists();
        }
        let column = field(&name).map_err(|e| self.misplaced(e, at))?;
        self.lexer.skip_space();
        if matches!(self.lexer.peek(), None | Some(')')) {
            return Err(self.lexer.error_at(at, format!("{name} has no value"), format!("write {name}:* for any value")));
        }
        let scope = Some(Scope { column, direct: true });
        match self.lexer.peek() {
            Some('(') => self.group(scope),
            _ => self.leaf(scope),
        }
    }

    /// `http://…` is text and not a field: say so.
    fn misplaced(&self, error: QueryError, at: usize) -> QueryError {
        let hint = match self.lexer.peek() {
            Some('/') => Some("put the text in quotes if it is not a field but text to look for".to_owned()),
            _ => error.hint,
        };
        QueryError { column: at, hint, ..error }
    }

    fn exists(&mut self) -> Parsed<Expr> {
        self.lexer.skip_space();
        let at = self.lexer.at();
        let name = match self.lexer.peek() {
            Some('"') => self.lexer.quoted()?,
            _ => self.lexer.token(false)?.text(),
        };
        let column = field(&name).map_err(|e| QueryError { column: at, ..e })?;
        Ok(Expr::Field(column, crate::Test::Exists))
    }

    fn bare_value(&mut self, scope: Scope, at: usize, token: Token) -> Parsed<Expr> {
        let raw = token.raw();
        if !scope.direct && let Some((head, _)) = raw.split_once(':') && field(head).is_ok() {
            return Err(self.lexer.error_at(at, format!("a field within the values of {}", scope.column.path), "close the parentheses first"));
        }
        if matches!(raw.as_str(), "AND" | "OR" | "NOT" | "&&" | "||") {
            return Err(self.lexer.error_at(at, format!("{raw} stands where a value should"), format!(r#"write a value, or "{raw}" in quotes"#)));
        }
        if !scope.direct {
            self.no_operator(at, &raw)?;
        }
        let expr = match token.is_pattern() {
            true => values::pattern(scope.column, &token.pattern()),
            false => values::equal(scope.column, &token.text(), self.now),
        };
        expr.map_err(|w| self.at(at, w))
    }

    fn no_operator(&self, at: usize, raw: &str) -> Parsed<()> {
        if self.dialect.lower_case_words || !matches!(raw, "and" | "or" | "not") {
            return Ok(());
        }
        let upper = raw.to_uppercase();
        Err(self.lexer.error_at(at, format!("{raw:?} in small letters is no operator"), format!(r#"write {upper}, or "{raw}" in quotes to look for the word"#)))
    }

    fn bare_word(&mut self, at: usize, token: &Token) -> Parsed<Expr> {
        let raw = token.raw();
        if matches!(raw.as_str(), "AND" | "OR" | "NOT" | "&&" | "||") {
            return Err(self.lexer.error_at(at, format!("{raw} stands where a condition should"), format!(r#"remove it, or look for the word in quotes: "{raw}""#)));
        }
        self.no_operator(at, &raw)?;
        if raw == "*" {
            return Ok(Expr::All);
        }
        if !self.dialect.fields.is_empty() {
            return self.in_fields(at, |column, now| match token.is_pattern() {
                true => values::pattern(column, &token.pattern()),
                false => values::equal(column, &token.text(), now),
            });
        }
        let words = match token.is_pattern() {
            true => values::word_pattern(&token.pattern()),
            false => values::phrase(&token.text()),
        };
        words.map(Expr::Text).map_err(|w| self.at(at, w))
    }

    /// A quoted value.
    fn quoted(&self, scope: Option<Scope>, at: usize, text: &str) -> Parsed<Expr> {
        match scope {
            Some(scope) => values::equal(scope.column, text, self.now).map_err(|w| self.at(at, w)),
            None if self.dialect.fields.is_empty() => values::phrase(text).map(Expr::Text).map_err(|w| self.at(at, w)),
            None => self.in_fields(at, |column, now| values::equal(column, text, now)),
        }
    }

    /// A term in any of the default fields that can hold it.
    fn in_fields(&self, at: usize, test: impl Fn(&'static Column, Timestamp) -> Result<Expr, Wrong>) -> Parsed<Expr> {
        let mut any = Vec::new();
        let mut refused = None;
        for column in &self.dialect.fields {
            match test(column, self.now) {
                Ok(expr) => any.push(expr),
                Err(wrong) => refused = Some(wrong),
            }
        }
        match (any.is_empty(), refused) {
            (true, Some(wrong)) => Err(self.at(at, wrong)),
            _ => Ok(Expr::Or(any)),
        }
    }

    fn at(&self, at: usize, wrong: Wrong) -> QueryError {
        QueryError { message: wrong.message, column: at, hint: wrong.hint }
    }

    /// `[a TO b]`, `{a TO b}` or a mixture.
    fn range(&mut self, column: &'static Column) -> Parsed<Expr> {
        let at = self.lexer.at();
        let including = self.lexer.bump() == Some('[');
        let low = self.lexer.range_end(at)?;
        self.lexer.skip_space();
        let to = self.lexer.at();
        if self.lexer.range_end(at)? != Some("TO".into()) {
            return Err(self.lexer.error_at(to, "TO is missing in the range", "write [1 TO 5]; {1 TO 5} leaves the ends out, * is an open end"));
        }
        let high = self.lexer.range_end(at)?;
        self.lexer.skip_space();
        let included = match self.lexer.bump() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(self.lexer.error_at(at, "the range is never closed", "write [1 TO 5]; values with spaces need quotes")),
        };
        let end = |value: &Option<String>, including| match value {
            None => End::Open,
            Some(_) if including => End::Including(()),
            Some(_) => End::Excluding(()),
        };
        let text = |end: End<()>, value| match end {
            End::Open => End::Open,
            End::Including(()) => End::Including(value),
            End::Excluding(()) => End::Excluding(value),
        };
        let (from, to) = (end(&low, including), end(&high, included));
        let (low, high) = (low.unwrap_or_default(), high.unwrap_or_default());
        values::range(column, text(from, low.as_str()), text(to, high.as_str()), self.now).map_err(|w| self.at(at, w))
    }

    /// `>=5` and its relatives.
    fn comparison(&mut self, column: &'static Column) -> Parsed<Expr> {
        let at = self.lexer.at();
        let greater = self.lexer.bump() == Some('>');
        let including = self.lexer.eat('=');
        self.lexer.skip_space();
        let text = match self.lexer.peek() {
            Some('"') => self.lexer.quoted()?,
            None | Some(')') => return Err(self.lexer.error_at(at, "the value to compare with is missing", format!("write {}:>=500", column.path))),
            _ => self.lexer.token(false)?.text(),
        };
        let end = if including { End::Including(text.as_str()) } else { End::Excluding(text.as_str()) };
        let (low, high) = if greater { (end, End::Open) } else { (End::Open, end) };
        values::range(column, low, high, self.now).map_err(|w| self.at(at, w))
    }

    /// `~part`, in any case of letters.
    fn part(&mut self, column: &'static Column) -> Parsed<Expr> {
        let at = self.lexer.at();
        self.lexer.bump();
        let text = match self.lexer.peek() {
            Some('"') => self.lexer.quoted()?,
            None => String::new(),
            Some(c) if c.is_whitespace() || c == ')' => String::new(),
            _ => self.lexer.token(false)?.text(),
        };
        values::contains(column, &text).map_err(|w| self.at(at, w))
    }

    fn regex(&mut self, column: &'static Column) -> Parsed<Expr> {
        let at = self.lexer.at();
        let pattern = self.lexer.regex();
        if values::is_plain(&pattern) {
            return Err(self.lexer.error_at(
                at,
                format!("/{}/ is a regular expression without special characters", shortened(&pattern)),
                format!(r#"write "/{0}/" for the text with its slashes, or {0} without them"#, shortened(&pattern)),
            ));
        }
        values::regex(column, &pattern).map_err(|w| self.at(at, w))
    }
}

#[cfg(test)]
mod manual;
#[cfg(test)]
mod tests;
