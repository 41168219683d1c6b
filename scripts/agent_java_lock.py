#!/usr/bin/env python3
"""The checksums of every program that Maven downloads to build the Java agent.

    agent_java_lock.py write REPOSITORY LOCK
    agent_java_lock.py check REPOSITORY LOCK

Maven 3.8 verifies a download against a checksum from the same server, which protects from accidents only. The lock
stands in the repository: a jar that changed at its source, or that no lock names, ends the build.
"""

import hashlib
import sys
from pathlib import Path


def jars(repository: Path) -> dict[str, str]:
    """Path within the repository, and SHA-256, of all jars but our own."""
    found = {}
    for path in sorted(repository.rglob("*.jar")):
        name = path.relative_to(repository).as_posix()
        if not name.startswith("io/erne/"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main() -> int:
    if len(sys.argv) != 4 or sys.argv[1] not in ("write", "check"):
        print(__doc__, file=sys.stderr)
        return 2
    repository, lock = Path(sys.argv[2]), Path(sys.argv[3])
    found = jars(repository)
    if sys.argv[1] == "write":
        lock.write_text("".join(f"{digest}  {name}\n" for name, digest in found.items()))
        print(f"{len(found)} jars in {lock}")
        return 0
    known = {}
    for line in lock.read_text().splitlines():
        digest, _, name = line.partition("  ")
        known[name] = digest
    wrong = [name for name, digest in found.items() if known.get(name) != digest]
    for name in wrong:
        said = "differs from the lock" if name in known else "is not in the lock"
        print(f"error: {name} {said}; if its version was changed on purpose: scripts/agent_java.sh lock", file=sys.stderr)
    print(f"{len(found)} jars compared with {lock}: {len(wrong)} wrong")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
