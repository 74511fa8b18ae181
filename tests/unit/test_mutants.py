"""The runner of mutants, on a small repository; and our own catalogue, that it still applies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from git_project import git, write_files

from scripts.mutants import CATALOGUE, ROOT, CatalogueError, main, read_catalogue

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\n',
    "src/mlgitops/__init__.py": "",
    "src/mlgitops/rule.py": (
        "LIMIT = 10\n\n\ndef fails(loss: int) -> bool:\n    if loss > LIMIT:\n"
        "        return True\n    return False\n"
    ),
    "tests/test_rule.py": (
        "from mlgitops.rule import fails\n\n\ndef test_far():\n    assert fails(99)\n\n\n"
        "def test_near():\n    assert not fails(10)\n\n\ndef test_wrong():\n    assert fails(1)\n"
    ),
}
FAR, NEAR = "tests/test_rule.py::test_far", "tests/test_rule.py::test_near"
RULE = "src/mlgitops/rule.py"
ENTRY: dict[str, object] = {
    "name": "any loss passes",
    "file": RULE,
    "line": "    if loss > LIMIT:",
    "becomes": "    if False:",
    "tests": [FAR],
}


def make_repository(folder: Path, *entries: dict[str, object]) -> Path:
    """Make a repository with one rule, its tests, and a catalogue of ``entries``."""
    catalogue = "\n".join(
        "[[mutant]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        for entry in entries
    )
    write_files(folder, {**FILES, f"{CATALOGUE}/rule.toml": catalogue})
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    return folder


@pytest.mark.slow
def test_what_a_test_notices_is_killed_and_the_rest_survives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each outcome is told by name; the repository itself is left as it was."""
    missed = {**ENTRY, "name": "the limit itself fails", "becomes": "    if loss >= LIMIT:"}
    near = {**missed, "name": "near", "tests": [FAR, NEAR]}
    same = {**ENTRY, "name": "a sum", "line": "LIMIT = 10", "becomes": "LIMIT = 5 + 5"}
    explained = {**same, "survives": "it is the same number"}
    root = make_repository(tmp_path, ENTRY, missed, near, explained)
    assert main(["--json"], root=root) == 1
    told = json.loads(capsys.readouterr().out)
    assert {
        mutant["name"]: (mutant["outcome"], mutant["detail"]) for mutant in told["mutants"]
    } == {
        "any loss passes": ("killed", FAR),
        "the limit itself fails": ("survived", ""),
        "near": ("killed", NEAR),
        "a sum": ("survives", "it is the same number"),
    }
    assert (root / RULE).read_text() == FILES[RULE]
    assert main(["rule"], root=root) == 1
    printed = capsys.readouterr()
    assert "SURVIVED: rule: the limit itself fails" in printed.out
    assert "[4/4]" in printed.err


@pytest.mark.slow
def test_byte_code_of_one_mutant_never_stands_in_for_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two mutants of one file and of one size are tried after each other, and told apart."""
    noticed = {**ENTRY, "line": "LIMIT = 10", "name": "noticed", "becomes": "LIMIT = 99"}
    missed = {**noticed, "name": "missed", "becomes": "LIMIT = 11"}
    root = make_repository(tmp_path, noticed, missed, {**noticed, "name": "again"})
    assert main(["--json", "--workers", "1"], root=root) == 1
    told = json.loads(capsys.readouterr().out)
    assert {mutant["name"]: mutant["outcome"] for mutant in told["mutants"]} == {
        "noticed": "killed",
        "missed": "survived",
        "again": "killed",
    }


BROKEN_IMPORT = {**ENTRY, "name": "no import", "line": "LIMIT = 10", "becomes": "import nowhere"}
WRONG_TEST = {**ENTRY, "tests": [FAR, "tests/test_rule.py::test_wrong"]}
NO_PARAMETER = {**ENTRY, "tests": [f"{FAR}[one]"]}
FALSE_REASON = {**ENTRY, "survives": "nobody can see it"}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (BROKEN_IMPORT, "which is no failed test"),
        (WRONG_TEST, "do not pass on unchanged code"),
        (NO_PARAMETER, "do not pass on unchanged code (pytest ended with 4)"),
        (FALSE_REASON, "kills it: take `survives` out of its entry"),
    ],
    ids=["import error", "red test", "no such parameter", "killed though explained"],
)
def test_what_proves_nothing_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: dict[str, object], reason: str
) -> None:
    """Only a failed test kills, of those that pass without the mutant."""
    assert main([], root=make_repository(tmp_path, entry)) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"line": "    if loss > LIMITS:"}, "stands 0 times in src/mlgitops/rule.py"),
        ({"line": "if loss > LIMIT:"}, "stands 0 times"),
        ({"file": "src/mlgitops/gone.py"}, "there is no file src/mlgitops/gone.py"),
        ({"tests": ["tests/test_rule.py::test_gone"]}, "there is no test tests/test_rule.py::"),
        ({"tests": ["tests/test_gone.py"]}, "there is no test tests/test_gone.py"),
        ({"tests": []}, "tests is a list of texts"),
        ({"tests": FAR}, "tests is a list of texts"),
        ({"because": "x"}, "unknown key because"),
        ({"becomes": "    if loss >"}, "it becomes no Python"),
        ({"becomes": "    if loss > LIMIT:"}, "one line becomes another one"),
        ({"becomes": "    if True:\n        pass\n    if False:"}, "one line becomes another one"),
        ({"survives": " "}, "no text is empty"),
    ],
)
def test_a_stale_or_odd_entry_is_named(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    """Nothing runs before every entry fits the code as it is."""
    with pytest.raises(CatalogueError, match=f"rule: any loss passes: .*{re.escape(reason)}"):
        read_catalogue(make_repository(tmp_path, {**ENTRY, **change}))


def test_an_entry_needs_every_key_and_a_name_of_its_own(tmp_path: Path) -> None:
    """All mistakes are told together."""
    short = {key: value for key, value in ENTRY.items() if key != "becomes"}
    root = make_repository(tmp_path, ENTRY, ENTRY, {**short, "name": "short"})
    with pytest.raises(CatalogueError, match="rule: short: it lacks becomes") as raised:
        read_catalogue(root)
    assert "rule: any loss passes: 2 entries have this name" in str(raised.value)


def test_one_area_or_a_part_of_a_name_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ONLY=...` runs that alone; a word that fits nothing is an error."""
    root = make_repository(tmp_path, ENTRY, {**ENTRY, "name": "another"})
    assert main(["--list", "any loss"], root=root) == 0
    assert capsys.readouterr().out == f"rule: any loss passes ({RULE})\n"
    assert main(["judge"], root=root) == 2
    assert "no area and no mutant is named 'judge'" in capsys.readouterr().err


def test_our_own_catalogue_still_applies(tmp_path: Path) -> None:
    """Each line stands as it is named, each test is there, and no weakening is a mere typo."""
    mutants = read_catalogue(ROOT)
    assert mutants
    for number, mutant in enumerate(mutants):
        weakened = mutant.apply((ROOT / mutant.file).read_text("utf-8"))
        if mutant.file.endswith(".py"):
            title = f"# {mutant.title}\n"
            (tmp_path / f"mutant_{number}.py").write_text(title + weakened, "utf-8")
    words = ["-m", "ruff", "check", "--isolated", "--select=F821,F823", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
