"""`binnenbuurt …` and `python -m bot …`: runs a command; what goes wrong is one clear line and exit 2."""

from __future__ import annotations

import os
import sys

OURS = ("bot", "storage", "flows")


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit code: 0, 1 (a check failed) or 2 (it could not be done)."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads only wait and weigh: our products are small
    from bot.cli import command

    try:
        code = command().main(
            args=sys.argv[1:] if arguments is None else arguments, prog_name="binnenbuurt", standalone_mode=False
        )
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output left, as `… | head` does; that is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as wrong:
        sys.stderr.write(_one_line(wrong) + "\n")
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _one_line(wrong: Exception) -> str:
    """What went wrong as one line. Our own problems say what to do; anything else says where it came from."""
    usage = getattr(wrong, "format_message", None)  # typer's own errors about options and arguments
    if usage is not None:
        return " ".join(f"{usage()} See: binnenbuurt --help".split())
    if type(wrong).__module__.startswith("sqlalchemy"):
        text = f"The database refused: {getattr(wrong, 'orig', wrong)}. What to do: binnenbuurt doctor"
    elif type(wrong).__module__.partition(".")[0] in OURS:
        text = str(wrong)
    elif isinstance(wrong, OSError):
        text = f"{wrong.strerror or wrong}{f': {wrong.filename}' if wrong.filename else ''}"
    else:
        trace = wrong.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        module = str(trace.tb_frame.f_globals.get("__name__", "")) if trace else ""
        if type(wrong) is ValueError and module.partition(".")[0] in OURS:
            text = str(wrong)  # raised by us on purpose, with what to do
        else:
            text = f"Unexpected {type(wrong).__name__}: {wrong} ({module}:{trace.tb_lineno if trace else 0})"
    return " ".join(text.split())


if __name__ == "__main__":
    main()
