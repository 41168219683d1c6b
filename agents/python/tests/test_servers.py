"""Applications under their real servers, with the agent inspecting in the process, and without it."""

import base64
import json
import os
import socket
import struct

import pytest

from harness import COMMANDS, Server, chunked, multipart

INJECTION = "1%27%20OR%20%271%27=%271"
KINDS = ["flask-gthread", "flask-prefork", "django", "django-asgi", "fastapi", "wsgi"]


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """The same application with the agent and without it."""
    folder = tmp_path_factory.mktemp(request.param)
    with (
        Server(request.param, folder / "plain", agent=False) as plain,
        Server(request.param, folder / "agent", mode="protection", engine="native") as guarded,
    ):
        yield plain, guarded


def both(pair, request: bytes):
    """Sends the same bytes to both; they must answer with the same bytes."""
    from harness import Reply

    plain, guarded = (Reply(server.send(request)) for server in pair)
    assert guarded.comparable() == plain.comparable()
    return guarded


def lines(*given: str) -> bytes:
    return "\r\n".join(given).encode("latin-1") + b"\r\n\r\n"


def test_an_attack_is_blocked_before_the_handler_runs(pair):
    _, guarded = pair
    before = len(guarded.calls())
    reply = guarded.get(f"/search?q={INJECTION}", "Accept: text/html")
    assert reply.status == 403
    assert b"<h1>Request blocked</h1>" in reply.body
    assert reply.header("content-length") == str(len(reply.body))
    assert reply.header("cache-control") == "no-store"
    assert len(guarded.calls()) == before
    for method in ("HEAD", "DELETE"):
        reply = guarded.get(f"/search?q={INJECTION}", method=method)
        assert (reply.status, len(guarded.calls())) == (403, before)
    assert reply.body
    assert guarded.get(f"/search?q={INJECTION}", method="HEAD").body == b""
    problem = guarded.get(f"/search?q={INJECTION}", "Accept: application/json")
    assert problem.header("content-type") == "application/problem+json"
    assert json.loads(problem.body)["status"] == 403


def test_attacks_in_bodies_are_blocked_before_the_handler_runs(pair):
    _, guarded = pair
    before = len(guarded.calls())
    payload = b"1' UNION SELECT username, password FROM users-- -"
    kind, upload = multipart([("note", None, None, payload), ("file", "a.txt", "text/plain", b"fine")])
    for content_type, body in (
        ("application/x-www-form-urlencoded", b"name=a&text=" + payload.replace(b" ", b"+")),
        ("application/json", b'{"a": {"b": ["' + payload + b'"]}}'),
        (kind, upload),
    ):
        path = "/upload" if content_type == kind else "/form"
        assert guarded.get(path, f"Content-Type: {content_type}", method="POST", body=body).status == 403, content_type
        head = lines(
            f"POST {path} HTTP/1.1",
            "Host: a",
            "Connection: close",
            "Transfer-Encoding: chunked",
            f"Content-Type: {content_type}",
        )
        assert guarded.send(head + chunked(body, 5)).startswith(b"HTTP/1.1 403"), content_type
    assert len(guarded.calls()) == before


def test_harmless_requests_are_answered_byte_for_byte_as_without_the_agent(pair):
    for path in (
        "/",
        "/search?q=f%C3%BCnf+%C3%84pfel&q=2",
        "/stream",
        "/cookies",
        "/nothing",
        "/items/7",
        "/items/x",
        "/missing",
    ):
        for method in ("GET", "HEAD"):
            both(
                pair,
                lines(
                    f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", "Cookie: s=1; t=\xe9", "X-Odd: caf\xe9"
                ),
            )


def test_other_answers_stay_as_they_are(pair):
    by_kind = {
        "flask": ["/file", "/events", "/bytes", "/broken", "/teapot"],
        "django": ["/file", "/broken"],
        "fastapi": ["/events", "/bytes", "/broken", "/head"],
        "wsgi": ["/file", "/events", "/lines", "/broken", "/late"],
    }
    for path in by_kind[pair[0].kind.partition("-")[0]]:
        for method in ("GET", "HEAD"):
            both(pair, lines(f"{method} {path} HTTP/1.1", "Host: a", "Connection: close"))
    # The application's own errors reach the server's log, whole.
    if any("/broken" in path for path in by_kind[pair[0].kind.partition("-")[0]]):
        assert "the application's own error" in pair[1].said()


def test_bodies_reach_the_handler_whole(pair):
    random = os.urandom(3 << 20)
    kind, form = multipart([
        ("note", None, None, "f\u00fcnf".encode()), ("file", "bild.png", "image/png", b"\x89PNG\r\n\x1a\n" + random), ("empty", "", None, b""),
    ])  # fmt: skip
    bodies = [
        ("/form", "application/x-www-form-urlencoded", b"name=Anna+Maria&text=%C3%A4"),
        ("/upload", kind, form),
        ("/raw", "application/octet-stream", random),
        ("/raw", "application/octet-stream", b""),
        ("/raw", "application/octet-stream", bytes(range(256))),
        # Exactly what the agent looks at, and one byte on either side.
        *(("/raw", "application/octet-stream", b"a" * (131_072 + n)) for n in (-1, 0, 1)),
    ]
    for path, content_type, body in bodies:
        head = [f"POST {path} HTTP/1.1", "Host: a", "Connection: close", f"Content-Type: {content_type}"]
        reply = both(pair, lines(*head, f"Content-Length: {len(body)}") + body)
        assert reply.status in (200, 404), path
        both(pair, lines(*head, "Transfer-Encoding: chunked") + chunked(body, 64_001))


def test_a_connection_serves_many_requests(pair):
    one = lines("GET /search?q=1 HTTP/1.1", "Host: a")
    bad = lines(f"GET /search?q={INJECTION} HTTP/1.1", "Host: a")
    form = (
        lines("POST /form HTTP/1.1", "Host: a", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 6")
        + b"name=b"
    )
    last = lines("GET /search?q=2 HTTP/1.1", "Host: a", "Connection: close")
    if pair[1].kind == "flask-prefork":
        pytest.skip("gunicorn's sync worker closes every connection")
    answer = pair[1].send(one + bad + form + last)
    assert answer.count(b"HTTP/1.1 403") == 1
    assert answer.count(b"HTTP/1.1 200") == 3


def test_websockets_work_and_their_handshake_is_inspected(tmp_path):
    with Server("fastapi", tmp_path, mode="protection", engine="native") as server:
        key = base64.b64encode(os.urandom(16)).decode()
        wanted = [
            "Host: a",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.sendall(lines("GET /socket?x=1 HTTP/1.1", *wanted))
            assert s.recv(4096).startswith(b"HTTP/1.1 101")
            text, mask = b"' OR '1'='1", os.urandom(4)
            s.sendall(
                struct.pack("!BB", 0x81, 0x80 | len(text)) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text))
            )
            assert s.recv(4096)[2:] == text[::-1]
        before = len(server.calls())
        assert server.send(lines(f"GET /socket?x={INJECTION} HTTP/1.1", *wanted)).startswith(b"HTTP/1.1 403")
        assert len(server.calls()) == before


def test_all_kinds_are_run():
    assert set(KINDS) | {"wsgi-preload", "vulnerable"} == set(COMMANDS)
