//! Markup's texts and attribute values, without building a tree.

/// Calls `visit` with the innermost element's name and each text or attribute value.
pub fn walk(bytes: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    let mut name: &[u8] = b"";
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'<' {
            let end = memchr::memchr(b'<', &bytes[i..]).map_or(bytes.len(), |n| i + n);
            visit(name, bytes[i..end].trim_ascii());
            i = end;
            continue;
        }
        if let Some(data) = bytes[i..].strip_prefix(b"<![CDATA[") {
            let end = memchr::memmem::find(data, b"]]>").unwrap_or(data.len());
            visit(name, &data[..end]);
            i += 9 + (end + 3).min(data.len());
            continue;
        }
        let end = tag_end(bytes, i);
        let tag = &bytes[i + 1..end];
        if tag.first().is_some_and(|b| b.is_ascii_alphabetic()) {
            let len = tag.iter().position(|b| b.is_ascii_whitespace() || *b == b'/').unwrap_or(tag.len());
            name = &tag[..len];
            attributes(name, &tag[len..], visit);
        }
        i = end + 1;
    }
}

/// The index of the `>` that ends the tag, outside quotes, or the end.
fn tag_end(bytes: &[u8], from: usize) -> usize {
    let mut quote = None;
    for (i, &b) in bytes.iter().enumerate().skip(from) {
        match (quote, b) {
            (None, b'>') => return i,
            (None, b'"' | b'\'') => quote = Some(b),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    bytes.len()
}

fn attributes(name: &[u8], tag: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) {
    let mut rest = tag;
    while let Some(at) = memchr::memchr(b'=', rest) {
        rest = rest[at + 1..].trim_ascii_start();
        let Some(&quote @ (b'"' | b'\'')) = rest.first() else { continue };
        let end = memchr::memchr(quote, &rest[1..]).unwrap_or(rest.len() - 1);
        visit(name, &rest[1..1 + end]);
        rest = &rest[(end + 2).min(rest.len())..];
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn texts_attributes_and_cdata_are_seen() {
        let mut seen = Vec::new();
        super::walk(b"<?xml version='1.0'?><a b=\"c>d\"><e>f</e><![CDATA[<g>]]></a>", &mut |name, text| {
            seen.push(format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(text)));
        });
        seen.retain(|s| !s.ends_with('='));
        assert_eq!(seen, ["a=c>d", "e=f", "e=<g>"]);
    }
}
