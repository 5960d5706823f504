"""`binnenbuurt simulate`: a made-up town lives for weeks on the real code, and the laws are checked all along."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import typer

from bot.simulate.run import Result, Simulation


@dataclass(frozen=True, slots=True)
class Order:
    """One seed to live through."""

    seed: int
    weeks: int
    residents: int
    faults: bool


def live(order: Order) -> Result:
    """Live through one seed."""
    return Simulation(order.seed, order.weeks, order.residents, order.faults).run()


def live_all(orders: list[Order]) -> Iterable[Result]:
    """Live through all of them, one on each core, in order; the results come as they are ready."""
    if len(orders) == 1:
        yield live(orders[0])
        return
    with multiprocessing.get_context("spawn").Pool(min(os.cpu_count() or 1, len(orders))) as pool:
        yield from pool.imap(live, orders)


def as_json(result: Result) -> dict[str, object]:
    """A result in the shape that others read."""
    shown = asdict(result)
    return {"seed": shown["seed"], "hash": shown["digest"], "broken": list(shown["broken"]), "counts": shown["counts"]}


def main(seed: int = 1, weeks: int = 8, residents: int = 50, seeds: int = 1, faults: bool = False) -> int:
    """Print one object (an array for several seeds), and broken laws readably on stderr; returns the exit code."""
    orders = [Order(seed + n, weeks, residents, faults) for n in range(seeds)]
    results: list[Result] = []
    shows = sys.stderr.isatty()
    for result in live_all(orders):
        results.append(result)
        if shows and seeds > 1:
            _bar(len(results), seeds, sum(len(r.broken) for r in results))
        for broken in result.broken:
            typer.echo(f"\nseed {result.seed}, {broken['at']}: {broken['law']}\n{broken['transcript']}", err=True)
    if shows and seeds > 1:
        typer.echo(err=True)
    shapes = [as_json(r) for r in results]
    typer.echo(json.dumps(shapes[0] if seeds == 1 else shapes, ensure_ascii=False))
    return 1 if any(r.broken for r in results) else 0


def _bar(done: int, total: int, broken: int) -> None:
    width = 30
    full = width * done // total
    typer.echo(f"\r[{'#' * full}{'.' * (width - full)}] {done}/{total}  {broken} broken", nl=False, err=True)
