"""The agent's threads in one process. All are daemons: they never keep the application from ending."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from . import _host
from ._store import BATCH_BYTES_MAX, BATCH_ITEMS_MAX, Batch
from ._transport import Answer, GatewayError, Refused
from ._version import VERSION

if TYPE_CHECKING:
    from ._agent import Agent

#: Seconds that the profile's long poll waits at the gateway.
POLL_SECS = 25
#: Seconds between two deliveries of events.
DELIVER_SECS = 1.0
HEARTBEAT_SECS = 30.0
RETRY_SECS_MAX = 60.0
#: Seconds of two clocks that may lie between without a word; requests are refused from 300 on.
CLOCK_SECS_MAX = 60.0


class Backoff:
    """Doubles from a second to a minute, with chance in it so that agents do not come back all at once."""

    def __init__(self) -> None:
        self._secs = 0.0
        self.until = 0.0

    def failed(self) -> float:
        self._secs = min(RETRY_SECS_MAX, max(1.0, self._secs * 2))
        wait = self._secs * random.uniform(0.5, 1.0)  # noqa: S311
        self.until = time.monotonic() + wait
        return wait

    def succeeded(self) -> None:
        self._secs, self.until = 0.0, 0.0

    def ready(self) -> bool:
        return time.monotonic() >= self.until


class Workers:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._ending = threading.Event()
        self._heartbeat = HEARTBEAT_SECS
        self._hello_at = 0.0
        self._forward_at = time.monotonic() + agent.config.forward_secs
        self._hello_backoff = Backoff()
        self._deliver_backoff = Backoff()
        runs = [("look", self._look)]
        if agent.client is not None:
            runs += [("deliver", self._deliver), ("poll", self._poll)]
        self._threads = [threading.Thread(target=run, name=f"erne-agent-{name}", daemon=True) for name, run in runs]
        for thread in self._threads:
            thread.start()

    def stop(self, secs: float) -> None:
        self._ending.set()
        self._agent.waiting.end()
        self._agent.events.end()
        deadline = time.monotonic() + secs
        for thread in self._threads:
            # The long poll sleeps in the gateway; nothing is lost with it.
            if thread.name != "erne-agent-poll":
                thread.join(max(0.0, deadline - time.monotonic()))
        self._spill()

    def _spill(self) -> None:
        """Puts on disk what could not be delivered before the end."""
        agent = self._agent
        while lines := agent.events.take(BATCH_ITEMS_MAX, BATCH_BYTES_MAX, 0):
            for line in lines:
                agent.store.append(line)

    # --- Inspecting what was observed -------------------------------------------------------------------

    def _look(self) -> None:
        agent = self._agent
        while True:
            ending = self._ending.is_set()
            for exchange in agent.waiting.take(64, 1 << 30, 0.0 if ending else 1.0):
                agent.look(exchange)
            if ending and not len(agent.waiting):
                return

    # --- Delivering -------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        while not self._ending.is_set():
            try:
                self._hello()
                self._send_waiting(DELIVER_SECS)
                self._forward()
            except Exception as e:
                self._agent.troubles.note("internal error", e)
                self._ending.wait(DELIVER_SECS)
        try:
            self._send_waiting(0.0)
        except Exception as e:
            self._agent.troubles.note("internal error", e)

    def _hello(self) -> None:
        agent = self._agent
        if agent.client is None or time.monotonic() < self._hello_at or not self._hello_backoff.ready():
            return
        config = agent.config
        body = {
            "agent_version": VERSION,
            "language": "python",
            "framework": _host.framework(),
            "application": config.application,
            # Each process counts for itself, so each is an instance.
            "instance": f"{config.instance}:{os.getpid()}",
            "host": _host.inventory(),
            "profile_version": agent.state.profile.version,
            "counters": agent.counters(),
        }
        try:
            answer = agent.client.request("POST", "/api/v1/agent/hello", json.dumps(body).encode(), 5.0)
            if answer.status != 200:
                self._clock(answer)
                raise Refused(answer.status, answer.body[:200].decode("utf-8", "replace"))
            told = answer.json()
        except GatewayError as e:
            agent.troubles.note("gateway failed", e)
            self._hello_backoff.failed()
            return
        self._hello_backoff.succeeded()
        if not isinstance(told, dict):
            agent.troubles.note("gateway failed", "hello was answered with no object")
            told = {}
        secs = told.get("heartbeat_secs")
        if isinstance(secs, (int, float)) and 1 <= secs <= 3_600:
            self._heartbeat = float(secs)
        self._hello_at = time.monotonic() + self._heartbeat
        if told.get("profile") is not None:
            agent.apply_profile(told["profile"])

    def _clock(self, answer: Answer) -> None:
        """The commonest reason for a refused signature is a wrong clock: that is told by name."""
        try:
            ahead = time.time() - parsedate_to_datetime(answer.date).timestamp()
        except (ValueError, TypeError):
            return
        if answer.status == 401 and abs(ahead) > CLOCK_SECS_MAX:
            self._agent.troubles.note(
                "clock differs", f"this machine's is {ahead:.0f} s ahead of the gateway's: correct it"
            )

    def _send_waiting(self, wait_secs: float) -> None:
        agent = self._agent
        lines = agent.events.take(BATCH_ITEMS_MAX, BATCH_BYTES_MAX, wait_secs)
        if not lines:
            return
        if wait_secs and len(lines) < BATCH_ITEMS_MAX:
            # A little later there is more to send at once.
            self._ending.wait(0.1)
            room = BATCH_BYTES_MAX - sum(map(len, lines))
            more = agent.events.take(BATCH_ITEMS_MAX - len(lines), max(0, room), 0.0)
            if sum(map(len, more)) <= room:
                lines += more
            else:
                for line in more:
                    agent.store.append(line)
        if self._deliver_backoff.ready():
            try:
                self._send(Batch(lines))
                self._deliver_backoff.succeeded()
                return
            except GatewayError as e:
                agent.troubles.note("events not delivered", e)
                self._deliver_backoff.failed()
        for line in lines:
            agent.store.append(line)

    def _forward(self) -> None:
        """Delivers what is on disk: in lite mode at its interval, else as soon as the gateway is back."""
        agent = self._agent
        due = time.monotonic() >= self._forward_at
        if agent.state.mode == "lite" and not due:
            return
        if not self._deliver_backoff.ready() or not agent.store.waiting():
            return
        self._forward_at = time.monotonic() + agent.config.forward_secs
        agent.store.seal()
        try:
            agent.store.deliver(self._send)
            self._deliver_backoff.succeeded()
        except (GatewayError, OSError) as e:
            agent.troubles.note("events not delivered", e)
            self._deliver_backoff.failed()

    def _send(self, batch: Batch) -> None:
        client = self._agent.client
        if client is None:
            raise GatewayError("there is no gateway")
        answer = client.request("POST", "/api/v1/agent/events", batch.body, 15.0, {"Idempotency-Key": batch.key})
        if answer.status in (200, 202):
            told = answer.json()
            refused_items = told.get("refused") if isinstance(told, dict) else None
            if refused_items:
                self._agent.troubles.note(
                    "event dropped", f"the gateway refused {refused_items}"[:300], len(refused_items)
                )
            return
        refused = Refused(answer.status, answer.body[:200].decode("utf-8", "replace"))
        if answer.status in (400, 413, 422):
            # The gateway will never take these; kept, they would hold up all that come after them.
            self._agent.troubles.note("event dropped", refused, len(batch.lines))
            return
        raise refused

    # --- The profile ------------------------------------------------------------------------------------

    def _poll(self) -> None:
        agent = self._agent
        backoff = Backoff()
        wait = POLL_SECS
        while not self._ending.is_set() and agent.client is not None:
            begun = time.monotonic()
            try:
                path = f"/api/v1/agent/profile?version={agent.state.profile.version}&wait={wait}"
                answer = agent.client.request("GET", path, timeout=wait + 10.0)
                if answer.status == 429 and wait:
                    # As many wait there as may: ask without waiting, at the pace of the heartbeat.
                    wait = 0
                    continue
                if answer.status == 200:
                    usable = agent.apply_profile(answer.json())
                elif answer.status == 304:
                    usable = True
                else:
                    raise Refused(answer.status, answer.body[:200].decode("utf-8", "replace"))
            except GatewayError as e:
                agent.troubles.note("profile not fetched", e)
                usable = False
            except Exception as e:
                agent.troubles.note("internal error", e)
                usable = False
            if not usable:
                self._ending.wait(backoff.failed())
                continue
            backoff.succeeded()
            if not wait:
                wait = POLL_SECS
                self._ending.wait(self._heartbeat)
            elif time.monotonic() - begun < 0.2:
                # A gateway that answers at once, whatever it was asked, must not be asked in a circle.
                self._ending.wait(0.2)
