"""The tools for agents, through the protocol library's own client: in process, by pipe, by HTTP."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult
from sqlalchemy import select

from app import compose
from embeddings import Encoder
from kb.exchange import EntryRecord
from service.commands import load_samples
from service.config import ROOT, Settings
from service.mcp_server import PATH, assemble
from service.models import Conversation, Exchange
from service.runtime import Runtime

KNOWN = "居住证丢了怎么补办？"
TOOLS = {"search_policy", "ask_policy", "get_clause", "get_entry", "check_validity"}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Iterator[Runtime]:
    settings = Settings(data_dir=str(tmp_path_factory.mktemp("mcp")), region="370200")
    runtime = compose(settings, encoder=encoder)
    load_samples(runtime)
    runtime.indexer.catch_up()
    yield runtime
    runtime.close()


Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(runtime: Runtime) -> Call:
    """Call a tool in process and return its structured content."""

    def call(tool: str, **arguments: Any) -> dict[str, Any]:
        result = asyncio.run(_called(runtime, tool, arguments))
        assert not result.is_error, result.content
        return dict(result.structured_content or {})

    return call


@pytest.fixture
def refusal(runtime: Runtime) -> Callable[..., str]:
    """Call a tool in process and return what the model is told."""

    def refusal(tool: str, **arguments: Any) -> str:
        result = asyncio.run(_called(runtime, tool, arguments))
        assert result.is_error and result.structured_content is None
        [said] = result.content
        return str(getattr(said, "text", ""))

    return refusal


async def _called(runtime: Runtime, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(assemble(runtime, version="1.2.3")) as client:
        return await client.call_tool(tool, arguments)


def test_the_tools_only_read_and_describe_themselves_in_chinese(runtime: Runtime) -> None:
    async def listed() -> Any:
        async with Client(assemble(runtime, version="1.2.3")) as client:
            assert client.server_info.version == "1.2.3"
            return (await client.list_tools()).tools, client.instructions

    tools, instructions = asyncio.run(listed())
    assert {tool.name for tool in tools} == TOOLS and "ask_policy" in instructions
    for tool in tools:
        assert tool.annotations.read_only_hint is True
        assert _is_chinese(tool.title) and _is_chinese(tool.description), tool.name
        for name, field in tool.input_schema["properties"].items():
            assert _is_chinese(field["description"]), (tool.name, name)
        for name, field in tool.output_schema["properties"].items():
            assert _is_chinese(field["description"]), (tool.name, name)


def test_a_question_is_answered_and_recorded_as_everywhere(call: Call, runtime: Runtime) -> None:
    answer = call("ask_policy", question=f"{KNOWN}13812345678")
    assert answer["outcome"] in ("answered", "clarify") and answer["text"]
    with runtime.db.reading() as session:
        row = session.scalars(select(Exchange).order_by(Exchange.asked_at.desc()).limit(1)).one()
        channel = session.get_one(Conversation, row.conversation_id).channel
    assert channel == "mcp" and "13812345678" not in row.question


def test_an_answer_comes_with_its_sources(call: Call) -> None:
    answer = call("ask_policy", question=KNOWN)
    assert answer["outcome"] == "answered" and 0 < answer["confidence"] <= 1
    assert answer["ai_generated"] is False and answer["notice"] == ""
    assert all(each["title"] and each["locator"] for each in answer["citations"])


def test_what_is_not_known_is_said_so(call: Call) -> None:
    answer = call("ask_policy", question="火星上怎么种土豆？")
    assert answer["outcome"] == "unanswerable" and answer["contact"]["phone"]


def test_search_leads_to_the_clause_and_the_entry(call: Call) -> None:
    results = call("search_policy", query="居住证签注", limit=10)["results"]
    assert results and len(results) <= 10
    clause = next(each for each in results if each["kind"] == "clause")
    found = call("get_clause", document=str(clause["document_id"]), locator=clause["locator"])
    assert found["text"] == clause["text"] and found["url"] == clause["url"]
    entry = next(each for each in results if each["kind"] == "entry")
    assert call("get_entry", id=entry["entry_id"])["answer"] == entry["text"]


def test_search_of_nothing_that_is_here_finds_nothing(call: Call) -> None:
    assert call("search_policy", query="zzzzzz qqqqqq")["results"] == []


@pytest.mark.parametrize(
    "document", ["示例市居住证服务管理办法", "《示例市居住证服务管理办法》", "示政发[2025]03号"]
)
@pytest.mark.parametrize("locator", ["第九条", "9", "第9条", " 第 九 条 ", "第九条第二款"])
def test_a_clause_is_found_however_its_place_is_written(
    call: Call, document: str, locator: str
) -> None:
    found = call("get_clause", document=document, locator=locator)
    assert found["locator"] == "第九条" and found["text"].startswith("第九条")
    assert found["validity"] == "in_force" and found["headings"]


def test_items_of_a_circular_are_places_too(call: Call) -> None:
    name = "关于印发促进高校毕业生就业创业若干措施的通知"
    assert call("get_clause", document=name, locator="一、（二）")["locator"] == "一、（二）"


def test_validity_is_that_of_the_day(call: Call) -> None:
    name = "示例市流动人口居住证管理办法"
    now = call("check_validity", document=name)
    assert (now["in_force"], now["validity"]) == (False, "repealed") and now["repealed_on"]
    assert call("check_validity", document=str(now["successor_id"]))["title"] == now["successor"]
    then = call("check_validity", document=name, as_of="2020-01-01")
    assert then["in_force"] is True and then["validity_text"] == "现行有效"


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("ask_policy", {"question": ""}, "请输入您的问题"),
        ("ask_policy", {"question": "问" * 501}, "太长"),
        ("ask_policy", {"question": "社保", "region": "桃花源"}, "没有地区"),
        ("search_policy", {"query": "社保", "limit": 1000}, "20"),
        ("search_policy", {"query": "社保", "as_of": "明天"}, "as_of"),
        ("get_clause", {"document": "没有的办法", "locator": "1"}, "没有叫"),
        ("get_clause", {"document": "示政发〔2025〕3号", "locator": "第九十九条"}, "第二十五条"),
        ("get_entry", {"id": 999_999}, "没有这条问答"),
        ("check_validity", {"document": "居住证"}, "编号"),
        ("check_validity", {"document": "%"}, "没有叫"),
        ("check_validity", {"document": "《》"}, "没有叫"),
    ],
)
def test_the_model_is_told_what_it_can_mend(
    refusal: Callable[..., str], tool: str, arguments: dict[str, Any], told: str
) -> None:
    assert told in refusal(tool, **arguments)


def test_a_crash_tells_nothing_of_the_inside(
    refusal: Callable[..., str], runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(runtime.library, "entry", broken)
    assert "secret" not in refusal("get_entry", id=1)


@dataclass(frozen=True)
class Installation:
    """A small base on disk, with keys, that no process has open."""

    environ: dict[str, str]
    reader: str
    asker: str


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    runtime = compose(Settings(data_dir=str(folder)), encoder=encoder)
    record = EntryRecord(
        question="养犬怎么登记？", answer="到窗口登记。", department="公安局", status="published"
    )
    runtime.entries.save([(1, record)], actor="编辑", publish=True)
    runtime.indexer.catch_up()
    reader = runtime.keys.add("只读", ["read", "search"], per_minute=600)
    asker = runtime.keys.add("提问", ["ask"], per_minute=600)
    runtime.close()
    environ = {**os.environ, "POLICYQA_DATA_DIR": str(folder)}
    return Installation(environ, reader=reader, asker=asker)


def test_the_command_serves_the_program_that_starts_it(installation: Installation) -> None:
    command = StdioServerParameters(
        command=sys.executable, args=[str(ROOT / "app.py"), "mcp"], env=installation.environ
    )

    async def asked() -> CallToolResult:
        async with Client(stdio_client(command)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
            return await client.call_tool("ask_policy", {"question": "养犬怎么登记？"})

    result = asyncio.run(asked())
    assert (result.structured_content or {})["text"] == "到窗口登记。"


@contextmanager
def served(installation: Installation, *more: str) -> Iterator[str]:
    """The address of a server for other machines, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "app.py"), "mcp", "--http", str(port), *more]
    with subprocess.Popen(command, env=installation.environ, stderr=subprocess.DEVNULL) as process:
        try:
            while not _listens(port):
                assert process.poll() is None, "the server ended"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}{PATH}"
        finally:
            process.terminate()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def address(installation: Installation) -> Iterator[str]:
    with served(installation, "--allow", "policy.example.org") as address:
        yield address


async def _by_http(
    address: str, key: str, work: Callable[[Client], Awaitable[CallToolResult]]
) -> CallToolResult:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        return await work(client)


def test_other_machines_call_with_a_key(address: str, installation: Installation) -> None:
    async def work(client: Client) -> CallToolResult:
        return await client.call_tool("ask_policy", {"question": "养犬怎么登记？"})

    result = asyncio.run(_by_http(address, installation.asker, work))
    assert (result.structured_content or {})["text"] == "到窗口登记。"


def test_a_key_calls_only_the_tools_it_opens(address: str, installation: Installation) -> None:
    async def ask(client: Client) -> CallToolResult:
        return await client.call_tool("ask_policy", {"question": "养犬怎么登记？"})

    async def read(client: Client) -> CallToolResult:
        return await client.call_tool("get_entry", {"id": 1})

    refused = asyncio.run(_by_http(address, installation.reader, ask))
    assert refused.is_error and "ask" in str(refused.content)
    assert not asyncio.run(_by_http(address, installation.reader, read)).is_error


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer pqa_wrong"}, 401),
        ({}, 200),
        ({"Origin": "https://evil.example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example.org"}, 421),
        ({"Host": "policy.example.org", "Origin": "https://policy.example.org"}, 200),
    ],
)
def test_only_those_with_a_key_and_from_listed_names_are_answered(
    address: str, installation: Installation, headers: dict[str, str], status: int
) -> None:
    given = {
        "Authorization": f"Bearer {installation.reader}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-06-18",
        **headers,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    with httpx2.Client() as http:
        response = http.post(address, json=message, headers=given)
    assert response.status_code == status, response.text
    if status == 200:
        assert {tool["name"] for tool in response.json()["result"]["tools"]} == TOOLS


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= char <= "\u9fff" for char in text)
