"""Counts the agent's own troubles and tells of each kind once a minute: it must never flood the host's log."""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger("erne_agent")
#: Seconds between two lines of one kind.
QUIET_SECS = 60.0


class Troubles:
    """Counters by kind. A kind is a fixed word of the agent's code, so there are few."""

    def __init__(self) -> None:
        # Reentrant, as the garbage collector may finish a request within `note`.
        self._lock = threading.RLock()
        self._counts: dict[str, int] = {}
        self._told: dict[str, tuple[float, int]] = {}

    def note(self, kind: str, detail: object = "", count: int = 1) -> None:
        with self._lock:
            total = self._counts[kind] = self._counts.get(kind, 0) + count
            at, before = self._told.get(kind, (float("-inf"), 0))
            now = time.monotonic()
            if now - at < QUIET_SECS:
                return
            self._told[kind] = (now, total)
        try:
            if isinstance(detail, BaseException):
                detail = f"{type(detail).__name__}: {detail}"
            log.warning("erne agent: %s (%d times): %s", kind, total - before, str(detail)[:500])
        except Exception:
            # A broken log handler of the host must not break its requests.
            return

    def count(self, kind: str) -> int:
        with self._lock:
            return self._counts.get(kind, 0)

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)
