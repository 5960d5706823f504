"""The texts of locales/nl: found by key, filled in, and loud when something is wrong with them."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from flows.contract import T

Dates = Callable[[Any], str]


_STARTS = re.compile(r"(^|[.?] |^\{number\} )$")
"""What stands before the first word of a sentence."""


_NAME = re.compile(r",? \{name\}(?=[.,])")


class TextError(ValueError):
    """A text that cannot be said: it names the file and the key."""


class Texts:
    """All texts by key `file.key`. A text is a string, or a table with a `u` and a `je` form."""

    def __init__(self, files: Mapping[str, Mapping[str, Any]], dates: Dates) -> None:
        """`files` maps a file's stem to its parsed TOML; `dates` writes a moment in words.

        Raises TextError for a text that is neither a string nor a table with exactly `u` and `je`.
        """
        self._dates = dates
        self._texts: dict[str, tuple[str, str]] = {}
        for stem, texts in files.items():
            for key, value in texts.items():
                name = f"{stem}.{key}"
                if isinstance(value, str):
                    self._texts[name] = (value, value)
                elif isinstance(value, Mapping) and set(value) == {"u", "je"}:
                    self._texts[name] = (value["u"], value["je"])
                else:
                    raise TextError(f"locales/nl/{stem}.toml: {key} must be a text, or a table with u and je")

    def __contains__(self, key: object) -> bool:
        return key in self._texts

    def keys(self) -> frozenset[str]:
        """Every key there is."""
        return frozenset(self._texts)

    def forms(self, key: str) -> tuple[str, str]:
        """The u and the je form as written. Raises TextError when the key is unknown."""
        try:
            return self._texts[key]
        except KeyError:
            stem, _, name = key.partition(".")
            raise TextError(f"locales/nl/{stem}.toml has no text {name}") from None

    def version(self, key: str) -> str:
        """A short fingerprint of a text, kept with a consent to show what was asked."""
        return hashlib.sha256("\n".join(self.forms(key)).encode()).hexdigest()[:8]

    def render(self, key: str, form: str, args: Mapping[str, Any]) -> str:
        """The text in that form with its placeholders filled in.

        A value may be a T (a text itself) or a tuple (joined with commas). Raises TextError for a missing placeholder.
        """
        template = self.forms(key)[0 if form == "u" else 1]
        if args.get("name") == "":  # of who gave none: "Dag Riet." is then "Dag."
            template = _NAME.sub("", template)
        filled = {}
        for name, starts in _wants(template):
            if name in args:
                filled[name] = shown = self._shown(args[name], form)
                if starts and isinstance(args[name], T):  # "een buur" at the start of a sentence is "Een buur"
                    filled[name] = shown[:1].upper() + shown[1:]
        try:
            return template.format_map(filled)
        except (KeyError, IndexError, ValueError) as wrong:
            stem, _, name = key.partition(".")
            raise TextError(f"locales/nl/{stem}.toml: {name} needs {wrong}") from wrong

    def _shown(self, value: Any, form: str) -> str:
        if isinstance(value, T):
            if "lines" in value.args:
                return "\n".join(self._shown(v, form) for v in value.args["lines"])
            return self.render(value.key, form, value.args)
        if isinstance(value, tuple):
            return ", ".join(self._shown(v, form) for v in value)
        if hasattr(value, "isoformat"):
            return self._dates(value)
        return str(value)


@lru_cache(maxsize=2048)  # each text is looked at once
def _wants(template: str) -> tuple[tuple[str, bool], ...]:
    """The names a text wants filled in, and whether each stands at the start of a sentence."""
    names = sorted(placeholders(template))
    return tuple((name, bool(_STARTS.search(template.partition(f"{{{name}}}")[0]))) for name in names)


def placeholders(template: str) -> frozenset[str]:
    """The names a text wants filled in."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(template) if name)
