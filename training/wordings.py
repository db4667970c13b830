"""Write the shipped wordings: which questions each clause of the known laws answers.

    python -m training.wordings --data ../shared/data [--out data/dictionary/wordings.jsonl]

Clauses held out for testing are left out, so that their questions test what ships.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from embeddings.tokenizer import normalise
from kb.wordings import Sketch, sketch
from training import corpora
from training.questions import CIRCULARS, Asked, read

OUT = Path(__file__).parent.parent / "data" / "dictionary" / "wordings.jsonl"


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    known = by_clause(given.data, [each for each in read() if not each.held_out])
    with given.out.open("w", encoding="utf-8") as file:
        for hashes, questions in known:
            row = {"sketch": "".join(f"{each:08x}" for each in hashes), "questions": questions}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def by_clause(data: Path, asked: Iterable[Asked]) -> list[tuple[Sketch, tuple[str, ...]]]:
    """Questions by the sketch of the article that answers them, in the order of the questions."""
    sketches = {
        (article.law, article.number): sketch(article.text) for article in corpora.articles(data)
    }
    found: dict[Sketch, list[str]] = {}
    for each in asked:
        clause = (normalise(each.law), each.article)
        if each.field != CIRCULARS and clause in sketches:
            found.setdefault(sketches[clause], []).append(each.question)
    return [(hashes, tuple(questions)) for hashes, questions in found.items()]


if __name__ == "__main__":
    main()
