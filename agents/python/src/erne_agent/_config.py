"""Settings of an agent: arguments first, then ``ERNE_AGENT_*`` of the environment, then defaults."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from ._profile import Fail, Mode
from ._version import LITERAL_ENGINES, Engine

PREFIX = "ERNE_AGENT_"


class ConfigError(ValueError):
    """A setting that cannot be understood. It stops the start, so that a typo leaves no application unprotected."""


@dataclass(frozen=True)
class Config:
    """One agent's settings. What is ``None`` here is taken from the profile; what is given here beats the profile."""

    #: Base address of the gateway, such as ``https://erne.example:8443``; empty for none.
    url: str = ""
    #: The agent's id and secret, as made in the dashboard.
    id: str = ""
    secret: str = field(default="", repr=False)
    #: PEM file of the authority that signed the gateway's certificate; empty for the system's.
    ca_file: str = ""
    #: Empty: the one that the gateway knows the agent by.
    application: str = ""
    instance: str = ""
    mode: Mode | None = None
    fail: Fail | None = None
    timeout_ms: int | None = None
    body_max: int | None = None
    #: Networks whose ``X-Forwarded-For`` is believed, besides the profile's; ``unix`` for peers without an address.
    trusted_proxies: tuple[str, ...] = ()
    #: ``auto`` inspects in this process where the extension ``erne-agent-native`` is installed, else asks the gateway.
    engine: Engine = "auto"
    #: A profile in a JSON file, for an agent without a gateway.
    profile: str = ""
    #: Where the profile's copy and waiting events are kept.
    state_dir: str = ""
    #: Requests and events that wait in memory.
    queue_max: int = 10_000
    #: Bytes of waiting events on disk.
    store_bytes_max: int = 64 << 20
    #: Seconds between deliveries of what lite mode has stored.
    forward_secs: float = 60.0

    @classmethod
    def load(cls, given: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Config:
        """Reads the settings; raises :class:`ConfigError` for one that cannot be understood."""
        environ = os.environ if environ is None else environ
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {}
        for name in known:
            text = environ.get(PREFIX + name.upper(), "").strip()
            if text:
                values[name] = text
        for name, value in (given or {}).items():
            if name not in known:
                raise ConfigError(f"there is no setting {name!r}: known are {', '.join(sorted(known))}")
            if value is not None:
                values[name] = value
        checked = {name: _read(name, value) for name, value in values.items()}
        checked.setdefault("instance", socket.gethostname())
        checked.setdefault("state_dir", default_state_dir(environ))
        config = cls(**checked)
        config.check()
        return config

    def check(self) -> None:
        if not self.url:
            return
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"url: {self.url!r} is no http or https address")
        if parts.query or parts.fragment:
            raise ConfigError("url: give the base address, without query and fragment")
        if not self.id or not self.secret:
            raise ConfigError("url is set, so id and secret are needed: make an agent in the dashboard")


def default_state_dir(environ: Mapping[str, str]) -> str:
    base = environ.get("XDG_STATE_HOME") or ""
    if not base and environ.get("HOME"):
        base = str(Path(environ["HOME"]) / ".local" / "state")
    if base:
        return str(Path(base) / "erne-agent")
    user = os.getuid() if hasattr(os, "getuid") else 0
    return str(Path(tempfile.gettempdir()) / f"erne-agent-{user}")


_CHOICES: dict[str, tuple[str, ...]] = {"mode": get_args(Mode), "fail": get_args(Fail), "engine": LITERAL_ENGINES}
_WHOLE = {
    "timeout_ms": (1, 60_000),
    "body_max": (0, 64 << 20),
    "queue_max": (1, 1_000_000),
    "store_bytes_max": (0, 1 << 40),
}


def _read(name: str, value: Any) -> Any:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ConfigError(f"{name}: {value!r} is none of {', '.join(_CHOICES[name])}")
        return value
    if name in _WHOLE:
        low, high = _WHOLE[name]
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise ConfigError(f"{name}: {value!r} is no whole number") from None
        if not low <= number <= high:
            raise ConfigError(f"{name}: {number} is not within {low} and {high}")
        return number
    if name == "forward_secs":
        try:
            return max(0.05, float(value))
        except (TypeError, ValueError):
            raise ConfigError(f"{name}: {value!r} is no number") from None
    if name == "trusted_proxies":
        return _networks(value)
    return str(value)


def _networks(value: Any) -> tuple[str, ...]:
    from ._address import Networks

    items = value.split(",") if isinstance(value, str) else list(value)
    texts = tuple(str(item).strip() for item in items if str(item).strip())
    try:
        Networks(text for text in texts if text != "unix")
    except ValueError as e:
        raise ConfigError(f"trusted_proxies: {e}") from None
    return texts
