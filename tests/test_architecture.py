"""The import law and the size caps of docs/adr/0001, held against the code itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("embeddings", "kb", "service")
MODULES = sorted(
    path
    for path in (ROOT / "app.py", *(p for layer in LAYERS for p in (ROOT / layer).rglob("*.py")))
    if "migrations" not in path.parts
)
MAX_MODULE, MAX_FUNCTION, MAX_PARAMETERS, MAX_POSITIONAL = 500, 50, 5, 4
# What each layer may import besides the standard library, itself and the layers below.
ALLOWED = {
    "embeddings": {
        "numpy", "faiss", "jieba", "opencc", "pypinyin", "safetensors", "sentence_transformers",
        "tokenizers",
    },
    "kb": {
        "embeddings", "numpy", "sqlalchemy", "alembic", "lxml", "markdown_it", "openpyxl",
        "pypdfium2",
    },
    "service": {
        "kb", "sqlalchemy", "click", "argon2", "chinese_calendar", "cryptography", "httpx",
        "limits", "mcp", "pydantic", "pyotp", "segno",
    },
    "service/web": {
        "kb", "service", "sqlalchemy", "flask", "flask_openapi3", "pydantic", "werkzeug",
        "prometheus_client", "gunicorn",
    },
}  # fmt: skip
THIRD_PARTY = set().union(
    *ALLOWED.values(), {"app", "tests", "benchmarks", "training", "requests", "torch"}
)
# What is heavy and only some installations, or one command, should load.
LAZY = {"sentence_transformers", "service.mcp_server"}
# Commands take one argument an option; a command line is not called from code.
MANY_PARAMETERS = {"service/commands.py", "service/administration.py"}


def layer_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return "service/web" if parts[:2] == ("service", "web") else parts[0]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.fixture(params=MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def module(request: pytest.FixtureRequest) -> tuple[Path, str, ast.Module]:
    path: Path = request.param
    source = path.read_text(encoding="utf-8")
    return path, source, ast.parse(source)


def test_imports_point_one_way(module: tuple[Path, str, ast.Module]) -> None:
    path, _, tree = module
    layer = layer_of(path)
    if layer == "app.py":
        return
    top = {name.partition(".")[0] for name in imported(tree)}
    foreign = (top & THIRD_PARTY) - ALLOWED[layer] - {layer.partition("/")[0]}
    assert not foreign, f"{path} may not import {foreign}"


def test_kb_uses_only_public_names_of_embeddings(module: tuple[Path, str, ast.Module]) -> None:
    path, _, tree = module
    if layer_of(path) != "embeddings" and path.name != "app.py":
        assert not [name for name in imported(tree) if name.startswith("embeddings.")]


def test_web_is_imported_by_the_composition_root_alone(
    module: tuple[Path, str, ast.Module],
) -> None:
    path, _, tree = module
    if layer_of(path) not in ("service/web", "app.py"):
        assert not [name for name in imported(tree) if name.startswith("service.web")]


def test_modules_fit_on_a_few_screens(module: tuple[Path, str, ast.Module]) -> None:
    path, source, _ = module
    assert len(source.splitlines()) <= MAX_MODULE, path


def test_modules_say_what_they_are_for(module: tuple[Path, str, ast.Module]) -> None:
    path, _, tree = module
    assert ast.get_docstring(tree), path


def test_functions_fit_on_a_screen(module: tuple[Path, str, ast.Module]) -> None:
    path, _, tree = module
    # A builder of a blueprint is a list of views: each of them counts, not their sum.
    own = [f for f in functions(tree) if not any(g is not f for g in functions(f))]
    long = [f.name for f in own if (f.end_lineno or 0) - f.lineno + 1 > MAX_FUNCTION]
    assert not long, f"{path}: {long}"


def test_functions_take_few_parameters(module: tuple[Path, str, ast.Module]) -> None:
    path, _, tree = module
    if str(path.relative_to(ROOT)) in MANY_PARAMETERS:
        return
    for function in functions(tree):
        arguments = function.args
        positional = [a for a in arguments.args if a.arg not in ("self", "cls")]
        assert len(positional) + len(arguments.kwonlyargs) <= MAX_PARAMETERS + 1, function.name
        assert len(positional) <= MAX_POSITIONAL + 1, function.name


def test_nothing_is_imported_inside_functions(module: tuple[Path, str, ast.Module]) -> None:
    path, _, tree = module
    inside = {name for function in functions(tree) for name in imported(function)}
    assert inside <= LAZY, f"{path}: {inside}"


def test_top_level_is_the_agreed_one() -> None:
    for name in ("kb", "embeddings", "service", "data", "tests", "app.py", "requirements.txt"):
        assert (ROOT / name).exists(), name


def test_no_asset_comes_from_elsewhere() -> None:
    for path in (ROOT / "service").rglob("*"):
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text(encoding="utf-8")
            for mark in ('src="http', "src='http", "url(http", "@import", '<link href="http'):
                assert mark not in text, path
