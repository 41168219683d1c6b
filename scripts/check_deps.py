#!/usr/bin/env python3
"""Checks the locked dependencies offline: licences of all crates and npm packages, RustSec advisories.

Reads Cargo.lock through `cargo metadata --offline`, dashboard/package-lock.json and deps.toml (the allow
list, with reasons for exceptions). The advisory database is a checkout of RustSec's, or an archive of one, in
$ERNE_ADVISORIES or in ${ERNE_SHARED:-../shared}/data/trust/rustsec. Exit 0 clean, 1 findings, 2 cannot check.

npm advisories are not checked: there is no offline database of them.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


# --- Versions: Semantic Versioning 2.0.0, requirements as Cargo reads them -------------------------------


def version_key(text):
    """A key that sorts versions: a pre-release comes before its release, build metadata does not count."""
    core, _, pre = text.strip().split("+")[0].partition("-")
    numbers = [int(part) for part in core.split(".")]
    numbers += [0] * (3 - len(numbers))
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")] if pre else []
    return tuple(numbers[:3]), (0 if pre else 1), parts


def upper_of(operator, numbers, given):
    """The first version that `^` or `~` excludes, for `given` stated numbers."""
    major, minor, patch = numbers
    if operator == "~":
        return (major + 1, 0, 0) if given == 1 else (major, minor + 1, 0)
    if major > 0 or given == 1:
        return (major + 1, 0, 0)
    if minor > 0 or given == 2:
        return (0, minor + 1, 0)
    return (0, 0, patch + 1)


def matches_one(version, comparator):
    found = re.fullmatch(r"\s*(>=|<=|>|<|=|\^|~)?\s*([0-9][^\s]*|\*)\s*", comparator)
    if not found:
        raise ValueError(f"cannot read the requirement {comparator!r}")
    operator, bound = found.group(1) or "^", found.group(2)
    if bound == "*":
        return True
    if bound.endswith(".*"):
        bound, operator = bound[:-2], "~"
    key, low = version_key(version), version_key(bound)
    if operator in ("^", "~"):
        given = bound.split("-")[0].count(".") + 1
        return key >= low and key[0] < upper_of(operator, low[0], given)
    return {"=": key == low, ">": key > low, ">=": key >= low, "<": key < low, "<=": key <= low}[operator]


def matches(version, requirement):
    """Whether a version satisfies a requirement such as `>= 1.2.3, < 2`."""
    return all(matches_one(version, part) for part in requirement.split(",") if part.strip())


def is_affected(version, versions):
    """RustSec: affected unless patched or unaffected."""
    safe = versions.get("patched", []) + versions.get("unaffected", [])
    return not any(matches(version, requirement) for requirement in safe)


# --- Licences: SPDX expressions, and the `A/B` that crates.io took in its first years --------------------


def licence_tokens(expression):
    # Crates of the first years wrote `MIT/Apache-2.0` for OR.
    return re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))


def licence_allowed(expression, allow, allow_with):
    """Whether some choice within the expression consists of allowed licences only."""
    tokens = licence_tokens(expression)

    def either():
        result = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = both() or result
        return result

    def both():
        result = term()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = term() and result
        return result

    def term():
        token = tokens.pop(0)
        if token == "(":
            result = either()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(f"cannot read the licence {expression!r}")
            return result
        result = token in allow
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            result = tokens.pop(0) in allow_with and result
        return result

    try:
        result = either()
    except IndexError as error:
        raise ValueError(f"cannot read the licence {expression!r}") from error
    if tokens:
        raise ValueError(f"cannot read the licence {expression!r}")
    return result


# --- What is locked --------------------------------------------------------------------------------------


def locked_crates():
    """(name, version) of every crate of Cargo.lock that comes from elsewhere."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    return sorted({(p["name"], p["version"]) for p in lock["package"] if p.get("source")})


def cargo_metadata(*more):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def crate_licences():
    """Licences by (name, version). Crates of other platforms may be absent when they were never downloaded."""
    found = cargo_metadata()
    if found.returncode != 0:
        version = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
        host = re.search(r"^host: (.+)$", version, re.M).group(1)
        found = cargo_metadata("--filter-platform", host)
    if found.returncode != 0:
        raise RuntimeError(f"cargo metadata failed:\n{found.stderr}")
    packages = json.loads(found.stdout)["packages"]
    return {(p["name"], p["version"]): p["license"] or "" for p in packages}


def npm_packages():
    """(name, version, licence) of every package of the dashboard's lock file."""
    lock = ROOT / "dashboard" / "package-lock.json"
    if not lock.exists():
        return None
    packages = json.loads(lock.read_text())["packages"]
    rows = []
    for path, package in packages.items():
        if path and not package.get("link"):
            licence = package.get("license") or ""
            name = package.get("name") or path.rsplit("node_modules/", 1)[-1]
            rows.append((name, package.get("version", ""), licence if isinstance(licence, str) else str(licence)))
    return sorted(set(rows))


# --- Advisories ------------------------------------------------------------------------------------------


def advisory_texts(folder):
    """The text of every advisory, from a checkout or from `*.tar.gz` of one."""
    for archive in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and re.search(r"(^|/)crates/[^/]+/RUSTSEC-[^/]*\.md$", member.name):
                    yield member.name, tar.extractfile(member).read().decode()
    for path in sorted(folder.glob("crates/*/RUSTSEC-*.md")):
        yield str(path), path.read_text()


def read_advisory(name, text):
    front = re.match(r"\s*```toml\n(.*?)\n```", text, re.S)
    if not front:
        raise ValueError(f"{name}: no TOML block at the start")
    return tomllib.loads(front.group(1))


def advisories(folder):
    by_package = {}
    for name, text in advisory_texts(folder):
        advisory = read_advisory(name, text)
        by_package.setdefault(advisory["advisory"]["package"], []).append(advisory)
    return by_package


def advisory_folder():
    if "ERNE_ADVISORIES" in os.environ:
        return Path(os.environ["ERNE_ADVISORIES"])
    return Path(os.environ.get("ERNE_SHARED") or ROOT.parent / "shared") / "data" / "trust" / "rustsec"


# --- The checks: each returns its findings and prints what it looked at ----------------------------------


def check_licences(ecosystem, rows, rules):
    allow, allow_with = set(rules["allow"]), set(rules.get("allow_with", []))
    exceptions = [e for e in rules.get("exception", []) if e["ecosystem"] == ecosystem]
    findings = []
    for name, version, licence in rows:
        if any(fnmatch.fnmatchcase(name, e["name"]) and licence == e["licence"] for e in exceptions):
            continue
        try:
            allowed = bool(licence) and licence_allowed(licence, allow, allow_with)
        except ValueError:
            allowed = False
        if not allowed:
            findings.append(f"{ecosystem} {name} {version}: licence {licence or '(none stated)'} is not allowed")
    print(f"licences: {len(rows)} {ecosystem} packages looked at, {len(findings)} not allowed")
    return findings


def check_cargo_licences(rules):
    crates, licences = locked_crates(), crate_licences()
    absent = [f"{name} {version}" for name, version in crates if (name, version) not in licences]
    if absent:
        print(f"licences: {len(absent)} crates for other platforms are not downloaded and were not looked at")
        print("  (`cargo fetch --locked` downloads them):", ", ".join(absent[:5]), "…" if len(absent) > 5 else "")
    rows = [(*crate, licences[crate]) for crate in crates if crate in licences]
    return check_licences("cargo", rows, rules)


def check_npm_licences(rules):
    rows = npm_packages()
    if rows is None:
        print("licences: skipped npm: no dashboard/package-lock.json")
        return []
    return check_licences("npm", rows, rules)


def check_advisories(rules):
    folder = advisory_folder()
    known = advisories(folder) if folder.is_dir() else {}
    if not known:
        print(f"advisories: skipped: no advisory database in {folder}")
        return []
    ignored = {entry["id"]: entry["reason"] for entry in rules.get("ignore", [])}
    findings, seen = [], set()
    crates = locked_crates()
    for name, version in crates:
        for advisory in known.get(name, []):
            head = advisory["advisory"]
            if head.get("withdrawn") or not is_affected(version, advisory.get("versions", {})):
                continue
            seen.add(head["id"])
            kind = head.get("informational", "vulnerability")
            text = f"cargo {name} {version}: {head['id']} ({kind})"
            if head["id"] in ignored:
                print(f"advisories: ignored {text}: {ignored[head['id']]}")
            elif kind in rules["deny"]:
                findings.append(text)
            else:
                print(f"advisories: note {text}")
    findings += [f"deps.toml ignores {id}, which no longer applies: remove it" for id in ignored if id not in seen]
    total = sum(len(found) for found in known.values())
    print(f"advisories: {len(crates)} crates against {total} advisories, {len(findings)} to act on")
    return findings


def main():
    rules = tomllib.loads((ROOT / "deps.toml").read_text())
    try:
        findings = check_cargo_licences(rules["licences"]) + check_npm_licences(rules["licences"])
        findings += check_advisories(rules["advisories"])
    except (RuntimeError, ValueError, OSError) as error:
        print(f"cannot check the dependencies: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"FAILED {finding}", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
