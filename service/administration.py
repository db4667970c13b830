"""Commands for accounts, keys and sites; hides how they are worded and how secrets are shown.

A made-up password is printed once, and nowhere else.
"""

import sys
from pathlib import Path

import click

from kb.clock import CHINA
from service.accounts import HOW_TO_BEGIN, ROLES
from service.auditing import exported
from service.commands import ACTOR, Composer
from service.config import MAX_PER_MINUTE
from service.insights import checks, daily, upkeep
from service.keys import PER_MINUTE, SCOPES
from service.people import Profile

_STATES = {"active": "正常", "locked": "已锁定", "disabled": "已停用"}
_from_stdin = click.option(
    "--password-stdin", is_flag=True, help="从标准输入读密码（一行），不生成一次性密码"
)


def register(cli: click.Group) -> None:
    """Add the command groups."""
    for group in (user, site, key, check, audit):
        cli.add_command(group)


@click.group(help="工作人员账号")
def user() -> None:
    """Accounts of people."""


@user.command("add", help="新建账号，显示一次性密码；首次登录必须修改")
@click.argument("name")
@click.option(
    "--role",
    required=True,
    type=click.Choice(list(ROLES)),
    help="、".join(f"{role} {title}" for role, title in ROLES.items()),
)
@click.option("--department", default="", help="所属单位")
@click.option("--region", default="", help="负责地区：六位代码或名称")
@click.option("--display-name", default="", help="显示的名字，默认与用户名相同")
@_from_stdin
@click.pass_obj
def user_add(
    composer: Composer,
    name: str,
    *,
    role: str,
    department: str,
    region: str,
    display_name: str,
    password_stdin: bool,
) -> None:
    """Make an account."""
    given = _given(password_stdin)
    runtime = composer.runtime()
    profile = Profile(
        name,
        role,
        display_name=display_name,
        department=department,
        region_code=runtime.regions.resolve(region),
    )
    password = runtime.people.add(profile, by=ACTOR, password=given)
    click.echo(f"已新建{ROLES[role]}账号 {name}", err=True)
    _show(password, given)


@user.command("list", help="列出账号")
@click.pass_obj
def user_list(composer: Composer) -> None:
    """One account a line, fields separated by tabs."""
    runtime = composer.runtime()
    accounts = runtime.people.all(by=ACTOR)
    if not accounts:
        click.echo(f"还没有账号。{HOW_TO_BEGIN}", err=True)
    for each in accounts:
        region = runtime.regions.name(each.region_code)
        due = "须改密码" if each.password_due else ""
        fields = (each.name, each.display_name, ROLES[each.role], each.department or "—", region)
        click.echo("\t".join((*fields, _STATES[each.state], due)).rstrip())


@user.command("disable", help="停用账号，并立即退出它的全部登录")
@click.argument("name")
@click.pass_obj
def user_disable(composer: Composer, name: str) -> None:
    """Disable an account."""
    people = composer.runtime().people
    people.disable(people.named(name).id, by=ACTOR)
    click.echo(f"已停用 {name}", err=True)


@user.command("enable", help="恢复停用的账号")
@click.argument("name")
@click.pass_obj
def user_enable(composer: Composer, name: str) -> None:
    """Enable an account again."""
    people = composer.runtime().people
    people.enable(people.named(name).id, by=ACTOR)
    click.echo(f"已恢复 {name}", err=True)


@user.command("unlock", help="解除因多次输错密码造成的锁定")
@click.argument("name")
@click.pass_obj
def user_unlock(composer: Composer, name: str) -> None:
    """Unlock an account."""
    people = composer.runtime().people
    people.unlock(people.named(name).id, by=ACTOR)
    click.echo(f"已解锁 {name}", err=True)


@user.command("password", help="重设密码，显示一次性密码，并退出该账号的全部登录")
@click.argument("name")
@_from_stdin
@click.pass_obj
def user_password(composer: Composer, name: str, *, password_stdin: bool) -> None:
    """Give an account a new password."""
    given = _given(password_stdin)
    people = composer.runtime().people
    password = people.reset_password(people.named(name).id, by=ACTOR, password=given)
    click.echo(f"已重设 {name} 的密码", err=True)
    _show(password, given)


@user.command("factor", help="手机丢了时，取消该账号的手机验证码，并退出它的全部登录")
@click.argument("name")
@click.pass_obj
def user_factor(composer: Composer, name: str) -> None:
    """Forget the second factor of an account."""
    people = composer.runtime().people
    people.reset_factor(people.named(name).id, by=ACTOR)
    click.echo(f"已取消 {name} 的手机验证码", err=True)


@click.group(help="可以嵌入小窗的网站")
def site() -> None:
    """Websites that embed the widget."""


@site.command("add", help="登记网站：编号写在网页的代码里，只有列出的来源能用")
@click.argument("key")
@click.option("--name", required=True, help="网站名称")
@click.option(
    "--origin",
    "origins",
    required=True,
    multiple=True,
    help="网站来源，如 https://www.example.gov.cn，可写多个",
)
@click.option("--region", default="", help="网站所属地区：六位代码或名称，默认用本服务的地区")
@click.option("--replace", is_flag=True, help="编号已有时，改成这次写的内容")
@click.pass_obj
def site_add(
    composer: Composer,
    key: str,
    *,
    name: str,
    origins: tuple[str, ...],
    region: str,
    replace: bool,
) -> None:
    """Put a website on the list."""
    sites = composer.runtime().sites
    added = sites.add(key, name=name, origins=origins, region=region, replace=replace)
    click.echo(f"已登记网站 {added.key}：{'、'.join(added.origins)}", err=True)
    click.echo("嵌入的代码见演示页 /demo", err=True)


@site.command("list", help="列出登记的网站")
@click.pass_obj
def site_list(composer: Composer) -> None:
    """One website a line, fields separated by tabs."""
    runtime = composer.runtime()
    sites = runtime.sites.list()
    if not sites:
        click.echo("还没有登记网站；用 python app.py site add 登记", err=True)
    for each in sites:
        region = runtime.regions.name(each.region) if each.region else "—"
        click.echo("\t".join((each.key, each.name, region, " ".join(each.origins))))


@site.command("remove", help="取消登记，该网站的小窗立即停用")
@click.argument("key")
@click.pass_obj
def site_remove(composer: Composer, key: str) -> None:
    """Take a website off the list."""
    composer.runtime().sites.remove(key)
    click.echo(f"已取消登记 {key}", err=True)


@click.group(help="检查知识库")
def check() -> None:
    """Checks of the base."""


@check.command("daily", help="做今天的日监测：链接、到期、复核、标准问题、时限、备份等，并保存结果")
@click.pass_obj
def check_daily(composer: Composer) -> None:
    """Check today, again if it was checked; exit 1 where something is wrong."""
    runtime = composer.runtime()
    runtime.indexer.catch_up()
    click.echo(upkeep.gather(runtime), err=True)
    done = runtime.insights.daily.run(lambda: checks.examine(runtime), again=True)
    if done is None:
        raise click.ClickException("服务正在做今天的检查，请稍后到 /admin/daily 查看")
    for each in done.findings:
        click.echo(f"{daily.LEVELS[each.level]}\t{each.name}\t{each.said}")
        for row in each.rows:
            click.echo(f"\t\t{row}")
    if done.verdict == daily.BAD:
        raise click.exceptions.Exit(1)


@click.group(help="其他系统用的接口密钥")
def key() -> None:
    """Keys of systems."""


@key.command("add", help="发一个密钥，只显示这一次；名称会记在它的每次提问上")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    required=True,
    multiple=True,
    type=click.Choice(list(SCOPES)),
    help="可写多个：" + "；".join(f"{scope} {opens}" for scope, opens in SCOPES.items()),
)
@click.option(
    "--per-minute",
    default=PER_MINUTE,
    show_default=True,
    type=click.IntRange(1, MAX_PER_MINUTE),
    help="每分钟最多请求几次",
)
@click.pass_obj
def key_add(composer: Composer, name: str, scopes: tuple[str, ...], per_minute: int) -> None:
    """Make a key and print it by itself, so that a script can read it."""
    made = composer.runtime().keys.add(name, scopes, per_minute=per_minute)
    click.echo("密钥（只显示这一次，请立即保存到对方系统）：", err=True)
    click.echo(made)


@key.command("list", help="列出密钥：名称、开头几位、权限、每分钟次数、状态、最近使用")
@click.pass_obj
def key_list(composer: Composer) -> None:
    """One key a line, fields separated by tabs."""
    keys = composer.runtime().keys.all()
    if not keys:
        click.echo("还没有密钥；用 python app.py key add 名称 --scope ask 新发", err=True)
    for each in keys:
        scopes = ",".join(scope for scope in SCOPES if scope in each.scopes)
        state = "已停用" if each.revoked_at else "可用"
        used = f"{each.used_at.astimezone(CHINA):%Y-%m-%d %H:%M}" if each.used_at else "未用过"
        fields = (each.name, f"{each.prefix}…", scopes, f"{each.per_minute}次/分钟", state, used)
        click.echo("\t".join(fields))


@key.command("revoke", help="停用密钥，立即生效，不能恢复")
@click.argument("name")
@click.pass_obj
def key_revoke(composer: Composer, name: str) -> None:
    """End a key."""
    composer.runtime().keys.revoke(name)
    click.echo(f"已停用密钥 {name}", err=True)


@click.group(help="审计记录")
def audit() -> None:
    """The audit log."""


@audit.command("verify", help="核对审计记录有没有被改动、删除或插入；有则返回非零")
@click.option("--known", default="", help="以前核对时记下的“序号:摘要”，用来发现结尾被截掉")
@click.pass_obj
def audit_verify(composer: Composer, known: str) -> None:
    """Work the chain out again; print the last row's number and digest, to be kept elsewhere."""
    number, _, digest = known.partition(":")
    if known and not (number.isdigit() and digest):
        raise click.ClickException("--known 应写成“序号:摘要”")
    noted = (int(number), digest) if known else None
    verdict = composer.runtime().audit_log.verify(noted)
    if verdict.broken is not None:
        raise click.ClickException(f"第 {verdict.broken} 条起与前面的记录不符，可能被改动过")
    click.echo(f"{verdict.rows} 条记录完整无缺", err=True)
    if verdict.last:
        click.echo("请把最后一条的序号和摘要另外保存，下次用 --known 核对：", err=True)
        click.echo(f"{verdict.last[0]}:{verdict.last[1]}")


@audit.command("export", help="导出全部审计记录：.xlsx .csv .jsonl")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def audit_export(composer: Composer, path: Path) -> None:
    """Write all rows to a file."""
    data = exported(composer.runtime().audit_log.rows(), path.suffix.lower())
    path.write_bytes(data)
    click.echo(f"已导出到 {path}", err=True)


def _given(from_stdin: bool) -> str:
    if not from_stdin:
        return ""
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.ClickException("标准输入里没有密码")
    return line


def _show(password: str, given: str) -> None:
    """Print a made-up password by itself, so that a script can read it."""
    if given:
        return
    click.echo("一次性密码（只显示这一次，首次登录后须修改）：", err=True)
    click.echo(password)
