"""CSV as spreadsheets write it: read when it is meant well, and all or nothing."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.operator import people, transfer
from bot.operator.problem import OperatorProblem
from storage import inbox, roster
from storage.database import Database
from storage.scene import CONSENT, PERSON

NOW = datetime(2026, 3, 24, 9, 30, tzinfo=UTC)
HEADER = "neighbourhood,role,name,phone,street,check_in\n"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/import.db")
    made.migrate()
    with made.transaction() as connection:
        roster.add_neighbourhood(connection, "Lutmabuurt", "LUTMA", ["Lutmastraat"])
    yield made
    made.close()


def bring_in(database: Database, tmp_path: Path, content: str | bytes) -> list[dict[str, Any]]:
    file = tmp_path / "list.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows = transfer.read_rows(file)
    with database.transaction() as connection:
        return transfer.import_rows(connection, NOW, rows, file.name, "buurt_bot")


def all_out(database: Database) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        return transfer.export_rows(connection)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_every_spreadsheet_is_read(database: Database, tmp_path: Path, encoding: str, comma: str) -> None:
    text = comma.join(["Buurt", "Rol", "Naam", "Telefoon", "Straat", "Check-in"]) + "\r\n"
    text += (
        comma.join(["Lutmabuurt", "bewoner", '"Zoë de Grée"', '="0612341234"', "Lutmastraat", "dinsdag 10:00"])
        + "\r\n\r\n"
    )
    made = bring_in(database, tmp_path, text.encode(encoding))
    assert [row["name"] for row in made] == ["Zoë de Grée"]
    assert made[0]["telegram_link"].startswith("https://t.me/buurt_bot?start=")
    out = all_out(database)
    assert out[0]["phone"] == "+31612341234"
    assert out[0]["check_in"] == "dinsdag 10:00"


PHONES = ("06-12341234", "+31 6 12 34 12 34", "0031612341234", "612341234", "31612341234", "'+31612341234")


@pytest.mark.parametrize("phone", [*PHONES, "612341234.0"])
def test_numbers_are_read_as_people_write_them(database: Database, tmp_path: Path, phone: str) -> None:
    bring_in(database, tmp_path, f"{HEADER}LUTMA,resident,Riet,{phone},,\n")
    assert all_out(database)[0]["phone"] == "+31612341234"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("LUTMA,resident,,,,", "name"),
        ("DAPPER,resident,Piet,,,", "DAPPER"),
        (",resident,Piet,,,", "neighbourhood"),
        ("LUTMA,koning,Piet,,,", "koning"),
        ("LUTMA,resident,Piet,12,,", "12"),
        ("LUTMA,resident,Piet,020 123 4567,,", "landline"),
        ("LUTMA,resident,Piet,3.16E+10,,", "damaged"),
        ("LUTMA,resident,Piet,0612341234,,", "line 2"),
        ("LUTMA,resident,Riet,,Lutmastraat,", "already"),
        ("LUTMA,resident,=1+1,,,", "formula"),
        ('LUTMA,resident,"=HYPERLINK(""http://x"")",,,', "formula"),
        ("LUTMA,resident,Piet,,,smorgens", "smorgens"),
        ("LUTMA,resident,Piet,,,dinsdag 25:00", "25:00"),
        ("LUTMA,resident,Piet,,,,,extra", "more cells"),
        (f"LUTMA,resident,{'x' * 100},,,", "too long"),
    ],
)
def test_a_bad_row_is_named_by_line_and_nothing_is_imported(
    database: Database, tmp_path: Path, row: str, says: str
) -> None:
    with pytest.raises(OperatorProblem, match="line 3") as problem:
        bring_in(database, tmp_path, f"{HEADER}LUTMA,resident,Riet,0612341234,Lutmastraat,\n{row}\n")
    assert says in str(problem.value)
    assert "\n" not in str(problem.value)
    assert all_out(database) == []


def test_every_bad_row_is_named_at_once(database: Database, tmp_path: Path) -> None:
    rows = "".join(f"LUTMA,resident,Buur {i},nonsense,,\n" for i in range(14))
    with pytest.raises(OperatorProblem) as problem:
        bring_in(database, tmp_path, HEADER + rows)
    assert "line 2:" in str(problem.value)
    assert "line 11:" in str(problem.value)
    assert "4 more" in str(problem.value)


def test_a_cell_over_two_lines_does_not_shift_the_count(database: Database, tmp_path: Path) -> None:
    text = f'{HEADER}LUTMA,resident,Riet,,"Lutma\nstraat",\nLUTMA,resident,,,,\n'
    with pytest.raises(OperatorProblem, match=r"line 2: the street .* line 4: a person needs"):
        bring_in(database, tmp_path, text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        (HEADER, "no people"),
        ("name,street\nRiet,Lutmastraat\n", "neighbourhood"),
        ("neighbourhood,name,bsn\nLUTMA,Riet,123\n", "bsn"),
        ("neighbourhood,name,naam\nLUTMA,Riet,Riet\n", "twice"),
        (b"PK\x03\x04\x00\x00 a real spreadsheet", "CSV"),
        (f'{HEADER}LUTMA,resident,"Riet,,,\n', "line"),
    ],
)
def test_what_is_no_such_list_is_refused(database: Database, tmp_path: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(OperatorProblem, match=says):
        bring_in(database, tmp_path, content)


@given(st.binary(max_size=300))
def test_any_bytes_give_rows_or_a_clear_problem(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "any.csv"
    file.write_bytes(content)
    with contextlib.suppress(OperatorProblem):
        transfer.read_rows(file)


def test_export_runs_nothing_in_a_spreadsheet_and_comes_back_the_same(database: Database, tmp_path: Path) -> None:
    with database.transaction() as connection:
        hood = roster.neighbourhood_by_code(connection, "LUTMA")["id"]
        roster.add_person(connection, NOW, "-Riet, 'the first'", hood, street="@home")
        roster.add_person(connection, NOW, "Ans", hood, "contact")
    text = transfer.as_csv(all_out(database))
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    (tmp_path / "out.csv").write_text(text, encoding="utf-8", newline="")
    assert transfer.read_rows(tmp_path / "out.csv")[0]["name"] == "-Riet, 'the first'"


def test_a_wish_for_check_ins_is_no_consent(database: Database, tmp_path: Path) -> None:
    """Somebody else's yes in a list is not hers: the bot asks her, when she is there."""
    bring_in(database, tmp_path, f"{HEADER}LUTMA,resident,Riet,,,ja\n")
    with database.transaction() as connection:
        assert connection.execute(CONSENT.select()).first() is None


def test_a_contact_gets_no_power_from_a_number(database: Database, tmp_path: Path) -> None:
    bring_in(database, tmp_path, f"{HEADER}LUTMA,contactpersoon,Ans,0612341234,,\n")
    assert all_out(database)[0]["phone"] == ""


def test_an_expected_number_is_known_when_it_writes(database: Database, tmp_path: Path) -> None:
    """Not a stranger: her first words go on as those of a neighbour, after a word about who we are."""
    made = bring_in(database, tmp_path, f"{HEADER}LUTMA,resident,Riet,0612341234,,\n")
    with database.transaction() as connection:
        inbox.receive(connection, NOW, "sms", "SM1", "+31612341234", {"text": "mijn lamp is stuk"})
        row = inbox.take_oldest(connection)
        assert row is not None
        by = inbox.sender(connection, NOW, row)
        found = connection.execute(PERSON.select().where(PERSON.c.id == by.person)).mappings().one()
    assert (by.person, by.invite) == (made[0]["id"], "expected")
    assert found["joined"]


def test_an_expected_number_with_somebody_elses_code_loses_nobody(database: Database, tmp_path: Path) -> None:
    made = bring_in(database, tmp_path, f"{HEADER}LUTMA,resident,Riet,0612341234,,\nLUTMA,contact,Ans,,,\n")
    with database.transaction() as connection:
        inbox.receive(connection, NOW, "sms", "SM1", "+31612341234", {"text": made[1]["invite_code"]})
        row = inbox.take_oldest(connection)
        assert row is not None
        by = inbox.sender(connection, NOW, row)
    assert (by.person, by.invite) == (made[1]["id"], "used")
    assert {row["name"] for row in all_out(database)} == {"Riet", "Ans"}


@pytest.mark.parametrize("text", ["06 12 34 12 34", "0032470123456"])
def test_phone_numbers_become_e164(text: str) -> None:
    number = people.phone_number(text.replace("0032", "+32"))
    assert number.startswith("+")
    assert number[1:].isdecimal()
