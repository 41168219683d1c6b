"""Limits of requests by client: the token bucket of ``web::guard``, for agents without the extension."""

from __future__ import annotations

import math
import threading

from ._address import Address

#: Clients of one generation; two are kept.
CLIENTS_MAX = 50_000


class Rates:
    """A bucket for each IPv4 address or IPv6 network of 64 bits. A flood of addresses makes it forget, not grow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._young: dict[tuple[int, int], tuple[float, float]] = {}
        self._old: dict[tuple[int, int], tuple[float, float]] = {}

    def take(self, requests: int, per_secs: int, address: Address, now: float) -> int:
        """Counts a request. 0 lets it pass, else it is the seconds to wait. ``now`` never goes back."""
        if requests <= 0:
            return 0
        key = (address.version, int(address) >> (64 if address.version == 6 else 0))
        per_sec = requests / per_secs
        with self._lock:
            if key not in self._young and len(self._young) >= CLIENTS_MAX:
                self._old, self._young = self._young, {}
            tokens, at = self._young.get(key) or self._old.pop(key, None) or (float(requests), now)
            tokens = min(float(requests), tokens + max(0.0, now - at) * per_sec)
            passed = tokens >= 1.0
            self._young[key] = (tokens - 1.0 if passed else tokens, max(now, at))
        return 0 if passed else max(1, math.ceil((1.0 - tokens) / per_sec))
