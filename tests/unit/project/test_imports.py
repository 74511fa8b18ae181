"""Imported tables: their pins, and the contract beside them against the project's own."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from git_project import GitRepository

from mlgitops.dvc.pointers import parse_import
from mlgitops.dvc.reader import read_pipeline
from mlgitops.git.repository import Folder, Repository
from mlgitops.parsing import parse_yaml
from mlgitops.project.imports import check_imported_contract, check_pins

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "https://github.example/acme/features"
FIRST, SECOND = "1" * 40, "2" * 40
OURS = "{dtype: float64, in_range: {min_value: 0, max_value: 23}}"


def put_import(
    root: GitRepository, path: str, data: str, *, commit: str | None = FIRST, address: str = ADDRESS
) -> None:
    """Write a file and the .dvc file by which `dvc import` brought it."""
    digest = hashlib.md5(data.encode(), usedforsecurity=False).hexdigest()
    repo = {"url": address} | ({"rev_lock": commit} if commit else {})
    name = path.rpartition("/")[2]
    deps, outs = [{"path": name, "repo": repo}], [{"path": name, "hash": "md5", "md5": digest}]
    root.put(path, data)
    root.put(f"{path}.dvc", json.dumps({"deps": deps, "outs": outs}))


def check(root: GitRepository) -> tuple[list[str], list[str]]:
    """Return the mistakes and the warnings of a project, each with its file."""
    with Repository(root.root) as repository:
        folder = Folder(repository, root.root.resolve())
        files = folder.list_files(None)
        pipeline = read_pipeline(files, lambda path: folder.read(None, path))
        mistakes, warnings = check_imported_contract(folder, pipeline)
        mistakes = [*check_pins(pipeline), *mistakes]
    return [f"{m.where}: {m.what}" for m in mistakes], [f"{w.where}: {w.what}" for w in warnings]


@pytest.fixture
def root(tmp_path: Path) -> GitRepository:
    """Return a project with an imported table and contract, which says as much as its own."""
    made = GitRepository(tmp_path / "project")
    made.put(".gitignore", "/data/raw/*.csv\n/data/raw/contract.yaml\n")
    made.put("params.yaml", "data: {target: late, id: null}\n")
    put_import(made, "data/raw/table.csv", "hour\n1\n")
    set_contracts(made, OURS, OURS)
    return made


def set_contracts(root: GitRepository, ours: str, theirs: str, *, more: str = "") -> None:
    """Write the column `hour` as each contract has it; ``more`` goes into the project's own."""
    own = f"strict: true\n{more}\ncolumns: {{id: {{dtype: str}}, hour: {ours}}}\n"
    root.put("contract.yaml", own)
    put_import(root, "data/raw/contract.yaml", f"columns: {{hour: {theirs}}}\n")


def test_contracts_that_agree_are_silent(root: GitRepository) -> None:
    """Also with the id, which the ingest stage makes."""
    assert check(root) == ([], [])


@pytest.mark.parametrize(
    ("theirs", "warned"),
    [
        ("{dtype: float64, in_range: {min_value: 1, max_value: 20}}", None),
        ("{dtype: float64, checks: {in_range: {min_value: 0, max_value: 23}}}", None),
        (
            "{dtype: float64, in_range: {min_value: 0, max_value: 24}}",
            "23} here, and {'min_value': 0, 'max_value': 24} in the imported contract",
        ),
        ("{dtype: float64, in_range: {min_value: -1, max_value: 23}}", "`hour`: in_range"),
        ("{dtype: float64, in_range: {min_value: 9, max_value: true}}", "`hour`: in_range"),
        ("{dtype: float64, in_range: {min_value: 9, max_value: .nan}}", "`hour`: in_range"),
        ("{dtype: float64, in_range: {min_value: 5}}", "`hour`: in_range"),
        ("{dtype: float64}", "and nothing in the imported contract"),
        ("{dtype: float64, in_range: [0, 23]}", "`hour`: in_range"),
        (
            "{dtype: float64, nullable: true, in_range: {min_value: 0, max_value: 23}}",
            "`hour` may be missing in the imported contract, and not here",
        ),
    ],
)
def test_a_rule_that_is_stricter_here_is_named(
    root: GitRepository, theirs: str, warned: str | None
) -> None:
    """What the features may bring next could be refused; what they promise more is no matter."""
    set_contracts(root, OURS, theirs)
    mistakes, warnings = check(root)
    assert mistakes == []
    if warned is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warned in warning


@pytest.mark.parametrize(
    ("ours", "theirs", "warned"),
    [
        ("{dtype: str, isin: [A, B]}", "{dtype: str, isin: [B]}", None),
        (
            "{dtype: str, isin: [A]}",
            "{dtype: str, isin: [A, B]}",
            "isin ['A'] here, and ['A', 'B']",
        ),
        ("{dtype: int64}", "{dtype: str}", "`hour` is int64 here, and str in the imported"),
        ("{dtype: str}", "{}", "`hour` is str here, and None in the imported contract"),
        ("{dtype: str, unique: true}", "{dtype: str, unique: true}", None),
        ("{dtype: str, unique: true}", "{dtype: str}", "`hour` must be unique here"),
        (
            "{dtype: str, str_matches: a}",
            "{dtype: str, str_matches: b}",
            "str_matches a here, and b",
        ),
    ],
)
def test_other_rules(root: GitRepository, ours: str, theirs: str, warned: str | None) -> None:
    """Levels, uniqueness, and checks of which no order is known."""
    set_contracts(root, ours, theirs)
    mistakes, warnings = check(root)
    assert mistakes == []
    assert [warned in text for text in warnings if warned] == ([True] if warned else [])
    assert bool(warnings) == bool(warned)


@pytest.mark.parametrize(
    ("more", "theirs_more", "theirs", "warned"),
    [
        ("", "", "required: false", "`hour` may be left out by the imported contract"),
        ("metadata: {missing: {hour: 0.1}}", "", "nullable: false", None),
        (
            "metadata: {missing: {hour: 0.1}}",
            "",
            "nullable: true",
            "in any of them in the imported",
        ),
        (
            "metadata: {missing: {hour: 0.1}}",
            "metadata: {missing: {hour: 0.2}}",
            "nullable: true",
            "may be missing in at most 0.1 of the rows here, and in 0.2 in the imported",
        ),
        (
            "metadata: {missing: {hour: 0.1}}",
            "metadata: {missing: {hour: 0.1}}",
            "nullable: true",
            None,
        ),
        ("unique: [id, hour]", "", "nullable: false", "rows must be unique in ['id', 'hour'] here"),
        ("unique: [hour]", "unique: [hour]", "nullable: false", None),
    ],
)
def test_rules_of_the_whole_table(
    root: GitRepository, more: str, theirs_more: str, theirs: str, warned: str | None
) -> None:
    """A column that may be left out, the share of gaps, and what no two rows may have."""
    nullable = "nullable: true" if "nullable: true" in theirs else "nullable: false"
    own = f"{more}\ncolumns: {{id: {{dtype: str}}, hour: {{dtype: float64, {nullable}}}}}\n"
    root.put("contract.yaml", own)
    text = f"{theirs_more}\ncolumns: {{hour: {{dtype: float64, {theirs}}}}}\n"
    put_import(root, "data/raw/contract.yaml", text)
    mistakes, warnings = check(root)
    assert mistakes == []
    assert [warned in text for text in warnings if warned] == ([True] if warned else [])
    assert bool(warnings) == bool(warned)


@pytest.mark.parametrize(
    ("ours", "theirs", "mistake"),
    [
        (
            "{dtype: str}, wind: {dtype: str}",
            "{dtype: string}",
            "the column `wind` is not in the imported contract",
        ),
        (
            "{dtype: str}",
            "{dtype: object}, <b>rain: {dtype: str}",
            "the imported table has a column `<b>rain`, and `strict: true` here refuses",
        ),
    ],
)
def test_what_no_row_can_keep_is_a_mistake(
    root: GitRepository, ours: str, theirs: str, mistake: str
) -> None:
    """A column that is not there, is of another type, or is one too many."""
    set_contracts(root, ours, theirs)
    mistakes, _ = check(root)
    assert mistakes[0].startswith(f"contract.yaml: {mistake}")


def test_a_column_that_an_ingest_rule_reads_is_left_to_it(root: GitRepository) -> None:
    """What the cells are after it is not in the features' contract."""
    rules = "metadata: {ingest: {hour: {decimal: ','}, day: {date_of: [hour]}}}"
    ours = "{dtype: float64}, day: {dtype: str}"
    set_contracts(root, ours, "{dtype: str}", more=rules)
    assert check(root) == ([], [])


@pytest.mark.parametrize("params", ["data: {id: id}\n", "data: {id: flight}\n"])
def test_an_id_that_the_table_must_have(root: GitRepository, params: str) -> None:
    """Only where params.yaml names none is it made."""
    root.put("params.yaml", params)
    assert check(root)[0] == ["contract.yaml: the column `id` is not in the imported contract"]


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}.git", "git@github.example:acme/features"])
def test_table_and_contract_of_two_commits(root: GitRepository, address: str) -> None:
    """They move together, or the contract speaks of another table; however both are addressed."""
    put_import(root, "data/raw/table.csv", "hour\n2\n", commit=SECOND, address=address)
    mistakes, _ = check(root)
    assert mistakes == [
        f"data/raw/table.csv.dvc: it is of {SECOND[:12]}, and its contract of {FIRST[:12]}"
    ]


def test_a_contract_that_is_not_here_or_not_the_imported_one(root: GitRepository) -> None:
    """The first is said; the second is a mistake, whatever it says."""
    root.put("data/raw/contract.yaml", "columns: {}\n")
    assert check(root)[0] == ["data/raw/contract.yaml: this is not the contract that was imported"]
    (root.root / "data/raw/contract.yaml").unlink()
    mistakes, (warning,) = check(root)
    assert mistakes == []
    assert warning.startswith("data/raw/contract.yaml: the imported contract is not here")


@pytest.mark.parametrize(
    ("commit", "address", "mistake"),
    [
        (None, ADDRESS, "it is imported, and pinned to no commit"),
        ("main", ADDRESS, "it is imported, and pinned to no commit"),
        (FIRST, "https://me:secret@github.example/features", "holds a password"),
        (FIRST, "https://x-access-token:ghs_1@github.example/features", "holds a password"),
        (FIRST, "https://ghp_secret1@github.example/features", "holds a password or a token"),
        (FIRST, "https://github_pat_secret@github.example/features", "holds a password"),
        (FIRST, "https://me:sec@secret@github.example/features", "holds a password"),
    ],
)
def test_a_pin_that_pins_nothing_or_gives_something_away(
    root: GitRepository, commit: str | None, address: str, mistake: str
) -> None:
    """What is shown is never the address with its password."""
    put_import(root, "data/raw/table.csv", "hour\n2\n", commit=commit, address=address)
    mistakes, _ = check(root)
    assert mistake in mistakes[0]
    assert "secret" not in str(mistakes)
    document = parse_yaml((root.root / "data/raw/table.csv.dvc").read_bytes(), "table.csv.dvc")
    assert isinstance(document, dict)
    source = parse_import(document)
    # What releases write down and audits show.
    assert source is None or "secret" not in source.repository


@pytest.mark.parametrize(
    "address", ["ssh://git@github.example:22/f.git", "https://acme@dev.example/acme/_git/features"]
)
def test_an_address_without_a_password(root: GitRepository, address: str) -> None:
    """A user's name, as git over SSH has it, is none."""
    put_import(root, "data/raw/table.csv", "hour\n1\n", address=address)
    contract = (root.root / "data/raw/contract.yaml").read_text()
    put_import(root, "data/raw/contract.yaml", contract, address=address)
    assert check(root) == ([], [])


def test_a_contract_in_a_folder_that_was_imported(root: GitRepository) -> None:
    """It is compared, too, where it is on this disk."""
    for name in ("table.csv", "contract.yaml"):
        (root.root / f"data/raw/{name}.dvc").unlink()
    repo = {"url": ADDRESS, "rev_lock": FIRST}
    outs = [{"path": "raw", "hash": "md5", "md5": f"{'0' * 32}.dir"}]
    root.put("data/raw.dvc", json.dumps({"deps": [{"path": "out", "repo": repo}], "outs": outs}))
    assert check(root) == ([], [])
    root.put("data/raw/contract.yaml", "columns: {hour: {dtype: float64}}\n")
    assert "and nothing in the imported contract" in check(root)[1][0]
    (root.root / "data/raw/contract.yaml").unlink()
    assert check(root) == ([], [])


@pytest.mark.parametrize("text", ["[]", "columns: [hour]\n", "a: {b"])
def test_a_contract_of_another_form(root: GitRepository, text: str) -> None:
    """It is a mistake with a reason, and no traceback."""
    put_import(root, "data/raw/contract.yaml", text)
    assert check(root)[0]
