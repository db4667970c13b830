"""The questions written for this project, each with the clause it asks about; which are held out.

A question of `questions/<field>.jsonl` names a law and an article, one of `questions/circulars`
a document. A tenth, chosen by clause or document, never takes part in training or in the shipped
wordings: it is for testing.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "questions"
PARAPHRASES = Path(__file__).parent / "paraphrases"
CIRCULARS = "circulars"


@dataclass(frozen=True)
class Asked:
    """A question and where its answer stands.

    Attributes:
        question: as a person puts it.
        law: title of the law, or of the document.
        article: "第十九条"; empty for a document.
        field: name of the file.
    """

    question: str
    law: str
    article: str
    field: str

    @property
    def held_out(self) -> bool:
        """Whether it is kept for testing."""
        return held_out(self.law, self.article)

    @property
    def clause(self) -> tuple[str, str]:
        """What tells its clause from all others."""
        return self.law, self.article


@dataclass(frozen=True)
class Paraphrases:
    """A question, other ways to ask it, and questions close to it that ask something else."""

    question: str
    same: tuple[str, ...]
    different: tuple[str, ...]


def held_out(law: str, article: str) -> bool:
    """Whether the questions of a clause are kept for testing: a fixed tenth of all clauses."""
    return zlib.crc32(f"{law}|{article}".encode()) % 10 == 0


def read(folder: Path = FOLDER) -> list[Asked]:
    """All questions, file by file."""
    return [
        Asked(row["question"], row.get("law") or row["document"], row.get("article", ""), name)
        for name, row in _rows(folder)
    ]


def read_paraphrases(folder: Path = PARAPHRASES) -> list[Paraphrases]:
    """All groups of paraphrases, file by file."""
    return [
        Paraphrases(row["question"], tuple(row["same"]), tuple(row["different"]))
        for _, row in _rows(folder)
    ]


def _rows(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path.stem, json.loads(line)
