"""Revisions of one document among each other: which counts from when, and which awaits review."""

from datetime import date
from itertools import pairwise

from kb.errors import Conflict
from kb.models import Document, Revision


def expect_pending(document: Document, number: int) -> Revision:
    """The newest revision of a document, which must wait for review and have that number.

    Raises:
        Conflict: it is public, sent back, or another one.
    """
    revision = document.revisions[-1]
    if revision.number != number:
        raise Conflict(f"已经有更新的第 {revision.number} 版，请刷新页面")
    if revision.published_at is not None:
        raise Conflict("这一版已经发布")
    if revision.reason:
        raise Conflict("这一版已经退回，请改正后再审核")
    return revision


def start(revision: Revision) -> date:
    """The first day of a revision; the earliest of all where it bears none."""
    return revision.effective_on or revision.issued_on or date.min


def repealable(document: Document, on: date) -> bool:
    """Whether a repeal from a day on means a document: not what began later or ended before."""
    if document.repealed_on is not None and document.repealed_on <= on:
        return False
    known = [each for each in document.revisions if each.published_at] or document.revisions
    return max(map(start, known)) < on


def order_periods(document: Document) -> None:
    """Let each published revision end where the next one begins, in order of their first days.

    One without any date is taken to replace all that were imported before it.
    """
    published = [each for each in document.revisions if each.published_at]
    starts: dict[int, date] = {}
    for each in published:
        dated = each.effective_on or each.issued_on
        starts[each.number] = dated or max(starts.values(), default=date.min)
    published.sort(key=lambda each: (starts[each.number], each.number))
    for older, newer in pairwise(published):
        older.superseded_on = starts[newer.number]
    latest = published[-1]
    latest.superseded_on = None
    document.document_number = latest.document_number or document.document_number
