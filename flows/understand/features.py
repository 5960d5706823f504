"""What is noticed in a message: its words, its groups of words and who does what for whom, and its letters.

Three bundles, each weighed by itself: `words` (with the question just asked), `groups` (meaning) and letters.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np
import numpy.typing as npt

from flows.understand.lexicon import PUNCTUATION, Lexicon
from flows.understand.normalise import both_ends, fold, tokens

Ids = npt.NDArray[np.uint32]

MOST_WORDS = 260
"""More words than `both_ends` leaves of ordinary text; a text of single letters has more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is in a text whatever was asked before it: its words as typed and as repaired, their groups, letters."""

    text: str
    typed: tuple[str, ...]
    said: tuple[str, ...]
    found: tuple[tuple[str, str], ...]
    sequence: tuple[str, ...]
    letters: Ids


@dataclass(frozen=True, slots=True)
class Noticed:
    """One message taken apart. `words` and `groups` are readable features; `letters` are hashes of letter groups."""

    kind: str
    tokens: tuple[str, ...]
    typed: tuple[str, ...]
    """The tokens before typing errors were repaired, for words of other languages."""
    words: tuple[str, ...]
    groups: tuple[str, ...]
    letters: Ids
    found: tuple[tuple[str, str], ...]
    """Every (group, words that belong to it), in the order of the text."""


def notice(text: str, question: str, lexicon: Lexicon) -> Noticed:
    """Take a message apart, with the text of the question just asked ("" if none)."""
    return notice_after(see(text, lexicon), question, lexicon)


def see(text: str, lexicon: Lexicon) -> Seen:
    """The part of `notice` that does not depend on the question."""
    folded = fold(both_ends(text))
    typed = [word for word in tokens(folded, lexicon.shorthand) if word != ","][:MOST_WORDS]
    said = [word if word in PUNCTUATION else lexicon.repair(word) for word in typed]
    found, sequence = _groups(said, lexicon)
    return Seen(text, tuple(typed), tuple(said), tuple(found), tuple(sequence), _letters(folded))


def notice_after(seen: Seen, question: str, lexicon: Lexicon) -> Noticed:
    """The other part of `notice`."""
    kind = lexicon.kind_of(question)
    shape = _shape(seen.text, seen.said, kind, lexicon.roles)
    return Noticed(
        kind=kind,
        tokens=seen.said,
        typed=seen.typed,
        words=tuple(_words(seen.said, kind)),
        groups=tuple(_meaning(seen.sequence, seen.found, kind, shape)),
        letters=seen.letters,
        found=seen.found,
    )


def hashed(features: Iterable[str]) -> Ids:
    """Readable features as sorted unique numbers, the same on every machine."""
    ids = np.array(list({*map(crc32, map(str.encode, features))}), dtype=np.uint32)
    ids.sort()
    return ids


def _groups(said: list[str], lexicon: Lexicon) -> tuple[list[tuple[str, str]], list[str]]:
    found: list[tuple[str, str]] = []
    sequence: list[str] = []
    skip = 0
    for place, word in enumerate(said):
        if word in PUNCTUATION:
            sequence.append("." if word == "!" else word)
            continue
        phrases = lexicon.phrases_at(said, place)
        single = lexicon.groups_of(word)
        found += [(name, phrase) for phrase, name in phrases]
        found += [(name, word) for name in single]
        if skip:
            skip -= 1
            continue
        if phrases:
            sequence.append(phrases[0][1].upper())
            skip = phrases[0][0].count(" ")
        elif word in lexicon.roles["spelled"]:
            sequence.append(word)
        elif single:
            sequence.append(single[0].upper())
        else:
            sequence.append("_")
    return found, sequence


def _words(said: Sequence[str], kind: str) -> Iterable[str]:
    padded = ["<", *said, ">"]
    seen: set[str] = set()
    for place in range(1, len(padded)):
        word, before = padded[place], padded[place - 1]
        seen.add(word)
        seen.add(f"{before} {word}")
        if place > 1:
            earlier = padded[place - 2]
            seen.add(f"{earlier} {before} {word}")
            seen.add(f"{earlier} * {word}")
            if place > 2:
                seen.add(f"{padded[place - 3]} * * {word}")
    features = list(seen)
    if kind:
        features.extend(f"{kind}|{word}" for word in dict.fromkeys(said))
        features.extend(f"{kind}|{a} {b}" for a, b in pairwise(padded))
        features.append(f"{kind}|={' '.join(said[:6])}")
    else:
        features.append(f"={' '.join(said[:6])}" if len(said) < 5 else f"<={' '.join(said[:3])}")
    return dict.fromkeys(features)


def _meaning(
    sequence: Sequence[str], found: Sequence[tuple[str, str]], kind: str, shape: Sequence[str]
) -> Iterable[str]:
    features: dict[str, None] = dict.fromkeys(shape)
    names = list(dict.fromkeys(name for name, _ in found))
    for name in names:
        features[f"#{name}"] = None
        if kind:
            features[f"{kind}|#{name}"] = None
    short = sorted(names)[:16]
    for place, name in enumerate(short):
        for other in short[place + 1 :]:
            features[f"#{name}&{other}"] = None
    padded = ["<", *sequence, ">"]
    for place in range(1, len(padded)):
        word, before = padded[place], padded[place - 1]
        features[f"{before}~{word}"] = None
        if kind:
            features[f"{kind}|{before}~{word}"] = None
        if place > 1:
            earlier = padded[place - 2]
            features[f"{earlier}~{before}~{word}"] = None
            features[f"{earlier}~*~{word}"] = None
            if place > 2:
                features[f"{padded[place - 3]}~{earlier}~{before}~{word}"] = None
                features[f"{padded[place - 3]}~**~{word}"] = None
    clauses = _clauses(sequence)
    for name in set(clauses[0][:5]):
        features[f"first:{name}"] = None
    for name in set(clauses[-1]):
        features[f"last:{name}"] = None
    return features


def _clauses(sequence: Sequence[str]) -> list[list[str]]:
    clauses: list[list[str]] = [[]]
    for word in sequence:
        if word in PUNCTUATION:
            if clauses[-1]:
                clauses.append([])
        else:
            clauses[-1].append(word)
    if len(clauses) > 1 and not clauses[-1]:
        clauses.pop()
    return clauses


def _shape(text: str, said: Sequence[str], kind: str, roles: Mapping[str, frozenset[str]]) -> list[str]:
    words = [word for word in said if word not in PUNCTUATION]
    length = len(words)
    size = (
        "0"
        if not length
        else "1"
        if length == 1
        else "2"
        if length < 4
        else "3"
        if length < 7
        else "4"
        if length < 13
        else "5"
        if length < 26
        else "6"
    )
    start = text[:400]
    shape = [f"length {size}", f"{kind or 'none'}|length {size}", f"asked {kind or 'none'}"]
    if "?" in said:
        shape += ["?", f"?{kind}"]
        if said[-1] == "?":
            shape.append("ends ?")
    if "!" in said:
        shape.append("!")
    letters = 0 if start.islower() else sum(map(str.isalpha, start))
    if letters > 8 and sum(map(str.isupper, start)) > 0.7 * letters:
        shape.append("capitals")
    have = set(words)
    speaks, asked = bool(have & roles["speaker"]), bool(have & roles["asked"])
    shape.append(f"self {speaks} asked {asked} ? {'?' in said}")
    if not have & roles["self"]:
        shape.append("no self")
    if not have & roles["denied"]:
        shape.append("no negation")
    return shape


_SIZES = (2, 3, 4, 5)
_ORDINARY = 24
"""Longer words are rare, and not kept."""


def _letters(folded: str) -> Ids:
    """Groups of letters as sorted unique numbers. They stay within one word: a space may stand at either end of one."""
    packed = b"".join(
        _letters_of(word) if len(word) <= _ORDINARY else _letters_of.__wrapped__(word)
        for word in folded.split() or ("",)
    )
    found = np.frombuffer(packed, dtype=np.uint32).copy()
    found.sort()
    fresh = np.empty(len(found), dtype=np.bool_)
    fresh[0] = True
    np.not_equal(found[1:], found[:-1], out=fresh[1:])
    return found[fresh]


@lru_cache(maxsize=8_000)
def _letters_of(word: str) -> bytes:
    """The letter groups of one word, each a number of four bytes."""
    raw = f" {word} ".encode("ascii", "replace")
    numbers = array("I")
    for start in range(len(raw)):
        rolling = raw[start] * 2654435761 & _ALL
        for size in _SIZES:
            end = start + size
            if end > len(raw):
                break
            rolling = rolling * 16777619 & _ALL ^ (raw[end - 1] * 2246822519 & _ALL)
            rolling ^= rolling >> 15
            numbers.append(rolling if size == 2 else rolling * (2 * size + 1) & _ALL)
    return numbers.tobytes()


_ALL = 0xFFFFFFFF
