"""Describes uploaded files while they stream by, and keeps a body's other parts.

Files never leave the process: what is told of one is its name, its length, its SHA-256 and its first bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

#: Files of one request that are described; the contents of later ones are dropped too.
FILES_MAX = 64
#: First bytes of a file that are told, in hexadecimal.
MAGIC_BYTES = 64
#: Bytes of one part's headers; a longer block makes the rest of the body opaque.
PART_HEAD_BYTES_MAX = 16 << 10

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))', re.IGNORECASE)
_FILENAME = re.compile(r"""filename\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))""", re.IGNORECASE)
_NAME = re.compile(r"""(?<!file)name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))""", re.IGNORECASE)
#: Bodies of these types are read as text; all others are files.
_TEXT = re.compile(
    r"text/|.*(?:json|xml|javascript|graphql|x-www-form-urlencoded|ndjson|csv|yaml|x-php|plain)", re.IGNORECASE
)


@dataclass
class _File:
    name: str
    content_type: str
    size: int = 0
    magic: bytes = b""
    digest: Any = field(default_factory=hashlib.sha256)

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        if len(self.magic) < MAGIC_BYTES:
            self.magic += data[: MAGIC_BYTES - len(self.magic)]
        self.digest.update(data)

    def told(self, whole: bool) -> dict[str, Any]:
        sha256 = self.digest.hexdigest() if whole else ""
        return {
            "name": self.name[:256],
            "size": self.size,
            "sha256": sha256,
            "content_type": self.content_type[:128],
            "magic": self.magic.hex(),
        }


class Body:
    """Takes a body piece by piece: :attr:`kept` is what may leave the process, :attr:`files` describes the rest."""

    def __init__(
        self, content_type: str, path: str, kept_max: int, secret: Callable[[str], bool] | None = None
    ) -> None:
        self.kept = bytearray()
        self._kept_max = kept_max
        self._files: list[_File] = []
        self._file: _File | None = None
        self._secret = secret
        self._hide = False
        self._tail = b""
        self._in_head = False
        self._skip = 0
        #: Whether the rest could not be read as parts, so that it was neither kept nor described.
        self.opaque = False
        kind = content_type.partition(";")[0].strip().lower()
        self._mark = b""
        if kind.startswith("multipart/"):
            found = _BOUNDARY.search(content_type)
            text = (found[1] or found[2] or "") if found else ""
            self._mark = b"\r\n--" + text.encode("latin-1", "replace") if text else b""
            # The first boundary may stand at the very beginning.
            self._tail = b"\r\n"
            self.opaque = not text
        elif kind and not _TEXT.match(kind):
            self._file = _File(path.rpartition("/")[2], kind)

    def feed(self, data: bytes) -> None:
        if self.opaque:
            return
        if not self._mark:
            self._content(data)
            return
        data = self._tail + data
        while data:
            if self._in_head:
                end = data.find(b"\r\n\r\n")
                if end < 0:
                    self.opaque = len(data) > PART_HEAD_BYTES_MAX
                    break
                self._open(data[: end + 4])
                # The line's end stays: an empty part is followed by its boundary at once.
                data = data[end + 2 :]
                continue
            at = data.find(self._mark)
            if at < 0:
                safe = max(0, len(data) - len(self._mark) + 1)
                self._content(data[:safe])
                data = data[safe:]
                break
            self._content(data[:at])
            self._close()
            self._keep(self._mark)
            data = data[at + len(self._mark) :]
            self._in_head = True
        self._tail = data

    def _open(self, head: bytes) -> None:
        self._in_head = False
        text = head.decode("utf-8", "replace")
        self._keep(head[:-2])
        found = _FILENAME.search(text)
        kind = re.search(r"^content-type:\s*([^\r\n]*)", text, re.IGNORECASE | re.MULTILINE)
        if found:
            self._file = _File(found[1] or found[2] or "", kind[1].strip() if kind else "")
        elif self._secret is not None:
            name = _NAME.search(text)
            self._hide = bool(name) and self._secret((name[1] or name[2] or "") if name else "")
            if self._hide:
                self._keep(b"\r\n***")
        self._skip = 2

    def _content(self, data: bytes) -> None:
        if self._skip and data:
            # The line's end that closed the part's head belongs to no content.
            line_end, data = data[: self._skip], data[self._skip :]
            self._skip -= len(line_end)
            if self._file is None and not self._hide:
                self._keep(line_end)
        if self._file is not None:
            self._file.feed(data)
        elif not self._hide:
            self._keep(data)

    def _close(self) -> None:
        if self._file is not None and len(self._files) < FILES_MAX:
            self._files.append(self._file)
        self._file, self._hide, self._skip = None, False, 0

    def _keep(self, data: bytes) -> None:
        room = self._kept_max - len(self.kept)
        if room > 0:
            self.kept += data[:room]

    def finish(self, whole: bool) -> list[dict[str, Any]]:
        """What is known of the files; ``whole`` says that the body came to its end."""
        if self._mark and not self.opaque:
            if self._in_head:
                self._keep(self._tail)
            else:
                self._content(self._tail)
        self._tail = b""
        if self._mark and self.kept.startswith(b"\r\n"):
            del self.kept[:2]
        told = [file.told(True) for file in self._files]
        if self._file is not None and len(told) < FILES_MAX:
            told.append(self._file.told(whole and not self._mark))
        return told
