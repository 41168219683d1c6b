"""Django: ``MIDDLEWARE = ["erne_agent.django.Middleware", ...]``, first of all, with sync and async handlers.

Settings are the dictionary ``ERNE_AGENT`` of Django's settings, then ``ERNE_AGENT_*`` of the environment.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpResponse

from . import wsgi
from ._agent import Agent
from ._block import Block
from ._exchange import Exchange
from ._log import log

_lock = threading.Lock()
_agent: Agent | None = None


def agent() -> Agent:
    """The process's agent: Django builds its chain of middlewares more than once."""
    global _agent  # noqa: PLW0603
    with _lock:
        if _agent is None:
            _agent = Agent(**getattr(settings, "ERNE_AGENT", {}))
        return _agent


class Middleware:
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self.agent = agent()
        self._async = iscoroutinefunction(get_response)
        if self._async:
            # Django asks by this mark whether the middleware is one for coroutines.
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        if self._async:
            return self._call_async(request)
        exchange = self._begin(request)
        if exchange is None:
            return self.get_response(request)
        if exchange.mode == "protection":
            block = self.agent.refuse(exchange)
            if block is None:
                _read_ahead(exchange, request)
                block = self.agent.decide(exchange)
            response = self.get_response(request) if block is None else _answer(block, request)
            return _secured(exchange, response)
        tee = _tee(exchange, request, self.agent)
        try:
            response = self.get_response(request)
            return _observed(exchange, response)
        finally:
            tee.answered()

    async def _call_async(self, request: Any) -> Any:
        exchange = self._begin(request)
        if exchange is None:
            return await self.get_response(request)
        if exchange.mode == "protection":
            block = self.agent.refuse(exchange)
            if block is None:
                # Under ASGI, Django has the whole body in a file or in memory before any middleware runs.
                await asyncio.to_thread(_read_ahead, exchange, request)
                block = await self.agent.decide_async(exchange)
            response = await self.get_response(request) if block is None else _answer(block, request)
            return _secured(exchange, response)
        tee = _tee(exchange, request, self.agent)
        try:
            response = await self.get_response(request)
            return _observed(exchange, response)
        finally:
            tee.answered()

    def process_view(self, request: Any, _view: Any, _args: Any, _kwargs: Any) -> None:
        """Django has found the route by now."""
        exchange = request.META.get(wsgi.EXCHANGE_KEY)
        match = getattr(request, "resolver_match", None)
        if exchange is not None and match is not None:
            exchange.route = "/" + str(match.route)

    def _begin(self, request: Any) -> Exchange | None:
        return wsgi.begin(self.agent, _environ(request))


def _environ(request: Any) -> dict[str, Any]:
    """``META`` is the environ of WSGI; Django makes one like it of an ASGI scope, but for the raw path."""
    environ: dict[str, Any] = request.META
    scope = getattr(request, "scope", None)
    if scope is not None and "RAW_URI" not in environ and scope.get("raw_path"):
        query = scope.get("query_string", b"")
        environ["RAW_URI"] = scope["raw_path"].decode("latin-1") + ("?" + query.decode("latin-1") if query else "")
        environ.setdefault("wsgi.url_scheme", scope.get("scheme", "http"))
        environ.setdefault("SERVER_PROTOCOL", f"HTTP/{scope.get('http_version', '1.1')}")
    return environ


def _read_ahead(exchange: Exchange, request: Any) -> None:
    """The beginning of ``request``'s stream is read and put back, so that the body still streams to the handler."""
    if getattr(request, "_read_started", False):
        log.debug("erne agent: a middleware before this one has read the body")
    stream = getattr(request, "_stream", None)
    if stream is None:
        return
    length = None if getattr(request, "scope", None) is not None else wsgi.body_length(request.META)
    if length == 0:
        return
    if length is None and getattr(request, "scope", None) is None:
        # Django gives handlers no chunked body, but leaves the server's input to them.
        wsgi.read_ahead(exchange, request.META)
        return
    request._stream = wsgi.look_into(exchange, stream, length)


def _tee(exchange: Exchange, request: Any, agent: Agent) -> wsgi.Tee:
    stream = getattr(request, "_stream", None)
    length = None if getattr(request, "scope", None) is not None else wsgi.body_length(request.META)
    tee = wsgi.Tee(exchange, stream, agent, 0 if stream is None else length)
    if stream is not None and length != 0:
        request._stream = tee
    return tee


def _observed(exchange: Exchange, response: Any) -> Any:
    try:
        exchange.status = int(response.status_code)
        exchange.response_headers = [(str(n), str(v)) for n, v in response.items()]
    except Exception:
        # An odd response is Django's to judge.
        return response
    return _secured(exchange, response)


def _secured(exchange: Exchange, response: Any) -> Any:
    try:
        for name, value in exchange.state.secure_headers:
            response.headers.setdefault(name, value)
    except Exception:
        return response
    return response


def _answer(block: Block, request: Any) -> Any:
    response = HttpResponse(b"" if request.method == "HEAD" else block.body, status=block.status)
    for name, value in block.headers:
        response.headers[name] = value
    return response
