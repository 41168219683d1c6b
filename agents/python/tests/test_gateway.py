"""An agent and its gateway: verdicts, failures, profiles, events. With ERNE set, the gateway is the real one."""

import io
import json
import os
import threading
import time

import pytest

import erne_agent
from erne_agent import wsgi
from harness import Server, chunked, multipart, wait_for

ATTACK = "/search?q=1%27%20OR%20%271%27=%271"


class App:
    """A handler that counts its calls, behind a middleware in this process."""

    def __init__(self, folder, gateway=None, **settings):
        self.called = 0
        given = gateway.settings(folder) if gateway else {"state_dir": str(folder / "state")}
        self.agent = erne_agent.Agent(**{**given, **settings})
        self.middleware = wsgi.Middleware(self.handler, self.agent)

    def handler(self, environ, start_response):
        self.called += 1
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"answer %d" % len(body)]

    def ask(self, target="/", method="GET", body=b"", peer="192.0.2.7", **headers):
        path, _, query = target.partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "RAW_URI": target, "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(body), "wsgi.url_scheme": "http", "REMOTE_ADDR": peer, "CONTENT_LENGTH": str(len(body)),
        }  # fmt: skip
        for name, value in headers.items():
            environ[name if name == "CONTENT_TYPE" else f"HTTP_{name}"] = value
        told = []
        data = b"".join(
            self.middleware(environ, lambda status, headers, *_: told.append((int(status[:3]), dict(headers))))
        )
        return told[0][0], told[0][1], data

    def status(self, target="/", **more):
        return self.ask(target, **more)[0]

    def mode_is(self, mode):
        self.agent.start()
        wait_for(lambda: self.agent.state.mode == mode)


@pytest.fixture
def make(tmp_path):
    made = []

    def make(gateway=None, **settings):
        made.append(App(tmp_path, gateway, **settings))
        return made[-1]

    yield make
    for app in made:
        app.agent.stop()


def test_the_gateway_decides_before_the_handler(gateway, make):
    app = make(gateway, engine="gateway", mode="protection", timeout_ms=5000)
    assert app.ask("/search?q=fine")[2] == b"answer 0"
    assert app.status(ATTACK) == 403
    assert (
        app.status("/form", method="POST", body=b"a=1' OR '1'='1", CONTENT_TYPE="application/x-www-form-urlencoded")
        == 403
    )
    assert app.called == 1
    assert app.agent.counters()["attacks"] == 2
    assert app.agent.counters()["blocked"] == 2


def test_connections_are_reused(standin, make):
    app = make(standin, engine="gateway", mode="protection", timeout_ms=5000)
    for i in range(20):
        assert app.status(f"/?n={i}") == 200
    # One for verdicts, and those of heartbeat and long poll.
    assert standin.connections <= 4
    assert len(standin.inspected) == 20


def test_what_leaves_the_process_is_redacted_and_files_stay(standin, make):
    app = make(standin, engine="gateway", mode="protection", timeout_ms=5000)
    content = b"\x89PNG\r\n\x1a\n" + os.urandom(900) + b"secret file content"
    kind, body = multipart(
        [
            ("password", None, None, b"hunter2"),
            ("note", None, None, b"hello"),
            ("avatar", "me.png", "image/png", content),
        ]
    )
    assert app.status(
        "/upload?token=abc123&q=1", method="POST", body=body, CONTENT_TYPE=kind, COOKIE="sid=topsecret; theme=dark",
        AUTHORIZATION="Bearer topsecret", X_API_KEY="topsecret", TRACEPARENT="00-" + "ab" * 16 + "-" + "cd" * 8 + "-01",
    ) == 200  # fmt: skip
    told = standin.inspected[-1]
    import base64
    import hashlib

    sent = base64.b64decode(told["body_b64"])
    text = json.dumps(told) + sent.decode()
    for secret in ("hunter2", "abc123", "topsecret", "secret file content"):
        assert secret not in text
    assert b"hello" in sent
    assert told["uri"] == "/upload?token=[redacted]&q=1"
    assert dict(told["headers"])["cookie"] == "sid=[redacted]; theme=[redacted]"
    assert told["trace_id"] == "ab" * 16
    assert told["files"] == [{
        "name": "me.png", "size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
        "content_type": "image/png", "magic": content[:64].hex(),
    }]  # fmt: skip


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_a_slow_gateway_delays_no_longer_than_the_timeout(standin, make, fail, status):
    app = make(standin, engine="gateway", mode="protection", timeout_ms=150, fail=fail)
    standin.delay = 3.0
    begun = time.monotonic()
    assert app.status() == status
    assert time.monotonic() - begun < 1.5
    for _ in range(4):
        assert app.status() == status
    # Five failures in a row: now nobody waits any more.
    assert app.agent.breaker.open
    begun = time.monotonic()
    assert [app.status() for _ in range(50)] == [status] * 50
    assert time.monotonic() - begun < 1.0
    standin.delay = 0.0
    wait_for(lambda: app.status(ATTACK) == 403)


def test_an_answer_that_drips_is_cut_off_at_the_timeout(standin, make):
    app = make(standin, engine="gateway", mode="protection", timeout_ms=200, fail="closed")
    standin.drip = 0.05
    begun = time.monotonic()
    assert app.status() == 503
    assert time.monotonic() - begun < 1.5
    standin.drip = 0.0


@pytest.mark.parametrize(("fail", "status"), [("open", 200), ("closed", 503)])
def test_a_dead_gateway_and_its_restart(gateway, make, fail, status):
    app = make(gateway, engine="gateway", mode="protection", timeout_ms=2000, fail=fail)
    assert app.status(ATTACK) == 403
    gateway.stop()
    wait_for(lambda: app.status(ATTACK) == status)
    gateway.start()
    wait_for(lambda: app.status(ATTACK) == 403)
    assert app.status() == 200


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_an_error_of_the_gateway_is_no_verdict(standin, make, status):
    standin.status = status
    assert make(standin, engine="gateway", mode="protection", timeout_ms=2000, fail="open").status(ATTACK) == 200
    assert make(standin, engine="gateway", mode="protection", timeout_ms=2000, fail="closed").status() == 503


def test_in_process_protection_survives_the_gateways_absence(gateway, make):
    gateway.stop()
    app = make(gateway, engine="native", mode="protection")
    assert app.status(ATTACK) == 403
    assert app.status("/search?q=fine") == 200
    assert app.called == 1
    # What was blocked meanwhile is told once the gateway is back.
    gateway.start()
    event = wait_for(lambda: gateway.events and gateway.events[0], 40)
    assert (event["blocked"], event["mode"], event["verdict"]["verdict"]) == (True, "protection", "attack")
    assert event["verdict"]["findings"][0]["location"] == "query:q"
    assert event["transaction"]["client_ip"] == "192.0.2.7"


def test_monitor_never_blocks_and_tells(gateway, make):
    gateway.set_profile(mode="monitor")
    for engine in ("native", "gateway"):
        app = make(gateway, engine=engine, mode="monitor")
        assert app.ask(ATTACK + "&by=" + engine)[2] == b"answer 0"
        assert app.called == 1
    told = wait_for(lambda: gateway.events if len(gateway.events) == 2 else None)
    assert sorted(e["transaction"]["uri"].partition("by=")[2] for e in told) == ["gateway", "native"]
    for event in told:
        assert (event["mode"], event["blocked"], event["transaction"]["response"]["status"]) == ("monitor", False, 200)


def test_monitor_does_not_wait_for_a_slow_gateway(standin, make):
    app = make(standin, engine="gateway", mode="monitor", queue_max=10)
    standin.delay = 2.0
    begun = time.monotonic()
    assert [app.status() for _ in range(300)] == [200] * 300
    assert time.monotonic() - begun < 1.5
    # The queue is bounded, and what did not fit is counted.
    assert app.agent.counters()["dropped"] >= 200


def test_the_profile_is_reloaded_while_requests_run(gateway, make):
    gateway.set_profile(mode="monitor")
    app = make(gateway, engine="native")
    app.agent.start()
    wait_for(lambda: app.agent.state.profile.version == gateway.profile["version"])
    assert app.status(ATTACK) == 200
    begun = time.monotonic()
    gateway.set_profile(mode="protection", secure_headers={"X-Frame-Options": "SAMEORIGIN", "X-New": "1"})
    app.mode_is("protection")
    assert time.monotonic() - begun < 5
    assert app.status(ATTACK) == 403
    assert app.ask("/")[1]["X-New"] == "1"
    gateway.set_profile(
        mode="protection", routes=[{"path": "/search", "mode": "monitor"}], block={"status": 451, "body": "no {{id}}"}
    )
    wait_for(lambda: app.status(ATTACK) == 200)
    status, headers, body = app.ask(ATTACK.replace("/search", "/other"))
    assert (status, body[:3], len(body)) == (451, b"no ", 27)
    assert headers["Content-Type"].startswith("text/html")
    gateway.set_profile(mode="off")
    app.mode_is("off")
    assert app.status(ATTACK.replace("/search", "/other")) == 200


def test_a_profile_that_cannot_be_used_changes_nothing(standin, make):
    app = make(standin, engine="native")
    app.mode_is("protection")
    standin.set_profile(mode="off", bans=[{"cidr": "nonsense"}])
    wait_for(lambda: app.agent.troubles.count("profile unusable"))
    assert app.status(ATTACK) == 403


def test_the_profile_outlives_a_restart_without_gateway(gateway, make):
    gateway.set_profile(mode="protection")
    app = make(gateway)
    app.mode_is("protection")
    wait_for(lambda: app.agent._profile_path().exists())
    app.agent.stop()
    gateway.stop()
    assert app.agent._profile_path().stat().st_mode & 0o777 == 0o600
    later = make(gateway)
    assert later.status(ATTACK) == 403


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"mode": 7}', os.urandom(2000), None])
def test_a_damaged_copy_of_the_profile_is_passed_over(standin, make, damage, tmp_path):
    standin.stop()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    path = state / f"profile-{standin.id}.json"
    if damage is None:
        path.mkdir()
    else:
        path.write_bytes(damage)
    app = make(standin, mode="protection", engine="native")
    assert app.status(ATTACK) == 403
    assert app.agent.troubles.count("profile unusable") == 1


def test_bans_and_rates_and_trusted_proxies(gateway, make):
    for engine in ("native", "gateway"):
        bans = [
            {"cidr": "198.51.100.0/24", "reason": "test"},
            {"cidr": "192.0.2.9", "until": "2020-01-01T00:00:00Z"},
            {"cidr": "2001:db8::/32"},
        ]
        gateway.set_profile(mode="protection", bans=bans, trusted_proxies=["10.0.0.0/8"], timeout_ms=5000)
        app = make(gateway, engine=engine)
        app.agent.start()
        wait_for(lambda app=app: app.agent.state.profile.version == gateway.profile["version"])
        assert app.status(peer="198.51.100.77") == 403
        assert app.status(peer="2001:db8::5") == 403
        assert app.status(peer="::ffff:198.51.100.1") == 403
        # The ban of this one is over.
        assert app.status(peer="192.0.2.9") == 200
        # Nobody lies himself into or out of a ban: only what trusted proxies wrote counts, from the right.
        assert app.status(peer="192.0.2.9", X_FORWARDED_FOR="198.51.100.77") == 200
        assert app.status(peer="10.1.1.1", X_FORWARDED_FOR="192.0.2.1, 198.51.100.77") == 403
        assert app.status(peer="10.1.1.1", X_FORWARDED_FOR="198.51.100.77, 192.0.2.1") == 200
        assert app.status(peer="10.1.1.1", X_FORWARDED_FOR="192.0.2.1, 198.51.100.77:4711, 10.9.9.9") == 403
        gateway.set_profile(mode="protection", rate_limit={"requests": 3, "per_secs": 60}, timeout_ms=5000)
        wait_for(lambda app=app: app.agent.state.profile.version == gateway.profile["version"])
        assert [app.status(peer="203.0.113.1") for _ in range(5)] == [200, 200, 200, 429, 429]
        status, headers, _ = app.ask(peer="203.0.113.1")
        assert (status, int(headers["Retry-After"]) in range(1, 61)) == (429, True)
        assert app.status(peer="203.0.113.2") == 200
        app.agent.stop()


def test_hello_tells_of_the_host(gateway, make):
    app = make(gateway, application="shop", instance="web-1")
    app.status()
    ours = f"web-1:{os.getpid()}"
    hello = wait_for(lambda: [h for h in gateway.hellos if h["instance"] == ours])[0]
    assert (hello["application"], hello["instance"], hello["language"]) == ("shop", ours, "python")
    assert hello["host"]["pid"] == os.getpid()
    for name in ("hostname", "os", "arch", "runtime", "runtime_version", "run_as"):
        assert hello["host"][name], name
    assert set(hello["counters"]) == {"requests", "attacks", "blocked", "errors", "dropped", "queue"}


def test_lite_stores_and_forwards_over_a_restart(gateway, tmp_path):
    """A server that is killed leaves its events on disk; the next one delivers them, each once."""
    settings = {k: str(v) for k, v in gateway.settings(tmp_path).items()}
    gateway.set_profile(mode="lite")
    gateway.stop()
    with Server("wsgi", tmp_path / "a", mode="lite", engine="gateway", forward_secs="0.3", **settings) as server:
        for i in range(25):
            assert server.get(f"/?n={i}").status == 200
        events = tmp_path / "state" / "events"

        def stored():
            return sum(p.read_bytes().count(b"\n") for p in events.glob("*.events")) if events.exists() else 0

        # One request is the harness's own, when it waits for the server.
        wait_for(lambda: stored() >= 26)
        server.kill()
        gateway.start()
        # A line that was cut off by the crash must not hold up the others.
        with next(iter(events.glob("*.events"))).open("ab") as torn:
            torn.write(b'{"time": "2026-')
        server.start()
        wait_for(lambda: len(gateway.events) >= 26, 30)
        assert server.get("/?n=25").status == 200
        wait_for(lambda: sum("/?n=25" in e["transaction"]["uri"] for e in gateway.events) == 1, 30)
    uris = [e["transaction"]["uri"] for e in gateway.events]
    assert sorted(u for u in uris if u.startswith("/?n=")) == sorted(f"/?n={i}" for i in range(26))
    # The agent said nothing about them; the real gateway inspects them when they come.
    assert {e["mode"] for e in gateway.events} == {"lite"}
    assert all((e["verdict"] or {"verdict": "allow"})["verdict"] == "allow" for e in gateway.events)


def test_events_are_delivered_once_although_the_answer_is_lost(standin, make):
    app = make(standin, engine="native", mode="protection")
    standin.status = 500
    app.status(ATTACK)
    wait_for(lambda: app.agent.troubles.count("events not delivered"))
    standin.status = 0
    wait_for(lambda: standin.events, 30)
    time.sleep(0.5)
    assert len(standin.events) == 1


def test_a_full_disk_loses_events_but_no_request(make, tmp_path, standin):
    """The limit on file sizes makes every write fail halfway, as a full disk does."""
    standin.stop()
    code = f"""
import io, resource, signal, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
from pathlib import Path
from test_gateway import App
import erne_agent
app = App(Path({str(tmp_path)!r}), None, url={standin.url!r}, id="a", secret="s", mode="lite", engine="gateway")
assert [app.status("/?n=" + str(i)) for i in range(40)] == [200] * 40
app.agent.stop()
counts = app.agent.counters()
print(counts["requests"], counts["dropped"] > 0)
"""
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["40", "True"], done.stderr
    for path in (tmp_path / "state" / "events").glob("*.events"):
        for line in path.read_bytes().splitlines():
            json.loads(line)


def test_a_gateway_behind_tls_is_verified(standin, make, tmp_path):
    import ssl
    import subprocess

    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=gateway",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    standin.server.socket = context.wrap_socket(standin.server.socket, server_side=True)
    settings = {
        "engine": "gateway",
        "mode": "protection",
        "timeout_ms": 5000,
        "fail": "closed",
        "url": standin.url.replace("http:", "https:"),
    }
    trusting = make(standin, ca_file=str(cert), **settings)
    assert [trusting.status(), trusting.status(), trusting.status(ATTACK)] == [200, 200, 403]
    assert make(standin, **settings).status() == 503


def test_64_threads_at_once(gateway, make):
    app = make(gateway, engine="gateway", mode="protection", timeout_ms=20_000)
    results = []

    def run(n):
        for i in range(10):
            attack = (n + i) % 3 == 0
            results.append(app.status(ATTACK if attack else f"/?n={n}") == (403 if attack else 200))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [True] * 640
    assert app.agent.counters()["requests"] == 640


def test_threads_start_anew_in_forked_children(gateway, tmp_path):
    """gunicorn loads the application before it forks: each worker must report for itself."""
    settings = {k: str(v) for k, v in gateway.settings(tmp_path).items()}
    gateway.set_profile(mode="protection")
    before = {h["host"]["pid"] for h in gateway.hellos}
    with Server("wsgi-preload", tmp_path, engine="native", **settings) as server:
        pids = set()

        def both():
            pids.add(int(server.get("/pid").body))
            return len(pids) == 2

        wait_for(both)
        ours = lambda: {h["host"]["pid"] for h in gateway.hellos} - before  # noqa: E731
        wait_for(lambda: ours() >= pids)
        # The parent serves no requests, so it is no instance.
        assert ours() == pids
        wait_for(lambda: server.get(ATTACK).status == 403)
        wait_for(lambda: gateway.events)


def test_asgi_asks_the_gateway_without_blocking_the_loop(standin, tmp_path):
    settings = {k: str(v) for k, v in standin.settings(tmp_path).items()}
    standin.set_profile(mode="protection", timeout_ms=3000)
    with Server("fastapi", tmp_path, engine="gateway", mode="protection", timeout_ms="3000", **settings) as server:
        assert server.get(ATTACK).status == 403
        assert server.get("/search?q=1").body == b'{"all":[["q","1"]]}'
        form = b"name=1' OR '1'='1"
        head = (
            "POST /form HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        )
        raw = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunked(form, 3)
        assert server.send(raw).startswith(b"HTTP/1.1 403")
        standin.delay = 0.7
        begun = time.monotonic()
        got = []
        threads = [threading.Thread(target=lambda: got.append(server.get("/").status)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        # One after the other they would take 5.6 s.
        assert got == [200] * 8
        assert time.monotonic() - begun < 4
        standin.delay = 0.0


@pytest.mark.parametrize("kind", ["fastapi", "django", "django-asgi", "flask-gthread"])
def test_monitor_under_real_servers_sees_bodies_as_they_stream(standin, tmp_path, kind):
    import base64
    import hashlib

    settings = {k: str(v) for k, v in standin.settings(tmp_path).items()}
    standin.set_profile(mode="monitor")
    with Server(kind, tmp_path, engine="gateway", mode="monitor", **settings) as server:
        content = os.urandom(400_000)
        content_type, body = multipart(
            [("note", None, None, b"attack-here"), ("file", "big.bin", "application/x-thing", content)]
        )
        reply = server.get("/upload", f"Content-Type: {content_type}", method="POST", body=body)
        assert reply.status == 200
        assert hashlib.sha256(content).hexdigest().encode() in reply.body
        told = wait_for(lambda: [i for i in standin.inspected if i["uri"] == "/upload"])[0]
        # The file was longer than what the agent looks at, yet hashed to its end.
        assert told["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()
        assert told["files"][0]["size"] == len(content)
        assert b"attack-here" in base64.b64decode(told["body_b64"])
        assert told["response"]["status"] == 200
        if kind != "django-asgi":
            assert told.get("route") == "/upload"
