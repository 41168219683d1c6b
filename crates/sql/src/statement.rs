//! One statement: read, checked to be one that only reads, and its dotted paths turned into columns.
//!
//! The lake's columns have dots in their names (`src_endpoint.ip`), which SQL reads as table and column. So each
//! dotted path that is the OCSF path or an ECS name of a column becomes that column's quoted name before
//! planning: `source.ip`, `src_endpoint.ip`, `e.src_endpoint.ip` and `src_endpoint['ip']` all mean
//! `"src_endpoint.ip"`. A path that begins like a column and is none is refused here, with the nearest name.

use crate::error::SqlError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Ident, ObjectName, Query, SelectItem, SetExpr, Statement as Ast, Subscript, TableFactor, Value,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};
use event::COLUMNS;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Bytes of a statement.
pub const SQL_BYTES_MAX: usize = 64 << 10;
/// Words, numbers and signs of a statement: its syntax tree is walked recursively.
pub const TOKENS_MAX: usize = 4_000;
/// Signs of arithmetic and `||`: planning a chain of them takes time by the cube of its length, and cannot be
/// interrupted.
pub const OPERATORS_MAX: usize = 200;
/// Brackets and subqueries inside one another.
const DEPTH_MAX: usize = 48;

/// A statement that only reads.
pub(crate) struct Checked {
    pub statement: Statement,
    /// Whether it is a query, which a limit can be put around.
    pub query: bool,
    /// Lower-case names after FROM and JOIN, those of the statement's own WITH among them.
    pub tables: BTreeSet<String>,
    /// Result columns that were asked for by another name than the lake's.
    pub renames: Vec<(usize, String)>,
}

/// Line and column from 1, as the parser counts: in characters.
pub(crate) struct Place {
    pub line: u64,
    pub column: u64,
}

impl Place {
    /// The character of the text, from 0.
    pub fn offset(&self, sql: &str) -> Option<usize> {
        let before: usize = sql.split('\n').take(self.line.checked_sub(1)? as usize).map(|l| l.chars().count() + 1).sum();
        Some((before + self.column.checked_sub(1)? as usize).min(sql.chars().count()))
    }

    /// Takes ` at Line: 1, Column: 8` off a message.
    pub fn cut(message: &str) -> (String, Option<Self>) {
        let Some((text, rest)) = message.split_once(" at Line: ") else { return (message.to_owned(), None) };
        let place = (|| {
            let (line, rest) = rest.split_once(", Column: ")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            Some(Self { line: line.parse().ok()?, column: digits.parse().ok()? })
        })();
        (text.to_owned(), place)
    }
}

fn offset(span: Span, sql: &str) -> Option<usize> {
    Place { line: span.start.line, column: span.start.column }.offset(sql)
}

/// Reads and checks.
pub(crate) fn read(sql: &str) -> Result<Checked, SqlError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(SqlError::bad(format!("the statement has {} bytes; at most {SQL_BYTES_MAX} are read", sql.len())));
    }
    let tokens = tokens(sql)?;
    let dialect = GenericDialect {};
    let parser = DFParserBuilder::new(tokens).with_dialect(&dialect).with_recursion_limit(DEPTH_MAX).build();
    let parsed = parser.and_then(|mut p| p.parse_statements()).map_err(|e| match crate::error::explain(e, sql, 0) {
        SqlError::Bad { message, .. } if message.contains("recursion") || message.contains("Recursion") => {
            SqlError::bad(format!("brackets or subqueries are more than {DEPTH_MAX} deep"))
        }
        other => other,
    })?;
    let mut parsed = parsed.into_iter();
    let (Some(statement), None) = (parsed.next(), parsed.next()) else {
        return Err(SqlError::bad("write one statement"));
    };
    check(statement, sql)
}

fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().map_err(|e| {
        let (text, place) = Place::cut(&e.to_string());
        SqlError::at(text, place.and_then(|p| p.offset(sql)), None)
    });
    let mut tokens = tokens?;
    let count = tokens.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
    if count > TOKENS_MAX {
        let hint = Some("a long list of values is shorter as IN (…)".to_owned());
        return Err(SqlError::at(format!("the statement has {count} words and signs; at most {TOKENS_MAX} are read"), None, hint));
    }
    let operator = |t: &&TokenWithSpan| matches!(t.token, Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod | Token::StringConcat);
    let operators = tokens.iter().filter(operator).count();
    if operators > OPERATORS_MAX {
        return Err(SqlError::bad(format!("the statement has {operators} signs of arithmetic; at most {OPERATORS_MAX} are read")));
    }
    // A word before a dot is a name: `user.name` is not the function USER.
    for i in 1..tokens.len() {
        let (before, after) = tokens.split_at_mut(i);
        if let (Some(TokenWithSpan { token: Token::Word(word), .. }), Token::Period) = (before.last_mut(), &after[0].token) {
            word.keyword = Keyword::NoKeyword;
        }
    }
    Ok(tokens)
}

fn check(mut statement: Statement, sql: &str) -> Result<Checked, SqlError> {
    let mut reader = Reader { sql, relations: BTreeSet::new(), tables: BTreeSet::new(), collecting: true };
    let mut renames = Vec::new();
    let query = match &mut statement {
        Statement::Statement(ast) => {
            let query = matches!(**ast, Ast::Query(_));
            reader.check(ast, &mut renames)?;
            query
        }
        Statement::Explain(explain) => match &mut *explain.statement {
            Statement::Statement(ast) if matches!(**ast, Ast::Query(_)) => {
                reader.check(ast, &mut Vec::new())?;
                false
            }
            _ => return Err(refused("EXPLAIN of anything but a SELECT")),
        },
        Statement::CopyTo(_) => return Err(refused("COPY")),
        Statement::CreateExternalTable(_) => return Err(refused("CREATE EXTERNAL TABLE")),
        Statement::Reset(_) => return Err(refused("RESET")),
    };
    Ok(Checked { statement, query, tables: reader.tables, renames })
}

fn refused(what: &str) -> SqlError {
    SqlError::bad(format!("{what} is not allowed: SQL here only reads (SELECT, WITH, EXPLAIN, SHOW TABLES, SHOW COLUMNS, DESCRIBE)"))
}

/// Walks the tree twice: first for the names of relations, then for refusals and paths.
struct Reader<'a> {
    sql: &'a str,
    /// Tables, aliases and WITH names, lower-case.
    relations: BTreeSet<String>,
    tables: BTreeSet<String>,
    collecting: bool,
}

impl Reader<'_> {
    fn check(&mut self, ast: &mut Ast, renames: &mut Vec<(usize, String)>) -> Result<(), SqlError> {
        match ast {
            Ast::Query(query) => {
                self.walk(query)?;
                *renames = self.renames(query);
                self.collecting = false;
                self.walk(query)
            }
            Ast::ExplainTable { .. } | Ast::ShowTables { .. } | Ast::ShowColumns { .. } | Ast::ShowFunctions { .. } => Ok(()),
            other => {
                // The first words name it: the text of the rest may be long.
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(2).collect();
                Err(refused(&words.join(" ").chars().take(40).collect::<String>()))
            }
        }
    }

    fn walk(&mut self, query: &mut Query) -> Result<(), SqlError> {
        match query.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }

    /// The names that the first SELECT's plain columns were asked for by, where the lake has another.
    fn renames(&self, query: &Query) -> Vec<(usize, String)> {
        let mut body = &*query.body;
        let select = loop {
            match body {
                SetExpr::Select(select) => break select,
                SetExpr::Query(inner) => body = &inner.body,
                SetExpr::SetOperation { left, .. } => body = left,
                _ => return Vec::new(),
            }
        };
        let mut renames = Vec::new();
        for (i, item) in select.projection.iter().enumerate() {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    let Some(parts) = parts(expr) else { continue };
                    let Some(found) = self.find(&parts) else { continue };
                    let asked = join(&parts[found.skip..]);
                    if found.used + found.skip == parts.len() && asked != found.path {
                        renames.push((i, asked));
                    }
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => break,
                _ => {}
            }
        }
        renames
    }

    fn find(&self, parts: &[Ident]) -> Option<Found> {
        let at = |skip: usize| {
            let rest = parts.get(skip..)?;
            // A path of one part is the column's own name, but for ECS names such as `@timestamp`.
            (1..=rest.len()).rev().find_map(|used| Some(Found { skip, used, path: event::column(&join(&rest[..used]))?.path }))
        };
        let qualified = self.relations.contains(&join(&parts[..1]));
        if qualified { at(1).or_else(|| at(0)) } else { at(0) }
    }

    fn rewrite(&self, expr: &mut Expr) -> Result<(), SqlError> {
        let Some(parts) = parts(expr) else { return Ok(()) };
        let Some(found) = self.find(&parts) else { return self.unknown(&parts) };
        let plain = found.used == 1 && join(&parts[found.skip..found.skip + 1]) == found.path;
        if plain {
            return Ok(());
        }
        let span = parts[0].span;
        let column = Ident { value: found.path.to_owned(), quote_style: Some('"'), span };
        let root = match found.skip {
            0 => Expr::Identifier(column),
            _ => Expr::CompoundIdentifier(vec![parts[0].clone(), column]),
        };
        let taken = found.skip + found.used;
        *expr = match expr {
            Expr::CompoundFieldAccess { root: first, access_chain } if taken <= access_chain.len() => {
                let ahead = parts_of_root(first).map_or(1, |p| p.len());
                let rest = access_chain.split_off(taken.saturating_sub(ahead).min(access_chain.len()));
                if rest.is_empty() { root } else { Expr::CompoundFieldAccess { root: Box::new(root), access_chain: rest } }
            }
            _ if taken < parts.len() => {
                let rest = join(&parts[taken..]);
                return Err(SqlError::at(format!("{} is a column and has no field {rest}", found.path), offset(span, self.sql), None));
            }
            _ => root,
        };
        Ok(())
    }

    /// A path that begins like one of the lake's is a slip of the pen.
    fn unknown(&self, parts: &[Ident]) -> Result<(), SqlError> {
        let first = join(&parts[..1]);
        let begins = COLUMNS.iter().flat_map(names).any(|n| n.split('.').next() == Some(&*first) && n.contains('.'));
        if parts.len() < 2 || !begins || self.relations.contains(&first) {
            return Ok(());
        }
        let asked = join(parts);
        Err(SqlError::at(format!("there is no column {asked}"), offset(parts[0].span, self.sql), suggest(&asked)))
    }

    fn refuse(&self, message: &str) -> ControlFlow<Box<SqlError>> {
        ControlFlow::Break(Box::new(refused(message)))
    }
}

struct Found {
    /// Leading parts that name the relation.
    skip: usize,
    used: usize,
    path: &'static str,
}

impl VisitorMut for Reader<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.relations.insert(cte.alias.name.value.to_lowercase());
        }
        if query.with.as_ref().is_some_and(|w| w.recursive) {
            return self.refuse("WITH RECURSIVE");
        }
        if !query.locks.is_empty() {
            return self.refuse("FOR UPDATE");
        }
        match &*query.body {
            SetExpr::Select(select) if select.into.is_some() => self.refuse("SELECT INTO"),
            SetExpr::Insert(_) => self.refuse("INSERT"),
            SetExpr::Update(_) => self.refuse("UPDATE"),
            SetExpr::Delete(_) => self.refuse("DELETE"),
            SetExpr::Merge(_) => self.refuse("MERGE"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_statement(&mut self, statement: &mut Ast) -> ControlFlow<Self::Break> {
        match statement {
            Ast::Query(_) => ControlFlow::Continue(()),
            _ => self.refuse("a statement inside a query"),
        }
    }

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
        if let Some(last) = relation.0.last() {
            let name = last.to_string().trim_matches(['"', '\'', '`']).to_lowercase();
            self.relations.insert(name.clone());
            self.tables.insert(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let alias = match factor {
            TableFactor::Table { args: Some(_), .. } => return self.refuse("a function as a table"),
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } | TableFactor::NestedJoin { alias, .. } => alias,
            _ => return self.refuse("this kind of table"),
        };
        if let Some(alias) = alias {
            self.relations.insert(alias.name.value.to_lowercase());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if self.collecting {
            return ControlFlow::Continue(());
        }
        match self.rewrite(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

/// The leading names of `a.b.c` or `a['b'].c`.
fn parts(expr: &Expr) -> Option<Vec<Ident>> {
    match expr {
        Expr::Identifier(ident) if ident.quote_style.is_none() => Some(vec![ident.clone()]),
        Expr::CompoundIdentifier(parts) => Some(parts.clone()),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut parts = parts_of_root(root)?;
            for access in access_chain {
                match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) => parts.push(ident.clone()),
                    AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
                        Value::SingleQuotedString(text) => parts.push(Ident::with_quote('"', text.clone())),
                        _ => break,
                    },
                    _ => break,
                }
            }
            Some(parts)
        }
        _ => None,
    }
}

fn parts_of_root(root: &Expr) -> Option<Vec<Ident>> {
    match root {
        Expr::Identifier(ident) => Some(vec![ident.clone()]),
        Expr::CompoundIdentifier(parts) => Some(parts.clone()),
        _ => None,
    }
}

fn join(parts: &[Ident]) -> String {
    let part = |p: &Ident| if p.quote_style.is_some() { p.value.clone() } else { p.value.to_lowercase() };
    parts.iter().map(part).collect::<Vec<_>>().join(".")
}

fn names(column: &'static event::Column) -> impl Iterator<Item = &'static str> {
    std::iter::once(column.path).chain(column.ecs.iter().copied())
}

/// `did you mean …?`, or the columns of a group.
pub(crate) fn suggest(asked: &str) -> Option<String> {
    let inside = format!("{asked}.");
    let group: Vec<&str> = COLUMNS.iter().map(|c| c.path).filter(|p| p.starts_with(&inside)).collect();
    if !group.is_empty() {
        return Some(format!("{asked} is a group of columns: {}", group.join(", ")));
    }
    let last = asked.rsplit('.').next().unwrap_or(asked);
    let near = COLUMNS.iter().flat_map(names).map(|name| (distance(asked, name), name)).filter(|(d, name)| *d <= 1 + name.len() / 4);
    let ends = COLUMNS.iter().flat_map(names).filter(|n| n.contains('.') && n.rsplit('.').next() == Some(last)).map(|n| (usize::MAX, n));
    near.chain(ends).min().map(|(_, name)| format!("did you mean {name}?"))
}

/// Levenshtein's edit distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
