"""What somebody typed → what to search for, with every change named; follows the base's words.

The steps are cautious in the same way: a question that already fits is left as it is, and what
was changed is said. The words come from the published base itself, learnt in the background.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from embeddings import (
    Correction,
    PinyinReader,
    Reading,
    Speller,
    Vocabulary,
    applied,
    look_alikes,
    normalise,
    pieces,
)
from kb.db import Database
from kb.followups import FollowUps, Matter
from kb.journal import ENTRIES, REVISIONS
from kb.models import Change, Clause, Document, Entry, Revision, Status
from kb.numerals import years_in_digits
from kb.passages import Passage
from kb.places import Place, Places
from kb.search import SAME, Scope, Search
from kb.synonyms import Synonyms
from kb.thesaurus import Thesaurus

STEPS = ("typo", "pinyin", "fuzzy", "synonym", "follow_up", "place")
# By this much the evidence for the best passage must rise with a correction.
RISE = 0.02
SHORT = 2
# In more pieces than this, letters are not read.
MOST_PIECES = 4
# A reading of letters must not be stranger than this, in nats a character: whole syllables say
# more than initials do, and initials alone more than those among characters, which may be an
# abbreviation.
WHOLE, INITIALS, AMONG = 5.5, 3.65, 3.4
# Suggestions may be bolder: the person sees them and chooses.
BOLD = 6.0
# So many initials at least, where there is nothing else to go by.
LEAST_INITIALS = 3
# Share of a reading that the best passage for it must contain.
SPEAKS = 0.3
READINGS = 3
# What a word counts, by where it stands: people type the words of questions and titles.
IN_QUESTION, IN_TITLE, IN_TEXT = 2.0, 2.0, 1.0
# What a word of the dictionary of synonyms counts at least.
IN_DICTIONARY = 3.0
FIRST_CHARACTER, LAST_CHARACTER = "\u3400", "\u9fff"
GROUPS_AT_ONCE = 10
# Characters of clauses after which more of them teach no new words.
ENOUGH = 3_000_000
# While the words are being learnt, this share of the time is left to those who ask.
PAUSE = 0.02
EVERY = 2.0
# The tables are made anew at most this often, measured in the time it takes to make them.
PATIENCE = 20


_LETTER = re.compile(r"[A-Za-z]")
_LETTERS = re.compile(r"[A-Za-züÜ]+")
_CHARACTER = re.compile(r"[\u3400-\u9fff]")
# What letters and characters are typed with, when nothing else is there.
_TYPED = re.compile(r"[\u3400-\u9fffa-zü'’ ]+")
# Letters beside digits are a standard, a model or a class, not words.
_NUMBERED = re.compile(r"\d[ .-]?\||\|[ .-]?\d")


@dataclass(frozen=True)
class Rewrite:
    """One change: its kind, what stood there and what was understood.

    Kinds are typo, pinyin, synonym, follow_up (half a question and the whole one) and place (the
    place that was asked for and the one whose rules were found).
    """

    kind: str
    from_: str
    to: str


@dataclass(frozen=True)
class Understood:
    """A question as it is searched for.

    Attributes:
        text: in place of what was typed.
        also: official terms to look for besides, with spaces between them.
    """

    text: str
    rewrites: tuple[Rewrite, ...] = ()
    also: str = ""

    @property
    def said(self) -> str:
        """The text with the terms that are looked for besides."""
        return f"{self.text}（{self.also}）" if self.also else self.text


@dataclass(frozen=True)
class Dictionary:
    """What ships with the product.

    Attributes:
        alike: for a character, those that it is mistaken for by its shape.
        synonyms: what officials write for what people say.
        places: reads which place a question names; None where none is to be read.
    """

    alike: Mapping[str, str] = field(default_factory=dict)
    synonyms: Synonyms | Thesaurus = field(default_factory=lambda: Synonyms({}))
    places: Places | None = None

    @classmethod
    def load(
        cls, alike: Path, synonyms: Synonyms | Thesaurus, places: Places | None = None
    ) -> "Dictionary":
        """Read the characters that look alike."""
        lines = alike.read_text("utf-8").splitlines()
        return cls(look_alikes(lines), synonyms, places)


class Understanding:
    """Corrects questions with the words of one base.

    Until `catch_up` has learnt the words, questions are left as they are.

    Args:
        steps: which of `STEPS` are taken, or what says so whenever it is asked.

    Attributes:
        search: what the questions are for.
        ready: set once there are words to correct with.
    """

    def __init__(
        self,
        db: Database,
        search: Search,
        dictionary: Dictionary,
        *,
        steps: Iterable[str] | Callable[[], Iterable[str]] = STEPS,
    ) -> None:
        self.search = search
        self._steps = steps if callable(steps) else partial(frozenset, steps)
        self._follow_ups = FollowUps(search)
        self._dictionary = dictionary
        self._lessons = Lessons(db)
        self._learning = threading.Lock()
        self._speller: Speller | None = None
        self._reader: PinyinReader | None = None
        # Version of the synonyms whose words are in the tables.
        self._made_with = -1
        self.ready = threading.Event()

    def understand(
        self,
        text: str,
        scope: Scope,
        *,
        after: Matter | None = None,
        steps: Iterable[str] | None = None,
    ) -> Understood:
        """What to search for in a scope when somebody has typed a text.

        Args:
            after: what was spoken of before.
            steps: which of `STEPS` to take in place of those that are on.
        """
        taken = frozenset(self._steps() if steps is None else steps)
        understood = Understood(years_in_digits(text))
        if "pinyin" in taken:
            understood = self._read(understood, scope, fuzzy="fuzzy" in taken)
        if "typo" in taken:
            understood = self._spelt(understood, scope)
        if "follow_up" in taken and after:
            understood = self._completed(understood, after, scope)
        if "synonym" in taken:
            understood = self._with_synonyms(understood)
        return understood

    def place(
        self, text: str, near: str | None, *, steps: Iterable[str] | None = None
    ) -> Place | None:
        """The place whose rules a text asks for; see `kb.places`.

        Args:
            steps: as for `understand`.
        """
        places, taken = self._dictionary.places, self._steps() if steps is None else steps
        return places.asked(text, near) if places and "place" in taken else None

    def completions(self, text: str) -> tuple[str, ...]:
        """What may be meant by a text that is still being typed, without the text itself.

        Letters are read as pinyin, whole or begun, and wrong characters put right; the most
        probable first, at most `READINGS`.
        """
        typed, steps = text.strip().lower(), frozenset(self._steps())
        reader = self._heard(fuzzy="fuzzy" in steps) if "pinyin" in steps else None
        speller = self._speller if "typo" in steps else None
        if reader and _LETTER.search(typed) and _TYPED.fullmatch(typed):
            # Whole syllables say more than initials, and are read sooner.
            for initials in (False, True):
                found = reader.read(typed, most=READINGS, unfinished=True, initials=initials)
                likely = tuple(each.text for each in found if each.strangeness <= BOLD)
                if likely:
                    return likely
            return ()
        typed = normalise(typed)
        corrections = speller.corrections(typed) if speller else []
        return (applied(typed, corrections),) if corrections else ()

    def misspelt(self, sentence: str) -> tuple[Rewrite, ...]:
        """What in a sentence may be wrong characters, for its author to look at."""
        text = normalise(sentence)
        return tuple(map(_named, self._speller.corrections(text))) if self._speller else ()

    def catch_up(self, seconds: float | None = None) -> bool:
        """Learn the words of what was published since the last call; whether all is learnt.

        Args:
            seconds: how long at most; the rest is left to the next call.
        """
        with self._learning:
            learnt, finished = self._lessons.take(seconds)
            if learnt or self._speller is None:
                self._make_tables()
            return finished

    def watch(self, stop: threading.Event) -> None:
        """Keep learning until told to stop; run in a thread of its own."""
        pause = EVERY
        while not stop.wait(pause):
            began = time.monotonic()
            with self._learning:
                learnt, _ = self._lessons.take(None, rest=partial(stop.wait, PAUSE))
                stale = self._made_with != self._dictionary.synonyms.version
                if learnt or stale:
                    self._make_tables()
            pause = max(EVERY, PATIENCE * (time.monotonic() - began)) if learnt else EVERY

    def _make_tables(self) -> None:
        # Whichever steps are on: each may be switched on at any time.
        vocabulary, synonyms = self._lessons.vocabulary, self._dictionary.synonyms
        self._made_with = synonyms.version
        for word in synonyms.words:
            vocabulary.add(word, IN_DICTIONARY)
        self._speller = Speller(vocabulary, self._dictionary.alike)
        self._reader = PinyinReader(vocabulary)
        self.ready.set()

    def _heard(self, *, fuzzy: bool) -> PinyinReader | None:
        reader = self._reader
        return reader if reader is None or fuzzy else reader.strict()

    def _read(self, understood: Understood, scope: Scope, *, fuzzy: bool) -> Understood:
        """A text with its letters read as pinyin, where that is what they are."""
        reader = self._heard(fuzzy=fuzzy)
        if reader is None or not _LETTER.search(understood.text):
            return understood
        text, rewrites = understood.text, list(understood.rewrites)
        found = pieces(text)
        for start, stop in reversed(found if len(found) <= MOST_PIECES else ()):
            typed = text[start:stop]
            meant = self._meant(typed, reader, before=text[:start], after=text[stop:])
            if meant:
                text = text[:start] + meant + text[stop:]
                rewrites.insert(len(understood.rewrites), Rewrite("pinyin", typed, meant))
        if text == understood.text:
            return understood
        before, after = self._best(understood.text, scope), self._best(text, scope)
        least = max(SPEAKS, before.breadth if before else 0.0)
        if after is None or after.breadth < least or (before and before.agreement >= SAME):
            return understood
        return Understood(text, tuple(rewrites))

    def _meant(self, typed: str, reader: PinyinReader, *, before: str, after: str) -> str:
        """What a piece of letters and characters stands for; empty for itself."""
        runs = _LETTERS.findall(typed)
        alone = not _CHARACTER.search(typed)
        vocabulary = self._lessons.vocabulary
        if any(vocabulary.holds_latin(run.lower()) for run in runs):
            return ""
        if (not alone and any(run.isupper() for run in runs)) or _NUMBERED.search(
            f"{before[-2:]}|{after[:2]}"
        ):
            return ""  # an abbreviation, or part of a number
        simplified = normalise(typed)
        whole = reader.read(simplified, initials=False)
        if whole and whole[0].strangeness <= WHOLE:
            return _if_words(whole[0])
        if alone and sum(map(len, runs)) < LEAST_INITIALS:
            return ""
        read = reader.read(simplified)
        return (
            read[0].text if read and read[0].strangeness <= (INITIALS if alone else AMONG) else ""
        )

    def _spelt(self, understood: Understood, scope: Scope) -> Understood:
        speller = self._speller
        text = normalise(understood.text)
        if len(text) == len(understood.text):
            text = _simplified(text, understood.text)
        corrections = speller.corrections(text) if speller else []
        if not corrections:
            return understood
        found = self._best(text, scope)
        if found and found.agreement >= SAME:
            return understood
        corrected = applied(text, corrections)
        short = all(len(each.word) <= SHORT for each in corrections)
        if not _rises(found, self._best(corrected, scope), short=short):
            return understood
        return Understood(corrected, (*understood.rewrites, *map(_named, corrections)))

    def _completed(self, understood: Understood, after: Matter, scope: Scope) -> Understood:
        """Half a question with what it leaves out."""
        text = self._follow_ups.standalone(understood.text, after, scope)
        if text == understood.text:
            return understood
        rewrite = Rewrite("follow_up", understood.text, text)
        return Understood(text, (*understood.rewrites, rewrite))

    def _with_synonyms(self, understood: Understood) -> Understood:
        """A text with the official terms for what it says in other words."""
        synonyms = self._dictionary.synonyms
        added = synonyms.added(understood.text, self._lessons.vocabulary.used)
        rewrites = (Rewrite("synonym", each.said, each.official) for each in added)
        return replace(
            understood,
            rewrites=(*understood.rewrites, *rewrites),
            also=" ".join(each.official for each in added),
        )

    def _best(self, text: str, scope: Scope) -> Passage | None:
        return next(iter(self.search.passages(text, scope, limit=1).passages), None)


class Lessons:
    """Reads what was published, in order, into a vocabulary; remembers how far it has come."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._seen = {ENTRIES: 0, REVISIONS: 0}
        self._characters = 0
        self.vocabulary = Vocabulary()

    def take(
        self, seconds: float | None, rest: Callable[[], bool] | None = None
    ) -> tuple[bool, bool]:
        """Learn for some time; whether there was anything to learn, and whether all is learnt.

        Args:
            rest: called between two lessons; ends them when it says so.
        """
        until = time.monotonic() + seconds if seconds is not None else None
        learnt = False
        for prefix, read in ((ENTRIES, self._entries), (REVISIONS, self._revisions)):
            while ids := self._next(prefix):
                read(ids)
                learnt = True
                if (until and time.monotonic() > until) or (rest and rest()):
                    return learnt, False
        return learnt, True

    def _next(self, prefix: str) -> list[int]:
        with self._db.reading() as session:
            rows = session.execute(
                select(Change.number, Change.group)
                .where(Change.number > self._seen[prefix], Change.group.startswith(prefix))
                .order_by(Change.number)
                .limit(GROUPS_AT_ONCE)
            ).all()
        if rows:
            self._seen[prefix] = rows[-1][0]
        return list(dict.fromkeys(int(group.removeprefix(prefix)) for _, group in rows))

    def _entries(self, ids: Sequence[int]) -> None:
        with self._db.reading() as session:
            entries = session.scalars(
                select(Entry)
                .options(selectinload(Entry.phrasings))
                .where(Entry.id.in_(ids), Entry.status == Status.PUBLISHED)
            ).all()
        for entry in entries:
            wordings = [each.text for each in entry.phrasings if not each.negative]
            self.vocabulary.learn([entry.question, *wordings], weight=IN_QUESTION)
            self.vocabulary.learn([entry.answer], weight=IN_TEXT)

    def _revisions(self, ids: Sequence[int]) -> None:
        published = (Revision.id.in_(ids), Document.status == Status.PUBLISHED)
        with self._db.reading() as session:
            titles = session.scalars(
                select(Document.title).join(Document.revisions).where(*published)
            ).all()
            texts: Sequence[str] = ()
            if self._characters < ENOUGH:
                texts = session.scalars(
                    select(Clause.text)
                    .join(Clause.revision)
                    .join(Revision.document)
                    .where(*published)
                ).all()
        self._characters += sum(map(len, texts))
        self.vocabulary.learn(titles, weight=IN_TITLE)
        self.vocabulary.learn(texts, weight=IN_TEXT)


def _if_words(reading: Reading) -> str:
    """A reading's text, unless it is only one character or a string of single ones."""
    return reading.text if any(len(word) > 1 for word in reading.words) else ""


def _named(correction: Correction) -> Rewrite:
    return Rewrite("typo", correction.typed, correction.word)


def _simplified(text: str, typed: str) -> str:
    """A text as it was typed but for its traditional characters, which `text` has simplified."""
    pairs = zip(text, typed, strict=True)
    return "".join(new if FIRST_CHARACTER <= new <= LAST_CHARACTER else old for new, old in pairs)


def _rises(before: Passage | None, after: Passage | None, *, short: bool) -> bool:
    """Whether the best passage for a corrected text fits it better than the one before did.

    Args:
        short: only words of two characters were corrected. Many others sound or look like those,
            so the passage must have more of the text, not just be likelier.
    """
    if after is None or before is None:
        return after is not None
    if short:
        return after.breadth > before.breadth + RISE
    return (
        after.breadth > before.breadth
        or after.confidence > before.confidence + RISE
        or after.closeness > before.closeness + RISE
    )
