"""Answers → what a person on a messaging platform is told; hides conversations and addresses."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from kb.passages import Citation
from kb.validity import Validity
from service import guards, wording
from service.answering import Answerer
from service.channels import Option, Reply
from service.conversations import Answer, Conversations, Outcome, Question, Reach
from service.inbound import Claim
from service.presentation import citation_url, rewrite_json

log = logging.getLogger(__name__)

# A question within this time of the last one belongs to the same conversation.
SAME_CONVERSATION = timedelta(hours=4)
MAX_OPTIONS = 3
# What can be a basis today; a repealed text is named only to say that it is repealed.
STANDING = (Validity.IN_FORCE, Validity.UNKNOWN)


class Replies:
    """Has questions of people on platforms answered.

    Args:
        public_url: address under which citizens reach the service; empty for none.
        region: code of the region that questions are asked in; None for any.
        today: the day whose law applies.
    """

    def __init__(
        self,
        answerer: Answerer,
        conversations: Conversations,
        *,
        public_url: str,
        region: str | None,
        today: Callable[[], date],
    ) -> None:
        self._answerer = answerer
        self._conversations = conversations
        self._tuning = answerer.tuning
        self._public_url = public_url
        self._region = region
        self._today = today

    def answer(self, claim: Claim, now: datetime) -> tuple[Reply, str]:
        """What to say to a claimed message, and the conversation it belongs to.

        Never raises. A reply without words is right where an operator has the conversation.
        """
        conversation = ""
        try:
            since = now - SAME_CONVERSATION
            conversation = self._conversations.latest(claim.person, since=since) or ""
            if not claim.question:
                return Reply(wording.TRY_AGAIN), conversation
            banner = self._banner(conversation)
            answer = self._answerer.answer(
                Question(
                    text=claim.question,
                    as_of=self._today(),
                    channel=claim.channel,
                    region=self._region,
                    conversation_id=conversation or None,
                    person=claim.person,
                    answer_id=claim.answer_id,
                    reach=Reach(claim.account, claim.reply_to) if claim.reply_to else None,
                )
            )
            reply = reply_of(answer, self._public_url)
            return _with_banner(reply, banner), answer.conversation_id
        except Exception:
            # Whatever it is: a person is waiting for words.
            log.exception("answering a message failed")
            return Reply(wording.TRY_AGAIN), conversation

    def welcome(self) -> Reply:
        """What is said to somebody who has just come."""
        return Reply(self._tuning.current().welcome)

    def _banner(self, conversation: str) -> str:
        """What everybody is to know, once in each conversation; empty for nothing new."""
        found = self._tuning.banner()
        if found is None:
            return ""
        since = found.since
        told = conversation and since and self._conversations.spoken_since(conversation, since)
        return "" if told else wording.banner(found.level_name, found.text)

    def erase(self, person: str) -> None:
        """Delete what a person asked and was told."""
        self._conversations.erase(person)

    def erase_one(self, conversation_id: str) -> None:
        """Delete one conversation."""
        self._conversations.erase_one(conversation_id)


def reply_of(answer: Answer, public_url: str) -> Reply:
    """An answer in a form that every channel can dress.

    Args:
        public_url: address under which citizens reach the service; empty for none.
    """
    entry = answer.entry.entry if answer.entry else None
    # What can be chosen by number is what the dialogue takes a number for, in the same order.
    return Reply(
        text=_with_notice(answer),
        short=entry.short_answer if entry and not answer.ai_generated else "",
        source=_source(answer),
        url=_url(answer, public_url),
        options=tuple(Option(each.label, each.question) for each in answer.offered[:MAX_OPTIONS]),
        label=wording.GENERATED if answer.ai_generated else "",
    )


def _with_banner(reply: Reply, banner: str) -> Reply:
    """A reply with a notice to everybody before it; one without words stays without."""
    if not banner or not reply.text:
        return reply
    short = f"{banner}\n\n{reply.short}" if reply.short else ""
    return replace(reply, text=f"{banner}\n\n{reply.text}", short=short)


def problem_reply(text: str) -> Reply | None:
    """Kind words about a text that cannot be answered; None for one that can."""
    problem = guards.problem_with(guards.clean(text)) or guards.problem_with(text)
    return Reply(wording.cannot_read(problem)) if problem else None


def _with_notice(answer: Answer) -> str:
    """The text under what was understood in place of what was asked, if that was anything else."""
    notice = wording.understood_as([rewrite_json(each) for each in answer.rewrites])
    text = _with_contact(answer)
    return f"{notice}\n\n{text}" if notice and text else text


def _with_contact(answer: Answer) -> str:
    if answer.outcome is not Outcome.UNANSWERABLE or answer.contact.phone in answer.text:
        return answer.text
    return f"{answer.text}\n{wording.ask_instead(answer.contact.department, answer.contact.phone)}"


def _source(answer: Answer) -> str:
    """The basis in one line; empty where the text names it, or where nothing stands today."""
    if answer.outcome not in (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE):
        return ""
    cited = _standing(answer.citations)
    if cited is None or (f"《{cited.title}》" in answer.text and cited.locator in answer.text):
        return ""
    return wording.basis(cited.title, cited.locator)


def _url(answer: Answer, public_url: str) -> str:
    """Where the full answer is; empty where there is none, or no public address."""
    if not public_url or answer.outcome not in (Outcome.ANSWERED, Outcome.ANSWERED_CLAUSE):
        return ""
    if answer.entry and answer.entry.entry:
        path: str | None = f"/entries/{answer.entry.entry.id}"
    else:
        cited = _standing(answer.citations)
        path = citation_url(cited) if cited else None
    return f"{public_url.rstrip('/')}{path}" if path else ""


def _standing(citations: Sequence[Citation]) -> Citation | None:
    return next((each for each in citations if each.validity in STANDING), None)
