"""The real gateway behind the interface of the stand-in: `erne` from $ERNE, on loopback, with data of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness import free_port

START_SECS = 60.0


class RealGateway:
    real = True

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="erne-agent-gateway.")
        self.data = Path(self.folder.name)
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.refused: list[str] = []
        self.token = ""
        self.start()
        said = (self.data / "log").read_text()
        password = said.split("with the password ")[1].split()[0]
        self.token = self.api("POST", "/api/v1/token", {"user": "admin", "password": password})["access_token"]
        made = self.api("POST", "/api/v1/agents", {"name": "py-1", "application": "shop"})
        self.id, self.secret = made["agent"]["id"], made["secret"]
        self.profile_id = self.api("POST", "/api/v1/profiles", {"name": "shop", "profile": {"mode": "protection"}})[
            "id"
        ]
        self.api("PUT", "/api/v1/applications/shop", {"profile": self.profile_id})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        log = (self.data / "log").open("ab")
        self.process = subprocess.Popen(
            [os.environ["ERNE"], "run", "--listen", f"127.0.0.1:{self.port}", "--data-dir", str(self.data / "data")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        deadline = time.monotonic() + START_SECS
        key = self.data / "data" / "secrets" / "cli.key"
        while True:
            with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
                self.key = key.read_text().strip()
                self.api("GET", "/api/v1/agents")
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("erne does not start:\n" + (self.data / "log").read_text(errors="replace")[-3000:])
            time.sleep(0.1)

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)

    def close(self) -> None:
        self.stop()
        self.folder.cleanup()

    def api(self, method: str, path: str, body: object = None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        # Agents and profiles are an administrator's to make, what was told is any reader's.
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {"X-API-Key": self.key}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{method} {path}: {e.code} {e.read().decode(errors='replace')[:500]}") from e
        return json.loads(text) if text else None

    @property
    def profile(self) -> dict:
        told = self.api("GET", f"/api/v1/agents/{self.id}")
        return {"version": (told.get("agent") or told)["profile_in_force"]["version"]}

    def set_profile(self, **members) -> None:
        current = self.api("GET", f"/api/v1/profiles/{self.profile_id}")
        body = {"version": current["version"], "profile": members}
        self.api("PUT", f"/api/v1/profiles/{self.profile_id}", body)

    @property
    def hellos(self) -> list[dict]:
        return [
            one["hello"] | {"instance": one["instance"]} for one in self.api("GET", "/api/v1/agents/instances")["items"]
        ]

    def told(self) -> dict[str, dict]:
        """The lines of `web_inspection` by the uid of their event."""
        found = self.api("GET", "/api/v1/search?q=*&limit=1000")["items"]
        lines = {item["metadata"]["uid"]: json.loads(item.get("raw_data") or "{}") for item in found}
        return {uid: line for uid, line in lines.items() if line.get("erne") == "web_inspection"}

    def begin(self) -> None:
        """What was told before belongs to another test."""
        if self.process is None:
            self.start()
        self.set_profile(mode="protection")
        self.seen = set(self.told())

    @property
    def events(self) -> list[dict]:
        """What agents and verdicts made, in the shape in which agents send it."""
        return [
            {
                "mode": line["mode"], "blocked": line["blocked"], "verdict": line,
                "transaction": {**line["request"], "client_ip": line.get("client_ip"), "response": line.get("response")},
            }
            for uid, line in self.told().items() if uid not in self.seen
        ]  # fmt: skip

    def settings(self, folder) -> dict:
        return {"url": self.url, "id": self.id, "secret": self.secret, "state_dir": str(folder / "state")}
