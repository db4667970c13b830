"""Signing in and out, and the guard before everything that only staff may use.

Hides the session cookie, the tokens that forms carry, and where people are sent.
"""

import hmac
from typing import TypeVar

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from markupsafe import Markup

from service.accounts import HOW_TO_BEGIN, ROLES, Account
from service.errors import (
    Forbidden,
    InvalidRequest,
    NotSignedIn,
    SignInRefused,
    StaleForm,
    TooManyRequests,
)
from service.sessions import new_token
from service.web.access import client_address
from service.web.requests import local, referring_page, wants_page
from service.web.runtime import runtime

# The blueprint of the own account, which is open when something is due.
OWN_ACCOUNT = "account"
_GUARDS = "policyqa.guards"
_HARMLESS = frozenset(("GET", "HEAD", "OPTIONS"))
_STALE = "这一页放得太久了，请再提交一次。如果总是这样，请允许浏览器保存 Cookie。"
_MOST_TYPED = 1000

_Guarded = TypeVar("_Guarded", bound=Blueprint)


def guarded(blueprint: _Guarded, *roles: str) -> _Guarded:
    """Let only signed-in people with one of the roles use a blueprint; returns it.

    Every view of it may call `current_user()`. What changes something (any method but GET, HEAD
    and OPTIONS) must carry the token of the session: a form by `{{ csrf() }}`, a script by the
    header `X-CSRF-Token` with the content of `<meta name="csrf" content="{{ csrf_token() }}">`.
    A request that a page makes by itself, such as polling, carries `X-Background: 1`: it keeps
    nobody signed in. Pages lead to the sign-in page and back; programs get 401 or 403.

    Raises:
        ValueError: no role, or an unknown one.
    """
    if not roles or not set(roles) <= ROLES.keys():
        raise ValueError(f"roles of {blueprint.name}: {roles}")
    name = blueprint.name
    blueprint.record(
        lambda state: state.app.extensions.setdefault(_GUARDS, {}).update({name: frozenset(roles)})
    )
    blueprint.before_request(lambda: _admit(frozenset(roles)))
    blueprint.after_request(_not_kept)
    return blueprint


def guards(app: Flask) -> dict[str, frozenset[str]]:
    """Which roles each guarded blueprint of an application is for."""
    return dict(app.extensions.get(_GUARDS, {}))


def current_user() -> Account:
    """The person who is signed in; for views of guarded blueprints.

    Raises:
        NotSignedIn: nobody is.
    """
    user: Account | None = g.get("user")
    if user is None:
        raise NotSignedIn("请先登录")
    return user


def csrf_token() -> str:
    """What a form of this browser must carry; worthless in any other session."""
    return runtime().sealer.pseudonym("csrf", _token())


def csrf() -> Markup:
    """The hidden field that every form of a guarded page needs."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(csrf_token())


def install(app: Flask) -> None:
    """Add the pages, and what templates need."""
    app.register_blueprint(_entrance())
    app.after_request(_hand_out)

    @app.context_processor
    def _for_templates() -> dict[str, object]:
        return {"csrf": csrf, "csrf_token": csrf_token, "user": g.get("user")}


def _entrance() -> Blueprint:
    entrance = Blueprint("sign_in", __name__)
    entrance.after_request(_not_kept)

    @entrance.get("/sign-in")
    def form() -> Response:
        account = runtime().accounts.session(cookie())
        if account is not None:
            return see_other(onward(account))
        return sign_in_page()

    @entrance.post("/sign-in")
    def enter() -> Response:
        return _enter()

    @entrance.get("/sign-in/code")
    def code() -> Response:
        if not runtime().accounts.awaits_code(cookie()):
            return see_other(url_for("sign_in.form"))
        return _code_page()

    @entrance.post("/sign-in/code")
    def prove() -> Response:
        return _prove()

    return entrance


def _enter() -> Response:
    name, password = typed("name"), typed("password")
    if not _carries_token():
        return sign_in_page(400, problem=_STALE, name=name)
    if not name.strip() or not password:
        return sign_in_page(400, problem="请填写用户名和密码", name=name)
    accounts = runtime().accounts
    try:
        token = accounts.sign_in(name, password, address=client_address())
    except SignInRefused as error:
        return sign_in_page(401, problem=str(error), name=name)
    except TooManyRequests as error:
        return _later(sign_in_page(429, problem=str(error), name=name), error)
    accounts.sign_out(cookie())
    account = accounts.session(token)
    if account is None:
        step = url_for("sign_in.code", next=typed("next") or None)
        return with_token(see_other(step), token)
    return with_token(see_other(onward(account)), token)


def _prove() -> Response:
    if not _carries_token():
        return _code_page(400, problem=_STALE)
    accounts = runtime().accounts
    try:
        token = accounts.second_step(cookie(), typed("code"), address=client_address())
    except InvalidRequest as error:
        return _code_page(401, problem=str(error))
    except SignInRefused as error:
        return without_token(sign_in_page(401, problem=str(error)))
    except TooManyRequests as error:
        return _later(_code_page(429, problem=str(error)), error)
    return with_token(see_other(onward(accounts.session(token))), token)


def _admit(roles: frozenset[str]) -> Response | None:
    """Let a request in, or send it elsewhere.

    Raises:
        NotSignedIn: a program without a session.
        Forbidden: not for this role, or a new password is due.
        StaleForm: it would change something and lacks the token of the session.
    """
    active = request.headers.get("X-Background") != "1"
    user = runtime().accounts.session(cookie(), active=active)
    if user is None:
        if wants_page():
            return see_other(url_for("sign_in.form", next=_here()))
        raise NotSignedIn("还没有登录，或登录已过期")
    g.user = user
    if request.blueprint != OWN_ACCOUNT:
        due = _due(user)
        if due is not None:
            return due
    if user.role not in roles:
        raise Forbidden(f"您的角色（{ROLES[user.role]}）不能使用这项功能")
    if request.method not in _HARMLESS and not _carries_token():
        raise StaleForm("这一页已经过期，请刷新后再试")
    return None


def _due(user: Account) -> Response | None:
    """What must be done before anything else; None for nothing.

    Raises:
        Forbidden: a program cannot do it.
    """
    if not user.password_due and not user.factor_due:
        return None
    page, said = (
        ("account.password", "请先修改密码")
        if user.password_due
        else ("account.factor", "请先设置手机验证码")
    )
    if wants_page():
        return see_other(url_for(page, next=_here()))
    raise Forbidden(said)


def _carries_token() -> bool:
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    return bool(cookie()) and hmac.compare_digest(given.encode(), csrf_token().encode())


def sign_in_page(status: int = 200, *, problem: str = "", name: str = "") -> Response:
    """The page to sign in on, with what went wrong."""
    expired = "next" in request.args and not problem
    page = render_template(
        "sign_in.html",
        problem=problem,
        name=name,
        onward=request.values.get("next", ""),
        notice="您已退出登录。" if "out" in request.args else "请先登录。" if expired else "",
        how_to_begin="" if runtime().accounts.exist() else HOW_TO_BEGIN,
    )
    return make_response(page, status)


def _code_page(status: int = 200, *, problem: str = "") -> Response:
    page = render_template(
        "sign_in_code.html", problem=problem, onward=request.values.get("next", "")
    )
    return make_response(page, status)


def _later(response: Response, error: TooManyRequests) -> Response:
    response.headers["Retry-After"] = str(error.retry_after)
    return response


def home_of(account: Account) -> str:
    """Where somebody's work begins."""
    return "/operator" if account.role == "operator" else "/admin"


def onward(account: Account | None) -> str:
    """Where somebody wanted to go, else where their work begins."""
    wanted = local(request.values.get("next", "")[:_MOST_TYPED])
    home = home_of(account) if account else "/sign-in"
    return home if wanted == "/" else wanted


def _here() -> str:
    """The page to come back to: this one, or the one whose form was sent."""
    return request.full_path.rstrip("?") if request.method == "GET" else referring_page()


def typed(name: str) -> str:
    """A field of the form that was sent; empty when there is none."""
    return request.form.get(name, "")[:_MOST_TYPED]


def see_other(address: str) -> Response:
    """Lead the browser to another page."""
    return current_app.make_response(redirect(address, code=303))


def _not_kept(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response


# The cookie


def _cookie_name() -> str:
    """Over TLS a name that no other host of the domain can set (RFC 6265bis)."""
    return "__Host-policyqa" if _secure() else "policyqa"


def _secure() -> bool:
    """Whether the browser speaks TLS, with this service or with a proxy before it.

    The header is believed whoever wrote it: a false one makes trouble for its writer alone.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0]
    return request.is_secure or forwarded.strip().lower() == "https"


def cookie() -> str:
    """The token of the session that this browser holds; empty for none."""
    return request.cookies.get(_cookie_name(), "")


def _token() -> str:
    """The token of this browser; a new one, which opens nothing, where there is none.

    Signing in replaces it, so that nobody can prepare a token for somebody else.
    """
    if "token" not in g:
        g.token = cookie()
        if not g.token:
            g.token = g.issued = new_token()
    token: str = g.token
    return token


def _hand_out(response: Response) -> Response:
    if "issued" in g and not response.headers.getlist("Set-Cookie"):
        with_token(response, g.issued)
    return response


def with_token(response: Response, token: str) -> Response:
    """Let the browser hold the token of a session."""
    response.set_cookie(_cookie_name(), token, httponly=True, secure=_secure(), samesite="Lax")
    return response


def without_token(response: Response) -> Response:
    """Let the browser forget its token."""
    response.delete_cookie(_cookie_name(), httponly=True, secure=_secure(), samesite="Lax")
    return response
