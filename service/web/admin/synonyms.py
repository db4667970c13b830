"""Pages on which administrators edit synonyms; hides tables, files and the question "how many?".

A group that would touch many questions is saved only once its editor has seen how many.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kb.errors import Conflict, DocumentUnreadable, InvalidEntry
from kb.formats.sheets import read_csv
from kb.formats.workbook import csv_table, harmless
from kb.search import Scope
from kb.thesaurus import Group, words_in
from service import guards
from service.rights import demand
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user, typed

ACTION = "synonyms.write"
PER_PAGE = 50
# A change that touches more questions than this has to be confirmed.
MANY = 50
LOOKED_BACK = timedelta(days=30)
MOST_ROWS = 5000
HEADINGS = ("规范说法", "群众的说法", "启用")
SHOWN = {"": "全部", "own": "自己加的", "edited": "改过的", "off": "已停用"}
_DONE = {
    "saved": "已保存，几秒内全部生效。",
    "on": "已启用。",
    "off": "已停用，随时可以再启用。",
    "dropped": "已删除或恢复原样。",
    "same": "文件里的内容和现在一样，什么都没有变。",
}


def build() -> Blueprint:
    """The blueprint; for those who write synonyms."""
    pages = section(Blueprint("synonyms", __name__, url_prefix="/admin/synonyms"), ACTION)

    @pages.get("")
    def listed() -> Response:
        return _listed()

    @pages.get("/group")
    def group() -> Response:
        official = request.args.get("official", "")[:64]
        held = runtime().thesaurus.group(official) if official else None
        return _group_page(held, held or Group("", ()))

    @pages.post("/group")
    def save() -> Response:
        demand(current_user(), ACTION)
        return _save()

    @pages.post("/<any(on, off, drop):step>")
    def act(step: str) -> Response:
        demand(current_user(), ACTION)
        return _act(step)

    @pages.get("/export.csv")
    def export() -> Response:
        return _export()

    @pages.post("/import")
    def take() -> Response:
        demand(current_user(), ACTION)
        return _take()

    return pages


def _listed(status: int = 200, *, wrong: Mapping[int, str] | None = None) -> Response:
    text = request.args.get("q", "")[:64].strip()
    show = request.args.get("show", "")
    groups = [each for each in runtime().thesaurus.groups() if _fits(each, text, show)]
    pages = max(1, -(-len(groups) // PER_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), pages)

    def address(number: int) -> str:
        kept = {"q": text, "show": show, "page": number}
        return f"{url_for('synonyms.listed')}?{urlencode(kept)}"

    done = request.args.get("done", "")
    count = request.args.get("count", 0, type=int)
    body = render_template(
        "admin/synonyms.html",
        groups=groups[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(groups),
        text=text,
        show=show,
        choices=SHOWN,
        page=page,
        pages=pages,
        address=address,
        done=f"导入了{count}组，几秒内全部生效。" if done == "taken" else _DONE.get(done, ""),
        wrong=wrong or {},
        **_tried(),
    )
    return make_response(body, status)


def _tried() -> dict[str, object]:
    """What a sentence is made of, for the box to try it in."""
    sentence = guards.clean(request.args.get("try", ""))[: guards.MAX_QUESTION]
    if not sentence:
        return {"sentence": "", "tried": None, "without": ()}
    scope = Scope(as_of=runtime().today(), region=current_user().region_code)
    thesaurus = runtime().thesaurus
    said = {word for each in thesaurus.groups() if each.on for word in each.said}
    # Those that the base has no use for are named, lest somebody wonders why nothing happens.
    possible = thesaurus.added(sentence, lambda word: 0.0 if word in said else 1.0)
    understood = runtime().understanding.understand(sentence, scope, steps=("synonym",))
    used = {(each.from_, each.to) for each in understood.rewrites}
    left = [each for each in possible if (each.said, each.official) not in used]
    return {"sentence": sentence, "tried": understood, "without": left}


def _fits(group: Group, text: str, show: str) -> bool:
    kinds = {"own": group.own, "edited": group.edited, "off": not group.on}
    return kinds.get(show, True) and any(text in each for each in (group.official, *group.said))


def _save() -> Response:
    official = " ".join(typed("official").split())[:64]
    given = Group(official, words_in(request.form.get("said", "")[:2000]))
    was = typed("was")[:64]
    thesaurus = runtime().thesaurus
    held = thesaurus.group(was) if was else None
    given = Group(held.official, given.said, held.on) if held else given
    problems = thesaurus.problems(given.official, given.said)
    if not was and given.official in {each.official for each in thesaurus.groups()}:
        problems["official"] = f"已经有“{given.official}”这一组，请到那一组里改"
    if problems:
        return _group_page(held, given, 400, problems=problems)
    touched = _touched(given)
    sure = request.form.get("sure") == "yes"
    if typed("preview") or (sum(touched) > MANY and not sure):
        return _group_page(held, given, touched=touched)
    seen = request.form.get("seen", 0, type=int)
    try:
        thesaurus.save(
            given.official, given.said, actor=current_user().name, seen=seen, on=given.on
        )
    except InvalidEntry as error:
        return _group_page(held, given, 400, problems=error.fields)
    except Conflict as error:
        return _group_page(held, given, 409, problems={"said": str(error)})
    return _back("saved", q=given.official)


def _touched(group: Group) -> tuple[int, int]:
    """How many published wordings, and recent questions, have words of a group."""
    since = runtime().now() - LOOKED_BACK
    return (
        runtime().thesaurus.wordings_with(group.said),
        runtime().lab.asked_with(group.said, since),
    )


def _group_page(
    held: Group | None,
    given: Group,
    status: int = 200,
    *,
    problems: Mapping[str, str] | None = None,
    touched: tuple[int, int] | None = None,
) -> Response:
    page = render_template(
        "admin/synonym_group.html",
        held=held,
        given=given,
        problems=problems or {},
        touched=touched,
        many=MANY,
    )
    return make_response(page, status)


def _act(step: str) -> Response:
    official, thesaurus, me = typed("official")[:64], runtime().thesaurus, current_user().name
    if step == "drop":
        thesaurus.drop(official, actor=me)
        return _back("dropped")
    thesaurus.switch(official, on=step == "on", actor=me)
    return _back(step, q=official)


def _export() -> Response:
    rows = (
        (harmless(each.official), harmless("|".join(each.said)), "是" if each.on else "否")
        for each in sorted(runtime().thesaurus.groups(), key=lambda group: group.official)
    )
    response = make_response(csv_table(HEADINGS, rows))
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="synonyms.csv"'
    return response


def _take() -> Response:
    upload = request.files.get("file")
    if upload is None or not upload.filename:
        return _listed(400, wrong={0: "请先选择文件"})
    try:
        groups = dict(_rows(upload.read()))
    except DocumentUnreadable as error:
        return _listed(422, wrong={0: str(error)})
    count, wrong = runtime().thesaurus.take(list(groups.values()), actor=current_user().name)
    if wrong:
        lines = list(groups)
        return _listed(422, wrong={lines[at]: said for at, said in wrong.items()})
    return _back("taken", count=str(count)) if count else _back("same")


def _rows(data: bytes) -> Iterator[tuple[int, Group]]:
    """Line → group, of a CSV file.

    Raises:
        DocumentUnreadable: it is no such table.
    """
    table = {number: [str(cell or "").strip() for cell in row] for number, row in read_csv(data)}
    lines = iter(table.items())
    _, head = next(lines, (0, []))
    if tuple(head[:2]) != HEADINGS[:2]:
        raise DocumentUnreadable(f"第一行应是：{'、'.join(HEADINGS)}")
    if len(table) > MOST_ROWS:
        raise DocumentUnreadable(f"一次最多{MOST_ROWS}行")
    for number, cells in lines:
        official, said, on = (*cells, "", "", "")[:3]
        if official or said:
            plain = official.removeprefix("'"), said.removeprefix("'")
            yield number, Group(plain[0], words_in(plain[1]), on not in ("否", "停用", "0"))


def _back(done: str, **parameters: str) -> Response:
    query = urlencode({"done": done, **parameters})
    return redirect(f"{url_for('synonyms.listed')}?{query}", code=303)  # type: ignore[return-value]
