"""Account commands as an administrator types them: what they print, and where."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from app import main
from service.passwords import weakness

Run = Callable[..., tuple[int, str, str]]
OWN = "Kite-flies-47-high"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line against a data folder of the test's own: status, output, errors."""
    monkeypatch.setenv("POLICYQA_DATA_DIR", str(tmp_path))

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(["user", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def test_an_account_is_made_listed_reset_and_disabled(run: Run) -> None:
    status, out, err = run("list")
    assert status == 0 and out == "" and "user add" in err
    more = ("--department", "市人社局", "--region", "青岛市", "--display-name", "张三")
    status, first, err = run("add", "zhang.san", "--role", "editor", *more)
    assert status == 0 and "一次性密码" in err
    assert weakness(first.strip(), name="zhang.san") == "" and first.strip() not in err
    expected = "zhang.san\t张三\t编辑\t市人社局\t青岛市\t正常\t须改密码\n"
    assert run("list")[1] == expected
    status, second, _ = run("password", "zhang.san")
    assert status == 0 and second != first
    assert run("disable", "zhang.san")[0] == 0 and "已停用" in run("list")[1]
    assert run("enable", "zhang.san")[0] == 0 and "正常" in run("list")[1]
    assert run("unlock", "zhang.san")[0] == 0


def test_a_password_from_standard_input_is_never_printed(run: Run) -> None:
    typed = f"{OWN}\n"
    status, out, err = run("add", "li.si", "--role", "admin", "--password-stdin", typed=typed)
    assert status == 0 and out == "" and OWN not in err
    status, out, err = run("password", "li.si", "--password-stdin", typed=typed)
    assert status == 0 and out == "" and OWN not in err


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("add", "x y", "--role", "admin"), "", "用户名应为"),
        (("add", "li.si", "--role", "root"), "", "root"),
        (("add", "li.si"), "", "role"),
        (("add", "li.si", "--role", "admin", "--region", "桃花源"), "", "没有地区"),
        (("add", "li.si", "--role", "admin", "--password-stdin"), "", "没有密码"),
        (("add", "li.si", "--role", "admin", "--password-stdin"), "short\n", "太短"),
        (("disable", "nobody"), "", "没有账号"),
        (("unlock", "nobody"), "", "没有账号"),
        (("password", "nobody"), "", "没有账号"),
    ],
)
def test_mistakes_are_one_readable_line(
    run: Run, arguments: tuple[str, ...], typed: str, said: str
) -> None:
    status, out, err = run(*arguments, typed=typed)
    assert status != 0 and out == "" and said in err and "Traceback" not in err
    assert run("list")[1] == ""


def test_a_name_is_taken_once(run: Run) -> None:
    assert run("add", "li.si", "--role", "admin")[0] == 0
    status, out, err = run("add", "Li.Si", "--role", "editor")
    assert status == 1 and out == "" and "已有人用" in err
