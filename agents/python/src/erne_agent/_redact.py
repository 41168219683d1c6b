"""Takes secrets out of what leaves the process.

Names decide, as in ``web::guard::redact``: a name is split into words at signs and capitals, and is secret if the
words of an entry of the profile stand in it in a row (``pin`` is in ``card-pin``, not in ``shipping``), or, for
entries of five letters or more, anywhere in its letters. Only values are replaced: names, and the shape of a body,
stay for the gateway to inspect. A body that cannot be read by its format is searched for ``name=value`` and
``"name": "value"``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_plus

HIDDEN = "[redacted]"
#: From this length on, an entry is also found within a word.
WITHIN_CHARS_MIN = 5
#: Deeper JSON is searched as text.
DEPTH_MAX = 64
#: Longer names of parameters are taken for secret ones: nobody reads them anyway.
NAME_CHARS_MAX = 256


def _letters(entry: str) -> tuple[str, str]:
    return entry, entry.replace(" ", "")


#: The rest of a name, what separates it from its value, and the value.
_VALUE = re.compile(
    r"""[\w\-.$\[\]%+]{0,64}["']?\s{0,8}[=:>]\s{0,8}("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s&;,<}\]]+)""", re.DOTALL
)


def _words(name: str) -> str:
    """`` api key `` of ``apiKey``, ``API-Key`` and ``api_key``."""
    parts: list[str] = []
    small = False
    for c in name:
        if not c.isalnum():
            parts.append(" ")
            small = False
            continue
        if c.isupper() and small:
            parts.append(" ")
        small = c.islower() or c.isnumeric()
        parts.append(c.lower())
    return f" {' '.join(''.join(parts).split())} "


class Redactor:
    def __init__(self, words: Iterable[str]) -> None:
        entries = sorted({_words(word) for word in words} - {"  "})
        self._entries = [
            (entry, letters if len(letters) >= WITHIN_CHARS_MIN else "") for entry, letters in map(_letters, entries)
        ]
        patterns = []
        for entry, letters in self._entries:
            pattern = r"[\s_.-]?".join(re.escape(word) for word in entry.split())
            patterns.append(pattern if letters else rf"(?<![a-z]){pattern}(?![a-z])")
        self._word = re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)
        # The same names come again with each request; senders' own names must not fill the memory.
        self.secret = lru_cache(maxsize=4_096)(self._secret)

    def _secret(self, name: str) -> bool:
        if len(name) > NAME_CHARS_MAX:
            return True
        words = _words(name)
        letters = words.replace(" ", "")
        return any(entry in words or (within and within in letters) for entry, within in self._entries)

    def headers(self, headers: Iterable[Sequence[str]]) -> list[list[str]]:
        return [[name, self._header(name, value)] for name, value in headers]

    def _header(self, name: str, value: str) -> str:
        low = name.lower()
        if low in ("cookie", "set-cookie"):
            return self._cookies(value)
        if self.secret(low):
            return HIDDEN
        if low in ("referer", "location"):
            return self.uri(value)
        return value

    def _cookies(self, value: str) -> str:
        """The names of cookies stay. All values go if ``cookie`` is a secret word, else those of secret names."""
        everything = self.secret("cookie")
        kept = []
        for pair in value.split(";"):
            name, equals, _ = pair.partition("=")
            kept.append(f"{name}={HIDDEN}" if equals and (everything or self.secret(name)) else pair)
        return ";".join(kept)

    def uri(self, uri: str) -> str:
        path, mark, query = uri.partition("?")
        if "@" in path and "://" in path:
            path = re.sub(r"(://)[^/@]*@", rf"\1{HIDDEN}@", path)
        return path + mark + self.form(query) if mark else path

    def form(self, text: str) -> str:
        if "=" not in text:
            return text
        parts = re.split(r"([&;])", text)
        for i in range(0, len(parts), 2):
            name, equals, _ = parts[i].partition("=")
            if equals and self.secret(unquote_plus(name)):
                parts[i] = f"{name}={HIDDEN}"
        return "".join(parts)

    def text(self, text: str) -> str:
        """Hides the value after each secret word, in two steps, so that the time grows with the text and not faster."""
        kept: list[str] = []
        done = 0
        for word in self._word.finditer(text):
            if word.end() < done:
                continue
            value = _VALUE.match(text, word.end())
            if value is not None:
                kept += [text[done : value.start(1)], f'"{HIDDEN}"' if value[1].startswith('"') else HIDDEN]
                done = value.end()
        return "".join(kept) + text[done:]

    def body(self, body: bytes, content_type: str) -> bytes:
        if not body:
            return body
        kind = content_type.partition(";")[0].strip().lower()
        text = body.decode("latin-1")
        if kind == "application/x-www-form-urlencoded":
            return self.form(text).encode("latin-1")
        if kind.endswith("json"):
            return self._json(body)
        return self.text(text).encode("latin-1")

    def _json(self, body: bytes) -> bytes:
        try:
            value = json.loads(body)
            hidden, changed = self._walk(value, 0)
        except (ValueError, RecursionError):
            return self.text(body.decode("latin-1")).encode("latin-1")
        # Untouched, it leaves as it came: its duplicate keys and odd spacing may be the attack.
        return json.dumps(hidden, ensure_ascii=False).encode(errors="surrogatepass") if changed else body

    def _walk(self, value: Any, depth: int) -> tuple[Any, bool]:
        if depth > DEPTH_MAX:
            raise RecursionError
        if isinstance(value, dict):
            changed = False
            kept: dict[str, Any] = {}
            for name, inner in value.items():
                if self.secret(name):
                    kept[name], changed = HIDDEN, True
                else:
                    kept[name], deeper = self._walk(inner, depth + 1)
                    changed |= deeper
            return kept, changed
        if isinstance(value, list):
            walked = [self._walk(inner, depth + 1) for inner in value]
            return [inner for inner, _ in walked], any(deeper for _, deeper in walked)
        return value, False

    def finding(self, finding: dict[str, Any]) -> dict[str, Any]:
        """A finding tells the value that it saw, which may be a secret one."""
        location = str(finding.get("location", ""))
        if not self.secret(location):
            return finding
        value = str(finding.get("value", ""))
        kept = {**finding, "value": HIDDEN}
        if value and value in str(finding.get("why", "")):
            kept["why"] = str(finding["why"]).replace(value, HIDDEN)
        return kept
