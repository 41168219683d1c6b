"""Trace context (W3C Trace Context, level 1): which request a transaction belongs to."""

from __future__ import annotations

import os
import re

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


def trace_id(traceparent: str) -> str:
    """The sender's trace id, or a new one where the header is absent or invalid."""
    found = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if found and found[1] != "ff" and set(found[2]) != {"0"} and set(found[3]) != {"0"}:
        return found[2]
    return os.urandom(16).hex()


def traceparent(trace: str) -> str:
    """The header for a request that the agent makes on behalf of a traced one."""
    return f"00-{trace}-{os.urandom(8).hex()}-01"
