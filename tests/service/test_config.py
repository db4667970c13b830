"""Settings: all problems at once, no default secret, documentation that agrees."""

import stat
from pathlib import Path

import pytest

from service.config import ConfigurationError, Settings, secret_key, settings_table

README = Path(__file__).resolve().parents[2] / "README.md"


def test_nothing_set_is_a_working_installation() -> None:
    settings = Settings.from_env({"PATH": "/bin"})
    assert settings.url.startswith("sqlite:///") and settings.url.endswith("policy.db")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env(
            {"POLICYQA_REGOIN": "370283", "POLICYQA_THREADS": "many", "POLICYQA_MODLE": "x"}
        )
    told = str(caught.value)
    assert all(word in told for word in ("REGOIN", "THREADS", "MODLE"))


def test_values_are_checked() -> None:
    for environ in (
        {"POLICYQA_LOG_LEVEL": "LOUD"},
        {"POLICYQA_THREADS": "0"},
        {"POLICYQA_IDLE_MINUTES": "0"},
        {"POLICYQA_SESSION_HOURS": "169"},
        {"POLICYQA_SESSIONS": "0"},
        {"POLICYQA_PASSWORD_DAYS": "-1"},
        {"POLICYQA_PUBLIC_PER_MINUTE": "-1"},
        {"POLICYQA_TRUSTED_PROXIES": "proxy.example.org"},
        {"POLICYQA_PUBLIC_URL": "policy.example.org"},
        {"POLICYQA_DATABASE_URL": "mysql://x"},
    ):
        with pytest.raises(ConfigurationError):
            Settings.from_env(environ)


def test_plain_postgresql_addresses_are_accepted() -> None:
    settings = Settings.from_env({"POLICYQA_DATABASE_URL": "postgresql://u@h/b"})
    assert settings.url == "postgresql+psycopg://u@h/b"


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-a-file\n")
    assert Settings.from_env({"POLICYQA_SECRET_KEY_FILE": str(path)}).secret_key == "from-a-file"
    both = {"POLICYQA_SECRET_KEY_FILE": str(path), "POLICYQA_SECRET_KEY": "x"}
    for environ in (both, {"POLICYQA_SECRET_KEY_FILE": str(tmp_path / "absent")}):
        with pytest.raises(ConfigurationError):
            Settings.from_env(environ)


def test_the_signing_key_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"))
    key = secret_key(settings)
    assert len(key) == 64 and secret_key(settings) == key
    mode = (tmp_path / "data" / "secret_key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_the_readme_lists_every_setting_with_its_default_and_help() -> None:
    text = README.read_text(encoding="utf-8")
    for name, default, help_text in settings_table():
        shown = f"`{default}`" if default else ""
        assert f"| `{name}` | {shown} | {help_text} |" in text, name
