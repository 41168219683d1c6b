"""Any WSGI application (PEP 3333): ``app = erne_agent.wsgi.Middleware(app)``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from ._agent import Agent
from ._block import Block
from ._exchange import Exchange

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Bytes asked of the server's input at once.
PIECE_BYTES = 64 << 10
#: Where handlers find the request's trace id.
TRACE_KEY = "erne.trace_id"
#: Where the middleware keeps the exchange, for the framework's own hooks.
EXCHANGE_KEY = "erne.exchange"
_REASONS = {403: "Forbidden", 429: "Too Many Requests", 503: "Service Unavailable"}


class Middleware:
    """Wraps an application. Settings as for :class:`erne_agent.Agent`; or one agent for several applications."""

    def __init__(self, app: Application, agent: Agent | None = None, **settings: Any) -> None:
        self.app = app
        self.agent = agent or Agent(**settings)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        exchange = begin(self.agent, environ)
        if exchange is None:
            return self.app(environ, start_response)
        start = _Start(exchange, start_response)
        if exchange.mode != "protection":
            return self._observed(exchange, environ, start)
        block = self.agent.refuse(exchange)
        if block is None:
            # What is read here is put back: the handler reads the body as if nobody had.
            read_ahead(exchange, environ)
            block = self.agent.decide(exchange)
        if block is not None:
            return answer(block, environ, start)
        return self.app(environ, start if exchange.state.secure_headers else start_response)

    def _observed(self, exchange: Exchange, environ: Environ, start: _Start) -> Iterable[bytes]:
        tee = Tee.over(exchange, environ, self.agent)
        try:
            return self.app(environ, start)
        finally:
            tee.answered()


def begin(agent: Agent, environ: Environ) -> Exchange | None:
    """Never raises, whatever a server or another middleware has put into the environ."""
    try:
        if EXCHANGE_KEY in environ:
            # An application within an application: the outer middleware has looked already.
            return None
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        headers = [
            (key[5:].replace("_", "-").lower(), value) for key, value in environ.items() if key.startswith("HTTP_")
        ]
        for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
            if environ.get(key):
                headers.append((name, environ[key]))
        exchange = agent.begin(
            environ.get("REQUEST_METHOD", ""),
            target(environ, path),
            path,
            headers,
            environ.get("REMOTE_ADDR") or "",
            environ.get("HTTP_X_FORWARDED_FOR", ""),
        )
        if exchange is not None:
            exchange.scheme = environ.get("wsgi.url_scheme", "")
            exchange.http_version = environ.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
            environ[TRACE_KEY] = exchange.trace_id
            environ[EXCHANGE_KEY] = exchange
        return exchange
    except Exception as e:
        return agent.unreadable(e)


def target(environ: Environ, path: str) -> str:
    """Path and query as they came over the wire where the server tells them; ``PATH_INFO`` was decoded once."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if isinstance(raw, str) and raw:
        return raw
    query = environ.get("QUERY_STRING", "")
    encoded = quote(path.encode("latin-1", "replace"), safe="/;:@&=+$,!~*'()")
    return f"{encoded}?{query}" if query else encoded


def body_length(environ: Environ) -> int | None:
    """Bytes of the body that may be read; ``None``: until the input ends."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text:
        try:
            return max(0, int(text))
        except ValueError:
            return 0
    # Without a length, only a server that ends the input itself may be read from.
    return None if environ.get("wsgi.input_terminated") else 0


def read_ahead(exchange: Exchange, environ: Environ) -> None:
    length = body_length(environ)
    if length == 0:
        return
    source = environ.get("wsgi.input")
    if source is None:
        return
    environ["wsgi.input"] = look_into(exchange, source, length)


def look_into(exchange: Exchange, source: Any, length: int | None) -> Any:
    """Takes the body's beginning, and gives an input that reads as if nothing had been taken."""
    at = position(source)
    begun, ended, error = read_begin(source, exchange.state.body_max, length)
    exchange.body = begun
    exchange.truncated = not ended
    if at is not None and error is None:
        source.seek(at)
        return source
    return Replay(begun, source, error, ended)


def position(source: Any) -> int | None:
    """Where a file stands; ``None`` for a stream that cannot go back."""
    try:
        return int(source.tell()) if source.seekable() else None
    except Exception:
        # Most inputs know neither question.
        return None


def read_begin(source: Any, body_max: int, length: int | None) -> tuple[bytes, bool, BaseException | None]:
    """The first bytes, whether they are all, and what reading them raised: that is the handler's to see."""
    wanted = body_max if length is None else min(body_max, length)
    pieces: list[bytes] = []
    size = 0
    error: BaseException | None = None
    ended = False
    while size < wanted:
        try:
            piece = source.read(min(PIECE_BYTES, wanted - size))
        except Exception as e:
            error = e
            break
        if not piece:
            ended = True
            break
        pieces.append(piece)
        size += len(piece)
    ended = ended or (length is not None and size >= length)
    return b"".join(pieces), ended, error


class _Input:
    """What servers' inputs offer beside PEP 3333. Nothing is handed to the source unseen: reads of any name count."""

    _source: Any

    def read(self, size: int | None = -1) -> bytes:
        raise NotImplementedError

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(size)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    readinto1 = readinto

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def flush(self) -> None:
        return

    @property
    def closed(self) -> bool:
        return bool(getattr(self._source, "closed", False))

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


class Replay(_Input):
    """An input whose beginning was read already: gives it again, then goes on with the rest."""

    def __init__(self, begun: bytes, source: Any, error: BaseException | None = None, ended: bool = False) -> None:
        self._begun = begun
        self._at = 0
        self._source = source
        self._error = error
        self._ended = ended

    def _left(self) -> bytes:
        left = self._begun[self._at :]
        self._at = len(self._begun)
        return left

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            left = self._left()
            return left + self._rest("read", size)
        if size == 0:
            return b""
        if self._at < len(self._begun):
            piece = self._begun[self._at : self._at + size]
            self._at += len(piece)
            # Some callers take a short read for the end, so what is missing is read from the source.
            return piece if len(piece) == size else piece + self._rest("read", size - len(piece))
        return self._rest("read", size)

    def readline(self, size: int | None = -1) -> bytes:
        limit = -1 if size is None else size
        if self._at >= len(self._begun):
            return self._rest("readline", limit)
        end = self._begun.find(b"\n", self._at) + 1
        stop = end or len(self._begun)
        if limit >= 0:
            stop = min(stop, self._at + limit)
        line = self._begun[self._at : stop]
        self._at = stop
        if line.endswith(b"\n") or (limit >= 0 and len(line) >= limit):
            return line
        return line + self._rest("readline", limit - len(line) if limit >= 0 else -1)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        lines: list[bytes] = []
        size = 0
        while line := self.readline():
            lines.append(line)
            size += len(line)
            if hint and size >= hint:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def _rest(self, how: str, size: int | None) -> bytes:
        if self._error is not None:
            self._check()
        if self._ended:
            return b""
        read = getattr(self._source, how)
        data = read() if size is None or size < 0 else read(size)
        return data if isinstance(data, bytes) else bytes(data)


class Tee(_Input):
    """An input that remembers what the handler reads of it, for a request that nobody waits for.

    The request is handed to the agent once the handler has answered and has either read the body or let go of it.
    """

    def __init__(self, exchange: Exchange, source: Any, agent: Agent, length: int | None) -> None:
        self._exchange = exchange
        self._source = source
        self._agent = agent
        self._length = length
        self._seen = 0
        self._begun = bytearray()
        self._ended = length == 0
        self._answered = False
        self._handed = False
        self._lock = threading.RLock()

    @classmethod
    def over(cls, exchange: Exchange, environ: Environ, agent: Agent) -> Tee:
        length = body_length(environ)
        tee = cls(exchange, environ.get("wsgi.input"), agent, length)
        if length != 0 and environ.get("wsgi.input") is not None:
            environ["wsgi.input"] = tee
        return tee

    def _saw(self, data: bytes, asked: bool) -> bytes:
        try:
            exchange = self._exchange
            room = exchange.state.body_max - len(self._begun)
            self._seen += len(data)
            if room > 0:
                self._begun += data[:room]
            exchange.hash_uploads().feed(data)
            if (asked and not data) or (self._length is not None and self._seen >= self._length):
                self._ended = True
                self._hand_over()
        except Exception as e:
            self._agent.troubles.note("internal error", e)
        return data

    def read(self, size: int | None = -1) -> bytes:
        data = self._source.read() if size is None or size < 0 else self._source.read(size)
        if size is None or size < 0:
            # All of it was asked for, so this is the end.
            self._length = self._seen + len(data)
        return self._saw(data, size != 0)

    def readline(self, size: int | None = -1) -> bytes:
        data = self._source.readline() if size is None or size < 0 else self._source.readline(size)
        return self._saw(data, size != 0)

    def readlines(self, hint: int | None = None) -> list[bytes]:
        lines = self._source.readlines() if hint is None else self._source.readlines(hint)
        for line in lines:
            self._saw(line, True)
        return list(lines)

    def __iter__(self) -> Iterator[bytes]:
        for line in self._source:
            yield self._saw(line, True)
        self._saw(b"", True)

    def answered(self) -> None:
        self._answered = True
        # A streaming handler may read on; then its end, or the tee's own, hands the request over.
        if self._ended or self._seen == 0:
            self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            if not self._answered or self._handed:
                return
            self._handed = True
        exchange = self._exchange
        exchange.body = bytes(self._begun)
        exchange.truncated = not self._ended or self._seen > len(self._begun)
        exchange.stop_watch()
        self._agent.observe(exchange)

    def __del__(self) -> None:
        try:
            self._answered = True
            self._hand_over()
        except Exception:
            # The interpreter may be ending; there is nobody left to tell.
            return


class _Start:
    """``start_response`` that remembers the status, and adds secure headers that the application did not set."""

    __slots__ = ("_exchange", "_start")

    def __init__(self, exchange: Exchange, start: StartResponse) -> None:
        self._exchange = exchange
        self._start = start

    def __call__(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        exchange = self._exchange
        try:
            exchange.status = int(status[:3])
            exchange.response_headers = headers
            wanted = exchange.state.secure_headers
            if wanted:
                there = {name.lower() for name, _ in headers}
                headers = headers + [pair for pair in wanted if pair[0].lower() not in there]
        except Exception:
            # Whatever the application says is the server's to judge.
            return self._start(status, headers, *exc_info)
        return self._start(status, headers, *exc_info)


def answer(block: Block, environ: Environ, start: StartResponse) -> Iterable[bytes]:
    start(f"{block.status} {_REASONS.get(block.status, 'Blocked')}", list(block.headers))
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [block.body]
