"""Time questions, memory and publishing against a base of many articles, on the real server.

    python benchmarks/ask_at_scale.py articles.jsonl.xz queries.jsonl [--data FOLDER] [--limit N]

The articles (`law`, `chapter`, `article`, `text` a row) are imported law by law as text files;
with --data the base is kept and used again. Prints one JSON object: milliseconds of POST
/api/v1/ask (median and 95th percentile, one client), resident memory of the server, seconds to
start it, and seconds from saving an entry to its being the answer.
"""

import argparse
import json
import lzma
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import compose  # noqa: E402
from kb.documents import Upload  # noqa: E402
from kb.exchange import EntryRecord  # noqa: E402
from service.config import Settings  # noqa: E402


def laws(path: Path) -> Iterator[Upload]:
    """One text file a law, with its chapter headings."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        for law_id, articles in groupby(rows, key=lambda row: row["law_id"]):
            parts: list[str] = []
            chapter, title = "", ""
            for row in articles:
                title = row["law"]
                if row["chapter"] and row["chapter"] != chapter:
                    chapter = row["chapter"]
                    parts.append(f"## {chapter}")
                parts.append(f"{row['article']} {row['text']}")
            text = "\n\n".join([f"# {title}", *parts])
            yield Upload(text.encode(), f"{law_id}.txt", source_url=f"law:{law_id}")


def build(settings: Settings, articles: Path) -> dict[str, float]:
    """Import everything into a fresh base; seconds of import and of indexing."""
    runtime = compose(settings)
    began = time.perf_counter()
    outcomes = list(runtime.documents.add(laws(articles), actor="benchmark", publish=True))
    imported = time.perf_counter()
    runtime.indexer.catch_up()
    while runtime.indexer.merge():
        pass
    indexed = time.perf_counter()
    failed = sum(each.outcome == "failed" for each in outcomes)
    counts = runtime.library.counts()
    runtime.close()
    return {
        "documents": counts.documents,
        "clauses": counts.clauses,
        "failed": failed,
        "import_s": round(imported - began, 1),
        "index_s": round(indexed - imported, 1),
    }


class Server:
    """The product's own server in a process of its own."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "serve", "--port", str(self.port)],
            env={
                **os.environ,
                "POLICYQA_DATA_DIR": str(data),
                "POLICYQA_PUBLIC_PER_MINUTE": "100000",
            },
            start_new_session=True,
        )
        while not self._ready():
            time.sleep(0.1)
        self.start_s = round(time.perf_counter() - began, 1)

    def ask(self, question: str) -> dict[str, object]:
        """One question through HTTP."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1/ask",
            json.dumps({"question": question}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return dict(json.load(response))

    def resident_mib(self) -> int:
        """Resident memory of the server and its worker together."""
        pids = subprocess.run(
            ["pgrep", "-s", str(self.process.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        kib = 0
        for pid in pids:
            status = Path(f"/proc/{pid}/status").read_text()
            kib += int(status.partition("VmRSS:")[2].split()[0])
        return kib // 1024

    def stop(self) -> None:
        """End it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=30)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz/ready", timeout=5):
                return True
        except OSError:
            return False


def publish_seconds(server: Server, settings: Settings) -> float:
    """Seconds from saving an entry in another process's database session to its answer."""
    runtime = compose(settings)
    question = f"火星居住许可第{time.time_ns()}号窗口在哪里申领？"
    record = EntryRecord(question, "到火星事务大厅办理。", "火星事务局", code=str(time.time_ns()))
    began = time.perf_counter()
    runtime.entries.save([(1, record)], actor="benchmark", publish=True)
    while server.ask(question)["text"] != record.answer:
        time.sleep(0.02)
    return round(time.perf_counter() - began, 2)


def main() -> None:
    """Build if needed, serve, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("articles", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    given = parser.parse_args()
    folder = given.data or Path(tempfile.mkdtemp())
    settings = Settings(data_dir=str(folder))
    figures: dict[str, object] = {}
    if not (folder / "policy.db").exists():
        figures.update(build(settings, given.articles))
    rows = given.queries.read_text(encoding="utf-8").splitlines()[: given.limit]
    questions = [json.loads(row)["text"][:500] for row in rows]
    server = Server(folder)
    try:
        for question in questions[:10]:
            server.ask(question)
        spent = []
        for question in questions:
            began = time.perf_counter()
            server.ask(question)
            spent.append((time.perf_counter() - began) * 1000)
        figures.update(
            start_s=server.start_s,
            questions=len(spent),
            p50_ms=round(statistics.median(spent), 1),
            p95_ms=round(statistics.quantiles(spent, n=20)[-1], 1),
            resident_mib=server.resident_mib(),
            publish_s=[publish_seconds(server, settings) for _ in range(3)],
        )
    finally:
        server.stop()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
