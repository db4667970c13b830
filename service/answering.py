"""What somebody says → what is said back, from one public method that never raises.

Whoever talks with an operator is left to them; remarks get a line; what refers to the conversation
is read in its light; everything else is answered from the base by `service.policies`.
"""

import logging
import time
import uuid
from dataclasses import replace

from kb.followups import Matter, asks_of_any, matter_of
from kb.search import Scope
from kb.understanding import Rewrite, Understanding, Understood
from service import guards, wording
from service.composing.composers import Composer
from service.conversations import (
    Answer,
    Choice,
    Context,
    Conversations,
    Outcome,
    Question,
)
from service.desk.handoff import Handoffs
from service.dialogue import Turn, Wish, item, read
from service.policies import Policies, resting_on
from service.tunables import Tuned
from service.tuning import Tuning

log = logging.getLogger(__name__)


class Answerer:
    """Answers questions from the knowledge base and keeps a record.

    Attributes:
        tuning: what administrators set.
    """

    def __init__(
        self,
        understanding: Understanding,
        conversations: Conversations,
        tuning: Tuning,
        *,
        composer: Composer,
        handoffs: Handoffs,
    ) -> None:
        self._understanding = understanding
        self._regions = understanding.search.regions
        self._conversations = conversations
        self.tuning = tuning
        self._composer = composer
        self._handoffs = handoffs

    def answer(self, question: Question) -> Answer:
        """Answer a question. Never raises: failure is an outcome with words of its own."""
        began = time.perf_counter()
        tuned = self.tuning.current()
        asked = replace(question, text=guards.clean(question.text))
        after: Context | None = None
        try:
            asked, before = self._conversations.resume(asked)
            answer = (
                self._with_operator(asked)
                or _stopped(asked, tuned)
                or self._small_talk(asked, tuned)
            )
            if answer is None:
                asked, answer, after = self._in_context(asked, before, tuned)
        except Exception:
            # Whatever it is: a person is waiting for words, not for a trace.
            log.exception("answering failed")
            # Whose the conversation is may be unknown: nothing is added to it.
            asked = replace(asked, conversation_id=None)
            answer = Answer(Outcome.ERROR, wording.TRY_AGAIN)
        answer = replace(
            answer,
            id=asked.answer_id or uuid.uuid4().hex,
            conversation_id=asked.conversation_id or uuid.uuid4().hex,
        )
        milliseconds = round((time.perf_counter() - began) * 1000)
        try:
            self._conversations.record(asked, answer, milliseconds, after)
        except Exception:
            # An answer that cannot be recorded is still an answer.
            log.exception("recording an answer failed")
        answer = self._handed_over(asked, answer, tuned)
        log.info("answered", extra={"outcome": answer.outcome.value, "ms": milliseconds})
        return answer

    def tried(self, question: Question, tuned: Tuned) -> Answer:
        """What would be answered with some settings outside any conversation; leaves no trace."""
        asked = replace(question, text=guards.clean(question.text))
        return self._small_talk(asked, tuned) or self._in_context(asked, Context(), tuned)[1]

    def _with_operator(self, question: Question) -> Answer | None:
        """While an operator has the conversation, words go there and the service keeps silent."""
        number = question.conversation_id
        if number is None or not self._handoffs.said(number, question.text):
            return None
        # Where somebody is in danger, no operator is quick enough.
        danger = guards.small_talk(question.text) == "danger"
        return Answer(
            Outcome.HANDED_OFF, wording.DANGER if danger else "", understood=question.text
        )

    def _handed_over(self, question: Question, answer: Answer, tuned: Tuned) -> Answer:
        """An answer once who asked for a person is in the queue; else whom they can ring."""
        if answer.text != tuned.to_person:
            return answer
        try:
            if self._handoffs.open(question, answer.conversation_id):
                return answer
        except Exception:
            log.exception("handing over failed")
        return replace(answer, text=tuned.to_hotline)

    def _small_talk(self, question: Question, tuned: Tuned) -> Answer | None:
        kind = guards.small_talk(question.text)
        # Who asks for a person while nobody is there is told when somebody is, and not queued.
        closed = self.tuning.closed() if kind == "person" else ""
        to_person = (closed or tuned.to_person) if question.reach else tuned.to_hotline
        said = {
            "danger": (Outcome.HANDED_OFF, wording.DANGER),
            "person": (Outcome.HANDED_OFF, to_person),
            "greeting": (Outcome.ANSWERED, tuned.greeting),
            "thanks": (Outcome.ANSWERED, wording.THANKS),
            "noted": (Outcome.ANSWERED, wording.NOTED),
        }.get(kind)
        if said is None:
            return None
        return Answer(said[0], said[1], confidence=1.0, understood=question.text)

    def _in_context(
        self, asked: Question, before: Context, tuned: Tuned
    ) -> tuple[Question, Answer, Context]:
        """What was asked, the answer to it, and what the conversation is about from now on."""
        typed = guards.impersonal(asked.text)
        turn = read(typed, before)
        if turn.said:
            return asked, *_said(turn, typed, before)
        understood, scope, named = self._understood(turn, asked, before, tuned.steps)
        policies = Policies(self._understanding.search, tuned, self._composer)
        answer = policies.answer(understood, scope)
        if turn.chosen and turn.text != typed:
            rewrite = Rewrite("follow_up", typed, turn.text)
            answer = replace(answer, rewrites=(rewrite, *answer.rewrites))
        answer = self._of_place(answer, named)
        answer = _wished(turn, _once(answer, before))
        after = Context(
            matter=_matter(turn, understood, answer, before),
            last=understood.text,
            region=named,
            choices=_choices(answer, asked),
            clarified=answer.outcome is Outcome.CLARIFY,
        )
        # Who chooses "2" asks the question that it stands for.
        chosen = turn.chosen and turn.wish is Wish.ASK
        return replace(asked, text=turn.text) if chosen else asked, answer, after

    def _understood(
        self, turn: Turn, asked: Question, before: Context, steps: tuple[str, ...]
    ) -> tuple[Understood, Scope, str | None]:
        """What to look for, where, and the place that was named for it."""
        place = self._understanding.place(turn.text, asked.region, steps=steps)
        text = (place.rest or before.matter.question or turn.text) if place else turn.text
        # What goes on from the last question keeps its place, unless it names another.
        kept = place.code if place else before.region
        scope = Scope(as_of=asked.as_of, region=kept or asked.region)
        after = None if turn.chosen else before.matter
        understood = self._understanding.understand(text, scope, after=after, steps=steps)
        follows = turn.wish is not Wish.ASK or _follows(understood)
        named = kept if place or follows else None
        return understood, replace(scope, region=named or asked.region), named

    def _of_place(self, answer: Answer, named: str | None) -> Answer:
        """An answer that says whose rules it gives, where a place was named."""
        if named is None:
            return answer
        asked = self._regions.name(named)
        if answer.outcome is Outcome.UNANSWERABLE and not answer.citations:
            return replace(answer, text=wording.no_rules_of(asked, wording.HOTLINE_PHONE))
        source = resting_on(answer)
        if source is None:
            return answer
        rewrite = Rewrite("place", asked, self._regions.name(source.region_code))
        return replace(answer, rewrites=(*answer.rewrites, rewrite))


def _said(turn: Turn, typed: str, before: Context) -> tuple[Answer, Context]:
    """Words that need nothing from the base; what can be chosen stays, if it was asked for."""
    again = before.clarified and not turn.chosen
    answer = Answer(
        Outcome.CLARIFY if again else Outcome.ANSWERED,
        turn.said,
        confidence=1.0,
        understood=typed,
        options=before.choices if again else (),
    )
    return answer, before if again else replace(before, choices=(), clarified=False)


def _choices(answer: Answer, asked: Question) -> tuple[Choice, ...]:
    """What a number stands for after an answer: what was offered and shown."""
    if asked.person:
        return answer.offered
    # A page shows related questions under every answer.
    return answer.options or tuple(Choice(each, each) for each in answer.suggestions)


def _stopped(question: Question, tuned: Tuned) -> Answer | None:
    """What is said while nothing is answered automatically; cries for help and for people pass."""
    urgent = guards.small_talk(question.text) in ("danger", "person")
    if urgent or not tuned.says_stopped(question.channel):
        return None
    text = tuned.stopped_words.format(phone=wording.HOTLINE_PHONE)
    return Answer(Outcome.BLOCKED, text, understood=question.text)


def _follows(understood: Understood) -> bool:
    return any(each.kind == "follow_up" for each in understood.rewrites)


def _matter(turn: Turn, understood: Understood, answer: Answer, before: Context) -> Matter:
    """What is spoken of now: the same, where only something about it was asked."""
    half = next((each.from_ for each in understood.rewrites if each.kind == "follow_up"), "")
    if turn.wish is not Wish.ASK or (half and asks_of_any(half)):
        return before.matter
    return matter_of(understood.text, answer.passages)


def _once(answer: Answer, before: Context) -> Answer:
    """An answer that does not ask back again what was just asked back."""
    again = {each.label for each in answer.options} & {each.label for each in before.choices}
    if answer.outcome is not Outcome.CLARIFY or not (before.clarified and again):
        return answer
    contact = answer.contact
    return replace(
        answer,
        outcome=Outcome.UNANSWERABLE,
        text=wording.still_unclear(contact.department, contact.phone),
        suggestions=tuple(each.question for each in answer.options),
        options=(),
    )


def _wished(turn: Turn, answer: Answer) -> Answer:
    """The last answer, or what of it is wanted."""
    entry = answer.entry.entry if answer.entry else None
    if turn.wish is Wish.SHORTER and entry and entry.short_answer:
        return replace(answer, text=entry.short_answer)
    if turn.wish is Wish.SOURCE and answer.outcome in (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE):
        cited = [wording.quoted_again(c.title, c.locator, c.text) for c in answer.citations]
        return replace(answer, text="\n\n".join(cited) or wording.NO_BASIS)
    if turn.wish is Wish.ITEM:
        return _item(turn.number, answer)
    return answer


def _item(number: int, answer: Answer) -> Answer:
    """One item of an answer, else its basis of that number, else the answer with a word on it."""
    found = item(answer.text, number)
    if found:
        return replace(answer, text=wording.item_of(number, found))
    if number <= len(answer.citations) and answer.citations[number - 1].text:
        cited = answer.citations[number - 1]
        return replace(answer, text=wording.quoted_again(cited.title, cited.locator, cited.text))
    return replace(answer, text=f"{wording.no_such_item(number)}\n{answer.text}")
