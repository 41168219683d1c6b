//! Globs over paths and locations, and the forms of a path that they are held against.

/// Characters of a pattern.
pub const PATTERN_CHARS_MAX: usize = 512;
/// Longer texts match nothing, so that a match costs at most this times the pattern's length.
pub const TEXT_BYTES_MAX: usize = 8_192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any characters of one segment.
    Segment,
    /// Any characters.
    Any,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
    /// What stands before the first star; most texts end here.
    head: usize,
    /// How many tokens stand before a closing `/**`, which also takes its folder itself, as people mean it.
    folder: Option<usize>,
}

impl Glob {
    /// `*` stands for characters of one segment, `**` for any.
    pub fn path(pattern: &str) -> Self {
        Self::new(pattern, true)
    }

    /// `*` stands for any characters.
    pub fn text(pattern: &str) -> Self {
        Self::new(pattern, false)
    }

    fn new(pattern: &str, segments: bool) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        for byte in pattern.bytes() {
            match (byte, tokens.last_mut()) {
                (b'*', Some(last @ Token::Segment)) => *last = Token::Any,
                (b'*', Some(Token::Any)) => {}
                (b'*', _) => tokens.push(if segments { Token::Segment } else { Token::Any }),
                _ => tokens.push(Token::Byte(byte)),
            }
        }
        let head = tokens.iter().take_while(|t| matches!(t, Token::Byte(_))).count();
        let folder = (segments && tokens.ends_with(&[Token::Byte(b'/'), Token::Any])).then(|| tokens.len() - 2);
        Self { tokens, head, folder }
    }

    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        if text.len() > TEXT_BYTES_MAX {
            return false;
        }
        self.folder.is_some_and(|len| run(&self.tokens[..len], self.head.min(len), text)) || run(&self.tokens, self.head, text)
    }
}

/// All places of the pattern that may stand at a place of the text, byte by byte: linear in the text.
fn run(tokens: &[Token], head: usize, text: &[u8]) -> bool {
    if text.len() < head || !tokens[..head].iter().zip(text).all(|(token, byte)| *token == Token::Byte(*byte)) {
        return false;
    }
    let (tokens, text) = (&tokens[head..], &text[head..]);
    let mut open = vec![false; tokens.len() + 1];
    open[0] = true;
    step_over_stars(tokens, &mut open);
    for byte in text {
        open[tokens.len()] = false;
        for i in (0..tokens.len()).rev() {
            match tokens[i] {
                // A star stays open for the next byte; a byte opens what follows it.
                Token::Any => {}
                Token::Segment => open[i] &= *byte != b'/',
                Token::Byte(wanted) => {
                    if std::mem::take(&mut open[i]) && wanted == *byte {
                        open[i + 1] = true;
                    }
                }
            }
        }
        step_over_stars(tokens, &mut open);
    }
    open[tokens.len()]
}

/// A star also takes nothing.
fn step_over_stars(tokens: &[Token], open: &mut [bool]) {
    for (i, token) in tokens.iter().enumerate() {
        open[i + 1] |= open[i] && matches!(token, Token::Any | Token::Segment);
    }
}

/// The path of a target as it came, and as servers read it: decoded, without parameters of segments, doubled slashes
/// and dots. What an operator lets through must match both, or `/public/../admin` would be public.
pub struct Paths<'a> {
    pub raw: &'a str,
    pub read: String,
}

impl<'a> Paths<'a> {
    pub fn of(target: &'a str) -> Self {
        let rest = match target.find("://") {
            Some(at) if at < 12 => &target[at + 3..],
            _ => target,
        };
        let rest = if rest.len() == target.len() { rest } else { rest.find(['/', '?']).map_or("/", |at| &rest[at..]) };
        let raw = &rest[..rest.find(['?', '#']).unwrap_or(rest.len())];
        Self { raw, read: read(raw) }
    }

    /// Both forms are the glob's.
    pub fn surely(&self, glob: &Glob) -> bool {
        glob.matches(self.raw) && glob.matches(&self.read)
    }

    /// One of them is.
    pub fn possibly(&self, glob: &Glob) -> bool {
        glob.matches(self.raw) || glob.matches(&self.read)
    }
}

fn read(raw: &str) -> String {
    let decoded = crate::decode::url(raw.as_bytes(), false);
    let text = decoded.map_or_else(|| raw.into(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split(['/', '\\']) {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            plain => kept.push(plain),
        }
    }
    let slash = if text.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_in_their_segment_unless_doubled() {
        for (glob, path, expected) in [
            ("/a", "/a", true), ("/a", "/a/", false), ("/a/*", "/a/b", true), ("/a/*", "/a/b/c", false), ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", true), ("/a/**", "/ab", false), ("**", "/x/y", true), ("/*/edit", "/posts/edit", true), ("/*/edit", "/a/b/edit", false),
            ("/**/edit", "/a/b/edit", true), ("/**/x/*.js", "/a/x/b/x/c.js", true), ("/api/v*/users/*", "/api/v2/users/7", true),
            ("/items/*", "/items/{id}", true), ("/a*b*c", "/aXbXbc", true), ("", "", true), ("*", "", true), ("/**.php", "/a/b.php", true),
        ] {
            assert_eq!(Glob::path(glob).matches(path), expected, "{glob} {path}");
        }
        assert!(Glob::text("body:json:*.text").matches("body:json:$.a/b[0].text") && !Glob::text("query:*").matches("cookie:a"));
    }

    #[test]
    fn hostile_globs_end_soon() {
        let text = "a".repeat(TEXT_BYTES_MAX);
        assert!(!Glob::path(&format!("{}b", "*a**a".repeat(60))).matches(&text));
        assert!(!Glob::path("**").matches(&"a".repeat(TEXT_BYTES_MAX + 1)));
    }

    #[test]
    fn tricks_of_paths_do_not_make_them_public() {
        for path in ["/public/../admin", "/public/%2e%2e/admin", "/public/..;/admin", "/public/..\\admin", "//public/../admin"] {
            let paths = Paths::of(path);
            assert_eq!(paths.read, "/admin", "{path}");
            assert!(!paths.surely(&Glob::path("/public/**")) && paths.possibly(&Glob::path("/admin")), "{path}");
        }
        assert_eq!((Paths::of("http://h/x?y=/z").raw, Paths::of("https://h?y").raw, Paths::of("/a#b").raw), ("/x", "", "/a"));
        assert!(Paths::of("/public/a%20b/?q=../x").surely(&Glob::path("/public/**")));
    }
}
