"""The trained weights: one sparse linear map from noticed features to scores for every head, small enough to read."""

from __future__ import annotations

import json
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
                places[places == len(keys)] = 0
                places = places[keys[places] == ids]
                rarity = self.rarity[bundle][places]
                size = float(np.sqrt(rarity @ rarity)) or 1.0
                rows.append(places + offset)
                amounts.append(rarity * np.float32(self.share[bundle] / size))
            offset += len(keys)
        return Active(np.concatenate(rows), np.concatenate(amounts))

    def scores(self, active: Active) -> Scores:
        """Every head's labels with their scores (log-odds or votes), for one message."""
        raw = (active.amounts @ self.weights[active.rows]) * self.scale + self.bias
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
        columns: dict[str, npt.NDArray[Any]] = {"about": text, "weights": self.weights, "scale": self.scale}
        columns["bias"] = self.bias
        for bundle, name in enumerate(BUNDLES):
            columns[f"keys_{name}"] = self.keys[bundle]
            columns[f"rarity_{name}"] = self.rarity[bundle].astype(np.float16)
        np.savez_compressed(file, allow_pickle=False, **columns)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read an artefact. Raises `OSError` or `ValueError` if it is missing or not one of ours."""
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            return cls(
                keys=tuple(stored[f"keys_{name}"] for name in BUNDLES),
                rarity=tuple(stored[f"rarity_{name}"].astype(np.float32) for name in BUNDLES),
                share=tuple(about["share"]),
                weights=stored["weights"],
                scale=stored["scale"],
                bias=stored["bias"],
                heads={head: tuple(labels) for head, labels in sorted(about["heads"].items())},
                vocabulary=tuple(about["vocabulary"].split()),
                about=about["about"],
            )
