"""Which one question decides between answers: place, who somebody is, or the matter itself.

Hides how entries are told to be variants of one another: their questions differ only in it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kb.passages import Passage
from kb.regions import Regions, nested
from service import wording
from service.conversations import Choice

OPTIONS = 3

# What people are to an office; the longest names first.
_IDENTITY = re.compile(
    "灵活就业人员|灵活就业|个体工商户|高校毕业生|城乡居民|城镇职工|在职职工|退休人员|退役军人|失业人员|残疾人"
    "|农民工|大学生|未成年人|新生儿|老年人|外国人|港澳居民|台湾居民|企业|单位|个人|职工|居民|在职|退休|学生"
    "|农民|儿童|老人|低保户"
)


@dataclass(frozen=True)
class Clarification:
    """One question back, with what can be said to it."""

    text: str
    choices: tuple[Choice, ...]


class Clarifying:
    """Asks back where the answer depends on it."""

    def __init__(self, regions: Regions) -> None:
        self._regions = regions

    def variants(self, asked: str, best: Passage, passages: Sequence[Passage]) -> list[Passage]:
        """The best entry and those that answer the same question for another place or person.

        Empty where the question itself says which is meant, or where there is only one.
        """
        own = self._matter(best.title)
        found = [best]
        for each in passages:
            if each.kind == "entry" and each.key != best.key and self._matter(each.title) == own:
                apart = not nested(each.region_code, best.region_code)
                if apart or (_identity(each) != _identity(best) and not _IDENTITY.search(asked)):
                    found.append(each)
        return found if len(found) > 1 else []

    def choice(self, asked: str, likely: Sequence[Passage]) -> Clarification:
        """The question back for entries of which one is meant; there is at least one."""
        likely = likely[:OPTIONS]
        for text, label in (
            (wording.WHICH_PLACE, self._place),
            (wording.WHO_ARE_YOU, _identity),
        ):
            labels = _distinct(likely, label)
            if labels and len({self._matter(each.title) for each in likely}) == 1:
                choices = (
                    Choice(name, f"{name}{asked}" if text is wording.WHICH_PLACE else each.title)
                    for name, each in zip(labels, likely, strict=True)
                )
                return Clarification(text, tuple(choices))
        text = wording.CLARIFY if len(likely) > 1 else wording.CLARIFY_ONE
        return Clarification(text, tuple(Choice(each.title, each.title) for each in likely))

    def _place(self, passage: Passage) -> str:
        return self._regions.name(passage.region_code) if passage.region_code else ""

    def _matter(self, title: str) -> str:
        """A question without the places and the kinds of people in it."""
        for each in reversed(self._regions.mentions(title)):
            title = title[: each.start] + title[each.stop :]
        return re.sub(r"[\s？?的在]", "", _IDENTITY.sub("", title))


def _identity(passage: Passage) -> str:
    found = _IDENTITY.search(passage.title)
    return found[0] if found else passage.audience.replace(",", "、")


def _distinct(passages: Sequence[Passage], label: Callable[[Passage], str]) -> list[str]:
    """A label for each passage; empty unless every one has its own."""
    labels = [label(each) for each in passages]
    return labels if len(labels) > 1 and len(set(labels) - {""}) == len(labels) else []
