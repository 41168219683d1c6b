//! What a hunt found, for people: a summary, a table, CSV and one self-contained HTML page.

use super::hunt::Totals;
use crate::output::{csv_row, inert, level, thousands};
use event::{Finding, Severity, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Result, Write};

const TOP_RULES: usize = 15;
const TOP_ENTITIES: usize = 10;
const TIMELINE_COLUMNS: usize = 60;
/// Rows of the HTML page; the summary above them counts all.
const HTML_ROWS_MAX: usize = 5_000;

/// Findings of one rule.
struct OfRule<'f> {
    first: &'f Finding,
    count: usize,
    entities: BTreeSet<&'f str>,
    last: Timestamp,
}

fn by_rule(findings: &[Finding]) -> Vec<OfRule<'_>> {
    let mut rules: HashMap<&str, OfRule<'_>> = HashMap::new();
    for finding in findings {
        let of = rules.entry(&finding.rule.id).or_insert_with(|| OfRule {
            first: finding,
            count: 0,
            entities: BTreeSet::new(),
            last: finding.time,
        });
        of.count += 1;
        of.last = of.last.max(finding.time);
        of.entities.insert(&finding.entity.value);
    }
    let mut rules: Vec<_> = rules.into_values().collect();
    rules.sort_by(|a, b| (b.first.level, b.count, &a.first.rule.name).cmp(&(a.first.level, a.count, &b.first.rule.name)));
    rules
}

fn seconds(time: Timestamp) -> String {
    time.to_string()[..19].replace('T', " ")
}

pub fn table(out: &mut impl Write, totals: &Totals, findings: &[Finding]) -> Result<()> {
    summary(out, totals, findings)?;
    if findings.is_empty() {
        return Ok(());
    }
    let rules = by_rule(findings);
    writeln!(out, "\nTop rules")?;
    writeln!(out, "  {:<13} {:>8} {:>8}  {:<48} TECHNIQUES", "LEVEL", "FINDINGS", "ENTITIES", "RULE")?;
    for of in rules.iter().take(TOP_RULES) {
        let rule = &of.first.rule;
        writeln!(
            out,
            "  {} {:>8} {:>8}  {:<48} {}",
            level(of.first.level, 13),
            of.count,
            of.entities.len(),
            inert(&rule.name, 47),
            rule.techniques.join(" ")
        )?;
    }
    if rules.len() > TOP_RULES {
        writeln!(out, "  … and {} more rules", rules.len() - TOP_RULES)?;
    }
    entities(out, findings)?;
    stories(out, findings)?;
    timeline(out, totals)
}

pub fn summary(out: &mut impl Write, totals: &Totals, findings: &[Finding]) -> Result<()> {
    let rate = totals.events as f64 / totals.secs.max(1e-9);
    writeln!(out, "Hunted {} events in {} files ({} MB) in {:.2} s, {} events/s, with {} rules",
        thousands(totals.events), thousands(totals.files), totals.bytes / 1_000_000, totals.secs, thousands(rate as u64), totals.rules)?;
    let formats: Vec<String> = totals.formats.iter().map(|(f, n)| format!("{f} {}", thousands(*n))).collect();
    writeln!(out, "Formats: {}", if formats.is_empty() { "none".to_owned() } else { formats.join(", ") })?;
    if totals.captures > 0 {
        writeln!(out, "Packet captures: {} with {} frames and {} flows; {} frames could not be decoded", thousands(totals.captures), thousands(totals.frames), thousands(totals.flows), thousands(totals.malformed))?;
    }
    if let (Some(first), Some(last)) = (totals.first, totals.last) {
        writeln!(out, "Events from {} to {} UTC", seconds(first), seconds(last))?;
    }
    let share = 100.0 - 100.0 * totals.hits as f64 / (totals.events.max(1)) as f64;
    writeln!(out, "Events with hits: {} (data reduction {share:.2} %)", thousands(totals.hits))?;
    if totals.flagged > 0 {
        let issues: Vec<String> = totals.issues.iter().map(|(code, n)| format!("{code} {}", thousands(*n))).collect();
        writeln!(out, "Not read cleanly: {} events ({})", thousands(totals.flagged), issues.join(", "))?;
    }
    for file in &totals.unreadable {
        writeln!(out, "Not read: {}", inert(file, 300))?;
    }
    writeln!(out, "\n  {:<13} {:>9} {:>6}", "LEVEL", "FINDINGS", "RULES")?;
    for severity in Severity::ALL.into_iter().rev() {
        let of: Vec<_> = findings.iter().filter(|f| f.level == severity).collect();
        let rules: BTreeSet<_> = of.iter().map(|f| &f.rule.id).collect();
        writeln!(out, "  {} {:>9} {:>6}", level(severity, 13), thousands(of.len() as u64), rules.len())?;
    }
    Ok(())
}

struct OfEntity<'f> {
    worst: Severity,
    count: usize,
    rules: BTreeSet<&'f str>,
    first: Timestamp,
    last: Timestamp,
}

fn by_entity(findings: &[Finding]) -> Vec<(String, OfEntity<'_>)> {
    let mut entities: BTreeMap<String, OfEntity<'_>> = BTreeMap::new();
    for finding in findings {
        let of = entities.entry(finding.entity.to_string()).or_insert_with(|| OfEntity {
            worst: finding.level,
            count: 0,
            rules: BTreeSet::new(),
            first: finding.time,
            last: finding.time,
        });
        of.worst = of.worst.max(finding.level);
        of.count += 1;
        of.rules.insert(&finding.rule.id);
        of.first = of.first.min(finding.time);
        of.last = of.last.max(finding.time);
    }
    let mut entities: Vec<_> = entities.into_iter().collect();
    entities.sort_by_key(|(name, e)| (std::cmp::Reverse((e.worst, e.rules.len(), e.count)), name.clone()));
    entities
}

fn entities(out: &mut impl Write, findings: &[Finding]) -> Result<()> {
    writeln!(out, "\nWho")?;
    writeln!(out, "  {:<13} {:>8} {:>5}  {:<44} FIRST SEEN .. LAST SEEN (UTC)", "WORST", "FINDINGS", "RULES", "ENTITY")?;
    let entities = by_entity(findings);
    for (name, of) in entities.iter().take(TOP_ENTITIES) {
        writeln!(
            out,
            "  {} {:>8} {:>5}  {:<44} {} .. {}",
            level(of.worst, 13),
            of.count,
            of.rules.len(),
            inert(name, 43),
            seconds(of.first),
            seconds(of.last)
        )?;
    }
    if entities.len() > TOP_ENTITIES {
        writeln!(out, "  … and {} more", entities.len() - TOP_ENTITIES)?;
    }
    Ok(())
}

/// The first finding of each of the worst rules, in time order: how it went.
fn stories(out: &mut impl Write, findings: &[Finding]) -> Result<()> {
    let mut firsts: Vec<&Finding> = by_rule(findings).into_iter().take(TOP_RULES).map(|of| of.first).collect();
    firsts.sort_by_key(|f| f.time);
    writeln!(out, "\nHow (first finding of each top rule)")?;
    for finding in firsts {
        writeln!(out, "  {} {} {}", seconds(finding.time), level(finding.level, 13), inert(&finding.explanation.summary, 160))?;
    }
    Ok(())
}

fn timeline(out: &mut impl Write, totals: &Totals) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (totals.hours.first_key_value(), totals.hours.last_key_value()) else {
        return Ok(());
    };
    let width = ((last - first + 1) as usize).div_ceil(TIMELINE_COLUMNS).max(1) as i64;
    let columns = ((last - first) / width + 1) as usize;
    let mut hits = vec![0u64; columns];
    for (hour, (_, hit)) in &totals.hours {
        hits[((hour - first) / width) as usize] += hit;
    }
    let most = hits.iter().copied().max().unwrap_or(0).max(1);
    let bars: String = hits
        .iter()
        .map(|n| if *n == 0 { '·' } else { ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][(n * 7 / most) as usize] })
        .collect();
    writeln!(out, "\nHits over time ({} h a column, at most {} in one)", width, thousands(most))?;
    writeln!(out, "  {} {bars} {}", seconds(Timestamp::from_secs(first * 3600)), seconds(Timestamp::from_secs((last + 1) * 3600)))
}

pub fn csv(out: &mut impl Write, findings: &[Finding]) -> Result<()> {
    csv_row(out, &["time", "level", "rule", "rule_id", "entity", "user", "source_ip", "event", "techniques", "event_count", "event_ids", "summary", "id"])?;
    for f in findings {
        let ids: Vec<&str> = f.event_ids.iter().map(|id| id.as_str()).collect();
        csv_row(
            out,
            &[
                &f.time.to_string(),
                f.level.as_str(),
                &f.rule.name,
                &f.rule.id,
                &f.entity.to_string(),
                f.user.as_deref().unwrap_or_default(),
                f.source_ip.as_deref().unwrap_or_default(),
                f.event_name.as_deref().unwrap_or_default(),
                &f.rule.techniques.join(" "),
                &f.event_count.to_string(),
                &ids.join(" "),
                &f.explanation.summary,
                &f.id.to_string(),
            ],
        )?;
    }
    Ok(())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in inert(text, 2_000).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#1b2430;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #dde3ea;vertical-align:top}th{color:#5a6b7f;font-weight:600}\
.b{display:inline-block;padding:0 .5rem;border-radius:.6rem;color:#fff;font-size:.8rem}.critical{background:#b4232a}.high{background:#d4541a}\
.medium{background:#8a6100}.low{background:#1f6f8b}.informational{background:#64748b}code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}\
details{margin:.2rem 0}.n{text-align:right}@media(prefers-color-scheme:dark){body{color:#d7dee8;background:#0e141b}th,td{border-color:#263241}}";

/// One file with everything in it: it opens anywhere, loads nothing and runs no script.
pub fn html(out: &mut impl Write, totals: &Totals, findings: &[Finding]) -> Result<()> {
    let badge = |s: Severity| format!("<span class=\"b {s}\">{s}</span>");
    writeln!(out, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>Erne hunt</title><style>{STYLE}</style><h1>Erne hunt</h1>")?;
    let mut text = Vec::new();
    summary(&mut text, totals, findings)?;
    // Colours are for terminals; a pipe has none, and `html` refuses nothing else.
    let text = strip_colours(&String::from_utf8_lossy(&text));
    writeln!(out, "<pre>{}</pre><h2>Rules</h2><table><tr><th>Level<th>Rule<th>Techniques<th class=n>Findings<th class=n>Entities<th>First<th>Last", escape_lines(&text))?;
    for of in by_rule(findings) {
        let rule = &of.first.rule;
        writeln!(out, "<tr><td>{}<td>{}<td>{}<td class=n>{}<td class=n>{}<td>{}<td>{}", badge(of.first.level), escape(&rule.name),
            escape(&rule.techniques.join(" ")), of.count, of.entities.len(), seconds(of.first.time), seconds(of.last))?;
    }
    writeln!(out, "</table><h2>Who</h2><table><tr><th>Worst<th>Entity<th class=n>Findings<th class=n>Rules<th>First<th>Last")?;
    for (name, of) in by_entity(findings).iter().take(200) {
        writeln!(out, "<tr><td>{}<td>{}<td class=n>{}<td class=n>{}<td>{}<td>{}", badge(of.worst), escape(name), of.count, of.rules.len(), seconds(of.first), seconds(of.last))?;
    }
    writeln!(out, "</table><h2>Findings</h2>")?;
    if findings.len() > HTML_ROWS_MAX {
        writeln!(out, "<p>The first {HTML_ROWS_MAX} of {}; <code>-o jsonl</code> has all.</p>", findings.len())?;
    }
    for f in findings.iter().take(HTML_ROWS_MAX) {
        writeln!(out, "<details><summary>{} {} {}</summary><table><tr><th>Selection<th>Field<th>Operator<th>Expected<th>Actual", seconds(f.time), badge(f.level), escape(&f.explanation.summary))?;
        for c in &f.explanation.conditions {
            writeln!(out, "<tr><td>{}<td>{}<td>{}<td><code>{}</code><td><code>{}</code>", escape(&c.selection), escape(&c.field), escape(&c.operator), escape(&c.expected), escape(&c.actual))?;
        }
        let ids: Vec<String> = f.event_ids.iter().take(20).map(|id| escape(id)).collect();
        writeln!(out, "</table><p>Rule <code>{}</code>, {} events: <code>{}</code></p></details>", escape(&f.rule.id), f.event_count, ids.join(" "))?;
    }
    writeln!(out, "</html>")
}

fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

fn strip_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        out.push_str(&rest[..start]);
        rest = rest[start..].split_once('m').map_or("", |(_, after)| after);
    }
    out + rest
}
