"""The ASGI middleware by itself: what it passes on, message by message."""

import asyncio

import pytest

import erne_agent

ATTACK = b"q=1%27%20OR%20%271%27=%271"


class Server:
    """Gives messages, takes messages, and knows how many were asked for."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.asked = 0
        self.sent = []

    async def receive(self):
        self.asked += 1
        message = self.messages.pop(0) if self.messages else {"type": "http.disconnect"}
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message):
        self.sent.append(message)


def piece(body=b"", more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def scope(query=b"", headers=(), kind="http", **more):
    return {
        "type": kind, "method": "POST", "path": "/f\u00fc", "raw_path": b"/f%C3%BC", "query_string": query, "http_version": "1.1", "scheme": "http",
        "headers": list(headers), "client": ("192.0.2.1", 1234), **more,
    }  # fmt: skip


def chunks():
    return [(b"transfer-encoding", b"chunked")]


async def echo(scope, receive, send):
    seen = []
    while True:
        message = await receive()
        seen.append(message)
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "seen": seen})


def run(app, server, scope, tmp_path, mode="protection", **settings):
    guarded = erne_agent.asgi.Middleware(app, mode=mode, engine="native", state_dir=str(tmp_path / "s"), **settings)
    try:
        asyncio.run(asyncio.wait_for(guarded(scope, server.receive, server.send), 20))
    finally:
        guarded.agent.stop()
    return server.sent


@pytest.mark.parametrize("mode", ["off", "lite", "monitor", "protection"])
@pytest.mark.parametrize("body_max", [0, 1, 7, 131_072])
def test_the_handler_gets_the_servers_messages(tmp_path, mode, body_max):
    messages = [
        piece(b"first", True),
        piece(b"", True),
        piece(b"second" * 3, True),
        {"type": "http.request", "extra": 1, "body": b"x"},
    ]
    sent = run(echo, Server(*messages), scope(headers=chunks()), tmp_path, mode, body_max=body_max)
    assert sent[1]["seen"] == messages
    assert all(a is b for a, b in zip(sent[1]["seen"], messages, strict=True))


def test_a_client_that_leaves_is_the_handlers_to_see(tmp_path):
    messages = [piece(b"first", True), {"type": "http.disconnect"}]
    assert run(echo, Server(*messages), scope(headers=chunks()), tmp_path)[1]["seen"] == messages

    with pytest.raises(ConnectionError, match="gone"):
        run(echo, Server(piece(b"a", True), ConnectionError("gone")), scope(headers=chunks()), tmp_path)


def test_nothing_is_asked_of_a_request_without_a_body(tmp_path):
    async def handler(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    server = Server()
    run(handler, server, scope(b"q=1"), tmp_path)
    assert server.asked == 0


def test_a_blocked_request_never_reaches_the_handler(tmp_path):
    async def handler(scope, receive, send):
        raise AssertionError("the handler ran")

    sent = run(handler, Server(), scope(ATTACK), tmp_path)
    assert [m["type"] for m in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 403
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(sent[1]["body"])).encode()
    split = [piece(b"a=1' UNION SEL", True), piece(b"ECT a, b FROM users-- -", False)]
    form = [*chunks(), (b"content-type", b"application/x-www-form-urlencoded")]
    assert run(handler, Server(*split), scope(headers=form), tmp_path)[0]["status"] == 403
    # A body large enough to be inspected on another thread.
    large = [piece(b"x=" + b"a" * 60_000 + b"&a=1' UNION SELECT a, b FROM users-- -")]
    assert run(handler, Server(*large), scope(headers=form), tmp_path)[0]["status"] == 403


def test_websockets_are_refused_before_they_are_accepted(tmp_path):
    async def handler(scope, receive, send):
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})

    connect = {"type": "websocket.connect"}
    assert (
        run(handler, Server(connect), scope(kind="websocket", extensions={}), tmp_path)[0]["type"] == "websocket.accept"
    )
    assert run(handler, Server(connect), scope(ATTACK, kind="websocket"), tmp_path)[0]["type"] == "websocket.close"
    extended = scope(ATTACK, kind="websocket", extensions={"websocket.http.response": {}})
    assert run(handler, Server(connect), extended, tmp_path)[0]["type"] == "websocket.http.response.start"
    assert (
        run(handler, Server(connect), scope(ATTACK, kind="websocket"), tmp_path, "monitor")[0]["type"]
        == "websocket.accept"
    )


@pytest.mark.parametrize("mode", ["lite", "monitor", "protection"])
def test_the_applications_exceptions_and_cancellation_pass(tmp_path, mode):
    class OwnError(Exception):
        pass

    async def raising(scope, receive, send):
        raise OwnError

    with pytest.raises(OwnError):
        run(raising, Server(), scope(), tmp_path, mode)

    async def cancelled(scope, receive, send):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run(cancelled, Server(), scope(), tmp_path, mode)


def test_lifespan_and_unknown_scopes_pass_untouched(tmp_path):
    for kind in ("lifespan", "of-tomorrow"):
        given = {"type": kind}

        async def handler(scope, receive, send, given=given):
            assert scope is given
            await send(await receive())

        assert run(handler, Server({"type": "startup"}), given, tmp_path) == [{"type": "startup"}]
        assert given == {"type": kind}


@pytest.mark.parametrize("odd", [
    {"headers": None}, {"headers": [(1, 2)]}, {"client": None}, {"client": ("testclient", 1)}, {"raw_path": None}, {"path": None, "raw_path": None},
    {"query_string": None}, {"query_string": "text"}, {"http_version": None}, {"scheme": None}, {"method": None}, {"headers": [(b"x", b"\xff" * 9)]},
])  # fmt: skip
@pytest.mark.parametrize("mode", ["lite", "monitor", "protection"])
def test_odd_scopes_never_reach_the_host(tmp_path, odd, mode):
    sent = run(echo, Server(piece(b"a")), {**scope(), **odd}, tmp_path, mode)
    assert sent[0]["status"] == 200
    # Where the agent has to fail closed, what it cannot read does not pass.
    closed = run(echo, Server(piece(b"a")), {**scope(ATTACK), **odd}, tmp_path, "protection", fail="closed")
    assert closed[0]["status"] in (200, 403, 503)
    assert "query_string" in odd or closed[0]["status"] != 200
