"""The agent of one application: decides about requests, and tells the gateway. Middlewares only translate."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ._block import Block, page
from ._config import Config
from ._exchange import EVENT_BODY_BYTES_MAX, Exchange, Headers
from ._log import Troubles, log
from ._profile import PROFILE_BYTES_MAX, Profile
from ._queue import BoundedQueue
from ._state import State, load_native
from ._store import EVENT_BYTES_MAX, Store, private_dir
from ._trace import traceparent
from ._transport import Breaker, Client, GatewayError, Refused
from ._worker import Workers

#: Bodies up to this length are inspected on the event loop itself: it takes less time than a switch of threads.
INLINE_BODY_BYTES = 16 << 10
#: Threads that ask the gateway on behalf of event loops.
ASKERS = 32
#: A banned or limited client makes one event in this time, however often it comes.
REPEAT_SECS = 60.0
REPEATS_MAX = 10_000

_agents: weakref.WeakSet[Agent] = weakref.WeakSet()


class Agent:
    """One for each application. All its methods are safe to call from any thread, and none raises."""

    def __init__(self, config: Config | None = None, **settings: Any) -> None:
        """Reads settings as :meth:`Config.load` does; a setting that cannot be understood raises ``ConfigError``."""
        self.config = config or Config.load(settings)
        self._native = None if self.config.engine == "gateway" else load_native()
        if self.config.engine == "native" and self._native is None:
            from ._config import ConfigError

            raise ConfigError("engine is native, but the package erne-agent-native is not installed")
        c = self.config
        self.client = Client(c.url, c.id, c.secret, c.ca_file) if c.url else None
        self.store = Store(str(Path(c.state_dir) / "events"), c.store_bytes_max, Troubles())
        self._reset()
        self.state = self._first_state()
        _agents.add(self)

    def _reset(self) -> None:
        """Everything that belongs to one process: new in a forked child."""
        self.troubles = Troubles()
        self.store.troubles = self.troubles
        self.breaker = Breaker()
        self.waiting: BoundedQueue[Exchange] = BoundedQueue(self.config.queue_max)
        self.events: BoundedQueue[bytes] = BoundedQueue(self.config.queue_max)
        self._lock = threading.Lock()
        self._profile_lock = threading.Lock()
        self._counts = {"requests": 0, "attacks": 0, "blocked": 0}
        self._repeats: dict[tuple[str, str], float] = {}
        self._executor: ThreadPoolExecutor | None = None
        self._workers: Workers | None = None
        self._started = False

    def after_fork(self) -> None:
        self._reset()
        if self.client is not None:
            self.client.after_fork()
        self.store.after_fork()
        # A lock inside of the extension's guard may have been held by a thread that is not in this process.
        with contextlib.suppress(Exception):
            self.state = State(self.config, self.state.profile, self._native)

    # --- Profiles ---------------------------------------------------------------------------------------

    def _first_state(self) -> State:
        for read in (self._profile_given, self._profile_cached):
            try:
                profile = read()
                if profile is not None:
                    return State(self.config, profile, self._native)
            except Exception as e:
                self.troubles.note("profile unusable", e)
        return State(self.config, Profile(), self._native)

    def _profile_given(self) -> Profile | None:
        return Profile.parse_bytes(Path(self.config.profile).read_bytes()) if self.config.profile else None

    def _profile_path(self) -> Path:
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in self.config.id)[:64] or "local"
        return Path(self.config.state_dir) / f"profile-{name}.json"

    def _profile_cached(self) -> Profile | None:
        if self.client is None:
            return None
        path = self._profile_path()
        if not path.exists():
            return None
        private_dir(self.config.state_dir)
        with path.open("rb") as file:
            return Profile.parse_bytes(file.read(PROFILE_BYTES_MAX + 1))

    def apply_profile(self, raw: object) -> bool:
        """Takes a profile from the gateway, unless it cannot be used: then the one before goes on.

        Heartbeat and long poll both bring it. If the older answer comes last, the long poll soon brings the newer one.
        """
        with self._profile_lock:
            return self._apply(raw)

    def _apply(self, raw: object) -> bool:
        try:
            profile = Profile.parse(raw)
            if profile.raw == self.state.profile.raw:
                return True
            self.state = State(self.config, profile, self._native)
        except Exception as e:
            self.troubles.note("profile unusable", e)
            return False
        log.info("erne agent: profile %d, mode %s", profile.version, self.state.mode)
        try:
            self._keep_profile(profile)
        except Exception as e:
            self.troubles.note("profile not kept on disk", e)
        return True

    def _keep_profile(self, profile: Profile) -> None:
        private_dir(self.config.state_dir)
        path = self._profile_path()
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(json.dumps(profile.raw).encode())
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    # --- Requests ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the threads of this process, once. Requests do it, so that they start after a fork, not before."""
        if self._started:
            return
        with self._lock:
            if self._started:
                return
            self._started = True
            try:
                self._workers = Workers(self)
            except Exception as e:
                self.troubles.note("threads not started", e)

    def begin(
        self, method: str, target: str, path: str, headers: Headers, peer: str, forwarded: str
    ) -> Exchange | None:
        """Looks at a request whose body was not read yet. ``None``: there is nothing to do about it."""
        state = self.state
        if state.all_off:
            return None
        if not self._started:
            self.start()
        try:
            mode = state.mode_of(target, path)
            if mode == "off":
                return None
            self._add("requests")
            return Exchange(state, mode, method, target, path, headers, state.client(peer, forwarded))
        except Exception as e:
            return self.unreadable(e)

    def unreadable(self, error: Exception) -> Exchange | None:
        """A request that could not even be looked at: where `fail` is closed, it must not pass for that."""
        self.troubles.note("internal error", error)
        state = self.state
        if state.mode != "protection" or state.fail == "open":
            return None
        exchange = Exchange(state, "protection", "", "", "", (), "")
        exchange.unreadable = True
        return exchange

    def refuse(self, exchange: Exchange) -> Block | None:
        """Banned clients and too many requests, before any of the body is read."""
        state = exchange.state
        if not state.checks_clients or exchange.mode != "protection":
            return None
        try:
            if state.banned(exchange.client):
                return self._refused(exchange, "ban", state.profile.block_status)
            wait = state.wait_secs(exchange.client)
            if wait:
                return self._refused(exchange, "rate", 429, wait)
        except Exception as e:
            self.troubles.note("internal error", e)
        return None

    def _refused(self, exchange: Exchange, why: str, status: int, retry_secs: int = 0) -> Block:
        key = (why, exchange.client)
        now = time.monotonic()
        if now - self._repeats.get(key, float("-inf")) >= REPEAT_SECS:
            if len(self._repeats) >= REPEATS_MAX:
                self._repeats.clear()
            self._repeats[key] = now
            verdict = {
                "id": exchange.id,
                "verdict": "allow",
                "action": "block",
                "score": 0.0,
                "classes": {},
                "policy": [],
                "findings": [],
                "truncated": [],
                "banned": why == "ban",
                "profile_version": exchange.state.profile.version,
                "reasons": [f"the client is banned: {exchange.client}" if why == "ban" else "too many requests"],
            }
            exchange.stop_watch()
            self._tell(exchange, verdict, True)
        return self._block(exchange, status, why, retry_secs)

    def decide(self, exchange: Exchange) -> Block | None:
        """The answer in the handler's place, or ``None`` to let the handler run. Only called in protection mode."""
        if exchange.unreadable:
            return self._without_verdict(exchange)
        try:
            if exchange.state.guard is not None:
                return self._decide_here(exchange)
            if self.client is not None:
                return self._decide_there(exchange, time.monotonic() + exchange.state.timeout)
            self.troubles.note("no verdict", "there is neither the package erne-agent-native nor a gateway (url)")
        except Exception as e:
            self.troubles.note("internal error", e)
        return self._without_verdict(exchange)

    async def decide_async(self, exchange: Exchange) -> Block | None:
        """The same on an event loop, which never waits for the gateway."""
        if exchange.unreadable:
            return self._without_verdict(exchange)
        try:
            here = exchange.state.guard is not None
            if here and len(exchange.body) <= INLINE_BODY_BYTES:
                return self.decide(exchange)
            if not here and self.client is not None and self.breaker.open and not self.breaker.would_try():
                return self._without_verdict(exchange)
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._askers(), self.decide, exchange)
            # Inspection in this process is bounded by its own budget of work, not by the gateway's timeout.
            limit = None if here else exchange.state.timeout + 0.05
            done, _ = await asyncio.wait({asked}, timeout=limit)
            if done:
                return asked.result()
            self.troubles.note("no verdict", "the gateway is too slow for so many requests at once")
        except RuntimeError as e:
            self.troubles.note("internal error", e)
        return self._without_verdict(exchange)

    def _askers(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(ASKERS, "erne-agent-ask")
            return self._executor

    def observe(self, exchange: Exchange) -> None:
        """Takes a request of monitor or lite mode that the handler has answered. Never waits."""
        try:
            if not self.waiting.put(exchange, exchange.size()):
                self.troubles.note("request dropped", "too many wait to be inspected")
        except Exception as e:
            self.troubles.note("internal error", e)

    def look(self, exchange: Exchange) -> None:
        """Inspects an observed request, on a thread of the agent."""
        try:
            if exchange.state.guard is not None:
                _, told = self._inspect(exchange)
                if told is not None:
                    verdict = json.loads(told)
                    self._count(verdict)
                    self._tell(exchange, verdict, False)
            elif exchange.mode == "lite" or self.client is None or not self.breaker.allows():
                # Its verdict is the gateway's, once it gets there.
                self._tell(exchange, None, False)
            else:
                self._count(self._ask(exchange, time.monotonic() + max(5.0, exchange.state.timeout)))
                self.breaker.succeeded()
        except GatewayError as e:
            self.breaker.failed()
            self.troubles.note("gateway failed", e)
            self._tell(exchange, None, False)
        except Exception as e:
            self.troubles.note("internal error", e)

    # --- Verdicts ---------------------------------------------------------------------------------------

    def _inspect(self, exchange: Exchange) -> tuple[bool, bytes | None]:
        guard = exchange.state.guard
        if guard is None:
            raise RuntimeError("there is no guard")
        return guard.inspect(
            exchange.method,
            exchange.target,
            exchange.headers,
            exchange.body,
            exchange.truncated,
            exchange.http_version,
            exchange.client,
            time.time(),
            None,
            exchange.route,
        )

    def _decide_here(self, exchange: Exchange) -> Block | None:
        block, told = self._inspect(exchange)
        if told is None:
            return None
        exchange.stop_watch()
        verdict = json.loads(told)
        verdict["id"] = exchange.id
        self._count(verdict)
        self._tell(exchange, verdict, block)
        return self._block(exchange, exchange.state.profile.block_status, "attack") if block else None

    def _decide_there(self, exchange: Exchange, deadline: float) -> Block | None:
        if not self.breaker.allows():
            self.troubles.note("no verdict", "the gateway failed too often and is not asked for a while")
            return self._without_verdict(exchange)
        try:
            verdict = self._ask(exchange, deadline)
        except GatewayError as e:
            self.breaker.failed()
            self.troubles.note("no verdict", e)
            return self._without_verdict(exchange)
        except BaseException:
            self.breaker.failed()
            raise
        self.breaker.succeeded()
        # A mode that was set here beats the profile's, by which the gateway answered.
        here = self.config.mode == "protection" and verdict.get("verdict") == "attack"
        block = verdict.get("action") == "block" or here
        self._count(verdict)
        why = "ban" if verdict.get("banned") else "attack"
        return self._block(exchange, exchange.state.profile.block_status, why) if block else None

    def _ask(self, exchange: Exchange, deadline: float) -> dict[str, Any]:
        client = self.client
        if client is None:
            raise GatewayError("there is no gateway")
        whole = exchange.mode != "protection" and not exchange.truncated
        body = json.dumps(exchange.transaction(True, whole)).encode()
        trace = {"traceparent": traceparent(exchange.trace_id)}
        answer = client.request("POST", "/api/v1/inspect", body, max(0.001, deadline - time.monotonic()), trace)
        if answer.status != 200:
            raise Refused(answer.status, answer.body[:200].decode("utf-8", "replace"))
        verdict = answer.json()
        if not isinstance(verdict, dict) or verdict.get("action") not in ("allow", "block"):
            raise GatewayError("the answer is no verdict")
        return verdict

    def _without_verdict(self, exchange: Exchange) -> Block | None:
        if exchange.state.fail == "open":
            return None
        with contextlib.suppress(Exception):
            return self._block(exchange, 503, "no-verdict", 5)
        return Block(503, "no-verdict", (("Content-Length", "0"),), b"")

    def _block(self, exchange: Exchange, status: int, why: str, retry_secs: int = 0) -> Block:
        self._add("blocked")
        custom = exchange.state.profile.block_body
        return page(status, why, exchange.id, exchange.header("accept"), custom, retry_secs)

    def _add(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def _count(self, verdict: dict[str, Any]) -> None:
        if verdict.get("verdict") == "attack":
            self._add("attacks")

    def _tell(self, exchange: Exchange, verdict: dict[str, Any] | None, blocked: bool) -> None:
        """Makes an event of it, for the gateway if there is one."""
        if verdict is not None and verdict.get("verdict") == "attack":
            self._say(exchange, verdict, blocked)
        if self.client is None and exchange.mode != "lite":
            return
        line = self._event(exchange, verdict, blocked, True)
        if len(line) > EVENT_BYTES_MAX:
            line = self._event(exchange, verdict, blocked, False)
        if exchange.mode == "lite":
            self.store.append(line)
        elif not self.events.put(line, len(line)):
            self.troubles.note("event dropped", "too many wait to be delivered")

    def _event(self, exchange: Exchange, verdict: dict[str, Any] | None, blocked: bool, with_body: bool) -> bytes:
        redact = exchange.state.redactor
        if verdict is not None:
            verdict["findings"] = [redact.finding(f) for f in verdict.get("findings") or []]
            places = [str(f.get("location", "")) for f in verdict["findings"]]
            with_body &= (
                any(p.startswith(("body", "multipart")) for p in places) and len(exchange.body) <= EVENT_BODY_BYTES_MAX
            )
        event = {
            "time": rfc3339(exchange.time),
            "transaction": exchange.transaction(with_body, not exchange.truncated),
            "verdict": verdict,
            "mode": exchange.mode,
            "blocked": blocked,
            "latency_us": exchange.latency_us,
        }
        return json.dumps(event).encode()

    def _say(self, exchange: Exchange, verdict: dict[str, Any], blocked: bool) -> None:
        classes = ",".join(sorted({str(f.get("class")) for f in verdict.get("findings") or []}))
        what = "blocked" if blocked else "seen"
        path = exchange.path[:200].encode("ascii", "backslashreplace").decode()
        log.debug("erne agent: attack %s: %s from %s on %s (%s)", what, classes, exchange.client, path, exchange.id)

    # --- State ------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, int]:
        troubles = self.troubles.counts()
        dropped = troubles.pop("event dropped", 0) + troubles.pop("request dropped", 0)
        queue = len(self.waiting) + len(self.events)
        return {**self._counts, "errors": sum(troubles.values()), "dropped": dropped, "queue": queue}

    def stop(self, secs: float = 2.0) -> None:
        """Delivers or stores what waits, within the time given, and ends the threads."""
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.stop(secs)
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if self.client is not None:
            self.client.close()


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _stop_all() -> None:
    for agent in list(_agents):
        with contextlib.suppress(Exception):
            agent.stop()


def _after_fork() -> None:
    for agent in list(_agents):
        with contextlib.suppress(Exception):
            agent.after_fork()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
