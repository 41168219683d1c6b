//! Cross-site scripting.
//!
//! What it sees: markup and script that a browser would run if the value were pasted into a page: elements that
//! run script, event handlers (also after a quote that leaves an attribute), script URIs with the white space
//! browsers ignore, styles that run, script that leaves a string, and code written with brackets alone. The markup
//! is parsed as browsers do, not matched as text.
//! What it raises: `xss`; plain formatting markup stays below 0.5.
//! Known false positives: editors that send whole pages with scripts or embedded frames.
//! CWE-79, ATT&CK T1059.007.

use super::{in_prose, Analyser, Place, Seen, View, find, seen, stronger, table};
use crate::Class;
use crate::gate::{sign, word};

pub const ANALYSER: Analyser = Analyser { name: "xss", class: Class::Xss, wants, look };

pub const WORDS: &[&str] = &[
    "script", "alert", "prompt", "confirm", "eval(", "=eval", "=alert", "document.", "document[", "window.", "window[", "location", "fromcharcode", "constructor", "settimeout", "setinterval", "function(",
    "onerror", "onload", "onmouse", "onfocus", "onclick", "srcdoc", "expression(", "import(", "@import", "innerhtml", "cookie", "top[", "self[", "this[", "parent[", "atob(", "url(", "fetch(", "xmlhttp", "data:text", "behavior", "-moz-binding", "localstorage", "onpointer", "ontoggle", "onauxclick", "onanimation", "ontransition", "console.", "sethtml", "throw", "frames[", "globalthis", "reflect.", ".source", "print()", "print`",
];

fn wants(view: &View<'_>) -> bool {
    if matches!(view.place, Place::Binary | Place::File) {
        return false;
    }
    if view.place == Place::Xml {
        return false;
    }
    view.has(sign::ANGLE)
        || view.signs & (sign::AMPERSAND | sign::HASH) == sign::AMPERSAND | sign::HASH
        || view.says(word::SCRIPT) && view.signs & (sign::PAREN | sign::COLON | sign::BACKTICK | sign::EQUAL | sign::BRACKET) != 0
        || view.signs & (sign::PAREN | sign::BRACKET) == sign::PAREN | sign::BRACKET && view.has(sign::BANG | sign::PLUS)
        || view.has(sign::EQUAL) && view.has(sign::QUOTE | sign::DOUBLE | sign::SPACE | sign::SLASH | sign::CONTROL | sign::BACKTICK) && find(view.lower, "on").is_some()
}

fn look(view: &View<'_>) -> Option<Seen> {
    let mut best = if view.has(sign::ANGLE) { markup(view.lower) } else { None };
    if strong(&best) {
        return best;
    }
    best = stronger(best, uri(view.lower, 0));
    if view.has(sign::HASH) {
        best = stronger(best, padded_reference(view.lower));
    }
    if view.has(sign::EQUAL) {
        best = stronger(best, loose_handler(view.lower));
    }
    if view.signs & (sign::ANGLE | sign::EQUAL | sign::PAREN) == sign::ANGLE | sign::EQUAL | sign::PAREN
        && best.is_none_or(|b| b.score < 0.5)
    {
        // Filters that take elements out put the handler together: `o<x>nfocus`.
        best = stronger(best, loose_handler(&without_elements(view.lower)).map(|s| Seen { at: 0, ..s }));
    }
    if strong(&best) {
        return best;
    }
    let page_text = matches!(view.place, Place::Agent | Place::Header);
    if view.signs & (sign::PAREN | sign::BACKTICK | sign::EQUAL | sign::BRACKET) != 0 && !page_text {
        best = stronger(best, script(view));
        best = stronger(best, brackets_only(view.lower));
        best = stronger(best, computed_call(view.lower));
    }
    best
}

fn strong(seen: &Option<Seen>) -> bool {
    seen.is_some_and(|s| s.score >= 0.85)
}

/// Elements that run script or load what does, with how sure their mere presence makes.
const ELEMENTS: &[(&str, f32)] = &[
    ("script", 0.92), ("iframe", 0.75), ("frame", 0.7), ("frameset", 0.75), ("object", 0.6), ("embed", 0.65), ("applet", 0.8), ("base", 0.6), ("meta", 0.5),
    ("link", 0.5), ("svg", 0.4), ("math", 0.45), ("style", 0.5), ("bgsound", 0.8), ("layer", 0.8), ("ilayer", 0.8), ("xss", 0.8), ("isindex", 0.7), ("xml", 0.5),
    ("portal", 0.6), ("marquee", 0.5), ("keygen", 0.6), ("noembed", 0.5), ("noscript", 0.45), ("plaintext", 0.6), ("xmp", 0.5), ("listing", 0.4), ("template", 0.4), ("form", 0.45), ("body", 0.5), ("img", 0.3),
    ("html", 0.4), ("input", 0.4), ("video", 0.35), ("audio", 0.35), ("textarea", 0.4), ("details", 0.35), ("button", 0.4), ("select", 0.3), ("title", 0.35), ("animate", 0.6), ("set", 0.5), ("foreignobject", 0.6), ("use", 0.5), ("import", 0.6), ("vmlframe", 0.8), ("handler", 0.6), ("event-source", 0.7), ("dialog", 0.3), ("a", 0.15), ("image", 0.4), ("br", 0.1), ("p", 0.1), ("b", 0.1), ("div", 0.12),
];

/// Walks every `<`.
fn markup(text: &[u8]) -> Option<Seen> {
    let mut best = None;
    // Markup that closes its elements costs its length; what does not is read as far as the fuel goes.
    let mut fuel = text.len() + 512;
    for at in memchr::memchr_iter(b'<', text) {
        best = stronger(best, element(text, at, &mut fuel));
        if strong(&best) {
            break;
        }
    }
    best
}

/// Attribute bytes of one element that are read in any case.
const ATTRIBUTES_BYTES_MIN: usize = 16;

fn element(text: &[u8], at: usize, fuel: &mut usize) -> Option<Seen> {
    let mut i = at + 1;
    // Browsers drop NUL; filters' other favourites stand between as well.
    while matches!(text.get(i), Some(0)) {
        i += 1;
    }
    let closing = text.get(i) == Some(&b'/');
    i += usize::from(closing);
    match text.get(i)? {
        b'a'..=b'z' => {}
        b'!' if text[i..].starts_with(b"!--") => {
            return if text[i..].starts_with(b"!--[if") || find(&text[i..], "--!>").is_some() { seen(0.6, "a comment that runs", at) } else { seen(0.2, "a comment", at) };
        }
        b'!' if text[i..].starts_with(b"![cdata[") => return seen(0.35, "character data", at),
        b'?' if text[i..].starts_with(b"?import") || text[i..].starts_with(b"?xml-stylesheet") => return seen(0.7, "a processing instruction", at),
        b' ' | b'\t' | b'\n' | b'\r' | 0xff => return spaced_script(text, i, at),
        _ => return None,
    }
    let mut name = Vec::with_capacity(16);
    while let Some(&b) = text.get(i) {
        match b {
            0 => {}
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b':' if name.len() < 32 => name.push(b),
            _ => break,
        }
        i += 1;
    }
    let ended = text.get(i);
    if !matches!(ended, None | Some(b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b | b'<' | b'"' | b'\'' | b'+' | b'%' | b'&' | b'`' | b'=' | b'\\' | 0xa0 | 0xc2)) {
        return None;
    }
    let local = name.rsplit(|b| *b == b':').next().unwrap_or(&name);
    let presence = ELEMENTS.iter().find(|(n, _)| n.as_bytes() == local).map_or(if name.len() > 1 && name.contains(&b':') { 0.15 } else { 0.12 }, |(_, score)| *score);
    if closing {
        let leaves = matches!(local, b"script" | b"style" | b"textarea" | b"title" | b"noscript" | b"template" | b"xmp" | b"iframe");
        return seen(if leaves { if local == b"script" { 0.7 } else { 0.5 } } else { 0.1 }, "an element is closed", at);
    }
    // `a <b and c` is no markup: it takes an end or an attribute.
    let complete = text[i..].iter().take(256).any(|b| matches!(b, b'>' | b'=' | b'/'));
    let base = if complete || local == b"script" || local == b"iframe" || local == b"svg" { presence } else { presence * 0.5 };
    let reach = i + ATTRIBUTES_BYTES_MIN.max(*fuel);
    let tag = &text[..text.len().min(reach)];
    let (found, end) = attributes(tag, i, local, at);
    *fuel = fuel.saturating_sub(end.saturating_sub(i));
    stronger(seen(base, "an element", at), found)
}

/// `&#x00003c`: an angle bracket as a reference with zeros before it, which nothing but an evasion writes; or as a
/// reference that is all of the value, a probe for what is decoded.
fn padded_reference(text: &[u8]) -> Option<Seen> {
    for at in memchr::memmem::find_iter(text, b"&#").take(32) {
        let rest = &text[at + 2..text.len().min(at + 14)];
        let (hex, digits) = rest.strip_prefix(b"x").map_or((false, rest), |d| (true, d));
        let zeros = digits.iter().take_while(|b| **b == b'0').count();
        let number = digits[zeros..].iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let angle = matches!((hex, &digits[zeros..zeros + number]), (true, b"3c" | b"3e") | (false, b"60" | b"62"));
        let end = at + 2 + usize::from(hex) + zeros + number;
        let alone = at == 0 && matches!(&text[end..], b"" | b";");
        if angle && (zeros >= 2 || alone) {
            return seen(0.6, "an angle bracket as a padded reference", at);
        }
    }
    None
}

/// `top[8680439..toString(30)](1)`: a member of a global object whose name is computed, called.
fn computed_call(text: &[u8]) -> Option<Seen> {
    const GLOBALS: &[&str] = &["top[", "self[", "parent[", "frames[", "window[", "globalthis["];
    const INSIDE_BYTES_MAX: usize = 80;
    GLOBALS.iter().find_map(|name| {
        let at = find(text, name)?;
        let inside = &text[at + name.len()..text.len().min(at + name.len() + INSIDE_BYTES_MAX)];
        let end = find(inside, "](").or_else(|| find(inside, "]`"))?;
        let whole_word = at == 0 || !text[at - 1].is_ascii_alphanumeric() && text[at - 1] != b'.' && text[at - 1] != b'_';
        if whole_word && !inside[..end].iter().all(u8::is_ascii_digit) { seen(0.75, "a function by name", at) } else { None }
    })
}

/// `< script >`, which only broken filters let through, but which says what is meant.
fn spaced_script(text: &[u8], i: usize, at: usize) -> Option<Seen> {
    let rest = text[i..].trim_ascii_start();
    let rest = rest.strip_prefix(b"/").map_or(rest, |r| r.trim_ascii_start());
    if rest.starts_with(b"script") || rest.starts_with(b"iframe") || rest.starts_with(b"\xff") { seen(0.65, "a spaced element", at) } else { None }
}

/// The attributes of an element, up to its end, which is given as well.
fn attributes(text: &[u8], from: usize, element: &[u8], at: usize) -> (Option<Seen>, usize) {
    let mut best = None;
    let mut i = from;
    loop {
        while text.get(i).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b'/' | 0 | 0x0b | b'"' | b'\'' | b'`' | b'+' | b',' | b';' | b'\\' | b'%' | b'&' | 0x80..)) {
            i += 1;
        }
        let start = i;
        while text.get(i).is_some_and(|b| !b.is_ascii_whitespace() && !matches!(b, b'=' | b'>' | b'/')) {
            i += 1;
        }
        let name = &text[start..i];
        match text.get(i) {
            None => return (best, i),
            Some(b'>') => return (best, i),
            _ if name.is_empty() && text.get(i) != Some(&b'=') => {
                i += 1;
                continue;
            }
            _ => {}
        }
        let mut j = i;
        while text.get(j).is_some_and(|b| b.is_ascii_whitespace() || *b == 0) {
            j += 1;
        }
        if text.get(j) != Some(&b'=') {
            continue;
        }
        j += 1;
        while text.get(j).is_some_and(u8::is_ascii_whitespace) {
            j += 1;
        }
        let end = match text.get(j) {
            Some(&quote @ (b'"' | b'\'' | b'`')) => {
                j += 1;
                memchr::memchr(quote, &text[j..]).map_or(text.len(), |n| j + n)
            }
            _ => text[j..].iter().position(|b| b.is_ascii_whitespace() || *b == b'>').map_or(text.len(), |n| j + n),
        };
        best = stronger(best, handler_name(name, at));
        best = stronger(best, attribute_value(name, &text[j.min(end)..end], element, at));
        if strong(&best) {
            return (best, end);
        }
        i = (end + 1).max(i + 1).min(text.len());
        if end < text.len() && text[end] == b'>' {
            return (best, end);
        }
    }
}

fn handler_name(name: &[u8], at: usize) -> Option<Seen> {
    let name: &[u8] = name.rsplit(|b| !b.is_ascii_alphabetic()).next().unwrap_or(name);
    if name.len() > 4 && name.starts_with(b"on") { seen(0.93, "an event handler", at) } else { None }
}

fn attribute_value(name: &[u8], value: &[u8], element: &[u8], at: usize) -> Option<Seen> {
    let name: &[u8] = name.rsplit(|b| *b == b':').next().unwrap_or(name);
    match name {
        b"srcdoc" => seen(0.88, "a document in an attribute", at),
        b"style" => table(value, &[("expression(", 0.88, "a style that runs"), ("expression/*", 0.88, "a style that runs"), ("javascript:", 0.88, "a style that runs"), ("-moz-binding", 0.88, "a style that runs"), ("behavior:", 0.8, "a style that runs"), ("binding:", 0.7, "a style that runs"), ("exp/*", 0.85, "a style that runs"), ("\\", 0.5, "an escaped style")]).map(|s| Seen { at, ..s }),
        b"href" | b"src" | b"action" | b"formaction" | b"data" | b"background" | b"dynsrc" | b"lowsrc" | b"poster" | b"content" | b"to" | b"values" | b"from" | b"code" | b"codebase" | b"url" | b"srcset" | b"folder" | b"datasrc" | b"manifest" | b"ping" | b"xlink" => {
            if let Some(found) = uri(value, 1) {
                return Some(Seen { at, score: 0.9, ..found });
            }
            let remote = value.starts_with(b"//") || value.starts_with(b"http") || value.starts_with(b"data:");
            match element {
                b"script" | b"embed" | b"object" | b"applet" | b"base" => seen(if remote { 0.9 } else { 0.7 }, "an element that loads", at),
                b"link" if remote => seen(0.6, "a style is loaded", at),
                b"meta" if find(value, "url=").is_some() => seen(0.7, "a redirect in the page", at),
                _ => None,
            }
        }
        b"http-equiv" if value.starts_with(b"refresh") || value.starts_with(b"set-cookie") => seen(0.75, "a header in the page", at),
        b"attributename" => seen(0.8, "an animation that sets an attribute", at),
        b"autofocus" => seen(0.4, "an attribute that triggers", at),
        _ => None,
    }
}

/// A script URI, with the white space, control characters and entities browsers ignore within the scheme. A
/// `slack` of 0 demands that something follows that is script.
fn uri(text: &[u8], slack: usize) -> Option<Seen> {
    const SCHEMES: [&[u8]; 4] = [b"javascript", b"vbscript", b"livescript", b"mocha"];
    for at in memchr::memchr_iter(b':', text).take(64) {
        let mut letters = Vec::with_capacity(12);
        let mut i = at;
        while i > 0 && letters.len() < 10 && at - i < 40 {
            i -= 1;
            match text[i] {
                b @ b'a'..=b'z' => letters.push(b),
                0..=b' ' | b'\\' | b'/' | b'*' | 0x80.. if text[i] > b' ' || slack > 0 || matches!(text[i], 1..=0x1f) => {}
                b' ' if letters.is_empty() => {}
                _ => break,
            }
        }
        letters.reverse();
        for scheme in SCHEMES {
            if letters.ends_with(scheme) {
                let rest = text[at + 1..].trim_ascii();
                let void = rest.starts_with(b"void(0)") || rest.is_empty() || rest.starts_with(b";");
                let runs = rest.iter().any(|b| matches!(b, b'(' | b'`' | b'=' | b'%' | b'&' | b'\\' | b'/'));
                return match (void, runs) {
                    (true, _) if slack == 0 => seen(0.35, "a script URI", i),
                    (false, true) => seen(0.9, "a script URI", i),
                    _ if slack == 0 => seen(0.35, "a script URI", i),
                    _ => seen(0.6, "a script URI", i),
                };
            }
        }
        if letters.ends_with(b"data") {
            let rest = text[at + 1..].trim_ascii_start();
            if rest.starts_with(b"text/html") || rest.starts_with(b"image/svg") && (find(rest, "<script").is_some() || find(rest, "onload").is_some() || find(rest, ";base64").is_some()) || rest.starts_with(b"text/javascript") || rest.starts_with(b"application/x-javascript") || rest.starts_with(b"text/xml") || rest.starts_with(b",alert") {
                return seen(0.75, "a document in a URI", i);
            }
        }
    }
    None
}

/// `" onfocus=alert(1) `, an attribute that the value adds to an element around it.
fn loose_handler(text: &[u8]) -> Option<Seen> {
    let mut best = None;
    for at in memchr::memmem::find_iter(text, b"on").take(64) {
        let before = at.checked_sub(1).map(|i| text[i]);
        if before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'?' | b'&' | b':')) {
            continue;
        }
        let len = text[at + 2..].iter().take(30).take_while(|b| b.is_ascii_lowercase()).count();
        let mut i = at + 2 + len;
        while text.get(i).is_some_and(|b| b.is_ascii_whitespace() || *b < b' ' || *b == b'/') {
            i += 1;
        }
        if len < 3 || text.get(i) != Some(&b'=') || text.get(i + 1) == Some(&b'=') {
            continue;
        }
        let name = &text[at + 2..at + 2 + len];
        const EVENTS: &[&[u8]] = &[b"error", b"load", b"click", b"focus", b"blur", b"submit", b"toggle", b"begin", b"end", b"change", b"input", b"select", b"copy", b"cut", b"paste", b"scroll", b"resize", b"wheel", b"start", b"finish", b"reset", b"invalid", b"search", b"play", b"show", b"message", b"abort"];
        const STEMS: &[&[u8]] = &[b"mouse", b"key", b"pointer", b"touch", b"drag", b"animation", b"transition", b"before", b"after", b"focus", b"webkit", b"page", b"can", b"load", b"media", b"unhandled", b"dbl", b"aux", b"context", b"hash", b"pop", b"select", b"form", b"data", b"cell", b"row", b"layout", b"property", b"ready", b"move", b"control", b"active", b"deactivate", b"filter", b"gotpointer", b"lostpointer", b"time", b"volume", b"rate", b"seek", b"stall", b"suspend", b"wait", b"durat", b"empt", b"play", b"pause", b"progress", b"fullscreen", b"beforeunload", b"unload", b"offline", b"online", b"print", b"storage", b"error"];
        let known = EVENTS.contains(&name) || STEMS.iter().any(|stem| name.starts_with(stem));
        let quoted = matches!(before, Some(b'"' | b'\'' | b'`' | b'/'));
        let score = match (known, quoted, before) {
            (true, true, _) => 0.85,
            (true, false, Some(_)) => 0.75,
            (true, false, None) => 0.6,
            (false, true, _) => 0.6,
            (false, false, Some(b' ' | b'\t' | b'\n')) if matches!(text.get(i + 1), Some(b'"' | b'\'' | b'a'..=b'z')) && find(&text[i..], "(").is_some() => 0.5,
            _ => 0.2,
        };
        best = stronger(best, seen(score, "an event handler", at));
    }
    best
}

fn without_elements(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        if text[i] == b'<'
            && let Some(end) = text[i..].iter().take(16).position(|b| *b == b'>')
        {
            i += end + 1;
            continue;
        }
        out.push(text[i]);
        i += 1;
    }
    out
}

/// Script that stands by itself or leaves a string.
fn script(view: &View<'_>) -> Option<Seen> {
    let text = view.lower;
    let best = table(text, &[
        ("document.cookie", 0.85, "the cookies are read"), ("document.domain", 0.7, "the page's domain is read"), ("document.write", 0.8, "the page is written"), ("document.location", 0.7, "the page is sent elsewhere"),
        ("document['", 0.45, "the page by name"), ("document[\"", 0.45, "the page by name"), ("window['", 0.65, "a function by name"), ("window[\"", 0.6, "a function by name"), ("string.fromcharcode", 0.85, "text hidden in character codes"), ("fromcharcode(", 0.8, "text hidden in character codes"),
        ("constructor.constructor", 0.93, "the function constructor"), ("[]['", 0.7, "a function by name"), ("top['", 0.75, "a function by name"), ("self['", 0.75, "a function by name"), ("this['", 0.6, "a function by name"), ("parent['", 0.7, "a function by name"), ("frames['", 0.7, "a function by name"),
        ("top[\"", 0.75, "a function by name"), ("self[\"", 0.75, "a function by name"), ("globalthis[", 0.75, "a function by name"), ("eval(atob", 0.93, "encoded script"), ("=eval;", 0.75, "script from a string"), ("=alert;", 0.75, "a call of script"), ("=eval,", 0.7, "script from a string"), ("=alert,", 0.7, "a call of script"), ("atob(", 0.55, "encoded script"), ("eval(string", 0.9, "encoded script"), ("eval(name", 0.85, "script from the window's name"), ("eval(location", 0.9, "script from the address"),
        ("localstorage.getitem", 0.6, "the storage is read"), (".innerhtml", 0.6, "the page is written"), ("new image", 0.5, "a request"), ("xmlhttprequest", 0.6, "a request"), ("@import", 0.45, "a style is loaded"), ("expression(", 0.55, "a style that runs"), ("-moz-binding", 0.75, "a style that runs"),
        ("[].constructor", 0.85, "the function constructor"), ("''.constructor", 0.85, "the function constructor"), ("location=name", 0.8, "script from the window's name"), ("onerror=alert", 0.9, "an event handler"), ("onerror=eval", 0.9, "an event handler"), ("throw ", 0.2, "an exception"), ("reflect.call", 0.6, "a call"), ("reflect.apply", 0.7, "a call"), ("alert.call", 0.85, "a call"), ("alert?.", 0.85, "a call"), ("alert.apply", 0.85, "a call"), ("prompt.call", 0.85, "a call"), ("prompt.apply", 0.85, "a call"), ("confirm.call", 0.85, "a call"), ("confirm.apply", 0.85, "a call"), ("document[\"cookie", 0.85, "the cookies are read"), ("document['cookie", 0.85, "the cookies are read"),
        ("window.open(", 0.5, "a window is opened"), ("window.location=", 0.7, "the page is sent elsewhere"), ("window.location.assign(", 0.7, "the page is sent elsewhere"), ("location.replace(", 0.55, "the page is sent elsewhere"), ("window.name", 0.4, "the window's name"), (".source)", 0.4, "a string from a pattern"), ("{{constructor", 0.9, "the function constructor"),
    ]);
    stronger(best, calls(text))
}

/// `alert(1)`, also with a backtick, white space, comments or an operator before it.
fn calls(text: &[u8]) -> Option<Seen> {
    let mut best = None;
    for (name, weight) in [("alert", 0.7), ("prompt", 0.65), ("confirm", 0.65), ("eval", 0.55), ("settimeout", 0.5), ("setinterval", 0.5), ("import", 0.4), ("fetch", 0.4), ("print", 0.3), ("console.log", 0.5)] {
        for at in memchr::memmem::find_iter(text, name.as_bytes()).take(16) {
            let mut i = at + name.len();
            if at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_') {
                continue;
            }
            while text.get(i).is_some_and(|b| b.is_ascii_whitespace() || matches!(b, b')' | b']' | b'"' | b'\'' | b'/' | b'*' | b'?' | b'.' | b'`')) && i < at + name.len() + 6 && text.get(i) != Some(&b'`') {
                i += 1;
            }
            let tight = i == at + name.len();
            if !matches!(text.get(i), Some(b'(' | b'`')) {
                continue;
            }
            let before = at.checked_sub(1).map(|i| text[i]);
            let code_before = matches!(before, Some(b';' | b'-' | b'+' | b'*' | b'/' | b'^' | b'|' | b'&' | b'{' | b'}' | b'(' | b'[' | b'=' | b'>' | b'"' | b'\'' | b'`' | b',' | b'!' | b'~' | b'%' | b'?' | b':' | b'<'));
            let short = text.get(i + 1).is_some_and(|b| b.is_ascii_digit() || matches!(b, b'"' | b'\'' | b'/' | b'`' | b')' | b'd' | b'x' | b'w'));
            let score = weight + if code_before { 0.15 } else { 0.0 } + if short && tight { 0.08 } else { 0.0 };
            best = stronger(best, in_prose(seen(score, "a call of script", at), text));
        }
    }
    best
}

/// Script of `[]()!+` alone, and the like.
fn brackets_only(text: &[u8]) -> Option<Seen> {
    let at = find(text, "[]").or_else(|| find(text, "![")).or_else(|| find(text, "+["))?;
    let tail = &text[at..text.len().min(at + 400)];
    let count = tail.iter().filter(|b| matches!(b, b'[' | b']' | b'(' | b')' | b'!' | b'+' | b'$' | b'_' | b'{' | b'}' | b'~' | b'.' | b'"' | b'\'')).count();
    if count >= 24 && count * 10 >= tail.len() * 7 { seen(0.85, "script of brackets alone", at) } else { None }
}
