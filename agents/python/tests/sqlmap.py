"""sqlmap against a vulnerable shop: it must find the injections without the agent, and none in protection mode.

    python sqlmap.py [--all]

Each run is bounded in time; `--all` also tries sqlmap's own disguises (tamper scripts) and more of its tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import Server

RUN_SECS = 240
#: Where the holes are: name, path, and what sqlmap needs to know.
TARGETS = {
    "a number in the query": ["-u", "/item?id=1", "-p", "id"],
    "a text in a form": ["-u", "/login", "--data", "name=anna", "-p", "name"],
    "a number in JSON": ["-u", "/api/item", "--data", '{"id": 1}', "-H", "Content-Type: application/json"],
}
DISGUISES = ["space2comment", "charencode", "randomcase,between", "space2plus,equaltolike"]
#: sqlmap's own name in the User-Agent would give it away at once, so it takes a browser's.
COMMON = [
    "--batch", "--random-agent", "--flush-session", "--disable-coloring", "--technique", "BEU", "--dbms", "SQLite",
    "--threads", "4", "--timeout", "10", "--retries", "0", "--ignore-code", "403,500",
]  # fmt: skip
FOUND = re.compile(r"identified the following injection point|sqlmap resumed the following injection point")
CLEAN = re.compile(r"all tested parameters do not appear to be injectable")


def run(port: int, target: list[str], folder: Path, more: list[str]) -> tuple[bool, str]:
    url = f"http://127.0.0.1:{port}{target[1]}"
    command = ["sqlmap", "-u", url, *target[2:], *COMMON, *more, "--output-dir", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=RUN_SECS, stdin=subprocess.DEVNULL, check=False
    )
    found = bool(FOUND.search(done.stdout))
    if not found and not CLEAN.search(done.stdout):
        raise AssertionError(
            f"sqlmap came to no result: {' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
        )
    return found, done.stdout


def main() -> int:
    wrong = 0
    tries = [[]] + [["--tamper", names] for names in DISGUISES] if "--all" in sys.argv else [[]]
    with tempfile.TemporaryDirectory(prefix="erne-agent-sqlmap.") as name:
        folder = Path(name)
        for guarded in (False, True):
            settings = {"mode": "protection" if guarded else "off", "engine": "native"}
            with Server("vulnerable", folder / f"app-{guarded}", **settings) as server:
                for what, target in TARGETS.items():
                    for more in tries if guarded else [[]]:
                        begun = time.monotonic()
                        # Against the agent, sqlmap tries harder.
                        harder = ["--level", "3", "--risk", "2"] if guarded else []
                        found, said = run(server.port, target, folder / f"out-{guarded}", more + harder)
                        wrong += found == guarded
                        mode = "protection" if guarded else "off"
                        told = "finds the injection" if found else "finds nothing"
                        print(
                            f"agent {mode}: sqlmap {told} in {what} {' '.join(more)} ({time.monotonic() - begun:.0f} s)",
                            flush=True,
                        )
                        if found == guarded:
                            print(said[-4000:])
    print(f"{'FAILED' if wrong else 'passed'}: {wrong} results are not as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
