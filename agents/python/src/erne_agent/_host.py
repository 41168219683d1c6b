"""What the agent tells the gateway about where it runs."""

from __future__ import annotations

import os
import platform
import socket
import sys
from functools import cache


def _user() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.geteuid()).pw_name
    except (ImportError, KeyError, AttributeError):
        # Containers run under numbers without a name, and Windows has no `pwd`.
        return str(os.geteuid()) if hasattr(os, "geteuid") else os.environ.get("USERNAME", "")


@cache
def _fixed() -> dict[str, str]:
    return {
        "hostname": socket.gethostname(),
        "os": f"{platform.system()} {platform.release()}".strip(),
        "arch": platform.machine(),
        "runtime": platform.python_implementation(),
        "runtime_version": platform.python_version(),
        "run_as": _user(),
    }


def inventory() -> dict[str, str | int]:
    return {**_fixed(), "pid": os.getpid()}


def framework() -> str:
    """The web frameworks that are loaded, with their versions."""
    known = (("flask", "Flask"), ("django", "django"), ("fastapi", "fastapi"), ("starlette", "starlette"))
    from importlib import metadata

    found = []
    for module, package in known:
        if module in sys.modules:
            try:
                found.append(f"{module} {metadata.version(package)}")
            except metadata.PackageNotFoundError:
                found.append(module)
    return ", ".join(found)
