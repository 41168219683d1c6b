"""What the operator has set for this application, as the gateway sends it.

With the extension installed, routes, thresholds, exclusions and bans are decided in Rust by the code that the gateway
runs. What is read here is what only an agent needs, and what an agent without the extension needs before it asks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, cast, get_args

from ._address import Networks

Mode = Literal["off", "lite", "monitor", "protection"]
Fail = Literal["open", "closed"]

#: A longer profile is refused.
PROFILE_BYTES_MAX = 16 << 20
#: The most of a body that an agent looks at, whatever the profile says.
BODY_BYTES_MAX = 64 << 20
#: Those of ``web::guard::redact``.
REDACT_DEFAULT = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie", "api key", "apikey",
    "private key", "credential", "session", "sid", "otp", "pin", "cvv", "cvc", "card number", "cardnumber", "iban",
    "ssn",
)  # fmt: skip
#: Redacted whatever the profile says.
REDACT_ALWAYS = ("password", "authorization", "cookie")


@dataclass(frozen=True)
class Profile:
    version: int = 0
    mode: Mode = "monitor"
    fail: Fail = "open"
    timeout_ms: int = 250
    routes: tuple[tuple[re.Pattern[str], Mode], ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    rate_requests: int = 0
    rate_secs: int = 60
    secure_headers: tuple[tuple[str, str], ...] = ()
    redact: tuple[str, ...] = REDACT_DEFAULT
    body_max: int = 131_072
    block_status: int = 403
    block_body: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, raw: object) -> Profile:
        """Reads the JSON's members; ``ValueError`` names the one that is wrong. Unknown ones are ignored."""
        if not isinstance(raw, dict):
            raise ValueError("a profile is a JSON object")
        member = _Members(raw)
        rate = _Members(member.of("rate_limit", dict, {}))
        block = _Members(member.of("block", dict, {}))
        headers = member.of("secure_headers", dict, {})
        redact = tuple(str(word).lower() for word in member.of("redact", list, list(REDACT_DEFAULT)))
        return cls(
            version=member.whole("version", 0, 0, 1 << 63),
            mode=cast(Mode, member.choice("mode", get_args(Mode), "monitor")),
            fail=cast(Fail, member.choice("fail", get_args(Fail), "open")),
            timeout_ms=member.whole("timeout_ms", 250, 1, 60_000),
            routes=tuple(_route(route) for route in member.of("routes", list, [])),
            trusted_proxies=tuple(str(net) for net in member.of("trusted_proxies", list, [])),
            rate_requests=rate.whole("requests", 0, 0, 1 << 31),
            rate_secs=rate.whole("per_secs", 60, 1, 86_400),
            secure_headers=tuple((_header(k), _header(v)) for k, v in headers.items()),
            redact=redact + tuple(word for word in REDACT_ALWAYS if word not in redact),
            body_max=member.whole("body_max", 131_072, 0, BODY_BYTES_MAX),
            block_status=_status(block.whole("status", 403, 0, 1_000)),
            block_body=block.of("body", str, ""),
            raw=raw,
        )

    @classmethod
    def parse_bytes(cls, data: bytes) -> Profile:
        if len(data) > PROFILE_BYTES_MAX:
            raise ValueError("the profile is too long")
        return cls.parse(json.loads(data))

    def route_mode(self, path: str) -> Mode:
        """The mode of the first route that matches.

        A path that a server may read as another one (dots, doubled or backward slashes) never gets a laxer mode than
        the profile's.
        """
        for pattern, mode in self.routes:
            if pattern.fullmatch(path):
                if _TRICKY.search(path) and _STRENGTH[mode] < _STRENGTH[self.mode]:
                    continue
                return mode
        return self.mode


_STRENGTH: dict[str, int] = {"off": 0, "lite": 1, "monitor": 2, "protection": 3}
_TRICKY = re.compile(r"//|\\|;|%|(?:^|/)\.\.?(?:/|$)")


class _Members:
    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw

    def of(self, name: str, kind: type, default: Any) -> Any:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise ValueError(f"{name}: a {kind.__name__} is needed")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A number; one beyond the agent's bounds is taken as the bound, as the gateway knows other ones."""
        value = self.of(name, int, default)
        if isinstance(value, bool) or value < 0:
            raise ValueError(f"{name}: {value!r} is no whole number of 0 or more")
        return min(high, max(low, int(value)))

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.of(name, str, default)
        if value not in choices:
            raise ValueError(f"{name}: {value!r} is none of {', '.join(choices)}")
        return str(value)


def _status(value: int) -> int:
    if not 200 <= value <= 599:
        raise ValueError(f"block: status {value} is no final HTTP status")
    return value


def _header(value: Any) -> str:
    text = str(value)
    if not text.isascii() or any(c in "\r\n\0" for c in text):
        raise ValueError(f"secure_headers: {text!r} cannot stand in a header")
    return text


def _route(raw: Any) -> tuple[re.Pattern[str], Mode]:
    if not isinstance(raw, dict) or not isinstance(raw.get("path"), str) or raw.get("mode") not in get_args(Mode):
        raise ValueError("routes: each needs a path and a mode")
    return glob(raw["path"]), raw["mode"]


def glob(pattern: str) -> re.Pattern[str]:
    """``*`` within a segment, ``**`` across segments; a closing ``/**`` also takes its folder itself."""
    parts = re.split(r"(\*+)", pattern)
    body = "".join(re.escape(p) if "*" not in p else ("[^/]*" if p == "*" else ".*") for p in parts)
    if pattern.endswith("/**"):
        body = body[: -len("/.*")] + "(?:/.*)?"
    return re.compile(body, re.DOTALL)


def bans(raw: object) -> Networks:
    """The networks of a profile's bans, each until its end."""
    if not isinstance(raw, list):
        raise ValueError("bans: a list is needed")
    networks = Networks()
    for ban in raw:
        if not isinstance(ban, dict) or not isinstance(ban.get("cidr"), str):
            raise ValueError("bans: each needs a cidr")
        networks.add(ban["cidr"], instant(ban.get("until")))
    return networks


def instant(text: Any) -> float:
    """RFC 3339 to seconds since 1970; no time is never."""
    if text is None or text == "":
        return math.inf
    try:
        # Python 3.10 reads fractions of exactly six digits, and no `Z`.
        whole = re.sub(r"\.(\d+)", lambda digits: "." + digits[1][:6].ljust(6, "0"), str(text))
        moment = datetime.fromisoformat(whole.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
