"""A longer table, a new model, and what to say of them, made in a clean folder. Runs the pipeline.

Nothing of the clone is written, and nothing is sent.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from mlgitops import __version__
from mlgitops.delivery.bundle import (
    MODEL,
    copy_verified,
    find_model,
    read_model_oid,
    read_model_sha256,
)
from mlgitops.dvc.command import run_dvc
from mlgitops.errors import MlgitopsError
from mlgitops.model.monitoring import (
    CommandSource,
    EventSource,
    FolderSource,
    ParquetSource,
    SqlSource,
    TableSource,
)
from mlgitops.monitoring.labels import hash_id
from mlgitops.project.training import run_pipeline
from mlgitops.retraining.comparing import compare_models, write_window
from mlgitops.retraining.gathering import choose_rows, read_labelled, refuse_own_answers
from mlgitops.retraining.learned import find_id_column, read_learned, read_reference
from mlgitops.retraining.recipe import make_recipe
from mlgitops.retraining.report import (
    Champion,
    DayRows,
    RetrainingReport,
)
from mlgitops.retraining.stages import ProjectCode
from mlgitops.retraining.table import APPENDED, append_ids, read_taken
from mlgitops.storage import prepare_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from mlgitops.console import Console
    from mlgitops.model.monitoring import LabelSource, LogSource, RetrainSettings
    from mlgitops.monitoring.label_store import LabelStore
    from mlgitops.monitoring.project import Watched
    from mlgitops.monitoring.sources import Part
    from mlgitops.retraining.gathering import Chosen, Labelled, LabelledRow
    from mlgitops.retraining.observing import Scene
    from mlgitops.retraining.recipe import Recipe
    from mlgitops.retraining.table import RawTable

_MOST_REFUSALS = 100  # checks that are listed


class TooFewRowsError(MlgitopsError):
    """There is too little to learn from: nothing is wrong, and nothing was done."""


class Order(NamedTuple):
    """What shall be done, and why."""

    scene: Scene
    watched: Watched
    branch: str
    day: str  # today, UTC
    reason: str
    why: str
    is_checked: bool  # somebody made sure that the labels are what came true
    is_trial: bool  # nothing is committed or sent


class Source(NamedTuple):
    """Where the rows and their labels are."""

    parts: Sequence[Part]
    labels: LabelStore
    log_name: str
    labels_name: str
    read_salt: Callable[[], bytes | None]  # None: the log has ids as they were sent


class Admitted(NamedTuple):
    """Rows that keep the contract."""

    new: list[LabelledRow]
    window: list[LabelledRow]
    window_file: Path  # as the ingest stage leaves it
    refused: Counter[str]  # rows by day
    refusals: Counter[str]  # rows by what refused them


def make(
    order: Order, source: Source, clean: Path, folder: Path, console: Console
) -> RetrainingReport:
    """Append, train and compare in the clean folder; return what is said of it."""
    code = ProjectCode(clean, folder)
    table = code.table
    _fetch_table(clean, table.path, console)
    recipe = make_recipe(
        table.read_header(),
        (clean / "params.yaml").read_bytes(),
        (clean / "contract.yaml").read_bytes(),
        order.watched.settings,
    )
    id_columns, own = recipe.list_id_columns(), find_id_column(order.scene)
    salt = source.read_salt() if id_columns or own is not None else None
    taken = hash_ids(read_taken(clean, table, id_columns), salt)
    learned = hash_ids(read_learned(order.scene, clean, taken, id_columns, console), salt)
    with console.step("Rows of production that have a label"):
        labelled = read_labelled(source.parts, source.labels, recipe, taken)
    for line in labelled.problems.render():
        console.warn(line)
    with console.step("What of them a day and a client may add"):
        settings = order.watched.settings.retrain
        chosen, refusals = choose_admissible(
            code, recipe, labelled.rows, taken, settings, learned=learned
        )
    if not order.is_checked:
        _refuse_own_answers(order, clean, (labelled.rows, chosen.new, chosen.window), console)
    _refuse_few(len(chosen.new), order, labelled, refusals)
    with console.step("These rows held against the contract"):
        admitted = _admit(code, recipe, chosen, refusals)
    _refuse_few(len(admitted.new), order, labelled, admitted.refusals)
    _refuse_no_window(admitted)
    report = structs.replace(
        _describe(order, source, labelled.rows, _count_days(labelled, chosen, admitted)),
        rows_before=table.count_rows(),
        refusals=dict(admitted.refusals.most_common(_MOST_REFUSALS)),
    )
    if order.is_trial:
        return report
    _append(clean, table, recipe, admitted.new)
    run_pipeline(clean, console, tokens=False)
    champion = _fetch_champion(order.scene, folder, console)
    with console.step("Champion and challenger on the rows that were held out"):
        metrics = compare_models(
            code,
            admitted.window_file,
            [row.day for row in admitted.window],
            (champion, clean / MODEL),
            order.watched.policy,
        )
    return structs.replace(report, metrics=metrics)


def hash_ids(ids: set[str], salt: bytes | None) -> set[str]:
    """Return ids as they are, and as a log has them that hashes ids.

    A table has both: those of its own, and those of rows that were appended.
    """
    return ids if salt is None else ids | {hash_id(row_id, salt) for row_id in ids}


def _refuse_own_answers(
    order: Order, clean: Path, parts: Iterable[Sequence[LabelledRow]], console: Console
) -> None:
    """Look at all labels, at the new ones, and at those held out: true ones hide no others."""
    reference = read_reference(order.scene, clean, order.watched.policy, console)
    for rows in parts:
        refuse_own_answers(rows, reference)


def _fetch_table(clean: Path, table: str, console: Console) -> None:
    """Bring the table, and the ids of rows that were appended to it, into the clean folder."""
    with console.step("The table as the default branch has it"):
        prepare_storage(clean, console)
        for path in (table, APPENDED):
            if (clean / f"{path}.dvc").is_file():
                run_dvc(clean, ["pull", "--quiet", f"{path}.dvc"])


def choose_admissible(
    code: ProjectCode,
    recipe: Recipe,
    rows: Sequence[LabelledRow],
    taken: Collection[str],
    settings: RetrainSettings,
    *,
    learned: Collection[str] = (),
) -> tuple[Chosen, Counter[str]]:
    """Choose rows; of those that a cap leaves out, some replace what the contract refuses.

    Else rows that are refused each time would fill a cap for ever. Return also what refused those
    that were replaced. Without caps all that is new is chosen, and nothing is asked yet.
    """
    refused, refusals = set[str](), Counter[str]()
    while True:
        chosen = choose_rows(rows, taken, settings, refused, learned)
        if not chosen.over_day and not chosen.over_client:
            return chosen, refusals
        asked = [*chosen.new, *chosen.window]
        kept, checks = code.admit(recipe, [row.cells for row in asked])
        if len(kept) == len(asked):
            return chosen, refusals
        refusals += checks
        left_out = set(range(len(asked))).difference(kept)
        refused.update(asked[at].id for at in left_out)


def _admit(code: ProjectCode, recipe: Recipe, chosen: Chosen, replaced: Counter[str]) -> Admitted:
    """Hold new rows and those of the window against the contract.

    ``replaced``: what refused rows that others took the place of.
    """
    rows = [*chosen.new, *chosen.window]
    kept, refusals = code.admit(recipe, [row.cells for row in rows])
    first = len(chosen.new)
    window = [at for at in kept if at >= first]
    refused = Counter(row.day for row in rows) - Counter(rows[at].day for at in kept)
    positions = {position for position, at in enumerate(kept) if at >= first}
    return Admitted(
        new=[rows[at] for at in kept if at < first],
        window=[rows[at] for at in window],
        window_file=write_window(code, positions) if kept else code.folder,
        refused=chosen.refused + refused,
        refusals=replaced + refusals,
    )


def _refuse_few(
    count: int, order: Order, labelled: Labelled, refusals: Counter[str] | None = None
) -> None:
    """Raise where there is too little to learn from; ``refusals``: the contract's, by check."""
    settings = order.watched.settings.retrain
    if count >= settings.fewest_rows:
        return
    days = len({row.day for row in labelled.rows})
    seen = (
        f"{len(labelled.rows):,} labels of {days:,} days, of which the newest"
        f" {min(days, settings.window_days):,} are held out to compare on"
    )
    hint = "more labels: `mlgitops label`; or `retrain: {fewest_rows:, window_days:}`"
    if refusals:
        check, times = refusals.most_common(1)[0]
        seen += f"; the contract refuses {sum(refusals.values()):,}, most often {check} ({times:,})"
        hint = "a column that no input fills must be `nullable`, or be set by `retrain: {columns:}`"
    raise TooFewRowsError(
        f"{count:,} new rows with a label, and {settings.fewest_rows:,} are wanted",
        where=seen,
        hint=hint,
    )


def _refuse_no_window(admitted: Admitted) -> None:
    if not admitted.window:
        problem = "no row is left to compare champion and challenger on"
        hint = "the newest days are what the contract refuses, or what the model learned already"
        raise TooFewRowsError(problem, hint=hint)


def _describe(
    order: Order, source: Source, rows: Sequence[LabelledRow], days: tuple[DayRows, ...]
) -> RetrainingReport:
    """Say what is known before the training."""
    wanted = order.scene.wanted
    sha256 = read_model_sha256(
        order.scene.folder.repository, order.scene.folder.prefix, wanted.commit
    )
    return RetrainingReport(
        toolkit=__version__,
        day=order.day,
        reason=order.reason,
        why=order.why[:2000],
        champion=Champion(
            environment=order.scene.environment,
            version=wanted.version,
            revision=wanted.commit,
            sha256=sha256,
        ),
        log=source.log_name[:500],
        labels=source.labels_name[:500],
        rows_before=0,
        agreeing=sum(row.agrees for row in rows) / len(rows) if rows else None,
        days=days,
    )


def _count_days(labelled: Labelled, chosen: Chosen, admitted: Admitted) -> tuple[DayRows, ...]:
    appended = Counter(row.day for row in admitted.new)
    held_out = Counter(row.day for row in admitted.window)
    return tuple(
        DayRows(
            day=day,
            appended=appended[day],
            held_out=held_out[day],
            taken=chosen.taken[day],
            refused=admitted.refused[day],
            over_day=chosen.over_day[day],
            over_client=chosen.over_client[day],
        )
        for day in sorted({row.day for row in labelled.rows})
    )


def _append(clean: Path, table: RawTable, recipe: Recipe, rows: Sequence[LabelledRow]) -> None:
    """Make the table longer, and let its pointer name it."""
    table.append(row.cells for row in rows)
    if recipe.id_column is None:
        append_ids(clean, (row.id for row in rows))
        run_dvc(clean, ["add", "--quiet", APPENDED])
    run_dvc(clean, ["add", "--quiet", table.path])


def _fetch_champion(scene: Scene, folder: Path, console: Console) -> Path:
    """Return the file of the model that the environment wants, held against its digests."""
    repository, prefix, commit = scene.folder.repository, scene.folder.prefix, scene.wanted.commit
    oid = read_model_oid(repository, prefix, commit)
    stored = find_model(scene.folder.place, oid, commit, console)
    copy_verified(stored, folder, oid, read_model_sha256(repository, prefix, commit))
    return folder / MODEL


def name_source(source: LogSource | LabelSource | None) -> str:
    """Say where rows or labels come from; of a database or a command not what it is asked."""
    if isinstance(source, FolderSource | EventSource):
        return source.folder
    if isinstance(source, ParquetSource):
        return source.parquet
    if isinstance(source, TableSource):
        return source.file
    if isinstance(source, SqlSource):
        return f"the database of {source.address}"
    if isinstance(source, CommandSource):
        return f"the command {Path(source.words[0]).name}"
    return "this host"
