"""Imports, exports and documents as pages: looked at first, then written, by whom it is for."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest
from flask import Flask
from playwright.sync_api import Browser
from sqlalchemy import select

from kb.documents import Upload
from kb.exchange import EntryRecord, read_entries, write_entries
from kb.filing import Sieve
from kb.models import Entry, Status
from service.web.runtime import runtime
from tests.factories import entry, regulation
from tests.web.browsing import DESKTOP, PHONE, violations
from tests.web.conftest import Staff

SignIn = Callable[..., Staff]
OWN, OTHER = "市政务局", "市别的局"


@pytest.fixture
def work(app: Flask) -> Iterator[Callable[[], None]]:
    """Lets the background do all that waits."""

    def do() -> None:
        with app.app_context():
            while runtime().importer.job():
                pass

    yield do


def upload(staff: Staff, data: bytes, name: str = "表.jsonl") -> str:
    """The address of the job."""
    form = {"file": (io.BytesIO(data), name)}
    response = staff.post("/admin/import", data=form, headers=staff.csrf())
    assert response.status_code == 303, response.get_data(as_text=True)
    return str(response.headers["Location"])


def post(staff: Staff, address: str, **form: object) -> tuple[int, str]:
    response = staff.post(address, data=form, headers=staff.csrf(), follow_redirects=True)
    return response.status_code, response.get_data(as_text=True)


def page(staff: Staff, address: str) -> str:
    response = staff.get(address)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_data(as_text=True)


def held(app: Flask, code: str) -> Entry | None:
    with app.app_context(), runtime().db.reading() as session:
        return session.scalar(select(Entry).where(Entry.code == code))


def rows(*records: EntryRecord) -> bytes:
    return write_entries(records, ".jsonl")


def test_nothing_is_written_before_somebody_decides(
    app: Flask, signed_in: SignIn, work: Callable[[], None]
) -> None:
    editor = signed_in("editor")
    record = entry("乙证怎么办？", department=OWN, code="B-1", answer="到大厅办理，当场办结。")
    job = upload(editor, rows(record, entry("丙证怎么办？", department=OTHER, code="B-2")))
    assert "等待检查" in page(editor, job)
    work()
    seen = page(editor, job)
    assert "责任单位不是您所在的单位" in seen and "不能导入 1" in seen and "新增 1" in seen
    assert "全部直接发布" not in seen and held(app, "B-1") is None
    assert post(editor, f"{job}/begin", mode="publish")[0] == 403
    assert post(editor, f"{job}/begin", mode="draft")[0] == 200
    # A second click is told so, and does nothing.
    assert post(editor, f"{job}/begin", mode="draft")[0] == 409
    work()
    assert "新增 1 条" in page(editor, job)
    added = held(app, "B-1")
    assert added is not None and added.status is Status.DRAFT and held(app, "B-2") is None


def test_others_do_not_see_an_import(signed_in: SignIn) -> None:
    job = upload(signed_in("editor"), rows(entry("丁证怎么办？", department=OWN)))
    assert signed_in("editor", 2).get(job).status_code == 404
    assert post(signed_in("editor", 2), f"{job}/discard")[0] == 404
    assert signed_in("admin").get(job).status_code == 200


def test_a_changed_base_is_looked_at_again(
    app: Flask, signed_in: SignIn, work: Callable[[], None]
) -> None:
    editor = signed_in("editor")
    record = entry("戊证怎么办？", department=OWN, code="B-5", answer="到大厅办理，当场办结。")
    job = upload(editor, rows(record))
    work()
    with app.app_context():
        taken = entry("戊证怎么办？", department=OTHER, code="B-5")
        runtime().entries.save([(1, taken)], actor="test")
    post(editor, f"{job}/begin", mode="draft")
    work()
    assert "库里这条问答的责任单位不是您所在的单位" in page(editor, job)
    kept = held(app, "B-5")
    assert kept is not None and kept.answer == taken.answer


def test_changes_are_shown_field_by_field(signed_in: SignIn, work: Callable[[], None]) -> None:
    admin = signed_in("admin")
    before = entry("己证要多少钱？", department=OWN, code="B-6", answer="工本费10元。")
    for record in (before, entry(before.question, department=OWN, code="B-6", answer="不收费。")):
        job = upload(admin, rows(record))
        work()
        seen = page(admin, job)
        post(admin, f"{job}/begin", mode="draft")
        work()
    assert "修改 1" in seen and "<del>" in seen and "<ins>不收</ins>" in seen


@pytest.mark.parametrize(
    ("data", "name", "status", "said"),
    [
        (b"", "a.csv", 400, "文件是空的"),
        (b"x", "a.exe", 400, "只支持"),
        (b"not a workbook", "a.xlsx", 303, "不是有效的 Excel"),
        ("标准问,答复\n甲？,乙\n".encode("gb18030"), "a.csv", 303, "缺少必填列：责任单位"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(
    signed_in: SignIn, work: Callable[[], None], data: bytes, name: str, status: int, said: str
) -> None:
    admin = signed_in("admin")
    form = {"file": (io.BytesIO(data), name)}
    response = admin.post("/admin/import", data=form, headers=admin.csrf())
    assert response.status_code == status
    if status == 303:
        work()
        assert said in page(admin, response.headers["Location"])
    else:
        assert said in response.get_data(as_text=True)


def multipart(data: bytes, name: str) -> tuple[bytes, str]:
    """A form with one file, as a browser sends it, and its content type."""
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return head.encode() + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


@pytest.mark.parametrize(("megabytes", "status"), [(2, 303), (60, 413)])
def test_what_is_too_large_is_refused(signed_in: SignIn, megabytes: int, status: int) -> None:
    admin = signed_in("admin")
    body, kind = multipart(b" " * (megabytes * 2**20), "a.csv")
    sent = admin.post("/admin/import", data=body, content_type=kind, headers=admin.csrf())
    assert sent.status_code == status


def test_the_template_offers_choices_and_its_example_is_skipped(signed_in: SignIn) -> None:
    data = signed_in("editor").get("/admin/import/template.xlsx").get_data()
    assert read_entries(data, "a.xlsx") == ([], [])
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert book["选项"].sheet_state == "hidden"
    assert len(book["条目"].data_validations.dataValidation) == 4
    assert [cell.value for cell in book["选项"]["B"] if cell.value] == [OWN]


def test_an_editor_exports_the_own_department_only(app: Flask, signed_in: SignIn) -> None:
    with app.app_context():
        record = entry("庚证怎么办？", department=OWN, code="B-7", answer="=1+1")
        runtime().entries.save([(1, record)], actor="test")
    data = signed_in("editor").get("/admin/export/file?format=.csv&department=" + OTHER).get_data()
    got, problems = read_entries(data, "a.csv")
    assert not problems and {each.department for _, each in got} == {OWN}
    assert "'=1+1" in data.decode() and record.answer in {each.answer for _, each in got}
    assert "没有地区" in page_of(signed_in("admin"), "/admin/export/file?region=没有")


def page_of(staff: Staff, address: str) -> str:
    return staff.get(address).get_data(as_text=True)


# Documents


def put(staff: Staff, *files: tuple[str, bytes]) -> str:
    form = {"files": [(io.BytesIO(data), name) for name, data in files]}
    response = staff.post("/admin/documents", data=form, headers=staff.csrf())
    return str(response.get_data(as_text=True))


def filed(app: Flask, title: str) -> int:
    with app.app_context():
        found, _ = runtime().filing.listed(Sieve(text=title))
    return found[0].id


def test_a_document_is_published_by_another_person(app: Flask, signed_in: SignIn) -> None:
    editor, reviewer = signed_in("editor"), signed_in("reviewer")
    content = regulation("批量上传办法", "每月交十元。", "到窗口办。").encode()
    assert "新文件" in put(editor, ("批量上传办法.txt", content))
    address = f"/admin/documents/{filed(app, '批量上传办法')}"
    assert "待审核" in page(editor, address) and "每月交十元" in page(editor, address)
    assert editor.get(address.removeprefix("/admin")).status_code == 404
    assert post(editor, f"{address}/publish", revision=1)[0] == 403
    assert post(reviewer, f"{address}/return", revision=1, reason="")[0] == 400
    assert "少了日期" in post(reviewer, f"{address}/return", revision=1, reason="少了日期")[1]
    facts = {"title": "批量上传办法", "department": OWN, "effective_on": "2025-01-01"}
    assert post(editor, f"{address}/correct", revision=1, **facts)[0] == 200
    # One who has seen an older state does not publish what they have not seen.
    assert post(reviewer, f"{address}/publish", revision=2)[0] == 409
    assert "已发布" in post(reviewer, f"{address}/publish", revision=1)[1]
    assert reviewer.get(address.removeprefix("/admin")).status_code == 200
    original = reviewer.get(f"{address}/original")
    assert original.get_data() == content
    assert original.headers["Content-Disposition"].startswith("attachment")
    assert "文件还没有发布" not in post(reviewer, f"{address}/repeal", repealed_on="2026-01-01")[1]
    assert "废止" in page(reviewer, address)


def test_who_worked_on_a_document_does_not_review_it(app: Flask, signed_in: SignIn) -> None:
    admin = signed_in("admin")
    put(admin, ("自审办法.txt", regulation("自审办法", "不许自审。").encode()))
    address = f"/admin/documents/{filed(app, '自审办法')}"
    assert post(admin, f"{address}/publish", revision=1)[0] == 409


def test_what_a_revision_changes_is_shown_before_it_is_published(
    app: Flask, signed_in: SignIn
) -> None:
    editor, reviewer = signed_in("editor"), signed_in("reviewer")
    from_then = regulation("影响办法", "每月交十元。", "到窗口办。", "自愿参加。").encode()
    put(editor, ("影响办法.txt", from_then))
    address = f"/admin/documents/{filed(app, '影响办法')}"
    post(reviewer, f"{address}/publish", revision=1)
    with app.app_context():
        record = entry("影响费多少？", department=OWN, basis=("《影响办法》第一条",))
        runtime().entries.save([(1, record)], actor="test", publish=True)
    put(editor, ("影响办法.txt", from_then.replace("十元".encode(), "二十元".encode())))
    seen = page(reviewer, address)
    assert "发布后将影响 <strong>1</strong> 条问答" in seen and "影响费多少" in seen
    assert "<ins>二</ins>" in seen and "待审核" in seen
    # It was only tried.
    assert "影响费多少" in page(reviewer, address)


def test_the_revision_of_anothers_document_is_refused(app: Flask, signed_in: SignIn) -> None:
    with app.app_context():
        content = regulation("别家办法", "甲。").encode()
        list(
            runtime().documents.add(
                [Upload(content, "a.txt", department=OTHER)], actor="t", publish=True
            )
        )
    said = put(signed_in("editor"), ("a.txt", regulation("别家办法", "乙。").encode()))
    assert "不归您的单位或地区管" in said


def test_a_zip_with_chinese_names_and_tricks(signed_in: SignIn) -> None:
    content = regulation("压缩办法", "甲。").encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../压缩办法.txt", content)
        archive.writestr("__MACOSX/._x.txt", b"junk")
        archive.writestr("里面.zip", b"PK")
    said = put(signed_in("editor"), ("包.zip", packed.getvalue()))
    assert "压缩办法" in said and "又有压缩包" in said and "._x" not in said


def test_pages_are_usable_by_everyone(
    app: Flask, site: str, browser: Browser, signed_in: SignIn, work: Callable[[], None]
) -> None:
    admin = signed_in("admin")
    bad = EntryRecord(question="辛证怎么办？", answer="到大厅办理。", department="", code="B-8")
    good = entry("辛证在哪办？", department=OWN, answer="到大厅办理，当场办结。")
    job = upload(admin, write_entries([bad, good], ".xlsx"), "条目.xlsx")
    work()
    put(admin, ("可用办法.txt", regulation("可用办法", "甲。", "乙。").encode()))
    document = f"/admin/documents/{filed(app, '可用办法')}"
    cookie = admin.get_cookie("policyqa")
    assert cookie
    shots = Path("/tmp/b10-shots") if Path("/tmp/b10-shots").is_dir() else None
    for name, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
        context = browser.new_context(viewport=viewport)  # type: ignore[arg-type]
        context.add_cookies([{"name": "policyqa", "value": cookie.value, "url": site}])
        tab = context.new_page()
        for address in ("/admin/import", job, "/admin/export", "/admin/documents", document):
            tab.goto(site + address)
            assert violations(tab) == [], address
            wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, (address, name)
            if shots:
                file = f"{name}-{address.strip('/').replace('/', '-')}.png"
                tab.screenshot(path=str(shots / file), full_page=True)
        context.close()
