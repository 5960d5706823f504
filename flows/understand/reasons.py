"""Why a reading came out as it did: the words and groups of words that added most to it."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

import numpy as np

from flows.understand.features import Noticed
from flows.understand.model import Active, Model
from flows.understand.phrases import Hit

MOST = 6


def reasons(model: Model, noticed: Noticed, active: Active, intent: str, hits: Iterable[Hit]) -> tuple[str, ...]:
    """The listed phrases and the readable features that decided for `intent`, strongest first, at most `MOST`.

    What a feature adds is counted against the mean of what it adds to all intents. Letter groups are left out: they
    repeat what the words say, and nobody can read them.
    """
    named = {crc32(feature.encode()): _plain(feature, noticed) for feature in (*noticed.words, *noticed.groups)}
    start, count = model.column("intent", model.heads["intent"][0]), len(model.heads["intent"])
    block = model.weights[active.rows, start : start + count] * model.scale[start : start + count]
    column = model.heads["intent"].index(intent)
    adds = active.amounts * (block[:, column] - block.mean(axis=1))
    keys = np.concatenate(model.keys)[active.rows]
    found: dict[str, float] = {}
    for key, add in zip(keys.tolist(), adds.tolist(), strict=True):
        words = named.get(key, "")
        if words and add > 0:
            found[words] = found.get(words, 0.0) + add
    ranked = sorted(found, key=lambda words: (-found[words], words))
    listed = dict.fromkeys(f'{hit.kind}: "{hit.words}"' for hit in hits)
    return (*listed, *ranked)[:MOST]


def _plain(feature: str, noticed: Noticed) -> str:
    """A feature as a contact can read it; "" for what says nothing by itself."""
    name = feature.rpartition("|")[2]
    if name.startswith("#"):
        groups = name[1:].split("&")
        said = [next((words for group, words in noticed.found if group == wanted), "") for wanted in groups]
        return " + ".join(f'{group} "{words}"' for group, words in zip(groups, said, strict=True))
    if "~" in name or ":" in name or "*" in name:
        return ""
    words = name.strip("<>= ")
    if not words:
        return ""
    return f"{words} ({noticed.kind})" if "|" in feature else words
