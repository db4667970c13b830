"""The README says what the product does: commands, addresses, the two ways to start."""

from pathlib import Path

import click
from flask import Flask

from app import cli, create_app, version
from service.config import Settings
from service.web.admin import NAVIGATION
from service.web.runtime import runtime

ADMIN_PAGES = {place.address for place in NAVIGATION}
OPERATOR_PAGES = ("handovers.queue", "ticketing.tickets", "operators.shift")
README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_first_screen_has_the_two_commands_and_english() -> None:
    first = "\n".join(README.splitlines()[:20])
    assert "make run" in first and "make test" in first and "In English" in first


def test_every_command_is_in_the_readme_and_has_help() -> None:
    def walk(command: click.Command, name: str) -> None:
        if isinstance(command, click.Group):
            for child in command.commands.values():
                walk(child, f"{name} {child.name}".strip())
            return
        assert f"python app.py {name}" in README, name
        assert command.help, name

    walk(cli, "")


def test_every_address_is_in_the_readme(tmp_path: Path) -> None:
    app: Flask = create_app(Settings(data_dir=str(tmp_path)), follow=False)
    for rule in app.url_map.iter_rules():
        if rule.endpoint in ("static", "pages.feedback", "pages.text_size"):
            continue  # not addresses that anyone would type
        if rule.rule.startswith("/admin/") and rule.rule not in ADMIN_PAGES:
            continue  # below one of the pages that the navigation leads to
        if rule.rule.startswith("/operator/") and rule.endpoint not in OPERATOR_PAGES:
            continue  # pieces of these pages, and what their forms are sent to
        address = rule.rule.replace("<int:id>", "<id>").replace("<int:document_id>", "<id>")
        address = address.replace("<int:entry_id>", "<id>")
        assert address in README or address.removeprefix("/api/v1") in README, rule
    with app.app_context():
        runtime().close()


def test_the_version_comes_from_the_change_log() -> None:
    assert version().count(".") == 2


def test_every_decision_has_its_parts() -> None:
    for path in (Path(__file__).resolve().parent.parent / "docs" / "adr").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
