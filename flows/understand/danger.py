"""Danger: a detector of its own, beside the reading of intent. Missing one is far worse than asking once too often.

It adds up witnesses: a head trained on nothing but danger against the rest, the gap between the best safety intent and the
best other one, the votes for every intent, and the phrase lists. Phrases in other languages than Dutch decide by themselves,
because the model was hardly taught those languages. So does a listed phrase that is all there is of a message: "brand in
huis" needs no weighing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from flows.heard import SAFETY
from flows.understand.lexicon import PUNCTUATION
from flows.understand.phrases import HOME, Hit

CALM = "bedaar"
"""The list of words that say: told, seen, played, practised or long past."""

DOUBT = "twijfel"
"""The list of what may be danger and may be nothing: as a whole message it is asked about, and it weighs nothing else."""

KINDS = (*sorted(SAFETY), CALM)
LISTS = (*KINDS, DOUBT)


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


def is_whole(words: Sequence[str], hits: Sequence[Hit], beside: Collection[str]) -> bool:
    """Whether listed phrases, and the small words that may stand beside them, are all that was said."""
    said = {word for hit in hits for word in hit.words.split()}
    return "?" not in words and all(word in said or word in beside or word in PUNCTUATION for word in words)


def verdict(weight: float, hits: Sequence[Hit], cuts: Cuts, *, whole: bool, open_question: bool) -> str:
    """ "" for no danger, "likely" to ask once, "sure" to act.

    `whole`: what `is_whole` says; `open_question`: a question was asked to which "ik wil niet meer" may be the answer.
    """
    calm = any(hit.kind == CALM for hit in hits)
    foreign = any(hit.kind != CALM and hit.language != HOME for hit in hits)
    if weight >= cuts.sure or (foreign and not calm):
        return "sure"
    listed = any(hit.kind in SAFETY for hit in hits)
    if listed and whole and not calm:
        return "sure"
    if weight >= cuts.likely or (listed and not calm and weight >= cuts.likely - 1.5):
        return "likely"
    return "likely" if hits and whole and not calm and not open_question else ""


def kind_of(scores: Mapping[str, Mapping[str, float]], hits: Sequence[Hit], *, whole: bool) -> str:
    """Which of the three dangers it is: what all listed phrases in it are about, else what the votes say.

    Of phrases about several, one in another language decides, or the first of a message that they are all there is of.
    """
    said = [hit for hit in hits if hit.kind in SAFETY]
    for hit in said:
        if whole or hit.language != HOME or all(other.kind == hit.kind for other in said):
            return hit.kind
    intents = scores["intent"]
    return max(sorted(SAFETY), key=intents.__getitem__)
