"""Time suggestions and hostile texts against a large base, through the application's own routes.

    python -m benchmarks.hostile_questions [--clauses 150000] [--entries 20000] [--articles FILE]
                                           [--data FOLDER] [--no-clause-index]

Builds a synthetic base (see `large_base`; kept with --data) and prints one JSON object: medians and
maxima in milliseconds of /suggest by kind of typing, and of /ask, /search and /suggest for each
hostile text, each the median of three. Nothing leaves the process. Without the index of clauses,
which takes minutes to make, suggestions are measured all the same.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from flask.testing import FlaskClient

from app import compose
from benchmarks.large_base import fill
from kb.search import Scope
from service.config import Settings
from service.web import application

TYPED = {
    "prefix": ("公", "公积", "公积金", "居住证办", "个人社", "老人护照补办要", "灵活就业人员"),
    "inside": ("积金提", "办理要什么", "补贴", "多久能办好", "网上能", "条件"),
    "pairs": ("提取公积金", "办理居住证材料", "护照怎么补办"),
    "pinyin": ("gong", "gongjijin", "juzhuz", "shebao jiaofei", "yilbx"),
    "initials": ("gjj", "jzz", "sfz", "yyzz"),
    "wrong": ("公机金", "居主证", "社宝缴费"),
    "titles": ("管理办法", "第12市", "甲政发"),
    "nothing": ("天气", "zzqq", "😀"),
}
HOSTILE = {
    "one character": "公" * 500,
    "one letter": "a" * 500,
    "common words": "公积金社保医保居住证" * 50,
    "emoji": "😀👨‍👩‍👧" * 60,
    "right to left": "‮‏居住证‪" * 80,
    "brackets": "(" * 250 + ")" * 250,
    "regular expression": "(a+)+$" * 80,
    "SQL": "' OR 1=1; DROP TABLE entry; --" * 15,
    "wildcards": "%_%_" * 120,
    "HTML": "<script>alert(1)</script>" * 20,
    "articles": "第" * 250 + "条" * 250,
    "titles": "《" * 250 + "》" * 250,
    "numbers": "甲政发〔2024〕1号" * 45,
    "pinyin": "gongjijin" * 55,
    "initials": "gjjtq" * 100,
    "mixed": "gong积jin" * 70,
    "digits": "1234567890" * 50,
}


def milliseconds(call: Callable[[], object], times: int = 3) -> float:
    """Median time of a call."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(spent), 1)


def suggestions(client: FlaskClient) -> dict[str, dict[str, float]]:
    """Times of suggestions by kind of typing."""
    figures = {}
    for kind, texts in TYPED.items():
        addresses = [f"/api/v1/suggest?q={quote(text)}" for text in texts]
        spent = [milliseconds(lambda each=each: client.get(each), 7) for each in addresses]
        figures[kind] = {"median": statistics.median(spent), "max": max(spent)}
    return figures


def hostile(client: FlaskClient) -> dict[str, dict[str, float]]:
    """Times of the three routes for each hostile text."""
    figures = {}
    for name, text in HOSTILE.items():
        asked = {"question": text}
        calls: dict[str, Callable[[], object]] = {
            "ask": lambda asked=asked: client.post("/api/v1/ask", json=asked),
            "search": lambda text=text: client.get(f"/api/v1/search?q={quote(text)}"),
            "suggest": lambda text=text: client.get(f"/api/v1/suggest?q={quote(text)}"),
        }
        figures[name] = {route: milliseconds(call) for route, call in calls.items()}
    return figures


def main(arguments: Sequence[str]) -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clauses", type=int, default=150_000)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--articles", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--no-clause-index", action="store_true")
    given = parser.parse_args(arguments)
    folder = given.data or Path(tempfile.mkdtemp())
    fresh = not (folder / "policy.db").exists()
    runtime = compose(Settings(data_dir=str(folder), public_per_minute=10**9))
    figures: dict[str, object] = {}
    began = time.perf_counter()
    if fresh:
        fill(runtime.db, clauses=given.clauses, entries=given.entries, articles=given.articles)
    figures["fill_s"] = round(time.perf_counter() - began, 1)
    began = time.perf_counter()
    if given.no_clause_index:
        for follower in (*runtime.indexer._typed, runtime.indexer._followers[0]):
            follower.catch_up()
    else:
        runtime.indexer.catch_up()
    while runtime.indexer.merge():
        pass
    figures["index_s"] = round(time.perf_counter() - began, 1)
    began = time.perf_counter()
    runtime.understanding.catch_up()
    figures["learn_s"] = round(time.perf_counter() - began, 1)
    runtime.search.passages("预热", Scope(as_of=runtime.today()), limit=1)
    app = application.build(runtime, secret_key="benchmark", version="0")
    with app.test_client() as client:
        client.get("/api/v1/suggest?q=a")
        figures["suggest_ms"] = suggestions(client)
        figures["hostile_ms"] = hostile(client)
        figures["search_ms"] = milliseconds(lambda: client.get("/api/v1/search?q=公积金提取"), 5)
    runtime.close()
    print(json.dumps(figures, ensure_ascii=False, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
