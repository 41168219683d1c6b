"""Flask: ``erne_agent.flask(app)``."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from . import wsgi
from ._agent import Agent


class FlaskLike(Protocol):
    wsgi_app: Any

    def before_request(self, f: Any) -> Any: ...


App = TypeVar("App", bound=FlaskLike)


def flask(app: App, agent: Agent | None = None, **settings: Any) -> App:
    """Puts the agent before the application, and returns it. The agent is found at ``app.wsgi_app.agent``."""
    app.wsgi_app = wsgi.Middleware(app.wsgi_app, agent, **settings)
    app.before_request(_note_route)
    return app


def _note_route() -> None:
    """Flask has found the rule by now, so that the agent need not look for it a second time."""
    from flask import request

    exchange = request.environ.get(wsgi.EXCHANGE_KEY)
    rule = request.url_rule
    if exchange is not None and rule is not None:
        exchange.route = rule.rule
