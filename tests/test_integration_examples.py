"""docs/integration.md against a running server: every example runs, every name in it exists."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import compose, create_app
from embeddings import Encoder
from service.commands import load_samples
from service.config import ROOT, Settings, settings_table
from service.keys import SCOPES
from service.web.runtime import runtime

DOCUMENT = (ROOT / "docs" / "integration.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(sh|python) run (.+?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A block that runs, and what its output must contain."""

    language: str
    contains: str
    code: str


EXAMPLES = [Example(*found) for found in _BLOCK.findall(DOCUMENT)]


@contextmanager
def running(environ: dict[str, str], *command: str) -> Iterator[str]:
    """A command of the product that serves on a port of its own; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    arguments = [sys.executable, str(ROOT / "app.py"), *command, port]
    with subprocess.Popen(arguments, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            while not _listens(int(port)):
                assert process.poll() is None, "the server ended"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[dict[str, str]]:
    """The variables that the document tells a reader to set, for a service with the samples."""
    folder = tmp_path_factory.mktemp("integration")
    prepared = compose(Settings(data_dir=str(folder)), encoder=encoder)
    load_samples(prepared)
    prepared.indexer.catch_up()
    key = prepared.keys.add("热线平台", SCOPES, per_minute=600)
    prepared.close()
    own = {name: value for name, value in os.environ.items() if not name.startswith("POLICYQA_")}
    product = {**own, "POLICYQA_DATA_DIR": str(folder), "POLICYQA_PUBLIC_PER_MINUTE": "0"}
    with ExitStack() as stack:
        server = stack.enter_context(running(product, "serve", "--port"))
        agents = stack.enter_context(running(product, "mcp", "--http"))
        # Proxies of this machine are not for a service on this machine.
        reader = {**own, "SERVER": server, "MCP": f"{agents}/mcp", "KEY": key, "NO_PROXY": "*"}
        yield {**reader, "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "default"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.language}-{each.contains}")
def test_every_example_runs(environ: dict[str, str], example: Example, tmp_path: Path) -> None:
    if "from openai" in example.code and not importlib.util.find_spec("openai"):
        pytest.skip("the openai package is not installed")
    start = (
        ["bash", "-euo", "pipefail", "-c"] if example.language == "sh" else [sys.executable, "-c"]
    )
    done = subprocess.run(
        [*start, example.code], env=environ, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert example.contains in done.stdout, done.stdout
    assert '"ok": false' not in done.stdout and '"ok":false' not in done.stdout


def test_each_interface_has_an_example_in_curl_and_in_python() -> None:
    for address in ("/api/v1/ask", "event-stream", "/api/v1/search", "/api/v1/feedback",
                    "/v1/chat/completions", "MCP"):  # fmt: skip
        for language in ("sh", "python"):
            fitting = [e for e in EXAMPLES if e.language == language and address in e.code]
            assert fitting, (address, language)


def test_every_setting_in_it_exists() -> None:
    known = {name for name, _, _ in settings_table()}
    assert set(re.findall(r"POLICYQA_[A-Z0-9_]+", DOCUMENT)) <= known


def test_every_platform_and_address_in_it_exists(tmp_path: Path, encoder: Encoder) -> None:
    app = create_app(Settings(data_dir=str(tmp_path)), encoder=encoder, follow=False)
    with app.app_context():
        runtime().close()
    adapter = app.url_map.bind("policy.example.gov.cn")
    for name in ("wechat", "wecom", "dingtalk", "feishu"):
        assert f"https://policy.example.gov.cn/hooks/{name}" in DOCUMENT
    for path in re.findall(r"https://policy\.example\.gov\.cn(/[a-z./-]*[a-z])", DOCUMENT):
        assert path == "/mcp" or adapter.test(path, method="GET"), path


def test_every_scope_is_explained() -> None:
    for scope in SCOPES:
        assert f"| `{scope}` |" in DOCUMENT
