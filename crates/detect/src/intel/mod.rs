//! Threat lists: addresses, networks, domains and file hashes, one per line. An event is on a list when its source
//! or destination address, one of its host names or a parent domain of it, or the hash of a file it names, is.
//!
//! A hash is 32, 40, 64 or 128 hexadecimal digits (MD5, SHA-1, SHA-256, SHA-512). It is looked for in members of the
//! event whose name ends with `hash`, `hashes` or the function's name; Sysmon's `SHA1=…,MD5=…` is read.
//!
//! Reads plain lists (`#` and `;` begin comments), and lists with a number after a tab or blank (ipsum: on
//! how many blacklists the address is), of which lines below [`BLACKLISTS_MIN`] are left out and counted.

mod hashes;

use crate::sigma::{RuleTexts, finding_of_event, summary};
use crate::{LoadIssue, Matched, RuleFile};
use hashes::FileHash;
use event::{Condition, Entity, EntityKind, Event, Explanation, Rule, RuleKind, Severity};
use std::net::IpAddr;
use std::sync::Arc;

/// On how many blacklists an address must be when a list says so: below three, the false ones prevail.
const BLACKLISTS_MIN: u32 = 3;
/// Most bad lines of one file that are reported one by one.
const ISSUES_PER_FILE_MAX: usize = 20;
/// Most entries of one list.
const ENTRIES_MAX: usize = 5_000_000;

/// What is known about a loaded list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListInfo {
    pub name: Arc<str>,
    /// Ranges of addresses after merging, and domains.
    pub ranges: usize,
    pub domains: usize,
    pub hashes: usize,
    /// Lines left out because too few blacklists agree.
    pub left_out: usize,
}

/// Compiled threat lists: addresses, CIDR blocks, domains and file hashes, one per line, `#` comments.
#[derive(Default)]
pub struct ThreatLists {
    lists: Vec<List>,
    rules: Vec<Arc<Rule>>,
}

struct List {
    name: Arc<str>,
    /// Sorted, disjoint, both ends included. IPv4 has its own: half of the memory of most lists.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    domains: RuleTexts,
    /// Sorted.
    hashes: Vec<FileHash>,
    left_out: usize,
}

impl ThreatLists {
    pub fn compile(files: &[RuleFile]) -> (Self, Vec<LoadIssue>) {
        let (mut lists, mut issues) = (Self::default(), Vec::new());
        for file in files {
            let list = List::compile(file, &mut issues);
            lists.rules.push(Arc::new(rule_of(&list, &file.path)));
            lists.lists.push(list);
        }
        (lists, issues)
    }

    /// One rule per list, for those who list rules.
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    pub fn lists(&self) -> Vec<ListInfo> {
        let info = |list: &List| ListInfo {
            name: list.name.clone(),
            ranges: list.v4.len() + list.v6.len(),
            domains: list.domains.len(),
            hashes: list.hashes.len(),
            left_out: list.left_out,
        };
        self.lists.iter().map(info).collect()
    }

    /// `excepted` is asked with a rule's id whether people took this event out of it.
    pub(crate) fn run(
        &self,
        event: &Event,
        excepted: &mut dyn FnMut(&str) -> bool,
        out: &mut Matched,
        names: &mut Vec<Arc<str>>,
        severity: &mut Severity,
    ) {
        if self.lists.is_empty() {
            return;
        }
        let ocsf = &event.ocsf;
        let fields = [
            ("src_endpoint.ip", &ocsf.src.ip),
            ("dst_endpoint.ip", &ocsf.dst.ip),
            ("src_endpoint.hostname", &ocsf.src.hostname),
            ("dst_endpoint.hostname", &ocsf.dst.hostname),
            ("http_request.url.hostname", &ocsf.http.hostname),
        ];
        let mut seen: Vec<_> = fields
            .into_iter()
            .filter_map(|(field, value)| value.as_deref().map(|value| (field, value, Sought::of(value))))
            .collect();
        if self.lists.iter().any(|list| !list.hashes.is_empty()) {
            hashes::of_members(&event.native, &mut |field, text, hash| seen.push((field, text, Sought::Hash(hash))));
        }
        for (list, rule) in self.lists.iter().zip(&self.rules) {
            let Some((field, value, sought)) = seen.iter().find(|(_, _, sought)| list.holds(sought)) else { continue };
            if excepted(&rule.id) {
                continue;
            }
            names.push(list.name.clone());
            *severity = (*severity).max(rule.level);
            let condition = Condition {
                selection: "list".into(),
                field: (*field).into(),
                operator: "on list".into(),
                expected: (&*list.name).into(),
                actual: crate::sigma::cut(value, 256),
            };
            let explanation = Explanation { summary: summary(event, &rule.name), conditions: vec![condition] };
            let mut finding = finding_of_event(rule, event, explanation);
            // The alert is about the address or name on the list, whoever used it; with a file's hash, about whoever
            // has the file.
            match sought {
                Sought::V4(_) | Sought::V6(_) => finding.entity = Entity::new(EntityKind::Ip, *value),
                Sought::Domain(_) => finding.entity = Entity::new(EntityKind::Host, *value),
                Sought::Hash(_) => {}
            }
            out.findings.push(finding);
        }
    }
}

/// A value of an event, read once for all lists.
enum Sought<'a> {
    V4(u32),
    V6(u128),
    Domain(std::borrow::Cow<'a, str>),
    Hash(FileHash),
}

impl<'a> Sought<'a> {
    fn of(value: &'a str) -> Self {
        match value.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => Self::V4(address.into()),
            Ok(IpAddr::V6(address)) => Self::V6(address.into()),
            Err(_) => Self::Domain(domain(value)),
        }
    }
}

fn domain(text: &str) -> std::borrow::Cow<'_, str> {
    let text = text.trim_end_matches('.');
    let text = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(text, |(host, _)| host);
    if text.bytes().any(|b| b.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

impl List {
    fn compile(file: &RuleFile, issues: &mut Vec<LoadIssue>) -> Self {
        let mut list = Self {
            name: name_of(&file.path).into(),
            v4: Vec::new(),
            v6: Vec::new(),
            domains: RuleTexts::default(),
            hashes: Vec::new(),
            left_out: 0,
        };
        let mut bad = 0;
        for (i, line) in file.text.lines().enumerate() {
            let entry = line.split(['#', ';']).next().unwrap_or_default().trim();
            if entry.is_empty() {
                continue;
            }
            if let Err((message, hint)) = list.add(entry) {
                bad += 1;
                if bad <= ISSUES_PER_FILE_MAX {
                    let (file, line) = (file.path.clone(), Some(i + 1));
                    issues.push(LoadIssue { file, line, message, hint: Some(hint.into()) });
                }
            }
        }
        if bad > ISSUES_PER_FILE_MAX {
            let message = format!("{} more lines could not be read", bad - ISSUES_PER_FILE_MAX);
            issues.push(LoadIssue { file: file.path.clone(), line: None, message, hint: None });
        }
        merge(&mut list.v4, |end| end.checked_add(1));
        merge(&mut list.v6, |end| end.checked_add(1));
        list.hashes.sort_unstable();
        list.hashes.dedup();
        list
    }

    fn add(&mut self, line: &str) -> Result<(), (String, &'static str)> {
        if self.v4.len() + self.v6.len() + self.domains.len() + self.hashes.len() >= ENTRIES_MAX {
            return Err((format!("a list holds at most {ENTRIES_MAX} entries"), "split it"));
        }
        let mut words = line.split_whitespace();
        let entry = words.next().unwrap_or_default();
        if let Some(level) = words.next().and_then(|word| word.parse::<u32>().ok())
            && level < BLACKLISTS_MIN
        {
            self.left_out += 1;
            return Ok(());
        }
        if let Some(hash) = FileHash::parse(entry) {
            self.hashes.push(hash);
        } else if let Ok(address) = entry.parse::<IpAddr>() {
            self.add_network(ipnet::IpNet::from(address.to_canonical()));
        } else if let Ok(network) = entry.parse::<ipnet::IpNet>() {
            if network.prefix_len() == 0 {
                return Err((format!("{entry} is the whole internet"), "remove the line"));
            }
            self.add_network(network);
        } else if is_domain(entry) {
            self.domains.insert(domain(entry.trim_start_matches("*.").trim_start_matches('.')).into());
        } else {
            let hint = "write one address, CIDR block, domain or file hash per line";
            return Err((format!("not an address, network, domain or file hash: {}", crate::sigma::cut(entry, 60)), hint));
        }
        Ok(())
    }

    fn add_network(&mut self, network: ipnet::IpNet) {
        match network {
            ipnet::IpNet::V4(net) => self.v4.push((net.network().into(), net.broadcast().into())),
            ipnet::IpNet::V6(net) => self.v6.push((net.network().into(), net.broadcast().into())),
        }
    }

    /// Whether it says nothing about addresses.
    fn is_of_files(&self) -> bool {
        !self.hashes.is_empty() && self.v4.is_empty() && self.v6.is_empty() && self.domains.is_empty()
    }

    fn holds(&self, sought: &Sought<'_>) -> bool {
        match sought {
            Sought::V4(address) => within(&self.v4, *address),
            Sought::V6(address) => within(&self.v6, *address),
            Sought::Domain(name) => {
                !self.domains.is_empty() && parents(name).any(|parent| self.domains.contains(parent))
            }
            Sought::Hash(hash) => self.hashes.binary_search(hash).is_ok(),
        }
    }
}

/// The name itself, then each parent that still has a dot.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
        .filter(|name| name.contains('.'))
}

fn is_domain(text: &str) -> bool {
    let text = text.trim_start_matches("*.").trim_start_matches('.').trim_end_matches('.');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') || !b.is_ascii())
    };
    let top_is_a_word = text.rsplit('.').next().is_some_and(|top| top.bytes().any(|b| !b.is_ascii_digit()));
    text.len() <= 253 && text.contains('.') && top_is_a_word && text.split('.').all(label)
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let at = ranges.partition_point(|(from, _)| *from <= address);
    at > 0 && address <= ranges[at - 1].1
}

/// Sorts ranges and joins those that overlap or touch.
fn merge<T: Ord + Copy>(ranges: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges.drain(..) {
        match merged.last_mut() {
            Some((_, end)) if next(*end).is_none_or(|next| from <= next) => *end = (*end).max(to),
            _ => merged.push((from, to)),
        }
    }
    merged.shrink_to_fit();
    *ranges = merged;
}

/// The file's name without folder and endings.
fn name_of(path: &str) -> &str {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    file.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(file)
}

fn rule_of(list: &List, path: &str) -> Rule {
    Rule {
        id: format!("threat-list:{}", list.name).into(),
        name: format!("{} on threat list {}", if list.is_of_files() { "File" } else { "Address" }, list.name).into(),
        kind: RuleKind::Intel,
        level: Severity::High,
        description: "The event names an address, domain or file hash that a threat list holds.".into(),
        techniques: Vec::new(),
        tactics: Vec::new(),
        false_positives: vec!["Addresses change owners: a list may be older than the present user.".into()],
        references: Vec::new(),
        author: String::new(),
        file: path.to_owned(),
        handling: Default::default(),
    }
}
