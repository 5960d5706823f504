"""Settings: what is documented is what there is, and a wrong one is named."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bot.settings import SettingProblem, Settings, read_settings

ROOT = Path(__file__).parent.parent


def documented() -> dict[str, str]:
    """The names in `.env.example` with their values; a commented one counts, because it is an example."""
    found = re.findall(r"^#?\s?([A-Z][A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == len({name for name, _ in found}), "a setting is explained twice"
    return {name: value.strip() for name, value in found}


def test_the_example_has_every_setting_and_nothing_else() -> None:
    assert set(documented()) == {field.name.upper() for field in fields(Settings)}


def test_the_example_shows_the_defaults() -> None:
    for field in fields(Settings):
        shown = documented()[field.name.upper()]
        if field.default != "":
            assert shown == f"{field.default:g}" if isinstance(field.default, float) else shown == str(field.default)
        else:
            assert shown == "", f"{field.name.upper()} shows a value that could be taken for a real one"


def test_the_example_as_it_is_gives_the_defaults() -> None:
    assert read_settings({}, ROOT / ".env.example") == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('PORT=9000\nexport TIMEZONE="Europe/Brussels"\nHOST=0.0.0.0 # all\n')
    settings = read_settings({"PORT": "9001"}, tmp_path / ".env")
    assert (settings.port, settings.timezone, settings.host) == (9001, "Europe/Brussels", "0.0.0.0")


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("TELEGRAM_BOT_TOKEN= # fill in later", ""),
        ("TELEGRAM_BOT_TOKEN=\t# fill in later", ""),
        ("TELEGRAM_BOT_TOKEN=# fill in later", ""),
        ("TELEGRAM_BOT_TOKEN=1:a\t# of @BotFather", "1:a"),
        ("TELEGRAM_BOT_TOKEN='1:a' # of @BotFather", "1:a"),
        ('TELEGRAM_BOT_TOKEN = "1:a"  ', "1:a"),
        ('TELEGRAM_BOT_TOKEN="1 # a" # it is "so"', "1 # a"),
        ("TELEGRAM_BOT_TOKEN=1#a", "1#a"),
        ("TELEGRAM_BOT_TOKEN=", ""),
        ("COMPOSE_PROJECT_NAME=buurt", ""),
        ("TELEGRAM_API_HASH=of one's own Bot API server", ""),
        ("DATABASE_USER=of a container", ""),
    ],
)
def test_what_stands_behind_a_value_is_no_part_of_it(written: str, means: str, tmp_path: Path) -> None:
    """A remark taken for a token would switch Telegram on with it."""
    (tmp_path / ".env").write_text(written, encoding="utf-8")
    assert read_settings({}, tmp_path / ".env").telegram_bot_token == means


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("DATABSE_URL=sqlite:///b.db", "DATABASE_URL"),
        ("data_key=x", "DATA_KEY"),
        ("TELEGRAM_TOKEN=1:a", "TELEGRAM_BOT_TOKEN"),
    ],
)
def test_a_misspelt_name_is_no_default(written: str, meant: str, tmp_path: Path) -> None:
    """Another database or a fresh key would quietly be taken, and everybody in it would be strangers."""
    (tmp_path / ".env").write_text(f"PORT=81\n{written}", encoding="utf-8")
    with pytest.raises(SettingProblem, match=f"line 2.*Did you mean {meant}"):
        read_settings({}, tmp_path / ".env")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"PORT": "many"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"SMS_PER_SECOND": "0"}, "SMS_PER_SECOND"),
        ({"TIMEZONE": "Europe/Lutjebroek"}, "TIMEZONE"),
        ({"SMS_PER_SECOND": "nan"}, "SMS_PER_SECOND"),
        ({"TIMEZONE": "Europe"}, "TIMEZONE"),
        ({"TELEGRAM_API_BASE": "foo"}, "TELEGRAM_API_BASE"),
        ({"TELEGRAM_API_BASE": "https://[bad"}, "TELEGRAM_API_BASE"),
        ({"PUBLIC_BASE_URL": "https://"}, "PUBLIC_BASE_URL"),
        ({"PUBLIC_BASE_URL": "https://buurt.example.nl/?a=b"}, "PUBLIC_BASE_URL"),
        ({"TELEGRAM_WEBHOOK_SECRET": "a word"}, "TELEGRAM_WEBHOOK_SECRET"),
        ({"TELEGRAM_MODE": "pull"}, "TELEGRAM_MODE"),
        ({"TWILIO_FROM": "+3197010200300"}, "TWILIO_ACCOUNT_SID"),
        ({"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_MODE": "webhook"}, "TELEGRAM_WEBHOOK_SECRET"),
        (
            {"TELEGRAM_BOT_TOKEN": "1:a", "TELEGRAM_MODE": "webhook", "TELEGRAM_WEBHOOK_SECRET": "s"},
            "PUBLIC_BASE_URL",
        ),
        ({"TWILIO_ACCOUNT_SID": "AC", "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+31"}, "PUBLIC_BASE_URL"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(SettingProblem, match=named):
        read_settings(given, tmp_path / "none")


def test_a_file_with_unreadable_letters_is_named(tmp_path: Path) -> None:
    """Notepad may write UTF-16."""
    (tmp_path / "env").write_text("PORT=80", encoding="utf-16")
    with pytest.raises(SettingProblem, match="UTF-8"):
        read_settings({}, tmp_path / "env")


def test_a_file_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    """A container makes a folder of that name where there was no file to hang in."""
    (tmp_path / ".env").mkdir()
    with pytest.raises(SettingProblem, match=r"\.env cannot be read"):
        read_settings({}, tmp_path / ".env")


def test_every_command_in_the_guide_exists() -> None:
    """What a volunteer types from the guide is a command, with options that it has."""
    from bot.cli import command

    root = command()
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", *sorted((ROOT / "deploy").iterdir())]
    typed = [
        (page.name, line)
        for page in pages
        for line in re.findall(r"binnenbuurt((?: +(?:--?)?[^\s`|)]+)+)", page.read_text(encoding="utf-8"))
    ]
    seen = 0
    for page, line in typed:
        words = line.split()
        node = root.commands.get(words[0].rstrip(".,:;"))
        if node is None:
            continue
        if hasattr(node, "commands") and len(words) > 1:
            assert words[1] in node.commands, (page, line)
            node = node.commands[words[1]]
        options = {name for parameter in node.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in options | {"--help"}, (page, line)
        seen += 1
    assert seen > 30
