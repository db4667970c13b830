"""What people do with their own accounts: password, second factor, open sessions.

Open to every role, also while a new password or a second factor is due.
"""

from flask import Blueprint, Response, make_response, render_template, request, url_for

from service.accounts import ROLES
from service.errors import InvalidRequest, SignInRefused, TooManyRequests
from service.passwords import RULES
from service.web.access import client_address
from service.web.requests import local
from service.web.runtime import runtime
from service.web.sign_in import (
    OWN_ACCOUNT,
    cookie,
    current_user,
    guarded,
    home_of,
    see_other,
    sign_in_page,
    typed,
    with_token,
    without_token,
)

_DONE = {
    "password": "密码已修改，其他地方的登录已全部退出。",
    "ended": "已退出所选的登录。",
    "removed": "已停用手机验证码。",
}


def build() -> Blueprint:
    """The blueprint; for every role."""
    account = guarded(Blueprint(OWN_ACCOUNT, __name__), *ROLES)

    @account.errorhandler(SignInRefused)
    def _out(error: SignInRefused) -> Response:
        return without_token(sign_in_page(401, problem=str(error)))

    @account.get("/account")
    def own() -> str:
        accounts = runtime().accounts
        return render_template(
            "account.html",
            sessions=accounts.open_sessions(cookie()),
            offered=accounts.second_factors,
            recovery_left=accounts.recovery_left(current_user()),
            done=_DONE.get(request.args.get("done", ""), ""),
            role=ROLES[current_user().role],
            home=home_of(current_user()),
        )

    @account.post("/account/sessions")
    def end_sessions() -> Response:
        runtime().accounts.end_sessions(cookie(), typed("session"))
        return see_other(url_for("account.own", done="ended"))

    @account.get("/password")
    def password() -> Response:
        return _password_page()

    @account.post("/password")
    def change() -> Response:
        return _change_password()

    @account.get("/account/second-factor")
    def factor() -> Response:
        return _factor_page()

    @account.post("/account/second-factor")
    def set_factor() -> Response:
        steps = {"begin": _begin, "confirm": _confirm, "recovery": _renew, "remove": _remove}
        step = steps.get(typed("step"))
        if step is None:
            raise InvalidRequest({"step": "不认识这一步，请刷新后再试"})
        try:
            return step()
        except InvalidRequest as error:
            return _factor_page(400, problems=error.fields)
        except TooManyRequests as error:
            return _factor_page(429, problems={"password": str(error)})

    @account.post("/sign-out")
    def leave() -> Response:
        runtime().accounts.sign_out(cookie())
        return without_token(see_other(url_for("sign_in.form", out="1")))

    return account


def _change_password() -> Response:
    old, new = typed("old"), typed("new")
    if new != typed("again"):
        return _password_page(400, problems={"again": "两次输入的新密码不一样"})
    try:
        token = runtime().accounts.change_password(cookie(), old, new, address=client_address())
    except InvalidRequest as error:
        return _password_page(400, problems=error.fields)
    except TooManyRequests as error:
        return _password_page(429, problems={"old": str(error)})
    wanted = local(typed("next"))
    target = wanted if wanted != "/" else url_for("account.own", done="password")
    return with_token(see_other(target), token)


def _password_page(status: int = 200, *, problems: dict[str, str] | None = None) -> Response:
    page = render_template(
        "password.html",
        problems=problems or {},
        rules=RULES,
        onward=request.values.get("next", ""),
    )
    return make_response(page, status)


def _begin() -> Response:
    runtime().accounts.begin_factor(cookie(), typed("password"), address=client_address())
    return see_other(url_for("account.factor", next=typed("next") or None))


def _confirm() -> Response:
    return _codes_page(runtime().accounts.confirm_factor(cookie(), typed("code")), new=True)


def _renew() -> Response:
    accounts = runtime().accounts
    codes = accounts.renew_recovery(cookie(), typed("password"), address=client_address())
    return _codes_page(codes, new=False)


def _remove() -> Response:
    runtime().accounts.remove_factor(cookie(), typed("password"), address=client_address())
    return see_other(url_for("account.own", done="removed"))


def _codes_page(codes: list[str], *, new: bool) -> Response:
    wanted = local(typed("next"))
    target = wanted if wanted != "/" else url_for("account.own")
    return make_response(
        render_template("recovery_codes.html", codes=codes, new=new, target=target)
    )


def _factor_page(status: int = 200, *, problems: dict[str, str] | None = None) -> Response:
    accounts, user = runtime().accounts, current_user()
    page = render_template(
        "second_factor.html",
        enrolment=accounts.enrolment(user),
        offered=accounts.second_factors,
        problems=problems or {},
        onward=request.values.get("next", ""),
        home=home_of(user),
    )
    return make_response(page, status)
