"""Public pages, all of which work without JavaScript: ask, search, documents, entries."""

from flask import Blueprint, render_template, request
from pydantic import ValidationError

from service import guards
from service.conversations import Question
from service.presentation import citation_url
from service.web.api import SearchQuery, resolve_region, search_page
from service.web.metrics import Metrics
from service.web.runtime import runtime
from service.wording import VALIDITY, display_date

EXAMPLES = (
    "灵活就业人员怎么交社保？",
    "公积金怎么提取？",
    "居住证怎么办理？",
    "被公司辞退有补偿吗？",
    "失业金怎么领？",
    "怎么开办一家公司？",
)


def build(metrics: Metrics) -> Blueprint:
    """The blueprint; open to anyone."""
    pages = Blueprint("pages", __name__)
    pages.add_app_template_filter(display_date, "day")
    pages.add_app_template_filter(citation_url, "citation_url")

    @pages.app_context_processor
    def _common() -> dict[str, object]:
        return {"validity_names": VALIDITY, "region_name": runtime().regions.name}

    @pages.get("/")
    def ask() -> str | tuple[str, int]:
        text = request.args.get("q", "")
        if not text:
            return render_template("ask.html", examples=EXAMPLES)
        problem = guards.problem_with(text)
        if problem:
            shown = text[: guards.MAX_QUESTION]
            return render_template(
                "ask.html", examples=EXAMPLES, question=shown, problem=problem
            ), 400
        asked = Question(
            text=text,
            as_of=runtime().today(),
            region=resolve_region(request.args.get("region")),
            conversation_id=_conversation(),
        )
        answer = runtime().answerer.answer(asked)
        metrics.answer(answer.outcome.value, "web")
        return render_template("ask.html", examples=EXAMPLES, question=text, answer=answer)

    @pages.post("/feedback")
    def feedback() -> str:
        runtime().conversations.rate(
            request.form.get("answer_id", "")[:32],
            helpful=request.form.get("helpful") == "yes",
            comment=request.form.get("comment", "")[:1000],
        )
        return render_template("thanks.html")

    @pages.get("/search")
    def search() -> str | tuple[str, int]:
        if not request.args.get("q"):
            return render_template("search.html", query=None, page=None)
        try:
            query = SearchQuery.model_validate(request.args.to_dict())
        except ValidationError:
            text = request.args["q"][: guards.MAX_QUESTION]
            problem = guards.problem_with(request.args["q"]) or "检索条件不对，请重新选择"
            return render_template(
                "search.html", query=None, page=None, text=text, problem=problem
            ), 400
        return render_template("search.html", query=query, page=search_page(query))

    @pages.get("/documents/<int:document_id>")
    def document(document_id: int) -> str:
        found = runtime().library.document(document_id, runtime().today())
        return render_template("document.html", document=found)

    @pages.get("/entries/<int:entry_id>")
    def entry(entry_id: int) -> str:
        found = runtime().library.entry(entry_id, runtime().today())
        return render_template("entry.html", passage=found, entry=found.entry)

    return pages


def _conversation() -> str | None:
    given = request.args.get("conversation", "")
    return given if given.isalnum() and len(given) <= 32 else None
