"""A WSGI application that answers with everything it got: whether an agent changed anything shows in the answer."""

import hashlib
import json
import os
import time

CALLS = []


def application(environ, start_response):
    path = environ["PATH_INFO"]
    CALLS.append(path)
    log = os.environ.get("APP_CALLS")
    if log:
        with open(log, "a") as file:
            file.write(path + "\n")
    handler = HANDLERS.get(path, echo)
    return handler(environ, start_response)


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    seen = {k: v for k, v in sorted(environ.items()) if k.startswith("HTTP_") or k in SHOWN}
    told = {"environ": seen, "length": len(body), "sha256": hashlib.sha256(body).hexdigest(), "body": body[:200].hex()}
    data = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


SHOWN = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "RAW_URI", "SCRIPT_NAME")


def lines(environ, start_response):
    """Reads by lines, and answers while it reads."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for line in environ["wsgi.input"]:
        yield b"%d " % len(line)


def stream(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for i in range(20):
        yield bytes([i]) * 1000


def events(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])
    for i in range(3):
        yield b"data: %d\n\n" % i
        time.sleep(0.02)


def nothing(environ, start_response):
    start_response("204 No Content", [])
    return []


def cookies(environ, start_response):
    start_response("200 OK", [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=\xe9"), ("X-Frame-Options", "DENY")])
    return [b"\xff\xfe\x00caf\xe9"]


def broken(environ, start_response):
    raise RuntimeError("the application's own error")


def late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first"
    raise RuntimeError("the application's own late error")


def file(environ, start_response):
    handle = open(__file__, "rb")  # noqa: SIM115
    start_response("200 OK", [("Content-Type", "text/x-python")])
    return environ["wsgi.file_wrapper"](handle, 4096)


def pid(environ, start_response):
    data = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]


HANDLERS = {
    "/lines": lines,
    "/stream": stream,
    "/events": events,
    "/nothing": nothing,
    "/cookies": cookies,
    "/broken": broken,
    "/late": late,
    "/file": file,
    "/pid": pid,
}

if os.environ.get("APP_AGENT"):
    import erne_agent

    application = erne_agent.wsgi.Middleware(application)
