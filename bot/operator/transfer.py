"""The whole roster in and out as CSV, the way spreadsheets really write it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bot.operator import people
from bot.operator.problem import OperatorProblem
from bot.operator.words import operator_words
from storage.expected import owner_of
from storage.scene import ADDRESS, CONSENT, HOOD, PERSON

COLUMNS = ("neighbourhood", "role", "name", "phone", "street", "check_in")
BYTES_MAX, ROWS_MAX = 5_000_000, 10_000  # a stadsdorp is some thousands of people; more is another file
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet runs instead of showing
SHOWN_MAX = 10  # problems named in one go


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a CSV with their line numbers.

    Takes commas, semicolons or tabs, a BOM, and UTF-8, UTF-16 or Windows text. Raises
    OperatorProblem for a file that is no such table.
    """
    raw = file.read_bytes()
    if len(raw) > BYTES_MAX:
        raise OperatorProblem(f"{file.name} is larger than {BYTES_MAX // 1_000_000} MB. That is no list of residents.")
    text = _decoded(raw, file.name)
    if "\0" in text:
        raise OperatorProblem(f"{file.name} is not a CSV file. In the spreadsheet choose: save as CSV.")
    first = next((line for line in text.splitlines() if line.strip()), "")
    comma = max(";,\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    try:
        return _table(reader, file.name)
    except csv.Error as wrong:
        raise OperatorProblem(f"{file.name} line {reader.line_num}: {wrong}. Nothing was imported.") from None


def _decoded(raw: bytes, name: str) -> str:
    # a Dutch Excel writes cp1252 unless it is asked otherwise
    encodings = ("utf-16",) if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise OperatorProblem(f"{name}: the letters cannot be read. Save it as CSV UTF-8.")


def _table(reader: Any, name: str) -> list[dict[str, Any]]:
    synonyms = operator_words("cli/import")["columns"]
    header: list[str] = []
    rows: list[dict[str, Any]] = []
    start = 1
    for cells in reader:
        line, start = start, reader.line_num + 1  # a quoted cell may span lines: the row is named by its first
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [synonyms.get(key, key) for key in (_cell(cell).casefold().replace(" ", "_") for cell in cells)]
            _check_header(header, name)
            continue
        if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
            raise OperatorProblem(f"{name} line {line}: more cells than columns. Nothing was imported.")
        values = dict(zip(header, (_cell(cell) for cell in cells), strict=False))
        rows.append({"line": line, **{column: values.get(column, "") for column in COLUMNS}})
        if len(rows) > ROWS_MAX:
            raise OperatorProblem(f"{name} has more than {ROWS_MAX} rows. Split it.")
    if not header:
        raise OperatorProblem(f"{name} is empty. The first line must be: {','.join(COLUMNS)}")
    return rows


def _check_header(header: list[str], name: str) -> None:
    missing = [column for column in ("neighbourhood", "name") if column not in header]
    strange = [column for column in header if column and column not in COLUMNS]
    double = {column for column in header if column and header.count(column) > 1}
    if missing or strange or double:
        wrong = (
            f"no column {' and '.join(missing)}"
            if missing
            else f"column {', '.join(strange or sorted(double))} {'is not known' if strange else 'is there twice'}"
        )
        raise OperatorProblem(f"{name}: {wrong}. The first line must be: {','.join(COLUMNS)}")


def _cell(text: str) -> str:
    """A cell as it was meant: without the `="…"` or `'` with which spreadsheets keep a number from being calculated."""
    text = text.strip()
    if len(text) > 3 and text.startswith('="') and text.endswith('"'):
        text = text[2:-1].strip()
    if text.startswith("'") and text[1:].startswith(FORMULA):
        text = text[1:]
    return text


def import_rows(
    connection: Connection, now: datetime, rows: Iterable[dict[str, Any]], name: str, username: str | None
) -> list[dict[str, Any]]:
    """Invite everybody in the rows; the same as `people.add` for each. Raises OperatorProblem naming every bad line.

    The caller's transaction makes it all or nothing.
    """
    hoods = {code: code for code in connection.execute(sa.select(HOOD.c.code)).scalars()}
    hoods |= {row.name.casefold(): row.code for row in connection.execute(sa.select(HOOD.c.name, HOOD.c.code))}
    there = {
        (row.name.casefold(), row.street.casefold(), row.code or "")
        for row in connection.execute(
            sa.select(PERSON.c.name, PERSON.c.street, HOOD.c.code)
            .select_from(PERSON.outerjoin(HOOD, HOOD.c.id == PERSON.c.neighbourhood_id))
            .where(PERSON.c.left_at.is_(None))
        )
    }
    seen: dict[str, int] = {}
    wrong: list[str] = []
    added: list[dict[str, Any]] = []
    for row in rows:
        try:
            values = _checked(connection, row, hoods, there, seen)
            made = people.add(connection, now, username=username, **values["person"])
            if values["wish"]:
                connection.execute(PERSON.update().where(PERSON.c.id == made["id"]).values(**values["wish"]))
            added.append(made)
        except ValueError as problem:
            wrong.append(f"line {row['line']}: {problem}")
    if wrong:
        more = f" And {len(wrong) - SHOWN_MAX} more." if len(wrong) > SHOWN_MAX else ""
        raise OperatorProblem(f"{name}: nothing was imported. {' '.join(wrong[:SHOWN_MAX])}{more}")
    if not added:
        raise OperatorProblem(f"{name} has no people in it, only a first line.")
    return added


def _checked(
    connection: Connection,
    row: dict[str, Any],
    hoods: dict[str, str],
    there: set[tuple[str, str, str]],
    seen: dict[str, int],
) -> dict[str, Any]:
    words = operator_words("cli/import")
    role = words["roles"].get(row["role"].casefold(), row["role"].casefold()) or "resident"
    given = row["neighbourhood"]
    hood = hoods.get(given.upper()) or hoods.get(given.casefold())
    if given and not hood:
        raise OperatorProblem(f"there is no neighbourhood {given!r}.")
    for column in people.LONGEST:
        if row[column].startswith(FORMULA):
            raise OperatorProblem(f"the {column} {row[column]!r} looks like a formula.")
        people.check_line(column, row[column])
    if not row["name"]:
        raise OperatorProblem("a person needs a name.")
    key = (row["name"].casefold(), row["street"].casefold(), hood or "")
    if key in there:
        raise OperatorProblem(f"{row['name']} of this street and neighbourhood is already there.")
    there.add(key)
    phone = _spreadsheet_number(row["phone"])
    if phone:
        number = people.phone_number(phone)
        if number in seen:
            raise OperatorProblem(f"the number is also on line {seen[number]}.")
        if owner_of(connection, "sms", number) is not None:
            raise OperatorProblem("the number already belongs to somebody.")
        seen[number] = row["line"]
    person = {"name": row["name"], "neighbourhood": hood, "role": role, "phone": phone or None, "street": row["street"]}
    return {"person": person, "wish": _wish(row["check_in"])}


def _spreadsheet_number(text: str) -> str:
    """A number that a spreadsheet took for a sum: without its leading zero or plus. Scientific notation lost digits."""
    bare = text.replace(" ", "").replace("-", "").removesuffix(".0")
    if "E+" in bare.upper():
        raise OperatorProblem(f"the number {text!r} was damaged by the spreadsheet. Make that column text.")
    if bare.isdecimal() and len(bare) == 9 and bare.startswith("6"):
        return f"0{bare}"
    if bare.isdecimal() and len(bare) == 11 and bare.startswith("316"):
        return f"+{bare}"
    return text


def _wish(text: str) -> dict[str, Any]:
    """When she would like the weekly question ("tuesday 10:00" in Dutch). It is no consent: she gives that herself."""
    words = operator_words("cli/import")
    bare = text.casefold().strip()
    if not bare or bare in words["check_in"]["yes"] or bare in words["check_in"]["no"]:
        return {}
    day, _, clock = bare.partition(" ")
    try:
        moment = datetime.strptime(clock.replace(".", ":").strip() or "10:00", "%H:%M").time()  # noqa: DTZ007  # a wall-clock time
        return {"check_in_day": words["days"].index(day), "check_in_time": f"{moment:%H:%M}"}
    except ValueError:
        example = f"{words['days'][1]} 10:00"
        raise OperatorProblem(f"check_in {text!r} must be empty, yes, no, or a day and time: {example!r}.") from None


def export_rows(connection: Connection) -> list[dict[str, Any]]:
    """Everybody who has not left, in the columns of the import; the number is the one on SMS, expected or active."""
    words = operator_words("cli/import")
    numbers = {
        row.person_id: row.value
        for row in connection.execute(
            sa.select(ADDRESS.c.person_id, ADDRESS.c.value).where(ADDRESS.c.channel == "sms").order_by(ADDRESS.c.id)
        )
    }
    consents = {
        row.person_id: row.given
        for row in connection.execute(
            sa.select(CONSENT.c.person_id, CONSENT.c.given).where(CONSENT.c.kind == "check_in").order_by(CONSENT.c.id)
        )
    }
    rows = connection.execute(
        sa.select(PERSON, HOOD.c.code)
        .select_from(PERSON.outerjoin(HOOD, HOOD.c.id == PERSON.c.neighbourhood_id))
        .where(PERSON.c.left_at.is_(None), PERSON.c.name.is_not(None))
        .order_by(HOOD.c.code, PERSON.c.id)
    ).mappings()
    found = []
    for row in rows:
        given = consents.get(row["id"])
        check_in = "" if given is None else words["check_in"]["yes" if given else "no"][0]
        if given is not False and row["check_in_day"] is not None:
            check_in = f"{words['days'][row['check_in_day']]} {row['check_in_time'] or '10:00'}"
        values = (row["code"] or "", row["role"], row["name"], numbers.get(row["id"], ""), row["street"], check_in)
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """The rows as CSV that a spreadsheet shows without running anything in it."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        safe = {c: f"'{v}" if c != "phone" and v.startswith(FORMULA) else v for c, v in row.items()}
        writer.writerow(safe)
    return out.getvalue()
