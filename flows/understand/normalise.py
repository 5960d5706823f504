"""From what somebody typed to plain lowercase words, with the punctuation that carries meaning."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

HEAD, TAIL = 700, 500
"""Characters looked at from the start and from the end: a story's request stands at one of the two."""

_EMOJI = {
    "\N{THUMBS UP SIGN}": " emojija ",
    "\N{OK HAND SIGN}": " emojija ",
    "\N{WHITE HEAVY CHECK MARK}": " emojija ",
    "\N{HEAVY CHECK MARK}": " emojija ",
    "\N{THUMBS DOWN SIGN}": " emojinee ",
    "\N{CROSS MARK}": " emojinee ",
    "\N{PERSON WITH FOLDED HANDS}": " emojidank ",
    "\N{CLAPPING HANDS SIGN}": " emojidank ",
    "\N{BOUQUET}": " emojidank ",
    "\N{HEAVY BLACK HEART}": " emojihart ",
    "\N{FIRE}": " emojivuur ",
    "\N{POLICE CARS REVOLVING LIGHT}": " emojialarm ",
    "\N{BLACK QUESTION MARK ORNAMENT}": " ? ",
}
_HAPPY = "\u263a\u2600" + "".join(
    map(chr, [*range(0x1F600, 0x1F610), 0x1F60A, 0x1F60D, 0x1F642, 0x1F643, 0x1F917, 0x1F970])
)
_SAD = "\u2639" + "".join(
    map(
        chr, [0x1F494, 0x1F613, 0x1F614, 0x1F61E, 0x1F61F, *range(0x1F620, 0x1F632), 0x1F641, 0x1F912, 0x1F915, 0x1F974]
    )
)
_MARKS = str.maketrans(
    {
        "\u2019": "'", "\u2018": "'", "\u00b4": "'", "`": "'", "\u201a": ",", "\u201c": " ", "\u201d": " ",
        "\u201e": " ", '"': " ",
        "\u2013": " ", "\u2014": " ", "\u2026": ".", "\n": " . ", "\r": " ", "\u00df": "ss", "\u0131": "i",
        "\u00f8": "o", "\u00e6": "ae", "\u0153": "oe", "\u0133": "ij", "\u0142": "l",
        **_EMOJI, **dict.fromkeys(_HAPPY, " emojiblij "), **dict.fromkeys(_SAD, " emojisip "),
    }
)  # fmt: skip
_TOKEN = re.compile(r"'?[a-z]+(?:'[a-z]+)*|[\u0620-\u064a]+|\d+(?:[:.,]\d+)*|[?!.;:,]")
_SMILEY = re.compile(r"[:;]-?[)dp](?![a-z])")
_FROWN = re.compile(r"[:;]'?-?\((?![a-z])")
_RUN = re.compile(r"([a-z])\1\1+")
_JOINT = re.compile(r"[-/](?<=[a-z].)(?=[a-z])")
_INITIALS = re.compile(r"[a-z]\.(?<![a-z]..)(?:[a-z]\.)+")


def both_ends(text: str) -> str:
    """The text itself, or of a very long one its first and last part."""
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} . {text[-TAIL:]}"


def fold(text: str) -> str:
    """Lowercase, without accents, curly quotes and long rows of the same letter; emoji become words."""
    text = text.translate(_MARKS).lower()
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = _SMILEY.sub(" emojiblij ", text)
    text = _FROWN.sub(" emojisip ", text)
    text = _INITIALS.sub(lambda m: m[0].replace(".", ""), text)
    text = _JOINT.sub("", text)
    return _RUN.sub(r"\1\1", text)


SPOKEN_NUMBERS = frozenset({"112", "113"})
"""Of emergency and of suicide prevention: they are words; what other numbers are says nothing."""


def tokens(folded: str, shorthand: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The words of a folded text, shorthand written out; sentence ends stay as `.` `?` `!` and commas as `,`."""
    found: list[str] = []
    for word in _TOKEN.findall(folded):
        full = shorthand.get(word)
        if full is not None:
            found.extend(full)
        elif word[0] == "'":
            found.append(word[1:])
        elif word in ";:":
            found.append(",")
        elif word[0].isdigit() and len(word) > 2 and word not in SPOKEN_NUMBERS:
            found.append("0:00" if ":" in word or ("." in word and len(word) <= 5) else "000")
        else:
            found.append(word)
    return found


@lru_cache(maxsize=20_000)
def stems(word: str) -> tuple[str, ...]:
    """Shorter forms a Dutch word may come from, likeliest first: plural, diminutive, inflection.

    Deliberately generous: a form that no list knows does no harm.
    """
    forms: list[str] = []

    def add(stem: str) -> None:
        if len(stem) < 3:
            return
        forms.append(stem)
        if len(stem) > 3 and stem[-1] == stem[-2]:
            forms.append(stem[:-1])
        if stem[-1] in "vz":
            forms.append(stem[:-1] + ("f" if stem[-1] == "v" else "s"))
        if len(stem) > 2 and stem[-2] in "aeou" and stem[-3] not in "aeiou" and stem[-1] not in "aeiouwjx":
            long = stem[:-1] + stem[-2] + stem[-1]
            forms.append(long)
            if long[-1] in "vz":
                forms.append(long[:-1] + ("f" if long[-1] == "v" else "s"))

    for ending in (
        "etjes",
        "etje",
        "tjes",
        "pjes",
        "tje",
        "pje",
        "jes",
        "je",
        "'s",
        "en",
        "es",
        "s",
        "e",
        "t",
        "d",
        "n",
        "te",
        "de",
        "ten",
        "den",
    ):
        if word.endswith(ending):
            add(word[: -len(ending)])
            if ending in ("pjes", "pje"):
                add(word[: -len(ending)] + "p")
            if ending in ("etjes", "etje"):
                add(word[: -len(ending)])
    if word.startswith("ge") and len(word) > 6:
        forms.append(word[2:])
        for ending in ("d", "t", "en"):
            if word.endswith(ending):
                add(word[2 : -len(ending)])
    return tuple(dict.fromkeys(forms))
