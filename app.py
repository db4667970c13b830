"""Composition root: builds every long-lived object once, in order; and the command line."""

import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import click
from flask import Flask

from embeddings import Encoder, SentenceEncoder, StaticEncoder
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.index import Index
from kb.indexing import Indexer
from kb.installation import identify
from kb.library import Library
from kb.regions import Regions
from kb.search import Scope, Search
from kb.wordings import Wordings
from service import commands, logs
from service.answering import Answerer, Cuts
from service.config import ROOT, Settings, secret_key
from service.conversations import Conversations
from service.limits import Limits
from service.runtime import Runtime
from service.sealing import Sealer
from service.web import application
from service.web.server import Server

REGIONS = ROOT / "data" / "dictionary" / "regions.csv"
WORDINGS = ROOT / "data" / "dictionary" / "wordings.jsonl"
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
    now: Callable[[], datetime] | None = None,
) -> Runtime:
    """Build the objects of one process, creating or migrating the database."""
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    clock = now or (lambda: datetime.now(UTC))
    db = Database(settings.url)
    db.migrate()
    regions = Regions.load(REGIONS)
    regions.resolve(settings.region)
    encoder = encoder or make_encoder(settings)
    index = Index.open(encoder, folder / "index" / identify(db))
    search = Search(db, index, regions)
    conversations = Conversations(db)
    runtime = Runtime(
        settings=settings,
        db=db,
        regions=regions,
        documents=Documents(
            db, uploads=folder / "uploads", regions=regions, today=lambda: runtime.today()
        ),
        entries=Entries(db, regions=regions),
        library=Library(db),
        indexer=Indexer(db, index, wordings or Wordings.load(WORDINGS)),
        search=search,
        conversations=conversations,
        answerer=Answerer(
            search,
            conversations,
            Cuts.allowing(
                entries=settings.wrong_entries,
                clauses=settings.wrong_clauses,
                options=settings.wrong_options,
            ),
        ),
        sealer=Sealer(secret_key(settings)),
        limits=Limits(),
        now=clock,
    )
    return runtime


def make_encoder(settings: Settings) -> Encoder:
    """The configured model, else the one that ships with the product."""
    return SentenceEncoder(settings.model) if settings.model else StaticEncoder(MODEL)


def create_app(
    settings: Settings | None = None,
    *,
    encoder: Encoder | None = None,
    now: Callable[[], datetime] | None = None,
    follow: bool = True,
) -> Flask:
    """The web application.

    Args:
        follow: keep the index level with the database in a background thread.

    Raises:
        ConfigurationError: the settings do not hold.
    """
    settings = settings or Settings.from_env(os.environ)
    runtime = compose(settings, encoder=encoder, now=now)
    runtime.indexer.catch_up()
    # The segmenter's dictionary takes a second to load; no citizen should wait for it.
    runtime.search.passages("预热", Scope(as_of=runtime.today()), limit=1)
    if follow:
        stop = threading.Event()
        threading.Thread(
            target=runtime.indexer.watch, args=(stop,), name="indexer", daemon=True
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


commands.register(cli)


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
