"""Pages on which administrators look after accounts; each change is a form that says what it did.

Hides which fields a form may set: whatever else is sent is not looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for

from kb.errors import Conflict, NotFound
from service.accounts import ROLES, Account
from service.errors import InvalidRequest
from service.people import People, Profile, Wanted
from service.web.admin import section
from service.web.runtime import runtime
from service.web.sign_in import current_user, typed

STATES = {"active": "正常", "locked": "已锁定", "disabled": "已停用"}
PER_PAGE = 50
_LONGEST = 128
# What one button each does, by the last part of its address.
_STEPS: Mapping[str, Callable[..., object]] = {
    "disable": People.disable,
    "enable": People.enable,
    "unlock": People.unlock,
    "sign-out": People.end_sessions,
    "factor": People.reset_factor,
}
_DONE = {
    "disable": "已停用，这个账号的登录已全部退出。",
    "enable": "已恢复，可以登录了。",
    "unlock": "已解除锁定。",
    "sign-out": "已退出这个账号的全部登录。",
    "factor": "已取消手机验证码，下次登录只用密码。",
    "change": "已保存，立即生效。",
}


def build() -> Blueprint:
    """The blueprint; for those who manage people."""
    pages = section(Blueprint("people", __name__, url_prefix="/admin/people"), "people.manage")

    @pages.context_processor
    def _common() -> dict[str, object]:
        return {"states": STATES}

    @pages.get("")
    def listed() -> str:
        return _listed()

    @pages.get("/new")
    def new() -> Response:
        return _new_page(Profile("", "editor", region_code=current_user().region_code))

    @pages.post("")
    def add() -> Response:
        return _add()

    @pages.get("/<int:number>")
    def one(number: int) -> Response:
        account = _people().one(number, by=current_user())
        return _one_page(account, done=_DONE.get(request.args.get("done", ""), ""))

    @pages.post("/<int:number>")
    def change(number: int) -> Response:
        return _change(number)

    @pages.post("/<int:number>/password")
    def password(number: int) -> Response:
        people = _people()
        account = people.one(number, by=current_user())
        made = people.reset_password(number, by=current_user())
        return _password_page(account, made, new=False)

    for step in _STEPS:
        address, defaults = f"/<int:number>/{step}", {"step": step}
        pages.add_url_rule(address, step, _act, defaults=defaults, methods=["POST"])

    return pages


def _people() -> People:
    return runtime().people


def _listed() -> str:
    given = {name: request.args.get(name, "")[:_LONGEST].strip() for name in Wanted.__annotations__}
    people, me = _people(), current_user()
    found = people.all(Wanted(**given), by=me)
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), pages)

    def address(number: int) -> str:
        kept = {name: value for name, value in given.items() if value}
        return f"{url_for('people.listed')}?{urlencode({**kept, 'page': number})}"

    return render_template(
        "admin/people.html",
        found=found[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(found),
        wanted=given,
        departments=sorted({each.department for each in people.all(by=me)} - {""}),
        page=page,
        pages=pages,
        address=address,
    )


def _add() -> Response:
    given = _given(Profile(typed("name")[:_LONGEST], ""))
    try:
        profile = _with_region(given)
        made = _people().add(profile, by=current_user())
    except InvalidRequest as error:
        return _new_page(given, 400, problems=error.fields)
    except Conflict as error:
        return _new_page(given, 409, problems={"name": str(error)})
    return _password_page(_people().named(profile.name), made, new=True)


def _change(number: int) -> Response:
    account = _people().one(number, by=current_user())
    given = _given(Profile(account.name, account.role))
    try:
        seen = request.form.get("seen", -1, type=int)
        _people().change(number, _with_region(given), by=current_user(), seen=seen)
    except InvalidRequest as error:
        return _one_page(account, 400, given=given, problems=error.fields)
    except Conflict as error:
        return _one_page(account, 409, given=given, refused=str(error))
    return _to(number, "change")


def _act(number: int, step: str) -> Response:
    people, me = _people(), current_user()
    try:
        _STEPS[step](people, number, by=me)
    except Conflict as error:
        return _one_page(people.one(number, by=me), 409, refused=str(error))
    return _to(number, step)


def _given(profile: Profile) -> Profile:
    """A profile with what the form says; the region still as it was typed."""
    return replace(
        profile,
        role=typed("role"),
        display_name=typed("display_name")[:_LONGEST],
        department=typed("department")[:_LONGEST],
        region_code=typed("region")[:_LONGEST].strip(),
    )


def _with_region(profile: Profile) -> Profile:
    try:
        code = runtime().regions.resolve(profile.region_code or "")
    except NotFound as error:
        raise InvalidRequest({"region": str(error)}) from error
    return replace(profile, region_code=code)


def _new_page(
    given: Profile, status: int = 200, *, problems: Mapping[str, str] | None = None
) -> Response:
    page = render_template(
        "admin/people_new.html", given=given, problems=problems or {}, **_choices()
    )
    return make_response(page, status)


def _one_page(
    account: Account,
    status: int = 200,
    *,
    given: Profile | None = None,
    problems: Mapping[str, str] | None = None,
    **said: str,
) -> Response:
    """The page of an account.

    Args:
        given: what was typed, where it could not be kept.
        said: `done` or `refused`.
    """
    page = render_template(
        "admin/people_one.html",
        account=account,
        given=given or account,
        problems=problems or {},
        own=account.id == current_user().id,
        **said,
        **_choices(),
    )
    return make_response(page, status)


def _choices() -> dict[str, object]:
    me = current_user()
    known = _people().all(by=me)
    return {
        "titles": {role: f"{title}：{_DOES[role]}" for role, title in ROLES.items()},
        "departments": sorted({each.department for each in known} - {""}),
        "own_region": me.region_code,
    }


_DOES = {
    "admin": "管理账号和设置，也能编辑、审核",
    "editor": "写本单位的问答，导入本单位的文件",
    "reviewer": "审核本单位的问答和文件，其他单位的可以看",
    "operator": "接热线，用坐席台",
    "auditor": "什么都能看，包括审计记录；什么都不能改",
}


def _password_page(account: Account, password: str, *, new: bool) -> Response:
    page = render_template("admin/people_password.html", account=account, made=password, new=new)
    return make_response(page, 200)


def _to(number: int, done: str) -> Response:
    address = url_for("people.one", number=number, done=done)
    return redirect(address, code=303)  # type: ignore[return-value]
