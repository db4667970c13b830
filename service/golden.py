"""The golden set of one base: questions whose right answers are known; hides table and files.

`service.evaluation` asks them.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from kb import clock
from kb.db import Database
from kb.errors import DocumentUnreadable, NotFound
from kb.journal import audit
from kb.metadata import parse_date
from kb.regions import Regions
from service import guards
from service.errors import InvalidRequest
from service.models import GoldenQuestion

MOST = 2000
LONGEST_NAME = 512


@dataclass(frozen=True)
class Golden:
    """One question.

    Attributes:
        expect: key of an entry or a clause, code of an entry, or title; None where nothing may be
            answered.
        region: code; None for the installation's.
        as_of: None for the day on which it is asked.
    """

    question: str
    expect: str | None
    region: str | None = None
    as_of: date | None = None
    id: int = 0
    added_by: str = ""

    def row(self) -> dict[str, Any]:
        """As `service.evaluation` asks it."""
        day = self.as_of.isoformat() if self.as_of else None
        return {
            "question": self.question,
            "expect": self.expect,
            "region": self.region,
            "as_of": day,
        }


class GoldenSet:
    """Keeps golden questions."""

    def __init__(
        self,
        db: Database,
        regions: Regions,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._db = db
        self._regions = regions
        self._now = now

    def all(self) -> list[Golden]:
        """Every question, the latest first."""
        with self._db.reading() as session:
            rows = session.scalars(select(GoldenQuestion).order_by(GoldenQuestion.id.desc())).all()
        return [
            Golden(row.question, row.expect, row.region_code, row.as_of, row.id, row.added_by)
            for row in rows
        ]

    def add(self, golden: Golden, *, actor: str) -> None:
        """Keep a question; one for the same region and day takes the place of an older one.

        Raises:
            InvalidRequest: the question cannot be asked.
        """
        self._add([golden], actor=actor, action="golden.add", subject="golden")

    def take(self, data: bytes, *, actor: str) -> int:
        """Keep the questions of a file of JSON lines; see `service.evaluation.read_golden`.

        Returns:
            How many there are.

        Raises:
            DocumentUnreadable: a line does not hold; nothing was kept.
        """
        found = [
            self._parsed(number, line)
            for number, line in enumerate(_lines(data), start=1)
            if line.strip()
        ]
        if not found:
            raise DocumentUnreadable("文件里没有题目")
        self._add(found, actor=actor, action="golden.import", subject="golden")
        return len(found)

    def remove(self, number: int, *, actor: str) -> None:
        """Delete a question.

        Raises:
            NotFound: there is none.
        """
        with self._db.transaction() as session:
            row = session.get(GoldenQuestion, number)
            if row is None:
                raise NotFound("没有这道题，可能已经删除")
            audit(
                session,
                actor=actor,
                action="golden.remove",
                subject=f"golden:{number}",
                question=row.question,
                expect=row.expect,
            )
            session.delete(row)

    def _add(self, found: Sequence[Golden], *, actor: str, action: str, subject: str) -> None:
        for each in found:
            problem = guards.problem_with(each.question)
            if problem:
                raise InvalidRequest({"question": problem})
        with self._db.transaction() as session:
            for each in found:
                _forget(session, each)
                row = GoldenQuestion(
                    question=guards.mask(each.question),
                    expect=each.expect[:LONGEST_NAME] if each.expect else None,
                    region_code=each.region,
                    as_of=each.as_of,
                    added_by=actor,
                    added_at=self._now(),
                )
                session.add(row)
            first = {"question": guards.mask(found[0].question), "expect": found[0].expect}
            detail = first if len(found) == 1 else {"questions": len(found)}
            audit(session, actor=actor, action=action, subject=subject, **detail)

    def _parsed(self, number: int, line: str) -> Golden:
        try:
            row = json.loads(line)
            question, expect = row["question"], row["expect"]
            day = parse_date(str(row["as_of"])) if row.get("as_of") else None
            region = self._regions.resolve(str(row.get("region") or ""))
        except (ValueError, KeyError, TypeError, AttributeError, NotFound) as error:
            raise DocumentUnreadable(
                f"第{number}行不对，应是一行一个 JSON，含 question 和 expect：{error}"
            ) from error
        if not isinstance(question, str) or not (expect is None or isinstance(expect, str)):
            raise DocumentUnreadable(
                f"第{number}行的 question、expect 应是文字（expect 可为 null）"
            )
        problem = guards.problem_with(question)
        if problem:
            raise DocumentUnreadable(f"第{number}行：{problem}")
        return Golden(question, expect, region, day)


def _forget(session: Session, golden: Golden) -> None:
    """Delete what is kept of the same question for the same region and day."""
    session.execute(
        delete(GoldenQuestion).where(
            GoldenQuestion.question == guards.mask(golden.question),
            GoldenQuestion.region_code.is_not_distinct_from(golden.region),
            GoldenQuestion.as_of.is_not_distinct_from(golden.as_of),
        )
    )


def _lines(data: bytes) -> list[str]:
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DocumentUnreadable("文件不是 UTF-8 编码的 JSON lines") from error
    if len(lines) > MOST:
        raise DocumentUnreadable(f"一次最多{MOST}题，文件里有{len(lines)}行")
    return lines
