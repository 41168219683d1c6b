#!/usr/bin/env python3
"""Checks content/ without the engine: ids, tags, levels, texts and cases of every rule.

Exit code 0: clean; 1: something is wrong, one line each on stdout.
"""

import pathlib
import re
import sys
import uuid

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent / "content"
LEVELS = {"informational", "low", "medium", "high", "critical"}
REQUIRED = ("title", "id", "name", "status", "description", "author", "tags", "falsepositives", "level")
CORRELATION_TYPES = {
    "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile",
    "value_median", "new_terms", "absence", "impossible_travel", "off_hours", "rate",
}
# Rust's regex has no look-around and no back references; a rule that uses them would not load.
UNSUPPORTED_REGEX = re.compile(r"\(\?(?:=|!|<=|<!)|(?<!\\)\\[1-9]")


def attack_ids():
    techniques, tactics = {}, set()
    for line in (ROOT / "attack" / "techniques.tsv").read_text().splitlines()[1:]:
        ident, _name, phases = line.split("\t")
        techniques[ident.lower()] = {t.strip() for t in phases.split(",")}
        tactics |= techniques[ident.lower()]
    return techniques, tactics


def tag_problems(tags, techniques, tactics):
    """A technique must exist, and at least one of its tactics should be among the rule's."""
    names = [t.removeprefix("attack.") for t in tags]
    named = {t for t in names if not re.fullmatch(r"t\d{4}(\.\d{3})?", t)}
    for name in names:
        if name in named and name not in tactics:
            yield f"unknown tactic {name}"
        if name not in named and name not in techniques:
            yield f"unknown technique {name}"
        elif name not in named and not techniques[name] & named:
            yield f"technique {name} belongs to {sorted(techniques[name])}, not to {sorted(named)}"
    if len(named) == len(names):
        yield "no technique id"


def regexes(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if "|re" in str(key):
                yield from value if isinstance(value, list) else [value]
            else:
                yield from regexes(value)
    elif isinstance(node, list):
        for value in node:
            yield from regexes(value)


def document_problems(document, techniques, tactics):
    for key in REQUIRED:
        if not document.get(key):
            yield f"{key} is missing or empty"
    if document.get("level") not in LEVELS:
        yield f"unknown level {document.get('level')}"
    try:
        uuid.UUID(str(document.get("id")))
    except ValueError:
        yield f"id is no UUID: {document.get('id')}"
    yield from tag_problems(document.get("tags", []), techniques, tactics)
    if "correlation" in document:
        if document["correlation"].get("type") not in CORRELATION_TYPES:
            yield f"unknown correlation type {document['correlation'].get('type')}"
    elif "detection" not in document or "logsource" not in document:
        yield "neither a correlation nor a detection with a logsource"
    for pattern in regexes(document.get("detection", {})):
        if UNSUPPORTED_REGEX.search(pattern):
            yield f"regex with look-around or back reference: {pattern}"


def case_problems(stem):
    folder = ROOT / "cases" / stem
    for kind in ("fires", "quiet"):
        files = sorted(folder.glob(f"{kind}.*"))
        if not files or not files[0].read_bytes().strip():
            yield f"cases/{stem}/{kind}.ndjson or .log is missing or empty"


def main():
    techniques, tactics = attack_ids()
    problems, ids, names, references, stems = [], {}, {}, [], {}
    files = sorted((ROOT / "rules").rglob("*.yml"))
    for file in files:
        where = file.relative_to(ROOT)
        if file.stem in stems:
            problems.append(f"{where}: file name also used by {stems[file.stem]}")
        stems[file.stem] = where
        for document in yaml.safe_load_all(file.read_text()):
            problems += [f"{where}: {p}" for p in document_problems(document, techniques, tactics)]
            for seen, key in ((ids, "id"), (names, "name")):
                if document.get(key) in seen:
                    problems.append(f"{where}: {key} {document.get(key)} also in {seen[document.get(key)]}")
                seen[document.get(key)] = where
            references += [(where, r) for r in document.get("correlation", {}).get("rules", [])]
        problems += [f"{where}: {p}" for p in case_problems(file.stem)]
    problems += [f"{where}: correlates an unknown rule {r}" for where, r in references if r not in names and r not in ids]
    problems += [f"cases/{d.name}: no rule of that name" for d in (ROOT / "cases").iterdir() if d.name not in stems]
    print("\n".join(problems) if problems else f"{len(files)} rule files, {len(ids)} rules: clean")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
