"""The simulated town: one seed is one history, the laws hold, and bugs that are planted on purpose are found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.simulate import Order, live, live_all
from bot.world import World
from flows import casebook, claims, contract, times
from storage import apply, outbox
from storage.scene import PERSON
from tests.transcript import cast_of, play

ROOT = Path(__file__).parent.parent
SEEDS_MAX = 50  # a planted bug is found within so many
SMALL = {"weeks": 2, "residents": 12}


def simulate(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as somebody else would."""
    command = [sys.executable, "-m", "bot", "simulate", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=110, check=False
    )


def first_broken(law: str) -> dict[str, Any]:
    """Live through seeds until that law breaks; returns what was said about it."""
    for seed in range(1, SEEDS_MAX + 1):
        result = live(Order(seed, faults=True, **SMALL))
        for broken in result.broken:
            if law in broken["law"]:
                return dict(broken)
    pytest.fail(f"no seed of {SEEDS_MAX} broke: {law}")


@pytest.mark.slow
def test_a_seed_is_one_history() -> None:
    """The same seed gives the same hash in another process with another hash seed; another seed gives another one."""
    order = ("--weeks", "1", "--residents", "8", "--faults")
    runs = [
        simulate("--seed", seed, *order, PYTHONHASHSEED=hashes) for seed, hashes in (("3", "1"), ("3", "2"), ("4", "1"))
    ]
    shapes = [json.loads(run.stdout) for run in runs]
    assert [set(shape) for shape in shapes] == [{"seed", "hash", "broken", "counts"}] * 3
    assert shapes[0] == shapes[1]
    assert shapes[0]["hash"] != shapes[2]["hash"]
    assert [run.returncode for run in runs] == [1 if shape["broken"] else 0 for shape in shapes]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_laws_hold_for_25_seeds() -> None:
    """Two weeks of a dozen people, with every fault there is: no law breaks, and there was something to break."""
    results = list(live_all([Order(seed, faults=True, **SMALL) for seed in range(1, 26)]))
    assert [(r.seed, b["law"], b["at"], b["transcript"]) for r in results for b in r.broken] == []
    assert min(r.counts["messages in"] for r in results) > 20
    total = {key: sum(r.counts.get(key, 0) for r in results) for key in ("crashes", "outages", "repeated", "Temporary")}
    assert all(total.values()), total


def forget_to_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    """STOP is kept, but what still waits is sent all the same."""

    def stop(writer: Any, _scene: Any, effect: contract.StopPerson) -> None:
        at = writer._now if effect.stopped else None
        writer._connection.execute(PERSON.update().where(PERSON.c.id == effect.person).values(stopped_at=at))

    real = outbox._no_longer
    monkeypatch.setattr(outbox, "_no_longer", lambda row, now: real({**row, "stopped_at": None}, now))
    monkeypatch.setitem(apply._WRITES, contract.StopPerson, stop)


def repeat_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose answer was lost is sent again and again."""
    monkeypatch.setattr(outbox, "AGAIN_MAX", 99)


def lose_the_due_date(monkeypatch: pytest.MonkeyPatch) -> None:
    """A case that is handed back has no next rung."""

    def later(now: Any, hood: Any, name: str, **more: Any) -> Any:
        return None if name.endswith("remind") else times.later(now, hood, name, **more)

    monkeypatch.setattr(claims, "later", later)


def name_the_nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contacts are told who asked, also when she kept her name back."""
    monkeypatch.setattr(casebook, "who", lambda case: case.person.name if case.person else "?")


PLANTED = (
    (forget_to_drop, "nobody hears us after STOP"),
    (repeat_for_ever, "nothing is doubled"),
    (lose_the_due_date, "every open case climbs"),
    (name_the_nameless, "no name that was kept back"),
)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    "BINNENBUURT_EVERYTHING" not in os.environ, reason="takes minutes; BINNENBUURT_EVERYTHING=1 runs it"
)
@pytest.mark.parametrize(("plant", "law"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_a_planted_bug_is_found(
    plant: Callable[[pytest.MonkeyPatch], None],
    law: str,
    monkeypatch: pytest.MonkeyPatch,
    new_world: Callable[..., World],
    tmp_path: Path,
) -> None:
    """Each is found within fifty seeds, and what is printed about it can be played as a transcript."""
    plant(monkeypatch)
    broken = first_broken(law)
    monkeypatch.undo()
    file = tmp_path / "found.txt"
    file.write_text(broken["transcript"], encoding="utf-8")
    went = play(file, new_world(cast_of(file)))
    assert law in went[0]
    assert any(not line.startswith(("#", "--", "bot ")) for line in went if line)
