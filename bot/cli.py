"""The command line: every command in a few lines. What a command needs is imported inside it, so `--help` is quick."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from bot.settings import Settings
    from storage.database import Database

app = typer.Typer(
    help="Binnenbuurt: a bot on SMS and Telegram that makes it small to ask a neighbour for help.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)
neighbourhoods = typer.Typer(help="Neighbourhoods: add one, list them.", no_args_is_help=True, rich_markup_mode=None)
persons = typer.Typer(help="People: invite one, list them.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(neighbourhoods, name="neighbourhood")
app.add_typer(persons, name="person")

BACKUPS = Path("data/backups")
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Who = Annotated[str, typer.Argument(metavar="PERSON", help="Number or exact name, as in: binnenbuurt person list")]


def command() -> Any:
    """The whole command line as one callable."""
    return typer.main.get_command(app)


# --- what commands share ---


def _settings() -> Settings:
    from bot.settings import read_settings

    return read_settings()


@contextmanager
def _database() -> Iterator[tuple[Settings, Database]]:
    from bot.opening import open_database

    settings = _settings()
    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.close()


@contextmanager
def _writing(database: Database) -> Iterator[Connection]:
    """One transaction in which the key is still that of the data: what came before may have waited for a network."""
    from bot.opening import guard_key

    with database.transaction() as connection:
        guard_key(connection)
        yield connection


def _now() -> datetime:
    return datetime.now(UTC)


def _print(data: Any, as_json: bool, text: str) -> None:
    if as_json:
        text = json.dumps(data, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _table(rows: list[dict[str, Any]], empty: str) -> str:
    """Rows in columns for reading."""
    if not rows:
        return empty
    shown = [{key: _cell(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(key), *(len(row[key]) for row in shown)) for key in shown[0]}
    lines = [{key: key for key in widths}, *shown]
    return "\n".join("  ".join(f"{line[key]:<{width}}" for key, width in widths.items()).rstrip() for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _progress(what: str, done: int, total: int) -> None:
    """A line that renews itself, on stderr and only for somebody who looks at it."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // max(total, 1))
        sys.stderr.write(f"\r{what[:20]:<20} [{bar:<30}] {done}/{total}" + ("\n" if done >= total else ""))
        sys.stderr.flush()


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")


def _save(file: Path, text: str, settings: Settings, database: Database) -> None:
    """Write a file for its owner alone: it may hold names, numbers or a code. Never over the settings, a key or the
    database, nor what belongs to those."""
    for kept in (Path(".env"), Path(settings.data_key_file), database.path):
        if kept is not None and file.resolve().parent == kept.resolve().parent and file.name.startswith(kept.name):
            raise typer.BadParameter(f"{file} holds the settings, a key or the database. Name another file.")
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "w", encoding="utf-8", newline="", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        os.fchmod(out.fileno(), 0o600)  # also one that was there already
        out.write(text)
    _note(f"Written: {file}")


# --- trying it and running it ---


@app.command("try")
def try_(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the page is served; 0 takes a free one.")] = 8321,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """The whole neighbourhood in a browser page. No account needed."""
    from bot.tryout.server import serve

    serve(port, browser)


@app.command()
def console() -> None:
    """The same in this terminal: be anyone, move the clock, save the talk."""
    from bot.console import main

    main()


@app.command()
def run(
    rehearse_from: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M"], help="Dress rehearsal: the calendar starts here, on its own database."
        ),
    ] = None,
    speed: Annotated[
        float | None, typer.Option(min=1, help="Dress rehearsal: how many times faster the calendar runs.")
    ] = None,
) -> None:
    """The real bot: server, channels that have settings, schedule, outbox."""
    if speed is not None and rehearse_from is None:
        raise typer.BadParameter("--speed is for a rehearsal: add --rehearse-from.")
    from bot.run import main

    main(rehearse_from, speed)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check settings, tokens, addresses, database, key, texts. Says what to do; exit 1 when something must be done."""
    from bot.doctor import as_text, examine

    found = examine()
    _print(found, as_json, as_text(found))
    if not found["ok"]:
        raise typer.Exit(1)


# --- neighbourhoods and people ---


@neighbourhoods.command("add")
def neighbourhood_add(
    name: str,
    code: Annotated[str, typer.Option(help="The join code that residents may write, for example LUTMA.")],
    street: Annotated[list[str] | None, typer.Option(help="A street of it. May be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Add a neighbourhood."""
    from bot.language import load_vocabulary
    from storage import roster

    if load_vocabulary().command(code, contact=False) is not None:
        raise typer.BadParameter(f"The code {code} is an order to the bot. Choose another word, for example LUTMA.")
    with _database() as (settings, database), database.transaction() as connection:
        made = roster.add_neighbourhood(connection, name, code, street or (), settings.timezone)
        row = next(row for row in roster.neighbourhoods(connection) if row["id"] == made)
    _print(row, as_json, f"{row['name']} is there. Its code is {row['code']}.")


@neighbourhoods.command("list")
def neighbourhood_list(as_json: Json = False) -> None:
    """List the neighbourhoods, with their streets and how many people."""
    from storage import roster

    with _database() as (_, database), database.reading() as connection:
        rows = roster.neighbourhoods(connection)
    _print(rows, as_json, _table(rows, "No neighbourhood yet. Add one: binnenbuurt neighbourhood add NAME --code CODE"))


@persons.command("add")
def person_add(
    name: str,
    neighbourhood: Annotated[str | None, typer.Option(help="The neighbourhood's code.")] = None,
    role: Annotated[str, typer.Option(help="resident, contact or coordinator")] = "resident",
    phone: Annotated[str | None, typer.Option(help="Expected mobile number. Nothing is sent to it.")] = None,
    street: Annotated[str, typer.Option(help="The street.")] = "",
    as_json: Json = False,
) -> None:
    """Invite somebody: prints a one-time code and its Telegram link. Sends nothing."""
    from bot.operator import people

    with _database() as (settings, database):
        username = _username(settings)
        with _writing(database) as connection:
            made = people.add(connection, _now(), name, neighbourhood, role, phone, street, username)
    if phone and role != "resident" and not as_json:
        _note("The number was not kept: a contact or coordinator joins by the code.")
    _print(made, as_json, _invited(made))


@persons.command("code")
def person_code(person: Who, as_json: Json = False) -> None:
    """A fresh one-time code for somebody. The one before stops working."""
    from bot.operator import people
    from storage import roster

    with _database() as (settings, database):
        username = _username(settings)
        with _writing(database) as connection:
            who = people.summary(connection, people.find(connection, person))
            code = roster.new_code(connection, _now(), who["id"])
    made = {**who, "invite_code": code, "telegram_link": people.telegram_link(username, code)}
    _print(made, as_json, _invited(made))


@persons.command("list")
def person_list(
    neighbourhood: Annotated[str | None, typer.Option(help="Only of this neighbourhood.")] = None, as_json: Json = False
) -> None:
    """List the people: role, neighbourhood, channels. No numbers."""
    from storage import roster

    with _database() as (_, database), database.reading() as connection:
        code = roster.neighbourhood_by_code(connection, neighbourhood)["code"] if neighbourhood else None
        rows = [row for row in roster.people(connection) if code is None or row["neighbourhood"] == code]
    _print(rows, as_json, _table(rows, "Nobody yet. Invite somebody: binnenbuurt person add NAME --neighbourhood CODE"))


def _username(settings: Settings) -> str | None:
    from bot.operator.providers import bot_username

    name = bot_username(settings)
    if settings.telegram_on and name is None:
        _note("Telegram does not answer, so there is no link. The code works all the same. See: binnenbuurt doctor")
    return name


def _invited(made: dict[str, Any]) -> str:
    link = f"\nOn Telegram: {made['telegram_link']}" if made["telegram_link"] else ""
    return f"{made['name']} ({made['role']}, number {made['id']})\nOne-time code: {made['invite_code']}{link}"


# --- everybody in and out ---


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False, readable=True)],
    as_json: Json = False,
) -> None:
    """Invite everybody in a CSV: neighbourhood, role, name, phone, street, check_in. All of it, or nothing."""
    from bot.operator import transfer

    rows = transfer.read_rows(file)
    with _database() as (settings, database):
        username = _username(settings)
        with _writing(database) as connection:
            made = transfer.import_rows(connection, _now(), rows, file.name, username)
    _print(made, as_json, _table(made, ""))


@app.command()
def export(
    out: Annotated[Path | None, typer.Option(help="A file instead of the screen.")] = None, as_json: Json = False
) -> None:
    """Everybody as CSV, in the columns of import. Holds names and numbers: keep it safe."""
    from bot.operator import transfer

    with _database() as (settings, database), database.reading() as connection:
        rows = transfer.export_rows(connection)
    if out:
        text = json.dumps(rows, ensure_ascii=False) if as_json else "\ufeff" + transfer.as_csv(rows)
        _save(out, text, settings, database)
    elif as_json:
        _print(rows, True, "")
    else:
        sys.stdout.write(transfer.as_csv(rows))


@app.command()
def invite(
    neighbourhood: Annotated[str | None, typer.Option(help="A card for everybody of this neighbourhood.")] = None,
    person: Annotated[str | None, typer.Option(help="A card for one person, with a fresh one-time code.")] = None,
    number: Annotated[str | None, typer.Option(help="The SMS number on the card, if not that of the settings.")] = None,
    out: Annotated[Path | None, typer.Option(help="A file instead of the screen, for example card.html.")] = None,
    as_json: Json = False,
) -> None:
    """A printable card (A4, HTML): QR code, number, five sentences in large letters."""
    from bot.operator import invitation, people
    from bot.operator.providers import sms_number
    from storage import roster

    with _database() as (settings, database):
        username = _username(settings)
        shown = people.phone_number(number) if number else sms_number(settings)
        with _writing(database) as connection:
            name, code = "", ""
            if person:
                who = people.summary(connection, people.find(connection, person))
                name, neighbourhood = who["name"], who["neighbourhood"]
            hood = people.only_neighbourhood(connection, neighbourhood)
            contacts = people.contact_names(connection, hood["id"])
            if person:
                code = roster.new_code(connection, _now(), who["id"])
            page = invitation.card(dict(hood), contacts, shown, username, name, code)
    if out:
        _save(out, page, settings, database)
    if as_json or not out:
        link = people.telegram_link(username, code) if code else None
        made = {"neighbourhood": hood["code"], "number": shown, "invite_code": code or None, "telegram_link": link}
        _print({**made, "html": page}, as_json, page)


# --- knowing and forgetting ---


@app.command()
def inzage(person: Who, as_json: Json = False) -> None:
    """Everything we know of somebody, for that person to read."""
    from bot.operator import insight, people

    with _database() as (_, database), database.transaction() as connection:
        known = insight.everything(connection, _now(), people.find(connection, person))
    _print(known, as_json, insight.as_text(known, _now()))


@app.command()
def erase(
    person: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    as_json: Json = False,
) -> None:
    """Forget somebody. Every word, name and number goes, and cannot come back."""
    from bot.operator import insight, people

    with _database() as (_, database):
        with database.reading() as connection:
            who = people.summary(connection, people.find(connection, person))
        if not yes and sys.stdin.isatty() and sys.stderr.isatty():
            typer.confirm(f"Forget {who['name'] or who['id']} for good?", abort=True, err=True)
        done = insight.erase(database, _now(), who["id"])
    _print(done, as_json, f"Number {done['id']} is forgotten. Older backups still hold it until they are removed.")


@app.command()
def report(
    neighbourhood: Annotated[str | None, typer.Option(help="Only this neighbourhood.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Anonymous counts of a year, five or more only, with plots."""
    from bot.operator import report as reporting
    from storage import roster

    with _database() as (settings, database), database.reading() as connection:
        hood = roster.neighbourhood_by_code(connection, neighbourhood)["id"] if neighbourhood else None
        found = reporting.counts(connection, _now(), settings.timezone, hood)
    if html:
        _save(html, reporting.as_page(found), settings, database)
    if as_json or not html:
        _print(found, as_json, reporting.as_text(found))


# --- keeping it safe ---


@app.command()
def backup(
    to: Annotated[
        Path, typer.Argument(metavar="[FILE or FOLDER]", help="A folder gets a file named by the time.")
    ] = Path("data/backups"),
    keep: Annotated[int, typer.Option(min=1, help="Remove backups in that folder after this many days.")] = 14,
    as_json: Json = False,
) -> None:
    """A consistent copy while the bot runs, sealed with the data key. Keep the key somewhere else."""
    from bot.operator.backup import make_backup

    with _database() as (_, database):
        made = make_backup(database, to, _now(), keep, _progress)
    _print(made, as_json, f"{made['file']} ({made['bytes']:,} bytes)")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)],
    key_file: Annotated[Path | None, typer.Option(exists=True, help="The key of that time, if it was another.")] = None,
    as_json: Json = False,
) -> None:
    """Put a backup back into an empty database, with the key it was made with."""
    from bot.operator.backup import load_key_of_then
    from bot.operator.backup import restore as put_back

    settings = _settings()
    load_key_of_then(settings, key_file)
    done = put_back(file, settings.database_url, _progress)
    _print(done, as_json, f"{done['rows']} rows are back. Now: binnenbuurt doctor")


@app.command()
def rekey(
    new_key_file: Annotated[
        Path | None, typer.Option(help="The new key. Made when it is not there. Default: the key file's name with .new")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change the data key: stop the bot, run this, start it. May be interrupted and run again."""
    from bot.operator.keys import rekey as change

    settings = _settings()
    file = Path(settings.data_key_file)
    done = change(settings, new_key_file or file.with_name(f"{file.name}.new"), _now(), _progress)
    text = f"{done['values']} values are sealed with the new key. {done['codes_stopped']} unused codes stopped working."
    if done["old_key_file"]:
        text += f"\nThe old key is {done['old_key_file']}: keep it as long as you keep older backups."
    else:
        text += f"\nPut the contents of {done['key_file']} in DATA_KEY now. Keep the old one with older backups."
    _print(done, as_json, text)


@app.command("migrate-database")
def migrate_database(
    source: Annotated[str, typer.Argument(metavar="FROM", help="sqlite:///… or postgresql+psycopg://…")],
    target: Annotated[str, typer.Argument(metavar="TO", help="An empty database of either kind.")],
    as_json: Json = False,
) -> None:
    """Move everything to another database, counted and checked. Stop the bot first."""
    from bot.operator.moving import migrate_database as move

    moved = move(source, target, _progress)
    total = sum(entry["rows"] for entry in moved)
    _print(moved, as_json, _table(moved, "") + f"\n{total} rows moved and checked. Now set DATABASE_URL.")


@app.command()
def retention(as_json: Json = False) -> None:
    """Forget what is past its term. The bot does this by itself every day."""
    from storage.retention import clean, scrub

    with _database() as (_, database):
        with database.transaction() as connection:
            changed = clean(connection, _now())
        scrub(database)
    _print({"changed": changed}, as_json, f"{changed} rows were past their term.")


# --- measuring ---


@app.command()
def understand(
    why: Annotated[bool, typer.Option("--why", help="Also say what decided it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="It is always JSON lines.")] = True,
) -> None:
    """JSON lines {"text","context","now"?} in, what was understood out, in order."""
    from bot.understand import run as read

    read(sys.stdin, sys.stdout, why)


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="The same seed gives the same history.")] = 1,
    weeks: Annotated[int, typer.Option(min=1, help="How long.")] = 8,
    residents: Annotated[int, typer.Option(min=1, help="How many residents.")] = 50,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from --seed on.")] = 1,
    faults: Annotated[bool, typer.Option("--faults", help="Failing networks, crashes, outages.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="It is always JSON.")] = True,
) -> None:
    """The real code in a made-up neighbourhood; laws checked. JSON; exit 1 on a broken law."""
    from bot.simulate import main

    raise typer.Exit(main(seed, weeks, residents, seeds, faults))


@app.command()
def bench(
    seconds: Annotated[
        float, typer.Option(min=1, help="About how long to measure; 300 and more adds a million people.")
    ] = 120,
    as_json: Annotated[bool, typer.Option("--json/--text", help="JSON, or lines to read.")] = True,
) -> None:
    """Figures as JSON, each next to its floor measured in the same run."""
    from bot.bench import main

    raise typer.Exit(main(as_json, seconds))
