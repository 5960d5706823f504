"""`binnenbuurt bench`: figures as JSON, each next to its floor measured in the same run."""

from __future__ import annotations

import json
import sys
import time

import typer

from bot.bench import crowds, networks, processes, turns
from bot.bench.figure import Figure, Measure

SECONDS = 120.0  # for all of it, about
PARTS: tuple[tuple[str, Measure, float], ...] = (
    ("turns", turns.measure, 0.25),
    ("networks", networks.measure, 0.25),
    ("crowds", crowds.measure, 0.3),
    ("processes", processes.measure, 0.2),
)


def main(as_json: bool = True, seconds: float = SECONDS) -> int:
    """Measure everything in about so many seconds and print it; returns the exit code."""
    figures: list[Figure] = []
    began = time.monotonic()
    for done, (name, measure, share) in enumerate(PARTS):
        _progress(done, name)
        figures += measure(seconds * share)
    _progress(len(PARTS), f"{time.monotonic() - began:.0f} s\n")
    if as_json:
        typer.echo(json.dumps([f.as_json() for f in figures], ensure_ascii=False))
    else:
        typer.echo("\n".join(_line(f.as_json()) for f in figures))
    return 0


def _progress(done: int, name: str) -> None:
    if sys.stderr.isatty():
        bar = "#" * done + "." * (len(PARTS) - done)
        typer.echo(f"\r[{bar}] {name:<12}", nl=False, err=True)


def _line(figure: dict[str, object]) -> str:
    floor = f"floor {figure['floor']}, ratio {figure['ratio']}" if figure["floor"] is not None else ""
    return f"{figure['name']:<40} {figure['value']:>10} {figure['unit']:<18} {floor}"
