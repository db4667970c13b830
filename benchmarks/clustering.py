"""How long it takes to group logged questions that have no answer, and what it costs next day.

    python -m benchmarks.clustering [--questions 100000]

Questions are the wordings of the sample entries, varied by place, age and asking words as people
vary them; a third of them is like nothing else. Everything is real: the database, the encoder and
the path from the log to gaps with an owner. Gaps get their owners some at a time, apart from this.
"""

import argparse
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select

from app import compose
from service.commands import load_samples
from service.config import Settings
from service.insights.models import Gap
from service.models import Conversation, Exchange
from service.runtime import Runtime

NOW = datetime(2026, 1, 15, 2, 0, tzinfo=UTC)
HEADS = ("", "请问", "您好，", "我想问一下", "麻烦问下", "家里老人", "我妈妈", "外地人", "刚毕业，")
TAILS = ("", "？", "呢", "啊", "，急", "怎么弄", "，需要什么材料", "，去哪里办", "要多久")
SYLLABLES = "养鱼塘承包果园灌溉井盖路灯噪音装修停车场充电桩宠物登记古树墓地渔船采砂广告牌地名门牌"
CHANNELS = ("web", "wechat", "hotline", "widget")


def questions(wordings: list[str], count: int, chance: random.Random) -> list[str]:
    """Questions as they are logged: many askers of the same, a long tail of odd ones."""
    made = []
    for _ in range(count):
        if chance.random() < 1 / 3:
            matter = "".join(chance.sample(SYLLABLES, 6))
            made.append(f"{chance.choice(HEADS)}{matter}{chance.choice(TAILS)}")
        else:
            wording = wordings[min(int(chance.expovariate(1 / 300)), len(wordings) - 1)]
            made.append(f"{chance.choice(HEADS)}{wording}{chance.choice(TAILS)}")
    return made


def log(runtime: Runtime, texts: list[str], begin: datetime) -> None:
    """Record questions as unanswerable, one a conversation, a second apart."""
    marks = [f"{begin:%Y%m%d}{at:024d}" for at in range(len(texts))]
    with runtime.db.transaction() as session:
        session.execute(
            insert(Conversation),
            [
                {"id": mark, "channel": CHANNELS[at % 4], "created_at": begin}
                for at, mark in enumerate(marks)
            ],
        )
        session.execute(
            insert(Exchange),
            [
                {
                    "id": mark,
                    "conversation_id": mark,
                    "question": text,
                    "region_code": "370200",
                    "as_of": begin.date(),
                    "outcome": "unanswerable",
                    "text": "",
                    "confidence": 0.1,
                    "milliseconds": 9,
                    "asked_at": begin + timedelta(seconds=at / 4),
                }
                for at, (mark, text) in enumerate(zip(marks, texts, strict=True))
            ],
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=100_000)
    count = parser.parse_args().questions
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        runtime = compose(Settings(data_dir=folder, region="370200"), now=lambda: NOW)
        load_samples(runtime)
        runtime.indexer.catch_up()
        wordings = [
            wording
            for record in runtime.entries.records()
            for wording in (record.question, *record.similar)
        ]
        chance.shuffle(wordings)
        texts = questions(wordings, count, chance)
        print(f"{len(texts)} questions, {len(set(texts))} distinct")
        log(runtime, texts, NOW - timedelta(days=2))
        gatherer = runtime.insights.gatherer
        for name in ("all at once", "again, nothing new"):
            began = time.perf_counter()
            done = gatherer.gather()
            print(f"{name}: {time.perf_counter() - began:.1f} s, {done}")
        began = time.perf_counter()
        print(f"routed some: {gatherer.assign()}, {time.perf_counter() - began:.1f} s")
        log(runtime, questions(wordings, count // 100, chance), NOW - timedelta(days=1))
        began = time.perf_counter()
        print(f"a day later: {gatherer.gather()}, {time.perf_counter() - began:.1f} s")
        with runtime.db.reading() as session:
            total = session.scalar(select(func.sum(Gap.size)))
            print(f"{session.scalar(select(func.count(Gap.id)))} gaps hold {total} questions")
        runtime.close()


if __name__ == "__main__":
    main()
