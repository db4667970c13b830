"""Corpora → pairs of texts that belong together, task by task, to learn an encoder from."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from embeddings.tokenizer import normalise
from training import corpora
from training.questions import CIRCULARS, Asked, read, read_paraphrases

# Characters of a text that are read.
LONGEST = 260
CLOZES = 60_000
NEIGHBOURS = 30_000

_SENTENCE = re.compile("[。；！？\n]")

Chosen = Callable[[str], bool]


@dataclass
class Task:
    """Pairs of one kind.

    Attributes:
        weight: share of the training steps, against the other tasks.
        left: texts, and
        right: what belongs to each.
        label: pairs of one label are no negatives for each other.
        wrong: for each pair a text that looks alike and does not belong; empty for none.
    """

    weight: float
    left: list[str] = field(default_factory=list)
    right: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, left: str, right: str, label: str, wrong: str = "") -> None:
        """Add a pair."""
        self.left.append(left)
        self.right.append(right[:LONGEST])
        self.label.append(label)
        if wrong:
            self.wrong.append(wrong)


def build(data: Path, chosen: Chosen) -> list[Task]:
    """All tasks.

    Args:
        chosen: whether a question may be learned from; those held out for testing never are.
    """
    pick = random.Random(0)
    laws = corpora.articles(data)
    return [
        _questions(laws, [each for each in read() if not each.held_out], chosen, pick),
        *_consultations(data, chosen, pick),
        _clozes(laws, pick),
        _neighbours(laws, pick),
        _services(data),
        _reading(data),
        _entries(chosen),
        _paraphrases(chosen, pick),
    ]


def _questions(
    laws: list[corpora.Article], asked: list[Asked], chosen: Chosen, pick: random.Random
) -> Task:
    """Our own questions and their articles, these with and without their law's name."""
    known = {(each.law, each.number): each for each in laws}
    task = Task(6)
    for each in asked:
        article = known.get((normalise(each.law), each.article))
        if each.field == CIRCULARS or article is None or not chosen(each.question):
            continue
        chance = pick.random()
        head = f"{article.law} {article.chapter} " if chance < 0.35 else f"{article.law} "
        right = article.text if chance >= 0.7 else head + article.text
        task.add(normalise(each.question), right, "|".join(each.clause))
    return task


def _consultations(data: Path, chosen: Chosen, pick: random.Random) -> list[Task]:
    articles, answers = Task(2.5), Task(1)
    for each in corpora.consultations(data):
        if not chosen(each.question):
            continue
        for title, text in each.articles:
            articles.add(each.question, f"{title} {text}" if pick.random() < 0.6 else text, title)
        if each.answer:
            answers.add(each.question, each.answer, each.answer)
    return [articles, answers]


def _clozes(laws: list[corpora.Article], pick: random.Random) -> Task:
    """A sentence and the rest of its article (inverse cloze); a chapter's name and an article."""
    task = Task(2)
    for number in pick.sample(range(len(laws)), min(CLOZES, len(laws))):
        article = laws[number]
        sentences = [part for part in _SENTENCE.split(article.text) if len(part) >= 6]
        if len(sentences) > 1:
            taken = pick.randrange(len(sentences))
            rest = "。".join(part for at, part in enumerate(sentences) if at != taken)
            task.add(sentences[taken], rest, str(number))
        elif article.chapter and len(article.text) > 20:
            name = f"{article.law} {article.chapter}"
            task.add(name, article.text, name)
    return task


def _neighbours(laws: list[corpora.Article], pick: random.Random) -> Task:
    task = Task(1)
    for number in pick.sample(range(len(laws) - 1), min(NEIGHBOURS, len(laws) - 1)):
        one, other = laws[number], laws[number + 1]
        chapter = (one.law, one.chapter)
        if chapter == (other.law, other.chapter) and min(len(one.text), len(other.text)) > 20:
            task.add(one.text[:LONGEST], other.text, " ".join(chapter))
    return task


def _services(data: Path) -> Task:
    task = Task(0.5)
    for name, conditions in corpora.services(data):
        task.add(name, conditions, name)
    return task


def _reading(data: Path) -> Task:
    task = Task(1)
    for question, context in corpora.reading(data):
        task.add(question, context, context)
    return task


def _entries(chosen: Chosen) -> Task:
    """Every wording of an entry with every other one, and with its answer."""
    task = Task(1)
    for all_wordings, answer in corpora.entries():
        wordings = [text for text in all_wordings if chosen(text)]
        for one in wordings:
            task.add(one, answer, answer)
            for other in wordings:
                if other != one:
                    task.add(one, other, answer)
    return task


def _paraphrases(chosen: Chosen, pick: random.Random) -> Task:
    task = Task(2)
    for group in read_paraphrases():
        if not chosen(group.question):
            continue
        same = [normalise(text) for text in (group.question, *group.same)]
        for one in same:
            for other in same:
                if other != one:
                    task.add(one, other, same[0], normalise(pick.choice(group.different)))
    return task
