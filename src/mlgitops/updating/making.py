"""The newer version taken in a clean folder, held against the contract, and trained on. Runs DVC.

Nothing of the clone is written, and nothing is sent.
"""

from __future__ import annotations

import csv
from contextlib import suppress
from typing import TYPE_CHECKING

from mlgitops import __version__
from mlgitops.dvc.command import run_dvc
from mlgitops.dvc.reader import read_pipeline
from mlgitops.dvc.stored import read_work_tree
from mlgitops.errors import MistakesError, MlgitopsError
from mlgitops.git.repository import Folder, Repository
from mlgitops.project.imports import check_imported_contract
from mlgitops.project.training import run_pipeline
from mlgitops.project.validation import validate_project
from mlgitops.retraining.parquet import ParquetTable
from mlgitops.retraining.table import COLUMNAR
from mlgitops.storage import prepare_storage
from mlgitops.updating.imports import list_imports
from mlgitops.updating.report import Shape, TakenFile, UpdateReport, fit_report
from mlgitops.updating.source import find_transport

if TYPE_CHECKING:
    from pathlib import Path

    from mlgitops.console import Console
    from mlgitops.updating.imports import Import
    from mlgitops.updating.plan import Plan, Step

_MOST_RULES = 100
_LONGEST_RULE = 500
_CELL = 2**20  # characters
_SHORT = 12


def take(plan: Plan, clean: Path, console: Console) -> UpdateReport:
    """Take what the plan says in the clean folder, check it and train; return what is known.

    Raises :class:`MlgitopsError` where the source moved meanwhile, the contract cannot hold, or the
    pipeline ends with an error.
    """
    imports = [item for step in plan.steps for item in step.followed.imports]
    prepare_storage(clean, console)
    stricter_before = _list_stricter(clean) if _fetch_old(clean, imports, console) else None
    before, hashes = [_read_shape(clean, item.path) for item in imports], _read_hashes(clean)
    with console.step("Take the newer version"):
        for step in plan.steps:
            _update(clean, step)
        _check_commits(clean, plan)
    with console.step("Hold it against the project"):
        _validate(clean)
    stricter, now = _list_stricter(clean), _read_hashes(clean)
    files = [
        TakenFile(
            path=item.path,
            before=shape,
            now=_read_shape(clean, item.path),
            changed=hashes.get(item.path) != now.get(item.path),
        )
        for item, shape in zip(imports, before, strict=True)
    ]
    run_pipeline(clean, console, tokens=False)
    report = UpdateReport(
        toolkit=__version__,
        sources=tuple(step.taken for step in plan.steps),
        files=tuple(files),
        stricter=stricter,
        stricter_before=stricter_before,
    )
    return fit_report(report)  # else no later run could read what this one pushed


def _fetch_old(clean: Path, imports: list[Import], console: Console) -> bool:
    """Bring what is imported so far into the folder; tell whether all of it is there."""
    try:
        with console.step("What is imported so far"):
            run_dvc(clean, ["pull", "--quiet", "--", *(item.file for item in imports)])
    except MlgitopsError as error:
        console.warn(f"what was imported before cannot be read any more: {error.what[:500]}")
        return False
    return True


def _update(clean: Path, step: Step) -> None:
    """Let DVC move the pins of one source, all to one revision."""
    find_transport(step.taken.repository)
    revision = step.taken.revision
    options = [] if revision is None else [f"--rev={revision}"]
    run_dvc(clean, ["update", "--quiet", *options, "--", *step.followed.files])


def _check_commits(clean: Path, plan: Plan) -> None:
    """Raise unless each .dvc file names the commit that was planned, and its source as before."""
    with Repository(clean) as repository:
        now = {item.file: item for item in list_imports(Folder(repository, clean.resolve()), None)}
    for step in plan.steps:
        for item in step.followed.imports:
            pinned = now.get(item.file)
            names = (pinned.commit, pinned.repository) if pinned else ("nothing", "")
            if names != (step.taken.commit, item.repository):
                raise MlgitopsError(
                    f"the source moved on: {step.taken.commit[:_SHORT]} was to be taken, and it has"
                    f" {names[0][:_SHORT]} now",
                    where=item.file,
                    hint="run the same command again",
                )


def _validate(clean: Path) -> None:
    """Raise with every mistake of the project as it is now."""
    with Repository(clean) as repository:
        mistakes = validate_project(Folder(repository, clean.resolve())).mistakes
    if mistakes:
        raise MistakesError(
            "the project does not take this version as it is, and nothing was proposed:",
            mistakes,
            hint="take it by hand, and mend the project in the same pull request: "
            "docs/how-to/import-features.md",
        )


def _list_stricter(clean: Path) -> tuple[str, ...]:
    """List what contract.yaml demands and the imported contract, as it is on disk, does not."""
    with Repository(clean) as repository:
        folder = Folder(repository, clean.resolve())
        read = folder.list_files(None)
        pipeline = read_pipeline(read, lambda path: folder.read(None, path))
        _, warnings = check_imported_contract(folder, pipeline)
    return tuple(warning.what[:_LONGEST_RULE] for warning in warnings[:_MOST_RULES])


def _read_hashes(clean: Path) -> dict[str, str]:
    """Return what the .dvc files say: path → hash."""
    return {path: version.hash for path, version in read_work_tree(clean).pointers.items()}


def _read_shape(clean: Path, name: str) -> Shape | None:
    """Count rows and columns of a table; None for what is none, not here, or not to be read."""
    path = clean / name
    if name == COLUMNAR and path.is_file():
        with suppress(MlgitopsError):  # the pipeline says what is wrong with it
            table = ParquetTable(clean)
            return Shape(rows=table.count_rows(), columns=table.read_header())
    if not path.is_file() or path.suffix != ".csv":
        return None
    csv.field_size_limit(_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            header = next(rows, [])
            return Shape(rows=sum(1 for _ in rows), columns=tuple(header))
    except (csv.Error, UnicodeDecodeError):  # the pipeline says what is wrong with it
        return None
