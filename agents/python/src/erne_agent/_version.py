"""The version, and names that several modules share."""

from __future__ import annotations

from typing import Literal, get_args

VERSION = "0.1.0"

Engine = Literal["auto", "native", "gateway"]
LITERAL_ENGINES: tuple[str, ...] = get_args(Engine)
