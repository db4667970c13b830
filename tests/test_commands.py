"""The command line as an administrator uses it: reports, exit statuses, readable errors."""

import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app import compose, main
from kb.exchange import read_entries
from service.config import Settings
from tests.factories import regulation

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line against a data folder of the test's own: status, output, errors."""
    monkeypatch.setenv("POLICYQA_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def table(path: Path, *rows: dict[str, object]) -> Path:
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def row(question: str, **more: object) -> dict[str, object]:
    return {"question": question, "answer": "到窗口办理。", "department": "市民政局", **more}


def test_init_loads_samples_once_and_ask_answers(run: Run) -> None:
    assert "示例数据" in run("init")[2]
    assert "示例数据" not in run("init")[2]
    status, out, _ = run("ask", "居住证丢了怎么补办")
    assert status == 0 and "依据：《居住证暂行条例》" in out
    status, out, _ = run("ask", "居住证丢了怎么补办", "--json", "--region", "370283")
    assert status == 0 and json.loads(out)["outcome"] == "answered"


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", ""),
        ("ask", "问" * 501),
        ("ask", "社保", "--region", "999999"),
        ("ask", "社保", "--as-of", "不是日期"),
        ("ask", "社保", "--as-of", "2025-02-30"),
        ("import", "does-not-exist"),
        ("import", ".", "--region", "桃花源"),
        ("export", "entries.pdf"),
        ("restore", "does-not-exist.zip"),
        ("eval", "retrieval", "."),
        ("eval", "golden", "does-not-exist"),
        ("fly",),
    ],
)
def test_errors_are_one_readable_line_and_a_status(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert status != 0 and "Traceback" not in out + err and (out + err).strip()


def test_an_unknown_setting_stops_every_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLICYQA_REGOIN", "370283")
    status, _, err = run("ask", "社保")
    assert status == 1 and "POLICYQA_REGOIN" in err


def test_import_reports_each_file_and_row(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "办法.txt").write_text(
        regulation("某市养犬管理办法", "养犬应当登记。", "遛犬应当牵绳。"), encoding="gb18030"
    )
    (folder / "空.txt").write_bytes(b"")
    (folder / "坏.docx").write_bytes(b"PK\x03\x04 broken")
    (folder / "略.png").write_bytes(b"not for import")
    table(
        folder / "问答.jsonl",
        row("养犬怎么登记？", code="D-1"),
        row("遛犬要牵绳吗？", code="D-1"),
        row("犬只怎么免疫？", effective_on="明天"),
    )
    status, out, _ = run("import", folder, "--publish", "--json", "--department", "公安局")
    report = json.loads(out)
    assert status == 1
    by_name = {Path(each["file"]).name: each for each in report["files"]}
    assert set(by_name) == {"办法.txt", "空.txt", "坏.docx", "问答.jsonl"}
    assert by_name["办法.txt"]["outcome"] == "imported" and by_name["办法.txt"]["clauses"] >= 2
    assert by_name["空.txt"]["reason"] and by_name["坏.docx"]["reason"]
    assert by_name["问答.jsonl"]["added"] == 1
    assert {(p["row"], p["field"]) for p in by_name["问答.jsonl"]["problems"]} == {
        (2, "code"),
        (3, "effective_on"),
    }
    again = json.loads(run("import", folder, "--publish", "--json")[1])
    assert again["totals"] == {"failed": 2, "imported": 1, "unchanged": 1}
    assert "养犬应当登记" in run("ask", "养犬要登记吗")[1] or "到窗口办理" in run("ask", "养犬")[1]


def test_what_was_exported_imports_to_the_same_base(run: Run, tmp_path: Path) -> None:
    file = table(
        tmp_path / "in.jsonl",
        row(
            "养犬怎么登记？",
            similar=["狗证怎么办", "给狗上户口"],
            negative=["狗粮哪里买"],
            region="370283",
            tags=["养犬"],
            basis=["《某市养犬管理办法》第一条"],
            code="D-1",
            status="published",
        ),
        row("=1+1 是什么？", answer="多行\n答复，“引号”, 逗号"),
    )
    assert run("import", file)[0] == 0
    for suffix in ("xlsx", "csv", "jsonl"):
        target = tmp_path / f"out.{suffix}"
        assert run("export", target)[0] == 0
        rows, problems = read_entries(target.read_bytes(), target.name)
        assert len(rows) == 2 and not problems
        status, out, _ = run("import", target, "--json")
        assert status == 0 and json.loads(out)["files"][0]["unchanged"] == 2
    assert run("export", tmp_path / "p.csv", "--status", "published")[1].startswith("已导出 1 条")


def test_backup_and_restore_bring_everything_back(run: Run, tmp_path: Path) -> None:
    document = tmp_path / "办法.txt"
    document.write_text(regulation("某市养犬管理办法", "养犬应当登记。"), encoding="utf-8")
    run("import", document, "--publish")
    copy = tmp_path / "backup.zip"
    assert run("backup", copy)[0] == 0
    assert {"policy.db"} < set(zipfile.ZipFile(copy).namelist())
    run("import", table(tmp_path / "in.jsonl", row("后来加的？")), "--publish")
    status, out, _ = run("restore", copy)
    assert status == 0 and "before-restore" in out
    with sqlite3.connect(tmp_path / "data" / "policy.db") as base:
        counts = base.execute("SELECT (SELECT count(*) FROM document), count(*) FROM entry")
        assert counts.fetchone() == (1, 0)
    base.close()
    assert "养犬应当登记" in run("ask", "养犬登记")[1]
    assert len(list((tmp_path / "data").glob("before-restore-*/policy.db"))) == 1


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + b"\0" * 18])
def test_restore_refuses_what_is_no_backup_and_changes_nothing(
    run: Run, tmp_path: Path, content: bytes
) -> None:
    run("import", table(tmp_path / "in.jsonl", row("在库里吗？")), "--publish")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(content)
    assert run("restore", broken)[0] == 1
    assert run("export", tmp_path / "out.csv")[1].startswith("已导出 1 条")


def test_restore_refuses_a_path_that_leads_outside(run: Run, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("policy.db", b"x")
        archive.writestr("../outside.txt", b"x")
    assert run("restore", hostile)[0] == 1
    assert not (tmp_path / "outside.txt").exists()


def test_restore_does_not_pull_the_data_from_under_a_running_service(
    run: Run, tmp_path: Path
) -> None:
    run("import", table(tmp_path / "in.jsonl", row("在库里吗？")), "--publish")
    copy = tmp_path / "backup.zip"
    run("backup", copy)
    serving = compose(Settings(data_dir=str(tmp_path / "data")))
    try:
        status, _, err = run("restore", copy)
    finally:
        serving.close()
    assert status == 1 and "先停止服务" in err
    assert run("restore", copy)[0] == 0


def test_doctor_gives_a_plain_verdict(run: Run, tmp_path: Path) -> None:
    run("init")
    status, out, _ = run("doctor")
    assert status == 0 and "结论：一切正常" in out
    (tmp_path / "data" / "secret_key").chmod(0o644)
    status, out, _ = run("doctor")
    assert status == 1 and "600" in out


def test_reindex_rebuilds_a_deleted_index(run: Run, tmp_path: Path) -> None:
    run("import", table(tmp_path / "in.jsonl", row("养犬怎么登记？")), "--publish")
    for current in (tmp_path / "data" / "index").rglob("CURRENT"):
        current.write_text("damaged")
    assert run("reindex")[0] == 0
    assert "到窗口办理" in run("ask", "养犬怎么登记")[1]


def test_an_oversized_file_is_refused_without_reading_it(run: Run, tmp_path: Path) -> None:
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(200 * 2**20)
    status, out, _ = run("import", huge)
    assert status == 1 and "50 MB" in out


def test_a_link_out_of_the_folder_is_not_followed(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text(regulation("某市内部办法", "不得外传。"), encoding="utf-8")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.txt").symlink_to(outside)
    status, out, _ = run("import", folder, "--json")
    assert status == 0 and json.loads(out)["files"] == []
