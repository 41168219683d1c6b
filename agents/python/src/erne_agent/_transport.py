"""Signed requests to the gateway over kept connections, each with one deadline for all of it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import io
import json
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ._version import VERSION

#: Idle connections that are kept; more may be open at once.
IDLE_MAX = 32
#: Idle connections older than this are closed rather than reused: servers close them about then.
IDLE_SECS = 50.0
#: A longer answer is refused.
ANSWER_BYTES_MAX = 16 << 20


class GatewayError(Exception):
    """The gateway gave no usable answer."""


class Refused(GatewayError):
    """The gateway answered with an error status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"HTTP {status}: {detail}")
        self.status = status


class DeadlineError(GatewayError):
    """The time was over."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    #: The gateway's clock, as it told.
    date: str = ""

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as e:
            raise GatewayError(f"the answer is no JSON: {e}") from e


def sign(secret: str, agent: str, method: str, path: str, body: bytes, now: float, nonce: str) -> str:
    """The ``Authorization`` header of a request."""
    stamp = str(int(now))
    message = "\n".join((method.upper(), path, stamp, nonce, hashlib.sha256(body).hexdigest()))
    signature = hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
    return f"ERNE-HMAC-SHA256 id={agent},ts={stamp},nonce={nonce},sig={signature}"


class _Reader(io.RawIOBase):
    """Reads from a socket until its deadline, however slowly the bytes drip."""

    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._timed.arm()
        return self._timed.sock.recv_into(buffer)


class _Timed:
    """What ``http.client`` needs of a socket, under one deadline instead of a timeout for each call."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline

    def arm(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError("no answer in time")
        self.sock.settimeout(left)

    def sendall(self, data: bytes) -> None:
        self.arm()
        self.sock.sendall(data)

    def makefile(self, _mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        self.sock.close()


class _Connection:
    def __init__(self, http_connection: http.client.HTTPConnection) -> None:
        self.http = http_connection
        self.used = time.monotonic()

    def arm(self, deadline: float) -> bool:
        """Connects if needed; tells whether the connection is new."""
        sock: Any = self.http.sock
        if isinstance(sock, _Timed):
            sock.deadline = deadline
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError("no time left to connect")
        self.http.timeout = left
        self.http.connect()
        inner = self.http.sock
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http.sock = _Timed(inner, deadline)
        return True

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[Answer, bool]:
        self.http.request(method, path, body=body if body or method != "GET" else None, headers=headers)
        response = self.http.getresponse()
        data = response.read(ANSWER_BYTES_MAX + 1)
        if len(data) > ANSWER_BYTES_MAX:
            raise GatewayError("the answer is too long")
        return Answer(response.status, data, response.getheader("Date") or ""), not response.will_close


class Client:
    """Thread-safe: every request has a connection of its own while it runs."""

    def __init__(
        self, url: str, agent: str, secret: str, ca_file: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        parts = urlsplit(url)
        self._https = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._https else 80)
        self._base = parts.path.rstrip("/")
        self._agent = agent
        self._secret = secret
        self._clock = clock
        self._tls = ssl.create_default_context(cafile=ca_file or None) if self._https else None
        self.after_fork()

    def after_fork(self) -> None:
        """The parent's connections stay the parent's: closing our copies of them does not end them."""
        for connection in getattr(self, "_idle", ()):
            timed: Any = connection.http.sock
            if isinstance(timed, _Timed):
                # `close` of a TLS connection would say goodbye on the parent's behalf; the descriptor is just closed.
                try:
                    os.close(timed.sock.detach())
                except OSError:
                    continue
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.http.close()

    def request(
        self, method: str, path: str, body: bytes = b"", timeout: float = 5.0, headers: dict[str, str] | None = None
    ) -> Answer:
        """Asks once, and once more if a kept connection turned out to be closed. Raises :class:`GatewayError`."""
        deadline = time.monotonic() + timeout
        path = self._base + path
        for again in (True, False):
            connection = self._take() if again else self._new()
            fresh = True
            try:
                fresh = connection.arm(deadline)
                answer, keep = connection.ask(method, path, self._headers(method, path, body, headers), body)
            except DeadlineError:
                connection.http.close()
                raise
            except TimeoutError as e:
                connection.http.close()
                raise DeadlineError("no answer in time") from e
            except (OSError, http.client.HTTPException) as e:
                connection.http.close()
                if fresh or not again:
                    raise GatewayError(f"{type(e).__name__}: {e}") from e
                continue
            except BaseException:
                connection.http.close()
                raise
            if keep:
                self._put(connection)
            else:
                connection.http.close()
            return answer
        raise GatewayError("no connection")

    def _headers(self, method: str, path: str, body: bytes, more: dict[str, str] | None) -> dict[str, str]:
        headers = {
            "Authorization": sign(
                self._secret, self._agent, method, path, body, self._clock(), secrets.token_urlsafe(18)
            ),
            "User-Agent": f"erne-agent-python/{VERSION}",
            "Accept": "application/json",
        }
        if body:
            headers["Content-Type"] = "application/json"
        headers.update(more or {})
        return headers

    def _new(self) -> _Connection:
        if self._https:
            return _Connection(http.client.HTTPSConnection(self._host, self._port, context=self._tls))
        return _Connection(http.client.HTTPConnection(self._host, self._port))

    def _take(self) -> _Connection:
        now = time.monotonic()
        stale = []
        taken = None
        with self._lock:
            while self._idle and taken is None:
                connection = self._idle.pop()
                if now - connection.used < IDLE_SECS:
                    taken = connection
                else:
                    stale.append(connection)
        for connection in stale:
            connection.http.close()
        return taken or self._new()

    def _put(self, connection: _Connection) -> None:
        connection.used = time.monotonic()
        with self._lock:
            if len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
                return
        connection.http.close()


class Breaker:
    """Stops asking a gateway that does not answer: after :attr:`FAILURES` in a row, for a time that doubles.

    When the time is over, one request tries again; the others go on without it until it has its answer.
    """

    FAILURES = 5
    OPEN_SECS = 1.0
    OPEN_SECS_MAX = 30.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._until = 0.0
        self._secs = self.OPEN_SECS
        self._trying = False

    def allows(self) -> bool:
        with self._lock:
            if self._failed < self.FAILURES:
                return True
            if self._trying or self._clock() < self._until:
                return False
            self._trying = True
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failed, self._secs, self._trying = 0, self.OPEN_SECS, False

    def failed(self) -> None:
        with self._lock:
            self._failed += 1
            if self._failed == self.FAILURES or self._trying:
                self._until = self._clock() + self._secs
                self._secs = min(self._secs * 2, self.OPEN_SECS_MAX)
            self._trying = False

    def would_try(self) -> bool:
        """Whether :meth:`allows` would say yes, without taking the place of the one that tries."""
        with self._lock:
            return self._failed < self.FAILURES or (not self._trying and self._clock() >= self._until)

    @property
    def open(self) -> bool:
        with self._lock:
            return self._failed >= self.FAILURES
