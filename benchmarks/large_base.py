"""A large synthetic base, written straight into the tables; for benchmarks only.

Clauses come from articles of real laws where a file of them is given, else from sentences put
together; questions are put together from matters, acts and askings, so that words repeat as they
do among real ones.
"""

import json
import lzma
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import insert

from kb.db import Database
from kb.models import Change, Clause, Department, Document, Entry, Phrasing, Revision, Status

MATTERS = (
    "公积金 社保 医保 养老金 失业金 居住证 身份证 户口 护照 驾驶证 "
    "营业执照 房产证 低保 生育津贴 工伤 落户 入学 公租房 残疾人证 老年卡 "
    "创业补贴 人才补贴 购房补贴 税务登记 出生证明 结婚证 档案 职称 专利 环评"
).split()
ACTS = (
    "办理 提取 缴费 转移 补办 注销 变更 查询 申请 年审 续期 报销 领取 退费 登记 公示 复核 投诉"
).split()
ASKINGS = (
    "怎么{}？|{}要什么材料？|{}多久能办好？|{}去哪里？|{}要多少钱？|网上能{}吗？|{}条件是什么？"
).split("|")
WHO = (
    "个人 企业 学生 老人 外地人 退役军人 残疾人 个体户 农民工 高校毕业生 灵活就业人员 新市民"
).split()
PER_DOCUMENT = 50
AT_ONCE = 5000
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def fill(db: Database, *, clauses: int, entries: int, articles: Path | None = None) -> None:
    """Write so many clauses and entries, all published, and what the indexes follow."""
    chance = random.Random(12345)
    with db.transaction() as session:
        session.execute(insert(Department), [{"id": n, "name": f"第{n}局"} for n in range(1, 31)])
        for rows in _batches(_entries(entries, chance)):
            session.execute(insert(Entry), [entry for entry, _ in rows])
            wordings = [each for _, phrasings in rows for each in phrasings]
            session.execute(insert(Phrasing), wordings)
            session.execute(insert(Change), [{"group": f"entry:{row['id']}"} for row, _ in rows])
        texts = _texts(articles, chance)
        for number in range(1, clauses // PER_DOCUMENT + 1):
            _document(session, number, list(islice(texts, PER_DOCUMENT)))


def question(chance: random.Random) -> str:
    """A question somebody may ask."""
    return chance.choice(ASKINGS).format(chance.choice(MATTERS) + chance.choice(ACTS))


def _entries(count: int, chance: random.Random) -> Iterator[tuple[dict, list[dict]]]:  # type: ignore[type-arg]
    for number in range(1, count + 1):
        standard = f"{chance.choice(WHO)}{question(chance)}"
        entry = {
            "id": number,
            "question": standard,
            "answer": f"{standard}请带身份证到窗口办理，材料齐全的当场办结，第{number}号窗口。",
            "topic": chance.choice(MATTERS),
            "department_id": chance.randrange(1, 31),
            "status": Status.PUBLISHED,
            "version": 1,
            "created_at": NOW,
            "updated_at": NOW,
        }
        others = (f"{question(chance)}{number % 97}区" for _ in range(4))
        yield (
            entry,
            [
                {"entry_id": number, "ordinal": at, "text": text, "negative": False}
                for at, text in enumerate(others)
            ],
        )


def _texts(articles: Path | None, chance: random.Random) -> Iterator[str]:
    while True:
        if articles:
            with lzma.open(articles, "rt", encoding="utf-8") as lines:
                yield from (json.loads(line)["text"] for line in lines)
        else:
            words = (f"{chance.choice(WHO)}{question(chance)}" for _ in range(6))
            yield "".join(words)


def _document(session, number: int, texts: list[str]) -> None:  # type: ignore[no-untyped-def]
    matter, act = MATTERS[number % len(MATTERS)], ACTS[number % len(ACTS)]
    dates = {"created_at": NOW, "updated_at": NOW}
    document = {
        "id": number,
        "title": f"第{number}市{matter}{act}管理办法",
        "document_number": f"甲政发〔{2000 + number % 25}〕{number}号",
        "topic": matter,
        "department_id": number % 30 + 1,
        "status": Status.PUBLISHED,
        "published_on": date(2025, 1, 1),
    }
    session.execute(insert(Document), [document | dates])
    revision = {
        "id": number,
        "document_id": number,
        "number": 1,
        "sha256": f"{number:064x}",
        "filename": f"{number}.txt",
        "effective_on": date(2000 + number % 25, 1, 1),
        "published_at": NOW,
        "created_at": NOW,
    }
    session.execute(insert(Revision), [revision])
    session.execute(
        insert(Clause),
        [
            {
                "revision_id": number,
                "ordinal": at,
                "kind": "article",
                "locator": f"第{at + 1}条",
                "headings": [],
                "text": text,
                "responsible": [],
            }
            for at, text in enumerate(texts)
        ],
    )
    session.execute(insert(Change), [{"group": f"revision:{number}"}])


def _batches(rows):  # type: ignore[no-untyped-def]
    while batch := list(islice(rows, AT_ONCE)):
        yield batch
