"""A small gateway for tests: it verifies every signature by its own code, and can be slow, refuse, or be dead.

It takes what holds `attack-here` for an attack. `scripts/e2e_agent_python.sh` runs the same tests against `erne`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

ID = "agt_test"
SECRET = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
AUTHORIZATION = re.compile(r"ERNE-HMAC-SHA256 id=([\w-]+),ts=(\d+),nonce=([A-Za-z0-9_-]{16,64}),sig=([0-9a-f]{64})")


class Gateway:
    def __init__(self) -> None:
        self.id, self.secret = ID, SECRET
        self.profile: dict = {"version": 1, "mode": "protection"}
        self.changed = threading.Condition()
        self.inspected: list[dict] = []
        self.hellos: list[dict] = []
        self.batches: dict[str, list[dict]] = {}
        self.found: list[dict] = []
        self.deliveries = 0
        self.connections = 0
        self.refused: list[str] = []
        self.nonces: set[str] = set()
        self.delay = 0.0
        self.drip = 0.0
        self.status = 0
        self.port = 0
        self.server: ThreadingHTTPServer | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[dict]:
        """What agents sent, and like the real one, what was found on their asking."""
        return self.found + [item for items in list(self.batches.values()) for item in items]

    def start(self) -> None:
        gateway = self

        class Handler(_Handler):
            told = gateway

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def process_request(self, request, client_address):
                gateway.connections += 1
                gateway.open.add(request)
                super().process_request(request, client_address)

        self.open: set = set()
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """As if its process had died: open connections end too."""
        server, self.server = self.server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            for connection in list(self.open):
                try:
                    connection.shutdown(2)
                except OSError:
                    continue

    def set_profile(self, **members) -> None:
        with self.changed:
            self.profile = {"version": self.profile["version"] + 1, **members}
            self.changed.notify_all()

    def settings(self, folder) -> dict:
        """What an agent of this gateway is started with."""
        return {"url": self.url, "id": self.id, "secret": self.secret, "state_dir": str(folder / "state")}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    told: Gateway

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self):
        with contextlib.suppress(OSError):
            super().finish()

    def answer(self, status: int, body: object = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.told.drip:
            self.wfile.flush()
            for byte in data:
                time.sleep(self.told.drip)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            return
        self.wfile.write(data)

    def signed(self, body: bytes) -> str:
        found = AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        if not found:
            return "form"
        agent, stamp, nonce, signature = found.groups()
        message = "\n".join([self.command, self.path, stamp, nonce, hashlib.sha256(body).hexdigest()])
        right = hmac.new(self.told.secret.encode(), message.encode(), "sha256").hexdigest()
        if agent != self.told.id or not hmac.compare_digest(right, signature):
            return "signature"
        if abs(time.time() - int(stamp)) > 300 or nonce in self.told.nonces:
            return "replayed"
        self.told.nonces.add(nonce)
        return ""

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        gateway = self.told
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        why = self.signed(body)
        if why:
            gateway.refused.append(why)
            self.answer(401, {"type": "urn:erne:agent-signature", "title": why})
            return
        parts = urlsplit(self.path)
        if gateway.delay and parts.path != "/api/v1/agent/profile":
            time.sleep(gateway.delay)
        if gateway.status:
            self.answer(gateway.status, {"title": "as the test wants it"})
            return
        route = {
            "/api/v1/inspect": self.inspect,
            "/api/v1/agent/events": self.events,
            "/api/v1/agent/hello": self.hello,
            "/api/v1/agent/profile": self.profile,
        }.get(parts.path)
        if route is None:
            self.answer(404, {})
        else:
            route(body, parse_qs(parts.query))

    def inspect(self, body: bytes, _query: dict) -> None:
        asked = json.loads(body)
        self.told.inspected.append(asked)
        seen = unquote(asked["uri"]) + base64.b64decode(asked.get("body_b64") or "").decode("latin-1")
        seen += "".join(value for _, value in asked["headers"])
        attack = "attack-here" in seen or "' OR '1'='1" in seen
        block = attack and self.told.profile.get("mode", "monitor") == "protection"
        if attack:
            mode = self.told.profile.get("mode", "monitor")
            self.told.found.append(
                {"mode": mode, "blocked": block, "verdict": {"verdict": "attack"}, "transaction": asked}
            )
        found = [
            {"analyser": "test", "class": "sqli", "location": "query:q", "score": 0.9, "value": "x", "why": "test"}
        ]
        self.answer(200, {
            "id": asked.get("id", ""), "verdict": "attack" if attack else "allow", "action": "block" if block else "allow",
            "score": 0.9 if attack else 0.0, "classes": {"sqli": 0.9} if attack else {}, "policy": [],
            "findings": found if attack else [], "truncated": [], "banned": False,
            "profile_version": self.told.profile["version"],
        })  # fmt: skip

    def events(self, body: bytes, _query: dict) -> None:
        key = self.headers.get("Idempotency-Key", "")
        items = json.loads(body)["items"]
        self.told.deliveries += 1
        assert key
        assert len(items) <= 1000
        assert len(body) <= 8 << 20
        self.told.batches.setdefault(key, items)
        self.answer(202, {"accepted": len(items)})

    def hello(self, body: bytes, _query: dict) -> None:
        self.told.hellos.append(json.loads(body))
        self.answer(200, {"profile": self.told.profile, "heartbeat_secs": 30, "server_time": "2026-01-01T00:00:00Z"})

    def profile(self, _body: bytes, query: dict) -> None:
        gateway = self.told
        version = int(query["version"][0])
        deadline = time.monotonic() + int(query["wait"][0])
        with gateway.changed:
            while gateway.profile["version"] == version and time.monotonic() < deadline and gateway.server:
                gateway.changed.wait(0.2)
            current = gateway.profile
        if current["version"] == version:
            self.answer(304)
        else:
            self.answer(200, current)
