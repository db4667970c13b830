"""Where a clause stands in its document; hides how such a position is worded as a citation."""

from __future__ import annotations

from dataclasses import dataclass

#: Levels of a position, outermost first. The first seven are those of laws (Legislation Law,
#: article 65), the rest those of circulars (GB/T 9704: 一、 （一） 1. （1）, then ①).
LEVELS = (
    "annex",
    "part",
    "subpart",
    "chapter",
    "section",
    "article",
    "question",
    "first",
    "second",
    "third",
    "decimal",
    "subdecimal",
    "fourth",
    "fifth",
)
_ENCLOSING = ("part", "subpart", "chapter", "section")
_DOTTED = ("decimal", "subdecimal")
_SUFFIX = {"first": "、", "third": "."}


@dataclass(frozen=True)
class Step:
    """One level of a position: ``level`` is one of LEVELS, ``label`` is as printed (``（三）``)."""

    level: str
    label: str


@dataclass(frozen=True)
class Locator:
    """A position as the path of its steps, outermost first; empty for text without a position."""

    path: tuple[Step, ...] = ()

    def at(self, level: str) -> str:
        """Return the label printed at ``level``, or an empty string where there is none."""
        return next((step.label for step in self.path if step.level == level), "")

    @property
    def part(self) -> str:
        """The 编, e.g. ``第一编``."""
        return self.at("part")

    @property
    def chapter(self) -> str:
        """The 章, e.g. ``第三章``."""
        return self.at("chapter")

    @property
    def section(self) -> str:
        """The 节, e.g. ``第二节``."""
        return self.at("section")

    @property
    def article(self) -> str:
        """The 条, e.g. ``第十二条之一``."""
        return self.at("article")

    @property
    def annex(self) -> str:
        """The annex, e.g. ``附件1``."""
        return self.at("annex")

    def __str__(self) -> str:
        """The citation: ``第十二条``, ``一、（二）3.``, ``附件1 第三条``.

        An article or a numbered item is cited without the 编章节 around it, since its own number
        is unique; text under a heading only is cited by the innermost heading.
        """
        inner = [step for step in self.path if step.level not in ("annex", *_ENCLOSING)]
        if not inner:
            inner = [step for step in self.path if step.level in _ENCLOSING][-1:]
        if any(step.level == "article" for step in inner):
            inner = [step for step in inner if step.level != "first"]
        dotted = [step for step in inner if step.level in _DOTTED]
        if dotted:
            spoken = {*_DOTTED, "third"}  # 1.2.3 names them all
            inner = [s for s in inner if s.level not in spoken or s is dotted[-1]]
        words = "".join(step.label + _SUFFIX.get(step.level, "") for step in inner)
        return " ".join(word for word in (self.annex, words) if word)
