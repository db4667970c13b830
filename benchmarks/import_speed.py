"""Seconds to check and to import a workbook of entries by the page's own path; one JSON line.

The encoder has no part in it: what is imported as a draft is not indexed, and the comparison of
new questions by meaning, which is capped, is left out with `--no-compare`.
"""

import argparse
import json
import tempfile
import time
from io import BytesIO
from pathlib import Path

from app import compose
from kb.exchange import EntryRecord, write_entries
from service import importing
from service.config import Settings
from service.people import Profile


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--mode", choices=("draft", "submit", "given", "publish"), default="draft")
    parser.add_argument("--no-compare", action="store_true")
    given = parser.parse_args()
    if given.no_compare:
        importing.MOST_COMPARED = 0
    records = [
        EntryRecord(
            question=f"第{number}号事项怎样办理？",
            similar=(f"第{number}号事项怎么办", f"办第{number}号事项要什么材料"),
            answer=f"带身份证到政务服务中心{number % 90}号窗口办理，五个工作日内办结。",
            department=f"市第{number % 40}局",
            topic="办事",
            tags=("办理", f"窗口{number % 90}"),
            code=f"SPEED-{number}",
        )
        for number in range(given.rows)
    ]
    data = write_entries(records, ".xlsx")
    with tempfile.TemporaryDirectory() as folder:
        runtime = compose(Settings(data_dir=str(Path(folder))))
        runtime.people.add(Profile("speed", "admin"), by="benchmark")
        account = runtime.people.named("speed")
        number = runtime.imports.begin(BytesIO(data), "a.xlsx", by=account)
        began = time.perf_counter()
        runtime.importer.job()
        checked = time.perf_counter()
        runtime.imports.choose(number, given.mode, by=account)
        runtime.importer.job()
        done = time.perf_counter()
        job = runtime.imports.one(number, by=account)
        counts = {name: n for name, n in job.counts.items() if isinstance(n, int)}
        runtime.close()
    figures = {
        "rows": given.rows, "mode": given.mode, "bytes": len(data), "state": job.state,
        "check_s": round(checked - began, 1), "import_s": round(done - checked, 1), **counts,
    }  # fmt: skip
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
