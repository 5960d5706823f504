"""The language at hand: texts, word lists and the reader, loaded from locales/nl once."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time

from flows.ears import Ears
from flows.texts import TextError, Texts
from flows.understand import Reader
from flows.vocabulary import Vocabulary

LOCALES = Path(__file__).parent.parent / "locales" / "nl"


def read_toml(file: Path) -> dict[str, Any]:
    """A language file. Raises TextError with the file's name and line when it is not TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise TextError(f"locales/nl/{file.name}: {wrong}") from None


def load_texts(zone: str = "Europe/Amsterdam", folder: Path = LOCALES) -> Texts:
    """All texts; moments are written on the clock of `zone`. Raises TextError for the first file that is wrong."""
    return Texts(
        {file.stem: read_toml(file) for file in sorted(folder.glob("*.toml"))}, lambda moment: in_words(moment, zone)
    )


@cache
def load_ears(folder: Path = LOCALES) -> Ears:
    """The reader and the word lists; the same object every time, because it holds no state."""
    return Ears(Reader.load(folder), load_vocabulary(folder))


def load_vocabulary(folder: Path = LOCALES) -> Vocabulary:
    """The word lists that a volunteer can edit."""
    return Vocabulary(read_toml(folder / "words" / "commands.toml"))


def in_words(moment: datetime | date, zone: str) -> str:
    """ "dinsdag 24 maart om 10.00 uur", or the day alone for midnight and plain dates."""
    if not isinstance(moment, datetime):
        return str(format_date(moment, "EEEE d MMMM", locale="nl"))
    local = moment.astimezone(ZoneInfo(zone))
    day = str(format_date(local, "EEEE d MMMM", locale="nl"))
    if local.hour == local.minute == 0:
        return day
    return f"{day}, {format_time(local, 'H:mm', locale='nl')}"
