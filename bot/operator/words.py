"""Dutch words for the operator (report, card, advice), in subfolders of locales/nl; the folder is the bot's."""

from __future__ import annotations

from functools import cache
from typing import Any

from bot.language import LOCALES, read_toml
from flows.texts import TextError


@cache
def operator_words(name: str) -> dict[str, Any]:
    """The words of `locales/nl/NAME.toml`, for example `cli/report`."""
    return read_toml(LOCALES / f"{name}.toml")


def fill(name: str, key: str, /, **values: object) -> str:
    """One text filled in. Raises TextError naming file and key for a placeholder that has no value."""
    try:
        return str(operator_words(name)[key]).format_map(values)
    except KeyError as wrong:
        raise TextError(f"locales/nl/{name}.toml: {key} needs {wrong}") from None
