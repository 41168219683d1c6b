"""A profile made ready: what the requests of one moment are judged by. It never changes; a new profile is a new one."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any, Protocol, cast

from ._address import Networks, client, parse
from ._config import Config
from ._limit import Rates
from ._profile import Fail, Mode, Profile, bans
from ._redact import Redactor


class NativeGuard(Protocol):
    """The extension's inspector with one profile."""

    def mode(self, target: str) -> str: ...
    def banned(self, ip: str, now: float) -> str | None: ...
    def take(self, ip: str, now: float) -> int: ...
    def inspect(
        self,
        method: str,
        target: str,
        headers: Any,
        body: bytes,
        truncated: bool,
        http_version: str,
        ip: str,
        now: float,
        id: str | None,
        route: str | None,
    ) -> tuple[bool, bytes | None]: ...


def load_native() -> Any:
    """The extension, or ``None``. One of another version is none."""
    try:
        import erne_agent_native
    except ImportError:
        return None
    return erne_agent_native if getattr(erne_agent_native, "API", 0) == 1 else None


class State:
    def __init__(self, config: Config, profile: Profile, native: Any) -> None:
        """Raises ``ValueError`` for a profile that cannot be used."""
        self.mode: Mode = config.mode or profile.mode
        self.profile = replace(profile, mode=self.mode)
        self.fail: Fail = config.fail or profile.fail
        self.timeout = (config.timeout_ms or profile.timeout_ms) / 1_000
        self.body_max = profile.body_max if config.body_max is None else config.body_max
        self.redactor = Redactor(profile.redact)
        own = [net for net in config.trusted_proxies if net != "unix"]
        self.trusted = Networks((*profile.trusted_proxies, *own))
        self.trust_unix = "unix" in config.trusted_proxies
        self.secure_headers = profile.secure_headers
        #: The local setting "off" is a switch for the whole agent, also for routes with a mode of their own.
        self.all_off = config.mode == "off"
        self._routed = bool(profile.routes) and not self.all_off
        self.checks_clients = bool(profile.raw.get("bans")) or profile.rate_requests > 0
        self._rates = Rates()
        self.guard: NativeGuard | None = None
        # With the extension, bans are read and asked there: there may be a hundred thousand.
        self._bans = bans(profile.raw.get("bans") or []) if native is None else Networks()
        if native is not None:
            raw = {**profile.raw, "mode": self.mode, "fail": self.fail}
            self.guard = cast(NativeGuard, native.Guard(json.dumps(raw).encode()))

    def mode_of(self, target: str, path: str) -> str:
        if not self._routed:
            return self.mode
        if self.guard is not None:
            return self.guard.mode(target)
        return self.profile.route_mode(path)

    def client(self, peer: str, forwarded: str) -> str:
        return client(peer, forwarded, self.trusted, self.trust_unix)

    def banned(self, ip: str) -> bool:
        if self.guard is not None:
            return self.guard.banned(ip, time.time()) is not None
        address = parse(ip)
        return address is not None and self._bans.holds(address, time.time())

    def wait_secs(self, ip: str) -> int:
        """Counts a request of this client; 0 lets it pass."""
        if self.profile.rate_requests <= 0:
            return 0
        if self.guard is not None:
            return self.guard.take(ip, time.monotonic())
        address = parse(ip)
        if address is None:
            return 0
        return self._rates.take(self.profile.rate_requests, self.profile.rate_secs, address, time.monotonic())
