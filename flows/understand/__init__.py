"""Dutch as people text it: from words and the question just asked to what was meant, and whether anybody is in danger."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

from flows.heard import SAFETY, Heard, Moment
from flows.understand.features import Noticed, notice
from flows.understand.lexicon import Lexicon
from flows.understand.model import Active, Model

try:
    from flows.understand.moments import find_moment
except ImportError:

    def find_moment(text: str, now: datetime) -> Moment | None:
        return None


class Reader:
    """Reads messages. Made once, by `Reader.load`, and then used for every message; reading changes nothing."""

    def __init__(self, model: Model, lexicon: Lexicon) -> None:
        self.model = model
        self.lexicon = lexicon
        lexicon.teach(model.vocabulary)

    @classmethod
    def load(cls, locales_folder: Path) -> Reader:
        """The reader of one language's folder (`locales/nl`). Raises `OSError` or `ValueError` if it is incomplete."""
        return cls(Model.load(locales_folder / "understanding.model"), Lexicon(locales_folder / "words"))

    def read(self, text: str, context: str = "", now: datetime | None = None, *, why: bool = False) -> Heard:
        """What was meant by `text`, `context` being the text of the question just asked ("" if none)."""
        noticed = notice(text, context, self.lexicon)
        active = self.model.active(noticed)
        scores = self.model.scores(active)
        chances = _shares(scores["intent"])
        ranked = sorted(chances, key=chances.__getitem__, reverse=True)
        intent = ranked[0]
        danger = "sure" if intent in SAFETY else ""
        topics: tuple[str, ...] = ()
        if intent in ("ask_help", "offer_help"):
            voted = scores["topics"]
            topics = tuple(t for t in voted if voted[t] > 0) or (max(voted, key=voted.__getitem__),)
        urgency = max(scores["urgency"], key=scores["urgency"].__getitem__)
        if intent in ("emergency", "crisis"):
            urgency = "now"
        return Heard(
            text=text,
            intent=intent,
            topics=topics,
            urgency=urgency,
            for_other=scores["for_other"]["yes"] > 0,
            when=find_moment(text, now) if now is not None else None,
            clear=chances[intent] > 0.4 and chances[intent] - chances[ranked[1]] > 0.15,
            danger=danger,
            why=self._why(noticed, active, intent) if why else (),
        )

    def _why(self, noticed: Noticed, active: Active, intent: str) -> tuple[str, ...]:
        return ()


def _shares(scores: dict[str, float]) -> dict[str, float]:
    top = max(scores.values())
    raw = {label: math.exp(score - top) for label, score in scores.items()}
    total = sum(raw.values())
    return {label: value / total for label, value in raw.items()}
