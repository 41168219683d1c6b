"""What a blocked client gets instead of the handler's answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

_TITLES = {403: "Request blocked", 429: "Too many requests", 503: "Temporarily unavailable"}
_TEXTS = {
    403: "This request was blocked because it looks like an attack.",
    429: "There were too many requests from your address.",
    503: "This request could not be checked, so it was not let through. Please try again soon.",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; min-height: 100vh; place-items: center;
  background: #f6f7f9; color: #1c2430; }}
main {{ max-width: 34rem; padding: 2rem; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .5rem; }}
code {{ background: #e6e9ee; padding: .1rem .3rem; border-radius: .2rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #12161c; color: #e6e9ee; }}
  code {{ background: #262d38; }} }}
</style>
</head>
<body><main>
<h1>{title}</h1>
<p>{text}</p>
<p>If you think this is a mistake, please tell the site's operator this number: <code>{id}</code></p>
</main></body>
</html>
"""


@dataclass(frozen=True)
class Block:
    """An answer in the handler's place."""

    status: int
    #: Why: ``attack``, ``ban``, ``rate`` or ``no-verdict``.
    why: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def page(status: int, why: str, request_id: str, accept: str, custom: str, retry_secs: int = 0) -> Block:
    """HTML for people; JSON (RFC 9457) for clients that ask for it. ``{{id}}`` in the operator's page is replaced."""
    title = _TITLES.get(status, "Request blocked")
    text = _TEXTS.get(status, _TEXTS[403])
    if "json" in accept and "text/html" not in accept:
        kind = "application/problem+json"
        problem = {"type": f"urn:erne:{why}", "title": title, "status": status, "detail": text, "id": request_id}
        body = json.dumps(problem).encode()
    else:
        kind = "text/html; charset=utf-8"
        named = escape(request_id)
        html = custom.replace("{{id}}", named) if custom and why != "no-verdict" else ""
        body = (html or _PAGE.format(title=title, text=text, id=named)).encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    if retry_secs:
        headers.append(("Retry-After", str(retry_secs)))
    return Block(status, why, tuple(headers), body)
