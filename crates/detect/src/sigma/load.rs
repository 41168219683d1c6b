//! From files to parsed Sigma documents, each with the line it begins at. Nothing is skipped in silence:
//! what can't be read is a [`LoadIssue`], and the rest of the file still loads.

use crate::correlate::{Document, Options, read_document};
use crate::{LoadIssue, RuleFile};
use rsigma_parser::{FilterRule, SigmaRule};

/// Largest rule file that is read; the largest in SigmaHQ has 60 KB.
const FILE_BYTES_MAX: usize = 2 << 20;

/// A parsed document and where it stands.
pub(crate) struct Source<T> {
    pub item: T,
    pub file: String,
    /// The document's text, and the line of the file on which it begins.
    pub text: String,
    pub line: usize,
}

impl<T> Source<T> {
    /// An issue about this document, on the line that holds `near`.
    pub(crate) fn issue(&self, message: impl Into<String>, hint: Option<String>, near: &str) -> LoadIssue {
        LoadIssue {
            file: self.file.clone(),
            line: Some(line_of(&self.text, near).map_or(self.line, |line| self.line + line)),
            message: message.into(),
            hint,
        }
    }
}

#[derive(Default)]
pub(crate) struct Documents {
    pub rules: Vec<Source<SigmaRule>>,
    pub correlations: Vec<Source<Document>>,
    pub filters: Vec<Source<FilterRule>>,
}

impl Documents {
    pub(crate) fn read(files: &[RuleFile], issues: &mut Vec<LoadIssue>) -> Self {
        let mut documents = Self::default();
        for file in files {
            documents.read_file(file, issues);
        }
        documents
    }

    fn read_file(&mut self, file: &RuleFile, issues: &mut Vec<LoadIssue>) {
        if file.text.len() > FILE_BYTES_MAX {
            issues.push(LoadIssue {
                file: file.path.clone(),
                line: None,
                message: format!("the file has {} bytes, at most {FILE_BYTES_MAX} are read", file.text.len()),
                hint: Some("split it into several files".into()),
            });
            return;
        }
        // `action:` documents change their neighbours, so such a file is read whole; its issues carry the
        // line of the first document.
        let whole = file.text.lines().any(|line| line.starts_with("action:"));
        let parts = if whole { vec![(1, file.text.as_str())] } else { split(&file.text) };
        for (line, text) in parts {
            self.read_document(&file.path, line, text, issues);
        }
    }

    fn read_document(&mut self, path: &str, line: usize, text: &str, issues: &mut Vec<LoadIssue>) {
        let own = match text.contains("correlation:").then(|| read_document(text)).transpose() {
            Ok(own) => own.flatten(),
            Err((message, hint, near)) => {
                let line = Some(line_of(text, &near).map_or(line, |at| line + at));
                issues.push(LoadIssue { file: path.to_owned(), line, message, hint });
                return;
            }
        };
        let (options, as_sigma) = own.map_or((Options::default(), None), |(options, text)| (options, Some(text)));
        let parsed = match rsigma_parser::parse_sigma_yaml(as_sigma.as_deref().unwrap_or(text)) {
            Ok(parsed) => parsed,
            Err(error) => {
                issues.push(parse_issue(path, line, text, &error.to_string()));
                return;
            }
        };
        issues.extend(parsed.errors.iter().map(|error| parse_issue(path, line, text, error)));
        macro_rules! take {
            ($from:expr, $into:expr) => {
                $into.extend($from.into_iter().map(|item| Source {
                    item,
                    file: path.to_owned(),
                    text: text.to_owned(),
                    line,
                }))
            };
        }
        take!(parsed.rules, self.rules);
        let correlations: Vec<_> =
            parsed.correlations.into_iter().map(|sigma| Document { sigma, options: options.clone() }).collect();
        take!(correlations, self.correlations);
        take!(parsed.filters, self.filters);
    }
}

/// The documents of a file with their first lines, counted from 1; empty ones left out.
fn split(text: &str) -> Vec<(usize, &str)> {
    let (mut parts, mut start, mut first, mut at) = (Vec::new(), 0, 1, 0);
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if i > 0 && (line.trim_end() == "---" || line.starts_with("--- ")) {
            parts.push((first, &text[start..at]));
            (start, first) = (at, i + 1);
        }
        at += line.len();
    }
    parts.push((first, &text[start..]));
    parts.retain(|(_, part)| part.lines().any(|line| !matches!(line.trim(), "" | "---") && !line.starts_with('#')));
    parts
}

/// The 0-based line of the first occurrence.
fn line_of(text: &str, near: &str) -> Option<usize> {
    let near = near.trim();
    if near.is_empty() {
        return None;
    }
    text.lines().position(|line| line.contains(near))
}

fn parse_issue(path: &str, line: usize, text: &str, error: &str) -> LoadIssue {
    // The condition parser draws a picture over several lines; its last one says what was expected.
    let mut message = error.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>();
    if message.len() > 2 {
        message = vec![message[0], message[message.len() - 1]];
    }
    LoadIssue {
        file: path.to_owned(),
        line: Some(line + error_line(text, error).unwrap_or(0)),
        message: message.join(" "),
        hint: parse_hint(error),
    }
}

/// The 0-based line within the document: as the YAML reader says it, else that of the thing it names.
fn error_line(text: &str, error: &str) -> Option<usize> {
    if error.contains("ondition") {
        return line_of(text, "condition:");
    }
    let after = error.split("line ").nth(1);
    let number = after.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<usize>().ok());
    if let Some(number) = number {
        return number.checked_sub(1);
    }
    error.split('\'').nth(1).and_then(|word| line_of(text, word))
}

fn parse_hint(error: &str) -> Option<String> {
    let hint = if error.contains("Unknown modifier") {
        "modifiers are separated by | and spelled as in the Sigma specification"
    } else if error.contains("Missing required field") {
        "a rule needs at least title, logsource and detection"
    } else if error.contains("YAML") {
        "the file is not valid YAML at this place: check indentation and quotes"
    } else {
        return None;
    };
    Some(hint.into())
}
