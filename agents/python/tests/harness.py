"""Real servers for tests: each on a port that the system gave, ended by its process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

APPS = Path(__file__).parent / "apps"
START_SECS = 60.0
READ_SECS = 30.0

COMMANDS = {
    "flask-gthread": (["gunicorn", "-k", "gthread", "--threads", "8", "-w", "1"], "flask_app:app"),
    "flask-prefork": (["gunicorn", "-k", "sync", "-w", "2", "--preload"], "flask_app:app"),
    "wsgi": (["gunicorn", "-k", "gthread", "--threads", "8", "-w", "1"], "wsgi_echo:application"),
    "wsgi-preload": (["gunicorn", "-k", "gthread", "--threads", "2", "-w", "2", "--preload"], "wsgi_echo:application"),
    "django": (["gunicorn", "-k", "gthread", "--threads", "4", "-w", "1"], "django_app:application"),
    "django-asgi": (["uvicorn"], "django_app:application"),
    "fastapi": (["uvicorn"], "fastapi_app:app"),
    "vulnerable": (["gunicorn", "-k", "gthread", "--threads", "8", "-w", "1"], "vulnerable_app:app"),
}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Server:
    """One application under its server. `calls` is what its handlers were called for."""

    def __init__(self, kind: str, folder: Path, agent: bool = True, **env: str) -> None:
        command, target = COMMANDS[kind]
        folder.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self.folder = folder
        self.calls_path = folder / "calls"
        self.log_path = folder / "log"
        self.port = free_port()
        if command[0] == "gunicorn":
            more = ["-b", f"127.0.0.1:{self.port}", "--graceful-timeout", "5", "--timeout", "60", "--keep-alive", "5"]
        else:
            more = ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "warning", "--no-server-header"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ERNE_AGENT_", "APP_"))}
        settings = {f"ERNE_AGENT_{name.upper()}": value for name, value in env.items() if name not in ("rlimit",)}
        settings.setdefault("ERNE_AGENT_STATE_DIR", str(folder / "state"))
        self.env = {**clean, **settings, "APP_CALLS": str(self.calls_path), "PYTHONPATH": str(APPS)}
        self.env["APP_SERVER"] = "asgi" if command[0] == "uvicorn" else "wsgi"
        if agent:
            self.env["APP_AGENT"] = "1"
        self.command = [sys.executable, "-m", *command, *more, target]
        self.start()

    def start(self) -> None:
        self.log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            self.command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            cwd=self.folder,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECS
        while True:
            try:
                # gunicorn listens before its workers have loaded the application.
                if self.get("/ready").status:
                    self.calls_path.unlink(missing_ok=True)
                    return
                raise OSError("no answer")
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(f"{self.kind} does not start:\n{self.said()}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
        self.log.close()

    def kill(self) -> None:
        """As a crash would: the workers, which are in a group of their own with their parent, end too."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)
        self.log.close()

    def said(self) -> str:
        return self.log_path.read_text(errors="replace")

    def calls(self) -> list[str]:
        return self.calls_path.read_text().splitlines() if self.calls_path.exists() else []

    def send(self, request: bytes, secs: float = READ_SECS) -> bytes:
        """Sends bytes as they are, and returns all that comes back until the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), secs) as s:
            s.settimeout(secs)
            s.sendall(request)
            pieces = []
            while piece := s.recv(65536):
                pieces.append(piece)
            return b"".join(pieces)

    def get(self, target: str, *headers: str, method: str = "GET", body: bytes | None = None) -> Reply:
        lines = [f"{method} {target} HTTP/1.1", "Host: app.example", "Connection: close", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return Reply(self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()


class Reply:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if " " in lines[0] else 0
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]

    def header(self, name: str) -> str | None:
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def comparable(self) -> bytes:
        """All bytes but the date, which passes, and the port of the server, which differs."""
        head, gap, body = self.raw.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"date:")]
        return b"\r\n".join(lines) + gap + body


def multipart(
    parts: list[tuple[str, str | None, str | None, bytes]], boundary: str = "xxBoundaryxx"
) -> tuple[str, bytes]:
    """`(name, filename, content type, content)` to the header's value and the body."""
    body = b""
    for name, filename, kind, content in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if filename is not None:
            body += f'; filename="{filename}"'.encode()
        body += (f"\r\nContent-Type: {kind}" if kind else "").encode() + b"\r\n\r\n" + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def chunked(body: bytes, size: int) -> bytes:
    out = b""
    for i in range(0, len(body), size):
        piece = body[i : i + size]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


def wait_for(what, secs: float = 15.0):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + secs
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {secs} s: {what.__doc__ or what}")
        time.sleep(0.02)
