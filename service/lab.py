"""Asks a question as anybody, with any settings, and lays open why it is answered as it is.

Hides how what was found, what was left out and the decision are told in plain words. Nothing is
recorded, nobody is queued, and nothing that citizens get changes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import func, or_, select

from kb.db import Database
from kb.errors import NotFound
from kb.passages import Passage
from kb.regions import Regions
from kb.search import NEARER, OWN_WORDS, SAME, UNWANTED, Scope
from kb.understanding import Rewrite, Understanding
from kb.validity import Validity
from service import guards, wording
from service.answering import Answerer
from service.conversations import Answer, Outcome, Question, Reach
from service.models import Conversation, Exchange
from service.policies import Cuts
from service.tunables import STEP_NAMES, Tuned
from service.wording import percent

Made = TypeVar("Made")
# Candidates that are shown, and those of them whose score is taken apart.
SHOWN, EXPLAINED = 24, 8
ANSWERS = (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE)
OUTCOMES = {
    Outcome.ANSWERED: "用标准答案回答",
    Outcome.ANSWERED_CLAUSE: "引用政策条文",
    Outcome.CLARIFY: "请群众选择",
    Outcome.UNANSWERABLE: "如实说没有确切答案",
    Outcome.HANDED_OFF: "转人工",
    Outcome.BLOCKED: "已停止自动回答",
    Outcome.ERROR: "出错",
}
# What each feature of the ranking says; several columns of one figure go together.
_FEATURES = {
    "lexical": "字面相符的程度",
    "part_words": "最相关的一段里，有多少问题里的词",
    "part_pairs": "最相关的一段里，有多少相连的字",
    "whole_words": "全文里，有多少问题里的词",
    "whole_pairs": "全文里，有多少相连的字",
    "cosine": "意思相近（最相关的一段）",
    "wording": "与问法字面相符",
    "wording_cosine": "与问法意思相近",
    "closeness": "与最像的问法重合",
    "coverage": "最相关的一段覆盖了问题的多少",
    "breadth": "全文覆盖了问题的多少",
    "phrase": "整段相连的话",
    "numbers": "问题里的数字",
    "names": "问题里的地名",
}
_COLUMNS = ("_new", "_unsure", "_sure", "_known")


@dataclass(frozen=True)
class Setup:
    """As whom, when and with which settings a question is asked.

    Attributes:
        region: code; None for no region.
    """

    channel: str
    region: str | None
    as_of: date
    tuned: Tuned


@dataclass(frozen=True)
class Step:
    """One step of understanding: what it makes of the text before it, whether it is on or not.

    Attributes:
        rewrites: what it changes.
    """

    name: str
    label: str
    on: bool
    rewrites: tuple[Rewrite, ...]
    milliseconds: float


@dataclass(frozen=True)
class Candidate:
    """A passage that was considered.

    Attributes:
        place: among its kind, from 1; 0 for one that was not in the running.
        fate: won, offered, below, out.
        why: in words.
        parts: what adds to its score, in words, the largest first; empty where not taken apart.
        tokens: what each word of the question adds to its lexical score.
    """

    passage: Passage
    place: int
    fate: str
    why: str
    parts: tuple[tuple[str, float], ...] = ()
    tokens: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Trial:
    """A question asked in the lab.

    Attributes:
        reasons: why it is answered like that, sentence by sentence.
        times: label → milliseconds.
        live: whether citizens get the same at this moment: the channel is not stopped.
    """

    question: str
    setup: Setup
    answer: Answer
    cuts: Cuts
    steps: tuple[Step, ...]
    place: str
    candidates: tuple[Candidate, ...]
    reasons: tuple[str, ...]
    times: Mapping[str, float]
    live: bool


@dataclass(frozen=True)
class Asked:
    """An exchange on record."""

    question: str
    channel: str
    region: str | None
    as_of: date
    outcome: Outcome
    text: str
    confidence: float


class Lab:
    """Tries questions.

    Args:
        answerer: whose answers are tried.
    """

    def __init__(self, db: Database, understanding: Understanding, answerer: Answerer) -> None:
        self._db = db
        self._understanding = understanding
        self._search = understanding.search
        self._regions: Regions = understanding.search.regions
        self._answerer = answerer

    def asked(self, exchange_id: str) -> Asked:
        """An exchange on record.

        Raises:
            NotFound: no such exchange.
        """
        with self._db.reading() as session:
            found = session.execute(
                select(Exchange, Conversation.channel)
                .join(Conversation, Conversation.id == Exchange.conversation_id)
                .where(Exchange.id == exchange_id)
            ).first()
        if found is None:
            raise NotFound("没有这条回答的记录，可能已经过期删除")
        row, channel = found
        return Asked(
            row.understood or row.question,
            channel,
            row.region_code,
            row.as_of,
            Outcome(row.outcome),
            row.text,
            row.confidence,
        )

    def asked_with(self, words: Sequence[str], since: datetime) -> int:
        """How many questions on record since a moment have one of some words."""
        if not words:
            return 0
        like = or_(*(Exchange.question.icontains(word, autoescape=True) for word in words))
        with self._db.reading() as session:
            query = select(func.count(Exchange.id)).where(Exchange.asked_at >= since, like)
            return session.scalar(query) or 0

    def ask(self, text: str, setup: Setup) -> Trial:
        """Ask a question and see everything that leads to the answer."""
        question = Question(
            text, setup.as_of, channel=setup.channel, region=setup.region, reach=Reach()
        )
        answer, deciding = _timed(lambda: self._answerer.tried(question, setup.tuned))
        cuts = Cuts.of(setup.tuned)
        steps: tuple[Step, ...] = ()
        candidates: tuple[Candidate, ...] = ()
        times = {"从提问到得出答案，全程": deciding}
        place = ""
        if not guards.small_talk(guards.clean(text)):
            typed = guards.impersonal(guards.clean(text))
            named = self._understanding.place(typed, setup.region, steps=setup.tuned.steps)
            place = self._regions.name(named.code) if named else ""
            region = named.code if named else setup.region
            scope = Scope(as_of=setup.as_of, region=region)
            steps = self._steps((named.rest or typed) if named else typed, scope, setup.tuned)
            times |= {each.label: each.milliseconds for each in steps}
            candidates, spent = _timed(lambda: self._candidates(answer, scope, cuts, setup.tuned))
            times["列出候选（只在这里做）"] = spent
        return Trial(
            text,
            setup,
            answer,
            cuts,
            steps,
            place,
            candidates,
            tuple(_reasons(answer, cuts, setup.tuned)),
            times,
            not setup.tuned.says_stopped(setup.channel),
        )

    def _steps(self, text: str, scope: Scope, tuned: Tuned) -> tuple[Step, ...]:
        """Each step on its own, in order; a step that is off shows what it would do."""
        found = []
        fuzzy = {"fuzzy"} & set(tuned.steps)
        for name in ("pinyin", "typo", "synonym"):
            taken = {name, *fuzzy}
            understood, spent = _timed(
                partial(self._understanding.understand, text, scope, steps=taken)
            )
            on = name in tuned.steps
            found.append(Step(name, STEP_NAMES[name], on, understood.rewrites, spent))
            text = understood.text if on else text
        return tuple(found)

    def _candidates(
        self, answer: Answer, scope: Scope, cuts: Cuts, tuned: Tuned
    ) -> tuple[Candidate, ...]:
        """What was in the running, in order, then what was left out and why."""
        text, also = _searched(answer)
        found = self._search.passages(text, scope, limit=SHOWN // 2, also=also)
        everywhere = replace(scope, region=None, validity=None)
        wide = self._search.passages(text, everywhere, limit=SHOWN, also=also).passages
        running = {each.key: each for each in found.passages}
        ended = {each.key: each for each in found.rejected}
        others = [each for each in wide if each.key not in running and each.key not in ended]
        places: dict[str, int] = {}
        told = []
        for passage in (*running.values(), *ended.values(), *others):
            inside = passage.key in running
            place = 0
            if inside:
                place = places[passage.kind] = places.get(passage.kind, 0) + 1
            fate, why = (
                self._fate(passage, answer, cuts)
                if inside
                else ("out", self._left_out(passage, scope))
            )
            # What merely came too late to be compared teaches nothing.
            if why:
                told.append(Candidate(passage, place, fate, why))
        return tuple(
            self._explained(text, each, scope) if at < EXPLAINED else each
            for at, each in enumerate(told[:SHOWN])
        )

    def _fate(self, passage: Passage, answer: Answer, cuts: Cuts) -> tuple[str, str]:
        """What became of a passage in the running, and why."""
        sure = percent(passage.confidence)
        if _refused(passage):
            return "out", "反例问写明了这个问题不归它"
        if answer.entry is not None and passage.key == answer.entry.key:
            return "won", f"把握{sure}，达到标准答案的门槛{percent(cuts.answer['entry'])}"
        cited = {each.clause_id for each in answer.citations}
        quoted = answer.outcome is Outcome.ANSWERED_CLAUSE
        if quoted and passage.kind == "clause" and passage.citations[0].clause_id in cited:
            return "won", f"把握{sure}，达到引用条文的门槛{percent(cuts.answer['clause'])}"
        if any(each.question == passage.title for each in answer.options):
            return "offered", f"把握{sure}，列为供群众选择的问题"
        if not passage.quotable:
            return "out", "只是文件的抬头部分，没有规定内容"
        least = cuts.answer[passage.kind]
        if passage.confidence < least:
            return "below", f"把握{sure}，低于门槛{percent(least)}"
        if passage.kind == "clause" and answer.entry is not None:
            return "below", f"把握{sure}，够引用的门槛，但已有审定的问答，照答问答"
        return "below", f"把握{sure}，够门槛，但排在别的后面"

    def _left_out(self, passage: Passage, scope: Scope) -> str:
        """Why a passage was not in the running; empty where it only came too late."""
        if _refused(passage):
            return "反例问写明了这个问题不归它"
        path = self._regions.path(scope.region) if scope.region else ()
        if scope.region and passage.region_code not in (None, *path):
            here = self._regions.name(scope.region)
            return f"只适用于{self._regions.name(passage.region_code)}，问的是{here}"
        if passage.amended is not None:
            day = wording.display_date(passage.amended.since)
            return f"依据的《{passage.amended.title}》{day}已修改，答案还没有人确认，先不用"
        if passage.validity is not Validity.IN_FORCE:
            return f"{wording.VALIDITY[passage.validity.value]}，不能当作现行依据"
        return ""

    def _explained(self, text: str, candidate: Candidate, scope: Scope) -> Candidate:
        passage = candidate.passage
        found = self._search.explain(text, passage.key)
        if found is None:
            return candidate
        parts: dict[str, float] = {}
        for name, value in found.parts.items():
            label = _label(name)
            parts[label] = parts.get(label, 0.0) + value
        path = self._regions.path(scope.region) if scope.region else ()
        if passage.region_code in path:
            parts["就是本地的规定"] = NEARER * (len(path) - path.index(passage.region_code))
        if passage.agreement >= SAME:
            parts["问的就是它的问法"] = OWN_WORDS * passage.agreement
        if _refused(passage):
            parts["反例问"] = UNWANTED
        ranked = sorted(parts.items(), key=lambda part: -abs(part[1]))
        tokens = tuple((each.token, each.of_item + each.of_group) for each in found.tokens)
        return replace(
            candidate, parts=tuple((k, v) for k, v in ranked if abs(v) >= 0.005), tokens=tokens
        )


def _timed(work: Callable[[], Made]) -> tuple[Made, float]:
    """What some work returns, and the milliseconds it took."""
    began = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - began) * 1000


def _searched(answer: Answer) -> tuple[str, str]:
    """What was searched for: the text, and the official terms besides."""
    also = " ".join(each.to for each in answer.rewrites if each.kind == "synonym")
    return answer.understood.removesuffix(f"（{also}）") if also else answer.understood, also


def _refused(passage: Passage) -> bool:
    """Whether its author said that it does not answer this question: it was not even weighed."""
    figures = (passage.breadth, passage.coverage, passage.similarity, passage.closeness)
    return passage.entry is not None and bool(passage.entry.negatives) and not any(figures)


def _label(feature: str) -> str:
    for ending in _COLUMNS:
        feature = feature.removesuffix(ending)
    return _FEATURES.get(feature, feature)


def _best(answer: Answer, kind: str) -> Passage | None:
    fit = (each for each in answer.passages if each.kind == kind and each.quotable)
    return max(fit, key=lambda each: each.confidence, default=None)


def _reasons(answer: Answer, cuts: Cuts, tuned: Tuned) -> Sequence[str]:
    """Why an answer is what it is, in sentences that need no engineer."""
    entry, clause = _best(answer, "entry"), _best(answer, "clause")
    least_entry, least_clause = cuts.answer["entry"], cuts.answer["clause"]
    said = []
    if not answer.passages and not answer.citations:
        known = answer.outcome in (Outcome.HANDED_OFF, Outcome.ANSWERED)
        return ["这句话不用查政策，直接按约定的话回答。"] if known else ["没有找到任何相关内容。"]
    if answer.outcome is Outcome.ANSWERED and answer.entry:
        said.append(
            f"最合适的问答是“{answer.entry.title}”，把握{percent(answer.confidence)}，"
            f"门槛{percent(least_entry)}，{_margin(answer.confidence, least_entry)}，原文照答。"
        )
        return said
    if entry is None:
        said.append("没有找到相关的问答。")
    elif entry.confidence < least_entry:
        said.append(
            f"最接近的问答是“{entry.title}”，把握{percent(entry.confidence)}，"
            f"低于作答门槛{percent(least_entry)}，{_margin(entry.confidence, least_entry)}。"
        )
    else:
        said.append(f"问答“{entry.title}”够门槛，但还有别的同样合适，不能替群众选。")
    if answer.outcome is Outcome.CLARIFY:
        said.append(
            f"够得上供群众选择（门槛{percent(cuts.offer)}）的有{len(answer.options)}个，所以请群众选。"
        )
    elif answer.outcome is Outcome.ANSWERED_CLAUSE:
        said.append(
            f"条文把握{percent(answer.confidence)}，引用门槛{percent(least_clause)}，所以引用原文。"
        )
    elif answer.citations:
        said.append("最合适的规定在这一天已经不是现行有效，所以如实说明，不当作现行政策回答。")
    elif clause is not None:
        said.append(
            f"最接近的条文出自《{clause.title}》，把握{percent(clause.confidence)}，"
            f"低于引用门槛{percent(least_clause)}，{_margin(clause.confidence, least_clause)}。"
        )
        said.append("都没有达到门槛，所以如实说没有确切答案，并告诉群众该找谁。")
    return said


def _margin(value: float, least: float) -> str:
    points = abs(value - least) * 100
    return f"{'高出' if value >= least else '还差'}{points:.0f}个百分点"
