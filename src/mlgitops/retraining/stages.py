"""The project's own code on rows of production: ingest, contract, scoring. Runs its programs.

Each works in a folder of its own, in which the project's files are copies: nothing of the project
is written.
"""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from mlgitops.dvc.command import project_environment
from mlgitops.environments import drop_credentials
from mlgitops.errors import MlgitopsError
from mlgitops.process import run_program
from mlgitops.retraining.parquet import open_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlgitops.retraining.recipe import Recipe

VALIDATION = "reports/validation.json"
_COPIED = ("contract.yaml", "params.yaml", "trusted_types.txt")
_TIMEOUT = 1800.0  # seconds, of one stage
_MOST_ROUNDS = 20  # in which rows that break the contract are left out


class Refusal(msgspec.Struct, frozen=True):
    """One value that breaks the contract; ``row`` counts from 1, None: the table as a whole."""

    column: str
    check: str
    row: Annotated[int, Meta(ge=1)] | None


class Validation(msgspec.Struct, frozen=True):
    """What the validate stage of a generated project writes, as far as it is asked for."""

    passed: bool
    first_mistakes: list[Refusal] = []


class ProjectCode:
    """The code of a project that is checked out in ``clean``; works in ``folder``."""

    def __init__(self, clean: Path, folder: Path) -> None:
        self._clean, self.folder, self.table = clean, folder, open_table(clean)
        packages = sorted(path.parent.name for path in clean.glob("src/*/scoring.py"))
        if len(packages) != 1:
            problem = f"one package with scoring.py was expected below src/, not {len(packages)}"
            raise MlgitopsError(problem, where=str(clean))
        self._package = packages[0]
        for name in _COPIED:
            if (clean / name).is_file():
                shutil.copyfile(clean / name, folder / name)

    def run(self, module: str, *words: str | Path) -> str:
        """Run a module of the project; raises :class:`MlgitopsError` with what it printed."""
        command = ["python", "-m", f"{self._package}.{module}", *words]
        environment = drop_credentials(project_environment(self._clean))
        return run_program(command, cwd=self.folder, env=environment, timeout=_TIMEOUT)

    def admit(
        self, recipe: Recipe, rows: Sequence[Sequence[str]]
    ) -> tuple[list[int], Counter[str]]:
        """Return the positions of the rows that keep the contract, and what refused the others.

        A row is refused also where the table's columns have types that cannot hold a cell of it.

        What the contract asks of a table as a whole is for the pipeline to judge.
        """
        kept, refusals = list(range(len(rows))), Counter[str]()
        for _ in range(_MOST_ROUNDS):
            if not kept:
                return kept, refusals
            refused = self._find_refused(recipe, [rows[at] for at in kept])
            if not refused:
                return kept, refusals
            refusals.update(refused.values())
            kept = [row for at, row in enumerate(kept) if at not in refused]
        raise MlgitopsError(
            "too many rows break the contract: none of them is learned from",
            where="contract.yaml",
            hint=f"most often {refusals.most_common(1)[0][0]}",
        )

    def _find_refused(self, recipe: Recipe, rows: Sequence[Sequence[str]]) -> dict[int, str]:
        """Return the position of each refused row, with the first check that refuses it."""
        misfits = self.table.write_like(self.folder, recipe, rows)
        if misfits:
            return misfits
        report = self.folder / VALIDATION
        report.unlink(missing_ok=True)
        self.run("ingest")
        count = len(self.table.read_interim(self.folder)) - 1
        if count != len(rows):
            problem = f"the ingest stage made {count} rows of {len(rows)}: which is which?"
            raise MlgitopsError(problem, where=self.table.path)
        try:
            self.run("validate")
        except MlgitopsError:
            if not report.is_file():
                raise
        refused: dict[int, str] = {}
        for mistake in _read_validation(report).first_mistakes:
            if mistake.row is not None and mistake.row <= len(rows):
                refused.setdefault(mistake.row - 1, f"{mistake.column}: {mistake.check}"[:1000])
        return refused

    def score(self, model: Path, table: Path, output: Path) -> None:
        """Let a model answer a table that went through :meth:`admit`."""
        self.run("scoring", "--model", model, "--data", table, "--output", output)


def _read_validation(path: Path) -> Validation:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Validation)
    except (msgspec.DecodeError, OSError) as error:
        problem = f"the validate stage left no report that can be read: {error}"[:300]
        raise MlgitopsError(problem, where=VALIDATION) from error
