"""The page about the architecture, the contract of imports, and the tree say the same."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from mlgitops.comparison.sides import SideFiles

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mlgitops"
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
CONTRACTS = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
}


def read_tree() -> set[str]:
    """Return the names of what stands directly below src/mlgitops, `__init__` apart."""
    folders = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    return folders | {path.stem for path in SOURCE.glob("*.py")} - {"__init__"}


def read_layers() -> list[str]:
    """Return the contract's rooms, top to bottom; those of one layer in their written order."""
    return [name.strip() for layer in CONTRACTS["rooms"]["layers"] for name in layer.split("|")]


def test_the_contract_names_every_room() -> None:
    """No module stands outside of the layers, and no layer names one that is gone."""
    assert sorted(read_layers()) == sorted(read_tree())


def test_the_page_lists_the_rooms_in_the_order_of_the_contract() -> None:
    """A newcomer's list of rooms, read from the tree, is that of the page."""
    rows = re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE)
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")} - {"model"}
    assert rows == [name for name in read_layers() if name in packages]


def test_the_page_names_the_ground() -> None:
    """What every room may import is listed below the table."""
    rooms = set(re.findall(r"^\| `([a-z]+)` \|", PAGE, re.MULTILINE))
    ground = read_tree() - {"__main__", "cli"} - rooms
    listed = PAGE.partition("On the ground")[2].partition("## ")[0]
    assert {name for name in ground if f"`{name}`" not in listed} == set()


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_no_import_is_excused(contract: str) -> None:
    """No contract ignores an import."""
    assert "ignore_imports" not in CONTRACTS[contract]


def test_every_module_that_the_walks_name_exists() -> None:
    """The two walks lead through modules that are there."""
    walks = PAGE.partition("## Two walks")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+(?:[./][a-z_]+)+)`", walks)) - {"report.json", "dvc.lock"}
    paths = [SOURCE / name.replace(".", "/") for name in named]
    gone = [path for path in paths if not (path.is_dir() or path.with_suffix(".py").is_file())]
    assert (gone, len(paths) > 10) == ([], True)


def list_assigned(module: Path) -> set[str]:
    """Return the attributes that a module sets on anything but its own `self`."""
    return {
        node.attr
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if ast.unparse(node.value) != "self"
    }


def test_a_side_is_set_where_it_is_read() -> None:
    """What is learnt of a side later is returned, and handed to those that need it."""
    fields = set(SideFiles.__struct_fields__)
    setting = {
        path.name for path in SOURCE.rglob("*.py") if not fields.isdisjoint(list_assigned(path))
    }
    assert setting == {"sides.py"}
