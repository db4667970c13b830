"""Access to the process's long-lived objects from a request."""

from typing import cast

from flask import Flask, current_app

from service.runtime import Runtime

_KEY = "policyqa.runtime"


def install(app: Flask, runtime_: Runtime) -> None:
    """Give an application its runtime."""
    app.extensions[_KEY] = runtime_


def runtime() -> Runtime:
    """The runtime of the application that serves this request."""
    return cast(Runtime, current_app.extensions[_KEY])
