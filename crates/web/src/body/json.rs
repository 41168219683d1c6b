//! A JSON reader that gives every key and string with its place and goes on after errors.

/// Deeper nesting is read as text.
pub const DEPTH_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment<'a> {
    Key(&'a [u8]),
    Index(u32),
}

/// `$.a[0].b`
pub fn path(segments: &[Segment<'_>]) -> String {
    let mut text = String::from("$");
    for segment in segments {
        match segment {
            Segment::Key(key) => {
                text.push('.');
                text.push_str(&String::from_utf8_lossy(&key[..key.len().min(64)]));
            }
            Segment::Index(i) => text.push_str(&format!("[{i}]")),
        }
    }
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Key,
    Text,
    /// Numbers, literals, and whatever stands where a value should.
    Bare,
}

/// Calls `visit` with the place, the kind and the raw text between the quotes of each key and value.
/// True if all of it was JSON.
pub fn walk(bytes: &[u8], visit: &mut dyn FnMut(&[Segment<'_>], Kind, &[u8])) -> bool {
    let mut stack: Vec<Segment<'_>> = Vec::new();
    let mut objects: Vec<bool> = Vec::new();
    let mut key_next = false;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b' ' | b'\t' | b'\r' | b'\n' | b':' => i += 1,
            open @ (b'{' | b'[') => {
                if objects.len() == DEPTH_MAX {
                    return false;
                }
                objects.push(open == b'{');
                key_next = open == b'{';
                stack.push(if open == b'{' { Segment::Key(b"") } else { Segment::Index(0) });
                i += 1;
            }
            b'}' | b']' => {
                if objects.pop().is_none() {
                    return false;
                }
                stack.pop();
                key_next = false;
                i += 1;
            }
            b',' => {
                let Some(object) = objects.last() else { return false };
                key_next = *object;
                if let Some(Segment::Index(at)) = stack.last_mut() {
                    *at += 1;
                }
                i += 1;
            }
            b'"' => {
                let Some(end) = string_end(bytes, i + 1) else { return false };
                let text = &bytes[i + 1..end];
                if key_next {
                    if let Some(last) = stack.last_mut() {
                        *last = Segment::Key(text);
                    }
                    visit(&stack, Kind::Key, text);
                    key_next = false;
                } else {
                    visit(&stack, Kind::Text, text);
                }
                i = end + 1;
            }
            _ => {
                let end = i + bytes[i..].iter().position(|b| matches!(b, b',' | b'}' | b']' | b'\n' | b'"')).unwrap_or(bytes.len() - i);
                let text = bytes[i..end].trim_ascii();
                if !is_plain(text) {
                    return false;
                }
                visit(&stack, Kind::Bare, text);
                i = end.max(i + 1);
            }
        }
    }
    objects.is_empty()
}

fn is_plain(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null") || text.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'))
}

fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut i = from;
    loop {
        i += memchr::memchr2(b'"', b'\\', bytes.get(i..)?)?;
        if bytes[i] == b'"' {
            return Some(i);
        }
        i += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> (bool, Vec<String>) {
        let mut seen = Vec::new();
        let whole = walk(text.as_bytes(), &mut |at, kind, value| {
            seen.push(format!("{} {kind:?} {}", path(at), String::from_utf8_lossy(value)));
        });
        (whole, seen)
    }

    #[test]
    fn keys_and_values_come_with_their_places() {
        let (whole, seen) = values(r#"{"a":[{"b":"x\"y"},2],"c":null}"#);
        assert!(whole);
        assert_eq!(seen, ["$.a Key a", "$.a[0].b Key b", r#"$.a[0].b Text x\"y"#, "$.a[1] Bare 2", "$.c Key c", "$.c Bare null"]);
    }

    #[test]
    fn what_is_no_json_is_told() {
        for text in ["{\"a\":", "{{7*7}}", "[1,2", "{\"a\":\"b", "}", "{a:1}"] {
            assert!(!values(text).0, "{text}");
        }
        assert!(!values(&"[".repeat(100)).0);
    }
}
