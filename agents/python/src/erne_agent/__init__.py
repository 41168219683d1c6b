"""Protects web applications with Erne: asks for a verdict about a request before the handler runs.

One line for each framework::

    erne_agent.flask(app)                                # Flask
    MIDDLEWARE = ["erne_agent.django.Middleware", ...]   # Django
    app = erne_agent.asgi.Middleware(app)                # FastAPI, Starlette, any ASGI
    app = erne_agent.wsgi.Middleware(app)                # any WSGI

Settings are arguments or ``ERNE_AGENT_*`` variables, see :class:`Config`.
"""

from . import asgi, wsgi
from ._agent import Agent
from ._config import Config, ConfigError
from ._flask import flask
from ._version import VERSION as __version__

__all__ = ["Agent", "Config", "ConfigError", "__version__", "asgi", "flask", "wsgi"]
