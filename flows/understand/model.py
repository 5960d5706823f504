"""The trained weights: one sparse linear map from noticed features to scores for every head, small enough to read."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from flows.understand.features import Ids, Noticed, hashed

Scores = dict[str, dict[str, float]]
Floats = npt.NDArray[np.float32]

BUNDLES = ("words", "groups", "letters")


@dataclass(frozen=True, slots=True)
class Active:
    """The features of one message that the model knows: their rows, and how much each counts."""

    rows: npt.NDArray[np.int64]
    amounts: Floats


@dataclass(frozen=True, slots=True)
class Model:
    """Weights as small whole numbers times a scale per column.

    `keys[b]` are the sorted feature numbers of bundle b, `rarity[b]` how much each counts before the bundle is scaled
    to `share[b]`; rows of `weights` follow the bundles one after another. `heads` maps a head's name to its columns'
    labels, in column order. `about` holds thresholds and whatever else training decided.
    """

    keys: tuple[Ids, ...]
    rarity: tuple[Floats, ...]
    share: tuple[float, ...]
    weights: npt.NDArray[np.int8]
    scale: Floats
    bias: Floats
    heads: dict[str, tuple[str, ...]]
    vocabulary: tuple[str, ...]
    about: dict[str, Any]

    def active(self, noticed: Noticed) -> Active:
        """The rows and amounts a message switches on."""
        rows: list[npt.NDArray[np.int64]] = []
        amounts: list[Floats] = []
        offset = 0
        for bundle, ids in enumerate((hashed(noticed.words), hashed(noticed.groups), noticed.letters)):
            keys = self.keys[bundle]
            if len(keys):
                places = keys.searchsorted(ids)
                places = places[keys.take(places, mode="clip") == ids]
                rarity = self.rarity[bundle].take(places)
                size = float(np.sqrt(rarity @ rarity)) or 1.0
                rows.append(places + offset)
                amounts.append(rarity * np.float32(self.share[bundle] / size))
            offset += len(keys)
        return Active(np.concatenate(rows), np.concatenate(amounts))

    def scores(self, active: Active) -> Scores:
        """Every head's labels with their scores (log-odds or votes), for one message."""
        raw = (active.amounts @ self.weights.take(active.rows, axis=0)) * self.scale + self.bias
        found: Scores = {}
        start = 0
        values = raw.tolist()
        for head, labels in self.heads.items():
            found[head] = dict(zip(labels, values[start : start + len(labels)], strict=True))
            start += len(labels)
        return found

    def column(self, head: str, label: str) -> int:
        """Where the weights of one label of one head stand."""
        start = 0
        for name, labels in self.heads.items():
            if name == head:
                return start + labels.index(label)
            start += len(labels)
        raise KeyError(head)

    def save(self, file: IO[bytes]) -> None:
        """Write the artefact; the same model gives the same bytes."""
        about = {
            "heads": self.heads,
            "share": self.share,
            "vocabulary": " ".join(self.vocabulary),
            "about": self.about,
        }
        text = np.frombuffer(json.dumps(about, sort_keys=True, ensure_ascii=False).encode(), dtype=np.uint8)
        columns: dict[str, npt.NDArray[Any]] = {"about": text, "scale": self.scale, "bias": self.bias}
        columns |= zip(("filled", "small", "large"), _packed(self.weights), strict=True)
        for bundle, name in enumerate(BUNDLES):
            columns[f"keys_{name}"] = self.keys[bundle]
            rarity = zlib.compress(self.rarity[bundle].astype("<f2").tobytes(), 9)
            columns[f"rarity_{name}"] = np.frombuffer(rarity, dtype=np.uint8)
        np.savez(file, allow_pickle=False, **columns)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read an artefact. Raises `OSError` or `ValueError` if it is missing or not one of ours."""
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            rarity = [np.frombuffer(zlib.decompress(stored[f"rarity_{name}"]), dtype="<f2") for name in BUNDLES]
            keys = tuple(stored[f"keys_{name}"] for name in BUNDLES)
            scale = stored["scale"]
            shape = (sum(map(len, keys)), len(scale))
            return cls(
                keys=keys,
                rarity=tuple(of_bundle.astype(np.float32) for of_bundle in rarity),
                share=tuple(about["share"]),
                weights=_unpacked(stored["filled"], stored["small"], stored["large"], shape),
                scale=scale,
                bias=stored["bias"],
                heads={head: tuple(labels) for head, labels in sorted(about["heads"].items())},
                vocabulary=tuple(about["vocabulary"].split()),
                about=about["about"],
            )


# More than half of the weights are zero and most others small. Ordinary compression makes no smaller file of that, and
# takes more than twice as long to load.

_SMALL = 7
"""The largest weight that is stored in half a byte; a larger one has `_LARGE` there and stands by itself."""
_LARGE = -8
_BLOCK = 1 << 17
"""So many weights are unpacked at a time, in little memory; a multiple of eight."""


def _packed(weights: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """A bit for every weight, on where it is not zero; those that are not, two to a byte; and the large ones in full."""
    filled = weights.ravel() != 0
    values = weights.ravel()[filled]
    is_large = np.abs(values.astype(np.int16)) > _SMALL
    halves = np.where(is_large, np.int8(_LARGE), values)
    halves = np.append(halves, np.zeros(len(halves) % 2, dtype=np.int8))
    return np.packbits(filled), halves[0::2] & 15 | halves[1::2] << 4, values[is_large]


def _unpacked(
    filled: npt.NDArray[np.uint8], small: npt.NDArray[np.int8], large: npt.NDArray[np.int8], shape: tuple[int, int]
) -> npt.NDArray[np.int8]:
    weights = np.zeros(shape, dtype=np.int8)
    flat, done, given = weights.ravel(), 0, 0
    for start in range(0, len(flat), _BLOCK):
        places = np.flatnonzero(np.unpackbits(filled[start // 8 : (start + _BLOCK) // 8]).view(np.bool_))
        end = done + len(places)
        pairs = small[done // 2 : (end + 1) // 2]
        values = np.stack([pairs << 4 >> 4, pairs >> 4], axis=1).ravel()[done % 2 :][: len(places)]
        is_large = np.flatnonzero(values == _LARGE)
        values[is_large] = large[given : given + len(is_large)]
        flat[start : start + _BLOCK][places] = values
        done, given = end, given + len(is_large)
    return weights
