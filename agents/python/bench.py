"""What the agent adds to a request: the same application with and without it, asked in turns.

    scripts/agent_python.sh bench [--requests N] [--erne BINARY] [--check]

Two measures. "in the handler" calls the WSGI application in this process: the time that the agent itself takes. "over
loopback" asks two real servers (gunicorn gthread, uvicorn) over kept connections, and tells the difference of the
medians: what a client sees, with the noise of the machine. With --erne, the gateway of that binary is asked as well.
--check fails if the medians are above the goals.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "apps")]

GOAL_NATIVE_US = 150.0
GOAL_GATEWAY_US = 3_000.0

BROWSER = {
    "Host": "shop.example",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://shop.example/catalogue/shoes?page=3&sort=price",
    "Cookie": "session=eyJ1c2VyIjo0Mn0.Zx3fAA.f0mOqkq0o3dWQ; theme=dark; _ga=GA1.1.1234567890.1700000000",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Upgrade-Insecure-Requests": "1",
}
FORM = b"name=Anna+Maria&street=Lange+Stra%C3%9Fe+5&city=K%C3%B6ln&note=" + b"Bitte+bei+den+Nachbarn+abgeben.+" * 20
KINDS: dict[str, tuple[str, str, bytes]] = {
    "page": ("GET", "/search?q=running+shoes&size=42&colour=blue&page=3", b""),
    "form of 0.7 KB": ("POST", "/form", FORM),
    "JSON of 64 KB": (
        "POST",
        "/form",
        b'{"rows": [' + b",".join([b'{"name": "Anna", "city": "Berlin"}'] * 1_800) + b"]}",
    ),
}


def content_type(body: bytes) -> str:
    return "application/json" if body.startswith(b"{") else "application/x-www-form-urlencoded"


def alternate(asks: list[Callable[[], None]], count: int, warm: int) -> list[list[float]]:
    """Microseconds of each, asked in turns, so that both see the same moments of the machine."""
    times: list[list[float]] = [[] for _ in asks]
    for i in range(count + warm):
        order = list(range(len(asks)))
        if i % 2:
            order.reverse()
        for n in order:
            begun = time.perf_counter()
            asks[n]()
            if i >= warm:
                times[n].append((time.perf_counter() - begun) * 1e6)
    return times


def report(name: str, plain: list[float], guarded: list[float]) -> float:
    added = statistics.median(guarded) - statistics.median(plain)
    p99 = statistics.quantiles(guarded, n=100)[98] - statistics.quantiles(plain, n=100)[98]
    print(f"{name:<52} {statistics.median(plain):9.0f} {statistics.median(guarded):9.0f} {added:+9.0f} {p99:+9.0f}")
    return added


def called(app: Any, method: str, target: str, body: bytes) -> Callable[[], None]:
    path, _, query = target.partition("?")
    fixed: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.errors": sys.stderr,
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in BROWSER.items()},
    }
    if body:
        fixed |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type(body)}

    def ask() -> None:
        told: list[str] = []
        for _ in app({**fixed, "wsgi.input": io.BytesIO(body)}, lambda status, *_: told.append(status)):
            pass
        assert told[0].startswith("200"), told

    return ask


def in_the_handler(count: int, settings: dict[str, Any], label: str, agents: list[Any]) -> float:
    from flask_app import app

    import erne_agent

    agent = erne_agent.Agent(**settings)
    agents.append(agent)
    plain = app.wsgi_app
    guarded = erne_agent.wsgi.Middleware(plain, agent)
    worst = 0.0
    for kind, (method, target, body) in KINDS.items():
        asks = [called(plain, method, target, body), called(guarded, method, target, body)]
        added = report(f"Flask, {label}, in the handler, {kind}", *alternate(asks, count, count // 10))
        # The goal is one for pages and forms; a body of 64 KB takes what inspecting 64 KB takes.
        worst = max(worst, added) if "KB" not in kind or "form" in kind else worst
    return worst


def over_loopback(count: int, kind: str, label: str, folder: Path, **settings: str) -> float:
    from harness import Server

    with (
        Server(kind, folder / f"{kind}-plain", agent=False) as plain,
        Server(kind, folder / f"{kind}-{label}", **settings) as guarded,
    ):
        asks = []
        for server in (plain, guarded):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

            def ask(connection: http.client.HTTPConnection = connection) -> None:
                connection.request("GET", KINDS["page"][1], headers=BROWSER)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status

            asks.append(ask)
        return report(f"{kind}, {label}, over loopback, page", *alternate(asks, count, count // 10))


def main() -> int:
    parser = argparse.ArgumentParser(description="what the agent adds to a request")
    parser.add_argument("--requests", type=int, default=2_000, help="of each application and kind")
    parser.add_argument("--erne", default=os.environ.get("ERNE", ""), help="binary of the gateway to ask as well")
    parser.add_argument("--check", action="store_true", help="fail above the goals")
    options = parser.parse_args()
    os.environ.pop("APP_AGENT", None)
    failed = []
    agents: list[Any] = []
    print(f"{'microseconds':<52} {'without':>9} {'with':>9} {'median':>9} {'p99':>9}")
    with tempfile.TemporaryDirectory(prefix="erne-agent-bench.") as name:
        folder = Path(name)
        native = {"mode": "protection", "engine": "native", "state_dir": str(folder / "state")}
        if in_the_handler(options.requests, native, "in process", agents) > GOAL_NATIVE_US:
            failed.append(f"in process: above {GOAL_NATIVE_US:.0f} µs")
        for kind in ("flask-gthread", "fastapi"):
            over_loopback(options.requests, kind, "in process", folder, mode="protection", engine="native")
        if options.erne:
            os.environ["ERNE"] = options.erne
            from real import RealGateway

            gateway = RealGateway()
            try:
                settings = {**gateway.settings(folder), "mode": "protection", "engine": "gateway", "fail": "closed"}
                # A busy machine is measured, not refused.
                settings["timeout_ms"] = "5000"
                if in_the_handler(options.requests, settings, "by gateway", agents) > GOAL_GATEWAY_US:
                    failed.append(f"by gateway: above {GOAL_GATEWAY_US:.0f} µs")
                for kind in ("flask-gthread", "fastapi"):
                    over_loopback(options.requests, kind, "by gateway", folder, **settings)
            finally:
                for agent in agents:
                    agent.stop(0.5)
                gateway.close()
    for why in failed:
        print(f"goal missed: {why}", file=sys.stderr)
    return 1 if failed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
