"""Events that wait on disk: bounded, shared by the processes of one application, whole after a crash.

Each process appends to a segment of its own, under a lock that ends with the process. Whoever delivers takes the
segments that nobody writes to; so what a dead process left behind is delivered by another one, or after a restart.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ._log import Troubles

try:
    import fcntl
except ImportError:  # Windows: then each process delivers only what it wrote itself.
    fcntl = None  # type: ignore[assignment]

SEGMENT_BYTES = 4 << 20
#: What `POST /api/v1/agent/events` takes at once.
BATCH_ITEMS_MAX = 1_000
BATCH_BYTES_MAX = 7 << 20
#: A longer event is not kept.
EVENT_BYTES_MAX = 1 << 20
_SUFFIX = ".events"


def private_dir(path: str) -> Path:
    """Makes a folder that only this user reads; one that belongs to somebody else is refused."""
    folder = Path(path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "geteuid"):
        info = folder.stat()
        if info.st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")
        if stat.S_IMODE(info.st_mode) & 0o022:
            raise PermissionError(f"{folder} can be written to by others")
    return folder


class Batch:
    """Some lines of one segment. The key is the same whenever they are delivered again."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.body = b'{"items":[' + b",".join(lines) + b"]}"
        self.key = hashlib.sha256(self.body).hexdigest()


def batches(lines: Iterator[bytes]) -> Iterator[Batch]:
    taken: list[bytes] = []
    size = 0
    for line in lines:
        if taken and (len(taken) >= BATCH_ITEMS_MAX or size + len(line) > BATCH_BYTES_MAX):
            yield Batch(taken)
            taken, size = [], 0
        taken.append(line)
        size += len(line) + 1
    if taken:
        yield Batch(taken)


class Store:
    def __init__(self, path: str, bytes_max: int, troubles: Troubles) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self.troubles = troubles
        self._file: Any = None
        self._name = ""
        self._size = 0
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """The parent goes on with its segment; the lock is the parent's as long as that one keeps it open."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None
        self._lock = threading.Lock()

    def append(self, line: bytes) -> bool:
        """Keeps one event; tells whether it is kept."""
        if self._bytes_max == 0 or len(line) > EVENT_BYTES_MAX:
            self.troubles.note("event dropped", "longer than the bound" if self._bytes_max else "nothing may be stored")
            return False
        with self._lock:
            try:
                if self._file is None or self._size + len(line) > self._segment_bytes():
                    self._rotate()
                self._write(line + b"\n")
            except OSError as e:
                self.troubles.note("event dropped", e)
                self._drop_file()
                return False
        return True

    def _segment_bytes(self) -> int:
        return max(1, min(SEGMENT_BYTES, self._bytes_max // 4))

    def _write(self, data: bytes) -> None:
        """Whole or not at all: on a full disk, half a line is cut off again."""
        fd = self._file.fileno()
        done = 0
        try:
            while done < len(data):
                done += os.write(fd, data[done:])
        except OSError:
            if done:
                os.ftruncate(fd, self._size)
            raise
        self._size += len(data)

    def _rotate(self) -> None:
        self._drop_file()
        folder = private_dir(self._path)
        self._make_room(folder)
        self._name = f"{os.getpid()}-{secrets.token_hex(8)}{_SUFFIX}"
        fd = os.open(folder / self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._file = os.fdopen(fd, "ab", buffering=0)
        self._size = 0
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _drop_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None

    def _make_room(self, folder: Path) -> None:
        """Oldest segments go first; an active one of another process is only ever the newest of its own."""
        segments = _segments(folder)
        total = sum(size for _, _, size in segments)
        for _, path, size in segments:
            if total + self._segment_bytes() <= self._bytes_max:
                return
            try:
                lines = path.read_bytes().count(b"\n")
                path.unlink()
            except OSError:
                continue
            total -= size
            self.troubles.note("event dropped", "the store is full: the oldest events went", max(1, lines))

    def seal(self) -> None:
        """Ends the segment that is being written, so that it can be delivered."""
        with self._lock:
            self._drop_file()

    def waiting(self) -> bool:
        """Whether there is anything to deliver."""
        try:
            return bool(_segments(Path(self._path)))
        except OSError:
            return False

    def deliver(self, send: Any) -> int:
        """Gives every batch of every segment that nobody writes to ``send``, which raises if it could not deliver.

        A segment is removed once all of it is delivered. Returns how many events were.
        """
        count = 0
        for _, path, _ in _segments(Path(self._path)):
            if path.name == self._name and self._file is not None:
                continue
            try:
                file = path.open("rb")
            except OSError as e:
                if not isinstance(e, FileNotFoundError):
                    self.troubles.note("stored events unreadable", e)
                continue
            with file:
                if fcntl is not None:
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except OSError:
                        continue
                if not path.exists():
                    continue
                for batch in batches(self._whole_lines(file)):
                    send(batch)
                    count += len(batch.lines)
                with contextlib.suppress(OSError):
                    path.unlink()
        return count

    def _whole_lines(self, file: Any) -> Iterator[bytes]:
        """What is no whole line was cut off by a crash, or damaged."""
        while line := file.readline(EVENT_BYTES_MAX + 2):
            kept = line.rstrip(b"\n")
            if line.endswith(b"\n") and _is_object(kept):
                yield kept
            elif kept:
                self.troubles.note("stored event damaged", f"{len(line)} bytes")


def _is_object(line: bytes) -> bool:
    """One damaged line would make the gateway refuse all that are sent with it."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _segments(folder: Path) -> list[tuple[float, Path, int]]:
    found = []
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return []
    for entry in entries:
        if entry.name.endswith(_SUFFIX):
            with contextlib.suppress(OSError):
                info = entry.stat()
                found.append((info.st_mtime, Path(entry.path), info.st_size))
    return sorted(found)
