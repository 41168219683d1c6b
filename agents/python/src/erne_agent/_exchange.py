"""One request while the agent looks at it, and its JSON for the gateway."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _trace
from ._address import parse
from ._uploads import Body

if TYPE_CHECKING:
    from ._state import State

Headers = Sequence[tuple[str, str]]
#: Bytes of a response header's value that are told.
VALUE_CHARS_MAX = 8_192
#: Bytes of a body that an event carries.
EVENT_BODY_BYTES_MAX = 64 << 10


class Exchange:
    """What a middleware knows of a request. It is made for one request and used by one thread at a time."""

    __slots__ = (
        "_id",
        "_trace",
        "body",
        "client",
        "headers",
        "http_version",
        "latency_us",
        "method",
        "mode",
        "path",
        "response_headers",
        "route",
        "scheme",
        "started",
        "state",
        "status",
        "target",
        "time",
        "truncated",
        "unreadable",
        "uploads",
    )

    def __init__(
        self, state: State, mode: str, method: str, target: str, path: str, headers: Headers, client: str
    ) -> None:
        self.state = state
        self.mode = mode
        self.method = method
        #: Path and query as they came.
        self.target = target
        #: The decoded path.
        self.path = path
        self.headers = headers
        self.client = client
        self.scheme = ""
        self.http_version = ""
        #: The first ``body_max`` bytes.
        self.body = b""
        self.truncated = False
        #: Something in it made the agent fail before it could be inspected.
        self.unreadable = False
        self.route: str | None = None
        self.status = 0
        self.response_headers: Headers = ()
        self.uploads: Body | None = None
        self.started = time.perf_counter()
        self.latency_us = 0
        self.time = time.time()
        self._id = ""
        self._trace = ""

    def header(self, name: str) -> str:
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return ""

    @property
    def id(self) -> str:
        if not self._id:
            self._id = secrets.token_hex(12)
        return self._id

    @property
    def trace_id(self) -> str:
        if not self._trace:
            self._trace = _trace.trace_id(self.header("traceparent"))
        return self._trace

    def stop_watch(self) -> None:
        self.latency_us = int((time.perf_counter() - self.started) * 1e6)

    def hash_uploads(self) -> Body:
        """Told of bytes as they stream by; its ``kept`` is the body without files and secret parts."""
        if self.uploads is None:
            secret = self.state.redactor.secret
            self.uploads = Body(self.header("content-type"), self.path, self.state.body_max, secret)
        return self.uploads

    def transaction(self, with_body: bool, whole: bool) -> dict[str, Any]:
        """The wire's transaction, without secrets and files. ``whole`` says that uploads streamed by to their end."""
        redact = self.state.redactor
        told: dict[str, Any] = {
            "id": self.id,
            "trace_id": self.trace_id,
            "method": utf8(self.method),
            "uri": utf8(redact.uri(self.target)),
            "headers": [[utf8(n), utf8(v[:VALUE_CHARS_MAX])] for n, v in redact.headers(self.headers)],
            "client_ip": self.client if parse(self.client) else "",
        }
        if self.http_version:
            told["http_version"] = self.http_version
        if self.scheme:
            told["scheme"] = self.scheme
        if self.route:
            told["route"] = utf8(self.route)
        truncated = self.truncated
        if self.body:
            uploads = self.uploads
            if uploads is None:
                uploads = self.hash_uploads()
                uploads.feed(self.body)
                whole = not self.truncated
            files = uploads.finish(whole)
            if files:
                told["files"] = files
            truncated |= uploads.opaque
            if with_body:
                kept = redact.body(bytes(uploads.kept), self.header("content-type"))
                told["body_b64"] = base64.b64encode(kept).decode()
        if truncated:
            told["body_truncated"] = True
        if self.status:
            told["response"] = {
                "status": self.status,
                "headers": [[utf8(n), utf8(v[:VALUE_CHARS_MAX])] for n, v in redact.headers(self.response_headers)],
            }
        return told

    def size(self) -> int:
        """About how many bytes it takes while it waits."""
        return 2_000 + len(self.body) + len(self.target) + sum(len(n) + len(v) for n, v in self.headers)


def utf8(text: str) -> str:
    """WSGI and ASGI give bytes as Latin-1; the wire wants them as the text they mostly are."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
