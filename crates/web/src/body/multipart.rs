//! Multipart bodies (RFC 7578), read by their boundary lines.

/// More parts are not split.
pub const PARTS_MAX: usize = 256;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    pub name: String,
    pub file: Option<String>,
    pub content_type: Option<String>,
    pub base64: bool,
    /// The part's header lines as they came.
    pub head: &'a [u8],
    pub content: &'a [u8],
}

/// The boundary of a content type, or the first line of a body that looks like one.
pub fn boundary(content_type: Option<&str>, body: &[u8]) -> Option<Vec<u8>> {
    let named = content_type.and_then(|text| {
        let at = text.to_ascii_lowercase().find("boundary=")?;
        let value = text[at + 9..].trim_start_matches('"');
        let end = value.find(['"', ';', ' ']).unwrap_or(value.len());
        (end > 0).then(|| value[..end].as_bytes().to_vec())
    });
    // What the header names need not be what the body uses: then an application may still read it.
    if let Some(named) = named
        && memchr::memmem::find(body, &[b"--", &named[..]].concat()).is_some()
    {
        return Some(named);
    }
    let line = body.strip_prefix(b"--")?;
    let end = memchr::memchr2(b'\r', b'\n', &line[..line.len().min(128)])?;
    (end > 0).then(|| line[..end].to_vec())
}

/// The parts; the second value tells that there are more than [`PARTS_MAX`].
pub fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> (Vec<Part<'a>>, bool) {
    let mut mark = b"--".to_vec();
    mark.extend_from_slice(boundary);
    let starts: Vec<usize> = memchr::memmem::find_iter(body, &mark).take(PARTS_MAX + 2).collect();
    let mut parts = Vec::new();
    for (i, &start) in starts.iter().enumerate().take(PARTS_MAX) {
        let from = start + mark.len();
        let to = starts.get(i + 1).copied().unwrap_or(body.len());
        if from >= to || body[from..to].starts_with(b"--") {
            continue;
        }
        parts.push(part(&body[from..to]));
    }
    (parts, starts.len() > PARTS_MAX + 1)
}

fn part(bytes: &[u8]) -> Part<'_> {
    let bytes = bytes.strip_prefix(b"\r\n").or_else(|| bytes.strip_prefix(b"\n")).unwrap_or(bytes);
    let (head, content) = match (memchr::memmem::find(bytes, b"\r\n\r\n"), memchr::memmem::find(bytes, b"\n\n")) {
        (Some(at), other) if other.is_none_or(|o| at < o) => (&bytes[..at], &bytes[at + 4..]),
        (_, Some(at)) => (&bytes[..at], &bytes[at + 2..]),
        _ => (&bytes[..0], bytes),
    };
    let content = content.strip_suffix(b"\r\n").or_else(|| content.strip_suffix(b"\n")).unwrap_or(content);
    let mut part = Part { head, content, ..Part::default() };
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                part.name = parameter(value, "name").unwrap_or_default();
                part.file = parameter(value, "filename").or_else(|| parameter(value, "filename*"));
            }
            "content-type" => part.content_type = Some(value.trim().to_owned()),
            "content-transfer-encoding" => part.base64 = value.trim().eq_ignore_ascii_case("base64"),
            _ => {}
        }
    }
    part
}

/// A parameter of a header value, quoted or not.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let after = after.trim_start();
        if let Some((key, text)) = after.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            let text = text.trim_start();
            return Some(match text.strip_prefix('"') {
                Some(quoted) => quoted.rfind('"').filter(|_| !quoted.contains("\"; ")).or_else(|| quoted.find("\";")).or_else(|| quoted.find('"')).map_or(quoted, |end| &quoted[..end]).to_owned(),
                None => text.split(';').next().unwrap_or_default().trim().to_owned(),
            });
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_read() {
        let body = b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"s.php\"\r\nContent-Type: image/png\r\n\r\n<?php\r\n--X--\r\n";
        let boundary = boundary(Some("multipart/form-data; boundary=X"), body).unwrap();
        let (parts, cut) = parts(body, &boundary);
        assert!(!cut);
        assert_eq!((parts[0].name.as_str(), parts[0].content), ("a", &b"1"[..]));
        assert_eq!((parts[1].file.as_deref(), parts[1].content_type.as_deref()), (Some("s.php"), Some("image/png")));
        assert_eq!(parts[1].content, b"<?php");
    }

    #[test]
    fn a_lying_or_missing_boundary_is_found_in_the_body() {
        let body = b"--Y\nContent-Disposition: form-data; name=a\n\nv\n--Y--";
        assert_eq!(boundary(Some("multipart/form-data; boundary=X"), body).unwrap(), b"Y");
        assert_eq!(parts(body, b"Y").0[0].content, b"v");
        assert_eq!(boundary(None, b"no"), None);
    }
}
