"""The daily check: once a day, made up for, kept; and links that are asked for safely."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kb.db import Database
from service.insights import links
from service.insights.daily import Daily, Finding
from service.insights.insights import Insights
from tests.factories import Clock
from tests.service.insights.conftest import later

GOOD, WARNING = Finding("链接", "good", "都好"), Finding("备份", "warning", "没有", rows=("一",))


def test_a_day_is_checked_once_and_its_verdict_is_the_worst(
    insights: Insights, clock: Clock
) -> None:
    daily = insights.daily
    assert daily.due() and daily.latest() is None
    done = daily.run(lambda: [GOOD, WARNING])
    assert done is not None and done.verdict == "warning"
    assert not daily.due() and daily.run(lambda: [GOOD]) is None
    assert daily.latest() == daily.on(done.day) == done
    again = daily.run(lambda: [GOOD], again=True)
    assert again is not None and again.verdict == "good"
    assert daily.history()[-1] == (done.day, "good") and len(daily.history()) == 60


def test_it_waits_for_the_night_and_makes_up_for_it(insights: Insights, clock: Clock) -> None:
    later(clock, hours=14, minutes=10)  # ten past midnight in China
    assert not insights.daily.due()
    later(clock, hours=3)
    assert insights.daily.due()


def test_only_one_process_checks_and_one_that_died_is_replaced(
    insights: Insights, clock: Clock, database: Database
) -> None:
    other = Daily(database, now=clock)

    def meanwhile() -> list[Finding]:
        assert not other.due() and other.run(lambda: [GOOD]) is None
        return [GOOD]

    assert insights.daily.run(meanwhile) is not None
    later(clock, days=1)
    with pytest.raises(ZeroDivisionError):
        insights.daily.run(lambda: [Finding(str(1 // 0), "good", "")])
    assert not other.due()
    later(clock, hours=2)
    assert other.due() and other.run(lambda: [GOOD]) is not None


class Site(BaseHTTPRequestHandler):
    """Pages that work, are gone, refuse HEAD, or lead elsewhere."""

    def do_HEAD(self) -> None:
        self._answer(405 if self.path == "/only-get" else None)

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, status: int | None) -> None:
        places = {"/old": "/here", "/loop": "/loop", "/inside": "http://10.0.0.1/secret"}
        found = status or (302 if self.path in places else 404 if self.path == "/gone" else 200)
        self.send_response(found)
        if self.path in places:
            self.send_header("Location", places[self.path])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_links_are_judged_by_where_they_lead(site: str) -> None:
    paths = ("/here", "/only-get", "/old", "/gone", "/loop", "/inside")
    loopback = links.check(
        [f"{site}{path}" for path in paths], allowed=lambda address: address.is_loopback
    )
    assert [each.state for each in loopback] == [
        "works", "works", "works", "broken", "broken", "private",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:8000/admin", "http://169.254.169.254/latest",
     "http://[::1]/", "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/", "http://192.168.1.1/"],
)  # fmt: skip
def test_addresses_of_the_own_network_are_never_asked(url: str) -> None:
    [verdict] = links.check([url])
    assert verdict.state == "private"


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "javascript:alert(1)", "http://", "http://["]
)
def test_what_is_no_web_address_is_broken(url: str) -> None:
    [verdict] = links.check([url])
    assert verdict.state == "broken"


def test_a_machine_that_does_not_answer_is_not_called_broken() -> None:
    [verdict] = links.check(["http://127.0.0.1:1/"], allowed=lambda _: True)
    assert verdict.state == "unreached"


def test_links_end_where_chinese_begins() -> None:
    text = "见 https://a.gov.cn/x?y=1。详情（http://b.gov.cn/p）和https://a.gov.cn/x?y=1，谢谢"
    assert links.links_in(text) == ["https://a.gov.cn/x?y=1", "http://b.gov.cn/p"]
