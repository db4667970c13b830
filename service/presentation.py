"""Values → the JSON of the public contract; the only place that names its keys."""

from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

from kb.highlighting import Pieces, contains, extract, highlighted
from kb.library import DocumentView
from kb.lookup import Named
from kb.passages import Citation, Passage
from kb.regions import Regions
from kb.understanding import Rewrite, Understood
from service.conversations import Answer
from service.desk.handoff import Words
from service.wording import VALIDITY, understood_as


def answer_json(answer: Answer, regions: Regions) -> dict[str, Any]:
    """The body of an answer, without `ok` and `request_id`."""
    return {
        "conversation_id": answer.conversation_id,
        "answer_id": answer.id,
        "outcome": answer.outcome.value,
        "text": answer.text,
        "ai_generated": answer.ai_generated,
        "confidence": round(answer.confidence, 3),
        "question_understood": answer.understood,
        "rewrites": [rewrite_json(each) for each in answer.rewrites],
        "notice": understood_as([rewrite_json(each) for each in answer.rewrites]),
        "entry": entry_json(answer.entry, regions) if answer.entry else None,
        "citations": [citation_json(cited) for cited in answer.citations],
        "passages": [passage_json(passage, regions) for passage in answer.passages],
        "options": [{"label": each.label, "question": each.question} for each in answer.options],
        "suggestions": list(answer.suggestions),
        "contact": {"department": answer.contact.department, "phone": answer.contact.phone},
    }


def rewrite_json(rewrite: Rewrite) -> dict[str, str]:
    """What was changed in a question."""
    return {"kind": rewrite.kind, "from": rewrite.from_, "to": rewrite.to}


def entry_json(passage: Passage, regions: Regions) -> dict[str, Any]:
    """A reviewed entry; `passage.kind` must be "entry"."""
    entry = passage.entry
    if entry is None:
        raise ValueError("not an entry")
    return {
        "id": entry.id,
        "code": entry.code,
        "question": entry.question,
        "answer": entry.answer,
        "short_answer": entry.short_answer,
        "department": passage.department,
        "phone": entry.phone,
        "region": passage.region_code,
        "region_name": regions.name(passage.region_code),
        "topic": passage.topic,
        "tags": list(passage.tags),
        "audience": passage.audience,
        "effective_on": _iso(passage.effective_on),
        "expires_on": _iso(passage.expires_on),
        "validity": passage.validity.value,
        "updated_at": entry.updated_at.isoformat(timespec="seconds"),
        "version": entry.version,
        "url": f"/entries/{entry.id}",
    }


def citation_json(cited: Citation) -> dict[str, Any]:
    """A place in a document, with its words and its standing."""
    return {
        "document_id": cited.document_id,
        "title": cited.title,
        "document_number": cited.document_number,
        "issuer": cited.issuer,
        "locator": cited.locator,
        "text": cited.text,
        "validity": cited.validity.value,
        "validity_text": VALIDITY[cited.validity.value],
        "effective_on": _iso(cited.effective_on),
        "expires_on": _iso(cited.expires_on),
        "repealed_on": _iso(cited.repealed_on),
        "successor": _successor(cited.successor),
        "url": citation_url(cited),
    }


def citation_url(cited: Citation) -> str | None:
    """The page of a citation; None for a document that is not in the base."""
    if cited.document_id is None:
        return None
    anchor = f"#clause-{cited.clause_id}" if cited.clause_id else ""
    return f"/documents/{cited.document_id}{anchor}"


def passage_json(passage: Passage, regions: Regions) -> dict[str, Any]:
    """A search result."""
    return {
        "key": passage.key,
        "kind": passage.kind,
        "title": passage.title,
        "text": passage.text,
        "locator": _place(passage),
        "department": passage.department,
        "topic": passage.topic,
        "region": passage.region_code,
        "region_name": regions.name(passage.region_code),
        "validity": passage.validity.value,
        "confidence": round(passage.confidence, 3),
        "url": passage_url(passage),
    }


def result_json(passage: Passage, regions: Regions, understood: Understood) -> dict[str, Any]:
    """A search result with what of it matched.

    `highlight` is HTML, escaped but for its <mark>; `matched_by` names the changes to the question
    without which it would not have been found by its words.
    """
    title, text = pieces(passage, understood)
    return {
        **passage_json(passage, regions),
        "highlight": {"title": _as_html(title), "text": _as_html(text)},
        "matched_by": [rewrite_json(each) for each in matched_by(passage, understood)],
    }


def pieces(passage: Passage, understood: Understood) -> tuple[Pieces, Pieces]:
    """Title and extract of a result in pieces, each with whether it matched."""
    sought = (understood.text, *understood.also.split())
    title = passage.title if passage.kind == "entry" else f"《{passage.title}》{_place(passage)}"
    return highlighted(title, *sought), extract(passage.text, *sought)


def matched_by(passage: Passage, understood: Understood) -> list[Rewrite]:
    """Changes to a question whose new word a result has, and not the one that was typed."""
    held = f"{passage.title}\n{passage.text}"
    return [
        each
        for each in understood.rewrites
        if contains(held, each.to) and not contains(held, each.from_)
    ]


def named_json(named: Named) -> dict[str, Any]:
    """A document that was asked for by name, and the clause beside it."""
    document, clause = named.document, named.clause
    return {
        "document_id": document.id,
        "title": document.title,
        "document_number": document.document_number,
        "locator": clause.locator if clause else "",
        "validity": document.validity.value,
        "validity_text": VALIDITY[document.validity.value],
        "successor": _successor(document.successor),
        "url": f"/documents/{document.id}" + (f"#clause-{clause.id}" if clause else ""),
    }


def document_json(document: DocumentView, regions: Regions) -> dict[str, Any]:
    """A document with all its clauses."""
    return {
        "id": document.id,
        "title": document.title,
        "document_number": document.document_number,
        "issuer": document.issuer,
        "index_number": document.index_number,
        "department": document.department,
        "topic": document.topic,
        "region": document.region_code,
        "region_name": regions.name(document.region_code),
        "source_url": document.source_url,
        "validity": document.validity.value,
        "issued_on": _iso(document.issued_on),
        "effective_on": _iso(document.effective_on),
        "expires_on": _iso(document.expires_on),
        "repealed_on": _iso(document.repealed_on),
        "published_on": _iso(document.published_on),
        "successor": _successor(document.successor),
        "clauses": [
            {
                "id": clause.id,
                "kind": clause.kind,
                "locator": clause.locator,
                "headings": list(clause.headings),
                "text": clause.text,
                "responsible": list(clause.responsible),
                "url": f"/documents/{document.id}#clause-{clause.id}",
            }
            for clause in document.clauses
        ],
    }


def message_json(words: Words) -> dict[str, Any]:
    """Words of an operator, or the service's about one."""
    return {
        "id": words.id,
        "author": words.author,
        "text": words.text,
        "at": words.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def facets_json(facets: Mapping[str, Sequence[tuple[str, int]]]) -> dict[str, Any]:
    """Counts by dimension."""
    return {
        name: [{"value": value, "count": count} for value, count in rows]
        for name, rows in facets.items()
    }


def _place(passage: Passage) -> str:
    """Where in its document a clause stands; empty for an entry or a whole document."""
    clause = passage.kind in ("clause", "interpretation") and passage.citations
    return passage.citations[0].locator if clause else ""


def passage_url(passage: Passage) -> str | None:
    """The page of a search result; None for what has none."""
    if passage.entry:
        return f"/entries/{passage.entry.id}"
    if not passage.citations:
        return None
    cited = passage.citations[0]
    if passage.kind == "document":
        return f"/documents/{cited.document_id}"
    return citation_url(cited)


def _as_html(text: Pieces) -> str:
    return "".join(f"<mark>{escape(p)}</mark>" if matched else escape(p) for p, matched in text)


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _successor(successor: tuple[int, str] | None) -> dict[str, Any] | None:
    return {"document_id": successor[0], "title": successor[1]} if successor else None
