#!/usr/bin/env python3
"""Tests of check_deps.py: `python3 scripts/test_check_deps.py`."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import check_deps

ADVISORY = """```toml
[advisory]
id = "RUSTSEC-2099-0001"
package = "demo"
date = "2099-01-01"
{more}
[versions]
patched = ["^0.3.24", ">= 0.4.2"]
unaffected = ["< 0.2.0"]
```

# Title
"""


class Versions(unittest.TestCase):
    def test_requirements(self):
        for version, requirement, expected in [
            ("1.2.3", ">= 1.2.3", True),
            ("1.2.3", "> 1.2.3", False),
            ("1.2.3", "< 1.10.0", True),
            ("1.2.3", ">= 1.2, < 1.3", True),
            ("1.3.0", ">= 1.2, < 1.3", False),
            ("1.9.9", "^1.2", True),
            ("2.0.0", "^1.2", False),
            ("0.3.9", "^0.3.2", True),
            ("0.4.0", "^0.3.2", False),
            ("0.0.3", "^0.0.3", True),
            ("0.0.4", "^0.0.3", False),
            ("0.9.0", "^0", True),
            ("1.2.9", "~1.2.3", True),
            ("1.3.0", "~1.2.3", False),
            ("1.9.0", "~1", True),
            ("1.2.9", "1.2.*", True),
            ("1.2.3", "=1.2.3", True),
            ("1.2.3+build", "=1.2.3", True),
            ("1.0.0-rc.1", ">= 1.0.0", False),
            ("1.0.0-rc.2", "> 1.0.0-rc.1", True),
            ("1.0.0-rc.10", "> 1.0.0-rc.9", True),
            ("7.1.0", "*", True),
        ]:
            self.assertEqual(check_deps.matches(version, requirement), expected, f"{version} {requirement}")
        with self.assertRaises(ValueError):
            check_deps.matches("1.0.0", "about 1")

    def test_affected_unless_patched_or_unaffected(self):
        versions = {"patched": ["^0.3.24", ">= 0.4.2"], "unaffected": ["< 0.2.0"]}
        affected = {"0.1.9": False, "0.2.0": True, "0.3.23": True, "0.3.24": False, "0.4.1": True, "0.4.2": False}
        for version, expected in affected.items():
            self.assertEqual(check_deps.is_affected(version, versions), expected, version)
        self.assertTrue(check_deps.is_affected("9.9.9", {}))


class Licences(unittest.TestCase):
    def test_expressions(self):
        for expression, expected in [
            ("MIT", True),
            ("GPL-3.0-only", False),
            ("MIT OR GPL-3.0-only", True),
            ("GPL-3.0-only OR MIT", True),
            ("MIT AND GPL-3.0-only", False),
            ("MIT/Apache-2.0", True),
            ("Apache-2.0 / GPL-2.0", True),
            ("(MIT OR Apache-2.0) AND ISC", True),
            ("(MIT OR Apache-2.0) AND GPL-3.0-only", False),
            ("MIT OR Apache-2.0 AND GPL-3.0-only", True),
            ("Apache-2.0 WITH LLVM-exception", True),
            ("Apache-2.0 WITH Surprise-exception", False),
            ("GPL-2.0-only WITH LLVM-exception", False),
        ]:
            allowed = check_deps.licence_allowed(expression, {"MIT", "Apache-2.0", "ISC"}, {"LLVM-exception"})
            self.assertEqual(allowed, expected, expression)
        for broken in ["(MIT", "MIT)", "MIT OR", "MIT ISC"]:
            with self.assertRaises(ValueError, msg=broken):
                check_deps.licence_allowed(broken, {"MIT"}, set())

    def test_a_package_without_a_licence_fails_unless_it_is_an_exception(self):
        rules = {"allow": ["MIT"], "exception": [{"ecosystem": "npm", "name": "b*", "licence": "X", "reason": "r"}]}
        with contextlib.redirect_stdout(io.StringIO()):
            findings = check_deps.check_licences("npm", [("a", "1", ""), ("b-x", "1", "X"), ("b-y", "1", "Y"), ("c", "1", "MIT")], rules)
        self.assertEqual([finding.split(":")[0] for finding in findings], ["npm a 1", "npm b-y 1"])


class Advisories(unittest.TestCase):
    def check(self, version, more="", ignore=()):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "crates", "demo")
            path.mkdir(parents=True)
            (path / "RUSTSEC-2099-0001.md").write_text(ADVISORY.replace("{more}", more))
            rules = {"deny": ["vulnerability"], "ignore": list(ignore)}
            with (
                mock.patch.dict(os.environ, {"ERNE_ADVISORIES": folder}),
                mock.patch.object(check_deps, "locked_crates", lambda: [("demo", version)]),
                contextlib.redirect_stdout(io.StringIO()),
            ):
                return check_deps.check_advisories(rules)

    def test_applies_to_affected_versions_only(self):
        self.assertEqual(len(self.check("0.3.23")), 1)
        self.assertEqual(self.check("0.3.24"), [])
        self.assertEqual(self.check("0.3.23", 'withdrawn = "2099-02-01"'), [])
        self.assertEqual(self.check("0.3.23", 'informational = "unmaintained"'), [])

    def test_an_ignored_advisory_must_still_apply(self):
        ignore = [{"id": "RUSTSEC-2099-0001", "reason": "not reachable"}]
        self.assertEqual(self.check("0.3.23", ignore=ignore), [])
        self.assertIn("no longer applies", self.check("0.4.2", ignore=ignore)[0])

    def test_says_so_when_there_is_no_database(self):
        out = io.StringIO()
        with mock.patch.dict(os.environ, {"ERNE_ADVISORIES": "/nowhere"}), contextlib.redirect_stdout(out):
            self.assertEqual(check_deps.check_advisories({"deny": []}), [])
        self.assertIn("skipped: no advisory database", out.getvalue())


if __name__ == "__main__":
    unittest.main()
