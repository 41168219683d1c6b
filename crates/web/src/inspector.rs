//! From a transaction to a verdict: splitting, decoding, asking the analysers, adding up.

use crate::analysers::{self, Hit, Place, View};
use crate::body::json::{self, Kind, Segment};
use crate::body::{multipart, xml};
use crate::budget::{Budget, FINDINGS_MAX};
use crate::gate::{self, Words, sign};
use crate::model::Model;
use crate::verdict::ATTACK_SCORE;
use crate::{Class, Decision, Finding, Transaction, Verdict, decode, policy};
use ahash::RandomState;
use std::borrow::Cow;
use std::collections::HashSet;

/// Views of one value.
const VIEWS_MAX: usize = 10;
/// Decodings on top of each other.
const CHAIN_MAX: usize = 8;
/// Longer values are looked at in windows, so that padding neither hides nor slows.
const WINDOW_BYTES: usize = 4_096;
/// What neighbouring windows share.
const WINDOW_OVERLAP: usize = 256;
/// Segments of a path that are looked at by themselves.
const SEGMENTS_MAX: usize = 16;
/// Values up to this are also read with `+` for the space.
const PLUS_BYTES_MAX: usize = 512;
/// Characters of a value shown in a finding.
const SHOWN_CHARS: usize = 160;
/// Findings below this score are not told.
const TOLD_SCORE: f32 = 0.3;
/// JSON strings within JSON strings are followed this far.
const NESTING_MAX: usize = 4;
/// Printable runs of binary bodies that are looked at.
const RUN_BYTES_MIN: usize = 12;

/// Signs that say nothing without a trigger word.
const DULL: u32 = sign::BORING | sign::SPACE | sign::COMMA | sign::COLON | sign::SLASH | sign::HIGH | sign::PLUS | sign::CARET;

/// Whether a token decodes to something.
fn encoded(token: &[u8]) -> bool {
    decode::hex(token).is_some() || decode::base64(token).is_some()
}

/// Holds the word automaton and the model; one is enough for a process, and it may be shared between threads.
pub struct Inspector {
    words: Words,
    model: Option<Model>,
    hasher: RandomState,
}

impl Default for Inspector {
    /// With the model that ships.
    fn default() -> Self {
        Self::with_model(Model::shipped())
    }
}

impl Inspector {
    /// With another model, or with the analysers alone.
    pub fn with_model(model: Option<Model>) -> Self {
        Self { words: Words::default(), model, hasher: RandomState::new() }
    }

    pub fn inspect(&self, transaction: &Transaction) -> Verdict {
        let mut run = Run::new(self);
        policy::check(transaction, &mut run.policy);
        for hit in analysers::whole(transaction) {
            run.told(&hit, &|| hit.place.to_owned(), &[], hit.value.as_bytes());
        }
        run.target(&transaction.target);
        run.headers(&transaction.headers);
        run.body(transaction);
        run.described(transaction);
        run.finish()
    }

    /// Every decoded view of every value, for training: with the analysers' best score.
    pub fn views(&self, transaction: &Transaction) -> Vec<(Vec<u8>, f32)> {
        let mut run = Run::new(self);
        run.collect = Some(Vec::new());
        run.target(&transaction.target);
        run.headers(&transaction.headers);
        run.body(transaction);
        run.collect.unwrap_or_default()
    }
}

/// Calls `visit` with the place (as findings tell it) and the text of every value as the application reads it:
/// decoded once. Besides what is inspected these are the method, the whole target, the whole body, all headers, and
/// numbers of JSON.
pub fn values(transaction: &Transaction, visit: &mut dyn FnMut(&str, &[u8])) {
    visit("method", transaction.method.as_bytes());
    visit("uri", transaction.target.as_bytes());
    if !transaction.body.is_empty() {
        visit("body", &transaction.body);
    }
    let mut visit_at = |at: &At<'_>, value: &[u8]| visit(&at.text(), value);
    let mut run = Run::over(None, RandomState::with_seeds(1, 2, 3, 4));
    run.visit = Some(&mut visit_at);
    run.target(&transaction.target);
    run.headers(&transaction.headers);
    run.body(transaction);
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum At<'a> {
    Path,
    Query(&'a [u8]),
    Header(&'a str),
    Cookie(&'a [u8]),
    Body(&'static str, &'a [u8]),
    Json(&'a [Segment<'a>]),
    Inside(&'a At<'a>, &'a [Segment<'a>]),
    Name(&'a At<'a>),
}

impl At<'_> {
    fn text(&self) -> String {
        let name = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned();
        match self {
            Self::Path => "path".to_owned(),
            Self::Query(n) => format!("query:{}", name(n)),
            Self::Header(n) => format!("header:{}", n.to_ascii_lowercase()),
            Self::Cookie(n) => format!("cookie:{}", name(n)),
            Self::Body(kind, n) if n.is_empty() => (*kind).to_owned(),
            Self::Body(kind, n) => format!("{kind}:{}", name(n)),
            Self::Json(path) => format!("body:json:{}", json::path(path)),
            Self::Inside(outer, path) => format!("{}:json:{}", outer.text(), json::path(path)),
            Self::Name(of) => format!("{}:name", of.text()),
        }
    }
}

/// How a value came over the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wire {
    Plain,
    Url,
    /// URL encoding with `+` for the space.
    Form,
    JsonString,
}

type Chain = Vec<&'static str>;
type Visit<'a> = dyn FnMut(&At<'_>, &[u8]) + 'a;

struct Run<'i> {
    /// Absent if values are only visited.
    inspector: Option<&'i Inspector>,
    visit: Option<&'i mut Visit<'i>>,
    budget: Budget,
    policy: Vec<&'static str>,
    findings: Vec<Finding>,
    score: f32,
    seen: HashSet<u64, RandomState>,
    nesting: usize,
    collect: Option<Vec<(Vec<u8>, f32)>>,
}

impl<'i> Run<'i> {
    fn new(inspector: &'i Inspector) -> Self {
        Self::over(Some(inspector), inspector.hasher.clone())
    }

    fn over(inspector: Option<&'i Inspector>, hasher: RandomState) -> Self {
        Self {
            inspector,
            visit: None,
            budget: Budget::default(),
            policy: Vec::new(),
            findings: Vec::new(),
            score: 0.0,
            seen: HashSet::with_hasher(hasher),
            nesting: 0,
            collect: None,
        }
    }

    fn target(&mut self, target: &str) {
        let bytes = target.as_bytes();
        let bytes = after_authority(bytes);
        let (path, query) = split_once(bytes, b'?');
        self.value(At::Path, Place::Path, path, Wire::Url);
        if self.visit.is_some() {
            self.pairs(query.unwrap_or_default(), Place::Value, &At::Query);
            return;
        }
        // A path, or a part of it, may be an encoded value: `/PHNjcmlwdD4=`.
        let tail = path.strip_prefix(b"/").unwrap_or(path);
        let whole = memchr::memchr(b'/', tail).map(|_| tail);
        for part in whole.into_iter().chain(tail.split(|b| *b == b'/').take(SEGMENTS_MAX)).filter(|part| part.len() >= 8) {
            let plain = decode::url(part, false).map_or(Cow::Borrowed(part), Cow::Owned);
            if encoded(&plain) {
                self.value(At::Path, Place::Value, &plain, Wire::Plain);
            }
        }
        if let Some(query) = query {
            self.pairs(query, Place::Value, &At::Query);
        }
    }

    /// `a=b&c=d`, with `;` left to the values: servers that split there are rare, attacks with it are not.
    fn pairs<'a>(&mut self, text: &'a [u8], place: Place, at: &dyn Fn(&'a [u8]) -> At<'a>) {
        for pair in text.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split_once(pair, b'=');
            match value {
                // `?<meta http-equiv=…`: what stands before the sign is no name.
                Some(_) if name.iter().any(|b| matches!(b, b'<' | b'\'' | b'"' | b'(' | b' ' | b';' | b'|')) || memchr::memmem::find(name, b"%3").is_some() || memchr::memmem::find(name, b"%2").is_some() => {
                    self.value(at(name), place, pair, Wire::Form);
                    if name.len() >= 8 && !name.contains(&b' ') {
                        self.value(At::Name(&at(name)), place, name, Wire::Form);
                    }
                    self.value(at(name), place, value.unwrap_or_default(), Wire::Form);
                }
                Some(value) => {
                    self.name(at(name), name);
                    self.value(at(name), place, value, Wire::Form);
                }
                // A query without names is a value.
                None => self.value(at(b""), place, name, Wire::Form),
            }
        }
    }

    fn name(&mut self, at: At<'_>, name: &[u8]) {
        if self.visit.is_some() {
            return;
        }
        if gate::signs(name) & !(gate::sign::BORING | sign::BRACKET) != 0 || name.len() > 9 {
            self.value(At::Name(&at), Place::Name, name, Wire::Form);
        } else if memchr::memchr2(b'[', b'$', name).is_some() {
            self.value(At::Name(&at), Place::Name, name, Wire::Plain);
        }
    }

    fn headers(&mut self, headers: &[(String, String)]) {
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("cookie") {
                self.cookies(value.as_bytes());
            } else if name.eq_ignore_ascii_case("referer") {
                self.referer(name, value.as_bytes());
            } else if self.visit.is_some() || !is_plain_header(name) {
                let agent = name.eq_ignore_ascii_case("user-agent");
                let place = if agent { Place::Agent } else { Place::Header };
                self.value(At::Header(name), place, value.as_bytes(), Wire::Plain);
            }
            if gate::signs(name.as_bytes()) & !(sign::BORING | sign::COLON) != 0 {
                self.value(At::Name(&At::Header(name)), Place::Name, name.as_bytes(), Wire::Plain);
            }
        }
    }

    fn cookies(&mut self, value: &[u8]) {
        for cookie in value.split(|b| *b == b';') {
            let (name, value) = split_once(cookie.trim_ascii(), b'=');
            self.name(At::Cookie(name), name);
            self.value(At::Cookie(name), Place::Cookie, value.unwrap_or_default(), Wire::Url);
        }
    }

    fn referer(&mut self, name: &str, value: &[u8]) {
        if self.visit.is_some() {
            self.value(At::Header(name), Place::Referer, value, Wire::Plain);
            return;
        }
        let rest = after_authority(value);
        let (path, query) = split_once(rest, b'?');
        if rest.len() == value.len() {
            // No URL at all: what else would a value be.
            self.value(At::Header(name), Place::Value, value, Wire::Url);
            return;
        }
        self.value(At::Header(name), Place::Referer, path, Wire::Url);
        for pair in query.unwrap_or_default().split(|b| *b == b'&') {
            let value = split_once(pair, b'=').1.unwrap_or(pair);
            self.value(At::Header(name), Place::Referer, value, Wire::Form);
        }
    }

    fn body(&mut self, transaction: &Transaction) {
        if transaction.body.is_empty() {
            return;
        }
        let mut body = Cow::Borrowed(&transaction.body[..]);
        for coding in transaction.header("content-encoding").unwrap_or_default().split(',').rev() {
            let coding = coding.trim();
            let inflated = if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                decode::gzip(&body)
            } else if coding.eq_ignore_ascii_case("deflate") {
                decode::deflate(&body)
            } else {
                None
            };
            if let Some(inflated) = inflated {
                if inflated.cut {
                    self.budget.note("body: the decompressed body is larger than is inspected");
                }
                body = Cow::Owned(inflated.bytes);
            } else if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") && coding.len() < 20 && !looks_like_text(&body) {
                self.budget.note("body: its content encoding cannot be undone");
            }
        }
        self.body_as(transaction.header("content-type").unwrap_or_default(), &body);
    }

    /// Reads the body as what it is; what the content type says is only the first guess.
    fn body_as(&mut self, content_type: &str, body: &[u8]) {
        let declared = content_type.to_ascii_lowercase();
        let start = body.trim_ascii_start();
        if (declared.contains("multipart") || start.starts_with(b"--")) && self.multipart(content_type, body) {
            return;
        }
        if declared.contains("json") || matches!(start.first(), Some(b'{' | b'[' | b'"')) {
            if self.json_body(body) {
                return;
            }
        }
        // Of 2,500 random bodies three begin with `<` and hold a `</`.
        let has_markup = || looks_like_text(body) && (start.starts_with(b"<!") || memchr::memmem::find(start, b"</").is_some());
        if start.first() == Some(&b'<') && (declared.contains("xml") || start.starts_with(b"<?xml") || has_markup()) {
            if self.visit.is_none() {
                self.value(At::Body("body:xml", b""), Place::Xml, body, Wire::Plain);
            }
            xml::walk(body, &mut |name, text| self.value(At::Body("body:xml", name), Place::Value, text, Wire::Plain));
            if declared.contains("xml") {
                return;
            }
        }
        if !looks_like_text(body) {
            if self.visit.is_none() {
                self.binary(body);
            }
            return;
        }
        let form = declared.contains("urlencoded") || is_form(body);
        if form {
            self.pairs(body, Place::Value, &|name| At::Body("body:form", name));
        }
        if self.visit.is_none() && (!form || declared.contains("text/plain")) {
            self.value(At::Body("body", b""), Place::Value, body, Wire::Url);
        }
    }

    fn json_body(&mut self, body: &[u8]) -> bool {
        self.json(None, body)
    }

    /// True if the text was JSON to its end; what was read before an error has been looked at all the same.
    fn json(&mut self, outer: Option<&At<'_>>, text: &[u8]) -> bool {
        if !self.budget.spend(text.len() / 4) {
            return false;
        }
        self.nesting += 1;
        let whole = json::walk(text, &mut |path, kind, value| {
            let at = outer.map_or(At::Json(path), |outer| At::Inside(outer, path));
            match kind {
                Kind::Bare if self.visit.is_some() => self.value(at, Place::Value, value, Wire::Plain),
                Kind::Key if self.visit.is_none() && value.len() > 2 => self.value(At::Name(&at), Place::Name, value, Wire::JsonString),
                Kind::Text => self.value(at, Place::Value, value, Wire::JsonString),
                _ => {}
            }
        });
        self.nesting -= 1;
        whole
    }

    fn multipart(&mut self, content_type: &str, body: &[u8]) -> bool {
        let Some(boundary) = multipart::boundary(Some(content_type), body) else { return false };
        let (parts, cut) = multipart::parts(body, &boundary);
        if cut {
            self.budget.note("multipart: more parts than are looked at");
        }
        for part in &parts {
            let content = if part.base64 { decode::base64_decode(part.content) } else { None };
            let content = content.as_deref().unwrap_or(part.content);
            let name = part.name.as_bytes();
            self.name(At::Body("multipart", name), name);
            match &part.file {
                Some(file) => self.file(name, file, part.content_type.as_deref(), content),
                None => self.value(At::Body("multipart", name), Place::Value, content, Wire::Plain),
            }
        }
        !parts.is_empty()
    }

    fn file(&mut self, field: &[u8], name: &str, declared: Option<&str>, content: &[u8]) {
        let at = At::Body("multipart:file", field);
        if self.visit.is_some() {
            self.value(at, Place::FileName, name.as_bytes(), Wire::Plain);
            return;
        }
        self.value(at, Place::FileName, name.as_bytes(), Wire::Url);
        let _ = self.budget.spend(content.len() / 2);
        for hit in analysers::upload::file(name, declared, content) {
            self.told(&hit, &|| at.text(), &[], name.as_bytes());
        }
        let text = looks_like_text(content);
        if text && content.trim_ascii_start().starts_with(b"<") {
            self.value(at, Place::Xml, content, Wire::Plain);
        }
        if text {
            self.value(at, Place::File, content, Wire::Plain);
        }
    }

    /// What its sender says of what it did not send.
    fn described(&mut self, transaction: &Transaction) {
        if transaction.body_truncated {
            self.budget.note("body: its sender sent only the beginning");
        }
        for file in &transaction.files {
            let magic: Vec<u8> = file.magic.as_bytes().chunks_exact(2).map_while(|pair| decode::hex_code(pair).map(|code| code as u8)).collect();
            self.file(b"", &file.name, Some(&file.content_type), &magic);
        }
    }

    /// The printable runs of a body that is no text.
    fn binary(&mut self, body: &[u8]) {
        self.value(At::Body("body:binary", b""), Place::Binary, &body[..body.len().min(64)], Wire::Plain);
        for run in body.split(|b| *b < 0x20 && !matches!(b, b'\t' | b'\r' | b'\n') || *b > 0x7e).filter(|r| r.len() >= RUN_BYTES_MIN) {
            self.value(At::Body("body:binary", b""), Place::Binary, run, Wire::Plain);
        }
    }

    /// One value with all its views.
    fn value(&mut self, at: At<'_>, place: Place, raw: &[u8], wire: Wire) {
        if raw.len() < 2 && self.visit.is_none() || !self.budget.value() || !self.budget.spend(raw.len() / 4 + 8) {
            return;
        }
        let (first, chain): (Cow<'_, [u8]>, Chain) = match wire {
            Wire::Plain => (Cow::Borrowed(raw), Vec::new()),
            Wire::Url | Wire::Form => match decode::url(raw, wire == Wire::Form) {
                Some(decoded) => (Cow::Owned(decoded), vec!["url"]),
                None => (Cow::Borrowed(raw), Vec::new()),
            },
            Wire::JsonString => match json_unescape(raw) {
                Some(decoded) => (Cow::Owned(decoded), Vec::new()),
                None => (Cow::Borrowed(raw), Vec::new()),
            },
        };
        if let Some(visit) = &mut self.visit {
            visit(&at, &first);
            let signs = gate::signs(&first);
            self.embedded(&at, &first, signs);
            return;
        }
        let Some(inspector) = self.inspector else { return };
        // Most values end here: no sign of anything, no trigger word, nothing to decode.
        let signs = gate::signs(&first);
        if signs & (DULL ^ (sign::PLUS | sign::SLASH)) == signs
            && !(first.len() >= 8 && signs & !(sign::BORING | sign::SLASH | sign::PLUS | sign::SPACE) == 0 && encoded(&first))
            && self.collect.is_none()
            && inspector.words.groups(&first) == 0
        {
            return;
        }
        let mut queue = vec![(first, chain)];
        let mut done = 0;
        while let Some((bytes, chain)) = queue.pop() {
            if done == VIEWS_MAX {
                self.budget.note("views: a value is encoded in more ways than are undone");
                break;
            }
            done += 1;
            let hash = inspector.hasher.hash_one((place as u8, &bytes[..]));
            if !self.seen.insert(hash) {
                continue;
            }
            let signs = gate::signs(&bytes);
            let walked = self.embedded(&at, &bytes, signs);
            if !walked {
                self.view(&at, place, &bytes, signs, &chain);
            }
            if chain.len() < CHAIN_MAX {
                self.deeper(place, &bytes, signs, &chain, &mut queue);
            } else if signs & sign::PERCENT != 0 && decode::url(&bytes, false).is_some() {
                self.budget.note("depth: a value is encoded more deeply than is undone");
            }
        }
    }

    /// JSON in a string is walked like a JSON body; true if it was JSON to the end.
    fn embedded(&mut self, at: &At<'_>, bytes: &[u8], signs: u32) -> bool {
        if signs & sign::DOUBLE == 0 || signs & (sign::BRACE | sign::BRACKET) == 0 || self.nesting >= NESTING_MAX {
            return false;
        }
        matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) && self.json(Some(at), bytes)
    }

    /// Adds what decoding once more gives.
    fn deeper<'a>(&mut self, place: Place, bytes: &[u8], signs: u32, chain: &[&'static str], queue: &mut Vec<(Cow<'a, [u8]>, Chain)>) {
        let mut push = |decoded: Vec<u8>, names: &[&'static str], budget: &mut Budget| {
            if budget.spend(decoded.len()) {
                let mut longer = chain.to_vec();
                longer.extend_from_slice(names);
                queue.push((Cow::Owned(decoded), longer));
            }
        };
        let mut names = Vec::new();
        let mut text: Option<Vec<u8>> = None;
        let layers: [(u32, &'static str, fn(&[u8]) -> Option<Vec<u8>>); 4] = [
            (sign::PERCENT, "url", |b| decode::url(b, false)),
            (sign::AMPERSAND, "html", decode::html),
            (sign::BACKSLASH, "escape", decode::escapes),
            (sign::PLUS, "utf7", decode::utf7),
        ];
        let mut now = signs;
        for (needs, name, layer) in layers {
            if now & needs != 0
                && let Some(decoded) = layer(text.as_deref().unwrap_or(bytes))
            {
                now = gate::signs(&decoded);
                names.push(name);
                text = Some(decoded);
            }
        }
        if let Some(text) = text {
            push(text, &names, &mut self.budget);
        }
        // `')+waitfor+delay+'0:0:5'`: a form's spaces, encoded once more or where no form is.
        if matches!(place, Place::Value | Place::Path)
            && signs & (sign::PLUS | sign::SPACE) == sign::PLUS
            && signs & (sign::QUOTE | sign::PAREN) != 0
            && bytes.len() <= PLUS_BYTES_MAX
            && memchr::memchr_iter(b'+', bytes).nth(1).is_some()
            && self.inspector.is_some_and(|i| i.words.groups(bytes) & (gate::word::SQL | gate::word::SQL_STRONG) != 0)
        {
            let spaced = bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
            push(spaced, &["plus"], &mut self.budget);
        }
        if signs & !(sign::BORING | sign::PLUS | sign::SLASH | sign::EQUAL | sign::NEWLINE | sign::CONTROL | sign::SPACE) == 0 {
            if let Some(decoded) = decode::hex(bytes) {
                push(decoded, &["hex"], &mut self.budget);
            } else if let Some(decoded) = decode::base64(bytes) {
                push(decoded, &["base64"], &mut self.budget);
            }
        } else if signs & (sign::COMMA | sign::COLON) == sign::COMMA | sign::COLON
            && let Some(i) = memchr::memmem::find(bytes, b";base64,")
            && let Some(decoded) = decode::base64(&bytes[i + 8..])
        {
            push(decoded, &["base64"], &mut self.budget);
        }
        if bytes.starts_with(&[0x1f, 0x8b])
            && let Some(inflated) = decode::gzip(bytes)
        {
            if inflated.cut {
                self.budget.note("gzip: a value decompresses to more than is inspected");
            }
            push(inflated.bytes, &["gzip"], &mut self.budget);
        }
    }

    fn view(&mut self, at: &At<'_>, place: Place, bytes: &[u8], signs: u32, chain: &[&'static str]) {
        if bytes.len() <= WINDOW_BYTES {
            self.window(at, place, bytes, signs, chain);
            return;
        }
        let mut from = 0;
        while from < bytes.len() {
            let window = &bytes[from..bytes.len().min(from + WINDOW_BYTES)];
            self.window(at, place, window, gate::signs(window), chain);
            from += WINDOW_BYTES - WINDOW_OVERLAP;
        }
    }

    fn window(&mut self, at: &At<'_>, place: Place, bytes: &[u8], signs: u32, chain: &[&'static str]) {
        let Some(inspector) = self.inspector else { return };
        let words = inspector.words.groups(bytes);
        if words == 0 && signs & !DULL == 0 {
            return;
        }
        if !self.budget.spend(bytes.len()) {
            return;
        }
        let lower = bytes.to_ascii_lowercase();
        let view = View { place, raw: bytes, lower: &lower, signs, words };
        let mut best = Hit::none();
        for analyser in analysers::TABLE {
            if !(analyser.wants)(&view) {
                continue;
            }
            if !self.budget.spend(bytes.len() * 3) {
                break;
            }
            let Some(seen) = (analyser.look)(&view) else { continue };
            let hit = Hit { analyser: analyser.name, class: seen.class.unwrap_or(analyser.class), score: seen.score, why: seen.why, at: seen.at, ..Hit::none() };
            if hit.score >= TOLD_SCORE {
                self.told(&hit, &|| at.text(), chain, bytes);
            }
            if hit.score > best.score {
                best = hit;
            }
        }
        if place.is_learned() {
            if let Some(collect) = &mut self.collect {
                collect.push((lower, best.score));
            } else {
                self.learned(at, &lower, bytes, chain, &best);
            }
        }
    }

    /// What the classifier adds.
    fn learned(&mut self, at: &At<'_>, lower: &[u8], bytes: &[u8], chain: &[&'static str], best: &Hit) {
        let Some(model) = self.inspector.and_then(|i| i.model.as_ref()) else { return };
        if best.score >= 0.9 || !self.budget.spend(lower.len()) {
            return;
        }
        let (score, place) = model.score(lower, best.score);
        if score >= ATTACK_SCORE && score > best.score {
            let class = if best.score >= 0.2 { best.class } else { Class::Unknown };
            let hit = Hit { analyser: "classifier", class, score, why: "it looks like the attacks the model has learned", at: place, ..Hit::none() };
            self.told(&hit, &|| at.text(), chain, bytes);
        }
    }

    fn told(&mut self, hit: &Hit, location: &dyn Fn() -> String, chain: &[&'static str], value: &[u8]) {
        self.score = self.score.max(hit.score);
        let full = self.findings.len() >= FINDINGS_MAX;
        if full {
            self.budget.note("findings: more than are told");
            if self.findings.iter().all(|f| f.score >= hit.score) {
                return;
            }
        }
        let location = location();
        let finding = Finding {
            analyser: hit.analyser,
            class: hit.class,
            location,
            chain: chain.to_vec(),
            value: excerpt(value, hit.at),
            score: hit.score,
            cwe: hit.class.cwe(),
            technique: hit.class.technique(),
            why: hit.why.to_owned(),
        };
        let same = self.findings.iter_mut().find(|f| f.analyser == finding.analyser && f.class == finding.class && f.location == finding.location);
        match same {
            Some(old) if old.score < finding.score => *old = finding,
            Some(_) => {}
            None if full => {
                if let Some(weakest) = self.findings.iter_mut().min_by(|a, b| a.score.total_cmp(&b.score)) {
                    *weakest = finding;
                }
            }
            None => self.findings.push(finding),
        }
    }

    fn finish(mut self) -> Verdict {
        self.findings.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut classes: Vec<(Class, f32)> = Vec::new();
        for finding in &self.findings {
            if !classes.iter().any(|(class, _)| *class == finding.class) {
                classes.push((finding.class, finding.score));
            }
        }
        let verdict = if self.score >= ATTACK_SCORE { Decision::Attack } else { Decision::Allow };
        Verdict { verdict, score: self.score.min(1.0), classes, policy: self.policy, findings: self.findings, truncated: self.budget.notes }
    }
}

/// Headers whose grammar leaves no room for a value an application would use; policy checks look at them.
fn is_plain_header(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "accept-encoding", "connection", "content-length", "content-encoding", "transfer-encoding", "upgrade-insecure-requests", "sec-ch-ua",
        "sec-ch-ua-full-version-list", "sec-ch-ua-platform", "sec-ch-ua-mobile", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest",
        "sec-fetch-user", "if-none-match", "if-modified-since",
    ];
    let bytes = name.as_bytes();
    (name.len() >= 9 && matches!(bytes[0] | 0x20, b'a' | b'c' | b't' | b'u' | b's' | b'i')) && NAMES.iter().any(|plain| name.eq_ignore_ascii_case(plain))
}

/// What stands after `scheme://host`, or all of it.
fn after_authority(bytes: &[u8]) -> &[u8] {
    let Some(at) = memchr::memmem::find(&bytes[..bytes.len().min(12)], b"://") else { return bytes };
    let rest = &bytes[at + 3..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    &rest[end..]
}

fn split_once(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, bytes) {
        Some(i) => (&bytes[..i], Some(&bytes[i + 1..])),
        None => (bytes, None),
    }
}

/// Whether a body without a content type reads as `name=value`.
fn is_form(body: &[u8]) -> bool {
    let name = body.iter().take(128).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%')).count();
    name > 0 && body.get(name) == Some(&b'=')
}

fn looks_like_text(body: &[u8]) -> bool {
    let head = &body[..body.len().min(1_024)];
    let odd = head.iter().filter(|b| **b < 0x20 && !matches!(b, b'\t' | b'\r' | b'\n') || **b == 0x7f).count();
    odd * 20 <= head.len()
}

/// JSON's own escapes.
fn json_unescape(raw: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'\\', raw)?;
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    match serde_json::from_slice::<String>(&quoted) {
        Ok(text) => Some(text.into_bytes()),
        Err(_) => decode::escapes(raw),
    }
}

/// The value around `at`, printable.
fn excerpt(value: &[u8], at: usize) -> String {
    let from = at.min(value.len()).saturating_sub(SHOWN_CHARS / 4);
    let to = value.len().min(from + SHOWN_CHARS);
    String::from_utf8_lossy(&value[from..to]).into_owned()
}
