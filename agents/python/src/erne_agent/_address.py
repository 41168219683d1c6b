"""Client addresses: sets of networks, and who is behind trusted proxies."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from functools import lru_cache

#: Hops of ``X-Forwarded-For`` that are looked at, from the right.
HOPS_MAX = 32

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=4_096)
def parse(text: str) -> Address | None:
    """An address; IPv4 in IPv6's clothes is IPv4. ``None`` for everything else."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class Networks:
    """A set of networks. A lookup costs one hash for each prefix length in use, however many networks there are."""

    __slots__ = ("_levels",)

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._levels: dict[tuple[int, int], dict[int, float]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str, until: float = math.inf) -> None:
        """Adds a network, for ever or until a time in seconds since 1970. Of two ends, the later one counts."""
        try:
            net = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"{text!r} is no network") from None
        version, shift, number = net.version, net.max_prefixlen - net.prefixlen, int(net.network_address)
        if version == 6 and number >> 32 == 0xFFFF and net.prefixlen >= 96:
            version, number = 4, number & 0xFFFF_FFFF
        level = self._levels.setdefault((version, shift), {})
        key = number >> shift
        level[key] = max(until, level.get(key, until))

    def __bool__(self) -> bool:
        return bool(self._levels)

    def holds(self, address: Address, now: float = 0.0) -> bool:
        number, family = int(address), address.version
        for (version, shift), level in self._levels.items():
            if version == family and level.get(number >> shift, -math.inf) > now:
                return True
        return False


def _hop(text: str) -> Address | None:
    """One entry of ``X-Forwarded-For``: an address, perhaps with a port."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return parse(text)


def client(peer: str, forwarded: str, trusted: Networks, trust_unix: bool) -> str:
    """Who sent the request.

    ``forwarded`` is read from right to left, and only as far as each teller is a trusted proxy: what stands further
    left was written by the client and may be a lie.
    """
    address = parse(peer)
    known = trust_unix if address is None else trusted.holds(address)
    if not known or not forwarded:
        return peer if address is None else str(address)
    last = address
    for entry in forwarded.split(",")[: -HOPS_MAX - 1 : -1]:
        hop = _hop(entry)
        if hop is None:
            break
        last = hop
        if not trusted.holds(hop):
            break
    return peer if last is None else str(last)
