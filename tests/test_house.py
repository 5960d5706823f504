"""The house rules, held by reading the source: imports one way, no Dutch in code, a map that is true."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("flows", "storage", "bot")
MAY_IMPORT = {"flows": {"flows"}, "storage": {"storage", "flows"}, "bot": {"bot", "storage", "flows", "locales"}}
PURE = {"rapidfuzz", "numpy"} | set(sys.stdlib_module_names)
WORLDLY = {
    "os",
    "socket",
    "subprocess",
    "random",
    "secrets",
    "sqlite3",
    "urllib",
    "http",
    "asyncio",
    "threading",
    "time",
}
"""What flows may not touch even though it ships with Python: time and chance are handed in."""
CODE = [f for room in ROOMS for f in sorted((ROOT / room).rglob("*.py")) if "versions" not in f.parts]
DUTCH = re.compile(
    r"\b(een|het|niet|voor|naar|jullie|graag|bedankt|wij|deze|zijn|wordt|moet|kunt|buurt|vandaag|morgen|gisteren|bewoner|hulpvraag|dank)\b",
    re.IGNORECASE,
)
TOPIC_CODES = {  # fixed by the label rules; they are names, not sentences
    "boodschappen", "klusje", "tuin", "vervoer", "gezelschap", "zorg_licht", "computer_telefoon", "administratie",
    "koken_maaltijd", "huishouden", "huisdier", "lenen_spullen", "verhuizen_tillen", "oppas_kinderen", "taal", "overig",
}  # fmt: skip


def imports(file: Path) -> set[str]:
    """The top-level modules a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("file", CODE, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_one_way(file: Path) -> None:
    """bot → storage → flows; nothing looks back up."""
    room = file.relative_to(ROOT).parts[0]
    ours = imports(file) & {"bot", "storage", "flows", "locales", "tests"}
    assert ours <= MAY_IMPORT[room], f"{file.relative_to(ROOT)} imports {ours - MAY_IMPORT[room]}"


@pytest.mark.parametrize("file", sorted((ROOT / "flows").rglob("*.py")), ids=lambda f: str(f.relative_to(ROOT)))
def test_flows_are_pure(file: Path) -> None:
    """flows knows the standard library, rapidfuzz and numpy; no network, clock, chance or database."""
    outside = imports(file) - PURE - {"flows", "__future__"}
    assert not outside, outside
    assert not imports(file) & WORLDLY, imports(file) & WORLDLY


def strings(file: Path) -> list[tuple[int, str]]:
    """The string constants of a file that are no docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    bare = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented | bare
    ]


@pytest.mark.parametrize("file", CODE, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_dutch_in_code(file: Path) -> None:
    """Dutch lives in locales/nl; a sentence in the code could not be edited by a volunteer."""
    found = [(line, text) for line, text in strings(file) if DUTCH.search(text) and text not in TOPIC_CODES]
    assert not found, found


def test_the_map_in_the_readme_is_real() -> None:
    """Every file and folder the README's map names exists."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```map")[2].partition("```")[0]
    named = [line.split()[0] for line in block.splitlines() if line.strip()]
    assert len(named) >= 8
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing


def test_every_room_says_in_one_line_what_it_is() -> None:
    """A module opens with a docstring whose first line is a sentence."""
    for file in CODE:
        text = file.read_text(encoding="utf-8")
        if not text.strip():
            continue
        doc = ast.get_docstring(ast.parse(text))
        assert doc, file
        assert len(doc.splitlines()[0]) <= 125, file


def test_the_project_speaks_of_itself_alone() -> None:
    """No lock file, no registry, no path of a machine in what is committed."""
    words = re.compile(
        "|".join(["py" + "pi\\.org", "python" + "hosted", "npm" + "js\\.org", "/" + "root/", "/" + "work/"])
    )
    for file in [*CODE, *ROOT.glob("*.toml"), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / ".ci" / "run"]:
        if file.is_file():
            assert not words.search(file.read_text(encoding="utf-8")), file
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8")
