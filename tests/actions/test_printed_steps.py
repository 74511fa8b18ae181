"""The README and the tutorial, typed as they are printed: from a CSV file to an audited server.

Only what a person would do by hand is done here: an edit of params.yaml, a click on "Merge".
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_project import git
from integration.deploy_project import edit
from integration.setup_project import quiet
from mini_project import shared_store

from mlgitops.delivery import LocalTarget
from mlgitops.delivery.processes import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorials" / "your-own-table.md").read_text(encoding="utf-8")
#: Writes the folder and the path of programs into the file that bash is given as its name.
_KEEP = 'code=$?; pwd >"$0"; printenv PATH >>"$0"; exit $code'
ORIGIN = "git@github.com:you/churn.git"


def list_blocks(page: str, title: str = "") -> list[list[str]]:
    """Return the lines of each block to be typed, of the section of that title or of the page."""
    section = re.split(r"(?m)^## ", page.partition(f"## {title}")[2])[0] if title else page
    blocks = re.findall(r"(?ms)^```console\n(.*?)^```$", section)
    return [block.splitlines() for block in blocks]


def list_commands(*lines: str) -> list[str]:
    """Return the commands of lines: without what is said behind them, each of several."""
    bare = [re.sub(r"\s+# .*", "", line).strip() for line in lines]
    return [command for line in bare for command in line.split(" && ")]


def scatter(at: int, prime: int) -> float:
    """Return a number between 0 and 1 without order."""
    return at * prime % 10_007 / 10_007


def make_table(names: str, count: int) -> str:
    """Return customers of whom those leave whose charges do not fit their years with us.

    A linear model learns a part of that, trees learn more.
    """
    lines = []
    for at in range(count):
        charges, years, luck = (scatter(at, prime) for prime in (7919, 6007, 4793))
        leaves = (charges - 0.5) * (years - 0.25) > 0
        answer = "yes" if leaves == (luck < 0.9) else "no"
        plan = ("basic", "plus", "family")[at * 31 % 3]
        lines.append(f"C{at:05d},{12 + 60 * charges:.2f},{36 * years:.1f},{plan},{answer}")
    return "\n".join([names, *lines, ""])


class Terminal:
    """Somebody's terminal: what is typed keeps the folder and the path of programs."""

    def __init__(self, folder: Path) -> None:
        """Open it in the toolkit's checkout, beside which the table lies."""
        self.folder = folder / "mlgitops"
        self.folder.mkdir()
        (self.folder / ".venv").symlink_to(sys.prefix)
        self._state = folder / "state"
        self.env = {
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "MLGITOPS_ENVIRONMENTS": str(shared_store()),
            "PATH": os.environ["PATH"],
        }
        self.typed: list[str] = []

    def type(self, line: str) -> str:
        """Run a line as it stands, require that it succeeds, and return what it prints."""
        done = subprocess.run(
            ["bash", "-c", f"{line}\n{_KEEP}", str(self._state)],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        folder, self.env["PATH"] = self._state.read_text(encoding="utf-8").splitlines()
        self.folder = Path(folder)
        self.typed += list_commands(line)
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Return a terminal beside ``churn.csv``, with an empty repository of that name on GitHub."""
    (tmp_path / "churn.csv").write_text(
        make_table("customer,charges,months,plan,churned", 1200), encoding="utf-8"
    )
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "github.git")
    (tmp_path / ".gitconfig").write_text(
        "[user]\n\tname = You\n\temail = you@example.org\n"
        f'[url "{tmp_path}/github.git"]\n\tinsteadOf = {ORIGIN}\n',
        encoding="utf-8",
    )
    yield Terminal(tmp_path)
    if (tmp_path / "churn" / "deploy").is_dir():
        LocalTarget(tmp_path / "churn", quiet()).stop("production")


def choose_boosting(project: Path) -> None:
    """Do what the tutorial says: two commented lines in place of the two above them."""
    path = project / "params.yaml"
    text = path.read_text(encoding="utf-8")
    proposed = re.search(r"(?m)^  # others to try:\n((?:  # .*Boost.*\n)(?:  # .*\n))", text)
    assert proposed is not None
    lines = re.sub(r"(?m)^  # ", "", proposed[1])
    text, count = re.subn(r"(?m)^  estimator: .*\n  settings: .*\n", lambda _: lines, text)
    assert count == 1
    path.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_the_printed_steps_work_as_they_are_printed(terminal: Terminal, tmp_path: Path) -> None:
    """Each command of the README's way and of the tutorial does what the page says it does."""
    first, change, merged = list_blocks(README, "Your own table")
    tutorial = list_blocks(TUTORIAL)
    project = tmp_path / "churn"
    printed: dict[str, str] = {}
    for line in first:
        (*_, command) = list_commands(line)
        printed[command] = terminal.type(line)
        if command.startswith("mlgitops new"):
            port = f"port: {find_free_port()}"
            edit(project, "deploy/production/model.yaml", "port: 8080", port)
        if command == "make train":
            assert " passed" in terminal.type("make test")
    check_announced(first, printed)
    choose_boosting(project)
    for line in change:
        printed[line] = terminal.type(line)
    assert "**✅ May merge**" in printed["make rehearse"]
    assert "Owner: **TO FILL IN**" in (project / "MODEL_CARD.md").read_text(encoding="utf-8")
    for line in tutorial[-1]:
        terminal.type(line)
    assert "dvc-storage" in git(tmp_path / "github.git", "branch", "--list")
    check_delivered([terminal.type(line) for line in merged[:2]], project)
    check_served([terminal.type(line) for line in merged[2:]])
    proposed = [line for block in (*tutorial, first, change, merged) for line in block]
    assert set(list_commands(*proposed)) == set(terminal.typed)


def check_announced(first: list[str], printed: dict[str, str]) -> None:
    """Hold what `new` and `train` print against the README: what comes next is what it says."""
    (start,) = (line for line in first if line.startswith("mlgitops new"))
    (said,) = (text for command, text in printed.items() if command.startswith("mlgitops new"))
    following = said.partition("Next:\n")[2].partition("\nThen ")[0]
    assert list_commands(*following.splitlines()) == list_commands(*first[first.index(start) + 1 :])
    trained = printed["make train"]
    assert "policy: would pass" in trained
    steps = list_commands(*trained.partition("\nNext:\n")[2].splitlines())
    assert steps[:3] == [*list_commands(*first)[-3:-1], "mlgitops publish"]


def check_delivered(printed: list[str], project: Path) -> None:
    """Require a release and its promotion; merge that as GitHub's button does."""
    released, promoted = printed
    assert "released: churn@v1.0.0" in released
    branch = "promote/production/v1.0.0"
    assert f"branch {branch} is ready" in promoted
    git(project, "switch", "--quiet", "main")
    message = f"Merge pull request #2 from you/{branch}"
    git(project, "merge", "--quiet", "--no-ff", "-m", message, f"origin/{branch}")
    origin = git(project, "config", "remote.origin.url")
    assert origin == ORIGIN
    git(project, "push", "--quiet", str(project.parent / "github.git"), "main")


def check_served(printed: list[str]) -> None:
    """Require a server of the released model, and an audit in which everything holds."""
    deployed, audited = printed
    assert re.search(r"production: churn v1\.0\.0 \w+ is in service at http://", deployed)
    assert "Everything that could be held against git, the storage or a signature holds" in audited


def test_the_first_screen_works_as_it_is_printed(terminal: Terminal) -> None:
    """`make demo` is the demo, and the line below makes a project of FILE.csv and its COLUMN."""
    demo, start = list_blocks(README)[0]
    (command,) = list_commands(demo)
    assert list_blocks(README)[0] == [demo, start]
    planned = subprocess.run(
        [*command.split(), "--dry-run", "--no-print-directory", f"READY={ROOT}/Makefile"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert planned.stdout.splitlines()[-1] == ".venv/bin/mlgitops demo"
    table = make_table("customer,charges,months,plan,COLUMN", 400)
    (terminal.folder / "FILE.csv").write_text(table, encoding="utf-8")
    assert "Your project is in" in terminal.type(start)
    assert (terminal.folder.parent / "file" / "dvc.yaml").is_file()
