"""The production server: gunicorn with one process and many threads; hides its configuration.

One process keeps one copy of the index. The heavy work (numpy, FAISS, SQLite) releases the
interpreter lock, so threads serve questions side by side.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication


class Server(BaseApplication):  # type: ignore[misc]
    """Serves an application that is built inside the worker.

    Args:
        build: called once in the worker process, after the fork.
    """

    def __init__(self, build: Callable[[], Flask], *, host: str, port: int, threads: int) -> None:
        self._build = build
        self._options = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            "timeout": 120,
            "graceful_timeout": 20,
            "keepalive": 15,
            "limit_request_line": 8190,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand the options to gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the application."""
        return self._build()
