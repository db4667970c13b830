"""`python app.py simulate`: one platform's whole conversation with a running server, on a terminal.

Hides the platform's patience and retries, and the listening for words that are sent later.
"""

import queue
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from urllib.parse import urlsplit

import click
import httpx

from service.channels.configured import PLATFORMS, Described, described
from service.channels.simulated import SimulatedPlatform
from service.channels.simulator import Platform, platform
from service.commands import Composer

# Nobody waits at a terminal for the six hours that a platform may take to try again.
LONGEST_PAUSE = 5.0
WAIT_FOR_PUSH = 15.0


@click.command(help="不用平台账号，模拟平台向运行中的服务投递一条消息")
@click.argument("name", type=click.Choice(list(PLATFORMS)), metavar="PLATFORM")
@click.argument("question")
@click.option("--url", default="http://127.0.0.1:8000", help="服务地址")
@click.option("--user", default="simulated-user", help="平台上的用户标识")
@click.pass_obj
def simulate(composer: Composer, name: str, question: str, *, url: str, user: str) -> None:
    """Play a platform with the credentials of the environment; exit 1 if nothing was said."""
    found = described(composer.settings()).get(name)
    if found is None:
        raise click.ClickException(
            f"没有设置 POLICYQA_{name.upper()}_*；请用与服务相同的设置运行本命令（见 README）"
        )
    with ExitStack() as stack:
        listening = _listening(found, stack)
        played = platform(found)
        words = deliver(played, url=f"{url.rstrip('/')}/hooks/{name}", user=user, text=question)
        if not words and listening:
            words = _pushed(listening)
    if not words:
        if not listening:
            click.echo(
                f"答复如果是另行推送的，会发往 {found.api}；要在这里看到，"
                f"请把服务和本命令的 POLICYQA_{name.upper()}_API 都设为 http://127.0.0.1:9009",
                err=True,
            )
        raise click.ClickException("没有收到答复")
    click.echo(words)


def deliver(
    played: Platform,
    *,
    url: str,
    user: str,
    text: str,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Post one message as often as the platform would, and return the words it is answered with.

    Empty when the service only acknowledged it, or never answered.
    """
    message_id = str(secrets.randbelow(10**16) + 10**16)
    for number, pause in enumerate(_pauses(played), start=1):
        sleep(pause)
        delivery = played.deliver(message_id, user, text, at=datetime.now(UTC))
        try:
            answer = httpx.post(
                url,
                params=dict(delivery.query),
                headers=dict(delivery.headers),
                content=delivery.body,
                timeout=played.habits.patience,
                trust_env=False,
            )
        except httpx.TimeoutException:
            click.echo(f"第 {number} 次投递：{played.habits.patience:g} 秒内没有答复", err=True)
            continue
        except httpx.HTTPError as error:
            raise click.ClickException(f"连不上 {url}：{error}") from error
        if answer.status_code == 200:
            click.echo(f"第 {number} 次投递：{answer.elapsed.total_seconds():.2f} 秒", err=True)
            return _read(played, answer.content)
        click.echo(f"第 {number} 次投递：服务答复 {answer.status_code}", err=True)
        if answer.status_code < 500:
            break
    return ""


def _pauses(played: Platform) -> Iterator[float]:
    yield 0.0
    yield from (min(pause, LONGEST_PAUSE) for pause in played.habits.pauses)


def _read(played: Platform, body: bytes) -> str:
    try:
        return played.read(body)
    except (ValueError, KeyError) as error:
        raise click.ClickException(f"平台不会接受这个答复：{error}") from error


def _listening(found: Described, stack: ExitStack) -> SimulatedPlatform | None:
    """The platform's API, if the settings say that it is on this machine."""
    parts = urlsplit(found.api)
    if parts.scheme != "http" or not parts.port:
        return None
    try:
        return stack.enter_context(SimulatedPlatform(parts.port))
    except OSError as error:
        raise click.ClickException(f"端口 {parts.port} 已被占用：{error.strerror}") from error


def _pushed(listening: SimulatedPlatform) -> str:
    click.echo("服务已确认收到，等待另行推送的答复……", err=True)
    try:
        return listening.said.get(timeout=WAIT_FOR_PUSH).text
    except queue.Empty:
        return ""
