"""Any ASGI application, so FastAPI and Starlette too: ``app = erne_agent.asgi.Middleware(app)``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._agent import Agent
from ._block import Block
from ._exchange import Exchange
from .wsgi import TRACE_KEY

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Messages that are read ahead at most: a client that sends single bytes must not make the agent hold them all.
MESSAGES_MAX = 4_096


class Middleware:
    """Wraps an application, also by ``app.add_middleware(erne_agent.asgi.Middleware)``."""

    def __init__(self, app: Application, agent: Agent | None = None, **settings: Any) -> None:
        self.app = app
        self.agent = agent or Agent(**settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan" and not self.agent.state.all_off:
            self.agent.start()
        exchange = begin(self.agent, scope) if kind in ("http", "websocket") else None
        if exchange is None:
            await self.app(scope, receive, send)
        elif exchange.mode != "protection":
            await self._observed(exchange, scope, receive, send)
        elif kind == "http":
            await self._protected(exchange, scope, receive, send)
        else:
            await self._socket(exchange, scope, receive, send)

    async def _protected(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        block = self.agent.refuse(exchange)
        if block is None:
            if may_have_body(exchange):
                receive = await read_ahead(exchange, receive)
            block = await self.agent.decide_async(exchange)
        if block is None:
            await self.app(scope, receive, _Sender(exchange, send) if exchange.state.secure_headers else send)
        else:
            await answer(block, exchange, send)

    async def _socket(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        """The handshake is a request like any other; what is said afterwards is not looked at."""
        block = self.agent.refuse(exchange) or await self.agent.decide_async(exchange)
        if block is None:
            await self.app(scope, receive, send)
            return
        await receive()
        if "websocket.http.response" in scope.get("extensions", {}):
            await answer(block, exchange, send, "websocket.http.response")
        else:
            # Before it is accepted, closing makes the server answer 403.
            await send({"type": "websocket.close", "code": 1008, "reason": ""})

    async def _observed(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self.agent.observe(exchange)
            await self.app(scope, receive, send)
            return
        tee = _Tee(exchange, receive, self.agent)
        try:
            await self.app(scope, tee, _Sender(exchange, send))
        finally:
            route = scope.get("route")
            template: object = getattr(route, "path", None)
            exchange.route = template if isinstance(template, str) else None
            tee.finish()


def begin(agent: Agent, scope: Scope) -> Exchange | None:
    """Never raises, whatever a server has put into the scope."""
    try:
        path = scope.get("path", "")
        raw = scope.get("raw_path") or path.encode("utf-8", "surrogateescape")
        query = scope.get("query_string", b"")
        target = raw.decode("latin-1") + ("?" + query.decode("latin-1") if query else "")
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope.get("headers", ())]
        forwarded = ", ".join(value for name, value in headers if name == "x-forwarded-for")
        peer = scope.get("client")
        method = scope.get("method", "GET")
        exchange = agent.begin(method, target, path, headers, str(peer[0]) if peer else "", forwarded)
        if exchange is not None:
            scheme = str(scope.get("scheme") or "")
            exchange.scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
            exchange.http_version = str(scope.get("http_version") or "")
            scope[TRACE_KEY] = exchange.trace_id
        return exchange
    except Exception as e:
        return agent.unreadable(e)


def may_have_body(exchange: Exchange) -> bool:
    """HTTP/1.1 tells of a body by one of two headers; with HTTP/2, only reading shows it."""
    if not exchange.http_version.startswith("1"):
        return True
    return any(n == "transfer-encoding" or (n == "content-length" and v.strip() != "0") for n, v in exchange.headers)


async def read_ahead(exchange: Exchange, receive: Receive) -> Receive:
    """Reads the body's beginning, and gives a ``receive`` that tells every message again, as it came."""
    told: list[Message] = []
    pieces: list[bytes] = []
    size = 0
    ended = False
    while size < exchange.state.body_max and len(told) < MESSAGES_MAX:
        # What the server raises here is the handler's to see, and would have been without the agent.
        message = await receive()
        told.append(message)
        if message["type"] != "http.request":
            ended = True
            break
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        if not message.get("more_body", False):
            ended = True
            break
    body = b"".join(pieces)
    exchange.truncated = not ended or size > exchange.state.body_max
    exchange.body = body[: exchange.state.body_max]
    told.reverse()

    async def replay() -> Message:
        return told.pop() if told else await receive()

    return replay


class _Tee:
    """A ``receive`` that remembers what the handler reads, for a request that nobody waits for."""

    __slots__ = ("_agent", "_begun", "_ended", "_exchange", "_receive", "_seen")

    def __init__(self, exchange: Exchange, receive: Receive, agent: Agent) -> None:
        self._exchange = exchange
        self._receive = receive
        self._agent = agent
        self._begun = bytearray()
        self._seen = 0
        self._ended = not may_have_body(exchange)

    async def __call__(self) -> Message:
        message = await self._receive()
        try:
            if message["type"] == "http.request":
                body = message.get("body", b"")
                self._seen += len(body)
                room = self._exchange.state.body_max - len(self._begun)
                if room > 0:
                    self._begun += body[:room]
                if body:
                    self._exchange.hash_uploads().feed(body)
                self._ended = self._ended or not message.get("more_body", False)
        except Exception as e:
            self._agent.troubles.note("internal error", e)
        return message

    def finish(self) -> None:
        exchange = self._exchange
        exchange.body = bytes(self._begun)
        exchange.truncated = not self._ended or self._seen > len(self._begun)
        exchange.stop_watch()
        self._agent.observe(exchange)


class _Sender:
    """A ``send`` that remembers the status, and adds secure headers that the application did not set."""

    __slots__ = ("_exchange", "_send")

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = self._start(message)
        await self._send(message)

    def _start(self, message: Message) -> Message:
        exchange = self._exchange
        try:
            headers = [(bytes(n), bytes(v)) for n, v in message.get("headers", ())]
            exchange.status = message["status"]
            exchange.response_headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in headers]
            wanted = exchange.state.secure_headers
            if not wanted or exchange.status < 200:
                return message
            there = {n.lower() for n, _ in headers}
            added = [(n.lower().encode(), v.encode()) for n, v in wanted if n.lower().encode() not in there]
            return {**message, "headers": headers + added}
        except Exception:
            # Whatever the application says is the server's to judge.
            return message


async def answer(block: Block, exchange: Exchange, send: Send, kind: str = "http.response") -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in block.headers]
    there = {name for name, _ in headers}
    headers += [
        (n.lower().encode(), v.encode()) for n, v in exchange.state.secure_headers if n.lower().encode() not in there
    ]
    await send({"type": f"{kind}.start", "status": block.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": b"" if exchange.method == "HEAD" else block.body})
