"""How a Dutch word sounds, where its spelling leaves a choice: who writes by ear writes "benaut", "lugt" and "doot"."""

from __future__ import annotations

_SAID = (
    ("ij", "ei"), ("y", "ei"), ("auw", "ou"), ("ouw", "ou"), ("au", "ou"), ("sch", "sg"), ("ch", "g"), ("ph", "f"),
    ("th", "t"), ("x", "ks"), ("qu", "kw"), ("ce", "se"), ("ci", "si"), ("c", "k"),
)  # fmt: skip
_DOUBLE = tuple((letter * 2, letter) for letter in "bdfgklmnprst")
_BEGINS = {"v": "f", "z": "s"}
_ENDS = (("tie", "sie"), ("ties", "sies"), ("dt", "t"), ("d", "t"), ("b", "p"), ("en", "e"))
"""The last one is not said in most of the country: "gevalle"."""


def sound(word: str) -> str:
    """What all spellings of one sound have in common; `word` is folded, in lower-case letters."""
    for written, said in _SAID:
        word = word.replace(written, said)
    for twice, once in _DOUBLE:
        word = word.replace(twice, once)
    word = _BEGINS.get(word[:1], word[:1]) + word[1:]
    for written, said in _ENDS:
        if word.endswith(written) and len(word) > len(written) + 1:
            return word[: -len(written)] + said
    return word
