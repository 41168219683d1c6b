"""The agent's parts by themselves."""

import base64
import hashlib
import io
import json
import os
import threading
import time

import pytest

import erne_agent
import erne_agent._state
from erne_agent import _address, _block, _profile, _redact, _trace, _transport, _uploads, wsgi
from erne_agent._limit import CLIENTS_MAX, Rates
from erne_agent._log import Troubles
from erne_agent._queue import BoundedQueue
from erne_agent._store import BATCH_ITEMS_MAX, Store, private_dir
from harness import multipart
from standin import AUTHORIZATION, SECRET


def config(environ=None, **given):
    return erne_agent.Config.load(given, environ or {})


def test_settings_come_from_arguments_then_environment_then_defaults():
    environ = {
        "ERNE_AGENT_MODE": "lite",
        "ERNE_AGENT_TIMEOUT_MS": "99",
        "ERNE_AGENT_TRUSTED_PROXIES": "10.0.0.0/8, unix",
        "HOME": "/h",
    }
    read = config(environ, mode="protection")
    assert (read.mode, read.timeout_ms, read.trusted_proxies) == ("protection", 99, ("10.0.0.0/8", "unix"))
    assert read.state_dir == "/h/.local/state/erne-agent"
    assert "topsecret" not in repr(config(url="http://g", id="a", secret="topsecret"))


@pytest.mark.parametrize(("setting", "value"), [
    ("mode", "protecton"), ("fail", "ajar"), ("timeout_ms", "soon"), ("timeout_ms", 0), ("body_max", -1), ("engine", "steam"),
    ("trusted_proxies", "10.0.0.0/33"), ("url", "ftp://x"), ("url", "http://x"), ("typo", 1), ("forward_secs", "x"),
])  # fmt: skip
def test_a_setting_that_cannot_be_understood_stops_the_start(setting, value):
    with pytest.raises(erne_agent.ConfigError, match=setting if setting != "typo" else "no setting"):
        config(**{setting: value})
    if setting != "typo":
        with pytest.raises(erne_agent.ConfigError):
            config({f"ERNE_AGENT_{setting.upper()}": str(value)})


def test_requests_are_signed_as_agreed():
    body = b'{"a": 1}'
    header = _transport.sign(SECRET, "agt_1", "post", "/api/v1/inspect?x=1", body, 1_700_000_000.9, "n" * 16)
    found = AUTHORIZATION.fullmatch(header)
    assert found
    assert found.groups()[:3] == ("agt_1", "1700000000", "n" * 16)
    message = f"POST\n/api/v1/inspect?x=1\n1700000000\n{'n' * 16}\n{hashlib.sha256(body).hexdigest()}"
    import hmac

    assert found[4] == hmac.new(SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()


def test_the_breaker_opens_tries_one_and_closes():
    now = [0.0]
    breaker = _transport.Breaker(lambda: now[0])
    for _ in range(5):
        assert breaker.allows()
        breaker.failed()
    assert (breaker.open, breaker.allows()) == (True, False)
    now[0] = 1.1
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed()
    now[0] = 2.2
    # The second pause is twice as long.
    assert not breaker.allows()
    now[0] = 3.2
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows(), breaker.allows(), breaker.open] == [True, True, False]


@pytest.mark.parametrize(("peer", "forwarded", "expected"), [
    ("192.0.2.1", "", "192.0.2.1"), ("192.0.2.1", "203.0.113.1", "192.0.2.1"), ("10.0.0.1", "203.0.113.1", "203.0.113.1"),
    ("10.0.0.1", "1.1.1.1, 203.0.113.1, 10.0.0.2", "203.0.113.1"), ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
    ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"), ("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.7", "10.0.0.7"),
    ("10.0.0.1", '"[2001:db8::1]:443"', "2001:db8::1"), ("::ffff:10.0.0.1", "203.0.113.1:99", "203.0.113.1"),
    ("", "203.0.113.1", ""), ("10.0.0.1", ",".join(["10.0.0.2"] * 1000), "10.0.0.2"),
])  # fmt: skip
def test_who_is_behind_proxies(peer, forwarded, expected):
    assert _address.client(peer, forwarded, _address.Networks(["10.0.0.0/8"]), False) == expected


def test_a_socket_without_addresses_can_be_trusted():
    assert _address.client("", "203.0.113.1", _address.Networks(), True) == "203.0.113.1"


def test_networks_and_bans_that_end():
    nets = _address.Networks(["10.0.0.0/8", "2001:db8::/32", "::ffff:192.0.2.0/120", "0.0.0.0/1"])
    for text, inside in [
        ("10.9.9.9", True),
        ("192.0.2.200", True),
        ("192.0.3.1", False),
        ("2001:db8::9", True),
        ("2001:db9::", False),
    ]:
        assert nets.holds(_address.parse(text)) is inside, text
    bans = _address.Networks()
    bans.add("198.51.100.0/24", 100.0)
    bans.add("198.51.100.0/24", 50.0)
    assert bans.holds(_address.parse("198.51.100.1"), 99.0)
    assert not bans.holds(_address.parse("198.51.100.1"), 101.0)


def test_routes_and_paths_that_servers_may_read_as_others():
    profile = _profile.Profile.parse({
        "mode": "protection",
        "routes": [{"path": "/static/**", "mode": "off"}, {"path": "/a/*/c", "mode": "monitor"}, {"path": "/**.js", "mode": "lite"}],
    })  # fmt: skip
    for path, mode in [
        ("/static/x/y", "off"), ("/static", "off"), ("/statics", "protection"), ("/a/b/c", "monitor"), ("/a/b/b/c", "protection"),
        ("/x/y.js", "lite"), ("/static/../admin", "protection"), ("/static//x", "protection"), ("/static/..;/admin", "protection"),
        ("/static/.hidden", "off"),
    ]:  # fmt: skip
        assert profile.route_mode(path) == mode, path


@pytest.mark.parametrize("raw", [
    [], {"mode": "on"}, {"version": -1}, {"version": True}, {"timeout_ms": "x"}, {"routes": [{}]}, {"bans": [{"cidr": "x"}]},
    {"bans": [{"cidr": "10.0.0.1", "until": "later"}]}, {"secure_headers": {"A": "b\r\nC: d"}}, {"block": {"status": 99}}, {"redact": "x"},
])  # fmt: skip
def test_a_profile_that_is_wrong_is_refused(raw):
    # Bans are the extension's to read, where it is installed.
    for native in (None, erne_agent._state.load_native()):
        with pytest.raises(ValueError, match=r"\w"):
            erne_agent._state.State(config(), _profile.Profile.parse(raw), native)


def test_numbers_beyond_the_agents_bounds_are_taken_as_the_bound():
    raw = {"timeout_ms": 0, "body_max": 1 << 40, "rate_limit": {"requests": 5, "per_secs": 0}, "version": (1 << 63) - 1}
    profile = _profile.Profile.parse(raw)
    assert (profile.timeout_ms, profile.body_max, profile.rate_secs, profile.version) == (1, 64 << 20, 1, (1 << 63) - 1)


def test_absent_members_have_defaults_and_later_ones_are_ignored():
    profile = _profile.Profile.parse({"of_a_later_version": {"x": 1}, "bans": None})
    assert (profile.mode, profile.fail, profile.timeout_ms, profile.body_max, profile.block_status) == (
        "monitor",
        "open",
        250,
        131_072,
        403,
    )
    moments = [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.5Z",
        "2026-01-31T12:00:00.123456789Z",
        "2026-01-31T13:00:00+01:00",
    ]
    assert [int(_profile.instant(text)) for text in moments] == [1_769_860_800] * 4


def test_rates_refill_and_forget_rather_than_grow():
    rates = Rates()
    one, other = _address.parse("192.0.2.1"), _address.parse("192.0.2.2")
    assert [rates.take(3, 60, one, 0.0) for _ in range(4)] == [0, 0, 0, 20]
    assert (rates.take(3, 60, other, 0.0), rates.take(3, 60, one, 20.0), rates.take(0, 60, one, 20.0)) == (0, 0, 0)
    for i in range(2 * CLIENTS_MAX + 5):
        rates.take(3, 60, _address.parse(f"2001:db8:{i >> 16:x}:{i & 0xFFFF:x}::1"), 30.0)
    assert len(rates._young) + len(rates._old) <= 2 * CLIENTS_MAX


def test_trace_context():
    good = "00-" + "a1" * 16 + "-" + "b2" * 8 + "-01"
    assert _trace.trace_id(good) == "a1" * 16
    for bad in ["", "x", good.replace("a1" * 16, "0" * 32), good.replace("00-", "ff-", 1), good.upper()]:
        assert _trace.trace_id(bad) not in good
        assert len(_trace.trace_id(bad)) == 32
    assert _trace.trace_id(_trace.traceparent("a1" * 16)) == "a1" * 16


def test_redaction():
    redact = _redact.Redactor(_profile.REDACT_DEFAULT)
    assert redact.uri("/a?user_password=x&q=1;Token=y&flag") == "/a?user_password=[redacted]&q=1;Token=[redacted]&flag"
    assert redact.uri("/a?pass%77ord=x") == "/a?pass%77ord=[redacted]"
    assert redact.headers([("X-Api-Key", "s"), ("Cookie", "a=1; b"), ("Accept", "x"), ("Referer", "/x?token=1")]) == [
        ["X-Api-Key", "[redacted]"], ["Cookie", "a=[redacted]; b"], ["Accept", "x"], ["Referer", "/x?token=[redacted]"],
    ]  # fmt: skip
    for name, secret in [
        ("apiKey", True), ("API_KEY", True), ("x-api-key", True), ("card-pin", True), ("cardPin", True), ("shipping", False), ("inside", False),
        ("newpassword", True), ("SID", True), ("sidebar", False), ("q", False), ("x" * 300, True), ("", False),
    ]:  # fmt: skip
        assert redact.secret(name) is secret, name
    form = "application/x-www-form-urlencoded"
    assert redact.body(b"user=a&password=b%26c", form) == b"user=a&password=[redacted]"
    told = json.loads(
        redact.body(
            json.dumps({"a": [{"secret": {"x": "deep"}}], "password": ["p"], "n": 1}).encode(), "application/json"
        )
    )
    assert told == {"a": [{"secret": "[redacted]"}], "password": "[redacted]", "n": 1}
    # Without a secret it leaves as it came, with its duplicate keys.
    odd = b'{"a" : 1,"a":2 }'
    assert redact.body(odd, "application/json") == odd
    for broken in (
        b'{"password": "hunter2", "a": ',
        b'{"password":"hunter2',
        b"[" * 100_000 + b'{"password":"hunter2"}',
    ):
        assert b"hunter2" not in redact.body(broken, "application/json")
    assert b"hunter2" not in redact.body(b"<r><password>hunter2</password></r>", "text/xml")
    found = {"location": "query:password", "value": "' OR hunter2", "why": "saw ' OR hunter2 there"}
    assert "hunter2" not in json.dumps(redact.finding(found))
    assert redact.finding({"location": "query:q", "value": "v"})["value"] == "v"
    begun = time.process_time()
    for hostile in (
        b"a" * 200_000 + b"password" * 10_000,
        b'password="' * 20_000,
        b"password " * 20_000,
        b"password=" + b"\\" * 200_000,
    ):
        redact.body(hostile, "text/plain")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_uploads_are_described_however_the_body_is_cut(size):
    content = b"\r\n--xxBoundar not yet\r\n" + bytes(range(256)) * 4
    kind, body = multipart([
        ("a", None, None, b"value"), ("f", "x.png", "image/png", content), ("empty", "e.txt", "text/plain", b""), ("secret", None, None, b"hide"), ("z", None, None, b"end"),
    ])  # fmt: skip
    seen = _uploads.Body(kind, "/upload", 10_000, lambda name: name == "secret")
    for i in range(0, len(body), size):
        seen.feed(body[i : i + size])
    files = seen.finish(True)
    assert [(f["name"], f["size"], f["sha256"]) for f in files] == [
        ("x.png", len(content), hashlib.sha256(content).hexdigest()), ("e.txt", 0, hashlib.sha256(b"").hexdigest()),
    ]  # fmt: skip
    assert files[0]["magic"] == content[:64].hex()
    kept = bytes(seen.kept)
    assert b"value" in kept
    assert b"end" in kept
    assert b"hide" not in kept
    assert content[30:] not in kept
    assert kept.startswith(b"--xxBoundaryxx\r\nContent-Disposition")
    assert kept.endswith(b"--xxBoundaryxx--\r\n")


def test_hostile_multipart_is_bounded():
    for body in [
        b"--b\r\n" + b"A: " + b"x" * 100_000,
        b"--b" * 50_000,
        b"\r\n--b\r\n\r\n" * 5_000,
        os.urandom(100_000),
    ]:
        seen = _uploads.Body("multipart/form-data; boundary=b", "/", 1_000)
        for i in range(0, len(body), 9_999):
            seen.feed(body[i : i + 9_999])
        assert len(seen.finish(True)) <= _uploads.FILES_MAX
        assert len(seen.kept) <= 1_000
    raw = _uploads.Body("image/png", "/put/me.png", 1_000)
    raw.feed(b"data")
    assert raw.finish(True)[0]["name"] == "me.png"
    assert raw.kept == b""
    assert _uploads.Body("multipart/form-data", "/", 10).opaque


class Source:
    """An input that gives few bytes at a time and cannot go back, as sockets do."""

    def __init__(self, data, error_at=None):
        self.inner = io.BytesIO(data)
        self.error_at = error_at

    def read(self, size=-1):
        if self.error_at is not None and self.inner.tell() >= self.error_at:
            raise OSError("the client is gone")
        return self.inner.read(size)

    def readline(self, size=-1):
        return self.inner.readline(size)


@pytest.mark.parametrize("begun", [0, 1, 10, 57, 100, 1000])
def test_a_replayed_input_reads_like_the_original(begun):
    data = b"first line\nsecond\n\n" + bytes(range(256)) + b"\nlast without end"
    for read in (
        lambda f: f.read(), lambda f: [f.read(7) for _ in range(60)], lambda f: f.readlines(), lambda f: [f.readline(5) for _ in range(90)],
        lambda f: list(f), lambda f: [f.readinto(bytearray(9)), f.read()], lambda f: [f.read1(5), f.readline(), next(f, b""), f.read()],
        lambda f: io.BufferedReader(f).readlines() if isinstance(f, io.RawIOBase) else f.readlines(), lambda f: io.TextIOWrapper(f, "latin-1").read(),
        lambda f: [f.readline(), f.read(3), f.readline(), f.read()], lambda f: [f.read(0), f.read(None)], lambda f: f.readlines(12),
    ):  # fmt: skip
        source = Source(data)
        replay = wsgi.Replay(*(lambda b, e, x: (b, source, x, e))(*wsgi.read_begin(source, begun, None)))
        original = io.BytesIO(data)
        assert read(replay) == read(original)


def test_what_reading_raises_is_the_handlers_to_see():
    source = Source(b"x" * 200_000, error_at=65_536)
    begun, ended, error = wsgi.read_begin(source, 131_072, 200_000)
    assert (len(begun), ended, type(error)) == (65_536, False, OSError)
    replay = wsgi.Replay(begun, source, error, ended)
    assert len(replay.read(65_536)) == 65_536
    with pytest.raises(OSError, match="the client is gone"):
        replay.read(1)


def test_the_store_keeps_within_its_bound_and_drops_the_oldest(tmp_path):
    troubles = Troubles()
    store = Store(str(tmp_path / "e"), 40_000, troubles)
    for i in range(1_000):
        assert store.append(json.dumps({"n": i, "x": "y" * 90}).encode())
    assert sum(p.stat().st_size for p in (tmp_path / "e").iterdir()) <= 40_000
    assert troubles.count("event dropped") > 300
    store.seal()
    seen = []
    store.deliver(lambda batch: seen.extend(json.loads(line)["n"] for line in batch.lines))
    assert sorted(seen) == seen
    assert seen[-1] == 999
    assert not store.waiting()
    assert (tmp_path / "e").stat().st_mode & 0o777 == 0o700


def test_what_was_not_delivered_is_delivered_again_under_the_same_key(tmp_path):
    store = Store(str(tmp_path / "e"), 1 << 20, Troubles())
    for i in range(BATCH_ITEMS_MAX + 5):
        store.append(b'{"n": %d}' % i)
    store.seal()
    keys = []

    def send(batch):
        keys.append(batch.key)
        if len(keys) == 2:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        store.deliver(send)
    assert store.deliver(lambda batch: keys.append(batch.key)) == BATCH_ITEMS_MAX + 5
    assert keys[0] == keys[2]
    assert keys[1] == keys[3]


def test_a_segment_that_another_process_writes_is_left_alone(tmp_path):
    troubles = Troubles()
    writer, other = (Store(str(tmp_path / "e"), 1 << 20, troubles) for _ in range(2))
    writer.append(b'{"n": 1}')
    assert other.deliver(lambda _: None) == 0
    writer.seal()
    assert other.deliver(lambda _: None) == 1


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(PermissionError):
        private_dir(str(tmp_path / "open"))
    store = Store(str(tmp_path / "open"), 1 << 20, Troubles())
    assert not store.append(b"{}")


def test_the_queue_refuses_rather_than_waits():
    queue = BoundedQueue(3, 100)
    assert [queue.put(i, 30) for i in range(4)] == [True, True, True, False]
    assert queue.take(10, 60, 0) == [0, 1]
    assert not queue.put(9, 90)
    assert queue.take(10, 1, 0) == [2]
    assert queue.take(10, 1, 0.01) == []


def test_what_the_garbage_collector_finishes_within_a_lock_does_not_lock_up():
    troubles, queue = Troubles(), BoundedQueue(3, 100)
    with queue._ready, troubles._lock:
        troubles.note("kind")
        assert queue.put(1, 1)
    assert queue.take(1, 1, 0) == [1]


def test_troubles_are_told_once_a_minute(caplog):
    troubles = Troubles()
    for i in range(1_000):
        troubles.note("kind", f"detail {i}")
    assert len(caplog.records) == 1
    assert troubles.count("kind") == 1_000


def test_the_block_page_holds_nothing_of_the_request_unescaped():
    assert b"<script>" not in _block.page(403, "attack", "<script>", "text/html", "").body
    assert b"<script>" not in _block.page(403, "attack", "<script>", "text/html", "<p>{{id}}</p>").body


def agent(tmp_path, **settings):
    return erne_agent.Agent(state_dir=str(tmp_path / "s"), **settings)


def ask(middleware, environ):
    told = []
    body = b"".join(middleware(environ, lambda status, headers, *_: told.append(status)))
    return told[0], body


def fine(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]


@pytest.mark.parametrize("environ", [
    {}, {"REQUEST_METHOD": None, "PATH_INFO": None}, {"PATH_INFO": 7, "HTTP_X": None}, {"HTTP_X": object(), "REMOTE_ADDR": b"x"},
    {"PATH_INFO": "/\udcff\u20ac", "QUERY_STRING": "\udcff", "HTTP_X": "\udcff"}, {"CONTENT_LENGTH": "x", "wsgi.input": None},
    {"CONTENT_LENGTH": "-5", "wsgi.input": io.BytesIO(b"x")}, {"PATH_INFO": "/" + "a" * 2_000_000}, {"HTTP_COOKIE": "=;" * 500_000},
    {f"HTTP_{i}": "v" for i in range(20_000)}, {"RAW_URI": "\0\r\n"}, {"HTTP_TRACEPARENT": "0" * 100_000},
])  # fmt: skip
@pytest.mark.parametrize("mode", ["lite", "monitor", "protection"])
def test_hostile_environments_never_reach_the_host(tmp_path, environ, mode):
    guarded = wsgi.Middleware(fine, agent(tmp_path, mode=mode, engine="native"))
    status, body = ask(guarded, dict(environ))
    # What is oversized is an attack to the inspector.
    assert body == b"fine" or (mode == "protection" and status == "403 Forbidden")
    guarded.agent.stop()


@pytest.mark.parametrize(("fail", "status"), [("open", "200 OK"), ("closed", "503 Service Unavailable")])
def test_an_error_within_the_agent_is_no_error_of_the_host(tmp_path, fail, status):
    broken = agent(tmp_path, mode="protection", engine="native", fail=fail)

    class Guard:
        def __getattr__(self, _):
            raise RuntimeError("a bug")

    broken.state.guard = Guard()
    guarded = wsgi.Middleware(fine, broken)
    assert ask(guarded, {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": io.BytesIO()})[0] == status
    assert broken.troubles.count("internal error") == 1


def test_a_request_that_cannot_be_read_passes_only_where_fail_is_open(tmp_path):
    for fail, status in (("open", "200 OK"), ("closed", "503 Service Unavailable")):
        odd = {"REQUEST_METHOD": "GET", "PATH_INFO": 7}
        assert (
            ask(wsgi.Middleware(fine, agent(tmp_path, mode="protection", engine="native", fail=fail)), odd)[0] == status
        )


def test_without_extension_and_gateway_fail_decides(tmp_path):
    for fail, status in (("open", "200 OK"), ("closed", "503 Service Unavailable")):
        alone = agent(tmp_path, mode="protection", engine="gateway", fail=fail)
        assert ask(wsgi.Middleware(fine, alone), {"REQUEST_METHOD": "GET", "PATH_INFO": "/"})[0] == status
        assert alone.troubles.count("no verdict") == 1


def test_off_is_off(tmp_path):
    off = agent(tmp_path, mode="off")
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "RAW_URI": "/?q=1%27%20OR%20%271%27=%271"}
    before = threading.active_count()
    assert ask(wsgi.Middleware(fine, off), environ)[1] == b"fine"
    assert (threading.active_count(), len(environ)) == (before, 3)


def test_the_applications_exceptions_pass_unchanged(tmp_path):
    class OwnError(Exception):
        pass

    def raising(environ, start_response):
        raise OwnError("mine")

    for mode in ("lite", "monitor", "protection"):
        with pytest.raises(OwnError, match="mine"):
            wsgi.Middleware(raising, agent(tmp_path, mode=mode, engine="native"))(
                {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, None
            )


def test_the_answers_iterable_and_write_pass_unchanged(tmp_path):
    thing = iter([b"a"])
    written = []

    def handler(environ, start_response):
        write = start_response("200 OK", [])
        write(b"x")
        return thing

    for mode in ("monitor", "protection"):
        got = wsgi.Middleware(handler, agent(tmp_path, mode=mode, engine="native"))(
            {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: written.append
        )
        assert got is thing
    assert written == [b"x", b"x"]


def test_a_large_body_beyond_the_bound_streams_to_the_handler(tmp_path):
    total = 40 << 20

    class Endless:
        given = 0

        def read(self, size=-1):
            assert 0 < size <= 1 << 20, "nobody asks for everything at once"
            size = min(size, total - self.given)
            self.given += size
            return b"a" * size

    source = Endless()
    seen = []

    def handler(environ, start_response):
        # The handler runs when only the beginning was read.
        seen.append(source.given)
        size = 0
        while piece := environ["wsgi.input"].read(1 << 20):
            size += len(piece)
        start_response("200 OK", [])
        return [str(size).encode()]

    environ = {"PATH_INFO": "/", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(total), "wsgi.input": source}
    assert ask(wsgi.Middleware(handler, agent(tmp_path, mode="protection", engine="native")), environ) == (
        "200 OK",
        str(total).encode(),
    )
    assert seen == [131_072]


def test_the_extension_refuses_what_it_cannot_use():
    import erne_agent_native

    for profile in (b"", b'{"mode": "x"}', b'{"bans": [{"cidr": "x"}]}', b'{"threshold": 7}'):
        with pytest.raises(ValueError, match=r"\w"):
            erne_agent_native.Guard(profile)
    guard = erne_agent_native.Guard(b'{"classes": {"of_tomorrow": {}}}')
    assert "of_tomorrow" in guard.notes[0]
    with pytest.raises(TypeError):
        guard.inspect("GET")


def test_the_extension_decides_by_the_profile():
    import erne_agent_native

    profile = {
        "mode": "protection", "version": 7, "routes": [{"path": "/m/**", "mode": "monitor"}],
        "exclusions": [{"route": "/x", "location": "query:q", "class": "sqli"}],
    }  # fmt: skip
    guard = erne_agent_native.Guard(json.dumps(profile).encode())

    def inspect(target, body=b"", headers=()):
        return guard.inspect("POST", target, list(headers), body, False, "1.1", "192.0.2.1", 0.0, "id-1", None)

    payload = "?q=1%27+OR+%271%27=%271"
    assert [inspect(path + payload)[0] for path in ("/", "/m/a", "/x", "/m/../x")] == [True, False, False, True]
    assert inspect("/?q=fine") == (False, None)
    told = json.loads(inspect("/" + payload)[1])
    assert (told["id"], told["profile_version"], told["action"], told["findings"][0]["cwe"]) == (
        "id-1",
        7,
        "block",
        "CWE-89",
    )
    assert inspect("/", base64.b64decode("PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="))[0]
    # A header whose bytes are no UTF-8, as servers give it: Latin-1.
    assert inspect("/", headers=[("x", "caf\xe9 \xff")]) == (False, None)


def test_servers_of_the_standard_library_and_of_flask(tmp_path):
    """Their inputs are files that offer more than PEP 3333 asks for, and applications use it."""
    import urllib.request
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    from flask_app import app
    from werkzeug.serving import make_server as make_werkzeug

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    kind, form = multipart([("note", None, None, b"n"), ("file", "a.bin", "application/x-a", os.urandom(300_000))])
    posts = [
        ("/upload", kind, form),
        ("/raw", "application/x-b", os.urandom(200_000)),
        ("/form", "application/json", b'{"a": [1, 2]}'),
    ]
    answers = {}
    for mode in ("off", "lite", "monitor", "protection"):
        guarded = wsgi.Middleware(app.wsgi_app, agent(tmp_path, mode=mode, engine="native"))
        for name, server in (
            ("wsgiref", make_server("127.0.0.1", 0, guarded, handler_class=Quiet)),
            ("werkzeug", make_werkzeug("127.0.0.1", 0, guarded, threaded=True)),
        ):
            port = server.server_port
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            for path, content_type, body in posts:
                request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": content_type})
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answers.setdefault((name, path), []).append(answer.read())
            server.shutdown()
            server.server_close()
            thread.join(10)
        guarded.agent.stop()
    for asked, told in answers.items():
        assert told == [told[0]] * 4, asked
