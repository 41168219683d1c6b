//! `docs/formats.md` is derived from `FORMATS` and the issue codes; `BLESS=1` writes it.

use super::*;

#[test]
fn the_manual_lists_every_format() {
    let path = project("docs/formats.md");
    let want = manual();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let got = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "docs/formats.md is not what FORMATS says; run this test with BLESS=1");
}

fn manual() -> String {
    let mut text = String::from(
        "# Formats\n\n<!-- Written by `BLESS=1 cargo test -p parse docs`; change crates/parse/src/formats instead. -->\n\n\
         The format of a record is stated by its source, or found out for each entry: one batch may mix them. An \
         entry is a line, a JSON document of one or more lines, an element of a JSON array or of CloudTrail's \
         `Records`, or a syslog frame. UTF-8 and UTF-16 with byte order marks, CRLF and blank lines are understood. \
         Nothing is dropped: what can't be read is an event with its bytes untouched and an issue that says why.\n",
    );
    for spec in parse::FORMATS {
        write!(
            text,
            "\n## `{}`\n\n{}\n\nSigma log source: {}.\n\n```\n{}\n```\n",
            spec.format, spec.about, spec.log_source, spec.example
        )
        .unwrap();
    }
    text.push_str("\n## Issues\n\nThe column `metadata.issues` holds, per issue, a code and what is wrong.\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in parse::ISSUE_CODES {
        writeln!(text, "| `{code}` | {meaning} |").unwrap();
    }
    text.push_str(
        "\n## Enrichment\n\nAddresses that are not private or reserved get `location` and `autonomous_system` from MMDB \
         files (MaxMind's GeoLite2 layout or ip-location-db's). Without a file the columns stay empty and a notice says \
         so. A user agent gets `user_agent.name`, `.os` and `.device` (desktop, mobile, bot, tool) from the tables in \
         `crates/parse/src/enrich/agent.rs`.\n",
    );
    text
}
