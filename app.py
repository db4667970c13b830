"""Composition root: builds every long-lived object once, in order; and the command line."""

import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

import click
from flask import Flask

from embeddings import Encoder, SentenceEncoder, StaticEncoder
from kb.amendments import Amendments
from kb.checks import Checks, read_words
from kb.clock import day_of
from kb.clock import now as present
from kb.clusters import Clusters
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.filing import Filing
from kb.history import History
from kb.index import Index
from kb.indexing import Indexer
from kb.installation import identify
from kb.journal import AuditLog
from kb.library import Library
from kb.lookup import Lookup
from kb.places import Places
from kb.regions import Regions
from kb.search import Scope, Search
from kb.suggestions import Suggestions
from kb.thesaurus import Thesaurus
from kb.understanding import STEPS, Dictionary, Understanding
from kb.versions import Versions
from kb.wordings import Wordings
from service import administration, commands, guards, logs, simulation, worker
from service.accounts import Accounts
from service.addresses import Proxies
from service.answering import Answerer
from service.channels import Channel
from service.channels.configured import configured
from service.composing.composers import Composer, ExtractiveComposer, LlmComposer
from service.composing.language_model import Endpoint, LanguageModel
from service.config import ROOT, Settings, secret_key
from service.conversations import Conversations
from service.desk.calls import Calls
from service.desk.finding import Finder
from service.desk.handoff import Handoffs
from service.desk.reports import Reports
from service.desk.tickets import Tickets
from service.golden import GoldenSet
from service.importing import Importer
from service.imports import Imports, Store
from service.inbound import InboundLog
from service.inbox import Inbox
from service.insights.closing import Closing
from service.insights.daily import Daily
from service.insights.figures import Figures
from service.insights.freshness import Shelf
from service.insights.gaps import Gaps
from service.insights.gathering import Gatherer
from service.insights.insights import Insights
from service.insights.phrasings import Phrasings
from service.insights.routing import Router
from service.insights.tallies import Tallies
from service.insights.upkeep import Upkeep
from service.keys import Keys
from service.lab import Lab
from service.limits import Limits
from service.people import People
from service.policies import Policies
from service.popularity import Popularity
from service.replies import Replies
from service.runtime import Runtime
from service.sealing import Sealer
from service.second_factor import SecondFactors
from service.sessions import Rules, Sessions
from service.sites import Sites
from service.tunables import Tuned
from service.tuning import Tuning
from service.web import application
from service.web.server import Server

REGIONS = ROOT / "data" / "dictionary" / "regions.csv"
NICKNAMES = ROOT / "data" / "dictionary" / "nicknames.csv"
WORDINGS = ROOT / "data" / "dictionary" / "wordings.jsonl"
BANNED = ROOT / "data" / "dictionary" / "banned.txt"
LOOK_ALIKES = ROOT / "data" / "dictionary" / "lookalikes.txt"
# Seconds that a start may take to learn the words of the base.
LEARN_FOR = 3.0
SYNONYMS = ROOT / "data" / "dictionary" / "synonyms.jsonl"
MODEL = ROOT / "embeddings" / "model"


def version() -> str:
    """The version at the top of the change log, so that the two cannot differ."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)
    return found[1] if found else "0"


def compose(
    settings: Settings,
    *,
    encoder: Encoder | None = None,
    wordings: Wordings | None = None,
    channels: Mapping[str, Channel] | None = None,
    now: Callable[[], datetime] | None = None,
) -> Runtime:
    """Build the objects of one process, creating or migrating the database."""
    clock = now or present

    def today() -> date:
        return day_of(clock())

    def plain_policies() -> Policies:
        # What is only tried bothers no language model.
        return Policies(search, tuning.current(), ExtractiveComposer())

    db, regions = open_database(settings), Regions.load(REGIONS)
    region = regions.resolve(settings.region)
    encoder = encoder or make_encoder(settings)
    index = Index.open(encoder, settings.folder / "index" / identify(db))
    search, library = Search(db, index, regions), Library(db)
    suggestions = Suggestions(db, index, regions)
    sealer, limits = Sealer(secret_key(settings)), Limits()
    sessions, factors = Sessions(db, session_rules(settings), clock), SecondFactors(sealer, clock)
    accounts = Accounts(db, sessions, factors, limits=limits)
    channels = configured(settings) if channels is None else channels
    idle = timedelta(minutes=settings.conversation_minutes)
    conversations, composer = Conversations(db, clock, idle=idle), make_composer(settings)
    patience = timedelta(minutes=settings.handoff_minutes)
    handoffs = Handoffs(db, sealer, channels, patience=patience, now=clock)
    tuning = Tuning(db, tuned_defaults(settings), clock)
    thesaurus = Thesaurus.load(db, SYNONYMS, clock)
    words = Dictionary.load(LOOK_ALIKES, thesaurus, Places.load(regions, NICKNAMES))
    understanding = Understanding(db, search, words, steps=lambda: tuning.current().steps)
    answerer = Answerer(
        understanding,
        conversations,
        tuning,
        composer=composer,
        handoffs=handoffs,
    )
    replies = Replies(
        answerer, conversations, public_url=settings.public_url, region=region, today=today
    )
    words_to_avoid = read_words(BANNED)
    checks = Checks(db, understanding, words=words_to_avoid, mask=guards.mask, now=clock)
    versions = Versions(db, regions=regions, obstacles=checks.obstacles, now=clock)
    entries, people = Entries(db, regions=regions, now=clock), People(db, accounts, clock)
    tables = Store(db, settings.folder / "imports", clock)
    return Runtime(
        settings=settings,
        db=db,
        regions=regions,
        documents=Documents(
            db, uploads=settings.folder / "uploads", regions=regions, today=today, now=clock
        ),
        filing=Filing(db, uploads=settings.folder / "uploads", today=today),
        entries=entries,
        checks=checks,
        versions=versions,
        history=History(db),
        amendments=Amendments(db),
        audit_log=AuditLog(db),
        library=library,
        lookup=Lookup(db, library, index),
        indexer=Indexer(db, index, wordings or Wordings.load(WORDINGS)),
        search=search,
        understanding=understanding,
        thesaurus=thesaurus,
        tuning=tuning,
        conversations=conversations,
        composer=composer,
        answerer=answerer,
        lab=Lab(db, understanding, answerer),
        golden=GoldenSet(db, regions, clock),
        channels=channels,
        inbox=Inbox(InboundLog(db, sealer, clock), channels, replies, threads=settings.threads),
        handoffs=handoffs,
        finder=Finder(understanding, library, suggestions),
        popularity=Popularity(db, library, regions, now=clock, prefer=suggestions.prefer),
        calls=Calls(db, sealer, now=clock),
        tickets=Tickets(db, sealer, now=clock),
        reports=Reports(db, now=clock),
        sealer=sealer,
        limits=limits,
        accounts=accounts,
        people=people,
        insights=make_insights(
            db,
            versions,
            gatherer=Gatherer(db, Clusters(encoder), Router(db, search), now=clock),
            closing=Closing(db, understanding, plain_policies, now=clock),
            now=clock,
        ),
        imports=Imports(tables),
        importer=Importer(tables, entries, checks=checks, people=people),
        sites=Sites(db, regions),
        keys=Keys(db, limits, clock),
        proxies=Proxies(settings.trusted_proxies),
        now=clock,
    )


def make_insights(
    db: Database,
    versions: Versions,
    *,
    gatherer: Gatherer,
    closing: Closing,
    now: Callable[[], datetime],
) -> Insights:
    """What is made of the questions that were asked."""
    phrasings, tallies = Phrasings(db, versions, now=now), Tallies(db, now=now)
    return Insights(
        gatherer=gatherer,
        gaps=Gaps(db, versions, phrasings, now=now),
        closing=closing,
        phrasings=phrasings,
        tallies=tallies,
        figures=Figures(db, tallies, now=now),
        shelf=Shelf(db, now=now),
        daily=Daily(db, now=now),
    )


def open_database(settings: Settings) -> Database:
    """The database, created or brought up to date."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    db = Database(settings.url)
    db.migrate()
    return db


def session_rules(settings: Settings) -> Rules:
    """How long sessions and passwords last, as configured."""
    return Rules(
        idle=timedelta(minutes=settings.idle_minutes),
        longest=timedelta(hours=settings.session_hours),
        sessions=settings.sessions,
        password=timedelta(days=settings.password_days),
        second_factor=settings.totp,
    )


def make_composer(settings: Settings) -> Composer:
    """The configured language model, else plain quoting."""
    if not settings.llm_url:
        return ExtractiveComposer()
    endpoint = Endpoint(
        url=settings.llm_url,
        model=settings.llm_model,
        key=settings.llm_key,
        timeout=settings.llm_timeout,
        tokens=settings.llm_tokens,
    )
    return LlmComposer(LanguageModel(endpoint))


def tuned_defaults(settings: Settings) -> Tuned:
    """What holds until an administrator sets it otherwise, as configured."""
    return Tuned(
        wrong_entries=settings.wrong_entries,
        wrong_clauses=settings.wrong_clauses,
        wrong_options=settings.wrong_options,
        steps=tuple(each for each in STEPS if each in settings.steps),
    )


def make_encoder(settings: Settings) -> Encoder:
    """The configured model, else the one that ships with the product."""
    return SentenceEncoder(settings.model) if settings.model else StaticEncoder(MODEL)


def create_app(
    settings: Settings | None = None,
    *,
    encoder: Encoder | None = None,
    now: Callable[[], datetime] | None = None,
    channels: Mapping[str, Channel] | None = None,
    follow: bool = True,
) -> Flask:
    """The web application.

    Args:
        channels: in place of those that are configured.
        follow: keep the index level with the database, and finish what deliveries and operators
            left to be sent, in background threads.

    Raises:
        ConfigurationError: the settings do not hold.
    """
    settings = settings or Settings.from_env(os.environ)
    runtime = compose(settings, encoder=encoder, channels=channels, now=now)
    runtime.indexer.catch_up()
    # What is not learnt by then is learnt while serving.
    runtime.understanding.catch_up(LEARN_FOR)
    # The segmenter's dictionary takes a second to load; no citizen should wait for it.
    runtime.search.passages("预热", Scope(as_of=runtime.today()), limit=1)
    if follow:
        stop = threading.Event()
        threading.Thread(
            target=runtime.indexer.watch, args=(stop,), name="indexer", daemon=True
        ).start()
        threading.Thread(
            target=runtime.understanding.watch, args=(stop,), name="understanding", daemon=True
        ).start()
        jobs = (
            runtime.versions.job,
            runtime.inbox.job,
            runtime.handoffs.deliver,
            runtime.popularity.job,
        )
        threading.Thread(target=worker.watch, args=(stop, jobs), name="worker", daemon=True).start()
        # On a thread of its own: checking a large table takes a minute.
        threading.Thread(
            target=worker.watch, args=(stop, (runtime.importer.job,)), name="importer", daemon=True
        ).start()
        upkeep = (Upkeep(runtime).job,)
        threading.Thread(
            target=worker.watch, args=(stop, upkeep), name="upkeep", daemon=True
        ).start()
    return application.build(runtime, secret_key=secret_key(settings), version=version())


@click.group(help="政策问答知识库")
@click.option("--debug", is_flag=True, help="出错时显示完整的错误跟踪")
@click.version_option(version(), message="%(version)s")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Root of all commands; each gets a function that composes the runtime on first use."""
    logs.configure(os.environ.get("POLICYQA_LOG_LEVEL", "WARNING"))
    context.obj = commands.Composer(lambda: compose(Settings.from_env(os.environ)), compose)


@cli.command(help="启动服务")
@click.option("--host", default=lambda: os.environ.get("HOST", "127.0.0.1"), help="监听地址")
@click.option("--port", default=lambda: os.environ.get("PORT", "8000"), type=int, help="端口")
def serve(host: str, port: int) -> None:
    """Run the production server until stopped."""
    settings = Settings.from_env(os.environ)
    logs.configure(settings.log_level)
    click.echo(f"服务地址 http://{host}:{port}  （按 Ctrl+C 停止）", err=True)
    Server(lambda: create_app(settings), host=host, port=port, threads=settings.threads).run()


@cli.command(help="作为 MCP 服务启动，供智能体调用：默认用标准输入输出，加 --http 供其他机器用")
@click.option("--http", "port", type=click.IntRange(1, 65535), help="在这个端口提供，须带密钥")
@click.option("--host", default="127.0.0.1", help="监听地址，配合 --http")
@click.option("--allow", multiple=True, help="允许用来访问的域名，可写多次，配合 --http")
@click.pass_obj
def mcp(composer: commands.Composer, port: int | None, host: str, allow: tuple[str, ...]) -> None:
    """Serve tools to agents until the other side, or the administrator, ends it."""
    # Loads a second web framework: most of a second that no other command should wait for.
    from service.mcp_server import local, shared  # noqa: PLC0415

    runtime = composer.runtime()
    runtime.indexer.catch_up()
    stop = threading.Event()
    follower = threading.Thread(target=runtime.indexer.watch, args=(stop,), name="indexer")
    follower.start()
    try:
        if port is None:
            local(runtime, version=version())
        else:
            shared(runtime, version=version(), host=host, port=port, names=allow)
    finally:
        stop.set()
        follower.join()


commands.register(cli)
administration.register(cli)
cli.add_command(simulation.simulate)


def main(arguments: list[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run a command line and return its exit status; errors are one readable line."""
    try:
        status = cli.main(args=arguments, prog_name="python app.py", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("已中止", err=True)
        return 130
    except Exception as error:
        if "--debug" in arguments:
            raise
        click.echo(f"出错了：{commands.readable(error)}", err=True)
        return 1
    # A command that ends early by `Exit` hands its status back; others hand back nothing.
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
