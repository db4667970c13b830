"""Our answers as tools of the Model Context Protocol, for agents; hides the protocol's library.

Every tool only reads. What fails in a way that the caller can mend (no such region, no such
article) is told to the model in words; anything else is logged and told as a failure.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import AnyHttpUrl, BaseModel, Field

from kb.errors import KnowledgeError
from kb.lookup import clause_at
from kb.passages import Citation, Passage
from kb.search import Scope, relevant
from kb.validity import Validity
from service import guards, wording
from service.conversations import Question
from service.errors import InvalidKey, ServiceError
from service.keys import Keys
from service.presentation import (
    answer_json,
    citation_json,
    document_json,
    entry_json,
    passage_json,
)
from service.runtime import Runtime

log = logging.getLogger(__name__)

CHANNEL = "mcp"
MOST_RESULTS = 20
PATH = "/mcp"
INSTRUCTIONS = (
    "这里是一个城市的政策问答知识库。回答群众的政策问题先用 ask_policy："
    "它给出审定过的答复或政策原文，请照原文转述并附上依据；"
    "outcome 为 unanswerable 时请如实说没有查到并告知联系部门，不要自行编写政策。"
    "要自己比较多份材料时用 search_policy，再用 get_clause、get_entry 取原文；"
    "引用任何文件前用 check_validity 确认它现行有效。"
)

Region = Annotated[
    str, Field(description="地区：六位行政区划代码或名称，如 370283；留空用本系统默认")
]
Day = Annotated[date | None, Field(description="按哪一天的政策，如 2025-05-01；留空为今天")]
Name = Annotated[
    str,
    Field(
        description="文件的标题、发文字号，或检索结果里的 document_id", min_length=1, max_length=512
    ),
]


class Source(BaseModel):
    """A place in a policy document."""

    document_id: int | None = Field(description="文件编号；本库未收录原文时为空")
    title: str = Field(description="文件标题")
    document_number: str | None = Field(description="发文字号")
    issuer: str | None = Field(description="发文机关")
    locator: str = Field(description="条款位置，如 第十二条")
    text: str = Field(description="条款原文")
    validity: str = Field(
        description="时效：in_force、not_yet、amended、repealed、expired、unknown"
    )
    validity_text: str = Field(description="时效的中文说法")
    url: str | None = Field(description="原文页面在本系统的路径")


class Contact(BaseModel):
    """Whom to ask."""

    department: str = Field(description="部门")
    phone: str = Field(description="电话")


class Result(BaseModel):
    """An entry or a clause that was found."""

    key: str = Field(description="entry:编号 或 clause:编号")
    kind: str = Field(description="entry 问答，clause 条款")
    title: str = Field(description="标准问，或文件标题")
    document_id: int | None = Field(description="条款所在文件的编号")
    entry_id: int | None = Field(description="问答的编号")
    locator: str = Field(description="条款位置")
    text: str = Field(description="答复或条款原文")
    department: str = Field(description="责任单位")
    region_name: str = Field(description="适用地区")
    validity: str = Field(description="时效")
    confidence: float = Field(description="它正是所问的概率，0 到 1")
    url: str | None = Field(description="页面在本系统的路径")


class Results(BaseModel):
    """What a search found, best first."""

    results: list[Result] = Field(description="由好到差；没有相关内容时为空")


class Reply(BaseModel):
    """An answer with what it rests on."""

    outcome: str = Field(
        description="answered 审定答复，answered_clause 引用条款，clarify 需要选择，"
        "unanswerable 无法回答，handed_off 转人工，error 出错"
    )
    text: str = Field(description="答复原文，请不要改动数字、日期和条件")
    confidence: float = Field(description="答复正确的概率，0 到 1")
    ai_generated: bool = Field(description="是否由模型改写；是则须告知用户")
    notice: str = Field(description="须随答复一起展示的说明；没有则为空")
    citations: list[Source] = Field(description="依据")
    options: list[str] = Field(description="outcome 为 clarify 时，可选的问题")
    suggestions: list[str] = Field(description="相近的问题")
    contact: Contact = Field(description="可以咨询的部门")


class ClauseText(BaseModel):
    """A clause, verbatim, with the standing of its document."""

    document_id: int = Field(description="文件编号")
    title: str = Field(description="文件标题")
    document_number: str | None = Field(description="发文字号")
    locator: str = Field(description="条款位置")
    headings: list[str] = Field(description="所在的编、章、节")
    text: str = Field(description="原文")
    validity: str = Field(description="文件的时效")
    validity_text: str = Field(description="时效的中文说法")
    url: str = Field(description="原文页面在本系统的路径")


class EntryText(BaseModel):
    """A reviewed question and its answer."""

    id: int = Field(description="问答编号")
    question: str = Field(description="标准问")
    answer: str = Field(description="审定的答复")
    short_answer: str = Field(description="简短答复，适合口头说")
    department: str = Field(description="责任单位")
    phone: str = Field(description="联系电话")
    region_name: str = Field(description="适用地区")
    validity: str = Field(description="时效；依据已废止的问答不再算现行有效")
    effective_on: date | None = Field(description="生效日期")
    expires_on: date | None = Field(description="失效日期")
    updated_at: str = Field(description="最近更新时间")
    citations: list[Source] = Field(description="依据")
    url: str = Field(description="页面在本系统的路径")


class Standing(BaseModel):
    """Whether a document is in force."""

    document_id: int = Field(description="文件编号")
    title: str = Field(description="文件标题")
    document_number: str | None = Field(description="发文字号")
    issuer: str | None = Field(description="发文机关")
    in_force: bool = Field(description="当天是否现行有效")
    validity: str = Field(description="时效")
    validity_text: str = Field(description="时效的中文说法")
    effective_on: date | None = Field(description="施行日期")
    expires_on: date | None = Field(description="有效期至")
    repealed_on: date | None = Field(description="废止日期")
    successor: str | None = Field(description="接替它的文件")
    successor_id: int | None = Field(description="接替它的文件的编号")
    url: str = Field(description="文件页面在本系统的路径")


class PolicyTools:
    """The tools over one runtime; each is a method named as the model sees it.

    Args:
        runtime: what they read from.
        admit: counts a call for whoever makes it, given the scope; returns the system's name.
    """

    def __init__(self, runtime: Runtime, admit: Callable[[str], str]) -> None:
        self._runtime = runtime
        self._admit = admit
        self._lookup = runtime.lookup

    def search_policy(
        self,
        query: Annotated[str, Field(description="要找的事，用自然的话说，最多500字")],
        region: Region = "",
        department: Annotated[str, Field(description="只看这个责任单位的")] = "",
        limit: Annotated[int, Field(description="最多几条", ge=1, le=MOST_RESULTS)] = 5,
        as_of: Day = None,
    ) -> Results:
        """Clauses and entries in force, best first."""
        with self._called("search"):
            scope = Scope(
                as_of=as_of or self._runtime.today(),
                region=self._region(region),
                department=department,
            )
            understood = self._runtime.understanding.understand(_sound(query), scope)
            found = self._runtime.search.passages(
                understood.text, scope, limit=limit, also=understood.also
            )
            return Results(results=[self._result(each) for each in relevant(found.passages)])

    def ask_policy(
        self,
        question: Annotated[str, Field(description="一个政策问题，最多500字")],
        region: Region = "",
        as_of: Day = None,
    ) -> Reply:
        """Answer as everywhere else, and keep a record."""
        with self._called("ask") as system:
            asked = Question(
                text=_sound(question),
                channel=CHANNEL,
                region=self._region(region),
                as_of=as_of or self._runtime.today(),
                system=system,
            )
            body = answer_json(self._runtime.answerer.answer(asked), self._runtime.regions)
        return Reply.model_validate(
            {
                **body,
                "text": body["text"] or wording.PASSED_ON,
                "notice": body["notice"] + (wording.GENERATED if body["ai_generated"] else ""),
                "options": [each["question"] for each in body["options"]],
            }
        )

    def get_clause(
        self,
        document: Name,
        locator: Annotated[
            str, Field(description="条款位置，如 第十二条、12、一、（二）", max_length=255)
        ],
        as_of: Day = None,
    ) -> ClauseText:
        """A clause by the name of its document and its place."""
        with self._called("read"):
            found = self._lookup.document(document, as_of or self._runtime.today())
            clause = clause_at(found, locator)
        return ClauseText(
            document_id=found.id,
            title=found.title,
            document_number=found.document_number,
            locator=clause.locator,
            headings=list(clause.headings),
            text=clause.text,
            validity=found.validity.value,
            validity_text=wording.VALIDITY[found.validity.value],
            url=f"/documents/{found.id}#clause-{clause.id}",
        )

    def get_entry(
        self,
        id: Annotated[int, Field(description="问答编号", ge=1, le=2**31 - 1)],
        as_of: Day = None,
    ) -> EntryText:
        """A reviewed entry by number."""
        with self._called("read"):
            found = self._runtime.library.entry(id, as_of or self._runtime.today())
        sources = [_source(each) for each in found.citations]
        return EntryText.model_validate(
            {**entry_json(found, self._runtime.regions), "citations": sources}
        )

    def check_validity(self, document: Name, as_of: Day = None) -> Standing:
        """Whether a document is in force, and what took its place."""
        with self._called("read"):
            found = self._lookup.document(document, as_of or self._runtime.today())
        successor = found.successor or (None, None)
        return Standing.model_validate(
            {
                **document_json(found, self._runtime.regions),
                "document_id": found.id,
                "in_force": found.validity is Validity.IN_FORCE,
                "validity_text": wording.VALIDITY[found.validity.value],
                "successor_id": successor[0],
                "successor": successor[1],
                "url": f"/documents/{found.id}",
            }
        )

    @contextmanager
    def _called(self, scope: str) -> Iterator[str]:
        """Count the call, and tell the model what it can mend."""
        try:
            yield self._admit(scope)
        except (KnowledgeError, ServiceError) as error:
            raise ToolError(str(error)) from error

    def _region(self, text: str) -> str | None:
        return self._runtime.regions.resolve(text or self._runtime.settings.region)

    def _result(self, passage: Passage) -> Result:
        cited = passage.citations[0] if passage.kind == "clause" else None
        return Result.model_validate(
            {
                **passage_json(passage, self._runtime.regions),
                "document_id": cited.document_id if cited else None,
                "entry_id": passage.entry.id if passage.entry else None,
            }
        )


class KeyVerifier(TokenVerifier):
    """Our API keys as the library's bearer tokens."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def verify_token(self, token: str) -> AccessToken | None:
        """The holder of a key; None for a key that opens nothing."""
        try:
            system = await asyncio.to_thread(self._keys.holder, token)
        except InvalidKey:
            return None
        return AccessToken(token=token, client_id=system.name, scopes=sorted(system.scopes))


def local(runtime: Runtime, *, version: str) -> None:
    """Serve the program that started this one, over standard input and output, without a key."""
    assemble(runtime, version=version).run("stdio")


def shared(
    runtime: Runtime, *, version: str, host: str, port: int, names: Sequence[str] = ()
) -> None:
    """Serve other machines, each with a key, over streamable HTTP.

    Args:
        names: host names, besides the address itself, by which this may be called.
    """
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    log.warning("serving", extra={"address": address + PATH})
    assemble(runtime, version=version, address=address).run(
        "streamable-http",
        host=host,
        port=port,
        streamable_http_path=PATH,
        stateless_http=True,
        json_response=True,
        transport_security=security((host, "127.0.0.1", "localhost", *names)),
    )


def assemble(runtime: Runtime, *, version: str, address: str = "") -> MCPServer[Any]:
    """The server with its tools.

    Args:
        address: where it is served to holders of keys; empty for a single local program.
    """
    # The keys are ours: there is no authorization server that clients could be sent to.
    auth = (
        AuthSettings(issuer_url=AnyHttpUrl(address), resource_server_url=None) if address else None
    )
    server: MCPServer[Any] = MCPServer(
        "policyqa",
        title="政策问答知识库",
        instructions=INSTRUCTIONS,
        version=version,
        auth=auth,
        token_verifier=KeyVerifier(runtime.keys) if address else None,
        log_level="WARNING",
    )
    tools = PolicyTools(runtime, _by_key(runtime.keys) if address else lambda scope: "")
    for tool, (title, description) in _said_of(tools).items():
        server.add_tool(
            tool,
            title=title,
            description=description,
            annotations=ToolAnnotations(title=title, read_only_hint=True, open_world_hint=False),
            structured_output=True,
        )
    return server


def _by_key(keys: Keys) -> Callable[[str], str]:
    def admit(scope: str) -> str:
        token = get_access_token()
        if token is None:
            raise InvalidKey("请带上密钥（Authorization: Bearer pqa_…）")
        system = keys.holder(token.token)
        keys.use(system, scope)
        return system.name

    return admit


def security(hosts: Sequence[str]) -> TransportSecuritySettings:
    """Only these host names are answered, and only pages from them may call from a browser."""
    names = [name for host in hosts for name in (host, f"{host}:*")]
    origins = [f"{scheme}://{name}" for name in names for scheme in ("http", "https")]
    return TransportSecuritySettings(allowed_hosts=names, allowed_origins=origins)


def _said_of(tools: PolicyTools) -> dict[Callable[..., Any], tuple[str, str]]:
    """Title and description of each tool, as people and models read them."""
    return {
        tools.search_policy: ("检索政策", "检索现行有效的政策条款和审定问答，由好到差。"),
        tools.ask_policy: (
            "回答政策问题",
            "回答一个政策问题：有审定答复就给审定答复，没有就引用条款，"
            "都没有就如实说明并告知联系部门。提问会在遮盖个人信息后留作记录。",
        ),
        tools.get_clause: ("取条款原文", "取一份文件中某一条的原文，连同文件当天的时效。"),
        tools.get_entry: ("取问答", "取一条审定问答的全文和依据。"),
        tools.check_validity: (
            "查时效",
            "查一份文件在某一天是否现行有效，以及被哪份文件接替。",
        ),
    }


def _sound(text: str) -> str:
    problem = guards.problem_with(text)
    if problem:
        raise ToolError(problem)
    return text


def _source(cited: Citation) -> Source:
    return Source.model_validate(citation_json(cited))
