"""One process of several on one database: handles what waits when it is told to, and says how many it did."""

from __future__ import annotations

import sys

from bot.bench.ground import KEY, NOW
from bot.language import load_ears, load_texts
from bot.turn import Turn
from storage.database import Database
from storage.seal import keyring


def work(url: str) -> None:
    """Say that we are ready, wait for a line, work until nothing waits, say how much it was."""
    keyring.use(KEY)
    database = Database(url)
    turn = Turn(database, load_ears(), load_texts())
    turn.tick(NOW)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(f"{turn.handle_all(NOW)}\n")
    database.close()


if __name__ == "__main__":
    work(sys.argv[1])
