//! The normalised form: OCSF names, AND and OR written out. [`crate::parse`] reads it as the same expression.
use crate::{Bound, Expr, Test, Value, Words};
use std::fmt::{self, Display, Formatter, Write};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::All => f.write_str("*:*"),
            Expr::And(list) if list.is_empty() => f.write_str("*:*"),
            Expr::Or(list) if list.is_empty() => f.write_str("NOT *:*"),
            Expr::And(list) => joined(f, list, " AND ", |e| matches!(e, Expr::Or(or) if !or.is_empty())),
            Expr::Or(list) => joined(f, list, " OR ", |_| false),
            Expr::Not(one) => {
                f.write_str("NOT ")?;
                part(f, one, matches!(&**one, Expr::And(l) | Expr::Or(l) if !l.is_empty()))
            }
            Expr::Field(column, test) => field(f, column.path, test),
            Expr::Text(words) => write!(f, "{words}"),
        }
    }
}

fn joined(f: &mut Formatter<'_>, list: &[Expr], between: &str, parentheses: impl Fn(&Expr) -> bool) -> fmt::Result {
    for (i, expr) in list.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        part(f, expr, parentheses(expr))?;
    }
    Ok(())
}

fn part(f: &mut Formatter<'_>, expr: &Expr, parentheses: bool) -> fmt::Result {
    match parentheses {
        true => write!(f, "({expr})"),
        false => write!(f, "{expr}"),
    }
}

fn field(f: &mut Formatter<'_>, path: &str, test: &Test) -> fmt::Result {
    write!(f, "{path}:")?;
    match test {
        Test::Exists => f.write_char('*'),
        Test::OneOf(values) => values_of(f, values),
        Test::Cidr(nets) => values_of(f, &nets.iter().map(|n| Value::Text(n.to_string())).collect::<Vec<_>>()),
        Test::Range(low, high) => range(f, low, high),
        Test::Wildcard(pattern) => wildcard(f, pattern),
        Test::Regex(regex) => regular(f, Test::regex_pattern(regex)),
        Test::Contains(part) => {
            f.write_char('~')?;
            quoted(f, part)
        }
        Test::Words(words) => write!(f, "{words}"),
    }
}

fn values_of(f: &mut Formatter<'_>, values: &[Value]) -> fmt::Result {
    if let [one] = values {
        return write!(f, "{one}");
    }
    f.write_char('(')?;
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            f.write_str(" OR ")?;
        }
        write!(f, "{value}")?;
    }
    f.write_char(')')
}

fn range(f: &mut Formatter<'_>, low: &Bound, high: &Bound) -> fmt::Result {
    match (low, high) {
        (Bound::Open, Bound::Open) => f.write_char('*'),
        (Bound::Including(v), Bound::Open) => write!(f, ">={}", Bare(v)),
        (Bound::Excluding(v), Bound::Open) => write!(f, ">{}", Bare(v)),
        (Bound::Open, Bound::Including(v)) => write!(f, "<={}", Bare(v)),
        (Bound::Open, Bound::Excluding(v)) => write!(f, "<{}", Bare(v)),
        (Bound::Including(a) | Bound::Excluding(a), Bound::Including(b) | Bound::Excluding(b)) => {
            f.write_char(if matches!(low, Bound::Including(_)) { '[' } else { '{' })?;
            write!(f, "{} TO {}", Bare(a), Bare(b))?;
            f.write_char(if matches!(high, Bound::Including(_)) { ']' } else { '}' })
        }
    }
}

/// A value in a range, where only text needs quotes.
struct Bare<'a>(&'a Value);

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Int(n) => write!(f, "{n}"),
            Value::Float(n) => write!(f, "{n}"),
            Value::Time(t) => write!(f, "{t}"),
            Value::Text(text) => quoted(f, text),
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Value::Text(text) => text,
            other => &Bare(other).to_string(),
        };
        match is_safe(text) {
            true => f.write_str(text),
            false => quoted(f, text),
        }
    }
}

/// Whether a value is read as itself without quotes, also among others in parentheses.
fn is_safe(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '/'))
        && !is_operator(text)
}

fn is_operator(text: &str) -> bool {
    matches!(text, "AND" | "OR" | "NOT" | "and" | "or" | "not")
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}

fn wildcard(f: &mut Formatter<'_>, pattern: &str) -> fmt::Result {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let (c, meant) = match c {
            '\\' => (chars.next().unwrap_or('\\'), true),
            c => (c, false),
        };
        let bare = c.is_alphanumeric() || matches!(c, '_' | '.') || !meant && matches!(c, '*' | '?');
        if !bare {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    Ok(())
}

/// A regular expression between slashes; its own are escaped, and so are spaces.
fn regular(f: &mut Formatter<'_>, pattern: &str) -> fmt::Result {
    f.write_char('/')?;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                f.write_char('\\')?;
                chars.next().map_or(Ok(()), |c| f.write_char(c))?;
            }
            '/' => f.write_str(r"\/")?,
            ' ' => f.write_str(r"\ ")?,
            c if c.is_whitespace() => write!(f, r"\x{{{:x}}}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('/')
}

impl Display for Words {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Words::Phrase(words) => match words.as_slice() {
                [one] if !is_operator(one) => f.write_str(one),
                several => quoted(f, &several.join(" ")),
            },
            Words::Wildcard(pattern) => f.write_str(pattern),
            Words::Prefix(head) => write!(f, "{head}*"),
        }
    }
}
