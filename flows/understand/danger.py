"""Danger: a detector of its own, beside the reading of intent. Missing one is far worse than asking once too often.

It adds up witnesses: a head trained on nothing but danger against the rest, the gap between the best safety intent and the
best other one, the votes for every intent, and the phrase lists. Phrases in other languages than Dutch decide by themselves,
because the model was hardly taught those languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.heard import SAFETY
from flows.understand.phrases import HOME, Hit

CALM = "bedaar"
"""The list of words that say: told, seen, played, practised or long past."""

KINDS = (*sorted(SAFETY), CALM)


@dataclass(frozen=True, slots=True)
class Cuts:
    """How the witnesses are weighed, and from where on danger is likely and sure; decided in training."""

    weights: tuple[float, ...]
    start: float
    likely: float
    sure: float


def weigh(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit], cuts: Cuts) -> float:
    """The weight of danger: above `cuts.sure` is sure, above `cuts.likely` is likely."""
    return cuts.start + sum(w * said for w, said in zip(cuts.weights, witnesses(scores, hits), strict=True))


def witnesses(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit]) -> list[float]:
    """What each witness says: the danger head, the gap between intents, phrases of each kind, and every intent's votes."""
    intents = scores["intent"]
    gap = max(intents[name] for name in SAFETY) - max(value for name, value in intents.items() if name not in SAFETY)
    at_home = [hit.kind for hit in hits if hit.kind == CALM or hit.language == HOME]
    return [scores["danger"]["yes"], gap, *(float(min(at_home.count(kind), 2)) for kind in KINDS), *intents.values()]


def verdict(weight: float, hits: Sequence[Hit], cuts: Cuts) -> str:
    """ "" for no danger, "likely" to ask once, "sure" to act."""
    calm = any(hit.kind == CALM for hit in hits)
    foreign = any(hit.kind != CALM and hit.language != HOME for hit in hits)
    if weight >= cuts.sure or (foreign and not calm):
        return "sure"
    listed = any(hit.kind != CALM for hit in hits)
    if weight >= cuts.likely or (listed and not calm and weight >= cuts.likely - 1.5):
        return "likely"
    return ""


def kind_of(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit]) -> str:
    """Which of the three dangers it is; a phrase in another language names its own."""
    for hit in hits:
        if hit.kind != CALM and hit.language != HOME:
            return hit.kind
    intents = scores["intent"]
    return max(sorted(SAFETY), key=intents.__getitem__)
